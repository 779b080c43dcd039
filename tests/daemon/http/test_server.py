"""The server on a real Unix socket. Whatever a client does, the others are served and nothing is left of it."""

from __future__ import annotations

import email.utils
import errno
import gc
import os
import select
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from msgspec.structs import replace

from daemon.errors import Cancelled, DaemonError, InvalidParameter
from daemon.http import sockets
from daemon.http.connection import Connection, TooLarge, TooSlow
from daemon.http.message import Request, Response
from tests.daemon.http.serving import GET, HELLO, PATIENCE_S, Client, Held, Service, Stream, greet, serving, wait_until

pytestmark = pytest.mark.anyio

SOON_S = 0.01
"""For timeouts that are to run out."""


def post(fields: bytes, content: bytes = b"") -> bytes:
    return b"POST / HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n%b" % (fields, content)


CHUNKED = post(b"Transfer-Encoding: chunked")


async def echo(request: Request) -> Response:
    """The body comes back; what it is refused for, as the router does it."""
    try:
        return Response(status=200, body=await request.body.read(10))
    except DaemonError as error:
        statuses = {TooLarge: 413, TooSlow: 408, InvalidParameter: 400}
        return Response(status=statuses[type(error)], body=str(error).encode())


async def check_alive(service: Service) -> None:
    async with await service.connect() as client:
        assert (await client.ask(GET)).status == 200


# Requests and their answers ------------------------------------------------------------------------------------------


async def test_a_connection_serves_one_request_after_another(directory: Path) -> None:
    seen: list[tuple[str, str, str, str, bool]] = []

    async def handle(request: Request) -> Response:
        seen.append((request.method, request.path, request.query, request.headers["x"], request.has_body))
        return Response(status=201, headers=(("X-Number", str(len(seen))),), body=b"made")

    async with serving(handle, directory) as service, await service.connect() as client:
        for number in (b"1", b"2"):
            await client.send(b"PUT /a%%20b?n=%b HTTP/1.1\r\nHost: h\r\nX: y\r\n\r\n" % number)
            assert await client.read_until(b"\r\n\r\nmade") == (
                b"HTTP/1.1 201 Created\r\nX-Number: %b\r\nDate: %b\r\nContent-Length: 4\r\n\r\nmade"
                % (number, email.utils.formatdate(usegmt=True).encode())
            )
    assert seen == [("PUT", "/a%20b", f"n={number}", "y", False) for number in (1, 2)]


async def test_pipelined_requests_are_served_in_order_one_at_a_time(directory: Path) -> None:
    running: list[str] = []

    async def handle(request: Request) -> Response:
        running.append(request.path)
        assert len(running) == 1
        await anyio.lowlevel.checkpoint()
        running.remove(request.path)
        return Response(status=200, body=request.path.encode())

    async with serving(handle, directory) as service, await service.connect() as client:
        await client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(20)))
        for number in range(20):
            assert (await client.read_answer()).body == b"/%d" % number


async def test_after_an_answer_with_a_pause_the_next_request_waits_and_those_of_others_do_not(directory: Path) -> None:
    pause_s = 0.2

    async def handle(request: Request) -> Response:
        return Response(status=503, pause_s=pause_s) if request.path == "/busy" else HELLO

    busy = b"GET /busy HTTP/1.1\r\nHost: a\r\n\r\n"
    async with (
        serving(handle, directory) as service,
        await service.connect() as client,
        await service.connect() as other,
    ):
        began = anyio.current_time()
        assert (await client.ask(busy)).status == 503
        await client.send(GET)
        assert await other.ask(GET) == await other.ask(GET)
        assert (await client.read_answer()).status == 200
        assert anyio.current_time() - began >= pause_s
        assert (await client.ask(GET)).status == 200


