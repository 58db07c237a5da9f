"""The shipped spec of fine-tuning in few bits, as a user runs it with --preset small: test_shipped_tuning.py ISOLOSS SOURCE.
Prints TAP. The preset's corpus is synthetic: nothing is fetched."""
import os
import re
import sys

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import case, check, document, finish, path_of, run  # noqa: E402

HALO = os.path.join(os.path.abspath(sys.argv[2]), "experiments", "halo.yaml")
SMALL = ("--preset", "small")
run("run", "-q", HALO, *SMALL, code=0)


@case
def planting_changes_no_loss():
    rows = document("runs", "halo-small")
    check({row["state"] for row in rows} == {"done"}, "all done")
    planted = [row for row in rows if row["stage"] == "plant_outliers"]
    check(planted and all(row["loss"] == row["parent_loss"] for row in planted), "a gain that is a power of two",
          [(row["loss"], row["parent_loss"]) for row in planted])
    tuned = [row for row in rows if row["stage"] == "tune"]
    check(len(tuned) == 14 * len(planted), "seven formats, with outliers and without")


@case
def claims_are_judged():
    told = run("fit", HALO, *SMALL)
    check(told.code in (0, 1), "claims are judged", told.err)
    verdicts = dict(re.findall(r"^claim (.*): (held|not held|undecided) \(", told.out, re.M))
    check(len(verdicts) == 11, "each of them", told.out)

    # A further training's seed is the run's: seeds are averaged over, and their noise is that of seeds.
    counts = re.findall(r"^  (\d+) rows of runs of halo-small.*?(\d+) rows\s+before\s+best_over", told.out, re.M | re.S)
    check(len(counts) == 2 and all(int(before) == 2 * int(after) for after, before in counts), "means over two seeds", counts)
    noises = [float(noise) for noise in re.findall(r"seed noise of a run (\S+) %", told.out)]
    check(noises and min(noises) > 1e-6, "noise of seeds", noises)

    def verdict_of(*parts):
        found = [verdict for claim, verdict in verdicts.items() if all(part in claim for part in parts)]
        check(len(found) == 1, "one claim of " + " ".join(parts), found)
        return found[0]

    check(verdict_of("abs(", "'halo0-int8' and plant_outliers.channels == 0", "'none'") == "held",
          "8 bits need no transform without outliers", told.out)
    check(verdict_of("'halo1-int6' and plant_outliers.channels == 2", "'halo0-int6'") == "held",
          "with outliers 6 bits do", told.out)


@case
def the_report_has_them():
    run("report", HALO, *SMALL, code=0)
    with open(path_of("home", "reports", "halo-small.html"), encoding="utf-8") as file:
        page = file.read()
    for word in ("After training", "plant_outliers", "halo2-int6", "With the preset <code>small</code>"):
        check(word in page, "the page has " + word)


finish()
