"""triotp: a generic server is a module with callbacks (this one), started under a dynamic supervisor in a node.

Its fast way: `gen_server.call` and `cast` without a timeout, whose cancel scope would cost more. Its start acknowledges
nothing, so the `init` callback tells that the server is up. Its mailbox goes away in a crash, so whoever asks next tries
again until the new one is there. On Python before 3.13 there is only triotp 0.2, which is held to trio 0.19 by its metadata;
it runs, and a fifth faster, on the trio that the rest uses, which the lock file therefore gives it.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from types import ModuleType, TracebackType
from typing import Self, TypeVar

import trio
from triotp import application, dynamic_supervisor, gen_server, mailbox, node, supervisor

from contrib.bench_actors.contract import AsyncCalls, AsyncLibrary

T = TypeVar("T")

UNLIMITED = supervisor.options(max_restarts=1_000_000_000, max_seconds=1)
POOL = "counters"


async def init(up: trio.Event) -> int:
    up.set()
    return 0


async def handle_call(n: int, caller: object, value: int) -> tuple[object, int]:
    return gen_server.Reply(value + n), value + n


async def handle_cast(n: int | None, value: int) -> tuple[object, int]:
    if n is None:
        raise ValueError("let it crash")
    return gen_server.NoReply(), value + n


async def terminate(reason: BaseException | None, value: int) -> None:
    """Without this callback a crash would be logged."""


class Triotp(AsyncLibrary[str]):
    def run(self, main: Callable[[], Awaitable[T]]) -> T:
        outcome: list[T] = []
        errors: list[Exception] = []

        async def start(_: object) -> None:
            try:
                outcome.append(await main())
            except Exception as error:  # noqa: BLE001 - the node would run it again; it is raised below
                errors.append(error)

        program = ModuleType("program")
        program.__dict__["start"] = start
        node.run([application.app_spec(program, start_arg=None, permanent=False)])
        if errors:
            raise errors[0]
        return outcome[0]

    async def __aenter__(self) -> Self:
        self._stack = AsyncExitStack()
        self._nursery = await self._stack.enter_async_context(trio.open_nursery())
        await self._nursery.start(dynamic_supervisor.start, UNLIMITED, POOL)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._nursery.cancel_scope.cancel()
        await self._stack.__aexit__(kind, error, traceback)

    async def start(self, number: int) -> str:
        name, up = f"counter {number}", trio.Event()
        module = sys.modules[__name__]
        spec = supervisor.child_spec(id=name, task=gen_server.start, args=[module, up, name])
        await dynamic_supervisor.start_child(POOL, spec)
        await up.wait()
        return name

    def calls(self, ref: str) -> AsyncCalls:
        async def restart() -> None:
            await gen_server.cast(ref, None)
            while True:
                try:
                    await gen_server.call(ref, 1)
                    return
                except (mailbox.MailboxDoesNotExist, trio.ClosedResourceError):
                    await trio.lowlevel.checkpoint()

        return AsyncCalls(ask=partial(gen_server.call, ref, 1), send=partial(gen_server.cast, ref, 1), restart=restart)
