"""Headless Chromium, spoken to over a pipe (https://chromedevtools.github.io/devtools-protocol/): no driver, no port."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from tests.engines import not_here

PATIENCE_S = 30.0
"""How long a test waits for what must happen. A browser takes its time to start."""

LOOK_EVERY_S = 0.05

WIDTH, HEIGHT = 1180, 900

_OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # tests run as root, too
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--remote-debugging-pipe",
)


class BrowserFailed(AssertionError):
    """It has refused a command, ended, or not done in time what it must."""


class Page:
    """A tab."""

    def __init__(self, commands: int, answers: int) -> None:
        self.complaints: list[str] = []
        """What the page has thrown."""
        self._commands = commands
        self._answers = answers
        self._buffer = b""
        self._number = 0
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Page.enable")
        self.call("Runtime.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=WIDTH, height=HEIGHT, deviceScaleFactor=1, mobile=False)

    def open(self, url: str) -> None:
        """Until it has been read to its end."""
        self.call("Page.navigate", url=url)
        self.wait("location.href != 'about:blank' && document.readyState == 'complete'")

    def prefer(self, scheme: Literal["light", "dark"]) -> None:
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def evaluate(self, expression: str) -> Any:
        """Its value, in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            raise BrowserFailed(answer["exceptionDetails"])
        return answer["result"].get("value")

    def wait(self, expression: str) -> None:
        """Until it is so."""
        deadline = time.monotonic() + PATIENCE_S
        while not self.evaluate(expression):
            if time.monotonic() > deadline:
                raise BrowserFailed(f"it is not so: {expression}; but: {self.text()}")
            self._listen(LOOK_EVERY_S)

    def text(self) -> str:
        """What is to be read."""
        return str(self.evaluate("document.body.innerText"))

    def screenshot(self) -> bytes:
        """A PNG of what fits into its window."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        return self._call(method, self._session, **parameters)

    def _call(self, method: str, session: str = "", **parameters: object) -> dict[str, Any]:
        self._number += 1
        command = {"id": self._number, "method": method, "params": parameters}
        os.write(self._commands, json.dumps(command | ({"sessionId": session} if session else {})).encode() + b"\0")
        deadline = time.monotonic() + PATIENCE_S
        while True:
            for message in self._listen(deadline - time.monotonic()):
                if message.get("id") == self._number:
                    if "error" in message:
                        raise BrowserFailed(message["error"])
                    result: dict[str, Any] = message["result"]
                    return result
            if time.monotonic() > deadline:
                raise BrowserFailed(f"no answer to {method}")

    def _listen(self, for_s: float) -> list[dict[str, Any]]:
        """What it says within that time, or nothing."""
        if not select.select([self._answers], [], [], max(for_s, 0))[0]:
            return []
        received = os.read(self._answers, 1 << 20)
        if not received:
            raise BrowserFailed("it has ended")
        *complete, self._buffer = (self._buffer + received).split(b"\0")
        messages: list[dict[str, Any]] = [json.loads(each) for each in complete]
        for message in messages:
            if message.get("method") == "Runtime.exceptionThrown":
                self.complaints.append(str(message["params"]["exceptionDetails"]))
            elif message.get("method") == "Runtime.consoleAPICalled" and message["params"]["type"] == "error":
                self.complaints.append(str(message["params"]["args"]))
        return messages


@contextmanager
def page(home: Path) -> Iterator[Page]:
    """In a browser of its own, whose files are below `home`."""
    chromium = shutil.which("chromium") or not_here("chromium is not installed")
    commands_out, commands = os.pipe()
    answers, answers_in = os.pipe()
    # It reads commands from 3 and answers on 4.
    shell = f'exec {chromium} "$@" 3<&{commands_out} 4>&{answers_in}'
    command = ["bash", "-c", shell, "chromium", *_OPTIONS, f"--user-data-dir={home / 'chromium'}"]
    with (home / "chromium.log").open("wb") as log:
        process = subprocess.Popen(
            command, pass_fds=(commands_out, answers_in), stdout=log, stderr=log, env={**os.environ, "HOME": str(home)}
        )
    os.close(commands_out)
    os.close(answers_in)
    try:
        yield Page(commands, answers)
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
        os.close(commands)
        os.close(answers)
