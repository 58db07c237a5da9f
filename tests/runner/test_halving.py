"""Successive halving over a named axis: who goes on, that kills and slots do not matter, and what is told of it.

test_halving.py ISOLOSS: ISOLOSS is the front; isoloss-train stands beside it. Prints TAP.
"""
import glob
import json
import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(sys.path[0], ".."))
import harness  # noqa: E402
from harness import case, check, document, near, path_of, run, select, write  # noqa: E402

FAKE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fake_trainer.py")
HALVING = "run: {halving: {over: train.lr, keep: 1/2, at: [0.25, 0.5]}}\n"
SPEC = """experiment: tiny
corpus: {source: markov2}
base:
  model: {layers: 1, context: 32, dtype: float32}
  train: {batch_tokens: 256, steps: 40, evals: 10, eval_tokens: 256, final_eval_tokens: 512, checkpoint_steps: 15,
          log_steps: 10}
sweep:
  - grid:
      model.width: [16]
      train.lr: [1e-4, 1e-3, 1e-2, 3e-2]
fit:
  - {law: power-law, best_over: [train.lr]}
"""
plain = write("plain.yaml", SPEC)
halved = write("halved.yaml", SPEC + HALVING)
VOLATILE = ["time", "pid", "host", "seconds", "tokens_per_second", "wall_seconds", "train_seconds", "peak_memory",
            "resumed_from", "choices"]


def decisions(home):
    """All that is decided, but when."""
    return select(home, "SELECT competition, rung, run, share, step, loss_step, loss, place, kept FROM halvings "
                  "WHERE experiment = 'tiny' "
                  "ORDER BY competition, rung, place")


def events(home, run_id):
    """A run's log but what measures time and the machine, and but the further starts."""
    with open(path_of(home, "runs", run_id, "events.jsonl")) as log:
        lines = [json.loads(line) for line in log]
    return [{key: value for key, value in line.items() if key not in VOLATILE}
            for number, line in enumerate(lines) if line["event"] != "start" or number == 0]


def runs_of(home, named=halved):
    return {row["id"]: row for row in document("runs", named, home=home)}


def kill_workers(home):
    for lock in glob.glob(path_of(home, "runs", "*", "worker.lock")):
        pid = open(lock).read().split()[:1]
        try:
            if pid and path_of(home) in open(f"/proc/{pid[0]}/cmdline").read():
                os.kill(int(pid[0]), signal.SIGKILL)
        except OSError:
            pass


@case
def a_plan_says_what_is_saved():
    out = run("plan", halved, home="plan", code=0).out
    check("halving over train.lr: 1 group of 4 runs" in out and "2 of each go on" in out and "1 of each go on" in out,
          out)
    # 4 runs a group: 2 stop at about a quarter, 1 at about a half, of the whole of 4.
    share = int(out.split("FLOPs, ")[1].split(" %")[0])
    check(45 <= share <= 60, "about half is saved", out)
    check("early losses" in out and "one's own" not in out, out)
    more = write("alone.yaml", SPEC.replace("sweep:\n", "sweep:\n  - grid: {train.lr: [1e-3], model.width: [32]}\n") + HALVING)
    rows = document("plan", more, home="plan")
    check([row["halving"] for row in rows[:1]] == [None] and len({str(row["halving"]) for row in rows[1:]}) == 1, rows)
    told = rows[1]["halving"]
    check((told["over"], told["group"], told["runs"]) == ("train.lr", 1, 4), told)
    check([(rung["share"], rung["go_on"]) for rung in told["rungs"]] == [(0.25, 2), (0.5, 1)], told)
    check(0 < told["rungs"][0]["step"] <= 10 < told["rungs"][1]["step"] <= 20, told)
    check("halving" not in document("plan", plain, home="plan")[0], "no halving, no key")


