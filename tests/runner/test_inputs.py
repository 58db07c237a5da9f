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


SECRET = "hunter2"


@case
def what_stands_in_files_is_not_quoted():
    """Files that may be anybody's: what is wrong with them is told by line, column and kind, not by what stands there."""
    text = f"{{\"password\": {SECRET}}}\n"
    tokens = write("secret.txt", f"{SECRET}\n0.5\n")
    document = write("secret.json", text)
    vocabulary = write("secret.model", text)
    array = write("secret.npy", f"NUMPY{text}")
    os.makedirs(path_of("saved", "checkpoints", "step-1"))
    for name in ["config.json", "checkpoints/step-1/model.safetensors", "checkpoints/step-1/state.bin",
                 "checkpoints/step-1/checksums.xxh128", "checkpoints/step-1/config.json"]:
        write(os.path.join("saved", name), text)
    header = text.encode()
    with open(path_of("saved", "checkpoints", "step-1", "model.safetensors"), "wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
    os.makedirs(path_of("exported"))
    write("exported/isoloss.json", text)
    folder, exported = path_of("saved"), path_of("exported")
    spec = {name: write(f"secret-{name}.yaml", f"experiment: odd\n{corpus}\n{BASE}{more}") for name, corpus, more in [
        ("format", "corpus: {source: markov2}", f"sweep: {{grid: {{format: ['grid({tokens})']}}}}\n"),
        ("vocabulary", f"corpus: {{files: {table}, tokenizer: {vocabulary}}}", ""),
        ("array", f"corpus: {{files: {array}, tokenizer: uint16, vocabulary: 300}}", "")]}
    calls = [["train", document], ["evaluate", folder], ["generate", folder], ["export", folder, "--to", path_of("to")],
             ["evaluate", exported], ["generate", exported], ["capacity", f"grid({tokens})"],
             ["fit", table, "--law", "chinchilla", "--score", document], ["predict", document, "--at", "N=1,D=1"],
             ["check", spec["format"]], ["plan", spec["vocabulary"]], ["plan", spec["array"]]]
    for arguments in calls:
        done = run(*arguments, timeout=60)
        check(done.code in (2, 3), arguments, done)
        check(SECRET not in done.out + done.err, arguments, done)


@case
def the_trainer_takes_no_folder():
    done = run(path_of("odd", "folder.yaml"), program=os.path.join(os.path.dirname(harness.program), "isoloss-train"))
    check(done.code == 2 and "is a folder: a file is needed there" in done.err, done)
    done = run(write("broken.json", "{"), program=os.path.join(os.path.dirname(harness.program), "isoloss-train"))
    check(done.code == 2 and "no JSON, as a run's config.json is" in done.err, done)


@case
def a_source_beside_files_is_told():
    spec = write("both.yaml", f"experiment: both\ncorpus: {{source: gcide, files: {table}}}\n{BASE}")
    done = run("check", spec)
    check("both.yaml:2:18: warning: corpus.source gcide is not used" in done.err, done)
    spec = write("files.yaml", f"experiment: both\ncorpus: {{files: {table}}}\n{BASE}")
    check("corpus.source" not in run("check", spec).err, "nothing to tell")


finish()
