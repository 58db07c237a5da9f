"""What runs were trained from, on and by: git revisions and their refusal, machine, environment, energy and money.

test_provenance.py ISOLOSS FOLDER_OF_FAKE_NVML: isoloss-train is next to ISOLOSS. Prints TAP.
"""
import json
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import case, check, document, environment, finish, near, path_of, run, select, side_by_side, write  # noqa: E402

NVML = os.path.abspath(sys.argv[2])
environment.update(XDG_CONFIG_HOME=path_of("config"), HOME=path_of("user"), OMP_SCHEDULE="static", CUDA_SECRET_TOKEN="hush",
                   SOMETHING_ELSE="1", GIT_CONFIG_GLOBAL="/dev/null", GIT_CONFIG_NOSYSTEM="1",
                   GIT_CEILING_DIRECTORIES=os.path.dirname(path_of("x")))
for name in "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "ISOLOSS_POWERCAP":
    environment.pop(name, None)
BASE = """corpus: {source: markov2}
base:
  model: {layers: 1, width: 16, context: 32}
  train: {batch_tokens: 256, steps: 4, evals: 1, eval_tokens: 256, final_eval_tokens: 256}
sweep: [{grid: {seed: [1, 2]}}]
"""
# Trains for nothing, and lets the counters grow by so many joules.
TRAINER = """import json, os, sys, time
folder = sys.argv[1]
def grow(path, by):
    if path and os.path.exists(path):
        value = int(open(path).read()) + by
        open(path + ".new", "w").write(str(value))
        os.rename(path + ".new", path)
zones = os.environ.get("ISOLOSS_POWERCAP")
grow(zones and zones + "/intel-rapl:0/energy_uj", 6_000_000)
gpu = os.environ.get("CUDA_VISIBLE_DEVICES")
grow(os.environ.get("FAKE_NVML" + gpu) if gpu else None, 9_000)
time.sleep(0.3)
with open(folder + "/events.jsonl", "a") as log:
    for event in ({"event": "start", "trainer": "t 1", "libraries": "numpy 9.9"}, {"event": "done", "loss": 2.0, "tokens": 1, "step": 4}):
        log.write(json.dumps(event) + "\\n")
"""


def git(folder, *words):
    return subprocess.run(["git", "-C", folder, "-c", "user.name=a", "-c", "user.email=a@b", *words], check=True, text=True,
                          capture_output=True, env=environment).stdout.strip()


def repository(name, spec, **files):
    """A repository with a spec and other files, all of it committed."""
    folder = path_of(name)
    os.makedirs(folder)
    for file, text in {"spec.yaml": f"experiment: {name}\n" + spec, **files}.items():
        with open(os.path.join(folder, file.replace("_py", ".py")), "w", encoding="utf-8") as out:
            out.write(text)
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "first")
    return folder, os.path.join(folder, "spec.yaml"), git(folder, "rev-parse", "HEAD")


def rows(home):
    return select(home, "SELECT spec_revision, spec_dirty, trainer_revision, trainer_dirty, system, environment, processor, "
                  "machine_seconds, wall_seconds, joules, joules_seconds, joules_source, gpu, libraries FROM runs ORDER BY id")


if not shutil.which("git"):
    print("1..0 # SKIP git is not installed")
    sys.exit(0)
side_by_side(2)


@case
def committed_and_changed_folders():
    folder, spec, commit = repository("plain", BASE)
    home = os.path.join(folder, "out")  # in the repository: what runs write there does not make it dirty
    run("run", spec, "--require-clean", "--jobs", "1", home=home)
    for row in rows(home):
        check(row[:4] == (commit, 0, None, None), row)
        check("glibc" in row[4] and "isoloss" in row[4] and "cores" in row[6] and "glibc" in row[13], row)
        variables = json.loads(row[5])
        check(variables["OMP_SCHEDULE"] == "static" and variables["OMP_NUM_THREADS"] == "1", variables)
        check("SOMETHING_ELSE" not in variables and "CUDA_SECRET_TOKEN" not in variables, variables)
        check(0 < row[7] < 60 and row[9:12] == (None, None, None), row)
    # A folder elsewhere that is not tracked does not count, a changed file does, wherever it is.
    os.makedirs(os.path.join(folder, "deep"))
    deep = os.path.join(folder, "deep", "spec.yaml")
    with open(deep, "w", encoding="utf-8") as out:
        out.write("experiment: deep\n" + BASE.replace("[1, 2]", "[3]"))
    refused = run("run", deep, "--require-clean", home=home, code=2)
    check("deep/" in refused.err and "not as in commit " + commit[:12] in refused.err, refused.err)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "second")
    write("plain/elsewhere.txt", "not tracked, and not in the spec's folder\n")
    check(run("run", deep, "--require-clean", "--quiet", home=home).code == 0, "clean")
    with open(spec, "a", encoding="utf-8") as out:
        out.write("about: changed\n")
    with open(deep, "w", encoding="utf-8") as out:
        out.write("experiment: deep\n" + BASE.replace("[1, 2]", "[4]") + "run: {require_clean: true}\n")
    git(folder, "add", "deep")
    git(folder, "commit", "-q", "-m", "third")
    refused = run("run", deep, home=home, code=2)
    check("spec.yaml is not as in commit" in refused.err, refused.err)
    run("run", spec, "--set", "seed=9", home=home)  # without the wish it is trained, and noted
    run("run", deep, "--set", "train.lr=0.01", home=home, code=2)
    check(select(home, "SELECT count(*), sum(spec_dirty) FROM runs WHERE spec_dirty IS NOT NULL")[0][0] >= 3, "kept")


