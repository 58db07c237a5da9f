"""Mixtures and selections from a spec to the store: shares in the plan, losses by source, chains that share a selection,
FLOPs shown apart, stopping and resuming to the same bits, refusals with their lines.
test_selection.py ISOLOSS TRAINER. Prints TAP."""
import json
import os
import re
import shutil
import sys

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import check, document, finish, path_of, run, write  # noqa: E402

trainer = os.path.abspath(sys.argv[2])

SPEC = """experiment: %s
corpus: {mixture: "0.7 markov2:1 + 0.3 markov2:2", markov2_vocabulary: 6}
base:
  model: {layers: 1, width: 16, context: 16, dtype: float32}
  train: {batch_tokens: 128, steps: 24, lr: 1e-2, evals: 0, final_eval_tokens: 2048%s}
stages:
  data:
%s
  train: {steps: 12, lr: [3e-3, 1e-3]}
"""
WAYS = """    - {select: influence_round_robin, fraction: 0.1, target: "markov2:2", pool_tokens: 2048, targets: 8, landmarks: 32, dimensions: 512}
    - {select: influence_mean, fraction: 0.1, target: "markov2:2", pool_tokens: 2048, targets: 8, landmarks: 128, weights: linear}
    - {select: [random, oracle], fraction: 0.1, target: "markov2:2", pool_tokens: 2048}
    - {select: target_only, target: "markov2:2", targets: 8}
    - {select: all, pool_tokens: 2048}"""


def spec(name, ways=WAYS, more=""):
    return write(name + ".yaml", SPEC % (name, more, ways))


code, out, err = run("plan", spec("choices"))
check(code == 0 and "markov2:1 70 %, markov2:2 30 %" in out, "a plan shows the shares", out, err)
check("1 training, 6 selections, 12 further trainings" in out, "further trainings share selections", out)
planned = {r["id"]: r for r in document("plan", "choices.yaml")}
code, out, err = run("run", "choices.yaml")
check(code == 0, "they run", out[-500:], err[-500:])
rows = document("runs", "choices")
by = lambda stage, way: [r for r in rows if r["stage"] == stage and r["data.select"] == way]
check(all(r["state"] == "done" for r in rows) and len(rows) == 19, "all are done", len(rows))
check(all(r["loss_source_1"] and r["loss_source_2"] for r in rows), "losses of both sources", rows[0])
train, robin = by("train", "none")[0], by("data", "influence_round_robin")[0]
mixed = 0.7 * train["loss_source_1"] + 0.3 * train["loss_source_2"]
check(abs(mixed - train["loss"]) < 0.02, "the loss is their mean by shares", mixed, train["loss"])
check(robin["selected_windows"] == 13 and by("data", "all")[0]["selected_windows"] == 128 and
      by("data", "target_only")[0]["selected_windows"] == 8, "as many windows as asked for", robin)
check(by("data", "oracle")[0]["selected_share"] == 1, "the oracle takes the target's source alone")
check(robin["landmark_correlation"] is not None and -1 <= robin["landmark_correlation"] <= 1,
      "how well influence is predicted", robin["landmark_correlation"])
# 40 gradients and 128 forward passes, each of 16 tokens, a third of a training's FLOPs forward.
wanted = planned[robin["id"]]["flops_selection"]
per_token = train["flops"] / train["tokens"]
check(abs(wanted / (16 * (40 + 128 / 3) * per_token) - 1) < 1e-9, "the FLOPs of a selection", wanted)
after = by("tune", "influence_round_robin")[0]
check(after["flops_selection"] == wanted and abs(after["flops"] - 1.5 * train["flops"] - wanted) < 1 and
      by("tune", "random")[0]["flops_selection"] is None, "they count in C and are shown apart", after["flops"])
lists = {}
for way in ("influence_round_robin", "influence_mean", "random", "oracle", "all"):
    lines = open(path_of("home", "runs", by("data", way)[0]["id"], "selection")).read().split("\n")[2:-2]
    lists[way] = [line.split() for line in lines]
check(all(len({w[0] for w in l}) == len(l) for l in lists.values()), "no window is chosen twice", lists)
check(all(float(w[1]) > 0 for w in lists["influence_mean"]) and len(lists["random"][0]) == 1, "linear weights")

