from __future__ import annotations

import threading
from functools import partial

import anyio
import anyio.to_thread
import pytest

from actors import ActorCrashed, ActorStopped, AskTimeout, MailboxFull, Ref, Refused, Supervisor

pytestmark = pytest.mark.anyio


class Counter:
    def __init__(self) -> None:
        self.value = 0
        self.gate = anyio.Event()

    async def add(self, n: int = 1) -> int:
        self.value += n
        return self.value

    async def hold(self) -> None:
        await self.gate.wait()

    async def refuse(self) -> None:
        raise Refused("no")

    async def crash(self) -> None:
        raise ValueError("x")


async def test_many_threads_ask_and_tell_and_nothing_is_lost() -> None:
    def work(ref: Ref[Counter]) -> None:
        for _ in range(100):
            ref.from_thread.ask(Counter.add, 1)
            ref.from_thread.tell(Counter.add, 1)

    async with Supervisor() as supervisor:
        ref = await supervisor.start(Counter, name="counter")
        async with anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(anyio.to_thread.run_sync, work, ref)
        assert await ref.ask(Counter.add, 0) == 800


async def test_a_thread_is_told_what_a_task_would_be() -> None:
    counter = Counter()
    async with Supervisor() as supervisor:
        ref = await supervisor.start(lambda: counter, name="counter", mailbox_capacity=1)
        remote = ref.from_thread
        with pytest.raises(Refused, match="no"):
            await anyio.to_thread.run_sync(remote.ask, Counter.refuse)
        with pytest.raises(ActorCrashed):
            await anyio.to_thread.run_sync(remote.ask, Counter.crash)
        with pytest.raises(AskTimeout) as caught:
            await anyio.to_thread.run_sync(partial(remote.ask, Counter.hold, timeout=0.01))
        assert caught.value.was_started
        with pytest.raises(AskTimeout) as caught:
            await anyio.to_thread.run_sync(partial(remote.ask, Counter.add, 1, timeout=0.01))
        assert not caught.value.was_started
        ref.tell(Counter.add, 1)
        with pytest.raises(MailboxFull):
            await anyio.to_thread.run_sync(remote.tell, Counter.add, 1)
        counter.gate.set()
        assert await ref.ask(Counter.add) == 2
        await ref.stop()
        with pytest.raises(ActorStopped):
            await anyio.to_thread.run_sync(remote.ask, Counter.add)


async def test_in_the_loops_own_thread_it_is_refused() -> None:
    async with Supervisor() as supervisor:
        ref = await supervisor.start(Counter, name="counter")
        with pytest.raises(RuntimeError, match="other threads than the event loop's"):
            ref.from_thread.ask(Counter.add)


def test_when_the_loop_is_gone_the_actor_has_stopped(anyio_backend: tuple[str, dict[str, object]]) -> None:
    refs: list[Ref[Counter]] = []

    async def main() -> None:
        async with Supervisor() as supervisor:
            refs.append(await supervisor.start(Counter, name="counter"))

    thread = threading.Thread(
        target=partial(anyio.run, main, backend=anyio_backend[0], backend_options=anyio_backend[1])
    )
    thread.start()
    thread.join(30)
    with pytest.raises(ActorStopped):
        refs[0].from_thread.ask(Counter.add)
