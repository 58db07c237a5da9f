"""isoloss run --executor slurm against a real slurmctld and slurmd on this machine's loopback, without accounting.

test_slurm_loopback.py ISOLOSS [faults|kills [N]]: ISOLOSS is the front; isoloss-train stands beside it. Without a word:
submitting, cancelling, submitting again, a task started twice, a table like a local one. With `faults`: what takes Slurm
minutes: time-out, preemption, requeue, a lost node. With `kills`: N kills (30) of jobs, coordinators, trainers, steps and
daemons by chance. Skipped where Slurm is not installed or does not start. Prints TAP.
"""
import collections
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import case, check, document, environment, finish, path_of, run, select, write  # noqa: E402

LOOPBACK = os.path.join(os.path.dirname(os.path.abspath(__file__)), "slurm_loopback.sh")
WHAT = sys.argv[2] if len(sys.argv) > 2 else "everyday"
KILLS = int(sys.argv[3]) if len(sys.argv) > 3 else 30
# Half a minute or so of a fast machine: a task that is started twice looks for some nine seconds whether the first is
# alive, on any machine, and the runs have to be at work then.
STEPS = 180000 if WHAT == "everyday" else 30000
SPEC = f"""experiment: real
corpus: {{source: markov2}}
base:
  model: {{layers: 1, width: 16, context: 32, dtype: float32}}
  train: {{batch_tokens: 256, log_steps: 100, eval_tokens: 1024, final_eval_tokens: 1024, checkpoint_steps: 500}}
sweep:
  - grid: {{train.steps: [400, {STEPS}], seed: [1, 2]}}
run:
  slurm: {{time: 30 min, runs_per_job: 1, cpus: 1}}
"""


def skip(why):
    print(f"1..0 # SKIP {why}")
    sys.exit(0)


def free_ports():
    """The first of five ports in a row that nobody has."""
    for base in range(17100 + os.getpid() % 1000 * 5, 30000, 5):
        sockets = []
        try:
            for port in range(base, base + 5):
                sockets.append(socket.socket())
                sockets[-1].bind(("127.0.0.1", port))
            return base
        except OSError:
            continue
        finally:
            for one in sockets:
                one.close()
    return None


if not all(shutil.which(name) for name in ("slurmctld", "slurmd", "sbatch")):
    skip("Slurm is not installed (Debian: slurm-wlm)")
cluster_folder = path_of("slurm")
# Daemons keep what they inherit: not our pipes.
with open(path_of("slurm.log"), "w") as log:
    started = subprocess.run([LOOPBACK, "start", cluster_folder, "2", "2", "0", str(free_ports())], stdout=log, stderr=log,
                             stdin=subprocess.DEVNULL, timeout=60)
if started.returncode != 0:
    subprocess.run([LOOPBACK, "stop", cluster_folder], timeout=30)
    skip("Slurm does not start here: " + open(path_of("slurm.log")).read().strip().replace("\n", "; ")[-300:])
environment["SLURM_CONF"] = os.path.join(cluster_folder, "slurm.conf")
environment["XDG_CONFIG_HOME"] = path_of("config")
os.environ["SLURM_CONF"] = environment["SLURM_CONF"]


def slurm(*arguments, check_code=True):
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 or not check_code, done
    return done.stdout


def queue():
    """{(job, task): state} of all that Slurm still knows."""
    lines = slurm("squeue", "-h", "-r", "-t", "all", "-o", "%F %K %T").split("\n")
    return {tuple(line.split()[:2]): line.split()[2] for line in lines if line}


def submit(named, home, *arguments, code=0):
    return run("run", named, "--executor", "slurm", *arguments, home=home, code=code)


def until(condition, what, seconds=60):
    end = time.time() + seconds
    while time.time() < end:
        if condition():
            return
        time.sleep(0.2)
    check(False, f"in {seconds} s not: {what}", queue(), told())


def told():
    """What the jobs printed."""
    texts = []
    for parent, _, names in os.walk(path_of()):
        texts += [open(os.path.join(parent, name)).read()[-600:] for name in names if name.startswith("output-")]
    return "\n--\n".join(texts)


def ended(home):
    jobs = {json.load(open(path_of(home, "slurm", name, "state.json")))["job"] for name in submissions(home)}
    # Between them are more states than one thinks of: SIGNALING, STAGE_OUT.
    return lambda: all(state in ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "PREEMPTED", "NODE_FAIL", "OUT_OF_MEMORY")
                       for (job, _), state in queue().items() if job in jobs)


def submissions(home):
    return sorted(name for name in os.listdir(path_of(home, "slurm")) if not name.startswith((".", "collector")))


