"""The same seed, the same schedule: trio with its shuffling seeded, in virtual time, and blocking work in turns of its own.

asyncio runs its tasks in a fixed order and finds fewer races; uvloop cannot be made to repeat itself. trio shuffles each
batch of runnable tasks on purpose, with a generator that can be seeded. It is private to trio; where that has changed, an
AssertionError says so.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any, TypeVar

from actors._thread import replace_threads
from actors.testing._turns import Turns

R = TypeVar("R")

WORK_S_MAX = 0.05
"""Long beside a disk, short beside a deadline."""


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Every `trio.run` inside it schedules its tasks as `seed` has it.

    Raises:
        AssertionError: this version of trio cannot be seeded in a way that is known here.
    """
    import trio._core._run as run  # private: there is no public way

    core: Any = run
    assert isinstance(getattr(core, "_r", None), Random), "trio's scheduler has no generator to seed"
    assert hasattr(core, "_ALLOW_DETERMINISTIC_SCHEDULING"), "trio's scheduler cannot be made deterministic"
    state, allowed = core._r.getstate(), core._ALLOW_DETERMINISTIC_SCHEDULING
    core._r.seed(seed)
    core._ALLOW_DETERMINISTIC_SCHEDULING = True
    try:
        yield
    finally:
        core._ALLOW_DETERMINISTIC_SCHEDULING = allowed
        core._r.setstate(state)


def run_seeded(scenario: Callable[[Random], Awaitable[R]], seed: int, *, work_s_max: float = WORK_S_MAX) -> R:
    """Run `scenario(rng)` on trio, with a clock that jumps whenever everybody waits, and return what it returns.

    What is given to a `BatchThread` or to `run_in_thread` runs in the event loop, at moments that the seed chooses: it waits for
    its turn up to `work_s_max`, and as long again until its end is told.
    What it raises gets a note with the seed.
    """
    import trio
    import trio.testing

    async def main() -> R:
        rng = Random(f"{seed} of the threads")
        replace_threads(Turns(rng, trio.lowlevel.spawn_system_task, delay_s_max=work_s_max))
        return await scenario(Random(seed))

    with seeded(seed):
        try:
            return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
        except BaseException as error:
            error.add_note(
                f"{_name(scenario)} failed with seed {seed}; run_seeded({_name(scenario)}, {seed}) repeats it"
            )
            raise


def simulate(scenario: Callable[[Random], Awaitable[object]], seeds: Iterable[int]) -> int:
    """Run `scenario` with each of `seeds` and return how many there were. Stops at the first that fails, as `run_seeded`."""
    count = 0
    for seed in seeds:
        run_seeded(scenario, seed)
        count += 1
    return count


def _name(scenario: Callable[..., object]) -> str:
    return getattr(scenario, "__name__", repr(scenario))
