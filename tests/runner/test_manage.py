"""Which runs are trained, trained again, removed: `isoloss run --only`, `--again`, `--wait`, `isoloss rm` and the like.

test_manage.py ISOLOSS: ISOLOSS is the front; isoloss-train stands beside it. Prints TAP.
"""
import contextlib
import csv
import glob
import json
import os
import signal
import sqlite3
import sys
import time

sys.path.insert(0, os.path.join(sys.path[0], ".."))
import harness  # noqa: E402
from harness import case, check, document, path_of, run, select, write  # noqa: E402

FAKE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fake_trainer.py")
SPEC = """experiment: tiny
corpus: {source: markov2}
base:
  model: {layers: 1, context: 32, dtype: float32}
  train: {batch_tokens: 256, evals: 4, eval_tokens: 1024, final_eval_tokens: 4096, checkpoint_steps: 50, log_steps: 20}
sweep:
  - grid:
      model.width: [16, 32]
      train.steps: [60, 120]
"""
OWN = f"trainer: {{command: [{sys.executable}, -S, -E, {FAKE}, '{{config}}', '{{folder}}'], version: '1'}}\n"
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
    check("1 run: 1 done" in out and "3 others left out by --only" in out, out)
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


def counts(home):
    """Rows of each table, and the folders of runs."""
    tables = ["experiments", "runs", "experiment_runs", "metrics", "fits", "claims"]
    rows = {table: select(home, f"SELECT count(*) FROM {table}")[0][0] for table in tables}
    return rows, sorted(os.listdir(path_of(home, "runs")))


@case
def removes_runs_by_id_and_by_condition():
    run("run", spec, "--quiet", home="rm", code=0)
    run("run", other, "--quiet", home="rm", code=0)
    before = counts("rm")
    rows = {(row["model.width"], row["train.steps"]): row["id"] for row in runs_of("rm")}
    check(len(rows) == 6 and before[0]["experiment_runs"] == 8, before)
    shared = rows[16, 120]
    out = run("rm", shared[:8], home="rm", code=0).out
    check(shared[:8] in out and "other, tiny" in out and "1 run and" in out and "--yes" in out, out)
    dry = document("rm", "--where", "train.steps == 60", home="rm")
    check(not dry["removed"] and {row["id"] for row in dry["runs"]} == {rows[16, 60], rows[32, 60]}, dry)
    check(all(row["bytes"] > 1000 and row["experiments"] == ["tiny"] and not row["alive"] for row in dry["runs"]), dry)
    check(counts("rm") == before, "a dry run changes nothing")
    done = document("rm", shared[:8], rows[16, 60], shared, "--yes", home="rm")
    check(done["removed"] and [row["id"] for row in done["runs"]] == [shared, rows[16, 60]], done)
    after = counts("rm")
    check(after[0]["runs"] == 4 and after[0]["experiment_runs"] == 5 and len(after[1]) == 4, after)
    check(0 < after[0]["metrics"] < before[0]["metrics"] and after[0]["experiments"] == 2, after)
    check(not {shared, rows[16, 60]} & set(after[1]), after[1])
    run("rm", "tiny", "--where", "model.width == 16", home="rm", code=2)  # they are gone
    wanted = select("rm", f"SELECT loss FROM runs WHERE id = '{rows[32, 120]}'")
    run("rm", "tiny", "--where", "N > 1 and train.steps == 120", "--yes", home="rm", code=0)
    check(rows[32, 120] not in counts("rm")[1], "of an experiment")
    out = run("run", spec, "--quiet", home="rm", code=0).out
    check("4 done (1 of them before)" in out, out)
    check(select("rm", f"SELECT loss FROM runs WHERE id = '{rows[32, 120]}'") == wanted, "trained again, the same")


