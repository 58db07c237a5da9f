"""isoloss run, runs, show and status from the command line, with the built-in trainer on a synthetic source.

test_commands.py ISOLOSS: ISOLOSS is the front; isoloss-train stands beside it. Prints TAP.
"""
import contextlib
import csv
import glob
import io
import json
import os
import re
import signal
import sys
import time

sys.path.insert(0, os.path.join(sys.path[0], ".."))
import harness  # noqa: E402
from harness import case, check, path_of, select, write  # noqa: E402

FAKE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fake_trainer.py")
SPEC = """experiment: tiny
corpus: {source: markov2}
base:
  model: {layers: 1, context: 32, dtype: float32}
  train: {batch_tokens: 256, evals: 4, eval_tokens: 1024, final_eval_tokens: 4096, checkpoint_steps: 50, log_steps: 20}
sweep:
  - grid:
      model.width: [16, 32]
      train.steps: [200, 900]
"""
spec_path = write("tiny.yaml", SPEC)


def isoloss(home, *arguments, **variables):
    return harness.run(*arguments, home=home, **variables)


def runs_of(home, *arguments):
    code, out, err = isoloss(home, "runs", *arguments, "--json")
    check(code == 0, err)
    return json.loads(out)


def metrics_of(home):
    return select(home, "SELECT run, kind, step, tokens, loss, lr, gradient_norm FROM metrics ORDER BY 1, 2, 3")


def workers(home):
    """Processes that have files of the home's runs open."""
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            links = [os.readlink(f"/proc/{pid}/fd/{link}") for link in os.listdir(f"/proc/{pid}/fd")]
        except OSError:
            continue
        if any(link.startswith(path_of(home, "runs")) for link in links):
            found.add(int(pid))
    return found


@case
def before_anything_ran():
    code, out, err = isoloss("none", "runs")
    check(code == 3 and "nothing has run yet" in err and not out, (code, err))
    code, out, err = isoloss("none", "show", "abcdef")
    check(code == 3 and "isoloss run" in err, (code, err))
    rows = runs_of("none", spec_path)
    check([row["state"] for row in rows] == ["pending"] * 4 and all(len(row["id"]) == 32 for row in rows), rows)
    check(not os.path.exists(path_of("none")), "looking made a folder")
    code, out, err = isoloss("none", "status", spec_path)
    check(code == 0 and "tiny" in out, (code, out, err))


@case
def trains_and_lists():
    code, out, err = isoloss("main", "run", spec_path)
    check(code == 0 and "4 done" in out, (code, out, err))
    code, out, err = isoloss("main", "run", spec_path, "--json", "--quiet")
    check(code == 0 and err == "", (code, err))
    rows = json.loads(out)
    contract = {"id", "state", "parameters", "parameters_total", "tokens", "flops", "flops_6nd", "loss", "bits_per_byte",
                "format", "seed", "wall_seconds", "train.lr", "model.width", "corpus.source"}
    for row in rows:
        check(contract <= set(row), contract - set(row))
        check(row["state"] == "done" and row["attempts"] == 1 and row["backend"] == "cpu", row)
        check(2.9 < row["oracle_loss"] < row["loss"] < 4.3, row["loss"])
        check(row["tokens"] == 256 * row["train.steps"] == 256 * row["step"], row["tokens"])
        check(row["flops_6nd"] == 6 * row["parameters"] * row["tokens"], row["flops_6nd"])
        check(row["model.tied_head"] is False and row["format"] == "none", "types")
    check(rows == runs_of("main", spec_path) == runs_of("main", "tiny") == runs_of("main"), "the same rows everywhere")


