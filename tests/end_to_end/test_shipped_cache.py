"""Caches of keys and values as a user meets them: the shipped specs aqua and hogwild with --preset small, mistakes, kills:
test_shipped_cache.py ISOLOSS SOURCE. Prints TAP. The presets' corpora are synthetic: nothing is fetched."""
import glob
import json
import os
import re
import signal
import sys
import time

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import case, check, document, finish, path_of, run, select, start, write  # noqa: E402

EXPERIMENTS = os.path.join(os.path.abspath(sys.argv[2]), "experiments")
SMALL = ("--preset", "small")
WIDTH, GROUP_BITS, LAYERS, CONTEXT = 32, 16 / 32, 3, 64


def shipped(name):
    return os.path.join(EXPERIMENTS, name + ".yaml")


def verdicts(name):
    done = run("fit", shipped(name), *SMALL, code=0)
    return dict(re.findall(r"^claim (.*): (held|not held|undecided) \(", done.out, re.M)), done.out


@case
def what_a_cache_costs():
    run("run", "-q", shipped("aqua"), *SMALL, code=0)
    rows = [row for row in document("runs", "aqua-small") if row["stage"] == "evaluate"]
    check(len(rows) == 14 and {row["state"] for row in rows} == {"done"}, "evaluations", len(rows))
    for seed in 0, 1:
        by = {row["evaluate.kv_cache"]: row for row in rows if row["seed"] == seed}
        exact = by.pop("none")
        check(exact["kl"] == 0 and exact["loss"] == exact["root_loss"] and "evaluate.cache_bits" not in exact or
              exact["evaluate.cache_bits"] is None, "without a code nothing is lost", exact)
        for name, row in by.items():
            bits = int(name[-1])
            first = 4 if name.startswith("aqua") else bits
            told = (first + bits * (LAYERS - 1)) / LAYERS + GROUP_BITS
            check(abs(row["evaluate.cache_bits"] - told) < 1e-9, name + " has its bits", row["evaluate.cache_bits"], told)
            stored = (56 - 8 - 4) / CONTEXT
            check(abs(row["evaluate.cache_held_bits"] - stored * told - (1 - stored) * 16) < 1e-9, "of all tokens")
            check(row["kl"] > 0 and 0 < row["evaluate.cache_error"] < 1, "something is lost", row)
            check(name.startswith("higgs") or row["evaluate.cache_bits_saved"] > 0.5, "predictions save bits", row)
        for way in "higgs", "aqua":
            check(by[way + "1"]["kl"] > by[way + "2"]["kl"] > by[way + "3"]["kl"], "bits help", way)
        check(by["aqua2"]["kl"] < by["higgs2"]["kl"], "what is predicted need not be stored")
    judged, told = verdicts("aqua")
    check(judged and "not held" not in judged.values(), "claims", told)
    run("report", shipped("aqua"), *SMALL, code=0)
    with open(path_of("home", "reports", "aqua-small.html"), encoding="utf-8") as file:
        page = file.read()
    check("evaluate.cache_bits_saved</th>" in page, "the page has what stages report of their own")
    check("kl = A * 4^" in page, "the page names what a law predicts")
    check("finished runs, and there are" not in page, "runs of stages are among those of a fit")


@case
def layers_of_a_cache():
    layers = select("home", """SELECT layer, matrix, relative_error, bits FROM layers WHERE run IN (SELECT id FROM run_table WHERE
        "evaluate.kv_cache" = 'aqua2' AND seed = 0) ORDER BY layer, matrix""")
    names = ["self_attn." + kind + part for kind in ("keys", "values") for part in ("", ".plain", ".predicted")]
    check([name for layer, name, *_ in layers if layer == 0] == ["self_attn.keys", "self_attn.values"], "the first", layers)
    for layer in range(1, LAYERS):
        of = {name: (error, bits) for number, name, error, bits in layers if number == layer}
        check(sorted(of) == names, "a later one", of)
        for kind in "self_attn.keys", "self_attn.values":
            share = of[kind + ".predicted"][0]
            check(0 < share < 1 and of[kind][1] == 2 + GROUP_BITS, "bits and what is not predicted", of)
            # A source of 8 symbols makes few different vectors, which a code errs on as it happens to.
            check(0.5 < of[kind][0] / of[kind + ".plain"][0] / share < 2, "errors are about as what is left", of)


@case
def several_workers():
    run("run", "-q", shipped("hogwild"), *SMALL, "--jobs", "1", code=0)
    rows = [row for row in document("runs", "hogwild-small") if row["stage"] == "hogwild"]
    check({row["state"] for row in rows} == {"done"}, "done")
    for row in rows:
        check(row["loss"] is None and row["hogwild.tokens_per_second"] > 0, "times and no loss", row)
        check(row["hogwild.score_difference"] < 1e-12, "scores are the same", row)
        check(row["hogwild.same_tokens"] == (1 if row["hogwild.workers"] == 1 else None), "one worker decodes", row)
    judged, told = verdicts("hogwild")
    check(judged and "not held" not in judged.values(), "claims", told)


