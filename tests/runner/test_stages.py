"""Stages that follow training: test_stages.py ISOLOSS. Prints TAP."""
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import struct
import sys
import time

sys.path.insert(0, os.path.join(sys.path[0], ".."))
import harness  # noqa: E402
from harness import case, check, document, finish, near, path_of, run, select, start, write  # noqa: E402

HEAD = """experiment: EXPERIMENT
corpus: {source: markov2, markov2_vocabulary: 16}
base:
  model: {layers: 2, width: 32, context: 32, dtype: float32}
  train: {batch_tokens: 256, steps: 20, evals: 0, final_eval_tokens: 4096, lr: 1e-2}
"""
STAGES = """stages:
  compress:
    - none
    - {method: rtn, format: [int4-g32, int2-g32]}
    - {method: rtn, bits: 8}
    - {method: gptq, bits: [2, 8], calibration_tokens: 2048}
  evaluate: {tokens: 2048, prompts: 4, new_tokens: 8}
"""


def spec(name, rest, head=HEAD):
    return write(name + ".yaml", head.replace("EXPERIMENT", name) + rest)


CHAIN = spec("chain", "sweep: {grid: {seed: [0, 1]}}\n" + STAGES)


@case
def ids_of_trainings_are_those_of_before_there_were_stages():
    golden = spec("golden", "sweep: {grid: {format: [none, w4a4], train.schedule: [cosine, wsd]}}\n",
                  HEAD.replace(", evals: 0, final_eval_tokens: 4096, lr: 1e-2", ""))
    check([row["id"] for row in document("plan", golden)] ==
          ["6955b8414757a5601161961075c22c4f", "f12805b6e7bf0a9beb162ac667db56fc",
           "46c9baea65d46c540f6250d4ce975f24", "c2ddddbad72a654d1e862a00d4312a09"], "golden ids")


@case
def a_plan_is_the_graph():
    rows = document("plan", CHAIN)
    stages = [row["stage"] for row in rows]
    check(stages == ["train"] * 2 + ["compress"] * 10 + ["evaluate"] * 12, "trainings, compressions, evaluations", stages)
    by_id = {row["id"]: row for row in rows}
    check(len(by_id) == 24, "every run has an id of its own")
    for row in rows:
        parent = by_id.get(row["parent"])
        check((parent is None) == (row["stage"] == "train"), "only trainings have no parent", row)
        if parent:
            check(row["seed"] == parent["seed"] and row["train.lr"] == parent["train.lr"], "a stage has its parent's settings")
    evaluated = [by_id[row["parent"]]["stage"] for row in rows if row["stage"] == "evaluate"]
    check(sorted(evaluated) == ["compress"] * 10 + ["train"] * 2, "where compress is none, the training is evaluated")
    alone = document("plan", spec("alone", "sweep: {grid: {seed: [0, 1]}}\n"))
    check([row["id"] for row in alone] == [row["id"] for row in rows[:2]], "stages change no training's id")
    table = run("plan", CHAIN, code=0).out
    check("24 runs (2 trainings, 10 compressions, 12 evaluations)" in table, "counts", table)
    bits = [row["compress.format"] for row in rows if row["compress.bits"] == 8]
    check(set(bits) == {"absmax-w8"}, "bits stand for a format", bits)


@case
def a_value_may_be_for_some_runs_only():
    sweep = "sweep: {grid: {model.width: [16, 32], format: [none, w4a16]}}\n"
    values = ("{method: rtn, format: [int8, int3], where: format == \"none\"}",
              "{method: rtn, bits: [6, 2], where: parameters > 20e3 and compress.bits < 4}",
              "{method: rtn, format: w5, where: format == \"int4\"}")
    some = spec("some", sweep + "stages:\n  compress:\n    - none\n    - " + "\n    - ".join(values) + "\n  evaluate: {}\n")
    rows = document("plan", some)
    trained = {row["id"]: row for row in rows if row["stage"] == "train"}
    check(len(trained) == 4 and {row["format"] for row in trained.values()} == {"none", "w4"}, "trainings", trained)
    after = {}
    for row in rows:
        if row["stage"] == "compress":
            parent = trained[row["parent"]]
            after.setdefault((parent["format"], parent["model.width"]), set()).add(row["compress.format"])
    check(after == {("none", 16): {"w8", "w3"}, ("none", 32): {"w8", "w3", "absmax-w2"}, ("w4", 16): {"w5"},
                    ("w4", 32): {"absmax-w2", "w5"}}, "each has its values, whatever the spelling", after)
    evaluated = [row for row in rows if row["stage"] == "evaluate"]
    check(len(evaluated) == 4 + sum(map(len, after.values())), "chains go on from all of them", len(evaluated))
    plain = spec("plain", sweep + "stages: {compress: [none, {method: rtn, format: int8}]}\n")
    both = {row["id"] for row in rows} & {row["id"] for row in document("plan", plain)}
    check(len(both) == 6, "a condition is no part of an id", len(both))