@case
def filters_sorts_and_chooses():
    rows = runs_of("main", "tiny", "--where", "N > 5000 and train.steps == 900", "--columns", "id,N,loss")
    check(len(rows) == 1 and list(rows[0]) == ["id", "parameters", "loss"], rows)
    losses = [row["loss"] for row in runs_of("main", "--sort", "-loss")]
    check(losses == sorted(losses, reverse=True), losses)
    code, out, err = isoloss("main", "runs", "--csv", "--sort", "loss", "--limit", "2", "--columns", "id,loss,model.width")
    table = list(csv.DictReader(io.StringIO(out)))
    check(code == 0 and [float(row["loss"]) for row in table] == sorted(losses)[:2], (code, out, err))
    code, out, err = isoloss("main", "runs", "--csv")
    check(len(list(csv.reader(io.StringIO(out)))) == 5, out)
    code, out, err = isoloss("main", "runs", "tiny")
    check(code == 0 and out.splitlines()[0].split()[:3] == ["id", "state", "model.width"] and len(out.splitlines()) == 5, out)
    for arguments, message in [(["--where", "los < 3"], "did you mean 'loss'"), (["--sort", "model.widht"], "model.width"),
                               (["--columns", "id,wall_second"], "wall_seconds"), (["tniy"], "did you mean 'tiny'"),
                               (["--where", "loss <"], "condition"), (["--csv", "--json"], "not both"),
                               (["no-such-file.yaml"], "no-such-file.yaml"), (["a", "b"], "one spec"),
                               (["tiny", "--set", "train.lr=1"], "needs a spec")]:
        code, out, err = isoloss("main", "runs", *arguments)
        check(code == 2 and message in err and harness.no_result(out, arguments), (arguments, code, out, err))
    for arguments in (["rnu", "--json"], ["rnu"]):
        code, out, err = isoloss("main", *arguments)
        check(code == 2 and "did you mean 'run'" in err and harness.no_result(out, arguments), (arguments, code, out, err))
    code, out, err = isoloss("main", "runs", "--columns", "help")
    check(code == 0 and "tokens_per_parameter" in out.split() and "train.lr" in out.split(), out)
    lines = [line.split(None, 2) for line in out.splitlines()]
    check(["tokens", "tokens", "D: training tokens seen"] in lines and len(lines) == 1 + len(runs_of("main")[0]), out)


