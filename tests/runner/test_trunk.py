"""Runs that differ only in what comes later share a trunk: test_trunk.py ISOLOSS. Prints TAP."""
import json
import os
import random
import re
import signal
import sqlite3
import sys
import time

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import case, check, document, finish, path_of, run, select, start, write  # noqa: E402

HEAD = """experiment: EXPERIMENT
corpus: {source: markov2, markov2_vocabulary: 16}
base:
  model: {layers: 1, width: 32, context: 32, dtype: float32}
  train: {batch_tokens: 128, warmup_steps: 10, schedule: wsd, evals: 5, eval_tokens: 512, final_eval_tokens: 1024, log_steps: 1, lr: 1e-2}
"""
GRID = "sweep: {grid: {train.steps: [60, 130, 300], seed: [0, 1]}}\n"
# Of 300 steps 240 are shared; 104 of 130 and 48 of 60 need not be trained.
TRAINED, ALONE = 2 * (300 + 26 + 12), 2 * (300 + 130 + 60)


def spec(name, rest=GRID, head=HEAD):
    return write(name + ".yaml", head.replace("EXPERIMENT", name) + rest)


SHARED = spec("shared")
# A format that begins later, and averaging in place of a cooldown: branches of branches.
LATER_GRID = """sweep:
  - grid: {train.steps: [60, 130, 300], format: [none, {after: 0.9, then: lsq-w4a4}]}
  - grid: {train.steps: [60, 130, 300]}
    set: {train.schedule: "'constant'", train.average_checkpoints: 4, train.average_every: round(train.steps / 12)}
"""
LATER = spec("later", LATER_GRID)
LATER_APART = spec("later-apart", LATER_GRID + "run: {share_trunks: false}\n")
APART = spec("apart", GRID + "run: {share_trunks: false}\n")


def events(home, run_id):
    with open(path_of(home, "runs", run_id, "events.jsonl"), encoding="utf-8") as log:
        return [json.loads(line) for line in log]


def steps_trained(home):
    """Steps of all logs that the run's own workers trained."""
    count = 0
    for run_id in os.listdir(path_of(home, "runs")):
        log = events(home, run_id)
        begun = [event["trunk_step"] for event in log if event["event"] == "start" and "trunk" in event]
        count += sum(event["event"] == "step" and event["step"] > (begun or [0])[0] for event in log)
    return count


RESULTS = ("SELECT id, state, loss, bits_per_byte, tokens, targets, steps, step, flops, epochs, parameters_active, "
           "train_loss, checkpoint FROM runs ORDER BY id")
CURVES = "SELECT run, kind, step, tokens, loss, lr, gradient_norm, oracle_loss FROM metrics ORDER BY run, kind, step"


def same(home, other):
    check(select(home, RESULTS) == select(other, RESULTS), "results", select(home, RESULTS), select(other, RESULTS))
    check(select(home, CURVES) == select(other, CURVES), "curves")
    for run_id, name in select(other, "SELECT id, checkpoint FROM runs"):
        files = []
        for of in home, other:
            with open(path_of(of, "runs", run_id, name, "model.safetensors"), "rb") as file:
                files.append(file.read())
        check(files[0] == files[1] and len(files[0]) > 10000, "weights of " + run_id)


def ids_by_length():
    return {(row["train.steps"], row["seed"]): row["id"] for row in document("plan", SHARED)}


def checkpoints(home, run_id):
    folder = path_of(home, "runs", run_id, "checkpoints")
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


