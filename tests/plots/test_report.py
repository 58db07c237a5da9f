#!/usr/bin/env python3
"""isoloss report on made-up stores: test_report.py ISOLOSS FILL_STORE LAWS. Prints TAP."""

import base64
import hashlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import xml.dom.minidom

sys.path.insert(0, os.path.join(sys.path[0], ".."))
import harness  # noqa: E402
from harness import case, path_of, write  # noqa: E402
from html_page import Page  # noqa: E402

FILL_STORE, LAWS = map(os.path.abspath, sys.argv[2:4])
SPEC = """# the spec of the test
experiment: {name}
about: "Made-up runs that follow a law <b>&amp;</b>."
corpus: {{source: {source}}}
base:
  model: {{layers: 2}}
sweep:
  grid: {{model.width: [32, 64, 96, 128], train.tokens: [1e6, 2e6, 4e6], format: [none]}}
fit:
{fits}
{report}
"""


def run(home, *arguments, code=0, **variables):
    return harness.run(*arguments, code=code, home=home, SOURCE_DATE_EPOCH="1700000000", **variables)


def make(kind, name=None, fits="  - law: chinchilla", report=""):
    """A filled store and its spec: (home, spec path)."""
    name = name or kind
    home = path_of("home-" + name)
    source = "zipfmem" if kind == "synthetic" else "gcide"
    spec = write(name + ".yaml", SPEC.format(name=name, source=source, fits=fits, report=report))
    subprocess.run([FILL_STORE, kind, name, spec, LAWS], env=dict(os.environ, ISOLOSS_HOME=home), check=True)
    return home, spec


def page_of(home, spec, *arguments):
    path = run(home, "report", spec, *arguments).out.strip()
    with open(path_of(path), encoding="utf-8") as file:
        text = file.read()
    page = Page(text)
    assert not page.problems, page.problems
    # One script, of our own: the policy allows it by its hash and nothing else.
    hashed = base64.b64encode(hashlib.sha256(page.script.encode()).digest()).decode()
    policy = next(values["content"] for tag, values in page.tags if values.get("http-equiv") == "Content-Security-Policy")
    assert policy == (f"default-src 'none'; script-src 'sha256-{hashed}'; style-src 'unsafe-inline'; base-uri 'none'; "
                      "form-action 'none'"), policy
    assert page.scripts == 1 and not re.search(r"eval|fetch|XMLHttp|innerHTML|Function\(", page.script)
    # Nothing is loaded from elsewhere: no address, no import, no url() in the style.
    assert not re.search(r"https?://|@import|url\(", text), "an address in the page"
    return page, text


def literally(text):
    """The document with its numbers as written and its members in their order."""
    return json.loads(text, parse_float=str, parse_int=str, object_pairs_hook=list)


def document_of(home, spec):
    text = run(home, "report", spec, "--json").out
    document = json.loads(text)
    # A fit is read from the store as it was written: the report quotes the stored document to the digit.
    with sqlite3.connect(os.path.join(home, "isoloss.db")) as database:
        stored = dict(database.execute("SELECT name, document FROM fits WHERE source = ?", (document["experiment"],)))
    for fit in dict(literally(text))["fits"]:
        fit = dict(fit)
        assert fit["document"] == (literally(stored[fit["name"]]) if fit["name"] in stored else None), fit["name"]
    return document


