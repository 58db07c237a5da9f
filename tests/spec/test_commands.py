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

code, out, err = run("check", "bad.yaml")
check(code == 2 and out == "" and "bad.yaml:2:37: error: model.layers" in err and "bad.yaml:4:1: error: unknown key 'fitt'" in err
      and "2 errors in bad.yaml" in err,
      "check: a bad spec is exit code 2, with places on standard error", code, out, err)

code, out, err = run("check", "good.yaml", "bad.yaml", "--json")
listed = json.loads(out)
check(code == 2 and err == "" and [item["ok"] for item in listed] == [True, False] and listed[0]["runs"] == 4
      and listed[1]["diagnostics"][0]["line"] in (2, 4),
      "check --json: one document, places as numbers", code, out, err)

code, out, err = run("check", "no-such.yaml")
check(code in (2, 3) and "no-such.yaml" in err and out == "", "check: a missing file is named", code, out, err)

code, out, err = run("plan", "good.yaml", "--set", "model.width=48")
check(code == 2 and "model.width is swept at good.yaml:3:16" in err,
      "plan: --set on a swept path is refused", code, err)

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
write("types.yaml", SMALL.replace("seed: [1, 2]", "model.dtype: [float32, bfloat16]"))
code, out, err = run("plan", "types.yaml")
check(code == 0 and "dtype" in out.splitlines()[0] and "products in" not in out,
      "plan: swept types have a column", out, err)
code, out, err = run("plan", "good.yaml", "--device", "cuda")
check("products in bfloat16: model.dtype is auto, and bfloat16 is faster than float32 on this device\n" in out,
      "plan: a GPU's type", out, err)

code, out, err = run("plan", "good.yaml", "--limit", "1")
check(code == 0 and "and 3 more runs" in out, "plan: --limit says what it leaves out", code, out)

code, out, err = run("plan", "files.yaml", "--no-prepare")
check(code == 0 and "the corpus is not prepared" in out
      and out.splitlines()[1].split()[0] == "-" and not os.path.exists(scratch + "/cache"),
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
            (["fit", "compare", "table.csv", "--law", "chinchilla", "--law", "kaplan"], 2, [])]
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
    check(code == 2 and out == "" and "folder/ is a folder, not a file" in err and len(err.splitlines()) == 1,
          f"{' '.join(arguments)}: a folder is no file", code, out, err)

code, out, err = run("run", "good.yaml", "--jobs", "0")
check(code == 2 and "--jobs 0" in err and out == "", "run: --jobs 0 is refused", code, out, err)
finish()
