# design --next: the runs to make next, from nothing and after some are done; what plan says the runs will identify.
#   test_design_next.py ISOLOSS SOURCE
import json
import os
import re
import sys

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import check, finish, run, write  # noqa: E402

truth = ["--assume", "E=1.69,A=406.4,B=410.7,alpha=0.34,beta=0.28"]
GRID = """experiment: grid
corpus: {source: markov2}
base: {model: {context: 16, layers: 2}, train: {batch_tokens: 256}}
sweep: {grid: {model.width: [32, 64, 128, 192], train.tokens: [1e5, 3e5, 1e6, 3e6], seed: [1, 2]}}
fit: [{law: chinchilla, average_over: [seed]}]
"""
write("grid.yaml", GRID)


def ask(*arguments):
    code, out, err = run("design", *arguments, "--next", "--json")
    check(code == 0 and err == "", "design --next answers", arguments, code, err)
    return json.loads(out)["designs"][0] if code == 0 else {}


planned = {one["id"]: one for one in json.loads(run("plan", "grid.yaml", "--json").out)}
all_of = ask("grid.yaml", *truth)
steps = all_of["next"]
check(all_of["criterion"] == "D" and all_of["done"] == 0 and all_of["candidates"] == 16 and len(steps) == 16
      and not all_of["now"]["determined"] and all_of["now"]["se"] is None and all_of["repeats"] == 0,
      "from nothing: all rows in an order", all_of)
check(sorted(sum((step["ids"] for step in steps), [])) == sorted(planned)
      and all(len(step["ids"]) == 2 for step in steps), "a row that is a mean over seeds is all of its runs", steps)
check(all(abs(step["flops"] / sum(planned[i]["flops"] for i in step["ids"]) - 1) < 1e-9 for step in steps)
      and abs(steps[-1]["flops_in_all"] / sum(one["flops"] for one in planned.values()) - 1) < 1e-9,
      "costs are the planned FLOPs", steps)
check([step["with_prior"] for step in steps[:5]] == [True] * 5 and not any(step["with_prior"] for step in steps[5:])
      and [step["determined"] for step in steps] == [False] * 4 + [True] * 12
      and all(a["log_determinant"] > b["log_determinant"] for a, b in zip(steps[4:], steps[5:])),
      "the first runs make the matrix regular, each further one lowers the determinant", steps)
whole = json.loads(run("design", "grid.yaml", *truth, "--quick", "--json").out)["designs"][0]
check(abs(all_of["all"]["log_determinant"] - whole["log_determinant"]) < 1e-6
      and abs(all_of["all"]["se"] / whole["parameters"][all_of["all"]["quantity"]]["linear_se"] - 1) < 1e-6,
      "with all runs it is the design of the sweep", all_of["all"], whole)

alpha = ask("grid.yaml", *truth, "--target", "alpha", "--until", "20%")
check(alpha["criterion"] == "V" and alpha["reached"] and alpha["next"][-1]["relative_width"] <= 0.2
      and 6 <= len(alpha["next"]) < 16 and alpha["next"][-1]["flops_in_all"] < 0.7 * alpha["all"]["flops"],
      "until an interval is narrow enough, at less than all runs take", alpha)
code, out, err = run("design", "grid.yaml", *truth, "--next", "--target", "alpha", "--until", "20%")
check(code == 0 and "no wider than 20 % of its value after" in out and "V-optimal" in out and "prior" in out
      and alpha["command"] in out, "in words", out, err)
code, out, err = run("design", "grid.yaml", *truth, "--next", "--target", "alpha", "--until", "0.001")
check(code == 0 and "is not reached for alpha: all 16 candidates together leave" in out, "a width out of reach", out, err)
point = ask("grid.yaml", *truth, "--at", "N=1e6,D=1e7", "--limit", "7")
value = 1.69 + 406.4 / 1e6 ** 0.34 + 410.7 / 1e7 ** 0.28
check(point["criterion"] == "V" and len(point["next"]) == 7 and abs(point["now"]["value"] / value - 1) < 1e-9
      and point["target"].startswith("loss at N"), "the criterion is a prediction", point)
