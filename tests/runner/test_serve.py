"""isoloss serve: what it says, to whom, and its page in a headless Chromium while a sweep runs.

test_serve.py ISOLOSS: ISOLOSS is the front; isoloss-train stands beside it. Prints TAP; the page's part is skipped without
a Chromium.
"""
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import sqlite3
import sys
import time
import urllib.parse

sys.path.insert(0, os.path.join(sys.path[0], ".."))
import browser as chromium  # noqa: E402
from harness import case, check, finish, path_of, run, select, start, write  # noqa: E402

FAKE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fake_trainer.py")
spec = write("sweep.yaml", f"""experiment: sweep-a
about: Formats <b>beside</b> each other.
corpus: {{source: markov2}}
base:
  model: {{layers: 1, width: 16, context: 32}}
  train: {{batch_tokens: 256, steps: 40}}
sweep:
  - grid: {{format: [none, w4], seed: [1, 2, 3]}}
trainer: {{command: [{sys.executable}, -S, -E, {FAKE}, '{{config}}', '{{folder}}'], version: '1'}}
""")
SLOW = {str(seed): {"sleep": 0.05 * seed} for seed in (1, 2, 3)}
SLOW["3"].update({"crash_at": 6, "crash_always": True, "exit": 1, "message": "why <i>not</i>"})

if "built without libmicrohttpd" in run("serve", "--port", "0", "--address", "127.0.0.1", "--interval", "0.3",
                                        "--token", "x").err:
    print("1..0 # SKIP built without libmicrohttpd")
    sys.exit(0)


class Server:
    def __init__(self, *arguments, home="home"):
        self.process = start("serve", "--port", "0", "--interval", "0.3", *arguments, home=home)
        self.url = self.process.stdout.readline().strip()
        parts = urllib.parse.urlsplit(self.url)
        self.host, self.port, self.query = parts.hostname, parts.port, parts.query

    def get(self, path, method="GET", **headers):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer, body

    def document(self, path, **values):
        answer, body = self.get(path + ("?" + urllib.parse.urlencode(values) if values else ""))
        check(answer.status == 200 and answer.getheader("Content-Type") == "application/json", path, answer.status, body)
        return json.loads(body)

    def end(self, how=signal.SIGINT):
        self.process.send_signal(how)
        out, err = self.process.communicate(timeout=20)
        check(self.process.returncode == 0 and not out, "ends at once, and well", self.process.returncode, out, err)


def events(server, experiment, seconds):
    """Server-sent events of so many seconds, (event, data) each."""
    with socket.create_connection((server.host, server.port)) as connection:
        connection.settimeout(seconds)
        connection.sendall(f"GET /api/events?experiment={urllib.parse.quote(experiment)} HTTP/1.1\r\nHost: localhost\r\n\r\n"
                           .encode())
        got, end = b"", time.time() + seconds
        with contextlib.suppress(TimeoutError):
            while time.time() < end:
                more = connection.recv(65536)
                if not more:
                    break
                got += more
    head, _, body = got.partition(b"\r\n\r\n")
    check(b"text/event-stream" in head, "a stream of events", head)
    # Chunks may end anywhere.
    whole = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        if not re.fullmatch(rb"[0-9a-fA-F]+", size):
            break
        whole += rest[:int(size, 16)]
        body = rest[int(size, 16) + 2:]
    out = []
    for block in whole.decode().split("\n\n"):
        found = re.fullmatch(r"event: (\w+)\ndata: (.*)", block)
        if found:
            out.append((found.group(1), json.loads(found.group(2))))
    return out


@case
def empty_home():
    server = Server(home="nothing")
    check("nothing has run yet" in server.get("/api/experiments")[1].decode(), "it says so")
    check(server.get("/")[0].status == 200, "the page is there")
    server.end(signal.SIGTERM)


@case
def bad_usage():
    check("no address" in run("serve", "--address", "example.org", code=2).err, "a name")
    check("--port" in run("serve", "--port", "70000", code=2).err, "a port")
    check("--token" in run("serve", "--token", "short", code=2).err, "a token")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        check("--port 0" in run("serve", "--port", str(taken.getsockname()[1]), code=3).err, "a port that is taken")


@case
def while_a_sweep_runs():
    sweep = start("run", spec, "-q", "--jobs", "2", "--retries", "0", FAKE=json.dumps(SLOW))
    end = time.time() + 60
    while time.time() < end:
        with contextlib.suppress(Exception):
            if select("home", "SELECT count(*) FROM metrics")[0][0] > 3:
                break
        time.sleep(0.05)
    server = Server()
    got = events(server, "sweep-a", 5)
    sweep.communicate()
    kinds = [kind for kind, _ in got]
    check({"points", "runs", "counts"} <= set(kinds), "all kinds", kinds)
    points = [tuple(point[:3]) for kind, data in got if kind == "points" for point in data]
    known = set(select("home", "SELECT run, kind, step FROM metrics"))
    check(len(points) == len(set(points)) > 4 and set(points) <= known, "each point once", len(points))
    moved = [change for kind, data in got if kind == "runs" for change in data]
    check(any(change["state"] == "done" for change in moved) and any(change["state"] == "running" for change in moved),
          "runs that begin and end", moved)
    # A store that nobody writes to any more: nothing is sent but what keeps the connection.
    again = events(server, "sweep-a", 2)
    check([kind for kind, _ in again] in ([], ["counts"]), "nothing new", again)
    server.end()


