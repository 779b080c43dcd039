from __future__ import annotations

import gc
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import anyio
import pytest
from anyio import wait_all_tasks_blocked

from actors import ActorCrashed, ActorStopped, BatchThread, Deferred, Refused, Supervisor

pytestmark = pytest.mark.anyio


class Till:
    """Owes every answer until somebody settles it."""

    def __init__(self) -> None:
        self.owed: list[Deferred[int]] = []

    def pay(self) -> Deferred[int]:
        self.owed.append(Deferred())
        return self.owed[-1]

    async def crash(self) -> None:
        raise ValueError("till")

    async def ping(self) -> str:
        return "pong"


async def ask(supervisor: Supervisor, till: Till, answers: list[object], group: anyio.abc.TaskGroup) -> None:
    ref = await supervisor.start(lambda: till, name="till", stop_timeout_s=0.01)

    async def one() -> None:
        try:
            answers.append(await ref.ask(Till.pay))
        except (Refused, ActorCrashed, ActorStopped) as error:
            answers.append(error)

    group.start_soon(one)
    await wait_all_tasks_blocked()
    assert await ref.ask(Till.ping) == "pong"  # it is free meanwhile


async def test_an_answer_can_come_after_the_handler() -> None:
    till, answers = Till(), list[object]()
    async with Supervisor() as supervisor, anyio.create_task_group() as group:
        await ask(supervisor, till, answers, group)
        till.owed[0].resolve(3)
        till.owed[0].resolve(4)
        await wait_all_tasks_blocked()
    assert answers == [3]


async def test_a_late_answer_leaves_nothing_to_the_garbage_collector() -> None:
    async with Supervisor("one_for_one") as supervisor:
        till = Till()
        ref = await supervisor.start(lambda: till, name="till")

        async def pay() -> None:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ref.ask, Till.pay)
                await wait_all_tasks_blocked()
                till.owed.pop().resolve(1)

        await pay()
        gc.collect()
        gc.disable()
        try:
            await pay()
            gc.set_debug(gc.DEBUG_SAVEALL)
            gc.collect()
            assert [garbage for garbage in gc.garbage if isinstance(garbage, Deferred)] == []
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()


async def test_a_late_refusal_is_an_answer() -> None:
    till, answers = Till(), list[object]()
    async with Supervisor(intensity=(0, 1.0)) as supervisor, anyio.create_task_group() as group:
        await ask(supervisor, till, answers, group)
        till.owed[0].fail(Refused("no"))
        await wait_all_tasks_blocked()
    assert isinstance(answers[0], Refused)


async def test_a_late_failure_is_a_crash() -> None:
    till, answers = Till(), list[object]()
    made: list[Till] = []

    def make() -> Till:
        made.append(till)
        return till

    async with Supervisor() as supervisor, anyio.create_task_group() as group:
        ref = await supervisor.start(make, name="other")

        async def one() -> None:
            with pytest.raises(ActorCrashed) as caught:
                await ref.ask(Till.pay)
            answers.append(caught.value.__cause__)

        group.start_soon(one)
        await wait_all_tasks_blocked()
        till.owed[0].fail(OSError("disk"))
        await wait_all_tasks_blocked()
        assert len(made) == 2
    assert isinstance(answers[0], OSError)


async def test_what_is_owed_when_the_actor_crashes_fails_at_once() -> None:
    till = Till()
    causes: list[BaseException | None] = []
    async with Supervisor() as supervisor, anyio.create_task_group() as group:
        ref = await supervisor.start(lambda: till, name="till")

        async def one() -> None:
            with pytest.raises(ActorCrashed, match=r"till\.pay crashed") as caught:
                await ref.ask(Till.pay)
            causes.append(caught.value.__cause__)

        group.start_soon(one)
        await wait_all_tasks_blocked()
        with pytest.raises(ActorCrashed):
            await ref.ask(Till.crash)
        await wait_all_tasks_blocked()
        till.owed[0].resolve(1)  # too late, and harmless
        assert isinstance(causes[0], ValueError)


