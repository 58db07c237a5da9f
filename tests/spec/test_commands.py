# check, plan and schema as a user types them: exit codes, what stands on which stream, JSON, the store's states.
#   test_commands.py ISOLOSS
import json
import os
import re
import sys

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import check, finish, program, run, scratch, write  # noqa: E402

SMALL = """corpus: {source: markov2}
base: {model: {context: 16, layers: 1}, train: {batch_tokens: 256, steps: 20}}
sweep: {grid: {model.width: [32, 64], seed: [1, 2]}}
"""
SHORT = ["--set", "train.steps=3", "--set", "train.evals=0", "--set", "train.final_eval_tokens=2048"]
write("good.yaml", SMALL)
write("bad.yaml", SMALL.replace("layers: 1", "layers: none") + "fitt: 1\n")
write("files.yaml", SMALL.replace("source: markov2", "files: [words.txt]"))
write("words.txt", "\n\n\n".join(f"Some words of document number {i}." for i in range(4000)))

code, out, err = run("check", "good.yaml")
check((code, out, err) == (0, "4 runs, ok\n", ""), "check: a good spec", code, out, err)

LONG = "w(int4[absmax,group(16),float,nearest,hadamard-up-to(128),trust])a(int8)"
write("long.yaml", SMALL.replace("seed: [1, 2]", f"format: [none, '{LONG}']"))
code, out, err = run("plan", "long.yaml")
check(code == 0 and LONG in out, "plan: a format without a short name stands there whole", code, out, err)

code, out, err = run("check", "bad.yaml")
check(code == 2 and out == "" and "bad.yaml:2:37: error: model.layers" in err and "bad.yaml:4:1: error: unknown key 'fitt'" in err
      and "2 errors in bad.yaml" in err,
      "check: a bad spec is exit code 2, with places on standard error", code, out, err)

code, out, err = run("check", "good.yaml", "bad.yaml", "--json")
listed = json.loads(out)
check(code == 2 and err == "" and [item["ok"] for item in listed] == [True, False] and listed[0]["runs"] == 4
      and listed[1]["diagnostics"][0]["line"] in (2, 4),
      "check --json: one document, places as numbers", code, out, err)

