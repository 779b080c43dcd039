from __future__ import annotations

import anyio
import pytest
from anyio import wait_all_tasks_blocked

from actors import ActorCrashed, AskTimeout, Ref, Refused
from actors.testing import Call, Unscripted, open_probe

pytestmark = pytest.mark.anyio


class Mailer:
    async def send(self, text: str, *, urgent: bool = False) -> str:
        raise NotImplementedError

    async def flush(self) -> int:
        raise NotImplementedError


async def sign_up(mailer: Ref[Mailer]) -> str:
    return await mailer.ask(Mailer.send, "welcome", urgent=True)


async def test_a_probe_records_and_replies_as_it_is_told() -> None:
    async with open_probe(Mailer) as mailer:
        mailer.reply(Mailer.send, "first", "and then")
        assert [await sign_up(mailer.ref) for _ in range(3)] == ["first", "and then", "and then"]
        assert mailer.calls == [Call("send", ("welcome",), {"urgent": True})] * 3
        assert mailer.ref.name == "Mailer"


async def test_what_is_not_scripted_is_refused_and_recorded() -> None:
    async with open_probe(Mailer) as mailer:
        with pytest.raises(Unscripted, match="no reply to 'flush' is scripted"):
            await mailer.ref.ask(Mailer.flush)
        mailer.ref.tell(Mailer.flush)
        assert await mailer.wait_call(Mailer.flush, count=2) == Call("flush")


async def test_a_probe_refuses_crashes_and_hangs_like_an_actor() -> None:
    async with open_probe(Mailer) as mailer:
        mailer.fail(Mailer.flush, Refused("no"))
        with pytest.raises(Refused, match="no"):
            await mailer.ref.ask(Mailer.flush)
        mailer.fail(Mailer.flush, ValueError("broken"))
        for _ in range(10):  # it is restarted as often as it takes
            with pytest.raises(ActorCrashed):
                await mailer.ref.ask(Mailer.flush)
        mailer.hang(Mailer.flush)
        with pytest.raises(AskTimeout):
            await mailer.ref.ask(Mailer.flush, timeout=0.01)


async def test_a_call_can_be_waited_for() -> None:
    async with open_probe(Mailer) as mailer, anyio.create_task_group() as group:
        seen: list[Call] = []

        async def wait() -> None:
            seen.append(await mailer.wait_call(Mailer.send))

        group.start_soon(wait)
        await wait_all_tasks_blocked()
        assert not seen
        await mailer.ref.send(Mailer.send, "hello")
        await wait_all_tasks_blocked()
        assert seen == [Call("send", ("hello",))]
        await mailer.ref.cancel()
