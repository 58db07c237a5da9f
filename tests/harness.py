"""What the tests in Python share: TAP on standard output, and the program under test run in a scratch folder.

A test is a script that puts this folder in front of sys.path; its first argument is the program under test.
check(holds, what, *details) at the top level of the script is a TAP case of its own. In a function under @case, which
runs at once, only checks that fail are told, an exception is a failure, and a text that the function returns is why it
was skipped. After side_by_side(N) such functions run in processes of their own, N at a time. finish() prints the plan and
ends the script. The scratch folder is removed as the script ends.
"""
import collections
import itertools
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback

# A shell's background job ignores SIGINT, what nohup starts SIGHUP: the programs under test would inherit and keep to that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
program = os.path.abspath(sys.argv[1])
_folder = tempfile.TemporaryDirectory(prefix="isoloss-test-")
scratch = _folder.name
environment = {**os.environ, "NO_COLOR": "1", "ISOLOSS_HOME": os.path.join(scratch, "home"),
               "XDG_CACHE_HOME": os.path.join(scratch, "cache")}
Done = collections.namedtuple("Done", "code out err")
_cases = 0
_failed_cases = 0
_failures = None  # of the case that runs; None at the top level
_slots = 0  # cases that run side by side; 0: each where it stands
_running = []  # (process, file of its output), in the order of the script


def _tell(text):
    told = "# " + text.replace("\n", "\n# ")
    print(told, flush=True)
    print(told, file=sys.stderr, flush=True)  # all that meson shows of a TAP test


def _end_case(holds, name):
    global _cases, _failed_cases
    _cases += 1
    _failed_cases += not holds
    print(f"{'' if holds else 'not '}ok {_cases} - {name}", flush=True)


def check(holds, what, *details):
    global _failures
    if not holds:
        _tell("\n".join([f"failed at line {_line_of_test()}: {what}", *map(str, details)]))
    if _failures is None:
        _end_case(holds, what)
    elif not holds:
        _failures += 1


def _line_of_test():
    frame = sys._getframe(1)
    while frame.f_back and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    return frame.f_lineno


def side_by_side(slots):
    """From here on each case is a process of its own, as many at a time, told of in their order: for tests that wait more
    than they compute. Cases then share files and what the script made before them, but no variables."""
    global _slots
    _slots = slots


def case(test):
    if _slots:
        _start_case(test)
    else:
        _run_case(test)


def _start_case(test):
    while sum(os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None for process, _ in _running) >= _slots:
        time.sleep(0.02)
    out = tempfile.TemporaryFile("w+", encoding="utf-8")
    sys.stdout.flush()
    process = os.fork()
    if process:
        _running.append((process, out))
        return
    try:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
        _run_case(test)
        os._exit(0)
    finally:
        os._exit(1)


def join():
    """Waits for the cases that run, since what comes now needs what they made."""
    while _running:
        process, out = _running.pop(0)
        _, status = os.waitpid(process, 0)
        out.seek(0)
        lines = out.read().splitlines()
        out.close()
        ended = re.fullmatch(r"(not )?ok \d+ - (.*)", lines.pop() if lines and not status else "")
        if not ended:
            lines.append(f"# a case ended with the status {status}")
        for line in dict.fromkeys(lines):  # those of both outputs
            print(line, file=sys.stderr, flush=True)
            print(line if line.startswith("#") else "# " + line, flush=True)
        _end_case(ended and not ended.group(1), ended.group(2) if ended else "a case")


def _run_case(test):
    global _failures
    _failures = 0
    skipped = None
    try:
        skipped = test()
    except Exception:  # a test that breaks is a test that failed
        _tell(traceback.format_exc().rstrip())
        _failures += 1
    failures, _failures = _failures, None
    _end_case(not failures, test.__name__ + (f" # SKIP {skipped}" if skipped and not failures else ""))


def finish():
    join()
    print(f"1..{_cases}")
    sys.exit(1 if _failed_cases else 0)


def near(got, want, relative, what):
    check(got is not None and abs(got - want) <= relative * abs(want), f"{what}: got {got}, want {want}")


def path_of(*names):
    """A path in the scratch folder."""
    return os.path.join(scratch, *names)


def write(name, text):
    with open(path_of(name), "w", encoding="utf-8") as file:
        file.write(text)
    return path_of(name)


