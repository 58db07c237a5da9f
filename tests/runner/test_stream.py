"""isoloss stream, and run --tensorboard: each point once, as lines and as event files, whoever is killed on the way.

test_stream.py ISOLOSS: ISOLOSS is the front; isoloss-train stands beside it. Where the package tensorboard is installed
(ISOLOSS_TENSORBOARD_PYTHON: a Python that has it), it reads the files too; where wandb is (ISOLOSS_WANDB_PYTHON), the
script of docs/watching.md feeds it. Prints TAP.
"""
import csv
import glob
import io
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import case, check, finish, path_of, run, select, start, write  # noqa: E402

spec = write("curves.yaml", """experiment: curves
corpus: {source: markov2}
base:
  model: {layers: 1, width: 16, context: 32}
  train: {batch_tokens: 256, steps: 12, log_steps: 1, evals: 4, final_eval_tokens: 512, eval_tokens: 256}
sweep:
  - grid: {train.lr: [0.001, 0.01], seed: [1, 2]}
""")


# ---- a reader of our own, written from the formats' descriptions ----

TABLE = []
for number in range(256):
    for _ in range(8):
        number = number >> 1 ^ (0x82F63B78 if number & 1 else 0)
    TABLE.append(number)


def masked(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def fields(data):
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        else:
            size = {1: 8, 5: 4}.get(key & 7)
            if size is None:
                size, at = varint(data, at)
            value, at = data[at:at + size], at + size
        yield key >> 3, value


def events(path):
    """(step, {tag: value}, wall time) of each event; step None for the version that a file begins with."""
    with open(path, "rb") as file:
        data = file.read()
    at = 0
    while at < len(data):
        size, check_of_size = struct.unpack_from("<QI", data, at)
        body = data[at + 12:at + 12 + size]
        check(check_of_size == masked(data[at:at + 8]), "checksum of a length", path, at)
        check(struct.unpack_from("<I", data, at + 12 + size)[0] == masked(body), "checksum of a record", path, at)
        at += 16 + size
        step, values, version, wall = None, {}, None, None
        for number, value in fields(body):
            if number == 1:
                wall = struct.unpack("<d", value)[0]
            elif number == 2:
                step = value
            elif number == 3:
                version = value
            elif number == 5:
                for _, one in fields(value):
                    parts = dict(fields(one))
                    values[parts[1].decode()] = struct.unpack("<f", parts[2])[0]
        check((version == b"brain.Event:2") == (step is None), "the version comes first", version, step)
        yield step, values, wall


def single(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def points(home):
    return select(home, "SELECT run, kind, step, tokens, loss, lr FROM metrics")


def check_board(folder, home):
    """Each point of the store stands in the files once, and nothing else."""
    want = {(run, kind, step): (single(loss), single(tokens)) for run, kind, step, tokens, loss, _ in points(home)}
    results = dict(select(home, "SELECT id, loss FROM runs WHERE state = 'done'"))
    got = {}
    for path in glob.glob(os.path.join(folder, "*", "events.out.tfevents.*")):
        name = os.path.basename(os.path.dirname(path))
        ids = [run for run in {key[0] for key in want} if run.startswith(name[-12:])]
        check(len(ids) == 1, "a folder for each run", name, ids)
        for step, values, wall in events(path):
            check(abs(wall - time.time()) < 3600, "a time of today", wall)
            if step is None:
                continue
            if "result/loss" in values:
                check(results.pop(ids[0]) is not None and values["result/loss"] > 0 and step == 12, "one result", path)
                continue
            kind = "eval" if "eval/loss" in values else "train"
            key = (ids[0], kind, step)
            check(key not in got, "each point once", key)
            got[key] = (values[kind + "/loss"], values[kind + "/tokens"])
    check(got == want, "all points of the store", len(got), len(want))
    check(not results, "all results", results)


check("nothing has run yet" in run("stream", "curves", code=3).err, "no store")
board = path_of("board")
run("run", spec, "-q", "--tensorboard", board, code=0)


@case
def run_writes_event_files():
    check_board(os.path.join(board, "curves"), "home")
    names = sorted(os.listdir(os.path.join(board, "curves")))
    check([name[:-12] for name in names] == ["lr=0.001,seed=1,", "lr=0.001,seed=2,", "lr=0.01,seed=1,",
                                            "lr=0.01,seed=2,"], "names say what differs", names)


@case
def again_adds_nothing():
    before = {path: os.stat(path).st_size for path in glob.glob(board + "/*/*/*")}
    check(run("stream", "curves", "--tensorboard", board, code=0).out == board + "\n", "files in place of lines")
    run("run", spec, "-q", "--tensorboard", board, code=0)
    check(before == {path: os.stat(path).st_size for path in glob.glob(board + "/*/*/*")}, "the same files", before)


@case
def torn_records_are_written_anew():
    paths = sorted(glob.glob(board + "/*/*/*"))
    kept = []
    for number, path in enumerate(paths):
        with open(path, "rb+") as file:
            data = file.read()
            kept.append(data)
            file.truncate(len(data) - 1 - 37 * number)
    with open(paths[-1], "rb+") as file:  # a flipped bit ends what is whole
        file.seek(200)
        byte = file.read(1)
        file.seek(200)
        file.write(bytes([byte[0] ^ 4]))
    run("stream", "curves", "--tensorboard", board, code=0)
    check_board(os.path.join(board, "curves"), "home")
    for path, data in zip(paths[:-1], kept):
        with open(path, "rb") as file:
            now = file.read()
        check(len(now) == len(data), "as long as before", path, len(now), len(data))


@case
def hostile_files():
    # Whole records whose insides are none: lengths beyond the end, keys of other kinds.
    path = sorted(glob.glob(board + "/*/*/*"))[0]
    with open(path, "rb") as file:
        whole = file.read()
    for body in (b"\x2a\xff\xff\xff\xff\x0f", b"\x10", b"\x28\x80\x80\x80\x80\x01\x10\x05", b"\x2a\x02\x08\x7f", b"\x2f",
                 b"\x10" + b"\xff" * 12, b""):
        record = struct.pack("<Q", len(body))
        record += struct.pack("<I", masked(record)) + body + struct.pack("<I", masked(body))
        with open(path, "wb") as file:
            file.write(whole + record)
        run("stream", "curves", "--tensorboard", board, code=0)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", 2 ** 63) + b"\0" * 40)
    run("stream", "curves", "--tensorboard", board, code=0)
    check_board(os.path.join(board, "curves"), "home")


@case
def lines():
    out = run("stream", "curves", code=0).out
    rows = [json.loads(line) for line in out.splitlines()]
    want = sorted((run, kind, step, loss) for run, kind, step, _, loss, _ in points("home"))
    check(sorted((row["run"], row["kind"], row["step"], row["loss"]) for row in rows if row["kind"] != "state") == want,
          "each point once, to the bit", out[:500])
    states = [row for row in rows if row["kind"] == "state"]
    check(len(states) == 4 and all(row["state"] == "done" and row["loss"] > 0 for row in states), "states", states)
    table = list(csv.DictReader(io.StringIO(run("stream", "curves", "--csv", code=0).out)))
    check(sorted((row["run"], row["kind"], int(row["step"]), float(row["loss"])) for row in table) == want, "as CSV")
    check(len(run("stream", "curves", "--follow", code=0).out.splitlines()) == len(rows), "finished: nothing to follow")


@case
def bad_usage():
    check("did you mean 'curves'" in run("stream", "curvs", code=2).err, "a name that is none")
    run("stream", "curvs", "--tensorboard", path_of("none"), code=2)
    check(not os.path.exists(path_of("none")), "no folder for it")
    check("exclude" in run("stream", "curves", "--csv", "--tensorboard", board, code=2).err, "two outputs")
    check("--interval" in run("stream", "curves", "--follow", "--interval", "0", code=2).err, "no interval")
    check("this machine" in run("run", spec, "--executor", "slurm", "--tensorboard", board, code=2).err, "not for Slurm")
    write("a file", "")
    check("a file" in run("run", spec, "--tensorboard", path_of("a file"), code=3).err, "a file in place of a folder")


@case
def followed_while_it_grows_and_is_killed():
    home = path_of("live")
    long = write("long.yaml", open(spec).read().replace("steps: 12", "steps: 400").replace("evals: 4", "evals: 6"))
    sweep = start("run", long, "-q", "--jobs", "2", home=home)
    end = time.time() + 60
    while time.time() < end and not os.path.exists(os.path.join(home, "isoloss.db")):
        time.sleep(0.05)
    time.sleep(0.5)
    reader = start("stream", "curves", "--follow", "--interval", "0.1", home=home)
    writers = 0
    for _ in range(4):  # whoever writes files is killed, and goes on
        writer = start("stream", "curves", "--tensorboard", path_of("live-board"), "--follow", "--interval", "0.1",
                       home=home)
        time.sleep(0.4)
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        writers += 1
    ended = start("stream", "curves", "--follow", "--interval", "0.1", home=home)
    ended.stdout.readline()
    ended.send_signal(signal.SIGTERM)
    _, err = ended.communicate()
    check(ended.returncode == 0, "a signal ends it well", ended.returncode, err)
    sweep.send_signal(signal.SIGINT)
    sweep.communicate()
    run("run", long, "-q", home=home, code=0)
    out, err = reader.communicate(timeout=60)
    check(reader.returncode == 0 and not err, "ends by itself when all is done", err)
    rows = [json.loads(line) for line in out.splitlines()]
    got = [(row["run"], row["kind"], row["step"], row["loss"]) for row in rows if row["kind"] != "state"]
    check(sorted(got) == sorted((run, kind, step, loss) for run, kind, step, _, loss, _ in points(home)),
          "every point once", len(got), len(set(got)))
    run("stream", "curves", "--tensorboard", path_of("live-board"), home=home, code=0)
    want = {(run, kind, step) for run, kind, step, *_ in points(home)}
    seen = []
    for path in glob.glob(path_of("live-board", "curves", "*", "*")):
        name = os.path.basename(os.path.dirname(path))[-12:]
        for step, values, _ in events(path):
            if step is not None and "result/loss" not in values:
                seen.append((name, "eval" if "eval/loss" in values else "train", step))
    check(sorted(seen) == sorted((run[:12], kind, step) for run, kind, step in want), "each point once in the files")


@case
def read_by_tensorboard():
    reader = os.environ.get("ISOLOSS_TENSORBOARD_PYTHON", sys.executable)
    script = """
import sys, json
from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer
board = EventMultiplexer().AddRunsFromDirectory(sys.argv[1])
board.Reload()
out = {}
for name, tags in board.Runs().items():
    out[name] = {tag: [[e.step, e.value] for e in board.Tensors(name, tag)] if tag in tags['tensors']
                 else [[e.step, e.value] for e in board.Scalars(name, tag)] for tag in tags['scalars']}
print(json.dumps(out))
"""
    if subprocess.run([reader, "-c", "import tensorboard"], capture_output=True, check=False).returncode != 0:
        return "tensorboard is not installed"
    done = subprocess.run([reader, "-c", script, board], capture_output=True, text=True, check=False)
    check(done.returncode == 0, "tensorboard reads the files", done.stderr[-2000:])
    got = json.loads(done.stdout)
    for run_id, kind, step, _, loss, lr in points("home"):
        curves = [tags for name, tags in got.items() if name.endswith(run_id[:12])]
        check(len(curves) == 1 and [step, single(loss)] in curves[0][kind + "/loss"], "a point", run_id, kind, step)
        check(kind != "train" or [step, single(lr)] in curves[0]["train/lr"], "a rate", run_id, step)
    check(sum(len(tags["result/loss"]) for tags in got.values()) == 4, "four results")
    return None


@case
def notices():
    fake = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fake_trainer.py")
    tiny = write("failing.yaml", f"""experiment: failing
corpus: {{source: markov2}}
base:
  model: {{layers: 1, width: 16, context: 32}}
  train: {{batch_tokens: 256, steps: 20}}
sweep:
  - grid: {{seed: [1, 2, 3]}}
trainer: {{command: [{sys.executable}, -S, -E, {fake}, '{{config}}', '{{folder}}'], version: '1'}}
""")
    told = path_of("told")
    faults = json.dumps({"2": {"crash_at": 2, "crash_always": True, "exit": 1, "message": "why 'not'"}})
    arguments = ("run", tiny, "--jobs", "1", "--retries", "0", "--json", "--notify", f"cat >>{told}; echo heard")
    done = run(*arguments, home="failing", FAKE=faults, code=1)
    check(len(json.loads(done.out)) == 3 and "heard" in done.err, "standard output is the document alone", done)
    with open(told, encoding="utf-8") as file:
        documents = [json.loads(line) for line in file]
    check([d["event"] for d in documents] == ["failure", "end"], "one of each", documents)
    check(all("why 'not'" in d["runs" if d["event"] == "failure" else "failures"][0]["message"] for d in documents),
          "with the message", documents)
    end = documents[-1]
    check((end["runs"], end["done"], end["failed"], end["exit_code"], end["interrupted"]) == (3, 2, 1, 1, False),
          "the end's counts", end)
    run(*arguments, home="failing", FAKE=faults, code=1)
    with open(told, encoding="utf-8") as file:
        documents = [json.loads(line) for line in file]
    check([d["event"] for d in documents] == ["failure", "end", "end"], "what failed before is not told again", documents)
    run(*arguments, "--retry-failed", home="failing", FAKE="{}", code=0)
    run(*arguments, home="failing", FAKE="{}", code=0)
    with open(told, encoding="utf-8") as file:
        documents = [json.loads(line) for line in file]
    check(len(documents) == 4 and documents[-1]["exit_code"] == 0, "all finished: no more notices", documents[3:])
    # A command that fails, or does not read, costs the runs nothing.
    bad = run("run", spec, "-q", "--notify", "exit 7", home="other", code=0)
    check("ended with exit code 7" in bad.err, "a command that fails is told", bad.err)


@case
def lines_feed_wandb():
    python = os.environ.get("ISOLOSS_WANDB_PYTHON", sys.executable)
    if subprocess.run([python, "-c", "import wandb"], capture_output=True).returncode:
        return "the package wandb is not installed (ISOLOSS_WANDB_PYTHON)"
    page = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "watching.md")
    script = write("wandb-lines.py", open(page, encoding="utf-8").read().split("```python\n")[1].split("```")[0])
    folder = path_of("w and b")
    os.makedirs(folder)
    lines = run("stream", "curves", home="home", code=0).out
    done = subprocess.run([python, script], input=lines, text=True, capture_output=True, timeout=200,
                          env={**os.environ, "WANDB_DIR": folder, "WANDB_SILENT": "true", "WANDB_MODE": "offline"})
    files = [file for file in glob.glob(folder + "/wandb/offline-run-*/run-*.wandb")]
    check(done.returncode == 0 and len(files) == 4, done, files)
    listed = subprocess.run([python, "-m", "wandb", "sync", "--dry-run", folder + "/wandb"], capture_output=True, text=True, timeout=100)
    check(listed.returncode == 0 and "4 run(s)" in listed.stdout + listed.stderr, listed)
    for file in files:
        name = os.path.basename(file)[len("run-"):-len(".wandb")]
        losses = [value for value, in select("home", f"SELECT loss FROM metrics WHERE run = '{name}' AND kind = 'train'")]
        with open(file, "rb") as bytes_of:
            content = bytes_of.read()
        check(losses and all(json.dumps(loss).encode() in content for loss in losses), f"the losses of {name}")


shutil.rmtree(path_of("live"), ignore_errors=True)
finish()
