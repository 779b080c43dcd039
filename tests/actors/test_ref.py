from __future__ import annotations

import weakref

import anyio
import anyio.lowlevel
import pytest
from anyio import wait_all_tasks_blocked
from trio.testing import MockClock

from actors import (
    ActorCrashed,
    ActorStopped,
    AskCycle,
    AskTimeout,
    Event,
    MailboxFull,
    Ref,
    Refused,
    RefusedTell,
    Supervisor,
)

pytestmark = pytest.mark.anyio


class Recorder:
    """Keeps what it was told, in order, and can be held up."""

    def __init__(self) -> None:
        self.notes: list[int] = []
        self.gate = anyio.Event()

    async def note(self, n: int) -> int:
        self.notes.append(n)
        return n

    async def hold(self) -> None:
        await self.gate.wait()

    async def refuse(self) -> None:
        raise Refused("no such thing")

    async def crash(self) -> None:
        raise ValueError("let it crash")

    async def seen(self) -> tuple[int, ...]:
        return tuple(self.notes)


async def start(supervisor: Supervisor, mailbox_capacity: int = 100) -> tuple[Ref[Recorder], Recorder]:
    recorder = Recorder()
    return await supervisor.start(lambda: recorder, name="recorder", mailbox_capacity=mailbox_capacity), recorder


async def test_ask_returns_the_reply() -> None:
    async with Supervisor() as supervisor:
        ref, _ = await start(supervisor)
        assert await ref.ask(Recorder.note, 7) == 7
        assert await ref.ask(Recorder.note, n=8) == 8


async def test_messages_of_one_sender_are_handled_in_order_whatever_verb_sent_them() -> None:
    async with Supervisor() as supervisor:
        ref, recorder = await start(supervisor, mailbox_capacity=2)
        ref.tell(Recorder.note, 0)
        await ref.send(Recorder.note, 1)
        await ref.send(Recorder.note, 2)
        await ref.ask(Recorder.note, 3)
        assert recorder.notes == [0, 1, 2, 3]


async def test_a_refusal_reaches_the_asker_and_the_actor_lives_on() -> None:
    async with Supervisor(intensity=(0, 1.0)) as supervisor:
        ref, _ = await start(supervisor)
        with pytest.raises(Refused, match="no such thing"):
            await ref.ask(Recorder.refuse)
        assert await ref.ask(Recorder.note, 1) == 1


class NotFound(Refused, KeyError):
    """An answer that callers may catch as what it is elsewhere."""


class Shelf:
    async def get(self, key: str) -> str:
        books: dict[str, str] = {}
        if key == "known to be missing":
            raise NotFound(key)
        return books[key]


async def test_a_foreign_exception_is_an_answer_only_if_it_is_a_refusal_too() -> None:
    async with Supervisor(intensity=(1, 5.0)) as supervisor:
        ref = await supervisor.start(Shelf, name="shelf")
        with pytest.raises(KeyError):
            await ref.ask(Shelf.get, "known to be missing")
        assert supervisor.snapshot().children[0].restarts == 0
        with pytest.raises(ActorCrashed) as caught:
            await ref.ask(Shelf.get, "a slip")
        assert type(caught.value.__cause__) is KeyError


async def test_a_refused_tell_is_reported_as_an_event() -> None:
    events: list[Event] = []
    async with Supervisor(on_event=events.append) as supervisor:
        ref, _ = await start(supervisor)
        ref.tell(Recorder.refuse)
        await ref.ask(Recorder.seen)
    assert [event.method for event in events if isinstance(event, RefusedTell)] == ["refuse"]


async def test_a_crash_answers_the_asker_at_once_with_the_cause() -> None:
    async with Supervisor() as supervisor:
        ref, _ = await start(supervisor)
        with pytest.raises(ActorCrashed, match=r"recorder\.crash crashed") as caught:
            await ref.ask(Recorder.crash)
        assert isinstance(caught.value.__cause__, ValueError)


async def test_what_is_queued_behind_a_crash_is_handled_by_the_next_incarnation() -> None:
    async with Supervisor() as supervisor:
        ref, recorder = await start(supervisor)
        ref.tell(Recorder.hold)
        await wait_all_tasks_blocked()
        ref.tell(Recorder.crash)
        ref.tell(Recorder.note, 1)
        recorder.gate.set()
        assert await ref.ask(Recorder.seen) == (1,)


async def test_a_tell_to_a_full_mailbox_fails_and_is_not_handled() -> None:
    async with Supervisor() as supervisor:
        ref, recorder = await start(supervisor, mailbox_capacity=1)
        ref.tell(Recorder.hold)
        await wait_all_tasks_blocked()
        ref.tell(Recorder.note, 1)
        with pytest.raises(MailboxFull, match=r"mailbox of 'recorder' is full \(1 messages\)"):
            ref.tell(Recorder.note, 2)
        recorder.gate.set()
        assert await ref.ask(Recorder.seen) == (1,)


