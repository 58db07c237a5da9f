"""isoloss run --executor slurm, with commands of Slurm's that do and say what the test wants (fake_slurm.py).

test_slurm.py ISOLOSS: ISOLOSS is the front; isoloss-train stands beside it. Prints TAP.
"""
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(sys.path[0], ".."))
import harness  # noqa: E402
from harness import case, check, document, environment, finish, path_of, program, run, select, start, write  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
FAKE = os.path.join(HERE, "fake_trainer.py")
SPEC = f"""experiment: tiny
corpus: {{source: markov2}}
base:
  model: {{layers: 1, width: 16, context: 32}}
  train: {{batch_tokens: 256}}
sweep:
  - grid: {{train.steps: [40, 60], seed: [1, 2]}}
trainer: {{command: [{sys.executable}, -S, -E, {FAKE}, '{{config}}', '{{folder}}'], version: '1'}}
run:
  slurm: {{time: 1 h, runs_per_job: 2}}
"""
spec = write("tiny.yaml", SPEC)
built_in = write("built-in.yaml", SPEC.replace("experiment: tiny", "experiment: built-in").split("trainer:")[0].replace(
    "context: 32", "context: 32, dtype: float32").replace(
    "batch_tokens: 256", "batch_tokens: 256, log_steps: 5, eval_tokens: 1024, final_eval_tokens: 1024") +
    "run:\n  slurm: {time: 1 h, runs_per_job: 3}\n")
os.makedirs(path_of("bin"))
for command in "sbatch", "squeue", "scontrol", "scancel", "sacct":
    write(f"bin/{command}", f"#!{sys.executable} -SE\n" + open(os.path.join(HERE, "fake_slurm.py"), encoding="utf-8").read())
    os.chmod(path_of("bin", command), 0o755)
environment["PATH"] = path_of("bin") + ":" + environment["PATH"]
environment["XDG_CONFIG_HOME"] = path_of("config")
for name in [name for name in environment if name.startswith(("SLURM", "SBATCH"))]:
    del environment[name]


