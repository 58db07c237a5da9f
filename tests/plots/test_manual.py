#!/usr/bin/env python3
"""The manual page names every command and option; the shell completion offers them: test_manual.py
ISOLOSS DOCS FILL_STORE LAWS."""

import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import case, finish, path_of, program, run, write  # noqa: E402

DOCS, FILL_STORE, LAWS = map(os.path.abspath, sys.argv[2:5])


def output(*arguments):
    return run(*arguments, code=0).out


def commands():
    """Every command (some are two words) with its summary."""
    text = output("--help")
    text = text[text.index("\ncommands:"):text.index("\nfirst steps")]
    return dict(re.findall(r"^  ([a-z][a-z -]*[a-z])  +(.*)$", text, re.M))


def options(command):
    return [name for name in re.findall(r"^  (?:-\w, |    )--([a-z][a-z-]*)", output(*command.split(), "--help"), re.M)
            if name != "help"]


def page():
    return output("help", "--man", os.path.join(DOCS, "isoloss.1.in"))


@case
def summaries_are_the_same_everywhere():
    manual = page().replace("\\-", "-").replace("\\(aq", "'")
    for command, summary in commands().items():
        assert f".It Nm Cm {command}\n{summary[0].upper()}{summary[1:]}.\n" in manual, f"{command}: {summary}"
        assert output("help", *command.split()) == output(*command.split(), "--help")
        if command != "train":  # a pass-through: its help is the trainer's
            assert output(*command.split(), "--help").startswith(summary + "\n\nusage: isoloss " + command), command
            assert summary[0].islower() and not summary.endswith("."), summary


@case
def help_finds_commands():
    assert output("help") == output("--help")
    assert output("--help", "plan") == output("plan", "--help")
    assert "did you mean 'plan'?" in run("help", "plam", code=2).err
    assert "give one command" in run("help", "plan", "run", "show", code=2).err
    assert "one spec" in run("plan", code=2).err and "one spec" in run("plan", "a.yaml", "b.yaml", code=2).err


@case
def manual_needs_its_place():
    with tempfile.NamedTemporaryFile("w", suffix=".in") as template:
        template.write(".Sh NAME\nCOMMANDS\n")
        template.flush()
        failed = run("help", "--man", template.name, code=2)
        assert "has no line @COMMANDS@" in failed.err and failed.out == ""
    run("help", "--man", "/nonexistent/page.in", code=2)


@case
def manual_names_everything():
    manual = page()
    assert len(commands()) >= 10
    for section in "NAME", "SYNOPSIS", "DESCRIPTION", "COMMANDS", "ENVIRONMENT", "FILES", "EXIT STATUS", "EXAMPLES":
        assert f"\n.Sh {section}\n" in manual, section
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
    path = path_of("isoloss.1")
    with open(path, "w") as file:
        file.write(page())
    if shutil.which("man"):
        done = subprocess.run(["man", "--warnings", "-l", path], env=dict(os.environ, MANPAGER="cat", LC_ALL="C.UTF-8"),
                              capture_output=True, text=True)
        assert done.returncode == 0 and done.stderr == "", done.stderr
        assert "EXIT STATUS" in done.stdout or "E\bEX" in done.stdout
    elif shutil.which("groff"):
        done = subprocess.run(["groff", "-mandoc", "-ww", "-Tutf8", path], capture_output=True, text=True)
        assert done.returncode == 0 and done.stderr == "", done.stderr
    else:
        return "neither man nor groff is here"


def in_bash(words, folder, home):
    script = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); compopt() { :; }; _isoloss; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    return ["bash", "-c", script, "bash", os.path.join(DOCS, "completions", "isoloss.bash"), program, *words]


def in_zsh(words, folder, home):
    # What zsh's own functions would do with what they are handed.
    script = ('compadd() { shift; print -l -- "$@"; }; _files() { local file; for file in *(N/); do print -r -- "$file/"; done; '
              '[[ $1 = -g ]] && for file in ${~2}(N.); do print -r -- "$file"; done; return 0; }; '
              'source=$1; shift; words=("$@"); CURRENT=$#; source $source')
    return ["zsh", "-f", "-c", script, "zsh", os.path.join(DOCS, "completions", "_isoloss"), program, *words]


def in_fish(words, folder, home):
    line = " ".join(["isoloss", *[word.replace(" ", "\\ ") for word in words]])
    script = f"set PATH {os.path.dirname(program)} $PATH; source {DOCS}/completions/isoloss.fish; complete -C {line!r}"
    return ["fish", "--no-config", "-c", script]