async def test_a_connection_that_the_kernel_has_no_room_to_watch_is_closed_and_the_next_is_served(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = select.epoll

    class Full:
        """Once: there are as many watches as a user may have (epoll_ctl(2), ENOSPC)."""

        def __init__(self) -> None:
            self._real = real()
            self._is_full = True

        def register(self, descriptor: int, events: int) -> None:
            if self._is_full:
                self._is_full = False
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._real.register(descriptor, events)

        def __getattr__(self, name: str) -> object:
            return getattr(self._real, name)

    monkeypatch.setattr("daemon.http.sockets.select.epoll", Full)
    async with serving(greet, directory) as service:
        async with await service.connect() as client:
            assert await client.read_to_end() == b""
        async with await service.connect() as client:
            assert (await client.ask(GET)).status == 200


async def test_the_answer_to_head_has_a_length_and_no_body(directory: Path) -> None:
    async with serving(greet, directory) as service, await service.connect() as client:
        await client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" + GET)
        assert (await client.read_answer(to_head=True)).headers["content-length"] == "5"
        assert (await client.read_answer()).body == b"hello"


async def test_after_http_1_0_the_connection_is_closed_unless_it_is_to_be_kept(directory: Path) -> None:
    async with serving(greet, directory) as service, await service.connect() as client:
        await client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + b"GET / HTTP/1.0\r\n\r\n")
        assert await client.read_to_end() == (
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
        )


@pytest.mark.parametrize("body", [post(b"Content-Length: 5", b"hello"), CHUNKED + b"1\r\nx\r\n0\r\n\r\n"])
async def test_a_body_that_has_come_and_nobody_has_read_is_dropped(body: bytes, directory: Path) -> None:
    async with serving(greet, directory) as service, await service.connect() as client:
        for _ in range(2):
            answer = await client.ask(body)
            assert (answer.status, answer.headers.get("connection")) == (200, None)


LAST_REQUESTS = {
    "it says so": b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "its body has not come": post(b"Content-Length: 500", b"h"),
    "its body is malformed": CHUNKED + b"x",
    "its body has been promised": post(b"Content-Length: 100\r\nExpect: 100-continue"),
    "it wants another protocol": post(b"Connection: Upgrade\r\nUpgrade: tcp", b"\0\0"),
    "it wants another protocol after a body": post(b"Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 1", b"x"),
}


