"""Tasks as a user meets them: test_tasks.py ISOLOSS SOURCE. Specs, ids, runs, the store, laws, claims, kills, errors with
their lines, and the small presets of all specs of tasks. Prints TAP."""
import glob
import json
import os
import re
import shutil
import signal
import sys
import time

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import case, check, document, finish, path_of, run, select, start, write  # noqa: E402

EXPERIMENTS = os.path.join(os.path.abspath(sys.argv[2]), "experiments")
SPEC = """experiment: small
task: descent
base: {descent: {dimension: 8, tolerance: 1e-4}}
sweep:
  grid: {descent.method: [gradient, momentum], descent.condition: [10, 100, 1000], seed: {seeds: 2}}
fit:
  - law: LAWS/descent-steps.yaml
    by: descent.method
claims:
  - descent.steps["descent.method == 'momentum'"] < descent.steps["descent.method == 'gradient'"]
""".replace("LAWS", os.path.join(EXPERIMENTS, "laws"))


@case
def runs_fits_and_reports():
    write("small.yaml", SPEC)
    plan = document("plan", "small.yaml")
    check(plan[0]["parameters"] == 8 and plan[0].get("tokens") is None and len(plan) == 12, "the plan", plan[0])
    done = run("run", "small.yaml", "--jobs", "1")
    check(done.code == 0 and "loss" not in done.out + done.err, done)
    again = run("run", "small.yaml", "--jobs", "1")
    check(again.code == 0 and "started" not in again.out + again.err, again)
    rows = document("runs", "small")
    check(len(rows) == 12 and all(row["descent.steps"] > 0 and row["loss"] is None for row in rows), "rows", rows[:2])
    check(select("home", "SELECT count(*) FROM run_table WHERE \"descent.steps\" > 0 AND task = 'descent' AND "
                 "\"model.width\" IS NULL") == [(12,)], "the view")
    fit = run("fit", "small.yaml")
    check(fit.code == 0 and ": held" in fit.out, fit.out)
    check(run("report", "small.yaml", "-o", "small.html").code == 0, "report")
    shown = run("show", rows[0]["id"][:8]).out
    check("descent.steps" in shown and "model.width" not in shown, "show", shown)
    chosen = document("runs", "small", "--where", "descent.steps > 100 and task == 'descent'")
    check(0 < len(chosen) < 12, "where", len(chosen))


@case
def mistakes_have_their_lines():
    for text, line, words in [
            ("task: descent\nbase:\n  model.width: 64\n", ":3:", "model.width is a field of task lm, not of task descent"),
            ("task: descent\nbase: {boolean: {clauses: 3}}\n", ":2:", "boolean.clauses is a field of task boolean"),
            ("base:\n  descent.dimension: 3\n", ":2:", "field of task descent, not of task lm"),
            ("base: {task: descent}\n", ":1:", "task is the same for all runs"),
            ("sweep: {grid: {task: [descent, lm]}}\n", ":1:", "task is the same for all runs"),
            ("task: descents\n", ":1:", "did you mean 'descent'"),
            ("task: descent\nbase: {descent.dimensions: 3}\n", ":2:", "did you mean 'descent.dimension'"),
            ("task: descent\nbase: {descent.rate: 0}\n", ":2:", "descent.rate 0 goes nowhere"),
            ("task: descent\nstages: {compress: none}\n", ":2:", "stages goes with task lm"),
            ("task: descent\nsweep: {grid: {descent.condition: [1]}, where: model.width > 3}\n", ":2:", "no field or quantity"),
            ("task: descent\nbase: {descent.rate: 1}\nclaims:\n  - {claim: \"descent.steps[\\\"seed == 0\\\"] < "
             "descent.steps[\\\"seed == 1\\\"]\", match_on: descent.erorr}\n", ":4:", "match_on"),
            ("task: descent\nclaims:\n  - {claim: \"loss[\\\"seed == 0\\\"] < loss[\\\"seed == 1\\\"]\", match_on: descent.error}\n",
             ":3:", "another result of task descent is compared"),
            ("task: descent\nclaims:\n  - {claim: \"descent.steps[\\\"seed == 0\\\"] < descent.steps[\\\"seed == 1\\\"]\", match_on: "
             "descent.error, match_along: curves}\n", ":3:", "matched along ladders"),
            ("task: speculative\nbase: {speculative.temper_low: 3}\n", ":2:", "temper_low 3 is above"),
            ("task: speculative\nbase: {speculative.digest: abc}\n", ":2:", "found in a checkpoint, not given"),
            ("task: speculative\nbase: {speculative.source: checkpoint}\n", ":2:", "needs speculative.checkpoint"),
            ("task: speculative\nbase: {speculative: {source: checkpoint, checkpoint: nowhere}}\n", ":2:", "no such folder"),
            ("task: speculative\nbase: {speculative.nodes: 1e7}\n", ":2:", "more candidates than"),
            ("task: speculative\nbase: {speculative: {source: model, width: 20}}\n", ":2:", "multiple of 16"),
            ("task: descent\nclaims:\n  - 'descent.stepps[\"seed == 0\"] < 3'\n", ":3:", "did you mean descent.steps")]:
        write("wrong.yaml", text)
        done = run("check", "wrong.yaml")
        check(done.code == 2 and line in done.err and words in done.err, text, done.err)