@case
def removes_an_experiment_but_not_what_others_have():
    run("run", other, "--quiet", home="rm", code=0)
    with contextlib.closing(sqlite3.connect(path_of("rm", "isoloss.db"))) as database, database:
        for source in "tiny", "other":
            database.execute("INSERT INTO fits VALUES (?, 'fit', 'law', '{}', 0)", [source])
            database.execute("INSERT INTO claims VALUES (?, 0, 'claim', 'held', '', 0)", [source])
    out = run("rm", "tiny", home="rm", code=0).out
    check("2 runs of tiny stay: other experiments have them too" in out, out)
    check("experiment tiny with 1 fit and 1 claim" in out, out)
    done = document("rm", "tiny", "--yes", home="rm")
    check(done["experiment"] == "tiny" and len(done["runs"]) == 2 and len(done["kept"]) == 2, done)
    check(len(runs_of("rm", "other")) == 4 and len(runs_of("rm")) == 4 and len(counts("rm")[1]) == 4, counts("rm"))
    check(select("rm", "SELECT name FROM experiments") == [("other",)], "the experiment")
    check(select("rm", "SELECT source FROM fits UNION ALL SELECT experiment FROM claims") == [("other",)] * 2, "fits")
    run("rm", "tiny", home="rm", code=2)


@case
def links_are_not_followed():
    os.makedirs(path_of("treasure"))
    gold = write("treasure/gold", "gold")
    first, second = [row["id"] for row in runs_of("rm")][:2]
    os.symlink(path_of("treasure"), path_of("rm", "runs", first, "link"))
    os.rename(path_of("rm", "runs", second), path_of("treasure", second))
    os.symlink(path_of("treasure", second), path_of("rm", "runs", second))
    run("rm", first, second, "--yes", home="rm", code=0)
    check(not os.path.lexists(path_of("rm", "runs", first)) and not os.path.lexists(path_of("rm", "runs", second)), "left")
    check(os.path.exists(gold) and os.path.exists(path_of("treasure", second, "config.json")), "a link was followed")


@case
def links_are_not_written_through():
    """What a run keeps in its folder may be a link to somebody's file, by mistake or by another's hand: the file stays."""
    first = runs_of("rm")[0]["id"]
    again = ["run", spec, "--quiet", "--only", f'id == "{first}"']
    config = open(path_of("rm", "runs", first, "config.json"), encoding="utf-8").read()
    for name in "events.jsonl", "log.txt", "provenance.jsonl", "worker.lock", "config.json.new":
        home = "through-" + name
        os.makedirs(path_of(home, "runs", first))
        write(f"{home}/runs/{first}/config.json", config)
        precious = write(f"{home}/precious", "precious, without an end of line")
        os.symlink(precious, path_of(home, "runs", first, name))
        done = run(*again, home=home)
        check(done.code == {"events.jsonl": 1, "provenance.jsonl": 0}.get(name, 3) and f"{name} is a link" in done.err, name, done)
        with open(precious, encoding="utf-8") as file:
            check(file.read() == "precious, without an end of line", name, "was written over")
        os.remove(path_of(home, "runs", first, name))
        run(*again, "--retry-failed", home=home, code=0)


@case
def bad_removals_change_nothing():
    before = counts("rm")
    some = runs_of("rm")[0]["id"]
    for arguments, said in [(["tiny"], "neither an experiment"), (["othr"], "did you mean 'other'"), ([], "rm: give"),
                            ([some[:3]], "at least 4"), ([some, "0123456789abcdef"], "no run's id starts"),
                            ([some, "other"], "is an experiment"), (["--where", "lss > 1"], "did you mean 'loss'"),
                            (["--where", "loss > 100"], "holds for no run"), ([some, "--where", "true"], "experiment"),
                            (["other", some, "--where", "true"], "one experiment")]:
        done = run("rm", *arguments, "--yes", home="rm", code=2)
        check(said in done.err and not done.out, arguments, done)
    check(counts("rm") == before, "something was removed")
    run("rm", some, "--yes", home="nowhere", code=3)
    check(not os.path.exists(path_of("nowhere")), "a home was made")


@case
def what_is_at_work_is_not_removed():
    slow = write("slow.yaml", SPEC.replace("experiment: tiny", "experiment: slow").replace("[60, 120]", "[4000]") +
                 f"trainer: {{command: [{sys.executable}, -S, -E, {FAKE}, '{{config}}', '{{folder}}'], version: '1'}}\n")
    process = harness.start("run", slow, "--jobs", "1", home="busy", FAKE=json.dumps({"*": {"sleep": 0.02}}))
    try:
        wait_for_logs("busy", process)
        done = run("rm", "slow", "--yes", home="busy", code=3)
        check(f"process {process.pid}" in done.err, done)
        dry = run("rm", "slow", home="busy", code=0).out
        check("at work" in dry and "nothing would be removed" in dry, dry)
        process.kill()
        process.communicate()
        done = run("rm", "slow", "--yes", home="busy", code=3)  # the worker goes on alone
        check("a worker is at work" in done.err and len(runs_of("busy")) == 2, done)
        check(len(counts("busy")[1]) == 1, "files")
    finally:
        process.kill()
        for pid in select("busy", "SELECT pid FROM runs WHERE pid IS NOT NULL"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid[0], signal.SIGKILL)


