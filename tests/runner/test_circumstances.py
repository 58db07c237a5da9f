"""Clocks that are wrong, plans that must say what runs, values that readers of YAML take for something else, names that
hurt files, SQL, pages and figures.

test_circumstances.py ISOLOSS: ISOLOSS is the front; isoloss-train stands beside it. Prints TAP.
"""
import glob
import json
import os
import re
import signal
import subprocess
import sys
import time
import xml.dom.minidom

sys.path.insert(0, os.path.join(sys.path[0], ".."))
import harness  # noqa: E402
from harness import case, check, document, finish, path_of, run, select, write  # noqa: E402
from html_page import Page  # noqa: E402

SPEC = """experiment: %s
corpus: {source: markov2}
base:
  model: {layers: 1, context: 32, width: 16, dtype: float32}
  train: {batch_tokens: 256, evals: 1, eval_tokens: 1024, final_eval_tokens: 1024}
sweep:
  - grid: {%s}
"""
# Losses that follow from width and tokens, whatever the note says.
NOTES = ["none", "\U0001F642 smile", "a\nb\tc", "-x", "..", "../../etc", "x" * 300, "a/b,[c]{d}'\"<b>&amp;</td>--",
         "é e\u0301 \u6f22", "$HOME `id` %s @{x} _^ \\"]
TRAINER = """
import json, os, sys
config = json.load(open(sys.argv[1]))["config"]
if config["note"] != sys.argv[2]:
    sys.exit("the command says " + repr(sys.argv[2]))
tokens = config["train.tokens"]
with open(os.environ["ISOLOSS_EVENTS"], "a") as log:
    log.write('{"event":"start","steps":2}\\n{"event":"step","step":1,"tokens":1024,"loss":5}\\n')
    log.write(json.dumps({"event": "done", "step": 2, "tokens": tokens, "loss": 2 + 9 / config["model.width"] ** 0.5 + 99 / tokens ** 0.5}))
    log.write("\\n")
"""


def wait_for_step(home, step):
    """The folder of the one run of a home, when its log has come to this step."""
    for _ in range(2000):
        for folder in glob.glob(path_of(home, "runs", "*")):
            try:
                with open(os.path.join(folder, "events.jsonl"), encoding="utf-8") as log:
                    if f'"event":"step","step":{step},' in log.read():
                        return folder
            except OSError:
                pass
        time.sleep(0.005)
    raise TimeoutError(step)


def worker_of(folder):
    with open(os.path.join(folder, "worker.lock"), encoding="utf-8") as lock:
        return int(lock.read().split()[0])


@case
def who_is_asked_to_stop_by_others_has_not_crashed():
    head = SPEC.replace("evals: 1,", "evals: 1, log_steps: 1,")
    spec = write("asked.yaml", head % ("asked", "train.steps: [6000]"))
    run("run", "-q", spec, home="undisturbed", code=0)
    whole = select("undisturbed", "SELECT id, loss FROM runs")
    # Of signals that batch systems send before they end a job, to the worker and to its group; without a try to spare.
    with harness.start("run", spec, "--retries", "0", home="asked") as process:
        for number, (kind, to_group) in enumerate([(signal.SIGUSR1, False), (signal.SIGTERM, False), (signal.SIGUSR2, True)]):
            folder = wait_for_step("asked", 100 + 200 * number)
            pid = worker_of(folder)
            os.kill(pid, signal.SIGCONT)  # means nothing to one that is at work
            os.killpg(pid, kind) if to_group else os.kill(pid, kind)
        out, err = process.communicate()
    check(process.returncode == 0 and err.count("preempted") == 3 and "crashed" not in err, err)
    check("stopped from outside at step" in err and "(3 times)" in err, err)
    check(select("asked", "SELECT id, loss FROM runs") == whole, "the same loss to the bit", whole)
    # The coordinator itself is asked: it stops its workers, and goes on when it is called again.
    for number, kind in enumerate([signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM, signal.SIGHUP]):
        with harness.start("run", spec, home="coordinator") as process:
            wait_for_step("coordinator", 50 + 150 * number)
            process.send_signal(signal.SIGCONT)
            process.send_signal(kind)
            out, err = process.communicate()
        check(process.returncode == 1 and "stopped" in err, kind, process.returncode, err)
        check(select("coordinator", "SELECT state FROM runs") == [("killed",)], kind)
    run("run", "-q", spec, home="coordinator", code=0)
    check(select("coordinator", "SELECT id, loss FROM runs") == whole, "the same loss to the bit", whole)