@case
def shows_a_run():
    row = runs_of("main", "--sort", "-flops")[0]
    code, out, err = isoloss("main", "show", row["id"][:8])
    check(code == 0, err)
    for part in [row["id"], "model.width", "bits", "loss curve", "validation loss", "config.json", "tiny"]:
        check(part in out or part == "bits", (part, out))
    check(out.index("model.layers") < out.index("defaults") < out.index("train.weight_decay"), "what is not default comes first")
    code, out, err = isoloss("main", "show", row["id"], "--json")
    shown = json.loads(out)
    check(shown["run"] == row and not shown["alive"] and os.path.isdir(shown["folder"]), shown["run"])
    check(shown["train"][-1]["step"] == 900 and len(shown["train"]) == 900 // 20 + 1, len(shown["train"]))
    for prefix in ["zz", "0123456789", row["id"] + "0"]:
        code, out, err = isoloss("main", "show", prefix)
        check(code == 2 and not out, (prefix, code, err))


@case
def tells_the_status():
    code, out, err = isoloss("main", "status", "--json")
    status = json.loads(out)
    check(status["coordinator"] is None and status["running"] == [], status)
    check(status["experiments"] == [{"name": "tiny", "runs": 4, "pending": 0, "running": 0, "done": 4, "diverged": 0,
                                     "failed": 0, "killed": 0, "paused": 0, "cancelled": 0, "retry": 0, "halved": 0,
                                     "seconds_left": 0}], status)
    check(isoloss("main", "status", "tiny", "--json")[1] == out, "by name")
    spec_status = json.loads(isoloss("main", "status", spec_path, "--json", "--set", "train.lr=1e-3")[1])
    check(spec_status["experiments"][0]["pending"] == 4, spec_status)


@case
def an_override_makes_other_runs():
    code, out, err = isoloss("main", "run", spec_path, "--set", "train.lr=1e-3", "--set", "train.evals=0", "--quiet")
    check(code == 0 and "4 done" in out and "before" not in out, (code, out, err))
    check(len(runs_of("main")) == 8 and len(runs_of("main", "tiny")) == 4, "counts")
    # A field that cannot change the result makes no new run.
    code, out, err = isoloss("main", "run", spec_path, "--set", "train.log_steps=1", "--quiet")
    check(code == 0 and "4 of them before" in out, (code, out, err))


def logged(home):
    """Bytes of all event logs."""
    runs = path_of(home, "runs")
    logs = [os.path.join(runs, name, "events.jsonl") for name in (os.listdir(runs) if os.path.isdir(runs) else [])]
    return sum(os.path.getsize(log) for log in logs if os.path.exists(log))


@case
def kills_and_stops_change_no_bit():
    wanted = {row["id"]: row["loss"] for row in runs_of("main", spec_path)}
    # The first moments come by the clock, before there is much; the others when the runs have got a little further.
    for i, moment in enumerate([0.15, 0.05, None, None, None, None, None, None]):
        before = logged("killed")
        process = harness.start("run", spec_path, home="killed")
        if moment:
            time.sleep(moment)
        while not moment and process.poll() is None and logged("killed") < before + 600:
            time.sleep(0.002)
        if process.poll() is not None:
            process.communicate()
            break
        if i % 3 == 2:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=20)
            continue
        process.kill()
        if i % 3 == 1:  # the workers too
            for pid in workers("killed"):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        process.communicate()
        code, out, err = isoloss("killed", "status", "--json")  # too early a kill leaves no store yet
        check(code == 0 or (code == 3 and harness.no_result(out, ["--json"])), (code, out, err))
        check(code != 0 or json.loads(out)["coordinator"] is None, out)
    code, out, err = isoloss("killed", "run", spec_path)
    check(code == 0 and "4 done" in out, (code, out, err))
    got = {row["id"]: row["loss"] for row in runs_of("killed", spec_path)}
    check(got == wanted, (got, wanted))
    check(any(row["attempts"] > 1 for row in runs_of("killed", spec_path)), "no run was ever interrupted")
    first = {row[0] for row in metrics_of("killed")}
    check(metrics_of("killed") == [row for row in metrics_of("main") if row[0] in first], "the same points, each once")


@case
def a_trainer_of_ones_own():
    path = write("own.yaml", SPEC.replace("experiment: tiny", "experiment: own") +
                 f"trainer: {{command: [{sys.executable}, -S, -E, {FAKE}, '{{config}}', '{{folder}}'], version: '1'}}\n")
    code, out, err = isoloss("main", "run", path, FAKE=json.dumps({"*": {"crash_at": 33}}))
    check(code == 0 and "4 done" in out, (code, out, err))
    rows = runs_of("main", path)
    check(all(row["loss"] == 2 + 1 / (row["train.steps"] + 1) and row["attempts"] == 2 for row in rows), rows)
    check(all(row["trainer"] == "fake 1" for row in rows), "trainer")
    check(not {row["id"] for row in rows} & {row["id"] for row in runs_of("main", "tiny")}, "ids of another trainer")


@case
def damage_of_a_log_is_told():
    code, out, err = isoloss("junk", "run", path_of("own.yaml"), FAKE=json.dumps({"0": {"junk": 1}}))
    check(code == 0 and "4 done" in out, (code, out, err))
    row = runs_of("junk", "own")[0]
    check(row["log_damaged"] == 2 and row["log_damaged_line"] == 3, row)
    said = "2 lines of the log are no events and were passed over, the first is line 3"
    for arguments in [["status"], ["status", path_of("own.yaml")], ["show", row["id"][:8]]]:
        code, out, err = isoloss("junk", *arguments)
        check(code == 0 and said in out, (arguments, code, out, err))


