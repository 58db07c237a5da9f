"""The trainers of one's own that ship train, stop, resume and tell their counts: test_own_trainer.py ISOLOSS SOURCE.
train_plain.py always, train_torch.py where torch and numpy are installed; and counts of trainers in general. Prints TAP.
"""
import json
import os
import re
import signal
import sys
import time

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import case, check, document, finish, path_of, run, select, start, write  # noqa: E402

shipped = os.path.join(os.path.abspath(sys.argv[2]), "experiments", "own-trainer")
WORDS = "the cat sat on a mat and saw one dog run off with her hat in no time at all".split()
for n in range(30):
    write(f"a{n}.txt", "\n".join(" ".join(WORDS[(i * (n + 3) + j * j) % len(WORDS)] for j in range(9))
                                 for i in range(20)))


def spec_of(trainer, width, steps, batch):
    """The spec that ships, on the test's corpus and small."""
    with open(os.path.join(shipped, "own-trainer.yaml"), encoding="utf-8") as file:
        text = file.read()
    text = text.replace("train_torch.py", os.path.join(shipped, trainer)).replace("python3", sys.executable)
    text = text.replace("{source: gcide}", '{files: "a*.txt", validation_fraction: 0.2}')
    text = re.sub(r"model.width: .*", f"model.width: {width}", text)
    text = re.sub(r"train.steps: .*", f"train.steps: {steps}", text)
    text = text.replace("batch_tokens: 2048", f"batch_tokens: {batch}, final_eval_tokens: 512").replace("lr: 3e-3", "lr: 0.02")
    return write(f"{trainer[:-3]}.yaml", text.replace("log_steps: 50", "log_steps: 1"))


def events_of(home):
    runs = os.listdir(path_of(home, "runs"))
    with open(path_of(home, "runs", runs[0], "events.jsonl"), encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.endswith("\n")]


def trains_stops_and_resumes(trainer, width, steps, batch, counts):
    spec = spec_of(trainer, width, steps, batch)
    run("run", "-q", spec, home="whole " + trainer, code=0)
    whole = events_of("whole " + trainer)
    check(whole[-1]["event"] == "done" and whole[-1]["loss"] < whole[1]["loss"] - 0.3, "it learns", whole[1], whole[-1])
    row = document("runs", "own-trainer", home="whole " + trainer)[0]
    check([row[k] for k in counts] == list(counts.values()), "its counts are the store's", {k: row[k] for k in counts})
    check(row["parameters_attention"] is None and row["flops"] == whole[-1]["flops"] and
          row["flops_6nd"] == 6 * row["parameters"] * row["tokens"], "what it does not tell is empty", row)
    home = "broken " + trainer
    with start("run", "-q", spec, home=home) as process:
        end = time.time() + 60
        while time.time() < end and process.poll() is None:
            if os.path.exists(path_of(home, "runs")) and os.listdir(path_of(home, "runs")):
                log = path_of(home, "runs", os.listdir(path_of(home, "runs"))[0], "events.jsonl")
                if os.path.exists(log) and sum(e["event"] == "step" for e in events_of(home)) >= 2:
                    break
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    stopped = events_of(home)
    check(stopped[-1]["event"] == "stopped", "it stops where it is asked to", stopped[-1])
    run("run", "-q", spec, home=home, code=0)
    resumed = events_of(home)
    starts = [e["resumed_from"] for e in resumed if e["event"] == "start"]
    check(starts == [0, stopped[-1]["step"]], "it goes on from there", starts)
    check(resumed[-1]["loss"] == whole[-1]["loss"], "to the same loss", resumed[-1], whole[-1])


@case
def the_plain_one():
    trains_stops_and_resumes("train_plain.py", 16, 14, 192, {"parameters": 257 * 16, "parameters_total": 2 * 257 * 16,
                                                             "parameters_active": None})


@case
def the_one_with_pytorch():
    try:
        import numpy  # noqa: F401
        import torch  # noqa: F401
    except ImportError:
        return "torch and numpy are not installed"
    core = 6 * 32 * 33
    trains_stops_and_resumes("train_torch.py", 32, 150, 512, {"parameters": core, "parameters_active": core,
                                                              "parameters_total": core + 2 * 257 * 32})
    return None


