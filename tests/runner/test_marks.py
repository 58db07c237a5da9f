"""Pausing, resuming, cancelling runs and trying them again, with and without an `isoloss run` at work.

test_marks.py ISOLOSS: ISOLOSS is the front; isoloss-train stands beside it. Prints TAP.
"""
import contextlib
import json
import os
import shutil
import sqlite3
import sys
import time

sys.path.insert(0, os.path.join(sys.path[0], ".."))
import harness  # noqa: E402
from harness import case, check, document, path_of, run, select, write  # noqa: E402

FAKE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fake_trainer.py")
SPEC = f"""experiment: tiny
corpus: {{source: markov2}}
base:
  model: {{layers: 1, width: 16, context: 32}}
  train: {{batch_tokens: 256}}
sweep:
  - grid: {{train.steps: [40, 60], seed: [1, 2]}}
trainer: {{command: [{sys.executable}, -S, -E, {FAKE}, '{{config}}', '{{folder}}'], version: '1'}}
"""
spec = write("tiny.yaml", SPEC)
other = write("other.yaml", SPEC.replace("experiment: tiny", "experiment: other").replace("[40, 60]", "[60, 80]"))
built_in = write("built-in.yaml", SPEC.replace("experiment: tiny", "experiment: built-in").replace(
    "batch_tokens: 256", "batch_tokens: 256, checkpoint_steps: 20, log_steps: 5, eval_tokens: 1024, "
    "final_eval_tokens: 1024").split("trainer:")[0].replace("[40, 60]", "[300]").replace("[1, 2]", "[1]"))


def faults(**more):
    return json.dumps({"*": {"sleep": 0.02, **more}})


def rows(home, named="tiny"):
    """Runs by steps and seed."""
    return {(row["train.steps"], row["seed"]): row for row in document("runs", named, home=home)}


def states(home, named="tiny"):
    return {key: (row["state"], row["mark"]) for key, row in rows(home, named).items()}


def until(condition, what, seconds=20):
    end = time.time() + seconds
    while time.time() < end:
        with contextlib.suppress(sqlite3.OperationalError):  # no store yet
            if condition():
                return
        time.sleep(0.03)
    check(False, f"in {seconds} s not: {what}")


def at_step(home, steps, seed, least=6):
    def there():
        found = select(home, "SELECT step FROM run_table WHERE state = 'running' AND \"train.steps\" = "
                             f"{steps} AND seed = {seed}")
        return bool(found) and (found[0][0] or 0) >= least
    return there


def steps_trained(home, id):
    with open(path_of(home, "runs", id, "steps-trained"), encoding="utf-8") as file:
        return [int(line) for line in file]


@case
def a_paused_run_stops_and_goes_on_where_it_was():
    process = harness.start("run", spec, "--jobs", "2", home="live", FAKE=faults())
    until(at_step("live", 60, 1), "the first runs are at work")
    began = time.time()
    told = document("pause", "tiny", "--where", "train.steps == 60", home="live")
    check(told["command"] == "pause" and told["done"] and told["changed"] == 2 and told["coordinator"] == process.pid, told)
    check(all(row["alive"] and row["mark"] == "paused" and row["changed"] for row in told["runs"]), told)
    until(lambda: select("live", "SELECT count(*) FROM run_table WHERE state = 'killed' AND mark = 'paused'") == [(2,)],
          "both are stopped", 5)
    check(time.time() - began < 4, "within a second or so", time.time() - began)
    message = rows("live")[60, 1]["message"]
    check("paused by" in message and "at step" in message and "of 60" in message, message)
    again = document("pause", "tiny", "--where", "train.steps == 60", home="live")
    check(again["changed"] == 0 and all(row["unchanged"] == "paused before" for row in again["runs"]), again)
    until(at_step("live", 40, 1), "the others are taken up")
    # One goes on in the same call, the other stays.
    first = rows("live")[60, 1]["id"]
    check("resumed: 1 run" in run("resume", first[:8], home="live", code=0).out, "by its id")
    out, err = process.communicate(timeout=60)
    check(process.returncode == 1, "what is paused is missing", out, err)
    check("4 runs: 3 done, 1 paused" in out and "isoloss resume tiny" in out, out)
    now = states("live")
    check(now == {(40, 1): ("done", None), (40, 2): ("done", None), (60, 1): ("done", None), (60, 2): ("killed", "paused")},
          now)
    trained = steps_trained("live", first)
    check(sorted(set(trained)) == list(range(1, 61)) and len(trained) < 60 + 5, "it went on from its checkpoint", trained)
    check(rows("live")[60, 1]["attempts"] == 2, "it was started twice")