@case
def trains_a_run_again():
    run("run", spec, "--quiet", home="again", code=0)
    run("run", other, "--quiet", home="again", code=0)
    rows = {row["id"]: row for row in runs_of("again")}
    id = next(id for id, row in rows.items() if row["model.width"] == 32 and row["train.steps"] == 120)
    points = select("again", "SELECT run, kind, step, loss FROM metrics ORDER BY 1, 2, 3")
    write(f"again/runs/{id}/mark", "of the first training")
    out = run("run", spec, "--again", id[:7], "--quiet", home="again", code=0).out
    check("4 done (3 of them before)" in out, out)
    now = {row["id"]: row for row in runs_of("again")}
    check(set(now) == set(rows) and now[id]["attempts"] == 1, now[id])
    check(now[id]["started_at"] > rows[id]["started_at"] or now[id]["created_at"] > rows[id]["created_at"], now[id])
    check(all(now[other_id] == rows[other_id] for other_id in rows if other_id != id), "the others are as they were")
    check(now[id]["loss"] == rows[id]["loss"], "the same loss to the bit")
    check(select("again", "SELECT run, kind, step, loss FROM metrics ORDER BY 1, 2, 3") == points, "the same points")
    check(not os.path.exists(path_of("again", "runs", id, "mark")), "files of the first training")
    check(id in {row["id"] for row in runs_of("again", "other")}, "its other experiment has it")


@case
def only_runs_of_the_spec_are_trained_again():
    theirs = next(row["id"] for row in runs_of("again", "other") if row["train.steps"] == 180)
    mine = next(row["id"] for row in runs_of("again", "tiny") if row["model.width"] == 16)
    for arguments, said in [([theirs], "no ids of tiny's runs"), (["xyz"], "no run id"),
                            ([mine, "--only", "model.width == 32"], "--only leaves out")]:
        done = run("run", spec, "--again", *arguments, home="again", code=2)
        check(said in done.err and "--again" in done.err, arguments, done)
    check(all(row["state"] == "done" for row in runs_of("again")), "something was removed")


@case
def asks_in_sql():
    rows = document("sql", "SELECT id, loss, \"model.width\" AS width, NULL AS none FROM run_table ORDER BY loss;  -- all",
                    home="again")
    known = {row["id"]: row["loss"] for row in runs_of("again")}
    check({row["id"]: row["loss"] for row in rows} == known and list(rows[0]) == ["id", "loss", "width", "none"], rows)
    check(rows[0]["none"] is None and rows[0]["width"] in (16, 32), rows[0])
    out = run("sql", "SELECT state, count(*) AS runs FROM runs GROUP BY state", home="again", code=0).out
    check([line.split() for line in out.splitlines()] == [["state", "runs"], ["done", "6"]], out)
    large = "SELECT 9007199254740993 AS a, -9223372036854775807 AS b, 'x,\"y' AS c"
    out = run("sql", large, "--csv", home="again", code=0).out
    check(out == 'a,b,c\n9007199254740993,-9223372036854775807,"x,""y"\n', out)
    check(document("sql", large, home="again")[0]["a"] == 9007199254740993, "integers are exact")
    check("9007199254740993" in run("sql", large, home="again", code=0).out, "in the table, too")
    check("experiment" in run("sql", "PRAGMA table_info(experiment_runs)", home="again", code=0).out, "tables are told")
    none = run("sql", "SELECT id FROM runs WHERE 0", home="again", code=0)
    check(none.out == "" and "no rows" in none.err, none)


