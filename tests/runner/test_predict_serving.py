# predict --inference-tokens: which N, D and format to train and serve, against brute force and closed forms.
#   test_predict_serving.py ISOLOSS SOURCE
import json
import math
import os
import random
import sys

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import check, finish, run, write  # noqa: E402

E, A, B, ALPHA, BETA = 1.8172, 482.01, 2085.43, 0.3478, 0.3658
fixed = [word for name, value in (("E", E), ("A", A), ("B", B), ("alpha", ALPHA), ("beta", BETA))
         for word in ("--fix", f"{name}={value}")]


def ask(*arguments):
    code, out, err = run("predict", *arguments, "--json")
    check(code == 0 and err == "", "predict answers", arguments, code, err)
    return json.loads(out)["serving"] if code == 0 else []


def loss(n, d, worth=1.0):
    return E + A / (n * worth) ** ALPHA + B / d ** BETA


def least(function, low, high):
    """The least value over ln N, by ever finer scans."""
    for _ in range(8):
        step = (high - low) / 400
        best = min((function(math.exp(low + step * i)), low + step * i) for i in range(401))[1]
        low, high = best - 2 * step, best + 2 * step
    return math.exp(best), function(math.exp(best))


def at_budget(budget, tokens, train=1.0, serve=1.0, worth=1.0):
    def value(n):
        d = (budget - 2 * n * tokens / serve) * train / (6 * n)
        return loss(n, d, worth) if d > 1 else 1e9
    return least(value, math.log(1e6), math.log(1e13))


def at_loss(wanted, tokens, train=1.0, serve=1.0, worth=1.0):
    def value(n):
        left = wanted - E - A / (n * worth) ** ALPHA
        return 6 * n * (B / left) ** (1 / BETA) / train + 2 * n * tokens / serve if left > 0 else 1e99
    return least(value, math.log(1e6), math.log(1e13))


def near(value, wanted, relative):
    return abs(value / wanted - 1) <= relative


plain = json.loads(run("predict", "--law", "chinchilla", *fixed, "--budget", "1e21", "--json").out)["allocations"][0]
none = ask("--law", "chinchilla", *fixed, "--budget", "1e21", "--inference-tokens", "0")[0]["candidates"][0]
check(all(near(none[key]["value"], plain[key]["value"], 1e-9) for key in ("parameters", "tokens", "loss"))
      and none["serving_flops"] == 0, "without traffic the best is that of training alone", none, plain)

for tokens in (1e10, 1e12, 1e13):
    one = ask("--law", "chinchilla", *fixed, "--budget", "1e22", "--inference-tokens", repr(tokens))[0]["candidates"][0]
    n, value = at_budget(1e22, tokens)
    check(near(one["parameters"]["value"], n, 2e-4) and near(one["loss"]["value"], value, 1e-9)
          and near(one["training_flops"] + one["serving_flops"], 1e22, 1e-9), f"budget, {tokens:g} tokens: brute force",
          one, n, value)
    one = ask("--law", "chinchilla", *fixed, "--loss", "2.3", "--inference-tokens", repr(tokens))[0]["candidates"][0]
    n, value = at_loss(2.3, tokens)
    check(near(one["parameters"]["value"], n, 1e-3) and near(one["cost"]["value"], value, 1e-6)
          and near(loss(one["parameters"]["value"], one["tokens"]["value"]), 2.3, 1e-6),
          f"loss, {tokens:g} tokens: brute force", one, n, value)
    # the derivative of 6 N D + 2 N T along the curve of equal loss is zero: 6 D + 2 T = 6 N (alpha A N^-alpha-1) /
    # (beta B D^-beta-1)
    n, d = one["parameters"]["value"], one["tokens"]["value"]
    slope = ALPHA * A * n ** (-ALPHA - 1) / (BETA * B * d ** (-BETA - 1))
    check(near(6 * d + 2 * tokens, 6 * n * slope, 1e-3), f"loss, {tokens:g} tokens: the condition of the optimum", one)
    check(one["cost_of_training_alone"] >= one["cost"]["value"] * (1 - 1e-9)
          and one["parameters_of_training_alone"] > one["parameters"]["value"],
          "traffic makes the model smaller and its training longer", one)

# ---- formats, speeds, time and money ----

made = ["--law", "effective-parameters", *fixed, "--fix", "eff[w4a4]=0.747", "--formats", "none,w4a4", "--inference-tokens",
        "1e12", "--flops-per-second", "4e14", "--price-per-hour", "2", "--speed", "w4a4=2", "--serving-speed",
        "w4a4=1.2e15FLOP/s", "--serving-speed", "none=20000tokens/s@1e10"]
