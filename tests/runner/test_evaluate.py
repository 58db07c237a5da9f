"""Evaluations: on other corpora, on the suites, of models on disk. test_evaluate.py ISOLOSS. Prints TAP."""
import json
import os
import random
import signal
import sys
import time

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import case, check, document, finish, near, path_of, run, select, start, write  # noqa: E402
from hugging_face_folder import make_folder  # noqa: E402

random.seed(4)
words = ["".join(random.choice("abcdefgh") for _ in range(random.randint(2, 6))) for _ in range(200)]
for name in ("one", "two"):
    write(name + ".txt", "\n\n\n".join(" ".join(random.choice(words) for _ in range(40)) for _ in range(60)))
HEAD = """experiment: EXPERIMENT
corpus: {files: one.txt, validation_fraction: 0.2}
base:
  model: {layers: 1, width: 16, context: 32, dtype: float32}
  train: {batch_tokens: 256, steps: 20, evals: 0, final_eval_tokens: 1024, lr: 1e-2}
"""


def spec(name, rest, head=HEAD):
    return write(name + ".yaml", head.replace("EXPERIMENT", name) + rest)


def evaluations(name):
    return [row for row in document("runs", name) if row["stage"] == "evaluate"]


OTHERS = spec("others", """stages:
  compress: [none, {method: rtn, bits: 3}]
  evaluate:
    - {tokens: 1024, prompts: 2, new_tokens: 4}
    - {tokens: 1024, prompts: 2, new_tokens: 4, suite_tokens: 256, corpus: {files: two.txt}}
""")
PLAIN = spec("plain", """stages:
  compress: [none, {method: rtn, bits: 3}]
  evaluate: {tokens: 1024, prompts: 2, new_tokens: 4}
""")


@case
def another_corpus_is_a_value_of_the_stage():
    check("6 runs: 6 done" in run("run", "-q", OTHERS, code=0).out, "one training serves all")
    rows = evaluations("others")
    check(len(rows) == 4, "each model on each corpus", len(rows))
    by_corpus = {os.path.basename(row["corpus.files"]): row["corpus_digest"] for row in rows}
    check(set(by_corpus) == {"one.txt", "two.txt"} and len(set(by_corpus.values())) == 2, "rows tell corpora apart", by_corpus)
    for row in rows:
        check(row["loss"] > 0 and row["bits_per_byte"] > 0 and row["root_loss"] > 0 and 0 <= row["first_divergence"] <= 4
              and row["top1_agreement"] <= 1, "all numbers of an evaluation", row)
        check((row["kl"] == 0) == (row["compress.method"] == "none"), "held against the training", row["kl"])
        again = document("evaluate", row["parent"], "--corpus", row["corpus_digest"], "--tokens", "1024")
        near(again["loss"], row["loss"], 1e-6, "the loss that isoloss evaluate finds there")
    first = {row["id"] for row in document("plan", PLAIN)}
    check(first <= {row["id"] for row in document("plan", OTHERS)}, "evaluations without these settings keep their ids")


TABLE = ("SELECT id, stage, parent, state, loss, kl, root_loss, first_divergence, copy_accuracy, copy_error, suites_note "
         "FROM runs ORDER BY id")


@case
def killed_it_ends_in_the_same_table():
    whole = select("home", TABLE)
    for delay in (0.15, 0.5, 0.9):
        process = start("run", "-q", OTHERS, home="killed")
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
    run("run", "-q", OTHERS, home="killed", code=0)
    check(select("killed", TABLE) == whole != [], "bit for bit")


SUITES = """experiment: suites
corpus: {source: suites}
base:
  model: {layers: 1, width: 32, context: 32, dtype: float32}
  train: {batch_tokens: 512, tokens: 200000, evals: 0, final_eval_tokens: 4096, lr: 1e-2}
stages:
  compress: [none, {method: rtn, format: [int4-g32, int2-g32]}]
  evaluate: {tokens: 1024, prompts: 0, suite_tokens: 4096}
"""


@case
def recovery_is_what_is_left_of_the_distance_from_chance():
    run("run", "-q", write("suites.yaml", SUITES), code=0)
    rows = evaluations("suites")
    whole = next(row for row in rows if row["compress.method"] == "none")
    check(whole["copy_accuracy"] > 0.6 and whole["copy_recovery"] == 100 and whole["copy_chance"] == 0.25,
          "one layer learns to copy", whole)
    told = 0
    for row in rows:
        for suite, chance in (("copy", 1 / 4), ("induction", 1 / 3), ("sums", 1 / 4)):
            near(row[suite + "_chance"], chance, 1e-12, "chance")
            # Windows are the most that can go together: half a point each.
            check(0 <= row[suite + "_error"] < 0.5 / (4096 / 32) ** 0.5, "standard error", row[suite + "_error"])
            known = whole[suite + "_accuracy"] - chance
            if row[suite + "_recovery"] is None:
                check(known < 3 * 0.02 and suite + ": no recovery" in row["suites_note"], "why not", row["suites_note"])
                continue
            told += 1
            check(known > 0 and suite not in (row["suites_note"] or ""), "above chance")
            near(row[suite + "_recovery"], 100 * (row[suite + "_accuracy"] - chance) / known, 1e-9, "recovery")
    check(told >= 3, "recoveries of copy", told)
    row = whole
    alone = document("evaluate", row["parent"], "--suite-tokens", "4096")
    check(alone["copy"]["accuracy"] == row["copy_accuracy"] and alone["copy"]["standard_error"] == row["copy_error"]
          and alone["sums"]["chance"] == 0.25 and alone["copy"]["answers"] > 1000, "the command finds the same", alone)
    text = run("evaluate", row["parent"], "--suite-tokens", "4096", code=0).out
    check("copy: " in text and "chance 0.2500" in text, "for people", text)


