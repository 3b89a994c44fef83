"""A headless Chromium, driven over its debugging pipe: what the checks of the pages need of one.

No package for that is needed. The browser finds no host but this machine, so that a page which
asks the network for something is seen to fail.
"""

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
SWITCHES = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--no-first-run",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)
TIMEOUT = 60.0


def executable() -> str | None:
    """FASTMATH_ML_CHROMIUM, else the first that is installed."""
    named = os.environ.get("FASTMATH_ML_CHROMIUM")
    return named or next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """`with Browser() as browser: page = browser.open(address, width=390, theme="dark")`"""

    def __enter__(self):
        self.resources = contextlib.ExitStack()
        profile = self.resources.enter_context(
            tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        )
        theirs_in, self.outgoing = os.pipe()
        self.incoming, theirs_out = os.pipe()
        # The browser reads from descriptor 3 and writes to 4.
        command = f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}'
        self.process = subprocess.Popen(
            ["bash", "-c", command, executable(), *SWITCHES, f"--user-data-dir={profile}"],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": profile},
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self.buffer, self.last_id = b"", 0
        self.events: list[dict] = []
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError, TimeoutError):
            self.call("Browser.close")
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.outgoing)
        os.close(self.incoming)
        self.resources.close()

    def read(self, end: float) -> dict:
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.incoming], [], [], max(0.0, end - time.monotonic()))
            piece = os.read(self.incoming, 1 << 16) if ready else b""
            if not piece:
                raise TimeoutError("the browser does not answer")
            self.buffer += piece
        message, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(message)

    def call(self, method: str, session: str | None = None, **parameters) -> dict:
        self.last_id += 1
        message = {"id": self.last_id, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self.outgoing, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + TIMEOUT
        while True:
            answer = self.read(end)
            if answer.get("id") != self.last_id:
                self.events.append(answer)
            elif "error" in answer:
                raise OSError(f"{method}: {answer['error']['message']}")
            else:
                return answer["result"]

    def open(self, address: str, width: int = 1100, height: int = 800, theme: str = "light"):
        return Page(self, address, width, height, theme)


class Page:
    def __init__(self, browser: Browser, address: str, width: int, height: int, theme: str):
        self.browser, self.width = browser, width
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        for domain in ("Network", "Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip
        self.call(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": theme}],
        )
        self.call("Page.navigate", url=address)
        self.wait_for("document.readyState === 'complete'")

    def call(self, method: str, **parameters) -> dict:
        return self.browser.call(method, self.session, **parameters)

    def evaluate(self, expression: str):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            raise OSError(f"{expression}: {answer['exceptionDetails']['text']}")
        return answer["result"].get("value")

    def wait_for(self, expression: str, seconds: float = TIMEOUT) -> None:
        end = time.monotonic() + seconds
        while not self.evaluate(expression):
            if time.monotonic() > end:
                raise TimeoutError(f"did not come true: {expression}")
            time.sleep(0.1)

    def mine(self, method: str) -> list[dict]:
        """The parameters of this page's events of one kind."""
        return [
            event["params"]
            for event in self.browser.events
            if event.get("method") == method and event.get("sessionId") == self.session
        ]

    def requests(self) -> list[str]:
        """The addresses that the page asked for, pictures inside it left out."""
        urls = [event["request"]["url"] for event in self.mine("Network.requestWillBeSent")]
        return [url for url in urls if not url.startswith("data:")]

    def errors(self) -> list[str]:
        """What scripts threw, and what the browser reported."""
        thrown = [e["exceptionDetails"]["text"] for e in self.mine("Runtime.exceptionThrown")]
        logged = [e["entry"] for e in self.mine("Log.entryAdded")]
        return thrown + [
            f"{entry['text']} {entry.get('url', '')}"
            for entry in logged
            if entry["level"] == "error"
        ]

    def screenshot(self, path: Path, height: int | None = None) -> None:
        clip = {}
        if height is not None:
            width = self.evaluate("innerWidth")
            area = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
            clip = {"clip": area, "captureBeyondViewport": True}
        taken = self.call("Page.captureScreenshot", format="png", **clip)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(taken["data"]))
