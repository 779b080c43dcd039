"""HTTP over many Unix sockets from one thread: an epoll loop, kept-alive connections, no task and no timer per request.

The client owns sockets and clocks. What to send and what an answer means is the plan's: the loop asks it for the next request
whenever a connection is free, and hands it what became of each. It knows no Docker. Every wait has a limit: a request that
was not answered within `timeout_s` of its intended start is found by a sweep over the connections and given up.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Sequence
from time import perf_counter_ns
from typing import NamedTuple, Protocol

from loadtest.errors import ErrorKind, Failure
from loadtest.response import BadHTTP, Incomplete, Response, ResponseReader

TICK_S = 0.25  # between sweeps for timeouts, and so between looks at the plan's progress: 4 a second
CONNECT_RETRY_S = 0.005  # a Unix socket whose backlog is full says so at once, and cannot be polled for room
RECEIVE_BYTES = 64 * 1024
EVENTS_MAX = 512

_READ = select.EPOLLIN | select.EPOLLRDHUP
_CLOSED = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR


class Times(NamedTuple):
    """Nanoseconds of `time.perf_counter_ns`. In the closed model a request is meant to start when its client is free."""

    intended_start_ns: int
    sent_at_ns: int
    done_at_ns: int


class Plan(Protocol):
    """What a run of the loop is to send."""

    def next_request(self) -> tuple[int, bytes] | None:
        """A number to report back, and the bytes of the request. None: nothing more is to be sent."""

    def answered(self, number: int, times: Times, response: Response) -> None: ...

    def failed(self, number: int, times: Times, kind: ErrorKind, text: str) -> None: ...

    def tick(self) -> None:
        """Called at most 4 times a second, between requests."""


class Client:
    """Carries out plans against one socket, over connections that each run opens afresh."""

    def __init__(self, path: str, *, concurrency: int, timeout_s: float) -> None:
        self._path = path
        self._concurrency = concurrency
        self._timeout_s = timeout_s

    def run(self, plan: Plan) -> None:
        """Returns when the plan has nothing more to send and every request has been answered or given up."""
        with select.epoll() as poll:
            loop = _Loop(plan, poll, self._path, self._concurrency, round(self._timeout_s * 1e9))
            try:
                loop.run()
            finally:
                loop.close()

    def exchange(self, requests: Sequence[bytes]) -> list[Response | Failure]:
        """What became of each of `requests`, in their order."""
        batch = _Batch(requests)
        self.run(batch)
        return [batch.outcomes[number] for number in range(len(requests))]


def request_bytes(method: str, target: str, body: bytes = b"", content_type: str = "application/json") -> bytes:
    """A request, ready to send. `target` is path and query, percent-encoded."""
    lines = [f"{method} {target} HTTP/1.1", "Host: docker"]
    if body:
        lines += [f"Content-Type: {content_type}", f"Content-Length: {len(body)}"]
    elif method == "POST":
        lines += ["Content-Length: 0"]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


class _Batch:
    """A plan of requests that are all known beforehand."""

    def __init__(self, requests: Sequence[bytes]) -> None:
        self._requests = enumerate(requests)
        self.outcomes: dict[int, Response | Failure] = {}

    def next_request(self) -> tuple[int, bytes] | None:
        return next(self._requests, None)

    def answered(self, number: int, times: Times, response: Response) -> None:
        self.outcomes[number] = response

    def failed(self, number: int, times: Times, kind: ErrorKind, text: str) -> None:
        self.outcomes[number] = Failure(number, kind, text)

    def tick(self) -> None:
        """Nobody watches a batch."""


class _Connection:
    """One client: at most one request under way, on at most one socket."""

    __slots__ = ("intended_start_ns", "number", "reader", "request", "sent_at_ns", "sock", "unsent", "was_used")

    def __init__(self) -> None:
        self.sock: socket.socket | None = None
        self.reader = ResponseReader()
        self.was_used = False
        self.number = -1
        self.request: bytes | None = None
        self.unsent: memoryview | None = None
        self.intended_start_ns = 0
        self.sent_at_ns = 0


class _Loop:
    """One run of a plan."""

    def __init__(self, plan: Plan, poll: select.epoll, path: str, concurrency: int, timeout_ns: int) -> None:
        self._plan = plan
        self._poll = poll
        self._path = path
        self._timeout_ns = timeout_ns
        self._tick_ns = min(round(TICK_S * 1e9), timeout_ns // 4 + 1)
        self._connections = [_Connection() for _ in range(concurrency)]
        self._by_fd: dict[int, _Connection] = {}
        self._waiting: list[_Connection] = []
        """Those that have a request but found the server's backlog full."""
        self._busy = 0

    def run(self) -> None:
        self._busy = len(self._connections)
        for client in self._connections:
            self._start_next(client, perf_counter_ns())
        next_tick_ns = perf_counter_ns() + self._tick_ns
        while self._busy:
            wait_s = CONNECT_RETRY_S if self._waiting else max(0.0, (next_tick_ns - perf_counter_ns()) / 1e9)
            for fd, event in self._poll.poll(wait_s, EVENTS_MAX):
                connection = self._by_fd.get(fd)
                if connection is not None:
                    self._on_event(connection, event)
            now_ns = perf_counter_ns()
            if self._waiting:
                self._retry_waiting()
            if now_ns >= next_tick_ns:
                next_tick_ns = now_ns + self._tick_ns
                self._sweep(now_ns)
                self._plan.tick()

    def close(self) -> None:
        for connection in self._connections:
            self._disconnect(connection)

    def _start_next(self, connection: _Connection, intended_start_ns: int) -> None:
        """Puts the plan's next request under way on this connection; those that fail at once are reported and passed over."""
        while (request := self._plan.next_request()) is not None:
            connection.number, connection.request = request
            connection.intended_start_ns = connection.sent_at_ns = intended_start_ns
            if self._send(connection):
                return
            intended_start_ns = perf_counter_ns()
        connection.request = None
        self._disconnect(connection)
        self._busy -= 1

    def _send(self, connection: _Connection) -> bool:
        """Whether the request is under way, or waits for a connection. If not, its failure has been reported."""
        if connection.sock is None and not self._connect(connection):
            return connection.request is not None
        assert connection.sock is not None
        assert connection.request is not None
        connection.sent_at_ns = perf_counter_ns()
        try:
            sent = connection.sock.send(connection.request)
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
            self._poll.modify(connection.sock, _READ | select.EPOLLOUT)
        return True

    def _connect(self, connection: _Connection) -> bool:
        """Whether the connection is open. If not, its request waits in `_waiting` or has been reported as failed."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            sock.connect(self._path)
        except BlockingIOError:
            sock.close()
            self._waiting.append(connection)
            return False
        except (ConnectionRefusedError, FileNotFoundError, NotADirectoryError, PermissionError) as error:
            sock.close()
            self._fail(connection, ErrorKind.CONNECT_REFUSED, f"{self._path}: {error.strerror}")
            return False
        connection.sock = sock
        connection.reader = ResponseReader()
        connection.was_used = False
        self._by_fd[sock.fileno()] = connection
        self._poll.register(sock, _READ)
        return True

    def _on_event(self, connection: _Connection, event: int) -> None:
        if event & select.EPOLLOUT and connection.unsent is not None:
            self._send_rest(connection, connection.unsent)
        if not event & (select.EPOLLIN | _CLOSED):
            return
        assert connection.sock is not None
        try:
            data = connection.sock.recv(RECEIVE_BYTES)
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
                self._finish(connection, response, is_closed=not data or bool(event & _CLOSED))

    def _finish(self, connection: _Connection, response: Response, *, is_closed: bool) -> None:
        done_at_ns = perf_counter_ns()
        times = Times(connection.intended_start_ns, connection.sent_at_ns, done_at_ns)
        # An answer to half a request, such as a refusal of its head, leaves the other half in the way.
        if is_closed or not response.is_reusable or connection.unsent is not None:
            self._disconnect(connection)
        connection.was_used = True
        self._plan.answered(connection.number, times, response)
        self._start_next(connection, done_at_ns)

    def _send_rest(self, connection: _Connection, unsent: memoryview) -> None:
        assert connection.sock is not None
        try:
            unsent = unsent[connection.sock.send(unsent) :]
        except BlockingIOError:
            return
        except (BrokenPipeError, ConnectionResetError):
            # Whatever the server said before it stopped reading is what counts.
            unsent = unsent[len(unsent) :]
        connection.unsent = unsent or None
        if connection.unsent is None:
            self._poll.modify(connection.sock, _READ)

    def _retry_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for connection in waiting:
            if connection.request is not None and not self._send(connection):
                self._start_next(connection, perf_counter_ns())

    def _sweep(self, now_ns: int) -> None:
        for connection in self._connections:
            if connection.request is None or now_ns - connection.intended_start_ns < self._timeout_ns:
                continue
            kind = ErrorKind.TIMEOUT
            if connection in self._waiting:
                self._waiting.remove(connection)
                kind = ErrorKind.CONNECT_TIMEOUT
            self._give_up(connection, kind, f"no answer within {self._timeout_ns / 1e9:g} s")

    def _give_up(self, connection: _Connection, kind: ErrorKind, text: str) -> None:
        """Reports the request as failed and goes on with the next one, on a new connection."""
        self._disconnect(connection)
        self._fail(connection, kind, text)
        self._start_next(connection, perf_counter_ns())

    def _fail(self, connection: _Connection, kind: ErrorKind, text: str) -> None:
        connection.request = None
        times = Times(connection.intended_start_ns, connection.sent_at_ns, perf_counter_ns())
        self._plan.failed(connection.number, times, kind, text)

    def _disconnect(self, connection: _Connection) -> None:
        """Leaves the connection closed and without residue; harmless twice."""
        connection.unsent = None
        if connection.sock is not None:
            del self._by_fd[connection.sock.fileno()]
            connection.sock.close()  # takes it out of the epoll set, too
            connection.sock = None