@case
def documents():
    with sqlite3.connect(path_of("home", "isoloss.db")) as store:
        store.execute("UPDATE runs SET loss = loss + 0.2 * seed FROM (SELECT id AS of, seed, format FROM run_table) WHERE id = of "
                      "AND format = 'w4' AND state = 'done'")
    server = Server()
    one = server.document("/api/experiments")[0]
    check((one["name"], one["runs"], one["done"], one["failed"]) == ("sweep-a", 6, 4, 2), "experiments", one)
    runs = server.document("/api/runs", experiment="sweep-a")
    check(runs["settings"] == ["format", "seed"] and len(runs["runs"]) == 6, "runs", runs["settings"])
    check(runs["colours"]["none"] == "ink" and runs["colours"]["w4"] != "ink", "a colour for each format", runs["colours"])
    rows = dict(select("home", "SELECT id, loss FROM runs"))
    check({r["id"]: r.get("loss") for r in runs["runs"]} == rows, "losses to the bit")
    identity = runs["runs"][0]["id"]
    curve = server.document("/api/curve", run=identity)
    want = [list(row) for row in select("home", f"SELECT step, tokens, loss FROM metrics WHERE run = '{identity}' AND "
                                        "kind = 'train' ORDER BY step")]
    check(curve["train"] == want and curve["train_points"] == len(want), "a curve", curve, want)
    formats = server.document("/api/formats", experiment="sweep-a")
    by = {r["id"]: r for r in runs["runs"]}
    loss = {tuple(r["values"]): r.get("loss") for r in by.values()}
    check(formats["baseline"] == "none" and formats["formats"][0]["pairs"] == 3, "pairs", formats)
    check(abs(formats["formats"][0]["mean"] - (loss["w4", 1] - loss["none", 1] + loss["w4", 2] - loss["none", 2]) / 3) < 1e-12
          and formats["formats"][0]["mean"] > 0.1, "their mean: of results, and of last evaluations where there are none",
          formats)
    check(formats["formats"][0]["least"] < 0.2 and formats["formats"][0]["most"] == 1, "where they stand", formats)
    check(server.document("/api/fits", experiment="sweep-a") == [], "no fits")
    check(server.get("/report?experiment=sweep-a")[0].status == 404, "no report")
    os.makedirs(path_of("home", "reports"), exist_ok=True)
    write("home/reports/sweep-a.html", "<p>report</p>")
    answer, body = server.get("/report?experiment=sweep-a")
    check(answer.status == 200 and body == b"<p>report</p>" and "sandbox" in answer.getheader("Content-Security-Policy"),
          "the report under its own rules")
    server.end()


@case
def strangers():
    server = Server()
    write("home/secret.html", "nobody reads this")
    for path, status in (("/api/runs?experiment=nosuch", 404), ("/api/runs", 400), ("/api/curve?run=ffff", 404),
                         ("/api/curve", 400), ("/api/events?experiment=x", 404), ("/etc/passwd", 404),
                         ("/report?experiment=../secret", 404), ("/report?experiment=%2e%2e%2fsecret", 404),
                         ("/%00", 200), ("/api/runs?experiment=sweep-a%00x", 200)):
        answer, body = server.get(path)
        check(answer.status == status and b"nobody" not in body, path, answer.status, body[:200])
    check(server.get("/", Host="evil.example:1")[0].status == 403, "another name for this machine")
    check(server.get("/", Host="localhost.evil.example")[0].status == 403, "one that begins alike")
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        check(server.get("/api/runs", method)[0].status == 405, "it only shows", method)
    answer, body = server.get("/")
    policy = answer.getheader("Content-Security-Policy")
    word = re.search(r"script-src 'nonce-(\w+)'", policy).group(1)
    check(f'nonce="{word}"'.encode() in body and word != re.search(
        r"script-src 'nonce-(\w+)'", server.get("/")[0].getheader("Content-Security-Policy")).group(1), "a word each time")
    check("unsafe" not in policy and b"http" not in re.sub(rb"http://www.w3.org/2000/svg", b"", body), "nothing from elsewhere")
    with socket.create_connection((server.host, server.port)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100000 + b"\r\n\r\n")
        connection.settimeout(10)
        with contextlib.suppress(ConnectionError):
            check(b" 200 " not in connection.recv(100), "too long a header")
    server.end()
    token = "0123456789abcdefXYZ"
    server = Server("--address", "0.0.0.0", "--token", token)
    check(server.query == "token=" + token, "the address has it", server.url)
    server.host = "127.0.0.1"
    check(server.get("/")[0].status == 403 and server.get("/?token=" + token[:-1] + "x")[0].status == 403, "without, or a wrong one")
    answer, _ = server.get("/?token=" + token, Host="elsewhere.example")
    cookie = answer.getheader("Set-Cookie")
    check(answer.status == 200 and "HttpOnly" in cookie and "SameSite=Strict" in cookie, "with it", cookie)
    check(server.get("/api/experiments", Cookie=cookie.split(";")[0])[0].status == 200, "the browser keeps it")
    server.end()
    server = Server("--address", "0.0.0.0")
    check(re.fullmatch("token=[0-9a-f]{32}", server.query), "for others there is always one", server.url)
    server.end()


