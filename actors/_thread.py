"""Blocking work beside an actor: one thread that takes jobs in batches and answers each with a `Deferred`.

Handing a job over costs a tenth of `anyio.to_thread.run_sync`, because a batch shares both thread switches; and work that
gains from company, such as a commit, gets it.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Generic, Self, TypeVar

import anyio
import anyio.to_thread

from actors._backend import Backend, current_backend
from actors._deferred import Deferred

J = TypeVar("J")
R = TypeVar("R")


class BatchThread(Generic[J, R]):
    """A thread that calls `work(jobs)` with everything that has gathered, in order, at most `batch_max` at a time.

    `work` runs in the thread and returns, for each job, its result, or an exception as a value for that job alone. If it
    raises, every job of the batch fails with that. Enter it in the event loop that submits.
    """

    def __init__(self, work: Callable[[Sequence[J]], Sequence[R | Exception]], *, name: str, batch_max: int) -> None:
        self._work = work
        self._batch_max = batch_max
        self._jobs: queue.SimpleQueue[tuple[J, Deferred[R]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    async def __aenter__(self) -> Self:
        self._backend: Backend = current_backend()
        self._thread.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._jobs.put(None)
        with anyio.CancelScope(shield=True):  # what is submitted is finished: half a batch is no state to leave
            await anyio.to_thread.run_sync(self._thread.join)

    def submit(self, job: J) -> Deferred[R]:
        answer: Deferred[R] = Deferred()
        self._jobs.put((job, answer))
        return answer

    def _run(self) -> None:
        while (entry := self._jobs.get()) is not None:
            batch = [entry]
            is_last = False
            while len(batch) < self._batch_max and not self._jobs.empty():
                entry = self._jobs.get()
                if entry is None:
                    is_last = True
                    break
                batch.append(entry)
            self._do(batch)
            if is_last:
                return

    def _do(self, batch: list[tuple[J, Deferred[R]]]) -> None:
        results: Sequence[R | Exception]
        try:
            results = self._work([job for job, _ in batch])
        except Exception as error:  # noqa: BLE001 - it goes to whoever waits for the jobs
            results = [error] * len(batch)

        def deliver() -> None:
            for (_, answer), result in zip(batch, results, strict=True):
                if isinstance(result, Exception):
                    answer.fail(result)
                else:
                    answer.resolve(result)

        self._backend.call_soon_threadsafe(deliver)