@pytest.mark.parametrize("request_bytes", LAST_REQUESTS.values(), ids=LAST_REQUESTS)
async def test_the_connection_is_closed_after_a_request_when(request_bytes: bytes, directory: Path) -> None:
    async with serving(greet, directory) as service, await service.connect() as client:
        await client.send(request_bytes + GET)
        assert await client.read_to_end() == (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")


async def test_a_response_may_be_the_last(directory: Path) -> None:
    async def handle(request: Request) -> Response:
        return Response(status=204, is_last=True)

    async with serving(handle, directory) as service, await service.connect() as client:
        await client.send(GET + GET)
        assert await client.read_to_end() == b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"


async def test_a_big_response_reaches_a_slow_reader_whole_and_holds_up_nobody(directory: Path) -> None:
    big = os.urandom(1 << 10) * (4 << 10)

    async def handle(request: Request) -> Response:
        return Response(status=200, body=big if request.path == "/big" else b"small")

    async with serving(handle, directory) as service, await service.connect() as slow:
        await slow.send(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
        await slow.read_until(b"\r\n\r\n")  # the server is in the middle of it
        await check_alive(service)
        assert await slow.read_exactly(len(big)) == big


# Bodies --------------------------------------------------------------------------------------------------------------

BODIES: dict[str, tuple[bytes, int, bytes]] = {
    "a length": (post(b"Content-Length: 5", b"hello"), 200, b"hello"),
    "chunks": (post(b"Transfer-Encoding: chunked", b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"), 200, b"hello"),
    "none": (GET, 200, b""),
    "as much as may be": (post(b"Content-Length: 10", b"x" * 10), 200, b"x" * 10),
    "declared too large, and not sent": (
        post(b"Content-Length: 18446744073709551615"),
        413,
        b"request body is larger than 10 bytes",
    ),
    "too large for a client that waits": (
        post(b"Content-Length: 11\r\nExpect: 100-continue"),
        413,
        b"request body is larger than 10 bytes",
    ),
    "too many chunks": (
        CHUNKED + b"6\r\nxxxxxx\r\n5\r\nxxxxx\r\n",
        413,
        b"request body is larger than 10 bytes",
    ),
    "no chunk": (
        CHUNKED + b"1\r\nx\r\nhello\r\n",
        400,
        b"malformed HTTP request: Invalid character in chunk size",
    ),
}


@pytest.mark.parametrize(("request_bytes", "status", "body"), BODIES.values(), ids=BODIES)
async def test_a_body_is_read_or_refused(request_bytes: bytes, status: int, body: bytes, directory: Path) -> None:
    async with serving(echo, directory) as service, await service.connect() as client:
        answer = await client.ask(request_bytes)
        assert (answer.status, answer.body) == (status, body)
        if status == 200:
            assert (await client.ask(GET)).status == 200
        else:
            assert answer.headers["connection"] == "close"
            assert await client.read_to_end() == b""


@pytest.mark.parametrize("fields", [b"Content-Length: 1000000", b"Transfer-Encoding: chunked"])
async def test_a_client_that_is_answered_before_its_body_is_there_can_go_on_sending(
    fields: bytes, directory: Path
) -> None:
    async with serving(greet, directory) as service, await service.connect() as client:
        answer = await client.ask(post(fields))
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await client.read_to_end() == b""
        for _ in range(10):
            await client.send(100_000 * b"x")  # the pipe is not broken


async def test_a_client_that_sends_for_ever_is_left_in_the_end(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "LINGER_S", SOON_S)
    async with serving(greet, directory) as service, await service.connect() as client:
        await client.ask(CHUNKED)
        with anyio.fail_after(PATIENCE_S), pytest.raises(anyio.BrokenResourceError):
            while True:
                await client.send(b"1\r\nx\r\n")


async def test_a_handler_reads_a_body_as_it_comes(directory: Path) -> None:
    arrived: list[bytes] = []

    async def handle(request: Request) -> Response:
        while content := await request.body.receive():
            arrived.append(content)
        assert await request.body.receive() == b"", "the end stays the end"
        return HELLO

    async with serving(handle, directory) as service, await service.connect() as client:
        await client.send(CHUNKED)
        for content in (b"a", b"b", b"c"):
            await client.send(b"1\r\n%b\r\n" % content)
            await wait_until(lambda: arrived[-1:] == [content])  # noqa: B023 - it is called in this turn
        assert (await client.ask(b"0\r\n\r\n")).body == b"hello"
        assert (await client.ask(GET)).status == 200


async def test_a_client_that_waits_to_continue_is_told_when_its_body_is_wanted(directory: Path) -> None:
    async with serving(echo, directory) as service, await service.connect() as client:
        for _ in range(2):
            await client.send(post(b"Content-Length: 5\r\nExpect: 100-continue"))
            assert await client.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            assert (await client.ask(b"hello")).body == b"hello"


async def test_a_client_that_waits_to_continue_is_answered_at_once_when_its_body_is_not_wanted(directory: Path) -> None:
    async with serving(greet, directory) as service, await service.connect() as client:
        answer = await client.ask(post(b"Content-Length: 5\r\nExpect: 100-continue"))
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await client.read_to_end() == b""


# Streams -------------------------------------------------------------------------------------------------------------


async def test_a_stream_is_sent_in_chunks_as_they_come_and_the_connection_lives_on(directory: Path) -> None:
    stream = Stream(b"hello", b"", b"x" * 26)
    async with serving(stream.handle, directory) as service, await service.connect() as client:
        await client.send(GET + GET.replace(b"/ ", b"/other "))
        assert b"Transfer-Encoding: chunked" in await client.read_until(b"\r\n\r\n")
        framed = b"5\r\nhello\r\n1a\r\n" + b"x" * 26 + b"\r\n0\r\n\r\n"
        assert await client.read_exactly(len(framed)) == framed
        assert (await client.read_answer()).body == b"hello"


async def test_a_stream_for_http_1_0_ends_with_the_connection(directory: Path) -> None:
    stream = Stream(b"hello", b", ", b"you")
    async with serving(stream.handle, directory) as service, await service.connect() as client:
        await client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert await client.read_to_end() == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello, you"


@pytest.mark.parametrize("status", [101, 200])
async def test_a_raw_stream_has_the_connection_for_itself(status: int, directory: Path) -> None:
    stream = Stream(b"hello", b"", b"world")

    async def handle(request: Request) -> Response:
        headers = (("Connection", "Upgrade"), ("Upgrade", "tcp")) if status == 101 else ()
        return replace(await stream.handle(request), status=status, headers=headers, is_raw=True)

    async with serving(handle, directory) as service, await service.connect() as client:
        await client.send(post(b"Connection: Upgrade\r\nUpgrade: tcp" if status == 101 else b"Content-Length: 0") + GET)
        sent = await client.read_to_end()
    head, _, body = sent.partition(b"\r\n\r\n")
    assert body == b"helloworld", "and the next request is not one"
    assert b"Transfer-Encoding" not in head
    assert head.count(b"Connection: ") == (1 if status == 101 else 0)
    await stream.wait_closed()


async def test_the_answer_to_head_has_no_stream(directory: Path) -> None:
    stream = Stream(b"hello")
    async with serving(stream.handle, directory) as service, await service.connect() as client:
        await client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" + GET)
        assert (await client.read_answer(to_head=True)).headers["transfer-encoding"] == "chunked"
        assert (await client.read_answer()).body == b"hello"


@pytest.mark.parametrize("state", ["wait", "flood"])
async def test_a_stream_is_closed_when_its_client_goes_whether_it_waits_or_writes(state: str, directory: Path) -> None:
    stream = Stream(b"first", and_then=state)
    async with serving(stream.handle, directory) as service:
        async with await service.connect() as client:
            await client.send(GET)
            await client.read_until(b"first")
            assert not stream.closed.is_set()
        await stream.wait_closed()
        await service.wait_idle()


@pytest.mark.parametrize("failure", ["fail", "refuse"])
async def test_a_stream_that_fails_is_cut_off_before_its_last_chunk(
    failure: str, directory: Path, defects: list[str]
) -> None:
    stream = Stream(b"first", and_then=failure)
    defects.append({"fail": "a defect in a stream", "refuse": "too late to refuse"}[failure])
    async with serving(stream.handle, directory) as service:
        async with await service.connect() as client:
            await client.send(GET)
            assert (await client.read_to_end()).partition(b"\r\n\r\n")[2] == b"5\r\nfirst\r\n"
        assert stream.closed.is_set()
        async with await service.connect() as client:
            assert (await client.ask(GET.replace(b"/ ", b"/other "))).body == b"hello"


# Clients that go -----------------------------------------------------------------------------------------------------


async def test_a_client_that_has_only_stopped_sending_gets_its_answer(directory: Path) -> None:
    held = Held()
    async with serving(held.handle, directory) as service, await service.connect() as client:
        await client.send(GET)
        await client.shut_down_sending()
        await held.entered.wait()
        async with await service.connect() as other:  # a turn for whoever would cancel it
            assert (await other.ask(GET.replace(b"/ ", b"/other "))).status == 200
        held.released.set()
        assert (await client.read_answer()).body == b"hello"
        assert await client.read_to_end() == b""
    assert held.ended_by == ["release"]


async def test_a_client_that_closes_cancels_its_handler_and_no_other(directory: Path) -> None:
    leaving, staying = Held(), Held()

    async def handle(request: Request) -> Response:
        return await (leaving if "leaving" in request.headers else staying).handle(request)

    async with serving(handle, directory) as service, await service.connect() as other:
        await other.send(GET)
        await staying.entered.wait()
        async with await service.connect() as client:
            await client.send(b"GET / HTTP/1.1\r\nHost: a\r\nLeaving: soon\r\n\r\n" + GET)
            await leaving.entered.wait()
        with anyio.fail_after(PATIENCE_S):
            await leaving.ended.wait()
        staying.released.set()
        assert (await other.read_answer()).status == 200
    assert (leaving.ended_by, staying.ended_by) == (["cancellation"], ["release"])


async def test_a_body_that_ends_too_early_is_a_client_that_has_gone(directory: Path) -> None:
    raised: list[DaemonError] = []

    async def handle(request: Request) -> Response:
        try:
            await request.body.read(100)
        except DaemonError as error:
            raised.append(error)
            raise
        return HELLO

    async with serving(handle, directory) as service, await service.connect() as client:
        await client.send(post(b"Content-Length: 5", b"hel"))
        await client.shut_down_sending()
        assert await client.read_to_end() == b""
    assert [(type(error), str(error)) for error in raised] == [
        (Cancelled, "the client has gone away in the middle of a request")
    ]


@pytest.mark.parametrize("end", ["the handler answers", "the client closes", "the server stops"])
async def test_who_reads_a_body_for_the_handler_learns_of_the_end_of_the_connection(end: str, directory: Path) -> None:
    """As the actor does that loads images: it goes on when the handler that asked it is gone."""
    is_reading, answer, has_learned = anyio.Event(), anyio.Event(), anyio.Event()

    async with anyio.create_task_group() as tasks:

        async def read(request: Request) -> None:
            assert await request.body.receive() == b"x"
            is_reading.set()
            with anyio.fail_after(PATIENCE_S), pytest.raises(Cancelled):
                await request.body.receive()
            has_learned.set()

        async def handle(request: Request) -> Response:
            tasks.start_soon(read, request)
            await answer.wait()
            return HELLO

        async with serving(handle, directory) as service, await service.connect() as client:
            await client.send(CHUNKED + b"1\r\nx\r\n")
            await is_reading.wait()
            await anyio.lowlevel.checkpoint()
            if end == "the handler answers":
                answer.set()
                assert (await client.read_answer()).status == 200
            elif end == "the client closes":
                await client.close()
            else:
                service.stop()
        await has_learned.wait()


async def test_when_the_server_stops_every_connection_is_closed_and_every_handler_cancelled(directory: Path) -> None:
    held, stream = Held(), Stream(b"first", and_then="wait")

    async def handle(request: Request) -> Response:
        return await (stream if "stream" in request.headers else held).handle(request)

    async with serving(handle, directory) as service:
        idle, half, waiting, streaming = [await service.connect() for _ in range(4)]
        assert (await idle.ask(GET.replace(b"/ ", b"/other "))).status == 200
        await half.send(GET[:10])
        await waiting.send(GET)
        await held.entered.wait()
        await streaming.send(b"GET / HTTP/1.1\r\nHost: a\r\nStream: 1\r\n\r\n")
        await streaming.read_until(b"first")
        service.stop()
        try:
            await anyio.lowlevel.checkpoint()
        finally:
            with anyio.CancelScope(shield=True):
                for client in (idle, half, waiting, streaming):
                    assert await client.read_to_end() in (b"", b"\r\n")
                    await client.close()
    assert held.ended_by == ["cancellation"]
    assert stream.closed.is_set()


async def test_of_clients_that_come_and_go_no_task_is_left(directory: Path) -> None:
    async with serving(greet, directory) as service:
        for number in range(20):
            async with await service.connect() as client:
                if number % 2:
                    await client.ask(GET)
                else:
                    await client.send(GET[:number])
        await service.wait_idle()


# Too much, too slow, too wrong ---------------------------------------------------------------------------------------


HALVES = {
    "head_timeout_s": GET[:-1],
    "read_timeout_s": CHUNKED + b"5\r\n",
    "body_timeout_s": post(b"Content-Length: 5", b"hell"),
}


@pytest.mark.parametrize(("limit", "half"), HALVES.items())
async def test_half_a_request_is_given_up_after_the_timeout_and_an_idle_connection_is_not(
    limit: str, half: bytes, directory: Path
) -> None:
    limits: dict[str, Any] = {limit: SOON_S}
    async with serving(echo, directory, **limits) as service, await service.connect() as idle:
        assert (await idle.ask(GET)).status == 200
        async with await service.connect() as slow:
            answer = await slow.ask(half)
            assert (answer.status, answer.body) == (408, b"the request did not arrive in time")
            assert await slow.read_to_end() == b""
        assert (await idle.ask(GET)).status == 200


SLOW = {"head_timeout_s": GET[:-4], "body_timeout_s": CHUNKED}


@pytest.mark.parametrize(("limit", "begun"), SLOW.items())
async def test_who_sends_a_byte_from_time_to_time_has_no_more_time_than_others(
    limit: str, begun: bytes, directory: Path
) -> None:
    more = b"\r\nX: y" if limit == "head_timeout_s" else b"00000"  # a size may have any number of zeros

    async def go_on_for_ever(client: Client) -> None:
        with suppress(anyio.BrokenResourceError):
            while True:
                await client.send(more)
                await anyio.sleep(SOON_S / 5)

    wide: dict[str, Any] = {"head_bytes_max": 1 << 20, "headers_max": 10**6, limit: SOON_S}
    async with (
        serving(echo, directory, **wide) as service,
        await service.connect() as slow,
        anyio.create_task_group() as tasks,
    ):
        await slow.send(begun)
        tasks.start_soon(go_on_for_ever, slow)
        assert (await slow.read_answer()).status == 408
        tasks.cancel_scope.cancel()


async def test_300_slow_senders_are_closed_and_nobody_else_notices(directory: Path) -> None:
    limits: dict[str, Any] = {"connections_max": 400, "connections_per_uid_max": 400, "head_timeout_s": SOON_S}
    async with serving(greet, directory, **limits) as service, await service.connect() as other:
        slow = [await service.connect() for _ in range(300)]
        for client in slow:
            await client.send(GET[:-2])
            assert (await other.ask(GET)).status == 200
        for client in slow:
            assert (await client.read_answer()).status == 408
            assert await client.read_to_end() == b""
            await client.close()
        assert (await other.ask(GET)).status == 200


@pytest.mark.parametrize("kind", ["bytes", "stream", "endless"])
async def test_who_does_not_read_its_answer_is_closed(kind: str, directory: Path) -> None:
    stream = Stream(and_then="flood")

    async def handle(request: Request) -> Response:
        if request.path == "/other":
            return HELLO
        if kind == "bytes":
            return Response(status=200, body=b"x" * (8 << 20))
        return replace(await stream.handle(request), is_endless=kind == "endless")

    async with serving(handle, directory, write_timeout_s=SOON_S) as service:
        async with await service.connect() as deaf:
            await deaf.send(GET)
            await wait_until(lambda: len(anyio.get_running_tasks()) > service.tasks_at_rest)
            await service.wait_idle()
            if kind != "bytes":
                await stream.wait_closed()
        async with await service.connect() as client:
            assert (await client.ask(GET.replace(b"/ ", b"/other "))).body == b"hello"


@pytest.mark.parametrize(
    ("sent", "status", "text"),
    [
        (b"\x16\x03\x01", 400, b"malformed HTTP request: Invalid method encountered"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, b"malformed HTTP request: there must be one Host header"),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 400, b"malformed HTTP request: invalid target"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 1000 + b"\r\n\r\n", 431, b"request header fields are too large"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 30, 431, b"too many request header fields"),
    ],
)
async def test_what_is_no_request_is_answered_once_after_those_before_it(
    sent: bytes, status: int, text: bytes, directory: Path
) -> None:
    async with serving(greet, directory) as service:
        async with await service.connect() as client:
            await client.send(GET + sent)
            assert (await client.read_answer()).status == 200
            answer = await client.read_answer()
            assert (answer.status, answer.body, answer.headers["connection"]) == (status, text, "close")
            assert await client.read_to_end() == b""
        await check_alive(service)


async def test_a_handler_that_fails_costs_its_connection_and_no_more(directory: Path, defects: list[str]) -> None:
    async def handle(request: Request) -> Response:
        if request.path == "/bad":
            raise ValueError("a defect")
        return HELLO

    defects.append("a defect")
    async with serving(handle, directory) as service:
        async with await service.connect() as client:
            await client.send(GET.replace(b"/ ", b"/bad "))
            assert await client.read_to_end() == b""
        await check_alive(service)


async def test_a_connection_leaves_nothing_to_the_garbage_collector(directory: Path) -> None:
    async with serving(greet, directory) as service:
        gc.collect()
        gc.disable()
        try:
            async with await service.connect() as client:
                assert (await client.ask(GET)).status == 200
            await service.wait_idle()
            assert [kept for kept in gc.get_objects() if isinstance(kept, Connection)] == []
        finally:
            gc.enable()
