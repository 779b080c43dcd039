from __future__ import annotations

from random import Random

import anyio
import anyio.lowlevel
import pytest
import trio

from actors import ActorCrashed, AskTimeout, Event, Supervisor
from actors.testing import Chaos, crash, quiesce, run_seeded, seeded, simulate


class Counter:
    def __init__(self) -> None:
        self.value = 0

    async def add(self, n: int) -> int:
        self.value += n
        return self.value


async def trace(_: Random) -> tuple[int, ...]:
    """In which order five tasks took three steps each."""
    steps: list[int] = []

    async def walk(number: int) -> None:
        for _ in range(3):
            steps.append(number)
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        for number in range(5):
            group.start_soon(walk, number)
    return tuple(steps)


def test_the_same_seed_gives_the_same_schedule_and_others_give_others() -> None:
    assert run_seeded(trace, 7) == run_seeded(trace, 7)
    assert len({run_seeded(trace, seed) for seed in range(50)}) > 40


def test_outside_of_it_the_scheduler_is_as_it_was() -> None:
    core = trio._core._run
    before = (core._r.getstate(), core._ALLOW_DETERMINISTIC_SCHEDULING)
    with seeded(1):
        core._r.random()
    assert (core._r.getstate(), core._ALLOW_DETERMINISTIC_SCHEDULING) == before


def test_hours_of_virtual_time_take_none() -> None:
    async def sleep(_: Random) -> float:
        started_at = anyio.current_time()
        await anyio.sleep(36_000)
        return anyio.current_time() - started_at

    assert run_seeded(sleep, 0) == pytest.approx(36_000)


def test_a_failure_names_its_seed() -> None:
    async def unlucky(rng: Random) -> None:
        assert rng.random() < 0.9

    with pytest.raises(AssertionError) as caught:
        simulate(unlucky, range(100))
    (note,) = [note for note in caught.value.__notes__ if "run_seeded" in note]
    seed = int(note.rpartition(", ")[2].partition(")")[0])
    with pytest.raises(AssertionError):
        run_seeded(unlucky, seed)
    assert simulate(trace, range(5)) == 5


async def chaotic(rng: Random) -> tuple[list[str], int]:
    outcomes: list[str] = []
    events: list[Event] = []
    chaos = Chaos(rng, delay_s_max=1.0, crash_rate=0.2)
    async with Supervisor(intensity=(100, 1.0), hooks=chaos, on_event=events.append) as supervisor:
        ref = await supervisor.start(Counter, name="counter")
        for _ in range(10):
            try:
                outcomes.append(str(await ref.ask(Counter.add, 1, timeout=0.5)))
            except (ActorCrashed, AskTimeout) as error:
                outcomes.append(type(error).__name__)
    return outcomes, len(events)


def test_chaos_delays_and_crashes_and_can_be_replayed() -> None:
    runs = [run_seeded(chaotic, seed) for seed in range(20)]
    assert runs == [run_seeded(chaotic, seed) for seed in range(20)]
    seen = {outcome for outcomes, _ in runs for outcome in outcomes}
    assert {"ActorCrashed", "AskTimeout", "1", "2"} <= seen


@pytest.mark.anyio
async def test_an_actor_can_be_made_to_crash() -> None:
    async with Supervisor() as supervisor:
        ref = await supervisor.start(Counter, name="counter")
        await ref.ask(Counter.add, 1)
        crash(ref)
        await quiesce()
        assert supervisor.snapshot().children[0].last_crash == "actors.testing._chaos.InjectedCrash: of counter"
        assert await ref.ask(Counter.add, 1) == 1
        crash(ref, KeyError("mine"))
        await quiesce()
        assert supervisor.snapshot().children[0].last_crash == "KeyError: 'mine'"
