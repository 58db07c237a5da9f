"""The coordinator with a trainer that is not ours: reuse, crashes, kills at many moments, clean stops, bad environments.

test_coordinator.py DRIVER: DRIVER is coordinator_driver. Prints TAP.
"""
import fcntl
import functools
import json
import os
import pty
import re
import resource
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import termios
import time

sys.path.insert(0, os.path.join(sys.path[0], ".."))
import harness  # noqa: E402
from harness import check, finish, select  # noqa: E402

DRIVER = harness.program
TRAINER = [sys.executable, "-S", "-E", os.path.join(os.path.dirname(os.path.abspath(__file__)), "fake_trainer.py"),
           "{config}", "{folder}"]
STEPS = 20


harness.side_by_side(4)


class Home:
    """A store of its own in a temporary folder."""

    def __init__(self):
        self.path = tempfile.mkdtemp(prefix="isoloss-coordinator-")

    def start(self, runs, *options, fault=None, trainer=TRAINER, home=None, driver=DRIVER, **more):
        environment = {**os.environ, "FAKE": json.dumps(fault or {})}
        return subprocess.Popen([driver, home or self.path, str(runs), *options, "--", *trainer], env=environment,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)

    def finish(self, process, timeout=30):
        out, err = process.communicate(timeout=timeout)
        outcome = json.loads(out) if out.strip() else {}
        return process.returncode, outcome, err

    def run(self, runs, *options, **more):
        return self.finish(self.start(runs, *options, **more))

    def query(self, sql):
        return select(self.path, sql)

    def states(self):
        return sorted(row[0] for row in self.query("SELECT state FROM runs"))

    def folders(self):
        runs = os.path.join(self.path, "runs")
        return [os.path.join(runs, name) for name in sorted(os.listdir(runs))] if os.path.isdir(runs) else []

    def trained(self, folder):
        path = os.path.join(folder, "steps-trained")
        return [int(line) for line in open(path)] if os.path.exists(path) else []

    def check_exact(self, runs, what):
        """Every run done, with exactly the points of its log and of an undisturbed run, each once."""
        rows = self.query("SELECT id, seed, state, loss FROM run_table")
        check(len(rows) == runs, f"{what}: {len(rows)} runs, not {runs}")
        for run, seed, state, loss in rows:
            check(state == "done", f"{what}: run of seed {seed} is {state}")
            check(loss == 2 + 1 / (STEPS + seed + 1), f"{what}: final loss of seed {seed}: {loss}")
            train = self.query(f"SELECT step, loss FROM metrics WHERE run = '{run}' AND kind = 'train' ORDER BY step")
            check(train == [(step, 2 + 1 / (step + seed + 1)) for step in range(1, STEPS + 1)],
                  f"{what}: training points of seed {seed}: {train}")
            evals = self.query(f"SELECT step, loss FROM metrics WHERE run = '{run}' AND kind = 'eval' ORDER BY step")
            check(evals == [(step, 2.5 + 1 / (step + seed + 1)) for step in range(5, STEPS + 1, 5)],
                  f"{what}: evaluations of seed {seed}: {evals}")
        log_bytes = {row[0]: row[1] for row in self.query("SELECT id, log_offset FROM runs")}
        for folder in self.folders():
            size = os.path.getsize(os.path.join(folder, "events.jsonl"))
            check(log_bytes[os.path.basename(folder)] == size, f"{what}: the log was not read to its end")

    def workers(self):
        """Processes that work in this home, by what they have open."""
        found = set()
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                for link in os.listdir(f"/proc/{pid}/fd"):
                    if os.readlink(f"/proc/{pid}/fd/{link}").startswith(self.path + "/runs/"):
                        found.add(int(pid))
            except OSError:
                continue
        return found - {os.getpid()}

    def kill_workers(self, coordinator=None):
        """Kills what works here and waits until it is dead: until then it holds its locks and seems alive. Not the
        coordinator, which has a log open now and then."""
        pids = self.workers() - {coordinator}
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        check(until(lambda: not any(map(lives, pids))), f"{pids}: killed, but not dead")

    def remove(self):
        self.kill_workers()
        shutil.rmtree(self.path, ignore_errors=True)


def lives(pid):
    """False for a process that is gone or a zombie: its files are closed then (the list of them is empty before)."""
    try:
        return open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def until(condition, seconds=10):
    end = time.time() + seconds
    while time.time() < end:
        if condition():
            return True
        time.sleep(0.01)
    return False


def case(test):
    """A case with a home of its own."""
    @functools.wraps(test)
    def in_a_home():
        home = Home()
        try:
            return test(home)
        finally:
            home.remove()
    harness.case(in_a_home)


@case
def trains_a_set_once(home):
    code, outcome, err = home.run(5)
    check(code == 0 and outcome["done"] == 5 and outcome["already"] == 0, (code, outcome, err))
    home.check_exact(5, "first")
    code, outcome, err = home.run(5)
    check(code == 0 and outcome["done"] == 5 and outcome["already"] == 5, (code, outcome, err))
    check("started" not in err, err)
    # A larger set of another experiment trains only what is new.
    code, outcome, err = home.run(4, "--seeds", "3", "--experiment", "another")
    check(code == 0 and outcome["done"] == 4 and outcome["already"] == 2, (code, outcome, err))
    home.check_exact(7, "second experiment")
    check(all(len(home.trained(folder)) == STEPS for folder in home.folders()), "a run was trained twice")
    check(home.query("SELECT count(*), count(DISTINCT run) FROM experiment_runs") == [(9, 7)], "membership")
    head = open(os.path.join(home.folders()[0], "log.txt")).read()
    check(re.match(r"# \d{4}.*\n\$ OMP_NUM_THREADS=1 .*fake_trainer.py", head), head)


@case
def resumes_a_crashed_run(home):
    code, outcome, err = home.run(2, fault={"0": {"crash_at": 13}, "1": {"crash_at": 7, "torn": True}})
    check(code == 0 and outcome["done"] == 2, (code, outcome, err))
    check("killed by signal 9" in err and "try 2 of 3" in err, err)
    home.check_exact(2, "after crashes")
    check(home.query("SELECT attempts FROM runs") == [(2,), (2,)], "attempts")
    check(sorted(len(home.trained(folder)) for folder in home.folders()) == [STEPS + 2, STEPS + 3], "trained again")


@case
def a_hopeless_run_fails_with_its_message(home):
    fault = {"0": {"crash_at": 6, "crash_always": True, "exit": 1, "message": "out of luck"},
             "1": {"crash_at": 6, "crash_always": True, "exit": 2, "message": "cannot ever work"},
             "2": {"mute": True}}
    code, outcome, err = home.run(4, fault=fault)
    check(code == 1 and outcome["failed"] == 3 and outcome["done"] == 1, (code, outcome, err))
    rows = dict((row[0], row[1:]) for row in home.query("SELECT seed, state, message, attempts FROM run_table"))
    check(rows[0] == ("failed", "out of luck", 3), rows[0])
    check(rows[1] == ("failed", "cannot ever work", 1), rows[1])  # exit code 2: trying again is no use
    check(rows[2][0] == "failed" and rows[2][2] == 3 and "done" in rows[2][1], rows[2])
    code, outcome, err = home.run(4, fault=fault)
    check(code == 1 and outcome["failed"] == 3 and "started" not in err, (code, outcome, err))
    code, outcome, err = home.run(4, "--retry-failed")
    check(code == 0 and outcome["done"] == 4, (code, outcome, err))
    home.check_exact(4, "after --retry-failed")


