"""Whether everything has settled, and whether anything was left behind."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

POOLED_THREADS = ("AnyIO worker thread", "Trio thread", "asyncio_")
"""How the names of threads begin that a loop keeps for its next blocking call."""

RUNNERS = "TestRunner."
"""How the qualified names of the coroutines begin in which anyio's pytest plugin runs a test: one more per call."""

DESCRIPTORS = Path("/proc/self/fd")


class Leak(AssertionError):
    """Something that was not there before."""


async def quiesce() -> None:
    """Return when every other task of the loop waits for something."""
    await anyio.wait_all_tasks_blocked()


@asynccontextmanager
async def no_leaks() -> AsyncIterator[None]:
    """Within it everything that is started is ended: tasks, threads and (on Linux) file descriptors.

    Raises:
        Leak: at the end, naming what is left. If the body raises, that leaves, unchecked.
    """
    tasks, threads, descriptors = _tasks(), _threads(), _descriptors()
    yield
    await quiesce()
    left = [
        *(f"task {name}" for number, name in _tasks().items() if number not in tasks),
        *(f"thread {name}" for number, name in _threads().items() if number not in threads),
        *(f"descriptor {number}: {name}" for number, name in _descriptors().items() if number not in descriptors),
    ]
    if left:
        raise Leak("left behind: " + "; ".join(left))


def _tasks() -> dict[int, str]:
    return {
        task.id: task.name or ""
        for task in anyio.get_running_tasks()
        if not getattr(task.coro, "__qualname__", "").startswith(RUNNERS)
    }


def _threads() -> dict[int, str]:
    return {
        thread.ident or 0: thread.name for thread in threading.enumerate() if not thread.name.startswith(POOLED_THREADS)
    }


def _descriptors() -> dict[int, str]:
    found: dict[int, str] = {}
    for entry in DESCRIPTORS.iterdir() if DESCRIPTORS.exists() else ():
        try:
            found[int(entry.name)] = str(entry.readlink())
        except FileNotFoundError:
            continue  # the one that this listing is read through
    return found
