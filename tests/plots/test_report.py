#!/usr/bin/env python3
"""isoloss report on made-up stores: test_report.py ISOLOSS FILL_STORE LAWS. Prints TAP."""

import html.parser
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import traceback
import xml.dom.minidom

ISOLOSS, FILL_STORE, LAWS = (os.path.abspath(path) for path in sys.argv[1:4])
FOLDER = tempfile.mkdtemp(prefix="isoloss-report-")
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
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


class Page(html.parser.HTMLParser):
    """Checks that tags are balanced and that nothing is loaded; collects text, tags and tables."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.stack, self.tags, self.text, self.problems = [], [], [], []
        self.tables, self.ids = {}, set()
        self.feed(text)
        self.close()
        if self.stack:
            self.problems.append(f"not closed: {self.stack}")

    def handle_starttag(self, tag, attributes):
        names = [name for name, _ in attributes]
        if len(names) != len(set(names)):
            self.problems.append(f"attribute twice in <{tag}>")
        values = dict(attributes)
        self.tags.append((tag, values))
        for name, value in attributes:
            if name in ("src", "href", "xlink:href", "srcset", "action", "data") or name.startswith("on"):
                self.problems.append(f"<{tag} {name}={value!r}>")
            if name == "id":
                if value in self.ids:
                    self.problems.append(f"id {value} twice")
                self.ids.add(value)
        if tag in ("script", "link", "iframe", "object", "embed", "img", "base"):
            self.problems.append(f"<{tag}>")
        if tag == "table":
            self.rows = self.tables.setdefault(values.get("class", ""), [])
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.stack.pop()

    def handle_endtag(self, tag):
        if not self.stack or self.stack[-1] != tag:
            self.problems.append(f"</{tag}> closes {self.stack[-3:]}")
        else:
            self.stack.pop()

    def handle_data(self, data):
        self.text.append(data)
        if self.stack and ("td" in self.stack or "th" in self.stack):
            self.rows[-1][-1] += data

    def words(self):
        return " ".join("".join(self.text).split())

    def count(self, tag):
        return sum(1 for name, _ in self.tags if name == tag)


def run(home, *arguments, code=0, environment=None):
    variables = dict(os.environ, ISOLOSS_HOME=home, SOURCE_DATE_EPOCH="1700000000", **(environment or {}))
    done = subprocess.run([ISOLOSS, *arguments], env=variables, cwd=FOLDER, capture_output=True, text=True, timeout=120)
    assert done.returncode == code, f"{arguments}: exit code {done.returncode}, not {code}: {done.stderr}"
    return done


def make(kind, name=None, fits="  - law: chinchilla", report=""):
    """A filled store and its spec: (home, spec path)."""
    name = name or kind
    home = os.path.join(FOLDER, "home-" + name)
    spec = os.path.join(FOLDER, name + ".yaml")
    source = "zipfmem" if kind == "synthetic" else "gcide"
    with open(spec, "w") as file:
        file.write(SPEC.format(name=name, source=source, fits=fits, report=report))
    subprocess.run([FILL_STORE, kind, name, spec, LAWS], env=dict(os.environ, ISOLOSS_HOME=home), check=True)
    return home, spec


def page_of(home, spec, *arguments):
    path = run(home, "report", spec, *arguments).stdout.strip()
    with open(os.path.join(FOLDER, path), encoding="utf-8") as file:
        text = file.read()
    page = Page(text)
    assert not page.problems, page.problems
    # Nothing is loaded from elsewhere: no address, no import, no url() in the style.
    assert not re.search(r"https?://|@import|url\(", text), "an address in the page"
    return page, text


def document_of(home, spec):
    return json.loads(run(home, "report", spec, "--json").stdout)


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
        assert float(table[name][1]) == float(f"{one['value']:.4g}"), name
        assert "…" in table[name][2]
    assert "non-embedding" in table["alpha"][4] and "non-embedding" in table["beta"][4]
    # What the page says of its predictions is so.
    runs = {one["id"]: one for one in document["runs"]}
    held = [one for one in runs.values() if one["model.width"] == 128]
    errors = [abs(runs[id]["loss"] / loss - 1) for id, loss in fit["predicted"].items() if runs[id]["model.width"] != 128]
    assert len(errors) == 9 and len(held) == 3
    assert abs(max(errors) - fit["largest_error"]) < 1e-12
    assert f"within {100 * max(errors):.2f} % of their loss" in page.words()
    assert "held-out runs with a mean error of" in page.words()
    # The table of runs, in the experiment's order.
    rows = [row for row in page.tables["runs"][1:]]
    assert [row[0] for row in rows] == [one["id"][:8] for one in document["runs"]]
    header = page.tables["runs"][0]
    for name in ("N", "D", "FLOPs", "loss", "bits per byte", "state", "model.width"):
        assert name in header, name
    assert [row[header.index("loss")] for row in rows] == [f"{one['loss']:.4f}" for one in document["runs"]]
    best = min(document["runs"], key=lambda one: one["loss"])
    assert document["best"] == best["id"] and f"{best['loss']:.4f} nats" in page.words()
    # What was asked, how to do it again, where it ran.
    assert "# the spec of the test" in text and f"isoloss run {spec}" in page.words()
    assert "brgemm:avx512_core" in page.words() and "float32" in page.words()
    assert "prefers-color-scheme:dark" in text and "@media print" in text
    return home, spec


def same_bytes_again():
    home, spec = make("plain", "again")
    first, second = os.path.join(FOLDER, "first", "deep", "a.html"), os.path.join(FOLDER, "b.html")
    assert run(home, "report", spec, "-o", first).stdout.strip() == first
    run(home, "report", "again", "--output", second, "--open", "no")
    with open(first, "rb") as one, open(second, "rb") as other:
        assert one.read() == other.read()
    assert os.listdir(os.path.dirname(first)) == ["a.html"]


def figures_as_files():
    home, spec = make("plain", "figures", report="report: {plots: [pareto, loss-curves, loss-vs-learning-rate]}")
    folder = os.path.join(FOLDER, "svg")
    page, _ = page_of(home, spec, "--figures", folder)
    assert sorted(os.listdir(folder)) == ["loss-curves.svg", "pareto.svg"]
    for name in os.listdir(folder):
        xml.dom.minidom.parse(os.path.join(folder, name))
    assert "loss-vs-learning-rate is not drawn: all runs have the same learning rate" in page.words()


def nothing_has_run():
    home, spec = make("pending")
    page, _ = page_of(home, spec)
    document = document_of(home, spec)
    assert "No run has started yet." in page.words()
    assert document["states"]["pending"] == 12 and document["best"] is None
    assert not any(figure["drawn"] for figure in document["figures"]) and page.count("svg") == 0
    assert all(figure["reason"] for figure in document["figures"])
    assert any("has not been made" in finding["text"] for finding in document["findings"])


def every_run_failed():
    home, spec = make("failed")
    page, _ = page_of(home, spec)
    document = document_of(home, spec)
    assert document["states"]["failed"] == 6 and document["states"]["diverged"] == 6
    assert len(document["failures"]) == 12 and len(page.tables["failures"]) == 13
    assert "signal 9 (killed)" in page.words() and "not finite at step 812" in page.words()
    assert "No run has finished with a loss." in page.words()
    assert any("6 of 12 runs failed" in finding["text"] for finding in document["findings"])


def some_runs_failed():
    home, spec = make("partly")
    page, _ = page_of(home, spec)
    document = document_of(home, spec)
    assert document["states"]["done"] == 9 and len(document["failures"]) == 3
    assert document["fits"][0]["document"]["excluded"] == 3
    assert any("leaves out 3 of the runs: " in finding["text"] for finding in document["findings"])
    assert page.count("svg") == 6


def a_fit_is_missing():
    home, spec = make("plain", "missing", fits="  - law: chinchilla\n  - {law: chinchilla, name: second}")
    page, _ = page_of(home, spec)
    document = document_of(home, spec)
    assert [fit["name"] for fit in document["fits"]] == ["chinchilla", "second"]
    assert document["fits"][1]["document"] is None
    assert "fit second has not been made" in page.words() and "Not fitted yet." in page.words()


def hostile_texts():
    home, spec = make("hostile")
    page, text = page_of(home, spec)
    assert "<script>alert" not in text and "<img src=x" not in text and "<b>host</b>" not in text
    assert "<script>alert('x')</script> & \"quotes\"" in page.words()
    assert 'a < b & c > "d"' in page.words() and "not held" in page.words() and "<b>host</b>" in page.words()
    assert "\x01" not in text
    document = document_of(home, spec)
    assert document["claims"][0] == {"claim": 'a < b & c > "d"', "outcome": "not held", "detail": "<i>numbers</i>"}


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
    assert "'chinchilla' is damaged" in run(home, "report", spec, code=3).stderr


def changed_spec():
    home, spec = make("plain", "changed")
    with open(spec, "a") as file:
        file.write("# one more line\n")
    assert "The spec file has changed" in page_of(home, spec)[0].words()
    assert "The spec file has changed" not in page_of(home, "changed")[0].words()


def without_gnuplot():
    home, spec = make("plain", "bare")
    empty = os.path.join(FOLDER, "empty")
    os.makedirs(empty, exist_ok=True)
    failed = run(home, "report", spec, code=3, environment={"PATH": empty})
    assert "gnuplot is not installed" in failed.stderr and "gnuplot-nox" in failed.stderr and failed.stdout == ""
    assert not os.path.exists(os.path.join(home, "reports", "bare.html"))
    # The numbers need no gnuplot.
    assert json.loads(run(home, "report", spec, "--json", environment={"PATH": empty}).stdout)["best"]


def wrong_usage():
    home, spec = make("plain", "usage")
    assert "did you mean 'usage'" in run(home, "report", "usages", code=2).stderr
    assert "give one spec" in run(home, "report", code=2).stderr
    assert "--open is yes or no" in run(home, "report", spec, "--open", "maybe", code=2).stderr
    assert "nothing has run yet" in run(os.path.join(FOLDER, "nowhere"), "report", spec, code=3).stderr
    assert not os.path.exists(os.path.join(FOLDER, "nowhere"))
    run(home, "report", os.path.join(FOLDER, "no-such.yaml"), code=2)
    bad = os.path.join(FOLDER, "bad.yaml")
    with open(bad, "w") as file:
        file.write("experiment: usage\nreport: {plots: [residual]}\n")
    message = run(home, "report", bad, code=2).stderr
    assert "bad.yaml:2:" in message and "residuals" in message
    # A folder that cannot be written.
    assert run(home, "report", spec, "-o", "/proc/nowhere/a.html", code=3).stdout == ""


def main():
    cases = [finished_experiment, same_bytes_again, figures_as_files, nothing_has_run, every_run_failed, some_runs_failed,
             a_fit_is_missing, hostile_texts, mixed_types_and_formats, known_truth, learning_rates, damaged_store, changed_spec, without_gnuplot,
             wrong_usage]
    print(f"1..{len(cases)}")
    failures = 0
    for number, case in enumerate(cases, 1):
        try:
            case()
            print(f"ok {number} - {case.__name__}")
        except Exception:
            failures += 1
            print("# " + traceback.format_exc().replace("\n", "\n# "))
            print(f"not ok {number} - {case.__name__}")
        sys.stdout.flush()
    shutil.rmtree(FOLDER)
    return 1 if failures else 0


sys.exit(main())