@case
def a_crash_shows_the_end_of_its_log(home):
    code, outcome, err = home.run(1, "--retries", "0", trainer=["sh", "-c", "echo one; echo the cause >&2; exit 9"])
    check(code == 1 and outcome["failed"] == 1, (code, outcome, err))
    message = home.query("SELECT message FROM runs")[0][0]
    check("exit code 9" in message and "the cause" in message and "OMP_NUM_THREADS" not in message, message)


@case
def divergence_is_a_result(home):
    code, outcome, err = home.run(3, fault={"0": {"diverge_at": 8}, "2": {"nan": True}})
    check(code == 0 and outcome["diverged"] == 2 and outcome["done"] == 1, (code, outcome, err))
    rows = home.query("SELECT state, message, loss, attempts, step FROM run_table WHERE seed = 0")
    check(rows == [("diverged", "the loss is not finite", None, 1, 8)], rows)
    check(home.query("SELECT count(*) FROM metrics WHERE loss IS NULL") == [(2,)], "a loss that is no number is NULL")


@case
def a_done_without_a_loss_is_a_fault(home):
    code, outcome, err = home.run(3, "--retries", "0", fault={"0": {"done_loss": "3.1"}, "1": {"done_loss": []}})
    check(code == 1 and outcome["failed"] == 2 and outcome["done"] == 1 and outcome["diverged"] == 0, (code, outcome, err))
    messages = [row[0] for row in home.query("SELECT message FROM run_table WHERE seed < 2 ORDER BY seed")]
    check("a loss that is no number" in messages[0] and "no loss" in messages[1], messages)


@case
def an_event_that_lacks_only_its_line_end_counts(home):
    whole = '{"event":"done","step":20,"loss":2.5,"tokens":320}'
    ends = {"0": whole, "1": whole[:-1], "2": whole.replace("2.5", "NaN"), "3": whole + " "}
    code, outcome, err = home.run(4, "--retries", "0", fault={seed: {"last": end} for seed, end in ends.items()})
    rows = home.query("SELECT state, loss, tokens FROM run_table ORDER BY seed")
    check(code == 1 and rows[0] == rows[3] == ("done", 2.5, 320), (code, rows))
    check(rows[1][:2] == ("failed", None) and rows[2][:2] == ("diverged", None), rows)
    # The same of a log whose coordinator died before it could look.
    code, outcome, err = home.run(4, "--retry-failed", fault={"1": {"last": whole}})
    check(code == 0 and outcome["done"] == 3 and outcome["diverged"] == 1, (code, outcome, err))


@case
def counts_that_are_none_are_faults(home):
    done = '{"event":"done","step":20,"loss":2.5,"tokens":%s}\n'
    start = '{"event":"start","parameters":{"non_embedding":%s}}\n' + done % 320
    lasts = [done % "-1", done % "1e30", done % "1.5", done % '"many"', start % "-4096", start % "[]", start % '"NaN"',
             done % 320 + done % 16, done % '320,"tokens":16', done % '320,"flops":-1', start % 4096, done % "1e400"]
    code, outcome, err = home.run(len(lasts), "--retries", "0",
                                  fault={str(seed): {"last": last} for seed, last in enumerate(lasts)})
    rows = home.query("SELECT state, message, parameters, tokens FROM run_table ORDER BY seed")
    for seed, said in {0: "tokens -1, which is no count", 1: "tokens 1e+30", 2: "tokens 1.5", 3: "a text as tokens",
                       4: "parameters.non_embedding -4096", 8: "no event", 9: "flops -1", 11: "no event"}.items():
        check(rows[seed][0] == "failed" and said in rows[seed][1], seed, rows[seed])
        check(rows[seed][2:] == rows[6][2:3] + rows[5][3:] or rows[seed][3] == 320, "what was planned", rows[seed])
    for seed in (5, 6, 7, 10):
        check(rows[seed][0] == "done", seed, rows[seed])
    check(rows[7][3] == 16 and rows[10][2] == 4096, "the last word counts", rows[7], rows[10])
    check("has 2 results (done or diverged), the last counts" in rows[7][1] and "has 2 results" in err, "and is said", rows[7], err)
    check(rows[5][1] is None and rows[10][1] is None, "one result", rows[5], rows[10])


@case
def a_log_that_cannot_be_read_fails_its_run_alone(home):
    def expect(failed, *said):
        code, outcome, err = home.run(5, "--jobs", "1", "--retry-failed", fault=fault)
        check(code == 1 and outcome["failed"] == failed and outcome["done"] == 5 - failed, (code, outcome, err))
        messages = [row[0] for row in home.query("SELECT message FROM run_table WHERE state = 'failed' ORDER BY seed")]
        check(len(messages) == len(said) and all(map(str.__contains__, messages, said)), messages)

    # Lines without an end, and with one too late; the first run to start is among them.
    fault = {"0": {"flood": 70_000_000, "exit": 1}, "2": {"flood": 70_000_000, "late": True}}
    expect(2, "line 3 is longer than 64 MiB", "line 3 is longer than 64 MiB")
    ids = dict(home.query("SELECT seed, id FROM run_table"))
    logs = {seed: os.path.join(home.path, "runs", run, "events.jsonl") for seed, run in ids.items()}
    os.remove(logs[0])
    os.mkdir(logs[0])
    os.remove(logs[2])
    os.mkfifo(logs[2])
    expect(2, "is no file", "is no file")
    # Read when it is registered, by another experiment, and when it stands in the store as running.
    database = sqlite3.connect(os.path.join(home.path, "isoloss.db"))
    with database:
        database.execute("UPDATE runs SET state = 'running' WHERE id = ?", [ids[0]])
    database.close()
    code, outcome, err = home.run(1, "--seeds", "9", "--experiment", "another")
    check(code == 0 and outcome["done"] == 1, (code, outcome, err))
    check(home.query(f"SELECT state FROM runs WHERE id = '{ids[0]}'") == [("failed",)], "of another experiment")
    os.rmdir(logs[0])
    os.remove(logs[2])
    code, outcome, err = home.run(5, "--retry-failed")
    check(code == 0 and outcome["done"] == 5, (code, outcome, err))


@case
def a_worker_whose_log_cannot_be_read_is_ended(home):
    code, outcome, err = home.run(2, fault={"0": {"flood": 70_000_000, "sleep": 3}})
    check(code == 1 and outcome["failed"] == 1 and outcome["done"] == 1, (code, outcome, err))
    check(not home.workers(), "it goes on")


@case
def damaged_lines_are_counted(home):
    code, outcome, err = home.run(3, fault={"1": {"junk": 2}})
    check(code == 0 and outcome["done"] == 3, (code, outcome, err))
    told = home.query("SELECT log_damaged, log_damaged_line FROM run_table ORDER BY seed")
    check(told == [(0, None), (4, 3), (0, None)], told)
    home.check_exact(3, "with junk between its lines")


