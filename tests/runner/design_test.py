# isoflop and design as a user types them: tables, specs, what they refuse, JSON, figures.
#   design_test.py ISOLOSS SOURCE
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time

program, source = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
scratch = tempfile.TemporaryDirectory(prefix="isoloss-design-")
environment = dict(os.environ, XDG_CACHE_HOME=scratch.name + "/cache", ISOLOSS_HOME=scratch.name + "/home", NO_COLOR="1")
points = source + "/tests/data/tables/porian_isoflop/runs.csv"
cases = 0
failures = 0


def run(*arguments):
    done = subprocess.run([program, *arguments], cwd=scratch.name, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def check(name, holds, *details):
    global cases, failures
    cases += 1
    if not holds:
        failures += 1
        for detail in details:
            print("#", str(detail).replace("\n", "\n# "))
    print(f"{'' if holds else 'not '}ok {cases} - {name}", flush=True)


def write(name, text):
    with open(os.path.join(scratch.name, name), "w") as file:
        file.write(text)


# ---- isoflop ----

kaplan = ["--budget", "budget", "--where", "config == 'rw_base_long_kaplan_kaplan'", "--noise", "0.002"]
code, out, err = run("isoflop", points, *kaplan, "--json", "--plot", "figures")
result = json.loads(out)
budgets = {budget["flops"]: budget for budget in result["budgets"]}
check("isoflop: published optima and exponent from their points",
      code == 0 and abs(budgets[1e17]["parameters"]["value"] / 6515691.320387968 - 1) < 1e-9
      and abs(result["exponents"]["parameters"]["value"] - 0.8353) < 0.003
      and result["exponents"]["parameters"]["low"] < 0.8353 < result["exponents"]["parameters"]["high"], code, out[:300], err)
check("isoflop --plot: two figures",
      all(open(f"{scratch.name}/figures/{name}.svg").read().startswith("<") for name in ("isoflop-curves", "isoflop-optima"))
      and result["copies"] == 1000, err)
code, out, err = run("isoflop", points, "--budget", "budget", "--where", "config == 'rw_base_long_kaplan_standard'",
                     "--method", "parabola", "--window", "6")
check("isoflop: a minimum at the edge is rejected", code == 0 and "rejected: " in out, out, err)
check("isoflop --method parabola: for people", code == 0 and "N* = " in out and err == "", code, out, err)
for arguments, words in [
    (["--method", "parabla"], "did you mean 'parabola'"),
    (["--budget", "budgt"], "budget"),
    (["--budget", "config"], "holds texts"),
    (["--noise", "much"], "0.002@3,0.05@7"),
    (["--budgets", "1e16:1e15:3"], "LOW:HIGH:COUNT"),
    (["--budgets", "3e16,1e16"], "must rise"),
    (["--method", "envelope"], "training curves"),
    (["--copies", "-5"], "--copies"),
    (["--where", "confg == 'x'"], "did you mean"),
]:
    code, out, err = run("isoflop", points, *arguments)
    check(f"isoflop {' '.join(arguments)}: refused", code == 2 and out == "" and words in err, code, out, err)

# ---- design ----

GRID = """experiment: grid
corpus: {source: markov2}
base: {model: {context: 16, layers: 2}, train: {batch_tokens: 256}}
sweep: {grid: {model.width: [32, 64, 128, 192], train.tokens: [1e5, 3e5, 1e6, 3e6]}}
fit: [{law: chinchilla}]
"""
write("grid.yaml", GRID)
write("ratio.yaml", GRID.replace("experiment: grid", "experiment: ratio").replace(
    "[32, 64, 128, 192], train.tokens: [1e5, 3e5, 1e6, 3e6]",
    "[32, 64, 96, 128, 192, 256], train.tokens_per_parameter: [20], seed: [1, 2, 3]").replace(
    "{law: chinchilla}", "{law: chinchilla, average_over: [seed]}"))
write("formats.yaml", GRID.replace("experiment: grid", "experiment: formats").replace(
    "train.tokens: [1e5, 3e5, 1e6, 3e6]", "train.tokens: [1e5, 1e6], format: [none, w4a4, w2a2]").replace(
    "law: chinchilla", "law: effective-parameters"))
truth = ["--assume", "E=1.69,A=406.4,B=410.7,alpha=0.34,beta=0.28"]

code, out, err = run("design", "grid.yaml", *truth, "--quick", "--json", "--target", "beta")
document = json.loads(out)
quick = document["designs"][0]
check("design --quick: nothing is trained, errors for every parameter, a run to add",
      code == 0 and err == "" and quick["runs"] == 16 and quick["rows"] == 16 and quick["repeats"] == 0
      and 0 < quick["parameters"]["beta"]["linear_se"] < 0.05 and quick["parameters"]["beta"]["sd"] is None
      and quick["added_run"]["se_after"] < quick["added_run"]["se_before"] and quick["flops"] > 1e12
      and not os.path.exists(scratch.name + "/home"), code, out, err)

code, out, err = run("design", "grid.yaml", *truth, "--repeats", "40", "--starts", "20", "--bootstrap", "20", "--json")
full = json.loads(out)["designs"][0]
ratio = full["parameters"]["alpha"]["sd"] / full["parameters"]["alpha"]["linear_se"]
check("design: the simulation agrees with the linearised errors",
      code == 0 and full["repeats"] == 40 and 0.7 < ratio < 1.35 and full["parameters"]["alpha"]["coverage95"] > 0.7
      and math.isfinite(full["derived"]["a"]["sd"]), code, ratio, out, err)

code, out, err = run("design", "grid.yaml", "ratio.yaml", *truth, "--quick")
check("design: a sweep of one ratio of tokens to parameters cannot separate E from beta",
      code == 0 and "cannot separate E from" in out and "beta" in out.split("cannot separate E from")[1].split("\n")[0]
      and "D-optimal): design 1" in out, code, out, err)
code, out, err = run("design", "grid.yaml", "--variant", "model.layers=4", *truth, "--quick", "--json")
document = json.loads(out)
check("design --variant: two designs and which is better",
      code == 0 and [d["spec"] for d in document["designs"]] == ["grid.yaml", "grid.yaml with model.layers=4"]
      and document["comparison"][0]["best_overall"] in ("grid.yaml", "grid.yaml with model.layers=4")
      and document["comparison"][0]["best"]["E"], code, out, err)

code, out, err = run("design", "formats.yaml", *truth, "--quick")
check("design: formats need their factors assumed", code == 2 and "eff[w4a4], eff[w2a2]" in err, code, out, err)
code, out, err = run("design", "formats.yaml", "--assume", truth[1] + ",eff[w4a4]=0.6,eff[w2a2]=0.2", "--quick", "--json")
check("design: a sweep of formats", code == 0 and json.loads(out)["designs"][0]["parameters"]["eff[w2a2]"]["linear_se"] > 0,
      code, out, err)
for arguments, words in [
    ([], "nothing is assumed"),
    (["--assume", "E=1"], "nothing is assumed for A, B, alpha, beta"),
    (["--assume", truth[1] + ",gama=1"], "no parameter 'gama'"),
    (["--assume", "chinchila"], "no stored fit of this name"),
    (["--assume", "none.json"], "none.json"),
    ([*truth, "--noise", "-1"], "--noise"),
    ([*truth, "--repeats", "1"], "--repeats"),
    ([*truth, "--quick", "--target", "bet"], "did you mean 'beta'"),
]:
    code, out, err = run("design", "grid.yaml", *arguments)
    check(f"design {' '.join(arguments)[:60]}: refused", code == 2 and out == "" and words in err, code, out, err)
code, out, err = run("design", points)
check("design of a table: refused", code == 2 and "is no spec" in err, code, err)

process = subprocess.Popen([program, "design", "grid.yaml", *truth, "--repeats", "100000", "--json"], cwd=scratch.name,
                           env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
time.sleep(4)
process.send_signal(signal.SIGINT)
out, err = process.communicate(timeout=120)
stopped = json.loads(out)["designs"]
check("design: Ctrl-C prints what it has",
      process.returncode == 0 and stopped and stopped[0]["interrupted"] and 0 < stopped[0]["repeats"] < 100000,
      process.returncode, out[:300], err)

# ---- a spec's own runs: curves, a stored fit as the truth ----

TINY = """experiment: tiny
corpus: {source: markov2}
base: {model: {context: 16, layers: 1}, train: {batch_tokens: 256, evals: 8, eval_tokens: 2048, final_eval_tokens: 2048}}
sweep: {grid: {model.width: [32, 48, 64], train.tokens: [10240, 20480]}}
fit: [{law: ./plain.yaml, name: plain}]
"""
write("tiny.yaml", TINY)
write("plain.yaml", """law: plain
formula: "K / C^gamma"
residual: log
objective: least-squares
parameters:
  K: {positive: true, starts: [1, 10, 100]}
  gamma: {low: -5, high: 5, starts: [0.01, 0.1]}
""")
code, out, err = run("isoflop", "tiny.yaml")
check("isoflop of a spec that has not run", code == 2 and "nothing has run yet" in err, code, out, err)
code, out, err = run("run", "tiny.yaml")
check("six small runs", code == 0, out, err)
code, out, err = run("isoflop", "tiny.yaml", "--method", "envelope", "--json")
envelope = json.loads(out)
check("isoflop of a spec: the envelope of its validation curves",
      code == 0 and envelope["rows"] >= 6 * 8 and envelope["segments"] and envelope["parameter_count"] == "non-embedding",
      code, out[:500], err)
code, out, err = run("isoflop", "tiny.yaml", "--method", "parabola", "--json")
check("isoflop of a spec: its runs in buckets of FLOPs", code == 0 and json.loads(out)["rows"] == 6, code, out[:500], err)
code, out, err = run("fit", "tiny.yaml", "--bootstrap", "0")
fitted = code == 0
code, out, err = run("design", "tiny.yaml", "--quick", "--json")
check("design: a stored fit is the truth, its scatter the noise",
      fitted and code == 0 and json.loads(out)["designs"][0]["assumed"] == "fit plain of tiny"
      and json.loads(out)["designs"][0]["noise_source"] == "the residual scatter of the stored fit", fitted, code, out, err)

print(f"1..{cases}")
sys.exit(1 if failures else 0)
