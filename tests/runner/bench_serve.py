"""What isoloss serve costs: a store of 20 000 runs with eight at work, whose points come every half second, and ten pages
open on it. Prints the server's processor time until all pages have what there is, and then over a minute, as a share of one
core.

bench_serve.py ISOLOSS: ISOLOSS is the front; isoloss-train stands beside it.
"""
import os
import socket
import sqlite3
import sys
import threading
import time

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import path_of, run, start, write  # noqa: E402

RUNS, WORKING, PAGES, SECONDS = 20000, 8, 10, 60
spec = write("many.yaml", """experiment: many
corpus: {source: markov2}
base:
  model: {layers: 1, width: 16, context: 32}
  train: {batch_tokens: 256, steps: 20}
sweep:
  - grid: {format: [none, w4], seed: [1, 2]}
""")
run("run", spec, "-q", code=0)
store = sqlite3.connect(path_of("home", "isoloss.db"), timeout=60, isolation_level=None)
columns = [row[1] for row in store.execute("PRAGMA table_info(runs)")]
others = [name for name in columns if name != "id"]
store.execute("BEGIN")
rows = store.execute(f"SELECT {', '.join(others)} FROM runs").fetchall()
for number in range(4, RUNS):
    values = list(rows[number % 4])
    values[others.index("config")] = values[others.index("config")].replace('"seed":', f'"seed":{number}', 1)
    if number >= RUNS - WORKING:
        values[others.index("state")] = "running"
    store.execute(f"INSERT INTO runs (id, {', '.join(others)}) VALUES ({', '.join('?' * len(columns))})",
                  [f"{number:032x}", *values])
    store.execute("INSERT INTO experiment_runs VALUES ('many', ?, ?)", [number, f"{number:032x}"])
    store.executemany("INSERT INTO metrics (run, kind, step, tokens, loss) VALUES (?, 'train', ?, ?, 4)",
                      [(f"{number:032x}", step, 256 * step) for step in range(1, 21)])
store.execute("COMMIT")
server = start("serve", "--port", "0")
port = int(server.stdout.readline().strip().rsplit(":", 1)[1].rstrip("/"))


def processor_seconds():
    with open(f"/proc/{server.pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ask(path):
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    return connection


received = [0] * PAGES


def page(number):
    connection = ask("/api/events?experiment=many")
    while True:
        got = connection.recv(65536)
        if not got:
            return
        received[number] += len(got)


begun, used = time.time(), processor_seconds()
connection = ask("/api/runs?experiment=many")
size = 0
while True:
    more = connection.recv(1 << 20)
    if not more:
        break
    size += len(more)
print(f"the table of {RUNS} runs: {size / 1e6:.1f} MB in {time.time() - begun:.2f} s, "
      f"{processor_seconds() - used:.2f} s of the server's processor time")
for number in range(PAGES):
    threading.Thread(target=page, args=[number], daemon=True).start()
# Each page is first told of all runs: that is over when the server has had nothing to do for two seconds.
used, last = processor_seconds(), None
while last is None or processor_seconds() - last > 0.05:
    last = processor_seconds()
    time.sleep(2)
print(f"{PAGES} pages are told of {RUNS} runs: {last - used:.2f} s of the server's processor time")
begun, used, step, before = time.time(), processor_seconds(), 20, sum(received)
while time.time() < begun + SECONDS:
    step += 1
    store.execute("BEGIN")
    for number in range(RUNS - WORKING, RUNS):
        store.execute("INSERT INTO metrics (run, kind, step, tokens, loss) VALUES (?, 'train', ?, ?, 4)",
                      [f"{number:032x}", step, 256 * step])
        store.execute("UPDATE runs SET step = ? WHERE id = ?", [step, f"{number:032x}"])
    store.execute("COMMIT")
    time.sleep(0.5)
share = (processor_seconds() - used) / (time.time() - begun)
print(f"{PAGES} pages, {RUNS} runs, {WORKING} at work: {100 * share:.2f} % of one core, "
      f"{(sum(received) - before) / PAGES / SECONDS:.0f} bytes a second and page")
server.terminate()
server.wait()
