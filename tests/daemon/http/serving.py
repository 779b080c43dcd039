"""A real server on a real socket, and a client that sees every byte."""

from __future__ import annotations

import os
import re
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import anyio
import anyio.abc
import anyio.lowlevel
import attrs

from daemon.errors import InvalidParameter
from daemon.http.account import Account
from daemon.http.limits import Limits
from daemon.http.listeners import Listener, listening, listening_on_tcp
from daemon.http.message import Request, Response
from daemon.http.server import ErrorResponse, Server
from tests.certificates import HOST

PATIENCE_S = 5.0
"""How long a test waits for what must happen."""

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"

HELLO = Response(status=200, body=b"hello")

LIMITS = Limits(
    head_bytes_max=1000,
    headers_max=20,
    connections_max=16,
    connections_per_uid_max=16,
    idle_grace_s=0,
    allowed_uids=None,
    head_timeout_s=PATIENCE_S,
    read_timeout_s=PATIENCE_S,
    body_timeout_s=PATIENCE_S,
    write_timeout_s=PATIENCE_S,
)

_DATE = re.compile(rb"Date: [^\r]+ GMT\r\n")


@attrs.frozen
class Answer:
    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


class Client:
    """One connection. Leaving it closes it."""

    def __init__(self, stream: anyio.abc.ByteStream) -> None:
        self._stream = stream
        self._buffer = b""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def send(self, data: bytes) -> None:
        await self._stream.send(data)

    async def shut_down_sending(self) -> None:
        await self._stream.send_eof()

    async def close(self) -> None:
        await self._stream.aclose()

    async def ask(self, data: bytes) -> Answer:
        await self.send(data)
        return await self.read_answer()

    async def read_answer(self, *, to_head: bool = False) -> Answer:
        """The next response; `to_head` if it is one to HEAD."""
        lines = (await self.read_until(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:-2])}
        status = int(lines[0].removeprefix("HTTP/1.1 ")[:3])
        body = b""
        if to_head:
            pass
        elif "content-length" in headers:
            body = await self.read_exactly(int(headers["content-length"]))
        elif headers.get("transfer-encoding") == "chunked":
            while chunk := await self.read_chunk():
                body += chunk
        return Answer(status, headers, body)

    async def read_chunk(self) -> bytes:
        """Empty at the end of the body."""
        size = int(await self.read_until(b"\r\n"), 16)
        return (await self.read_exactly(size + 2))[:-2]

    async def read_until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            assert await self._read_more(), f"the connection ended after {self._buffer!r}"
        found, _, self._buffer = self._buffer.partition(mark)
        return found + mark

    async def read_exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            assert await self._read_more(), f"the connection ended after {self._buffer!r}"
        found, self._buffer = self._buffer[:size], self._buffer[size:]
        return found

    async def read_to_end(self) -> bytes:
        """All the rest, without dates."""
        while await self._read_more():
            pass
        rest, self._buffer = self._buffer, b""
        return _DATE.sub(b"", rest)

    async def _read_more(self) -> bool:
        with anyio.fail_after(PATIENCE_S):
            try:
                self._buffer += await self._stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):  # closed, or closed without having read everything
                return False
        return True


class Stream:
    """A response that a test writes, and whose end it can wait for."""

    def __init__(self, *chunks: bytes, and_then: str = "end") -> None:
        self._chunks = chunks
        self._and_then = and_then
        self.closed = anyio.Event()

    async def handle(self, request: Request) -> Response:
        return Response(status=200, body=self._lines()) if request.path == "/" else HELLO

    async def _lines(self) -> AsyncGenerator[bytes, None]:
        try:
            for chunk in self._chunks:
                yield chunk
            while self._and_then == "flood":
                yield b"x" * (1 << 16)
            if self._and_then == "wait":
                await anyio.sleep_forever()
            if self._and_then == "fail":
                raise ValueError("a defect in a stream")
            if self._and_then == "refuse":
                raise InvalidParameter("too late to refuse")
        finally:
            self.closed.set()

    async def wait_closed(self) -> None:
        with anyio.fail_after(PATIENCE_S):
            await self.closed.wait()