@case
def a_fault_of_the_machine_fails_no_run(home):
    # With steps done before: put off, to be resumed; after three in a row the others are not tried.
    fault = {"*": {"crash_at": 6, "crash_always": True, "exit": 3, "message": "the disk fell out"}}
    code, outcome, err = home.run(7, "--jobs", "1", "--retries", "1", fault=fault)
    check(code == 3 and outcome["killed"] == 3 and outcome["pending"] == 4 and not outcome["failed"], (code, outcome, err))
    check("3 runs could not go on" in err and "the disk fell out" in err and "Nothing is marked as failed" in err, err)
    check(err.count("put off") == 3, err)
    messages = {row[0] for row in home.query("SELECT message FROM runs WHERE state = 'killed'")}
    check(messages == {"the disk fell out"}, messages)
    # One run alone, for a program that is missing: the others go on.
    code, outcome, err = home.run(7, "--retries", "0", fault={"2": {"crash_at": 9, "crash_always": True, "exit": 127}})
    check(code == 3 and outcome["done"] == 6 and outcome["killed"] == 1 and "1 run could not go on" in err,
          (code, outcome, err))
    code, outcome, err = home.run(7)
    check(code == 0 and outcome["done"] == 7, (code, outcome, err))
    home.check_exact(7, "afterwards")
    check(all(len(home.trained(folder)) < STEPS + 7 for folder in home.folders()), "begun again")
    fault = {"*": {"crash_at": 6, "crash_always": True, "exit": 3, "message": "no"}}
    code, outcome, err = home.run(2, "--seeds", "50", "--retries", "0", "--keep-going", fault=fault)
    check(code == 1 and outcome["failed"] == 2, (code, outcome, err))


@case
def a_full_disk_fails_no_run(home):
    """Of a trainer that ends as any program does: what it says, and the disk, tell."""
    runs = os.path.join(home.path, "runs")
    os.mkdir(runs)
    if os.getuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", runs],
                                          capture_output=True).returncode != 0:
        return
    try:
        for fault in [{"fill": 2_000_000}, {"fill": 2_000_000, "silent": True}]:
            code, outcome, err = home.run(4, "--retries", "0", fault={"*": fault})
            check(code == 3 and outcome["failed"] == 0 and outcome["done"] == 0, (fault, code, outcome, err))
            check("No space left on device" in err or "the disk is full" in err, err)
            for folder in home.folders():
                shutil.rmtree(folder)
        code, outcome, err = home.run(4)
        check(code == 0 and outcome["done"] == 4, (code, outcome, err))
    finally:
        home.kill_workers()
        subprocess.run(["umount", runs], check=True)
    check(home.states() == ["done"] * 4, home.states())


@case
def a_home_deleted_underfoot_is_noticed(home):
    for gone in ["isoloss.db", "."]:
        process = home.start(3, "--jobs", "2", fault={"*": {"sleep": 0.1}})
        check(until(lambda: len(home.folders()) == 2 and all(map(home.trained, home.folders()))), "no start")
        path = os.path.join(home.path, gone)
        os.rename(home.path, home.path + ".away") if gone == "." else os.remove(path)
        code, outcome, err = home.finish(process)
        check(code == 3 and "somebody removed or replaced it" in err and home.path in err, (code, outcome, err))
        check(outcome["failed"] == 0, outcome)
        shutil.rmtree(home.path, ignore_errors=True)
        if gone == ".":
            shutil.rmtree(home.path + ".away")
        os.makedirs(home.path, exist_ok=True)


@case
def going_on_under_another_library_is_kept(home):
    fault = {"0": {"crash_at": 7, "crash_always": True, "exit": 1}, "1": {"crash_at": 3, "crash_always": True, "exit": 1}}
    home.run(3, "--retries", "0", fault=fault)
    os.environ["GEMM"] = "another"
    try:
        code, outcome, err = home.run(3, "--retry-failed")
    finally:
        del os.environ["GEMM"]
    check(code == 0 and outcome["done"] == 3, (code, outcome, err))
    kept = home.query("SELECT resumed_under FROM run_table ORDER BY seed")
    said = "from step 5 on under gemm 'another' (before: 'none')"
    # One went on from its checkpoint, one began anew, one had ended.
    check(kept == [(said,), (None,), (None,)] and err.count("may differ in rounding") == 1 and said in err, (kept, err))


@case
def a_silent_worker_is_told_and_where_wanted_tried_again(home):
    message = "SELECT message FROM run_table WHERE seed = 0"

    def told():
        try:
            return "no event for" in (home.query(message) or [("",)])[0][0]
        except (sqlite3.OperationalError, TypeError):  # no table yet, no message
            return False

    process = home.start(2, "--stall-limit", "3", fault={"0": {"silent_at": 7, "silence": 9}})
    check(until(told) and "continues" in home.query(message)[0][0], "not told")
    check(home.query("SELECT state FROM run_table WHERE seed = 0") == [("running",)], "it is another state")
    code, outcome, err = home.finish(process)
    check(code == 0 and outcome["done"] == 2 and "stalled" in err, (code, outcome, err))
    check(home.query(message) == [(None,)], "the message stays")
    # Killed, it goes on from its checkpoint; with no try left it fails with that message.
    code, outcome, err = home.run(2, "--seeds", "10", "--stall-limit", "3", "--retry-stalled",
                                  fault={"10": {"silent_at": 7}})
    check(code == 0 and outcome["done"] == 2 and "killed (try 2 of 3 follows)" in err, (code, outcome, err))
    home.check_exact(4, "after the silence")
    code, outcome, err = home.run(1, "--seeds", "20", "--stall-limit", "3", "--retry-stalled", "--retries", "0",
                                  fault={"20": {"silent_at": 7}})
    check(code == 1 and outcome["failed"] == 1, (code, outcome, err))
    check("no event for" in home.query("SELECT message FROM run_table WHERE seed = 20")[0][0], "its message")


@case
def a_run_over_its_time_is_stopped_and_fails(home):
    fault = {"0": {"sleep": 0.4}}
    code, outcome, err = home.run(2, "--time-limit", "3", fault=fault)
    check(code == 1 and outcome["failed"] == 1 and outcome["done"] == 1, (code, outcome, err))
    message = home.query("SELECT message FROM run_table WHERE state = 'failed'")[0][0]
    check(re.match(r"stopped at its time limit of 3.0 s \(run.time_limit\) at step \d+; with a longer one", message), message)
    check("try 2" not in err, err)
    code, outcome, err = home.run(2, "--retry-failed")
    check(code == 0 and outcome["done"] == 2, (code, outcome, err))
    home.check_exact(2, "afterwards")


@case
def one_that_a_request_to_stop_ends_has_not_crashed(home):
    # A trainer that does not say `stopped`: it continues from its last checkpoint, without a try to spare.
    code, outcome, err = home.run(2, "--retries", "0", fault={"0": {"asked_at": [7, 13]}, "1": {"asked_at": [9], "by_shell": True}})
    check(code == 0 and outcome["done"] == 2 and err.count("preempted") == 3 and "crashed" not in err, (code, err))
    check("stopped from outside at step 13 (2 times); it continues from its last checkpoint" in err, err)
    home.check_exact(2, "after others asked it to stop")
    # As long as it comes further each time.
    code, outcome, err = home.run(1, "--seeds", "50", "--retries", "0", fault={"*": {"asked_at": [3, 3]}})
    check(code == 1 and outcome["failed"] == 1 and err.count("preempted") == 1, (code, err))
    check("killed by signal 15" in err, err)


