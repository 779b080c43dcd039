"""The trio half of `_backend`: imported only by a program that has imported trio itself."""

from __future__ import annotations

import threading
from collections.abc import Callable

import trio

from actors._backend import Slot


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

    async def wait(self) -> None:
        if self._is_fired:
            await trio.lowlevel.checkpoint()
            return
        self._task = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._abort)

    def _abort(self, _: object) -> trio.lowlevel.Abort:
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED


class TrioBackend:
    def __init__(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self.thread_id = threading.get_ident()

    def slot(self) -> Slot:
        return _TrioSlot()

    def current_task(self) -> object:
        return trio.lowlevel.current_task()

    def call_soon_threadsafe(self, callback: Callable[[], object]) -> None:
        try:
            self._token.run_sync_soon(callback)
        except trio.RunFinishedError as error:
            raise RuntimeError("the event loop is closed") from error


def is_trio_task() -> bool:
    return trio.lowlevel.in_trio_task()
