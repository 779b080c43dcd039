"""Several actors behind one ref."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from random import Random

import anyio
import pytest
import trio
from anyio import wait_all_tasks_blocked
from trio.testing import MockClock

from actors import (
    ActorContext,
    ActorCrashed,
    ActorStopped,
    AskTimeout,
    ChildStopped,
    Event,
    MailboxFull,
    Pool,
    Ref,
    Restart,
    Supervisor,
    Undelivered,
)
from actors.testing import crash, simulate

pytestmark = pytest.mark.anyio


class Worker:
    numbers = iter(range(10**9))

    def __init__(self, done: list[int]) -> None:
        self.done = done
        self.number = next(Worker.numbers)

    async def who(self) -> int:
        await anyio.lowlevel.checkpoint()
        return self.number

    async def hold(self, gate: anyio.Event) -> int:
        await gate.wait()
        return self.number

    async def note(self, number: int) -> None:
        await anyio.lowlevel.checkpoint()
        self.done.append(number)

    async def crash(self) -> None:
        raise ValueError("worker")


@pytest.fixture
def done() -> list[int]:
    return []


async def test_members_work_side_by_side_and_no_message_waits_behind_a_slow_one(done: list[int]) -> None:
    async with Supervisor() as supervisor, anyio.create_task_group() as group:
        pool: Ref[Worker] = await Pool.start(supervisor, lambda: Worker(done), name="pool", size=3)
        gate = anyio.Event()
        for _ in range(2):
            group.start_soon(pool.ask, Worker.hold, gate)
        await wait_all_tasks_blocked()
        assert len({await pool.ask(Worker.who) for _ in range(5)}) == 1  # the one that is free
        gate.set()
        await wait_all_tasks_blocked()
        assert [child.name for child in supervisor.snapshot().children] == ["pool/0", "pool/1", "pool/2"]
        assert {child.pool for child in supervisor.snapshot().children} == {"pool"}
        assert (pool.name, repr(pool)) == ("pool", "<Pool 'pool'>")


async def test_every_message_of_a_pool_is_handled_once(done: list[int]) -> None:
    async with Supervisor(intensity=(1000, 1.0)) as supervisor:
        pool = await Pool.start(supervisor, lambda: Worker(done), name="pool", size=4, mailbox_capacity=8)
        async with anyio.create_task_group() as group:
            for number in range(300):
                group.start_soon(pool.send, Worker.note, number)
                if number % 10 == 0:
                    await pool.send(Worker.crash)
    assert Counter(done) == Counter(range(300))


async def test_a_crash_of_a_member_is_its_askers_alone(done: list[int]) -> None:
    async with Supervisor() as supervisor, anyio.create_task_group() as group:
        pool = await Pool.start(supervisor, lambda: Worker(done), name="pool", size=2)
        gate = anyio.Event()
        answers: list[int] = []

        async def hold() -> None:
            answers.append(await pool.ask(Worker.hold, gate))

        group.start_soon(hold)
        await wait_all_tasks_blocked()
        with pytest.raises(ActorCrashed, match=r"pool/\d\.crash crashed"):
            await pool.ask(Worker.crash)
        gate.set()
        await wait_all_tasks_blocked()
        assert len(answers) == 1
        assert sum(child.restarts for child in supervisor.snapshot().children) == 1


async def test_a_pool_is_bounded_as_one(done: list[int]) -> None:
    async with Supervisor() as supervisor, anyio.create_task_group() as group:
        pool = await Pool.start(
            supervisor, lambda: Worker(done), name="pool", size=2, mailbox_capacity=1, overflow="reject"
        )
        gate = anyio.Event()
        for _ in range(2):
            group.start_soon(pool.ask, Worker.hold, gate)
            await wait_all_tasks_blocked()
        with pytest.raises(AskTimeout, match=r"no reply from pool\.who"):
            await pool.ask(Worker.who, timeout=0.01)
        pool.tell(Worker.note, 1)
        with pytest.raises(MailboxFull, match="mailbox of 'pool' is full"):
            pool.tell(Worker.note, 2)
        gate.set()


async def test_a_stop_of_a_pool_finishes_its_queue_and_ends_all_members(done: list[int]) -> None:
    events: list[Event] = []
    async with Supervisor(on_event=events.append) as supervisor:
        pool = await Pool.start(supervisor, lambda: Worker(done), name="pool", size=3)
        for number in range(50):
            pool.tell(Worker.note, number)
        await pool.stop()
        assert sorted(done) == list(range(50))
        assert not supervisor.snapshot().children
        with pytest.raises(ActorStopped):
            pool.tell(Worker.note, 51)
        assert (await pool.watch()).error is None
    stopped = [event.child for event in events if isinstance(event, ChildStopped)]
    assert stopped == ["pool/2", "pool/1", "pool/0"]


async def test_a_cancel_of_a_pool_reports_what_is_left_once(done: list[int]) -> None:
    events: list[Event] = []
    async with Supervisor(on_event=events.append) as supervisor:
        pool = await Pool.start(supervisor, lambda: Worker(done), name="pool", size=2)
        gate = anyio.Event()
        for _ in range(2):
            pool.tell(Worker.hold, gate)
        await wait_all_tasks_blocked()
        for number in range(3):
            pool.tell(Worker.note, number)
        await pool.cancel()
    assert not done
    assert [event.method for event in events if isinstance(event, Undelivered)] == ["note"] * 3


async def test_the_last_member_to_go_answers_what_is_left(done: list[int]) -> None:
    async with Supervisor() as supervisor, anyio.create_task_group() as group:
        pool = await Pool.start(
            supervisor, lambda: Worker(done), name="pool", size=2, restart=Restart.TEMPORARY, stop_timeout_s=0.01
        )
        with pytest.raises(ActorCrashed):
            await pool.ask(Worker.crash)
        assert isinstance(await pool.ask(Worker.who), int)  # the other one

        async def ask() -> None:
            with pytest.raises(ActorStopped):
                await pool.ask(Worker.who)

        pool.tell(Worker.crash)
        group.start_soon(ask)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # trio's tasks cannot be cancelled from outside
async def test_a_member_that_ends_passes_its_wake_up_on(done: list[int], anyio_backend: str) -> None:
    """A message wakes it that will not look, as it is cancelled and not by its supervisor: another one takes the message."""
    async with Supervisor() as supervisor:
        pool = await Pool.start(supervisor, lambda: Worker(done), name="pool", size=2, restart=Restart.TEMPORARY)
        await wait_all_tasks_blocked()
        task = pool._members[0].task
        assert isinstance(task, asyncio.Task)
        task.cancel()
        pool.tell(Worker.note, 1)
        await wait_all_tasks_blocked()
        assert done == [1]
        assert len(supervisor.snapshot().children) == 1


def test_a_member_that_ticks_passes_its_wake_up_on() -> None:
    """A message wakes it when a tick is due, too, which comes first: another one takes the message."""

    async def scenario(_: Random) -> None:
        gate, done, started = anyio.Event(), list[int](), list[int]()

        class Ticking(Worker):
            def __init__(self) -> None:
                super().__init__(done)
                if not started:
                    ActorContext.of(self).after(1.0, Worker.hold, gate)
                started.append(1)

        async with Supervisor() as supervisor:
            pool = await Pool.start(supervisor, Ticking, name="pool", size=2)
            await wait_all_tasks_blocked()
            clock = trio.lowlevel.current_clock()
            assert isinstance(clock, MockClock)
            clock.jump(1.0)
            pool.tell(Worker.note, 1)
            await wait_all_tasks_blocked()
            gate.set()
            first = list(done)
        assert first == [1]

    simulate(scenario, range(20))


def test_a_member_that_is_to_end_lets_the_others_look() -> None:
    """It was woken by a message and ended before it looked: another one takes the message, at once."""

    async def scenario(rng: Random) -> None:
        done: list[int] = []
        async with Supervisor(intensity=(1000, 1.0)) as supervisor:
            pool = await Pool.start(supervisor, lambda: Worker(done), name="pool", size=3, restart=Restart.TEMPORARY)
            await wait_all_tasks_blocked()
            steps = [partial(crash, Ref(rng.choice(pool._members))), partial(pool.tell, Worker.note, 1)]
            rng.shuffle(steps)
            for step in steps:
                step()
                if rng.random() < 0.5:
                    await anyio.lowlevel.checkpoint()
            await wait_all_tasks_blocked()
            assert done == [1]
            crash(Ref(rng.choice([member for member in pool._members if member.exit is None])))
            await wait_all_tasks_blocked()
            assert len(supervisor.snapshot().children) == 1

    simulate(scenario, range(50))


async def test_a_pool_starts_whole_or_not_at_all() -> None:
    started: list[int] = []

    class Picky(Worker):
        def __init__(self) -> None:
            super().__init__([])
            started.append(1)
            if len(started) == 3:
                raise ValueError("not me")

    async with Supervisor() as supervisor:
        with pytest.raises(ValueError, match="not me"):
            await Pool.start(supervisor, Picky, name="pool", size=4)
        assert not supervisor.snapshot().children
        with pytest.raises(ValueError, match="pool 'pool' needs at least one member, not 0"):
            await Pool.start(supervisor, Picky, name="pool", size=0)