# Settings of fit entries, held against their laws: (entry, what is said, where in the entry)
COLUMNS = "a custom trainer brings columns by `fields`; of a table: isoloss fit TABLE.csv --law NAME"
ENTRIES = [
    ("{law: chinchilla, tie: bet=alpha}", "tie: the law chinchilla has no parameter 'bet'", "bet=", "did you mean 'beta'?"),
    ("{law: chinchilla, tie: [beta=alpha, beta=alfa]}", "no parameter 'alfa'", "alfa", "did you mean 'alpha'?"),
    ("{law: chinchilla, low: [E=1, 'alfa=0.2']}", "low: the law chinchilla has no parameter 'alfa'", "alfa", "did you mean 'alpha'?"),
    ("{law: chinchilla, high: E}", "high 'E' is not of the form NAME=NUMBER (E=1)", "E}", None),
    ("{law: chinchilla, low: 'E[x]=1'}", "low: E has one value, no categories", "E[x]", None),
    ("{law: effective-parameters, tie: 'eff=E'}", "eff has a value for each format: eff[CATEGORY]", "eff=E", None),
    ("{law: chinchilla, ratio: [A/B, A]}", "ratio 'A' is not of the form NAME/NAME", "A]", None),
    ("{law: effective-parameters, ratio: 'eff[a/b]/ef[c]'}", "ratio: the law effective-parameters has no parameter 'ef'", "ef[c", "did you mean 'eff'?"),
    ("{law: chinchilla, score: 'E=1.69,A=406.4, BB=410.7'}", "score: the law chinchilla has no parameter 'BB'", "BB", "did you mean 'B'?"),
    ("{law: chinchilla, score: 'E=1.69,A'}", "score: 'A' is not of the form NAME=NUMBER", "A'", None),
    ("{law: chinchilla, score: none.json}", "score: there is no file none.json", "none", None),
    ("{law: chinchilla, prior: alpha=0.34}", "prior 'alpha=0.34' is not of the form NAME=MEAN~SD", "alpha=", None),
    ("{law: chinchilla, prior: ['log(AA)=6~0.5']}", "prior: the law chinchilla has no parameter 'AA'", "AA", "did you mean 'A'?"),
    ("{law: chinchilla, prior: 'log(alpha)=6~0.5'}", "alpha may be negative by the law and has no logarithm", "alpha)", None),
    ("{law: chinchilla, prior: alpha=0.34~0}", "its standard deviation must be above 0", "0}", None),
    ("{law: chinchilla, prior: alpha=0.34~1, interval: t}", "Student's t intervals know nothing of the width of a prior", "t}", "interval: bca"),
    ("{law: chinchilla, partial_pooling: E}", "partial_pooling: E has one value, no categories to pool", "E}", None),
    ("{law: effective-parameters, partial_pooling: [ef]}", "no parameter 'ef'", "ef]", "did you mean 'eff'?"),
    ("{law: effective-parameters, partial_pooling: eff, objective: lad}", "absolute values have none", "lad", None),
    ("{law: quartet, objective: 'student-t:4'}", "one scale of Student's t cannot be estimated", "'student", None),
    ("{law: chinchilla, contour: ['E,A', 'alhpa,A']}", "contour: the law chinchilla has no parameter 'alhpa'", "alhpa", "did you mean 'alpha'?"),
    ("{law: domain-share}", "the law domain-share needs the column 'share', which no run has", "domain-share", COLUMNS),
    ("{law: routed}", "the law routed needs the column 'num_experts', which no run has", "routed", COLUMNS),
    ("{law: chinchilla, contour: E}", "contour 'E' is not of the form NAME,NAME (alpha,beta)", "E}", None),
    ("{law: chinchilla, profile: [E, alhpa, all]}", "profile: the law chinchilla has no parameter 'alhpa'", "alhpa", "did you mean 'alpha'?"),
]
for entry, message, place, hint in ENTRIES:
    write("entry.yaml", SMALL + "fit:\n  - " + entry + "\n")
    code, out, err = run("check", "entry.yaml", "--json")
    found = json.loads(out)[0]["diagnostics"]
    check(code == 2 and len(found) == 1 and message in found[0]["message"] and found[0]["hint"] == hint
          and (found[0]["line"], found[0]["column"]) == (5, 5 + entry.rindex(place)),
          f"check: {message}", code, found, entry.rindex(place))
FINE = ("{law: effective-parameters, tie: ['eff[w4]=eff[w3]'], low: [E=1, eff=0.1], high: 'eff[w4]=2', ratio: 'eff[w4]/eff[w2]', "
        "score: 'E=1.69,A=406.4,eff[sparse(0.5,global,dynamic,forward)]=0.5', prior: [alpha=0.34~0.05, 'log(A)=6~0.5'], partial_pooling: eff, "
        "profile: [E, eff, 'eff[w4]'], objective: 'student-t:4', global_check: true}")
FORMATS = SMALL.replace("seed: [1, 2]", "format: [none, w4, w3, w2, 'sparse(0.5,global)']")
write("entry.yaml", FORMATS + "fit:\n  - " + FINE + "\n  - power-sum\n")
code, out, err = run("check", "entry.yaml")
check((code, out, err) == (0, "10 runs, ok\n", ""), "check: settings of every form", code, out, err)
write("entry.yaml", SMALL + "trainer: {command: [python3, train.py]}\nfields: {share: {type: number, default: 0.5}}\n"
      "fit:\n  - domain-share\n")
code, out, err = run("check", "entry.yaml")
check((code, err) == (0, ""), "check: a field of the spec's own is a column", code, out, err)
write("entry.yaml", SMALL + "fit: [{law: chinchila}, {law: mine.yaml, tie: b=c}]\n")
write("mine.yaml", "formula: a + b * c\nparameters: {a: {starts: [1]}}\n")
code, out, err = run("check", "entry.yaml")
check(code == 2 and err.count("unknown law 'chinchila'") == 1 and "mine.yaml:1:" in err,
      "check: a law's own mistakes are told, an unknown law once", code, err)

code, out, err = run("check", "no-such.yaml")
check(code in (2, 3) and "no-such.yaml" in err and out == "", "check: a missing file is named", code, out, err)