TINY = """experiment: tiny
corpus: {source: markov2, markov2_vocabulary: 8}
base:
  model: {layers: %d, width: 32, context: 64, head_dim: 16, dtype: float32}
  train: {batch_tokens: 512, steps: 4, final_eval_tokens: 4096, evals: 0}
%sstages: {%s}
"""


def tiny(stages, layers=2, more=""):
    return TINY % (layers, more, stages)


@case
def mistakes():
    keep = "keep: {recent: 8}"
    for stages, words in [
            ("evaluate: {kv_cache: {higgs: 5}, %s}" % keep, ("tiny.yaml:6", "one of", "higgs4", "aqua1")),
            ("evaluate: {kv_cache: {higgz: 2}, %s}" % keep, ("tiny.yaml:6", "higgz2")),
            ("evaluate: {kv_cache: [none, {higgs: 2, aqua: 2}], %s}" % keep, ("tiny.yaml:6", "not a mapping")),
            ("evaluate: {kv_cache: [{higgs: [2, 3]}], %s}" % keep, ("tiny.yaml:6", "not a mapping")),
            ("evaluate: {kv_cache: aqua, %s}" % keep, ("tiny.yaml:6", "aqua1")),
            ("evaluate: {kv_cache: {higgs: 2}}", ("tiny.yaml:6", "nothing would be stored", "newest 128")),
            ("evaluate: {kv_cache: {higgs: 2}, keep: {first: 60, recent: 0}}", ("tiny.yaml:6", "nothing would be stored")),
            ("evaluate: {kv_cache: {higgs: 2}, keep: 8}", ("tiny.yaml:6", "keep", "mapping")),
            ("evaluate: {kv_cache: {aqua: 2}, %s, stream_tokens: 8, calibration_tokens: 60}" % keep,
             ("tiny.yaml:6", "too few")),
            ("hogwild: {prompts: 2}", ("tiny.yaml:6", "needs workers")),
            ("hogwild: {workers: 65}", ("tiny.yaml:6", "between 0 and 64")),
            ("hogwild: {workers: 4, new_tokens: 17}", ("tiny.yaml:6", "do not fit in model.context 64")),
            ("hogwild: {workers: 2, prompt_tokens: 64}", ("tiny.yaml:6", "do not fit"))]:
        write("tiny.yaml", tiny(stages))
        done = run("check", path_of("tiny.yaml"), code=2)
        check(all(word in done.err for word in words), stages, done.err)
    write("tiny.yaml", tiny("evaluate: {kv_cache: {aqua: 2}, %s, stream_tokens: 8}" % keep, layers=1))
    check("has one layer" in run("check", path_of("tiny.yaml"), code=2).err, "nothing below to predict from")
    for stages in "evaluate: {kv_cache: {higgs: 2}, %s, stream_tokens: 8}" % keep, "hogwild: {workers: 2}":
        write("tiny.yaml", tiny(stages, more="sweep: {grid: {format: [w4a4]}}\n"))
        check("w4a4 represents them" in run("check", path_of("tiny.yaml"), code=2).err, "activations have no cache")


def results_of(home):
    return (select(home, "SELECT id, loss, kl, json_extract(config, '$.results') FROM runs ORDER BY id"),
            select(home, "SELECT run, layer, matrix, relative_error, bits FROM layers ORDER BY run, layer, matrix"))


@case
def a_killed_evaluation_ends_the_same():
    write("kill.yaml", tiny("evaluate: {kv_cache: [{higgs: 2}, {aqua: 2}], keep: {recent: 8}, stream_tokens: 8, tokens: 65536, "
                            "prompts: 4}").replace("experiment: tiny", "experiment: kill"))
    run("run", "-q", path_of("kill.yaml"), home="whole", code=0)
    kills = 0
    for wait in 0.0, 0.15, 0.4:
        worker = start("run", "-q", "--jobs", "1", path_of("kill.yaml"), home="cut")
        deadline, seen = time.time() + 60, False
        while time.time() < deadline and worker.poll() is None and not seen:
            time.sleep(0.01)
            for log in glob.glob(path_of("cut", "runs", "*", "events.jsonl")):
                with open(log, encoding="utf-8") as file:
                    text = file.read()
                with open(os.path.join(os.path.dirname(log), "config.json"), encoding="utf-8") as file:
                    stage = json.load(file).get("stage")
                seen |= stage == "evaluate" and '"start"' in text and '"done"' not in text
        time.sleep(wait)
        if seen and worker.poll() is None:
            worker.send_signal(signal.SIGINT)
            kills += 1
        worker.wait()
    run("run", "-q", path_of("kill.yaml"), home="cut", code=0)
    check(kills >= 1, "something was interrupted", kills)
    check(results_of("cut") == results_of("whole"), "the same to the bit", results_of("cut"), results_of("whole"))
    check(len(results_of("whole")[1]) == 4 + 2 + 6, "layers of both")


finish()