@case
def outside_of_repositories():
    spec = write("loose/spec.yaml", "experiment: loose\n" + BASE) if os.makedirs(path_of("loose")) is None else None
    refused = run("run", spec, "--require-clean", home="loose-home", code=2)
    check("the git revision of the folder of the spec is not known" in refused.err, refused.err)
    run("run", spec, home="loose-home")
    check(all(row[:4] == (None, None, None, None) and row[4] for row in rows("loose-home")), rows("loose-home"))


@case
def a_custom_trainer_has_a_revision_of_its_own():
    folder, spec, commit = repository("code", BASE + f"trainer: {{command: [{sys.executable}, train.py, '{{folder}}'], version: 1}}\n",
                                      train_py=TRAINER)
    run("run", "spec.yaml", "--require-clean", home="code-home", cwd=folder)
    check(all(row[:4] == (commit, 0, commit, 0) and row[13] == "numpy 9.9" for row in rows("code-home")), rows("code-home"))
    write("code/helper.py", "")
    refused = run("run", "spec.yaml", "--require-clean", "--again", select("code-home", "SELECT id FROM runs")[0][0],
                  home="code-home", cwd=folder, code=2)
    check("helper.py" in refused.err, refused.err)


@case
def energy_is_shared_among_the_runs_at_work():
    trainer = write("meter.py", TRAINER)
    spec = write("meter.yaml", "experiment: meter\n" + BASE + f"trainer: {{command: [{sys.executable}, {trainer}, '{{folder}}'], version: 1}}\n")
    os.makedirs(path_of("zones", "intel-rapl:0"))
    for name, text in ("name", "package-0"), ("energy_uj", "100"), ("max_energy_range_uj", "262143328850"):
        write(f"zones/intel-rapl:0/{name}", text)
    counters = {"ISOLOSS_POWERCAP": path_of("zones"), "LD_LIBRARY_PATH": NVML, "FAKE_NVML0": write("gpu0", "5"),
                "FAKE_NVML1": write("gpu1", "5")}
    run("run", spec, "--jobs", "1", home="meter-home", **counters)
    for row in rows("meter-home"):
        near(row[9], 6, 1e-9, "joules")
        check(row[11] == "RAPL package-0; NVML 2 GPUs" and 0.2 < row[10] < 30, row)
        near(row[7], row[10], 0.01, "alone on the machine, all of its time")
        check("driver 999.1" in row[4] and row[12] is None, row)
    # Side by side each has half of both's; each GPU's go to its own run.
    run("run", spec, "--gpus", "0,1", "--per-gpu", "1", "--gpu-memory", "1G", home="two-home", **counters)
    both = rows("two-home")
    near(sum(row[9] for row in both), 12 + 18, 1e-9, "joules of both")
    check(all(row[9] >= 9 for row in both) and {row[12] for row in both} == {"Fake GPU"}, both)
    names = [json.loads(row[5])["CUDA_VISIBLE_DEVICES"] for row in both]
    check(sorted(names) == ["0", "1"], names)
    check(sum(row[7] for row in both) < sum(row[10] for row in both), "time is shared", both)


@case
def money_says_what_it_rests_on():
    spec = write("money.yaml", "experiment: money\n" + BASE + "run: {price_per_hour: 3600 EUR}\n")
    plan = run("plan", spec, home="money-home").out
    check("price of that time: " in plan and "EUR at 3600 EUR an hour (price_per_hour of the spec)" in plan, plan)
    out = run("run", spec, home="money-home").out
    seconds = select("money-home", "SELECT sum(machine_seconds) FROM runs")[0][0]
    check(f"{seconds:.2f} EUR at 3600 EUR an hour (price_per_hour of the spec)" in out, seconds, out)
    page = path_of("money.html")
    run("report", spec, "--output", page, home="money-home")
    check(f"{seconds:.2f} EUR at 3600 EUR an hour" in open(page, encoding="utf-8").read(), "the report")
    # From a file for all specs; a spec's own goes before it.
    other = write("other.yaml", "experiment: other\n" + BASE.replace("[1, 2]", "[5, 6]"))
    check("price" not in run("plan", other, home="money-home").out, "no price, no line")
    os.makedirs(path_of("mine", "isoloss"))
    write("mine/isoloss/run.yaml", "price_per_hour: 2.5\n")
    plan = run("plan", other, home="money-home", XDG_CONFIG_HOME=path_of("mine")).out
    check("at 2.5 an hour (" + path_of("mine", "isoloss", "run.yaml") + ")" in plan, plan)
    write("mine/isoloss/run.yaml", "price_per_hour: cheap\nrequire_clean: true\n")
    refused = run("plan", other, home="money-home", code=2, XDG_CONFIG_HOME=path_of("mine"))
    check("run.yaml:1:1" in refused.err and "price_per_hour" in refused.err, refused.err)
    bad = write("bad.yaml", "experiment: bad\n" + BASE + "run: {price_per_hour: 3 <b>, require_clean: perhaps}\n")
    check(run("check", bad, code=2).err.count("error:") == 2, "two mistakes")


finish()
