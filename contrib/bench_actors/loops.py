"""The measuring loops: seconds per operation of one library, in this process, once.

Each is run shortly first, which warms up caches and pools and says how many operations fit into the time limit. Tasks and
threads that ask beside each other are started before the clock is. Restarting and starting are slow: fewer of them are done.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

import anyio

from contrib.bench_actors.contract import ASKERS, MAILBOX, AsyncLibrary, Figure, Measure, SyncLibrary

TIME_LIMIT_S = 1.0
"""For one measurement: the slowest library must not make the run a matter of hours."""
WARM_UP = {
    Measure.ASK: 100,
    Measure.ASK_MANY: 2 * ASKERS,
    Measure.TELL: MAILBOX,
    Measure.RESTART: 5,
    Measure.START: 5,
    Measure.MEMORY: 100,
}
SLOW_SHARE = 20
"""One restart or start for so many asks."""
MEMORY_SHARE = 5
"""One idle actor for so many asks."""

R = TypeVar("R")
Seconds = Mapping[Figure, float]


def run(library: AsyncLibrary[Any] | SyncLibrary[Any], measure: Measure, count: int) -> dict[Figure, float]:
    """The figures of `measure`, in microseconds per operation or bytes per actor, from at most `count` operations."""
    gc.collect()
    gc.freeze()  # what the imports made is not to be walked again and again: some import pandas
    if isinstance(library, SyncLibrary):
        with library:
            return _Blocking(library).measured(measure, count)

    async def main() -> dict[Figure, float]:
        async with library:
            return await _Awaited(library).measured(measure, count)

    return library.run(main)


class _Awaited:
    def __init__(self, library: AsyncLibrary[R]) -> None:
        self._library = library
        self._numbers = iter(range(1_000_000_000))

    async def measured(self, measure: Measure, count: int) -> dict[Figure, float]:
        if measure is Measure.MEMORY:
            return await self._memory(count // MEMORY_SHARE)
        body: Callable[[int], Awaitable[Seconds]] = {
            Measure.ASK: self._ask,
            Measure.ASK_MANY: self._ask_many,
            Measure.TELL: self._tell,
            Measure.RESTART: self._restart,
            Measure.START: self._start,
        }[measure]
        self._calls = self._library.calls(await self._library.start(next(self._numbers)))
        warm = await body(WARM_UP[measure])
        return _in_us(await body(_affordable(measure, count, warm)))

    async def _ask(self, count: int) -> Seconds:
        ask = self._calls.ask
        began = perf_counter()
        for _ in range(count):
            await ask()
        return {Figure.ASK: (perf_counter() - began) / count}

    async def _ask_many(self, count: int) -> Seconds:
        ask, each = self._calls.ask, max(1, count // ASKERS)
        start, ends = anyio.Event(), list[float]()

        async def asker() -> None:
            await start.wait()
            for _ in range(each):
                await ask()
            ends.append(perf_counter())

        async with anyio.create_task_group() as tasks:
            for _ in range(ASKERS):
                tasks.start_soon(asker)
            await anyio.wait_all_tasks_blocked()
            began = perf_counter()
            start.set()
        return {Figure.ASK_MANY: (max(ends) - began) / (each * ASKERS)}

    async def _tell(self, count: int) -> Seconds:
        tell, send, ask = self._calls.tell, self._calls.send, self._calls.ask
        telling = total = 0.0
        done = 0
        for batch in _mailboxes(count):
            began = perf_counter()
            if tell is not None:
                for _ in range(batch):
                    tell()
            elif send is not None:
                for _ in range(batch):
                    await send()
            told = perf_counter()
            await ask()  # the last message in the mailbox: its reply shows that all were handled
            telling, total, done = telling + told - began, total + perf_counter() - began, done + batch
        return _told(telling, total, done)

    async def _restart(self, count: int) -> Seconds:
        restart = self._calls.restart
        assert restart is not None, "a library that cannot restart says so in `absent`"
        began = perf_counter()
        for _ in range(count):
            await restart()
        return {Figure.RESTART: (perf_counter() - began) / count}

    async def _start(self, count: int) -> Seconds:
        start, numbers = self._library.start, self._numbers
        refs = []
        began = perf_counter()
        for _ in range(count):
            refs.append(await start(next(numbers)))
        return {Figure.START: (perf_counter() - began) / count}

    async def _memory(self, count: int) -> dict[Figure, float]:
        refs = [await self._library.start(next(self._numbers)) for _ in range(WARM_UP[Measure.MEMORY])]
        before = _resident_bytes()
        refs += [await self._library.start(next(self._numbers)) for _ in range(count)]
        return {Figure.MEMORY: (_resident_bytes() - before) / count}


class _Blocking:
    def __init__(self, library: SyncLibrary[R]) -> None:
        self._library: SyncLibrary[Any] = library
        self._numbers = iter(range(1_000_000_000))

    def measured(self, measure: Measure, count: int) -> dict[Figure, float]:
        if measure is Measure.MEMORY:
            return self._memory(count // MEMORY_SHARE)
        body: Callable[[int], Seconds] = {
            Measure.ASK: self._ask,
            Measure.ASK_MANY: self._ask_many,
            Measure.TELL: self._tell,
            Measure.START: self._start,
        }[measure]
        self._ref = self._library.start(next(self._numbers))
        self._calls = self._library.calls(self._ref)
        warm = body(WARM_UP[measure])
        return _in_us(body(_affordable(measure, count, warm)))

    def _ask(self, count: int) -> Seconds:
        ask = self._calls.ask
        began = perf_counter()
        for _ in range(count):
            ask()
        return {Figure.ASK: (perf_counter() - began) / count}

    def _ask_many(self, count: int) -> Seconds:
        each = max(1, count // ASKERS)
        return {Figure.ASK_MANY: self._library.ask_from_many(self._ref, each) / (each * ASKERS)}

    def _tell(self, count: int) -> Seconds:
        tell, ask = self._calls.tell, self._calls.ask
        telling = total = 0.0
        done = 0
        for batch in _mailboxes(count):
            began = perf_counter()
            for _ in range(batch):
                tell()
            told = perf_counter()
            ask()
            telling, total, done = telling + told - began, total + perf_counter() - began, done + batch
        return _told(telling, total, done)

    def _start(self, count: int) -> Seconds:
        start, numbers = self._library.start, self._numbers
        refs = []
        began = perf_counter()
        for _ in range(count):
            refs.append(start(next(numbers)))
        return {Figure.START: (perf_counter() - began) / count}

    def _memory(self, count: int) -> dict[Figure, float]:
        refs = [self._library.start(next(self._numbers)) for _ in range(WARM_UP[Measure.MEMORY])]
        before = _resident_bytes()
        refs += [self._library.start(next(self._numbers)) for _ in range(count)]
        return {Figure.MEMORY: (_resident_bytes() - before) / count}


def _affordable(measure: Measure, count: int, warm: Seconds) -> int:
    wanted = count // SLOW_SHARE if measure in (Measure.RESTART, Measure.START) else count
    return max(1, min(wanted, int(TIME_LIMIT_S / max(warm.values()))))


def _mailboxes(count: int) -> Iterator[int]:
    """Messages to tell in a row, so that with the ask that follows the mailbox is full and `count` is reached."""
    whole, rest = divmod(count, MAILBOX)
    yield from [MAILBOX - 1] * whole
    if rest > 1:
        yield rest - 1


def _told(telling_s: float, total_s: float, tells: int) -> Seconds:
    """The ask at the end of each mailbox is counted as if it had been free: a thousandth, and against ours as well."""
    return {Figure.TELL: telling_s / tells, Figure.TELL_AND_HANDLE: total_s / tells}


def _in_us(seconds: Seconds) -> dict[Figure, float]:
    return {figure: value * 1e6 for figure, value in seconds.items()}


def _resident_bytes() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
