"""Outliers planted for tests, the stage plant_outliers: test_plant.py ISOLOSS. Prints TAP."""
import json
import os
import struct
import sys

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import case, check, document, finish, near, path_of, run, write  # noqa: E402

HEAD = """experiment: EXPERIMENT
corpus: {source: markov2, markov2_vocabulary: 16}
base:
  model: {layers: 2, width: 64, heads: 4, kv_heads: 2, head_dim: 16, context: 32, dtype: float32}
  train: {batch_tokens: 256, steps: 60, evals: 0, final_eval_tokens: 4096, lr: 1e-2}
"""
PER_TENSOR = '"w(int8[absmax,tensor,no-hadamard,ste])a(int8[absmax,tensor,no-hadamard,ste])"'
ROTATED = '"w(int8[absmax,tensor,hadamard,ste])a(int8[absmax,tensor,hadamard,ste])"'


def spec(name, rest):
    return write(name + ".yaml", HEAD.replace("EXPERIMENT", name) + rest)


def tensors(run_id):
    with open(path_of("home", "runs", run_id, "checkpoints", "step-60", "model.safetensors"), "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        begin_of_data = file.tell()
        found = {}
        for name, tensor in header.items():
            if name != "__metadata__":
                begin, end = tensor["data_offsets"]
                file.seek(begin_of_data + begin)
                found[name] = (tensor["shape"], struct.unpack(f"<{(end - begin) // 4}f", file.read(end - begin)))
    return found


PLANTED = spec("planted", f"""stages:
  plant_outliers: [none, {{channels: 2, gain: [30, 32]}}]
  compress: [none, {{method: rtn, format: [{PER_TENSOR}, {ROTATED}]}}]
  evaluate: {{tokens: 4096, prompts: 0}}
""")
run("run", "-q", PLANTED, code=0)
rows = document("runs", "planted")
training = next(row for row in rows if row["stage"] == "train")
planted = {row["plant_outliers.gain"]: row for row in rows if row["stage"] == "plant_outliers"}


@case
def the_model_is_the_same_function():
    check(planted[32]["loss"] == training["loss"], "a power of two changes no bit", planted[32]["loss"], training["loss"])
    near(planted[30]["loss"], training["loss"], 1e-6, "another gain changes rounding")
    for row in rows:
        if row["stage"] == "evaluate" and row["compress.method"] == "none":
            check(abs(row["kl"]) < 1e-9, "no divergence", row["kl"])


@case
def two_channels_of_each_matrix_are_larger():
    before, after = tensors(training["id"]), tensors(planted[32]["id"])
    for name, (shape, values) in before.items():
        ratio = [b / a if a else 1 for a, b in zip(values, after[name][1])]
        larger, smaller = ratio.count(32), ratio.count(1 / 32)
        other = len(ratio) - larger - smaller - ratio.count(1)
        if "layernorm" in name:
            want = (2, 0)
        elif "q_proj" in name or "k_proj" in name or "gate_proj" in name:
            want = (0, 2 * shape[0])
        elif "v_proj" in name or "up_proj" in name:  # rows that grow cross columns that shrink
            want = (2 * (shape[1] - 2), 2 * (shape[0] - 2))
        elif "o_proj" in name:  # a value feature is read by both query heads of its group
            want = (0, 4 * shape[0])
        elif "down_proj" in name:
            want = (0, 2 * shape[0])
        else:
            want = (0, 0)
        check((larger, smaller, other) == (*want, 0), name, (larger, smaller, other), want)


@case
def scales_of_whole_tensors_suffer_and_rotations_help():
    outliers = [row["kl"] for row in rows if row["stage"] == "evaluate" and row["plant_outliers.channels"] == 2 and
                row["compress.method"] != "none"]
    plain = [row["kl"] for row in rows if row["stage"] == "evaluate" and row["plant_outliers.channels"] == 0 and
             row["compress.method"] != "none"]
    check(len(outliers) == 4 and len(plain) == 2 and max(outliers) > 3 * max(plain), "outliers cost", outliers, plain)
    rotated = [row["kl"] for row in rows if row["stage"] == "evaluate" and row["plant_outliers.channels"] == 2 and
               row["compress.method"] != "none" and "no-hadamard" not in row["compress.format"]]
    print("#", plain, outliers, rotated)
    check(len(rotated) == 2 and 2 * max(rotated) < max(outliers), "a rotation spreads them", rotated, outliers)


@case
def mistakes_are_told_with_their_line():
    for rest, place, words in (
            ("stages:\n  plant_outliers: {gain: 30}\n", "7:19", "plant_outliers needs channels"),
            ("stages:\n  plant_outliers: {channels: 33}\n", "7:30", "more than the 32 of the narrowest matrix"),
            ("stages:\n  plant_outliers: {channels: 1, gain: 0.5}\n", "7:39", "must be between 1 and 65536"),
            ("stages:\n  train: {steps: 1}\n  plant_outliers: {channels: 1}\n", "8:3", "plant_outliers comes before train"),
            ("sweep: {grid: {format: [lsq-w4a4]}}\nstages:\n  plant_outliers: {channels: 1}\n", "8:19", "learned scales")):
        done = run("plan", spec("wrong", rest), code=2)
        check(f"wrong.yaml:{place}" in done.err and words in done.err, "refused with its place: " + words, done.err)


finish()