def starts(home, id):
    """How often a trainer of the run began, and with which step."""
    with open(path_of(home, "runs", id, "events.jsonl")) as log:
        events = [json.loads(line) for line in log]
    return [event.get("resumed_from", 0) for event in events if event["event"] == "start"]


def table(home, named="real"):
    return [(row["id"], row["state"], row["loss"], row["bits_per_byte"], row["train_loss"], row["step"])
            for row in document("runs", named, home=home)]


def curves(home):
    return select(home, "SELECT run, kind, step, tokens, loss, lr, gradient_norm FROM metrics ORDER BY 1, 2, 3")


def long_ones(home, named="real"):
    return [row["id"] for row in document("runs", named, home=home) if row["train.steps"] == STEPS]


def running_steps(home):
    """Of the long runs, how far their logs are."""
    steps = []
    for id in long_ones(home):
        try:
            with open(path_of(home, "runs", id, "events.jsonl")) as log:
                found = re.findall(r'"event":"step","step":(\d+)', log.read())
            steps.append(int(found[-1]) if found else 0)
        except FileNotFoundError:
            steps.append(0)
    return steps


def equal_to_local(home, spec):
    run("run", spec, home=home + "-local", code=0, timeout=1500)
    check(table(home) == table(home + "-local"), "the table is bit-equal to a local sweep's", table(home), table(home + "-local"))
    check(curves(home) == curves(home + "-local"), "so are the curves")


def everyday():
    @case
    def sweep_that_is_cancelled_and_submitted_again():
        spec = write("real.yaml", SPEC)
        check("4 submitted in 4 jobs" in submit(spec, "real").out, "submitted")
        # The submitter is killed before it has written down what it did.
        os.remove(path_of("real", "slurm", "real-1", "state.json"))
        until(lambda: min(running_steps("real")) > 600, "the long runs are at work")
        done = submit(spec, "real")
        check(len(submissions("real")) == 1 and "submitted" not in done.out, "the jobs are found", done)
        job = json.load(open(path_of("real", "slurm", "real-1", "state.json")))["job"]
        check(job is not None, "by number")
        # A task is started a second time, by hand: it leaves the runs to the first.
        tasks = json.load(open(path_of("real", "slurm", "real-1", "submission.json")))["tasks"]
        # Slurm may start the two long runs one well after the other: the one that is behind is at work for longest.
        behind = min(zip(running_steps("real"), long_ones("real")))[1]
        long_task = str(next(task for task, (id,) in enumerate(tasks) if id == behind))
        again = subprocess.run(["/bin/bash", path_of("real", "slurm", "real-1", "job.sh")], capture_output=True, text=True,
                               env={**environment, "SLURM_ARRAY_TASK_ID": long_task}, timeout=60)
        check(again.returncode == 0 and "is at work on" in again.stderr, again)
        # Everything is taken away in the middle.
        slurm("scancel", job)
        until(ended("real"), "cancelled")
        done = submit(spec, "real")
        cut = [id for id in long_ones("real") if id == behind or "1 submitted" not in done.out]
        check(f"{4 - len(cut)} done" in done.out and f"{len(cut)} submitted in {len(cut)} job" in done.out
              and "cancelled" in done.out, done, told())
        until(ended("real"), "the second submission ends", 900)
        check("4 runs: 4 done\n" in submit(spec, "real").out, told())
        for id in cut:
            first, second = starts("real", id)
            check(first == 0 and second > 600, "goes on from its last checkpoint", starts("real", id))
        check(all(starts("real", row[0]) == [0] for row in table("real") if row[0] not in cut), "trained once")
        equal_to_local("real", spec)

    @case
    def marks_reach_jobs():
        spec = write("marks.yaml", SPEC.replace("experiment: real", "experiment: marks").replace("runs_per_job: 1", "runs_per_job: 4")
                     .replace("seed: [1, 2]", "seed: [3, 4]"))
        submit(spec, "marks here")
        until(lambda: any("events.jsonl" in names for _, _, names in os.walk(path_of("marks here"))), "at work")
        run("cancel", "marks", "--where", "train.steps > 1000", home="marks here", code=0)
        until(ended("marks here"), "ends without them")
        done = submit(spec, "marks here")
        check("2 runs: 2 done" in done.out and "2 cancelled and left out" in done.out, done, told())

    @case
    def halving_goes_on_by_itself():
        spec = write("rungs.yaml", SPEC.split("sweep:")[0].replace("experiment: real", "experiment: rungs").replace("log_steps: 100", "log_steps: 20, evals: 8") +
                     "sweep: [{grid: {train.steps: [400], train.lr: [1e-4, 1e-3, 1e-2, 3e-2]}}]\nrun:\n"
                     "  halving: {over: train.lr, keep: 1/2, at: [0.25, 0.5]}\n  slurm: {time: 10 min, cpus: 1}\n")
        # One call; the jobs that follow decide, submit, and collect at last.
        check("4 submitted in 4 jobs" in submit(spec, "rungs").out, "submitted")
        outcome = "SELECT id, state, loss, step, halved_at FROM runs ORDER BY id"
        until(lambda: sorted(row[1] for row in select("rungs", outcome)) == ["done", "killed", "killed", "killed"] and
              all(row[1] == "done" or row[4] for row in select("rungs", outcome)), "one is left", 120)
        run("run", spec, home="rungs-local", code=0)
        check(select("rungs", outcome) == select("rungs-local", outcome), select("rungs", outcome), select("rungs-local", outcome))


