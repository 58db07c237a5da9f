"""Compressions that train the model, compress: {method: elsa}: test_elsa.py ISOLOSS. Prints TAP."""
import os
import random
import signal
import sys
import time

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import case, check, document, finish, near, path_of, run, select, start, write  # noqa: E402

HEAD = """experiment: EXPERIMENT
corpus: {source: markov2, markov2_vocabulary: 16}
base:
  model: {layers: 2, width: 32, context: 32, dtype: float32}
  train: {batch_tokens: 256, steps: 40, evals: 0, final_eval_tokens: 4096, lr: 1e-2}
"""


def spec(name, rest, head=HEAD):
    return write(name + ".yaml", head.replace("EXPERIMENT", name) + rest)


# As before there was elsa.
GOLDEN = ["3dcfc5076cf4bfd7fd41f3a237076c73", "7dd9344ef5624a7735a91b239592fcf3", "6e4381f4a7accf70c0461971e5a39f0e"]
ELSA = spec("elsa", """stages:
  compress:
    - {method: elsa, sparsity: [0.5, 0.9], steps: 24, lr: 3e-3, interval: 5}
    - {method: elsa, pattern: "2:4", steps: 24, lr: 3e-3, interval: 5, penalty: decoupled, lambda: 1}
    - {method: elsa, sparsity: 0.9, steps: 24, lr: 3e-3, interval: 5, projection: second_moment, memory: low, lambda_schedule: cosine}
    - {method: magnitude, sparsity: 0.9}
  train: [none, {steps: 10, lr: 1e-3}]
  evaluate: {tokens: 2048, prompts: 0}
""")


def weights(run_id, home="home"):
    folder = path_of(home, "runs", run_id, "checkpoints")
    with open(os.path.join(folder, os.listdir(folder)[0], "model.safetensors"), "rb") as file:
        return file.read()


@case
def other_compressions_keep_their_ids():
    rows = document("plan", spec("golden", "stages: {compress: [{method: gptq, bits: 3}, {method: magnitude, sparsity: 0.7}]}\n"))
    check([row["id"] for row in rows] == GOLDEN, "golden ids", [row["id"] for row in rows])


@case
def weights_become_sparse_and_stay_so():
    run("run", "-q", ELSA, code=0)
    rows = document("runs", "elsa")
    check({row["state"] for row in rows} == {"done"} and len(rows) == 1 + 5 + 5 + 10, "all done", rows)
    parent = next(row for row in rows if row["stage"] == "train")
    for row in rows:
        if row["stage"] not in ("compress", "tune"):
            continue
        share = 0.5 if row["compress.pattern"] else 1 - row["compress.sparsity"]
        if row["stage"] == "compress":
            matrices = select("home", f"SELECT sparsity, rows * columns FROM layers WHERE run = '{row['id']}'")
            check(len(matrices) == 8, "eight matrices are told of", matrices)
            for sparsity, count in matrices:
                check(abs(sparsity - (1 - share)) * count < 3, "as many zeroes as were asked for", sparsity, row)
        pruned = select("home", f"SELECT sum(sparsity * rows * columns) FROM layers WHERE run = "
                        f"'{row['id'] if row['stage'] == 'compress' else row['parent']}'")[0][0]
        near(row["parameters_active"], row["parameters"] - pruned, 0.003, "parameters that are kept")
        # What it trained counts in C.
        if row["stage"] == "compress":
            near(row["flops_own"] / parent["flops"], 24 / 40 if row["compress.method"] == "elsa" else 0, 1e-9, "C of its own")
            near(row["flops"], parent["flops"] + row["flops_own"], 1e-12, "C of the chain")
    by = {(row["compress.method"], row["compress.sparsity"], row["compress.memory"]): row["loss"]
          for row in rows if row["stage"] == "compress" and not row["compress.pattern"]}
    check(by["elsa", 0.9, "full"] < by["magnitude", 0.9, "full"], "training helps", by)
    steps = select("home", "SELECT count(*), max(step) FROM metrics WHERE kind = 'train' AND run IN (SELECT id FROM runs WHERE stage "
                           "= 'compress')")
    check(steps[0][1] == 24 and steps[0][0] >= 4 * 3, "its steps are events", steps)


@case
def killed_it_starts_over_to_the_same_bits():
    ids = [row["id"] for row in document("plan", ELSA) if row["stage"] == "compress" and row["compress.method"] == "elsa"]
    run("run", "-q", ELSA, "--only", 'stage == "train"', home="killed", code=0)
    draw = random.Random(5)
    for _ in range(4):
        program = start("run", "-q", ELSA, "--only", 'stage == "train" or stage == "compress"', home="killed")
        time.sleep(0.2 + draw.random() * 0.5)
        program.send_signal(signal.SIGKILL)
        program.communicate()
    run("run", "-q", ELSA, home="killed", code=0)
    for run_id in ids:
        check(weights(run_id) == weights(run_id, "killed"), "the same checkpoint", run_id)
    columns = "SELECT id, loss, kl, weight_error, flops FROM runs ORDER BY id"
    check(select("home", columns) == select("killed", columns), "the same table")


@case
def mistakes_are_told_with_their_line():
    bad = spec("bad", """sweep: {grid: {train.optimizer: [muon]}}
stages:
  compress:
    - {method: elsa, sparsity: 0.5}
    - {method: elsa, sparsity: 0.5, steps: 10, projection: second_moment}
    - {method: magnitude, steps: 10}
    - {method: elsa, steps: 10, calibration_tokens: 64, format: int4}
    - {method: elsa, steps: 10, lambda: -1}
""")
    told = run("check", bad, code=2).err
    for line, words in ((9, "compress.steps is needed"), (10, "takes AdamW's second moments"), (11, "compress.steps 10 says nothing"),
                        (12, "compress.format w4 says nothing"), (13, "must be between 0 and")):
        check(f"bad.yaml:{line}:" in told and words in told, words, told)
    formatted = spec("formatted", "stages: {compress: {method: elsa, steps: 10}}\n",
                     HEAD.replace("lr: 1e-2}", "lr: 1e-2}\n  format: w4a4"))
    told = run("check", formatted, code=2).err
    check("elsa trains in full precision" in told, "no formats of activations", told)


finish()
