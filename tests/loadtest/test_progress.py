from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from loadtest.progress import progress_shown
from loadtest.statistics import Recorder
from loadtest.stopping import Notice
from loadtest.work import Progress
from tests.loadtest.fake_docker import FakeDocker, Request

SOURCES = Path(__file__).parents[2]


def test_off_a_terminal_there_is_a_plain_line_a_second(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_shown(Recorder(1), Notice("stops")) as show:
        for quarter, done in enumerate(range(0, 2000, 200)):
            show(Progress(done, done // 1000, quarter / 4, done / 2000, 2000))
    assert capsys.readouterr().err == "800 of 2,000 answered\n1,600 of 2,000 answered, 1 errors\n"


def test_a_short_run_off_a_terminal_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_shown(Recorder(1), Notice("stops")) as show:
        show(Progress(10, 0, 0.9, 1.0, 10))
    assert capsys.readouterr().err == ""


def on_a_terminal(docker: FakeDocker, *, is_interrupted: bool = False, **environment: str) -> tuple[int, str]:
    """Exit code and what a run wrote to its terminal. `is_interrupted`: by Ctrl-C, when 16 creates wait."""
    is_held, release = threading.Event(), threading.Event()

    def hold(number: int, request: Request) -> None:
        if number == 15:
            is_held.set()
        release.wait()

    docker.script = hold if is_interrupted else docker.script
    inherited = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    leader, follower = pty.openpty()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "loadtest", "run", "-H", docker.host, "-n", "40"],
            cwd=SOURCES,
            env={**inherited, "TERM": "xterm-256color", "COLUMNS": "100", **environment},
            stdin=follower,
            stdout=follower,
            stderr=follower,
            start_new_session=True,
        )
    finally:
        os.close(follower)
    output = b""
    try:
        if is_interrupted:
            assert is_held.wait(30)
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the bar's process, too
        while chunk := _read(leader):
            output += chunk
            if b"stopping" in output:
                release.set()
        return process.wait(), output.decode()
    finally:
        release.set()
        os.close(leader)


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, 4096)
    except OSError:  # EIO: the last process has closed the terminal
        return b""


def test_on_a_terminal_there_is_a_bar_and_colour(docker: FakeDocker) -> None:
    code, text = on_a_terminal(docker)
    assert code == 0
    assert "40/40" in text
    assert "\x1b[1;32m" in text  # bold green: the run went well


def test_no_color_is_obeyed(docker: FakeDocker) -> None:
    code, text = on_a_terminal(docker, NO_COLOR="1")
    assert code == 0
    assert "40/40" in text
    assert "\x1b[1;32m" not in text
    assert "\x1b[3" not in text


def test_ctrl_c_on_a_terminal_ends_the_bar_quietly(docker: FakeDocker) -> None:
    code, text = on_a_terminal(docker, is_interrupted=True)
    assert code == 130
    assert "Traceback" not in text
    # Said once, and above the view, which is drawn anew: not into it, where it would be overwritten.
    said, drawn = text[text.index("stopping") :].split("\r\n", 1)
    assert said.endswith("as it is")
    assert re.match(r"(\r|\x1b\[[\d;]*[mK])*creating", drawn)
    assert text.count("stopping") == 1
    assert "16 containers removed" in text
