"""What the coordinator costs a run: runs that do nothing, on as many slots as there are cores, four times as many too.

bench_no_op.py DRIVER NO_OP [RUNS]: one line of numbers a round. Processor time does not depend on what else the machine
does, runs a second do.
"""
import json
import os
import subprocess
import sys
import tempfile
import time

driver, no_op = map(os.path.abspath, sys.argv[1:3])
runs = int(sys.argv[3]) if len(sys.argv) > 3 else 2000
cores = len(os.sched_getaffinity(0))
for jobs in (cores, 4 * cores):
    with tempfile.TemporaryDirectory(prefix="isoloss-no-op-") as home:
        began = time.monotonic()
        process = subprocess.run([driver, home, str(runs), "--quiet", "--jobs", str(jobs), "--", no_op],
                                 stdout=subprocess.PIPE, check=True)
        elapsed = time.monotonic() - began
    outcome = json.loads(process.stdout)
    if outcome["done"] != runs:
        sys.exit(f"{outcome['done']} of {runs} runs are done")
    print(f"{runs} runs, {jobs} at a time: {runs / elapsed:.0f} a second; processor time of a run: "
          f"{1e3 * outcome['seconds'] / runs:.2f} ms the coordinator, "
          f"{1e3 * outcome['workers_seconds'] / runs:.2f} ms the worker", flush=True)
