"""`boatyardd top` as a process, on a terminal and off it, beside an engine in a thread."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest

from daemon.testing import DockerEngine

PATIENCE_S = 30.0

TOP = [sys.executable, "-m", "daemon", "top"]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[DockerEngine]:
    with DockerEngine(tmp_path) as started:
        yield started


def top(host: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*TOP, "-H", host, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


@attrs.define
class Terminal:
    """What a process writes to a terminal of its own."""

    process: subprocess.Popen[bytes]
    descriptor: int
    seen: str = ""

    def wait(self, text: str) -> None:
        """Until it has written that; what is before is forgotten."""
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.seen:
            assert time.monotonic() < deadline, f"no {text!r} in {self.seen!r}"
            if select.select([self.descriptor], [], [], 0.1)[0]:
                self.seen += os.read(self.descriptor, 1 << 16).decode(errors="replace")
        self.seen = self.seen.rpartition(text)[2]


@contextmanager
def terminal(host: str, **environment: str) -> Iterator[Terminal]:
    ours, its = pty.openpty()
    try:
        settings = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "40", **environment}
        process = subprocess.Popen([*TOP, "-H", host], stdin=its, stdout=its, stderr=its, env=settings)
        try:
            yield Terminal(process, ours)
        finally:
            process.kill()
            process.wait()
    finally:
        os.close(its)
        os.close(ours)


def test_once_it_is_text_with_the_rates_of_a_second(engine: DockerEngine) -> None:
    done = top(engine.host, "--once")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("daemon ")
    assert "\nactor services/allocator up mailbox 0/8192 waited - handled 0/s restarts 0\n" in done.stdout
    assert "\x1b" not in done.stdout


def test_nobody_there_is_1_and_says_so(tmp_path: Path) -> None:
    done = top(f"unix://{tmp_path}/nobody", "--once")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"boatyardd: nobody answers at {tmp_path}/nobody: ")
    assert top(f"{tmp_path}/nobody").stderr == done.stderr


@pytest.mark.parametrize(
    "arguments", [("--interval", "0"), ("--interval", "x"), ("-H", "tcp://127.0.0.1:1"), ("--twice",)]
)
def test_wrong_usage_is_2(arguments: tuple[str, ...]) -> None:
    done = top("/nowhere", *arguments)
    assert done.returncode == 2
    assert "error: " in done.stderr


def test_off_a_terminal_it_goes_on_until_the_daemon_stops_or_nobody_reads(engine: DockerEngine) -> None:
    for is_read in (False, True):
        command = [*TOP, "-H", engine.host]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.readline().startswith("daemon ")
            if is_read:
                engine.stop()
                process.stdout.read()
                assert process.stderr.read() == "boatyardd: the daemon has stopped\n"
            else:
                process.stdout.close()
            assert process.wait(PATIENCE_S) == (1 if is_read else 0)


def test_on_a_terminal_it_is_live_outlives_the_daemon_and_leaves_it_as_it_was(engine: DockerEngine) -> None:
    engine.image("demo")
    with terminal(engine.host) as screen:
        screen.wait("\x1b[?1049h")  # the other screen
        screen.wait("allocator")
        screen.wait("image import")
        engine.stop()
        screen.wait("lost the daemon, trying again")
        engine.start()
        screen.wait("boatyardd")
        screen.wait("transfers")
        screen.process.send_signal(signal.SIGINT)
        screen.wait("\x1b[?1049l")
        assert screen.process.wait(PATIENCE_S) == 130


@pytest.mark.parametrize(("settings", "is_coloured"), [({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False)])
def test_colours_go_by_no_color(settings: dict[str, str], is_coloured: bool, engine: DockerEngine) -> None:
    with terminal(engine.host, **settings) as screen:
        screen.wait("services")
        screen.wait("events")
        coloured = "\x1b[32mup"
        if is_coloured:
            screen.wait(coloured)
        else:
            screen.wait("transfers")
            assert "\x1b[32m" not in screen.seen
        screen.process.send_signal(signal.SIGTERM)
        screen.wait("\x1b[?1049l")
        assert screen.process.wait(PATIENCE_S) == 128 + signal.SIGTERM
