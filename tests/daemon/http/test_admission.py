"""Who gets a connection, who makes room for another, and who is told why not."""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest

from daemon.http.admission import Admission
from daemon.http.message import Peer, Request, Response
from tests.daemon.http.serving import GET, HELLO, LIMITS, PATIENCE_S, Client, Held, Service, greet, serving, wait_until

pytestmark = pytest.mark.anyio

ROOT, USER, OTHER, UNKNOWN = Peer(uid=0), Peer(uid=1000), Peer(uid=1001), Peer()

TABLE: list[tuple[list[Peer], Peer, frozenset[int] | None, tuple[int, str] | None]] = [
    ([], USER, None, None),
    ([USER], USER, None, None),
    ([USER, USER], USER, None, (503, "too many connections of uid 1000")),
    ([USER, USER], ROOT, None, None),
    ([USER, USER, ROOT], OTHER, None, (503, "too many connections")),
    ([USER, USER, ROOT], USER, None, (503, "too many connections of uid 1000")),
    ([UNKNOWN], UNKNOWN, None, None),
    ([UNKNOWN, UNKNOWN], UNKNOWN, None, (503, "too many connections over TCP")),
    ([UNKNOWN, UNKNOWN], USER, None, None),
    ([UNKNOWN, USER, USER], UNKNOWN, None, (503, "too many connections")),
    ([], USER, frozenset({0}), (403, "uid 1000 may not use this daemon")),
    ([], ROOT, frozenset({0}), None),
    ([], ROOT, frozenset(), (403, "uid 0 may not use this daemon")),
    ([], UNKNOWN, frozenset(), None),
]


@pytest.mark.parametrize(("there", "comes", "allowed", "expected"), TABLE)
def test_who_may_stay(
    there: list[Peer], comes: Peer, allowed: frozenset[int] | None, expected: tuple[int, str] | None
) -> None:
    limits = attrs.evolve(LIMITS, connections_max=3, connections_per_uid_max=2, allowed_uids=allowed)
    admission = Admission(limits)
    for peer in there:
        admission.admit(peer)
    refusal = admission.refusal(comes)
    assert (refusal and (refusal.status, refusal.text)) == expected
    for peer in there:
        admission.leave(peer)
    if allowed is None:
        assert admission.refusal(comes) is None


async def check_refused(client: Client, status: int, text: bytes) -> None:
    answer = await client.read_answer()
    assert (answer.status, answer.body, answer.headers["connection"]) == (status, text, "close")
    assert await client.read_to_end() == b""


async def check_alive(service: Service) -> None:
    async with await service.connect() as client:
        assert (await client.ask(GET)).status == 200


async def test_a_connection_too_many_is_told_so_and_another_may_come_when_one_has_gone(directory: Path) -> None:
    held = Held()
    async with serving(held.handle, directory, connections_max=1) as service:
        async with await service.connect() as busy:
            await busy.send(GET)
            await held.entered.wait()
            async with await service.connect() as second:
                await second.send(GET)
                await check_refused(second, 503, b"too many connections")
            held.released.set()
            assert (await busy.read_answer()).status == 200
        await service.wait_idle()
        await check_alive(service)


@pytest.mark.parametrize("limit", ["connections_max", "connections_per_uid_max"])
async def test_who_has_been_idle_for_longest_makes_room(limit: str, directory: Path) -> None:
    limits: dict[str, Any] = {limit: 2}
    async with serving(greet, directory, **limits) as service:
        async with await service.connect() as first, await service.connect() as second:
            assert (await first.ask(GET)).status == 200
            assert (await second.ask(GET)).status == 200
            assert (await first.ask(GET)).status == 200
            async with await service.connect() as third:
                assert (await third.ask(GET)).status == 200
                assert await second.read_to_end() == b""
                assert (await first.ask(GET)).status == 200
                async with await service.connect() as fourth:
                    assert (await fourth.ask(GET)).status == 200
                    assert await third.read_to_end() == b""
        await service.wait_idle()
        for _ in range(3):
            await check_alive(service)


async def test_who_has_only_just_come_need_not_make_room(directory: Path) -> None:
    async with (
        serving(greet, directory, connections_max=1, idle_grace_s=60) as service,
        await service.connect() as first,
        await service.connect() as second,
    ):
        await check_refused(second, 503, b"too many connections")
        assert (await first.ask(GET)).status == 200


async def test_who_makes_room_is_answered_what_it_has_just_asked(directory: Path) -> None:
    async with serving(greet, directory, connections_max=1) as service, await service.connect() as first:
        assert (await first.ask(GET)).status == 200
        await first.send(GET)
        async with await service.connect() as second:  # before, while or after the first is served
            assert (await second.ask(GET)).status in (200, 503)
            assert (await first.read_answer()).status == 200


async def test_a_user_who_is_not_on_the_list_is_told_so(directory: Path) -> None:
    async with serving(greet, directory, allowed_uids=frozenset()) as service, await service.connect() as client:
        await check_refused(client, 403, b"uid %d may not use this daemon" % os.getuid())
    async with serving(greet, directory, allowed_uids=frozenset({os.getuid()})) as service:
        await check_alive(service)


async def test_a_user_who_is_taken_off_the_list_is_told_so_at_the_next_request(directory: Path) -> None:
    async with serving(greet, directory) as service, await service.connect() as client:
        assert (await client.ask(GET)).status == 200
        service.change_limits(attrs.evolve(LIMITS, allowed_uids=frozenset()))
        await client.send(GET)
        await check_refused(client, 403, b"uid %d may not use this daemon" % os.getuid())
        async with await service.connect() as other:
            await check_refused(other, 403, b"uid %d may not use this daemon" % os.getuid())


async def test_a_handler_is_told_who_asks(directory: Path) -> None:
    peers = []

    async def handle(request: Request) -> Response:
        peers.append(request.peer)
        return HELLO

    async with serving(handle, directory) as service:
        await check_alive(service)
    assert peers == [Peer(pid=os.getpid(), uid=os.getuid(), gid=os.getgid())]


async def test_without_descriptors_a_client_is_told_so_and_the_next_is_served(
    directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(greet, directory) as service:
        for _ in range(3):  # the reserve is there again each time
            await check_alive(service)
            await service.wait_idle()
            with closing(socket.socket(socket.AF_UNIX)) as client:
                with no_descriptors_left():
                    client.connect(str(directory / "s"))
                    client.sendall(GET)
                    client.setblocking(False)
                    await wait_until(lambda: caplog.messages)
                    with anyio.fail_after(PATIENCE_S):
                        await anyio.wait_readable(client)
                    assert client.recv(1000).startswith(b"HTTP/1.1 503 ")
                    client.shutdown(socket.SHUT_RDWR)
                assert caplog.messages == ["cannot accept connections: Too many open files"]
                caplog.clear()


@contextmanager
def no_descriptors_left() -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
    taken = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, limits[1]))
    try:
        with suppress(OSError):
            while True:
                taken.append(os.dup(0))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for descriptor in taken:
            os.close(descriptor)
