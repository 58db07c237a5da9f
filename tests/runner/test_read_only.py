"""A home that others may only read: what reads it works, what writes says so; also while its owner writes, and on a
read-only mount.

test_read_only.py ISOLOSS: ISOLOSS is the front; isoloss-train stands beside it. Needs root, to be somebody else. Prints
TAP.
"""
import json
import os
import shutil
import sqlite3
import subprocess
import sys

sys.path.insert(0, os.path.join(sys.path[0], ".."))
import harness  # noqa: E402
from harness import case, check, finish, path_of, select, write  # noqa: E402

NOBODY = 65534
SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
SPEC = """experiment: shared
corpus: {source: markov2}
base:
  model: {layers: 1, context: 32, dtype: float32}
  train: {batch_tokens: 256, evals: 4, eval_tokens: 1024, final_eval_tokens: 4096, checkpoint_steps: 50, log_steps: 20}
sweep:
  - grid: {model.width: [16, 32, 48], train.steps: [20, 40, 80]}
fit:
  - {law: chinchilla, bootstrap: 0}
"""
if os.getuid() != 0:
    print("1..0 # SKIP not root: cannot be another user")
    sys.exit(0)
os.chmod(harness.scratch, 0o755)
spec = write("shared.yaml", SPEC)
elsewhere = path_of("elsewhere")


def install():
    """The programs where nobody can reach them: he may not be let into the folder that isoloss was built in."""
    for name in ["isoloss", "isoloss-train"]:
        shutil.copy(os.path.join(os.path.dirname(harness.program), name), path_of(name))
    os.makedirs(path_of("share"))
    shutil.copytree(os.path.join(SOURCE, "fitting", "laws"), path_of("share", "laws"))
    os.mkdir(elsewhere)
    os.chown(elsewhere, NOBODY, NOBODY)


