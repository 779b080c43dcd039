"""A server and a client on virtual time: no thread, no socket, no clock but the one that jumps to whatever happens next."""

from __future__ import annotations

import heapq
from collections.abc import Callable

from loadtest.system import READABLE, Wire

Delay = Callable[[int, int], int]
"""By the request's number and the time it arrives, both from 0: when its answer is there."""


class VirtualSystem:
    """A `loadtest.system.System` whose client is infinitely fast: time passes only while it waits."""

    def __init__(self, done_at_ns: Delay, *, started_at_ns: int = 1_000_000_000) -> None:
        self._done_at_ns = done_at_ns
        self._started_at_ns = self._now_ns = started_at_ns
        self._events: list[tuple[int, int, _VirtualWire]] = []
        self.requests = 0
        self.connections = 0
        self.waits = 0
        """How often the client went to sleep."""

    def now_ns(self) -> int:
        return self._now_ns

    def connect(self, path: str) -> Wire:
        self.connections += 1
        return _VirtualWire(self, self.connections)

    def watch(self, wire: Wire, *, is_sending: bool) -> None:
        raise AssertionError("there is always room to send")

    def wait(self, until_ns: int) -> list[tuple[int, int]]:
        self.waits += 1
        at_ns = self._events[0][0] if self._events else until_ns
        self._now_ns = max(self._now_ns, min(at_ns, until_ns))
        ready = []
        while self._events and self._events[0][0] <= self._now_ns:
            ready.append((heapq.heappop(self._events)[2].fileno(), READABLE))
        return ready

    def close(self) -> None:
        """There is nothing to close."""

    def receive(self, wire: _VirtualWire) -> bytes:
        """Takes a request in; the answer to be read when its time has come."""
        number, self.requests = self.requests, self.requests + 1
        done_at_ns = self._started_at_ns + self._done_at_ns(number, self._now_ns - self._started_at_ns)
        heapq.heappush(self._events, (done_at_ns, number, wire))
        body = b'{"Id":"%064x"}' % number
        return b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


class _VirtualWire:
    def __init__(self, system: VirtualSystem, number: int) -> None:
        self._system = system
        self._number = number
        self._answer = b""

    def fileno(self) -> int:
        return self._number

    def send(self, data: bytes | memoryview, /) -> int:
        self._answer = self._system.receive(self)
        return len(data)

    def recv(self, size: int, /) -> bytes:
        return self._answer

    def close(self) -> None:
        """There is nothing to close."""
