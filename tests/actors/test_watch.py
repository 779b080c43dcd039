from __future__ import annotations

from typing import Any, Self

import anyio
import pytest
from anyio import wait_all_tasks_blocked
from trio.testing import MockClock

from actors import (
    ActorCrashed,
    ChildCrashed,
    ChildStarted,
    ChildStopped,
    Event,
    Exit,
    Restart,
    Supervisor,
    TooManyRestarts,
)

pytestmark = pytest.mark.anyio


class Fragile:
    async def ping(self) -> str:
        return "pong"

    async def crash(self) -> None:
        raise ValueError("glass")


async def test_watch_returns_when_the_actor_is_stopped() -> None:
    exits: list[Exit] = []
    async with Supervisor() as supervisor, anyio.create_task_group() as group:
        ref = await supervisor.start(Fragile, name="vase")

        async def watch() -> None:
            exits.append(await ref.watch())

        group.start_soon(watch)
        await wait_all_tasks_blocked()
        assert not exits
        await ref.stop()
    assert exits == [Exit("vase", None)]
    assert await ref.watch() == Exit("vase", None)  # at once, when it is gone already


async def test_watch_does_not_notice_a_restart_and_tells_the_crash_that_was_final() -> None:
    async with Supervisor() as supervisor:
        lasting = await supervisor.start(Fragile, name="lasting")
        once = await supervisor.start(Fragile, name="once", restart=Restart.TEMPORARY)
        with pytest.raises(ActorCrashed):
            await lasting.ask(Fragile.crash)
        with anyio.move_on_after(0.001) as scope:
            await lasting.watch()
        assert scope.cancelled_caught
        once.tell(Fragile.crash)
        assert isinstance((await once.watch()).error, ValueError)


async def test_watch_tells_when_the_supervisor_has_given_up() -> None:
    exits: list[Exit] = []
    with pytest.raises(TooManyRestarts):
        async with Supervisor(intensity=(0, 1.0)) as supervisor:
            ref = await supervisor.start(Fragile, name="vase")
            ref.tell(Fragile.crash)
            with anyio.CancelScope(shield=True):
                exits.append(await ref.watch())
            await anyio.sleep_forever()
    assert isinstance(exits[0].error, ValueError)


async def test_a_snapshot_shows_what_each_child_is_doing() -> None:
    async with Supervisor("rest_for_one", name="tree") as supervisor:
        vase = await supervisor.start(Fragile, name="vase", mailbox_capacity=7)
        await supervisor.start(Fragile, name="bowl")
        await vase.ask(Fragile.ping)
        with pytest.raises(ActorCrashed):
            await vase.ask(Fragile.crash)
        await vase.ask(Fragile.ping)
        await wait_all_tasks_blocked()  # the bowl is restarted after the vase
        snapshot = supervisor.snapshot()
    assert (snapshot.name, snapshot.strategy) == ("tree", "rest_for_one")
    first, second = snapshot.children
    assert (first.name, first.state, first.handled, first.restarts) == ("vase", "up", 2, 1)
    assert first.last_crash == "ValueError: glass"
    assert (first.mailbox.queued, first.mailbox.capacity) == (0, 7)
    assert (second.name, second.restarts, second.last_crash) == ("bowl", 1, "")


class Branch:
    async def __aenter__(self) -> Self:
        self.supervisor = await Supervisor(name="branch").__aenter__()
        await self.supervisor.start(Fragile, name="leaf")
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self.supervisor.__aexit__(*error)

    async def crash(self) -> None:
        raise ValueError("branch")


async def test_a_snapshot_shows_the_supervisors_inside_an_actor() -> None:
    async with Supervisor(name="root") as root:
        ref = await root.start(Branch, name="actor")
        for _ in range(2):  # and no longer those of an incarnation that is gone
            (inside,) = root.snapshot().children[0].supervisors
            assert (inside.name, [child.name for child in inside.children]) == ("branch", ["leaf"])
            ref.tell(Branch.crash)
            await wait_all_tasks_blocked()


@pytest.mark.parametrize("anyio_backend", [("trio", {"clock": MockClock(autojump_threshold=0)})], ids=["virtual time"])
async def test_the_time_in_the_mailbox_is_measured() -> None:
    class Busy:
        async def hold(self, gate: anyio.Event) -> None:
            await gate.wait()

    async with Supervisor() as supervisor:
        ref = await supervisor.start(Busy, name="busy")
        for seconds in (20, 50):  # and each time anew
            gate = anyio.Event()
            ref.tell(Busy.hold, gate)
            await wait_all_tasks_blocked()
            ref.tell(Busy.hold, gate)
            await anyio.sleep(seconds)
            lying = ref.statistics().time_in_mailbox_s
            gate.set()
            await wait_all_tasks_blocked()
            assert seconds <= lying <= ref.statistics().time_in_mailbox_s < seconds + 1


class Stuck:
    async def __aenter__(self) -> Stuck:
        await anyio.sleep_forever()
        raise AssertionError

    async def __aexit__(self, *_: object) -> None:
        return None


async def test_a_cancel_that_is_itself_cancelled_is_seen_through() -> None:
    async with Supervisor() as supervisor, anyio.create_task_group() as group:
        ref = await supervisor.start(Fragile, name="vase")

        async def start_what_never_starts() -> None:
            await supervisor.start(Stuck, name="stuck")

        group.start_soon(start_what_never_starts)
        await wait_all_tasks_blocked()
        with anyio.move_on_after(0.01) as scope:  # behind a start that never ends
            await ref.cancel()
        assert scope.cancelled_caught
        group.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            assert (await ref.watch()).error is None
            assert not supervisor.snapshot().children


async def test_a_child_that_ends_for_good_by_itself_is_reported_as_stopped() -> None:
    events: list[Event] = []
    async with Supervisor(on_event=events.append) as supervisor:
        ref = await supervisor.start(Fragile, name="vase", restart=Restart.TEMPORARY)
        ref.tell(Fragile.crash)
        await ref.watch()
    assert [type(event) for event in events] == [ChildStarted, ChildCrashed, ChildStopped]