@case
def a_plan_says_what_is_saved():
    # Cooldowns of a fifth: 0.8 of 60 and 130 of 490 steps.
    saved = "shared trunks: 2 trunks, 31 % of the FLOPs to do saved: 4 runs begin from another's checkpoint"
    check(saved in run("plan", SHARED, code=0).out, "what is saved", run("plan", SHARED).out)
    check("off (run.share_trunks: false); they would save 31 %" in run("plan", APART, code=0).out, "or would be")
    share = spec("share", head=HEAD.replace("warmup_steps: 10, ", ""))
    told = run("plan", share, code=0).out
    check("no shared trunk for 4 runs: warm-up is a share of the length (train.warmup_fraction); the same "
          "train.warmup_steps for all would save 31 %" in told and "shared trunks:" not in told, "why not", told)
    for head in HEAD.replace("schedule: wsd", "schedule: cosine"), HEAD.replace("warmup_steps: 10, ", "").replace("wsd", "cosine"):
        check("shared trunk" not in run("plan", spec("cosine", head=head), code=0).out, "other schedules share nothing")
    mixed = spec("mixed", "sweep: {grid: {train.steps: [60, 130], train.cooldown_fraction: [0.2, 0.5], train.schedule: [wsd, constant]}}\n")
    told = run("plan", mixed, code=0).out
    check("shared trunks: 1 trunk," in told and "5 runs begin" in told, "cooldowns and constant rates share, too", told)
    pruned = spec("pruned", 'sweep: {grid: {train.steps: [60, 130], format: ["sparse(0.8,journey)"]}}\n')
    check("shared trunk" not in run("plan", pruned, code=0).out, "a density that follows the length")
    # Of 60, 130 and 300 steps of a seed: 48 and 104 as before; of each length 54, 117 and 270 before the format, 44, 96
    # and 224 before what is averaged.
    saved = (48 + 104 + 54 + 117 + 270 + 44 + 96 + 224) / (3 * 490)
    told = run("plan", LATER, code=0).out
    check(f"shared trunks: 3 trunks, {100 * saved:.0f} % of the FLOPs to do saved: 8 runs begin" in told, "branches of branches", told)
    # Full precision costs more than the format that follows.
    sparse = spec("later-sparse", 'sweep: {grid: {train.steps: [100], format: [none, {after: 0.5, then: "sparse(0.5)"}]}}\n')
    rows = {row["format"]: row for row in document("plan", sparse)}
    dense, half = rows["none"]["flops"], rows["sparse(0.5) after 0.5"]["flops"]
    told = run("plan", sparse, code=0).out
    check(half < dense and f"{100 * 0.5 * dense / (dense + half):.0f} % of the FLOPs" in told, "FLOPs of the shared part", told, rows)
    check("must be true or false" in run("plan", spec("wrong", "run: {share_trunks: perhaps}\n"), code=2).err, "a mistake is told")
    check([row["id"] for row in document("plan", SHARED)] == [row["id"] for row in document("plan", APART)], "no part of ids")


