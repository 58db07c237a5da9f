"""Which runs are trained, trained again, removed: `isoloss run --only`, `--again`, `--wait`, `isoloss rm` and the like.

test_manage.py ISOLOSS: ISOLOSS is the front; isoloss-train stands beside it. Prints TAP.
"""
import glob
import json
import os
import sys
import time

sys.path.insert(0, os.path.join(sys.path[0], ".."))
import harness  # noqa: E402
from harness import case, check, document, path_of, run, select, write  # noqa: E402

FAKE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fake_trainer.py")
SPEC = """experiment: tiny
corpus: {source: markov2}
base:
  model: {layers: 1, context: 32}
  train: {batch_tokens: 256, evals: 4, eval_tokens: 1024, final_eval_tokens: 4096, checkpoint_steps: 50, log_steps: 20}
sweep:
  - grid:
      model.width: [16, 32]
      train.steps: [60, 120]
"""
spec = write("tiny.yaml", SPEC)
other = write("other.yaml", SPEC.replace("experiment: tiny", "experiment: other").replace("[60, 120]", "[120, 180]"))


def runs_of(home, *arguments):
    return document("runs", *arguments, home=home)


def states(home, named=spec):
    return {(row["model.width"], row["train.steps"]): row["state"] for row in runs_of(home, named)}


def wait_for_logs(home, process):
    """Until some run of the home is at work."""
    while not glob.glob(path_of(home, "runs", "*", "events.jsonl")) and process.poll() is None:
        time.sleep(0.02)


@case
def trains_only_those_that_a_condition_holds_for():
    out = run("run", spec, "--only", "model.width == 16 and D > 20000", "--quiet", home="only", code=0).out
    check("1 runs: 1 done" in out and "3 others left out by --only" in out, out)
    check(states("only") == {(16, 60): "pending", (16, 120): "done", (32, 60): "pending", (32, 120): "pending"},
          states("only"))
    check(len(runs_of("only", "tiny")) == 4, "the others stay in the experiment")
    # What the store knows counts as well.
    out = run("run", spec, "--only", 'state == "pending" and train.steps == 60', "--quiet", home="only", code=0).out
    check("2 runs: 2 done" in out and "2 others left out" in out, out)
    out = run("run", spec, "--quiet", home="only", code=0).out
    check("4 runs: 4 done (3 of them before)" in out and "left out" not in out, out)


@case
def conditions_that_choose_nothing_are_told():
    for where, said in [("N > 1e12", "holds for none of the 4 runs"), ("model.widht == 16", "did you mean 'model.width'"),
                        ("N >", "condition")]:
        done = run("run", spec, "--only", where, home="none", code=2)
        check("--only" in done.err and said in done.err and not done.out, where, done)
    check(not os.path.exists(path_of("none", "runs")), "something was started")


@case
def a_run_that_is_left_out_needs_no_room():
    wide = write("wide.yaml", SPEC.replace("[16, 32]", "[32, 2048]").replace("layers: 1", "layers: 100"))
    call = ["run", wide, "--gpus", "0", "--gpu-memory", "8G", "--only"]
    check("needs" in run(*call, "model.width == 2048", home="room", code=3).err, "the large one is refused")
    check("of a GPU's memory" not in run(*call, "model.width == 32", home="room").err, "the small one is not")


@case
def a_second_call_waits_for_the_first():
    slow = write("slow.yaml", SPEC.replace("experiment: tiny", "experiment: slow").replace("[60, 120]", "[400]") +
                 f"trainer: {{command: [{sys.executable}, -S, -E, {FAKE}, '{{config}}', '{{folder}}'], version: '1'}}\n")
    first = harness.start("run", slow, "--jobs", "1", home="queue", FAKE=json.dumps({"*": {"sleep": 0.004}}))
    wait_for_logs("queue", first)
    refused = run("run", slow, home="queue", code=3)
    check(f"process {first.pid}" in refused.err and "--wait" in refused.err, refused)
    second = harness.start("run", spec, "--only", "model.width == 16", "--wait", home="queue")
    third = harness.start("run", slow, "--wait", home="queue")
    check(any(f"waiting for process {first.pid}" in line for line in second.stderr), "who is waited for")
    check(first.poll() is None, "the first call is at work while the second waits")
    told = [process.communicate(timeout=60) for process in (first, second, third)]
    check([process.returncode for process in (first, second, third)] == [0, 0, 0], told)
    check("2 done" in told[0][0] and "2 done" in told[1][0] and "2 done (2 of them before)" in told[2][0], told)


harness.finish()