@case
def finished_experiment():
    home, spec = make("plain", fits='  - {law: chinchilla, holdout: "model.width == 128"}')
    page, text = page_of(home, spec)
    document = document_of(home, spec)
    assert document["experiment"] == "plain" and document["path"] is None
    assert document["states"]["done"] == 12 and len(document["runs"]) == 12
    assert page.count("svg") == 6 == sum(figure["drawn"] for figure in document["figures"])
    for words in ("Profile likelihood", "Each tokens left out", "Under other objectives", "its runs are predicted with"):
        assert words in page.words(), words
    fit = document["fits"][0]
    coefficients = fit["document"]["parameters"]
    assert set(coefficients) == {"E", "A", "B", "alpha", "beta"}
    table = {row[0]: row for row in page.tables["coefficients"] if row}
    for name, one in coefficients.items():
        if one["status"] == "at bound" and one["value"] < 1e-6:
            assert table[name][1] == "0 (bound)", table[name]
        else:
            assert float(table[name][1].strip("()")) == float(f"{one['value']:.4g}"), name
            assert ("(" in table[name][1]) == (one["status"] == "not determined"), table[name]
        assert ("…" in table[name][2]) == (one["low"] is not None or one["high"] is not None), table[name]
        assert one["status"] == "determined" or one["note"] in table[name][4], table[name]
    assert "non-embedding" in table["alpha"][4] and "non-embedding" not in table["beta"][4]
    # What the page says of its predictions is so.
    runs = {one["id"]: one for one in document["runs"]}
    held = [one for one in runs.values() if one["model.width"] == 128]
    errors = [abs(runs[id]["loss"] / loss - 1) for id, loss in fit["predicted"].items() if runs[id]["model.width"] != 128]
    assert len(errors) == 9 and len(held) == 3
    assert abs(max(errors) - fit["largest_error"]) < 1e-12
    assert f"no single run among those fitted lies further than {100 * max(errors):.2f} % from it" in page.words()
    assert "the 3 rows held out are predicted with a mean error of" in page.words()
    answer = fit["document"]["answer"] + "."
    assert answer in page.words(), answer
    assert page.words().index(answer) < page.words().index("no single run among those"), page.words()[:1500]
    # The table of runs, in the experiment's order.
    rows = [row for row in page.tables["runs"][1:]]
    assert [row[0] for row in rows] == [one["id"][:8] for one in document["runs"]]
    header = page.tables["runs"][0]
    for name in ("N", "D", "FLOPs", "loss", "bits per byte", "state", "model.width"):
        assert name in header, name
    assert [row[header.index("loss")] for row in rows] == [f"{one['loss']:.4f}" for one in document["runs"]]
    best = min(document["runs"], key=lambda one: one["loss"])
    assert document["best"] == best["id"] and f"{best['loss']:.4f} nats/token" in page.words()
    # What was asked, how to do it again, where it ran.
    assert "# the spec of the test" in text and f"isoloss run {spec}" in page.words()
    assert "brgemm:avx512_core" in page.words() and "float32" in page.words()
    assert "prefers-color-scheme:dark" in text and "@media print" in text


@case
def same_bytes_again():
    home, spec = make("plain", "again")
    first, second = path_of("first", "deep", "a.html"), path_of("b.html")
    assert run(home, "report", spec, "-o", first).out.strip() == first
    run(home, "report", spec, "--output", second, "--open", "no")
    with open(first, "rb") as one, open(second, "rb") as other:
        assert one.read() == other.read()
    assert os.listdir(os.path.dirname(first)) == ["a.html"]


@case
def figures_as_files():
    home, spec = make("plain", "figures", report="report: {plots: [pareto, loss-curves, loss-vs-learning-rate]}")
    folder = path_of("svg")
    page, _ = page_of(home, spec, "--figures", folder)
    assert sorted(os.listdir(folder)) == ["loss-curves.svg", "pareto.svg"]
    for name in os.listdir(folder):
        xml.dom.minidom.parse(os.path.join(folder, name))
    assert "loss-vs-learning-rate is not drawn: all runs have the same learning rate" in page.words()


@case
def nothing_has_run():
    home, spec = make("pending")
    page, _ = page_of(home, spec)
    document = document_of(home, spec)
    assert "No run has started yet." in page.words()
    assert document["states"]["pending"] == 12 and document["best"] is None
    assert not any(figure["drawn"] for figure in document["figures"]) and page.count("svg") == 0
    assert all(figure["reason"] for figure in document["figures"])
    assert any("has not been made" in finding["text"] for finding in document["findings"])


@case
def every_run_failed():
    home, spec = make("failed")
    page, _ = page_of(home, spec)
    document = document_of(home, spec)
    assert document["states"]["failed"] == 6 and document["states"]["diverged"] == 6
    assert len(document["failures"]) == 12 and len(page.tables["failures"]) == 13
    assert "signal 9 (killed)" in page.words() and "not finite at step 812" in page.words()
    assert "No run has finished with a loss." in page.words()
    assert any("6 of 12 runs failed" in finding["text"] for finding in document["findings"])


