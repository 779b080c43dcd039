"""Blocking work in a simulation: no threads, the same seed the same moments, and the same promises as of threads."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from random import Random

import anyio
import pytest

from actors import BatchThread, run_in_thread
from actors.testing import no_leaks, run_seeded, simulate

BATCH_MAX = 3
SEEDS = range(50)


class Halves:
    """Halves even numbers, and notes in which batches."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, ...]] = []
        self.threads: set[int] = set()

    def work(self, jobs: Sequence[int]) -> list[int | Exception]:
        self.threads.add(threading.get_ident())
        self.batches.append(tuple(jobs))
        return [ValueError(job) if job % 2 else job // 2 for job in jobs]


async def batches(rng: Random) -> tuple[tuple[int, ...], ...]:
    """What became of ten jobs that were submitted now and then."""
    halves = Halves()
    async with no_leaks(), BatchThread(halves.work, name="halves", batch_max=BATCH_MAX) as thread:
        for number in range(0, 20, 2):
            thread.submit(number)
            if rng.random() < 0.5:
                await anyio.sleep(0.01)
    assert [job for batch in halves.batches for job in batch] == list(range(0, 20, 2)), "in order, and all of them"
    assert max(map(len, halves.batches)) <= BATCH_MAX
    assert halves.threads == {threading.get_ident()}
    return tuple(halves.batches)


def test_the_same_seed_does_the_same_work_at_the_same_moments_and_others_at_others() -> None:
    assert run_seeded(batches, 7) == run_seeded(batches, 7)
    assert len({run_seeded(batches, seed) for seed in SEEDS}) > len(SEEDS) / 2


def test_each_job_gets_its_answer_and_other_tasks_run_meanwhile() -> None:
    async def scenario(_: Random) -> None:
        async with BatchThread(Halves().work, name="halves", batch_max=BATCH_MAX) as thread:
            answers = [thread.submit(number) for number in range(3)]
            assert await answers[0] == 0
            with pytest.raises(ValueError, match="1"):
                await answers[1]
            assert await answers[2] == 1

    simulate(scenario, SEEDS)


def test_work_in_a_thread_is_done_once_and_its_error_is_the_callers() -> None:
    async def scenario(_: Random) -> None:
        done: list[int] = []
        await run_in_thread(done.append, 1)
        assert done == [1]
        with pytest.raises(ZeroDivisionError):
            await run_in_thread(lambda: 1 // 0)

    simulate(scenario, SEEDS)


def test_a_cancellation_waits_for_the_work_as_it_does_for_a_thread() -> None:
    async def scenario(_: Random) -> None:
        done: list[int] = []
        with anyio.move_on_after(0.001) as scope:
            await run_in_thread(done.append, 1)
        assert done == [1]
        assert not scope.cancelled_caught or done

    simulate(scenario, SEEDS)


def test_virtual_time_passes_while_work_is_waited_for() -> None:
    async def scenario(rng: Random) -> float:
        began = anyio.current_time()
        for _ in range(10):
            await run_in_thread(rng.random)
        return anyio.current_time() - began

    assert 0 < run_seeded(scenario, 1, work_s_max=1.0) < 20
    assert run_seeded(scenario, 1, work_s_max=0.0) == 0
