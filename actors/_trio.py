"""The trio half of `_backend`: imported only by a program that has imported trio itself."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from typing import Any

import trio

from actors._backend import Scope, Slot, Spawn, frames_of


class _TrioSlot:
    __slots__ = ("_is_fired", "_task")

    def __init__(self) -> None:
        self._is_fired = False
        self._task: trio.lowlevel.Task | None = None

    def fire(self) -> None:
        if self._is_fired:
            return
        self._is_fired = True
        if self._task is not None:
            trio.lowlevel.reschedule(self._task)
            self._task = None

    def __await__(self) -> Generator[Any, Any, None]:
        if self._is_fired:
            return trio.lowlevel.checkpoint().__await__()  # noqa: ASYNC105 - the caller awaits it
        self._task = trio.lowlevel.current_task()
        return trio.lowlevel.wait_task_rescheduled(self).__await__()  # noqa: ASYNC105 - the caller awaits it

    def __call__(self, _: object) -> trio.lowlevel.Abort:
        """The wait is cancelled. The slot itself is trio's abort function: a bound method would take 64 bytes per idle actor."""
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED


class TrioBackend:
    def __init__(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self.thread_id = threading.get_ident()
        self.now = trio.current_time
        self.checkpoint: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint
        self.slot: Callable[[], Slot] = _TrioSlot
        self.scope: Callable[[], Scope] = trio.CancelScope
        self.current_task: Callable[[], object] = trio.lowlevel.current_task

    @asynccontextmanager
    async def crew(self) -> AsyncIterator[Spawn]:
        async with trio.open_nursery() as nursery:
            yield lambda run, name: nursery.start_soon(run, name=name)

    def stack(self, task: object) -> tuple[str, ...]:
        assert isinstance(task, trio.lowlevel.Task)
        return frames_of(task.coro)

    def call_soon_threadsafe(self, callback: Callable[[], object]) -> None:
        try:
            self._token.run_sync_soon(callback)
        except trio.RunFinishedError as error:
            raise RuntimeError("the event loop is closed") from error


is_trio_task = trio.lowlevel.in_trio_task