@case
def some_runs_failed():
    home, spec = make("partly")
    page, _ = page_of(home, spec)
    document = document_of(home, spec)
    assert document["states"]["done"] == 9 and len(document["failures"]) == 3
    assert document["fits"][0]["document"]["excluded"] == 3
    assert any("leaves out 3 of the runs: " in finding["text"] for finding in document["findings"])
    assert page.count("svg") == 6


@case
def a_fit_is_missing():
    home, spec = make("plain", "missing", fits="  - law: chinchilla\n  - {law: chinchilla, name: second}")
    page, _ = page_of(home, spec)
    document = document_of(home, spec)
    assert [fit["name"] for fit in document["fits"]] == ["chinchilla", "second"]
    assert document["fits"][1]["document"] is None
    assert "fit second has not been made" in page.words() and "Not fitted yet." in page.words()


@case
def hostile_texts():
    home, spec = make("hostile")
    page, text = page_of(home, spec)
    assert "<script>alert" not in text and "<img src=x" not in text and "<b>host</b>" not in text
    assert "<script>alert('x')</script> & \"quotes\"" in page.words()
    assert 'a < b & c > "d"' in page.words() and "not held" in page.words() and "<b>host</b>" in page.words()
    assert "\x01" not in text
    document = document_of(home, spec)
    assert document["claims"][0] == {"claim": 'a < b & c > "d"', "outcome": "not held", "detail": "<i>numbers</i>"}


@case
def mixed_types_and_formats():
    home, spec = make("mixed", fits="  - law: chinchilla\n  - law: effective-parameters",
                      report="report: {plots: [loss-vs-tokens, residuals, effective-parameters, pareto]}")
    page, _ = page_of(home, spec)
    document = document_of(home, spec)
    assert any("mixes data types: float32 (12 runs), bfloat16 (12 runs)" in finding["text"]
               for finding in document["findings"] if finding["warning"])
    drawn = [(figure["name"], figure["fit"]) for figure in document["figures"] if figure["drawn"]]
    assert drawn == [("loss-vs-tokens", None), ("residuals", "chinchilla"), ("residuals", "effective-parameters"),
                     ("effective-parameters", "effective-parameters"), ("pareto", None)]
    assert "w4a4" in [row[page.tables["runs"][0].index("format")] for row in page.tables["runs"][1:]]


@case
def known_truth():
    home, spec = make("synthetic")
    page, _ = page_of(home, spec)
    document = document_of(home, spec)
    known = {one["name"]: one for one in document["fits"][0]["known"]}
    assert known["E"]["known"] == 0.7394 and known["beta"]["known"] == 0.5 / 1.5 and known["alpha"]["known"] == 0.5
    assert known["E"]["with_known_e"] is None and known["beta"]["with_known_e"] > 0
    parameters = document["fits"][0]["document"]["parameters"]
    for name, one in known.items():
        assert one["fitted"] == parameters[name]["value"]
    table = {row[0]: row for row in page.tables["known"]}
    assert table["beta"][3] == f"{100 * (known['beta']['fitted'] / known['beta']['known'] - 1):+.1f} %"
    assert "0.7394 in closed form" in page.words() and "0.7509 on the same validation tokens" in page.words()
    # The exponent is far off although the residuals are small: the report says so, with the numbers it computed.
    off = 100 * (known["beta"]["fitted"] / known["beta"]["known"] - 1)
    assert abs(off) > 15 and document["fits"][0]["document"]["residual_rms"] < 0.01
    warning = [finding["text"] for finding in document["findings"] if "exponent beta" in finding["text"]]
    assert len(warning) == 1 and f"{off:+.0f} % off the 0.333" in warning[0] and "residuals are small" in warning[0]


