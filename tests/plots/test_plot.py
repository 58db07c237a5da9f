#!/usr/bin/env python3
"""isoloss plot on made-up stores and on a table: test_plot.py ISOLOSS FILL_STORE LAWS. Prints TAP."""

import csv
import json
import math
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import xml.dom.minidom
import zlib

sys.path.insert(0, os.path.join(sys.path[0], ".."))
import harness  # noqa: E402
from harness import case, path_of, write  # noqa: E402

FILL_STORE, LAWS = map(os.path.abspath, sys.argv[2:4])
SPEC = """experiment: {name}
corpus: {{source: gcide}}
base:
  model: {{layers: 2}}
sweep:
  grid: {{model.width: [32, 64, 96, 128], train.tokens: [1e6, 2e6, 4e6], format: [none]}}
fit:
{fits}
"""


def make(kind, fits="  - law: chinchilla"):
    home, spec = path_of("home-" + kind), write(kind + ".yaml", SPEC.format(name=kind, fits=fits))
    if not os.path.exists(home):
        subprocess.run([FILL_STORE, kind, kind, spec, LAWS], env=dict(os.environ, ISOLOSS_HOME=home), check=True)
    return home, spec


def plot(home, *arguments, code=0):
    return harness.run("plot", *arguments, code=code, home=home)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def text_sizes(pdf):
    """The sizes of text in a PDF, in points, and the widths of lines."""
    for match in re.finditer(rb"stream\r?\n(.*?)endstream", pdf, re.S):
        try:
            content = zlib.decompress(match.group(1))
        except zlib.error:
            continue
        if b" Tm" in content:
            return {float(size) for size in re.findall(rb"BT\n([\d.]+) ", content)}
    return set()


def page_width(pdf):
    """As the file says, or, as cairo 1.18 writes it, a packed stream of objects in it."""
    packed = [zlib.decompressobj().decompress(part) for part in re.findall(rb"/ObjStm.*?stream\r?\n(.*?)endstream", pdf, re.S)]
    return float(re.search(rb"/MediaBox \[ ?[\d.]+ [\d.]+ ([\d.]+)", b"\n".join([pdf, *packed])).group(1))


@case
def every_format_has_the_width_and_the_size_of_text_asked_for():
    home, spec = make("plain")
    folder = path_of("all")
    done = plot(home, spec, "loss-vs-parameters", "-f", "pdf,svg,png,tikz", "--data", "-o", folder)
    names = sorted(os.listdir(folder))
    assert names == ["loss-vs-parameters" + end for end in (".csv", ".gp", ".pdf", ".png", ".svg", ".tex")], names
    assert sorted(done.out.split()) == [os.path.join(folder, name) for name in names], done.out
    pdf = read(os.path.join(folder, "loss-vs-parameters.pdf"))
    assert abs(page_width(pdf) - 3.3 * 72) < 1, page_width(pdf)
    sizes = text_sizes(pdf)
    if sizes:  # another cairo may write text otherwise
        assert max(abs(size - 8) for size in sizes) < 0.05, sizes
    png = read(os.path.join(folder, "loss-vs-parameters.png"))
    assert abs(struct.unpack(">I", png[16:20])[0] - 990) <= 1
    svg = xml.dom.minidom.parse(os.path.join(folder, "loss-vs-parameters.svg")).documentElement
    assert svg.getAttribute("width") == "3.3in"
    units = float(svg.getAttribute("viewBox").split()[2])
    assert abs(float(svg.getAttribute("font-size")) / units * 3.3 * 72 - 8) < 0.05
    tex = read(os.path.join(folder, "loss-vs-parameters.tex")).decode()
    assert "\\begin{tikzpicture}" in tex and "\\fontsize{8bp}" in tex and tex.count("{") == tex.count("}")
    wide = path_of("wide")
    plot(home, spec, "loss-vs-parameters", "--width", "160mm", "--points", "9", "-o", wide)
    pdf = read(os.path.join(wide, "loss-vs-parameters.pdf"))
    assert abs(page_width(pdf) - 160 / 25.4 * 72) < 1 and all(abs(size - 9) < 0.05 for size in text_sizes(pdf))


