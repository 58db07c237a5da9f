"""What a fit of a spec is made on and what is kept of it: the runs of the file as it stands, an experiment by name, other
fits of the same runs; where a document says it comes from, and the same bytes made again from it."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import harness
from harness import case, check, run, scratch, write

SPEC = """experiment: small
corpus: {source: markov2, markov2_vocabulary: 32}
base:
  model: {layers: 1, context: 32}
  train: {batch_tokens: 256, evals: 1, eval_tokens: 512, final_eval_tokens: 1024}
sweep:
  grid: {model.width: WIDTHS, train.tokens: [1024, 4096, 16384], train.lr: [3.0e-3, 1.0e-2]}
fit: [{law: power-law, name: compute, best_over: [train.lr], where: "tokens > 100", bootstrap: 50}]
"""
TABLE = "N,D,loss\n" + "".join("%g,%g,%.9g\n" % (n, d, 1.7 + 400 * n**-0.34 + 410 * d**-0.28 + 0.001 * ((i * 7) % 5))
                               for i, (n, d) in enumerate((n, d) for n in (1e7, 3e7, 1e8, 3e8) for d in (1e9, 3e9, 1e10)))


FORMATS = "N,D,format,loss\n" + "".join(
    "%g,%g,%s,%.9g\n" % (n, d, name, 1.7 + 400 * (n * eff)**-0.34 + 410 * d**-0.28 + 0.002 * ((i * 7) % 5))
    for i, (name, eff, n, d) in enumerate((name, eff, n, d) for name, eff in (("none", 1), ("a", 0.8), ("b", 0.7), ("c", 0.9))
                                          for n in (1e7, 3e7, 1e8) for d in (1e9, 3e9)))


def write_spec(widths, name="small.yaml"):
    write(name, SPEC.replace("WIDTHS", widths))


def fit(*arguments):
    code, out, err = run("fit", *arguments, "--json")
    check(code == 0, " ".join(arguments), code, err)
    return json.loads(out)[0]


def kept():
    """The names of the fits that the report finds."""
    return [one["name"] for one in json.loads(run("report", "small", "--json").out)["fits"]]


write_spec("[16, 32, 48]")
code, out, err = run("run", "small.yaml")
check(code == 0, "eighteen small runs", out, err)


@case
def of_the_file_as_it_stands():
    found = fit("small.yaml")
    check(found["rows"] == 9 and not [w for w in found["warnings"] if "small.yaml" in w], "all of it", found["warnings"])
    write_spec("[16, 32, 48, 64]")
    found = fit("small.yaml")
    check(found["rows"] == 9 and any("6 of the 24 runs of small.yaml are not done yet" in w for w in found["warnings"]),
          "pending runs are told", found["warnings"])
    write_spec("[16, 32]")
    found = fit("small.yaml")
    check(found["rows"] == 6 and any("6 finished runs of experiment small are not in small.yaml" in w
                                     for w in found["warnings"]), "runs that the file lacks", found["warnings"])
    check(fit("small")["rows"] == 9, "the experiment's name takes all")
    check(json.loads(run("runs", "small", "--json").out), "the store is as before")
    code, out, err = run("fit", "small.yaml", "--set", "model.layers=2")
    check(code == 2 and "no run of small is done yet" in err, "other runs than those of --set", code, out, err)
    write_spec("[16, 32, 48]")


@case
def names():
    code, out, err = run("fit", "smal")
    check(code == 2 and "did you mean 'small'" in err, err)
    check(len(json.loads(run("plan", "small", "--json").out)) == 18, "plan by name")
    check(run("predict", "small:compute", "--at", "N=1e5,D=1e5,flops=1e10").code == 0, "predict by name")
    check(run("design", "small", "--quick", "--assume", "E=1,K=2,gamma=0.1").code == 0, "design by name")
    write("points.csv", TABLE)
    check(run("import", "points.csv", "--as", "small").code == 0, "import")
    code, out, err = run("fit", "small")
    check(code == 2 and "both an experiment and an imported table" in err, err)
    check(run("import", "--remove", "small").code == 0, "remove it")


@case
def other_fits():
    run("fit", "small.yaml")
    check(kept() == ["compute"], "the spec's own is kept", kept())
    before = json.loads(run("report", "small", "--json").out)["fits"][0]
    code, out, err = run("fit", "small.yaml", "--where", "tokens > 2000", "--bootstrap", "0")
    check(code == 0 and "not kept: the options make it another fit" in out, out, err)
    after = json.loads(run("report", "small", "--json").out)["fits"][0]
    check(kept() == ["compute"] and before == after, "and stays as it was", kept())
    other = fit("small.yaml", "--where", "tokens > 2000", "--as", "narrow", "--bootstrap", "0")
    check(other["name"] == "narrow" and other["rows"] == 6 and sorted(kept()) == ["compute", "narrow"], kept())
    code, out, err = run("fit", "small.yaml", "--as", "compute")
    check(code == 2 and "take another" in err, err)
    law = fit("small.yaml", "--law", "power-sum", "--bootstrap", "0")
    settings = law["made"]["settings"]
    check(law["law"] == "power-sum" and law["rows"] == 9 and settings["best_over"] == "train.lr" and
          settings["where"] == "tokens > 100", "another law on the entry's rows", settings)
    other = fit("small.yaml", "--best-over", "seed", "--bootstrap", "0")
    check(other["rows"] == 18 and other["made"]["settings"]["best_over"] == "seed", "another reduction than the entry's",
          other["made"])


@case
def by_the_values_of_a_column():
    text = SPEC.replace("WIDTHS", "[16, 32, 48]").replace('best_over: [train.lr], where: "tokens > 100"', "by: model.width")
    write("by.yaml", text)
    fits = json.loads(run("fit", "by.yaml", "--json").out)
    check([(one["name"], one["by"]["value"], one["rows"]) for one in fits] ==
          [("compute[%d]" % width, "%d" % width, 6) for width in (16, 32, 48)], fits)
    code, out, err = run("fit", "by.yaml")
    check(code == 0 and "3 fits on rows of runs of small" in out and out.count("  gamma") == 3, out, err)
    names = [name for name in kept() if name.startswith("compute[")]
    check(sorted(names) == ["compute[16]", "compute[32]", "compute[48]"], kept())
    report = json.loads(run("report", "by.yaml", "--json").out)
    one = [fit for fit in report["fits"] if fit["name"] == "compute[32]"]
    check(len(one) == 1, [fit["name"] for fit in report["fits"]])
    code, out, err = run("predict", "by.yaml", "--at", "flops=1e10")
    check(code == 2 and "the law is fitted to each model.width by itself" in err and "--at does not say which" in err, code,
          err)
    code, out, err = run("predict", "by.yaml", "--at", "flops=1e10,model.width=32|48", "--json")
    both = json.loads(out)
    check(code == 0 and [one["by"]["value"] for one in both] == ["32", "48"] and all(one["rows"] == 6 for one in both), out,
          err)
    alone = json.loads(run("predict", "by.yaml", "--where", "model.width == 32", "--at", "flops=1e10,model.width=32",
                           "--json").out)
    check(alone[0]["points"][0]["loss"]["value"] == both[0]["points"][0]["loss"]["value"], "the same as of these rows alone")
    write("asked.csv", "model.width,C\n48,1e10\n16,2e10\n48,3e10\n")
    code, out, err = run("predict", "by.yaml", "--table", "asked.csv", "--json")
    check(code == 0 and [(one["by"]["value"], len(one["points"])) for one in json.loads(out)] == [("48", 2), ("16", 1)], out,
          err)
    code, out, err = run("predict", "by.yaml", "--at", "flops=1e10,model.width=33")
    check(code == 2 and "no row has model.width = 33" in err and "16, 32, 48" in err, code, err)
    check(run("predict", "by.yaml", "--where", "model.width == 32", "--at", "flops=1e10").code == 0, "one of them")
    write("claim.yaml", text + 'claims: ["compute.gamma > 0"]\n')
    code, out, err = run("check", "claim.yaml")
    check(code == 2 and "fit compute is made by model.width" in err and "claim.yaml:" in err, code, err)
    write("claims.yaml", text + """claims: ['compute.gamma["32"] > 0', 'gamma["32"] > 1e9', 'gamma["33"] > 0']\n""")
    code, out, err = run("fit", "claims.yaml")
    words = " ".join(out.split())
    check(code in (0, 1) and 'claim compute.gamma["32"] > 0: held' in words and 'claim gamma["32"] > 1e9: not held' in words,
          out, err)
    check('claim gamma["33"] > 0: undecided (fit compute is made by model.width, and has gamma for 16, 32, 48' in words, out)
    write("line.yaml", """law: line
