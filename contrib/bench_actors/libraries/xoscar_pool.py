"""xoscar: actors in a pool, here one without sub-processes, in the loop that asks.

Its fast way: the pool in the same process, so that messages go through its in-memory channel and are not serialised. What
`create_actor` returns sends messages (`XoscarPool`). What `actor_ref` returns in the pool's own process sends none: it calls
the method in the caller's task under the actor's lock (`XoscarLocal`). That is faster than any message, and another thing:
no mailbox, and who gives up cancels the handler in the middle. Both are shown.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from types import TracebackType
from typing import ClassVar, Self

import xoscar

from contrib.bench_actors.contract import AsyncCalls, AsyncLibrary, Measure


class Counter(xoscar.Actor):
    def __init__(self) -> None:
        super().__init__()
        self.value = 0

    async def add(self, n: int) -> int:
        self.value += n
        return self.value


class XoscarPool(AsyncLibrary["xoscar.ActorRef"]):
    # A crash is the asker's exception and the actor lives on; `auto_recover` is for the processes of a pool.
    absent: ClassVar[Mapping[Measure, str]] = {Measure.RESTART: "no restart"}

    async def __aenter__(self) -> Self:
        self._stack = AsyncExitStack()
        with socket.socket() as probe:  # the pool listens there, too, for others
            probe.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{probe.getsockname()[1]}"
        self._pool = await xoscar.create_actor_pool(address, n_process=0)
        await self._stack.enter_async_context(self._pool)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, traceback)

    async def start(self, number: int) -> xoscar.ActorRef:
        return await xoscar.create_actor(Counter, address=self._pool.external_address, uid=f"counter {number}")

    def calls(self, ref: xoscar.ActorRef) -> AsyncCalls:
        return AsyncCalls(ask=partial(ref.add, 1), send=partial(ref.add.tell, 1))


class XoscarLocal(XoscarPool):
    absent: ClassVar[Mapping[Measure, str]] = dict.fromkeys(
        (Measure.RESTART, Measure.START, Measure.MEMORY), "as above"
    )

    async def start(self, number: int) -> xoscar.ActorRef:
        ref = await super().start(number)
        return await xoscar.actor_ref(self._pool.external_address, ref.uid)
