"""Chains that begin with a folder of Hugging Face's layout: test_from.py ISOLOSS MAKE_RUN. Prints TAP."""
import json
import os
import shutil
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import case, check, document, environment, finish, near, path_of, run, write  # noqa: E402
from hugging_face_folder import CONFIG, make_folder  # noqa: E402
from loss_by_transformers import loss_by_transformers  # noqa: E402
from plain_llama import Llama, rows_of  # noqa: E402

make_run = os.path.abspath(sys.argv[2])
HEAD = """experiment: EXPERIMENT
corpus: {source: markov2, markov2_vocabulary: 16}
base: {model: {dtype: float32}, train: {final_eval_tokens: 240}}
"""


def spec(name, rest, head=HEAD):
    return write(name + ".yaml", head.replace("EXPERIMENT", name) + rest)


def rows_by_stage(name):
    return {stage: [row for row in document("runs", name) if row["stage"] == stage]
            for stage in ("train", "from", "compress", "evaluate")}


def validation(run_id, windows=10):
    """The windows that a run was evaluated on."""
    done = subprocess.run([make_run, "--validation", path_of("home", "runs", run_id, "config.json"), str(windows)],
                          env=environment, capture_output=True, check=True)
    return json.loads(done.stdout)


def plain(config, tensors):
    """The model of a folder that the test made, in plain Python."""
    model = Llama.__new__(Llama)
    model.config = {"head_dim": config["hidden_size"] // config["num_attention_heads"], **config}
    model.weights = {name: rows_of(t) if len(t[0]) == 2 else t[1] for name, t in tensors.items()}
    model.head = model.weights.get("lm_head.weight", model.weights["model.embed_tokens.weight"])
    return model


FOLDERS = {"bfloat16, tied": dict(), "float16, sharded": dict(dtype="F16", shards=3, tie_word_embeddings=False),
           "float32, wide heads": dict(dtype="F32", head_dim=16, rms_norm_eps=1e-5, rope_theta=10000.0)}
made = {name: make_folder(path_of(name), **how) for name, how in FOLDERS.items()}
ROOTS = spec("roots", "from: [%s]\n" % ", ".join(f'"{name}"' for name in FOLDERS) + """stages:
  compress: [none, {method: rtn, bits: [3, 8]}, {method: gptq, bits: 3, calibration_tokens: 2048}]
  evaluate: {tokens: 240, prompts: 2, new_tokens: 4}
""")


@case
def a_plan_shows_the_roots():
    table = run("plan", ROOTS, code=0).out
    check("24 runs (3 models of folders, 9 compressions, 12 evaluations)" in table, "what there is to do", table)
    check("FLOPs" not in table.split("24 runs")[1].split("\n")[0], "no FLOPs of a training", table)
    planned = document("plan", ROOTS)
    check([row["stage"] for row in planned] == ["from"] * 3 + ["compress"] * 9 + ["evaluate"] * 12, "in order")
    check(all(row["tokens"] is None and row["flops"] is None for row in planned), "D and C are not known")


@case
def a_folder_has_the_loss_of_its_model():
    check("24 runs: 24 done" in run("run", "-q", ROOTS, code=0).out, "all done")
    for row in rows_by_stage("roots")["from"]:
        config, tensors = made[os.path.basename(row["from.path"])]
        near(row["loss"], plain(config, tensors).loss(validation(row["id"])), 1e-5, row["from.path"])
        count = sum(len(v) for name, (_, v) in tensors.items() if "embed" not in name and "lm_head" not in name)
        check(row["parameters"] == count and row["tokens"] is None and row["flops_6nd"] is None, "N, and no D", row)
        check((row["model.kv_heads"], row["model.heads"], row["model.context"], row["model.rope_theta"]) ==
              (2, 4, 24, config["rope_theta"]) and row["train.lr"] is None, "settings are those of config.json", row)
        check(row["model.tied_head"] == config["tie_word_embeddings"], "a tied head")


@case
def stages_work_on_it():
    rows = rows_by_stage("roots")
    check(len(rows["from"]) == 3 and not rows["train"], "no training")
    roots = {row["id"]: row for row in rows["from"]}
    for row in rows["compress"]:
        root = roots[row["parent"]]
        check(row["model.width"] == 32 and row["from.digest"] == root["from.digest"], "a stage has its root's settings")
        check(0 < row["weight_error"] < (0.3 if row["compress.bits"] == 3 else 1e-3), "errors", row["weight_error"])
    for row in rows["evaluate"]:
        root = next(r for r in roots.values() if r["from.path"] == row["from.path"])
        near(row["root_loss"], root["loss"], 1e-6, "held against the folder's model")
        check(row["compress.method"] != "none" or row["kl"] == 0, "which itself is not off", row["kl"])


@case
def what_comes_out_is_loaded_again():
    for row in rows_by_stage("roots")["compress"]:
        if row["compress.method"] != "gptq":
            continue
        out = path_of("out " + row["id"][:8])
        run("export", row["id"], "--to", out, code=0)
        batch = validation(row["id"])
        others = [Llama(out).loss(batch), loss_by_transformers(out, batch, "AutoModelForCausalLM"),
                  document("evaluate", out)["loss"]]
        check(all(o is None or abs(o - row["loss"]) <= 1e-5 * row["loss"] for o in others), "the run's loss", row["loss"],
              others)
        check(document("evaluate", row["id"])["loss"] == row["loss"], "the run itself has it in every bit")
        again = spec("again", f'from: "{out}"\n')
        run("run", "-q", again, code=0)
        near(rows_by_stage("again")["from"][0]["loss"], row["loss"], 1e-6, "it is a root again")
        return


# How it was trained, settings of its optimizer too, is not known.
@case
def it_is_trained_on():
    on = spec("on", """from: "bfloat16, tied"
stages:
  train: [none, {steps: 8, lr: 3e-3, batch_tokens: 96, optimizer: [adamw, muon]}]
  compress: [none, {method: elsa, steps: 8, lr: 3e-3, sparsity: 0.5, where: "tune.steps == 0"}]
""")
    run("run", "-q", on, code=0)
    rows = {stage: [row for row in document("runs", "on") if row["stage"] == stage] for stage in ("from", "tune", "compress")}
    root, = rows["from"]
    tuned = {row["tune.optimizer"]: row for row in rows["tune"]}
    check(set(tuned) == {"adamw", "muon"} and all(row["loss"] < root["loss"] for row in tuned.values()), "it learns", tuned)
    check(tuned["adamw"]["loss"] != tuned["muon"]["loss"] and all(row["tokens"] is None for row in tuned.values()),
          "by either optimizer; D is not known", tuned)
    sparse, = rows["compress"]
    check(sparse["state"] == "done" and 0 < sparse["weight_error"] < 1, "trained towards zeroes", sparse)


@case
def an_id_is_what_a_folder_holds():
    shutil.copytree(path_of("bfloat16, tied"), path_of("copy"))
    first = [document("plan", spec("ids", f'from: "{name}"\n'))[0]["id"] for name in ("bfloat16, tied", "copy")]
    check(first[0] == first[1], "a copy elsewhere is the same run")
    with open(path_of("copy", "model.safetensors"), "r+b") as file:
        file.seek(-2, 2)
        file.write(struct.pack("<H", 0x3F80))
    changed = document("plan", spec("ids", "from: copy\n"))[0]["id"]
    check(changed != first[0], "one weight makes another")
    for more in ("{seed: 1, train: {final_eval_tokens: 240}}", "{model: {context: 12}, train: {final_eval_tokens: 240}}",
                 "{train: {final_eval_tokens: 120}}"):
        other = spec("ids", f"from: copy\nbase: {more}\n", HEAD.split("base:")[0])
        check(document("plan", other)[0]["id"] != changed, "so does what counts", more)
    both = spec("twice", 'from: ["bfloat16, tied", copy]\nsweep: {grid: {seed: [0, 1]}}\n')
    check([row["seed"] for row in document("plan", both)] == [0, 1, 0, 1], "an axis beside others")


TRAINED = """experiment: trained
corpus: {source: markov2, markov2_vocabulary: 16}
base:
  model: {layers: 2, width: 32, context: 16, dtype: float32}
  train: {batch_tokens: 128, steps: 20, evals: 0, final_eval_tokens: 2048, lr: 1e-2}
  seed: 3
"""
COMPRESS = "stages: {compress: {method: gptq, bits: 3, calibration_tokens: 2048}}\n"


@case
def folders_of_isoloss_are_their_runs():
    write("trained.yaml", TRAINED + "sweep: {grid: {format: [none, w4a4, lsq-w4]}}\n" + COMPRESS)
    run("run", "-q", path_of("trained.yaml"), code=0)
    rows = rows_by_stage("trained")
    for row in rows["train"]:
        checkpoint = path_of("home", "runs", row["id"], "checkpoints", "step-20")
        out = path_of("export of " + row["format"])
        run("export", row["id"], "--to", out, code=0)
        head = HEAD.replace("240", "2048")
        run("run", "-q", spec("rooted", f'from: ["{checkpoint}", "{out}"]\n' + COMPRESS, head), code=0)
        rooted = rows_by_stage("rooted")
        by_path = {root["from.path"]: root for root in rooted["from"]}
        check(by_path[checkpoint]["loss"] == row["loss"], "a checkpoint has the run's loss", row["format"],
              by_path[checkpoint]["loss"], row["loss"])
        near(by_path[out]["loss"], row["loss"], 1e-4, "an export too")
        for root in rooted["from"]:
            check((root["tokens"], root["seed"], root["train.lr"]) == (2560, 3, 1e-2), "D and settings are the run's", root)
            near(root["flops"], row["flops"], 1e-12, "so is C")
        want, = [r for r in rows["compress"] if r["parent"] == row["id"]]
        found, = [r for r in rooted["compress"] if r["parent"] == by_path[checkpoint]["id"]]
        check((found["loss"], found["weight_error"]) == (want["loss"], want["weight_error"]),
              "a compression after it is that after the training", found["loss"], want["loss"])
    for key, name in (("num_attention_heads", "heads"), ("rope_theta", "rope_theta"), ("intermediate_size", "mlp_width")):
        with open(path_of("export of none", "config.json")) as old:
            described = json.load(old)
        shutil.copytree(path_of("export of none"), path_of("other " + name))
        described[key] *= 2
        write(os.path.join("other " + name, "config.json"), json.dumps(described))
        done = run("plan", spec("other", f'from: "other {name}"\n'), code=2)
        check(f"another model than config.json next to the weights: model.{name} is" in done.err
              or "head_dim" in done.err, name, done.err)
    # Compressions cost no FLOPs of a chain's C: their exports have the training's.
    out = path_of("export of a compression")
    run("export", rows["compress"][0]["id"], "--to", out, code=0)
    planned, = document("plan", spec("compressed", f'from: "{out}"\n'))
    near(planned["flops"], rows["compress"][0]["flops"], 1e-12, "C of a compression")
    done = run("plan", spec("run", f'from: "{path_of("home", "runs", rows["train"][0]["id"])}"\n'), code=2)
    check("is the folder of a run: name one of its checkpoints" in done.err, "not a run's folder", done.err)
    lone = path_of("lone")
    shutil.copytree(path_of("home", "runs", next(r["id"] for r in rows["train"] if r["format"] == "w4a4"),
                            "checkpoints", "step-20"), lone)
    check("of a run with format w4a4" in run("plan", spec("lone", "from: lone\n"), code=2).err, "masters alone")


@case
def what_stages_before_it_took_is_unknown():
    write("tuned.yaml", TRAINED.replace("experiment: trained", "experiment: tuned") + "stages: {train: {steps: 5, lr: 1e-3}}\n")
    run("run", "-q", path_of("tuned.yaml"), code=0)
    trained, tuned = sorted(document("runs", "tuned"), key=lambda row: row["stage"] == "tune")
    check(tuned["flops"] > trained["flops"] > 0, "the chain's C", tuned["flops"], trained["flops"])
    out, again = path_of("tuned export"), path_of("export of its root")
    run("export", tuned["id"], "--to", out, code=0)
    step, = os.listdir(path_of("home", "runs", tuned["id"], "checkpoints"))
    for folder in (out, path_of("home", "runs", tuned["id"], "checkpoints", step)):
        root, after = document("plan", spec("tuned-root", f'from: "{folder}"\nstages: {{train: {{steps: 2, lr: 1e-3}}}}\n'))
        check(root["flops"] is None and after["flops"] is None and root["parameters"] == trained["parameters"],
              "C is unknown, not the first training's", folder, root["flops"], after["flops"])
    run("run", "-q", spec("tuned-root", f'from: "{out}"\n'), code=0)
    root, = document("runs", "tuned-root")
    check(root["flops"] is None, "nor has the store one", root["flops"])
    run("export", root["id"], "--to", again, code=0)
    planned, = document("plan", spec("tuned-again", f'from: "{again}"\n'))
    check(planned["flops"] is None, "nor an export of the root", planned["flops"])


def refused(name, want, more=None, place="4:7", rest="", head=HEAD, **changes):
    if name:
        make_folder(path_of(name), more=more, **changes)
    done = run("plan", spec("refused", f"from: {name or 'nowhere'}\n{rest}", head), code=2)
    check(f"refused.yaml:{place}: " in done.err and want in done.err, "refused with its place", want, done.err)


@case
def what_cannot_be_a_root_is_told_before_anything_starts():
    refused(None, "there is no such folder")
    refused("r1", "the architecture is MistralForCausalLM", architectures=["MistralForCausalLM"])
    refused("r2", "scaled rotary positions", rope_scaling={"rope_type": "llama3", "factor": 8})
    refused("r3", "attention_bias true: biases of the attention", attention_bias=True)
    refused("r4", 'hidden_act "gelu"', hidden_act="gelu")
    refused("r5", "sliding_window 8", sliding_window=8)
    refused("r6", "model.head_dim 5 is not an even number", head_dim=5)
    refused("r7", "the tensor model.layers.0.self_attn.q_proj.bias is none of a plain",
            more={"model.layers.0.self_attn.q_proj.bias": [32]})
    refused("r8", "model.vocabulary 12 is smaller than the tokenizer's vocabulary 16", vocab_size=12)
    refused("r9", "quantization_config", quantization_config={"bits": 4})
    refused("r11", "mlp_bias true", mlp_bias=True)
    refused("r12", "scaled rotary positions", rope_parameters={"rope_type": "yarn", "rope_theta": 1e4})
    refused("r13", "give model.context", max_position_embeddings=131072)
    refused("r14", "model.width 24 is not a multiple of 16", hidden_size=24)


def damage(name, file, change):
    make_folder(path_of(name))
    with open(path_of(name, file), "rb") as old:
        content = change(old.read())
    with open(path_of(name, file), "wb") as new:
        new.write(content)
    return run("plan", spec("damaged", f"from: {name}\n"), code=2).err


@case
def damaged_folders_are_told():
    check("is not a valid safetensors file" in damage("d1", "model.safetensors", lambda b: b[:-2]), "cut off")
    check("is I16: weights must be" in damage("d2", "model.safetensors", lambda b: b.replace(b'"BF16"', b'"I16" ')),
          "weights of another type")
    check("no description of a model" in damage("d3", "config.json", lambda b: b[:-3]), "no JSON")
    check("hidden_size is missing" in damage("d4", "config.json", lambda b: b.replace(b"hidden_size", b"hidden_sise")),
          "a key that is needed")
    wrong = damage("d5", "config.json", lambda b: b.replace(b'"hidden_size": 32', b'"hidden_size": "x"'))
    check("hidden_size must be a number" in wrong, "of another kind", wrong)
    wrong = damage("d6", "config.json", lambda b: b.replace(b'"intermediate_size": 48', b'"intermediate_size": 64'))
    check("has the shape [48, 32], config.json makes it [64, 32]" in wrong, "shapes", wrong)
    make_folder(path_of("d7"), shards=2)
    os.remove(path_of("d7", "model-00002-of-00002.safetensors"))
    done = run("plan", spec("damaged", "from: d7\n"), code=2)
    check("model-00002-of-00002.safetensors" in done.err, "a shard that is not there", done.err)


@case
def fields_of_trainings_go_with_none():
    make_folder(path_of("fine"))
    for base, want, place in (("{model: {width: 64}}", "model.width has no effect: with from it is the folder's", "4:23"),
                              ("{train: {lr: 1e-3}}", "train.lr has no effect: with from nothing is trained", "4:20"),
                              ("{format: w4}", "format has no effect", "4:16")):
        done = run("plan", write("fields.yaml", "experiment: fields\ncorpus: {source: markov2, markov2_vocabulary: 16}\n"
                                 f"from: fine\nbase: {base}\n"), code=2)
        check(want in done.err and f":{place}:" in done.err, "refused", want, done.err)
    done = run("plan", spec("swept", "from: fine\nsweep: {grid: {train.lr: [1e-3, 2e-3]}}\n"), code=2)
    check("train.lr has no effect" in done.err, "in a sweep too", done.err)
    check("takes the path of a folder" in run("plan", spec("none", "from: {a: 1}\n"), code=2).err, "no path")
    check("names no folder" in run("plan", spec("none", "from: []\n"), code=2).err, "an empty list")
    check("is next to stages" in run("plan", spec("inside", "stages: {from: {}}\n"), code=2).err, "no stage to ask for")
    done = run("plan", spec("halved", "from: fine\nrun: {halving: {over: seed, at: [0.5]}}\n"
                            "sweep: {grid: {seed: [0, 1]}}\n"), code=2)
    check("nothing is trained" in done.err, "nothing to halve", done.err)
    more = HEAD.replace("dtype: float32", "dtype: float32, context: 48")
    done = run("plan", spec("long", "from: fine\n", more), code=2)
    check("model.context 48 is more than the 24" in done.err and "long.yaml:3:" in done.err, "a longer context", done.err)


@case
def tokenizers_are_compared():
    write("words.txt", "\n".join(f"{i} bottles of beer on the wall, {i % 7} in the cellar" for i in range(4000)))
    head = TRAINED.replace("source: markov2, markov2_vocabulary: 16", 'files: "words.txt", validation_fraction: 0.2')
    run("run", "-q", write("words.yaml", head), code=0)
    row = next(r for r in document("runs", path_of("words.yaml")) if r["stage"] == "train")
    run("export", row["id"], "--to", path_of("words"), code=0)
    own = head.split("base:")[0].replace("trained", "own") + "from: words\nbase: {model: {dtype: float32}}\n"
    done = run("plan", write("own.yaml", own), code=0)
    check("tokens" not in done.err, "the tokenizer of bytes is known", done.err)
    os.remove(path_of("words", "tokenizer.json"))
    done = run("plan", path_of("own.yaml"), code=0)
    check("own.yaml:3:7: warning: whether the tokens of" in done.err and "the folder has no tokenizer" in done.err,
          "none is said", done.err)
    write("words/tokenizer.model", "something else")
    done = run("plan", path_of("own.yaml"), code=2)
    check("own.yaml:3:7: " in done.err and "another tokenizer than the corpus" in done.err, "another is refused", done.err)


@case
def a_model_made_by_transformers():
    try:
        import torch
        import transformers
    except ImportError:
        return "transformers is not installed"
    torch.manual_seed(0)
    keys = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
            "num_key_value_heads", "max_position_embeddings", "rms_norm_eps", "tie_word_embeddings")
    config = transformers.LlamaConfig(**{k: CONFIG[k] for k in keys}, initializer_range=0.2)
    folder = path_of("of transformers")
    transformers.LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    run("run", "-q", spec("theirs", f'from: "{folder}"\n' + COMPRESS), code=0)
    rows = rows_by_stage("theirs")
    root, = rows["from"]
    batch = validation(root["id"])
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).float()
    model.save_pretrained(path_of("in float32"))
    near(root["loss"], loss_by_transformers(path_of("in float32"), batch, "AutoModelForCausalLM"), 1e-5, "the same loss")
    run("export", rows["compress"][0]["id"], "--to", path_of("compressed"), code=0)
    near(rows["compress"][0]["loss"], loss_by_transformers(path_of("compressed"), batch, "AutoModelForCausalLM"), 1e-5,
         "compressed, loaded again")


finish()
