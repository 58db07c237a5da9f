"""Exports and gradients of runs with formats, with the standard library alone: test_export.py ISOLOSS_TRAIN MAKE_RUN.

An export's weights are what the run evaluated: format none on them gives the run's own loss. The gradients that
--dump-gradients writes are those of the masters: what none finds at the represented weights, sent back through the
transform and the estimator's mask, which are written once more here. Prints TAP.

Where torch and transformers are installed, AutoModelForCausalLM itself loads the exports (transformers 5.24 with torch
2.15 passed).
"""
import json
import math
import os
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import case, check, environment, finish, path_of  # noqa: E402
from loss_by_transformers import loss_by_transformers  # noqa: E402
from plain_llama import Llama, read_safetensors as tensors, rows_of  # noqa: E402

trainer, make_run = sys.argv[1:3]
COMMON = ["corpus.source=markov2", "model.layers=2", "model.width=32", "model.context=16", "model.mlp_width=64",
          "model.heads=2", "model.kv_heads=1", "model.head_dim=16", "model.init_std=0.1", "train.steps=25",
          "train.batch_tokens=128", "train.lr=1e-2", "train.evals=0", "train.final_eval_tokens=512"]


def call(*arguments, code=0):
    done = subprocess.run([trainer, *map(str, arguments)], env=environment, capture_output=True, text=True)
    check(done.returncode == code, f"ends with {code}", arguments, done.returncode, done.stderr)
    return done


def make(name, *pairs):
    folder = path_of(name)
    subprocess.run([make_run, folder, *COMMON, *pairs], check=True)
    return folder


