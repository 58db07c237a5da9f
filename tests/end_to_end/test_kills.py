"""Kills change no bit: SIGKILL of the coordinator, of a worker, of all at once, SIGTERM, and SIGKILL of `isoloss data
prepare`, in turn and at random moments, again and again, until what was begun is whole.

test_kills.py ISOLOSS [KILLS [KIND]]: so many (30), of which the test makes a fifth each. KIND of the sweep: plain; chains,
trainings that share trunks and stages that follow them; stages, all there are; halving. Prints TAP.
"""
import contextlib
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(sys.path[0], ".."))
import harness  # noqa: E402
from harness import case, check, finish, path_of, run, select, write  # noqa: E402

KILLS = int(sys.argv[2]) if len(sys.argv) > 2 else 30
chance = random.Random(KILLS)
words = ["".join(chance.choice("abcdefghijklm") for _ in range(chance.randint(2, 9))) for _ in range(2000)]
text = write("text.txt", "\n\n".join(" ".join(chance.choices(words, k=20)) for _ in range(20000)))
KINDS = {"plain": ("", "model.width: [16, 32], format: [none, w4a4], train.steps: [400]", ""),
         "chains": (", schedule: wsd, warmup_steps: 10", "model.width: [16, 32], train.steps: [240, 400]",
                    "stages: {compress: [none, {method: rtn, bits: 4}], evaluate: {}}\n"),
         "stages": ("", "model.width: [16], train.steps: [240]", """stages:
  plant_outliers: [none, {channels: 1, gain: 4}]
  data:
    - {select: random, fraction: 0.2, pool_tokens: 16384}
    - {select: influence_round_robin, fraction: 0.2, pool_tokens: 16384, target: "markov2:2", targets: 16, landmarks: 64,
       dimensions: 512, where: plant_outliers.channels == 0}
  train: [{steps: 60}, {steps: 60, weights: initial, where: plant_outliers.channels == 0}]
  compress: [none, {method: gptq, bits: 3, calibration_tokens: 4096}, {method: elsa, sparsity: 0.5, steps: 40}]
  evaluate: {tokens: 2048, prompts: 2}
"""),
         "halving": ("", "model.width: [16, 32], train.steps: [400], train.lr: [1e-4, 1e-3, 3e-3, 1e-2]",
                     "run: {halving: {over: train.lr, keep: 1/2, at: [0.25, 0.5]}}\n")}
KIND = sys.argv[3] if len(sys.argv) > 3 else "plain"
settings, grid, more = KINDS[KIND]
corpus = '{mixture: "0.7 markov2:1 + 0.3 markov2:2", markov2_vocabulary: 8}' if KIND == "stages" else f"{{files: {text}}}"
spec = write("killed.yaml", f"""experiment: killed
corpus: {corpus}
base:
  model: {{layers: 1, context: 32, dtype: float32}}
  train: {{batch_tokens: 256, evals: 8, eval_tokens: 1024, final_eval_tokens: 2048, checkpoint_steps: 20, log_steps: 5{settings}}}
sweep:
  - grid: {{{grid}}}
{more}""")
RUN = ["run", spec, "--quiet", "--retries", "1000", "--jobs", "2"]


def digest(path):
    return hashlib.sha256(open(path, "rb").read()).hexdigest()


def result(home):
    """All that must not depend on interruptions: losses, every point, the weights."""
    weights = {}
    for run_id, checkpoint in select(home, "SELECT id, checkpoint FROM runs WHERE state = 'done' AND checkpoint IS NOT NULL"):
        weights[run_id] = digest(path_of(home, "runs", run_id, checkpoint, "model.safetensors"))
    return (select(home, "SELECT id, state, loss, step, halved_at FROM runs ORDER BY id"),
            select(home, "SELECT run, kind, step, tokens, loss, lr, gradient_norm FROM metrics ORDER BY 1, 2, 3"), weights,
            select(home, "SELECT * FROM layers ORDER BY 1, 2, 3"),
            select(home, "SELECT competition, rung, run, step, loss_step, loss, place, kept FROM halvings ORDER BY 1, 2, 3"))


