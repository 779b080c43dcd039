"""In place of threads: blocking work in the event loop, at moments that a generator chooses."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, TypeVar

import anyio
import anyio.lowlevel

from actors._thread import Carry

R = TypeVar("R")

Spawn = Callable[[Callable[[], Coroutine[Any, Any, None]]], object]

AT_ONCE_RATE = 0.5


class Turns:
    """Stands for the threads of one run of trio. `spawn` starts a task that no cancellation reaches, as none reaches a thread.

    Each piece of work happens between two steps of other tasks, whole. When it begins, how much has gathered by then, and when
    whoever waits is told, is drawn: half of it as soon as can be, else after up to `delay_s_max` of the loop's clock.
    """

    def __init__(self, rng: Random, spawn: Spawn, *, delay_s_max: float) -> None:
        self._rng = rng
        self._spawn = spawn
        self._delay_s_max = delay_s_max

    def start(self, carry: Carry, *, name: str, batch_max: int) -> TakesTurns:
        worker = TakesTurns(carry, batch_max=batch_max, rng=self._rng, pause=self.pause)
        self._spawn(worker.run)
        return worker

    async def run(self, work: Callable[[], R]) -> R:
        await self._pause_shielded()
        try:
            return work()
        finally:
            await self._pause_shielded()

    async def _pause_shielded(self) -> None:
        with anyio.CancelScope(shield=True):
            await self.pause()

    async def pause(self) -> None:
        if self._rng.random() < AT_ONCE_RATE:
            await anyio.lowlevel.checkpoint()
        else:
            await anyio.sleep(self._rng.uniform(0, self._delay_s_max))


class TakesTurns:
    """A worker that is a task."""

    def __init__(
        self, carry: Carry, *, batch_max: int, rng: Random, pause: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        self._carry = carry
        self._batch_max = batch_max
        self._rng = rng
        self._pause = pause
        self._jobs: deque[Any] = deque()
        self._news = anyio.Event()
        self._ended = anyio.Event()

    def put(self, job: Any) -> None:
        self._jobs.append(job)
        self._news.set()

    async def wait_ended(self) -> None:
        await self._ended.wait()

    async def run(self) -> None:
        while True:
            await self._news.wait()
            await self._pause()
            if self._jobs[0] is None:
                break
            deliver = self._carry(self._take())
            await self._pause()
            deliver()
            if not self._jobs:
                self._news = anyio.Event()
        self._ended.set()

    def _take(self) -> list[Any]:
        """Some of what has gathered: a thread may have looked before the last came."""
        whole = next((at for at, job in enumerate(self._jobs) if job is None), len(self._jobs))
        return [self._jobs.popleft() for _ in range(self._rng.randint(1, min(whole, self._batch_max)))]
