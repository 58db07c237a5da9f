"""Somebody's own trainer, for the coordinator's tests: fake_trainer.py CONFIG FOLDER.

Writes events as docs/events.md says, with losses that follow from seed and step alone, and resumes from a checkpoint of
its own. FOLDER/steps-trained gets a line for every step. What it does wrong is told by the environment variable FAKE: a
JSON object from seed ("*": every seed) to {"sleep": seconds a step, "crash_at": step, "crash_always": true, "exit": code,
"message": text, "diverge_at": step, "deaf": true (ignores SIGTERM), "torn": true (dies in the middle of a line), "mute":
true (no done event), "last": text (these bytes in its place), "flood": bytes without a line end that it writes, then {"late": true} one and an end, "at_once": true (fails before its first step), "asked_at":
steps at which SIGTERM ends it ({"by_shell": true}: it ends with 143, as a shell tells that), "nan": true, "junk": lines that are no events, twice as
many, behind each of the first; "fill": bytes that it puts on the disk (and says
when it cannot, unless {"silent": true}); "leaves": [closes, ...]: children in
sessions of their own that live for a minute; "silent_at": step after which its first worker is
silent for {"silence": seconds}; "share": runs that may be on its GPU
at a time, itself included (more: it fails, as for want of memory)}. Which GPU it was given (CUDA_VISIBLE_DEVICES) goes to
HOME/gpus/used, a line a start.
"""
import atexit
import json
import os
import signal
import subprocess
import sys
import time

config_path, folder = sys.argv[1], sys.argv[2]
config = json.load(open(config_path))["config"]
seed, steps = config["seed"], config["train.steps"]
plan = json.loads(os.environ.get("FAKE", "{}"))
fault = plan.get(str(seed), plan.get("*", {}))
events = os.open(os.path.join(folder, "events.jsonl"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
state_path = os.path.join(folder, "state")
stopping = False


def event(name, **fields):
    os.write(events, (json.dumps({"event": name, **fields}) + "\n").encode())


def stop(*_):
    global stopping
    stopping = True


signal.signal(signal.SIGTERM, signal.SIG_IGN if fault.get("deaf") else stop)
gpu = os.environ.get("CUDA_VISIBLE_DEVICES")
if gpu is not None:
    place = os.path.join(folder, "..", "..", "gpus", gpu)
    os.makedirs(place, exist_ok=True)
    mine = os.path.join(place, str(os.getpid()))
    open(mine, "w").close()
    atexit.register(lambda: os.path.exists(mine) and os.remove(mine))
    sharing = len([pid for pid in os.listdir(place) if os.path.exists(f"/proc/{pid}")])
    with open(os.path.join(place, "..", "used"), "a") as used:
        used.write(f"{gpu} {seed} {sharing}\n")
    if sharing > fault.get("share", 1000):
        print(f"out of memory: {sharing} runs on GPU {gpu}")
        sys.exit(3)
first_try = not os.path.exists(os.path.join(folder, "tried"))
open(os.path.join(folder, "tried"), "a").close()
if fault.get("at_once"):
    print("cannot find the device")
    if fault.get("message"):
        event("failed", message=fault["message"])
    sys.exit(fault.get("exit", 3))
step = int(open(state_path).read()) if os.path.exists(state_path) else 0
event("start", trainer="fake 1", pid=os.getpid(), host="here", resumed_from=step, steps=steps, backend="cpu",
      gemm=os.environ.get("GEMM", "none"), dtype="float32", new_field={"a": [1, 2]})
event("surprise", what="an event nobody knows")
for closes in fault.get("leaves", []):
    # A child in a session of its own, that may close all that it inherits.
    subprocess.Popen([sys.executable, "-S", "-E", "-c", f"import os, time; {closes} and os.closerange(0, 99); "
                      "time.sleep(60)"], start_new_session=True, close_fds=False)
loss = 2 + 1 / (step + seed + 1)
for _ in range(fault.get("flood", 0) // 1_000_000):
    os.write(events, b"a" * 1_000_000)
if "flood" in fault:
    time.sleep(fault.get("sleep", 0))
    if fault.get("late"):
        os.write(events, b"\n")
        event("failed", message="a line too long")
    sys.exit(fault.get("exit", 1))
for _ in range(fault.get("junk", 0)):
    os.write(events, b"this is no event\n[1, 2]\n")
if "fill" in fault:
    try:
        with open(os.path.join(folder, "ballast"), "wb", buffering=0) as ballast:
            for _ in range(fault["fill"] // 4096):
                ballast.write(b"b" * 4096)
    except OSError:
        if not fault.get("silent"):
            raise
        sys.exit(1)
while step < steps:
    time.sleep(fault.get("sleep", 0))
    if step == fault.get("silent_at") and first_try:
        time.sleep(fault.get("silence", 60))
    step += 1
    loss = 2 + 1 / (step + seed + 1)
    with open(os.path.join(folder, "steps-trained"), "a") as trained:
        trained.write(f"{step}\n")
    if fault.get("nan") and step == steps:
        loss = float("nan")
    event("step", step=step, tokens=16 * step, loss=loss, lr=0.1, grad_norm=1.0, seconds=0.1 * step)
    if step % 5 == 0:
        event("eval", step=step, tokens=16 * step, loss=loss + 0.5)
        with open(state_path + ".tmp", "w") as state:
            state.write(str(step))
        os.rename(state_path + ".tmp", state_path)
        event("checkpoint", step=step, path="state")
    if step == fault.get("diverge_at"):
        event("diverged", step=step, loss=None, message="the loss is not finite")
        sys.exit(0)
    if step == fault.get("crash_at") and (first_try or fault.get("crash_always")):
        if fault.get("torn"):
            os.write(events, b'{"event":"step","step":9')
        print("something went wrong\nin two lines")
        if "exit" in fault:
            event("failed", message=fault.get("message", "no reason"))
            sys.exit(fault["exit"])
        os.kill(os.getpid(), signal.SIGKILL)
    asked = open(os.path.join(folder, "tried"), encoding="utf-8").read().split()
    if asked.count(str(step)) < fault.get("asked_at", []).count(step):
        with open(os.path.join(folder, "tried"), "a", encoding="utf-8") as tried:
            tried.write(f"{step}\n")
        if fault.get("by_shell"):
            sys.exit(128 + signal.SIGTERM)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
    if stopping:
        event("stopped", step=step, tokens=16 * step)
        sys.exit(1)
if "last" in fault:  # these bytes in place of 'done'
    os.write(events, fault["last"].encode())
elif "done_loss" in fault:  # a 'done' that says another loss, or with [] none
    event("done", step=steps, **({} if fault["done_loss"] == [] else {"loss": fault["done_loss"]}))
elif not fault.get("mute"):
    event("done", step=steps, tokens=16 * steps, targets=16 * steps, loss=loss, wall_seconds=1.5, peak_memory=1e6)
