"""Blocking work beside an actor: a thread that takes jobs in batches and answers each with a `Deferred`, or a call in a thread.

Handing a job over costs a tenth of `anyio.to_thread.run_sync`, because a batch shares both thread switches; and work that
gains from company, such as a commit, gets it.

Threads run when they like. A simulation has others in their place, that run the same work in the event loop at moments of a
seed's choosing (`actors.testing.run_seeded`); nobody who submits work notices.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar, TypeVarTuple

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar

from actors._backend import current_backend
from actors._deferred import Deferred

J = TypeVar("J")
R = TypeVar("R")
Ts = TypeVarTuple("Ts")

Carry = Callable[[list[Any]], Callable[[], None]]
"""Carries jobs out, anywhere, and returns what to call in the event loop then. Any: each batch thread has jobs of its own."""


class Worker(Protocol):
    """Where the jobs of one batch thread are done, in order."""

    def put(self, job: Any, /) -> None:
        """One more; None is the last."""
        ...

    async def wait_ended(self) -> None:
        """Return when the last is done."""
        ...


class Workers(Protocol):
    """Where blocking work is done."""

    def start(self, carry: Carry, *, name: str, batch_max: int) -> Worker: ...

    async def run(self, work: Callable[[], R]) -> R: ...


async def run_in_thread(work: Callable[[*Ts], R], *arguments: *Ts) -> R:
    """What `work(*arguments)` returns or raises. A cancellation waits for its end: half of it is no state to leave."""
    return await _workers.get().run(partial(work, *arguments))


class BatchThread(Generic[J, R]):
    """A thread that calls `work(jobs)` with everything that has gathered, in order, at most `batch_max` at a time.

    `work` runs in the thread and returns, for each job, its result, or an exception as a value for that job alone. If it
    raises, every job of the batch fails with that. Enter it in the event loop that submits.
    """

    def __init__(self, work: Callable[[Sequence[J]], Sequence[R | Exception]], *, name: str, batch_max: int) -> None:
        self._work = work
        self._name = name
        self._batch_max = batch_max

    async def __aenter__(self) -> Self:
        self._worker = _workers.get().start(self._carry_out, name=self._name, batch_max=self._batch_max)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._worker.put(None)
        with anyio.CancelScope(shield=True):  # what is submitted is finished: half a batch is no state to leave
            await self._worker.wait_ended()

    def submit(self, job: J) -> Deferred[R]:
        answer: Deferred[R] = Deferred()
        self._worker.put((job, answer))
        return answer

    def _carry_out(self, batch: list[tuple[J, Deferred[R]]]) -> Callable[[], None]:
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

        return deliver


class _Thread:
    """A worker that is a thread of its own."""

    def __init__(self, carry: Carry, *, name: str, batch_max: int) -> None:
        self._carry = carry
        self._batch_max = batch_max
        self._backend = current_backend()
        self._jobs: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.put: Callable[[Any], None] = self._jobs.put
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    async def wait_ended(self) -> None:
        await anyio.to_thread.run_sync(self._thread.join)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            batch = [job]
            is_last = False
            while len(batch) < self._batch_max and not self._jobs.empty():
                job = self._jobs.get()
                if job is None:
                    is_last = True
                    break
                batch.append(job)
            self._backend.call_soon_threadsafe(self._carry(batch))
            if is_last:
                return


class Threads:
    """Real ones."""

    def start(self, carry: Carry, *, name: str, batch_max: int) -> Worker:
        return _Thread(carry, name=name, batch_max=batch_max)

    async def run(self, work: Callable[[], R]) -> R:
        return await anyio.to_thread.run_sync(work)


_workers: RunVar[Workers] = RunVar("actors.workers", Threads())
"""Of each run of an event loop: what does its blocking work."""


def replace_threads(workers: Workers) -> None:
    """For what is started in this run of the event loop from now on."""
    _workers.set(workers)
