"""The harness against real engines, unchanged."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest import document as doc
from loadtest.__main__ import main
from loadtest.target import everything
from tests.engines import ENGINES, running

pytestmark = pytest.mark.integration

SOURCES = Path(__file__).parents[2]
MIX = "create=6,inspect=3,list=1,rename=2,remove=2"


@pytest.fixture
def home() -> Iterator[Path]:
    """A directory with a short path: a socket's has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="lt-") as path:
        yield Path(path)


@pytest.fixture(params=sorted(ENGINES))
def host(request: pytest.FixtureRequest, home: Path) -> Iterator[str]:
    with ENGINES[request.param](home) as started:
        yield started.host


def read_run(file: Path) -> doc.Run:
    document = doc.decode(file.read_bytes())
    assert isinstance(document, doc.Run)
    return document


def test_any_engine_is_measured_verified_and_cleaned(host: str, tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    assert main(["run", "-H", host, "-n", "60", "-c", "4", "--mix", MIX, "--keep", "--json", str(file)]) == 0
    run = read_run(file)
    assert run.errors == ()
    assert run.server.version
    assert run.server.process
    assert run.server.file_system
    assert run.server_use is not None
    assert set(run.counts.statuses) == {"200", "201", "204"}
    assert main(["verify", str(file)]) == 0
    assert main(["clean", run.plan.run_id, "-H", host]) == 0
    assert everything(host) == ()
    # Of the clients that want one name one gets it, whatever status the others are refused with.
    assert main(["run", "-H", host, "-n", "24", "-c", "8", "--names", "collide:4"]) == 0
    assert main(["run", "-H", host, "-n", "10", "--names", "generated", "--rate", "50/s"]) == 0
    assert everything(host) == ()


def test_a_daemon_that_is_compared_with_itself_is_no_better(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "c.json"

    def verdicts(host: str) -> list[bool]:
        assert main(["compare", host, host, "--rounds", "4", "-n", "60", "-c", "4", "--json", str(file)]) == 0
        comparison = doc.decode(file.read_bytes())
        assert isinstance(comparison, doc.Comparison)
        assert all(condition.is_met for condition in comparison.conditions)
        return [quotient.is_significant for quotient in comparison.quotients]

    with running(home) as daemon:
        host = daemon.host
        # Once in a hundred times chance looks like a difference; not twice.
        assert not any(verdicts(host)) or not any(verdicts(host))


def test_what_was_acknowledged_is_there_after_kill_9_and_a_restart(home: Path, tmp_path: Path) -> None:
    file, pid_file = tmp_path / "run.json", home / "restarted"
    with running(home) as daemon:
        assert main(["run", "-H", daemon.host, "-n", "200", "--keep", "--json", str(file)]) == 0
        serve = [sys.executable, "-m", "daemon", "serve", "--data-root", str(daemon.data_root)]
        serve += ["--socket", str(home / "socket")]
        command = f"kill -9 {daemon.process.pid}; {shlex.join(serve)} >/dev/null 2>&1 & echo $! >{pid_file}"
        try:
            assert main(["verify", str(file), "--restart-cmd", command]) == 0
            assert daemon.process.wait(30) == -signal.SIGKILL
            assert main(["clean", "--all", "-H", daemon.host]) == 0
            assert everything(daemon.host) == ()
        finally:
            os.kill(int(pid_file.read_text()), signal.SIGKILL)


def test_after_kill_9_of_the_harness_clean_leaves_nothing_on_a_real_daemon(home: Path) -> None:
    with running(home) as daemon:
        host = daemon.host
        command = [sys.executable, "-m", "loadtest", "run", "-H", host, "-n", "1000000"]
        with subprocess.Popen(command, cwd=SOURCES, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            assert process.stderr is not None
            try:
                assert b"answered" in process.stderr.readline()
            finally:
                process.kill()
        assert everything(host)
        assert main(["clean"]) == 0
        assert everything(host) == ()
