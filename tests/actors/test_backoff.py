"""On virtual time: nothing here takes as long as it says."""

from __future__ import annotations

from collections.abc import Coroutine
from itertools import pairwise
from random import Random
from typing import Any

import anyio
import pytest
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from actors import ActorCrashed, ActorDown, ActorStopped, Backoff, Event, Pool, Supervisor, Undelivered
from actors.testing import quiesce


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


class Fragile:
    def __init__(self, starts: list[float]) -> None:
        starts.append(anyio.current_time())

    async def ping(self) -> str:
        return "pong"

    async def crash(self) -> None:
        raise ValueError("glass")

    async def note(self, notes: list[str], text: str) -> None:
        notes.append(text)

    async def wait_and_crash(self, gate: anyio.Event) -> None:
        await gate.wait()
        raise ValueError("glass")


EVEN = Backoff(first_s=1.0, factor=2.0, max_s=5.0, jitter=0.0)


@pytest.mark.anyio
async def test_each_restart_in_a_row_waits_longer_up_to_the_limit() -> None:
    starts: list[float] = []
    async with Supervisor(intensity=(10, 100.0), backoff=EVEN) as supervisor:
        ref = await supervisor.start(lambda: Fragile(starts), name="vase")
        for _ in range(5):
            with pytest.raises(ActorCrashed):
                await ref.ask(Fragile.crash, timeout=10.0)
        assert await ref.ask(Fragile.ping) == "pong"
    assert [round(b - a, 3) for a, b in pairwise(starts)] == [1, 2, 4, 5, 5]


@pytest.mark.anyio
async def test_a_child_that_was_up_for_longer_than_its_last_delay_starts_over() -> None:
    starts: list[float] = []
    async with Supervisor(intensity=(10, 100.0), backoff=EVEN) as supervisor:
        ref = await supervisor.start(lambda: Fragile(starts), name="vase")
        for uptime_s in (0, 0, 3, 0):
            await ref.ask(Fragile.ping)
            await anyio.sleep(uptime_s)
            with pytest.raises(ActorCrashed):
                await ref.ask(Fragile.crash)
        await ref.ask(Fragile.ping)
    assert [round(b - a, 3) for a, b in pairwise(starts)] == [1, 2, 4, 2]


@pytest.mark.anyio
async def test_while_one_child_waits_others_are_restarted_started_and_stopped() -> None:
    async with Supervisor(intensity=(10, 100.0), backoff=EVEN) as supervisor:
        slow = await supervisor.start(lambda: Fragile([]), name="slow")
        with pytest.raises(ActorCrashed):
            await slow.ask(Fragile.crash)
        began = anyio.current_time()
        other = await supervisor.start(lambda: Fragile([]), name="other")
        assert await other.ask(Fragile.ping) == "pong"
        await other.stop()
        assert anyio.current_time() == began
        await slow.stop()  # it is not up, and will not be
        with pytest.raises(ActorStopped):
            await slow.ask(Fragile.ping)


@pytest.mark.anyio
async def test_while_an_actor_backs_off_its_mailbox_takes_messages() -> None:
    notes: list[str] = []
    async with Supervisor(backoff=EVEN) as supervisor:
        ref = await supervisor.start(lambda: Fragile([]), name="vase")
        with pytest.raises(ActorCrashed):
            await ref.ask(Fragile.crash)
        began = anyio.current_time()
        ref.tell(Fragile.note, notes, "told")
        await ref.send(Fragile.note, notes, "sent")
        assert await ref.ask(Fragile.ping) == "pong"
        assert anyio.current_time() - began == pytest.approx(1.0)
    assert notes == ["told", "sent"]


@pytest.mark.anyio
async def test_an_actor_that_rejects_while_it_is_down_lets_nobody_wait() -> None:
    notes, events, gate = list[str](), list[Event](), anyio.Event()
    told: list[tuple[str, str, float]] = []

    async def note_error(who: str, call: Coroutine[Any, Any, object]) -> None:
        with pytest.raises(ActorDown) as caught:
            await call
        told.append((who, str(caught.value), anyio.current_time() - began))

    async with Supervisor(backoff=EVEN, on_event=events.append) as supervisor:
        ref = await supervisor.start(lambda: Fragile([]), name="vase", mailbox_capacity=3, while_down="reject")
        ref.tell(Fragile.wait_and_crash, gate)
        await quiesce()
        ref.tell(Fragile.note, notes, "told")
        await ref.send(Fragile.note, notes, "sent")
        began = anyio.current_time()
        async with anyio.create_task_group() as group:
            group.start_soon(note_error, "queued", ref.ask(Fragile.ping))
            await quiesce()
            group.start_soon(note_error, "waits for room", ref.ask(Fragile.ping))
            group.start_soon(note_error, "waits for room", ref.send(Fragile.ping))
            await quiesce()
            gate.set()
        await note_error("asks", ref.ask(Fragile.ping, timeout=9.0))
        await note_error("sends", ref.send(Fragile.ping))
        with pytest.raises(ActorDown):
            ref.tell(Fragile.ping)
        assert ref.statistics().queued == 2
        await anyio.sleep(1.1)
        for _ in range(2):  # with all the room there was
            ref.tell(Fragile.ping)
        assert await ref.ask(Fragile.ping) == "pong"
    assert notes == ["told", "sent"]
    assert sorted(who for who, _, _ in told) == ["asks", "queued", "sends", "waits for room", "waits for room"]
    assert {text for _, text, _ in told} == {"actor 'vase' is down until it is started again"}
    assert max(after_s for _, _, after_s in told) < 0.1
    assert not [event for event in events if isinstance(event, Undelivered)]


