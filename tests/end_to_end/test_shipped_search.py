"""Shipped specs with searches over layers, as a user runs them with --preset small: test_shipped_search.py ISOLOSS SOURCE.
Prints TAP. The presets' corpora are synthetic: nothing is fetched."""
import os
import re
import sys

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import case, check, document, finish, path_of, run  # noqa: E402

EXPERIMENTS = os.path.join(os.path.abspath(sys.argv[2]), "experiments")
SMALL = ("--preset", "small")


def done(name):
    """The rows of the spec's preset, run, and the verdicts of its claims."""
    spec = os.path.join(EXPERIMENTS, name + ".yaml")
    run("run", "-q", spec, *SMALL, code=0)
    rows = document("runs", name + "-small")
    check({row["state"] for row in rows} == {"done"}, "all done")
    told = run("fit", spec, *SMALL)
    check(told.code in (0, 1), "claims are judged", told.err)
    run("report", spec, *SMALL, code=0)
    with open(path_of("home", "reports", name + "-small.html"), encoding="utf-8") as page:
        check("--preset small" in page.read(), "there is a page")
    return rows, dict(re.findall(r"^claim (.*): (held|not held|undecided) \(", told.out, re.M))


@case
def evopress():
    rows, verdicts = done("evopress")
    kl = {(row["search.space"], row["search.method"]): row["kl"] for row in rows if row["stage"] == "evaluate"}
    check(kl["drop", "evopress"] == kl["drop", "exhaustive"], "what trying all finds", kl)
    check(len(verdicts) == 1, "its claim", verdicts)
    worth = {(row["search.method"], row["search.bits"]): row["search_fitness"] for row in rows
             if row["stage"] == "search" and row["search.space"] == "bits"}
    check(all(worth["evopress", bits] <= worth["uniform", bits] for bits in (2.5, 3)), "never behind where it began", worth)
    check(all(row["rank_correlation"] is not None for row in rows
              if row["stage"] == "search" and row["search.random_choices"]), "rank correlations")


@case
def how_long_it_takes():
    rows, verdicts = done("evopress-length")
    check(all(1.5 < row["level_switch.ratio"] < 4 for row in rows), "k (n - k) / lambda", rows)
    check(list(verdicts.values()) == ["held"], "the exponent of lambda", verdicts)


@case
def darwin():
    rows, verdicts = done("darwin")
    full = next(row["parameters"] for row in rows if row["stage"] == "train")
    smaller = {row["parameters"] for row in rows if row["stage"] != "train"}
    check(len(smaller) == 1 and max(smaller) < 0.6 * full, "models of half the size", smaller, full)
    found = {(row["search.method"], row["search.finetune_tokens"]): row for row in rows if row["stage"] == "search"}
    check(found["darwin", 1024]["flops_search"] > found["darwin", 0]["flops_search"], "training of candidates is in C")
    for row in rows:
        if row["stage"] == "tune":
            before = next(other for other in rows if other["id"] == row["parent"])
            check(row["loss"] < before["loss"], "recovery", row["loss"], before["loss"])
    check(len(verdicts) == 1, "its claim", verdicts)


finish()