async def test_a_tell_does_not_overtake_a_sender_that_waits_for_room() -> None:
    async with Supervisor() as supervisor, anyio.create_task_group() as group:
        ref, recorder = await start(supervisor, mailbox_capacity=1)
        ref.tell(Recorder.hold)
        await wait_all_tasks_blocked()
        ref.tell(Recorder.note, 1)
        group.start_soon(ref.send, Recorder.note, 2)
        await wait_all_tasks_blocked()
        with pytest.raises(MailboxFull):
            ref.tell(Recorder.note, 3)
        recorder.gate.set()
        await wait_all_tasks_blocked()
        assert await ref.ask(Recorder.seen) == (1, 2)


async def test_a_timed_out_ask_that_was_not_begun_is_never_handled() -> None:
    async with Supervisor() as supervisor:
        ref, recorder = await start(supervisor)
        ref.tell(Recorder.hold)
        await wait_all_tasks_blocked()
        with pytest.raises(AskTimeout, match="had not begun") as caught:
            await ref.ask(Recorder.note, 1, timeout=0)
        assert not caught.value.was_started
        recorder.gate.set()
        assert await ref.ask(Recorder.seen) == ()


@pytest.mark.parametrize(
    "anyio_backend", [("trio", {"clock": MockClock(autojump_threshold=0)})], ids=["virtual time"]
)  # on a busy machine a millisecond passes before anything has begun
async def test_a_timed_out_ask_that_was_begun_says_so_and_runs_on() -> None:
    async with Supervisor() as supervisor:
        ref, recorder = await start(supervisor)
        ref.tell(Recorder.note, 1)
        with pytest.raises(AskTimeout, match="still working on it") as caught:
            await ref.ask(Recorder.hold, timeout=0.001)
        assert caught.value.was_started
        recorder.gate.set()
        assert await ref.ask(Recorder.seen) == (1,)


async def test_a_cancelled_ask_that_waits_for_room_is_never_handled() -> None:
    async with Supervisor() as supervisor, anyio.create_task_group() as group:
        ref, recorder = await start(supervisor, mailbox_capacity=1)
        ref.tell(Recorder.hold)
        await wait_all_tasks_blocked()
        ref.tell(Recorder.note, 1)
        group.start_soon(ref.ask, Recorder.note, 2)
        group.start_soon(ref.send, Recorder.note, 3)
        await wait_all_tasks_blocked()
        assert ref.statistics().waiting == 2
        group.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            await wait_all_tasks_blocked()
            recorder.gate.set()
            assert await ref.ask(Recorder.seen) == (1,)
            assert ref.statistics().waiting == 0


async def test_abandoned_asks_do_not_use_up_room_nor_pile_up() -> None:
    async with Supervisor() as supervisor:
        ref, recorder = await start(supervisor, mailbox_capacity=2)
        ref.tell(Recorder.hold)
        await wait_all_tasks_blocked()
        for n in range(1000):
            with pytest.raises(AskTimeout):
                await ref.ask(Recorder.note, n, timeout=0)
        assert ref.statistics().queued == 0
        assert len(ref._cell.mailbox._queue) <= 130  # the bound on dead entries, with some slack
        ref.tell(Recorder.note, -1)
        recorder.gate.set()
        assert await ref.ask(Recorder.seen) == (-1,)


class Node:
    def __init__(self) -> None:
        self.next: Ref[Node] | None = None

    async def link(self, other: Ref[Node]) -> None:
        self.next = other

    async def hop(self) -> str:
        if self.next is None:
            return "end"
        return await self.next.ask(Node.hop)

    async def hop_and_recover(self) -> str:
        assert self.next is not None
        try:
            return await self.next.ask(Node.hop)
        except AskCycle as cycle:
            return str(cycle)

    async def hop_from_a_helper(self) -> str:
        assert self.next is not None
        answers: list[str] = []

        async def help_out(ref: Ref[Node]) -> None:
            try:
                answers.append(await ref.ask(Node.hop, timeout=0.01))
            except AskTimeout:
                answers.append("timed out")

        async with anyio.create_task_group() as group:
            group.start_soon(help_out, self.next)
        return answers[0]


async def test_an_actor_that_asks_itself_is_told_at_once() -> None:
    async with Supervisor() as supervisor:
        a = await supervisor.start(Node, name="a")
        await a.ask(Node.link, a)
        assert await a.ask(Node.hop_and_recover) == "ask would never return: a.hop_and_recover -> a.hop"