@case
def a_failed_run_is_explained():
    fault = json.dumps({"0": {"crash_at": 33, "crash_always": True, "exit": 1, "message": "the reason"}})
    path = path_of("own.yaml")
    code, out, err = isoloss("failing", "run", path, "--retries", "0", FAKE=fault)
    check(code == 1 and "4 failed" in out and "--retry-failed" in out and "the reason" in err, (code, out, err))
    row = runs_of("failing", "own")[0]
    code, out, err = isoloss("failing", "show", row["id"][:6])
    check("message: the reason" in out and "in two lines" in out, out)


@case
def bad_calls_and_bad_stores():
    check(isoloss("main", "run")[0] == 2 and isoloss("main", "run", "no.yaml")[0] == 2, "run")
    check(isoloss("main", "run", spec_path, "--jobs", "-1")[0] == 2, "jobs")
    check(isoloss("main", "status", "a", "b")[0] == 2 and isoloss("main", "show")[0] == 2, "status, show")
    os.makedirs(path_of("bad"))
    write("bad/isoloss.db", "no database " * 1000)
    for arguments in [["run", spec_path], ["runs"], ["runs", spec_path], ["status"], ["show", "abcd"]]:
        code, out, err = isoloss("bad", *arguments)
        check(code == 3 and "damaged" in err and not out, (arguments, code, out, err))


@case
def plans_for_gpus_without_one():
    chosen = write("auto.yaml", SPEC.replace(", dtype: float32", ""))
    code, out, err = isoloss("gpus", "plan", chosen, "--device", "cuda", "--json")
    rows = json.loads(out) if code == 0 else []
    check(code == 0 and [row["fits_gpu"] for row in rows] == [16] * 4, (code, err))
    check(all(row["model.dtype"] == "bfloat16" and row["memory_bytes"] > 0 for row in rows), rows[:1])
    cpu = json.loads(isoloss("gpus", "plan", chosen, "--json", "--set", "model.device=cpu")[1])
    check(all(row["fits_gpu"] is None for row in cpu), cpu[:1])
    wide = write("wide.yaml", SPEC.replace("[16, 32]", "[1024]").replace("layers: 1", "layers: 200")
                 .replace("batch_tokens: 256", "batch_tokens: 65536"))
    code, out, err = isoloss("gpus", "plan", wide, "--device", "cuda")
    check(code == 0 and "16 GB holds none" in out and "the largest fits 80 GB with train.accumulation" in out,
          (code, out, err))
    code, out, err = isoloss("gpus", "run", wide, "--gpus", "0", "--gpu-memory", "40G")
    check(code == 3 and "needs" in err and "train.recompute" in err, (code, out, err))
    check(not os.path.exists(path_of("gpus", "runs")), "something was started")
    code, out, err = isoloss("gpus", "run", spec_path, "--per-gpu", "2")
    check(code == 2 and "--gpus" in err, (code, out, err))
    # Shapes that the kernels do not take are mistakes of the spec, found where it is checked, without a GPU.
    heads = write("heads.yaml", SPEC.replace("layers: 1", "layers: 1, head_dim: 256").replace("[16, 32]", "[256, 512]"))
    code, out, err = isoloss("gpus", "check", heads, "--set", "model.device=cpu")
    check(code == 0, (code, out, err))
    for arguments in [["check", heads, "--set", "model.device=cuda"], ["plan", heads, "--device", "cuda"],
                      ["run", heads, "--gpus", "0", "--gpu-memory", "16G"]]:
        code, out, err = isoloss("gpus", *arguments)
        check(code == 2 and "model.head_dim 256: must be even, 2 to 128 on CUDA" in err and f"{heads}:4:" in err,
              (arguments, code, out, err))
    check(not os.path.exists(path_of("gpus", "runs")), "something was started")
    code, out, err = isoloss("gpus", "run", spec_path, "--gpus", "0", "--gpu-memory", "16G", "--set",
                             "model.context=2", "--set", "train.batch_tokens=262144")
    check(code == 2 and "CUDA takes 65535" in err and "train.accumulation" in err, (code, out, err))