@pytest.mark.anyio
async def test_an_actor_that_is_stopped_while_it_rejects_has_stopped() -> None:
    notes, events = list[str](), list[Event]()
    async with Supervisor(backoff=EVEN, on_event=events.append) as supervisor:
        ref = await supervisor.start(lambda: Fragile([]), name="vase", while_down="reject")
        ref.tell(Fragile.crash)
        ref.tell(Fragile.note, notes, "too late")
        await quiesce()
        with pytest.raises(ActorDown):
            await ref.ask(Fragile.ping)
        await ref.stop()
        with pytest.raises(ActorStopped):
            ref.tell(Fragile.ping)
    assert [event.method for event in events if isinstance(event, Undelivered)] == ["note"]
    assert not notes


@pytest.mark.anyio
async def test_those_that_are_down_with_the_one_whose_restart_fails_reject_too() -> None:
    class Flaky(Fragile):
        attempts = 0

        def __init__(self) -> None:
            Flaky.attempts += 1
            if Flaky.attempts == 2:
                raise OSError("not yet")

    async with Supervisor("rest_for_one", backoff=EVEN) as supervisor:
        first = await supervisor.start(Flaky, name="first", while_down="reject")
        behind = await supervisor.start(lambda: Fragile([]), name="behind", while_down="reject")
        queues = await supervisor.start(lambda: Fragile([]), name="queues")
        first.tell(Fragile.crash)
        await quiesce()
        assert await behind.ask(Fragile.ping) == "pong"  # it is up until the first is restarted
        await anyio.sleep(1.5)
        for ref in (first, behind):
            with pytest.raises(ActorDown):
                await ref.ask(Fragile.ping)
        assert await queues.ask(Fragile.ping) == "pong"
        assert [await ref.ask(Fragile.ping) for ref in (first, behind)] == ["pong", "pong"]


@pytest.mark.anyio
async def test_a_pool_that_rejects_is_down_when_its_last_member_is() -> None:
    async with Supervisor(intensity=(10, 100.0), backoff=EVEN) as supervisor:
        pool = await Pool.start(supervisor, lambda: Fragile([]), name="pool", size=2, while_down="reject")
        for _ in range(2):
            assert await pool.ask(Fragile.ping) == "pong"
            with pytest.raises(ActorCrashed):
                await pool.ask(Fragile.crash)
            await quiesce()
        with pytest.raises(ActorDown, match="'pool' is down"):
            await pool.ask(Fragile.ping)
        await anyio.sleep(1.1)
        assert await pool.ask(Fragile.ping) == "pong"


@pytest.mark.anyio
async def test_crashes_outside_the_window_of_the_intensity_are_forgiven() -> None:
    async with Supervisor(intensity=(1, 10.0)) as supervisor:
        ref = await supervisor.start(lambda: Fragile([]), name="vase")
        for _ in range(5):
            with pytest.raises(ActorCrashed):
                await ref.ask(Fragile.crash)
            await anyio.sleep(10.1)
        assert await ref.ask(Fragile.ping) == "pong"


@pytest.mark.anyio
async def test_the_end_does_not_wait_for_a_backoff() -> None:
    began = anyio.current_time()
    async with Supervisor(backoff=Backoff(first_s=1000, max_s=1000)) as supervisor:
        ref = await supervisor.start(lambda: Fragile([]), name="vase")
        with pytest.raises(ActorCrashed):
            await ref.ask(Fragile.crash)
    assert anyio.current_time() - began < 1


@given(st.integers(1, 10_000), st.integers(), st.floats(0, 1))
def test_the_jitter_only_adds_and_is_the_injected_generators(number: int, seed: int, jitter: float) -> None:
    backoff = Backoff(first_s=0.5, max_s=8.0, jitter=jitter)
    delay_s = backoff.delay_s(number, Random(seed))
    bare_s = Backoff(first_s=0.5, max_s=8.0, jitter=0.0).delay_s(number, Random(0))
    assert bare_s <= delay_s <= bare_s * (1 + jitter)
    assert delay_s == backoff.delay_s(number, Random(seed))