@case
def the_spec_that_ships_is_planned():
    rows = document("plan", spec_of("train_torch.py", "[32, 64]", 40, 512))
    check([r["parameters"] for r in rows] == [6 * 32 * 33, 6 * 64 * 65], "N by its expression", rows)
    check(all(r["flops"] is None and r["memory_bytes"] is None and r["parameters_total"] is None for r in rows),
          "what the spec does not say is unknown")


SILENT = """import json, os
with open(os.environ["ISOLOSS_EVENTS"], "a") as log:
    log.write(json.dumps({"event": "done", "loss": 3.5, "tokens": 2048}) + "\\n")
"""


def own(name, more="", grid="model.width: [32, 64]", length="train: {tokens: 2048, batch_tokens: 1024}"):
    return write(name + ".yaml", f"""experiment: {name}
trainer: {{command: [{sys.executable}, {write("silent.py", SILENT)}]{more}}}
base: {{{length}}}
sweep:
  - grid: {{{grid}}}
""")


@case
def a_trainer_that_tells_nothing():
    spec = own("silent")
    told = run("plan", spec, code=0).out
    check("N, D/N and FLOPs of this trainer are unknown" in told, "the plan says so", told)
    run("run", "-q", spec, code=0)
    rows = document("runs", "silent")
    empty = [k for k in rows[0] if k.startswith(("parameters", "flops"))] + ["sparsity", "tokens_per_parameter"]
    check(len(rows) == 2 and all(r[k] is None for r in rows for k in empty), "nothing of the built-in model is there",
          {k: rows[0][k] for k in empty})
    done = run("fit", "silent", "--law", "chinchilla")
    check(done.code != 0, "there is nothing to fit", done.out)
    # The same runs, when the spec says more.
    spec = own("silent", ', parameters: "10 * model.width", flops: "6 * N * D", parameters_active: N / 2')
    run("run", "-q", spec, code=0)
    rows = select("home", "SELECT parameters, parameters_total, parameters_active, flops, flops_6nd FROM runs ORDER BY 1")
    check([tuple(r) for r in rows] == [(w * 10, None, w * 5.0, 6.0 * 10 * w * 2048, 6.0 * 10 * w * 2048)
                                       for w in (32, 64)], "its expressions are the store's", [tuple(r) for r in rows])


