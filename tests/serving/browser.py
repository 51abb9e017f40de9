"""Headless Chromium over its debugging pipe: no driver, no library."""

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")

#: Chromium reads its orders from descriptor 3 and writes to 4. 10 and up are out of their way.
_START = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]
for end, place in zip(ends, (3, 4)):
    os.dup2(end, place)
os.execv(sys.argv[3], sys.argv[3:])
"""


def find_browser():
    """Return the path of a Chromium, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One page of a headless Chromium.

    Attributes
    ----------
    messages : list of str
        Errors, warnings and refusals that the page's console got.
    """

    def __init__(self, path, folder):
        to_read, self._out = os.pipe()
        self._in, to_write = os.pipe()
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                   "--no-first-run", "--disable-background-networking", "--disable-sync",
                   "--disable-component-update", "--disable-default-apps", "--no-pings",
                   "--remote-debugging-pipe", f"--user-data-dir={folder}", "about:blank"]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START, str(to_read), str(to_write), path, *options],
            pass_fds=(to_read, to_write), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(to_write)
        self._buffer, self._number, self._session = b"", 0, None
        self.messages, self._events = [], []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target,
                                  flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "DOM"):
            self.call(f"{domain}.enable")

    def close(self):
        """End the browser."""
        try:
            self.call("Browser.close")
        except (OSError, AssertionError):
            self._process.kill()
        self._process.wait(20)
        os.close(self._in)
        os.close(self._out)

    def call(self, method, **parameters):
        """Send an order and wait for its result."""
        self._number += 1
        order = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            order["sessionId"] = self._session
        os.write(self._out, json.dumps(order).encode() + b"\0")
        end = time.monotonic() + 60
        while True:
            message = self._receive(end)
            if message.get("id") == self._number:
                assert "error" not in message, message["error"]
                return message["result"]
            self._note(message)

    def run(self, script):
        """Evaluate JavaScript, awaited; returns its value."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True,
                           returnByValue=True, userGesture=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, script, seconds=30):
        """Wait until JavaScript is true."""
        end = time.monotonic() + seconds
        while not (value := self.run(script)):
            assert time.monotonic() < end, f"not within {seconds} s: {script}"
            time.sleep(0.05)
        return value

    def open(self, url):
        """Go to an address and wait for its load."""
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def size(self, width, height, phone=False):
        """Take the size of a window, or of a phone's screen."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=2 if phone else 1, mobile=phone)
        self.call("Emulation.setTouchEmulationEnabled", enabled=phone)

    def choose_files(self, selector, *paths):
        """Put files into an input."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(p) for p in paths])

    def press(self, key, modifiers=0):
        """Press and release a key, by its DOM name; modifiers: 1 for Alt, 8 for Shift."""
        name = f"Digit{key}" if key.isdigit() else f"Key{key.upper()}" if len(key) == 1 else key
        number = {"Enter": 13, "PageUp": 33, "PageDown": 34, "ArrowUp": 38, "ArrowDown": 40,
                  "Tab": 9, "F2": 113}.get(key) or ord(key.upper())
        more = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=name,
                      windowsVirtualKeyCode=number, modifiers=modifiers,
                      **(more if kind == "keyDown" else {}))

    def type(self, text):
        """Put text in at the caret."""
        self.call("Input.insertText", text=text)

    def drag(self, x, y, *to):
        """Press the mouse at a place, move it (nowhere: a click), and let it go."""
        def mouse(kind, x, y, buttons):
            self.call("Input.dispatchMouseEvent", type=kind, x=float(x), y=float(y),
                      button="left", buttons=buttons, clickCount=1)

        mouse("mouseMoved", x, y, 0)
        mouse("mousePressed", x, y, 1)
        if to:
            mouse("mouseMoved", (x + to[0]) / 2, (y + to[1]) / 2, 1)
            mouse("mouseMoved", *to, 1)
            x, y = to
        mouse("mouseReleased", x, y, 0)

    def screenshot(self, path, full=False):
        """Write what is seen as PNG."""
        data = self.call("Page.captureScreenshot", captureBeyondViewport=full)["data"]
        with open(path, "wb") as out:
            out.write(base64.b64decode(data))

    def _receive(self, end):
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._in], [], [], max(0, end - time.monotonic()))
            assert ready, "the browser does not answer"
            data = os.read(self._in, 1 << 20)
            assert data, "the browser has gone"
            self._buffer += data
        message, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(message)

    def _note(self, message):
        kind, more = message.get("method"), message.get("params", {})
        if kind == "Runtime.exceptionThrown":
            self.messages.append(more["exceptionDetails"]["text"])
        elif kind == "Log.entryAdded" and more["entry"]["level"] in ("error", "warning"):
            self.messages.append(more["entry"]["text"])