def corpora(cache):
    """The files of prepared corpora, and anything else that lies about."""
    found = {}
    for folder, _, names in os.walk(os.path.join(cache, "isoloss")):
        for name in names:
            path = os.path.join(folder, name)
            found[os.path.relpath(path, cache)] = digest(path) if name.endswith(".tokens") else None
    return found


def workers(home):
    """Processes started for the home's runs."""
    wanted = b"ISOLOSS_RUN=" + os.path.realpath(path_of(home, "runs")).encode()
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if wanted in open(f"/proc/{pid}/environ", "rb").read():
                found.append(int(pid))
    return found


def end(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        return True
    return False


def start(home):
    return subprocess.Popen([harness.program, *RUN], env={**harness.environment, "ISOLOSS_HOME": path_of(home)},
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


began = time.monotonic()
check(run(*RUN, home="whole").code == 0, "an undisturbed sweep")
whole, whole_seconds = result("whole"), time.monotonic() - began
whole_corpora = corpora(path_of("cache"))
kinds = ["coordinator", "worker", "both", "stop"]
made = dict.fromkeys([*kinds, "prepare"], 0)
sweeps = again = 0


@case
def sweeps_that_are_killed():
    process, home, kind = None, "home-0", 0

    def compare():
        global sweeps, again
        got = result(home)
        for what, now, before in zip(("runs", "points", "weights", "layers", "decisions"), got, whole):
            check(now == before, f"sweep {sweeps} after {made}: other {what}", now, before)
        again += select(home, "SELECT sum(attempts - 1) FROM runs")[0][0]
        shutil.rmtree(path_of(home))
        sweeps += 1

    while sum(made[k] for k in kinds) < KILLS * 4 // 5:
        if process is None:
            process = start(home)
        time.sleep(chance.uniform(0, 0.4 * whole_seconds if chance.random() < 0.7 else 0.1))
        if process.poll() is not None:
            check(process.returncode == 0, f"isoloss run ends with {process.returncode} after {made}")
            process = None
            if os.path.exists(path_of(home, "isoloss.db")):
                compare()
            home = f"home-{sweeps}"
            continue
        at_work, now = workers(home), kinds[kind % 4]
        if now in ("worker", "both") and not at_work:
            continue
        if now == "worker":
            made[now] += end(chance.choice(at_work))
        else:
            process.send_signal(signal.SIGTERM if now == "stop" else signal.SIGKILL)
            if now == "both":
                for pid in at_work:
                    end(pid)
            process.wait(timeout=120)
            process = None
            made[now] += 1
        kind += 1
    if process is None:
        process = start(home)
    check(process.wait(timeout=300) == 0, f"isoloss run ends with {process.returncode} after all")
    compare()
    check(again >= KILLS // 4, f"runs were started again {again} times only")


def a_corpus_whose_preparation_is_killed():
    cache, seconds = path_of("cache-0"), 1.0
    number = 0
    while made["prepare"] < KILLS - KILLS * 4 // 5:
        began = time.monotonic()
        process = subprocess.Popen([harness.program, "data", "prepare", spec], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, env={**harness.environment, "XDG_CACHE_HOME": cache})
        last = chance.random() < 0.3  # what earlier kills left does not hinder this one
        try:
            process.wait(timeout=300 if last else chance.uniform(0, seconds))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            made["prepare"] += 1
            continue
        seconds = time.monotonic() - began
        check(process.returncode == 0, f"prepare {number} ends with {process.returncode}")
        got = corpora(cache)
        check({k: v for k, v in got.items() if v} == {k: v for k, v in whole_corpora.items() if v}, "other tokens", got)
        left = [path for path in got if path not in whole_corpora and os.path.basename(path) != "verified"]
        check(not left, "left behind", left)
        shutil.rmtree(cache)
        number += 1
        cache = path_of(f"cache-{number}")
    check(run("data", "prepare", spec, XDG_CACHE_HOME=cache).code == 0, "after all")
    check({k for k, v in corpora(cache).items() if v} == {k for k, v in whole_corpora.items() if v}, "files at the end")


if KIND == "plain":
    case(a_corpus_whose_preparation_is_killed)
print(f"# {KIND}, kills: " + ", ".join(f"{kind} {count}" for kind, count in made.items()) + f"; {sweeps} sweeps compared, in which runs were "
      f"started again {again} times")
finish()