@case
def who_paused_it_and_when_is_shown():
    paused = rows("live")[60, 2]
    who, when = paused["marked_by"], paused["marked_at"]
    check("@" in who and 0 <= time.time() - when < 300, paused)
    words = f"1 run paused by {who} at {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(when))}: {paused['id'][:8]}"
    status = run("status", home="live", code=0).out
    check(words in status and "paused" in status.splitlines()[0] and "cancelled" not in status, status)
    told = document("status", home="live")
    check(told["experiments"][0]["paused"] == 1 and told["experiments"][0]["cancelled"] == 0, told)
    check([(note["id"], note["mark"], note["marked_by"], note["marked_at"]) for note in told["notes"]] ==
          [(paused["id"], "paused", who, when)], told["notes"])
    check(f"mark: paused by {who}" in run("show", paused["id"], home="live", code=0).out, "show")
    check(document("show", paused["id"], home="live")["run"]["mark"] == "paused", "show --json")
    table = run("runs", "tiny", home="live", code=0).out
    check("mark" in table.splitlines()[0].split() and " paused " in table, table)
    check(len(document("runs", "--where", 'mark == "paused"', home="live")) == 1, "--where")


@case
def what_is_paused_is_not_started():
    before = steps_trained("live", rows("live")[60, 2]["id"])
    done = run("run", spec, home="live", code=1)
    check("3 done (3 of them before), 1 paused" in done.out and "paused   1 run" in done.err, done)
    check(steps_trained("live", rows("live")[60, 2]["id"]) == before, "it was trained")
    # Of another experiment that has it, too.
    done = run("run", other, "--quiet", home="live", code=1)
    check("4 runs: 3 done (1 of them before), 1 paused" in done.out, done)
    check("no isoloss run is at work" in run("resume", "other", home="live", code=0).out, "resume")
    check("4 done (3 of them before)" in run("run", spec, "--quiet", home="live", code=0).out, "it goes on")
    check("mark" not in run("runs", "tiny", home="live", code=0).out.splitlines()[0], "no mark, no column")
    check(select("live", "SELECT * FROM marks") == [], "marks")


@case
def cancelled_runs_are_left_out_until_retried():
    process = harness.start("run", spec, "--jobs", "1", home="cancel", FAKE=faults())
    until(at_step("cancel", 60, 1), "the first run is at work")
    check("cancelled: 2 runs, of them 1 at work" in run("cancel", "--where", "seed == 1", home="cancel", code=0).out, "")
    out, err = process.communicate(timeout=60)
    check(process.returncode == 0, "who cancels does not miss them", out, err)
    check("2 runs: 2 done; 2 cancelled and left out" in out and "isoloss retry tiny" in out, out)
    check(states("cancel")[60, 1] == ("killed", "cancelled") and states("cancel")[40, 1] == ("pending", "cancelled"),
          states("cancel"))
    for verb, said in [("pause", "2 runs cancelled"), ("resume", "2 runs cancelled"), ("cancel", "2 runs cancelled before")]:
        out = run(verb, "tiny", home="cancel", code=0).out
        check(": 0 runs" in out and said in out and "2 runs done: a result is final" in out, verb, out)
    check("2 cancelled and left out" in run("run", spec, "--quiet", home="cancel", code=0).out, "still")
    told = document("retry", "tiny", home="cancel")
    check(told["changed"] == 2 and told["coordinator"] is None, told)
    run("run", spec, "--quiet", home="cancel", code=0)
    trained = steps_trained("cancel", rows("cancel")[60, 1]["id"])
    check(len(trained) < 65 and {state for state, mark in states("cancel").values()} == {"done"}, "from its checkpoint",
          trained)


