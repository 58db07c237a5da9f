"""Checkpoints are what Hugging Face's Llama is: their loss, recomputed with numpy, is the one that the trainer logged.

    hugging_face.py ISOLOSS_TRAIN MAKE_RUN

Exit code 77 (skipped) without numpy. Where torch and transformers are installed, LlamaForCausalLM itself loads the
checkpoint and must agree as well.
"""

import json
import os
import pathlib
import subprocess
import sys

try:
    import numpy  # noqa: F401
except ImportError:
    print("skipped: python3-numpy is not installed")
    sys.exit(77)

sys.path.insert(0, os.path.join(sys.path[0], ".."))
import llama_reference  # noqa: E402
from harness import check, finish, path_of  # noqa: E402
from loss_by_transformers import loss_by_transformers  # noqa: E402

COMMON = ["model.layers=2", "model.width=48", "train.steps=30", "train.batch_tokens=240", "train.lr=1e-2",
          "model.init_std=0.1", "train.evals=0", "train.final_eval_tokens=960"]
CASES = {
    "untied, grouped heads": ["corpus.source=markov2", "model.context=24", "model.heads=3", "model.kv_heads=1"],
    "tied, other rope": ["corpus.source=markov2", "model.context=24", "model.tied_head=true", "model.rope_theta=500"],
    "masked": ["corpus.source=zipfmem", "corpus.zipfmem_ids=4096", "corpus.zipfmem_symbols=16", "model.context=3"],
    "other head dimension": ["corpus.source=markov2", "model.context=24", "model.heads=2", "model.head_dim=32",
                             "model.norm_eps=1e-3", "model.mlp_width=64"],
}


def compare(trainer, make_run, name, pairs):
    run = pathlib.Path(path_of(name))
    subprocess.run([make_run, run, *COMMON, *pairs], check=True)
    subprocess.run([trainer, run / "config.json"], check=True)
    done = json.loads((run / "events.jsonl").read_text().splitlines()[-1])
    windows = done["eval_tokens"] // int(next(p for p in pairs if "context" in p).split("=")[1])
    tokens = subprocess.run([make_run, "--validation", run / "config.json", str(windows)], check=True,
                            capture_output=True)
    batch = json.loads(tokens.stdout)
    checkpoint = run / done["checkpoint"]
    ours = llama_reference.loss(checkpoint, batch)
    theirs = loss_by_transformers(checkpoint, batch, "LlamaForCausalLM")
    # The trainer can repeat its own number from the checkpoint, exactly.
    again = subprocess.run([trainer, "--evaluate", checkpoint, "--json", run / "config.json"], check=True,
                           capture_output=True)
    told = f"trainer {done['loss']!r}, numpy {ours!r}, transformers {theirs!r}, again {again.stdout.decode().split()}"
    check(abs(ours - done["loss"]) < 2e-6 * done["loss"]
          and (theirs is None or abs(theirs - done["loss"]) < 1e-5 * done["loss"])
          and json.loads(again.stdout)["loss"] == done["loss"], name, told)
    print("#", told)


for name, pairs in CASES.items():
    compare(*sys.argv[1:3], name, pairs)
finish()
