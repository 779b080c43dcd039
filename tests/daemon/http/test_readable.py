"""Connections that are watched, on each loop: whoever waits is told, and what nobody reads costs nothing."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import anyio
import anyio.lowlevel
import pytest

from daemon.errors import Cancelled
from daemon.http.readable import Readable, watching
from daemon.http.sockets import receive

pytestmark = pytest.mark.anyio

PATIENCE_S = 10.0
TURNS = 10


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The server's end, which does not block, and the client's."""
    server, client = socket.socketpair()
    server.setblocking(False)
    with server, client:
        yield server, client


async def turn(times: int = TURNS) -> None:
    for _ in range(times):
        await anyio.lowlevel.checkpoint()


async def test_what_comes_before_and_while_it_is_waited_for_is_received(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    server, client = pair
    received: list[bytes] = []

    async def serve(readable: Readable) -> None:
        while data := await receive(server, readable):
            received.append(data)
            await turn()  # as if it were carried out

    with anyio.fail_after(PATIENCE_S), watching(server) as readable:
        client.sendall(b"first")
        async with anyio.create_task_group() as group:
            group.start_soon(serve, readable)
            for number in range(5):
                await turn()
                client.sendall(b"%d" % number)  # while it waits
                await turn(number)
                client.sendall(b"!")  # while it does not, or does
            await turn()
            client.shutdown(socket.SHUT_WR)
    assert b"".join(received) == b"first0!1!2!3!4!"


async def test_whoever_waits_when_it_is_closed_is_told(pair: tuple[socket.socket, socket.socket]) -> None:
    server, _ = pair
    told: list[str] = []

    async def wait(readable: Readable) -> None:
        with pytest.raises(Cancelled) as error:
            await readable.wait()
        told.append(str(error.value))

    with anyio.fail_after(PATIENCE_S):
        async with anyio.create_task_group() as group:
            with watching(server) as readable:
                group.start_soon(wait, readable)
                await turn()
    assert told == ["the connection has been closed"]


async def test_who_has_given_up_waiting_can_wait_again(pair: tuple[socket.socket, socket.socket]) -> None:
    server, client = pair
    with anyio.fail_after(PATIENCE_S), watching(server) as readable:
        with anyio.move_on_after(0) as scope:
            await readable.wait()
        assert scope.cancelled_caught
        client.sendall(b"x")
        assert await receive(server, readable) == b"x"


@pytest.mark.parametrize("anyio_backend", ["asyncio", ("asyncio", {"use_uvloop": True})], ids=["asyncio", "uvloop"])
async def test_what_nobody_reads_is_not_looked_at_in_every_turn_of_the_loop(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    server, client = pair
    loop = asyncio.get_running_loop()
    with anyio.fail_after(PATIENCE_S), watching(server) as readable:
        client.sendall(b"x")
        await readable.wait()
        await turn()  # the loop may look at a socket in each of them
        assert not loop.remove_reader(server.fileno())
        assert await receive(server, readable) == b"x"
        client.sendall(b"y")
        assert await receive(server, readable) == b"y"
    assert not loop.remove_reader(server.fileno())
