# What a build without sentencepiece and KISS FFT says of specs that need them. The other build takes them.
#   test_without.py ISOLOSS-WITHOUT [ISOLOSS] [--kissfft ISOLOSS]
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import check, environment, finish, run, scratch, write  # noqa: E402

SPEC = """corpus: {files: [words.txt]%s}
base: {model: {context: 16, layers: 1, width: 32}, train: {batch_tokens: 256, steps: 20}}
sweep: {grid: {%s}}
"""
MESSAGE = ("isoloss was built without sentencepiece: install libsentencepiece-dev and call ./setup, or use "
           "corpus.tokenizer: bytes")
write("words.txt", "\n\n\n".join(f"Some words of document number {i}." for i in range(4000)))
write("bytes.yaml", SPEC % (", tokenizer: bytes", "seed: [1, 2]"))
write("base.yaml", SPEC % (", tokenizer: sentencepiece, vocabulary: 300", "seed: [1, 2]"))
write("foreign.yaml", SPEC % (", tokenizer: other.model", "seed: [1, 2]"))
write("other.model", "x")
write("swept.yaml", SPEC % ("", "corpus.tokenizer: [bytes, sentencepiece]"))

code, out, err = run("check", "bytes.yaml")
check((code, out, err) == (0, "2 runs, ok\n", ""), "a spec that needs no library is fine", code, out, err)
for name, place in [("base", "1:41"), ("foreign", "1:41"), ("swept", "3:42")]:
    for command in [["check"], ["plan"], ["plan", "--no-prepare"], ["run"]]:
        code, out, err = run(*command, name + ".yaml")
        check(code == 3 and not out and err.count(MESSAGE) == 1 and f"{name}.yaml:{place}: {MESSAGE}" in err
              and (command != ["check"] or len(err.splitlines()) == 1), f"{' '.join(command)}: {name}.yaml is refused where it asks for the library",
              code, out, err)
code, out, err = run("check", "bytes.yaml", "base.yaml", "--json")
listed = json.loads(out)
check(code == 3 and err == "" and [item["ok"] for item in listed] == [True, False] and MESSAGE in listed[1]["error"],
      "check --json says so too", code, out, err)
code, out, err = run("check", "bytes.yaml", "--set", "corpus.tokenizer=sentencepiece")
check(code == 3 and "corpus.tokenizer" in err and err.count(MESSAGE) == 1, "check --set", code, out, err)

# KISS FFT, whatever the sizes: 'fast' is refused where it would be a product, too, and 'product' never.
TRANSFORM = "isoloss was built without KISS FFT: install libkissfft-dev and call ./setup, or use train.dct: product"
for name, value in [("product", "[product]"), ("fast", "[fast]"), ("both", "[product, fast]")]:
    write(name + ".yaml", SPEC % ("", "train.optimizer: [trion], train.dct: " + value))
code, out, err = run("check", "product.yaml")
check((code, out, err) == (0, "1 run, ok\n", ""), "a product needs no library", code, out, err)
for name in ["fast", "both"]:
    for command in [["check"], ["plan"], ["run"]]:
        code, out, err = run(*command, name + ".yaml")
        check(code == 3 and not out and err.count(TRANSFORM) == 1 and f"{name}.yaml:3:" in err,
              f"{' '.join(command)}: {name}.yaml is refused where it asks for KISS FFT", code, out, err)
if "--kissfft" in sys.argv:
    place = sys.argv.index("--kissfft")
    with_library = sys.argv[place + 1]
    del sys.argv[place:]
    for name in ["fast", "both"]:
        done = subprocess.run([os.path.abspath(with_library), "check", name + ".yaml"], cwd=scratch, env=environment,
                              capture_output=True, text=True)
        check(done.returncode == 0, f"the other build takes {name}.yaml", done.stdout, done.stderr)

if len(sys.argv) > 2:
    for name in ["base", "swept"]:
        done = subprocess.run([os.path.abspath(sys.argv[2]), "check", name + ".yaml"], cwd=scratch, env=environment,
                              capture_output=True, text=True)
        check(done.returncode == 0, f"the other build takes {name}.yaml", done.stdout, done.stderr)
finish()