@case
def few_prunings_are_told():
    said = "2 runs prune in fewer than 20 events"
    for command, name in ("plan", "sparse(0.5,journey(0.5,0.55))"), ("check", "sparse(0.5,journey(0.5,0.55),every(3))"):
        code, out, err = isoloss("prunings", command, spec_path, "--set", "format=" + name)
        check(code == 0 and said in out + err, (name, code, out, err))
    for command in "plan", "check":
        for name in "sparse(0.5,journey)", "sparse(0.5,journey,every(1))":
            code, out, err = isoloss("prunings", command, spec_path, "--set", "format=" + name)
            check(code == 0 and "events" not in out + err, (name, code, out, err))


@case
def no_share_of_a_peak_that_nobody_measured():
    """Where the peak of a device is not measured, as of the CPU's products here, no utilization is told: none by a data sheet."""
    events = [json.loads(line) for path in glob.glob(path_of("main", "runs", "*", "events.jsonl"))
              for line in open(path, encoding="utf-8")]
    check(len({event["event"] for event in events} & {"start", "step", "done"}) == 3, "events of all kinds")
    for event in events:
        told = [key for key in event if re.search("peak$|speed_of_light|mfu|utili", key)]
        check(not told, event["event"], told)
    code, out, err = isoloss("main", "runs", "--columns", "help")
    check(code == 0 and not re.search(r"^\s*(mfu|utili)", out, re.M), out)
    code, out, err = isoloss("main", "sql", "SELECT count(speed_of_light) AS known FROM runs")
    check(code == 0 and re.search(r"\b0\b", out), out)


@case
def claims_are_of_the_numbers_themselves():
    """What all runs agree on is that number, not the exponential of a mean of its logarithm."""
    exact = write("exact.yaml", """experiment: exact
corpus: {source: markov2}
base: {model: {layers: 1, width: 16, context: 16}, train: {batch_tokens: 64, steps: 3, evals: 0, final_eval_tokens: 512}}
sweep: {grid: {format: [none, w4], seed: [1, 2]}}
claims: ["steps[w4] == 3", "steps[none] <= 3", "steps[w4] != 3"]
""")
    code, out, err = isoloss("exact", "run", "-q", exact)
    check(code == 0, err)
    code, out, err = isoloss("exact", "fit", exact)
    verdicts = re.findall(r"^claim .*?: (held|not held|undecided)", out, re.M)
    check(code == 1 and verdicts == ["held", "held", "not held"], (code, out, err))


@case
def nothing_starts_that_memory_cannot_hold():
    wide = write("memory.yaml", SPEC.replace("[16, 32]", "[1024]").replace("layers: 1", "layers: 1000")
                 .replace("batch_tokens: 256", "batch_tokens: 262144"))
    code, out, err = isoloss("memory", "plan", wide, "--set", "model.device=cpu")
    check(code == 0 and "will not be started here" in out and "gives runs" in out, (code, out, err))
    code, out, err = isoloss("memory", "run", wide, "--set", "model.device=cpu")
    check(code == 3 and "gives runs" in err and "train.recompute" in err, (code, out, err))
    code, out, err = isoloss("memory", "run", spec_path, "--memory", "20M")
    check(code == 3 and "--memory gives runs 20.0 MiB" in err, (code, out, err))
    check(not os.path.exists(path_of("memory", "runs")), "something was started")
    code, out, err = isoloss("memory", "run", spec_path, "--memory", "much")
    check(code == 2 and "--memory 'much'" in err, (code, out, err))
    for wrong in "-5", "0", "nan", "24Q":  # also where all is trained
        code, out, err = isoloss("main", "run", spec_path, "--memory", wrong)
        check(code == 2 and f"--memory '{wrong}'" in err, (code, out, err))


harness.finish()