formula: "c - d * log(flops)"
parameters: {c: {starts: [1, 10]}, d: {starts: [0.1, 1]}}
""")
    write("both.yaml", text.replace("by: model.width", "by: model.width, compare: [./line.yaml]"))
    fits = json.loads(run("fit", "both.yaml", "--json").out)
    check([sorted(law["law"] for law in one["comparison"]["laws"]) for one in fits] == [["line", "power-law"]] * 3 and
          all(one["comparison"]["rows"] == 6 for one in fits), "laws compared on the rows of each value", fits)
    code, out, err = run("fit", "both.yaml")
    check(code == 0 and all("model.width = %d: 2 laws on the same 6 rows" % width in out for width in (16, 32, 48)), out, err)


@case
def comes_from():
    write("points.csv", TABLE)
    made = fit("points.csv", "--law", "chinchilla", "--where", "N > 1e6", "--bootstrap", "40", "--seed", "3")["made"]
    check(made["command"] == "isoloss fit points.csv --law chinchilla --where 'N > 1e6' --bootstrap 40 --seed 3",
          made["command"])
    check(made["data"][0]["name"] == "points.csv" and len(made["data"][0]["digest"]) == 32 and
          made["data"][0]["rows"] == 12, made["data"])
    for name, value in {"where": "N > 1e6", "objective": "huber:0.001", "bootstrap": "40", "seed": "3",
                        "law": "chinchilla", "starts": "4500", "group": "none", "confidence": "0.95"}.items():
        check(made["settings"].get(name) == value, name, made["settings"])
    text = run("fit", "points.csv", "--bootstrap", "0").out
    check("made by: isoloss fit points.csv --bootstrap 0" in text and made["data"][0]["digest"][:12] in text, text)


@case
def keys_of_a_spec():
    """What an entry says of the loss, priors and the grid is what the options say."""
    options = ["--objective", "student-t:4:0.01", "--prior", "gamma=0.1~0.05", "--prior", "log(K)=2~0.5", "--global-check"]
    keys = "objective: 'student-t:4:0.01', prior: [gamma=0.1~0.05, 'log(K)=2~0.5'], global_check: true, "
    said = fit("small:compute", *options)
    write("keys.yaml", SPEC.replace("WIDTHS", "[16, 32, 48]").replace("fit: [{", "fit: [{" + keys))
    entry = fit("keys.yaml")
    for key in ("objective", "penalty", "parameters", "priors", "global_checks", "objective_kind", "residuals"):
        check(entry[key] == said[key], key, entry[key], said[key])
    check(entry["made"]["settings"]["prior"] == "gamma=0.1~0.05, log(K)=2~0.5" and
          entry["made"]["settings"]["global_check"] == "true", entry["made"]["settings"])
    check(len(entry["priors"]) == 2 and entry["penalty"] > 0 and entry["global_checks"][0]["points"] > 0, entry["priors"])
    text = run("fit", "keys.yaml").out
    check("of which priors" in text and "gamma: prior 0.1 +- 0.05" in text and "global check: " in text, text)


@case
def again():
    write("points.csv", TABLE)
    write("formats.csv", FORMATS)
    for arguments in (["points.csv", "--fix", "E=1.7", "--bootstrap", "30", "--seed", "5"],
                      ["points.csv", "--pool", "points.csv", "--keep-duplicates", "--bootstrap", "0"],
                      ["points.csv", "--law", "power-sum", "--fix", "A=400", "--fix", "alpha=0.3", "--by", "N", "--bootstrap", "20"],
                      ["points.csv", "--prior", "alpha=0.34~0.02", "--prior", "log(B)=6~0.2", "--objective", "student-t:4",
                       "--global-check", "--bootstrap", "30"],
                      ["points.csv", "--objective", "asymmetric:3:1e-3", "--low", "E=1", "--bootstrap", "30"],
                      ["formats.csv", "--law", "effective-parameters", "--partial-pooling", "eff", "--bootstrap", "30"],
                      ["small.yaml"], ["small:compute", "--where", "tokens > 2000"]):
        document = run("fit", *arguments, "--json").out
        write("document.json", document)
        code, out, err = run("fit", "--again", "document.json")
        check(code == 0 and out == document, " ".join(arguments), code, err, document[:2000], out[:2000])
    write("document.json", run("fit", "points.csv", "--bootstrap", "0", "--json").out)
    write("points.csv", TABLE + "1e9,1e11,2.1\n")
    code, out, err = run("fit", "--again", "document.json")
    check(code == 3 and not out and "points.csv has changed since the document was made" in err, code, err)
    write("document.json", "[{}]")
    code, out, err = run("fit", "--again", "document.json")
    check(code != 0 and not out and "document.json" in err, code, err)


harness.finish()
