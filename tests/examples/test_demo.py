from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("backend", ["uvloop", "trio"])
def test_the_demo_shows_what_it_promises_and_leaves_nothing(backend: str) -> None:
    command = [sys.executable, "-m", "examples.demo", "-n", "200", "-c", "8", "--backend", backend]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for promise in (
        "creates/s",
        "p50",
        "p90",
        "p99",
        "max",
        "200 ids and 200 names",
        "all 200 are there again",
        "docker -H unix://",
    ):
        assert promise in done.stdout
    home = done.stdout.rpartition("removed ")[2].partition(";")[0]
    assert not Path(home).exists()
    assert not [command for command in command_lines() if home in command]


def command_lines() -> list[str]:
    """Of every process on this machine."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            lines.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return lines