@case
def sql_only_reads():
    before, here = counts("again"), sorted(os.listdir(harness.scratch))
    database = path_of("again", "isoloss.db")
    stolen = path_of("stolen.db")
    for statement, said in [("DELETE FROM runs", "more than read"), ("UPDATE runs SET loss = 0", "more than read"),
                            ("DROP TABLE metrics", "more than read"), ("PRAGMA user_version = 1", "more than read"),
                            ("PRAGMA journal_mode = DELETE", "more than read"), (f"ATTACH '{stolen}' AS x", "more than"),
                            (f"VACUUM INTO '{stolen}'", "more than"), ("CREATE TEMP TABLE t (a)", "more than read"),
                            ("BEGIN IMMEDIATE", "more than"), ("EXPLAIN DELETE FROM runs", "more than"), ("SELECT load_extension('x')", ""),
                            ("SELECT 1; DELETE FROM runs", ""), ("SELECT 1; SELECT 2", "one statement"),
                            ("WITH a AS (SELECT 1) INSERT INTO claims SELECT 1, 1, 1, 1, 1, 1 FROM a", "more than read"),
                            ("", "no statement"), (" -- nothing", "no statement"), ("SELEC 1", "syntax error"),
                            ("SELECT lss FROM runs", "no such column"), ("SELECT 1 FROM rnus", "no such table")]:
        done = run("sql", statement, home="again", code=2)
        check(said in done.err and done.err.startswith("isoloss: sql: ") and not done.out, statement, done)
    check(counts("again") == before and sorted(os.listdir(harness.scratch)) == here, "something changed")
    check(select("again", "PRAGMA journal_mode") == [("wal",)] and os.path.exists(database), "journal")
    done = run("sql", "SELECT 1 AS a, 2 AS a", "--json", home="again", code=2)
    check("two columns are named 'a'" in done.err, done)
    check(run("sql", "SELECT 1", home="nowhere", code=3).out == "" and not os.path.exists(path_of("nowhere")), "no home")


@case
def exports_an_experiment():
    with contextlib.closing(sqlite3.connect(path_of("again", "isoloss.db"))) as database, database:
        for source in "tiny", "other":
            database.execute("INSERT INTO fits VALUES (?, 'fit', 'law', '{}', 0)", [source])
    rows = runs_of("again", "other")
    os.mkdir(path_of("moved"))
    lines, table, store = path_of("o.jsonl"), path_of("o.csv"), path_of("moved", "isoloss.db")
    for path in lines, table, store:
        done = run("export", "other", "--to", path, home="again", code=0)
        check(done.out == path + "\n" and not done.err, done)
        done = run("export", "other", "--to", path, home="again", code=2)
        check("is there already" in done.err, done)
    with open(lines, encoding="utf-8") as file:
        check([json.loads(line) for line in file] == rows, "an object a line")
    with open(table, encoding="utf-8", newline="") as file:
        got = list(csv.DictReader(file))
    check([(row["id"], float(row["loss"])) for row in got] == [(row["id"], row["loss"]) for row in rows], got)
    check(list(got[0]) == list(rows[0]), "all columns")
    check(os.listdir(path_of("moved")) == ["isoloss.db"], os.listdir(path_of("moved")))
    check(runs_of("moved", "other") == rows and len(runs_of("moved")) == len(rows), "isoloss reads it")
    check(select("moved", "SELECT source FROM fits UNION ALL SELECT name FROM experiments") == [("other",)] * 2, "others")
    points = "SELECT run, kind, step, loss FROM metrics WHERE run IN (SELECT run FROM experiment_runs WHERE experiment = 'other') ORDER BY 1, 2, 3"
    check(select("moved", points.replace("WHERE run IN (SELECT run FROM experiment_runs WHERE experiment = 'other')", "")) ==
          select("again", points) != [], "its curves, and no other")
    run("run", spec, "--only", "train.steps == 60 and model.width == 16", "--quiet", home="part", code=0)
    check("3 of its 4 runs are not done" in run("export", "tiny", "--to", path_of("part.csv"), home="part", code=0).err, "")
    for arguments, said in [(["tiny", "--to", path_of("x")], ".jsonl"), (["tiny", "--to", "x.db", "--masters"], "masters"),
                            (["tiny"], "--to"), (["tyni", "--to", "x.csv"], "no run id")]:
        done = run("export", *arguments, home="again", code=2)
        check(said in done.err and not done.out, arguments, done)
    check(not glob.glob(path_of("**", "*.tmp-*"), recursive=True), "unfinished files")