@case
def learning_rates():
    home, _ = make("rates")
    page, _ = page_of(home, "rates")
    document = document_of(home, "rates")
    assert [(one["rate"], one["tried"], one["edge"]) for one in document["rates"]] == [(4e-3, 4, False)] * 2
    best = {one["model.width"]: one["loss"] for one in document["runs"] if one["train.lr"] == 4e-3}
    assert [one["loss"] for one in document["rates"]] == [best[32], best[64]]
    rows = page.tables["rates"]
    assert [row[2] for row in rows[1:]] == ["0.004", "0.004"] and rows[1][4] == "4 from 0.001 to 0.016"
    assert ("loss-vs-learning-rate", True) in [(figure["name"], figure["drawn"]) for figure in document["figures"]]
    assert not any("edge" in finding["text"] for finding in document["findings"])


@case
def metrics_of_solutions():
    home, spec = make("plain", "solutions")
    figures = {figure["name"]: figure for figure in document_of(home, spec)["figures"]}
    assert "metrics" not in figures, "no run has metrics"
    with sqlite3.connect(os.path.join(home, "isoloss.db")) as database:
        runs = [row[0] for row in database.execute("SELECT run FROM experiment_runs ORDER BY position")]
        rows = [(run, name, step, 100.0 * step, (i + 1) * scale * step) for i, run in enumerate(runs[:3])
                for name, scale in (("update_ratio", 0.5), ("weight_stable_rank", 4)) for step in range(1, 41)]
        database.executemany("INSERT INTO solutions VALUES (?, ?, ?, ?, ?)", rows)
    database.close()
    figure = {figure["name"]: figure for figure in document_of(home, spec)["figures"]}["metrics"]
    assert figure["drawn"] and "one line a configuration" in figure["caption"], figure
    run(home, "plot", spec, "metrics", "--data", "-o", path_of("solutions"), "--format", "svg")
    with open(os.path.join(path_of("solutions"), "metrics.csv"), encoding="utf-8") as file:
        drawn = [line.split(",") for line in file.read().splitlines()[1:]]
    assert len(drawn) == len(rows), len(drawn)
    ranks = [(float(line[-4]), float(line[-3])) for line in drawn[:120]]
    assert sorted(ranks) == sorted((row[3], row[4]) for row in rows if row[1] == "weight_stable_rank"), ranks[:5]


@case
def damaged_store():
    home, spec = make("plain", "damaged")

    def change(statement):
        with sqlite3.connect(os.path.join(home, "isoloss.db")) as database:
            database.execute(statement)

    # A law of the user's own that is gone: the coefficients stand, lines are missing, and the page says so.
    change("UPDATE fits SET law = 'gone.yaml'")
    page, _ = page_of(home, spec)
    assert "the law 'gone.yaml' cannot be loaded" in page.words() and len(page.tables["coefficients"]) == 6
    assert page.count("svg") == 6
    # A stored spec of another version that does not parse any more.
    change("UPDATE experiments SET spec_text = 'experiment: [', about = NULL")
    page, text = page_of(home, "damaged")
    assert len(page.tables["runs"]) == 13 and "experiment: [" in text
    change("UPDATE fits SET document = '{\"rows\": 12'")
    assert "'chinchilla' is damaged" in run(home, "report", spec, code=3).err


@case
def runs_that_learnt_nothing():
    # A loss above that of a uniform guess over 257 symbols, 5.549.
    home, spec = make("plain", "chance")
    assert "uniform guess" not in page_of(home, spec)[0].words()
    with sqlite3.connect(os.path.join(home, "isoloss.db")) as database:
        database.execute("UPDATE runs SET loss = 5.56 WHERE id IN (SELECT id FROM run_table WHERE state = 'done' "
                         "ORDER BY parameters LIMIT 2)")
    assert "2 of 12 runs ended above the loss of a uniform guess" in page_of(home, spec)[0].words()
    document = json.loads(run(home, "fit", "chance", "--json").out)
    warnings = (document[0] if isinstance(document, list) else document)["warnings"]
    assert any("of 12 runs ended above the loss of a uniform guess" in warning for warning in warnings), warnings
    document = json.loads(run(home, "fit", "chance", "--where", "loss < log(model.vocabulary)", "--json").out)
    warnings = (document[0] if isinstance(document, list) else document)["warnings"]
    assert not any("uniform guess" in warning for warning in warnings), warnings