# The same configuration stopped and resumed: same bits. A training on the mixture, and those on a selection.
def resumes(one):
    again = path_of("again", "runs", one["id"])
    for id in (one["parent"], train["id"]) if one["parent"] else ():
        shutil.copytree(path_of("home", "runs", id), path_of("again", "runs", id), dirs_exist_ok=True)
    shutil.rmtree(again, ignore_errors=True)
    os.makedirs(again)
    shutil.copy(path_of("home", "runs", one["id"], "config.json"), again)
    codes = [run(*steps, os.path.join(again, "config.json"), program=trainer).code for steps in (("--steps", "7"), ())]
    losses = []
    for folder in (path_of("home", "runs", one["id"]), again):
        with open(os.path.join(folder, "events.jsonl")) as log:
            losses.append([json.loads(line)["loss"] for line in log if '"event":"done"' in line])
    check(codes == [1, 0] and losses[0] == losses[1] and len(losses[1]) == 1,
          "%s, weights %s, stops and resumes to the same bits" % (one["stage"], one["tune.weights"]), codes, losses)


resumes(train)
resumes(after)

# A first training on the selected windows: the model before it has served the choice alone.
spec("first", """    - {select: [influence_round_robin, random, all], fraction: 0.1, target: "markov2:2", pool_tokens: 2048, targets: 8,
       landmarks: 32, dimensions: 512}""")
text = open(path_of("first.yaml")).read().replace("{steps: 12, lr: [3e-3, 1e-3]}", "{steps: 12, weights: [initial, parent]}")
write("first.yaml", text + "  evaluate: {tokens: 2048, prompts: 0}\n")
out = run("plan", "first.yaml").out
said = re.search(r"; (\S+) FLOPs, (\S+) of them to select data", out)
check(said and abs(float(said[2]) / wanted - 1) < 0.01, "a plan says what selecting costs", out)
check(run("run", "first.yaml").code == 0, "they run")
rows = document("runs", "first")
half = train["flops"] / 2
for way, chosen, epochs in (("influence_round_robin", train["flops"] + wanted, 12 * 8 / 13), ("random", 0, 12 * 8 / 13),
                            ("all", 0, 12 * 8 / 128)):
    begun = [r for r in by("tune", way) if r["tune.weights"] == "initial"][0]
    check(begun["tokens"] == train["tokens"] / 2 and begun["steps"] == 12 and abs(begun["epochs"] - epochs) < 1e-9 and
          begun["tune.lr"] == 1e-2, "N, D and the rate are a first training's: " + way, begun)
    check(abs(begun["flops_own"] - half) < 1 and (begun["flops_selection"] or 0) == chosen and
          abs(begun["flops"] - half - chosen) < 1 and begun["compression"] == "none",
          "C counts the model before it where that was read: " + way, begun)
    after = [r for r in by("evaluate", way) if r["parent"] == begun["id"]][0]
    check(after["root_loss"] == begun["loss"] and after["flops_own"] == 0 and after["flops"] == begun["flops"],
          "it is what evaluations hold it against: " + way, after)
begun, on = [[r for r in by("tune", "all") if r["tune.weights"] == w][0] for w in ("initial", "parent")]
check(begun["loss"] > on["loss"], "what the model before it has learned is not in it", begun["loss"], on["loss"])

resumes([r for r in by("tune", "influence_round_robin") if r["tune.weights"] == "initial"][0])

# Other settings, other selections; what a way does not read counts for nothing.
other = spec("other", '    - {select: random, fraction: 0.1, pool_tokens: 2048, landmarks: [32, 64]}')
out = run("plan", other).out
check("1 selection" in out, "landmarks count for nothing at random", out)
for ways, word in (
        ('    - {select: influence_mean, fraction: 0.1}', "data.target is needed"),
        ('    - {select: oracle, target: "markov2:3"}', "is no source of corpus.mixture"),
        ('    - {select: influence_round_robin, target: "markov2:2", weights: linear}', "data.weights"),
        ('    - {select: random, pool_tokens: 16}', "no two windows"),
        ('    - {select: roundrobin}', "data.select")):
    code, out, err = run("check", spec("wrong", ways))
    check(code == 2 and word in out + err and "wrong.yaml:8:" in out + err, "refused: " + word, out + err)
write("wrong.yaml", open(spec("wrong", "    - {select: random}")).read().replace("steps: 12,", "steps: 12, weights: initial,")
      .replace("- {select: random}", "- none"))
code, out, err = run("check", "wrong.yaml")
check(code == 2 and "wrong.yaml:9:" in out + err and "without a selection" in out + err,
      "initial weights without a selection are refused", out + err)
code, out, err = run("check", spec("wrong", WAYS, ", optimizer: muon"))
check(code == 2 and "adamw" in out + err, "influence needs AdamW's second moments", out + err)

finish()