@case
def a_killed_run_begins_anew_to_the_same_result():
    spec = ("task: descent\nexperiment: long\nbase: {descent: {condition: 1e5, dimension: 20000, tolerance: 1e-12, "
            "most_steps: 60000}}\n")
    write("long.yaml", spec)
    whole = run("run", "long.yaml", home="whole")
    check(whole.code == 0, whole)
    worker = start("run", "long.yaml", home="cut")
    deadline = time.time() + 60
    while time.time() < deadline and not glob.glob(path_of("cut", "runs", "*", "events.jsonl")):
        time.sleep(0.02)
    worker.send_signal(signal.SIGINT)
    worker.wait()
    check(run("run", "long.yaml", home="cut").code == 0, "it goes on")
    results = [select(home, "SELECT id, state, json_extract(config, '$.results') FROM runs") for home in ("whole", "cut")]
    check(results[0] == results[1] and results[0][0][1] == "done", results)
    events = [json.loads(line) for line in open(glob.glob(path_of("cut", "runs", "*", "events.jsonl"))[0], encoding="utf-8")]
    check([event["event"] for event in events].count("start") == 1, "begun anew")


@case
def claims_compare_at_a_matched_result():
    """Error over steps is a line a seed and method; the difference of the lines is computed here anew."""
    write("matched.yaml", """experiment: matched
task: descent
base: {descent: {dimension: 4}}
sweep:
  - grid: {descent.method: [gradient], descent.condition: [3, 10, 30], seed: &seeds {seeds: 6}}
  - grid: {descent.method: [momentum], descent.condition: [10, 40, 160, 640], seed: *seeds}
claims:
  - {claim: "descent.error[\\"descent.method == 'gradient'\\"] < descent.error[\\"descent.method == 'momentum'\\"]",
     match_on: descent.steps, ignore: descent.condition}
""")
    check(run("run", "matched.yaml").code == 0, "run")
    lines, outside, cells = {}, 0, []
    for row in document("runs", "matched"):
        lines.setdefault((row["descent.method"], row["seed"]), []).append((row["descent.steps"], row["descent.error"]))
    for seed in range(6):
        left, differences = sorted(lines["gradient", seed]), []
        for x, y in lines["momentum", seed]:
            around = [(a, b) for a, b in zip(left, left[1:]) if a[0] <= x <= b[0]]
            outside += not around
            if around:
                (x0, y0), (x1, y1) = around[0]
                differences.append(y - (y0 + (y1 - y0) * (x - x0) / (x1 - x0)))
        cells += [sum(differences) / len(differences)] if differences else []
    told = run("fit", "matched.yaml").out
    check(len(cells) == 6 and f"right less left: {sum(cells) / 6:+.4f}, mean over 6 ladders" in told, cells, told)
    check(outside > 0 and f"{outside} left out that would be extrapolations" in told, outside, told)


@case
def drafts_on_a_run_that_was_trained():
    """A run's checkpoint is read: its model's entropy is near its loss, a copy is the same run, another weight is not."""
    write("lm.yaml", """experiment: lm
corpus: {source: markov2, markov2_vocabulary: 8, markov2_exponent: 2}
base: {model: {layers: 1, width: 16, context: 16, dtype: float32}, train: {steps: 60, batch_tokens: 512, lr: 1e-2}}
""")
    check(run("run", "lm.yaml").code == 0, "a training")
    trained = document("runs", "lm")[0]
    own = path_of("home", "runs", trained["id"])
    copied = [os.path.join(folder, "checkpoints", "step-60") for folder in (own, path_of("copied"), path_of("changed"))]
    for folder in ("copied", "changed"):
        shutil.copytree(own, path_of(folder))
    weights = os.path.join(copied[2], "model.safetensors")
    with open(weights, "r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)[0]
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last ^ 1]))
    text = "experiment: drafts\ntask: speculative\nbase: {speculative: {source: checkpoint, nodes: 16, trees: 64, checkpoint: "
    ids = []
    for folder in ["home/runs/" + trained["id"] + "/checkpoints/step-60", copied[1]]:
        write("drafts.yaml", text + folder + "}}\n")
        ids += [document("plan", "drafts.yaml")[0]["id"]]
    write("drafts.yaml", text + copied[2] + "}}\n")
    check(ids[0] == ids[1] != document("plan", "drafts.yaml")[0]["id"], "identity", ids)
    write("drafts.yaml", text + copied[0] + "}}\n")
    check(run("run", "drafts.yaml").code == 0, "run")
    row = document("runs", "drafts")[0]
    check(row["id"] == ids[0] and row["parameters"] == trained["parameters"] and row["tokens"] == 60 * 512, "N and D", row)
    check(abs(row["speculative.mu"] - trained["loss"]) < 0.15 and 0.8 < row["speculative.ratio"] < 1.2 and
          row["speculative.accepted"] < row["speculative.bound"], "what it predicts", row, trained["loss"])


