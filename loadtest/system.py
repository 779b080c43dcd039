"""The clock and the sockets that a loop runs on: the kernel's, behind a Protocol, so that a test can bring a clock of its own."""

from __future__ import annotations

import resource
import select
import socket
from contextlib import suppress
from pathlib import Path
from time import perf_counter_ns
from typing import Protocol

READABLE = select.EPOLLIN
WRITABLE = select.EPOLLOUT
CLOSED = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
EVENTS_MAX = 512
OTHER_FILES = 64  # that the process may have open beside its connections


_WATCHED = READABLE | select.EPOLLRDHUP


class Wire(Protocol):
    """What a loop needs of a socket that does not block."""

    def fileno(self) -> int: ...
    def send(self, data: bytes | memoryview, /) -> int: ...
    def recv(self, size: int, /) -> bytes: ...
    def close(self) -> None: ...


class System(Protocol):
    def now_ns(self) -> int: ...

    def connect(self, path: str) -> Wire:
        """A socket that is watched for what comes in. Raises what connect(2) fails with; `BlockingIOError`: no room yet."""

    def watch(self, wire: Wire, *, is_sending: bool) -> None:
        """From now on also, or no longer, tell when there is room to send."""

    def wait(self, until_ns: int) -> list[tuple[int, int]]:
        """Descriptors and what happened to them, as soon as something did; empty when the time has come."""

    def close(self) -> None: ...


class Kernel:
    """Linux: one epoll set, and the clock of `time.perf_counter_ns`."""

    now_ns = staticmethod(perf_counter_ns)

    def __init__(self) -> None:
        self._poll = select.epoll()

    def connect(self, path: str) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            sock.connect(path)
        except BaseException:
            sock.close()
            raise
        self._poll.register(sock, _WATCHED)
        return sock

    def watch(self, wire: Wire, *, is_sending: bool) -> None:
        self._poll.modify(wire.fileno(), _WATCHED | WRITABLE if is_sending else _WATCHED)

    def wait(self, until_ns: int) -> list[tuple[int, int]]:
        left_ns = until_ns - perf_counter_ns()
        if left_ns > 0:
            # epoll waits in whole milliseconds, which would make every scheduled request late; select in microseconds.
            select.select((self._poll,), (), (), left_ns / 1e9)
        return self._poll.poll(0, EVENTS_MAX)

    def close(self) -> None:
        self._poll.close()


def allow_connections(count: int) -> None:
    """Lets this process open so many, as far as its hard limit goes: the soft one is often 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def sharpen_timers() -> None:
    """Lets the kernel wake this thread when it asked for it, instead of up to 50 us later (prctl(2), PR_SET_TIMERSLACK)."""
    with suppress(OSError):  # before Linux 4.6, or not ours to change
        Path("/proc/self/timerslack_ns").write_text("1")
