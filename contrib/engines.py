"""Real engines, each on a socket and in a directory of its own: ours, and dockerd and podman where they are installed.

For tests and measurements. An engine is ended when its block is left, however that happens: by its process id, and with its
mounts, as dockerd and podman have a mount namespace of their own. It hears no Ctrl-C, which is for whoever has started it.
"""

from __future__ import annotations

import compileall
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs

from loadtest import HarnessError, TargetRefused, TargetUnreachable
from loadtest.target import server_version

START_TIMEOUT_S = 120.0
"""dockerd reads what it has before it answers: 5,000 containers in 11 s, on a quiet machine."""
STOP_TIMEOUT_S = 120.0
PODMAN_LOCKS = 65_536
"""One a container; 2,048 by itself, of all podmans of a machine together, and those of a root that has gone stay taken."""
PAUSE_S = 0.005
"""Between two looks at a socket: how exact the time of a start is."""

SOURCES = Path(__file__).parents[1]


class NotHere(Exception):
    """The engine cannot be started on this machine; the text says why."""


class DidNotStart(HarnessError):
    """It ended, or did not answer."""


@attrs.frozen
class Engine:
    """One that runs."""

    process: subprocess.Popen[bytes]
    home: Path
    start_s: float
    """From its start until it answered."""

    @property
    def socket(self) -> Path:
        return self.home / "socket"

    @property
    def host(self) -> str:
        return f"unix://{self.socket}"

    @property
    def data_root(self) -> Path:
        """Of podman it is called `root` in its own words, but is here, too."""
        return self.home / "data"

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(STOP_TIMEOUT_S)


@contextmanager
def boatyard(
    home: Path,
    backend: str = "uvloop",
    *,
    ready_trees: int | None = None,
    wrapper: Sequence[str] = (),
    options: Sequence[str] = (),
) -> Iterator[Engine]:
    """`wrapper`, here and below: a command that becomes the engine, as nice; `options`: more of its own."""
    command = [*wrapper, sys.executable, "-m", "daemon", "serve", "--backend", backend]
    command += ["--data-root", str(home / "data"), "--socket", str(home / "socket")]
    if ready_trees is not None:
        command += ["--ready-trees", str(ready_trees)]
    command += options
    _compile()
    with _running(command, home) as engine:
        yield engine


@functools.cache
def _compile() -> None:
    """As an installation is: else a start would do it, each time where the environment has no bytecode written."""
    for package in ("actors", "daemon"):
        compileall.compile_dir(SOURCES / package, quiet=1)


@contextmanager
def dockerd(home: Path, *, wrapper: Sequence[str] = ()) -> Iterator[Engine]:
    """It makes no networks. Raises `NotHere`."""
    # Else it would look for its settings, and leave a key, in /etc/docker.
    (home / "config.json").write_text(json.dumps({"deprecated-key-path": str(home / "key.json")}))
    command = [*_own_mounts(), *wrapper, installed("dockerd"), "--config-file", str(home / "config.json")]
    command += ["--iptables=false", "--ip6tables=false", "--bridge=none", "--host", f"unix://{home / 'socket'}"]
    command += ["--data-root", str(home / "data"), "--exec-root", str(home / "exec"), "--pidfile", str(home / "pid")]
    with _running(command, home) as engine:
        yield engine


@contextmanager
def podman(home: Path, *, wrapper: Sequence[str] = ()) -> Iterator[Engine]:
    """It pulls from this machine without TLS, as the others do. Raises `NotHere`."""
    (home / "containers.conf").write_text(f"[engine]\nnum_locks = {PODMAN_LOCKS}\n")
    (home / "registries.conf").write_text('[[registry]]\nlocation = "127.0.0.1"\ninsecure = true\n')
    command = [*_own_mounts(), "env", f"CONTAINERS_CONF={home / 'containers.conf'}"]
    command += [f"CONTAINERS_REGISTRIES_CONF={home / 'registries.conf'}"]
    command += ["sh", "-ec", 'mount -t tmpfs locks /dev/shm; exec "$0" "$@"', *wrapper, installed("podman")]
    command += ["--root", str(home / "data"), "--runroot", str(home / "run"), "--tmpdir", str(home / "tmp")]
    command += ["system", "service", "--time", "0", f"unix://{home / 'socket'}"]
    with _running(command, home) as engine:
        yield engine


def installed(name: str) -> str:
    """The path of an engine that can be started here. Raises `NotHere`."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if path is None:
        raise NotHere(f"{name} is not installed")
    if os.geteuid() != 0:
        raise NotHere(f"{name} needs root")
    return path


def _own_mounts() -> list[str]:
    return ["unshare", "--mount", "--propagation", "private"]


@contextmanager
def _running(command: Sequence[str], home: Path) -> Iterator[Engine]:
    """As soon as it answers, until it is told to end."""
    with (home / "log").open("ab") as log:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=SOURCES, stdout=log, stderr=log, process_group=0)
        try:
            _wait_answers(process, home, began)
            yield Engine(process, home, time.perf_counter() - began)
        finally:
            process.terminate()  # not killed: it is to end what it has started, as containerd and our workers' host
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_answers(process: subprocess.Popen[bytes], home: Path, began: float) -> None:
    """Raises `DidNotStart`."""
    pause = threading.Event()  # never set: nothing tells when a socket is listened on
    while process.poll() is None and time.perf_counter() - began < START_TIMEOUT_S:
        try:
            server_version(f"unix://{home / 'socket'}")
        except (TargetUnreachable, TargetRefused):  # refused: it has begun to listen, and ends after all
            pause.wait(PAUSE_S)
        else:
            return
    raise DidNotStart(f"it did not start\n{(home / 'log').read_text(errors='replace')[-4000:]}")
