"""Shipped specs with stages, as a user runs them with --preset small: test_shipped_stages.py ISOLOSS SOURCE. Prints TAP.
The presets' corpora are synthetic: nothing is fetched."""
import json
import os
import re
import sys

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import case, check, document, finish, path_of, run, select  # noqa: E402

EXPERIMENTS = os.path.join(os.path.abspath(sys.argv[2]), "experiments")
SMALL = ("--preset", "small")


def shipped(name):
    return os.path.join(EXPERIMENTS, name + ".yaml")


def judged(name):
    """The verdict of each claim, in order, by isoloss fit; and all that it printed."""
    told = run("fit", shipped(name), *SMALL)
    check(told.code in (0, 1), "claims are judged", told.err)
    return {claim: verdict for claim, verdict in re.findall(r"^claim (.*): (held|not held|undecided) \(", told.out, re.M)}, told.out


def verdict_of(verdicts, *parts):
    found = [verdict for claim, verdict in verdicts.items() if all(part in claim for part in parts)]
    check(len(found) == 1, "one claim of " + " ".join(parts), found)
    return found[0]


def page_of(name, *words, stages=True):
    run("report", shipped(name), *SMALL, code=0)
    with open(path_of("home", "reports", name + "-small.html"), encoding="utf-8") as file:
        page = file.read()
    for word in ("--preset small", "With the preset <code>small</code>") + (("After training",) if stages else ()) + words:
        check(word in page, "the page has " + word)


@case
def gptq_and_babai():
    run("run", "-q", shipped("gptq-babai"), *SMALL, code=0)
    rows = document("runs", "gptq-babai-small")
    check({row["state"] for row in rows} == {"done"}, "all done")
    check([row["id"] for row in rows] == [row["id"] for row in document("plan", shipped("gptq-babai"), *SMALL)],
          "the experiment is the preset's plan")
    rounded = [row for row in rows if row["compress.method"] in ("gptq", "babai")]
    check(all(0 < row["pivot_trace"] < 1 and 0 <= row["clipped"] < 0.2 for row in rounded), "tr(D) over tr(H)")
    for order in "act", "min-pivot":
        for row in rounded:
            if row["compress.method"] != "gptq" or row["compress.order"] != order:
                continue
            natural = next(other for other in rounded if other["parent"] == row["parent"] and other["compress.order"] ==
                           "natural" and other["compress.bits"] == row["compress.bits"] and other["compress.method"] == "gptq")
            check(row["pivot_trace"] < natural["pivot_trace"], order + " lowers tr(D)", row["pivot_trace"])
    verdicts, told = judged("gptq-babai")
    check(verdict_of(verdicts, "output_error", "rtn") == "held", "gptq ahead of rtn in the outputs", told)
    check(verdict_of(verdicts, "error_over_bound", "< 1") == "held", "within the bound", told)
    check(select("home", "SELECT count(*) FROM fits")[0][0] == 2, "the fits are kept")
    page_of("gptq-babai", "over bound", "tr(D)")


@case
def formats_of_trained_models():
    run("run", "-q", shipped("format-matrix"), *SMALL, code=0)
    verdicts, told = judged("format-matrix")
    check(verdict_of(verdicts, "recovery", "absmax-w8a8") == "held", "8-bit integers keep the accuracy", told)
    # Four models decide no claim; their means show that the columns are what they say.
    moved = dict(select("home", """SELECT "compress.format", avg(kl) FROM run_table WHERE stage = 'evaluate' AND id IN (SELECT run FROM
        experiment_runs WHERE experiment LIKE 'format-matrix%') AND "compress.method" = 'gptq' GROUP BY 1"""))
    check(0 < moved["int4-g32"] < moved["int3-g32"], "a bit less moves the distributions further", moved, told)
    check(verdict_of(verdicts, "copy_recovery", "> 97") == "held", "what was learned of a suite is kept", told)
    page_of("format-matrix", "recovery, %", "same tokens")


@case
def before_or_after_training():
    run("run", "-q", shipped("before-or-after"), *SMALL, code=0)
    rows = document("runs", "before-or-after-small")
    ways = {"none", "w4", "w2", "rtn:w4", "rtn:w2", "gptq:absmax-w4", "gptq:absmax-w2"}
    check({row["compression"] for row in rows} == ways, "one word for each way", {row["compression"] for row in rows})
    trained = {row["id"]: row for row in rows if row["stage"] == "train"}
    check(all(trained[row["parent"]]["format"] == "none" for row in rows if row["stage"] == "compress"),
          "only what was trained in full precision is compressed")
    fitted = run("fit", shipped("before-or-after"), *SMALL, "--json").out
    factors = {name[4:-1] for name in json.loads(fitted)[0]["parameters"] if name.startswith("eff[")}
    check(factors | {"none"} == ways, "a factor for each way", factors)
    check("rows of 2 stages" not in fitted, "the law tells them apart")
    page_of("before-or-after", "gptq:absmax-w2", "rtn:w4")