def as_nobody(*arguments, home="home"):
    """(code, out, err) of isoloss as a user who may only read."""
    def become():
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    variables = {**harness.environment, "ISOLOSS_HOME": path_of(home), "XDG_CACHE_HOME": elsewhere,
                 "ISOLOSS_DATA": path_of("share")}
    done = subprocess.run([path_of("isoloss"), *arguments], env=variables, cwd=elsewhere, preexec_fn=become,
                          capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def reads(home="home", runs=9):
    """Everything that only reads, by name and by spec; what may not be kept is said."""
    run = select(home, "SELECT id FROM runs LIMIT 1")[0][0]
    page = os.path.join(elsewhere, "page.html")
    for arguments in [["status"], ["status", spec], ["runs"], ["runs", spec], ["show", run[:8]], ["fit", spec],
                      ["fit", "shared"], ["fit", spec, "--law", "power-law", "--json"], ["plan", spec],
                      ["report", spec, "-o", page], ["report", "shared", "--json"]]:
        code, out, err = as_nobody(*arguments, home=home)
        check(code == 0 and out, (home, arguments, code, out, err))
        kept = arguments[0] == "fit" and "--law" not in arguments
        check(kept == ("is not kept: the store in" in err), (home, arguments, err))
    code, out, err = as_nobody("runs", spec, "--json", home=home)
    rows = json.loads(out) if code == 0 else []
    check(len(rows) == 9 and sum(row["state"] == "done" for row in rows) == runs, (home, rows))


@case
def prepares():
    install()
    check(harness.run("run", spec, "-q").code == 0, "run")


@case
def reads_what_others_may_only_read():
    before = sorted(os.listdir(path_of("home")))
    reads()
    check(sorted(os.listdir(path_of("home"))) == before, "something was left in the home")
    check(select("home", "SELECT count(*) FROM fits") == [(0,)], "a fit was kept")


@case
def says_where_writing_is_needed():
    for arguments in [["run", spec], ["run", spec, "--set", "train.lr=0.01"], ["report", spec],
                      ["import", write("table.csv", "N,D,loss\n1e6,1e7,3\n"), "--as", "table"]]:
        code, out, err = as_nobody(*arguments)
        check(code == 3 and path_of("home") in err and "ermission" in err, (arguments, code, out, err))
        check(err.count("isoloss:") == 1, err)


@case
def reads_while_its_owner_writes():
    writer = sqlite3.connect(path_of("home", "isoloss.db"))
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("UPDATE runs SET message = 'half done'")
    reads()
    writer.rollback()
    # A change that is still in the log, with its writer there, counts.
    writer.execute("PRAGMA wal_autocheckpoint = 0")
    with writer:
        writer.execute("UPDATE runs SET state = 'killed' WHERE id = (SELECT min(id) FROM runs)")
    check(os.path.getsize(path_of("home", "isoloss.db-wal")) > 0, "no log")
    reads(runs=8)
    writer.close()
    with sqlite3.connect(path_of("home", "isoloss.db")) as back:
        back.execute("UPDATE runs SET state = 'done'")
    back.close()


@case
def a_log_without_its_index_is_told():
    """As copied: changes that wait beside a file that cannot be opened with them."""
    shutil.copytree(path_of("home"), path_of("torn"), ignore=shutil.ignore_patterns("runs"))
    writer = sqlite3.connect(path_of("torn", "isoloss.db"))
    writer.execute("PRAGMA wal_autocheckpoint = 0")
    with writer:
        writer.execute("UPDATE runs SET message = 'later'")
    log = open(path_of("torn", "isoloss.db-wal"), "rb").read()
    writer.close()
    with open(path_of("torn", "isoloss.db-wal"), "wb") as left:
        left.write(log)
    code, out, err = as_nobody("runs", home="torn")
    check(code == 3 and "changes wait in isoloss.db-wal" in err, (code, out, err))


@case
def reads_an_older_store():
    shutil.copytree(path_of("home"), path_of("older"))
    with sqlite3.connect(path_of("older", "isoloss.db")) as database:
        harness.take_back_to_version_4(database)
        database.execute("PRAGMA user_version = 2")
        database.execute("PRAGMA foreign_keys = OFF")
        later = ["log_damaged", "log_damaged_line", "resumed_under"]
        columns = [row[1] for row in database.execute("PRAGMA table_info(runs)") if row[1] not in later]
        database.execute(f"CREATE TABLE older AS SELECT {', '.join(columns)} FROM runs")
        database.execute("DROP TABLE runs")
        database.execute("ALTER TABLE older RENAME TO runs")
    database.close()
    reads("older")
    check(select("older", "PRAGMA user_version") == [(2,)], "it was changed")


@case
def goes_on_with_a_store_of_the_version_before():
    shutil.copytree(path_of("home"), path_of("seven"))
    with sqlite3.connect(path_of("seven", "isoloss.db")) as database:
        harness.take_back_to_version_7(database)
    database.close()
    reads("seven")
    check(select("seven", "PRAGMA user_version") == [(7,)], "reading changed it")
    done = harness.run("run", spec, "--set", "train.lr=0.01", "-q", home="seven")
    check(done.code == 0 and select("seven", "PRAGMA user_version") == [(harness.newest_version(),)], done)


@case
def reads_a_read_only_mount():
    os.mkdir(path_of("mounted"))
    mount = ["mount", "--bind", path_of("home"), path_of("mounted")]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        return "no mounts here"
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", path_of("mounted")], check=True)
        for arguments in [["status"], ["runs", spec], ["fit", spec], ["report", spec, "-o", path_of("page.html")]]:
            done = harness.run(*arguments, home="mounted")
            check(done.code == 0 and done.out, (arguments, done))
        done = harness.run("run", spec, "--set", "train.lr=0.01", home="mounted")
        check(done.code == 3 and "Read-only file system" in done.err, done)
    finally:
        subprocess.run(["umount", path_of("mounted")], check=True)


@case
def the_log_is_folded_in_while_somebody_reads():
    reader = sqlite3.connect(path_of("home", "isoloss.db"))
    reader.execute("SELECT count(*) FROM runs").fetchall()
    check(harness.run("run", spec, "-q", "--set", "train.lr=0.02").code == 0, "run")
    check(os.path.getsize(path_of("home", "isoloss.db-wal")) == 0, "the log was left")
    check(harness.run("fit", spec, "--json").code == 0, "fit")
    check(os.path.getsize(path_of("home", "isoloss.db-wal")) == 0, "the log of a fit was left")
    reader.close()
    shutil.copy(path_of("home", "isoloss.db"), path_of("alone.db"))
    alone = sqlite3.connect(path_of("alone.db"))
    check(alone.execute("SELECT count(*) FROM runs WHERE state = 'done'").fetchall() == [(18,)], "the file alone")
    alone.close()


finish()
