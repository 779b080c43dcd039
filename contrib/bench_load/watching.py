"""What something else costs an engine meanwhile: its memory, its workers' memory, and how long it takes to answer a ping."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import attrs

from contrib.connection import Connection
from contrib.engines import Engine
from loadtest.procfs import descendants

_PING_EVERY_S = 0.002
_LOOK_EVERY_S = 0.02
_KB = 1024


@attrs.define
class Seen:
    resting_bytes: int = 0
    """Of the daemon's memory before."""
    daemon_bytes: int = 0
    """The most of it."""
    worker_bytes: int = 0
    """The most that one process below it had."""
    pings_s: list[float] = attrs.field(factory=list)

    @property
    def grown_bytes(self) -> int:
        return self.daemon_bytes - self.resting_bytes

    def ping_s(self, share: float) -> float:
        """The time that so many of all pings stayed below."""
        ordered = sorted(self.pings_s)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


@contextlib.contextmanager
def watching(engine: Engine) -> Iterator[Seen]:
    seen, is_over = Seen(resting_bytes=_memory(engine.process.pid)), threading.Event()
    threads = [threading.Thread(target=target, args=(engine, seen, is_over)) for target in (_ping, _look)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


def _ping(engine: Engine, seen: Seen, is_over: threading.Event) -> None:
    with contextlib.closing(Connection(engine.socket)) as connection:
        while not is_over.wait(_PING_EVERY_S):
            started = time.perf_counter()
            connection.request("GET", "/_ping")
            connection.getresponse().read()
            seen.pings_s.append(time.perf_counter() - started)


def _look(engine: Engine, seen: Seen, is_over: threading.Event) -> None:
    while not is_over.wait(_LOOK_EVERY_S):
        seen.daemon_bytes = max(seen.daemon_bytes, _memory(engine.process.pid))
        for below in descendants(engine.process.pid):
            seen.worker_bytes = max(seen.worker_bytes, _memory(below))


def _memory(pid: int) -> int:
    """Resident and its own: pages of files that are mapped do not count."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * _KB
    return 0
