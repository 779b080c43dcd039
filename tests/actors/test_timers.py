"""When a timer is due, as a table and as a property; and that an actor handles its ticks as it should."""

from __future__ import annotations

import math
from typing import Self

import anyio
import pytest
from anyio import wait_all_tasks_blocked
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from actors import ActorContext, ActorCrashed, Supervisor
from actors._mailbox import Message
from actors._timers import STALE_MAX, Timers, next_beat


def tell(name: str) -> Message:
    return name, (), {}, None


def test_a_timer_is_due_at_its_time_and_not_before() -> None:
    timers, tick = Timers(), tell("tick")
    timers.set("a", tick, due_at=2.0)
    assert timers.next_due_at == 2.0
    assert timers.take_due(1.9) is None
    assert timers.take_due(2.0) is tick
    assert timers.take_due(9.0) is None
    assert not timers
    assert timers.next_due_at == math.inf


def test_the_one_that_is_due_for_longest_comes_first() -> None:
    timers, first, second = Timers(), tell("first"), tell("second")
    timers.set("b", second, due_at=2.0)
    timers.set("a", first, due_at=1.0)
    assert [timers.take_due(5.0), timers.take_due(5.0), timers.take_due(5.0)] == [first, second, None]


def test_setting_a_key_anew_replaces_even_a_tick_that_is_due() -> None:
    timers, old, new = Timers(), tell("old"), tell("new")
    timers.set("a", old, due_at=1.0)
    timers.set("a", new, due_at=3.0)
    assert timers.take_due(2.0) is None
    assert timers.take_due(3.0) is new


def test_a_cancelled_timer_never_ticks() -> None:
    timers = Timers()
    timers.set("a", tell("tick"), due_at=1.0)
    assert timers.cancel("a")
    assert not timers.cancel("a")
    assert timers.take_due(5.0) is None


def test_a_timer_that_is_set_anew_all_the_time_does_not_grow_the_heap() -> None:
    timers = Timers()
    timers.set("other", tell("other"), due_at=5.0)
    for number in range(10_000):
        timers.set("a", tell("tick"), due_at=1000.0 + number)
    assert len(timers._heap) <= 2 * 2 + STALE_MAX
    assert (timers.take_due(5.0), timers.next_due_at) == (tell("other"), 10_999.0)


@pytest.mark.parametrize(
    ("is_fixed_rate", "taken_at", "next_due_at"),
    [
        (False, 10.0, 20.0),  # in time
        (False, 17.0, 27.0),  # late: a whole period from now
        (False, 45.0, 55.0),
        (True, 10.0, 20.0),
        (True, 17.0, 20.0),  # late: the beat is kept
        (True, 20.0, 30.0),
        (True, 45.0, 50.0),  # what was missed is not made up for
    ],
)
def test_a_repeating_timer_is_set_anew(is_fixed_rate: bool, taken_at: float, next_due_at: float) -> None:
    timers, tick = Timers(), tell("tick")
    timers.set("a", tick, due_at=10.0, period_s=10.0, is_fixed_rate=is_fixed_rate)
    assert timers.take_due(taken_at) is tick
    assert timers.next_due_at == next_due_at


@given(st.floats(0, 1e6), st.floats(1e-3, 1e4), st.floats(0, 1e6))
def test_the_next_beat_is_ahead_by_at_most_a_period(due_at: float, period_s: float, late_s: float) -> None:
    now = due_at + late_s
    beat = next_beat(due_at, period_s, now)
    assert beat > now or math.isclose(beat, now, rel_tol=1e-9)
    assert beat <= now + period_s * (1 + 1e-6) + 1e-6


class Clock:
    """Notes when it ticks, in seconds since its start."""

    def __init__(self, ticks: list[tuple[str, float]]) -> None:
        self.ticks = ticks
        self.context = ActorContext.of(self)
        self.gate = anyio.Event()

    async def __aenter__(self) -> Self:
        self.started_at = anyio.current_time()
        self.context.every(1.0, Clock.tick, "slow")
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def tick(self, name: str) -> None:
        self.ticks.append((name, anyio.current_time() - self.started_at))
        self.gate.set()

    async def alarm(self, delay_s: float, name: str) -> None:
        self.context.after(delay_s, Clock.tick, name, key="alarm")

    async def beat(self, period_s: float, is_fixed_rate: bool) -> None:
        self.context.every(period_s, Clock.tick, "beat", key="beat", is_fixed_rate=is_fixed_rate)

    async def be_late(self, delay_s: float) -> None:
        await anyio.sleep(delay_s)

    async def stop_ticking(self) -> bool:
        return self.context.cancel_timer("tick")

    async def wait(self) -> None:
        self.gate = anyio.Event()

    async def crash(self) -> None:
        raise ValueError("clock")


virtual_time = pytest.mark.parametrize(
    "anyio_backend", [("trio", {"clock": MockClock(autojump_threshold=0)})], ids=["virtual time"]
)


@pytest.fixture
def ticks() -> list[tuple[str, float]]:
    return []


@pytest.mark.anyio
async def test_a_timer_ticks_on_every_loop(ticks: list[tuple[str, float]]) -> None:
    async with Supervisor() as supervisor:
        clocks = list[Clock]()

        def make() -> Clock:
            clocks.append(Clock(ticks))
            return clocks[-1]

        ref = await supervisor.start(make, name="clock")
        await ref.ask(Clock.stop_ticking)
        await ref.ask(Clock.alarm, 0.001, "ring")
        await clocks[0].gate.wait()
    assert [name for name, _ in ticks] == ["ring"]


