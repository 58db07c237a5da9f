#!/usr/bin/env python3
"""The pages that teach: every command on them works, one after the other, as a reader would type them:
test_pages.py ISOLOSS ROOT. Prints TAP.

A command is an indented line that begins with `isoloss`, maybe behind `$ `. A block behind "Save as `NAME`:" is written into
that file first. The spec of the tutorial is made smaller and trains on a few texts of the test's own."""

import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import case, environment, finish, path_of, program  # noqa: E402

ROOT = os.path.abspath(sys.argv[2])
PAGES = ["tutorial.md", "how-to.md", "figures.md"]


def page(name):
    with open(os.path.join(ROOT, "docs", name), encoding="utf-8") as file:
        return file.read()


def steps(text):
    """What a reader does: ("file", name, content) and ("command", line), in order. Marked commands are left out."""
    lines, name = text.split("\n"), None
    i = 0
    while i < len(lines):
        saved = re.match(r"Save as `([^`]+)`", lines[i])
        name = saved.group(1) if saved else name
        if not lines[i].startswith("    "):
            i += 1
            continue
        block = []
        while i < len(lines) and (lines[i].startswith("    ") or not lines[i].strip()):
            block.append(lines[i][4:])
            i += 1
        if name:
            # The commands of a following block belong to themselves.
            content = "\n".join(block).split("\n\nisoloss ")[0]
            yield "file", name, content.rstrip() + "\n"
            block, name = "\n".join(block)[len(content):].split("\n"), None
        for line in block:
            command = re.match(r"(?:\$ )?((?:cd \S+ && )?(?:isoloss|gnuplot) .*?)(?:   +#.*)?$", line)
            if command and "SPEC" not in line and "TABLE" not in line:
                yield "command", command.group(1)


def small(spec):
    """The tutorial's spec at a size that trains in seconds."""
    changes = [("source: gcide, tokenizer: bytes", 'files: "../texts/*.txt"'),
               ("[1e6, 2e6, 4e6]", "[4e3, 8e3, 1.6e4]"), ("[1e6]", "[8e3]"), ("context: 128", "context: 32"),
               ("batch_tokens: 1024", "batch_tokens: 512"), ("eval_tokens: 16384", "eval_tokens: 1024"),
               ("final_eval_tokens: 131072", "final_eval_tokens: 2048"), ("bootstrap: 400", "bootstrap: 40")]
    for old, new in changes:
        assert old in spec, old
        spec = spec.replace(old, new)
    return spec


def make_reader():
    """A folder like a clone, with the programs on the PATH."""
    home = path_of("reader")
    shutil.copytree(os.path.join(ROOT, "experiments"), os.path.join(home, "experiments"))
    path = os.path.join(home, "experiments", "first-sweep.yaml")
    with open(path, encoding="utf-8") as file:
        spec = file.read()
    with open(path, "w", encoding="utf-8") as file:
        file.write(small(spec))
    os.makedirs(os.path.join(home, "texts"))
    for i in range(40):
        with open(os.path.join(home, "texts", f"{i}.txt"), "w", encoding="utf-8") as file:
            file.write("".join(f"Line {k} of text {i}, with a word or two about {k * i % 17}.\n" for k in range(60)))
    return home


def follow(home, name):
    told = []
    for step in steps(page(name)):
        if step[0] == "file":
            with open(os.path.join(home, step[1]), "w", encoding="utf-8") as file:
                file.write(step[2])
            continue
        # A claim of a small run may not hold (1); anything else is a mistake of the page.
        done = subprocess.run(["bash", "-c", step[1]], cwd=home, capture_output=True, text=True, errors="replace",
                              env={**environment, "PATH": os.path.dirname(program) + ":" + os.environ["PATH"],
                                   "ISOLOSS_HOME": os.path.join(home, "out")})
        assert done.returncode in (0, 1 if " fit " in step[1] else 0), (step[1], done.returncode, done.stdout, done.stderr)
        told.append(step[1])
    return told


reader = make_reader()


@case
def the_tutorial_is_followed():
    told = follow(reader, "tutorial.md")
    commands = " ".join(told)
    for word in ("check", "plan", "run", "fit", "report", "plot"):
        assert f"isoloss {word} " in commands, (word, told)
    assert os.path.exists(os.path.join(reader, "figures", "effective-parameters.pdf"))


@case
def the_recipes_work():
    told = follow(reader, "how-to.md")
    assert len(told) >= 14, told
    assert os.path.exists(os.path.join(reader, "best-model", "model.safetensors"))


@case
def figures_are_changed_by_hand():
    text = page("figures.md").replace("quickstart", "first-sweep")
    commands = [step[1] for step in steps(text) if step[0] == "command"]
    assert len(commands) >= 4, commands
    for command in commands:
        done = subprocess.run(["bash", "-c", command], cwd=reader, capture_output=True, text=True, errors="replace",
                              env={**environment, "PATH": os.path.dirname(program) + ":" + os.environ["PATH"],
                                   "ISOLOSS_HOME": os.path.join(reader, "out")})
        assert done.returncode == 0, (command, done.stderr)


@case
def links_lead_somewhere():
    """Every link of docs/ and the README between pages, and its heading."""
    def anchors(path):
        with open(path, encoding="utf-8") as file:
            return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-")
                    for title in re.findall(r"^#+ (.*)$", file.read(), re.M)}

    names = [os.path.join(ROOT, "README.md")] + [os.path.join(ROOT, "docs", name)
                                                 for name in os.listdir(os.path.join(ROOT, "docs"))
                                                 if name.endswith(".md")]
    broken = []
    for name in names:
        with open(name, encoding="utf-8") as file:
            text = file.read()
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            full = os.path.normpath(os.path.join(os.path.dirname(name), path)) if path else name
            if not os.path.exists(full) or (anchor and full.endswith(".md") and anchor not in anchors(full)):
                broken.append((os.path.relpath(name, ROOT), target))
        if len(text.split("\n")) > 401:
            broken.append((os.path.relpath(name, ROOT), "is longer than 400 lines"))
    assert not broken, broken


finish()
