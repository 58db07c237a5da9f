"""Slurm's commands, for the tests of isoloss run --executor slurm: called as sbatch, squeue, scontrol, scancel or sacct.

Jobs stand in $FAKE_SLURM/jobs.json, {"JOB": {"name", "script", "tasks": {"K": STATE}}}; nothing runs by itself: the test
runs a task's script. $FAKE_SLURM/mode says what squeue does wrong: "error", "nothing" (an empty answer), or a state that
it gives to every task; "sbatch": what sbatch does wrong: "deaf" (takes the array and answers with an error), "refuse";
"limits": what `scontrol show config` says; "sacct":
what sacct says (without it accounting is off). Every call is a line in $FAKE_SLURM/calls.
"""
import fcntl
import json
import os
import re
import sys

folder = os.environ["FAKE_SLURM"]


def read(name, otherwise):
    try:
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return otherwise


def put(jobs):
    """Whole, for a test that reads at any time."""
    path = os.path.join(folder, "jobs.json")
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(jobs, file)
    os.replace(path + ".new", path)


def main(called, arguments):
    with open(os.path.join(folder, "calls"), "a", encoding="utf-8") as calls:
        calls.write(" ".join([called, *arguments]) + "\n")
    jobs = json.loads(read("jobs.json", "{}"))
    mode = read("mode", "")
    if called == "squeue":
        if mode == "error":
            sys.exit("slurm_load_jobs error: Unable to contact slurm controller")
        for job, array in jobs.items() if mode != "nothing" else []:
            for task, state in array["tasks"].items():
                if state != "PURGED":
                    print(f"{job}|{task}|{mode or state}|n1|None|{array['name']}")
    elif called == "sbatch":
        wrong = read("sbatch", "")
        if wrong == "refuse":
            sys.exit("sbatch: error: Batch job submission failed: Invalid account")
        with open(arguments[-1], encoding="utf-8") as script:
            text = script.read()
        array = re.search(r"^#SBATCH --array=0-(\d+)", text, re.M)
        last = int(array.group(1)) if array else 0
        name = re.search(r"^#SBATCH --job-name=(\S+)", text, re.M).group(1)
        job = str(100 + len(jobs))
        jobs[job] = {"name": name, "script": arguments[-1], "tasks": {str(i): "PENDING" for i in range(last + 1)}}
        put(jobs)
        if wrong == "deaf":
            sys.exit("sbatch: error: Batch job submission failed: Socket timed out on send/recv operation")
        print(job)
    elif called == "scontrol":
        limits = json.loads(read("limits", '{"MaxArraySize": 1001, "MaxJobCount": 10000}'))
        print("Configuration data as of 2026-01-01T00:00:00")
        for key, value in limits.items():
            print(f"{key:<23} = {value}")
    elif called == "scancel":
        job, task = arguments[-1].split("_")
        jobs[job]["tasks"][task] = "CANCELLED"
        put(jobs)
    elif called == "sacct":
        answer = read("sacct", None)
        if answer is None:
            sys.exit("Slurm accounting storage is disabled")
        print(answer)


with open(os.path.join(folder, "lock"), "w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    main(os.path.basename(sys.argv[0]), sys.argv[1:])