@case
def lengths_by_n_need_n():
    short = "train: {tokens_per_parameter: 4, batch_tokens: 1024}"
    told = run("check", own("ratio", length=short), code=2).err
    default = run("plan", own("default", length="train: {batch_tokens: 1024}"), code=0).out
    check("built-in model of these fields" in default, "a length by default is told", default)
    check("train.tokens or train.steps is needed" in told and "parameters: EXPRESSION" in told, "N is not known", told)
    rows = document("plan", own("ratio", ', parameters: "1000 * model.width"', length=short))
    check([r["tokens"] for r in rows] == [4 * 1000 * w // 1024 * 1024 for w in (32, 64)], "N is the expression's", rows)
    told = run("check", own("ratio", ', parameters: "train.tokens / 20"'), code=2).err
    check("not from train.tokens" in told, "it cannot follow from the length", told)
    told = run("check", own("ratio", ', parameters: "model.width - 64"'), code=2).err
    check("no count" in told, "0 is no count", told)
    with open(own("filter"), encoding="utf-8") as file:
        spec = write("filter.yaml", file.read() + "    where: N > 1000\n")
    check("'parameters' has no value here before it trains" in run("check", spec, code=2).err, "nor can where ask for it")


ODD = """import os, sys
lines = {"mark": b"\\xef\\xbb\\xbf{m}", "behind": b'{m}{"event":"step","step":3,"tokens":9,"loss":3}\\n'}[sys.argv[1]]
with open(os.environ["ISOLOSS_EVENTS"], "ab") as log:
    log.write(lines.replace(b"{m}", b'{"event":"done","loss":2.5,"tokens":2048}\\n'))
"""


@case
def odd_logs_are_understood_or_told():
    """A byte order mark before the first event, as `utf-8-sig` writes it; a step behind the result."""
    for kind, code in ("mark", 0), ("behind", 1):
        spec = write(f"odd-{kind}.yaml", f"experiment: odd-{kind}\ntrainer: {{command: [{sys.executable}, {write('odd.py', ODD)}, {kind}]}}\n"
                     "base: {train: {tokens: 2048, batch_tokens: 1024}}\n")
        run("run", "-q", spec, "--retries", "0", code=code)
        row = document("runs", f"odd-{kind}")[0]
        if code:
            check(row["state"] == "failed" and "its log goes on after `done`" in row["message"], kind, row)
        else:
            check((row["state"], row["loss"], row["log_damaged"]) == ("done", 2.5, 0), kind, row)


FIELDS = """import json, os, sys
config = json.load(open(sys.argv[1]))["config"]
assert float(sys.argv[2]) == config["dropout"] and isinstance(config["dropout"], (int, float)), sys.argv
assert config["act"] in ("relu", "gelu") and config["gated"] is True and config["experts"] == 2, config
loss = 3 + config["dropout"] + 0.01 * config["seed"] + 0.1 * (config["act"] == "gelu")
with open(os.environ["ISOLOSS_EVENTS"], "a") as log:
    log.write(json.dumps({"event": "done", "loss": loss, "tokens": 2048}) + "\\n")
"""
DECLARED = """fields:
  dropout: {type: number, default: 0.1, range: [0, 1], help: share of activations that are dropped}
  experts: {type: integer, default: 1}
  act: {choices: [relu, gelu]}
  gated: {type: boolean, default: true}
"""


def fields_spec(name, fields=DECLARED, base="experts: 2, ", sweep="dropout: [0, 0.1, 0.2], act: [relu, gelu], seed: {seeds: 2}"):
    return write(name + ".yaml", f"""experiment: {name}
trainer: {{command: [{sys.executable}, {write("fields.py", FIELDS)}, "{{config}}", "{{dropout}}"], parameters: 100 * model.width * experts}}
{fields}base: {{{base}train: {{tokens: 2048, batch_tokens: 1024}}}}
sweep:
  - grid: {{{sweep}}}
    where: dropout < 0.2 or act == "gelu"
    set: {{model.width: 16 * experts}}
fit:
  - {{name: all, law: chinchilla, where: dropout < 0.15, average_over: [seed]}}
claims: ['loss["dropout == 0"] < loss["dropout == 0.1"]']
""")


@case
def fields_of_its_own():
    spec = fields_spec("fields")
    rows = document("plan", spec)
    check(len(rows) == 10 and len({r["id"] for r in rows}) == 10, "axes, filters and ids", len(rows))
    check({(r["dropout"], r["act"], r["experts"], r["gated"], r["model.width"], r["parameters"]) for r in rows} ==
          {(d, a, 2, True, 32, 6400) for d in (0, 0.1, 0.2) for a in ("relu", "gelu")} - {(0.2, "relu", 2, True, 32, 6400)},
          "values of the plan", rows[0])
    run("run", "-q", spec, code=0)
    run("run", "-q", spec, code=0)
    check(select("home", "SELECT count(*), sum(state = 'done') FROM runs r JOIN experiment_runs e ON e.run = r.id WHERE "
                 "e.experiment = 'fields'")[0][:] == (10, 10), "each is trained once")
    gelu = document("runs", "fields", "--where", 'dropout > 0 and act == "gelu" and gated', "--sort", "loss")
    check([(r["dropout"], r["seed"], r["gated"]) for r in gelu] == [(0.1, 0, True), (0.1, 1, True), (0.2, 0, True), (0.2, 1, True)],
          "columns", gelu)
    check("dropout" in run("runs", "fields").out.splitlines()[0], "those that differ are shown")
    check("dropout" in run("show", gelu[0]["id"]).out, "show tells them")
    check([tuple(r) for r in select("home", "SELECT DISTINCT dropout, act FROM run_table WHERE dropout = 0.2")] ==
          [(0.2, "gelu")], "the view has them")
    told = run("fit", spec)
    check("4 rows" in told.out + told.err, "seeds are averaged, other fields are not", told.out, told.err)
    out = run("report", "fields", code=0).out.split()[0]
    with open(path_of(out), encoding="utf-8") as file:
        check("dropout" in file.read(), "the report has them")


@case
def axes_that_it_does_not_use():
    told = run("run", "-q", fields_spec("used"), code=0).err
    check("makes no difference" not in told, "each axis is used", told)
    with open(path_of("fields.py"), encoding="utf-8") as file:
        source = file.read()
    spec = fields_spec("deaf")  # writes the trainer, which is then made deaf to seeds
    write("fields.py", source.replace('0.01 * config["seed"]', "0"))
    told = run("run", "-q", spec, "--set", "train.batch_tokens=512", code=0).err
    check("seed makes no difference to this trainer: 5 pairs of runs" in told and "act makes" not in told, "seeds", told)
    told = run("fit", "deaf", *(word for name in ("A", "B", "alpha", "beta") for word in ("--fix", f"{name}=0.3")))
    check("seed makes no difference to this trainer" in told.out + told.err, "a fit says it", told.out, told.err)


@case
def one_name_of_two_types():
    silent = write("silent.py", SILENT)
    for name, field in (("words", "{type: text, default: low}"), ("numbers", "{default: 1}")):
        spec = write(name + ".yaml", f"""experiment: {name}
trainer: {{command: [{sys.executable}, {silent}]}}
fields: {{mode: {field}}}
base: {{train: {{tokens: 2048, batch_tokens: 1024}}}}
""")
        run("run", "-q", spec, code=0, home="types")
    rows = document("runs", "--where", 'mode != ""', home="types")
    check(sorted(r["mode"] for r in rows) == ["1", "low"], "both are there, as text", [r["mode"] for r in rows])


@case
def fields_and_identity():
    def ids(*arguments, **options):
        return [r["id"] for r in document("plan", fields_spec("ids", **options), *arguments)]
    first = ids()
    check(ids(fields=DECLARED.replace("default: 0.1", "default: 0.9")) == first, "a default that is not used is none")
    check(not set(ids(base="experts: 3, ")) & set(first), "a value counts")
    check(ids(fields=DECLARED + "  note: {type: text, default: a, counts: false}\n") == first, "unless it cannot")
    swapped = "fields:\n" + "".join(reversed(DECLARED.splitlines(True)[1:]))
    check(ids(fields=swapped) == first, "the order of declarations does not")
    plain = own("plain")
    before = [r["id"] for r in document("plan", plain)]
    with open(plain, encoding="utf-8") as file:
        more = write("plain.yaml", file.read() + "fields: {}\n")
    check([r["id"] for r in document("plan", more)] == before, "no fields are none")


@case
def fields_that_cannot_be():
    cases = {"seed: {}": "the name of a field that every run has", "tokens: {}": "quantity or result", "train: {}": "group",
             "a-b: {}": "cannot be the name", "d: {type: real}": "unknown type 'real'", "d: {default: x}": "must be a number",
             "d: {range: [0, 1], default: 3}": "between 0 and 1", "d: {choices: [a, b], default: c}": "must be one of a, b",
             "d: {type: choice}": "choices go with", "d: 3": "by a mapping", "d: {typ: number}": "did you mean 'type'",
             "d: {range: [2, 1]}": "least and the greatest"}
    for text, says in cases.items():
        told = run("check", write("bad.yaml", f"trainer: {{command: [a]}}\nbase: {{train: {{steps: 1}}}}\nfields: {{{text}}}\n"),
                   code=2).err
        check(says in told and "bad.yaml:3:" in told, "a bad declaration", text, told)
    told = run("check", write("bad.yaml", "fields: {dropout: {}}\nbase: {train: {steps: 1}}\n"), code=2).err
    check("isoloss-train does not know them" in told, "they are for other trainers", told)
    told = run("check", fields_spec("wrong", base="dropuot: 0.3, "), code=2).err
    check("unknown field 'dropuot'" in told, "a name that is not declared", told)


finish()
