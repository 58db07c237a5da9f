# Claims that name what no fit will have: check refuses them at their place, with what was probably meant.
#   test_claims.py ISOLOSS SPECS...
import json
import os
import sys

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import check, finish, run, write  # noqa: E402

SPEC = """corpus: {source: markov2}
base: {model: {context: 16, layers: 1, width: 32}, train: {batch_tokens: 256, steps: 20}}
sweep: {grid: {format: [none, int4, w2a2], train.steps: [20, 40], model.width: [32, 64]}}
fit: %s
claims:
  - %s
"""
ONE = "[{law: effective-parameters}]"
TWO = "[{law: chinchilla, name: plain}, {law: effective-parameters, name: formats}]"
DIFFERENCE = "[{law: quartet}, {law: quartet-beta1}]"


def mistakes(fits, claim):
    write("spec.yaml", SPEC % (fits, claim))
    code, out, err = run("check", "spec.yaml", "--json")
    item = json.loads(out)[0]
    check(err == "" and code == (0 if item["ok"] else 2) and item["ok"] == (not item["diagnostics"]),
          f"{claim}: one document, one exit code", code, out, err)
    return [(d["line"], d["column"], d["message"], d["hint"]) for d in item["diagnostics"] if d["severity"] == "error"]


for fits, claim in [(ONE, "alpha > 0.2"), (ONE, "eff[w4] < 1 and eff[w2a2] < eff[none]"), (ONE, "residual_rms < 0.1"),
                    (ONE, "loss[w4] > 1 and beta > 0"),
                    (TWO, "plain.alpha > formats.alpha"), (TWO, "eff[w4] < 1 and formats.eff[w2a2] < 1"),
                    (TWO, "plain.holdout_error < 1"), ("[{law: quartet}]", "eff_N[w4] < 1 and eff_D[none] == 1")]:
    check(mistakes(fits, claim) == [], f"{claim}: fine", mistakes(fits, claim))

# Columns: "  - " comes before the claim.
for fits, claim, column, message, hint in [
        (ONE, "alhpa > 0.2", 5, "a coefficient or a derived quantity 'alhpa'", "did you mean 'alpha'?"),
        (ONE, "1 < 2 and bata > 0.2", 15, "'bata'", "did you mean 'beta'?"),
        (ONE, "holdout_eror < 1", 5, "'holdout_eror'", "did you mean 'holdout_error'?"),
        (ONE, "eff > 0.2", 5, "eff has a value for each format", "write eff[...] with one of them in it"),
        (ONE, "alpha[w4] > 0.2", 5, "alpha is one number of the law effective-parameters", None),
        (ONE, "eff[w4a4] < 1", 5, "no run of this spec has the format 'w4a4'", 'did you mean eff["w4"]?'),
        (ONE, "eff[int4] < 1", 5, "no run of this spec has the format 'int4'", 'did you mean eff["w4"]?'),
        (ONE, "eff[w2a2] < 1 and eff[w2b2] < 1", 23, "no run of this spec has the format 'w2b2'",
         'did you mean eff["w2a2"]?'),
        (TWO, "alpha > 0.2", 5, "2 fits (plain, formats) have alpha", "write plain.alpha"),
        (TWO, "plain.eff[w4] > 0.2", 5, "the law chinchilla of fit plain has no coefficient and no derived quantity 'eff'",
         None),
        (TWO, "formats.alhpa > 0.2", 5, "the law effective-parameters of fit formats", "did you mean 'alpha'?"),
        (DIFFERENCE, "quartet-beta1.alpha > 0.2", 5, "'quartet'",
         "the name of fit quartet-beta1 reads as a difference: give it a `name:` without '-'")]:
    found = mistakes(fits, claim)
    first = found[0] if found else (0, 0, "", None)
    check(first[0] == 6 and first[1] == column and message in first[2] and (first[3] == hint or hint is None),
          f"{claim}: refused at its place", found)

# A law of one's own that does not read is said at its place in its own file.
write("mine.yaml", "formula: E + A / N^alpha +\n")
found = mistakes("[{law: mine.yaml}]", "alpha > 0")
check(found != [], "a law that does not read is a mistake of the check", found)

# Categories that settings and conditions of fits name.
for entry, column, message, hint in [
        ("law: effective-parameters, ratio: 'eff[w2a2]/eff[w3]'", 53, "no run of this spec has the format 'w3'",
         "did you mean eff[w4]?"),
        ("law: effective-parameters, high: ['eff[w2a2]=1', 'eff[int4]=1']", None, "no run of this spec has the format 'int4'",
         "did you mean eff[w4]?"),
        ("law: effective-parameters, tie: 'eff[w2b2]=eff[w2a2]'", None, "no run of this spec has the format 'w2b2'",
         "did you mean eff[w2a2]?"),
        ("law: effective-parameters, prior: 'eff[w2a2]=0.7~0.2'", None, None, None)]:
    found = mistakes("[{%s}]" % entry, "alpha > 0")
    check(found == [] if message is None else len(found) == 1 and found[0][0] == 4 and found[0][2] == message and
          found[0][3] == hint and column in (None, found[0][1]), f"{entry}: its categories", found)
for entry, claim, told in [("where: \"format == 'w2a3'\"", "alpha > 0", ["w2a3"]),
                           ("where: \"format in ['w4', 'int4']\"", "alpha > 0", []),
                           ("holdout: \"format == 'w8'\"", "alpha > 0", ["w8"]),
                           ("bootstrap: 0", "'loss[\"format == \\'w9\\'\"] > 0'".replace("\\'", "''"), ["w9"]),
                           ("where: \"format != 'none' and model.width == 32\"", "alpha > 0", [])]:
    write("spec.yaml", SPEC % ("[{law: chinchilla, %s}]" % entry, claim))
    code, out, err = run("check", "spec.yaml", "--json")
    found = [d["message"] for d in json.loads(out)[0]["diagnostics"] if d["severity"] == "warning"]
    check(code == 0 and len(found) == len(told) and all(f"'{name}'" in text for name, text in zip(told, found)),
          f"{entry}, {claim}: a condition on what no run is", out)

# A claim on fits by a column names one of its values.
BY = "[{law: chinchilla, by: format, name: each}]"
for claim, message, hint in [("alpha[w4] > 0", None, None), ("each.beta[none] > alpha[w2a2]", None, None),
                             ("alpha[w5] > 0", "no run of this spec has the format 'w5'", 'did you mean alpha["w4"]?'),
                             ("each.alpha > 0", "fit each is made by format: alpha is of one of its values",
                              "write alpha[none]")]:
    found = mistakes(BY, claim)
    check(found == [] if message is None else len(found) == 1 and found[0][2:] == (message, hint), f"{claim} by format", found)
found = mistakes("[{law: effective-parameters, by: model.width}]", 'eff[w4] > 0')
check(len(found) == 1 and "has several values in each of its fits" in found[0][2], "two indices are one too many", found)

# A mistake elsewhere in the file is not laid to the laws.
write("spec.yaml", (SPEC % (TWO, "plain.alpha > 0")).replace("layers: 1", "layers: 0"))
code, out, err = run("check", "spec.yaml", "--json")
found = [d["message"] for d in json.loads(out)[0]["diagnostics"]]
check(found and not any("chinchilla" in m or "effective-parameters.yaml" in m for m in found),
      "a mistake elsewhere is told once", found)

code, out, err = run("check", *map(os.path.abspath, sys.argv[2:]))
check(code == 0 and err == "" and out.count(", ok") == len(sys.argv) - 2, "the specs that ship pass", code, out, err)
finish()