@case
def collects_garbage():
    kept = write("kept.yaml", SPEC.replace("log_steps: 20", "log_steps: 20, keep_checkpoints: 9"))
    run("run", kept, "--only", "train.steps == 120", "--quiet", home="gc", code=0)
    ids = [row["id"] for row in runs_of("gc") if row["state"] == "done"]
    steps = {id: sorted(os.listdir(path_of("gc", "runs", id, "checkpoints"))) for id in ids}
    check(all(len(names) == 3 for names in steps.values()), steps)
    # The newest of the first is damaged.
    with open(path_of("gc", "runs", ids[0], "checkpoints", "step-120", "state.bin"), "r+b") as file:
        file.write(b"damage")
    os.makedirs(path_of("elsewhere", "checkpoints", "step-1"))
    lone, linked = "0123456789abcdef" * 2, "f" * 32
    os.makedirs(path_of("gc", "runs", lone))
    write(f"gc/runs/{lone}/events.jsonl", "x" * 1000)
    os.symlink(path_of("elsewhere"), path_of("gc", "runs", linked))
    os.makedirs(path_of("gc", "runs", "mine"))
    dry = document("gc", home="gc")
    check(not dry["removed"] and len(dry["items"]) == 6 and os.path.exists(path_of("gc", "runs", lone)), dry)
    out = run("gc", home="gc", code=0).out
    check("would remove 6 folders" in out and "--yes" in out and lone in out, out)
    check(run("gc", "--yes", home="gc", code=0).out.startswith("removed 6 folders"), "removed")
    left = {id: os.listdir(path_of("gc", "runs", id, "checkpoints")) for id in ids}
    check(left == {ids[0]: ["step-100"], ids[1]: ["step-120"]}, left)
    check(sorted(os.listdir(path_of("gc", "runs"))) == sorted([*ids, "mine"]), os.listdir(path_of("gc", "runs")))
    check(os.path.isdir(path_of("elsewhere", "checkpoints", "step-1")), "a link was followed")
    check("would remove 0 folders" in run("gc", home="gc", code=0).out, "nothing is left")
    check("2 done" in run("run", kept, "--only", "train.steps == 120", "--quiet", home="gc", code=0).out, "runs")
    os.remove(path_of("gc", "isoloss.db"))
    run("gc", "--yes", home="gc", code=3)
    check(os.path.isdir(path_of("gc", "runs", ids[0])), "without a store nothing is removed")


@case
def removes_prepared_corpora_that_nobody_needs():
    text = write("corpus.txt", "a word and another word, over and over\n" * 4000)
    files = SPEC.replace("experiment: tiny", "experiment: files").replace("{source: markov2}", f"{{files: {text}}}").replace(
        "[16, 32]", "[16]").replace("[60, 120]", "[60]") + OWN
    mine, theirs = write("files.yaml", files), write("theirs.yaml", files.replace("corpus: {", "corpus: {validation_fraction: 0.2, "))
    run("run", mine, "--quiet", home="caches", code=0)
    run("run", theirs, "--quiet", home="others", code=0)
    used = select("caches", "SELECT corpus_digest FROM runs")[0][0]
    free = select("others", "SELECT corpus_digest FROM runs")[0][0]
    told = {item["digest"]: item for item in document("gc", "--caches", home="caches")["caches"]}
    check(told[used]["kept"] == "1 run of this home" and told[free]["kept"] == "used lately", told)
    dry = document("gc", "--caches", "--older-than", "0", home="caches")
    told = {item["digest"]: item for item in dry["caches"]}
    check(told[used]["kept"] and told[free]["kept"] is None and told[free]["bytes"] > 1000 and not dry["removed"], dry)
    path = told[free]["path"]
    with open(os.path.join(path, "manifest.json"), encoding="utf-8"):  # a process at work has its files open
        run("gc", "--caches", "--older-than", "0", "--yes", home="caches", code=0)
        check(os.path.isdir(path), "what is open was removed")
    out = run("gc", "--caches", home="caches", code=0).out
    check(free[:8] in out and "used lately" in out and "would remove 0 of" in out, out)
    old = time.time() - 10 * 24 * 3600
    for name in os.listdir(path):
        os.utime(os.path.join(path, name), (old, old))
    os.utime(path, (old, old))
    out = run("gc", "--caches", home="caches", code=0).out
    check("would remove 1 of" in out and "--yes" in out and os.path.isdir(path), out)
    check("removed 1 of" in run("gc", "--caches", "--yes", home="caches", code=0).out, "removed")
    check(not os.path.exists(path) and os.path.isdir(told[used]["path"]), "which one")
    done = run("run", theirs, "--only", "true", "--again", select("others", "SELECT id FROM runs")[0][0], "--quiet",
               home="others", code=0)
    check("1 done" in done.out and os.path.isdir(path), "it is prepared again where it is needed", done)
    run("gc", "--older-than", "3", home="caches", code=2)


