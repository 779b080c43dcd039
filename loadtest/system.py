"""The clock and the sockets that a loop runs on: the kernel's, behind a Protocol, so that a test can bring a clock of its own."""

from __future__ import annotations

import ctypes
import os
import resource
import select
import socket
from time import perf_counter_ns
from typing import Protocol

from loadtest.errors import HarnessError

READABLE = select.EPOLLIN
WRITABLE = select.EPOLLOUT
CLOSED = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
EVENTS_MAX = 512
OTHER_FILES = 64  # that the process may have open beside its connections

_WATCHED = READABLE | select.EPOLLRDHUP
_CLOCK_MONOTONIC = 1  # <linux/time.h>: the clock that `perf_counter_ns` reads
_TFD_TIMER_ABSTIME = 1  # timerfd_settime(2)
_NS_PER_S = 1_000_000_000


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
        """Descriptors and what happened to them, as soon as something did or the time has come. Some are not wires'."""

    def close(self) -> None: ...


class Kernel:
    """Linux: one epoll set, a timer in it, and the clock of `time.perf_counter_ns`."""

    now_ns = staticmethod(perf_counter_ns)

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._timer = _Timer()
        # By its level: a timer that has gone off is ready until it is set anew, and need not be read.
        self._poll.register(self._timer.fd, READABLE)
        self._until_ns = 0

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
        # epoll itself waits in whole milliseconds, which would make every scheduled request late.
        if until_ns != self._until_ns:
            self._timer.set(until_ns)
            self._until_ns = until_ns
        return self._poll.poll(-1, EVENTS_MAX)

    def close(self) -> None:
        self._timer.close()
        self._poll.close()


class _Timer:
    """A timerfd: it goes off to the nanosecond, without the slack that other sleeps have. In Python from 3.13 on."""

    _create = ctypes.CDLL(None, use_errno=True).timerfd_create
    _settime = ctypes.CDLL(None).timerfd_settime
    _settime.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)

    def __init__(self) -> None:
        self.fd = self._create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        self._spec = (ctypes.c_long * 4)()  # struct itimerspec: interval, then time, each in seconds and nanoseconds
        self._at = ctypes.addressof(self._spec)

    def set(self, at_ns: int) -> None:
        """Goes off then, or at once if that has passed."""
        self._spec[2], self._spec[3] = divmod(at_ns, _NS_PER_S)
        self._settime(self.fd, _TFD_TIMER_ABSTIME, self._at, None)

    def close(self) -> None:
        os.close(self.fd)


def allow_connections(count: int) -> None:
    """Lets this process open so many: the soft limit is often 1,024. Raises `HarnessError` where the hard one is lower, too."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + OTHER_FILES
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise HarnessError(
            f"{count:,} connections need {wanted:,} open files, and this process may have {hard:,} (ulimit -Hn)"
        )
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
