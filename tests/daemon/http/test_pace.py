"""How soon connections are accepted after others were told to come again later, on a clock that the test turns."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import attrs
import trio
import trio.testing

from daemon.http.message import Request, Response
from daemon.http.server import ACCEPT_PAUSE_S, ACCEPTED_AT_ONCE, REFUSAL_PAUSE_S
from tests.daemon.http.serving import LIMITS, Service, serving

CONNECTIONS_MAX = 1000
CUSHION_S = 0.01
"""Of real time, in which all that can happen has happened."""
BUSY = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LAST_BUSY = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@attrs.frozen
class Crowd:
    service: Service
    clock: trio.testing.MockClock
    answered: list[int] = attrs.field(factory=list)
    """The number of each client that has been, in their order."""

    async def come(self, number: int, request: bytes = LAST_BUSY) -> None:
        """One more, over a connection of its own."""
        async with await self.service.connect() as client:
            assert (await client.ask(request)).status == 503
            self.answered.append(number)

    async def count_after(self, seconds: float) -> int:
        """How many have been answered then."""
        self.clock.jump(seconds)
        await trio.testing.wait_all_tasks_blocked(CUSHION_S)
        return len(self.answered)


async def busy(request: Request) -> Response:
    return Response(status=503, pause_s=1.0)


def crowding(directory: Path, talk: Callable[[Crowd, trio.Nursery], Awaitable[None]]) -> None:
    async def main() -> None:
        server = serving(busy, directory, connections_max=CONNECTIONS_MAX, connections_per_uid_max=CONNECTIONS_MAX)
        async with server as service, trio.open_nursery() as nursery:
            await talk(Crowd(service, clock), nursery)
            nursery.cancel_scope.cancel()

    clock = trio.testing.MockClock()
    trio.run(main, clock=clock)


def test_after_each_that_is_refused_and_leaves_the_next_waits_to_be_accepted(directory: Path) -> None:
    async def talk(crowd: Crowd, nursery: trio.Nursery) -> None:
        await crowd.come(0)
        for number in range(1, 4):
            nursery.start_soon(crowd.come, number)
            assert await crowd.count_after(0) == number
            assert await crowd.count_after(0.9 * REFUSAL_PAUSE_S) == number
            assert await crowd.count_after(0.2 * REFUSAL_PAUSE_S) == number + 1

    crowding(directory, talk)


def test_who_are_refused_together_are_waited_for_by_all_that_come_next(directory: Path) -> None:
    async def talk(crowd: Crowd, nursery: trio.Nursery) -> None:
        for number in range(3 * ACCEPTED_AT_ONCE):
            nursery.start_soon(crowd.come, number)
        at_first = await crowd.count_after(0)
        assert at_first <= 2 * ACCEPTED_AT_ONCE  # those of the second turn may come before the first are answered
        assert await crowd.count_after((ACCEPTED_AT_ONCE - 0.1) * REFUSAL_PAUSE_S) == at_first
        for _ in range(3):
            await crowd.count_after(3 * ACCEPTED_AT_ONCE * REFUSAL_PAUSE_S)
        assert len(crowd.answered) == 3 * ACCEPTED_AT_ONCE

    crowding(directory, talk)


def test_who_is_refused_and_stays_is_waited_for_by_nobody_else(directory: Path) -> None:
    async def talk(crowd: Crowd, nursery: trio.Nursery) -> None:
        async with await crowd.service.connect() as client:
            assert (await client.ask(BUSY)).status == 503
            nursery.start_soon(crowd.come, 0)
            assert await crowd.count_after(0) == 1

    crowding(directory, talk)


def test_however_many_are_refused_the_next_waits_no_longer_than_the_longest_pause(directory: Path) -> None:
    async def talk(crowd: Crowd, nursery: trio.Nursery) -> None:
        count = int(2 * ACCEPT_PAUSE_S / REFUSAL_PAUSE_S)
        clients = [await crowd.service.connect() for _ in range(count)]
        for client in clients:
            await client.send(LAST_BUSY)
        for client in clients:
            assert (await client.read_answer()).status == 503
            await client.close()
        nursery.start_soon(crowd.come, 0)
        assert await crowd.count_after(0.9 * ACCEPT_PAUSE_S) == 0
        assert await crowd.count_after(0.2 * ACCEPT_PAUSE_S) == 1

    crowding(directory, talk)


def test_after_each_for_whom_there_is_no_connection_the_next_waits_too(directory: Path) -> None:
    async def talk(crowd: Crowd, nursery: trio.Nursery) -> None:
        crowd.service.change_limits(attrs.evolve(LIMITS, connections_max=0))
        await crowd.come(0)
        nursery.start_soon(crowd.come, 1)
        assert await crowd.count_after(0.9 * REFUSAL_PAUSE_S) == 1
        assert await crowd.count_after(0.2 * REFUSAL_PAUSE_S) == 2

    crowding(directory, talk)


def test_a_pause_that_is_over_is_over(directory: Path) -> None:
    async def talk(crowd: Crowd, nursery: trio.Nursery) -> None:
        await crowd.come(0)
        crowd.clock.jump(2 * REFUSAL_PAUSE_S)
        nursery.start_soon(crowd.come, 1)
        assert await crowd.count_after(0) == 2

    crowding(directory, talk)
