from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import anyio.lowlevel
import pytest
from anyio import wait_all_tasks_blocked

from daemon.create.undo import Undo

pytestmark = pytest.mark.anyio

AGES_S = 1000.0


class World:
    """What was undone, in order."""

    def __init__(self) -> None:
        self.undone: list[str] = []

    def step(self, what: str, error: Exception | None = None) -> Callable[[], Awaitable[None]]:
        async def undo() -> None:
            await anyio.lowlevel.checkpoint()
            self.undone.append(what)
            if error is not None:
                raise error

        return undo

    def step_at_once(self, what: str) -> Callable[[], Awaitable[None]]:
        """One that is through before any deadline can be noticed."""

        async def undo() -> None:
            self.undone.append(what)

        return undo


async def test_what_need_not_be_undone_after_all_is_not() -> None:
    world = World()
    with pytest.raises(ValueError, match="cause"):
        async with Undo(timeout_s=AGES_S) as undo:
            for what in ("name", "layer", "volumes"):
                undo.push(what, world.step(what))
            undo.drop("layer")
            raise ValueError("cause")
    assert world.undone == ["volumes", "name"]


async def test_what_was_done_is_undone_newest_first() -> None:
    world = World()
    with pytest.raises(ValueError, match="cause"):
        async with Undo(timeout_s=AGES_S) as undo:
            for what in ("name", "layer", "volumes"):
                undo.push(what, world.step(what))
            raise ValueError("cause")
    assert world.undone == ["volumes", "layer", "name"]


async def test_without_an_error_nothing_is_undone() -> None:
    world = World()
    async with Undo(timeout_s=AGES_S) as undo:
        undo.push("name", world.step("name"))
    assert world.undone == []


async def test_after_the_commit_nothing_is_undone() -> None:
    world = World()
    with pytest.raises(ValueError, match="cause"):
        async with Undo(timeout_s=AGES_S) as undo:
            undo.push("name", world.step("name"))
            undo.commit()
            raise ValueError("cause")
    assert world.undone == []


async def test_what_is_pushed_after_a_commit_is_undone() -> None:
    world = World()
    with pytest.raises(ValueError, match="cause"):
        async with Undo(timeout_s=AGES_S) as undo:
            undo.push("name", world.step("name"))
            undo.commit()
            undo.push("layer", world.step("layer"))
            raise ValueError("cause")
    assert world.undone == ["layer"]


async def test_a_failed_undo_is_noted_on_the_cause_and_the_others_go_on() -> None:
    world, cause = World(), ValueError("cause")
    with pytest.raises(ValueError, match="cause") as caught:
        async with Undo(timeout_s=AGES_S) as undo:
            undo.push("name", world.step("name", KeyError("gone")))
            undo.push("layer", world.step("layer", OSError("disk")))
            undo.push("volumes", world.step("volumes"))
            raise cause
    assert caught.value is cause
    assert world.undone == ["volumes", "layer", "name"]
    assert cause.__notes__ == ["undo of layer failed: OSError('disk')", "undo of name failed: KeyError('gone')"]


async def test_a_cancelled_body_is_undone_in_full_and_stays_cancelled() -> None:
    world, is_past = World(), False
    async with anyio.create_task_group() as group:

        async def create() -> None:
            nonlocal is_past
            async with Undo(timeout_s=AGES_S) as undo:
                undo.push("name", world.step("name"))
                undo.push("layer", world.step("layer", OSError("disk")))
                await anyio.sleep_forever()
            is_past = True

        group.start_soon(create)
        await wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    assert world.undone == ["layer", "name"]
    assert not is_past


async def test_an_undo_that_takes_too_long_is_given_up_and_what_is_left_is_noted() -> None:
    world = World()
    with pytest.raises(ValueError, match="cause") as caught:
        async with Undo(timeout_s=0) as undo:
            undo.push("name", world.step("name"))
            undo.push("layer", anyio.sleep_forever)
            undo.push("volumes", world.step_at_once("volumes"))
            raise ValueError("cause")
    assert world.undone == ["volumes"]
    assert caught.value.__notes__ == ["undo took longer than 0 s; not undone: ['name', 'layer']"]


async def test_a_cancelled_create_whose_undo_hangs_ends_nevertheless() -> None:
    world, notes = World(), list[str]()
    async with anyio.create_task_group() as group:

        async def create() -> None:
            try:
                async with Undo(timeout_s=0) as undo:
                    undo.push("name", world.step("name"))
                    undo.push("layer", anyio.sleep_forever)
                    await anyio.sleep_forever()
            except anyio.get_cancelled_exc_class() as error:
                notes.extend(error.__notes__)
                raise

        group.start_soon(create)
        await wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    assert notes == ["undo took longer than 0 s; not undone: ['name', 'layer']"]


async def test_a_deadline_that_has_passed_does_not_stop_the_undo() -> None:
    world = World()
    with anyio.CancelScope(deadline=anyio.current_time() - 1):
        async with Undo(timeout_s=AGES_S) as undo:
            undo.push("name", world.step("name"))
            await anyio.lowlevel.checkpoint()
    assert world.undone == ["name"]


async def test_an_undo_in_an_undo_is_carried_out_from_the_inside() -> None:
    world = World()
    with pytest.raises(ValueError, match="cause"):
        async with Undo(timeout_s=AGES_S) as outer:
            outer.push("outer", world.step("outer"))
            async with Undo(timeout_s=AGES_S) as inner:
                inner.push("inner", world.step("inner"))
                raise ValueError("cause")
    assert world.undone == ["inner", "outer"]