@case
def the_page_quotes_the_example():
    """Each piece of code in docs/tasks.md, from "Add a task" on, stands in the example's files."""
    root = os.path.dirname(EXPERIMENTS)
    files = [open(os.path.join(root, "trainer", "tasks", "descent", name), encoding="utf-8").read()
             for name in ("descent.h", "fields.c", "work.c")]
    check(sum(text.count("\n") for text in files) < 150, "an example of under 150 lines")
    page = open(os.path.join(root, "docs", "tasks.md"), encoding="utf-8").read().split("## Add a task")[1]
    lines = [line if line.startswith("        ") or not line else None for line in page.split("\n")]
    pieces, piece = [], ""
    for line in lines + [None]:
        if line is None or line.strip() == "...":
            pieces += [piece] if piece.strip() else []
            piece = ""
        else:
            piece += line
    code = ["".join(text.split()) for text in files]
    check(len(pieces) >= 7, "pieces of code", len(pieces))
    for piece in pieces:
        check(any("".join(piece.split()) in text for text in code), "code that is not the example's", piece)


def small_preset(name, held):
    done = run("run", os.path.join(EXPERIMENTS, name + ".yaml"), "--preset", "small", home=name)
    check(done.code == 0, done)
    fit = run("fit", os.path.join(EXPERIMENTS, name + ".yaml"), "--preset", "small", home=name)
    check(fit.code == 0 and fit.out.count(": held (") >= held and ": not held" not in fit.out, name, fit.out)


@case
def a_report_is_of_what_the_law_predicts():
    spec = os.path.join(EXPERIMENTS, "descent.yaml")
    small_preset("descent", 1)
    told = json.loads(run("report", spec, "--preset", "small", "--json", home="descent", code=0).out)
    steps = {row["id"]: row["descent.steps"] for row in told["runs"]}
    check(len(told["fits"]) == 2 and all(row["loss"] is None for row in told["runs"]), "fits", told["fits"])
    for fit in told["fits"]:
        errors = [abs(steps[name] / predicted - 1) for name, predicted in fit["predicted"].items()]
        check(len(errors) == 3 and abs(fit["largest_error"] - max(errors)) < 1e-9 and
              abs(fit["mean_error"] - sum(errors) / 3) < 1e-9, "errors are of descent.steps", fit)
    titles = [figure["title"] for figure in told["figures"] if figure["drawn"]]
    check(sum(title.startswith("Predicted against observed descent.steps") for title in titles) == 2 and
          sum(title.startswith("Residuals of the fit: descent.steps") for title in titles) == 2, "titles", titles)
    captions = [figure["caption"] for figure in told["figures"] if figure["drawn"] and "residuals" in figure["name"]]
    check(captions and all("% of descent.steps" in caption for caption in captions), "captions", captions)
    path = path_of("descent.md")
    run("report", spec, "--preset", "small", "--format", "markdown", "-o", path, home="descent", code=0)
    with open(path, encoding="utf-8") as file:
        page = file.read()
    check("from its descent.steps" in page and "N: dimensions." in page and "descent.steps: descent.steps (steps)" in page and
          "nats" not in page.split("## Run it again")[0] and "No run has finished" not in page, "words", page[:3000])
    # Each run has the prediction of the fit of its method.
    rows = re.findall(r"\| `\w+` \| done \|.*\| ([0-9.]+) \| ([0-9.]+) \| [^|]* \|\n", page)
    check(len(rows) == 6 and all(abs(float(observed) / float(predicted) - 1) < 0.05 for observed, predicted in rows), "rows", rows)


@case
def small_presets_run():
    # How many claims hold by wide margins, on any processor.
    for name, held in {"descent": 1, "fpe": 0, "channels": 0, "qoda": 1, "smnn": 1, "solutions": 1, "speculative": 3}.items():
        small_preset(name, held)


@case
def signs_show_the_clauses_that_were_learnt():
    write("signs.yaml", """experiment: signs
task: boolean
base: {boolean: {steps: 2000}}
sweep:
  - {grid: {seed: {seeds: 2}}, set: {boolean.clauses: 24, boolean.literals: 2, boolean.hidden: 6}}
  - {grid: {seed: {seeds: 2}}, set: {boolean.clauses: 8, boolean.literals: 4, boolean.hidden: 8}}
""")
    check(run("run", "signs.yaml").code == 0, "run")
    rows = document("runs", "signs")
    check(len(rows) == 4 and all(row["boolean.sign_p"] < 0.01 and row["boolean.sign_within"] > row["boolean.sign_between"] + 0.1
                                 for row in rows), "signs", rows)


finish()
