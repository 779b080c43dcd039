"""A client and whoever answers, or does not, at the other end."""

from __future__ import annotations

import gc
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.abc
import anyio.to_thread
import msgspec
import pytest

from daemon.http.message import Request, Response
from daemon.monitor import client
from daemon.monitor.client import FRAME_BYTES_MAX, Frames, NoDaemon, overviews, stream
from daemon.monitor.command import socket_of
from daemon.overview import Overview
from tests.daemon.http.serving import serving
from tests.daemon.overview.making import OVERVIEW

FRAME = b"data: " + msgspec.json.encode(OVERVIEW) + b"\n\n"


@pytest.fixture
def anyio_backend() -> str:
    """A client is a process of its own, on this loop or on none."""
    return "asyncio"


@pytest.mark.parametrize(
    ("host", "path"), [("unix:///run/a.sock", "/run/a.sock"), ("/run/a.sock", "/run/a.sock"), ("unix:///", "/")]
)
def test_a_host_is_a_unix_socket(host: str, path: str) -> None:
    assert socket_of(host) == Path(path)


@pytest.mark.parametrize("host", ["", "tcp://127.0.0.1:2375", "ssh://a", "unix://a", "a.sock", "http:///a"])
def test_and_nothing_else(host: str) -> None:
    with pytest.raises(ValueError, match="is not a Unix socket like unix:///run/boatyard"):
        socket_of(host)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_how_a_stream_is_cut_makes_no_difference(size: int) -> None:
    text = b"data: 1\n\ndata: 22\n\ndata: \xe2\x80\xa8\n\nda"
    frames = Frames()
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    assert [frame for piece in pieces for frame in frames.feed(piece)] == [
        b"data: 1",
        b"data: 22",
        b"data: \xe2\x80\xa8",
    ]


def test_what_has_no_end_is_not_waited_for() -> None:
    frames = Frames()
    with pytest.raises(NoDaemon, match="longer than"):
        for _ in range(FRAME_BYTES_MAX // 1000 + 2):
            frames.feed(b"x" * 1000)


def answering(status: int, *chunks: bytes) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        async def body() -> AsyncGenerator[bytes, None]:
            for chunk in chunks:
                yield chunk

        return Response(status=status, body=body())

    return answer


@asynccontextmanager
async def at(root: Path, status: int, *chunks: bytes) -> AsyncIterator[Path]:
    async with serving(answering(status, *chunks), root):
        yield root / "s"


async def read_both(socket: Path) -> tuple[list[Overview], bytes]:
    seen = await anyio.to_thread.run_sync(lambda: list(overviews(socket)))
    return seen, b"".join([chunk async for chunk in stream(socket)])


async def failure_of_both(socket: Path) -> set[str]:
    found = set()
    with pytest.raises(NoDaemon) as told:
        await anyio.to_thread.run_sync(lambda: list(overviews(socket)))
    found.add(str(told.value))
    with pytest.raises(NoDaemon) as told:
        async for _ in stream(socket):
            pass
    return found | {str(told.value)}


@pytest.mark.anyio
async def test_overviews_are_read_until_the_daemon_stops_and_half_of_one_is_none(tmp_path: Path) -> None:
    async with at(tmp_path, 200, FRAME[:100], FRAME[100:] + FRAME, FRAME[:50]) as socket:
        assert await read_both(socket) == ([OVERVIEW, OVERVIEW], FRAME * 2)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("status", "body", "text"),
    [
        (404, b'{"message":"page not found"}', "what answers at {} is no boatyardd, or one too old to be watched"),
        (503, b'{"message":"16 clients are watching"}', "the daemon at {} refuses: 16 clients are watching (503)"),
        (403, b"<html>", "the daemon at {} refuses: no reason given (403)"),
    ],
)
async def test_who_refuses_is_told_with_the_reason(status: int, body: bytes, text: str, tmp_path: Path) -> None:
    async with at(tmp_path, status, body) as socket:
        assert await failure_of_both(socket) == {text.format(socket)}


@pytest.mark.anyio
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")  # httpcore drops one that it could not connect
async def test_where_nobody_answers_that_is_told(tmp_path: Path) -> None:
    (told,) = await failure_of_both(tmp_path / "nobody")
    gc.collect()
    assert told.startswith(f"nobody answers at {tmp_path / 'nobody'}: ")


@pytest.mark.anyio
async def test_a_daemon_that_is_cut_off_has_gone(tmp_path: Path) -> None:
    async with await anyio.create_unix_listener(tmp_path / "t") as listener, anyio.create_task_group() as tasks:

        async def cut_off(peer: anyio.abc.SocketStream) -> None:
            async with peer:
                await peer.receive()
                await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")

        tasks.start_soon(listener.serve, cut_off)
        assert await failure_of_both(tmp_path / "t") == {f"the daemon at {tmp_path / 't'} has gone"}
        tasks.cancel_scope.cancel()


@pytest.mark.anyio
async def test_a_daemon_that_hangs_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "SILENCE_S_MAX", 0.05)
    async with await anyio.create_unix_listener(tmp_path / "t"):
        (told,) = await failure_of_both(tmp_path / "t")
    assert "has said nothing for" in told


@pytest.mark.anyio
async def test_another_version_is_told_from_no_answer(tmp_path: Path) -> None:
    async with at(tmp_path, 200, b'data: {"time_ns":1}\n\n') as socket:
        with pytest.raises(NoDaemon, match="the daemon is of another version"):
            await anyio.to_thread.run_sync(lambda: list(overviews(socket)))
