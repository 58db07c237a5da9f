"""A worker that the system kills for want of memory, in a control group of its own: named as such, and what else runs goes on.

test_memory.py ISOLOSS: ISOLOSS is the front. Skipped where no control group of memory can be made (that needs root). Prints
TAP.
"""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(sys.path[0], ".."))
import harness  # noqa: E402
from harness import case, check, finish, path_of, run, select, write  # noqa: E402

LIMIT = 60_000_000
TRAINER = """import os, sys
if sys.argv[1] == "1":
    greedy = bytearray(8 * %d)
with open(os.environ["ISOLOSS_EVENTS"], "a") as log:
    log.write('{"event": "done", "loss": 3, "tokens": 160}\\n')
""" % LIMIT
SPEC = """experiment: greedy
base: {model: {layers: 1, width: 16, context: 16}, train: {batch_tokens: 16, steps: 10}}
sweep: {grid: {seed: [1, 2]}}
trainer: {command: [python3, -S, -E, TRAINER, "{seed}"]}
"""


def control_group():
    """A new control group below ours, with a limit of memory; None where there can be none."""
    for line in open("/proc/self/cgroup"):
        _, controllers, path = line.strip().split(":", 2)
        name = f"isoloss-test-{os.getpid()}"
        if controllers == "memory":
            folder, limit, swap = f"/sys/fs/cgroup/memory{path}/{name}", "limit_in_bytes", "memsw.limit_in_bytes"
        elif controllers == "":
            folder, limit, swap = f"/sys/fs/cgroup{path}/{name}", "max", "swap.max"
        else:
            continue
        try:
            os.mkdir(folder)
        except OSError:
            continue
        try:
            with open(f"{folder}/memory.{limit}", "w") as file:
                file.write(str(LIMIT))
            if os.path.exists(f"{folder}/memory.{swap}"):
                with open(f"{folder}/memory.{swap}", "w") as file:
                    file.write(str(LIMIT if controllers else 0))
            return folder
        except OSError:
            os.rmdir(folder)
    return None


@case
def a_kill_for_memory_is_named():
    folder = control_group()
    if not folder:
        return "no control group of memory can be made here"
    spec = write("greedy.yaml", SPEC.replace("TRAINER", write("greedy.py", TRAINER)))
    try:
        variables = {**harness.environment, "ISOLOSS_HOME": path_of("home")}
        done = subprocess.run(["sh", "-c", f'echo $$ > {folder}/cgroup.procs && exec "$@"', "sh", harness.program, "run", spec,
                               "--jobs", "1", "--retries", "0"], env=variables, capture_output=True, text=True, timeout=100)
    finally:
        os.rmdir(folder)
    check(done.returncode == 1, done)
    said = "killed by signal 9 (Killed), probably for memory: the system killed a process for want of it meanwhile"
    check(said in done.stderr, done)
    states = dict(select("home", "SELECT json_extract(config, '$.seed'), state FROM runs"))
    check(states == {1: "failed", 2: "done"}, states)
    for command in (["status"], ["runs", spec, "--columns", "message"]):
        check("probably for memory" in run(*command).out, command, run(*command))


finish()