@case
def changed_spec():
    home, spec = make("plain", "changed")
    with open(spec, "a") as file:
        file.write("# one more line\n")
    assert "The spec file has changed" in page_of(home, spec)[0].words()
    assert "The spec file has changed" not in page_of(home, "changed")[0].words()


@case
def without_gnuplot():
    home, spec = make("plain", "bare")
    empty = path_of("empty")
    os.makedirs(empty, exist_ok=True)
    run(home, "report", spec, PATH=empty)
    with open(os.path.join(home, "reports", "bare.html"), encoding="utf-8") as file:
        bare = file.read()
    # The page is whole but for its figures, whose places say why they are empty.
    assert "<svg" not in bare and "Not drawn: gnuplot is not installed" in bare and "gnuplot-nox" in bare
    assert bare.count("Not drawn: gnuplot") == bare.count("<figure") == bare.count("<figcaption>") > 0
    assert "<h2>Runs</h2>" in bare and "<h2>Spec</h2>" in bare and "</html>" in bare
    failed = run(home, "report", spec, "--figures", path_of("svg"), code=3, PATH=empty)
    assert "gnuplot is not installed" in failed.err and "gnuplot-nox" in failed.err
    assert "figures are not drawn: loss-curves, " in failed.err and failed.out.strip().endswith("bare.html"), failed
    # The numbers need no gnuplot.
    assert json.loads(run(home, "report", spec, "--json", PATH=empty).out)["best"]


@case
def a_figure_that_fails():
    """Markdown and LaTeX name no file that is not there: the place of the figure says why it is missing."""
    home, spec = make("plain", "fault")
    folder = harness.gnuplot_that_fails(2, "kill -SEGV $$")
    for form, end in (("markdown", ".md"), ("latex", ".tex")):
        figures, output = path_of("figures" + end), path_of("fault" + end)
        failed = run(home, "report", spec, "--format", form, "--figures", figures, "-o", output, code=3, PATH=folder())
        with open(output, encoding="utf-8") as file:
            text = file.read()
        drawn = {name.rsplit(".", 1)[0] for name in os.listdir(figures)}
        named = set(re.findall(r"/([a-z-]+)\.(?:svg|pdf)[)}]", text))
        missing = re.findall(r"1 figure is not drawn: ([a-z-]+): gnuplot failed \(signal 11\)", failed.err)
        assert len(missing) == 1 and len(drawn) > 3 and named == drawn and missing[0] not in drawn, (drawn, named, failed)
        assert re.search(missing[0] + r"\W* is not drawn: gnuplot failed", text) and failed.out.strip() == output, text
    document = json.loads(run(home, "report", spec, "--json", "--figures", path_of("again"), code=3, PATH=folder()).out)
    assert [figure["name"] for figure in document["figures"] if not figure["drawn"]] == missing
    assert any(figure["reason"] and "signal 11" in figure["reason"] for figure in document["figures"])