@case
def memory_is_blamed_only_with_evidence(home):
    home.run(1, "--retries", "0", fault={"0": {"crash_at": 6, "crash_always": True}})
    message = home.query("SELECT message FROM runs")[0][0]
    check("killed by signal 9" in message and "memory" not in message, message)


@case
def ignored_signals_stay_ignored(home):
    """nohup and background jobs of scripts: a signal that was ignored when the coordinator began does not stop it."""
    def ignoring():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    process = home.start(2, fault={"0": {"sleep": 0.05}, "1": {"sleep": 0.05}}, preexec_fn=ignoring)
    time.sleep(0.5)
    for ignored in (signal.SIGHUP, signal.SIGINT):
        process.send_signal(ignored)
    code, outcome, err = home.finish(process)
    check(code == 0 and outcome["done"] == 2 and outcome["killed"] == 0, (code, outcome, err))
    process = home.start(1, fault={"0": {"sleep": 0.2}})  # those that were not do
    time.sleep(0.7)
    process.send_signal(signal.SIGHUP)
    check(home.finish(process)[0] != 0 or home.states() == ["done"] * 2, home.states())


@case
def a_fault_of_all_stops_early(home):
    fault = {"*": {"at_once": True, "message": "no device of that name"}}
    code, outcome, err = home.run(9, "--jobs", "1", fault=fault)
    check(code == 3 and outcome["pending"] == 9, (code, outcome, err))
    check("no device of that name" in err and "first 3 runs" in err, err)
    check(len(home.folders()) == 3, "more runs were started than needed")
    code, outcome, err = home.run(9, "--jobs", "3", fault={"*": {"at_once": True, "exit": 2}})
    check(code == 2 and outcome["pending"] == 9 and "cannot find the device" in err, (code, outcome, err))
    # A single run: its exit code tells whether the fault is its own.
    code, outcome, err = home.run(1, "--retries", "1", fault=fault)
    check(code == 3 and outcome["pending"] == 1 and "the run failed before its first step:\nno device" in err,
          (code, outcome, err))
    code, outcome, err = home.run(1, "--retries", "1", fault={"*": {"at_once": True, "exit": 1}})
    check(code == 1 and outcome["failed"] == 1, (code, outcome, err))
    code, outcome, err = home.run(5, "--keep-going", "--retries", "0", fault=fault)
    check(code == 1 and outcome["failed"] == 5, (code, outcome, err))
    code, outcome, err = home.run(9, "--retry-failed")
    check(code == 0 and outcome["done"] == 9, (code, outcome, err))


@case
def fail_fast_stops_the_others_cleanly(home):
    fault = {"*": {"sleep": 0.2}, "0": {"crash_at": 5, "crash_always": True, "exit": 2}}
    code, outcome, err = home.run(6, "--fail-fast", "--jobs", "2", fault=fault)
    check(code == 1 and outcome["failed"] == 1 and outcome["killed"] == 1 and outcome["pending"] == 4, (code, outcome, err))
    check(not home.workers(), "a worker was left")
    code, outcome, err = home.run(6, "--retry-failed")
    check(code == 0, (code, outcome, err))
    home.check_exact(6, "afterwards")


@case
def workers_of_a_killed_coordinator_are_adopted(home):
    fault = {"*": {"sleep": 0.04}}
    moments = [0.02, 0.1, 0.2, 0.35, 0.5, 0.8]
    for moment in moments:
        process = home.start(4, "--jobs", "2", fault=fault)
        time.sleep(moment)
        process.kill()
        process.communicate()
    code, outcome, err = home.run(4, "--jobs", "2", fault=fault)
    check(code == 0 and outcome["done"] == 4, (code, outcome, err))
    home.check_exact(4, "after kills of the coordinator")
    # Nobody was started twice: every step was trained once.
    for folder in home.folders():
        check(home.trained(folder) == list(range(1, STEPS + 1)), f"steps trained: {home.trained(folder)}")


@case
def an_adopted_worker_is_seen(home):
    process = home.start(2, fault={"*": {"sleep": 0.25}})
    check(until(lambda: len(home.folders()) == 2 and all(map(home.trained, home.folders()))), "no start")
    process.kill()
    process.communicate()
    workers = home.workers()
    check(len(workers) == 2, workers)
    process = home.start(2, fault={"*": {"sleep": 0.25}})
    told = ""
    while told.count("adopted") < 2 and process.poll() is None:
        told += process.stderr.readline()
    check(home.workers() - {process.pid} == workers, "other workers than before")
    process.send_signal(signal.SIGINT)
    code, outcome, err = home.finish(process)
    check(code == 1 and outcome["killed"] == 2 and told.count("adopted") == 2, (code, outcome, told, err))
    check(not home.workers(), "an adopted worker did not stop")
    code, outcome, err = home.run(2)
    check(code == 0, (code, outcome, err))
    home.check_exact(2, "afterwards")
    check(all(home.trained(folder) == list(range(1, STEPS + 1)) or len(home.trained(folder)) < STEPS + 5
              for folder in home.folders()), "trained again")


@case
def dead_workers_are_known_at_once(home):
    for moment in [0.15, 0.3, 0.45, 0.6]:
        process = home.start(3, "--jobs", "3", fault={"*": {"sleep": 0.05}})
        time.sleep(moment)
        process.kill()  # first, or it would start the workers again
        process.communicate()
        home.kill_workers()
        # Torn last lines, as a power cut leaves them while a run goes on.
        for folder in home.folders():
            path = os.path.join(folder, "events.jsonl")
            if os.path.exists(path) and '"event": "done"' not in open(path).read():
                with open(path, "ab") as log:
                    log.write(b'{"event":"step","step":3,"lo')
    started = time.time()
    code, outcome, err = home.run(3, "--jobs", "3")
    check(code == 0 and outcome["done"] == 3, (code, outcome, err))
    check("crashed" not in err, err)  # the deaths were no fault of the runs
    home.check_exact(3, "after the deaths")
    check(time.time() - started < 15, "waited for the dead")


@case
def ctrl_c_stops_cleanly_and_a_second_call_goes_on(home):
    process = home.start(4, "--jobs", "2", fault={"*": {"sleep": 0.1}})
    check(until(lambda: len(home.folders()) == 2 and all(map(home.trained, home.folders()))), "no start")
    process.send_signal(signal.SIGINT)
    code, outcome, err = home.finish(process)
    check(code == 1 and outcome["interrupted"] and outcome["killed"] == 2 and outcome["pending"] == 2, (code, outcome, err))
    check(not home.workers(), "a worker was left")
    messages = home.query("SELECT message FROM runs WHERE state = 'killed'")
    check(all(re.match(r"stopped at step \d+ of 20; isoloss run continues it", row[0]) for row in messages), messages)
    code, outcome, err = home.run(4)
    check(code == 0 and outcome["done"] == 4, (code, outcome, err))
    home.check_exact(4, "afterwards")


@case
def a_second_ctrl_c_kills(home):
    process = home.start(2, fault={"*": {"sleep": 0.3, "deaf": True}})
    check(until(lambda: len(home.folders()) == 2 and all(map(home.trained, home.folders()))), "no start")
    process.send_signal(signal.SIGINT)
    time.sleep(0.4)
    check(process.poll() is None and len(home.workers()) >= 2, "did not wait for the workers")
    started = time.time()
    process.send_signal(signal.SIGINT)
    code, outcome, err = home.finish(process)
    check(code == 1 and outcome["killed"] == 2 and time.time() - started < 4, (code, outcome, err))
    check(not home.workers(), "a worker was left")
    code, outcome, err = home.run(2)
    check(code == 0, (code, outcome, err))
    home.check_exact(2, "afterwards")


