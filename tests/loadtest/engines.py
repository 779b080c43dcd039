"""Real engines, each on a socket and in a directory of its own: ours, and dockerd and podman where they are installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from loadtest.errors import TargetUnreachable
from loadtest.target import server_version
from tests.integration.conftest import running

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0


@contextmanager
def boatyard(home: Path) -> Iterator[str]:
    with running(home) as daemon:
        yield daemon.host


@contextmanager
def dockerd(home: Path) -> Iterator[str]:
    """In a mount namespace of its own, so that nothing it mounts is left when it has gone; without networks."""
    command = ["unshare", "--mount", "--propagation", "private", _installed("dockerd")]
    command += ["--iptables=false", "--ip6tables=false", "--bridge=none", "--host", f"unix://{home / 'socket'}"]
    command += ["--data-root", str(home / "data"), "--exec-root", str(home / "exec"), "--pidfile", str(home / "pid")]
    with _started(command, home):
        yield f"unix://{home / 'socket'}"


@contextmanager
def podman(home: Path) -> Iterator[str]:
    command = ["unshare", "--mount", "--propagation", "private", _installed("podman")]
    command += ["--root", str(home / "root"), "--runroot", str(home / "run"), "--tmpdir", str(home / "tmp")]
    command += ["system", "service", "--time", "0", f"unix://{home / 'socket'}"]
    with _started(command, home):
        yield f"unix://{home / 'socket'}"


ENGINES: Mapping[str, Callable[[Path], AbstractContextManager[str]]] = {
    "boatyard": boatyard,
    "dockerd": dockerd,
    "podman": podman,
}


def _installed(name: str) -> str:
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if path is None:
        pytest.skip(f"{name} is not installed")
    if os.geteuid() != 0:
        pytest.skip(f"{name} needs root")
    return path


@contextmanager
def _started(command: list[str], home: Path) -> Iterator[None]:
    """As soon as it answers, until it is told to stop."""
    with (home / "log").open("wb") as log, subprocess.Popen(command, stderr=log, stdout=log) as process:
        try:
            _wait_answers(process, home)
            yield
        finally:
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_answers(process: subprocess.Popen[bytes], home: Path) -> None:
    pause = threading.Event()  # never set: nothing tells when a socket is listened on
    for _ in range(round(START_TIMEOUT_S / 0.1)):
        if process.poll() is not None:
            break
        try:
            server_version(f"unix://{home / 'socket'}")
        except TargetUnreachable:
            pause.wait(0.1)
        else:
            return
    text = f"it did not start:\n{(home / 'log').read_text(errors='replace')[-4000:]}"
    pytest.fail(text) if os.environ.get("CI") else pytest.skip(text)
