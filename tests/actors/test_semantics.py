"""The sentences of SEMANTICS.md that are proved nowhere else, and that each of them is proved somewhere."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path
from random import Random

import anyio
import anyio.lowlevel
import pytest

import actors
from actors import (
    ActorCrashed,
    ActorStopped,
    AskTimeout,
    Event,
    MailboxFull,
    Overflow,
    Ref,
    Refused,
    RefusedTell,
    Supervisor,
    TooManyRestarts,
    Undelivered,
)
from tests.actors.faults import FAULTS

HERE = Path(__file__).parent
PAGE = Path(actors.__file__).parent / "SEMANTICS.md"


def test_every_sentence_names_a_test_that_exists() -> None:
    text = PAGE.read_text()
    functions = {
        node.name
        for path in HERE.rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    sentences = re.findall(r"^(?:- |\*\*)(.+?)(?=^- |^## |^\*\*|\Z)", text, re.MULTILINE | re.DOTALL)
    assert len(sentences) >= 30
    for sentence in sentences:
        named = re.findall(r"`(test_\w+)`", sentence)
        assert named, f"unproved: {sentence}"
        assert set(named) <= functions, f"no such test: {set(named) - functions}"


def test_every_fault_still_applies_and_is_in_the_table() -> None:
    table = (HERE / "README.md").read_text()
    for fault in FAULTS:
        assert (PAGE.parent / fault.path).read_text().count(fault.old) == 1, fault.what
        assert f"| {fault.what} (`{fault.path}`) | `{fault.caught_by}` |" in table


class Worker:
    """Handles messages by their plan, noting what it has begun."""

    def __init__(self, begun: Counter[int], running: list[int]) -> None:
        self.begun = begun
        self.running = running

    async def work(self, number: int, plan: str, steps: int) -> int:
        self.running.append(number)
        assert self.running == [number], "one at a time"
        self.begun[number] += 1
        try:
            for _ in range(steps):
                await anyio.lowlevel.checkpoint()
            if plan == "crash":
                raise ValueError(number)
            if plan == "refuse":
                raise Refused(str(number))
            return number
        finally:
            self.running.remove(number)


class Fates:
    """What became of every message that was accepted."""

    def __init__(self) -> None:
        self.begun: Counter[int] = Counter()
        self.replied: Counter[int] = Counter()
        self.told: Counter[int] = Counter()
        """Answered with an error, and whether work had begun."""
        self.accepted_tells: set[int] = set()
        self.refused_at_the_door: set[int] = set()
        self.cancelled_sends: set[int] = set()
        """Their senders were cancelled, perhaps after the message had been accepted."""
        self.running: list[int] = []


@pytest.mark.anyio
@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("overflow", ["wait", "reject", "drop_new", "drop_oldest"])
async def test_every_accepted_message_has_exactly_one_fate(seed: int, overflow: Overflow) -> None:
    rng, fates, events = Random(seed), Fates(), list[Event]()
    try:
        async with Supervisor(intensity=(rng.choice([3, 1000]), 1000.0), on_event=events.append) as supervisor:
            ref = await supervisor.start(
                lambda: Worker(fates.begun, fates.running),
                name="worker",
                mailbox_capacity=rng.randint(1, 4),
                overflow=overflow,
                stop_timeout_s=rng.choice([0.0, 5.0]),
            )
            async with anyio.create_task_group() as group:
                for number in range(60):
                    group.start_soon(one_message, ref, number, rng, fates)
                    if rng.random() < 0.3:
                        await anyio.lowlevel.checkpoint()
                if rng.random() < 0.3:
                    group.start_soon(ref.stop)
    except TooManyRestarts:
        pass
    undelivered = sum(isinstance(event, Undelivered) for event in events)
    check_asks(fates)
    handled_tells = sum(fates.begun[number] for number in fates.accepted_tells)
    unknown = sum(not fates.begun[number] for number in fates.cancelled_sends)
    assert 0 <= handled_tells + undelivered - len(fates.accepted_tells) <= unknown
    refused_tells = sum(isinstance(event, RefusedTell) for event in events)
    assert refused_tells <= handled_tells


def check_asks(fates: Fates) -> None:
    assert set(fates.begun.values()) <= {1}, "handled twice"
    assert all(count == 1 for count in (*fates.replied.values(), *fates.told.values()))
    assert not fates.replied.keys() & fates.told.keys(), "two fates"
    assert not fates.refused_at_the_door & fates.begun.keys(), "handled what was not accepted"


async def one_message(ref: Ref[Worker], number: int, rng: Random, fates: Fates) -> None:
    plan = rng.choices(["answer", "crash", "refuse"], [8, 1, 2])[0]
    steps = rng.randint(0, 3)
    verb = rng.choice(["ask", "ask with timeout", "tell", "send"])
    try:
        if verb == "ask":
            assert await ref.ask(Worker.work, number, plan, steps) == number
            fates.replied[number] += 1
        elif verb == "ask with timeout":
            assert await ref.ask(Worker.work, number, plan, steps, timeout=rng.choice([0.0, 0.001, 1.0])) == number
            fates.replied[number] += 1
        elif verb == "tell":
            ref.tell(Worker.work, number, plan, steps)
            fates.accepted_tells.add(number)
        else:
            try:
                await ref.send(Worker.work, number, plan, steps)
            except anyio.get_cancelled_exc_class():
                fates.cancelled_sends.add(number)
                raise
            fates.accepted_tells.add(number)
    except Refused:
        fates.told[number] += 1
        assert number in fates.begun
    except ActorCrashed:
        fates.told[number] += 1
        assert number in fates.begun
    except AskTimeout as error:
        fates.told[number] += 1
        assert error.was_started == (number in fates.begun)
    except ActorStopped as error:
        fates.told[number] += 1
        assert error.was_started == (number in fates.begun)
    except MailboxFull:
        fates.told[number] += 1
        fates.refused_at_the_door.add(number)


class Slow:
    def __init__(self) -> None:
        self.inside = 0
        self.most = 0
        self.gate = anyio.Event()

    async def work(self) -> None:
        self.inside += 1
        self.most = max(self.most, self.inside)
        await anyio.lowlevel.checkpoint()
        self.inside -= 1

    async def hold(self) -> None:
        await self.gate.wait()


@pytest.mark.anyio
async def test_an_actor_handles_one_message_at_a_time() -> None:
    slow = Slow()
    async with Supervisor() as supervisor:
        ref = await supervisor.start(lambda: slow, name="slow")
        async with anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(ref.ask, Slow.work)
    assert slow.most == 1


@pytest.mark.anyio
async def test_a_timeout_covers_the_wait_for_room_and_for_the_reply() -> None:
    slow = Slow()
    async with Supervisor() as supervisor:
        ref = await supervisor.start(lambda: slow, name="slow", mailbox_capacity=1)
        with pytest.raises(AskTimeout):  # of the reply
            await ref.ask(Slow.hold, timeout=0.01)
        ref.tell(Slow.work)
        with pytest.raises(AskTimeout):  # of room
            await ref.ask(Slow.work, timeout=0.01)
        slow.gate.set()
