"""Prepared corpora whose content changed: noticed before anything is trained, once for each change.

test_corpora.py ISOLOSS: ISOLOSS is the front; isoloss-train stands beside it. Prints TAP.
"""
import glob
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(sys.path[0], ".."))
import harness  # noqa: E402
from harness import case, check, finish, path_of, run, select, start, write  # noqa: E402

random.seed(1)
words = ["".join(random.choice("abcdefghij") for _ in range(random.randint(2, 7))) for _ in range(300)]
text = write("text.txt", "\n\n".join(" ".join(random.choices(words, k=12)) for _ in range(1500)))
spec = write("own.yaml", f"""experiment: own
corpus: {{files: {text}}}
base:
  model: {{layers: 1, context: 32, head_dim: 16, dtype: float32, width: 16}}
  train: {{batch_tokens: 512, tokens: 5120, evals: 2, eval_tokens: 1024, final_eval_tokens: 2048}}
""")


def tokens(split="train"):
    return glob.glob(path_of("cache", "isoloss", "corpora", "*", f"{split}.tokens"))[0]


def change(path, keep_times=False):
    """Another token in the place of one of the same text; the header and the size stay."""
    times = os.stat(path)
    with open(path, "r+b") as file:
        file.seek(4096 + 40)
        byte = file.read(1)[0]
        file.seek(4096 + 40)
        file.write(bytes([byte ^ 1]))
    if keep_times:
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@case
def content_is_looked_at_once():
    check(run("run", spec, "-q").code == 0, "run")
    remembered = os.path.join(os.path.dirname(tokens()), "verified")
    before = os.stat(remembered)
    check(run("run", spec, "-q", "--set", "seed=1").code == 0, "again")
    after = os.stat(remembered)
    check((before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns), "it was read again")


@case
def changed_content_stops_the_run():
    for split, keep_times in [("train", False), ("train", True), ("validation", False)]:
        change(tokens(split), keep_times)
        done = run("run", spec, "-q", "--set", "seed=2", home="changed")
        check(done.code == 3 and f"{tokens(split)} is damaged" in done.err and "isoloss data prepare" in done.err, done)
        check(not os.path.exists(path_of("changed", "runs")), "something was trained")
        change(tokens(split))  # back again
        check(run("run", spec, "-q", "--set", "seed=2", home=f"back-{split}-{keep_times}").code == 0, "changed back")


@case
def a_run_does_not_go_on_with_another_corpus():
    longer = ["run", spec, "-q", "--set", "train.tokens=2048000", "--set", "train.checkpoint_steps=20"]
    process = start(*longer, home="resumed")
    logs = path_of("resumed", "runs", "*", "checkpoints", "step-*")
    while not glob.glob(logs) and process.poll() is None:
        time.sleep(0.01)
    process.terminate()
    process.communicate()
    change(tokens())
    done = run(*longer, home="resumed")
    check(done.code == 3 and f"{tokens()} is damaged" in done.err, done)
    check(select("resumed", "SELECT state FROM runs") == [("killed",)], "state")
    change(tokens())
    check(run(*longer, home="resumed").code == 0, "changed back")
    check(select("resumed", "SELECT state, attempts FROM runs") == [("done", 2)], "it went on")


@case
def files_that_are_not_what_their_header_says_are_made_again():
    whole = open(tokens(), "rb").read()
    for seed, content in enumerate([whole[:-8], whole + b"more", b""]):
        with open(tokens(), "wb") as file:
            file.write(content)
        check(run("run", spec, "-q", "--set", f"seed={seed}", home="made").code == 0, len(content))
        check(open(tokens(), "rb").read() == whole, "another file")
    check(select("made", "SELECT DISTINCT state FROM runs") == [("done",)], "states")


finish()
