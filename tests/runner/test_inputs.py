"""Folders, devices and pipes where a file is needed are refused at once, with one message and exit code 2.

test_inputs.py ISOLOSS: ISOLOSS is the front. Prints TAP.
"""
import os
import sys

sys.path.insert(0, os.path.join(sys.path[0], ".."))
import harness  # noqa: E402
from harness import case, check, finish, path_of, run, write  # noqa: E402

os.makedirs(path_of("odd"))
KINDS = {"a pipe": path_of("odd", "pipe.yaml"), "a device": "/dev/zero", "a folder": path_of("odd", "folder.yaml")}
os.mkfifo(KINDS["a pipe"])
os.mkdir(KINDS["a folder"])
table = write("table.csv", "N,D,loss\n" + "".join(f"{n}e6,{d}e7,{2 + 1 / n + 1 / d}\n" for n in (1, 3, 9) for d in (1, 4, 9)))
BASE = "base: {model: {layers: 1, context: 16, head_dim: 16, width: 16}, train: {tokens: 16000, batch_tokens: 160}}\n"


def refuses(kind, path, *arguments):
    done = run(*arguments, timeout=20)
    check(done.code == 2, (arguments, done))
    check(f"{path} is {kind}: a file is needed there" in done.err + done.out, (arguments, done))
    check(done.err.count("isoloss:") <= 1, done.err)


def named(kind, suffix):
    """The thing under a name as specs, laws, tables and vocabularies have it."""
    path = path_of("odd", kind.split()[1] + "-link" + suffix)
    if not os.path.lexists(path):
        os.symlink(KINDS[kind], path)
    return path


@case
def specs_tables_and_laws():
    for kind in KINDS:
        spec, csv = named(kind, ".yaml"), named(kind, ".csv")
        for command in ["check", "plan", "run", "runs", "status", "fit", "report"]:
            refuses(kind, spec, command, spec)
        refuses(kind, spec, "fit", table, "--law", spec)
        for arguments in [["fit", csv, "--law", "chinchilla"], ["import", csv, "--as", "odd"], ["isoflop", csv],
                          ["predict", csv, "--law", "chinchilla", "--at", "N=1e9,D=1e10"]]:
            refuses(kind, csv, *arguments)


@case
def texts_tokens_and_vocabularies():
    for kind, path in KINDS.items():
        for corpus in [f"files: {path}", f"files: {path}, tokenizer: uint16, vocabulary: 100",
                       f"files: {table}, tokenizer: {named(kind, '.model')}"]:
            spec = write("corpus.yaml", f"experiment: odd\ncorpus: {{{corpus}}}\n{BASE}")
            done = run("run", spec, timeout=20)
            told = kind in done.err or "without sentencepiece" in done.err
            check(done.code == 2 and told, (corpus, done))


finish()