class Held:
    """A handler that waits, and notes how that ended."""

    def __init__(self) -> None:
        self.entered = anyio.Event()
        self.released = anyio.Event()
        self.ended_by: list[str] = []
        self.ended = anyio.Event()

    async def handle(self, request: Request) -> Response:
        if request.path != "/":
            return HELLO
        try:
            self.entered.set()
            await self.released.wait()
            self.ended_by.append("release")
            return HELLO
        except anyio.get_cancelled_exc_class():
            self.ended_by.append("cancellation")
            raise
        finally:
            self.ended.set()


class Service:
    """A server that is running."""

    def __init__(self, server: Server, listeners: Sequence[Listener], path: Path, tasks: anyio.abc.TaskGroup) -> None:
        self.drain = server.drain
        self.change_limits = server.change_limits
        self.listeners = listeners
        self.has_ended = anyio.Event()
        self._path = path
        self._tasks = tasks
        self.tasks_at_rest = (
            len(anyio.get_running_tasks()) + 2 + len(listeners)
        )  # it runs, it watches for hang-ups, it accepts

    async def connect(self) -> Client:
        return Client(await anyio.connect_unix(self._path))

    async def connect_tls(self, context: ssl.SSLContext) -> Client:
        port = self.listeners[1].port
        return Client(await anyio.connect_tcp(HOST, port, ssl_context=context, tls_standard_compatible=False))

    async def run(self, server: Server) -> None:
        await server.run(*self.listeners)
        self.has_ended.set()

    def stop(self) -> None:
        self._tasks.cancel_scope.cancel()

    async def wait_ended(self) -> None:
        """Until it serves no more, of its own accord."""
        with anyio.fail_after(PATIENCE_S):
            await self.has_ended.wait()

    async def wait_idle(self) -> None:
        """Until no connection has a task any more."""
        await wait_until(lambda: len(anyio.get_running_tasks()) <= self.tasks_at_rest)


def plain_error(status: int, text: str) -> Response:
    return Response(status=status, body=text.encode())


async def greet(request: Request) -> Response:
    return HELLO


@asynccontextmanager
async def serving(
    handler: Callable[[Request], Awaitable[Response]],
    directory: Path,
    *,
    error_response: ErrorResponse = plain_error,
    on_answered: Callable[[Account], None] = lambda _: None,
    tls: ssl.SSLContext | None = None,
    # Any: whatever limit a test wants to be another.
    **limits: Any,
) -> AsyncIterator[Service]:
    """At the end everything is gone: every task, every descriptor, the socket."""
    if tls is not None:
        await use_tcp()
    descriptors = open_descriptors()
    path = directory / "s"
    server = Server(
        handler,
        error_response,
        attrs.evolve(LIMITS, **limits),
        on_answered,
    )
    with ExitStack() as stack:
        listeners = [stack.enter_context(listening(path))]
        if tls is not None:
            listeners.append(stack.enter_context(listening_on_tcp(HOST, 0, tls)))
        async with anyio.create_task_group() as tasks:
            service = Service(server, listeners, path, tasks)
            tasks.start_soon(service.run, server)
            yield service
            tasks.cancel_scope.cancel()
    assert open_descriptors() == descriptors
    assert not path.exists()


async def use_tcp() -> None:
    """uvloop keeps a descriptor from the first connection on."""
    with socket.create_server((HOST, 0)) as server:
        stream = await anyio.connect_tcp(*server.getsockname())
        await stream.aclose()


def open_descriptors() -> list[str]:
    return sorted(filter(None, map(_describe, Path("/proc/self/fd").iterdir())))


def _describe(descriptor: Path) -> str:
    try:
        return f"{descriptor.name} {os.readlink(descriptor)}"  # noqa: PTH115 - what it leads to need not be a path
    except FileNotFoundError:  # the listing's own
        return ""


async def wait_until(condition: Callable[[], object]) -> None:
    with anyio.fail_after(PATIENCE_S):
        while not condition():
            await anyio.lowlevel.checkpoint()