def faults():
    slow = SPEC.replace(f"[400, {STEPS}]", f"[{STEPS * 2}]")  # of a minute or so

    @case
    def time_out():
        spec = write("timeout.yaml", slow.replace(f"[{STEPS * 2}]", f"[{STEPS * 8}]").replace("time: 30 min", "time: 1 min, stop_before: 20 s"))
        submit(spec, "timeout")
        until(ended("timeout"), "its time is over", 150)
        done = submit(spec, "timeout")
        check("0 done" in done.out and "2 submitted" in done.out and "failed" not in done.out, done, told())
        states = [(row["state"], row["message"]) for row in document("runs", "real", home="timeout")]
        check(all(state == "killed" for state, _ in states), states)
        slurm("scancel", "-u", str(os.getuid()))
        until(ended("timeout"), "gone")

    @case
    def preemption_and_requeue():
        spec = write("preempt.yaml", slow)
        submit(spec, "preempt")
        until(lambda: min(running_steps_of("preempt")) > 600, "at work")
        urgent = slurm("sbatch", "--parsable", "-p", "urgent", "-N2", "--ntasks-per-node=2", "-o", "/dev/null", "--wrap",
                       "sleep 3").strip()
        until(lambda: urgent in slurm("squeue", "-h", "-t", "COMPLETED", "-o", "%i"), "the urgent job has run", 60)
        done = submit(spec, "preempt")
        check("2 in Slurm's queue" in done.out and "submitted" not in done.out, "requeued, not lost", done)
        # Slurm holds a requeued job back for about two minutes.
        until(ended("preempt"), "they have gone on", 400)
        done = submit(spec, "preempt")
        check("2 runs: 2 done" in done.out and "2 begun again" in done.out, done, told())
        for row in document("runs", "real", home="preempt"):
            check(len(starts("preempt", row["id"])) == 2 and starts("preempt", row["id"])[1] > 600, "from the checkpoint",
                  starts("preempt", row["id"]))
        equal_to_local("preempt", spec)

    @case
    def lost_node():
        # Slurm believes a node lost after half a minute to a minute: the runs take longer on the fastest machines.
        spec = write("node.yaml", slow.replace(f"[{STEPS * 2}]", f"[{STEPS * 8}]"))
        submit(spec, "node")
        until(lambda: min(running_steps_of("node")) > 600, "at work")
        for name in ("slurmd-n1.pid", "slurmd-n2.pid"):  # the jobs themselves go on, and Slurm does not see it
            os.kill(int(open(os.path.join(cluster_folder, name)).read()), signal.SIGKILL)
        until(lambda: all(state in ("PENDING", "NODE_FAIL") for state in queue_of("node").values()), "Slurm believes them lost", 120)
        done = submit(spec, "node")
        check("submitted" not in done.out, "those who are at work are left alone", done)
        for node in ("n1", "n2"):
            subprocess.run(["slurmd", "-f", environment["SLURM_CONF"], "-N", node], stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=30)
        until(lambda: "4 runs" not in submit(spec, "node").out and "2 done" in submit(spec, "node").out, "done", 900)
        for row in document("runs", "real", home="node"):
            # Slurm may end the jobs that it had believed lost: they go on from their checkpoints, and nothing begins anew.
            check(all(step > 600 for step in starts("node", row["id"])[1:]), "no step is trained twice", starts("node", row["id"]))
        equal_to_local("node", spec)


def processes(words):
    """Numbers of the processes of this cluster whose command lines hold all these words."""
    found = []
    for number in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{number}/cmdline", "rb") as file:
                line = file.read().replace(b"\0", b" ").decode(errors="replace")
            with open(f"/proc/{number}/environ", "rb") as file:
                ours = path_of().encode() in file.read() or path_of() in line
        except OSError:
            continue
        if ours and all(word in line for word in words):
            found.append(int(number))
    return found


def start_slurmd(node):
    subprocess.run(["slurmd", "-f", environment["SLURM_CONF"], "-N", node], stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=30)