@pytest.mark.anyio
@virtual_time
async def test_ticks_come_at_their_times(ticks: list[tuple[str, float]]) -> None:
    async with Supervisor() as supervisor:
        ref = await supervisor.start(lambda: Clock(ticks), name="clock")
        await ref.ask(Clock.alarm, 2.5, "ring")
        await anyio.sleep(3.7)
        await ref.cancel()
    assert [name for name, _ in ticks] == ["slow", "slow", "ring", "slow"]
    assert [at for _, at in ticks] == pytest.approx([1.0, 2.0, 2.5, 3.0])


@pytest.mark.anyio
@virtual_time
@pytest.mark.parametrize(("is_fixed_rate", "expected"), [(False, [5.0, 8.0, 11.0]), (True, [5.0, 6.0, 9.0])])
async def test_an_actor_that_is_late_gets_one_tick(
    is_fixed_rate: bool, expected: list[float], ticks: list[tuple[str, float]]
) -> None:
    async with Supervisor() as supervisor:
        ref = await supervisor.start(lambda: Clock(ticks), name="clock")
        await ref.ask(Clock.stop_ticking)
        await ref.ask(Clock.beat, 3.0, is_fixed_rate)
        await ref.ask(Clock.be_late, 5.0)
        await anyio.sleep(6.5)
        await ref.cancel()
    assert [at for _, at in ticks] == pytest.approx(expected)


@pytest.mark.anyio
@virtual_time
async def test_a_timer_belongs_to_its_incarnation(ticks: list[tuple[str, float]]) -> None:
    async with Supervisor() as supervisor:
        ref = await supervisor.start(lambda: Clock(ticks), name="clock")
        await ref.ask(Clock.alarm, 0.5, "of the first")
        with pytest.raises(ActorCrashed):
            await ref.ask(Clock.crash)
        await anyio.sleep(1.5)
        await ref.cancel()
    assert [name for name, _ in ticks] == ["slow"]


@pytest.mark.anyio
@virtual_time
async def test_a_timer_neither_waits_behind_the_queue_nor_starves_it(ticks: list[tuple[str, float]]) -> None:
    async with Supervisor() as supervisor:
        ref = await supervisor.start(lambda: Clock(ticks), name="clock", mailbox_capacity=20)
        await ref.ask(Clock.stop_ticking)
        await ref.ask(Clock.beat, 0.1, False)
        for _ in range(20):  # a full mailbox, each message longer than the period
            ref.tell(Clock.be_late, 0.3)
        await ref.ask(Clock.wait)
        await ref.cancel()
    assert len(ticks) == 20


class Keyed:
    """Counts the ticks of timers whose keys are numbers."""

    def __init__(self, ticks: list[str], contexts: list[ActorContext[Keyed]]) -> None:
        self.ticks = ticks
        contexts.append(ActorContext.of(self))
        for key in (0, 1, 0):
            contexts[-1].after(1.0, Keyed.tick, f"{len(contexts)}: {key}", key=key)

    async def tick(self, name: str) -> None:
        self.ticks.append(name)

    async def crash(self) -> None:
        raise ValueError("keyed")


@pytest.mark.anyio
@virtual_time
async def test_any_key_is_a_key() -> None:
    ticks, contexts = list[str](), list[ActorContext[Keyed]]()
    async with Supervisor() as supervisor:
        ref = await supervisor.start(lambda: Keyed(ticks, contexts), name="keyed")
        assert contexts[0].cancel_timer(0)
        assert not contexts[0].cancel_timer(0)
        await anyio.sleep(2.0)
        await ref.cancel()
    assert ticks == ["1: 1"]


@pytest.mark.anyio
@virtual_time
async def test_a_timer_is_not_cancelled_by_an_earlier_incarnation() -> None:
    ticks, contexts = list[str](), list[ActorContext[Keyed]]()
    async with Supervisor() as supervisor:
        ref = await supervisor.start(lambda: Keyed(ticks, contexts), name="keyed")
        with pytest.raises(ActorCrashed):
            await ref.ask(Keyed.crash)
        await anyio.sleep(0.5)
        assert not contexts[0].cancel_timer(1)
        await anyio.sleep(2.0)
        await ref.cancel()
    assert sorted(ticks) == ["2: 0", "2: 1"]


@pytest.mark.anyio
async def test_a_stop_does_not_wait_for_timers(ticks: list[tuple[str, float]]) -> None:
    async with Supervisor() as supervisor:
        ref = await supervisor.start(lambda: Clock(ticks), name="clock")
        await ref.ask(Clock.alarm, 1000.0, "never")
        await wait_all_tasks_blocked()
        await ref.stop()
    assert not ticks


@pytest.mark.anyio
async def test_a_timer_that_cannot_be_is_an_error() -> None:
    async with Supervisor() as supervisor:
        ref = await supervisor.start(lambda: Clock([]), name="clock")
        with pytest.raises(ActorCrashed) as caught:
            await ref.ask(Clock.beat, 0.0, False)
        assert str(caught.value.__cause__) == "timer 'beat' of 'clock' cannot wait 0 s"


class Slow:
    """Its ticks take longer than their period."""

    def __init__(self) -> None:
        ActorContext.of(self).every(0.1, Slow.tick)

    async def tick(self) -> None:
        await anyio.sleep(0.5)

    async def ping(self) -> str:
        return "pong"


@pytest.mark.anyio
@virtual_time
async def test_ticks_that_take_longer_than_their_period_let_messages_through() -> None:
    async with Supervisor() as supervisor:
        ref = await supervisor.start(Slow, name="slow")
        await anyio.sleep(0.2)
        for _ in range(3):
            assert await ref.ask(Slow.ping, timeout=2.0) == "pong"
        await ref.cancel()
