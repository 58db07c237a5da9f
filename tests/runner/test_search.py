"""Searches over layers: test_search.py ISOLOSS [KILLS]. Prints TAP."""
import hashlib
import json
import os
import random
import re
import shutil
import signal
import struct
import sys
import time

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import case, check, document, finish, near, path_of, run, select, start, write  # noqa: E402

KILLS = int(sys.argv[2]) if len(sys.argv) > 2 else 10
HEAD = """experiment: EXPERIMENT
corpus: {source: markov2, markov2_vocabulary: 16}
base:
  model: {layers: LAYERS, width: 32, context: 32, head_dim: 16, dtype: float32}
  train: {batch_tokens: 256, steps: 20, evals: 0, final_eval_tokens: 4096, lr: 1e-2}
"""
ROUNDS = 'rounds: "256:2 1024:1", calibration_tokens: 1024'


def spec(name, stages, layers=2):
    return write(name + ".yaml", HEAD.replace("EXPERIMENT", name).replace("LAYERS", str(layers)) + stages)


def tensors(run_id, home="home"):
    folder = path_of(home, "runs", run_id, "checkpoints")
    newest = max(os.listdir(folder), key=lambda name: int(name.split("-")[1]))
    return tensors_of(os.path.join(folder, newest, "model.safetensors"))