TABLE = ("SELECT id, stage, parent, state, loss, kl, weight_error, root_loss, recovery, first_divergence, top1_agreement, "
         "parameters_active FROM runs ORDER BY id")


@case
def values_of_a_stage_cost_no_training():
    done = run("run", "-q", CHAIN, code=0)
    check("24 runs: 24 done" in done.out, "all done", done.out)
    check(select("home", "SELECT stage, count(*), sum(attempts) FROM runs GROUP BY stage ORDER BY stage") ==
          [("compress", 10, 10), ("evaluate", 12, 12), ("train", 2, 2)], "a worker for each run, no more",
          select("home", "SELECT stage, count(*), sum(attempts) FROM runs GROUP BY stage"))
    check("24 done (24 of them before)" in run("run", "-q", CHAIN, code=0).out, "nothing is done twice")
    head = run("runs", "chain", code=0).out.splitlines()[0].split()
    check(head[:4] == ["id", "state", "stage", "parent"] and "method" in " ".join(head), "tables tell stages apart", head)
    more = spec("more", "sweep: {grid: {seed: [0, 1]}}\nstages: {compress: {method: rtn, bits: 4}}\n")
    check("4 runs: 4 done (2 of them before)" in run("run", "-q", more, code=0).out, "other specs share the trainings")


