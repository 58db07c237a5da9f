# isoflop and design as a user types them: tables, specs, what they refuse, JSON, figures.
#   test_design.py ISOLOSS SOURCE
import json
import math
import os
import re
import signal
import sys
import time

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import check, finish, run, scratch, start, write  # noqa: E402
from html_page import Page  # noqa: E402

source = os.path.abspath(sys.argv[2])
points = source + "/tests/data/tables/porian_isoflop/runs.csv"

# ---- isoflop ----

kaplan = ["--budget", "budget", "--where", "config == 'rw_base_long_kaplan_kaplan'", "--noise", "0.002"]
code, out, err = run("isoflop", points, *kaplan, "--json", "--plot", "figures")
result = json.loads(out)
budgets = {budget["flops"]: budget for budget in result["budgets"]}
check(code == 0 and abs(budgets[1e17]["parameters"]["value"] / 6515691.320387968 - 1) < 1e-9
      and abs(result["exponents"]["parameters"]["value"] - 0.8353) < 0.003
      and result["exponents"]["parameters"]["low"] < 0.8353 < result["exponents"]["parameters"]["high"],
      "isoflop: published optima and exponent from their points", code, out[:300], err)
check(all(open(f"{scratch}/figures/{name}.svg").read().startswith("<") for name in ("isoflop-curves", "isoflop-optima"))
      and result["copies"] == 1000, "isoflop --plot: two figures", err)
code, out, err = run("isoflop", points, "--budget", "budget", "--where", "config == 'rw_base_long_kaplan_standard'",
                     "--method", "parabola", "--window", "6")
check(code == 0 and "rejected: " in out, "isoflop: a minimum at the edge is rejected", out, err)
check(code == 0 and "N* = " in out and err == "", "isoflop --method parabola: for people", code, out, err)
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
    check(code == 2 and out == "" and words in err, f"isoflop {' '.join(arguments)}: refused", code, out, err)

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
check(code == 0 and err == "" and quick["runs"] == 16 and quick["rows"] == 16 and quick["repeats"] == 0
      and 0 < quick["parameters"]["beta"]["linear_se"] < 0.05 and quick["parameters"]["beta"]["sd"] is None
      and quick["added_run"]["se_after"] < quick["added_run"]["se_before"] and quick["flops"] > 1e12
      and not os.path.exists(scratch + "/home"),
      "design --quick: nothing is trained, errors for every parameter, a run to add", code, out, err)

code, out, err = run("design", "grid.yaml", *truth, "--repeats", "40", "--starts", "20", "--bootstrap", "20", "--json")
full = json.loads(out)["designs"][0]
ratio = full["parameters"]["alpha"]["sd"] / full["parameters"]["alpha"]["linear_se"]
check(code == 0 and full["repeats"] == 40 and 0.7 < ratio < 1.35 and full["parameters"]["alpha"]["coverage95"] > 0.7
      and math.isfinite(full["derived"]["a"]["sd"]),
      "design: the simulation agrees with the linearised errors", code, ratio, out, err)

code, out, err = run("design", "grid.yaml", "ratio.yaml", *truth, "--quick")
check(code == 0 and "cannot separate E from" in out and "beta" in out.split("cannot separate E from")[1].split("\n")[0]
      and "D-optimal): design 1" in out,
      "design: a sweep of one ratio of tokens to parameters cannot separate E from beta", code, out, err)
code, out, err = run("design", "grid.yaml", "--variant", "model.layers=4", *truth, "--quick", "--json")
document = json.loads(out)
check(code == 0 and [d["spec"] for d in document["designs"]] == ["grid.yaml", "grid.yaml with model.layers=4"]
      and document["comparison"][0]["best_overall"] in ("grid.yaml", "grid.yaml with model.layers=4")
      and document["comparison"][0]["best"]["E"], "design --variant: two designs and which is better", code, out, err)

