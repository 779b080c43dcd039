"""Engines in directories of their own, started and ended here, and what is asked of them over their sockets."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs

START_TIMEOUT_S = 60.0
LOAD_TIMEOUT_S = 1800.0
_DOCKERD_OPTIONS = ("--iptables=false", "--ip6tables=false", "--bridge=none")


@attrs.frozen
class Engine:
    name: str
    pid: int
    socket: Path

    def load(self, archive: Path) -> float:
        """How many seconds it takes. Raises OSError where it is refused."""
        connection = Connection(self.socket)
        started = time.perf_counter()
        with archive.open("rb") as body:
            headers = {"Content-Type": "application/x-tar", "Content-Length": str(archive.stat().st_size)}
            connection.request("POST", "/images/load?quiet=1", body, headers)
            response = connection.getresponse()
            answer = response.read()
        taken = time.perf_counter() - started
        connection.close()
        if response.status != 200 or b"bench:1" not in answer:
            raise OSError(f"{self.name} refused: {response.status} {answer[:200]!r}")
        return taken

    def cpu_s(self) -> float:
        """What it and everything it started has used so far: what a busy machine changes least."""
        total = 0
        for pid in (self.pid, *descendants(self.pid)):
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                total += sum(map(int, fields[11:15]))  # its own and those of the children that have ended
        return total / os.sysconf("SC_CLK_TCK")

    def remove(self) -> None:
        connection = Connection(self.socket)
        connection.request("DELETE", "/images/bench:1?force=1")
        connection.getresponse().read()
        connection.close()


class Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("docker", timeout=LOAD_TIMEOUT_S, blocksize=1 << 18)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def descendants(pid: int) -> Iterator[int]:
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, children.read_text().split()):
                yield child
                yield from descendants(child)


@contextlib.contextmanager
def boatyard(home: Path) -> Iterator[Engine]:
    command = [sys.executable, "-m", "daemon", "serve", "--data-root", str(home / "data"), "--socket", str(home / "s")]
    with _running("boatyard", command, home) as engine:
        yield engine


@contextlib.contextmanager
def dockerd(home: Path) -> Iterator[Engine]:
    """In a mount namespace of its own, so that nothing it mounts is left when it has gone."""
    program = _dockerd_path()
    assert program is not None
    command = ["unshare", "--mount", "--propagation", "private", program, *_DOCKERD_OPTIONS]
    command += ["--data-root", str(home / "data"), "--exec-root", str(home / "exec"), "-p", str(home / "pid")]
    command += ["-H", f"unix://{home / 's'}"]
    with _running("dockerd", command, home) as engine:
        yield engine


def why_no_dockerd() -> str:
    """Empty if it can be measured."""
    if _dockerd_path() is None:
        return "dockerd is not installed"
    return "" if os.geteuid() == 0 else "dockerd needs root"


def _dockerd_path() -> str | None:
    return shutil.which("dockerd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


@contextlib.contextmanager
def _running(name: str, command: Sequence[str], home: Path) -> Iterator[Engine]:
    home.mkdir()
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        engine = Engine(name, process.pid, home / "s")
        _wait_ready(engine, process, home / "log")
        yield engine
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(START_TIMEOUT_S)


def _wait_ready(engine: Engine, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        with (
            contextlib.suppress(OSError, http.client.HTTPException),
            contextlib.closing(Connection(engine.socket)) as c,
        ):
            c.request("GET", "/_ping")
            if c.getresponse().read() == b"OK":
                return
    raise OSError(f"{engine.name} did not start:\n{log.read_text()[-2000:]}")