def complete(*words, folder="/", home="/nonexistent", shell=in_bash):
    """What the completion offers for the last word."""
    done = subprocess.run(shell(words, folder, home), capture_output=True, text=True, cwd=folder,
                          env=dict(os.environ, ISOLOSS_HOME=home, HOME=path_of()))
    assert done.returncode in (0, 1) and done.stderr == "", done.stderr
    words = (word.strip().split("\t")[0] for word in done.stdout.split("\n") if word.strip())
    return sorted(set(words) if shell == in_zsh else words)  # zsh itself shows a match once


@case
def completion_offers_everything():
    assert {command.split()[0] for command in commands()} <= set(complete(""))
    assert complete("repo") == ["report"]
    for command in commands():
        offered = complete(*command.split(), "--")
        missing = {"--" + option for option in options(command)} - set(offered)
        assert not missing, f"{command}: {missing}"
    assert complete("fit", "--residual", "") == ["log", "plain"]
    assert complete("fit", "--residual", "=", "l") == ["log"]
    assert complete("fit", "--objective", "h") == ["huber:1e-3"]
    assert complete("fit", "--interval", "") == ["bca", "percentile", "t"]
    assert complete("fit", "compare", "--residual", "p") == ["plain"]
    assert complete("isoflop", "-m", "") == ["akima", "envelope", "parabola"]
    assert complete("data", "prepare", "--tokenizer", "u") == ["uint16", "uint32"]
    assert complete("capacity", "--distribution", "la") == ["laplace"]
    assert complete("report", "--open", "n") == ["no"]
    assert "chinchilla" in complete("fit", "--law", "chin")
    assert complete("data", "sh") == ["show"] and complete("bench", "s") == ["step"]
    with tempfile.TemporaryDirectory() as folder:
        for name in ("a.yaml", "b spec.yml", "table.csv", "notes.txt", "run.json"):
            open(os.path.join(folder, name), "w").close()
        os.mkdir(os.path.join(folder, "specs"))
        assert complete("run", "", folder=folder) == ["a.yaml", "b spec.yml", "specs/"]
        assert complete("report", "a", folder=folder) == ["a.yaml"]
        assert set(complete("fit", "", folder=folder)) == {"a.yaml", "b spec.yml", "specs/", "table.csv", "compare"}
        assert set(complete("fit", "compare", "", folder=folder)) == {"a.yaml", "b spec.yml", "specs/", "table.csv"}
        assert complete("data", "", folder=folder) == ["list", "prepare", "show"]
        assert complete("data", "prepare", "a", folder=folder) == ["a.yaml"]
        assert complete("train", "", folder=folder) == ["run.json", "specs/"]
        assert complete("laws", "kapl", folder=folder) == ["kaplan"]
        assert complete("help", "capac") == ["capacity"]
        assert complete("run", "--jobs", "", folder=folder) == []
    assert complete("fit", "--where", "train.lr>1 and model.wi") == ["train.lr>1 and model.width"]
    assert "train.steps" in complete("plan", "--set", "train.st") and "loss" in complete("runs", "--sort", "lo")
    assert complete("plot", "x.yaml", "pareto") == ["pareto", "pareto-bytes", "pareto-seconds"]
    assert complete("init", "--for", "s") == ["sparse", "stages"] and complete("init", "--for=s")[0].endswith("sparse")


@case
def completion_offers_what_is_in_the_store():
    home, spec = path_of("home"), write("filled.yaml", "experiment: filled\ncorpus: {source: gcide}\n")
    subprocess.run([FILL_STORE, "plain", "filled", spec, LAWS], env=dict(os.environ, ISOLOSS_HOME=home), check=True)
    runs = complete("show", "", home=home)
    assert len(runs) == 12 and all(re.fullmatch("[0-9a-f]{8}", one) for one in runs), runs
    assert complete("show", runs[0][:5], home=home) == [runs[0]]
    assert complete("pause", runs[0], "fil", home=home) == ["filled"]
    assert "filled" in complete("report", "", home=home) and "filled" in complete("runs", "f", home=home)


def same_in(shell, name):
    if not shutil.which(name):
        return f"there is no {name}"
    with tempfile.TemporaryDirectory() as folder:
        for file in ("a.yaml", "table.csv", "notes.txt"):
            open(os.path.join(folder, file), "w").close()
        os.mkdir(os.path.join(folder, "specs"))
        for words in (("",), ("rep",), ("fit", "--residual", ""), ("report", "--o"), ("fit", ""), ("run", ""),
                      ("laws", "kap"), ("plan", "--set", "train.lr"), ("data", ""), ("help", "capac")):
            want = complete(*words, folder=folder)
            got = complete(*words, folder=folder, shell=shell)
            assert got == want and want, (name, words, got, want)
    return None


@case
def zsh_offers_the_same():
    return same_in(in_zsh, "zsh")


@case
def fish_offers_the_same():
    return same_in(in_fish, "fish")


finish()
