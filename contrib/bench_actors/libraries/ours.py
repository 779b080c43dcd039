"""Ours: one supervisor, children started under it, as the tour in `actors` shows it."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial
from types import TracebackType
from typing import Self

from actors import Ref, Supervisor
from contrib.bench_actors.contract import AsyncCalls, AsyncLibrary

UNLIMITED = (1_000_000_000, 1.0)


class Counter:
    def __init__(self) -> None:
        self.value = 0

    async def add(self, n: int) -> int:
        self.value += n
        return self.value

    async def crash(self) -> None:
        raise ValueError("let it crash")


class Ours(AsyncLibrary[Ref[Counter]]):
    async def __aenter__(self) -> Self:
        self._stack = AsyncExitStack()
        self._supervisor = await self._stack.enter_async_context(Supervisor(intensity=UNLIMITED))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, traceback)

    async def start(self, number: int) -> Ref[Counter]:
        return await self._supervisor.start(Counter, name=f"counter {number}")

    def calls(self, ref: Ref[Counter]) -> AsyncCalls:
        async def restart() -> None:
            ref.tell(Counter.crash)
            await ref.ask(Counter.add, 1)  # waits in the mailbox, which is kept, for the fresh incarnation

        return AsyncCalls(ask=partial(ref.ask, Counter.add, 1), tell=partial(ref.tell, Counter.add, 1), restart=restart)
