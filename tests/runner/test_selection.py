#!/usr/bin/env python3
"""Mixtures and selections from a spec to the store: shares in the plan, losses by source, chains that share a selection,
FLOPs shown apart, stopping and resuming to the same bits, refusals with their lines."""
import json
import os
import subprocess
import sys
import tempfile

isoloss, trainer = map(os.path.abspath, sys.argv[1:3])
cases = failed = 0


def check(fine, what, *about):
    global cases, failed
    cases += 1
    failed += not fine
    print("%sok %d - %s" % ("" if fine else "not ", cases, what))
    if not fine:
        print("# " + " ".join(str(a)[:800] for a in about).replace("\n", "\n# "))


def call(*arguments, program=None):
    done = subprocess.run([program or isoloss, *arguments], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


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

with tempfile.TemporaryDirectory(prefix="isoloss-test-") as folder:
    os.chdir(folder)
    os.environ["ISOLOSS_HOME"] = folder + "/home"
    os.environ["XDG_CACHE_HOME"] = folder + "/cache"

    def spec(name, ways=WAYS, more=""):
        with open(name + ".yaml", "w") as file:
            file.write(SPEC % (name, more, ways))
        return name + ".yaml"

    code, out, err = call("plan", spec("choices"))
    check(code == 0 and "markov2:1 70 %, markov2:2 30 %" in out, "a plan shows the shares", out, err)
    check("1 training, 6 selections, 12 further trainings" in out, "further trainings share selections", out)
    planned = {r["id"]: r for r in json.loads(call("plan", "choices.yaml", "--json")[1])}
    code, out, err = call("run", "choices.yaml")
    check(code == 0, "they run", out[-500:], err[-500:])
    rows = json.loads(call("runs", "choices", "--json")[1])
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
        lines = open("home/runs/%s/selection" % by("data", way)[0]["id"]).read().split("\n")[2:-2]
        lists[way] = [line.split() for line in lines]
    check(all(len({w[0] for w in l}) == len(l) for l in lists.values()), "no window is chosen twice", lists)
    check(all(float(w[1]) > 0 for w in lists["influence_mean"]) and len(lists["random"][0]) == 1, "linear weights")

    # The same configuration stopped and resumed: same bits. A training on the mixture, and one on a selection.
    for run in (train, after):
        again = "again/runs/"
        for id in (run["id"], run["parent"]) + ((train["id"],) if run["parent"] else ()):
            if id and not os.path.exists(again + id):
                os.makedirs(again + id)
                subprocess.run(["cp", "-r", "home/runs/%s/." % id, again + id], check=True)
        events = open("home/runs/%s/events.jsonl" % run["id"]).read().split("\n")
        subprocess.run(["rm", "-r", again + run["id"]], check=True)
        os.makedirs(again + run["id"])
        subprocess.run(["cp", "home/runs/%s/config.json" % run["id"], again + run["id"]], check=True)
        codes = [call("--steps", "7", again + run["id"] + "/config.json", program=trainer)[0],
                 call(again + run["id"] + "/config.json", program=trainer)[0]]
        now = open(again + run["id"] + "/events.jsonl").read().split("\n")
        loss = lambda lines: [json.loads(l)["loss"] for l in lines if '"event":"done"' in l]
        check(codes == [1, 0] and loss(now) == loss(events) and len(loss(now)) == 1,
              "%s stops and resumes to the same bits" % run["stage"], codes, loss(now), loss(events))

    # Other settings, other selections; what a way does not read counts for nothing.
    other = spec("other", '    - {select: random, fraction: 0.1, pool_tokens: 2048, landmarks: [32, 64]}')
    out = call("plan", other)[1]
    check("1 selection" in out, "landmarks count for nothing at random", out)
    for ways, word in (
            ('    - {select: influence_mean, fraction: 0.1}', "data.target is needed"),
            ('    - {select: oracle, target: "markov2:3"}', "is no source of corpus.mixture"),
            ('    - {select: influence_round_robin, target: "markov2:2", weights: linear}', "data.weights"),
            ('    - {select: random, pool_tokens: 16}', "no two windows"),
            ('    - {select: roundrobin}', "data.select")):
        code, out, err = call("check", spec("wrong", ways))
        check(code == 2 and word in out + err and "wrong.yaml:8:" in out + err, "refused: " + word, out + err)
    code, out, err = call("check", spec("wrong", WAYS, ", optimizer: muon"))
    check(code == 2 and "adamw" in out + err, "influence needs AdamW's second moments", out + err)

print("1..%d" % cases)
sys.exit(failed > 0)