@case
def an_untrained_model_has_no_recovery():
    run("run", "-q", write("blank.yaml", SUITES.replace("suites\n", "blank\n", 1).replace("tokens: 200000", "steps: 1")), code=0)
    rows = evaluations("blank")
    check(len(rows) == 3 and all(row["copy_recovery"] is None and "not above chance by 3 standard errors" in row["suites_note"]
                                 for row in rows), "the reason in words", [row["suites_note"] for row in rows])


@case
def a_share_of_a_text_teaches_them():
    mixed = spec("mixed", "stages: {evaluate: {suite_tokens: 1024}}\n", HEAD.replace("fraction: 0.2", "fraction: 0.2, suites_share: 0.5"))
    run("run", "-q", mixed, code=0)
    row, plain = evaluations("mixed")[0], evaluations("others")[0]
    check(row["corpus_digest"] != plain["corpus_digest"] and row["copy_accuracy"] > 0, "another corpus", row)
    check(row["bits_per_byte"] > 0, "losses are those of the text")
    found = document("evaluate", row["parent"], "--corpus", plain["corpus_digest"])
    near(found["loss"], [r for r in document("runs", "mixed") if r["stage"] == "train"][0]["loss"], 1e-9,
         "on the text alone: its validation split is the same")
    run("run", "-q", mixed, code=0)


@case
def a_folder_of_somebody_elses():
    make_folder(path_of("llama"), vocab_size=257, tie_word_embeddings=False)
    corpus = evaluations("others")[0]["corpus_digest"]
    done = run("evaluate", "llama", "--corpus", corpus, "--tokens", "480", "--json", code=0)
    found = json.loads(done.out)
    rooted = spec("rooted", "from: llama\n", HEAD.split("base:")[0] + "base: {model: {dtype: float32}, train: {final_eval_tokens: 480}}\n")
    run("run", "-q", rooted, code=0)
    near(found["loss"], document("runs", "rooted")[0]["loss"], 1e-6, "the loss of a chain that begins with it")
    check(found["tokenizer"] == "not known" and "the folder has no tokenizer" in done.err, "the tokenizer is stated", done.err)
    suites = document("evaluate", "llama", "--corpus", corpus, "--context", "12", "--tokens", "48", "--suite-tokens", "480")
    check(0 <= suites["copy"]["accuracy"] < 0.6 and suites["eval_tokens"] == 48, "suites, in shorter windows", suites)
    write("llama/tokenizer.model", "other pieces")
    refused = run("evaluate", "llama", "--corpus", corpus, code=2).err
    check("has another tokenizer than the corpus" in refused, "compared", refused)
    os.remove(path_of("llama", "tokenizer.model"))


@case
def bad_input_is_told_before_anything_starts():
    for values, place, words in (
            ("{suite_tokens: 64, suite_symbols: 40}", "6:", "between 2 and 36"),
            ("{suite_tokens: 64, suite_symbols: 20}", "6:", "shorter than a record of the suites"),
            ("{suite_tokens: -1}", "6:", "suite_tokens"),
            ("{suites: 64}", "6:", "suites"),
            ("{corpus: {source: markov2}}", "6:", "synthetic source"),
            ("{corpus: {files: nothing.txt}}", "6:", "nothing matches")):
        done = run("plan", spec("bad", "stages: {evaluate: %s}\n" % values), code=2)
        check(place in done.err and words in done.err, words, done.err)
    small = SUITES.replace("source: suites", "source: markov2, markov2_vocabulary: 6")
    done = run("plan", write("small.yaml", small), code=2)
    check("vocabulary of 6" in done.err and "small.yaml:8:" in done.err, "no room for symbols", done.err)
    for field, words in (("suites_share: 0.99", "between 0 and 0.95"), ("suites_symbols: 1", "between 2 and 36"),
                         ("suites_share: 0.5, suites_symbols: 16", "takes 34 tokens")):
        done = run("plan", spec("bad", "", HEAD.replace("fraction: 0.2", "fraction: 0.2, " + field)), code=2)
        check("bad.yaml:2:" in done.err and words in done.err, words, done.err)
    for arguments, words in ((["llama"], "say with --corpus"), (["llama", "--corpus", "none"], "no prepared corpus"),
                             (["home", "--corpus", "x"], "neither"),
                             (["llama", "--corpus", "x", "--suite-symbols", "4"], "goes with --suite-tokens"),
                             (["llama", "--corpus", "x", "--tokens", "-4"], "at least 0"),
                             ([evaluations("others")[0]["parent"], "--context", "8"], "a run's context is its own")):
        done = run("evaluate", *arguments, code=2)
        check(words in done.err, words, done.err)


finish()