async def test_a_circle_of_asks_is_told_at_once_with_its_path() -> None:
    async with Supervisor(intensity=(10, 5.0)) as supervisor:
        a, b, c = [await supervisor.start(Node, name=name) for name in "abc"]
        await a.ask(Node.link, b)
        await b.ask(Node.link, c)
        await c.ask(Node.link, a)
        with pytest.raises(ActorCrashed) as caught:
            await a.ask(Node.hop)
        cause: BaseException = caught.value
        while cause.__cause__ is not None:
            cause = cause.__cause__
        assert isinstance(cause, AskCycle)
        assert str(cause) == "ask would never return: c.hop -> a.hop -> b.hop -> c.hop"


async def test_a_chain_of_asks_without_a_circle_is_answered() -> None:
    async with Supervisor() as supervisor:
        a, b, c = [await supervisor.start(Node, name=name) for name in "abc"]
        await a.ask(Node.link, b)
        await b.ask(Node.link, c)
        assert await a.ask(Node.hop) == "end"


async def test_a_helper_task_of_a_handler_may_ask_in_a_circle_and_falls_to_its_deadline() -> None:
    async with Supervisor() as supervisor:
        a = await supervisor.start(Node, name="a")
        await a.ask(Node.link, a)
        assert await a.ask(Node.hop_from_a_helper) == "timed out"


async def test_ask_send_and_tell_to_a_stopped_actor_fail() -> None:
    async with Supervisor() as supervisor:
        ref, _ = await start(supervisor)
        await ref.stop()
        with pytest.raises(ActorStopped):
            await ref.ask(Recorder.seen)
        with pytest.raises(ActorStopped):
            await ref.send(Recorder.note, 1)
        with pytest.raises(ActorStopped, match="actor 'recorder' has stopped"):
            ref.tell(Recorder.note, 1)


async def test_a_busy_actor_lets_others_run() -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await anyio.lowlevel.checkpoint()
            ticks += 1

    async with Supervisor() as supervisor, anyio.create_task_group() as group:
        ref, _ = await start(supervisor, mailbox_capacity=10_000)
        group.start_soon(tick)
        for n in range(6400):
            ref.tell(Recorder.note, n)
        await ref.ask(Recorder.seen)
        group.cancel_scope.cancel()
    assert ticks >= 90  # about one for every 64 messages


class Parcel: ...


async def test_an_idle_actor_holds_on_to_nothing_that_it_was_sent() -> None:
    class Porter:
        async def carry(self, parcel: Parcel) -> Parcel:
            return parcel

    async with Supervisor() as supervisor:
        ref = await supervisor.start(Porter, name="porter")
        parcel = Parcel()
        is_there = weakref.ref(parcel)
        ref.tell(Porter.carry, parcel)
        assert await ref.ask(Porter.carry, parcel) is parcel
        await wait_all_tasks_blocked()
        del parcel
        assert is_there() is None


async def test_a_ref_shows_its_name() -> None:
    async with Supervisor() as supervisor:
        ref, _ = await start(supervisor)
        assert repr(ref) == "<Ref 'recorder'>"


async def test_a_sender_whose_message_was_accepted_is_not_told_of_its_crash() -> None:
    sent: list[str] = []
    async with Supervisor() as supervisor, anyio.create_task_group() as group:
        ref, recorder = await start(supervisor, mailbox_capacity=1)
        ref.tell(Recorder.hold)
        await wait_all_tasks_blocked()
        ref.tell(Recorder.note, 1)

        async def send() -> None:
            await ref.send(Recorder.crash)
            sent.append("accepted")

        group.start_soon(send)
        await wait_all_tasks_blocked()
        recorder.gate.set()  # the crash comes before the sender, which has been woken, runs
        await wait_all_tasks_blocked()
    assert sent == ["accepted"]


class Pusher:
    """Its mailbox has room for one message."""

    async def fill_and_send(self, to: Ref[Pusher]) -> str:
        to.tell(Pusher.nothing)
        try:
            await to.send(Pusher.nothing)
        except AskCycle as cycle:
            return str(cycle)
        return "sent"

    async def have_it_filled(self, by: Ref[Pusher], itself: Ref[Pusher]) -> str:
        return await by.ask(Pusher.fill_and_send, itself)

    async def nothing(self) -> None: ...


async def test_a_circle_through_a_send_that_waits_for_room_is_told_at_once() -> None:
    async with Supervisor() as supervisor:
        a, b = [await supervisor.start(Pusher, name=name, mailbox_capacity=1) for name in "ab"]
        assert await a.ask(Pusher.fill_and_send, b) == "sent"
        with anyio.fail_after(1):
            told = await a.ask(Pusher.fill_and_send, a)
            assert told == "ask would never return: a.fill_and_send -> a.nothing"
            told = await a.ask(Pusher.have_it_filled, b, a)
            assert told == "ask would never return: b.fill_and_send -> a.nothing -> b.fill_and_send"
