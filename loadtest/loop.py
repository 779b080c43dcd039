"""The loop that sends and receives: kept-alive connections on one thread, no task and no timer per request.

Without a schedule the loop is closed: a request is meant to start whenever its client is free. With one it is open: a request
that is due and finds no free connection waits for one, and its wait counts. Nothing is ever left out silently: what was due and
could not be sent is told to the plan. Every wait has a limit: a request that was not answered within the timeout is found by a
sweep over the connections and given up. The loop knows no Docker, and no clock but its `System`'s.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator
from typing import Protocol

from loadtest.errors import ErrorKind
from loadtest.response import BadHTTP, Incomplete, Response, ResponseReader
from loadtest.statistics import Times
from loadtest.system import CLOSED, READABLE, WRITABLE, System, Wire

TICK_NS = 250_000_000  # between sweeps for timeouts, and so between looks at the plan's progress: 4 a second
BEAT_NS = 10_000_000  # the loop wakes this often at least, to see how late it is
RETRY_NS = 5_000_000  # a Unix socket whose backlog is full says so at once, and cannot be polled for room
RECEIVE_BYTES = 64 * 1024
NEVER = sys.maxsize
_INCOMING = READABLE | CLOSED


class Plan(Protocol):
    """What a run of the loop is to send."""

    def next_request(self, intended_start_ns: int) -> tuple[int, bytes] | None:
        """A number to report back, and the bytes of the request. None: nothing more is to be sent."""

    def answered(self, number: int, times: Times, response: Response) -> None: ...

    def failed(self, number: int, times: Times, kind: ErrorKind, text: str) -> None: ...

    def abandoned(self, count: int) -> None:
        """So many requests of the schedule were due and will not be sent."""

    def tick(self) -> bool:
        """Called at most 4 times a second, between requests. False: nothing more is to be sent."""


class Connection:
    """One client: at most one request under way, on at most one socket."""

    __slots__ = (
        *("intended_start_ns", "is_queued", "number", "reader", "request", "sent_at_ns", "taken_up_at_ns"),
        *("unsent", "was_used", "wire"),
    )

    def __init__(self) -> None:
        self.wire: Wire | None = None
        self.reader = ResponseReader()
        self.was_used = False
        self.number = -1
        self.request: bytes | None = None
        self.unsent: memoryview | None = None
        self.intended_start_ns = 0
        self.taken_up_at_ns = 0
        self.sent_at_ns = 0
        self.is_queued = False


class Loop:
    """One run of a plan."""

    def __init__(
        self,
        plan: Plan,
        system: System,
        path: str,
        *,
        concurrency: int,
        timeout_ns: int,
        schedule: Iterator[int] | None,
    ) -> None:
        self._plan = plan
        self._system = system
        self._now_ns = system.now_ns
        self._path = path
        self._timeout_ns = timeout_ns
        self._tick_ns = min(TICK_NS, timeout_ns // 4 + 1)
        self._is_open = schedule is not None
        self._schedule = schedule if schedule is not None else iter(())
        self._due_ns = next(self._schedule, NEVER)
        self._end_ns = NEVER
        """When what is still in the queue is abandoned."""
        self._queue: deque[int] = deque()
        """Intended starts of requests that are due and found no free connection."""
        self._connections = [Connection() for _ in range(concurrency)]
        self._free = self._connections[::-1] if self._is_open else []
        self._busy = 0
        """Connections with a request, or with one to come as soon as the server can be reached."""
        self._waiting: list[Connection] = []
        """Those that could not reach the server and will try again: their request waits, or has been reported as failed."""
        self._by_fd: dict[int, Connection] = {}
        self._next_tick_ns = self._next_beat_ns = 0
        self.worst_lag_ns = 0
        """The longest that the loop came back later than it had meant to."""

    def run(self) -> None:
        """Returns when the plan has nothing more to send and every request has been answered or given up."""
        now_ns = self._now_ns()
        self._next_tick_ns = now_ns + self._tick_ns
        self._next_beat_ns = now_ns + BEAT_NS
        if not self._is_open:
            self._busy = len(self._connections)
            for connection in self._connections:
                self._start_next(connection, now_ns, now_ns)
                now_ns = self._now_ns()
        while self._busy or self._due_ns < NEVER:
            now_ns = self._now_ns()
            if self._due_ns <= now_ns:
                self._take_up(now_ns)
            wake_at_ns = self._wake_at_ns(now_ns)
            for fd, event in self._system.wait(wake_at_ns):
                ready = self._by_fd.get(fd)
                if ready is not None:  # a wire's, and not closed since
                    self._on_event(ready, event)
            if self._waiting:
                self._retry_waiting()
            now_ns = self._now_ns()
            if now_ns >= wake_at_ns:  # a request that was due is a heartbeat, too: to wake is what costs the most
                self._beat(now_ns, now_ns - wake_at_ns)

    def close(self) -> None:
        for connection in self._connections:
            self._disconnect(connection)

    def _wake_at_ns(self, now_ns: int) -> int:
        # What is due while nobody is free can wait until somebody is: to wake for it would only take time from the server.
        wake_at_ns = min(self._next_beat_ns, self._due_ns) if self._free else self._next_beat_ns
        return min(wake_at_ns, now_ns + RETRY_NS) if self._waiting else wake_at_ns

    def _beat(self, now_ns: int, lag_ns: int) -> None:
        self.worst_lag_ns = max(self.worst_lag_ns, lag_ns)
        self._next_beat_ns = now_ns + BEAT_NS
        if now_ns < self._next_tick_ns:
            return
        self._next_tick_ns = now_ns + self._tick_ns
        self._sweep(now_ns)
        if self._due_ns <= now_ns:  # while nobody was free: it is to be counted
            self._take_up(now_ns)
        if not self._plan.tick() or now_ns >= self._end_ns:
            self._abandon(len(self._queue))

    def _take_up(self, now_ns: int) -> None:
        """All that is due is sent, or queued."""
        while self._due_ns <= now_ns:
            due_ns = self._due_ns
            self._due_ns = next(self._schedule, NEVER)
            if self._due_ns == NEVER:
                self._end_ns = due_ns + self._timeout_ns
            if self._free:
                connection = self._free.pop()
                connection.is_queued = False
                self._busy += 1
                self._start_next(connection, due_ns, now_ns)
                now_ns = self._now_ns()
            else:
                self._queue.append(due_ns)

    def _abandon(self, count: int) -> None:
        """Ends the schedule; `count` requests of it were due."""
        self._due_ns = NEVER
        self._queue.clear()
        if count:
            self._plan.abandoned(count)

    def _start_next(self, connection: Connection, intended_start_ns: int, now_ns: int) -> None:
        """Puts the plan's next request under way on this connection. If the server cannot be reached, it tries again later."""
        request = self._plan.next_request(intended_start_ns)
        if request is None:
            if self._is_open:
                self._abandon(1 + len(self._queue))
            self._disconnect(connection)
            self._rest(connection)
            return
        connection.number, connection.request = request
        connection.intended_start_ns = intended_start_ns
        connection.taken_up_at_ns = now_ns
        if not self._send(connection):
            self._waiting.append(connection)

    def _go_on(self, connection: Connection, now_ns: int) -> None:
        """Takes up whatever comes next on a connection that has come free."""
        if self._due_ns <= now_ns:
            self._take_up(now_ns)
        if not self._is_open:
            self._start_next(connection, now_ns, now_ns)
        elif self._queue:
            connection.is_queued = True
            self._start_next(connection, self._queue.popleft(), now_ns)
        else:
            self._rest(connection)

    def _rest(self, connection: Connection) -> None:
        connection.request = None
        self._busy -= 1
        self._free.append(connection)

    def _send(self, connection: Connection) -> bool:
        """Whether the request is under way. If not, the server cannot be reached, and the request waits or has failed."""
        wire = connection.wire or self._connect(connection)
        if wire is None:
            return False
        assert connection.request is not None
        connection.sent_at_ns = self._now_ns()
        try:
            sent = wire.send(connection.request)
        except BlockingIOError:
            sent = 0
        except (BrokenPipeError, ConnectionResetError) as error:
            was_used = connection.was_used
            self._disconnect(connection)
            if was_used:
                # Closed between two requests: not a byte of this one was taken, so it may be sent again.
                return self._send(connection)
            self._fail(connection, ErrorKind.RESET, str(error))
            return False
        if sent < len(connection.request):
            connection.unsent = memoryview(connection.request)[sent:]
            self._system.watch(wire, is_sending=True)
        return True

    def _connect(self, connection: Connection) -> Wire | None:
        """None: its request waits, if there is no room yet, or has been reported as failed."""
        connection.sent_at_ns = self._now_ns()
        try:
            wire = self._system.connect(self._path)
        except BlockingIOError:
            return None
        except (ConnectionRefusedError, FileNotFoundError, NotADirectoryError, PermissionError) as error:
            self._fail(connection, ErrorKind.CONNECT_REFUSED, f"{self._path}: {error.strerror}")
            return None
        connection.wire = wire
        connection.reader = ResponseReader()
        connection.was_used = False
        self._by_fd[wire.fileno()] = connection
        return wire

    def _on_event(self, connection: Connection, event: int) -> None:
        if connection.unsent is not None and event & WRITABLE:
            self._send_rest(connection, connection.unsent)
        if not event & _INCOMING:
            return
        wire = connection.wire
        assert wire is not None
        try:
            data = wire.recv(RECEIVE_BYTES)
            if connection.request is None:
                # A free connection of an open loop: the server has hung up, or speaks unasked.
                self._disconnect(connection)
                return
            response = connection.reader.feed(data) if data else connection.reader.feed_eof()
        except BlockingIOError:
            return
        except ConnectionResetError as error:
            self._give_up(connection, ErrorKind.RESET, str(error))
        except BadHTTP as error:
            self._give_up(connection, ErrorKind.BAD_HTTP, str(error))
        except Incomplete as error:
            kind = ErrorKind.EOF_IN_BODY if error.is_head_complete else ErrorKind.EOF_BEFORE_RESPONSE
            self._give_up(connection, kind, str(error))
        else:
            if response is not None:
                self._finish(connection, response, is_closed=not data or event & CLOSED != 0)

    def _finish(self, connection: Connection, response: Response, *, is_closed: bool) -> None:
        done_at_ns = self._now_ns()
        times = Times(connection.intended_start_ns, connection.sent_at_ns, done_at_ns, connection.is_queued)
        # An answer to half a request, such as a refusal of its head, leaves the other half in the way.
        if is_closed or not response.is_reusable or connection.unsent is not None:
            self._disconnect(connection)
        connection.was_used = True
        self._plan.answered(connection.number, times, response)
        self._go_on(connection, done_at_ns)

    def _send_rest(self, connection: Connection, unsent: memoryview) -> None:
        assert connection.wire is not None
        try:
            unsent = unsent[connection.wire.send(unsent) :]
        except BlockingIOError:
            return
        except (BrokenPipeError, ConnectionResetError):
            # Whatever the server said before it stopped reading is what counts.
            unsent = unsent[len(unsent) :]
        connection.unsent = unsent or None
        if connection.unsent is None:
            self._system.watch(connection.wire, is_sending=False)

    def _retry_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for connection in waiting:
            if connection.request is None:
                self._go_on(connection, self._now_ns())
            elif not self._send(connection):
                self._waiting.append(connection)

    def _sweep(self, now_ns: int) -> None:
        for connection in self._connections:
            if connection.request is None or now_ns - connection.taken_up_at_ns < self._timeout_ns:
                continue
            kind = ErrorKind.TIMEOUT
            if connection in self._waiting:
                self._waiting.remove(connection)
                kind = ErrorKind.CONNECT_TIMEOUT
            self._give_up(connection, kind, f"no answer within {self._timeout_ns / 1e9:g} s")

    def _give_up(self, connection: Connection, kind: ErrorKind, text: str) -> None:
        """Reports the request as failed and goes on with the next one, on a new connection."""
        self._disconnect(connection)
        self._fail(connection, kind, text)
        self._go_on(connection, self._now_ns())

    def _fail(self, connection: Connection, kind: ErrorKind, text: str) -> None:
        connection.request = None
        times = Times(connection.intended_start_ns, connection.sent_at_ns, self._now_ns(), connection.is_queued)
        self._plan.failed(connection.number, times, kind, text)

    def _disconnect(self, connection: Connection) -> None:
        """Leaves the connection closed and without residue; harmless twice."""
        connection.unsent = None
        if connection.wire is not None:
            del self._by_fd[connection.wire.fileno()]
            connection.wire.close()  # takes it out of the epoll set, too
            connection.wire = None