code, out, err = run("plan", "good.yaml", "--set", "model.width=48")
check(code == 2 and "model.width is swept at good.yaml:3:16" in err,
      "plan: --set on a swept path is refused", code, err)

# A mistake in an option is placed by the option and the column in it.
for option, place, message in (("train.lr=0x10", 10, "train.lr must be a number, not '0x10'"), ("train.lr=inf", 10, "train.lr must be a number, not 'inf'"),
                               ("model.layers=0x2", 14, "model.layers must be a whole number, not '0x2'"),
                               ("train.lrr=1", 1, "no field is called 'train.lrr'")):
    code, out, err = run("check", "good.yaml", "--set", option)
    check(code == 2 and f"--set {option}: column {place}: error: {message}" in err, "check: --set, with a column", code, err)

code, out, err = run("plan", "good.yaml", "--set", "train.steps=5", "--json")
runs = json.loads(out)
check(code == 0 and len(runs) == 4 and all(item["steps"] == 5 and len(item["id"]) == 32 for item in runs)
      and len({item["id"] for item in runs}) == 4,
      "plan --json: every run, nothing else on standard output", code, out[:500], err)
check(all(item["estimated_seconds"] > 0 and item["memory_bytes"] > 0 for item in runs),
      "plan --json: time and memory are estimated", runs[0])

code, out, err = run("plan", "good.yaml", "--counts")
lines = out.splitlines()
check(code == 0 and lines[0].split()[:5] == ["id", "state", "width", "seed", "N"] and "prunable" in lines[0]
      and len(lines[1].split()[0]) == 8 and "4 runs" in out,
      "plan: the table names its columns and counts", code, out, err)

code, out, err = run("plan", "good.yaml")
found = re.search(r"products in (\S+): model.dtype is auto, and bfloat16 is (no )?faster than float32 on this device "
                  r"\(cpu: .*thread\)\n", out)
check(code == 0 and found and (found[1] == "float32") == bool(found[2]),
      "plan: in which type products are, and why", out, err)
slow = bool(found[2])
code, out, err = run("plan", "good.yaml", "--set", "model.dtype=float32")
check("products in float32: the spec says so\n" in out, "plan: a type that the spec gives", out, err)
code, out, err = run("plan", "good.yaml", "--set", "model.dtype=bfloat16")
check("products in bfloat16: the spec says so" in out and ("float32 would take less time here (cpu: " in out) == slow,
      "plan: what the spec's type costs", out, err)
code, out, err = run("plan", "good.yaml", "--set", "train.master_weights=bfloat16")
check("products in bfloat16: model.dtype is auto, and " in out
      and ("train.master_weights bfloat16 needs them\n" in out) == slow,
      "plan: a type that master weights ask for", out, err)


def human(count):
    units = ["B", "KiB", "MiB"]
    while count >= 1023.5:
        count, units = count / 1024, units[1:]
    return f"{count:.0f} {units[0]}" if units[0] == "B" or count >= 99.5 else f"{count:.1f} {units[0]}"


STATES = SMALL.replace("seed: [1, 2]", "train.optimizer: [adamw, sgd, muon], train.optimizer_state: [float32, bfloat16]")
write("states.yaml", STATES + "stages:\n  compress: {method: rtn, format: w4}\n")
code, out, err = run("plan", "states.yaml", "--set", "model.dtype=float32", "--limit", "0")
rows = [re.split("  +", line.strip()) for line in out.split("\n\n")[0].splitlines()]
_, exact, _ = run("plan", "states.yaml", "--set", "model.dtype=float32", "--json")
items = {item["id"][:8]: item for item in json.loads(exact)}
check(code == 0 and "state_bytes" in rows[0] and len(rows) == 25, "plan: bytes of state are a column where the optimizer is an axis",
      out, err)
place = rows[0].index("state_bytes")
trained = [row for row in rows[1:] if items[row[0]]["stage"] == "train"]
check(len(trained) == 12 and all(row[place] == human(items[row[0]]["state_bytes"]) for row in trained)
      and len({row[place] for row in trained}) >= 6, "plan: ... those that --json says", out, exact[:600])
check(all(row[place] == "-" and items[row[0]]["state_bytes"] is None for row in rows[1:] if row not in trained),
      "plan: ... and none of a stage that does not train", out)