@case
def a_plan_lists_what_then_runs():
    spec = write("clock.yaml", SPEC % ("clock", "seed: [1, 2], train.tokens: [1000, 2048]"))
    run("run", "-q", spec, "--only", "seed == 1", code=0)
    # A clock that was wrong: files from the past and from the future mean nothing.
    for i, folder in enumerate(path_of("home", "runs", name) for name in sorted(os.listdir(path_of("home", "runs")))):
        for place, _, names in os.walk(folder):
            for name in names:
                os.utime(os.path.join(place, name), (i % 2 * 4e9, i % 2 * 4e9))
    planned = document("plan", spec)
    waiting = {row["id"][:8] for row in planned if row["state"] == "pending"}
    done = run("run", spec, code=0)
    started = re.findall(r"started  ([0-9a-f]{8})", done.err)
    check(len(waiting) == 2 and sorted(started) == sorted(waiting), "plan and run differ", waiting, started)
    check(not [row for row in document("plan", spec) if row["state"] != "done"], "all are done")
    check("started" not in run("run", spec, code=0).err, "nothing is left")
    # D is what was trained on: whole batches.
    rows = select("home", "SELECT tokens, (SELECT max(tokens) FROM metrics m WHERE m.run = r.id) FROM run_table r ORDER BY 1")
    check(rows == [(768, 768)] * 2 + [(2048, 2048)] * 2, rows)


@case
def what_other_readers_take_for_something_else():
    def told(seeds, name="other"):
        return run("check", write("other.yaml", SPEC % (name, f"seed: [{seeds}]")))

    for seed in ["07", "08", "010", "0o10", "0x10", "1_000", "yes", "1e", "08.0", "-07", "~", ".inf"]:
        done = told(seed)
        check(done.code == 2 and "other.yaml:7:19: error: seed" in done.err, seed, done)
    check("did you mean '10'" in told("010").err and "did you mean '1000'" in told("1_000").err, "hints")
    for seed, value in ("10", 10), ("1e1", 10), ("10.0", 10), ("0", 0):
        check(told(seed).code == 0, seed)
        check([row["seed"] for row in document("plan", "other.yaml")] == [value], seed)
    for name in ["no", "yes", "on", "null", "1e3", "007"]:  # names are texts
        check(told("1", name).code == (2 if name == "null" else 0), name, told("1", name))


@case
def names_of_experiments():
    for name in ["a/b", "-x", "..", ".x", "_x", "a b", "a,b", "\U0001F642", "x" * 101, "a\\nb", "$x", ""]:
        done = run("check", write("name.yaml", SPEC % (f'"{name}"', "seed: [1]")))
        check(done.code == 2 and "name.yaml:1:13: error: an experiment's name" in done.err, name, done)
    check(run("check", write("name.yaml", SPEC % ("x" * 100, "seed: [1]"))).code == 0, "100 letters")