def tensors_of(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data, found = file.read(), {}
        for name, tensor in header.items():
            if name != "__metadata__":
                begin, end = tensor["data_offsets"]
                found[name] = struct.unpack(f"<{(end - begin) // 4}f", data[begin:end])
    return found


def rows_of(name, stage="search"):
    return [row for row in document("runs", name) if row["stage"] == stage]


def events(run_id, home="home"):
    with open(path_of(home, "runs", run_id, "events.jsonl"), encoding="utf-8") as log:
        return [json.loads(line) for line in log]


BITS = spec("bits", f"""stages:
  search:
    - none
    - {{method: evopress, bits: [2.5, 3], group: 16, {ROUNDS}, generations: 6, offspring: 6}}
    - {{method: dp, bits: [2.5, 3], group: 16, {ROUNDS}, noises: 2, noise_tokens: 512}}
    - {{method: uniform, bits: [2.5, 3], group: 16, {ROUNDS}, random_choices: 12}}
  evaluate: {{tokens: 2048, prompts: 0}}
""")


@case
def a_budget_holds_exactly():
    run("run", "-q", BITS, code=0)
    rows = rows_of("bits")
    check(len(rows) == 6 and {row["state"] for row in rows} == {"done"}, "all done", rows)
    for row in rows:
        layers = select("home", f"SELECT matrix, rows * columns, bits FROM layers WHERE run = '{row['id']}'")
        check(len(layers) == 14, "seven matrices a block", layers)
        # A bfloat16 scale for 16 weights is 1 bit; groups of one size are q, k, v, o and gate, up, down.
        for size in {count for _, count, _ in layers}:
            bits = [bits - 1 for _, count, bits in layers if count == size]
            if row["search.method"] != "dp":
                check(sum(bits) == int(len(bits) * row["search.bits"]), "bits of a size", row["search.bits"], bits)
        total, weights = sum(count * (bits - 1) for _, count, bits in layers), sum(count for _, count, _ in layers)
        check(total <= weights * row["search.bits"] + 1e-6, "all together", total / weights)
        near(row["stored_bits"], total / weights + 1, 1e-12, "stored bits")
    worth = {(row["search.method"], row["search.bits"]): row["search_fitness"] for row in rows}
    for bits in 2.5, 3:
        check(worth["evopress", bits] <= worth["uniform", bits], "never behind where it began", worth)
    correlations = [row["rank_correlation"] for row in rows if row["search.method"] == "uniform"]
    check(all(-1 <= value <= 1 for value in correlations), "rank correlations", correlations)
    check(all(row["rank_correlation"] is None for row in rows if row["search.method"] != "uniform"), "of random choices alone")
    check({row["compression"] for row in rows} >= {"gptq:evopress2.5", "gptq:dp3.0"} or
          {row["compression"] for row in rows} >= {"gptq:evopress2.5", "gptq:dp3"}, "in one word", rows)
    # Held against the model that the chain began with on other tokens, the searched one is no further off by much.
    evaluated = {row["parent"]: row["kl"] for row in rows_of("bits", "evaluate")}
    for row in rows:
        near(evaluated[row["id"]], row["search_fitness"], 0.5, "validation and search agree")


@case
def generations_are_a_curve():
    row = next(row for row in rows_of("bits") if row["search.method"] == "evopress")
    told = events(row["id"])
    steps = [event for event in told if event["event"] == "step"]
    check([event["step"] for event in steps] == list(range(1, 7)), "a step each", steps)
    losses = [event["loss"] for event in steps]
    check(losses == sorted(losses, reverse=True) and losses[-1] == row["search_fitness"], "elitist", losses)
    check([event["evaluations"] for event in steps] == [9 + 8 * i for i in range(6)], "evaluations", steps)
    # The parent once, then rounds of 6 and 2, and the first parent.
    check(steps[-1]["tokens"] == 1024 + 6 * (6 * 256 + 2 * 1024) + 1024 == row["search_tokens"], "tokens", steps[-1])
    check(told[0]["event"] == "start" and told[0]["steps"] == 6, "how long it is")
    points = select("home", f"SELECT step, loss, tokens FROM metrics WHERE run = '{row['id']}' ORDER BY step")
    check(points == [(e["step"], e["loss"], e["tokens"]) for e in steps], "in the store", points)


@case
def what_a_search_takes_is_part_of_c():
    by_id = {row["id"]: row for row in document("runs", "bits")}
    for row in rows_of("bits"):
        parent = by_id[row["parent"]]
        near(row["flops"], parent["flops"] + row["flops_search"], 1e-9, "C")
        near(row["flops_own"], row["flops_search"], 1e-9, "its own")
        if row["search.method"] == "evopress":  # with the calibration
            per_token = parent["flops"] / parent["tokens"] / 3
            near(row["flops_search"], per_token * (row["search_tokens"] + 1024), 1e-9, "of the tokens that went forward")


@case
def levels_are_made_once():
    parent = rows_of("bits")[0]["parent"]
    folder = path_of("home", "runs", parent, "levels")
    kept = [name for name in os.listdir(folder) if not name.endswith(".lock")]
    check(len(kept) == 1, "for all budgets and methods", kept)
    row = next(row for row in rows_of("bits") if row["search.method"] == "uniform")
    before = tensors(row["id"])
    stamp = os.stat(os.path.join(folder, kept[0])).st_mtime_ns
    run("run", "-q", BITS, "--again", row["id"], code=0)
    check(os.stat(os.path.join(folder, kept[0])).st_mtime_ns == stamp and tensors(row["id"]) == before, "read")
    with open(os.path.join(folder, kept[0]), "r+b") as file:
        file.seek(100)
        byte = file.read(1)
        file.seek(100)
        file.write(bytes([byte[0] ^ 1]))
    run("run", "-q", BITS, "--again", row["id"], code=0)
    check(tensors(row["id"]) == before, "made anew where damaged, to the same bits")
    with open(path_of("home", "runs", row["id"], "log.txt"), encoding="utf-8") as log:
        check("damaged: measured anew" in log.read(), "which is told")


@case
def it_finds_what_trying_all_finds():
    six = spec("six", """stages:
  search:
    - {method: exhaustive, space: drop, keep: 0.5, rounds: "256:1"}
    - {method: evopress, space: drop, keep: 0.5, rounds: "256:1", generations: 40, offspring: 8}
""", layers=6)
    run("run", "-q", six, code=0)
    rows = {row["search.method"]: row for row in rows_of("six")}
    check(rows["exhaustive"]["search_evaluations"] == 400, "20 ways for attentions, 20 for MLPs", rows["exhaustive"])
    check(rows["evopress"]["search_fitness"] == rows["exhaustive"]["search_fitness"], "the best of 400", rows)
    check(tensors(rows["evopress"]["id"]) == tensors(rows["exhaustive"]["id"]), "the same model")
    check(rows["evopress"]["search_evaluations"] < 400, "of fewer evaluations")
    wide = spec("wide", "stages: {search: {method: exhaustive, bits: 3, group: 16}}\n", layers=6)
    told = run("plan", wide, code=2).err
    check("choices to try, more than search.most_choices 4096" in told and "wide.yaml:6:" in told, "too many", told)


SMALLER = spec("smaller", f"""stages:
  search:
    - {{method: darwin, keep: 0.5, finetune_tokens: [0, 1024], {ROUNDS}, generations: 2, offspring: 4}}
    - {{method: uniform, space: structure, keep: [0.5, 0.8], calibration_tokens: 1024}}
    - {{method: evopress, space: sparsity, sparsity: 0.6, {ROUNDS}, generations: 2, offspring: 4, fitness: top_kl, top: 4}}
  train: [none, {{tokens: 2048, where: search.space == "structure"}}]
""")


def kept_of(values):
    return {name: tuple(value != 0 for value in values[name]) for name in values if "proj" in name}


@case
def what_is_taken_out_stays_out():
    run("run", "-q", SMALLER, code=0)
    plan = {row["id"]: row for row in document("plan", SMALLER)}
    rows = rows_of("smaller")
    full = next(row for row in document("runs", "smaller") if row["stage"] == "train")
    for row in rows:
        kept = kept_of(tensors(row["id"]))
        there = sum(sum(values) for values in kept.values())
        check(plan[row["id"]]["parameters"] == row["parameters"], "N is known before")
        if row["search.space"] == "sparsity":
            check(row["parameters"] == full["parameters"], "the same N")
            near(row["parameters_active"], there + 5 * 32, 1e-9, "of which are there")
            continue
        check(row["parameters"] == there + 5 * 32, "N is what is there and the norms", row["parameters"], there)
        check(row["parameters"] < full["parameters"], "a smaller model")
        for further in rows_of("smaller", "tune"):
            if further["parent"] != row["id"]:
                continue
            check(kept_of(tensors(further["id"])) == kept, "training goes on with what is left alone")
            check(further["parameters"] == row["parameters"], "whose N it is")
    trained = {row["search.finetune_tokens"]: row for row in rows if row["search.method"] == "darwin"}
    check(trained[1024]["search_tokens"] > trained[0]["search_tokens"], "training of candidates is counted", trained)
    # 4 candidates of 256 tokens each, 2 of 1024, for two generations, and the first parent: by three passes.
    check(trained[1024]["search_tokens"] - trained[0]["search_tokens"] == 3 * (2 * (4 * 256 + 2 * 1024) + 1024), "exactly",
          trained[1024]["search_tokens"], trained[0]["search_tokens"])
    check(trained[1024]["flops_search"] > trained[0]["flops_search"], "and in C")


@case
def an_export_is_the_smaller_model():
    for row in rows_of("smaller"):
        if row["search.space"] != "structure" or row["search.keep"] != 0.5:
            continue
        folder = path_of("export-" + row["id"])
        told = run("export", row["id"], "--to", folder, code=0).err
        with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
            config = json.load(file)
        uniform = row["search.method"] == "uniform"
        heads, columns = config["num_attention_heads"], config["intermediate_size"]
        check(heads <= 2 and columns <= 96 and heads == config["num_key_value_heads"], "a smaller Llama", config)
        if uniform:  # half of both heads and of the columns in either block
            check((heads, columns) == (1, 48) and "one number for all blocks" not in told, "with widths of its own", config, told)
        layers = tensors_of(os.path.join(folder, "model.safetensors"))
        zeroes = sum(values.count(0.0) for name, values in layers.items() if "proj" in name)
        check((zeroes > 0) == ("one number for all blocks" in told), "what is masked is told", zeroes, told)
        if zeroes:
            check(f"so that {zeroes} weights" in told, "how much of it", zeroes, told)
        # Made of it, a chain has the same loss.
        opened = write("opened.yaml", f"""experiment: opened-{row["id"][:6]}
from: {folder}
corpus: {{source: markov2, markov2_vocabulary: 16}}
base: {{train: {{final_eval_tokens: 4096}}}}
stages: {{evaluate: {{tokens: 4096, prompts: 0}}}}
""")
        run("run", "-q", opened, code=0)
        found = document("runs", opened)[0]
        near(found["loss"], row["loss"], 2e-6, "the loss of the export")
        if uniform:
            check(found["parameters"] == row["parameters"], "whose N is the same", found["parameters"])


# What is of workers and their time, and where the store is in their logs, in place of what the runs found.
OF_THE_WORKERS = {"wall_seconds", "train_seconds", "trunk_seconds", "tokens_per_second", "speed_of_light", "peak_memory",
                  "machine_seconds", "joules", "joules_seconds", "attempts", "pid", "created_at", "started_at", "finished_at",
                  "command", "log_offset", "log_check", "commit_id", "environment"}


def result(home):
    """All that must not depend on interruptions."""
    found = {}
    for run_id, in select(home, "SELECT id FROM runs WHERE stage = 'search'"):
        with open(path_of(home, "runs", run_id, "checkpoints", "step-20", "model.safetensors"), "rb") as file:
            found[run_id] = hashlib.sha256(file.read()).hexdigest()
    columns = [name for name, in select(home, "SELECT name FROM pragma_table_info('runs')") if name not in OF_THE_WORKERS]
    return (found, select(home, f"SELECT {', '.join(columns)} FROM runs ORDER BY id"),
            select(home, "SELECT run, step, tokens, loss FROM metrics ORDER BY 1, 2"))


def starts(home):
    return [event["resumed_from"] for run_id, in select(home, "SELECT id FROM runs WHERE stage = 'search'")
            for event in events(run_id, home) if event["event"] == "start"]


@case
def a_search_that_is_killed_ends_the_same():
    long = spec("long", f"""stages:
  search:
    - {{method: evopress, bits: 3, group: 16, {ROUNDS}, generations: 120, offspring: 8, random_choices: 40}}
    - {{method: darwin, keep: 0.5, finetune_tokens: 512, {ROUNDS}, generations: 24, offspring: 4}}
""")
    run("run", "-q", long, home="quiet", code=0)
    seconds = select("quiet", "SELECT min(wall_seconds) FROM runs WHERE stage = 'search'")[0][0]
    chance, resumed, kills = random.Random(KILLS), [], 0
    while kills < KILLS:
        with start("run", "-q", long, "--retries", "1000", home="killed") as process:
            time.sleep(chance.uniform(0.1, max(0.5, 0.6 * seconds)))
            if process.poll() is not None:  # done already: begin again
                process.communicate()
                check(result("killed") == result("quiet"), "the same bits")
                resumed += starts("killed")
                shutil.rmtree(path_of("killed"))
                continue
            kills += 1
            # Killed early, it has made no tables yet.
            made = os.path.exists(path_of("killed", "isoloss.db")) and select("killed", "SELECT 1 FROM sqlite_schema WHERE name = 'runs'")
            pids = [pid for pid, in select("killed", "SELECT pid FROM runs WHERE state = 'running' AND stage = 'search'")] if made else []
            if kills % 2 and pids:
                for pid in pids:
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
            else:
                process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGTERM)
            process.communicate()
    run("run", "-q", long, "--retries", "1000", home="killed", code=0)
    check(result("killed") == result("quiet"), "the same bits", result("killed"), result("quiet"))
    resumed += starts("killed")
    check(max(resumed) > 0, "it went on from where it was at least once", resumed)
    print(f"# {kills} kills, begun from generations {sorted(resumed)}")


