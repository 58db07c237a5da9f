"""One thing, one name: a format, a number or a path that is written in several ways is one run, under one name.

test_spellings.py ISOLOSS: ISOLOSS is the front; isoloss-train stands beside it. Prints TAP.
"""
import json
import os
import random
import sqlite3
import sys

sys.path.insert(0, os.path.join(sys.path[0], ".."))
import harness  # noqa: E402
from harness import case, check, finish, path_of, run, select, write  # noqa: E402

random.seed(1)
words = ["".join(random.choice("abcdefghij") for _ in range(random.randint(2, 7))) for _ in range(300)]
lines = [" ".join(random.choices(words, k=12)) for _ in range(3000)]
os.makedirs(path_of("texts"))
text = write("texts/t.txt", "\n".join(lines))
write("texts/n.txt", "\n".join(lines[:1500]))


def spec(name, grid, files="t.txt", more=""):
    corpus = f"files: {files}, " if files else ""
    return write(f"texts/{name}.yaml", f"""experiment: {name}
corpus: {{{corpus}validation_fraction: 0.1}}
base:
  model: {{layers: 1, width: 16, context: 32, head_dim: 16, dtype: float32}}
  train: {{batch_tokens: 256, tokens: 5120, evals: 2, lr: 0.01}}
sweep:
  grid: {grid}
{more}""")


def train(path, *arguments):
    done = run("run", path, "-q", *arguments)
    check(done.code == 0, f"run {path}", done.err)
    return done


def column(experiment, name, *arguments):
    done = run("runs", experiment, "--columns", name, "--json", *arguments)
    check(done.code == 0, f"runs {experiment} {arguments}", done.err)
    return [row[name] for row in json.loads(done.out)]


@case
def formats_have_one_name():
    train(spec("pilot", "{format: [none, int4]}"))
    train(spec("study", "{format: [none, w4a16], seed: {seeds: 2}}"))
    check(select("home", "SELECT count(*) FROM runs") == [(4,)], "runs")
    check(sorted(column("study", "format")) == ["none", "none", "w4", "w4"], column("study", "format"))
    for name in ["w4", "int4", "w4a16"]:
        check(len(column("study", "format", "--where", f"format == '{name}'")) == 2, name)
        check(len(column("study", "format", "--where", f"'{name}' != format")) == 2, f"not {name}")
        check(len(column("study", "forward", "--where", f"forward in ['w8', '{name}']")) == 2, f"forward {name}")


@case
def conditions_of_a_spec_know_every_name():
    path = spec("fitted", "{model.width: [16, 32], train.tokens: [2560, 5120], format: [none, w4]}",
                more="""  where: "format != 'int8' and corpus.files == './t.txt'"
fit: {law: power-law, bootstrap: 0, where: "corpus.files in ['../texts/t.txt']", holdout: "format == 'w4a16'"}
claims: ["loss[\\"format == 'int4'\\"] > 0", "loss[w4a16] > 0"]
""")
    train(path)
    for given in [(), ("--holdout", "format == 'int4'")]:
        done = run("fit", path, "--json", *given)
        check(done.code == 0, given, done.err)
        fit = json.loads(done.out)
        fit = fit[0] if isinstance(fit, list) else fit
        check((fit["rows"], fit["held_out"]) == (4, 4), given, fit["rows"], fit["held_out"])
    done = run("fit", path)
    check(done.out.count("loss[int4] =") + done.out.count("loss[w4a16] =") == 1 and "no finished run" not in done.out,
          "claims", done.out)
    done = run("plan", spec("filtered", "{format: [none, int4, int8]}", more="  where: \"format == 'w4a16'\"\n"),
               "--json")
    check([one["format"] for one in json.loads(done.out)] == ["w4"], "where of a sweep", done.out, done.err)


@case
def aliases_are_one_run_and_told():
    path = spec("aliases", """
    format:
      - w2a16
      - none
      - int2
    train.tokens: [5120, 5.12e3]""")
    done = run("check", path)
    check("format: w2a16 (line 9) and int2 (line 11) are one value, w2" in done.err + done.out, "formats", done)
    check("train.tokens: 5120 (line 12) and 5.12e3 (line 12) are one value, 5120" in done.err + done.out, "numbers", done)
    train(path)
    check(sorted(column("aliases", "format")) == ["none", "w2"], column("aliases", "format"))
    done = run("check", spec("plain", "{format: [none, int2], train.tokens: [2560, 5120]}"))
    check("are one value" not in done.err + done.out, "a warning without cause", done)


@case
def paths_have_one_name():
    os.symlink(text, path_of("texts/link.txt"))
    whole = os.path.realpath(text)
    train(spec("paths", "{corpus.files: [t.txt, ./t.txt, link.txt, n.txt]}", files=None))
    names = column("paths", "corpus.files")
    check(sorted(names) == sorted([whole, os.path.realpath(path_of("texts/n.txt"))]), names)
    check(column("paths", "corpus.source") == ["files", "files"], column("paths", "corpus.source"))
    told = run("check", path_of("texts/paths.yaml"))
    check("corpus.files: t.txt (line 7) and ./t.txt (line 7) are one value" in told.err + told.out, told)
    where = f"corpus.files == '{path_of('texts/..')}//texts/t.txt'"
    check(len(column("paths", "id", "--where", where)) == 1, where)


@case
def stores_of_before_are_mended():
    wanted = select("home", "SELECT id, config FROM runs ORDER BY id")
    database = sqlite3.connect(path_of("home", "isoloss.db"))
    database.execute("UPDATE runs SET config = json_set(config, '$.format', 'int4') "
                     "WHERE json_extract(config, '$.format') = 'w4'")
    database.execute("UPDATE runs SET config = json_set(config, '$.\"corpus.source\"', 'gcide', '$.\"corpus.files\"', "
                     "replace(json_extract(config, '$.\"corpus.files\"'), '/texts/', '/./texts//'))")
    harness.take_back_to_version_4(database)
    database.execute("PRAGMA user_version = 3")
    database.commit()
    database.close()
    check(select("home", "SELECT id, config FROM runs ORDER BY id") != wanted, "nothing was changed")
    train(path_of("texts/study.yaml"))
    check(select("home", "SELECT id, config FROM runs ORDER BY id") == wanted, "not mended")
    check(select("home", "PRAGMA user_version") == [(harness.newest_version(),)], "version")


@case
def relative_paths_are_mended_when_their_runs_are_met():
    database = sqlite3.connect(path_of("home", "isoloss.db"))
    database.execute("UPDATE runs SET config = json_set(config, '$.\"corpus.files\"', 'gone/t.txt')")
    database.commit()
    database.close()
    train(path_of("texts/pilot.yaml"))
    check(set(column("pilot", "corpus.files")) == {os.path.realpath(text)}, column("pilot", "corpus.files"))


finish()
