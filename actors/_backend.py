"""What asyncio and trio do differently and what is too slow, or too large, through a common layer.

A one-shot slot to wait on, the running task, the clock, a task without a task group's bookkeeping, and a call into the loop
from a thread. A native slot makes an ask two to three times faster than one built on `anyio.Event`; a native task takes half the
memory of one in an anyio task group. uvloop is asyncio here.
"""

from __future__ import annotations

import asyncio
import functools
import sys
import threading
from asyncio import Future
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Any, Protocol

import anyio


class Waker(Protocol):
    def fire(self) -> None: ...


class OwnSlot(Waker, Protocol):
    # Any: what passes between a coroutine and its event loop is between the two.
    def __await__(self) -> Generator[Any, Any, None]: ...


Slot = Future[None] | OwnSlot
"""A place where one task waits once, by awaiting it. It may be fired before, after or without that; only the first time counts.

It carries nothing: what is waited for is stored elsewhere, so a wake-up that races with a cancellation loses nothing. On
asyncio it is a bare future, for which a task has a shorter way to wait than for anything around one.
"""


def fire(slot: Future[None] | Waker) -> None:
    if isinstance(slot, Future):
        if not slot.done():
            slot.set_result(None)
    else:
        slot.fire()


class Scope(Protocol):
    """The part of `anyio.CancelScope` that trio's own has, too."""

    deadline: float

    def cancel(self) -> None: ...

    def __enter__(self) -> object: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> bool | None: ...


Spawn = Callable[[Callable[[], Coroutine[Any, Any, None]], str], object]
"""Run that in a task of that name; the task is the caller's to end, and must not raise."""


class Backend(Protocol):
    thread_id: int
    """Of the thread that the loop runs in."""
    now: Callable[[], float]
    """`anyio.current_time`, without the way there."""
    checkpoint: Callable[[], Awaitable[None]]
    """`anyio.lowlevel.checkpoint`, likewise."""
    slot: Callable[[], Slot]
    scope: Callable[[], Scope]
    current_task: Callable[[], object]

    def crew(self) -> AbstractAsyncContextManager[Spawn]:
        """Where an actor's tasks run. Enter it in a task that lives longer, and leave it when all have ended."""
        ...

    def stack(self, task: object) -> tuple[str, ...]:
        """Where `task` is waiting: `file:line function`, outermost first."""
        ...

    def call_soon_threadsafe(self, callback: Callable[[], object], /) -> object:
        """Raises RuntimeError once the loop is closed."""
        ...


class AsyncioBackend:
    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.thread_id = threading.get_ident()
        self.now = self._loop.time
        self.checkpoint: Callable[[], Awaitable[None]] = functools.partial(asyncio.sleep, 0)
        # What `loop.create_future` returns on asyncio and uvloop, without the way through Python.
        self.slot: Callable[[], Slot] = functools.partial(Future, loop=self._loop)
        self.scope: Callable[[], Scope] = anyio.CancelScope
        self.current_task: Callable[[], object] = asyncio.current_task
        self.call_soon_threadsafe: Callable[[Callable[[], object]], object] = self._loop.call_soon_threadsafe

    @asynccontextmanager
    async def crew(self) -> AsyncIterator[Spawn]:
        # The loop holds a task that waits only weakly: its cell does, and it is in the scope of each of its helpers.
        yield lambda run, name: self._loop.create_task(run(), name=name)

    def stack(self, task: object) -> tuple[str, ...]:
        assert isinstance(task, asyncio.Task)
        return frames_of(task.get_coro())


def frames_of(coroutine: object) -> tuple[str, ...]:
    """See `Backend.stack`."""
    frames: list[str] = []
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        if frame is not None:
            frames.append(f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}")
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)
    return tuple(frames)


def current_backend() -> Backend:
    """The backend of the running task.

    Raises:
        RuntimeError: outside an event loop.
    """
    # trio first: in guest mode an asyncio loop is running underneath.
    if "trio" in sys.modules:
        from actors._trio import TrioBackend, is_trio_task

        if is_trio_task():
            return TrioBackend()
    return AsyncioBackend()
