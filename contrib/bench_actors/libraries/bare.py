"""What a loop itself offers, without any library: the least that a round trip to another task can cost.

Its fast way: an unbounded `asyncio.Queue` put to without waiting and a `Future` for the reply; on trio a memory channel with
room, sent to without waiting, and an `Event`. Waiting variants cost a checkpoint more. There is no supervision, no bound on
asyncio, and an asker would wait for ever if the task died.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from types import TracebackType
from typing import ClassVar, Self

import trio

from contrib.bench_actors.contract import AsyncCalls, AsyncLibrary, Measure

ABSENT = {Measure.RESTART: "no restart"}


class AsyncioTask:
    """A queue of numbers with the future that waits for the sum, or None where nobody does."""

    def __init__(self) -> None:
        self.value = 0
        self.queue: asyncio.Queue[tuple[int, asyncio.Future[int] | None]] = asyncio.Queue()

    async def serve(self, up: asyncio.Event) -> None:
        up.set()
        del up  # it would count as the idle task's memory
        while True:
            n, reply = await self.queue.get()
            self.value += n
            if reply is not None:
                reply.set_result(self.value)

    async def ask(self, n: int) -> int:
        reply: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.queue.put_nowait((n, reply))
        return await reply


class BareAsyncio(AsyncLibrary[AsyncioTask]):
    absent: ClassVar[Mapping[Measure, str]] = ABSENT

    async def __aenter__(self) -> Self:
        self._tasks: list[asyncio.Task[None]] = []
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def start(self, number: int) -> AsyncioTask:
        actor, up = AsyncioTask(), asyncio.Event()
        self._tasks.append(asyncio.create_task(actor.serve(up)))
        await up.wait()
        return actor

    def calls(self, ref: AsyncioTask) -> AsyncCalls:
        return AsyncCalls(ask=partial(ref.ask, 1), tell=partial(ref.queue.put_nowait, (1, None)))


class Reply:
    __slots__ = ("come", "value")

    def __init__(self) -> None:
        self.come = trio.Event()
        self.value = 0


class TrioTask:
    """The same with trio's parts; its memory channel never fills up."""

    def __init__(self) -> None:
        self.value = 0
        self.send_channel, self.receive_channel = trio.open_memory_channel[tuple[int, Reply | None]](math.inf)

    async def serve(self, *, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        del task_status
        async for n, reply in self.receive_channel:
            self.value += n
            if reply is not None:
                reply.value = self.value
                reply.come.set()

    async def ask(self, n: int) -> int:
        reply = Reply()
        self.send_channel.send_nowait((n, reply))
        await reply.come.wait()
        return reply.value


class BareTrio(AsyncLibrary[TrioTask]):
    absent: ClassVar[Mapping[Measure, str]] = ABSENT

    async def __aenter__(self) -> Self:
        self._stack = AsyncExitStack()
        self._nursery = await self._stack.enter_async_context(trio.open_nursery())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._nursery.cancel_scope.cancel()
        await self._stack.__aexit__(kind, error, traceback)

    async def start(self, number: int) -> TrioTask:
        actor = TrioTask()
        await self._nursery.start(actor.serve)
        return actor

    def calls(self, ref: TrioTask) -> AsyncCalls:
        return AsyncCalls(ask=partial(ref.ask, 1), tell=partial(ref.send_channel.send_nowait, (1, None)))