@case
def failed_runs_are_tried_again():
    broken = json.dumps({"1": {"crash_at": 12, "crash_always": True, "exit": 4, "message": "no luck"}})
    run("run", spec, "--retries", "0", "--quiet", home="retry", code=1, FAKE=broken)
    check(states("retry")[40, 1] == states("retry")[60, 1] == ("failed", None), states("retry"))
    out = run("pause", "tiny", home="retry", code=0).out
    check(": 0 runs" in out and "2 runs failed: not tried again" in out, out)
    told = document("retry", "tiny", "--where", "train.steps == 40", home="retry")
    check([(row["changed"], row["mark"]) for row in told["runs"]] == [(True, "retry"), (False, None)], told)
    check("to be tried again, asked by" in run("status", home="retry", code=0).out, "status")
    check(document("retry", "tiny", "--where", "train.steps == 40", home="retry")["changed"] == 0, "twice")
    run("run", spec, "--quiet", home="retry", code=1)
    now = states("retry")
    check(now[40, 1] == ("done", None) and now[60, 1] == ("failed", None), "only the one that was asked for", now)
    check(steps_trained("retry", rows("retry")[40, 1]["id"])[:14] == [*range(1, 13), 11, 12], "from its checkpoint")
    # Taken back by pausing; cancelled and retried it is failed and to be tried again.
    run("retry", "tiny", home="retry", code=0)
    check(document("pause", "tiny", home="retry")["changed"] == 1 and states("retry")[60, 1] == ("failed", None), "back")
    run("cancel", "tiny", home="retry", code=0)
    run("retry", "tiny", home="retry", code=0)
    check(states("retry")[60, 1] == ("failed", "retry"), states("retry"))


@case
def a_run_at_work_tries_again_what_failed():
    broken = json.dumps({"1": {"crash_at": 3, "crash_always": False}, "2": {"sleep": 0.05}})
    process = harness.start("run", spec, "--retries", "0", "--jobs", "2", home="again", FAKE=broken)
    until(lambda: select("again", "SELECT count(*) FROM runs WHERE state = 'failed'")[0][0] >= 1, "a failure")
    failed = select("again", "SELECT id FROM runs WHERE state = 'failed'")[0][0]
    run("retry", failed, home="again", code=0)
    process.communicate(timeout=60)
    check(select("again", f"SELECT state FROM runs WHERE id = '{failed}'") == [("done",)], states("again"))
    check(select("again", "SELECT * FROM marks") == [], "its mark is gone")


@case
def works_with_nobody_at_work():
    process = harness.start("run", spec, "--jobs", "1", home="alone", FAKE=faults())
    until(at_step("alone", 60, 1), "a run is at work")
    process.kill()
    process.communicate()
    worker = select("alone", "SELECT pid FROM runs WHERE state = 'running'")[0][0]
    told = document("pause", "tiny", home="alone")
    check(told["changed"] == 4 and told["coordinator"] is None, told)

    def gone():
        with contextlib.suppress(OSError):
            with open(f"/proc/{worker}/stat", encoding="utf-8") as file:
                return file.read().rsplit(")", 1)[1].split()[0] == "Z"
        return True
    until(gone, "the worker that goes on alone is asked to stop")
    done = run("run", spec, home="alone", code=1)
    check("4 paused" in done.out and "started  " not in done.err, done)
    message = rows("alone")[60, 1]["message"]
    run("resume", "tiny", home="alone", code=0)
    check("4 done" in run("run", spec, "--quiet", home="alone", code=0).out, message)


@case
def a_deaf_or_adopted_worker_is_held_too():
    process = harness.start("run", spec, "--jobs", "1", home="adopt", FAKE=faults())
    until(at_step("adopt", 60, 1), "a run is at work")
    process.kill()
    process.communicate()
    with contextlib.closing(sqlite3.connect(path_of("adopt", "isoloss.db"))) as database, database:
        database.execute("INSERT INTO marks SELECT id, 'cancelled', 'ann@far', 1 FROM runs")  # nobody told the worker
    done = run("run", spec, home="adopt", code=0)
    check("0 runs: 0 done; 4 cancelled and left out" in done.out and "adopted" in done.err, done)
    check("cancelled by ann@far" in rows("adopt")[60, 1]["message"], rows("adopt")[60, 1]["message"])