code, out, err = run("design", "formats.yaml", *truth, "--quick")
check(code == 2 and "eff[w4a4], eff[w2a2]" in err, "design: formats need their factors assumed", code, out, err)
code, out, err = run("design", "formats.yaml", "--assume", truth[1] + ",eff[w4a4]=0.6,eff[w2a2]=0.2", "--quick", "--json")
check(code == 0 and json.loads(out)["designs"][0]["parameters"]["eff[w2a2]"]["linear_se"] > 0,
      "design: a sweep of formats",
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
    check(code == 2 and out == "" and words in err, f"design {' '.join(arguments)[:60]}: refused", code, out, err)
code, out, err = run("design", points)
check(code == 2 and "is no spec" in err, "design of a table: refused", code, err)


# ---- the entry's own fit: by the values of a column, with its ties and bounds ----

write("by.yaml", GRID.replace("experiment: grid", "experiment: by").replace(
    "train.tokens: [1e5, 3e5, 1e6, 3e6]", "train.tokens: [1e5, 3e5, 1e6, 3e6], format: [none, w4a4]").replace(
    "{law: chinchilla}", "{law: chinchilla, by: format}, {law: chinchilla, name: tied, where: \"format == 'none'\", tie: beta=alpha}, "
    "{law: chinchilla, name: known, where: \"format == 'none'\", prior: alpha=0.34~0.02}"))
equal = ["--assume", "E=1.69,A=406.4,B=410.7,alpha=0.3,beta=0.3"]
code, out, err = run("design", "by.yaml", *equal, "--quick", "--json")
made = {one["fit"]: one for one in json.loads(out)["designs"]}
check(code == 0 and list(made) == ["chinchilla[none]", "chinchilla[w4a4]", "tied", "known"]
      and all(one["rows"] == 16 for one in made.values()), "design of an entry with by: a design for each value", code, out, err)
check("beta" not in made["tied"]["parameters"]
      and all(made["tied"]["parameters"][name]["linear_se"] < made["chinchilla[none]"]["parameters"][name]["linear_se"]
              for name in ("A", "alpha")),
      "design of an entry with a tie: two exponents in one are known better", made["tied"]["parameters"])
check(made["known"]["left_out"] == "priors" and "left_out" not in made["tied"], "design says what it knows nothing of", made["known"])
code, out, err = run("design", "by.yaml", *equal, "--quick")
check("without the priors of the entry: by the runs alone" in out, "in words too", out, err)
far = [line for line in out.split("\n") if "100 times outside the rows" in line]
check(far and all("these runs cannot tell" in line for line in far), "a hundred times outside nothing is known", far)

process = start("design", "grid.yaml", *truth, "--repeats", "100000", "--json")
time.sleep(4)
process.send_signal(signal.SIGINT)
out, err = process.communicate(timeout=120)
stopped = json.loads(out)["designs"]
check(process.returncode == 0 and stopped and stopped[0]["interrupted"] and 0 < stopped[0]["repeats"] < 100000,
      "design: Ctrl-C prints what it has",
      process.returncode, out[:300], err)

# ---- a spec's own runs: curves, a stored fit as the truth ----

TINY = """experiment: tiny
corpus: {source: markov2}
base: {model: {context: 16, layers: 1}, train: {batch_tokens: 256, evals: 8, eval_tokens: 2048, final_eval_tokens: 2048}}
sweep: {grid: {model.width: [32, 48, 64], train.tokens: [10240, 20480]}}
fit: [{law: ./plain.yaml, name: plain}, {method: isoflop, name: best, minimum: envelope, copies: 20},
      {method: isoflop, minimum: parabola, budget: flops_6nd}]
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
check(code == 2 and "nothing has run yet" in err, "isoflop of a spec that has not run", code, out, err)
code, out, err = run("run", "tiny.yaml")
check(code == 0, "six small runs", out, err)
code, out, err = run("isoflop", "tiny.yaml", "--method", "envelope", "--json")
envelope = json.loads(out)
check(code == 0 and envelope["rows"] >= 6 * 8 and envelope["segments"] and envelope["parameter_count"] == "non-embedding",
      "isoflop of a spec: the envelope of its validation curves",
      code, out[:500], err)
code, out, err = run("isoflop", "tiny.yaml", "--method", "parabola", "--json")
check(code == 0 and json.loads(out)["rows"] == 6,
      "isoflop of a spec: its runs in buckets of FLOPs", code, out[:500], err)
code, out, err = run("isoflop", "tiny.yaml", "--method", "envelope", "--copies", "20", "--json")
envelope = json.loads(out)
code, out, err = run("fit", "tiny.yaml", "--bootstrap", "0", "--json")
fits = json.loads(out)
check(code == 0 and [fit["name"] for fit in fits] == ["plain", "best", "isoflop"] and fits[1]["isoflop"] == envelope
      and fits[1]["law"] is None and fits[2]["isoflop"]["method"] == "parabola",
      "fit of a spec: its entries of method isoflop stand behind its laws", code, out[:500], err)
code, out, err = run("fit", "tiny.yaml", "--law", "best")
check(code == 0 and "best: compute-optimal sizes\nenvelope: " in out and "parabola" not in out and "plain" not in out,
      "fit --law: one of them", code, out, err)
code, out, err = run("report", "tiny.yaml", "-o", "tiny.html")
page = Page(open(scratch + "/tiny.html").read())
shown = page.tables["isoflop-exponents"][1]
check(code == 0 and not page.problems and "Compute-optimal sizes: best" in page.words()
      and shown[2] == f"{envelope['exponents']['parameters']['value']:.4g}" and len(page.tables["isoflop-budgets"]) > 1,
      "report: exponents and budgets of the isoflop entries", code, shown, page.problems, err)
check(envelope["bias"]["surface"] == "chinchilla" and envelope["bias"]["sentences"]
      and envelope["bias"]["sentences"][0][1:40] in page.words(), "report: the bias of the grid, or why it is not known",
      envelope["bias"])
reported = json.loads(run("report", "tiny.yaml", "--json").out)
check([one["name"] for one in reported["isoflops"]] == ["best", "isoflop"] and reported["isoflops"][0]["isoflop"] == envelope
      and [figure["name"] for figure in reported["figures"] if figure["fit"] == "isoflop"] ==
      ["isoflop-curves", "isoflop-optima"], "report --json: the same document, and the figures", reported["isoflops"])
code, out, err = run("fit", "tiny.yaml")
fitted = code == 0
code, out, err = run("design", "tiny.yaml", "--quick", "--json")
check(fitted and code == 0 and json.loads(out)["designs"][0]["assumed"] == "fit plain of tiny"
      and json.loads(out)["designs"][0]["noise_source"] == "the residual scatter of the stored fit",
      "design: a stored fit is the truth, its scatter the noise", fitted, code, out, err)

# ---- a claim is no surer than the interval that stands beside it ----

found = json.loads(run("fit", "tiny.yaml", "--json").out)[0]["parameters"]["gamma"]
check(found["interval"] != "percentile" and found["low"] < found["percentile"][0], "six rows have wider intervals", found)
between = (found["low"] + found["percentile"][0]) / 2
write("claims.yaml", TINY + "claims:\n  - gamma > %r\n  - gamma > %r\n  - gamma < %r\n" % (
    between, found["low"] - 0.1 * abs(found["low"]), found["low"] - 0.2 * abs(found["low"])))
told = run("fit", "claims.yaml").out
verdicts = re.findall(r"^claim .*: (held|not held|undecided) \(", told, re.M)
check(verdicts == ["undecided", "held", "not held"], "claims within and outside the printed interval", verdicts, told)

# ---- isoflop of a spec ----

write("iso.yaml", """experiment: iso
corpus: {source: markov2, markov2_vocabulary: 16}
base:
  model: {layers: 1, context: 16, dtype: float32}
  train: {batch_tokens: 128, evals: 0, final_eval_tokens: 2048, lr: 1e-2}
sweep:
  - {grid: {model.width: [16, 32, 48], seed: [1, 2]}, set: {train.tokens: "round(2e8 / (6 * parameters))"}}
fit: [{method: isoflop, minimum: parabola, budget: flops_6nd, where: "seed == 1"}]
""")
run("run", "iso.yaml", "-q")
code, out, err = run("isoflop", "iso.yaml", "--json")
result = json.loads(out) if code == 0 else {}
check((result.get("method"), result.get("rows")) == ("parabola", 3)
      and abs(result["budgets"][0]["flops"] / 2e8 - 1) < 0.05,  # 6ND, with tokens in whole steps
      "isoflop SPEC: the spec's entry", code, out[:300], err)
code, out, err = run("isoflop", "iso.yaml", "--method", "akima", "--where", "model.width > 16", "--json")
result = json.loads(out) if code == 0 else {}
check((result.get("method"), result.get("rows")) == ("akima", 2),
      "isoflop SPEC: options change the entry, --where narrows its runs", code, out[:300], err)

finish()
