from __future__ import annotations

from contextvars import ContextVar

import anyio
import anyio.lowlevel
import pytest

from actors import ActorCrashed, AskCycle, Deferred, Ref, Supervisor

pytestmark = pytest.mark.anyio

REQUEST: ContextVar[str] = ContextVar("request", default="none")


class Seer:
    def __init__(self) -> None:
        self.seen: list[str] = []

    async def see(self) -> str:
        await anyio.lowlevel.checkpoint()
        with anyio.move_on_after(10):
            await anyio.lowlevel.checkpoint()
        self.seen.append(REQUEST.get())
        REQUEST.set("changed by the handler")
        return self.seen[-1]

    async def give_up(self) -> str:
        with anyio.move_on_after(0):
            await anyio.sleep_forever()
        return REQUEST.get()

    async def crash(self) -> None:
        await anyio.lowlevel.checkpoint()
        raise ValueError(REQUEST.get())

    def see_and_answer_later(self) -> Deferred[str]:
        answer: Deferred[str] = Deferred()
        answer.resolve(REQUEST.get())
        return answer

    async def ask_itself(self, ref: Ref[Seer]) -> str:
        return await ref.ask(Seer.see)


async def test_with_the_callers_context_a_handler_sees_the_askers_variables_and_leaks_nothing_back() -> None:
    async with Supervisor() as supervisor:
        ref = await supervisor.start(Seer, name="seer", context="caller")
        for text in ("a", "b"):
            REQUEST.set(text)
            assert await ref.ask(Seer.see) == text
            assert await ref.ask(Seer.give_up) == text
            assert await ref.ask(Seer.see_and_answer_later) == text
            assert REQUEST.get() == text
        with pytest.raises(ActorCrashed) as caught:
            await ref.ask(Seer.crash)
        assert str(caught.value.__cause__) == "b"


async def test_with_its_own_context_a_handler_sees_nothing_of_the_asker() -> None:
    async with Supervisor() as supervisor:
        ref = await supervisor.start(Seer, name="seer")
        REQUEST.set("asker")
        assert await ref.ask(Seer.see) == "none"


async def test_every_incarnation_sees_the_variables_of_whoever_entered_its_supervisor() -> None:
    REQUEST.set("host")
    async with Supervisor() as supervisor:
        REQUEST.set("starter")
        ref = await supervisor.start(Seer, name="seer")
        assert await ref.ask(Seer.see) == "host"
        with pytest.raises(ActorCrashed):
            await ref.ask(Seer.crash)
        assert await ref.ask(Seer.see) == "host"


async def test_a_circle_is_seen_in_the_callers_context_too() -> None:
    async with Supervisor() as supervisor:
        ref = await supervisor.start(Seer, name="seer", context="caller")
        with pytest.raises(ActorCrashed) as caught:
            await ref.ask(Seer.ask_itself, ref)
        assert isinstance(caught.value.__cause__, AskCycle)


async def test_an_actor_that_is_cancelled_while_it_runs_in_a_callers_context_ends() -> None:
    class Hanging:
        async def hang(self) -> None:
            await anyio.sleep_forever()

    async with Supervisor() as supervisor, anyio.create_task_group() as group:
        ref = await supervisor.start(Hanging, name="hanging", context="caller", stop_timeout_s=0.001)
        group.start_soon(ref.ask, Hanging.hang)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