def start(*arguments, home="home", cwd=scratch, program=program, **variables):
    """The program, running. home: ISOLOSS_HOME, a folder in the scratch folder unless it is a path; variables: of its
    environment."""
    variables = {**environment, "ISOLOSS_HOME": path_of(home), **variables}
    return subprocess.Popen([program, *arguments], env=variables, cwd=cwd, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def no_result(out, arguments):
    """What a failed command leaves on standard output: nothing, or with --json the document of its failure."""
    return json.loads(out)["ok"] is False if "--json" in arguments else not out


def run(*arguments, code=None, timeout=500, **options):
    """What the program did: (code, out, err). With code given it is checked that the program ended so."""
    with start(*arguments, **options) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    if code is not None:
        told = " ".join(map(str, arguments)).replace(scratch, "")[:60]
        check(process.returncode == code, f"isoloss {told} ends with {code}", f"ended with {process.returncode}", out,
              err)
    return Done(process.returncode, out, err)


def gnuplot_that_fails(number, how):
    """A function that gives a PATH whose gnuplot is the one that there is, but at its use of that number a shell does `how`."""
    folder, count = path_of("failing gnuplot"), path_of("failing gnuplot", "count")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "gnuplot"), "w", encoding="utf-8") as file:
        file.write(f"#!/bin/sh\necho x >> '{count}'\nif [ $(grep -c x '{count}') -eq {number} ]; then {how}; fi\n"
                   f"exec '{shutil.which('gnuplot')}' \"$@\"\n")
    os.chmod(os.path.join(folder, "gnuplot"), 0o755)

    def again():
        if os.path.exists(count):
            os.remove(count)
        return folder + os.pathsep + environment["PATH"]
    return again


def document(*arguments, **options):
    """The document that the program prints with --json, and nothing else."""
    return json.loads(run(*arguments, "--json", code=0, **options).out)


def select(home, sql):
    """Rows of a home's store."""
    database = sqlite3.connect(path_of(home, "isoloss.db"), timeout=20)
    try:
        return database.execute(sql).fetchall()
    finally:
        database.close()


def _migration(version):
    """The text that brings a store to this version; None: there is none."""
    try:
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "results", f"migration-{version}.sql"),
                  encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return None


def newest_version():
    """Of the store's tables."""
    return next(version for version in itertools.count(2) if _migration(version + 1) is None)


def take_back_to_version_7(database):
    """Makes a store as it was before suites, and all that came after them."""
    added = []
    for version in range(8, newest_version() + 1):
        text = _migration(version)
        added += re.findall(r"^ALTER TABLE runs ADD COLUMN (\w+)", text, re.M)
        for table in re.findall(r"^CREATE TABLE (\w+)", text, re.M):
            if f"DROP TABLE {table};" not in text:  # else it was there before, and is made anew on the way
                database.execute(f"DROP TABLE {table}")
    _drop_columns(database, added)
    database.execute("PRAGMA user_version = 7")


def take_back_to_version_4(database):
    """Makes a store as it was before stages, marks, halving and trunks."""
    take_back_to_version_7(database)
    for table in "marks", "halvings", "layers":
        database.execute(f"DROP TABLE {table}")
    _drop_columns(database, ["weight_error", "stored_bits", "root_loss", "kl", "top1_agreement", "top1_accuracy", "recovery",
                             "first_divergence", "halved_at", "trunk", "trunk_step", "trunk_seconds",
                             "output_error", "error_over_bound", "pivot_trace", "clipped", "predicted_increase"])
    database.execute("PRAGMA user_version = 4")


def _drop_columns(database, columns):
    for view in "run_table", "metric_table":
        database.execute(f"DROP VIEW IF EXISTS {view}")
    database.execute("PRAGMA foreign_keys = OFF")
    # SQLite takes no column out of a table whose definition has comments.
    definition = database.execute("SELECT sql FROM sqlite_master WHERE name = 'runs'").fetchone()[0]
    plain = re.sub("--[^\n]*", "", definition)
    database.execute(re.sub('^CREATE TABLE "?runs"?', "CREATE TABLE plain", plain))
    database.execute("INSERT INTO plain SELECT * FROM runs")
    database.execute("DROP TABLE runs")
    database.execute("ALTER TABLE plain RENAME TO runs")
    for column in columns:
        database.execute(f"ALTER TABLE runs DROP COLUMN {column}")
