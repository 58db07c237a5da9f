"""Stages, successive halving, marks and kills together: test_crossing.py ISOLOSS. Prints TAP."""
import contextlib
import glob
import os
import signal
import sqlite3
import sys
import time

sys.path.insert(0, os.path.join(sys.path[0], ".."))
import harness  # noqa: E402
from harness import case, check, document, path_of, run, select, write  # noqa: E402

SPEC = """experiment: tiny
corpus: {source: markov2}
base:
  model: {layers: 1, width: 16, context: 32, dtype: float32}
  train: {batch_tokens: 256, steps: 40, evals: 10, eval_tokens: 256, final_eval_tokens: 512, checkpoint_steps: 15,
          log_steps: 10}
sweep:
  - grid: {train.lr: [1e-4, 1e-3, 1e-2, 3e-2]}
stages: {compress: {method: rtn, bits: 8}}
run: {halving: {over: train.lr, keep: 1/2, at: [0.25, 0.5]}}
"""
spec = write("tiny.yaml", SPEC)
long = write("long.yaml", SPEC.replace("steps: 40", "steps: 12000").replace("checkpoint_steps: 15", "checkpoint_steps: 600"))
unhalved = write("unhalved.yaml", "\n".join(SPEC.splitlines()[:-1]).replace("steps: 40", "steps: 1500").replace(
    "[1e-4, 1e-3, 1e-2, 3e-2]", "[1e-3, 1e-2]"))
planned = document("plan", spec)
TRAININGS = {row["train.lr"]: row["id"] for row in planned if row["stage"] == "train"}
CHILD = {row["parent"]: row["id"] for row in planned if row["stage"] == "compress"}


def decisions(home):
    return select(home, "SELECT rung, run, step, loss_step, loss, place, kept FROM halvings ORDER BY rung, place")


def table(home):
    """All that does not depend on when it was done."""
    return select(home, "SELECT r.id, r.state, r.loss, r.halved_at, r.message, m.mark FROM runs r LEFT JOIN marks m "
                  "ON m.run = r.id ORDER BY r.id")


def row(home, run_id):
    state, loss, halved_at, message = select(home, "SELECT state, loss, halved_at, message FROM runs WHERE id = "
                                             f"'{run_id}'")[0]
    return state, loss, halved_at, message or ""


def until(condition, what, seconds=60):
    end = time.time() + seconds
    while time.time() < end:
        with contextlib.suppress(sqlite3.OperationalError, IndexError):  # no store yet, no row
            if condition():
                return
        time.sleep(0.02)
    check(False, f"in {seconds} s not: {what}")


def begin(home):
    """The experiment stands in the store, and its first run waits at its first rung."""
    done = run("run", spec, "--quiet", "--only", "train.lr < 2e-4 and stage == 'train'", home=home, code=1)
    check("wait at a rung" in done.out and not decisions(home), done)


@case
def only_what_goes_on_is_compressed():
    done = run("run", spec, "--quiet", home="plain", code=0)
    check("1 done" not in done.out and "2 done, 3 stopped by halving, 3 pending" in done.out, done.out)
    for training in TRAININGS.values():
        state, child = row("plain", training), row("plain", CHILD[training])
        check(state[0] in ("done", "killed"), state)
        check(child[0] == ("done" if state[0] == "done" else "pending"), state, child)
        check(state[0] == "done" or "was stopped by halving" in child[3], child)


@case
def others_decide_without_a_cancelled_one():
    begin("cancel")
    gone = TRAININGS[1e-2]
    run("cancel", gone, home="cancel", code=0)
    done = run("run", spec, "--quiet", home="cancel", code=0)
    check("1 cancelled and left out" in done.out, done.out)
    first = [each for each in decisions("cancel") if each[0] == 1]
    check(len(first) == 4 and sum(each[6] for each in first) == 2, first)
    check([each[1:2] + each[4:5] + each[6:] for each in first][-1] == (gone, None, 0), "it is the last, and out", first)
    check(row("cancel", gone)[0] == "pending" and row("cancel", gone)[2] is None, row("cancel", gone))
    child = row("cancel", CHILD[gone])
    check(child[0] == "pending" and "was cancelled" in child[3], child)
    check(run("run", spec, "--quiet", home="cancel", code=0).out.split(";")[0].count("2 done (2 of them before)"), "again")