@case
def labels_of_all_kinds():
    spec = write("labels.yaml", f"""experiment: labels
trainer: {{command: [{sys.executable}, -S, -E, {write("labels.py", TRAINER)}, "{{config}}", "{{note}}"], parameters: 100 * model.width}}
fields: {{note: {{type: text, default: none}}}}
base: {{train: {{batch_tokens: 1024}}}}
sweep:
  - grid: {{note: {json.dumps(NOTES, ensure_ascii=False)}, model.width: [16, 64], train.tokens: [2048, 8192]}}
fit:
  - {{law: power-law, average_over: [train.tokens], by: note, bootstrap: 0}}
report: {{plots: [loss-vs-parameters]}}
""")
    run("run", "-q", spec, home="labels", code=0)
    found = select("labels", "SELECT note, count(*), sum(state = 'done') FROM run_table GROUP BY note ORDER BY note")
    check(found == sorted((note, 4, 4) for note in NOTES), found)
    for note in NOTES:
        if '"' in note or "\n" in note or "\\" in note:
            continue
        check(len(document("runs", "labels", "--where", f'note == "{note}"', home="labels")) == 4, note)
    check({row["note"] for row in document("runs", "labels", home="labels")} == set(NOTES), "JSON")
    table = run("runs", "labels", home="labels", code=0).out
    check(len(table.rstrip("\n").split("\n")) == 1 + 4 * len(NOTES), "a line a run", table)
    path = run("report", spec, home="labels", code=0).out.split()[0]
    text = open(os.path.join(harness.scratch, path), encoding="utf-8").read()
    page = Page(text)
    check(not page.problems, page.problems)
    figures = re.findall(r"<svg.*?</svg>", text, re.S)
    check(figures or "gnuplot" in text, "no figure")
    for figure in figures:
        xml.dom.minidom.parseString(figure)
    for note in NOTES:
        if len(note) < 50 and "\n" not in note:
            check(note in page.words() or " ".join(note.split()) in " ".join(page.words().split()), f"not on the page: {note}")
    check({name for name in os.listdir(path_of("labels", "runs")) if not re.fullmatch("[0-9a-f]{32}", name)} == set(), "folders")


EXTREME = """
import json, os, sys
seed, tokens, width, extreme = (float(x) for x in sys.argv[1:5])
loss = extreme if seed else 1.7 + 40 / width ** .34 + 410 / tokens ** .28
with open(os.environ["ISOLOSS_EVENTS"], "a") as log:
    log.write(json.dumps({"event": "step", "step": 1, "tokens": tokens / 2, "loss": loss}) + "\\n")
    log.write(json.dumps({"event": "done", "loss": loss, "tokens": tokens}) + "\\n")
"""


@case
def extreme_losses_cost_a_point_and_no_memory():
    trainer = write("extreme.py", EXTREME)
    for loss in "1e-320", "1e300":
        spec = write("extreme.yaml", f"""experiment: extreme-{loss}
base: {{model: {{layers: 1, context: 16, head_dim: 16}}, train: {{batch_tokens: 160}}}}
sweep:
  - grid: {{seed: [0], model.width: [16, 32, 64, 128], train.tokens: [16000, 64000, 256000]}}
  - grid: {{seed: [1], model.width: [16], train.tokens: [32000]}}
trainer: {{command: [{sys.executable}, {trainer}, "{{seed}}", "{{train.tokens}}", "{{model.width}}", "{loss}"], version: "1", parameters: "model.width ^ 2"}}
report: {{plots: [loss-vs-tokens]}}
""")
        run("run", "-q", spec, home="extreme", code=0)
        limited = path_of("limited.sh")
        with open(limited, "w", encoding="utf-8") as file:
            file.write(f"ulimit -v 3000000\nexec {harness.program} report {spec} -o {path_of('extreme.html')}\n")
        done = subprocess.run(["sh", limited], env={**harness.environment, "ISOLOSS_HOME": path_of("extreme")},
                              capture_output=True, text=True, timeout=120)
        check(done.returncode == 0, loss, done.stderr)
        with open(path_of("extreme.html"), encoding="utf-8") as file:
            page = file.read()
        check("13 done" in page and ("1 point, such as one of" in page or "gnuplot" in page), loss, page[-3000:])


finish()