@case
def page_in_a_browser():
    program = chromium.find()
    if not program:
        return "there is no Chromium (package chromium); ISOLOSS_BROWSER names one"
    sweep = start("run", spec, "-q", "--jobs", "2", "--retries", "0", home="seen", FAKE=json.dumps(SLOW))
    end = time.time() + 60
    while time.time() < end and not os.path.exists(path_of("seen", "isoloss.db")):
        time.sleep(0.1)
    time.sleep(0.5)
    server = Server(home="seen")
    page = chromium.Browser(program, path_of("profile"))

    def wait_for(expression, what, seconds=30):
        limit = time.time() + seconds
        while time.time() < limit:
            if page.evaluate(expression):
                return
            time.sleep(0.1)
        check(False, what, page.evaluate("document.body.innerText"), page.told)

    def click(text):
        place = page.evaluate(f"""(() => {{ const node = [...document.querySelectorAll('button')].find(one =>
            one.textContent === {text!r}); node.scrollIntoView({{block: 'center'}}); const box = node.getBoundingClientRect();
            return [box.x + box.width / 2, box.y + box.height / 2]; }})()""")
        page.click(*place)

    page.size(1200)
    page.visit(server.url)
    wait_for("document.getElementById('connection').textContent === 'live'", "it is live")
    wait_for("document.querySelectorAll('#runs tbody tr').length === 6", "six runs")
    wait_for("document.querySelectorAll('#chart path').length > 0", "curves of those at work")
    before = page.evaluate("document.querySelector('#chart svg').innerHTML.length")
    wait_for(f"document.querySelector('#chart svg').innerHTML.length !== {before}", "curves grow by themselves")
    sweep.communicate()
    wait_for("document.getElementById('states').textContent.includes('4 done')", "states are counted by themselves")
    check("2 failed" in page.evaluate("document.getElementById('states').textContent"), "failures are counted")
    wait_for("!document.getElementById('formats-section').hidden", "formats against each other")
    check("<i>not</i>" in page.evaluate("document.getElementById('runs').innerText"), "messages are text")
    click("loss")
    losses = [text for text in page.evaluate("""[...document.querySelectorAll('#runs tbody tr')].map(row => {
        const head = [...document.querySelectorAll('#runs thead th')].findIndex(one => one.textContent === 'loss');
        return row.cells[head].textContent })""")]
    check(losses[:4] == sorted(losses[:4]) and losses[4:] == ["", ""], "sorted by loss, those without last", losses)
    check(page.evaluate("document.querySelector('#runs th[aria-sort]').getAttribute('aria-sort')") == "ascending", "said")
    page.evaluate("document.getElementById('search').focus()")
    page.write("w4 seed=1")
    wait_for("document.getElementById('count').textContent === '1 of 6 runs'", "searched")
    click("none")
    wait_for("document.querySelectorAll('#chart path').length === 0", "no curves")
    box = page.evaluate("""(() => { const box = document.querySelector('#runs tbody input').getBoundingClientRect();
        return [box.x + 5, box.y + 5] })()""")
    page.click(*box)
    wait_for("document.querySelectorAll('#chart path').length === 1", "the one that was chosen")
    for _ in range(3):
        page.key("Tab")
    check(page.evaluate("document.activeElement !== document.body"), "by keyboard")
    place = page.evaluate("""(() => { const svg = document.querySelector('#chart svg'); svg.scrollIntoView({block: 'center'});
        const circle = svg.querySelector('circle').getBoundingClientRect(); return [circle.x + 3, circle.y + 3] })()""")
    page.move(*place)
    wait_for("document.getElementById('readout').textContent.includes('loss')", "the pointer says what is there")
    page.size(390, 800, mobile=True)
    page.look(scheme="dark")
    time.sleep(0.3)
    check(page.evaluate("document.documentElement.scrollWidth") <= 390, "nothing beyond a narrow screen")
    check(page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)", "dark")
    check(not page.told, "nothing on the console", page.told)
    check(all(url.startswith(server.url) for url in page.requests if url.startswith("http")), "nothing from elsewhere",
          page.requests)
    server.end()  # while the page is open
    wait_for("document.getElementById('connection').textContent.startsWith('no connection')", "it says that it is alone")
    page.close()
    return None


finish()
