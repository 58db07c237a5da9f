"""isoloss export, evaluate and generate on runs, checkpoints and exports: test_saved.py ISOLOSS. Prints TAP."""
import json
import os
import shutil
import sys

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import case, check, document, finish, path_of, run, select, write  # noqa: E402
from plain_llama import Llama  # noqa: E402

WORDS = "the cat sat on a mat and saw one dog run off with her hat in no time at all".split()
for n in range(40):
    write(f"a{n}.txt", "\n".join(" ".join(WORDS[(i * (n + 3) + j * j) % len(WORDS)] for j in range(9))
                                 for i in range(30)))
    write(f"b{n}.txt", "\n".join(" ".join(WORDS[(i * 7 + j * n) % len(WORDS)] for j in range(9)) for i in range(30)))
SPEC = """experiment: saved
base:
  corpus: {files: "a*.txt", validation_fraction: 0.2, tokenizer: TOKENIZER, vocabulary: VOCABULARY}
  model: {layers: 1, width: 32, context: 32, dtype: float32}
  train: {batch_tokens: 512, steps: 120, lr: 1e-2, evals: 0, final_eval_tokens: 2048}
sweep:
  - grid: {format: [FORMATS]}
"""


def spec(name, tokenizer, formats, vocabulary="auto"):
    text = SPEC.replace("TOKENIZER", tokenizer).replace("FORMATS", formats).replace("VOCABULARY", vocabulary)
    return write(name, text.replace("saved", name[:-5]))


run("run", "-q", spec("bytes.yaml", "bytes", "none, w3, w4a4"), code=0)
runs = {row["format"]: row["id"] for row in document("runs", "bytes")}


def losses_of(name, *arguments):
    return document("evaluate", name, *arguments)["loss"]


def logged(run_id):
    return select("home", f"SELECT loss FROM runs WHERE id = '{run_id}'")[0][0]


@case
def a_run_is_exported():
    out = path_of("model")
    done = run("export", runs["w3"][:8], "--to", out, code=0)
    check(done.out.strip() == out and not done.err, "the folder is named, nothing is left out", done)
    check(sorted(os.listdir(out)) == ["config.json", "generation_config.json", "isoloss.json", "model.safetensors",
                                      "tokenizer.json", "tokenizer_config.json"], "its files", os.listdir(out))
    with open(out + "/generation_config.json", encoding="utf-8") as file:
        check(json.load(file) == {"do_sample": True, "max_length": 32, "eos_token_id": 256, "pad_token_id": 256},
              "how text is generated")
    with open(out + "/config.json", encoding="utf-8") as file:
        config = json.load(file)
    check(config["eos_token_id"] == 256 and config["isoloss"]["run"] == runs["w3"] and "note" not in config["isoloss"],
          "where it comes from", config["isoloss"])
    check(abs(losses_of(out) - logged(runs["w3"])) < 1e-6, "the export has the run's loss")
    check(run("export", runs["w3"], "--to", out).code == 2, "it is not written twice")
    check("leave out" in run("export", runs["w4a4"], "--to", path_of("model a"), code=0).err, "activations are told")
    checkpoint = path_of("home", "runs", runs["w3"], "checkpoints", "step-120")
    for name in (path_of("home", "runs", runs["w3"]), checkpoint, runs["w3"][:6]):
        check(losses_of(name) == logged(runs["w3"]), "every name of a run gives the logged loss", name)
    run("export", checkpoint, "--to", path_of("model m"), "--masters", code=0)
    check(losses_of(path_of("model m")) == logged(runs["w3"]), "masters under their format have it too")


@case
def bytes_have_a_tokenizer():
    with open(path_of("model", "tokenizer.json"), encoding="utf-8") as file:
        tokenizer = json.load(file)
    vocabulary = tokenizer["model"]["vocab"]
    check(len(vocabulary) == 257 and sorted(vocabulary.values()) == list(range(257)), "257 entries")
    # GPT-2's table: printable bytes are themselves, the others follow from U+0100.
    others = iter(range(256, 512))
    shown = [b if 33 <= b <= 126 or 161 <= b <= 172 or b >= 174 else next(others) for b in range(256)]
    check(all(vocabulary[chr(c)] == b for b, c in enumerate(shown)), "each byte is its own number")
    check([(t["id"], t["content"], t["special"]) for t in tokenizer["added_tokens"]] == [(256, "<|endoftext|>", True)],
          "and the end of a text")
    try:
        import transformers
    except ImportError:
        return None
    loaded = transformers.AutoTokenizer.from_pretrained(path_of("model"))
    text = "Ångström — naïve\n\n  tabs\t end\0\x7f"
    check(loaded(text)["input_ids"] == list(text.encode()) and loaded.decode(list(text.encode())) == text,
          "AutoTokenizer reads it so")