answer = ask(*made, "--loss", "2.3")[0]
by_name = {one["format"]: one for one in answer["candidates"]}
for name, train, serve, worth, bits in (("none", 1, 2 * 1e10 * 20000 / 4e14, 1, 16), ("w4a4", 2, 3, 0.747, 4)):
    one = by_name[name]
    n, value = at_loss(2.3, 1e12, train, serve, worth)
    check(near(one["parameters"]["value"], n, 1e-3) and near(one["cost"]["value"], value, 1e-6)
          and one["training_speed"] == train and near(one["serving_speed"], serve, 1e-12), f"{name}: brute force", one, n, value)
    check(near(one["seconds"], value / 4e14, 1e-6) and near(one["money"], value / 4e14 / 3600 * 2, 1e-6)
          and near(one["weight_bytes"], one["parameters"]["value"] * one["bits_per_weight"] / 8, 1e-12)
          and one["bits_per_weight"] >= bits, f"{name}: seconds, money and bytes", one)
check(answer["best"] == "w4a4" and not answer["decided"]
      and near(by_name["none"]["log_cost_behind"]["value"],
               math.log(by_name["none"]["cost"]["value"] / by_name["w4a4"]["cost"]["value"]), 1e-9),
      "the cheapest format, undecided without resamples", answer)
money = ask(*made, "--money", "5000")[0]
check(near(money["budget"], 5000 / 2 * 3600 * 4e14, 1e-12)
      and all(near(one["money"], 5000, 1e-9) for one in money["candidates"]), "a budget of money", money)
n, value = at_budget(money["budget"], 1e12, 2, 3, 0.747)
check(near(money["candidates"][1]["loss"]["value"], value, 1e-8), "a budget of money: brute force", money, value)
small = ask(*made, "--money", "50000", "--memory", "1e9")[0]["candidates"]
check(small[0]["memory_is_full"] and near(small[0]["parameters"]["value"], 5e8, 1e-6), "weights within a memory", small)
code, out, err = run("predict", *made, "--loss", "2.3")
check(code == 0 and "undecided: w4a4 has the least cost" in out and "training alone would choose" in out, "for people", out, err)

# ---- a fit: intervals, extrapolation ----

random.seed(11)
rows = ["parameters,tokens,loss"]
for i in range(6):
    for k in range(6):
        n, d = 1e7 * 3 ** i, 2e8 * 3 ** k
        rows.append(f"{n},{d},{loss(n, d) * math.exp(random.gauss(0, 0.002))}")
write("runs.csv", "\n".join(rows) + "\n")
fit = ["runs.csv", "--law", "chinchilla", "--bootstrap", "200", "--starts", "100", "--seed", "1"]
for question, truth in ((["--budget", "1e20", "--inference-tokens", "1e10"], at_budget(1e20, 1e10)),
                        (["--loss", "3", "--inference-tokens", "1e10"], at_loss(3, 1e10))):
    answer = ask(*fit, *question)[0]
    one = answer["candidates"][0]
    value = one["loss" if "--budget" in question else "cost"]
    check(one["parameters"]["low"] < truth[0] < one["parameters"]["high"] and value["low"] < truth[1] < value["high"]
          and answer["cannot_tell"] is None and not any(one["outside"].values()), "intervals hold the truth amid the rows",
          question, one, truth)
near_by = ask(*fit, "--budget", "3e21", "--inference-tokens", "1e10")[0]
check(near_by["cannot_tell"] is None and near_by["candidates"][0]["outside"]["tokens"] > 1
      and near_by["candidates"][0]["parameters"]["low"] is not None, "outside the rows: marked", near_by)
far = ask(*fit, "--budget", "1e26", "--inference-tokens", "1e12")[0]
check("these runs cannot tell" in far["cannot_tell"] and far["candidates"][0]["parameters"]["low"] is None
      and far["candidates"][0]["parameters"]["status"] == "not determined", "a hundred times outside: these runs cannot tell",
      far)
code, out, err = run("predict", *fit, "--budget", "1e26", "--inference-tokens", "1e12")
check(code == 0 and "these runs cannot tell" in out, "and in words", out, err)

# ---- refusals ----

base = ["--law", "chinchilla", *fixed]
for arguments, words in [
    (["--inference-tokens", "1e12"], "--loss 2.5"),
    (["--inference-tokens", "1e12", "--loss", "2", "--budget", "1e21"], "--loss 2.5"),
    (["--inference-tokens", "-1", "--loss", "2"], "number of tokens"),
    (["--inference-tokens", "1e12", "--loss", "1.5"], "reaches a loss of 1.5 at no size"),
    (["--inference-tokens", "1e12", "--money", "10"], "--flops-per-second"),
    (["--inference-tokens", "1e12", "--money", "10", "--flops-per-second", "1e14"], "--price-per-hour"),
    (["--inference-tokens", "1e12", "--loss", "2.3", "--serving-speed", "w4=2"], "of no format of the question"),
    (["--inference-tokens", "1e12", "--loss", "2.3", "--serving-speed", "2tokens"], "tokens/s@N"),
    (["--inference-tokens", "1e12", "--loss", "2.3", "--serving-speed", "3e14FLOP/s"], "--flops-per-second"),
    (["--inference-tokens", "1e12", "--loss", "2.3", "--at", "N=1e9"], "N and D are what is looked for"),
    (["--budget", "1e21", "--loss", "2.3"], "--inference-tokens"),
]:
    code, out, err = run("predict", *base, *arguments)
    check(code == 2 and out == "" and words in err, f"predict {' '.join(arguments)}: refused", code, out, err)

finish()
