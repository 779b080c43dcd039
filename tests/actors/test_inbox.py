"""Actors that are written as a loop."""

from __future__ import annotations

import anyio
import attrs
import pytest
from anyio import wait_all_tasks_blocked

from actors import (
    ActorContext,
    ActorCrashed,
    ActorStopped,
    Channel,
    Deferred,
    Event,
    Inbox,
    MailboxFull,
    Supervisor,
    Undelivered,
)
from actors._dispatch import MESSAGES_PER_TURN_MAX

pytestmark = pytest.mark.anyio


@attrs.frozen
class Add:
    amount: int


@attrs.frozen
class Total:
    answer: Deferred[int]


@attrs.frozen
class Fail:
    error: Exception


@attrs.frozen
class Later:
    answer: Deferred[str]
    word: str


@attrs.frozen
class Release:
    pass


Command = Add | Total | Fail | Later | Release


class Sum:
    def __init__(self, journal: list[str]) -> None:
        self.journal = journal

    async def run(self, inbox: Inbox[Command]) -> None:
        total = 0
        stash: list[Later] = []
        async for message in inbox:
            match message:
                case Add(amount):
                    total += amount
                case Total(answer):
                    answer.resolve(total)
                case Fail(error):
                    raise error
                case Later():
                    stash.append(message)
                case Release():
                    for later in stash:
                        later.answer.resolve(later.word)
        self.journal.append(f"ended with {total}")


@pytest.fixture
def journal() -> list[str]:
    return []


async def start(supervisor: Supervisor, journal: list[str]) -> Channel[Command]:
    return await supervisor.start_loop(lambda: Sum(journal), name="sum")


async def test_a_loop_receives_in_order_and_answers(journal: list[str]) -> None:
    async with Supervisor() as supervisor:
        channel = await start(supervisor, journal)
        await channel.send(Add(2))
        channel.tell(Add(3))
        assert await channel.ask(Total) == 5
        assert (channel.name, repr(channel)) == ("sum", "<Channel 'sum'>")
    assert journal == ["ended with 5"]


async def test_a_stop_lets_a_loop_finish_its_queue(journal: list[str]) -> None:
    async with Supervisor() as supervisor:
        channel = await start(supervisor, journal)
        for _ in range(200):
            channel.tell(Add(1))
    assert journal == ["ended with 200"]


async def test_a_loop_may_keep_what_it_is_asked_and_answer_later(journal: list[str]) -> None:
    async with Supervisor() as supervisor, anyio.create_task_group() as group:
        channel = await start(supervisor, journal)
        answers: list[str] = []

        async def ask() -> None:
            answers.append(await channel.ask(Later, "now"))

        group.start_soon(ask)
        await wait_all_tasks_blocked()
        assert not answers
        await channel.send(Release())
        await wait_all_tasks_blocked()
        assert answers == ["now"]


async def test_a_crash_of_a_loop_fails_what_it_owes_and_keeps_its_queue(journal: list[str]) -> None:
    async with Supervisor() as supervisor, anyio.create_task_group() as group:
        channel = await start(supervisor, journal)

        async def ask() -> None:
            with pytest.raises(ActorCrashed, match=r"sum\.Later crashed") as caught:
                await channel.ask(Later, "never")
            assert isinstance(caught.value.__cause__, ValueError)

        group.start_soon(ask)
        await wait_all_tasks_blocked()
        channel.tell(Fail(ValueError("broken")))
        channel.tell(Add(7))
        assert await channel.ask(Total) == 7
        assert supervisor.snapshot().children[0].restarts == 1


async def test_a_receive_that_is_cancelled_loses_nothing() -> None:
    seen: list[int] = []

    class Impatient:
        async def run(self, inbox: Inbox[Add]) -> None:
            while True:
                with anyio.CancelScope() as scope:
                    seen.append((await inbox.receive()).amount)
                    scope.cancel()  # whatever the next one waits for, a message or its turn
                    seen.append((await inbox.receive()).amount)

    async with Supervisor() as supervisor:
        channel = await supervisor.start_loop(Impatient, name="impatient")
        for number in range(2 * MESSAGES_PER_TURN_MAX):
            channel.tell(Add(number))
        await channel.stop()
    assert seen == list(range(2 * MESSAGES_PER_TURN_MAX))


async def test_a_full_inbox_does_as_its_policy_says(journal: list[str]) -> None:
    events: list[Event] = []

    class Deaf:
        async def run(self, inbox: Inbox[Add]) -> None:
            await inbox.receive()
            await anyio.sleep_forever()

    async with Supervisor(on_event=events.append) as supervisor:
        channel = await supervisor.start_loop(
            Deaf, name="deaf", mailbox_capacity=1, overflow="reject", stop_timeout_s=0.01
        )
        channel.tell(Add(0))
        await wait_all_tasks_blocked()
        channel.tell(Add(1))
        with pytest.raises(MailboxFull, match="mailbox of 'deaf' is full"):
            channel.tell(Add(2))
    assert [event.method for event in events if isinstance(event, Undelivered)] == ["Add"]
    with pytest.raises(ActorStopped):
        channel.tell(Add(3))


async def test_a_loop_has_timers_and_helpers() -> None:
    seen: list[int] = []

    class Ticker:
        async def run(self, inbox: Inbox[Add]) -> None:
            with pytest.raises(RuntimeError, match="use its inbox"):
                ActorContext.of(self)
            inbox.spawn(self._forever)
            inbox.after(0.001, Add(1))
            inbox.every(0.002, Add(2), key="every")
            async for message in inbox:
                seen.append(message.amount)
                if len(seen) == 3:
                    inbox.cancel_timer("every")
                    return

        async def _forever(self) -> None:
            await anyio.sleep_forever()

    async with Supervisor(intensity=(0, 1.0)) as supervisor:
        from actors import Restart

        channel = await supervisor.start_loop(Ticker, name="ticker", restart=Restart.TRANSIENT)
        assert (await channel.watch()).error is None
    assert seen == [1, 2, 2]