def one_kill(chance):
    """Kills something of the cluster that is at work; says what, or None where there was nothing."""
    kind = chance.choice(["scancel", "scancel", "requeue", "trainer", "trainer", "coordinator", "coordinator", "step", "slurmd"])
    if kind in ("scancel", "requeue"):
        tasks = [key for key, state in queue().items() if state == "RUNNING"]
        if not tasks:
            return None
        name = "_".join(chance.choice(tasks))
        slurm(*(["scancel", name] if kind == "scancel" else ["scontrol", "requeue", name]), check_code=False)
        return kind
    if kind == "slurmd":
        node = chance.choice(["n1", "n2"])
        pid = os.path.join(cluster_folder, f"slurmd-{node}.pid")
        if not os.path.exists(pid):
            return None
        try:
            os.kill(int(open(pid).read()), signal.SIGKILL)
        except ProcessLookupError:
            pass
        time.sleep(0.5)
        start_slurmd(node)
        return kind
    found = {"trainer": lambda: processes(["isoloss-train", "config.json"]), "coordinator": lambda: processes(["isoloss work"]),
             "step": lambda: processes(["slurmstepd"])}[kind]()
    if not found:
        return None
    try:
        os.kill(chance.choice(found), signal.SIGKILL)
    except ProcessLookupError:
        return None
    return kind


def kills():
    @case
    def many_kills_lose_nothing_and_train_nothing_twice():
        text = SPEC.replace(f"[400, {STEPS}], seed: [1, 2]", "[4000, 6000], seed: [1, 2, 3, 4, 5, 6]").replace(
            "checkpoint_steps: 500", "checkpoint_steps: 100").replace("runs_per_job: 1", "runs_per_job: 3")
        spec = write("kills.yaml", text)
        chance = random.Random(7)
        done, counts, end = 0, collections.Counter(), time.time() + 1500
        submit(spec, "kills", "--retries", "100")
        while done < KILLS and time.time() < end:
            time.sleep(chance.uniform(0.5, 2))
            kind = one_kill(chance)
            counts[kind] += kind is not None
            done += kind is not None
            if kind is None or done % 5 == 0:
                # A requeued job is held back for two minutes: that much is not waited for here.
                for (job, task), state in queue().items():
                    if state == "PENDING":
                        slurm("scontrol", "update", f"JobId={job}_{task}", "StartTime=now", check_code=False)
                        slurm("scontrol", "release", f"{job}_{task}", check_code=False)
                for node in ("n1", "n2"):
                    slurm("scontrol", "update", f"NodeName={node}", "State=RESUME", check_code=False)
                out = submit(spec, "kills", "--retries", "100", "--keep-going", code=None)
                if "12 runs: 12 done" in out.out:
                    # All is done before all is killed: further seeds.
                    text = text.replace("6]", "6, 7, 8, 9, 10, 11, 12]")
                    write("kills.yaml", text)
        print("# kills:", dict(counts), flush=True)
        check(done >= KILLS, "kills", counts)
        total = 2 * (12 if "12]" in text else 6)
        last = None
        for _ in range(600):
            last = submit(spec, "kills", "--retries", "100", "--keep-going", code=None)
            if f"{total} runs: {total} done" in last.out:
                break
            for (job, task), state in queue().items():
                if state == "PENDING":
                    slurm("scontrol", "update", f"JobId={job}_{task}", "StartTime=now", check_code=False)
                    slurm("scontrol", "release", f"{job}_{task}", check_code=False)
            for node in ("n1", "n2"):
                slurm("scontrol", "update", f"NodeName={node}", "State=RESUME", check_code=False)
            time.sleep(2)
        check(f"{total} runs: {total} done" in last.out, last, told())
        for row in document("runs", "real", home="kills"):
            steps = starts("kills", row["id"])
            # What a run has done up to its last checkpoint is not done again: no beginning lies before an earlier one.
            check(steps == sorted(steps), steps)
        equal_to_local("kills", spec)


def running_steps_of(home):
    steps = []
    for row in document("runs", "real", home=home):
        try:
            with open(path_of(home, "runs", row["id"], "events.jsonl")) as log:
                found = re.findall(r'"event":"step","step":(\d+)', log.read())
            steps.append(int(found[-1]) if found else 0)
        except FileNotFoundError:
            steps.append(0)
    return steps


def queue_of(home):
    jobs = {json.load(open(path_of(home, "slurm", name, "state.json")))["job"] for name in submissions(home)}
    return {key: state for key, state in queue().items() if key[0] in jobs}


try:
    {"faults": faults, "kills": kills, "everyday": everyday}[WHAT]()
finally:
    subprocess.run([LOOPBACK, "stop", cluster_folder], stdin=subprocess.DEVNULL, timeout=60)
finish()
