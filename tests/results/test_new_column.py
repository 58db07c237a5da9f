"""A new measured quantity is one line in results/columns.c and one in schema.sql: an isoloss with such a line more
(energy.sed) keeps, lists, shows, fits and judges what the trainer reports, and nothing else was changed for it.

test_new_column.py ISOLOSS_WITH_ENERGY ISOLOSS: prints TAP.
"""
import json
import os
import sys

sys.path.insert(0, os.path.join(sys.path[0], ".."))
import harness  # noqa: E402
from harness import case, check, select, write  # noqa: E402

WITH, WITHOUT = (os.path.abspath(program) for program in sys.argv[1:3])
TRAINER = write("trainer.py", """
import json, os, sys
config, folder = json.load(open(sys.argv[1]))["config"], sys.argv[2]
n, d = config["model.width"] ** 2, config["train.tokens"]
done = {"event": "done", "step": config["train.steps"], "tokens": d, "loss": 1.5 + 40 * n ** -0.4 + 30 * d ** -0.3,
        "energy": 1000.0 * config["model.width"] + config["seed"]}
with open(os.path.join(folder, "events.jsonl"), "a") as events:
    events.write(json.dumps({"event": "start", "trainer": "measuring 1", "parameters": {"non_embedding": n}}) + "\\n" + json.dumps(done) + "\\n")
""")
SPEC = write("energy.yaml", f"""experiment: energy
corpus: {{source: markov2}}
base:
  model: {{layers: 1, context: 32}}
  train: {{batch_tokens: 256}}
sweep:
  - grid: {{model.width: [16, 32, 48, 64], train.steps: [100, 200], seed: [1, 2]}}
trainer: {{command: [{sys.executable}, {TRAINER}, "{{config}}", "{{folder}}"], version: "1"}}
fit:
  - {{law: chinchilla, where: energy < 60000, bootstrap: 0}}
claims:
  - energy["model.width == 64"] > energy["model.width == 16"]
  - energy["model.width == 64"] < energy["model.width == 16"]
""")


def isoloss(program, *arguments, home="home"):
    return harness.run(*arguments, program=program, home=home, timeout=120)


@case
def is_kept_and_listed():
    code, out, err = isoloss(WITH, "run", SPEC)
    check("16 done" in out, (code, out, err))
    rows = json.loads(isoloss(WITH, "runs", SPEC, "--json")[1])
    check(len(rows) == 16 and all(row["energy"] == 1000 * row["model.width"] + row["seed"] for row in rows), rows)
    check(select("home", "SELECT sum(energy) FROM run_table") == [(640024.0,)], "the view")
    rows = json.loads(isoloss(WITH, "runs", "--where", "energy > 50000", "--columns", "energy", "--json")[1])
    check(sorted(row["energy"] for row in rows) == [64001, 64001, 64002, 64002], rows)


@case
def is_explained():
    code, out, err = isoloss(WITH, "runs", "--columns", "help")
    lines = [line.split(None, 2) for line in out.splitlines()]
    check(["energy", "J", "of the whole training"] in lines, out)


@case
def is_shown():
    run = json.loads(isoloss(WITH, "runs", "--where", "model.width == 64", "--json")[1])[0]["id"]
    code, out, err = isoloss(WITH, "show", run)
    check(["energy", "64.0k"] in [line.split() for line in out.splitlines()], (code, out, err))


@case
def chooses_rows_of_a_fit_and_is_judged():
    code, out, err = isoloss(WITH, "fit", SPEC, "--json")
    fits = json.loads(out)
    check(fits[0]["rows"] == 12, (code, out, err))
    check(select("home", "SELECT claim, outcome FROM claims ORDER BY position") ==
          [('energy["model.width == 64"] > energy["model.width == 16"]', "held"),
           ('energy["model.width == 64"] < energy["model.width == 16"]', "not held")], "claims")


@case
def is_unknown_without_its_line():
    code, out, err = isoloss(WITHOUT, "run", SPEC, home="other")
    check(code == 2 and "'energy' is no field or quantity of a run" in err, (code, out, err))


harness.finish()