@case
def taken_back_too_late_it_is_left_out_by_halving():
    before, gone = decisions("cancel"), TRAININGS[1e-2]
    cancelled = table("cancel")
    run("retry", gone, home="cancel", code=0)
    run("run", spec, "--quiet", home="cancel", code=0)
    state, _, halved_at, message = row("cancel", gone)
    check(state == "killed" and halved_at == 0.25 and "left out by halving" in message, state, halved_at, message)
    check(decisions("cancel") == before and not os.path.exists(path_of("cancel", "runs", gone, "steps-trained")), "decided once")
    check("halving" in row("cancel", CHILD[gone])[3], row("cancel", CHILD[gone]))
    check({each[0]: each[2] for each in table("cancel")} == {each[0]: each[2] for each in cancelled}, "losses stand")


harness.side_by_side(4)


@case
def a_paused_one_is_waited_for():
    begin("pause")
    run("pause", TRAININGS[1e-2], home="pause", code=0)
    done = run("run", spec, "--quiet", home="pause", code=1)
    check("3 wait at a rung" in done.out and "1 paused" in done.out and not decisions("pause"), done.out)
    run("resume", "tiny", home="pause", code=0)
    run("run", spec, "--quiet", home="pause", code=0)
    check(decisions("pause") == decisions("plain") and table("pause") == table("plain"), table("pause"), table("plain"))


@case
def cancelled_at_work_it_holds_nobody_up():
    plan = {each["train.lr"]: each["id"] for each in document("plan", long) if each["stage"] == "train"}
    child = {each["parent"]: each["id"] for each in document("plan", long)}
    gone = plan[1e-2]
    process = harness.start("run", long, "--jobs", "1", home="live")
    until(lambda: (select("live", f"SELECT step FROM runs WHERE id = '{gone}' AND state = 'running'")[0][0] or 0) >= 20, "it is at work")
    run("cancel", gone, home="live", code=0)
    out, err = process.communicate(timeout=120)
    check(process.returncode == 0 and "1 cancelled and left out" in out, out, err)
    check("was cancelled" in row("live", child[gone])[3], row("live", child[gone]))
    check(row("live", gone)[0] == "killed" and row("live", gone)[2] is None and "cancelled by" in row("live", gone)[3],
          row("live", gone))
    check(select("live", "SELECT count(*) FROM runs WHERE state = 'done'") == [(2,)], "one goes to its end, and its child")


@case
def what_follows_a_run_that_is_tried_again_is_done():
    plan = {each["train.lr"]: each["id"] for each in document("plan", unhalved) if each["stage"] == "train"}
    bad = plan[1e-3]
    os.makedirs(path_of("again", "runs", bad, "events.jsonl"))  # a log that cannot be read
    done = run("run", unhalved, "--quiet", home="again", code=1)
    check("2 done, 1 failed, 1 pending" in done.out, done.out)
    os.rmdir(path_of("again", "runs", bad, "events.jsonl"))
    run("retry", "tiny", home="again", code=0)
    done = run("run", unhalved, "--quiet", home="again", code=0)
    check("4 done" in done.out, "by the next isoloss run", done.out)
    os.makedirs(path_of("at-work", "runs", bad, "events.jsonl"))
    process = harness.start("run", unhalved, "--jobs", "1", home="at-work")
    until(lambda: select("at-work", f"SELECT state FROM runs WHERE id = '{bad}'") == [("failed",)], "it failed")
    os.rmdir(path_of("at-work", "runs", bad, "events.jsonl"))
    run("retry", bad, home="at-work", code=0)
    out, err = process.communicate(timeout=120)
    check(process.returncode == 0 and "4 done" in out, "by the one at work", out, err)
    check(all("not started" not in (each[4] or "") for each in table("at-work")), table("at-work"))


