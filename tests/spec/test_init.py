#!/usr/bin/env python3
"""isoloss init: every starter is checked and planned, its small preset runs and is fitted: test_init.py ISOLOSS."""

import json
import os
import re
import sys

sys.path.insert(0, os.path.join(sys.path[0], ".."))
import harness  # noqa: E402
from harness import case, finish, path_of, write  # noqa: E402

QUESTIONS = ("formats", "lr", "isoflop", "sparse", "stages")
home = path_of("home")


def run(*arguments, code=0):
    return harness.run(*arguments, code=code, home=home)


def start(question, name):
    path = path_of(name + ".yaml")
    told = run("init", path, "--for", question)
    assert told.out.strip() == path and f"isoloss plan {path}" in told.err, told
    with open(path) as file:
        return path, file.read()


def small(question):
    """The small preset, from training to the page. What a sweep this small cannot tell is not asked for."""
    name = "small-" + question
    path, text = start(question, name)
    assert f"experiment: {name}\n" in text and "NAME-OF-EXPERIMENT" not in text
    run("check", path)
    runs = json.loads(run("plan", path, "--preset", "small", "--json").out)
    told = run("run", path, "--preset", "small", "--jobs", "2")
    assert f"{len(runs)} done" in told.err + told.out, told
    fits = json.loads(run("fit", path, "--preset", "small", "--json", "--bootstrap", "20", "--starts", "50").out)
    assert fits
    if question == "isoflop":
        found = json.loads(run("isoflop", path, "--preset", "small", "--budget", "flops_6nd", "--json").out)
        assert [budget["sizes"] for budget in found["budgets"]] == [4] * 3, found
    run("report", path, "--preset", "small")


for question in QUESTIONS:
    def one(question=question):
        small(question)
    one.__name__ = "small_" + question
    case(one)


@case
def whole_specs_are_planned():
    for question in QUESTIONS:
        path, text = start(question, question)
        # Each comment's command is one that there is, for this file.
        for command in re.findall(r"^#   isoloss (\w+) " + question + r"\.yaml", text, re.M):
            run(command, "--help")
        assert len(re.findall(r"^#   isoloss", text, re.M)) >= 4
        told = run("check", path)
        assert "ok" in told.out + told.err and "warning" not in told.out + told.err, told


@case
def a_file_is_never_replaced():
    path = write("mine.yaml", "mine\n")
    told = run("init", path, code=2)
    assert "is there already and is kept" in told.err and told.out == "", told
    with open(path) as file:
        assert file.read() == "mine\n"
    os.symlink(path_of("nowhere"), path_of("link.yaml"))
    run("init", path_of("link.yaml"), code=2)
    assert not os.path.exists(path_of("nowhere"))


@case
def wrong_usage():
    assert "did you mean 'sparse'" in run("init", path_of("x.yaml"), "--for", "spars", code=2).err
    assert "ends in .yaml" in run("init", path_of("x.txt"), code=2).err
    assert "experiment's" in run("init", path_of("a b.yaml"), code=2).err
    assert "cannot write" in run("init", path_of("nowhere", "x.yaml"), code=3).err
    assert not os.path.exists(path_of("x.yaml"))
    text = run("init", "--help").out
    assert all(question in text for question in QUESTIONS)


finish()