@case
def fonts_are_embedded():
    if not shutil.which("pdffonts"):
        return "pdffonts is not here"
    home, spec = make("plain")
    plot(home, spec, "-o", path_of("fonts"))
    for name in os.listdir(path_of("fonts")):
        lines = subprocess.run(["pdffonts", path_of("fonts", name)], capture_output=True, text=True,
                               check=True).stdout.splitlines()
        embedded = lines[0].index("emb")
        assert len(lines) > 2 and all(line[embedded:embedded + 3] == "yes" for line in lines[2:]), (name, lines)


@case
def a_figure_that_fails_leaves_the_others():
    home, spec = make("plain")
    names = {name[:-4] for name in os.listdir(path_of("fonts"))} if os.path.exists(path_of("fonts")) else set()
    whole = json.loads(plot(home, spec, "--json", "-o", path_of("whole")).out)["figures"]
    drawn = [figure["name"] for figure in whole if figure["drawn"]]
    assert len(drawn) > 3 and names <= set(drawn)
    for how, told in (("kill -SEGV $$", r"gnuplot failed \(signal 11\)"),
                      ("echo 'line 3: no such thing' >&2; exit 1", r"gnuplot failed \(exit code 1\): line 3: no such thing")):
        path = harness.gnuplot_that_fails(2, how)
        done = harness.run("plot", spec, "-o", path_of("rest"), code=3, home=home, PATH=path())
        assert re.search(f"plot: 1 figure is not drawn: {drawn[1]}: {told}", done.err), done
        assert done.out.split() == [os.path.join(path_of("rest"), name + ".pdf") for name in drawn if name != drawn[1]], done
        assert sorted(os.listdir(path_of("rest"))) == sorted(name + ".pdf" for name in drawn if name != drawn[1])
        shutil.rmtree(path_of("rest"))
        document = json.loads(harness.run("plot", spec, "--json", "-o", path_of("rest"), code=3, home=home, PATH=path()).out)
        assert [f["name"] for f in document["figures"] if f["drawn"]] == [name for name in drawn if name != drawn[1]]
        assert re.search(told, next(f["reason"] for f in document["figures"] if f["name"] == drawn[1]))
        shutil.rmtree(path_of("rest"))
    # Of several formats the others are drawn, and a fault of gnuplot comes before a figure with nothing to show.
    path = harness.gnuplot_that_fails(1, "exit 1")
    done = harness.run("plot", spec, "residuals", "effective-parameters", "--format", "pdf,svg", "-o", path_of("rest"), code=3, home=home,
                       PATH=path())
    assert "2 figures are not drawn: " in done.err and "residuals: gnuplot failed (exit code 1)" in done.err, done
    assert "effective-parameters: " in done.err and os.listdir(path_of("rest")) == ["residuals.svg"], done
    # What is named and has nothing to show costs itself alone; a name that there is not costs all.
    done = plot(home, spec, "effective-parameters", "pareto", "residuals", "-o", path_of("named"), code=2)
    assert "1 figure is not drawn: effective-parameters: " in done.err and len(os.listdir(path_of("named"))) == 2, done
    plot(home, spec, "pareto", "residual", "-o", path_of("misspelt"), code=2)
    assert not os.path.exists(path_of("misspelt"))


