"""Real engines, each on a socket and in a directory of its own: ours, and dockerd and podman where they are installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NoReturn

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
    """Its data is in `home / "data"`. It makes no networks."""
    # Else it would look for its settings, and leave a key, in /etc/docker.
    (home / "config.json").write_text(json.dumps({"deprecated-key-path": str(home / "key.json")}))
    command = [installed("dockerd"), "--config-file", str(home / "config.json")]
    command += ["--iptables=false", "--ip6tables=false", "--bridge=none", "--host", f"unix://{home / 'socket'}"]
    command += ["--data-root", str(home / "data"), "--exec-root", str(home / "exec"), "--pidfile", str(home / "pid")]
    with _started(command, home):
        yield f"unix://{home / 'socket'}"


@contextmanager
def podman(home: Path) -> Iterator[str]:
    command = [installed("podman")]
    command += ["--root", str(home / "root"), "--runroot", str(home / "run"), "--tmpdir", str(home / "tmp")]
    command += ["system", "service", "--time", "0", f"unix://{home / 'socket'}"]
    with _started(command, home):
        yield f"unix://{home / 'socket'}"


ENGINES: Mapping[str, Callable[[Path], AbstractContextManager[str]]] = {
    "boatyard": boatyard,
    "dockerd": dockerd,
    "podman": podman,
}


def installed(name: str) -> str:
    """The path of an engine that can be started here. Without one the test is skipped; fails in CI, where it is to be there."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if path is None:
        not_here(f"{name} is not installed")
    if os.geteuid() != 0:
        not_here(f"{name} needs root")
    return path


def not_here(why: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(f"{why}: a skipped test would prove nothing here")
    pytest.skip(why)


@contextmanager
def _started(command: list[str], home: Path) -> Iterator[None]:
    """As soon as it answers, until it is told to stop; in a mount namespace of its own, so that no mount is left then."""
    command = ["unshare", "--mount", "--propagation", "private", *command]
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
    pytest.fail(f"it did not start:\n{(home / 'log').read_text(errors='replace')[-4000:]}")