@case
def of_a_table():
    """A table has a page too: fit, figures, every residual, what was left out, and where it comes from."""
    home = path_of("home-table")
    rows = [(n, d) for n in (1e7, 3e7, 1e8, 3e8) for d in (2e8, 1e9, 5e9, 2e10)]
    losses = [1.7 + 400 / n ** 0.34 + 2000 / d ** 0.37 for n, d in rows]
    lines = ["%r,%r,%.9f,%s" % (n, d, loss * (1 + 0.001 * (i % 3 - 1)), "<i>b</i>" if i else "a")
             for i, ((n, d), loss) in enumerate(zip(rows, losses))]
    table = write("some <table>.csv", "\n".join(["N_total,D,val_loss,note"] + lines + lines[:1]) + "\n")
    command = ("report", table, "--law", "chinchilla", "--map", "parameters=N_total,loss=val_loss", "--bootstrap", "50",
               "--where", "D > 3e8", "--starts", "100")
    path = run(home, *command).out.strip()
    assert path == os.path.join(home, "reports", "some--table--chinchilla.html"), path
    with open(path, encoding="utf-8") as file:
        text = file.read()
    page = Page(text)
    assert not page.problems, page.problems
    assert "<i>b</i>" not in text and "<table>.csv" not in text, "escaped"
    document = json.loads(run(home, *command, "--json").out)
    drawn = [one["name"] for one in document["figures"] if one["drawn"]]
    assert {"loss-vs-parameters", "loss-vs-tokens", "predicted-vs-observed", "residuals"} <= set(drawn), drawn
    assert text.count("<figure") == len(drawn) and "loss-curves" not in text, text.count("<figure")
    assert "Made by: isoloss fit " in page.words() and "--where 'D > 3e8'" in page.words()
    fit = document["fits"][0]["document"]
    assert fit["rows"] == 12 and fit["duplicates"] == 1, (fit["rows"], fit["duplicates"])
    columns = [one["column"] for one in fit["leave_out"]]
    assert columns == ["parameters", "tokens"] and all(one["rollout"] for one in fit["leave_out"]), columns
    assert abs(fit["parameters"]["alpha"]["value"] - 0.34) < 0.05, fit["parameters"]["alpha"]
    # every row with its residual, those that --where leaves out too
    assert text.count(">not fitted<") == 4 and len(re.findall(r">line \d+</td>", text)) == 16
    shown = re.findall(r"<td>(\d\.\d{4})</td><td>(\d\.\d{4})</td><td>([+-]\d\.\d\d) %</td>", text.replace("&nbsp;", " "))
    assert len(shown) == 16, shown
    for i, (observed, predicted, residual) in enumerate(shown):
        assert abs(float(observed) - losses[i] * (1 + 0.001 * (i % 3 - 1))) < 1e-4, (i, observed)
        assert abs(100 * (float(observed) / float(predicted) - 1) - float(residual)) < 0.01, (i, residual)
    facts = document["environment"]
    digest = subprocess.run(["xxhsum", "-H2", table], capture_output=True, text=True).stdout.split()[:1] \
        if shutil.which("xxhsum") else [facts["digest (XXH3-128)"]]
    assert facts["file"] == table and [facts["digest (XXH3-128)"]] == digest, facts
    assert facts["options"] == ("--law chinchilla --map parameters=N_total,loss=val_loss --bootstrap 50 --where "
                                "'D > 3e8' --starts 100 --json"), facts["options"]
    assert document["command"].startswith("isoloss report ") and "Make it again" in text
    # asked for, a column is left out and no other
    fit = json.loads(run(home, *command, "--leave-out", "D", "--json").out)["fits"][0]["document"]
    assert [one["column"] for one in fit["leave_out"]] == ["tokens"]
    assert not os.path.exists(os.path.join(home, "isoloss.db")), "the store is left alone"
    run(home, *command, "-o", path_of("table.html"), "--figures", path_of("table-figures"))
    assert os.path.exists(path_of("table.html")) and "residuals.svg" in os.listdir(path_of("table-figures"))
    err = run(home, "report", table, code=2).err
    assert "--law" in err and "chinchilla" in err and "power-sum" in err, err
    err = run(home, "report", table, "--law", "chinchilla", code=2).err
    assert "--map" in err and "parameters=N_total" in err, err
    err = run(home, "report", path_of("none.csv"), "--law", "chinchilla", code=2).err
    assert "none.csv" in err, err
    _, spec = make("plain", name="given")
    err = run(home, "report", spec, "--where", "N > 3", code=2).err
    assert "--where is for tables" in err, err


def latex_is_sound(text):
    """Environments nest, braces match, and what TeX takes for itself is escaped, outside of verbatim text."""
    text = re.sub(r"\\begin\{verbatim\}.*?\\end\{verbatim\}", "", text, flags=re.S)
    text = re.sub(r"^%.*|\\includegraphics\{.*?\}", "", text)  # a file's name is one as it is
    open_ones = []
    for what, name in re.findall(r"\\(begin|end)\{(\w+)\}", text):
        if what == "begin":
            open_ones.append(name)
        else:
            assert open_ones.pop() == name, name
    assert not open_ones, open_ones
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", text):
        depth += 1 if brace == "{" else -1
        assert depth >= 0
    assert depth == 0
    for table in re.findall(r"\\begin\{longtable\}\{@\{\}(.*?)@\{\}\}\n(.*?)\\end\{longtable\}", text, flags=re.S):
        columns = len(re.sub(r"p\{[^}]*\}", "p", table[0]))
        for row in table[1].split("\\\\\n")[:-1]:
            assert len(re.findall(r"(?<!\\)&", row)) == columns - 1, (columns, row)
        text = text.replace(table[1], "")
    assert not re.search(r"(?<!\\)[&#%_^]", text), re.search(r".*(?<!\\)[&#%_^].*", text)[0]


