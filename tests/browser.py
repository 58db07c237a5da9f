"""A headless Chromium, driven by its DevTools protocol over a pipe, with Python's standard library alone."""
import json
import os
import select
import shutil
import subprocess
import time

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def find():
    """The path of a Chromium, or None. ISOLOSS_BROWSER names one."""
    return next(filter(None, map(shutil.which, [os.environ.get("ISOLOSS_BROWSER", ""), *NAMES])), None)


class Browser:
    """One page. told: what it wrote to its console, and every error of a script or of the page's policy."""

    def __init__(self, program, folder):
        commands, self._out = os.pipe()
        self._in, events = os.pipe()

        def arrange():  # Chromium reads commands from 3 and writes to 4
            low = os.dup(commands), os.dup(events)
            spare = [os.dup2(low[0], 100), os.dup2(low[1], 101)]
            os.dup2(spare[0], 3)
            os.dup2(spare[1], 4)

        self._process = subprocess.Popen(
            [program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--hide-scrollbars", "--remote-debugging-pipe", f"--user-data-dir={folder}", "about:blank"],
            preexec_fn=arrange, close_fds=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env={**os.environ, "HOME": folder})
        os.close(commands)
        os.close(events)
        self._bytes, self._next, self.told, self._loaded, self.requests = b"", 0, [], False, []
        self._session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")

    def _read(self, limit):
        while b"\0" not in self._bytes:
            if not select.select([self._in], [], [], max(0, limit - time.monotonic()))[0]:
                raise TimeoutError("Chromium does not answer")
            more = os.read(self._in, 1 << 20)
            if not more:
                raise EOFError("Chromium has ended")
            self._bytes += more
        message, self._bytes = self._bytes.split(b"\0", 1)
        message = json.loads(message)
        method, values = message.get("method"), message.get("params", {})
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Runtime.consoleAPICalled":
            self.told.append(str([one.get("value", one.get("description")) for one in values["args"]]))
        elif method == "Runtime.exceptionThrown":
            details = values["exceptionDetails"]
            self.told.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Log.entryAdded":
            self.told.append(values["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(values["request"]["url"])
        return message

    def call(self, method, **values):
        self._next += 1
        message = {"id": self._next, "method": method, "params": values}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        limit = time.monotonic() + 60
        while True:
            answer = self._read(limit)
            if answer.get("id") == self._next:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def open(self, path):
        self.visit("file://" + os.path.abspath(path))

    def visit(self, url):
        self._loaded = False
        self.call("Page.navigate", url=url)
        limit = time.monotonic() + 60
        while not self._loaded:
            self._read(limit)

    def evaluate(self, expression):
        """The value of an expression of JavaScript, by way of JSON."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"].get("exception", {}).get("description", str(answer)))
        return answer["result"].get("value")

    def size(self, width, height=900, mobile=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)

    def look(self, media="", scheme="light"):
        self.call("Emulation.setEmulatedMedia", media=media,
                  features=[{"name": "prefers-color-scheme", "value": scheme}])

    def move(self, x, y):
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def click(self, x, y):
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def key(self, name):
        codes = {"Tab": 9, "Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
        text = {"text": "\r"} if name == "Enter" else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=name, code=name, windowsVirtualKeyCode=codes[name], **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=name, code=name, windowsVirtualKeyCode=codes[name])

    def write(self, text):
        self.call("Input.insertText", text=text)

    def close(self):
        try:
            self._session = None
            self.call("Browser.close")
        except (EOFError, OSError, TimeoutError, RuntimeError):
            pass
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for end in (self._in, self._out):
            os.close(end)
