"""Trainings that go on from another run, the stage `train`: test_tune.py ISOLOSS. Prints TAP."""
import json
import os
import random
import signal
import sqlite3
import struct
import sys
import time

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import case, check, document, finish, near, path_of, run, select, start, write  # noqa: E402

HEAD = """experiment: EXPERIMENT
corpus: {source: markov2, markov2_vocabulary: 16}
base:
  model: {layers: 2, width: 32, context: 32, dtype: float32}
  train: {batch_tokens: 256, steps: 20, evals: 0, final_eval_tokens: 4096, lr: 1e-2}
"""


def spec(name, rest, head=HEAD):
    return write(name + ".yaml", head.replace("EXPERIMENT", name) + rest)


def tensors(run_id, step):
    with open(path_of("home", "runs", run_id, "checkpoints", f"step-{step}", "model.safetensors"), "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        begin_of_data = file.tell()
        found = {}
        for name, tensor in header.items():
            if name != "__metadata__":
                begin, end = tensor["data_offsets"]
                file.seek(begin_of_data + begin)
                found[name] = struct.unpack(f"<{(end - begin) // 4}f", file.read(end - begin))
    return found


def rows_of(name, stage):
    return [row for row in document("runs", name) if row["stage"] == stage]


CHAIN = spec("chain", """sweep: {grid: {format: [none, w4a4]}}
stages:
  train:
    - none
    - {steps: [10, 20], lr: 1e-3}
    - {tokens: 2560, lr: 0, weight_decay: 0, schedule: constant}
    - {tokens: 2560, format: lsq-w4, schedule: wsd, batch_tokens: 128}
    - {steps: 10, corpus: {markov2_exponent: [0.8, 1.0]}}
  compress: [none, {method: rtn, bits: 8}]
  evaluate: {tokens: 2048, prompts: 2, new_tokens: 4}
""")


@case
def a_plan_counts_and_names_them():
    rows = document("plan", CHAIN)
    table = run("plan", CHAIN, code=0).out
    check("56 runs (2 trainings, 12 further trainings, 14 compressions, 28 evaluations)" in table, "counts", table)
    tuned = [row for row in rows if row["stage"] == "tune"]
    check(len({row["id"] for row in rows}) == len(rows), "every run has an id of its own")
    check(all(row["tokens"] == 5120 and row["train.lr"] == 1e-2 for row in tuned), "its training's D and settings")
    first = tuned[0]
    check((first["tune.tokens"], first["tune.steps"], first["tune.lr"], first["tune.warmup_steps"], first["tune.schedule"],
           first["tune.after"], first["tune.format"]) == (2560, 10, 1e-3, 1, "cosine", "train", "none"), "settings", first)
    check({row["tune.format"] for row in tuned if row["format"] == "w4a4"} == {"w4a4", "lsq-w4"}, "the parent's format")
    check({row["corpus.markov2_exponent"] for row in tuned} == {0.8, 1.0, 1.2}, "another corpus")
    check({row["tune.lr"] for row in tuned if row["corpus.markov2_exponent"] == 0.8} == {1e-3}, "a tenth of the rate")
    alone = document("plan", spec("alone", "sweep: {grid: {format: [none, w4a4]}}\n"))
    check([row["id"] for row in alone] == [row["id"] for row in rows[:2]], "stages change no training's id")
    flops = float(table.split("evaluations); ")[1].split(" FLOPs")[0])
    check(flops > 1.5 * sum(row["flops"] for row in alone), "further trainings count among the FLOPs", flops)


TABLE = "SELECT id, stage, parent, state, loss, kl, root_loss, weight_bits, corpus_digest FROM run_table ORDER BY id"


@case
def they_start_from_the_parents_weights():
    check("56 runs: 56 done" in run("run", "-q", CHAIN, code=0).out, "all done")
    trainings = {row["id"]: row for row in rows_of("chain", "train")}
    for row in rows_of("chain", "tune"):
        parent = trainings[row["parent"]]
        before, after = tensors(row["parent"], 20), tensors(row["id"], row["tune.steps"])
        check(row["tokens"] == parent["tokens"], "D is the first training's")
        own = parent["flops"] * row["tune.tokens"] / parent["tokens"]
        check(abs(row["flops_own"] / own - 1) < 1e-12 and abs(row["flops"] / (parent["flops"] + own) - 1) < 1e-12 and
              parent["flops_own"] == parent["flops"], "C is all trainings' of the chain, and what it trained itself", row)
        if row["tune.lr"] == 0:
            check(before == after and row["loss"] == parent["loss"], "without a rate nothing changes", row["loss"],
                  parent["loss"])
        else:
            check(before != after and row["loss"] != parent["loss"], "with one something does")
    for row in rows_of("chain", "compress"):
        check(row["weight_bits"] == 8 and row["weight_error"] < 1e-3, "compressions after them", row)
        before = {r["id"]: r for r in document("runs", "chain")}[row["parent"]]
        check(row["flops"] == before["flops"] and row["flops_own"] == 0, "which train nothing", row)
        check(abs(row["loss"] - before["loss"]) < 5e-3, "whose loss is near the model's that was trained on")
    for row in rows_of("chain", "evaluate"):
        check(row["kl"] >= -1e-12 and (row["tune.lr"] != 0 or row["compress.method"] != "none" or abs(row["kl"]) < 1e-12),
              "evaluations hold them against the first training", row["kl"])
    for row in rows_of("chain", "tune")[:2]:
        got = document("evaluate", row["id"])["loss"]
        check(got == row["loss"], "isoloss evaluate opens them", got, row["loss"])
    row = next(r for r in rows_of("chain", "tune") if r["tune.format"] == "w4a4" and r["tune.lr"] != 0)
    run("export", row["id"], "--to", path_of("exported"), code=0)
    near(document("evaluate", path_of("exported"))["loss"], row["loss"], 1e-5, "an export has the loss")


@case
def the_first_step_is_adams():
    one = spec("one", "stages: {train: {steps: 1, batch_tokens: 64, lr: 1e-3, weight_decay: 0, clip_norm: 0}}\n")
    run("run", "-q", one, code=0)
    row, = rows_of("one", "tune")
    before, after = tensors(row["parent"], 20), tensors(row["id"], 1)
    moved = sorted(abs(v - w) for name in before if "proj" in name for v, w in zip(after[name], before[name]))
    # Without moments of the training the first step is lr g / (|g| + eps).
    near(moved[len(moved) // 2], 1e-3, 1e-3, "the median step")
    check(moved[-1] < 1.001e-3 + 1e-6, "and none is longer", moved[-1])


RECOVER = spec("recover", """stages:
  compress:
    - {method: rtn, format: absmax-w4}
    - {method: magnitude, sparsity: 0.75}
    - {method: sparsegpt, pattern: "2:4", calibration_tokens: 2048}
  train: [none, {steps: 20, lr: 3e-3}]
""")


@case
def what_was_compressed_stays_so():
    run("run", "-q", RECOVER, code=0)
    rows = rows_of("recover", "tune")
    check({row["tune.format"] for row in rows} == {"absmax-w4", "sparse(0.75)", "2:4"}, "formats", rows)
    check(all(row["tune.after"] == "compress" and row["loss"] < row["parent_loss"] for row in rows), "recovered",
          [(row["loss"], row["parent_loss"]) for row in rows])
    for row in rows:
        if row["compress.method"] == "rtn":
            continue
        out = path_of("recovered " + row["compress.method"])
        run("export", row["id"], "--to", out, code=0)
        with open(os.path.join(out, "model.safetensors"), "rb") as file:
            header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
            begin = file.tell() + header["model.layers.0.mlp.down_proj.weight"]["data_offsets"][0]
            size = header["model.layers.0.mlp.down_proj.weight"]["data_offsets"][1] - \
                header["model.layers.0.mlp.down_proj.weight"]["data_offsets"][0]
            file.seek(begin)
            values = struct.unpack(f"<{size // 4}f", file.read(size))
        kept = tensors(row["parent"], 20)["model.layers.0.mlp.down_proj.weight"]
        zeroes, before = [w == 0 for w in values], [w == 0 for w in kept]
        near(sum(zeroes) / len(zeroes), 0.75 if row["compress.method"] == "magnitude" else 0.5, 0.01, "share of zeroes")
        check(zeroes == before, "what was pruned is what is pruned")
    check("evaluate" not in {row["stage"] for row in document("runs", "recover")}, "a chain may end here")


@case
def killed_at_any_moment_it_goes_on_to_the_same_bits():
    head = HEAD.replace("evals: 0", "evals: 3, checkpoint_steps: 40")
    long = spec("long", "stages: {train: {steps: 600, lr: 1e-3, format: w4a4}, evaluate: {tokens: 2048, prompts: 0}}\n", head)
    run("run", "-q", long, code=0)
    whole = select("home", TABLE.replace("ORDER", "WHERE id IN (SELECT run FROM experiment_runs WHERE experiment = 'long') ORDER"))
    random.seed(3)
    stopped = 0
    for _ in range(8):
        process = start("run", "-q", long, home="killed")
        time.sleep(random.uniform(0.3, 1.2))
        process.send_signal(random.choice([signal.SIGTERM, signal.SIGKILL]))
        process.communicate()
        states = select("killed", "SELECT count(*) FROM runs WHERE stage = 'tune' AND state <> 'done' AND attempts > 0")
        stopped += states[0][0]
    run("run", "-q", long, home="killed", code=0)
    check(select("killed", TABLE) == whole, "bit for bit", select("killed", TABLE), whole)
    tuned = select("home", "SELECT id FROM runs WHERE stage = 'tune' AND id IN (SELECT run FROM experiment_runs WHERE "
                           "experiment = 'long')")[0][0]
    curve = f"SELECT kind, step, loss FROM metrics WHERE run = '{tuned}' ORDER BY kind, step"
    check(select("killed", curve) == select("home", curve), "its curve too")
    with open(path_of("killed", "runs", tuned, "events.jsonl"), encoding="utf-8") as file:
        starts = [json.loads(line) for line in file if '"start"' in line]
    check(stopped == 0 or any(event["resumed_from"] > 0 for event in starts) or len(starts) == 1,
          "a worker goes on from a checkpoint", stopped, starts)


@case
def folders_are_trained_on():
    row = rows_of("chain", "train")[0]
    run("export", row["id"], "--to", path_of("folder"), code=0)
    rooted = write("rooted.yaml", f"""experiment: rooted
corpus: {{source: markov2, markov2_vocabulary: 16}}
from: {path_of("folder")}
base: {{model: {{dtype: float32}}, train: {{final_eval_tokens: 4096}}}}
stages: {{train: {{steps: [10, 20], lr: 1e-3}}}}
""")
    run("run", "-q", rooted, code=0)
    tuned = {r["tune.steps"]: r for r in rows_of("rooted", "tune")}
    same = {r["tune.steps"]: r for r in rows_of("chain", "tune") if r["parent"] == row["id"] and r["tune.format"] == "none"
            and r["tune.lr"] == 1e-3 and r["corpus.markov2_exponent"] == 1.2}
    check(tuned[10]["tune.after"] == "from" and tuned[10]["loss"] == same[10]["loss"] and
          tuned[20]["loss"] == same[20]["loss"], "an export is the same model", tuned[10]["loss"], same[10]["loss"])


# Settings that no field of the stage stands for are the optimizer's own defaults.
@case
def each_optimizer_takes_over():
    names = ["adamw", "sgd", "lion", "muon", "normuon", "soap", "shampoo", "ldadam", "dct_adamw", "trion"]
    over = spec("over", "stages:\n  train: {steps: 4, lr: 1e-3, optimizer: [%s]}\n" % ", ".join(names))
    planned = {r["tune.optimizer"]: r for r in document("plan", over)}
    run("run", "-q", over, code=0)
    tuned = {r["tune.optimizer"]: r for r in rows_of("over", "tune")}
    check(sorted(tuned) == sorted(names) and all(r["state"] == "done" for r in tuned.values()), "each trains on", tuned)
    check(all(tuned[name]["state_bytes"] == planned[name]["state_bytes"] > 0 for name in names), "states of its own")
    check(len({r["loss"] for r in tuned.values()}) == len(names), "steps of its own", [r["loss"] for r in tuned.values()])


@case
def wrong_trainings_are_told_with_their_line():
    for rest, place, words in (
            ("stages:\n  train: {steps: 10, model.width: 64}\n", "7:22", "model.width cannot change"),
            ("stages:\n  train: {steps: 10, model: {layers: 1}}\n", "7:22", "model cannot change"),
            ("stages:\n  train: {train.steps: 10}\n", "7:11", "leave train out of the key"),
            ("stages:\n  train: {lr: 1e-3}\n", "7:10", "train needs tokens or steps"),
            ("stages:\n  train: {steps: 10, tokens: 2560}\n", "7:30", "say the same thing"),
            ("stages:\n  train: {steps: 10, learning_rate: 1e-3}\n", "7:22", "unknown field 'learning_rate'"),
            ("stages:\n  train: {steps: 10, after: train}\n", "7:22", "is found, not given"),
            ("stages:\n  train: {tokens: 100}\n", "7:19", "tune.tokens 100 is less than one step's tune.batch_tokens 256"),
            ("stages:\n  train: {steps: 10, batch_tokens: 100}\n", "7:36", "is not a multiple of model.context"),
            ("stages:\n  train: {steps: 10, warmup_steps: 11}\n", "7:36", "tune.warmup_steps 11 is more than"),
            ("stages:\n  train: {steps: 10, format: \"sparse(0.5,cubic(0.2,0.8))\"}\n", "7:30", "by a schedule"),
            ("stages:\n  train: {steps: 10, format: w9a9}\n", "7:30", "w9"),
            ("stages:\n  train: {steps: 10, corpus: {markov2_vocabulary: 8}}\n", "7:10", "16 symbols, this one 8"),
            ("stages:\n  train: {steps: 10, corpus: {source: zipfmem}}\n", "7:10", "zipfmem"),
            ("stages:\n  compress: {method: higgs}\n  train: {steps: 10}\n", "8:10", "tune.format is needed"),
            ("stages:\n  evaluate: {}\n  train: {steps: 10}\n", "8:3", "train comes before evaluate"),
            ("sweep: {grid: {tune.lr: [1e-3]}}\n", "6:16", "belongs under stages")):
        done = run("plan", spec("wrong", rest), code=2)
        check(f"wrong.yaml:{place}" in done.err and words in done.err, "refused with its place: " + words, done.err)


@case
def tokens_of_another_tokenizer_are_refused():
    write("words.txt", "\n".join(f"{i} bottles of beer on the wall, {i % 7} in the cellar" for i in range(4000)))
    write("more.txt", "\n".join(f"{i} green bottles, {i % 5} of them full" for i in range(4000)))
    head = HEAD.replace("source: markov2, markov2_vocabulary: 16", "files: words.txt, validation_fraction: 0.2")
    fine = spec("files", "stages: {train: {steps: 10, corpus: {files: more.txt}}}\n", head)
    run("run", "-q", fine, code=0)
    row, = rows_of("files", "tune")
    check(row["corpus.files"].endswith("more.txt") and row["corpus_digest"] != rows_of("files", "train")[0]["corpus_digest"],
          "another text with the same tokenizer", row["corpus.files"])
    mixed = spec("mixed", "stages:\n  train: {steps: 10, corpus: {source: markov2}}\n", head)
    done = run("plan", mixed, code=2)
    check("mixed.yaml:7:39" in done.err and "synthetic source" in done.err, "symbols are no bytes", done.err)


@case
def time_left_is_of_what_stages_do_themselves():
    left = spec("left", """stages:
  train: [none, {steps: 5}]
  compress: [none, {method: gptq, bits: 4, calibration_tokens: 2048}]
  evaluate: {tokens: 2048, prompts: 0}
""")
    run("run", "-q", left, home="left", code=0)
    with sqlite3.connect(path_of("left", "isoloss.db")) as store:  # as it was before most of them
        store.execute("UPDATE runs SET state = 'pending', step = NULL WHERE stage IN ('tune', 'evaluate') OR parent IN "
                      "(SELECT id FROM runs WHERE stage = 'tune')")
    store.close()
    rows = document("plan", left, home="left")
    # Tokens forward through the model: a further training has three passes, an evaluation two models; each ends with the
    # loss on the tokens of a training's last evaluation.
    tokens = {"train": 3 * 20 * 256, "tune": 3 * 5 * 256 + 4096, "compress": 2048 + 4096, "evaluate": 2 * 2048 + 4096}
    states = dict(select("left", "SELECT id, state FROM runs"))
    work = [(states[row["id"]] == "done", row["flops_per_token"] / 3 * tokens[row["stage"]]) for row in rows]
    check(sum(done for done, _ in work) == 2 and len(work) == 8, "two runs are done", states)
    seconds = select("left", "SELECT sum(wall_seconds) FROM runs WHERE state = 'done'")[0][0]
    near(document("status", "left", home="left")["experiments"][0]["seconds_left"],
         sum(flops for done, flops in work if not done) * seconds / sum(flops for done, flops in work if done), 1e-9, "time left")


@case
def seeds_that_no_group_shares_are_averaged_in_every_stage():
    for name, rate, seeds in (("first-seeds", "1e-2", "[1, 2]"), ("other-seeds", "5e-3", "[3, 4]")):
        path = spec(name, "sweep: {grid: {seed: %s}}\nstages: {train: {steps: 4, lr: 1e-3}}\n" % seeds,
                    HEAD.replace("steps: 20", "steps: 4").replace("lr: 1e-2", "lr: " + rate))
        run("run", path, "-q", code=0)
    told = document("compare", "first-seeds", "other-seeds", "--where", "stage == 'tune'")
    check(told["groups"][0]["seed_noise_degrees"] == 1, "runs that differ in both seeds differ in the seed alone")
    check(told["averaged"] == ["seed", "tune.seed"] and told["different"] == ["train.lr"], told["averaged"],
          told["different"])


finish()