@case
def text_is_the_models():
    likeliest = run("generate", runs["none"], "--prompt", "the cat", "--tokens", "20", "--temperature", "0", code=0).out
    out = path_of("plain model")
    run("export", runs["none"], "--to", out, code=0)
    model, tokens = Llama(out), list(b"the cat")
    for _ in range(20):
        logits = model.logits(tokens[-32:])[-1]
        tokens.append(logits.index(max(logits)))
    check(likeliest == bytes(tokens[7:]).decode() + "\n", "the likeliest tokens are the model's", likeliest, tokens)
    check(run("generate", out, "--prompt", "the cat", "--tokens", "20", "--temperature", "0").out == likeliest,
          "an export writes the same")
    longer = run("generate", out, "--prompt", "the cat sat on the mat " * 4, "--tokens", "30", code=0).out
    check(len(longer) > 10, "prompts may be longer than the context")
    drawn = [run("generate", out, "--tokens", "40", "--seed", seed, code=0).out for seed in "001"]
    check(drawn[0] == drawn[1] != drawn[2], "a seed is a text", drawn)
    top = run("generate", out, "--prompt", "the cat", "--tokens", "20", "--top-k", "1", "--temperature", "2").out
    check(top == likeliest, "of one token, the likeliest is drawn", top)
    check(run("generate", out, "--tokens", "0").code == 2, "no tokens are none")


@case
def another_corpus_needs_the_same_tokenizer():
    prepared = document("data", "prepare", "--files", path_of("b*.txt"), "--validation-fraction", "0.2")
    corpus = (prepared[0] if isinstance(prepared, list) else prepared)["digest"]
    other = losses_of(runs["none"], "--corpus", corpus[:10])
    check(abs(other - logged(runs["none"])) > 1e-3, "another text has another loss", other)
    check(losses_of(path_of("plain model"), "--corpus", corpus) == other, "so it has for the export")
    pieces = document("data", "prepare", "--files", path_of("b*.txt"), "--validation-fraction", "0.2",
                      "--tokenizer", "sentencepiece", "--vocabulary", "300")
    corpus = (pieces[0] if isinstance(pieces, list) else pieces)["digest"]
    done = run("evaluate", runs["none"], "--corpus", corpus, code=2)
    check("of another tokenizer" in done.err, "tokenizers are compared", done.err)
    check("no prepared corpus" in run("evaluate", runs["none"], "--corpus", path_of("nothing"), code=2).err, "no corpus")


@case
def sentencepiece_models_go_along():
    run("run", "-q", spec("pieces.yaml", "sentencepiece", "w3", "300"), code=0)
    row, = document("runs", "pieces")
    out = path_of("pieces model")
    run("export", row["id"], "--to", out, code=0)
    with open(out + "/config.json", encoding="utf-8") as file:
        check(json.load(file)["eos_token_id"] == 1, "the model's own end of a text")
    check(os.path.getsize(out + "/tokenizer.model") > 1000, "the tokenizer is there")
    check(abs(losses_of(out) - row["loss"]) < 1e-6, "the loss")
    check(len(run("generate", out, "--prompt", "the cat", "--tokens", "10", code=0).out) > 5, "text")


@case
def what_is_no_model():
    check("neither a run's folder" in run("evaluate", path_of("home"), code=2).err, "a folder of something else")
    check(run("evaluate", "abcdef").code == 2, "no such run")
    check("--to" in run("export", runs["none"], code=2).err, "export needs a folder")
    damaged = path_of("damaged")
    shutil.copytree(path_of("home", "runs", runs["none"]), damaged)
    with open(damaged + "/checkpoints/step-120/model.safetensors", "r+b") as file:
        file.seek(-4, 2)
        file.write(b"\xff\xff\xff\xff")
    check("damaged" in run("evaluate", damaged, code=2).err, "a damaged checkpoint is not evaluated")
    shutil.rmtree(damaged + "/checkpoints/step-120")
    check("no checkpoint" in run("evaluate", damaged, code=2).err, "a run without checkpoints")


finish()