@case
def what_follows_a_constant_rate():
    told = run("run", shipped("trunk"), *SMALL, code=0)
    rows = document("runs", "trunk-small")
    check(len(rows) == 42 and told.err.count("  from step ") >= 30, "branches", len(rows), told.err)
    check({row["full_precision_share"] for row in rows} == {0, 0.5, 0.9, 1}, "when formats begin")
    verdicts, told = judged("trunk")
    check(len(verdicts) == 9, "all claims are judged", told)
    check(verdict_of(verdicts, "abs(loss") == "held", "an average is about as good as a cooldown here", told)
    page_of("trunk", "w2 after 0.5", "of all runs together", stages=False)


@case
def increases_are_foretold():
    run("run", "-q", shipped("linearity"), *SMALL, code=0)
    rows = [row for row in document("runs", "linearity-small") if row["stage"] == "compress"]
    check(len(rows) == 36, "compressions", len(rows))
    for row in rows:
        check(row["stored_bits"] <= row["compress.allocate.budget_bits"] * (1 + 1e-12), "within the budget", row)
        same = next((other for other in rows if other["parent"] == row["parent"] and
                     other["compress.method"] == row["compress.method"] and
                     other["compress.allocate.budget_bits"] == row["compress.allocate.budget_bits"] and
                     other["compress.allocate.method"] == "uniform"), None)
        if row["compress.allocate.method"] == "dp" and row["compress.allocate.alpha"] == "loss":
            check(row["predicted_increase"] <= same["predicted_increase"] * (1 + 1e-12), "dp foretells no more", row, same)
    for arguments in (), SMALL:
        said = run("check", shipped("linearity"), *arguments, code=0)
        check(not said.err, "conditions of all claims have runs", said.err)
    verdicts, told = judged("linearity")
    check(len(verdicts) == 14, "all claims are judged", told)
    # 8 bits of state and 32 windows: more than the sign and the size cannot be asked for.
    factor = json.loads(run("fit", shipped("linearity"), *SMALL, "--json").out)[0]["parameters"]["k"]["value"]
    check(0.4 < factor < 2.5, "predicted and measured increase are alike", factor)
    page_of("linearity", "predicted", "alpha")


@case
def sparse_by_training():
    run("run", "-q", shipped("elsa"), *SMALL, code=0)
    rows = document("runs", "elsa-small")
    ways = {"none"} | {way + share for way in ("elsa:", "magnitude:", "sparsegpt:") for share in ("0.5", "0.9")} | {
        f"magnitude:{share}+tune:sparse({share})" for share in ("0.5", "0.9")}
    check({row["compression"] for row in rows} == ways, "one word for each way", {row["compression"] for row in rows})
    trained = {row["flops_own"] > 0 for row in rows if row["stage"] == "compress" and row["compress.method"] == "elsa"}
    check(trained == {True}, "what elsa trains counts")
    verdicts, told = judged("elsa")
    check(verdict_of(verdicts, "elsa", "sparsegpt") == "held", "training is ahead of one shot at 90 %", told)
    page_of("elsa", "elsa:0.9")


def sizes_and_formats(name, count, figure):
    """The rows of a spec without stages, run with its preset; all its claims hold and its page has the figure."""
    run("run", "-q", shipped(name), *SMALL, code=0)
    rows = document("runs", name + "-small")
    check(len(rows) == count and {row["state"] for row in rows} == {"done"}, "all done", len(rows))
    verdicts, told = judged(name)
    check(verdicts and set(verdicts.values()) == {"held"}, "the claims hold", told)
    page_of(name, figure, stages=False)
    return rows


@case
def sparse_chinchilla():
    rows = sizes_and_formats("sparse-chinchilla", 25, "Density")
    # Steps are few: what is asked for is met to a pruning's step.
    ends = {round(row["sparsity"], 2) for row in rows}
    check(ends == {0, 0.5, 0.75, 0.9}, "sparsities at the end", ends)


@case
def capacity():
    rows = sizes_and_formats("capacity", 39, "Gaussian error")
    check({row["format"] for row in rows} == {"none", "w4a4", "w2a2", "w2", "w1", "noise(0.05)", "noise(0.4)"}, "formats")


@case
def a_preset_is_an_experiment_of_its_own():
    names = {name for name, in select("home", "SELECT name FROM experiments")}
    check(names == {"gptq-babai-small", "format-matrix-small", "before-or-after-small", "linearity-small", "trunk-small", "elsa-small",
                     "sparse-chinchilla-small", "capacity-small"}, "names", names)
    by_name = document("plan", "format-matrix-small")
    check(by_name == document("plan", shipped("format-matrix"), *SMALL), "by its name the preset is known")
    check(len(by_name) < len(document("plan", "--no-prepare", shipped("format-matrix"))), "the spec as it is has more runs")
    refused = run("report", "format-matrix-small", *SMALL, code=2)
    check("--preset needs a spec" in refused.err, "no preset of an experiment", refused.err)
    unknown = run("plan", shipped("format-matrix"), "--preset", "smal", code=2)
    check("did you mean 'small'?" in unknown.err, "a hint", unknown.err)


finish()