@case
def status_and_report_say_what_must_be_known():
    process = harness.start("run", spec, "--jobs", "1", home="notes", FAKE=faults(junk=2), GEMM="one")
    until(at_step("notes", 60, 1), "a run is at work")
    run("pause", "tiny", home="notes", code=0)
    process.communicate(timeout=60)
    run("resume", "tiny", home="notes", code=0)
    run("run", spec, "--quiet", home="notes", code=0, GEMM="two")
    told = [note for note in document("status", home="notes")["notes"] if note["resumed_under"]]
    check(len(told) == 1 and told[0]["id"] == rows("notes")[60, 1]["id"] and told[0]["mark"] is None, told)
    check("two" in told[0]["resumed_under"] and told[0]["log_damaged"] == 4 and told[0]["log_damaged_line"] > 0, told)
    out = run("status", home="notes", code=0).out
    check("resumed" in out and "may differ in rounding" in out and "no events" in out, out)
    findings = " ".join(finding["text"] for finding in document("report", "tiny", home="notes")["findings"])
    check("1 of 4 runs went on under another" in findings and "The logs of 1 of 4 runs have lines" in findings, findings)


@case
def counts_of_before_are_told():
    shutil.copytree(path_of("cancel"), path_of("counts"))
    check(document("status", home="counts")["built_in_counts"] == 0, "none")
    with contextlib.closing(sqlite3.connect(path_of("counts", "isoloss.db"))) as database, database:
        database.execute("UPDATE runs SET parameters = 6, parameters_attention = 3, parameters_mlp = 2, "
                         "parameters_norms = 1 WHERE rowid = 1")
    check(document("status", home="counts")["built_in_counts"] == 1, "one")
    id = select("counts", "SELECT id FROM runs WHERE parameters = 6")[0][0]
    check("as the built-in model counts them" in run("show", id, home="counts", code=0).out, "show")
    check("1 run of custom trainers" in run("status", home="counts", code=0).out, "status")


@case
def the_built_in_trainer_goes_on_bit_by_bit():
    run("run", built_in, "--quiet", home="whole", code=0)
    process = harness.start("run", built_in, home="parts")
    until(lambda: select("parts", "SELECT step FROM runs WHERE step > 0"), "it is at work")
    run("pause", "built-in", home="parts", code=0)
    process.communicate(timeout=60)
    run("resume", "built-in", home="parts", code=0)
    run("run", built_in, "--quiet", home="parts", code=0)
    check(select("whole", "SELECT id, loss FROM runs") == select("parts", "SELECT id, loss FROM runs"), "another loss")


@case
def bad_calls_change_nothing():
    before = select("live", "SELECT * FROM marks")
    some = rows("live")[60, 1]["id"]
    for arguments, said in [(["othr"], "did you mean 'other'"), ([], "give runs"), ([some[:3]], "at least 4"),
                            (["--where", "lss > 1"], "did you mean 'loss'"), (["--where", "loss > 100"], "no run"),
                            ([some, "other"], "is an experiment"), ([spec], "is a file"),
                            (["other", some, "--where", "true"], "one experiment")]:
        for verb in "pause", "resume", "cancel", "retry":
            done = run(verb, *arguments, home="live", code=2)
            check(said in done.err and not done.out, verb, arguments, done)
    out = run("cancel", "tiny", "--dry-run", home="retry", code=0).out
    check("would cancel: 1 run" in out and "--dry-run" in out, out)
    check(states("retry")[60, 1] == ("failed", "retry"), "a dry run changed something")
    check(select("live", "SELECT * FROM marks") == before, "marks")
    run("pause", "tiny", home="nowhere", code=3)
    check(not os.path.exists(path_of("nowhere")), "a home was made")


@case
def marks_go_with_their_runs():
    shutil.copytree(path_of("retry"), path_of("gone"))
    marked = select("gone", "SELECT run FROM marks")[0][0]
    run("export", "tiny", "--to", path_of("copy.db"), home="gone", code=0)
    database = sqlite3.connect(path_of("copy.db"))
    check(database.execute("SELECT run FROM marks").fetchall() == [(marked,)], "of the copy")
    database.close()
    run("rm", marked, "--yes", home="gone", code=0)
    check(select("gone", "SELECT * FROM marks") == [], "of a run that was removed")


@case
def a_store_of_before_gets_its_table():
    shutil.copytree(path_of("retry"), path_of("before"))
    with contextlib.closing(sqlite3.connect(path_of("before", "isoloss.db"))) as database, database:
        harness.take_back_to_version_4(database)
    run("cancel", "tiny", home="before", code=0)
    check(states("before")[60, 1] == ("failed", "cancelled"), states("before"))
    check(select("before", "PRAGMA user_version") == [(harness.newest_version(),)], "version")


harness.finish()
