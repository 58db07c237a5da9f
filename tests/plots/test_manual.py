#!/usr/bin/env python3
"""The manual page names every command and option; the shell completion offers them: test_manual.py ISOLOSS DOCS."""

import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import case, finish, program, run  # noqa: E402

DOCS = os.path.abspath(sys.argv[2])


def output(*arguments):
    return run(*arguments, code=0).out


def commands():
    text = output("--help")
    return re.findall(r"^  ([a-z][a-z-]*) ", text[text.index("\ncommands:"):text.index("\nfirst steps")], re.M)


def options(command):
    return [name for name in re.findall(r"^  (?:-\w, |    )--([a-z][a-z-]*)", output(command, "--help"), re.M)
            if name != "help"]


@case
def manual_names_everything():
    with open(os.path.join(DOCS, "isoloss.1")) as file:
        manual = file.read()
    assert len(commands()) >= 10
    for command in commands():
        assert re.search(rf"^\.It Nm Cm {command}\b", manual, re.M), f"no command {command}"
        if command == "train":
            continue  # a pass-through with options of its own
        # A command's part ends where the next command begins; what several share stands in front of a section.
        part = manual[manual.index(f".It Nm Cm {command}"):]
        following = re.search(rf"^\.It Nm Cm (?!{command}\b)", part, re.M)
        part = part[:following.start()] if following else part
        for option in options(command):
            assert re.search(rf"-{option}\b", part) or f"-no-{option}" in part, f"{command}: no --{option}"


@case
def manual_is_clean():
    page = os.path.join(DOCS, "isoloss.1")
    if shutil.which("man"):
        done = subprocess.run(["man", "--warnings", "-l", page], env=dict(os.environ, MANPAGER="cat", LC_ALL="C.UTF-8"),
                              capture_output=True, text=True)
        assert done.returncode == 0 and done.stderr == "", done.stderr
        assert "EXIT STATUS" in done.stdout or "E\bEX" in done.stdout
    elif shutil.which("groff"):
        done = subprocess.run(["groff", "-mandoc", "-ww", "-Tutf8", page], capture_output=True, text=True)
        assert done.returncode == 0 and done.stderr == "", done.stderr
    else:
        return "neither man nor groff is here"


def complete(*words, folder="/"):
    """What the completion offers for the last word."""
    script = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); compopt() { :; }; _isoloss; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", script, "bash", os.path.join(DOCS, "completions", "isoloss.bash"), program, *words],
                          capture_output=True, text=True, cwd=folder, env=dict(os.environ, ISOLOSS_HOME="/nonexistent"))
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return sorted(word.strip() for word in done.stdout.split("\n") if word.strip())


@case
def completion_offers_everything():
    assert set(commands()) <= set(complete(""))
    assert complete("rep") == ["report"]
    for command in commands():
        if command == "train":
            continue
        offered = complete(command, "--")
        missing = {"--" + option for option in options(command)} - set(offered)
        assert not missing, f"{command}: {missing}"
    assert complete("fit", "--residual", "") == ["log", "plain"]
    assert complete("fit", "--residual", "=", "l") == ["log"]
    assert complete("report", "--open", "n") == ["no"]
    assert "chinchilla" in complete("fit", "--law", "chin")
    assert complete("data", "sh") == ["show"] and complete("bench", "s") == ["step"]
    with tempfile.TemporaryDirectory() as folder:
        for name in ("a.yaml", "b spec.yml", "table.csv", "notes.txt"):
            open(os.path.join(folder, name), "w").close()
        os.mkdir(os.path.join(folder, "specs"))
        assert complete("run", "", folder=folder) == ["a.yaml", "b spec.yml", "specs/"]
        assert complete("report", "a", folder=folder) == ["a.yaml"]
        assert set(complete("fit", "", folder=folder)) == {"a.yaml", "b spec.yml", "specs/", "table.csv"}
        assert complete("run", "--jobs", "", folder=folder) == []


finish()
