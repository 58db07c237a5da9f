"""isoloss reproduce: a run trained once more is the same to the last bit, and what is not the same is said.

test_reproduce.py ISOLOSS: ISOLOSS is the front; isoloss-train stands beside it. Prints TAP.
"""
import json
import os
import shutil
import sqlite3
import sys

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import case, check, finish, path_of, run, scratch, select, write  # noqa: E402

spec = write("chain.yaml", """experiment: chain
corpus: {source: markov2}
base:
  model: {layers: 1, width: 16, context: 32}
  train: {batch_tokens: 256, schedule: wsd, warmup_steps: 2, log_steps: 1, evals: 3, final_eval_tokens: 512,
          eval_tokens: 256}
sweep:
  - grid: {train.steps: [8, 16]}
stages:
  compress: [{method: rtn, format: int4-g16}]
""")
run("run", spec, "-q", code=0)
runs = select("home", "SELECT stage, steps, id, trunk FROM runs")
before = open(path_of("home", "isoloss.db"), "rb").read()


def one(stage, steps):
    return [identity for name, count, identity, _ in runs if (name, count) == (stage, steps)][0]


def document(*arguments, **options):
    return json.loads(run(*arguments, "--json", **options).out)


def stored(sql):
    with sqlite3.connect(path_of("home", "isoloss.db")) as store:
        store.execute(sql)


@case
def whole_chain():
    told = document("reproduce", one("compress", 16)[:8], code=0)
    check(told["reproduced"] and told["chain"] == 2 and told["loss"] == told["stored_loss"] > 0, "the same", told)
    check(told["results_same"] >= 2 and not told["results_different"] and not told["circumstances_different"],
          "its results", told)


@case
def branch_of_a_trunk_trained_alone():
    check([trunk for _, _, _, trunk in runs if trunk], "one of them began on the other's trunk", runs)
    for steps in (8, 16):
        told = document("reproduce", one("train", steps), code=0)
        check(told["reproduced"] and told["points"] == told["points_same"] >= steps and not told["points_only_stored"]
              and told["first_difference"] is None, "a curve to the bit", told)
    out = run("reproduce", one("train", 8), "-q", code=0).out
    check("reproduced" in out and "the same to the last bit" in out, out)


@case
def nothing_is_left_behind():
    check(open(path_of("home", "isoloss.db"), "rb").read() == before, "the store stays as it is")
    kept = path_of("kept")
    out = run("reproduce", one("train", 8), "-q", "--keep", kept, code=0).out
    check(kept in out and os.path.isdir(os.path.join(kept, "runs", one("train", 8), "checkpoints")), "kept", out)
    check("already" in run("reproduce", one("train", 8), "--keep", kept, code=2).err, "not over what is there")


@case
def what_differs_is_said():
    identity = one("train", 8)
    stored(f"UPDATE metrics SET loss = loss + 1e-15 * (step - 3) WHERE run = '{identity}' AND kind = 'train' AND step > 3")
    stored(f"UPDATE runs SET device = 'other', oracle_loss = 1 WHERE id = '{identity}'")
    told = document("reproduce", identity, code=1)
    first = told["first_difference"]
    check(not told["reproduced"] and first["kind"] == "train" and 4 <= first["step"] <= 5, "the first point", told)
    check(told["loss"] == told["stored_loss"] and 0 < told["largest_difference"] < 1e-13, "a bit is enough", told)
    check([c["column"] for c in told["circumstances_different"]] == ["device"], "circumstances", told)
    check([c["column"] for c in told["results_different"]] == ["oracle_loss"], "results", told)
    out = run("reproduce", identity, "-q", code=1).out
    check("not reproduced" in out and "the first that differs is train after step" in out and "and then other" in out, out)


def alter(home, identity, name, value):
    """The stored result of a task or stage, changed."""
    with sqlite3.connect(path_of(home, "isoloss.db")) as store:
        changed = store.execute("UPDATE runs SET config = json_set(config, '$.results.\"' || ? || '\"', ?) WHERE id = ?",
                                (name, value, identity)).rowcount
    check(changed == 1, "a result was changed")


