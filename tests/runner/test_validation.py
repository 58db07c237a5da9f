"""Validation sets: how large they are is told, chance makes none of one document, what cannot be trained on is an error
of the plan: test_validation.py ISOLOSS. Prints TAP.
"""
import array
import os
import random
import sys

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import case, check, document, finish, path_of, run, write  # noqa: E402

WORDS = "the cat sat on a mat and saw one dog run off with her hat in no time at all".split()


def text(draw, lines):
    return "".join(" ".join(draw.choice(WORDS) for _ in range(8)) + "\n" for _ in range(lines))


def files(name, count, lines, seed=0):
    """So many files of a corpus of its own; the glob that names them."""
    draw = random.Random(seed)
    os.makedirs(path_of(name), exist_ok=True)
    for i in range(count):
        write(f"{name}/{i}.txt", text(draw, lines))
    return path_of(name, "*.txt")


def spec(name, corpus, context=32):
    return write(name + ".yaml", f"""experiment: {name}
base:
  corpus: {corpus}
  model: {{layers: 1, width: 16, context: {context}, dtype: float32}}
  train: {{batch_tokens: {8 * context}, steps: 3, evals: 0}}
""")


def planned(name, corpus, **options):
    row, = document("plan", spec(name, corpus, **options))
    return row["validation_documents"], row["validation_tokens"], row["corpus_tokens"]


@case
def chance_leaves_no_single_document():
    for seed, count in enumerate([1, 2, 7, 19, 20, 25, 60, 110, 300] * 2):
        glob = files(f"few {seed}", count, 4000 // count, seed)
        documents, tokens, rest = planned(f"few{seed}", f'{{files: "{glob}"}}')
        share = tokens / (tokens + rest)
        check(documents >= 8 and 0.004 < share < 0.025, "about the share that is asked for, in pieces", count, documents,
              share)
    documents, tokens, rest = planned("tenth", f'{{files: "{files("tenth", 100, 40)}", validation_fraction: 0.1}}')
    check(3 <= documents <= 22, "documents stay whole where enough of them are held back", documents)
    documents, *_ = planned("tiny", f'{{files: "{files("tiny", 3, 10)}"}}', context=8)
    check(documents >= 2, "even of a tiny text", documents)


@case
def sizes_and_doubts_are_told():
    fine = spec("fine", f'{{files: "{files("fine", 400, 200)}", validation_fraction: 0.1}}')
    told = run("plan", fine, code=0).out
    check("validation (files, " in told and " documents, " in told and "warning" not in told, "a plan tells", told)
    few = spec("few", f'{{files: "{files("fewer", 60, 400)}", validation_fraction: 0.2}}')
    told = run("plan", few, code=0).out
    check("warning: validation (files, " in told and "not of the text" in told and "validation_fraction" in told,
          "few documents", told)
    short = spec("short", f'{{files: "{files("short", 400, 2)}", validation_fraction: 0.1}}')
    told = run("plan", short, code=0).out
    check("nats" in told and "more text" in told and told.count("warning") == 1, "few tokens", told)
    told = run("run", few, code=0).err
    check("warning: validation" in told, "a run tells as well", told)
    out = run("report", "few", code=0).out.split()[0]
    with open(path_of(out), encoding="utf-8") as file:
        page = file.read()
    check("validation set" in page and "The validation set of corpus" in page and "is small" in page, "and a report")
    told = run("plan", spec("made", "{source: markov2}"), code=0).out
    check("4.19M tokens" in told and "warning" not in told, "a synthetic source has tokens, no documents", told)


@case
def what_is_too_small_is_an_error_of_the_plan():
    small = spec("small", f'{{files: "{files("small", 30, 4)}"}}', context=512)
    for command in ("plan", "run"):
        told = run(command, small, code=2).err
        check("too few for one window of model.context 512" in told and "small.yaml:4:" in told, "no window", told)
    check(not os.path.exists(path_of("home", "runs")) or
          not any("small" in name for name in os.listdir(path_of("home", "runs"))), "no worker was started")
    less = spec("less", f'{{files: "{files("less", 2, 2)}"}}', context=512)
    check("training tokens, too few for one window" in run("plan", less, code=2).err, "nor of the training split")


@case
def masks_without_targets_are_errors_of_the_plan():
    with open(path_of("masked.bin"), "wb") as file:
        array.array("H", [i % 50 for i in range(200_000)]).tofile(file)
    for kept, says in ((b"\0", "no target"), (b"\1", None)):
        with open(path_of("masked.bin.mask"), "wb") as file:
            file.write(kept * 200_000)
        masked = spec("masked", f'{{files: "{path_of("masked.bin")}", tokenizer: uint16, vocabulary: 50}}')
        done = run("plan", masked, code=2 if says else 0)
        check(not says or says in done.err, "a mask of zeroes", done.err)


finish()
