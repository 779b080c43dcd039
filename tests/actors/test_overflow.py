"""What becomes of a message for which there is no room, for every policy and every verb."""

from __future__ import annotations

import anyio
import pytest
from anyio import wait_all_tasks_blocked
from anyio.abc import TaskGroup

from actors import Event, MailboxFull, Overflow, Ref, Supervisor, Undelivered

pytestmark = pytest.mark.anyio


class Gated:
    """Busy until the gate opens."""

    def __init__(self) -> None:
        self.gate = anyio.Event()
        self.notes: list[str] = []

    async def hold(self) -> None:
        await self.gate.wait()

    async def note(self, text: str) -> str:
        self.notes.append(text)
        return text


class Bench:
    """A busy actor with one message, `first`, in a mailbox of one; and what happened to those who tried after it."""

    def __init__(self, ref: Ref[Gated], actor: Gated) -> None:
        self.ref = ref
        self.actor = actor
        self.told: dict[str, str] = {}

    async def ask(self, text: str) -> None:
        try:
            self.told[text] = await self.ref.ask(Gated.note, text)
        except MailboxFull:
            self.told[text] = "full"

    async def send(self, text: str) -> None:
        try:
            await self.ref.send(Gated.note, text)
            self.told[text] = "sent"
        except MailboxFull:
            self.told[text] = "full"

    async def tell(self, text: str) -> None:
        try:
            self.ref.tell(Gated.note, text)
            self.told[text] = "told"
        except MailboxFull:
            self.told[text] = "full"


async def make(supervisor: Supervisor, group: TaskGroup, overflow: Overflow, first: str) -> Bench:
    actor = Gated()
    ref = await supervisor.start(lambda: actor, name="gated", mailbox_capacity=1, overflow=overflow)
    bench = Bench(ref, actor)
    ref.tell(Gated.hold)
    await wait_all_tasks_blocked()
    group.start_soon(getattr(bench, first), "first")
    await wait_all_tasks_blocked()
    return bench


@pytest.mark.parametrize(
    ("overflow", "verb", "handled", "told", "undelivered"),
    [
        ("wait", "ask", ["first", "second"], {"first": "told", "second": "second"}, 0),
        ("wait", "send", ["first", "second"], {"first": "told", "second": "sent"}, 0),
        ("wait", "tell", ["first"], {"first": "told", "second": "full"}, 0),
        ("reject", "ask", ["first"], {"first": "told", "second": "full"}, 0),
        ("reject", "send", ["first"], {"first": "told", "second": "full"}, 0),
        ("reject", "tell", ["first"], {"first": "told", "second": "full"}, 0),
        ("drop_new", "ask", ["first"], {"first": "told", "second": "full"}, 0),
        ("drop_new", "send", ["first"], {"first": "told", "second": "sent"}, 1),
        ("drop_new", "tell", ["first"], {"first": "told", "second": "told"}, 1),
        ("drop_oldest", "ask", ["second"], {"first": "told", "second": "second"}, 1),
        ("drop_oldest", "send", ["second"], {"first": "told", "second": "sent"}, 1),
        ("drop_oldest", "tell", ["second"], {"first": "told", "second": "told"}, 1),
    ],
)
async def test_every_policy_with_every_verb(
    overflow: Overflow, verb: str, handled: list[str], told: dict[str, str], undelivered: int
) -> None:
    events: list[Event] = []
    async with Supervisor(on_event=events.append) as supervisor, anyio.create_task_group() as group:
        bench = await make(supervisor, group, overflow, first="tell")
        group.start_soon(getattr(bench, verb), "second")
        await wait_all_tasks_blocked()
        bench.actor.gate.set()
        await wait_all_tasks_blocked()
        assert bench.actor.notes == handled
        assert bench.told == told
    reasons = [event.reason for event in events if isinstance(event, Undelivered)]
    assert [type(reason) for reason in reasons] == [MailboxFull] * undelivered


@pytest.mark.parametrize(
    ("first", "told", "undelivered"), [("ask", "full", 0), ("send", "sent", 1), ("tell", "told", 1)]
)
async def test_the_oldest_that_is_dropped_is_answered_or_reported(first: str, told: str, undelivered: int) -> None:
    events: list[Event] = []
    async with Supervisor(on_event=events.append) as supervisor, anyio.create_task_group() as group:
        bench = await make(supervisor, group, "drop_oldest", first=first)
        bench.ref.tell(Gated.note, "second")
        bench.actor.gate.set()
        await wait_all_tasks_blocked()
        assert bench.told == {"first": told}
    assert bench.actor.notes == ["second"]
    assert sum(isinstance(event, Undelivered) for event in events) == undelivered


async def test_an_abandoned_ask_makes_room_for_the_first_in_the_line() -> None:
    async with Supervisor() as supervisor, anyio.create_task_group() as group:
        bench = await make(supervisor, group, "wait", first="tell")
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as impatient:
                impatient.start_soon(bench.ask, "second")
                await wait_all_tasks_blocked()
                group.start_soon(bench.send, "third")
                await wait_all_tasks_blocked()
                scope.cancel()
        assert "third" not in bench.told
        bench.actor.gate.set()
        await wait_all_tasks_blocked()
        assert bench.actor.notes == ["first", "third"]
        assert bench.ref.statistics().queued == 0