@case
def results_of_a_task():
    task = write("task.yaml", """experiment: task
task: smnn
sweep: {grid: {smnn.points: [64], smnn.solver: [banded]}}
""")
    run("run", task, "-q", home="task", code=0)
    identity = select("task", "SELECT id FROM runs")[0][0]
    result = document("reproduce", identity, home="task", code=0)
    check(result["reproduced"] and result["results_same"] >= 2 and not result["results_different"], "its results", result)
    measured = {number["column"]: number for number in result["measured"]}
    check(measured["smnn.seconds"]["value"] > 0 and measured["smnn.seconds"]["stored"] > 0 and "wall_seconds" in measured
          and "smnn.operations" not in measured, "times are not compared", result)
    operations = select("task", 'SELECT "smnn.operations" FROM run_table')[0][0]
    alter("task", identity, "smnn.operations", operations + 1)
    result = document("reproduce", identity, home="task", code=1)
    check(result["results_different"] == [{"column": "smnn.operations", "value": operations, "stored": operations + 1}],
          "one result is another", result)
    out = run("reproduce", identity, "-q", home="task", code=1).out
    check(f"smnn.operations: {operations:g}, and {operations + 1:g} in the store" in out and "not compared" in out, out)


@case
def results_of_a_stage_without_a_loss():
    stage = write("stage.yaml", """experiment: stage
corpus: {source: markov2}
base: {model: {layers: 1, width: 16, context: 32, head_dim: 16}, train: {batch_tokens: 256, steps: 8}}
sweep: {grid: {seed: [0]}}
stages: {hogwild: {workers: [1], prompt_tokens: 8, new_tokens: 4, prompts: 1}}
""")
    run("run", stage, "-q", home="stage", code=0)
    identity = select("stage", "SELECT id FROM runs WHERE stage = 'hogwild'")[0][0]
    result = document("reproduce", identity, home="stage", code=0)
    check(result["reproduced"] and result["loss"] is None and result["results_same"] >= 2, "its results", result)
    check("hogwild.speedup" in [number["column"] for number in result["measured"]], "measured", result)
    out = run("reproduce", identity, "-q", home="stage", code=0).out
    check("has no loss" in out and "diverged" not in out, out)
    alter("stage", identity, "hogwild.same_tokens", 0.5)
    result = document("reproduce", identity, home="stage", code=1)
    check([number["column"] for number in result["results_different"]] == ["hogwild.same_tokens"], "another", result)


@case
def trainer_of_ones_own():
    fake = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fake_trainer.py")
    own = write("own.yaml", f"""experiment: own
corpus: {{source: markov2}}
base:
  model: {{layers: 1, width: 16, context: 32}}
  train: {{batch_tokens: 256, steps: 6}}
sweep:
  - grid: {{seed: [1]}}
trainer: {{command: [{sys.executable}, -S, -E, {fake}, '{{config}}', '{{folder}}'], version: '1'}}
""")
    run("run", own, "-q", home="own", code=0)
    identity = select("own", "SELECT id FROM runs")[0][0]
    check(document("reproduce", identity, home="own", code=0)["reproduced"], "the same")
    failed = run("reproduce", identity, "-q", home="own", FAKE='{"1": {"crash_at": 2, "crash_always": true, "exit": 1, '
                 '"message": "no luck"}}', code=1)
    check("not trained to its end: no luck" in failed.err, "its failure", failed.err)


@case
def what_cannot_be():
    identity = one("train", 16)
    check("no run" in run("reproduce", "ffffffff", code=2).err, "no such run")
    stored(f"UPDATE runs SET state = 'killed' WHERE id = '{identity}'")
    check("is killed" in run("reproduce", identity, code=2).err, "no result yet")
    stored(f"UPDATE runs SET state = 'done' WHERE id = '{identity}'")
    shutil.rmtree(path_of("home", "runs", identity))
    check("--again" in run("reproduce", identity, code=2).err, "its folder is gone")
    check("nothing has run" in run("reproduce", identity, home="none", code=3).err, "no store")
    left = [name for name in os.listdir(os.environ.get("TMPDIR", "/tmp")) if name.startswith("isoloss-reproduce-")]
    check(not [name for name in left if os.stat(os.path.join(os.environ.get("TMPDIR", "/tmp"), name)).st_mtime
               > os.stat(scratch).st_ctime], "no folder is left", left)


finish()
