from __future__ import annotations

import anyio
import pytest

from daemon.create.keyed_turns import KeyedTurns

pytestmark = pytest.mark.anyio


async def test_the_same_key_comes_in_turn_and_another_does_not_wait() -> None:
    turns, order, gate = KeyedTurns(), list[str](), anyio.Event()

    async def hold() -> None:
        async with turns.turn("a"):
            order.append("first")
            await gate.wait()

    async def follow() -> None:
        async with turns.turn("a"):
            order.append("second")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hold)
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(follow)
        await anyio.wait_all_tasks_blocked()
        async with turns.turn("b"):
            order.append("other")
        gate.set()
    assert order == ["first", "other", "second"]
    assert len(turns) == 0


async def test_who_stops_waiting_leaves_nothing() -> None:
    turns = KeyedTurns()

    async def wait() -> None:
        async with turns.turn("a"):
            pytest.fail("it is taken")

    async with turns.turn("a"):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        assert len(turns) == 1
    with pytest.raises(ValueError, match="x"):
        async with turns.turn("a"):
            raise ValueError("x")
    assert len(turns) == 0
