from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Self

import trio
import trio.testing

from actors import ActorContext, Supervisor
from daemon.services.preparation import PAUSE_S, Preparation
from daemon.storage.ready import VOLUME, ReadyTrees
from tests.daemon.storage.making import ready_at

READY = 2
LOOKS = 3
"""After so many it must have noticed."""


async def at_once(work: Callable[[], None]) -> None:
    work()


class Owner:
    def __init__(self, ready: ReadyTrees) -> None:
        self._preparation = Preparation(ready, at_once)

    async def __aenter__(self) -> Self:
        self._preparation.begin(ActorContext.of(self))
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def note_claim(self) -> None:
        self._preparation.note_claim()


def test_what_is_claimed_later_than_it_was_announced_is_made_again(tmp_path: Path) -> None:
    clock, ready = trio.testing.MockClock(), ready_at(tmp_path, READY, VOLUME)

    async def claim_one() -> None:
        async with Supervisor() as supervisor:
            owner = await supervisor.start(lambda: Owner(ready), name="owner")
            await trio.testing.wait_all_tasks_blocked()
            assert len(ready) == READY
            await owner.ask(Owner.note_claim)
            await trio.testing.wait_all_tasks_blocked()
            assert ready.claim(str(tmp_path / "claimed"))
            for _ in range(LOOKS):
                clock.jump(PAUSE_S)
                await trio.testing.wait_all_tasks_blocked()
            assert len(ready) == READY

    trio.run(claim_one, clock=clock)
