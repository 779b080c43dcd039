"""A server that is to stop: who has asked is answered, who asks then is told, and nobody is kept waiting."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from msgspec.structs import replace

from daemon.http import server
from daemon.http.message import Request, Response
from tests.daemon.http.serving import GET, HELLO, Client, Held, Stream, greet, serving, wait_until

pytestmark = pytest.mark.anyio

OTHER = GET.replace(b"/ ", b"/other ")
SOON_S = 0.01


async def check_refused(client: Client) -> None:
    answer = await client.read_answer()
    assert (answer.status, answer.body) == (503, b"the daemon is stopping")
    assert answer.headers["connection"] == "close"
    assert await client.read_to_end() == b""


async def test_what_is_under_way_is_answered_and_what_comes_then_is_refused(directory: Path) -> None:
    held = Held()
    async with serving(held.handle, directory) as service:
        clients = [await service.connect() for _ in range(4)]
        busy, kept, half, silent = clients
        assert (await kept.ask(OTHER)).status == 200
        await half.send(GET[:10])
        await busy.send(GET)
        await held.entered.wait()
        service.drain(60)
        await wait_until(lambda: not (directory / "s").exists())
        with pytest.raises(OSError, match=r"No such file|Connection refused"):
            await service.connect()
        await kept.send(OTHER)
        await check_refused(kept)
        await half.send(GET[10:])
        await check_refused(half)
        assert not service.has_ended.is_set()
        held.released.set()
        answer = await busy.read_answer()
        assert (answer.status, answer.body, answer.headers["connection"]) == (200, b"hello", "close")
        assert await busy.read_to_end() == b""
        assert await silent.read_to_end() == b""
        await service.wait_ended()
        for client in clients:
            await client.close()
    assert held.ended_by == ["release"]


async def test_who_has_sent_a_request_before_the_end_is_told(directory: Path) -> None:
    """However it is timed: in the backlog, or on a connection that was idle and is being closed."""
    async with serving(greet, directory) as service, await service.connect() as kept:
        assert (await kept.ask(GET)).status == 200
        async with await service.connect() as waiting:
            await kept.send(GET)
            await waiting.send(GET)
            service.drain(60)
            for client in (kept, waiting):
                assert (await client.read_answer()).status in (200, 503)
                assert await client.read_to_end() == b""
        await service.wait_ended()


async def test_who_has_just_been_answered_is_listened_to_a_little_longer(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "IDLE_PATIENCE_S", 0.5)
    async with serving(greet, directory) as service, await service.connect() as client:
        assert (await client.ask(GET)).status == 200
        service.drain(60)
        await wait_until(lambda: not (directory / "s").exists())
        await anyio.wait_all_tasks_blocked()  # else it would have asked before anybody can have closed its connection
        await client.send(GET)
        await check_refused(client)
        await service.wait_ended()


async def test_with_nothing_under_way_it_ends_at_once(directory: Path) -> None:
    async with serving(greet, directory) as service, await service.connect() as client:
        assert (await client.ask(GET)).status == 200
        service.drain(60)
        await service.wait_ended()
        assert await client.read_to_end() == b""


async def test_what_is_not_done_in_time_is_cancelled(directory: Path) -> None:
    held = Held()
    async with serving(held.handle, directory) as service, await service.connect() as client:
        await client.send(GET)
        await held.entered.wait()
        service.drain(SOON_S)
        await service.wait_ended()
        assert await client.read_to_end() == b""
    assert held.ended_by == ["cancellation"]


@pytest.mark.parametrize("is_raw", [False, True])
async def test_an_endless_stream_is_ended_and_one_with_an_end_is_sent_whole(is_raw: bool, directory: Path) -> None:
    endless, finite = Stream(b"first", and_then="wait"), Stream(b"x", b"y")
    entered, go_on = anyio.Event(), anyio.Event()

    async def handle(request: Request) -> Response:
        if request.path == "/other":
            entered.set()
            await go_on.wait()
            return await finite.handle(replace(request, path="/"))
        return replace(await endless.handle(request), is_endless=True, is_raw=is_raw)

    async with serving(handle, directory) as service, await service.connect() as client:
        async with await service.connect() as other:
            await client.send(GET)
            await client.read_until(b"first")
            await other.send(OTHER)
            await entered.wait()
            service.drain(60)
            assert (await client.read_to_end() if is_raw else await client.read_exactly(7)) in (b"", b"\r\n0\r\n\r\n")
            assert endless.closed.is_set()
            go_on.set()
            assert (await other.read_answer()).body == b"xy"
        await service.wait_ended()


async def test_a_stream_that_begins_after_that_is_ended_at_once(directory: Path) -> None:
    stream, entered, go_on = Stream(and_then="wait"), anyio.Event(), anyio.Event()

    async def handle(request: Request) -> Response:
        entered.set()
        await go_on.wait()
        return replace(await stream.handle(request), is_endless=True)

    async with serving(handle, directory) as service, await service.connect() as client:
        await client.send(GET)
        await entered.wait()
        service.drain(60)
        go_on.set()
        assert (await client.read_answer()).body == b""
        await service.wait_ended()


async def test_a_client_that_reads_nothing_is_not_waited_for_beyond_the_deadline(directory: Path) -> None:
    async def handle(request: Request) -> Response:
        return replace(HELLO, body=b"x" * (8 << 20))

    async with serving(handle, directory) as service, await service.connect() as client:
        await client.send(GET)
        await client.read_until(b"\r\n\r\n")
        service.drain(SOON_S)
        await service.wait_ended()