def events(run):
    with open(os.path.join(run, "events.jsonl"), encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def config_of(folder, name="config.json"):
    with open(os.path.join(folder, name), encoding="utf-8") as file:
        return json.load(file)


def validation(run, windows):
    return json.loads(subprocess.run([make_run, "--validation", run + "/config.json", str(windows)], check=True,
                                     capture_output=True).stdout)


def evaluate(weights, config):
    return json.loads(call("--evaluate", weights, "--json", config).stdout)["loss"]


def trained(name, *pairs):
    run = make(name, *pairs)
    call(run + "/config.json")
    done = events(run)[-1]
    return run, os.path.join(run, done["checkpoint"]), done["loss"]


WEIGHT_FORMATS = ["none", "w2", "ste-int4", "mxfp4", "lsq-w3", "2:4+int4", "sparse(0.5,global)",
                  "int4[random-hadamard]", "int3[stochastic]", "w4a16g8", "sparse(0.7,cubic(0.2,0.9),dynamic)"]
OTHERS = ["none", "lsq-w3", "2:4+int4"]
LEVELS = {"ste-int4": 16, "lsq-w3": 8}  # of a tensor or a row, without a transform


@case
def an_export_has_the_loss_of_its_run():
    for i, text in enumerate(WEIGHT_FORMATS):
        run, checkpoint, loss = trained(f"weights {i}", f"format={text}", "model.dtype=float32")
        out = path_of(f"export {i}")
        told = call("--export", out, "--from", checkpoint, run + "/config.json").stderr
        check("activations" not in told, "nothing is left out of a format of weights", text, told)
        check(config_of(out, "isoloss.json")["config"]["format"] == "none", "nothing of the format is left", text)
        found = evaluate(out, out + "/isoloss.json")
        check(abs(found - loss) < 1e-6, "format none finds the run's loss", text, found, loss)
        check(evaluate(checkpoint, run + "/config.json") == loss, "the checkpoint has it in every bit", text)
        if text in OTHERS:
            batch = validation(run, 512 // 16)
            others = [Llama(out).loss(batch), loss_by_transformers(out, batch, "AutoModelForCausalLM")]
            check(all(o is None or abs(o - loss) < 1e-6 for o in others), "so do others", text, loss, others)
        call("--export", out + " masters", "--from", checkpoint, "--masters", run + "/config.json")
        masters = out + " masters"
        check(evaluate(masters, masters + "/isoloss.json") == loss, "masters under the format have it too", text)
        a, b = (tensors(f + "/model.safetensors")[1]["model.layers.1.mlp.up_proj.weight"] for f in (out, masters))
        check((a == b) == (text == "none"), "the format changed the weights", text)
        rows, columns = a[0]
        most = max(len(set(a[1][row * columns:(row + 1) * columns])) for row in range(rows))
        check(most <= LEVELS.get(text, columns), "a row holds levels of its grid", text, most)


@case
def activations_are_left_out_and_said():
    for i, (text, rest) in enumerate([("w4a4", "a4"), ("lsq-w4a4", "lsq-a4"), ("quartet", "a(quest-mxfp4)")]):
        run, checkpoint, loss = trained(f"activations {i}", f"format={text}", "model.dtype=float32")
        out = path_of(f"activations export {i}")
        told = call("--export", out, "--from", checkpoint, run + "/config.json").stderr
        check("leave out" in told and rest in told, "what is left out is said", told)
        check("left out" in config_of(out)["isoloss"]["note"], "... in the folder as well")
        check(config_of(out, "isoloss.json")["config"]["format"] == rest, "isoloss knows what is left to do")
        found = evaluate(out, out + "/isoloss.json")
        # Transformed back and forth, a value may land on the other side of a boundary of the grid.
        check(abs(found - loss) < 2e-4, "which gives the run's loss", text, found, loss)


@case
def bfloat16_exports():
    run, checkpoint, loss = trained("bfloat16", "format=w4", "model.dtype=bfloat16", "train.master_weights=bfloat16")
    out = path_of("bfloat16 export")
    call("--export", out, "--from", checkpoint, run + "/config.json")
    check(abs(evaluate(out, out + "/isoloss.json") - loss) < 1e-6, "the loss of bfloat16 products")


@case
def folders_say_what_they_hold():
    run, checkpoint, _ = trained("said", "format=lsq-w4", "model.dtype=float32")
    said = config_of(checkpoint)["isoloss"]
    check(said["weights"] == "masters" and said["format"] == "lsq-w4" and said["step"] == 25 and said["dtype"] ==
          "float32" and "isoloss export" in said["note"], "a checkpoint says that it holds masters", said)
    check(said["run"] == config_of(run)["id"], "... and of which run", said)
    notes, weights = tensors(checkpoint + "/model.safetensors")
    check(notes["format"] == "pt" and notes["isoloss.format"] == "lsq-w4" and notes["isoloss.step"] == "25" and
          notes["isoloss.weights"] == "masters" and notes["isoloss.run"] == said["run"], "so does its file", notes)
    check(not any("scales" in name for name in weights), "scales are not among the weights", list(weights))
    scales = tensors(checkpoint + "/format_scales.st")[1]
    check(len(scales) == 2 and scales["model.layers.0.format_scales"][1][0] > 0, "but beside them", list(scales))
    plain = trained("plain", "model.dtype=float32")[1]
    check(not os.path.exists(plain + "/format_scales.st"), "without scales there is no such file")
    out = path_of("said export")
    call("--export", out, "--from", checkpoint, run + "/config.json")
    check(config_of(out)["isoloss"]["weights"] == "represented", "an export holds represented weights")
    check(call("--export", out, "--from", checkpoint, run + "/config.json", code=2).stderr.count("already") == 1,
          "a folder that is there is left alone")


def write_tensors(path, found, notes):
    header, data = {"__metadata__": notes}, b""
    for name, (shape, values) in found.items():
        begin = len(data)
        data += struct.pack(f"<{len(values)}f", *values)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, len(data)]}
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


@case
def scales_among_the_weights_are_read():
    run, checkpoint, loss = trained("older", "format=lsq-w4a4", "model.dtype=float32")
    weights = tensors(checkpoint + "/model.safetensors")[1]
    scales = tensors(checkpoint + "/format_scales.st")[1]
    os.remove(checkpoint + "/format_scales.st")
    told = call("--evaluate", checkpoint, run + "/config.json", code=2).stderr
    check("model.layers.0.format_scales is missing" in told, "missing scales are an error", told)
    write_tensors(checkpoint + "/model.safetensors", {**weights, **scales}, {"format": "pt"})
    check(evaluate(checkpoint, run + "/config.json") == loss, "they may stand where they once did")
    write_tensors(checkpoint + "/model.safetensors", {**weights, **scales, "other": ([1], (0.0,))}, {"format": "pt"})
    check("the model has" in call("--evaluate", checkpoint, run + "/config.json", code=2).stderr, "nothing else may")


# ---- gradients ----

def hadamard(row, block):
    """A row by blocks times the orthonormal Hadamard matrix of that size, in Sylvester's order; its own inverse."""
    out = list(row)
    for first in range(0, len(out), block):
        size = 1
        while size < block:
            for i in range(first, first + block, 2 * size):
                for j in range(i, i + size):
                    out[j], out[j + size] = out[j] + out[j + size], out[j] - out[j + size]
            size *= 2
        out[first:first + block] = [x / math.sqrt(block) for x in out[first:first + block]]
    return out


