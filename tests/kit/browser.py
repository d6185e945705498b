"""A headless Chromium, driven through its debugging pipe: no driver and no network beside loopback."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, Self

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
ANSWER_S = 20.0


class Browser:
    """One browser with one page. Use it in a `with`."""

    def __init__(self) -> None:
        assert CHROMIUM is not None, "no Chromium is installed"
        self._profile = tempfile.TemporaryDirectory(prefix="workpool-browser-")
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()
        # Its pipe has the descriptors 3 and 4.
        command = [
            CHROMIUM,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--remote-debugging-pipe",
            f"--user-data-dir={self._profile.name}",
        ]
        shell = f'exec 3<&{to_browser} 4>&{from_browser}; exec "$@"'
        self._process = subprocess.Popen(
            ["/bin/bash", "-c", shell, "bash", *command],
            pass_fds=(to_browser, from_browser),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._ids = count(1)
        self._buffer = b""
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError, TimeoutError):
            self._session = None
            self.ask("Browser.close")
        self._process.terminate()
        self._process.wait(timeout=10)
        os.close(self._write)
        os.close(self._read)
        with suppress(OSError):
            self._profile.cleanup()

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the debugging protocol, and return its result."""
        number = next(self._ids)
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == number:
                assert "error" not in answer, answer["error"]
                result: dict[str, Any] = answer["result"]
                return result

    def open(self, url: str) -> None:
        """Load a page, to the end of its scripts."""
        self.events.clear()
        self.ask("Page.navigate", url=url)
        self.await_event("Page.loadEventFired")

    def await_event(self, method: str) -> None:
        """Return once the browser has said so."""
        while not any(each.get("method") == method for each in self.events):
            self._receive()

    def evaluate(self, script: str) -> Any:
        """Return the value of an expression in the page; of a promise, its result."""
        answer = self.ask(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, script: str) -> None:
        """Return once an expression of the page is true."""
        self.evaluate(
            "new Promise((done, fail) => { const end = performance.now() + 10000; const look = () => {"
            f"if ({script}) done(true); else if (performance.now() > end) fail(new Error('never')); "
            "else setTimeout(look, 20); }; look(); })"
        )

    def follow(self, script: str) -> None:
        """Do something that loads another page, and return once it is there."""
        self.events.clear()
        self.evaluate(script)
        self.await_event("Page.loadEventFired")

    def complaints(self) -> list[str]:
        """Return errors of scripts and refusals of the policy since the page was opened."""
        found = []
        for each in self.events:
            params = each.get("params", {})
            if each["method"] == "Runtime.exceptionThrown":
                found.append(str(params["exceptionDetails"]))
            entry = params.get("entry", {})
            if each["method"] == "Log.entryAdded" and entry.get("level") in {"error", "warning"}:
                found.append(f"{entry.get('text')} {entry.get('url')}")
        return found

    def look(self, *, width: int, height: int = 900, dark: bool = False) -> None:
        """Set the size of the page and its colours."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 500,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])

    def shoot(self, path: Path) -> None:
        """Write a picture of the page."""
        shot = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=False)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            if not select.select([self._read], [], [], ANSWER_S)[0]:
                raise TimeoutError("the browser did not answer")
            chunk = os.read(self._read, 65536)
            if not chunk:
                raise TimeoutError("the browser has ended")
            self._buffer += chunk
        raw, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(raw)
        if "method" in message:
            self.events.append(message)
        return message