@case
def kills_change_nothing():
    begin("killed")
    run("cancel", TRAININGS[1e-2], home="killed", code=0)
    for number in range(10):
        process = harness.start("run", spec, "--quiet", "--jobs", str(1 + number % 2), home="killed")
        time.sleep(0.1 + 0.06 * (number % 5))
        process.kill()
        process.communicate()
        for lock in glob.glob(path_of("killed", "runs", "*", "worker.lock")) if number % 3 == 0 else []:
            with contextlib.suppress(OSError, ValueError, IndexError):
                pid = int(open(lock).read().split()[0])
                if path_of("killed") in open(f"/proc/{pid}/cmdline").read():
                    os.kill(pid, signal.SIGKILL)
    run("run", spec, "--quiet", home="killed", code=0)
    begin("whole")
    run("cancel", TRAININGS[1e-2], home="whole", code=0)
    run("run", spec, "--quiet", home="whole", code=0)
    check(table("killed") == table("whole"), table("killed"), table("whole"))
    check(decisions("killed") == decisions("whole"), decisions("killed"), decisions("whole"))


@case
def a_cancelled_run_is_not_held_against_memory():
    text = SPEC.split("stages:")[0].replace("width: 16, ", "").replace("steps: 40", "steps: STEPS")
    sizes = write("sizes.yaml", text.replace("{train.lr: [1e-4, 1e-3, 1e-2, 3e-2]}", "{model.width: [16, 1024]}").replace(
        "STEPS", "40"))
    done = run("run", sizes, "--quiet", "--memory", "100M", home="memory", code=3)
    check("needs" in done.err and "--memory gives runs" in done.err, done.err)
    run("run", sizes, "--quiet", "--memory", "100M", "--only", "model.width == 16", home="memory", code=0)
    run("cancel", "tiny", home="memory", code=0)
    done = run("run", sizes, "--quiet", "--memory", "100M", home="memory", code=0)
    check("1 done (1 of them before); 1 cancelled" in done.out, done.out)
    # Taken back while isoloss run is at work it is not started either.
    longer = write("longer.yaml", open(sizes, encoding="utf-8").read().replace("steps: 40", "steps: 3000"))
    run("run", sizes, "--quiet", "--memory", "100M", "--only", "model.width == 16", home="tight", code=0)
    large = next(each["id"] for each in document("plan", longer) if each["model.width"] == 1024)
    small = next(each["id"] for each in document("plan", longer) if each["model.width"] == 16)
    process = harness.start("run", longer, "--memory", "100M", "--only", "model.width == 16", home="tight")
    until(lambda: row("tight", small)[0] == "running", "the small one is at work")
    run("cancel", large, home="tight", code=0)
    process.terminate()
    process.communicate(timeout=60)
    process = harness.start("run", longer, "--memory", "100M", home="tight")
    until(lambda: row("tight", small)[0] == "running", "the small one is at work again")
    run("retry", large, home="tight", code=0)
    out, err = process.communicate(timeout=120)
    check(process.returncode == 1 and "needs more memory" in row("tight", large)[3], out, err, row("tight", large))
    check(row("tight", large)[0] == "pending" and not os.path.exists(path_of("tight", "runs", large)), row("tight", large))


harness.join()


@case
def readers_leave_no_log_behind():
    for command in ("runs", "tiny"), ("status",), ("report", spec, "-o", path_of("report.html")), ("show", TRAININGS[1e-2]):
        run(*command, home="plain", code=0)
        left = [name for name in os.listdir(path_of("plain")) if name.startswith("isoloss.db-")]
        check(not left, command, left)
    # While somebody else has it open, the log is his.
    reader = sqlite3.connect(path_of("plain", "isoloss.db"))
    reader.execute("SELECT count(*) FROM runs").fetchall()
    run("status", home="plain", code=0)
    check(reader.execute("SELECT count(*) FROM runs").fetchall() == [(8,)], "it goes on reading")
    reader.close()


harness.finish()