code, out, err = run("plan", "good.yaml")
check("state_bytes" not in out, "plan: elsewhere there is no such column", out)
write("types.yaml", SMALL.replace("seed: [1, 2]", "model.dtype: [float32, bfloat16]"))
code, out, err = run("plan", "types.yaml")
check(code == 0 and "dtype" in out.splitlines()[0] and "products in" not in out,
      "plan: swept types have a column", out, err)
code, out, err = run("plan", "good.yaml", "--device", "cuda")
check("products in bfloat16: model.dtype is auto, and bfloat16 is faster than float32 on this device\n" in out,
      "plan: a GPU's type", out, err)

# What takes memory beside the shapes makes runs of one shape differ: three arrays of exchanged gradients, one of a mean,
# the largest matrix twice where moments are represented.
write("memory.yaml", """experiment: memory
corpus: {source: markov2}
base: {model: {layers: 1, width: 32, context: 16}, train: {batch_tokens: 64, accumulation: 2, steps: 8, evals: 0}}
sweep:
  - grid: {train.gradient_compression: [none, uniform]}
  - grid: {train.average_checkpoints: [2], train.average_every: [2]}
  - grid: {train.first_moment: [int8-g16]}
""")
code, out, err = run("plan", "memory.yaml", "--json")
plain, exchanged, averaged, represented = json.loads(out)
array = 4 * plain["parameters_total"]
check(exchanged["memory_bytes"] - plain["memory_bytes"] == 3 * array and averaged["memory_bytes"] - plain["memory_bytes"] == array,
      "plan: memory of runs of one shape", plain["memory_bytes"], exchanged["memory_bytes"], averaged["memory_bytes"], array)
largest = 4 * 2 * 96 * 32  # gate and up are one matrix, each of 96 outputs
check(represented["memory_bytes"] - plain["memory_bytes"] == 2 * largest, "plan: memory of represented moments",
      represented["memory_bytes"] - plain["memory_bytes"], largest)

# What stages hold besides the model is not planned, and said to be missing.
STAGES = SMALL + "stages: {compress: [none, {method: rtn, bits: 4}], evaluate: {}}\n"
write("staged.yaml", STAGES)
code, out, err = run("plan", "staged.yaml", "--json")
without = {item["stage"]: item["memory_without"] for item in json.loads(out)}
check(code == 0 and without["train"] is None and "Hessians" in without["compress"] and "caches" in without["evaluate"],
      "plan --json: what a stage's memory is without", without)
code, out, err = run("plan", "staged.yaml")
check(code == 0 and "they follow, without the Hessians of a compression, or elsa's multipliers; the second model" in out,
      "plan: what the memory of stages is without", code, out)
code, out, err = run("plan", "good.yaml")
check(code == 0 and "memory of stages" not in out, "plan: without stages nothing is missing", code, out)

code, out, err = run("plan", "good.yaml", "--limit", "1")
check(code == 0 and "and 3 more runs" in out, "plan: --limit says what it leaves out", code, out)

code, out, err = run("plan", "files.yaml", "--no-prepare")
check(code == 0 and "the corpus is not prepared" in out
      and out.splitlines()[1].split()[0] == "-" and not os.path.exists(scratch + "/cache/isoloss/corpora"),
      "plan --no-prepare: no ids, and why", code, out, err)

code, out, err = run("plan", "files.yaml")
check(code == 0 and "preparing the corpus files" in err
      and len(out.splitlines()[1].split()[0]) == 8, "plan: prepares the corpus with a message", code, out, err)

code, out, err = run("plan", "files.yaml", "--set", "train.steps=3000")
check(code == 0
      and "need more tokens than the corpus holds" in out,
      "plan: tells of runs that need more tokens than the corpus holds", code, out, err)

code, out, err = run("plan", "good.yaml", "bad.yaml")
check(code == 2 and "give one spec" in err, "plan: one spec at a time", code, err)

code, out, err = run("plan", "good.yaml", "--cuonts")
check(code == 2 and "--counts" in err, "plan: did you mean", code, err)

code, out, err = run("schema")
schema = json.loads(out)
check(code == 0 and schema["$schema"].endswith("2020-12/schema")
      and "model.width" in schema["properties"]["base"]["properties"], "schema: JSON Schema 2020-12", code)