chosen = ask("grid.yaml", *truth, "--candidates", "N=1e5..1e7:5log,D=1e6..1e8:5log", "--target", "beta", "--until", "12%")
check(chosen["reached"] and chosen["candidates"] == 25 and chosen["command"] is None
      and all(step["ids"] == [] and abs(step["flops"] / (6 * step["parameters"] * step["tokens"]) - 1) < 1e-9
              for step in chosen["next"]), "points in place of the spec's runs", chosen)

for arguments, words in [
    (["--until", "10%"], "are of --next"),
    (["--next", "--until", "wide"], "no width"),
    (["--next", "--until", "0.1"], "the unit of one quantity"),
    (["--next", "--target", "alpha", "--at", "N=1e6,D=1e7"], "one of them"),
    (["--next", "--target", "alfa"], "did you mean 'alpha'"),
    (["--next", "--at", "N=1e6"], "needs N and D"),
    (["--next", "--at", "N=1e6|2e6,D=1e7"], "names 2 points"),
    (["--next", "--candidates", "N=1e6,D=1e7,colour=red"], "no column 'colour'"),
    (["--next", "--limit", "-5"], "--limit"),
]:
    code, out, err = run("design", "grid.yaml", *truth, *arguments)
    check(code == 2 and out == "" and words in err, f"design {' '.join(arguments)}: refused", code, out, err)

# ---- after some are done ----

write("tiny.yaml", """experiment: tiny
corpus: {source: markov2}
base: {model: {context: 16, layers: 1}, train: {batch_tokens: 256, evals: 0, final_eval_tokens: 2048}}
sweep: {grid: {model.width: [32, 48, 64], train.tokens: [10240, 20480]}}
fit: [{law: ./plain.yaml, name: plain}]
""")
write("plain.yaml", """law: plain
formula: "K / C^gamma"
residual: log
objective: least-squares
parameters:
  K: {positive: true, starts: [1, 10, 100]}
  gamma: {low: -5, high: 5, starts: [0.01, 0.1]}
""")
assumed = ["--assume", "K=10,gamma=0.05"]
first = ask("tiny.yaml", *assumed, "--limit", "2")
match = re.fullmatch(r"isoloss run tiny\.yaml --only '(.*)'", first["command"])
check(match and len(first["next"]) == 2 and first["next"][1]["determined"], "the call that trains them", first)
code, out, err = run("run", "tiny.yaml", "-q", "--only", match.group(1))
check(code == 0, "the call trains", out, err)
states = {one["id"]: one["state"] for one in json.loads(run("plan", "tiny.yaml", "--json").out)}
check(sorted(i for i, state in states.items() if state == "done") == sorted(sum((s["ids"] for s in first["next"]), [])),
      "these two runs", states)
then = ask("tiny.yaml", *assumed)
check(then["done"] == 2 and then["candidates"] == 4 and then["now"]["determined"]
      and abs(then["now"]["log_determinant"] - first["next"][1]["log_determinant"]) < 1e-9
      and not any(step["with_prior"] for step in then["next"]), "the next list begins where the runs are", then)
run("run", "tiny.yaml", "-q")
code, out, err = run("design", "tiny.yaml", *assumed, "--next")
check(code == 0 and "all runs of this fit are done" in out and "--candidates" in out, "nothing is left", code, out, err)
check(ask("tiny.yaml", *assumed)["next"] == [], "nothing is left, in JSON")

# ---- plan says what the runs will identify ----

code, out, err = run("plan", "grid.yaml")
check("fit chinchilla: these runs determine E, A, B, alpha, beta (at the law's starting values" in out.replace("\n  ", " "),
      "plan: a grid identifies all", out, err)
write("few.yaml", GRID.replace("[32, 64, 128, 192]", "[32]"))
out = run("plan", "few.yaml").out.replace("\n  ", " ")
check("4 rows cannot determine 5 parameters" in out, "plan: too few rows for the law", out)
write("one.yaml", GRID.replace("[32, 64, 128, 192]", "[32]").replace("3e6]", "3e6, 1e7, 3e7, 1e8]"))
out = run("plan", "one.yaml").out.replace("\n  ", " ")
check("determine B, beta, not E, A, alpha" in out, "plan: one size does not identify its exponent", out)
run("fit", "tiny.yaml")
out = run("plan", "tiny.yaml").out.replace("\n  ", " ")
check("fit plain: these runs determine K, gamma" in out and "(at fit plain of tiny" in out, "plan: at the stored fit", out)

finish()