@case
def branches_of_branches_are_those_trained_alone():
    told = run("run", LATER, home="later", code=0)
    check(told.err.count("  from step ") == 8 and "alone" not in told.err, "who begins where", told.err)
    run("run", "-q", LATER_APART, home="later-apart", code=0)
    same("later", "later-apart")
    shares = {(row["format"], row["full_precision_share"]) for row in document("runs", "later", "--columns", "format,full_precision_share", home="later")}
    check(shares == {("none", 1), ("lsq-w4a4 after 0.9", 0.9)}, "the column of the share", shares)
    ids = {(row["train.steps"], row["format"], row["train.schedule"]): row["id"] for row in document("plan", LATER)}
    for steps in 60, 130, 300:
        late = ids[steps, "lsq-w4a4 after 0.9", "wsd"]
        check(select("later", f"SELECT trunk, trunk_step FROM runs WHERE id = '{late}'") ==
              [(ids[steps, "none", "wsd"], steps * 9 // 10)], "from the run of its own length")
        check(checkpoints("later", ids[steps, "none", "wsd"]) == ["step-%d" % steps], "nothing is left behind")


@case
def results_are_those_of_the_runs_trained_alone():
    told = run("run", SHARED, home="shared", code=0)
    check("6 runs: 6 done" in told.out and told.err.count("  from step 104 of ") == 2 and
          told.err.count("  from step 48 of ") == 2 and "alone" not in told.err, "who begins where", told.err)
    run("run", "-q", APART, home="apart", code=0)
    same("shared", "apart")
    check(steps_trained("shared") == TRAINED and steps_trained("apart") == ALONE, "steps that were trained",
          steps_trained("shared"), steps_trained("apart"))
    ids = ids_by_length()
    rows = select("shared", "SELECT id, trunk, trunk_step, trunk_seconds < wall_seconds FROM runs WHERE trunk IS NOT NULL ORDER BY id")
    want = sorted((ids[steps, seed], ids[300, seed], steps * 4 // 5, 1) for steps in (60, 130) for seed in (0, 1))
    check(rows == want, "the store says so", rows, want)
    check(select("apart", "SELECT count(*) FROM runs WHERE trunk IS NOT NULL") == [(0,)], "where it is so")
    check(all(checkpoints("shared", run_id) == ["step-%d" % steps] for (steps, _), run_id in ids.items()),
          "nothing is left behind")
    shown = run("show", ids[130, 0], home="shared", code=0).out
    check(re.search(r"trunk_step +104\b", shown) and ids[300, 0][:8] in shown, "show", shown)
    check("6 done (6 of them before)" in run("run", "-q", SHARED, home="shared", code=0).out, "twice does nothing")
    page = run("report", SHARED, home="shared", code=0).out.strip()
    flops = select("shared", "SELECT sum(flops * (1 - coalesce(1.0 * trunk_step / steps, 0))) FROM runs")[0][0]
    with open(page, encoding="utf-8") as file:
        words = re.search("of all runs together, ([0-9.e+]+) FLOPs [(]4 began from a longer run", file.read())
    check(words and abs(float(words[1]) / flops - 1) < 0.01, "what was spent counts shared steps once", words and words[1], flops)


@case
def one_that_is_trained_again_is_trained_alone():
    run_id = ids_by_length()[130, 1]
    run("run", "-q", SHARED, "--again", run_id, home="shared", code=0)
    same("shared", "apart")
    check(select("shared", f"SELECT trunk FROM runs WHERE id = '{run_id}'") == [(None,)], "no trunk is claimed")
    check(steps_trained("shared") == TRAINED + 104, "all its steps")


def stop_after_trunk(home):
    """Stops as soon as both trunks are done: some branches have not begun."""
    with start("run", "-j", "1", SHARED, home=home) as process:
        done = 0
        for line in process.stderr:
            done += line.startswith("done") and "steps 300" in line
            if done == 2:
                process.send_signal(signal.SIGTERM)
                break
        process.communicate()


@case
def checkpoints_stay_as_long_as_a_run_may_begin_from_them():
    stop_after_trunk("stopped")
    undone = select("stopped", "SELECT id FROM runs WHERE state != 'done'")
    check(len(undone) >= 2, "some are not done", undone)
    ids = ids_by_length()
    kept = checkpoints("stopped", ids[300, 1])
    check("step-300" in kept and len(kept) > 1, "the trunk's checkpoints", kept)
    # A plan knows them: what is still to be done begins from trunks that are done.
    waiting = {row["id"]: (row["train.steps"], row["seed"], row["trunk"]) for row in document("plan", SHARED, home="stopped")
               if row["state"] in ("pending", "killed")}
    check(all(trunk == {"id": ids[300, seed], "step": steps * 4 // 5} for steps, seed, trunk in waiting.values()), "each",
          waiting)
    planned = run("plan", SHARED, home="stopped", code=0).out
    check(f"80 % of the FLOPs to do saved: {len(undone)} runs begin from another's checkpoint" in planned, planned)
    check("would remove 0 folders" in run("gc", home="stopped", code=0).out, "gc leaves them", run("gc", home="stopped").out)
    told = run("run", SHARED, home="stopped", code=0)
    check("  from step " in told.err and "alone" not in told.err, "a later call begins from them", told.err)
    same("stopped", "apart")
    check(checkpoints("stopped", ids[300, 1]) == ["step-300"], "then they go", checkpoints("stopped", ids[300, 1]))
    # Without runs that could want them they are garbage.
    stop_after_trunk("gone")
    with sqlite3.connect(path_of("gone", "isoloss.db")) as store:
        store.execute("UPDATE runs SET state = 'done'")
    store.close()
    told = run("gc", home="gone", code=0).out
    check("would remove 0 folders" not in told and "step-104" in told or "step-48" in told, "gc takes the rest", told)


def kill_at_any_moment(named, home, apart, times):
    for _ in range(times):
        process = start("run", "-q", named, home=home)
        time.sleep(random.uniform(0.1, 1.0))
        if random.random() < 0.5 and os.path.isdir(path_of(home, "runs")):
            for run_id in os.listdir(path_of(home, "runs")):  # its workers with it
                try:
                    with open(path_of(home, "runs", run_id, "worker.lock"), encoding="utf-8") as lock:
                        os.kill(int((lock.read().split() or ["0"])[0] or 0) or process.pid, signal.SIGKILL)
                except OSError:
                    pass
        process.send_signal(random.choice([signal.SIGTERM, signal.SIGKILL]))
        process.communicate()
    run("run", "-q", named, home=home, code=0)
    same(home, apart)


@case
def killed_at_any_moment_it_ends_in_the_same_table():
    random.seed(11)
    for of, whole in ("shared", SHARED), ("later", LATER):
        kill_at_any_moment(whole, "killed-" + of, {"shared": "apart", "later": "later-apart"}[of], 8)


def kill_worker_at_first_step(home, run_id, process):
    folder = path_of(home, "runs", run_id)
    while process.poll() is None:
        try:
            with open(os.path.join(folder, "events.jsonl"), encoding="utf-8") as log:
                at_work = '"event":"step"' in log.read()
            with open(os.path.join(folder, "worker.lock"), encoding="utf-8") as lock:
                pid = lock.read().split()
            if at_work and pid:
                return os.kill(int(pid[0]), signal.SIGKILL)
        except OSError:
            pass
        time.sleep(0.005)


@case
def without_a_trunk_a_run_is_trained_alone():
    long = spec("long", "sweep: {grid: {train.steps: [1500, 4000]}}\n")
    ids = {row["train.steps"]: row["id"] for row in document("plan", long)}
    with start("run", long, "--retries", "0", home="failed") as process:
        kill_worker_at_first_step("failed", ids[4000], process)
        err = process.communicate()[1]
    alone = [line for line in err.splitlines() if line.startswith("alone")]
    check(len(alone) == 1 and "step 1200 it was to begin from, failed" in alone[0], "which is told", err)
    run("run", "-q", long, "--only", "train.steps == 1500", home="by itself", code=0)
    rows = [select(home, "SELECT state, loss, trunk FROM runs WHERE steps = 1500")[0] for home in ("failed", "by itself")]
    check(rows[0] == rows[1] and rows[0][0] == "done" and rows[0][2] is None, "the same bits", rows)
    check(run("run", "-q", long, "--retry-failed", home="failed", code=0).code == 0, "the other is tried again")
    # Killed without a retry's being spent: the branch waits for the trunk that is tried again.
    with start("run", long, home="retried") as process:
        kill_worker_at_first_step("retried", ids[4000], process)
        err = process.communicate()[1]
    check("crashed" in err and "from step 1200 of " + ids[4000][:8] in err, "a trunk that crashes is tried again", err)
    both = "SELECT id, state, loss FROM runs ORDER BY id"
    check(select("retried", both) == select("failed", both), "and all is the same")


@case
def where_the_trunk_diverges_all_do():
    wild = spec("wild", head=HEAD.replace("lr: 1e-2", "lr: 100, clip_norm: 0, adam_eps: 1e-30"))
    told = run("run", wild, home="wild", code=0)
    run("run", "-q", spec("wild-apart", GRID + "run: {share_trunks: false}\n", HEAD.replace("lr: 1e-2", "lr: 100, clip_norm: 0, adam_eps: 1e-30")), home="wild-apart")
    ends = "SELECT id, state, step, loss FROM runs ORDER BY id"
    check(select("wild", ends) == select("wild-apart", ends), "the same end", select("wild", ends), select("wild-apart", ends))
    check(select("wild", "SELECT count(*) FROM runs WHERE state = 'diverged'")[0][0] > 0, "some diverge", select("wild", ends))
    check("alone" in told.err, "those that would have begun later are trained alone", told.err)


@case
def chosen_runs_share_among_themselves():
    told = run("run", SHARED, "--only", "train.steps < 200", home="chosen", code=0)
    check(told.err.count("  from step 48 of ") == 2 and "from step 104" not in told.err, "the longest of those chosen", told.err)
    rest = run("run", SHARED, home="chosen", code=0)
    check("from step" not in rest.err, "the longer ones are trained whole", rest.err)
    same("chosen", "apart")


def seconds_to_do(home, named):
    """What a plan says that one run after the other takes, and the estimates of its runs by length and seed."""
    out = run("plan", named, home=home, code=0).out
    told = re.search(r"time to do: (?:([0-9]+) h )?([0-9.]+) (s|min|days)\b", out)
    rows = document("plan", named, home=home)
    return 3600 * float(told[1] or 0) + float(told[2]) * {"s": 1, "min": 60, "days": 86400}[told[3]], rows


@case
def the_time_to_do_is_that_of_what_is_trained():
    long = "sweep: {grid: {train.steps: [3000000, 6500000, 15000000], train.lr: [1e-2, 2e-2]}}\n"
    halving = "run: {halving: {over: train.lr, keep: 1/2, at: [0.5]}}\n"
    fake = "trainer: {command: [sh, -c, exit, '{config}'], version: '1'}\n"
    shared = {"plain": 0.8 * (6.5 + 3) / 24.5, "halved": 0, "apart": 0}
    for name, rest in ("plain", ""), ("halved", halving), ("apart", "run: {share_trunks: false}\n"):
        told, rows = seconds_to_do("shared", spec(name + "-time", long + rest))
        whole = sum(row["estimated_seconds"] for row in rows)
        left = 1 - shared[name]
        if name == "halved":  # one of two goes on from the last evaluation of the first half
            for row in rows:
                check(row["halving"]["rungs"][0]["step"] <= row["train.steps"] / 2, row["halving"])
            left = sum(row["estimated_seconds"] * (0.5 + 0.5 * row["halving"]["rungs"][0]["step"] / row["train.steps"])
                       for row in rows) / whole
            check(0.5 < left < 0.76, left)
        check(abs(told / (whole * left) - 1) < 0.05, name, told, whole, left)
        trunks = {row["id"]: row for row in rows if row["trunk"] is None}
        check(len(trunks) == (2 if name == "plain" else 6), name, rows)
        for row in rows:
            if row["trunk"] is not None:
                trunk = trunks[row["trunk"]["id"]]
                check(trunk["train.steps"] == 15000000 and trunk["train.lr"] == row["train.lr"] and
                      row["trunk"]["step"] == row["train.steps"] * 4 // 5, row)
    own = spec("own-time", long + fake)
    check(all(row["trunk"] is None and row["prunings"] is None for row in document("plan", own)), "a trainer of one's own")
    pruned = spec("pruned-time", 'sweep: {grid: {train.steps: [60], format: [none, "sparse(0.8,journey)"]}}\n')
    prunings = [row["prunings"] for row in document("plan", pruned)]
    check(prunings[0] is None and prunings[1] >= 20, "prunings", prunings)


@case
def what_is_left_counts_shared_steps_once():
    for home, named, steps in ("left", SHARED, 338 + 130 + 12), ("left apart", APART, 2 * (60 + 130) + 300):
        name = os.path.basename(named)[:-len(".yaml")]
        run("run", "-q", named, "--only", "train.steps == 300 and seed == 0", home=home, code=0)
        left = document("status", home=home)["experiments"][0]["seconds_left"]
        seconds = select(home, "SELECT wall_seconds FROM runs WHERE state = 'done'")[0][0]
        check(abs(left / (seconds * steps / 300) - 1) < 1e-6, name, left, seconds, steps)
        run("cancel", "--where", "seed == 1", home=home, code=0)
        steps = 130 + 12 if named == SHARED else 60 + 130
        left = document("status", home=home)["experiments"][0]["seconds_left"]
        check(abs(left / (seconds * steps / 300) - 1) < 1e-6, name + ", some cancelled", left, seconds, steps)


finish()