@case
def keeps_the_parts_of_a_mixture():
    texts = [write(f"{name}.txt", f"{name} and another {name}, over and over\n" * 4000) for name in ("apple", "pear")]
    mixed = SPEC.replace("experiment: tiny", "experiment: mixed").replace("[16, 32]", "[16]").replace("[60, 120]", "[60]").replace(
        "{source: markov2}", f"{{mixture: '0.5 apple.txt + 0.5 pear.txt', files: [{', '.join(texts)}]}}") + OWN
    run("run", write("mixed.yaml", mixed), "--quiet", home="mixed", code=0)
    mixture = select("mixed", "SELECT corpus_digest FROM runs")[0][0]
    folder = os.path.join(os.path.dirname(next(item["path"] for item in document("gc", "--caches", home="mixed")["caches"])))
    with open(os.path.join(folder, mixture, "manifest.json"), encoding="utf-8") as file:
        parts = [part["digest"] for part in json.load(file)["parts"]]
    old = time.time() - 10 * 24 * 3600
    for digest in [mixture, *parts]:
        for name in os.listdir(os.path.join(folder, digest)):
            os.utime(os.path.join(folder, digest, name), (old, old))
        os.utime(os.path.join(folder, digest), (old, old))
    told = {item["digest"]: item["kept"] for item in document("gc", "--caches", home="mixed")["caches"]}
    check(told[mixture] == "1 run of this home" and len(set(parts)) == 2
          and all(told[part] == f"part of mixture {mixture[:8]}: 1 run of this home" for part in parts), told)
    told = {item["digest"]: item["kept"] for item in document("gc", "--caches", home="others")["caches"]}
    check(told[mixture] is None and all(told[part] is None for part in parts), "another home has no run of it", told)
    # What is read of a part is read of the mixture, too.
    os.utime(os.path.join(folder, parts[1], "train.tokens"))
    told = {item["digest"]: item["kept"] for item in document("gc", "--caches", home="others")["caches"]}
    check(told[mixture] == told[parts[1]] == "used lately"
          and told[parts[0]] == f"part of mixture {mixture[:8]}: used lately", told)


@case
def points_have_their_runs_columns():
    rows = document("sql", "SELECT run, kind, step, loss, run_loss, \"model.width\", state FROM metric_table "
                    "WHERE kind = 'eval' ORDER BY run, step", home="again")
    known = {row["id"]: row for row in runs_of("again")}
    points = select("again", "SELECT run, step, loss FROM metrics WHERE kind = 'eval' ORDER BY run, step")
    check([(row["run"], row["step"], row["loss"]) for row in rows] == points and len(points) > 10, "points")
    check(all(row["run_loss"] == known[row["run"]]["loss"] and row["model.width"] == known[row["run"]]["model.width"] and
              row["state"] == "done" for row in rows), rows[:2])


@case
def help_on_columns_lists_a_specs_own_fields():
    own = write("own.yaml", SPEC.replace("experiment: tiny", "experiment: own").replace(
        "base:", "fields: {dropout: {type: number, default: 0}}\nbase:") +
                OWN)
    check("dropout" in run("runs", own, "--columns", "help", home="own", code=0).out, "of the spec")
    check("dropout" not in run("runs", "--columns", "help", home="own", code=0).out, "without it")
    rows = document("runs", own, "--columns", "dropout", home="own")
    check([row["dropout"] for row in rows] == [0, 0, 0, 0], "of runs that are not trained yet", rows)
    run("run", own, "--quiet", "--only", "train.steps == 60", home="own", code=0)
    check("dropout" in run("runs", "own", "--columns", "help", home="own", code=0).out, "of the experiment")
    check("dropout" in run("runs", "--columns", "help", home="own", code=0).out, "of the store")


harness.finish()