@case
def data_and_script_draw_the_figure_again():
    home, spec = make("plain")
    folder = path_of("data")
    plot(home, spec, "loss-vs-tokens", "--data", "--title", "--label", "x=tokens %d 'seen'", "-o", folder)
    runs = json.loads(harness.run("runs", "plain", "--json", home=home).out)
    wanted = sorted((run["tokens"], run["loss"]) for run in runs)
    with open(os.path.join(folder, "loss-vs-tokens.csv"), newline="") as file:
        rows = list(csv.DictReader(file))
    points = sorted((float(row["x"]), float(row["y"])) for row in rows if row["kind"] == "points")
    assert points == wanted, (points, wanted)
    assert {row["series"] for row in rows if row["kind"] == "line"} == {"26.8k", "107k", "222k", "402k"}
    script = read(os.path.join(folder, "loss-vs-tokens.gp")).decode()
    assert "'tokens %d ''seen'''" in script and "Loss against training tokens" in script
    elsewhere = path_of("again")
    os.makedirs(elsewhere)
    write("again/edited.gp", script.replace("Loss against training tokens", "Edited"))
    subprocess.run(["gnuplot", "edited.gp"], cwd=elsewhere, check=True)
    drawn = read(os.path.join(elsewhere, "loss-vs-tokens.pdf"))
    assert page_width(drawn) == page_width(read(os.path.join(folder, "loss-vs-tokens.pdf")))


def pdflatex(folder, name, preamble, body):
    """Compiles a document of the body; its log, which has no error, and the pages' text where pdftotext is here."""
    write(os.path.join(folder, name + ".tex"), "\\documentclass{article}\n" + preamble + "\\begin{document}\n" + body + "\\end{document}\n")
    done = subprocess.run(["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", name + ".tex"],
                          cwd=folder, capture_output=True, timeout=240)
    log = done.stdout.decode(errors="replace")
    assert done.returncode == 0, log[-2000:]
    assert "Missing character" not in log and "undefined" not in log, log[-2000:]
    if not shutil.which("pdftotext"):
        return ""
    return subprocess.run(["pdftotext", "-layout", name + ".pdf", "-"], cwd=folder, capture_output=True, text=True, check=True).stdout


def has_latex(*packages):
    return shutil.which("pdflatex") and all(
        subprocess.run(["kpsewhich", name + ".sty"], capture_output=True).returncode == 0 for name in packages)


@case
def latex_compiles_the_report():
    if not has_latex("booktabs", "longtable", "graphicx"):
        return "there is no pdflatex with booktabs (texlive-latex-recommended)"
    home, spec = make("mixed", "  - law: chinchilla\n  - law: effective-parameters")
    folder = path_of("latex")
    os.makedirs(folder, exist_ok=True)
    harness.run("report", spec, "--format", "latex", "-o", os.path.join(folder, "made.tex"), "--figures",
                os.path.join(folder, "figures"), home=home)
    text = pdflatex(folder, "paper", "\\usepackage[T1]{fontenc}\n\\usepackage{booktabs,longtable,graphicx}\n", "\\input{made}\n")
    log = read(os.path.join(folder, "paper.log")).decode(errors="replace")
    assert not re.search(r"Overfull .hbox .* in alignment", log), re.findall("Overfull.*", log)
    assert not text or ("chinchilla" in text and "w4a4" in text), text[:3000]


@case
def latex_compiles_every_figure():
    if not has_latex("tikz"):
        return "there is no pdflatex with tikz (texlive-pictures)"
    home, spec = make("mixed", "  - law: chinchilla\n  - law: effective-parameters")
    folder = path_of("tikz")
    plot(home, spec, "-f", "tikz", "-o", folder, "--label", "y=50 % of $ & # _ ^ { } ~ \\ x")
    names = sorted(name for name in os.listdir(folder) if name.endswith(".tex"))
    assert len(names) > 5, names
    text = pdflatex(folder, "paper", "\\usepackage[T1]{fontenc}\n\\usepackage{tikz}\n",
                    "".join(f"\\input{{{name[:-4]}}}\n\n\\clearpage\n" for name in names))
    assert not text or (text.count("50 % of $ & # _") >= 1 and text.count("\f") >= len(names)), text[:3000]


