"""On virtual time: what a snapshot says of the end is what it takes."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import anyio
import pytest
import trio.testing

from actors import Supervisor


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


class Hangs:
    async def hang(self) -> None:
        await anyio.sleep_forever()


class HangsAtItsEnd(Hangs):
    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await anyio.sleep_forever()


class Branch(HangsAtItsEnd):
    async def __aenter__(self) -> Self:
        self.supervisor = await Supervisor(name="branch").__aenter__()
        leaf = await self.supervisor.start(HangsAtItsEnd, name="leaf", stop_timeout_s=4.0)
        leaf.tell(Hangs.hang)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            await super().__aexit__(kind, error, traceback)
        finally:
            await self.supervisor.__aexit__(kind, error, traceback)


@pytest.mark.anyio
async def test_a_stop_takes_as_long_as_the_snapshot_says_and_no_longer() -> None:
    async with Supervisor() as supervisor:
        plain = await supervisor.start(Hangs, name="plain", stop_timeout_s=2.0)
        entered = await supervisor.start(HangsAtItsEnd, name="entered", stop_timeout_s=3.0)
        branch = await supervisor.start(Branch, name="branch", stop_timeout_s=1.0)
        for ref in (plain, entered, branch):
            ref.tell(Hangs.hang)
        seen = supervisor.snapshot()
        assert [child.stop_timeout_s for child in seen.children] == [2.0, 3.0 + 10.0, 1.0 + 10.0]
        assert seen.stop_timeout_s == 2.0 + (3.0 + 10.0) + (1.0 + 10.0) + (4.0 + 10.0)
        began = anyio.current_time()
    assert anyio.current_time() - began == pytest.approx(seen.stop_timeout_s)