class Cluster:
    """A home, and what its Slurm knows."""

    def __init__(self, name, named=spec):
        self.home, self.slurm, self.spec = name, path_of(name + "-slurm"), named
        os.makedirs(self.slurm)
        environment["FAKE_SLURM"] = self.slurm

    def run(self, *arguments, code=0, **variables):
        return run("run", self.spec, "--executor", "slurm", *arguments, home=self.home, code=code, **variables)

    def jobs(self):
        with open(os.path.join(self.slurm, "jobs.json"), encoding="utf-8") as file:
            return json.load(file)

    def put(self, name, text):
        with open(os.path.join(self.slurm, name), "w", encoding="utf-8") as file:
            file.write(text)

    def set_state(self, job, task, state):
        jobs = self.jobs()
        jobs[job]["tasks"][str(task)] = state
        self.put("jobs.json", json.dumps(jobs))

    def tasks(self):
        return [(job, int(task)) for job, array in self.jobs().items() for task in array["tasks"]]

    def begin(self, job, task, **variables):
        """A task's script, running, as Slurm starts it."""
        self.set_state(job, task, "RUNNING")
        return subprocess.Popen(["/bin/bash", self.jobs()[job]["script"]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True, env={**environment, "SLURM_ARRAY_TASK_ID": str(task), "SLURM_JOB_ID": "7",
                                                "SLURM_ARRAY_JOB_ID": job, **variables})

    def finish(self, job, task, state="COMPLETED", **variables):
        process = self.begin(job, task, **variables)
        out, _ = process.communicate(timeout=100)
        self.set_state(job, task, state)
        return process.returncode, out

    def states(self):
        named = re.search(r"^experiment: (\S+)", open(self.spec, encoding="utf-8").read()).group(1)
        return sorted(row["state"] for row in document("runs", named, home=self.home))

    def sbatch_calls(self):
        with open(os.path.join(self.slurm, "calls"), encoding="utf-8") as file:
            return len([line for line in file if line.startswith("sbatch")])


def rows(home, named="tiny"):
    return {(row["train.steps"], row["seed"]): row for row in document("runs", named, home=home)}


def steps_trained(home, id):
    with open(path_of(home, "runs", id, "steps-trained"), encoding="utf-8") as file:
        return [int(line) for line in file]


def end_worker(home, run_id):
    """What of the run is at work, as the first number of its lock tells, with its children."""
    with open(path_of(home, "runs", run_id, "worker.lock"), encoding="utf-8") as file:
        os.killpg(int(file.read().split()[0]), signal.SIGKILL)


def all_steps_but_few_twice(home, named="tiny"):
    """What the fake trainer did since its last checkpoint, four steps at most, it does again when it was stopped."""
    for (steps, _), row in rows(home, named).items():
        trained = steps_trained(home, row["id"])
        check(sorted(set(trained)) == list(range(1, steps + 1)) and len(trained) <= steps + 4, row["id"], trained)


def until(condition, what, seconds=20):
    end = time.time() + seconds
    while time.time() < end:
        if condition():
            return
        time.sleep(0.05)
    check(False, f"in {seconds} s not: {what}")


@case
def dry_run_prints_the_script_and_changes_nothing():
    cluster = Cluster("dry")
    os.makedirs(path_of("config", "isoloss"))
    write("config/isoloss/slurm.yaml", "partition: gpu\naccount: lab\nqos: low\ntime: 2 h\ngres: gpu:1\narray_cap: 7\n"
          "container: apptainer exec --nv image.sif\noptions: [--exclusive]\nprologue: |\n  module load cuda  # 'as it is'\n"
          "  export A=\"b c\"\n")
    done = cluster.run("--dry-run")
    for line in ("#SBATCH --partition=gpu", "#SBATCH --account=lab", "#SBATCH --qos=low", "#SBATCH --gres=gpu:1",
                 "#SBATCH --time=0-01:00:00",  # the spec's, over the file's
                 "#SBATCH --array=0-1%7", "#SBATCH --exclusive", "#SBATCH --signal=B:USR1@120",
                 "module load cuda  # 'as it is'", "export A=\"b c\""):
        check(line in done.out.split("\n"), line, done.out)
    check(re.search(r"^exec apptainer exec --nv image.sif \S*isoloss work \S+ --task ", done.out, re.M), done.out)
    check("4 would be submitted in 2 jobs" in done.err and not os.path.exists(path_of("dry")), done)
    write("config/isoloss/slurm.yaml", "partition: gpu\ncup: 3\n")
    refused = cluster.run("--dry-run", code=2)
    check("slurm.yaml:2:1" in refused.err and "cup" in refused.err, refused)
    shutil.rmtree(path_of("config"))
    bad = write("bad.yaml", SPEC.replace("time: 1 h", "time: 90, options: [--array=1], cpus: 0"))
    check(run("check", bad, code=2).err.count("error:") == 3, "three mistakes")
    check("--jobs is for runs on this machine" in cluster.run("--jobs", "2", code=2).err, "--jobs")
    check("need --executor slurm" in run("run", spec, "--dry-run", code=2).err, "dry run of local")
    halved = write("halved.yaml", open(built_in, encoding="utf-8").read().replace("seed: [1, 2]", "train.lr: [1e-3, 1e-2]").replace(
        "  slurm:", "  halving: {over: train.lr, at: [0.5]}\n  slurm:").replace("log_steps: 5", "log_steps: 5, evals: 4") +
        "presets: {alone: {run: {halving: {over: train.lr, at: [0.5]}, slurm: {time: 1 h, follow_up: false}}}}\n")
    script = run("run", halved, "--executor", "slurm", "--dry-run").out
    for line in ("#SBATCH --dependency=afterany:JOBS", "#SBATCH --job-name=isoloss-follow-built-in", "  [ $? -le 1 ] && exit 0"):
        check(line in script.split("\n"), line, script)
    check(re.search(r"^  \S*isoloss run built-in --executor slurm --retries 2$", script, re.M), script)
    check("afterany" not in run("run", halved, "--executor", "slurm", "--dry-run", "--preset", "alone").out, "no job that follows")
    check("did you mean 'slurm'?" in run("run", spec, "--executor", "slrum", code=2).err, "a name that is none")


harness.side_by_side(4)


@case
def table_is_that_of_a_local_sweep():
    cluster = Cluster("cluster", built_in)
    check("4 submitted in 2 jobs" in cluster.run().out, "submitted")
    check("4 in Slurm's queue" in cluster.run().out and cluster.sbatch_calls() == 1, "nothing twice")
    for job, task in cluster.tasks():
        code, out = cluster.finish(job, task)
        check(code == 0, code, out)
    check("4 runs: 4 done\n" in cluster.run().out, "collected")
    run("run", built_in, home="local", code=0)
    def table(home):
        return [[row[key] for key in ("id", "state", "loss", "bits_per_byte", "oracle_loss", "train_loss", "flops", "step")]
                for row in document("runs", "built-in", home=home)]
    check(table("cluster") == table("local"), "bit-equal", table("cluster"), table("local"))
    for statement in ("SELECT run, kind, step, tokens, loss, lr, gradient_norm FROM metrics ORDER BY 1, 2, 3",):
        check(select("cluster", statement) == select("local", statement), "curves bit-equal")
    check("4 runs: 4 done\n" in cluster.run().out and cluster.sbatch_calls() == 1, "nothing is left")


@case
def only_what_is_missing_is_submitted():
    cluster = Cluster("missing")
    cluster.run()
    first, second = cluster.tasks()
    cluster.finish(*first)
    cluster.set_state(*second, "PREEMPTED")  # before it began
    done = cluster.run()
    check("2 done" in done.out and "2 submitted in 1 job" in done.out and "1 preempted" in done.out, done)
    check(len(cluster.tasks()) == 3 and cluster.sbatch_calls() == 2, cluster.jobs())
    cluster.finish(*cluster.tasks()[-1])
    check(document("status", home="missing")["experiments"][0]["done"] == 4, "status collects as well")
    check("4 runs: 4 done\n" in cluster.run().out, "all")
    check(all(steps_trained("missing", row["id"]) == list(range(1, key[0] + 1)) for key, row in rows("missing").items()),
          "each step once")


@case
def task_that_is_started_twice_trains_once():
    cluster = Cluster("twice")
    cluster.run()
    job, task = cluster.tasks()[0]
    slow = json.dumps({"*": {"sleep": 1.0}})
    first = cluster.begin(job, task, FAKE=slow)
    until(lambda: select("twice", "SELECT 1") and any("events.jsonl" in names for _, _, names in os.walk(path_of("twice"))),
          "first begins")
    began = time.time()
    code, out = cluster.finish(job, task, "RUNNING", FAKE=slow)
    check(code == 0 and "is at work on" in out and time.time() - began < 15, code, out)
    check("2 in jobs at work" in cluster.run().out, "the first one goes on")
    status = document("status", home="twice")
    check(len(status["running"]) == 2 and all(one["alive"] and one["node"] for one in status["running"]), status)
    check(status["slurm"]["collected"] and status["slurm"]["at_work"] == 1 and status["slurm"]["queued"] == 1, status)
    told = run("status", home="twice", code=0).out
    check("Slurm: 1 job at work, 1 waits" in told and "alive" in told and "no isoloss run" not in told, told)
    refused = run("rm", status["running"][0]["id"], "--yes", home="twice", code=3)
    check("Slurm's jobs are at work on 1 of these runs" in refused.err, refused)
    # So where the store was lost: locks of workers are not seen on other machines, claims are.
    shutil.copytree(path_of("twice"), path_of("lost-store"))
    for name in os.listdir(path_of("lost-store")):
        if name.startswith("isoloss.db"):
            os.remove(path_of("lost-store", name))
    other = write("other.yaml", SPEC.replace("experiment: tiny", "experiment: other").replace("[40, 60], seed: [1, 2]", "[2], seed: [7]"))
    run("run", "-q", other, home="lost-store", code=0)
    kept = run("gc", "--yes", home="lost-store", code=3)
    check("Slurm's jobs are at work on 2 of these runs" in kept.err, kept)
    check(len(os.listdir(path_of("lost-store", "runs"))) == 3, "nothing is removed")
    # Another submission of the same runs leaves them alone too.
    copy = path_of("twice", "slurm", "other-1")
    shutil.copytree(path_of("twice", "slurm", "tiny-1"), copy)
    for name in os.listdir(copy):
        if ".lease-" in name:
            os.remove(os.path.join(copy, name))
    done = run("work", copy, "--task", str(task), home="twice", code=0)
    check(done.err.count("which is at work on it") == 2, done)
    shutil.rmtree(copy)
    # A job that is killed, with all its processes, loses nothing, and the same task goes on from what it left.
    first.kill()
    for one in status["running"]:
        end_worker("twice", one["id"])
    first.communicate()
    cluster.finish(job, task)
    cluster.finish(*cluster.tasks()[1])
    check("4 done" in cluster.run().out, cluster.states())
    all_steps_but_few_twice("twice")


@case
def a_holder_on_another_machine_is_waited_for():
    cluster = Cluster("elsewhere")
    cluster.run()
    job, task = cluster.tasks()[0]
    lease = path_of("elsewhere", "slurm", "tiny-1", f"task-{task}.lease-1")
    words = {"owner": f"tiny-1/{task}", "host": "far", "process": "1 2 3", "beat": 1, "released": False, "said": None}
    with open(lease, "w", encoding="utf-8") as file:
        json.dump(words, file)
    second = cluster.begin(job, task)
    time.sleep(2)
    check(second.poll() is None, "it waits: the other one may live")
    with open(lease, "w", encoding="utf-8") as file:
        json.dump({**words, "beat": 2}, file)
    out, _ = second.communicate(timeout=20)
    check(second.returncode == 0 and "is at work on far" in out, out)
    os.utime(lease, (time.time() - 100, time.time() - 100))  # silent for long enough
    code, out = cluster.finish(job, task)
    check(code == 0 and "2 runs: 2 done" in out, out)
    check(not os.path.exists(lease) and os.path.exists(lease[:-1] + "2"), "the next generation")


@case
def a_holder_that_has_lost_its_lease_ends_at_once():
    cluster = Cluster("lost")
    cluster.run()
    job, task = cluster.tasks()[0]
    process = cluster.begin(job, task, FAKE=json.dumps({"*": {"sleep": 0.5}}))
    until(lambda: sum("steps-trained" in names for _, _, names in os.walk(path_of("lost"))) == 2, "both at work")
    with open(path_of("lost", "slurm", "tiny-1", f"task-{task}.lease-2"), "w", encoding="utf-8") as file:
        json.dump({"owner": "x", "host": "far", "process": "1 2 3", "beat": 1, "released": False, "said": None}, file)
    out, _ = process.communicate(timeout=30)
    check(process.returncode == 3 and "another job has taken over" in out, process.returncode, out)
    before = [steps_trained("lost", row["id"]) for row in rows("lost").values() if os.path.exists(
        path_of("lost", "runs", row["id"], "steps-trained"))]
    time.sleep(1.5)
    after = [steps_trained("lost", row["id"]) for row in rows("lost").values() if os.path.exists(
        path_of("lost", "runs", row["id"], "steps-trained"))]
    check(before == after and len(before) == 2, "its trainers are dead", before, after)


@case
def killed_submitter():
    cluster = Cluster("killed")
    cluster.put("sbatch", "deaf")  # Slurm has the array, and says that it has not
    done = cluster.run()
    check("4 submitted" in done.out, "found by its name", done)
    # As if killed between sbatch and its answer: no number is written down.
    os.remove(path_of("killed", "slurm", "tiny-1", "state.json"))
    done = cluster.run()
    check("4 in Slurm's queue" in done.out and cluster.sbatch_calls() == 1, done)
    # Killed before sbatch: nobody knows the name.
    os.remove(path_of("killed", "slurm", "tiny-1", "state.json"))
    cluster.put("jobs.json", "{}")
    check("4 in Slurm's queue" in cluster.run().out and cluster.sbatch_calls() == 1, "it may have been heard")
    submission = path_of("killed", "slurm", "tiny-1", "submission.json")
    record = json.load(open(submission, encoding="utf-8"))
    record["submitted_at"] -= 1000
    json.dump(record, open(submission, "w", encoding="utf-8"))
    cluster.put("sbatch", "")
    check("4 submitted" in cluster.run().out and cluster.sbatch_calls() == 2, "it was not")
    cluster = Cluster("refused")
    cluster.put("sbatch", "refuse")
    done = cluster.run(code=3)
    check("Invalid account" in done.err, done)
    cluster.put("sbatch", "")
    check("4 submitted" in cluster.run().out, "submitted at last")


@case
def strange_answers_do_nothing():
    cluster = Cluster("strange")
    cluster.run()
    for mode in "CONFIGURING", "DREAMING", "error", "nothing":
        cluster.put("mode", mode)
        done = cluster.run()
        check("4 in Slurm's queue" in done.out and cluster.sbatch_calls() == 1, mode, done)
        check(("1 in a state" in done.out or "2 in a state" in done.out) == (mode == "DREAMING"), done)
        check(("squeue does not answer" in done.err) == (mode == "error"), done)
        check(cluster.states() == ["pending"] * 4, cluster.states())
    # Not listed for long enough, it is gone; one that says that it is complete needs no list.
    cluster.finish(*cluster.tasks()[0])
    cluster.run()
    state = path_of("strange", "slurm", "tiny-1", "state.json")
    record = json.load(open(state, encoding="utf-8"))
    check([task["ended"] for task in record["tasks"]] == ["COMPLETED", None] and record["tasks"][1]["missed"] > 0, record)
    record["tasks"][1]["missed"] -= 1000
    json.dump(record, open(state, "w", encoding="utf-8"))
    done = cluster.run()
    check("2 done" in done.out and "2 submitted" in done.out and "1 gone" in done.out, done)


@case
def accounting_is_asked_where_it_is():
    cluster = Cluster("accounts")
    cluster.run()
    (job, first), (_, second) = cluster.tasks()
    for task in first, second:
        cluster.set_state(job, task, "PURGED")
    cluster.put("sacct", f"{job}_{first}|RUNNING\n{job}_{second}|CANCELLED by 0\n{job}1_{first}|FAILED")
    done = cluster.run("--dry-run")
    check("2 would be submitted in 1 job" in done.err, "of the one that has ended", done)
    cluster.put("sacct", f"{job}_{first}|TIMEOUT\n{job}_{second}|NODE_FAIL")
    done = cluster.run()
    check("4 submitted in 2 jobs" in done.out and "1 timed out, 1 lost their nodes" in done.out, done)


@case
def time_limit_writes_checkpoints():
    cluster = Cluster("time")
    cluster.run()
    job, task = cluster.tasks()[0]
    process = cluster.begin(job, task, FAKE=json.dumps({"*": {"sleep": 0.1}}))
    until(lambda: sum("steps-trained" in names for _, _, names in os.walk(path_of("time"))) == 2, "both at work")
    time.sleep(0.5)
    process.send_signal(signal.SIGUSR1)
    out, _ = process.communicate(timeout=30)
    check(process.returncode == 0 and "the job's time ends" in out, process.returncode, out)
    cluster.set_state(job, task, "TIMEOUT")
    done = cluster.run("--dry-run")
    check("4 would" not in done.err, done)
    done = cluster.run()
    check("1 timed out" in done.out and "2 submitted in 1 job" in done.out and "failed" not in done.out, done)
    check(cluster.states() == ["killed", "killed", "pending", "pending"], cluster.states())
    for pair in cluster.tasks()[1:]:
        cluster.finish(*pair)
    check("4 done" in cluster.run().out, "went on")
    all_steps_but_few_twice("time")
    # By the clock, without a signal.
    cluster = Cluster("clock")
    cluster.run()
    soon = str(int(time.time()) + 123)  # stop_before is 120
    code, out = cluster.finish(*cluster.tasks()[0], SLURM_JOB_END_TIME=soon, FAKE=json.dumps({"*": {"sleep": 0.2}}))
    check(code == 0 and "2 stopped: the job's time ends" in out, out)


@case
def crashes_are_no_time_outs():
    cluster = Cluster("crash")
    cluster.run("--retries", "0")
    faults = json.dumps({"1": {"crash_at": 5, "crash_always": True}})
    for pair in cluster.tasks():
        check(cluster.finish(*pair, FAKE=faults)[0] == 0, "the job itself is fine")
    done = cluster.run(code=1)
    check("2 done" in done.out and "2 failed" in done.out and "timed out" not in done.out, done)
    check(cluster.sbatch_calls() == 1, "failed runs are not submitted again by themselves")
    check("killed by signal 9" in rows("crash")[40, 1]["message"], rows("crash")[40, 1]["message"])
    check("2 submitted" in cluster.run("--retry-failed").out, "asked for")
    cluster.finish(*cluster.tasks()[-1])
    check("4 done" in cluster.run().out, "mended")
    # A job that cannot even begin is told, and not submitted over and over.
    cluster = Cluster("broken", write("broken.yaml", SPEC.replace("time: 1 h", "prologue: 'exit 7', time: 1 h")))
    cluster.run()
    for pair in cluster.tasks():
        check(cluster.finish(*pair, "FAILED")[0] == 7, "prologue")
    done = cluster.run(code=3)
    check("could not work" in done.err and "output-0.txt" in done.err and cluster.sbatch_calls() == 1, done)
    check("4 submitted" in cluster.run("--keep-going").out, "asked for")
    # Nor one whose spec gives other runs where it works.
    cluster = Cluster("other-runs")
    cluster.run()
    kept = path_of("other-runs", "slurm", "tiny-1", "spec.yaml")
    text = open(kept, encoding="utf-8").read()
    write(kept, text.replace("[40, 60]", "[50, 70]"))
    job, task = cluster.tasks()[0]
    code, out = cluster.finish(job, task, "FAILED")
    check(code == 3 and "the spec gives only 0 here" in out, code, out)
    done = cluster.run(code=3)
    check("could not work: of the 2 runs of this job the spec gives only 0" in done.err, done)


@case
def marks_apply():
    cluster = Cluster("marks")
    cluster.run()
    (job, task), other = cluster.tasks()
    process = cluster.begin(job, task, FAKE=json.dumps({"*": {"sleep": 0.2}}))
    until(lambda: sum("steps-trained" in names for _, _, names in os.walk(path_of("marks"))) == 2, "both at work")
    run("pause", "tiny", "--where", "seed == 1", home="marks", code=0)
    run("cancel", "tiny", "--where", "train.steps == 60", home="marks", code=0)
    check(cluster.jobs()[other[0]]["tasks"][str(other[1])] == "CANCELLED", "a job that has nothing to do is taken back",
          cluster.jobs())
    out, _ = process.communicate(timeout=60)
    cluster.set_state(job, task, "COMPLETED")
    check("paused by" in out and "1 done" in out, out)
    done = cluster.run(code=1)
    check("2 runs: 1 done" in done.out and "1 paused" in done.out and "2 cancelled" in done.out, done)
    check(rows("marks")[40, 1]["state"] == "killed" and "paused by" in rows("marks")[40, 1]["message"], rows("marks"))
    check("is in the hands" not in run("run", spec, home="marks", code=1).err, "local run is free to go")
    run("resume", "tiny", home="marks", code=0)
    check("1 submitted" in cluster.run().out, "resumed")
    refused = run("run", spec, home="marks", code=3)
    check("1 run of tiny is in the hands of Slurm's jobs" in refused.err, refused)
    cluster.finish(*cluster.tasks()[-1])
    done = cluster.run()
    check("2 runs: 2 done" in done.out, done, rows("marks"))
    trained = steps_trained("marks", rows("marks")[40, 1]["id"])
    check(sorted(set(trained)) == list(range(1, 41)) and len(trained) <= 44, trained)


@case
def arrays_are_split_as_slurm_bounds_them():
    many = write("many.yaml", SPEC.replace("seed: [1, 2]", "seed: {seeds: 10}").replace("runs_per_job: 2", "runs_per_job: 1"))
    cluster = Cluster("split", many)
    cluster.put("limits", '{"MaxArraySize": 6, "MaxJobCount": 10000}')
    check("20 submitted in 20 jobs" in cluster.run().out, "all")
    check([len(array["tasks"]) for array in cluster.jobs().values()] == [6, 6, 6, 2], cluster.jobs())
    cluster = Cluster("room", many)
    cluster.put("limits", '{"MaxArraySize": 6, "MaxJobCount": 10}')
    done = cluster.run()
    held = len(cluster.tasks())
    check(held < 10 and f"{held} submitted" in done.out and f"{20 - held} wait for room" in done.out, done)
    for job, task in cluster.tasks():
        cluster.finish(job, task)
        cluster.set_state(job, task, "PURGED")
    done = cluster.run()
    check(f"{held} done" in done.out and len(cluster.tasks()) > held, done)


@case
def choices_of_the_call_reach_jobs():
    chosen = write("chosen.yaml", SPEC.replace("experiment: tiny", "experiment: chosen").replace(
        "sweep:", "presets:\n  small: {base: {train: {batch_tokens: 128}}}\nsweep:"))
    cluster = Cluster("chosen", chosen)
    call = ["--preset", "small", "--set", "model.width=32", "--only", "seed == 2"]
    check("2 submitted in 1 job" in cluster.run(*call).out, "those that are chosen")
    os.remove(chosen)  # what was submitted is kept
    code, out = cluster.finish(*cluster.tasks()[0])
    check(code == 0 and "2 runs: 2 done" in out, out)
    check(document("status", home="chosen")["experiments"][0]["done"] == 2, "collected")
    found = select("chosen", "SELECT DISTINCT \"model.width\", \"train.batch_tokens\", seed FROM run_table WHERE state = 'done'")
    check(found == [(32, 128, 2)], found)


@case
def signal_that_comes_twice_at_once_is_one():
    # Slurm sends it to every process of a job, and isoloss work passes on what it gets.
    long = write("long.yaml", open(built_in, encoding="utf-8").read().replace("[40, 60]", "[200000]").replace("[1, 2]", "[1]"))
    sweep = start("run", long, "--retries", "0", home="signals")
    def events():
        for folder, _, names in os.walk(path_of("signals")):
            if "events.jsonl" in names:
                with open(os.path.join(folder, "events.jsonl"), encoding="utf-8") as log:
                    return [json.loads(line) for line in log if line.endswith("\n")]
        return []
    until(lambda: any(event["event"] == "step" for event in events()), "it trains")
    trainer = events()[0]["pid"]
    os.kill(trainer, signal.SIGTERM)
    time.sleep(0.002)
    with contextlib.suppress(ProcessLookupError):  # on a fast machine it has stopped already
        os.kill(trainer, signal.SIGTERM)
    sweep.send_signal(signal.SIGTERM)
    sweep.communicate(timeout=60)
    last = events()[-1]
    check(last["event"] == "stopped" and last["checkpoint"].startswith("checkpoints/step-"), events()[-3:])


@case
def stages_go_with_their_trainings():
    staged = write("staged.yaml", open(built_in, encoding="utf-8").read().replace("experiment: built-in", "experiment: staged")
                   .replace("run:\n", "stages:\n  compress: [none, {method: rtn, bits: [3, 4]}]\nrun:\n"))
    cluster = Cluster("staged", staged)
    check("12 submitted in 4 jobs" in cluster.run().out, "a training and what follows it are one job")
    for pair in cluster.tasks():
        code, out = cluster.finish(*pair)
        check(code == 0, out)
    check("12 runs: 12 done\n" in cluster.run().out, cluster.states())
    run("run", staged, home="staged-local", code=0)
    def table(home):
        return [(row["id"], row["loss"]) for row in document("runs", "staged", home=home)]
    check(table("staged") == table("staged-local"), "bit-equal")


@case
def an_allocation_bounds_what_runs_side_by_side():
    wide = SPEC.replace("seed: [1, 2]", "seed: [1, 2, 3]").replace("runs_per_job: 2", "runs_per_job: 6")
    slow = json.dumps({"*": {"sleep": 0.01}})
    def most_at_a_time(out):
        at_work = most = 0
        for line in out.split("\n"):
            at_work += line.startswith("started ") - line.startswith("done ")
            most = max(most, at_work)
        return most
    cluster = Cluster("cores", write("cores.yaml", wide))
    cluster.run()
    code, out = cluster.finish(*cluster.tasks()[0], FAKE=slow, SLURM_CPUS_PER_TASK="1")
    check(code == 0 and most_at_a_time(out) == 1, out)
    # A trainer of one's own gets one of the job's GPUs; the test's trainer notes which, and with how many others.
    for slots in 1, 2:
        cluster = Cluster(f"gpus-{slots}", write(f"gpus-{slots}.yaml", wide.replace("slurm: {", f"slurm: {{slots_per_gpu: {slots}, ")))
        cluster.run()
        code, out = cluster.finish(*cluster.tasks()[0], FAKE=slow, CUDA_VISIBLE_DEVICES="4,5", PATH=path_of("bin") + ":/usr/bin:/bin")
        used = [line.split() for line in open(path_of(f"gpus-{slots}", "gpus", "used"), encoding="utf-8")]
        check(code == 0 and {gpu for gpu, _, _ in used} == {"4", "5"} and len(used) == 6, used, out)
        check(max(int(sharing) for _, _, sharing in used) <= slots and most_at_a_time(out) <= 2 * slots, used, out)


@case
def one_collects_at_a_time():
    cluster = Cluster("one")
    cluster.run()
    held = {"owner": "somebody@far", "host": "far", "process": "1 2 3", "beat": 1, "released": False, "said": None}
    last = max(int(name.split("-")[1]) for name in os.listdir(path_of("one", "slurm")) if name.startswith("collector-"))
    lease = path_of("one", "slurm", f"collector-{last}")
    with open(lease, "w", encoding="utf-8") as file:
        json.dump(held, file)
    check("somebody@far is collecting" in cluster.run(code=3).err, "told who")
    status = document("status", home="one")
    check(not status["slurm"]["collected"] and "somebody@far collects" in status["slurm"]["why_not"], "status only looks", status)
    os.utime(lease, (time.time() - 100, time.time() - 100))
    check("4 in Slurm's queue" in cluster.run().out, "given up")


@case
def follow_stays_until_the_end():
    cluster = Cluster("follow")
    process = start("run", spec, "--executor", "slurm", "--follow", home="follow")
    until(lambda: os.path.exists(os.path.join(cluster.slurm, "jobs.json")), "submitted")
    for pair in cluster.tasks():
        cluster.finish(*pair)
    out, err = process.communicate(timeout=60)
    check(process.returncode == 0 and "4 runs: 4 done" in out, process.returncode, out, err)


@case
def mps_is_started_and_ended_in_the_job():
    named = write("mps.yaml", SPEC.replace("experiment: tiny", "experiment: mps").replace(
        "runs_per_job: 2", "runs_per_job: 4, gres: 'gpu:1', slots_per_gpu: 2, mps: true"))
    cluster = Cluster("mps", named)
    script = cluster.run("--dry-run").out
    check(script.index("nvidia-cuda-mps-control -d") < script.index("isoloss work") < script.index("echo quit |"), script)
    check("exec " not in script and "#SBATCH --gres=gpu:1" in script, script)
    tools = path_of("mps-bin")
    os.makedirs(tools)
    calls = path_of("mps-calls")
    for name, text in ("nvidia-cuda-mps-control", f"echo \"$* $CUDA_VISIBLE_DEVICES $CUDA_MPS_PIPE_DIRECTORY\" >> {calls}\n[ -n \"$1\" ] || cat >> {calls}\n"), \
            ("nvidia-smi", "case $* in *uuid*csv,noheader) echo GPU-1234;; *) echo '0, GPU-1234, 80000';; esac\n"):
        write(f"mps-bin/{name}", "#!/bin/bash\n" + text)
        os.chmod(os.path.join(tools, name), 0o755)
    check("4 submitted in 1 job" in cluster.run().out, "submitted")
    code, out = cluster.finish("100", 0, CUDA_VISIBLE_DEVICES="3", PATH=tools + ":" + environment["PATH"])
    told = open(calls, encoding="utf-8").read().split("\n")
    check(code == 0 and "4 done" in out, code, out)
    check(told[0].startswith("-d GPU-1234 /") and told[2] == "quit" and not os.path.exists(told[0].split()[2]), told)
    check("4 done" in cluster.run().out, "collected")
    used = open(path_of("mps", "gpus", "used"), encoding="utf-8").read().split()
    check(set(used[::3]) == {"GPU-1234"}, used)
    # A signal to the script, as Slurm sends it, reaches the runs; the daemon is ended, and the exit code is theirs.
    slow = Cluster("mps-slow", named)
    slow.run()
    process = slow.begin("100", 0, CUDA_VISIBLE_DEVICES="GPU-1234", PATH=tools + ":" + environment["PATH"], FAKE='{"*": {"sleep": 0.2}}')
    until(lambda: any("steps-trained" in names for _, _, names in os.walk(path_of("mps-slow"))), "at work")
    process.send_signal(signal.SIGUSR1)
    out, _ = process.communicate(timeout=60)
    check("stopped" in out and open(calls, encoding="utf-8").read().rstrip().endswith("quit"), process.returncode, out)
    # Parts of a GPU cannot.
    process = slow.begin("100", 0, CUDA_VISIBLE_DEVICES="MIG-1", PATH=tools + ":" + environment["PATH"])
    out, _ = process.communicate(timeout=60)
    check(process.returncode == 3 and "MIG" in out, out)


@case
def halving_over_jobs_decides_what_a_local_one_does():
    text = SPEC.split("trainer:")[0].replace("experiment: tiny", "experiment: rungs").replace("context: 32", "context: 32, dtype: float32").replace(
        "batch_tokens: 256", "batch_tokens: 256, log_steps: 5, evals: 4, eval_tokens: 1024, final_eval_tokens: 1024").replace(
        "train.steps: [40, 60], seed: [1, 2]", "train.steps: [40], train.lr: [1e-4, 1e-3, 1e-2, 3e-2]")
    named = write("rungs.yaml", text + "run:\n  halving: {over: train.lr, keep: 1/2, at: [0.25, 0.5]}\n  slurm: {time: 1 h}\n")
    cluster = Cluster("rungs", named)
    check("4 submitted in 4 jobs" in cluster.run().out, "one job for each run")
    follow = [job for job, array in cluster.jobs().items() if array["name"].startswith("isoloss-follow")]
    check(len(follow) == 1, cluster.jobs())
    for job, task in cluster.tasks():
        if job not in follow:
            out = cluster.finish(job, task)
            check(out[0] == 0 and "1 wait at a rung" in out[1], out)
    # The job that follows decides the first rung and submits who goes on, and another one of its kind.
    code, out = cluster.finish(follow[0], 0)
    check(code == 0 and "2 stopped by halving" in out and "2 submitted in 2 jobs" in out, code, out)
    for rung in (1, 2):
        for job, task in cluster.tasks():
            if cluster.jobs()[job]["tasks"][str(task)] == "PENDING":
                cluster.finish(job, task)
    done = cluster.run()
    check("4 runs: 1 done, 3 stopped by halving" in done.out, done)
    run("run", named, home="rungs-local", code=0)
    def outcome(home):
        return [(row["id"], row["state"], row["loss"], row["step"], row["halved_at"], row["message"]) for row in document("runs", "rungs", home=home)]
    check(outcome("rungs") == outcome("rungs-local"), outcome("rungs"), outcome("rungs-local"))
    decisions = "SELECT competition, rung, run, step, loss_step, loss, place, kept FROM halvings ORDER BY 1, 2, 3"
    check(select("rungs", decisions) == select("rungs-local", decisions), "the same decisions")
    check(cluster.run().out.count("submitted") == 0, "nothing is left")
    # Without halving in the spec they are trained on.
    write("rungs.yaml", text + "run:\n  slurm: {time: 1 h, runs_per_job: 9}\n")
    check("3 submitted in 1 job" in cluster.run().out, "on")
    for job, task in cluster.tasks():
        if cluster.jobs()[job]["tasks"][str(task)] == "PENDING":
            cluster.finish(job, task)
    check("4 runs: 4 done" in cluster.run().out, "all done")


@case
def runs_of_one_trunk_share_a_job():
    text = SPEC.split("trainer:")[0].replace("experiment: tiny", "experiment: trunks").replace("context: 32", "context: 32, dtype: float32").replace(
        "batch_tokens: 256", "batch_tokens: 256, schedule: wsd, warmup_steps: 4, log_steps: 5, eval_tokens: 1024, final_eval_tokens: 1024")
    named = write("trunks.yaml", text + "run:\n  slurm: {time: 1 h, runs_per_job: 1}\n")
    cluster = Cluster("trunks", named)
    check("4 submitted in 2 jobs" in cluster.run().out, "a job for each seed")
    for job, task in cluster.tasks():
        cluster.finish(job, task)
    check("4 done" in cluster.run().out, "collected")
    run("run", named, home="trunks-local", code=0)
    columns = ("id", "loss", "train_loss", "trunk", "trunk_step", "step")
    tables = [[[row[name] for name in columns] for row in document("runs", "trunks", home=home)] for home in ("trunks", "trunks-local")]
    check(tables[0] == tables[1] and sum(row[3] is not None for row in tables[0]) == 2, *tables)


finish()