def trust_mask(master, represented):
    """|q(x) - x| at most half the gap between levels of a uniform grid, on transformed rows."""
    levels = sorted(represented)
    gap = min(b - a for a, b in zip(levels, levels[1:]) if b - a > 1e-4 * levels[-1])
    return [abs(q - x) <= gap / 2 * (1 + 1e-4) for x, q in zip(master, represented)]


PLACES = {"q_proj": 0, "k_proj": 1, "v_proj": 2, "o_proj": 16, "gate_proj": 32, "up_proj": 33, "down_proj": 48}


def scale_of(folder, name):
    """The learned scale of a matrix, None where there is none."""
    path = os.path.join(folder, "format_scales.st")
    if not os.path.exists(path):
        return None
    return tensors(path)[1][".".join(name.split(".")[:3]) + ".format_scales"][1][PLACES[name.split(".")[4]]]


def expected(text, gradient, master, represented, scale):
    """The master's gradient from that of the represented weights."""
    out = []
    for g, x, q in zip(*map(rows_of, (gradient, master, represented))):
        if text.startswith("w"):  # a Hadamard transform over the whole row, and trust
            mask = trust_mask(hadamard(x, len(x)), hadamard(q, len(q)))
            g = hadamard([gi if kept else 0 for gi, kept in zip(hadamard(g, len(g)), mask)], len(g))
        elif text.startswith("sparse"):
            g = [gi if qi else 0 for gi, qi in zip(g, q)]
        elif scale:  # learned: within the grid's range
            g = [gi if abs(xi) <= 7.5 * scale else 0 for gi, xi in zip(g, x)]
        out.extend(g)
    return out


def dump(out, run_config, *more):
    call("--dump-gradients", out, *more, run_config)
    return tensors(out + "/gradients.safetensors")[1], tensors(out + "/model.safetensors")[1]


def apart(got, want):
    """The norm of the difference over that of what is wanted."""
    return math.dist(got, want) / max(math.hypot(*want), 1e-30)


@case
def gradients_are_those_of_the_masters():
    for i, text in enumerate(["none", "ste-int4", "w4", "w2", "sparse(0.5)", "w4a4", "lsq-w4"]):
        config = make(f"gradients {i}", f"format={text}", "model.dtype=float32", "train.accumulation=2") + "/config.json"
        of_format, masters = dump(path_of(f"dump {i}"), config)
        out = path_of(f"represented {i}")
        call("--export", out, "--from", path_of(f"dump {i}"), config)
        of_rest, represented = dump(path_of(f"rest {i}"), out + "/isoloss.json", "--from", out)
        off, through = 0, 0
        for name, (shape, got) in of_format.items():
            if "format_scales" in name:
                continue
            want = of_rest[name][1]
            if "_proj" in name and text != "none":
                through = max(through, apart(got, want))
                want = expected(text, of_rest[name], masters[name], represented[name], scale_of(path_of(f"dump {i}"), name))
            off = max(off, apart(got, want))
        check(off < (2e-3 if text == "w4a4" else 2e-5), "gradients go through the estimator", text, off)
        masked = text.startswith(("w", "sparse", "lsq"))
        check((through > 0.02) == masked, "which is not the same as leaving it out", text, through)


@case
def gradients_of_learned_scales():
    # A part's scale: sum of g times (q - x) / s, or times the level where x is outside the grid, by sqrt(values * high).
    config = make("scales", "format=lsq-w4", "model.dtype=float32") + "/config.json"
    of_format, masters = dump(path_of("dump scales"), config)
    out = path_of("represented scales")
    call("--export", out, "--from", path_of("dump scales"), config)
    of_rest, represented = dump(path_of("rest scales"), out + "/isoloss.json", "--from", out)
    got = of_format["model.layers.1.format_scales"][1]
    for name in of_rest:
        if not name.startswith("model.layers.1.") or "_proj" not in name:
            continue
        place = PLACES[name.split(".")[4]]
        s, g, x, q = scale_of(path_of("dump scales"), name), of_rest[name][1], masters[name][1], represented[name][1]
        level = max(abs(v) for v in q) / s
        inside = [abs(xi / s) <= 7.5 for xi in x]
        check(level <= 7.5 + 1e-4, "16 levels without a zero reach 7.5 scales", level)
        want = sum(gi * ((qi - xi) / s if within else qi / s) for gi, xi, qi, within in zip(g, x, q, inside))
        want /= math.sqrt(len(x) * 7.5)
        check(abs(got[place] - want) < 1e-4 * abs(want) + 1e-9, "the gradient of a scale", name, got[place], want)


finish()
