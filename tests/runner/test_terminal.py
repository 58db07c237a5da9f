"""Control characters from outside (names, logs, messages, cells, specs) never reach a terminal; JSON escapes them.

test_terminal.py ISOLOSS: ISOLOSS is the front. Prints TAP.
"""
import json
import os
import re
import sys

sys.path.insert(0, os.path.join(sys.path[0], ".."))
import harness  # noqa: E402
from harness import case, check, finish, run, select, write  # noqa: E402

# A title of the window, colour, a line drawn over, DEL, a one-byte CSI, writing turned round, a byte that is no UTF-8.
EVIL = "\x1b]0;owned\x07 \x1b[31mred\r\b\x7f \x9b2J \u202eback"
HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
TRAINER = """
import json, os, sys
evil = EVIL
with open(os.environ["ISOLOSS_EVENTS"], "a") as log:
    event = lambda name, **fields: log.write(json.dumps({"event": name, **fields}) + "\\n")
    event("start", trainer="mine " + evil, device=evil, host=evil)
    event("step", step=1, tokens=10, loss=5.0)
    sys.stdout.buffer.write(evil.encode() + b"\\xff\\n")
    sys.stdout.flush()
    kind = sys.argv[1]
    if kind == "0":
        event("done", loss=3.0, tokens=16000, checkpoint=evil)
    elif kind == "1":
        event("failed", message="why: " + evil)
    elif kind == "2":
        event("diverged", step=1, message=evil)
sys.exit(1 if kind in "13" else 0)
"""
trainer = write("evil.py", TRAINER.replace("EVIL", repr(EVIL)))
spec = write("evil.yaml", f"""experiment: evil
base: {{model: {{layers: 1, context: 16, head_dim: 16, width: 16}}, train: {{tokens: 16000, batch_tokens: 160}}}}
sweep: {{grid: {{seed: [0, 1, 2, 3]}}}}
trainer: {{command: [{sys.executable}, {trainer}, "{{seed}}"], version: "1"}}
""")


def clean(*arguments, code=None, **options):
    """What the program prints has no character that a terminal obeys; it shows that there were some."""
    done = run(*arguments, code=code, **options)
    for text in (done.out, done.err):
        found = HIDDEN.search(text)
        check(not found, f"{arguments}: {found and found.group()!r}", text[:2000])
    return done


@case
def runs_with_messages_from_outside():
    done = clean("run", spec, "--retries", "0", code=1)
    check("\\x1b]0;owned\\x07" in done.err, done.err)
    for arguments in [["status"], ["runs", "evil"], ["runs", "evil", "--columns", "id,message,trainer,device,host"],
                      ["report", spec], ["fit", spec, "--law", "chinchilla"]]:
        clean(*arguments)
    for run_id, state in select("home", "SELECT id, state FROM runs"):
        done = clean("show", run_id[:8], code=0)
        check("\\x1b]0;owned" in done.out, (state, done.out))


@case
def json_keeps_what_was_said():
    for arguments in [["runs", "evil"], ["show", select("home", "SELECT id FROM runs WHERE state = 'failed'")[0][0][:8]]]:
        done = clean(*arguments, "--json", code=0)
        document = json.loads(done.out)
        row = document["run"] if isinstance(document, dict) else next(r for r in document if r["state"] == "failed")
        check(row["device"] == EVIL and EVIL in row["trainer"], row)


@case
def columns_and_cells_of_tables():
    rows = "".join(f"{n:g},{d:g},{1.7 + 400 / n ** .34 + 410 / d ** .28:.6f},{'abc'[i % 3]}{EVIL}\n"
                   for i, (n, d) in enumerate((n, d) for n in (1e6, 3e6, 1e7, 3e7) for d in (2e7, 1e8, 5e8)))
    table = write("evil.csv", f"N,D,loss,kind{EVIL}\n".replace("\r", "") + rows.replace("\r", ""))
    done = clean("fit", table, "--law", "chinchilla", "--bootstrap", "0", code=0)
    check("control characters" in done.out, done.out)
    for arguments in [["fit", table, "--law", "chinchilla", "--where", "nothing > 1"], ["fit", table, "--law", EVIL],
                      ["fit", table, "--law", "chinchilla", "--map", f"tokens=no{EVIL}"],
                      ["import", table, "--as", "evil"], ["import", "--show", "evil"], ["isoflop", table],
                      ["report", table, "--law", "chinchilla"], ["runs", EVIL], ["show", EVIL]]:
        clean(*arguments)
    more_rows = "".join(rows.replace(f"{n:g},", f"{2 * n:g},") for n in (1e6, 3e6))
    kinds = write("kinds.csv", "N,D,loss,kind\n" + (rows + more_rows).replace("\r", "") + f"1e6,2e7,3,few{EVIL}\n".replace("\r", ""))
    for more in [], ["--holdout", "N > 2e7"], ["--where", "loss > 0 or kind == \"a\""]:
        done = clean("fit", kinds, "--law", "chinchilla", "--bootstrap", "0", "--fix", "E=1.7", "--by", "kind", *more, code=0)
        check("\\x1b]0;owned\\x07" in done.out, "the kinds are named", done.out)
    broken = write("broken.csv", f"N,D,loss\n1e6,{EVIL},3\n2e6,1e9,3\n".replace("\r", ""))
    clean("fit", broken, "--law", "chinchilla", code=2)


@case
def specs_with_control_characters_are_refused():
    path = write("escapes.yaml", 'experiment: "a\\e[31m"\nabout: "\\x07"\ncorpus: {source: "\\x9b2J"}\n')
    done = clean("check", path, code=2)
    check(done.err.count("a control character inside text") + done.out.count("a control character inside text") == 3, done)
    clean("check", write("unknown.yaml", f"experiment: x\nbase: {{'\u202etrain.lr': 1}}\n"), code=2)


finish()