def started_for(home):
    """Processes that were started for a run of this home, by their environment."""
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if f"ISOLOSS_RUN={home.path}/".encode() in open(f"/proc/{pid}/environ", "rb").read() and lives(int(pid)):
                found.add(int(pid))
        except OSError:
            continue
    return found


def sleeping(processes):
    """Those that a worker leaves behind. One that was forked just now still has the worker's own command line."""
    found = set()
    for pid in processes:
        try:
            if b"sleep(60)" in open(f"/proc/{pid}/cmdline", "rb").read():
                found.add(pid)
        except OSError:
            continue
    return found


@case
def what_dead_workers_leave_keeps_nothing_alive(home):
    leaves = [False, True]
    for fault in [{"crash_at": 6}, {"crash_at": 6, "crash_always": True, "exit": 1}, {}]:
        started = time.time()
        code, outcome, err = home.run(2, "--seeds", str(len(fault) * 10), "--retries", "1",
                                      fault={"*": {**fault, "leaves": leaves}})
        ended = outcome["failed"] if "crash_always" in fault else outcome["done"]
        check(ended == 2 and code == ("crash_always" in fault), (fault, code, outcome, err))
        check(time.time() - started < 20 and not started_for(home), (fault, "something was left", started_for(home)))
    # Of a worker that died together with its coordinator: known to be dead, its children are ended, the run goes on.
    process = home.start(1, "--seeds", "5", fault={"5": {"sleep": 0.2, "leaves": leaves}})
    check(until(lambda: len(sleeping(started_for(home))) == 2), "no start")
    process.kill()
    process.communicate()
    left = sleeping(started_for(home))
    for pid in started_for(home) - left:
        os.kill(pid, signal.SIGKILL)
    check(until(lambda: started_for(home) == left) and len(left) == 2, left)
    code, outcome, err = home.run(1, "--seeds", "5")
    check(code == 0 and outcome["done"] == 1 and "adopted" not in err, (code, outcome, err))
    check(not started_for(home), "its children were left")


@case
def two_ctrl_c_always_end_it(home):
    process = home.start(2, fault={"*": {"sleep": 0.3, "deaf": True, "leaves": [False, True]}})
    check(until(lambda: len(home.folders()) == 2 and all(map(home.trained, home.folders()))), "no start")
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    code, outcome, err = home.finish(process)
    check(code == 1 and outcome["killed"] == 2 and not started_for(home), (code, outcome, err, started_for(home)))
    # Workers that were adopted, too.
    process = home.start(2, fault={"*": {"sleep": 0.3, "deaf": True, "leaves": [False, True]}})
    check(until(lambda: len(started_for(home)) >= 6), "no start")
    process.kill()
    process.communicate()
    process = home.start(2)
    told = ""
    while told.count("adopted") < 2 and process.poll() is None:
        told += process.stderr.readline()
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    code, outcome, err = home.finish(process)
    check(code == 1 and outcome["killed"] == 2 and not started_for(home), (code, outcome, err, started_for(home)))


@case
def one_coordinator_a_store(home):
    process = home.start(2, fault={"*": {"sleep": 0.05}})
    check(until(lambda: os.path.exists(os.path.join(home.path, "isoloss.db"))), "no start")
    code, outcome, err = home.run(2)
    check(code == 3 and str(process.pid) in err, (code, err))
    code, outcome, err = home.finish(process)
    check(code == 0, (code, err))
    home.check_exact(2, "the first one")


@case
def a_lost_database_is_made_again_from_the_logs(home):
    home.run(3, fault={"1": {"diverge_at": 9}})
    os.remove(os.path.join(home.path, "isoloss.db"))
    code, outcome, err = home.run(3)
    check(code == 0 and outcome["already"] == 3 and outcome["diverged"] == 1 and "started" not in err, (code, outcome, err))
    check(home.query("SELECT count(*) FROM metrics") == [(2 * (STEPS + 4) + 9 + 1,)], "metrics")


@case
def a_log_that_was_changed_is_read_again(home):
    process = home.start(1, fault={"*": {"sleep": 0.1}})
    check(until(lambda: home.folders() and len(home.trained(home.folders()[0])) > 7), "no start")
    process.kill()
    process.communicate()
    home.kill_workers()
    # As a worker that resumes from its checkpoint of step 5 cuts it, with another line after it.
    path = os.path.join(home.folders()[0], "events.jsonl")
    lines = open(path).readlines()
    keep = next(i for i, line in enumerate(lines) if "checkpoint" in line) + 1
    with open(path, "w") as log:
        log.writelines(lines[:keep])
        log.write(json.dumps({"event": "note", "text": "x" * 5000}) + "\n")
    with open(os.path.join(home.folders()[0], "state"), "w") as state:
        state.write("5")  # should it have come to the next one before it was killed
    code, outcome, err = home.run(1)
    check(code == 0, (code, outcome, err))
    home.check_exact(1, "afterwards")


@case
def readers_go_on_while_it_writes(home):
    process = home.start(3, fault={"*": {"sleep": 0.03}})
    check(until(lambda: os.path.exists(os.path.join(home.path, "isoloss.db"))), "no start")
    counts = []
    while process.poll() is None:
        try:
            counts.append(home.query("SELECT count(*) FROM metrics")[0][0])
        except sqlite3.OperationalError as error:
            check("no such table" in str(error), error)
        time.sleep(0.02)
    code, outcome, err = home.finish(process)
    check(code == 0 and counts == sorted(counts) and len(counts) > 5, (code, counts))
    home.check_exact(3, "while read")


@case
def a_store_that_others_lock_loses_nothing(home):
    process = home.start(3, fault={"*": {"sleep": 0.05}})
    check(until(lambda: any(map(home.trained, home.folders()))), "no start")
    other = sqlite3.connect(os.path.join(home.path, "isoloss.db"), timeout=20, isolation_level=None)
    reader = sqlite3.connect(os.path.join(home.path, "isoloss.db"), timeout=20)
    for _ in range(3):
        other.execute("BEGIN EXCLUSIVE")
        seen = reader.execute("SELECT count(*) FROM metrics").fetchone()  # a long transaction of reading begins here
        time.sleep(0.5)
        check(reader.execute("SELECT count(*) FROM metrics").fetchone() == seen, "others wrote under the lock")
        other.execute("ROLLBACK")
        time.sleep(0.1)
    other.close()
    code, outcome, err = home.finish(process)
    reader.close()
    check(code == 0 and outcome["done"] == 3, (code, outcome, err))
    home.check_exact(3, "after locks")
    check(all(home.trained(folder) == list(range(1, STEPS + 1)) for folder in home.folders()), "a step was trained twice")


@case
def one_of_six_fails_alone(home):
    code, outcome, err = home.run(6, "--retries", "0", fault={"3": {"crash_at": 7, "exit": 1, "message": "out of luck"}})
    check(code == 1 and outcome["done"] == 5 and outcome["failed"] == 1, (code, outcome, err))
    check(re.search(r"failed   [0-9a-f]{8}  seed 3: out of luck \(isoloss show [0-9a-f]{8}\)", err), err)
    check(home.query("SELECT seed, state, loss, message FROM run_table WHERE state <> 'done'") ==
          [(3, "failed", None, "out of luck")], "it has a loss")