@case
def the_worst_are_stopped_and_the_best_is_the_run_without_halving():
    out = run("run", halved, "--quiet", home="one", code=0).out
    check("4 runs: 1 done, 3 stopped by halving" in out, out)
    run("run", plain, "--quiet", home="whole", code=0)
    rows, whole = runs_of("one"), runs_of("whole", plain)
    check(set(rows) == set(whole), "ids are those of the runs without halving")
    done = [row for row in rows.values() if row["state"] == "done"]
    for row in done:
        check(row["loss"] == whole[row["id"]]["loss"] and row["halved_at"] is None, row)
        check(events("one", row["id"]) == events("whole", row["id"]), "the same events to the last bit")
    stopped = [row for row in rows.values() if row["state"] == "killed"]
    check(sorted(row["halved_at"] for row in stopped) == [0.25] * 2 + [0.5], stopped)
    check(all(row["loss"] is None and "halving over train.lr" in row["message"] for row in stopped), stopped)
    # Each decision is by the losses of the store, and the lowest go on.
    for competition in {row[0] for row in decisions("one")}:
        for rung, many in ((1, 4), (2, 2)):
            here = [row for row in decisions("one") if row[0] == competition and row[1] == rung]
            losses = [row[6] for row in here]
            check(len(here) == many and losses == sorted(losses), here)
            check([row[8] for row in here] == [1] * (many // 2) + [0] * (many // 2), here)
            for row in here:
                curve = select("whole", f"SELECT loss FROM metrics WHERE run = '{row[2]}' AND kind = 'eval' "
                               f"AND step = {row[5]}")
                check(curve == [(row[6],)], "what was compared is the run's evaluation there", row, curve)
    out = run("plan", halved, home="one", code=0).out
    check("4 runs, 1 done, 3 stopped by halving, 0 to do" in out and "time to do" not in out, "a plan of what is over", out)
    # Again: nothing is trained, nothing is decided anew.
    before = select("one", "SELECT * FROM halvings WHERE experiment = 'tiny'"), select("one", "SELECT sum(attempts) FROM runs")
    out = run("run", halved, "--quiet", home="one", code=0).out
    check("1 done (1 of them before), 3 stopped by halving" in out, out)
    check((select("one", "SELECT * FROM halvings WHERE experiment = 'tiny'"), select("one", "SELECT sum(attempts) FROM runs")) == before,
          "decided once, trained once")


@case
def what_is_told_of_it():
    out = run("status", home="one", code=0).out
    check("3 runs were stopped by halving (2 at 0.25 of their steps, 1 at 0.5)" in out, out)
    check(document("status", "tiny", home="one")["experiments"][0]["halved"] == 3, "status --json")
    law = write("flat.yaml", "law: flat\nformula: E\nparameters: {E: {starts: [4], low: 0}}\n")
    pair = write("pair.yaml", SPEC.replace("law: power-law", f"law: {law}").replace("tiny", "pair")
                 .replace("[16]", "[16, 32]") + HALVING)
    # Of the half that is not trained yet, what halving leaves on average: 1/4 of all steps by 4 runs, 1/4 by 2, 1/2 by 1.
    run("run", pair, "--quiet", "--only", "model.width == 16", home="one", code=0)
    rungs = document("plan", pair, home="one")[-1]["halving"]["rungs"]
    steps = document("plan", pair, home="one")[-1]["train.steps"]
    trained = rungs[0]["step"] + (rungs[1]["step"] - rungs[0]["step"]) / 2 + (steps - rungs[1]["step"]) / 4
    flops, rate = select("one", "SELECT (SELECT max(flops) FROM runs WHERE state = 'pending'), (SELECT sum(wall_seconds) / "
                         "sum(flops) FROM runs WHERE state = 'done')")[0]
    left = document("status", "pair", home="one")["experiments"][0]["seconds_left"]
    check(abs(left / (4 * trained / steps * flops * rate) - 1) < 1e-9, "time left", left, trained, flops, rate)
    run("run", pair, "--quiet", home="one", code=0)
    fit = run("fit", pair, "--details", home="one", code=0)
    check("6 runs were stopped by halving" in fit.out + fit.err and "early losses chose" in fit.out + fit.err, fit)
    check("single value of train.lr" not in fit.out, "the grid is that of the stopped runs, too", fit)
    check("stopped by halving at 0.25 of its steps" in fit.out, "why runs have no part", fit)
    report = document("report", halved, "-o", path_of("report.html"), home="one")
    check(any("stopped by halving" in finding["text"] for finding in report["findings"]), report["findings"])
    check(not any("not finished" in finding["text"] for finding in report["findings"]), report["findings"])


@case
def decisions_do_not_depend_on_slots_or_kills():
    def killed(home):
        for number in range(16):
            process = harness.start("run", halved, "--quiet", "--jobs", str(1 + number % 3), home=home)
            time.sleep(0.15 + 0.05 * (number % 5))
            process.send_signal([signal.SIGKILL, signal.SIGTERM][number % 2])
            process.communicate()
            if number % 4 == 0:
                kill_workers(home)
            if number > 6 and select(home, "SELECT count(*) FROM runs WHERE state = 'done'")[0][0] == 1:
                break
        run("run", halved, "--quiet", home=home, code=0)

    run("run", halved, "--quiet", "--jobs", "1", home="alone", code=0)
    run("run", halved, "--quiet", "--jobs", "8", home="beside", code=0)
    killed("killed")
    for home in ("alone", "beside", "killed"):
        check(decisions(home) == decisions("one"), f"the decisions of {home} are the same", decisions(home))
        losses = {i: row["loss"] for i, row in runs_of(home).items()}
        check(losses == {i: row["loss"] for i, row in runs_of("one").items()}, f"so are the losses of {home}")


@case
def a_run_without_halving_trains_the_rest():
    out = run("run", plain, "--quiet", home="one", code=0).out
    check("4 runs: 4 done (1 of them before)" in out, out)
    rows, whole = runs_of("one", plain), runs_of("whole", plain)
    check({i: row["loss"] for i, row in rows.items()} == {i: row["loss"] for i, row in whole.items()}, "to the bit")
    check(all(row["halved_at"] is None for row in rows.values()), rows)
    stopped = next(row[2] for row in decisions("alone") if row[8] == 0)
    log = open(path_of("one", "runs", stopped, "events.jsonl")).read()
    starts = [json.loads(line) for line in log.splitlines() if '"start"' in line]
    check(len(starts) == 2 and starts[1]["resumed_from"] > 0, "from its checkpoint", starts)


@case
def those_left_out_are_waited_for():
    done = run("run", halved, "--quiet", "--only", "train.lr < 0.02", home="only", code=1)
    check("wait at a rung of halving" in done.out and not decisions("only"), done)
    run("run", halved, "--quiet", home="only", code=0)
    check(decisions("only") == decisions("alone"), "then decided as ever")


@case
def diverged_runs_are_out():
    wild = write("wild.yaml", SPEC.replace("3e-2]", "100]").replace("evals: 10,", "evals: 10, clip_norm: 0, adam_eps: 1e-30,") + HALVING)
    run("run", wild, "--quiet", home="wild", code=0)
    for row in runs_of("wild", wild).values():
        check(row["state"] != "diverged" or row["halved_at"] is None, row)
    rows = select("wild", "SELECT r.state, h.kept, h.loss FROM halvings h JOIN runs r ON r.id = h.run WHERE rung = 1")
    check(len(rows) == 4 and sum(row[1] for row in rows) == 2, rows)
    check(all(row[1] == 0 for row in rows if row[0] == "diverged"), rows)


@case
def a_trainer_of_ones_own():
    own = SPEC.split("fit:")[0].replace("[1e-4, 1e-3, 1e-2, 3e-2]", "[1e-4, 1e-3]")\
        .replace("      train.lr", "      seed: [1, 2, 3, 4]\n      train.lr")
    command = f"trainer: {{command: [{sys.executable}, -S, -E, {FAKE}, '{{config}}', '{{folder}}'], version: '1'}}\n"
    spec = write("own.yaml", own + command + HALVING)
    out = run("plan", spec, home="own", code=0).out
    check("nobody is stopped there" in out and "the first is 10" in out, out)
    slow = json.dumps({"*": {"sleep": 0.03}})
    run("run", spec, "--quiet", home="own", code=0, FAKE=slow)
    states = select("own", "SELECT state, count(*) FROM runs GROUP BY state ORDER BY state")
    check(states == [("done", 4), ("killed", 4)], "of each pair one goes on", states)
    rows = select("own", "SELECT rung, step, loss_step, kept FROM halvings")
    check(len(rows) == 8 and all(row[2] and row[2] <= row[1] for row in rows), rows)
    deaf = json.dumps({"*": {"sleep": 0.01, "deaf": True}})
    done = run("run", spec, "--quiet", home="deaf", code=0, FAKE=deaf)
    check("8 runs: 8 done" in done.out, "one that ignores SIGTERM trains all to their ends", done)


# Losses of rates by seed: by seed 1 the first and the third are best, by seed 2 the second and the fourth, by the mean
# the second, then the first.
LOSSES = {1e-4: (2.0, 3.0), 1e-3: (2.3, 2.4), 1e-2: (2.1, 2.95), 3e-2: (2.6, 2.5)}
BY_SEED = write("by_seed.py", """
import json, os, sys
config, folder = json.load(open(sys.argv[1]))["config"], sys.argv[2]
loss = LOSSES[config["train.lr"]][config["seed"] - 1] + config["model.width"] / 1000
state = os.path.join(folder, "state")
begin = int(open(state).read()) if os.path.exists(state) else 0
import signal
stop = []
signal.signal(signal.SIGTERM, lambda *ignored: stop.append(1))
import time
def line(event, **fields): return json.dumps({"event": event, **fields}) + "\\n"
with open(os.path.join(folder, "events.jsonl"), "a", buffering=1) as events:
    events.write(line("start", resumed_from=begin, parameters={"non_embedding": 1000}))
    for step in range(begin + 1, 41):
        if step == 10 and os.environ.get("WILD") == "%g %d" % (config["train.lr"], config["seed"]):
            events.write(line("diverged", step=step, message="as asked"))
            sys.exit(0)
        events.write(line("eval", step=step, tokens=256 * step, loss=loss + 1 / step))
        events.write(line("step", step=step, tokens=256 * step, loss=loss))
        time.sleep(0.02)
        if stop:
            open(state, "w").write(str(step))
            events.write(line("stopped", step=step))
            sys.exit(0)
    events.write(line("done", step=40, tokens=256 * 40, loss=loss))
""".replace("LOSSES", repr(LOSSES)))
FLAT = write("mean.yaml", "law: mean\nformula: E\nparameters: {E: {starts: [4], low: 0}}\n")


WIDTHS = "[16, 32]"


def by_seed(name, rule, more=""):
    spec = SPEC.split("fit:")[0].replace("tiny", name).replace("[16]", WIDTHS).replace("      train.lr", "      seed: [1, 2]\n      train.lr")
    command = f"trainer: {{command: [{sys.executable}, -S, -E, {BY_SEED}, '{{config}}', '{{folder}}'], version: '1'}}\n"
    return write(name + ".yaml", spec + f"fit: {{law: {FLAT}, best_over: [train.lr], average_over: [seed], bootstrap: 0}}\n" + command +
                 f"run: {{halving: {{over: train.lr, keep: 1/2, at: [0.5]{rule}}}}}\n" + more)


@case
def means_over_seeds_are_decided_as_one():
    spec = by_seed("means", ", average_over: seed")
    out = run("plan", spec, home="means", code=0).out
    check("2 groups of 4 candidates (means over seed), after 0.5 of the steps 2 of each go on" in out and
          "saves" not in out, out)
    told = document("plan", spec, home="means")[0]["halving"]
    check((told["runs"], told["candidates"], told["average_over"]) == (8, 4, "seed"), told)
    out = run("run", spec, home="means", code=0)
    check("16 runs: 8 done, 8 stopped by halving" in out.out and "means over seed" in out.err, out)
    rows = document("runs", spec, home="means")
    done = sorted((row["train.lr"], row["seed"]) for row in rows if row["state"] == "done" and row["model.width"] == 16)
    check(done == [(1e-4, 1), (1e-4, 2), (1e-3, 1), (1e-3, 2)], "the best by the mean, with all their seeds", done)
    places = dict(select("means", "SELECT run, place FROM halvings"))
    check([places[row["id"]] for row in rows if row["seed"] == 1] == 2 * [2, 1, 3, 4] and
          all(places[a["id"]] == places[b["id"]] for a in rows for b in rows if a["train.lr"] == b["train.lr"]), places)
    fit = document("fit", spec, home="means")
    check(not any("edge" in warning for warning in fit[0]["warnings"]), "the grid is that of the stopped ones, too", fit[0]["warnings"])
    near(fit[0]["parameters"]["E"]["value"], 2.374, 1e-4, "the mean of 2.366 and 2.382, which are the best rates' means")
    said = run("fit", spec, "--details", home="means", code=0)
    check("8 runs were stopped by halving" in said.out + said.err and "of fewer rows" not in said.out + said.err, said)
    before = select("means", "SELECT * FROM halvings"), select("means", "SELECT sum(attempts) FROM runs")
    out = run("run", spec, "--quiet", home="means", code=0).out
    check("8 done (8 of them before), 8 stopped" in out and
          before == (select("means", "SELECT * FROM halvings"), select("means", "SELECT sum(attempts) FROM runs")), out)


@case
def a_rate_that_diverges_with_one_seed_comes_last():
    spec = by_seed("torn", ", average_over: seed")
    run("run", spec, "--quiet", home="torn", code=0, WILD="0.001 2")
    rows = {(row["train.lr"], row["seed"]): row for row in document("runs", spec, home="torn")
            if row["model.width"] == 16}
    done = sorted(key for key, row in rows.items() if row["state"] == "done")
    check(done == [(1e-4, 1), (1e-4, 2), (1e-2, 1), (1e-2, 2)], done)
    check(rows[1e-3, 2]["state"] == "diverged" and rows[1e-3, 1]["halved_at"] == 0.5, rows)


@case
def means_of_fits_want_means_in_halving():
    done = run("check", by_seed("apart", ""), home="bad", code=2)
    check("halving decides for each seed by itself" in done.err and "average_over: seed" in done.err, done)
    for rule, said in [(", average_over: train.lr", "is twice in"), (", average_over: sed", "did you mean"),
                       (", average_over: model.layers", "no axis of the sweep"), (", average_over: train.steps", "same steps")]:
        check(said in run("check", by_seed("apart", rule), home="bad", code=2).err, rule)
    uneven = by_seed("apart", ", average_over: seed").replace("apart.yaml", "uneven.yaml")
    with open(path_of("apart.yaml")) as file:
        text = file.read().replace("sweep:\n", "sweep:\n  - grid: {model.width: [16], seed: [3], train.lr: [1e-3]}\n")
    check("means over seed of 2 and of 3 runs" in run("plan", write("uneven.yaml", text), home="bad", code=2).err or
          "means over seed of 3 and of 2 runs" in run("plan", uneven, home="bad", code=2).err, "means of as many runs")


def refused(text, *said, command="check"):
    spec = write("bad.yaml", SPEC + text)
    done = run(command, spec, home="bad", code=2)
    check(all(word in done.err for word in said), text, done.err)


@case
def mistakes_have_their_places():
    line = SPEC.count("\n") + 1
    refused("run: {halving: 3}\n", f"bad.yaml:{line}:", "must be a mapping")
    refused("run: {halving: {over: train.lr}}\n", f"bad.yaml:{line}:16", "needs at")
    refused("run: {halving: {over: train.rl, at: 0.5}}\n", f"bad.yaml:{line}:23", "train.lr")
    refused("run: {halving: {over: model.layers, at: 0.5}}\n", "no axis of the sweep")
    refused("run: {halving: {over: seed, at: 0.5}}\n", "luckiest")
    refused("run: {halving: {over: train.steps, at: 0.5}}\n", "same steps")
    refused("run: {halving: {over: train.lr, at: [0.5, 0.25]}}\n", "ascend")
    refused("run: {halving: {over: train.lr, at: 1}}\n", "between 0 and 1")
    refused("run: {halving: {over: train.lr, at: 0.5, keep: 2/1}}\n", "keep")
    refused("run: {halving: {over: train.lr, at: 0.5, kep: 1/2}}\n", "did you mean 'keep'")
    refused("run: {halving: {over: train.lr, at: 0.001}}\n", "no evaluation", "train.evals")
    refused("run: {halving: {over: train.lr, at: [0.5, 0.501]}}\n", "no further evaluation")
    refused("run: {halving: {over: model.width, at: 0.5}}\n", f"bad.yaml:{line}:16")


harness.finish()
