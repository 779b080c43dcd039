"""Keeps the client and the server off each other's CPU while a run lasts, and puts everything back afterwards."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from loadtest.errors import HarnessError


@contextmanager
def pinned(server_pid: int | None) -> Iterator[str]:
    """The calling thread on the last CPU, the server's threads on the others. Says so, for people. Raises `HarnessError`."""
    *others, last = sorted(os.sched_getaffinity(0))
    if not others:
        raise HarnessError("pinning needs two CPUs, there is one")
    if server_pid is None:
        raise HarnessError("the server cannot be pinned: its process is not to be seen from here")
    before: list[tuple[int, set[int]]] = [(0, os.sched_getaffinity(0))]
    try:
        for thread in _threads(server_pid):
            with suppress(ProcessLookupError):  # it has ended
                before.append((thread, os.sched_getaffinity(thread)))
                os.sched_setaffinity(thread, others)
        os.sched_setaffinity(0, {last})
        yield f"client on CPU {last}, server on {','.join(map(str, others))}"
    except PermissionError as error:
        raise HarnessError(f"process {server_pid} cannot be pinned: {error.strerror}") from error
    finally:
        for thread, cpus in before:
            with suppress(ProcessLookupError, PermissionError):
                os.sched_setaffinity(thread, cpus)


def _threads(pid: int) -> list[int]:
    try:
        return [int(task.name) for task in Path(f"/proc/{pid}/task").iterdir()]
    except OSError as error:
        raise HarnessError(f"process {pid} cannot be pinned: {error.strerror}") from error