def tensors(folder):
    with open(os.path.join(folder, "model.safetensors"), "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        start_of_data = file.tell()
        found = {}
        for name, tensor in header.items():
            if name == "__metadata__":
                continue
            begin, end = tensor["data_offsets"]
            file.seek(start_of_data + begin)
            found[name] = struct.unpack(f"<{(end - begin) // 4}f", file.read(end - begin))
    return found


def checkpoint(run_id, home="home"):
    return path_of(home, "runs", run_id, "checkpoints", "step-20")


@case
def the_checkpoint_holds_what_the_errors_say():
    for run_id, parent, error, text in select("home", "SELECT id, parent, weight_error, config FROM runs WHERE stage = 'compress'"):
        before, after = tensors(checkpoint(parent)), tensors(checkpoint(run_id))
        names = [name for name in before if "proj" in name]
        square = sum(w * w for name in names for w in before[name])
        difference = sum((v - w) ** 2 for name in names for v, w in zip(after[name], before[name]))
        near(error, difference / square, 1e-5, "weight_error")
        check(all(before[name] == after[name] for name in before if name not in names), "nothing else has changed")
        if json.loads(text)["compress.method"] == "rtn" and "g32" in json.loads(text)["compress.format"]:
            row = after["model.layers.0.mlp.up_proj.weight"][:32]
            levels = 2 ** int(json.loads(text)["compress.format"][3])
            check(len({abs(v) for v in row}) <= levels // 2 + 1, "a group has the format's levels", row)


@case
def layers_are_in_the_store():
    rows = select("home", "SELECT r.id, count(*), min(l.relative_error), max(l.relative_error), count(l.output_error) "
                          "FROM runs r JOIN layers l ON l.run = r.id GROUP BY r.id")
    check(len(rows) == 12 and all(row[1] == 8 and 0 < row[2] <= row[3] < 1 for row in rows), "4 matrices a block", rows)
    calibrated = select("home", "SELECT DISTINCT json_extract(r.config, '$.\"compress.method\"') FROM runs r JOIN layers l "
                                "ON l.run = r.id WHERE l.output_error IS NOT NULL")
    check(calibrated == [("gptq",)], "errors of the outputs where inputs were measured", calibrated)
    devices = {method: device for method, device in
               select("home", "SELECT DISTINCT json_extract(config, '$.\"compress.method\"'), device FROM runs WHERE stage = 'compress'")}
    check(re.search("; LAPACK 3[.][0-9]+[.][0-9]+", devices["gptq"]) and "LAPACK" not in devices["rtn"],
          "the library that factors Hessians is kept with the run", devices)
    # On what it was calibrated with, gptq is ahead of rounding each weight for itself.
    shown = run("show", rows[0][0], code=0).out
    check("mlp.down_proj" in shown and "relative" in shown, "show has them", shown)
    check(len(document("show", rows[0][0])["layers"]) == 8, "and its document")


@case
def losses_follow_the_bits():
    rows = {(row["seed"], row["compress.method"], row["compress.format"]): row for row in document("runs", "chain")
            if row["stage"] == "compress"}
    for seed in 0, 1:
        fine, coarse = rows[seed, "rtn", "absmax-w8"], rows[seed, "rtn", "int2-g32"]
        check(abs(fine["loss"] - fine["parent_loss"]) < 2e-3, "8 bits lose next to nothing", fine["loss"], fine["parent_loss"])
        check(coarse["weight_error"] > 100 * fine["weight_error"], "2 bits err more", coarse["weight_error"])
        check(coarse["weight_bits"] == 2.5 and fine["weight_bits"] == 8, "bits", coarse["weight_bits"], fine["weight_bits"])
    for row in rows.values():
        got = document("evaluate", row["id"])["loss"]
        check(abs(got - row["loss"]) < 1e-12, "isoloss evaluate opens a compression", got, row["loss"])
    out = path_of("exported")
    row = rows[0, "gptq", "absmax-w2"]
    run("export", row["id"], "--to", out, code=0)
    check(abs(document("evaluate", out)["loss"] - row["loss"]) < 1e-6, "and its export has its loss")


@case
def evaluations_hold_models_against_the_first_one():
    rows = [row for row in document("runs", "chain") if row["stage"] == "evaluate"]
    same = [row for row in rows if row["compress.method"] == "none"]
    check(len(same) == 2, "two are of trainings")
    for row in same:
        check(abs(row["kl"]) < 1e-12 and row["top1_agreement"] == 1 and row["recovery"] == 100 and
              row["first_divergence"] == 8 and row["loss"] == row["root_loss"], "a model is like itself", row)
    for row in rows:
        if row["compress.format"] == "absmax-w8":
            check(0 < row["kl"] < 1e-3 and row["top1_agreement"] > 0.9, "8 bits are near", row["kl"])
        if row["compress.format"] == "int2-g32":
            check(row["kl"] > 1e-4 and row["top1_agreement"] < 1, "2 bits are not", row["kl"])


@case
def reports_keep_stages_apart():
    report = document("report", "chain")
    check(len(report["runs"]) == 2 and len(report["stages"]) == 22, "trainings, and what follows them",
          len(report["runs"]), len(report["stages"]))
    page = path_of("chain.html")
    run("report", "chain", "-o", page, code=0)
    with open(page, encoding="utf-8") as file:
        text = file.read()
    check("After training" in text and "mlp.gate_up_proj" in text and "absmax-w2" in text, "the page has them")


ALLOCATED = spec("allocated", """stages:
  compress:
    - {method: rtn, allocate: {method: uniform, budget_bits: [2, 3, 4], tokens: 512, noises: 2}}
    - {method: rtn, allocate: {method: dp, budget_bits: [2, 2.3, 3, 3.7], most_bits: 4, tokens: 512, noises: 2}}
    - {method: rtn, allocate: {method: uniform, budget_bits: [5, 6], tokens: 2048, noises: 2, alpha: kl}}
    - {method: gptq, calibration_tokens: 2048, allocate: {method: dp, budget_bits: 3, tokens: 512, noises: 2, alpha: kl}}
    - {method: higgs, p: 1, group: 16, allocate: {method: dp, budget_bits: 4, least_bits: 1, tokens: 512, noises: 2,
       alpha: kl-random}}
  evaluate: {tokens: 2048, prompts: 0}
""")


def allocated_layers(run_id):
    return document("show", run_id)["layers"]


@case
def bits_are_allocated_exactly():
    run("run", "-q", ALLOCATED, code=0)
    rows = [row for row in document("runs", "allocated") if row["stage"] == "compress"]
    uniform = {row["compress.allocate.budget_bits"]: allocated_layers(row["id"]) for row in rows
               if row["compress.allocate.method"] == "uniform" and row["compress.allocate.alpha"] == "loss"}
    for bits, layers in uniform.items():
        check(len(layers) == 8 and all(layer["bits"] == bits for layer in layers), "the same for all", layers)
    sizes = [layer["rows"] * layer["columns"] for layer in uniform[2]]
    # On the corpus the loss, or the divergence: what noise adds, by matrix, with one line for all sizes.
    alphas = [max(0, layer["alpha"]) for layer in uniform[2]]
    check(max(alphas) > 0 and all(layer["alpha_error"] >= 0 for layer in uniform[2]), "alphas", uniform[2])
    for row in rows:
        layers = allocated_layers(row["id"])
        bits = sum(layer["bits"] * size for layer, size in zip(layers, sizes)) / sum(sizes)
        near(row["stored_bits"], bits, 1e-9, "stored bits")
        check(bits <= row["compress.allocate.budget_bits"], "within the budget", bits)
        check(row["predicted_increase"] >= 0, "an increase", row["predicted_increase"])
        check(row["weight_bits"] is None, "no one format has their bits", row["weight_bits"])
        if row["compress.method"] == "gptq":
            check(all(layer["alpha"] > 0 and layer["output_error"] > 0 for layer in layers), "divergences grow", layers)
            continue  # its errors count as those of noise that costs the outputs as much
        near(row["predicted_increase"], sum(max(0, layer["alpha"]) * layer["relative_error"] for layer in layers), 1e-9,
             "sum of alpha t^2")
        if row["compress.method"] == "higgs":
            check(all(layer["bits"] in (2, 3, 4, 5) for layer in layers), "grids, and a scale for 16", layers)
            continue
        if row["compress.allocate.alpha"] == "kl":
            continue
        check([max(0, layer["alpha"]) for layer in layers] == alphas, "alphas are the same bits each time")
        if row["compress.allocate.method"] != "dp":
            continue
        # All 3^8 choices of 2, 3 and 4 bits, by the errors of the runs with one option for all.
        budget, best = row["compress.allocate.budget_bits"] * sum(sizes), None
        ways = [(0, 0.0)]
        for m, size in enumerate(sizes):
            ways = [(cost + size * b, rise + alphas[m] * uniform[b][m]["relative_error"])
                    for cost, rise in ways for b in (2, 3, 4)]
        best = min(rise for cost, rise in ways if cost <= budget)
        near(row["predicted_increase"], best, 1e-9, "the best of 6561 choices")


@case
def sensitivities_are_measured_once():
    # The loss on 512 tokens, the divergence on 2048 and on 512, and that on random ones.
    rows = [row for row in document("runs", "allocated") if row["stage"] == "compress"]
    folder = path_of("home", "runs", rows[0]["parent"], "sensitivities")
    kept = sorted(name for name in os.listdir(folder) if not name.endswith(".lock"))
    check(len(kept) == 4 and len(rows) == 11, "one file for each way to measure", kept, len(rows))
    # What is there is read: a file of other numbers changes what is allocated; a damaged one is measured anew.
    again = [row["id"] for row in rows if row["compress.allocate.budget_bits"] == 3.7][0]
    before = allocated_layers(again)
    for name in kept:
        with open(os.path.join(folder, name), "r+b") as file:
            file.seek(60)
            byte = file.read(1)
            file.seek(60)
            file.write(bytes([byte[0] ^ 1]))
    stamps = {name: os.stat(os.path.join(folder, name)).st_mtime_ns for name in kept}
    run("run", "-q", ALLOCATED, "--again", again, code=0)
    check(allocated_layers(again) == before, "the same bits")
    changed = [name for name in kept if os.stat(os.path.join(folder, name)).st_mtime_ns != stamps[name]]
    check(len(changed) == 1, "the damaged file of its settings was measured anew", changed)
    with open(path_of("home", "runs", again, "log.txt"), encoding="utf-8") as log:
        check("damaged: measured anew" in log.read(), "which is told")
    stamp = os.stat(os.path.join(folder, changed[0])).st_mtime_ns
    run("run", "-q", ALLOCATED, "--again", again, code=0)
    check(allocated_layers(again) == before and os.stat(os.path.join(folder, changed[0])).st_mtime_ns == stamp, "and then read")
    # Each by itself, in a home of its own, as if nothing were ever kept.
    run("run", "-q", ALLOCATED, "--only", f"stage == 'train' or (stage == 'compress' and id == '{again}')", home="by itself", code=0)
    sql = f"SELECT layer, matrix, alpha, alpha_error, bits FROM layers WHERE run = '{again}' ORDER BY layer, matrix"
    check(select("by itself", sql) == select("home", sql) != [], "as measured for itself")


@case
def divergences_are_foretold():
    rows = {row["id"]: row for row in document("runs", "allocated")}
    held = 0
    for row in rows.values():
        before = rows.get(row["parent"])
        if row["stage"] != "evaluate" or before["compress.allocate.alpha"] != "kl" or before["compress.method"] != "rtn":
            continue
        # Other tokens than alpha was measured on, and 8 roundings in place of noise.
        check(0.7 < before["predicted_increase"] / row["kl"] < 1.4, "sum of alpha t^2", before["predicted_increase"],
              row["kl"])
        held += 1
    check(held == 2, "both were looked at", held)


harness.side_by_side(4)  # each has a home of its own, or is the only one to write into it


@case
def allocations_killed_end_in_the_same_bits():
    random.seed(11)
    for _ in range(4):
        process = start("run", "-q", ALLOCATED, home="killed-allocation")
        time.sleep(random.uniform(0.1, 1))
        process.send_signal(random.choice([signal.SIGTERM, signal.SIGKILL]))
        process.communicate()
    run("run", "-q", ALLOCATED, home="killed-allocation", code=0)
    for sql in ("SELECT r.id, loss, predicted_increase, stored_bits FROM runs r JOIN experiment_runs e ON e.run = r.id "
                "WHERE e.experiment = 'allocated' ORDER BY r.id",
                "SELECT l.* FROM layers l JOIN experiment_runs e ON e.run = l.run WHERE e.experiment = 'allocated' "
                "ORDER BY l.run, layer, matrix"):
        check(select("killed-allocation", sql) == select("home", sql) != [], "bit for bit")


def table_of(home):
    return select(home, TABLE)


# Trainings of a trunk, of which some change their format on the way, and what follows them.
LATER = spec("later", """sweep: {grid: {train.steps: [20, 60], format: [none, {after: 0.8, then: lsq-w4a4}]}}
stages: {compress: [none, {method: rtn, format: int4-g32}], evaluate: {tokens: 2048, prompts: 4, new_tokens: 8}}
""", HEAD.replace("lr: 1e-2", "lr: 1e-2, schedule: wsd, warmup_steps: 4"))


@case
def killed_at_any_moment_it_ends_in_the_same_table():
    random.seed(7)
    told = run("run", LATER, code=0)
    check("16 runs: 16 done" in told.out and told.err.count("  from step ") == 3, "three begin from another's checkpoint", told.err)
    for named, home, times in (CHAIN, "killed", 12), (LATER, "killed-later", 8):
        for _ in range(times):
            process = start("run", "-q", named, home=home)
            time.sleep(random.uniform(0.05, 0.8))
            process.send_signal(random.choice([signal.SIGTERM, signal.SIGKILL]))
            process.communicate()
        run("run", "-q", named, home=home, code=0)
        ids = [row["id"] for row in document("plan", named)]
        whole = [row for row in table_of("home") if row[0] in ids]
        check(table_of(home) == whole and len(whole) == len(ids), "bit for bit")
        name = os.path.basename(named)[:-len(".yaml")]
        layers = f"SELECT * FROM layers WHERE run IN (SELECT run FROM experiment_runs WHERE experiment = '{name}') ORDER BY run, layer, matrix"
        check(select(home, layers) == select("home", layers), "layers too")


PROPAGATED = """stages:
  compress: {method: [rtn, gptq], format: int2-g32, calibration_tokens: 2048, inputs: [original, compressed]}
"""


@case
def inputs_of_later_blocks_are_those_of_compressed_ones():
    chain = spec("propagated", PROPAGATED)
    run("run", "-q", chain, home="propagated", code=0)
    rows = [row for row in document("runs", "propagated", home="propagated") if row["stage"] == "compress"]
    of = {(row["compress.method"], row["compress.inputs"]): row for row in rows}
    layers = {way: document("show", row["id"], home="propagated")["layers"] for way, row in of.items()}
    for method in "rtn", "gptq":
        pairs = list(zip(layers[method, "original"], layers[method, "compressed"]))
        for one, other in pairs:
            same = one["output_error"] == other["output_error"] and one["relative_error"] == other["relative_error"]
            if method == "gptq" or one["layer"] == 0:
                check(same == (one["layer"] == 0), "of the first block alone the inputs are those of the training", one, other)
            else:
                check(one["relative_error"] == other["relative_error"] and one["output_error"] != other["output_error"],
                      "rounding to nearest has them in its error of outputs alone", one, other)
    check(of["rtn", "original"]["loss"] == of["rtn", "compressed"]["loss"] and
          of["gptq", "original"]["loss"] != of["gptq", "compressed"]["loss"], "the losses")
    # The parent's model with the first block of the compressed one in its place, as a folder: the second block's inputs
    # are then those of a model that is as it is.
    parent, first = (checkpoint(run_id, "propagated") for run_id in (rows[0]["parent"], of["gptq", "compressed"]["id"]))
    folder = path_of("half-compressed")
    shutil.copytree(parent, folder)
    for name in os.listdir(folder):
        if name not in ("model.safetensors", "config.json"):
            os.remove(os.path.join(folder, name))
    with open(os.path.join(first, "model.safetensors"), "rb") as file:
        compressed = file.read()
    with open(os.path.join(folder, "model.safetensors"), "r+b") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data, other = file.tell(), 8 + struct.unpack("<Q", compressed[:8])[0]
        for name, tensor in header.items():
            if not name.startswith("model.layers.0."):
                continue
            begin, end = tensor["data_offsets"]
            file.seek(data + begin)
            file.write(compressed[other + begin:other + end])
    half = write("half.yaml", f"""experiment: half
from: {folder}
corpus: {{source: markov2, markov2_vocabulary: 16}}
base: {{model: {{context: 32, dtype: float32}}, train: {{final_eval_tokens: 4096}}}}
stages: {{compress: {{method: gptq, format: int2-g32, calibration_tokens: 2048}}}}
""")
    run("run", "-q", half, home="propagated", code=0)
    again = [row for row in document("runs", "half", home="propagated") if row["stage"] == "compress"][0]
    got = [layer["output_error"] for layer in document("show", again["id"], home="propagated")["layers"] if layer["layer"] == 1]
    want = [layer["output_error"] for layer in layers["gptq", "compressed"] if layer["layer"] == 1]
    check(got == want and len(got) == 4, "bit for bit", got, want)
    refused = run("check", spec("no-inputs", "stages: {compress: {method: rtn, bits: 4, inputs: compressed}}\n"), code=2).err
    check("compress.inputs compressed says nothing to rtn without compress.calibration_tokens" in refused, "told", refused)
    late = run("check", spec("late-format", "stages: {compress: {method: rtn, format: w4 after 0.5}}\n"), code=2).err
    check("leave after out" in late, "a compression has no phase before it", late)


@case
def what_follows_a_run_that_failed_or_diverged_is_not_started():
    for state, code, words in (("diverged", 0, "diverged"), ("failed", 1, "failed (isoloss run with --retry-failed")):
        ending = spec(state, "stages: {compress: {method: rtn, bits: 8}, evaluate: {}}\n")
        run("run", "-q", ending, "--only", 'stage == "train"', home=state, code=0)
        training = select(state, "SELECT id FROM runs WHERE stage = 'train'")[0][0]
        shutil.rmtree(path_of(state, "runs", training))  # or its log would say that it is done
        with sqlite3.connect(path_of(state, "isoloss.db")) as store:
            store.execute("UPDATE runs SET state = ? WHERE id = ?", [state, training])
        store.close()
        done = run("run", "-q", ending, home=state)
        check(done.code == code and "2 pending (2 of them follow" in done.out, "the call says so", done)
        pending = select(state, "SELECT stage, message FROM runs WHERE state = 'pending' ORDER BY stage")
        check([row[0] for row in pending] == ["compress", "evaluate"] and words in pending[0][1] and
              "cannot start either" in pending[1][1], "and the runs", pending)


@case
def a_parent_without_a_checkpoint_or_removed_is_told():
    late = spec("late", "stages: {compress: {method: rtn, bits: 8}}\n")
    run("run", "-q", late, "--only", 'stage == "train"', home="late", code=0)
    training = select("late", "SELECT id FROM runs WHERE stage = 'train'")[0][0]
    shutil.rmtree(path_of("late", "runs", training, "checkpoints"))
    done = run("run", "-q", late, home="late", code=1)
    message = select("late", "SELECT message FROM runs WHERE stage = 'compress'")[0][0]
    check("has no checkpoint any more" in message and "--again " + training[:8] in message, "what to do", message, done.err)
    run("run", "-q", late, "--again", training, home="late", code=0)
    check(select("late", "SELECT count(*) FROM runs WHERE state = 'done'") == [(2,)], "which helps")

    told = run("rm", training[:8], home="late", code=0).out
    check("1 run that follows them stays with its results" in told, "what stays", told)


@case
def what_follows_counts_the_pruned_model():
    pruned = spec("pruned", """sweep: {grid: {model.width: [16]}}
stages:
  compress: [none, {method: rtn, bits: 2}, {method: magnitude, sparsity: 0.5}]
  evaluate: {}
""")
    run("run", "-q", pruned, code=0)
    rows = {(row[0], row[1]): row[2:] for row in select(
        "home", 'SELECT stage, "compress.method", parameters_active, sparsity, parameters FROM run_table '
        "WHERE id IN (SELECT run FROM experiment_runs WHERE experiment = 'pruned')")}
    for stage in ("compress", "evaluate"):
        active, sparsity, parameters = rows[stage, "magnitude"]
        near(sparsity, 0.5, 0.01, stage)
        check(active < parameters, "zeroes are not counted", rows)
        check(rows[stage, "rtn"][0] == parameters, "the zeroes of a grid are no pruning", rows)
    check(rows["compress", "magnitude"] == rows["evaluate", "magnitude"], "the same model", rows)
    check(rows["evaluate", "none"][0] == rows["evaluate", "none"][2], "nothing was pruned", rows)


@case
def claims_take_the_ends_of_chains():
    claims = spec("claims", """sweep: {grid: {model.width: [16, 32, 48], seed: [0, 1]}}
stages:
  compress: [none, {method: rtn, bits: [2, 8]}, {method: magnitude, bits: [4, 8], sparsity: [0.5]}]
fit:
  - {name: ends, law: power-law, bootstrap: 0}
  - {name: trainings, law: power-law, bootstrap: 0, where: stage == "train"}
claims:
  - weight_error["compress.bits == 2"] > weight_error["compress.bits == 8"]
  - loss["compress.method == 'none'"] < loss["compress.bits == 2"] + 1
  - weight_error["compress.method == 'rtn'"] < weight_error["compress.method == 'magnitude'"]
""")
    run("run", "-q", claims, code=0)
    told = run("fit", claims).out
    check(told.count(": held") == 3, "held", told)
    # Like with like: both methods have 8 bits alone in common.
    eight = select("home", "SELECT avg(weight_error) FROM run_table WHERE \"compress.bits\" = 8 AND \"compress.method\" = "
                           "'rtn' AND id IN (SELECT run FROM experiment_runs WHERE experiment = 'claims')")[0][0]
    said = re.search(r"weight_error\[compress.method == 'rtn'\] = ([0-9.e+-]+)", told)
    near(said and float(said[1].rstrip(".")), eight, 0.05, "like with like")
    fits = {fit["name"]: fit for fit in json.loads(run("fit", claims, "--json").out)}
    check(fits["ends"]["rows"] == 30 and any("2 stages" in w for w in fits["ends"]["warnings"]), "ends, and a warning",
          fits["ends"])
    check(fits["trainings"]["rows"] == 6 and not any("stages" in w for w in fits["trainings"]["warnings"]), "trainings",
          fits["trainings"])


@case
def wrong_stages_are_told_with_their_line():
    for rest, line, words in (
            ("stages: {comprez: {method: rtn}}\n", 6, "there is no stage 'comprez'"),
            ("stages: {evaluate: {}, compress: {method: rtn, bits: 4}}\n", 6, "compress comes before evaluate"),
            ("stages:\n  compress: {method: rtn}\n", 7, "needs a format"),
            ("stages:\n  compress: {bits: 4}\n", 7, "compress needs method"),
            ("stages:\n  compress: {method: rtn, format: \"int4[hadamard(64)]\"}\n", 7, "does not"),
            ("stages:\n  compress: {method: rtn, format: w4a4g4}\n", 7, "gradients"),
            ("stages:\n  compress: {method: rtn, format: lsq-w4}\n", 7, "learn"),
            ("stages:\n  compress: {method: rtn, format: w4, damping: 0.1}\n", 7, "says nothing to the method rtn"),
            ("stages:\n  compress: {method: gptq, format: \"2:4\"}\n", 7, "prunes"),
            ("stages:\n  compress: {method: gptq, bits: 4, calibration_tokens: 16}\n", 7, "tokens"),
            ("stages:\n  compress: {method: rtn, bits: 3, format: w4}\n", 7, "say the same thing"),
            ("stages:\n  compress: {method: rtn, allocate: {method: dp}}\n", 7, "needs budget_bits"),
            ("stages:\n  compress: {method: rtn, allocate: {budget_bits: 3}}\n", 7, "allocate.method is none"),
            ("stages:\n  compress: {method: rtn, bits: 4, allocate: {method: dp, budget_bits: 3}}\n", 7, "leave one out"),
            ("stages:\n  compress: {method: rtn, allocate: {method: dp, budget_bits: 1.9}}\n", 7,
             "below the cheapest options, which take 2 bits"),
            ("stages:\n  compress: {method: higgs, group: 32, allocate: {method: uniform, budget_bits: 2.4}}\n", 7,
             "which take 2.5 bits"),
            ("stages:\n  compress: {method: higgs, allocate: {method: dp, least_bits: 5, budget_bits: 6}}\n", 7,
             "no option of 5 to 8 bits"),
            ("stages:\n  compress: {method: magnitude, allocate: {method: dp, budget_bits: 3}}\n", 7,
             "is of rtn, gptq, babai and higgs"),
            ("stages:\n  compress: {method: gptq, range: unbounded, allocate: {method: dp, budget_bits: 3}}\n", 7,
             "known afterwards alone"),
            ("stages:\n  compress: {method: rtn, allocate: dp}\n", 7, "a mapping is needed here"),
            ("stages:\n  compress: {method: rtn, allocate: {method: dp, budgetbits: 3}}\n", 7,
             "did you mean 'compress.allocate.budget_bits'"),
            ("stages:\n  compress: rtn\n", 7, "a mapping of its settings"),
            ("stages:\n  evaluate: {new_tokens: 40}\n", 7, "no room for a prompt"),
            ("stages:\n  compress: [none, {method: rtn, bits: 4, where: width = 3}]\n", 7, "is written"),
            ("stages:\n  compress: [none, {method: rtn, bits: 4, where: widht > 3}]\n", 7, "widht"),
            ("stages:\n  compress: [none, {method: rtn, bits: 4, where: loss < 3}]\n", 7, "loss"),
            ("stages:\n  compress: [none, {method: rtn, bits: 4, where: format}]\n", 7, "must be a condition"),
            ("stages:\n  compress: {method: rtn, bits: 4, where: seed == 0}\n", 7, "give one without"),
            ("sweep: {grid: {compress.bits: [3, 4]}}\n", 6, "belongs under stages"),
            ("trainer: {command: [true], version: 1}\nstages: {evaluate: {}}\n", 7, "isoloss-train")):
        done = run("check", spec("wrong", rest))
        check(done.code == 2 and f"wrong.yaml:{line}:" in done.err and words in done.err, words, done.err)


finish()