code, out, err = run("schema", "--markdown")
check(code == 0 and out.startswith("# Fields of a run") and "`train.lr`" in out,
      "schema --markdown: the reference page")
code, out, err = run("schema", "--quantities")
check(code == 0 and out.startswith("# Quantities of a run") and "`flops`" in out and "`train.lr`" not in out,
      "schema --quantities: that of what follows and is reported")

if os.path.exists(os.path.join(os.path.dirname(program), "isoloss-train")):
    code, out, err = run("run", "good.yaml", "--set", "model.layers=2", *SHORT)
    trained = code == 0
    code, out, err = run("plan", "good.yaml", "--set", "model.layers=2", *SHORT)
    check(trained and code == 0 and "4 runs, 4 done, 0 to do" in out,
          "plan: what is done is seen in the store", code, out, err)
    code, out, err = run("plan", "good.yaml", "--set", "model.layers=2", *SHORT, "--json")
    check(all(item["state"] == "done" and item["loss"] > 0 for item in json.loads(out)),
          "plan --json: state and loss from the store", out[:400])
# What fails with --json gives one document too: what is said on standard error, and the mistakes of the file as data.
os.mkdir(os.path.join(scratch, "folder"))
write("table.csv", "parameters,tokens\n1,2\n")
write("law.yaml", "formula: E + \n")
FAILURES = [(["plan", "bad.yaml"], 2, ["bad.yaml:2:37", "bad.yaml:4:1"]), (["run", "bad.yaml"], 2, ["bad.yaml:2:37", "bad.yaml:4:1"]),
            (["status", "bad.yaml"], 2, ["bad.yaml:2:37", "bad.yaml:4:1"]), (["fit", "bad.yaml"], 2, ["bad.yaml:2:37", "bad.yaml:4:1"]),
            (["report", "bad.yaml"], 2, ["bad.yaml:2:37", "bad.yaml:4:1"]), (["design", "bad.yaml"], 2, ["bad.yaml:2:37", "bad.yaml:4:1"]),
            (["data", "prepare", "bad.yaml"], 2, ["bad.yaml:2:37", "bad.yaml:4:1"]), (["laws", "law.yaml"], 2, None),
            (["fit", "table.csv", "--law", "law.yaml"], 2, None), (["fit", "table.csv", "--law", "chinchilla"], 2, []),
            (["predict", "nothing.csv", "--at", "N=1,D=1"], 2, []), (["isoflop", "nothing.csv"], 2, []),
            (["import", "nothing.csv", "--as", "x"], 2, []), (["show", "ffff"], 2, []), (["formats", "int99"], 2, []),
            (["capacity", "int99"], 2, []), (["bench", "gemm", "1x"], 2, []), (["runs", "--no-such-option"], 2, []),
            (["fit", "compare", "table.csv", "--law", "chinchilla", "--law", "power-sum"], 2, [])]
for arguments, want, places in FAILURES:
    code, out, err = run(*arguments, "--json")
    try:
        document = json.loads(out)
    except ValueError:
        document = {}
    found = [f"{d['file']}:{d['line']}:{d['column']}" for d in document.get("diagnostics", [])]
    check(code == want and document.get("ok") is False and document["exit_code"] == code and f"isoloss: {document['error']}" in err
          and (found == places if places is not None else found), f"{' '.join(arguments)} --json: a failure is one document",
          code, out, err)
code, out, err = run("runs", "--sort", "los", "--json")
check(code in (2, 3) and json.loads(out)["ok"] is False, "hints are in the document", out, err)

for arguments in [["check"], ["plan"], ["run"], ["status"], ["runs"], ["fit"], ["report"], ["isoflop"], ["laws"], ["data", "prepare"]]:
    code, out, err = run(*arguments, "folder/")
    check(code == 2 and out == "" and "folder/ is a folder: a file is needed there" in err and len(err.splitlines()) == 1,
          f"{' '.join(arguments)}: a folder is no file", code, out, err)

code, out, err = run("run", "good.yaml", "--jobs", "0")
check(code == 2 and "--jobs 0" in err and out == "", "run: --jobs 0 is refused", code, out, err)
finish()