async def test_a_graceful_stop_waits_for_what_is_owed() -> None:
    till, answers = Till(), list[object]()
    async with Supervisor() as supervisor, anyio.create_task_group() as group:
        ref = await supervisor.start(lambda: till, name="till", stop_timeout_s=5.0)

        async def one() -> None:
            answers.append(await ref.ask(Till.pay))

        group.start_soon(one)
        await wait_all_tasks_blocked()
        group.start_soon(ref.stop)
        await wait_all_tasks_blocked()
        till.owed[0].resolve(5)
    assert answers == [5]


async def test_what_is_owed_when_the_stop_times_out_is_told_so() -> None:
    till, answers = Till(), list[object]()
    async with anyio.create_task_group() as group, Supervisor() as supervisor:
        await ask(supervisor, till, answers, group)
    assert isinstance(answers[0], ActorStopped)
    assert answers[0].was_started


async def test_a_deferred_can_be_awaited_without_any_actor() -> None:
    till = Till()
    async with anyio.create_task_group() as group:

        async def settle() -> None:
            till.owed[0].resolve(9)
            till.owed[1].fail(ValueError("x"))

        first, second = till.pay(), till.pay()
        group.start_soon(settle)
        assert await first == 9
        with pytest.raises(ValueError, match="x"):
            await second


class Writer:
    """A group commit in small: everything that waits is written together."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = threading.Event()
        self.is_entered = threading.Event()

    async def __aenter__(self) -> Self:
        self.thread: BatchThread[int, int] = BatchThread(self._write, name="writer", batch_max=10)
        await self.thread.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.thread.__aexit__(kind, error, traceback)

    def write(self, n: int) -> Deferred[int]:
        return self.thread.submit(n)

    def _write(self, batch: Sequence[int]) -> list[int | Exception]:
        self.is_entered.set()
        self.gate.wait(10)
        self.batches.append(list(batch))
        if 666 in batch:
            raise OSError("disk")
        return [Refused("odd") if n % 2 else n * n for n in batch]


async def test_jobs_that_gather_are_done_in_one_batch_in_order() -> None:
    writer = Writer()
    answers: list[object] = []
    async with writer:
        owed = [writer.write(0)]
        await anyio.to_thread.run_sync(writer.is_entered.wait)
        owed += [writer.write(n) for n in range(1, 24)]
        writer.gate.set()
        for deferred in owed:
            try:
                answers.append(await deferred)
            except Refused as error:
                answers.append(str(error))
    assert writer.batches == [[0], list(range(1, 11)), list(range(11, 21)), [21, 22, 23]]
    assert answers == ["odd" if n % 2 else n * n for n in range(24)]


async def test_work_that_raises_crashes_the_actor_and_fails_the_batch() -> None:
    writers: list[Writer] = []

    def make() -> Writer:
        writers.append(Writer())
        writers[-1].gate.set()
        return writers[-1]

    async with Supervisor() as supervisor:
        ref = await supervisor.start(make, name="writer")
        with pytest.raises(ActorCrashed) as caught:
            await ref.ask(Writer.write, 666)
        assert isinstance(caught.value.__cause__, OSError)
        assert await ref.ask(Writer.write, 4) == 16
    assert len(writers) == 2
    assert "writer" not in {thread.name for thread in threading.enumerate()}


async def test_what_was_submitted_before_the_end_is_finished() -> None:
    writer = Writer()
    writer.gate.set()
    async with writer:
        deferreds = [writer.write(n) for n in range(0, 50, 2)]
    assert [await deferred for deferred in deferreds] == [n * n for n in range(0, 50, 2)]


async def test_what_was_sent_or_told_may_be_answered_late_too_and_nobody_minds() -> None:
    till = Till()
    async with Supervisor(intensity=(0, 1.0)) as supervisor:
        ref = await supervisor.start(lambda: till, name="till")
        await ref.send(Till.pay)
        ref.tell(Till.pay)
        assert await ref.ask(Till.ping) == "pong"
        for answer in till.owed:
            answer.resolve(1)
        assert await ref.ask(Till.ping) == "pong"
        assert supervisor.snapshot().children[0].restarts == 0
