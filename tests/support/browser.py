"""A real browser without a window: headless Chromium, driven through the pipe of its DevTools protocol."""

import base64
import contextlib
import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.programs import require

_PATIENCE = 60.0  # seconds for one answer: a browser that starts on a busy machine
# Chromium takes its orders from descriptor 3 and answers on descriptor 4.
_LAUNCH = """
import fcntl, os, sys
reading, writing = (fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3])
os.dup2(reading, 3)
os.dup2(writing, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
A4, LETTER = (8.27, 11.69), (8.5, 11.0)  # inches


class Page:
    """One tab; `trouble` is all that its console complained of."""

    def __init__(self, orders: int, answers: int) -> None:
        self._orders, self._answers, self._left, self._number = orders, answers, b"", 0
        self.trouble: list[str] = []
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Log", "Runtime", "Network"):
            self._ask(f"{domain}.enable")
        self.requests: list[str] = []

    def open(self, path: Path, *, width: int) -> None:
        """Show a file in a window so many pixels wide."""
        self._ask("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=False)
        self._loaded = False
        self._ask("Page.navigate", url=path.as_uri())
        self._wait(lambda: self._loaded)

    def evaluate(self, expression: str) -> Any:
        """What a line of script says of the page."""
        return self._ask("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def prefer(self, scheme: str) -> None:
        """Show what follows as to somebody who likes it "light" or "dark"."""
        self._ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def press(self, key: str) -> None:
        """Press a key such as "Tab"."""
        for kind in ("rawKeyDown", "keyUp"):
            code = {"Tab": 9, "Enter": 13}[key]
            self._ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def spoken(self) -> list[tuple[str, str]]:
        """What a screen reader is told: the role and the name of everything on the page."""
        nodes = self._ask("Accessibility.getFullAXTree")["nodes"]
        told = [each for each in nodes if not each["ignored"]]
        return [(each["role"]["value"], str(each.get("name", {}).get("value", ""))) for each in told]

    def pdf(self, size: tuple[float, float]) -> bytes:
        """The page as it is printed."""
        width, height = size
        return base64.b64decode(self._ask("Page.printToPDF", paperWidth=width, paperHeight=height)["data"])

    _session: str | None = None
    _loaded = False

    def _ask(self, method: str, **parameters: object) -> dict[str, Any]:
        self._number += 1
        number, found = self._number, list[dict[str, Any]]()
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._orders, json.dumps(message).encode() + b"\0")
        self._wait(lambda: bool(found), number, found)
        assert "result" in found[0], found[0]
        return found[0]["result"]

    def _wait(self, done: Any, number: int = -1, found: list[dict[str, Any]] | None = None) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not done():
            assert time.monotonic() < deadline, "the browser does not answer"
            for message in self._messages():
                self._take(message)
                if message.get("id") == number and found is not None:
                    found.append(message)

    def _messages(self) -> Iterator[dict[str, Any]]:
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._answers, selectors.EVENT_READ)
            if not waiting.select(1.0):
                return
        read = os.read(self._answers, 1 << 20)
        assert read, "the browser went away"
        *whole, self._left = (self._left + read).split(b"\0")
        yield from (json.loads(each) for each in whole)

    def _take(self, message: dict[str, Any]) -> None:
        method, told = message.get("method"), message.get("params", {})
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method in ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled"):
            self.trouble.append(json.dumps(told))
        elif method == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])


@contextlib.contextmanager
def browser(folder: Path) -> Iterator[Page]:
    """A browser with a fresh profile in `folder`; it is gone when the block ends."""
    chromium = require("chromium")
    (theirs, orders), (answers, their_end) = os.pipe(), os.pipe()
    command = (
        chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
        "--no-first-run", f"--user-data-dir={folder / 'profile'}", "--remote-debugging-pipe",
    )  # fmt: skip
    launch = (sys.executable, "-c", _LAUNCH, str(theirs), str(their_end), *command)
    with (folder / "chromium.log").open("wb") as log:
        child = subprocess.Popen(launch, pass_fds=(theirs, their_end), stdout=log, stderr=log, start_new_session=True)
    os.close(theirs)
    os.close(their_end)
    try:
        yield Page(orders, answers)
    finally:
        for descriptor in (orders, answers):
            os.close(descriptor)
        try:
            child.wait(10)  # it ends when nobody gives it orders any more
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, 9)
            child.wait()
