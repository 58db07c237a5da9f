"""isoloss top: one picture where the output is no terminal, pictures over each other where it is.

test_top.py ISOLOSS: ISOLOSS is the front; isoloss-train stands beside it. Prints TAP.
"""
import contextlib
import fcntl
import json
import os
import pty
import re
import select as polling
import signal
import sqlite3
import struct
import sys
import termios
import time

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import case, check, environment, finish, path_of, program, run, select, start, write  # noqa: E402

FAKE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fake_trainer.py")
spec = write("tiny.yaml", f"""experiment: tiny
corpus: {{source: markov2}}
base:
  model: {{layers: 1, width: 16, context: 32}}
  train: {{batch_tokens: 256}}
sweep:
  - grid: {{train.steps: [64], seed: [1, 2, 3]}}
trainer: {{command: [{sys.executable}, -S, -E, {FAKE}, '{{config}}', '{{folder}}'], version: '1'}}
""")
FAULTS = json.dumps({"1": {"sleep": 1.5}, "2": {"sleep": 1.5}, "3": {"crash_at": 2, "crash_always": True, "exit": 1,
                                                                "message": "why \x1b[31mred"}})


def on_terminal(rows, columns, keys, seconds=3, **variables):
    """What it draws within `seconds` on a terminal of this size; then `keys` are pressed. (screen, exit code, settings)"""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(program, [program, "top", "--interval", "0.3"],
                  {**environment, "ISOLOSS_HOME": path_of("home"), "TERM": "xterm", "LANG": "C.UTF-8", **variables})
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    drawn, end, pressed = b"", time.time() + seconds, False
    while True:
        if polling.select([terminal], [], [], 0.1)[0]:
            try:
                got = os.read(terminal, 65536)
            except OSError:  # it has ended
                break
            drawn += got
        if time.time() > end and not pressed:
            if isinstance(keys, bytes):
                os.write(terminal, keys)
            else:
                os.kill(pid, keys)
            pressed = True
        if time.time() > end + 20:
            os.kill(pid, signal.SIGKILL)
    return drawn.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


check("nothing has run yet" in run("top", code=3).err, "no store")
sweep = start("run", spec, "--jobs", "3", "--retries", "0", "-q", FAKE=FAULTS)
end = time.time() + 60
while time.time() < end:
    time.sleep(0.2)
    with contextlib.suppress(sqlite3.OperationalError):  # no store yet
        counts = dict(select("home", "SELECT state, count(*) FROM runs GROUP BY 1"))
        if counts.get("failed") == 1 and counts.get("running") == 2 and select("home", "SELECT min(step) > 2 FROM runs WHERE state = 'running'")[0][0]:
            break


@case
def plain_when_piped():
    out = run("top", code=0).out
    check("\x1b" not in out and "tiny: 0 of 3 done, 2 at work, 1 failed" in out, out)
    check(re.search(r"^run +step +loss +loss so far +tokens/s +left +since +node$", out, re.M), out)
    rows = re.findall(r"^([0-9a-f]{8}) +(\d+)/64 +([\d.]+) +(\S+)", out, re.M)
    check(len(rows) == 2 and all(2 < int(row[1]) < 64 for row in rows), out)
    check(re.search(r"failed [0-9a-f]{8}  why \\x1b\[31mred", out), out)
    plain = run("top", "tiny", "--once", code=0, LC_ALL="C").out
    check("▁" not in plain and "tiny: 0 of 3" in plain, plain)
    check("did you mean 'tiny'?" in run("top", "tinny", code=2).err, "a name that is none")
    check("0.1 to 3600" in run("top", "--interval", "0", code=2).err, "interval")


@case
def drawn_over_on_a_terminal():
    drawn, code = on_terminal(30, 60, b"q")
    check(code == 0 and drawn.startswith("\x1b[?1049h\x1b[?25l") and drawn.endswith("\x1b[?25h\x1b[?1049l"), code, drawn[-300:])
    pictures = drawn.split("\x1b[H")[1:]
    check(len(pictures) > 3 and all("tiny: 0 of 3 done" in picture for picture in pictures[:-1]), len(pictures), drawn[:500])
    lines = [line for line in pictures[1].replace("\x1b[J", "").replace("\x1b[K", "").replace("\r", "").split("\n")]
    check(max(map(len, lines)) <= 60, lines)
    # Of more runs than lines it says how many.
    drawn, code = on_terminal(9, 80, b"q")
    check(code == 0 and "and 1 more at work" in drawn, drawn[:800])
    drawn, code = on_terminal(30, 80, signal.SIGINT, seconds=1)
    check(code == 0 and drawn.endswith("\x1b[?25h\x1b[?1049l"), "Ctrl-C puts the terminal back", code, drawn[-200:])


sweep.send_signal(signal.SIGINT)
sweep.communicate(timeout=60)
check("no run is at work" in run("top").out, "after the end")
finish()
