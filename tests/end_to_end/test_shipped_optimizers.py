"""Shipped specs of optimizers and of selected data, as a user runs them with --preset small:
test_shipped_optimizers.py ISOLOSS SOURCE. Prints TAP. The presets' corpora are synthetic: nothing is fetched."""
import os
import re
import sys

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import case, check, document, finish, path_of, run  # noqa: E402

EXPERIMENTS = os.path.join(os.path.abspath(sys.argv[2]), "experiments")
SMALL = ("--preset", "small")
OPTIMIZERS = {"adamw", "sgd", "lion", "muon", "normuon", "soap", "shampoo", "trion"}


def rows_of(name):
    """The preset's rows, run; all of which the claims find."""
    spec = os.path.join(EXPERIMENTS, name + ".yaml")
    said = run("check", spec, *SMALL, code=0)
    check(not said.err, "conditions of all claims have runs", said.err)
    run("run", "-q", spec, *SMALL, code=0)
    rows = document("runs", name + "-small")
    check({row["state"] for row in rows} == {"done"}, "all done")
    planned = {row["id"]: row for row in document("plan", spec, *SMALL)}
    check({row["id"] for row in rows} == set(planned), "the experiment is the preset's plan")
    return rows, planned


def judged(name):
    told = run("fit", os.path.join(EXPERIMENTS, name + ".yaml"), *SMALL)
    check(told.code in (0, 1), "claims are judged", told.err)
    return re.findall(r"^claim (.*): (held|not held|undecided) \(", told.out, re.M), told.out


def page_of(name, *words):
    run("report", os.path.join(EXPERIMENTS, name + ".yaml"), *SMALL, code=0)
    with open(path_of("home", "reports", name + "-small.html"), encoding="utf-8") as file:
        page = file.read()
    for word in words:
        check(word in page, "the page has " + word)


@case
def one_surface_of_optimizers():
    rows, planned = rows_of("optimizers")
    check({row["train.optimizer"] for row in rows} == OPTIMIZERS, "all of them")
    for row in rows:
        check(row["state_bytes"] == planned[row["id"]]["state_bytes"] > 0, "bytes of the state, as planned", row)
        check(row["loss"] < 2.0794, "each learns more than the number of symbols", row["train.optimizer"], row["loss"])
    verdicts, told = judged("optimizers")
    check(len(verdicts) == 1 and "rho_D[muon]" in told.replace('"', ""), "tokens that each is worth", told)
    page_of("optimizers", "shampoo", "rho_D")


@case
def ranks_and_what_directions_hold():
    rows, planned = rows_of("low-rank")
    ranked = [row for row in rows if row["train.optimizer"] != "adamw"]
    check({row["train.optimizer"] for row in ranked} == {"ldadam", "dct_adamw", "trion"}, "three of low rank")
    for row in rows:
        check(row["state_bytes"] == planned[row["id"]]["state_bytes"], "bytes of the state, as planned", row)
    for name in "ldadam", "dct_adamw":
        sizes = sorted({(row["train.rank"], row["state_bytes"]) for row in ranked if row["train.optimizer"] == name and
                        row["train.error_feedback"] in ("on", "auto", "off")})
        check(sizes[0][1] < sizes[-1][1], "fewer directions, fewer bytes", sizes)
    verdicts, told = judged("low-rank")
    check(verdicts, "claims are judged", told)
    page_of("low-rank", "trion", "metrics")


@case
def data_by_influence():
    rows, planned = rows_of("influence")
    ways = {row["data.select"] for row in rows if row["stage"] == "tune"}
    check(ways == {"random", "influence_mean", "influence_round_robin", "oracle", "target_only"}, "ways", ways)
    for row in rows:
        reads = row["data.select"].startswith("influence") and row["stage"] != "train"
        check((row["flops_selection"] or 0) == (planned[row["id"]]["flops_selection"] or 0), "as planned", row)
        check(bool(row["flops_selection"]) == reads, "who reads gradients pays for it", row["data.select"], row["flops_selection"])
    begun = [row for row in rows if row["stage"] == "tune" and row["tune.weights"] == "initial"]
    check(len(begun) == 10 and all(row["data.fraction"] == 0.1 for row in begun), "first trainings, two seeds of each", len(begun))
    verdicts, told = judged("influence")
    check(len(verdicts) == 2 and "not held" not in [verdict for claim, verdict in verdicts],
          "round robin and the oracle are not behind chance", told)
    page_of("influence", "influence_round_robin")


finish()
