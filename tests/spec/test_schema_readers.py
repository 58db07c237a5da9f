"""The JSON Schema as other programs apply it: PyYAML reads the specs that ship, jsonschema holds them against it.

test_schema_readers.py ISOLOSS: ISOLOSS is the front. Skipped where Python has not both. Prints TAP.
"""
import copy
import glob
import json
import os
import random
import sys

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import case, check, finish, run, write  # noqa: E402

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "experiments")
SPECS = [path for path in sorted(glob.glob(os.path.join(FOLDER, "**", "*.yaml"), recursive=True))
         if os.path.basename(os.path.dirname(path)) != "laws"]
LINE = "# yaml-language-server: $schema=isoloss.schema.json\n"


@case
def shipped_specs_name_the_schema():
    check(len(SPECS) >= 9, SPECS)
    for path in SPECS:
        check(open(path).readline() == LINE, path)


@case
def shipped_specs_are_valid_to_others():
    try:
        import jsonschema
        import yaml
    except ImportError:
        return "PyYAML or jsonschema is missing"
    validator = jsonschema.Draft202012Validator(json.loads(run("schema", code=0).out))
    for path in SPECS:
        errors = [f"{list(error.absolute_path)}: {error.message[:300]}" for error in
                  validator.iter_errors(yaml.safe_load(open(path)))]
        check(not errors, path, *errors[:3])
    read = yaml.safe_load("base: {train: {tokens: 1e6, lr: 3e-3}}\nsweep: {grid: {train.lr: {log: [1e-3, 1e-2, 3]}}}")
    check(read["base"]["train"]["tokens"] == "1e6" and validator.is_valid(read), read)
    check(not validator.is_valid({"base": {"train": {"tokens": "1e6 or so"}}}), "no number")


WHOLE = {
    "experiment": "mutated", "about": "x", "corpus": {"source": "markov2"},
    "base": {"model": {"layers": 1, "context": 32, "width": 32}, "format": "none",
             "train": {"batch_tokens": 256, "steps": 100, "evals": 10, "schedule": "cosine", "lr": 0.003, "weight_decay": 0.1}},
    "sweep": [{"grid": {"model.width": [32, 64], "train.lr": {"log": [0.001, 0.1, 3]}, "seed": {"seeds": 2}},
               "where": "N > 0", "set": {"train.beta2": "0.95"}}],
    "fit": [{"law": "chinchilla", "best_over": ["train.lr"], "average_over": ["seed"], "bootstrap": 100,
             "objective": "huber:1e-3", "interval": "percentile", "tie": ["beta=alpha"], "parameter_count": "total",
             "residual": "log"},
            {"method": "isoflop", "name": "optima", "minimum": "akima", "copies": 10, "noise": "0.002"}],
    "claims": ["loss[none] > 1"], "report": {"title": "t", "plots": ["loss-curves"]},
    "run": {"time_limit": "6 h", "stall_limit": 90, "on_stall": "tell",
            "halving": {"over": "train.lr", "average_over": "seed", "keep": "1/2", "at": [0.25, 0.5]},
            "slurm": {"partition": "gpu", "time": "6 h", "cpus": 2, "array_cap": 4, "runs_per_job": 8, "memory": "24G",
                      "slots_per_gpu": "auto", "stop_before": "5 min", "options": ["--exclusive"], "prologue": "module load x",
                      "container": "apptainer exec a.sif"}},
    "comparisons": [{"a": "seed == 0", "b": "seed == 1", "match_on": "loss", "measure": "tokens", "match_along": "ladders",
                     "name": "seeds", "where": "N > 0", "ignore": ["train.lr"]}]}
PUT = [None, True, 0, -1, 3.5, 1e12, "", "auto", "x", "1e6", "-1e6", "1e-3", [], [1], [[1]], {}, {"a": 1}, {"seeds": 0},
       ["train.lr"], 10**20]
# What check refuses and no schema can say, or not in a line of the tables: what depends on another key, on a value's meaning,
# on the sweep as a whole, or on the fields that the spec declares.
BEYOND = ["no axis of the sweep", "no two runs differ", "no field is called", "is twice in", "no evaluation", "unknown field",
          "needs a count of at least", "needs ends above zero", "needs at least", "needs one of", "must be between", "no coefficient",
          "has a coefficient", "noise", "on_stall says nothing", "an empty one", "is not of the form", "has no parameter",
          "unexpected character", "leaves none", "not a whole number", "must ascend", "unknown function", "ends too early",
          "there is no", "there are no", "no name here", "unknown law", "no column", "expression", "does not divide", "epochs",
          "is no claim", "says of which runs", "decides for each", "no field or quantity", "says nothing without", "measure says", "is no time limit",
          "is no option of sbatch", "not empty", "stop_before", "must be a boolean", "no number", "a format", "format"]


def places(node, path=()):
    yield path
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else []:
        yield from places(value, path + (key,))


def mutated():
    """Specs with one value replaced, taken away, renamed or put into a list."""
    draw = random.Random(11)
    paths = [path for path in places(WHOLE) if path]
    for _ in range(240):
        spec, path = copy.deepcopy(WHOLE), draw.choice(paths)
        parent = spec
        for key in path[:-1]:
            parent = parent[key]
        how = draw.choice("pppppdrl")
        value = parent.pop(path[-1]) if how in "dr" else parent[path[-1]]
        if how == "r" and isinstance(parent, dict):
            parent[f"{path[-1]}s"] = value
        elif how == "p":
            value = parent[path[-1]] = copy.deepcopy(draw.choice(PUT))
        elif how == "l":
            parent[path[-1]] = [value]
        yield spec, f"{path} {how} {str(value)[:60]}"


@case
def check_and_the_schema_agree():
    try:
        import jsonschema
        import yaml
    except ImportError:
        return "PyYAML or jsonschema is missing"
    validator = jsonschema.Draft202012Validator(json.loads(run("schema", code=0).out))
    specs = list(mutated())
    files = [write(f"mutated-{number}.yaml", yaml.safe_dump(spec)) for number, (spec, _) in enumerate(specs)]
    answers = json.loads(run("check", "--json", *files).out)
    refused = 0
    for file, (_, what), answer in zip(files, specs, answers):
        valid = validator.is_valid(yaml.safe_load(open(file)))
        said = [each["message"] for each in answer["diagnostics"] if each["severity"] == "error"]
        check(valid or not answer["ok"], f"the schema refuses what check takes: {what}")
        check(not valid or answer["ok"] or any(word in told for told in said for word in BEYOND),
              f"the schema takes what check refuses: {what}", *said)
        refused += not valid and not answer["ok"]
    check(refused > 60, f"both refuse {refused}")


finish()
