"""How a client is read that sends a request in crumbs, on a clock that the test turns."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable

import attrs
import trio
import trio.testing

from daemon.errors import Cancelled
from daemon.http.connection import Connection, Head, TooSlow
from daemon.http.exchange import CRUMB_BYTES, CRUMB_PAUSE_S, CRUMBS_MAX, Exchange
from daemon.http.limits import spread_of
from daemon.http.message import Peer
from daemon.http.readable import watching
from tests.daemon.http.serving import GET, LIMITS

TIMEOUT_S = 10.0
SHORT_TIMEOUT_S = CRUMB_PAUSE_S / 2


class Conversation:
    """A client's end, and what the server has made of it."""

    def __init__(self, client: socket.socket, peer: socket.socket, clock: trio.testing.MockClock) -> None:
        self.body = b""
        self._client = client
        self._peer = peer
        self.clock = clock
        self.heads: list[Head | None] = []
        self.was_too_slow = False

    @property
    def pause_s(self) -> float:
        return CRUMB_PAUSE_S * (1 + spread_of(self._peer.fileno()))

    async def serve(self) -> None:
        limits = attrs.evolve(LIMITS, head_timeout_s=TIMEOUT_S, read_timeout_s=SHORT_TIMEOUT_S)
        connection = Connection(head_bytes_max=limits.head_bytes_max, headers_max=limits.headers_max)
        try:
            with watching(self._peer) as readable:
                exchange = Exchange(self._peer, readable, connection, limits, Peer())
                while True:
                    self.heads.append(await exchange.next_head())
                    while content := await exchange.receive():
                        self.body += content
        except TooSlow:
            self.was_too_slow = True
        except Cancelled:
            return

    async def is_read(self, content: bytes) -> bool:
        """Whether it is, once it is sent."""
        self._client.sendall(content)
        await trio.testing.wait_all_tasks_blocked(0.01)
        return self.is_all_read

    @property
    def is_all_read(self) -> bool:
        try:
            return not self._peer.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True


def converse(talk: Callable[[Conversation], Awaitable[None]]) -> None:
    async def main() -> None:
        client, peer = socket.socketpair()
        with client, peer:
            peer.setblocking(False)
            conversation = Conversation(client, peer, clock)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(conversation.serve)
                await talk(conversation)
                nursery.cancel_scope.cancel()

    clock = trio.testing.MockClock()
    trio.run(main, clock=clock)


def test_after_some_crumbs_a_client_is_read_once_in_a_while() -> None:
    async def talk(client: Conversation) -> None:
        for _ in range(2):  # each request has as many
            crumbs = [GET[index : index + 1] for index in range(len(GET) - 1)]
            before = len(client.heads)
            # The first byte begins the request: those after it are its crumbs.
            for crumb in crumbs[: 1 + CRUMBS_MAX]:
                assert await client.is_read(crumb)
            for crumb in crumbs[1 + CRUMBS_MAX :]:
                assert not await client.is_read(crumb)
            client.clock.jump(2 * CRUMB_PAUSE_S)
            assert await client.is_read(b"")
            assert not await client.is_read(GET[-1:])
            assert len(client.heads) == before
            client.clock.jump(2 * CRUMB_PAUSE_S)
            assert await client.is_read(b"")
            assert len(client.heads) == before + 1

    converse(talk)


def test_a_large_piece_is_no_crumb() -> None:
    async def talk(client: Conversation) -> None:
        assert await client.is_read(b"GET / HTTP/1.1\r\n")
        for _ in range(2 * CRUMBS_MAX):
            assert await client.is_read(b"X: " + b"x" * CRUMB_BYTES + b"\r\n")

    converse(talk)


def test_crumbs_do_not_prolong_the_time_for_a_head() -> None:
    async def talk(client: Conversation) -> None:
        assert await client.is_read(GET[:-2])
        for _ in range(int(TIMEOUT_S)):
            assert not client.was_too_slow
            await client.is_read(b"X")
            client.clock.jump(1)
        await trio.testing.wait_all_tasks_blocked()
        assert client.was_too_slow

    converse(talk)


def test_a_pause_of_ours_is_none_of_the_client() -> None:
    """Which may have sent what it was to send, in time, meanwhile."""

    async def talk(client: Conversation) -> None:
        crumbs = 2 * CRUMBS_MAX
        assert await client.is_read(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % crumbs)
        for _ in range(CRUMBS_MAX):
            assert await client.is_read(b"x")
        for _ in range(crumbs - CRUMBS_MAX):
            await client.is_read(b"x")
        client.clock.jump(client.pause_s + 0.01)
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert not client.was_too_slow
        assert client.body == b"x" * crumbs

    converse(talk)