@case
def figures_are_listed_with_reasons():
    home, spec = make("mixed", "  - law: chinchilla\n  - law: effective-parameters")
    text = plot(home, "mixed", "--list").out
    assert re.search(r"^residuals-effective-parameters +Residuals", text, re.M), text
    assert re.search(r"^loss-vs-learning-rate +not drawn: all runs have the same learning rate$", text, re.M), text
    document = json.loads(plot(home, "mixed", "--list", "--json").out)
    listed = {figure["name"]: figure for figure in document["figures"]}
    assert len(listed) >= 10 and not any(figure["files"] for figure in listed.values())
    assert listed["pareto"]["drawn"] and not listed["loss-vs-learning-rate"]["drawn"]
    document = json.loads(plot(home, "mixed", "residuals", "--json", "-f", "svg", "-o", path_of("mixed")).out)
    assert [figure["name"] for figure in document["figures"]] == ["residuals-chinchilla",
                                                                 "residuals-effective-parameters"]
    assert all(os.path.exists(path) for figure in document["figures"] for path in figure["files"])
    assert all(figure["caption"] and figure["fit"] for figure in document["figures"])


@case
def of_a_table():
    rows = [(n, d, 1.7 + 400 / n ** 0.34 + 2000 / d ** 0.37) for n in (1e7, 3e7, 1e8, 3e8) for d in (2e8, 1e9, 5e9)]
    table = write("table.csv", "N,D,loss\n" + "".join("%r,%r,%r\n" % row for row in rows))
    home = path_of("home-table")
    done = plot(home, table, "--law", "chinchilla", "--bootstrap", "0", "loss-vs-parameters", "-f", "svg", "-o",
                path_of("table"))
    assert done.out.strip() == path_of("table", "loss-vs-parameters.svg"), done.out
    # Without a law its rows are drawn, and what shows a fit is not.
    drawn = json.loads(plot(home, table, "--json", "-f", "svg", "-o", path_of("bare")).out)["figures"]
    assert {one["name"] for one in drawn if one["drawn"]} == {"loss-vs-parameters", "loss-vs-tokens"}, drawn
    assert "there is no fit" in plot(home, table, "residuals", code=2).err


def series(folder, name, kind, label=None):
    """The points of the series of a kind that a figure shows, from its data."""
    with open(os.path.join(folder, name + ".csv"), newline="") as file:
        return [row for row in csv.DictReader(file) if row["kind"] == kind and label in (None, row["series"])]


@case
def bands_are_those_of_a_regression():
    """A power law is a straight line in logarithms: its band is known in closed form."""
    random.seed(7)
    sizes = [1e6 * 2 ** (i / 2) for i in range(12)]
    losses = [12 / n ** 0.1 * math.exp(random.gauss(0, 0.01)) for n in sizes]
    table = write("line.csv", "N,D,loss\n" + "".join("%r,1e9,%r\n" % row for row in zip(sizes, losses)))
    law = write("line.yaml", "law: line\nformula: A / N^alpha\nresidual: log\nobjective: least-squares\nparameters:\n"
                "  A: {positive: true, starts: [1, 10]}\n  alpha: {low: 0, high: 2, starts: [0.1, 0.3]}\n")
    folder = path_of("line")
    plot(path_of("home-line"), table, "--law", law, "--bootstrap", "0", "loss-vs-parameters", "--data", "-f", "svg", "-o",
         folder)
    x, y = [math.log(n) for n in sizes], [math.log(loss) for loss in losses]
    n, mean_x, mean_y = len(x), sum(x) / len(x), sum(y) / len(y)
    spread = sum((a - mean_x) ** 2 for a in x)
    slope = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y)) / spread
    s = math.sqrt(sum((b - mean_y - slope * (a - mean_x)) ** 2 for a, b in zip(x, y)) / (n - 2))
    t = 2.228139  # the 97.5 % quantile of Student's t with 10 degrees of freedom
    band = series(folder, "loss-vs-parameters", "band")
    assert len(band) == 81, len(band)
    for row in band:
        at = math.log(float(row["x"]))
        line = mean_y + slope * (at - mean_x)
        half = t * s * math.sqrt(1 / n + (at - mean_x) ** 2 / spread)
        assert abs(math.log(float(row["low"])) - (line - half)) < 1e-5, row
        assert abs(math.log(float(row["high"])) - (line + half)) < 1e-5, row