@case
def long_logs_lose_their_middle(home):
    # Ten million lines, then bars of progress that a terminal would draw over one another.
    script = ("seq 1 10000000; for i in $(seq 1 300); do printf '\\r%3d of 300 steps' $i; done; printf '\\nthe cause\\n'; "
              "[ {seed} = 0 ] && exec sleep 60; exit 9")
    process = home.start(2, "--retries", "0", "--jobs", "2", trainer=["sh", "-c", script])
    check(until(lambda: home.folders() and home.states() == ["failed", "running"], 60), home.states())
    logs = [os.path.join(folder, "log.txt") for folder in home.folders()]

    def cut(log):
        with open(log, "rb") as file:
            return (b"# isoloss left out" in file.read(1 << 17) and 512 * os.stat(log).st_blocks <= 64 << 20 and
                    file.seek(-10, os.SEEK_END) and file.read() == b"the cause\n")

    check(until(lambda: all(map(cut, logs)), 60), "of a worker that lives too")
    for log in logs:
        lines = open(log, newline="\n").read().split("\n")
        left_out = [i for i, line in enumerate(lines) if line.startswith("# isoloss left out what stood here")]
        check(lines[1].startswith("$ ") and lines[2] == "1" and len(left_out) == 1, lines[:3], left_out)
        check(lines[left_out[0] + 1].strip("\0").isdigit() and lines[-4] == "10000000" and lines[-2] == "the cause", [line[:80] for line in lines[-4:]])
    message = home.query("SELECT message FROM runs WHERE state = 'failed'")[0][0]
    check(message.endswith("\n10000000\n300 of 300 steps\nthe cause") and len(message) < 200, message)
    process.send_signal(signal.SIGTERM)
    home.finish(process)


@case
def a_full_disk_loses_nothing(home):
    # A limit on the size of files stands in for a full disk: the database cannot grow, later the logs cannot either.
    for limit in [30000, 60000, 150000]:
        process = home.start(6, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY)))
        code, outcome, err = home.finish(process)
        check(code in (0, 1, 3), (limit, code, outcome, err))
        check(code == 0 or "isoloss.db" in err or "failed" in err, (limit, code, err))
        check(not home.workers(), "a worker was left")
    code, outcome, err = home.run(6, "--retry-failed")
    check(code == 0 and outcome["done"] == 6, (code, outcome, err))
    home.check_exact(6, "after there was room again")


@case
def bad_environments_are_told(home):
    code, outcome, err = home.run(2, home="/dev/null/home")
    check(code == 3 and "/dev/null" in err, (code, err))
    code, outcome, err = home.run(2, trainer=["/no/such/program", "{config}"])
    check(code == 3 and "/no/such/program" in err, (code, err))
    check(home.states() == ["pending", "pending"], home.states())
    code, outcome, err = home.run(2)
    check(code == 0, (code, err))
    path = os.path.join(home.path, "isoloss.db")
    with open(path, "r+b") as database:
        database.write(b"this is not a database any more, is it" * 10)
    before = open(path, "rb").read()
    code, outcome, err = home.run(2)
    check(code == 3 and "damaged" in err and "Nothing of the runs is lost" in err, (code, err))
    check(open(path, "rb").read() == before, "the damaged file was touched")
    os.remove(path)
    code, outcome, err = home.run(2)
    check(code == 0 and outcome["already"] == 2, (code, outcome, err))
    home.check_exact(2, "made again")


@case
def an_unwritable_home_is_told(home):
    if os.getuid() == 0:
        # Root writes anywhere: be nobody.
        become = lambda: (os.setgid(65534), os.setuid(65534))
    else:
        become = lambda: None
    # Nobody may not be let into the folder that isoloss was built in (/root): a copy that he can reach.
    driver = shutil.copy(DRIVER, home.path)
    os.chmod(home.path, 0o555)
    process = home.start(1, driver=driver, cwd="/", preexec_fn=become)
    code, outcome, err = home.finish(process)
    os.chmod(home.path, 0o755)
    check(code == 3 and home.path in err, (code, err))


@case
def fills_in_the_template(home):
    script = ('printf \'%s\\n\' "$@" > "$0"/given; printf \'{"event":"done","loss":1.5,"tokens":320}\\n\' >> '
              '"$ISOLOSS_EVENTS"')
    code, outcome, err = home.run(1, "--seeds", "7", trainer=["sh", "-c", script, "{folder}", "{id}", "{seed}", "lr={train.lr}",
                                                              "{model.tied_head}", "{unknown}", "{format}"])
    check(code == 0 and outcome["done"] == 1, (code, outcome, err))
    folder = home.folders()[0]
    given = open(os.path.join(folder, "given")).read().split("\n")
    check(given == [os.path.basename(folder), "7", "lr=0.003", "false", "{unknown}", "none", ""], given)
    row = home.query("SELECT loss, tokens, wall_seconds > 0, bits_per_byte FROM runs")[0]
    check(row[:3] == (1.5, 320, 1) and abs(row[3] - 1.5 / 0.6931471805599453) < 1e-12, row)


def gpus_used(home):
    """(GPU, seed, runs on it then) of each start, in order."""
    rows = [line.split() for line in open(os.path.join(home.path, "gpus", "used"))]
    return [(gpu, int(seed), int(sharing)) for gpu, seed, sharing in rows]


@case
def hands_out_gpus(home):
    # One run a GPU where nothing is known of memory: two runs on one would fail.
    alone = {"*": {"sleep": 0.01, "share": 1}}
    code, outcome, err = home.run(5, "--gpus", "0,3", fault=alone)
    check(code == 0 and outcome["done"] == 5, (code, outcome, err))
    home.check_exact(5, "two GPUs")
    used = gpus_used(home)
    check({gpu for gpu, _, _ in used} == {"0", "3"} and len(used) == 5, used)
    check(" on GPU 3" in err, err)
    head = open(os.path.join(home.folders()[0], "log.txt")).read()
    check(re.search(r"\n\$ .*CUDA_DEVICE_ORDER=PCI_BUS_ID CUDA_VISIBLE_DEVICES=[03] ", head), head)


@case
def packs_gpus_by_memory(home):
    # 10 GB a GPU, 4 GB a run: two side by side, never three; runs of 16 GB are tried alone.
    options = ("--gpus", "0", "--gpu-memory", "10G", "--memory", str(4 * 2**30))
    fault = {"*": {"sleep": 0.02, "share": 2}}
    code, outcome, err = home.run(4, *options, fault=fault)
    check(code == 0 and outcome["done"] == 4, (code, outcome, err))
    shares = [sharing for _, _, sharing in gpus_used(home)]
    check(max(shares) == min(2, len(os.sched_getaffinity(0))) and len(shares) == 4, shares)
    code, outcome, err = home.run(2, *options, "--seeds", "100", "--experiment", "large",
                                  fault={"*": {"sleep": 0.01, "share": 1}})
    check(code == 0 and outcome["done"] == 2, (code, outcome, err))
    # A number instead: three on each, whatever is known.
    code, outcome, err = home.run(6, *options, "--per-gpu", "3", "--seeds", "200", "--experiment", "three",
                                  fault={"*": {"sleep": 0.05, "share": 3}})
    check(code == 0 and outcome["done"] == 6, (code, outcome, err))
    check(max(sharing for _, seed, sharing in gpus_used(home) if seed >= 200) == 3, gpus_used(home))