@case
def markdown_and_latex():
    home, spec = make("hostile", "forms")
    page, _ = page_of(home, spec)
    path = run(home, "report", spec, "--format", "markdown", "--figures", path_of("md")).out.strip()
    assert path == os.path.join(home, "reports", "forms.md"), path
    with open(path, encoding="utf-8") as file:
        markdown = file.read()
    rows = [line for line in markdown.split("\n") if line.startswith("| ")]
    runs = page.tables["runs"]
    assert f"| {runs[0][0]} | {runs[0][1]} | " in markdown
    for row in runs[1:]:
        assert any(row[0] in line and row[-1] in line for line in rows), row
    assert "<b>" not in markdown.split("```")[0] and "\\<b\\>" in markdown, "markup is text"
    drawn = os.listdir(path_of("md"))
    assert drawn and all(f"]({path_of('md')}/{name})" in markdown for name in drawn), drawn
    assert "```\n# the spec of the test" in markdown
    path = run(home, "report", spec, "-f", "latex", "--figures", path_of("tex")).out.strip()
    with open(path, encoding="utf-8") as file:
        latex = file.read()
    latex_is_sound(latex)
    assert path.endswith("forms.tex") and "\\toprule" in latex and "\\bottomrule" in latex
    included = re.findall(r"\\includegraphics\{(.*?)\}", latex)
    assert included and sorted(included) == sorted(os.path.join(path_of("tex"), name) for name in os.listdir(path_of("tex")))
    assert "html, markdown or latex, not 'word'" in run(home, "report", spec, "--format", "word", code=2).err


@case
def a_page_of_another_spec_is_kept():
    home, spec = make("plain", "kept")
    path = run(home, "report", spec).out.strip()
    assert run(home, "report", "kept").out.strip() == path, "by its name"
    with open(spec) as file:
        text = file.read()
    copy = write("kept-copy.yaml", text)
    run(home, "report", copy)  # the same words in another place
    other = write("kept-other.yaml", text + "# and more\n")
    with open(path, "rb") as file:
        before = file.read()
    err = run(home, "report", other, code=2).err
    assert "is not of this spec" in err and "--overwrite" in err and "-o FILE" in err, err
    with open(path, "rb") as file:
        assert file.read() == before
    run(home, "report", other, "-o", path_of("kept.html"))
    run(home, "report", other, "--overwrite")
    write(spec, text + "# changed since\n")
    run(home, "report", other)
    assert "is not of this spec" in run(home, "report", spec, code=2).err
    with open(path, "w") as file:
        file.write("notes of somebody\n")
    run(home, "report", spec, code=2)
    with open(path) as file:
        assert file.read() == "notes of somebody\n"


@case
def wrong_usage():
    home, spec = make("plain", "usage")
    assert "did you mean 'usage'" in run(home, "report", "usages", code=2).err
    assert "give one spec" in run(home, "report", code=2).err
    assert "--open is yes or no" in run(home, "report", spec, "--open", "maybe", code=2).err
    assert "nothing has run yet" in run(path_of("nowhere"), "report", spec, code=3).err
    assert not os.path.exists(path_of("nowhere"))
    run(home, "report", path_of("no-such.yaml"), code=2)
    bad = write("bad.yaml", "experiment: usage\nreport: {plots: [residual]}\n")
    message = run(home, "report", bad, code=2).err
    assert "bad.yaml:2:" in message and "residuals" in message
    # A folder that cannot be written.
    assert run(home, "report", spec, "-o", "/proc/nowhere/a.html", code=3).out == ""


harness.finish()