@case
def figures_of_many_formats():
    """Product rule, best format and rollouts, on rows that follow a law with known factors."""
    factors = {"none": 1, "w4": 0.8, "w16a4": 0.7, "w4a4": 0.56, "2:4": 0.6, "int4": 0.75, "2:4+int4": 0.5}
    rows = [(n, d, 1.7 + 400 / (n * eff) ** 0.34 + 2000 / d ** 0.37, name) for name, eff in factors.items()
            for n in (1e7, 3e7, 1e8, 3e8) for d in (2e8, 1e9, 5e9)]
    rows = [(n, d, loss * (1 + 0.002 * math.sin(i)), name) for i, (n, d, loss, name) in enumerate(rows)]
    table = write("formats.csv", "N,D,loss,format\n" + "".join("%r,%r,%r,%s\n" % row for row in rows))
    folder, home = path_of("formats"), path_of("home-formats")
    law = ("--law", "effective-parameters", "--bootstrap", "20", "--starts", "100")
    plot(home, table, *law, "product-rule", "rollouts", "--data", "-f", "svg", "-o", folder)
    points = {row["series"]: (float(row["x"]), float(row["y"])) for row in series(folder, "product-rule", "points")}
    assert set(points) == {"w4a4", "2:4+int4"}, points
    for name, product in (("w4a4", 0.8 * 0.7), ("2:4+int4", 0.6 * 0.75)):
        assert abs(points[name][0] - product) < 0.02 and abs(points[name][1] - factors[name]) < 0.02, (name, points)
    cuts = series(folder, "rollouts", "points")
    assert cuts and all(float(row["x"]) > 1 and float(row["y"]) >= 0 for row in cuts), cuts
    assert {row["series"] for row in cuts} <= {"parameters", "tokens", "FLOPs"}
    assert "bits per weight" in plot(home, table, *law, "best-format", code=2).err


@case
def best_format_and_ends_of_curves():
    home, _ = make("mixed", "  - law: chinchilla\n  - law: effective-parameters")
    folder, region = path_of("regions"), "best-format-effective-parameters"
    plot(home, "mixed", region, "loss-curves-end", "--data", "-f", "svg", "-o", folder)
    bands = series(folder, region, "band")
    assert bands
    # Regions tile the picture: above each place the pieces follow each other without gaps.
    for x in {row["x"] for row in bands}:
        pieces = sorted((float(row["low"]), float(row["high"])) for row in bands if row["x"] == x)
        for (_, end), (begin, _) in zip(pieces, pieces[1:]):
            assert abs(begin / end - 1) < 1e-6, (x, pieces)
    with open(os.path.join(folder, "loss-curves-end.svg")) as file:
        zoomed = file.read()
    assert "near their ends" in plot(home, "mixed", "--list").out and "<path" in zoomed


@case
def wrong_usage():
    home, spec = make("plain")

    def fails(*arguments):
        done = plot(home, spec, *arguments, "-o", path_of("never"), code=2)
        assert not os.path.exists(path_of("never")) and done.out == "", done.out
        return done.err

    assert "did you mean 'residuals'" in fails("residual")
    assert "1 figure is not drawn: effective-parameters: the fitted law has none" in \
        fails("effective-parameters").replace("has no effective parameters", "has none")
    assert "--width is column, text, slide, or a length such as 3.3in" in fails("--width", "narrow")
    assert "no room for text of 8 points: at least" in fails("--width", "1in")
    assert "--points is the size of text, from 4 to 60" in fails("--points", "2")
    assert "--format is pdf, svg, png, tikz" in fails("-f", "jpg") and "not 'pdf,'" in fails("-f", "pdf,")
    assert "--label is x=TEXT" in fails("--label", "z=3")
    assert "--legend is auto, right, below or none" in fails("--legend", "left")
    assert "--font is the name of one family" in fails("--font", "a'b")
    assert "--dots is from 36" in fails("--dots", "1")
    assert "--residual is for tables" in fails("--residual", "log")
    assert "did you mean 'plain'" in plot(home, "plane", code=2).err


harness.finish()