@case
def keeps_step_and_loss_on_narrow_terminals(home):
    for columns in (40, 30, 80):
        try:
            ours, its = pty.openpty()
        except OSError:
            return "there are no pseudo-terminals here"
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        environment = {**os.environ, "TERM": "xterm", "FAKE": json.dumps({"*": {"sleep": 0.05}})}
        process = subprocess.Popen([DRIVER, home.path, "2", "--seeds", str(100 + columns), "--experiment", f"e{columns}",
                                    "--", *TRAINER], env=environment, stdout=subprocess.DEVNULL, stderr=its)
        os.close(its)
        said = b""
        try:
            while piece := os.read(ours, 65536):
                said += piece
        except OSError:  # the other end is closed
            pass
        os.close(ours)
        check(process.wait(timeout=30) == 0, said)
        lines = re.sub("\x1b\\[[0-9]*[A-Za-z]", "", said.decode()).replace("\r", "").split("\n")
        lines = [line for line in lines if re.search(r"\d+/20\b", line)]
        check(lines and all(len(line) < columns for line in lines), columns, *lines[:3])
        check(all(re.search(r"\d+/20  loss \d\.\d+$", line) for line in lines[-2:]), columns, *lines[-2:])


def most_at_once(err):
    """By what the coordinator says of starts and ends."""
    now = most = 0
    for line in err.splitlines():
        now += line.startswith("started ") - line.startswith("done ")
        most = max(most, now)
    return most


@case
def packs_cores_by_memory(home):
    # Room for two of three: never more side by side, with --jobs too; what is larger than all of it runs alone.
    fault = {"*": {"sleep": 0.05, "share": 3}}
    for jobs in ([], ["--jobs", "3"]):
        seeds = ["--seeds", str(10 * len(jobs)), "--experiment", f"packed{len(jobs)}"]
        code, outcome, err = home.run(4, "--memory", "4e9", "--memory-limit", "9e9", *jobs, *seeds, fault=fault)
        check(code == 0 and outcome["done"] == 4, (code, outcome, err))
        check(most_at_once(err) == min(2, len(os.sched_getaffinity(0)) if not jobs else 2), jobs)
    code, outcome, err = home.run(2, "--memory", "4e9", "--memory-limit", "9e9", "--jobs", "2", "--seeds", "100",
                                  "--experiment", "large", fault=fault)
    check(code == 0 and outcome["done"] == 2 and most_at_once(err) == 1, (code, outcome, err))


@case
def tries_crowded_runs_again_alone(home):
    # The plan holds two on the GPU, the runs do not: who dies is tried again, from its checkpoint, without company.
    code, outcome, err = home.run(3, "--gpus", "0", "--gpu-memory", "10G", "--memory", str(2**30),
                                  fault={"*": {"sleep": 0.02, "share": 1}})
    check(code == 0 and outcome["done"] == 3, (code, outcome, err))
    home.check_exact(3, "one at a time in the end")
    used = gpus_used(home)
    if len(os.sched_getaffinity(0)) > 1:
        check(any(sharing == 2 for _, _, sharing in used) and "out of memory" in err, (used, err))


@case
def resumes_killed_runs_on_gpus(home):
    # Two on each of two GPUs; all four are killed half-way, and go on from their checkpoints on a GPU.
    process = home.start(4, "--gpus", "0,1", "--per-gpu", "2", fault={"*": {"sleep": 0.15, "share": 2}})
    check(until(lambda: len(home.folders()) == 4 and all(len(home.trained(folder)) > 6 for folder in home.folders())),
          "four runs under way")
    home.kill_workers(process.pid)
    out, err = process.communicate()
    killed = err.count("killed by signal 9")
    check(process.returncode == 0 and killed == err.count("(try 2 of 3 follows)") == 4, (process.returncode, err))
    home.check_exact(4, "after the kills")
    check(home.query("SELECT attempts FROM runs") == [(2,)] * 4, "attempts")
    again = [len(home.trained(folder)) - STEPS for folder in home.folders()]
    check(all(0 <= steps < 6 for steps in again), f"steps trained twice: {again}")
    used = gpus_used(home)
    check(len(used) == 8 and max(sharing for _, _, sharing in used) == 2, used)


@case
def adopts_workers_with_their_gpus(home):
    fault = {"*": {"sleep": 0.1, "share": 1}}
    process = home.start(3, "--gpus", "0,1", fault=fault)
    check(until(lambda: len(home.workers()) == 2), "two workers")
    check(until(lambda: home.states().count("running") == 2), home.states())
    process.kill()
    process.communicate()
    code, outcome, err = home.run(3, "--gpus", "0,1", fault=fault)
    check(code == 0 and outcome["done"] == 3 and err.count("adopted") == 2, (code, outcome, err))
    home.check_exact(3, "adopted")


@case
def gpu_lists_are_checked(home):
    tools = os.path.join(home.path, "tools")
    os.mkdir(tools)
    smi = os.path.join(tools, "nvidia-smi")
    with open(smi, "w") as script:
        script.write("#!/bin/sh\necho '0, GPU-aaaa, 16384'\necho '1, GPU-bbbb, 81559'\n")
    os.chmod(smi, 0o755)
    path = {"PATH": tools + ":" + os.environ["PATH"]}

    def given(gpus, *more, with_smi=True):
        environment = {**os.environ, "FAKE": "{}", **(path if with_smi else {})}
        process = subprocess.run([DRIVER, home.path, "1", "--gpus", gpus, *more, "--", *TRAINER], env=environment,
                                 capture_output=True, text=True)
        return process.returncode, process.stderr

    for gpus, code, what in [("", 2, "a list such as"), ("0,,1", 2, "a list such as"), ("0,x", 2, "'x' is neither"),
                             ("1,1", 2, "named twice"), ("7", 3, "there is no GPU 7: nvidia-smi knows 0,1")]:
        got, err = given(gpus)
        check(got == code and what in err, (gpus, got, err))
    got, err = given("0", "--gpu-memory", "much")
    check(got == 2 and "--gpu-memory 'much'" in err, (got, err))
    if not shutil.which("nvidia-smi"):
        got, err = given("all", with_smi=False)
        check(got == 3 and "nvidia-smi" in err, (got, err))
    got, err = given("GPU-bbbb")
    check(got == 0 and gpus_used(home) == [("GPU-bbbb", 0, 1)], (got, err))
    got, err = given("all", "--seeds", "5")
    check(got == 0 and gpus_used(home)[-1][0] in ("0", "1"), (got, err))

    # What a scheduler left visible: numbers count within it, and `all` is it.
    def visible(text, gpus, seed):
        path["CUDA_VISIBLE_DEVICES"] = text
        got, err = given(gpus, "--seeds", str(seed))
        del path["CUDA_VISIBLE_DEVICES"]
        return got, err, gpus_used(home)[-1]

    for text, gpus, seed, gpu in [("1", "0", 20, "1"), ("1", "all", 21, "1"), ("GPU-bbbb,0", "0", 22, "GPU-bbbb"),
                                  ("1", "GPU-bbbb", 23, "GPU-bbbb"), ("1,-1,0", "all", 24, "1")]:
        got, err, used = visible(text, gpus, seed)
        check(got == 0 and used == (gpu, seed, 1), (text, gpus, got, err, used))
    for text, gpus, what in [("1", "1", "CUDA_VISIBLE_DEVICES=1 leaves 1, counted from 0"),
                             ("1", "GPU-aaaa", "GPU-aaaa is not visible here"), ("", "all", "leaves no GPU"),
                             ("-1", "0", "leaves no GPU")]:
        got, err, _ = visible(text, gpus, 30)
        check(got == 3 and what in err, (text, gpus, got, err))