REFUSED = {
    "{method: evopress}": "search needs bits",
    "{method: evopress, bits: 7, group: 16}": "search.bits 7 is not between least_bits 2 and most_bits 6",
    "{method: evopress, bits: 3, keep: 0.5}": "search.keep says nothing to the method evopress in the space bits",
    "{method: uniform, bits: 3, generations: 5}": "search.generations says nothing to the method uniform",
    "{method: evopress, bits: 3, space: sparsity, sparsity: 0.5}": "search.bits says nothing",
    "{method: evopress, space: sparsity}": "search needs sparsity",
    "{method: evopress, space: sparsity, sparsity: 0.5, compressor: gptq}": "brings no matrix to a share of zeroes",
    "{method: darwin, space: bits, bits: 3}": "darwin searches in the space structure, not in bits",
    "{method: darwin}": "search needs keep",
    "{method: darwin, keep: 0.01}": "leaves no attention of the model",
    "{method: darwin, keep: 0.5, column_levels: 7}": "search.column_levels 7 does not divide model.mlp_width 96",
    "{method: dp, space: drop, keep: 0.5}": "dp adds up what errors of matrices cost",
    '{method: evopress, bits: 3, rounds: "100"}': "search.rounds must be TOKENS:KEPT",
    '{method: evopress, bits: 3, rounds: "100:4 50:1"}': "tokens of a search's rounds grow",
    '{method: evopress, bits: 3, rounds: "100:2"}': "the last round of a search keeps one",
    '{method: evopress, bits: 3, offspring: 2, rounds: "100:4 200:1"}': "round 1 of a search keeps 4 of 2",
    "{method: evopress, bits: 3, group: 16, fitness: top_kl, top: 16}": "search.top 16 is all of the vocabulary",
    "{method: evopress, bits: 3, group: 16, calibration_tokens: 8}": "8 calibration tokens are too few",
    "{method: evopress, space: drop, keep: 0.5, calibration_tokens: 64}": "search.calibration_tokens say nothing to drop",
}


@case
def what_cannot_be_is_told_before_anything_starts():
    for text, message in REFUSED.items():
        told = run("plan", spec("refused", f"stages:\n  search:\n    - {text}\n"), code=2).err
        check(message in told and re.search(r"refused\.yaml:\d+:\d+", told), text, told)
    behind = {"compress: {method: rtn, bits: 4}": "compress does not follow it",
              "train: {tokens: 512}": "tune.format is needed"}
    for stage, message in behind.items():
        told = run("plan", spec("refused", "stages:\n  search: {method: uniform, bits: 3, group: 16}\n  " + stage + "\n"), code=2).err
        check(message in told, stage, told)
    for more, message in {"format: w4": "tune.format w4 would represent anew", "optimizer: muon": "the optimizer muon moves"}.items():
        told = run("plan", spec("refused", "stages:\n  search: {method: uniform, space: drop, keep: 0.5}\n  train: {tokens: 512, " +
                                more + "}\n"), code=2).err
        check(message in told, more, told)


finish()
