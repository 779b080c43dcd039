"""Where one engine lives, and how it ends."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from pathlib import Path
from typing import Protocol

import attrs

from contrib.connection import Connection
from contrib.crash.disks import Disk, disk_at
from contrib.engines import Engine, boatyard, dockerd, podman

ANSWER_TIMEOUT_S = 60.0
END_TIMEOUT_S = 60.0
VOLATILE = ("exec", "run", "tmp")
"""In a home: what a machine keeps in memory."""


class Start(Protocol):
    def __call__(self, home: Path, /, *, wrapper: Sequence[str] = ()) -> AbstractContextManager[Engine]: ...


ENGINES: Mapping[str, Start] = {"dockerd": dockerd, "podman": podman, "boatyard": boatyard}


@attrs.frozen(kw_only=True)
class Subject:
    """One engine, and how it is to be tried."""

    start: Start
    rounds: int
    clients: int
    directory: Path | None = None
    """Below which it lives; the temporary one by default."""

    @contextmanager
    def site(self, *, disk_bytes: int = 0) -> Iterator[Site]:
        """A new one; its data root on a disk of its own if that has a size. Raises CannotMount."""
        with ExitStack() as stack:
            home = stack.enter_context(
                tempfile.TemporaryDirectory(prefix="by-", dir=self.directory, ignore_cleanup_errors=True)
            )
            disk = None
            if disk_bytes:
                disk = stack.enter_context(disk_at(Path(home) / "data", Path(home) / "disk", size_bytes=disk_bytes))
            yield Site(self.start, Path(home), disk)


@attrs.frozen
class Site:
    _start: Start
    home: Path
    _disk: Disk | None

    @contextmanager
    def running(self, wrapper: Sequence[str] = ()) -> Iterator[tuple[Engine, Connection]]:
        """Raises NotHere, DidNotStart."""
        with (
            self._start(self.home, wrapper=wrapper) as engine,
            closing(Connection(engine.socket, timeout_s=ANSWER_TIMEOUT_S)) as connection,
        ):
            yield engine, connection

    @property
    def disk(self) -> Disk:
        assert self._disk is not None, "a part that needs one asks for it"
        return self._disk

    def sync(self) -> None:
        """Make durable what is on the disk by now."""
        subprocess.run(["sync", "--file-system", str(self.disk.point)], check=True, timeout=END_TIMEOUT_S)

    def stop(self, engine: Engine) -> None:
        engine.process.send_signal(signal.SIGTERM)
        engine.process.wait(END_TIMEOUT_S)

    def kill(self, engine: Engine) -> None:
        """dockerd's containerd goes, too, as when a whole unit is killed; else the next dockerd would take it over."""
        engine.process.send_signal(signal.SIGKILL)
        engine.process.wait(END_TIMEOUT_S)
        pid_file = self.home / "exec" / "containerd" / "containerd.pid"
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            os.kill(int(pid_file.read_text()), signal.SIGKILL)
        pid_file.unlink(missing_ok=True)
        (self.home / "pid").unlink(missing_ok=True)

    def cut_power(self, engine: Engine) -> float:
        """Returned is since when nothing is written any more, by the monotonic clock: what is answered later was never heard.
        The machine is up again then, with what was durable."""
        cut_at = time.monotonic()
        self.disk.cut()
        self.kill(engine)
        for name in VOLATILE:
            shutil.rmtree(self.home / name, ignore_errors=True)
        (self.home / "socket").unlink(missing_ok=True)
        self.disk.come_back()
        return cut_at