@case
def odd_gpus_are_understood(home):
    # A whole card, one split into instances of MIG, one for one process at a time, one for none; memory not there.
    tools = os.path.join(home.path, "tools")
    os.mkdir(tools)
    with open(os.path.join(tools, "nvidia-smi"), "w") as script:
        script.write('''#!/bin/sh
if [ "$1" = -L ]; then
  echo 'GPU 0: NVIDIA H100 (UUID: GPU-aaaa)'
  echo 'GPU 1: NVIDIA H100 (UUID: GPU-bbbb)'
  echo '  MIG 1g.10gb     Device  0: (UUID: MIG-cccc)'
  echo '  MIG 2g.20gb     Device  1: (UUID: MIG-dddd)'
else
  echo '0, GPU-aaaa, [N/A], [N/A], Default'
  echo '1, GPU-bbbb, 81559, Enabled, Default'
  echo '2, GPU-eeee, 81559, Disabled, Exclusive_Process'
  echo '3, GPU-ffff, 81559, Disabled, Prohibited'
fi
''')
    os.chmod(os.path.join(tools, "nvidia-smi"), 0o755)
    environment = {**os.environ, "PATH": tools + ":" + os.environ["PATH"]}
    environment.pop("CUDA_VISIBLE_DEVICES", None)

    def given(count, gpus, *more, fault):
        process = subprocess.run([DRIVER, home.path, str(count), "--gpus", gpus, *more, "--", *TRAINER],
                                 env={**environment, "FAKE": json.dumps(fault)}, capture_output=True, text=True)
        return process.returncode, process.stderr

    slow = {"*": {"sleep": 0.02, "share": 1}}
    got, err = given(4, "all", fault=slow)
    check(got == 0 and {gpu for gpu, _, _ in gpus_used(home)} <= {"0", "MIG-cccc", "MIG-dddd", "2"}, (got, err))
    # 4 GiB a run: two on the instance of 20 GB; never two where one process is let in, whatever is asked for.
    got, err = given(2, "MIG-dddd", "--memory", str(4 * 2**30), "--seeds", "10", fault={"*": {"sleep": 0.05, "share": 2}})
    check(got == 0, (got, err))
    if len(os.sched_getaffinity(0)) > 1:
        check(max(sharing for _, seed, sharing in gpus_used(home) if seed >= 10) == 2, gpus_used(home))
    got, err = given(3, "2", "--per-gpu", "3", "--seeds", "20", fault=slow)
    check(got == 0 and {sharing for _, seed, sharing in gpus_used(home) if seed >= 20} == {1}, (got, err))
    # The card that is split: which instance it stands for is CUDA's choice, so that its memory says nothing.
    got, err = given(2, "1", "--memory", str(4 * 2**30), "--seeds", "30", fault=slow)
    check(got == 0, (got, err))
    got, err = given(1, "3", fault=slow)
    check(got == 3 and "takes no work" in err, (got, err))
    got, err = given(1, "MIG-dddd", "--memory", str(19 * 2**30), "--seeds", "40", fault=slow)
    check(got == 0, (got, err))
    got, err = given(1, "MIG-dddd", "--mps", "--seeds", "50", fault=slow)
    check(got == 2 and "of MIG, which MPS is not used with" in err, (got, err))


@case
def mps_is_started_and_stopped(home):
    # A service in a folder of its own, which workers are told of and which is gone afterwards; one that is there already
    # is used; one that does not start is an error, and somebody else's is left alone.
    tools = os.path.join(home.path, "tools")
    said = os.path.join(home.path, "mps-said")
    os.mkdir(tools)
    with open(os.path.join(tools, "nvidia-smi"), "w") as script:
        script.write("#!/bin/sh\necho '0, GPU-aaaa, 81559, [N/A], Exclusive_Process'\n")
    with open(os.path.join(tools, "nvidia-cuda-mps-control"), "w") as script:
        script.write(f'''#!/bin/sh
running=$CUDA_MPS_PIPE_DIRECTORY/running
[ ! -e "{home.path}/refuses" ] || exit 1
if [ "${{1:-}}" = -d ]; then
  [ -d "$CUDA_MPS_LOG_DIRECTORY" ] && : >"$running"
  echo "start ${{CUDA_VISIBLE_DEVICES:-all}} $CUDA_DEVICE_ORDER" >>{said}
else
  read -r line
  [ -e "$running" ] || exit 1
  echo "$line" >>{said}
  case $line in quit*) rm "$running" ;; esac
fi
''')
    for tool in os.listdir(tools):
        os.chmod(os.path.join(tools, tool), 0o755)
    environment = {**os.environ, "PATH": tools + ":" + os.environ["PATH"], "CUDA_VISIBLE_DEVICES": "0"}
    environment.pop("CUDA_MPS_PIPE_DIRECTORY", None)
    tell = ('echo "$CUDA_MPS_PIPE_DIRECTORY" >>"$0"; sleep 0.2; printf \'{"event":"done","loss":1.5,"tokens":320}\\n\' >> '
            '"$ISOLOSS_EVENTS"')
    pipes = os.path.join(home.path, "pipes")

    def given(seed, *more, **extra):
        process = subprocess.run([DRIVER, home.path, "2", "--gpus", "0", "--per-gpu", "2", "--mps", "--seeds", str(seed), *more,
                                  "--", "sh", "-c", tell, pipes], env={**environment, **extra}, capture_output=True, text=True)
        return process.returncode, process.stderr

    def told():
        text = open(said).read().splitlines() if os.path.exists(said) else []
        if os.path.exists(said):
            os.remove(said)
        return text

    got, err = given(0)
    folders = set(open(pipes).read().split())
    check(got == 0 and told() == ["start all PCI_BUS_ID", "quit -t 10"], (got, err))
    check(len(folders) == 1 and not os.path.exists(min(folders)), folders)
    # One that a killed runner left.
    folder = min(folders)
    os.mkdir(folder, 0o700)
    open(os.path.join(folder, "running"), "w").close()
    got, err = given(10)
    check(got == 0 and told() == ["get_server_list", "quit -t 10"] and not os.path.exists(folder), (got, err))
    # Somebody else's.
    os.remove(pipes)
    got, err = given(20, CUDA_MPS_PIPE_DIRECTORY="/elsewhere")
    check(got == 0 and told() == [] and set(open(pipes).read().split()) == {"/elsewhere"}, (got, err))
    open(os.path.join(home.path, "refuses"), "w").close()
    got, err = given(30)
    check(got == 3 and "nvidia-cuda-mps-control does not start" in err, (got, err))
    shutil.rmtree(folder)
    os.mkdir(folder, 0o755)
    got, err = given(40)
    check(got == 3 and "not a folder of this user's alone" in err, (got, err))
    os.rmdir(folder)


finish()
