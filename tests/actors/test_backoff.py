"""On virtual time: nothing here takes as long as it says."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import anyio
import pytest
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from actors import ActorCrashed, ActorStopped, Backoff, Supervisor


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


EVEN = Backoff(first_s=1.0, factor=2.0, max_s=5.0, jitter=0.0)


@pytest.mark.anyio
async def test_each_restart_in_a_row_waits_longer_up_to_the_limit() -> None:
    starts: list[float] = []
    async with Supervisor(intensity=(10, 100.0), backoff=EVEN) as supervisor:
        ref = await supervisor.start(lambda: Fragile(starts), name="vase")
        for _ in range(5):
            with pytest.raises(ActorCrashed):
                await ref.ask(Fragile.crash)
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
