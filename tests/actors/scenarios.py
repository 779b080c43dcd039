"""Small worlds for the simulation: each is one coroutine over a generator of random numbers, on trio in virtual time.

What must always hold is checked by `Watch`; a scenario adds what is true of it alone. All end within `bounded`.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from functools import partial
from random import Random
from typing import Any, Literal, Self

import anyio
import attrs

from actors import (
    ActorContext,
    ActorCrashed,
    ActorError,
    ActorStopped,
    AskTimeout,
    Backoff,
    Channel,
    Deferred,
    Inbox,
    MailboxFull,
    Overflow,
    Pool,
    Ref,
    Refused,
    Restart,
    Strategy,
    Undelivered,
)
from actors.testing import crash
from tests.actors.fates import Fates, Numbered
from tests.actors.invariants import Watch, Watched, bounded, is_over
from tests.actors.linearizability import Call, is_linearizable

POLICIES: tuple[Overflow, ...] = ("wait", "reject", "drop_new", "drop_oldest")
GROUPS: tuple[Strategy, ...] = ("rest_for_one", "one_for_all")


class Teller(Watch):
    """Notes in `fates` what has been begun, before any chaos."""

    def __init__(self, rng: Random, fates: Fates) -> None:
        super().__init__("one_for_one", rng, crash_rate=rng.choice([0.0, 0.1]), delay_rate=0.5)
        self.fates = fates

    def note(self, event: Any) -> None:
        self.fates.note(event)
        super().note(event)

    async def before_handle(self, actor: str, method: str) -> None:
        self.fates.begun.append(method)
        await super().before_handle(actor, method)


class Answers(Watched, Numbered):
    """Any message: a little work, and sometimes a refusal or a crash."""

    def __init__(self, watch: Watch) -> None:
        Watched.__init__(self, watch)
        Numbered.__init__(self, self.handle)

    async def handle(self, name: str) -> str:
        await self.work(self.rng.choice([0.0, 0.05, 0.2]))
        if self.rng.random() < 0.1:
            raise self.rng.choice([Refused, ValueError])(name)
        return name


async def send_many(ref: Ref[Numbered], count: int, rng: Random, fates: Fates) -> None:
    """By every verb, with and without deadlines, some of them cancelled. Returns when every sender knows."""
    async with anyio.create_task_group() as group:
        scopes: list[anyio.CancelScope] = []
        for number in range(count):
            verb, timeout_s = rng.choice(["ask", "send", "tell"]), rng.choice([None, 0.0, 0.1, 0.5])
            scopes.append(anyio.CancelScope())
            group.start_soon(fates.send, ref, f"m{number}", verb, timeout_s, scopes[-1])
            if rng.random() < 0.3:
                await anyio.sleep(rng.uniform(0, 0.2))
            if rng.random() < 0.2:
                rng.choice(scopes).cancel()


async def impatient_askers(rng: Random) -> None:
    """Askers time out, are cancelled and crash their actor, whatever its mailbox does when it is full."""
    async with bounded():
        fates = Fates()
        watch = Teller(rng, fates)
        async with watch.supervise():
            ref = await watch.start(
                partial(Answers, watch),
                name="worker",
                mailbox_capacity=rng.randint(1, 4),
                overflow=rng.choice(POLICIES),
                context=rng.choice(["actor", "caller"]),
                stop_timeout_s=rng.choice([0.0, 5.0]),
            )
            await send_many(ref, 30, rng, fates)
        fates.check()


async def pool_under_crashes(rng: Random) -> None:
    """Members come and go, and every message of the pool has one fate; at the end it is stopped, or cancelled."""
    async with bounded():
        fates = Fates()
        watch = Teller(rng, fates)
        async with watch.supervise() as supervisor:
            pool = await Pool.start(
                supervisor,
                partial(Answers, watch),
                name="pool",
                size=rng.randint(1, 4),
                mailbox_capacity=rng.randint(1, 5),
                overflow=rng.choice(POLICIES),
                restart=rng.choice([*Restart]),
                stop_timeout_s=rng.choice([0.0, 1.0]),
            )
            watch.handles.append(pool)
            async with anyio.create_task_group() as group:
                group.start_soon(send_many, pool, 40, rng, fates)
                await anyio.sleep(rng.uniform(0, 3))
                await watch.stop(pool, now=rng.random() < 0.5)
            assert is_over(pool)
        fates.check()


class Node(Watched):
    """Fails in every way an actor can."""

    def __init__(self, watch: Watch, flaky: list[bool]) -> None:
        super().__init__(watch)
        self.flaky = flaky

    async def __aenter__(self) -> Self:
        await anyio.sleep(self.rng.choice([0.0, 0.1]))
        if any(self.flaky) and self.rng.random() < 0.2:
            raise OSError("cannot start")
        return await super().__aenter__()

    async def fail_beside(self) -> None:
        self.context.spawn(self._fail)

    async def _fail(self) -> None:
        await anyio.sleep(self.rng.choice([0.0, 0.3]))
        raise ValueError("helper")

    def owe(self) -> Deferred[str]:
        answer: Deferred[str] = Deferred()
        self.context.spawn(self._settle, answer)
        return answer

    async def _settle(self, answer: Deferred[str]) -> None:
        await anyio.sleep(self.rng.choice([0.0, 0.3]))
        if self.rng.random() < 0.3:
            answer.fail(self.rng.choice([Refused, ValueError])("late"))
        else:
            answer.resolve(self.name)


async def quietly(ask: Coroutine[Any, Any, object]) -> None:
    """Ask; that it goes wrong is part of the scenario."""
    with contextlib.suppress(ActorError, Refused, OSError):
        await ask


async def trees(rng: Random) -> None:
    """Groups are restarted in order, whoever crashes and from wherever, while children are started and stopped."""
    async with bounded():
        watch = Watch(rng.choice(GROUPS), rng, crash_rate=rng.choice([0.0, 0.05]), delay_rate=0.3)
        flaky = [rng.random() < 0.5]
        async with watch.supervise(), anyio.create_task_group() as group:
            refs: list[Ref[Node]] = []
            names = map(str, itertools.count())

            async def start() -> None:
                ref = await watch.start(
                    lambda: Node(watch, flaky), name=next(names), restart=rng.choice([*Restart]), stop_timeout_s=0.25
                )
                refs.append(ref)

            for _ in range(rng.randint(1, 4)):
                group.start_soon(quietly, start())
            for _ in range(12):
                await anyio.sleep(rng.choice([0.0, 0.0, 0.1, 1.0]))
                if refs:
                    group.start_soon(quietly, one_step(rng.choice(refs), rng, watch))
                if rng.random() < 0.2:
                    group.start_soon(quietly, start())
            flaky[:], watch._crash_rate = [], 0.0
            await anyio.sleep(5.0)
            for ref in refs:  # whoever is left answers
                assert is_over(ref) or await ref.ask(Node.work) == ref.name


async def one_step(ref: Ref[Node], rng: Random, watch: Watch) -> None:
    match rng.choice(["work", "work", "fail", "fail beside", "owe", "crash", "stop", "cancel"]):
        case "work":
            await ref.ask(Node.work, rng.choice([0.0, 0.5]), timeout=0.4)
        case "fail":
            await ref.ask(Node.fail)
        case "fail beside":
            ref.tell(Node.fail_beside)
        case "owe":
            await ref.ask(Node.owe)
        case "crash":
            crash(ref)
        case how:
            await watch.stop(ref, now=how == "cancel")


async def backoff_with_siblings(rng: Random) -> None:
    """Who crashes waits; who does not is never held up by that."""
    async with bounded():
        watch = Watch("one_for_one", rng, crash_rate=0.0, delay_rate=0.0)
        watch.backoff = Backoff(first_s=0.5, factor=2.0, max_s=2.0, jitter=rng.choice([0.0, 0.5]))
        watch.intensity = (rng.choice([2, 50]), 20.0)
        async with watch.supervise():
            steady = await watch.start(lambda: Watched(watch), name="steady")
            while_down: Literal["queue", "reject"] = rng.choice(["queue", "reject"])
            fragile = [
                await watch.start(lambda: Watched(watch), name=f"fragile/{n}", while_down=while_down) for n in range(3)
            ]
            async with anyio.create_task_group() as group:
                for _ in range(15):
                    await anyio.sleep(rng.choice([0.0, 0.3, 3.0]))
                    ref = rng.choice(fragile)
                    group.start_soon(quietly, ref.ask(Watched.work, 0.1, timeout=rng.choice([0.2, 5.0])))
                    if rng.random() < 0.4 and not is_over(ref):
                        crash(ref)
                    assert await steady.ask(Watched.work, timeout=0.001) == "steady"
                    if rng.random() < 0.05:
                        await watch.stop(ref, now=False)


class Branch(Watched):
    """Holds a supervisor of its own, with leaves."""

    def __init__(self, watch: Watch, inner: list[Watch]) -> None:
        super().__init__(watch)
        self.inside = Watch("one_for_one", watch.rng, crash_rate=0.02, delay_rate=0.3)
        self.inside.intensity = (1, 5.0)
        inner.append(self.inside)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:  # or a start that is cancelled here would leave the supervisor behind
            await stack.enter_async_context(self.inside.supervise("branch"))
            self.leaves = [await self.inside.start(lambda: Watched(self.inside), name=f"leaf/{n}") for n in range(2)]
            self.supervision = stack.pop_all()
        return await super().__aenter__()

    async def __aexit__(self, kind: Any, error: Any, traceback: Any) -> None:
        await super().__aexit__(kind, error, traceback)
        await self.supervision.__aexit__(kind, error, traceback)
        assert not self.inside.up, "leaves are down before their branch"

    async def get_leaves(self) -> list[Ref[Watched]]:
        return self.leaves


async def cancelled_host(rng: Random) -> None:
    """The host is cancelled at any moment: both levels of the tree are stopped in order, whatever they were doing."""
    async with bounded():
        watch, inner = Watch(rng.choice(GROUPS), rng, crash_rate=0.02, delay_rate=0.3), list[Watch]()
        with anyio.move_on_after(rng.choice([0.0, 0.1, 1.0, 3.0])):
            async with watch.supervise("root"):
                branches = [await watch.start(lambda: Branch(watch, inner), name=name) for name in "abc"]
                async with anyio.create_task_group() as group:
                    for _ in range(30):
                        group.start_soon(quietly, ask_a_leaf(rng.choice(branches), rng))
                        await anyio.sleep(rng.uniform(0, 0.3))
        assert not any(inside.up for inside in inner)


async def ask_a_leaf(branch: Ref[Branch], rng: Random) -> None:
    leaf = rng.choice(await branch.ask(Branch.get_leaves))
    leaf.tell(Watched.work, 0.1)
    await (leaf.ask(Watched.fail) if rng.random() < 0.3 else leaf.ask(Watched.work))


class Turns(Watch):
    """No two ticks in a row while there are messages."""

    last = ""

    async def before_handle(self, actor: str, method: str) -> None:
        if method == self.last == "tick":
            assert not self.handles or not self.handles[0].statistics().queued, "timers starve the mailbox"
        self.last = method
        await super().before_handle(actor, method)


class Ticker(Watched):
    """Its timers and helpers know whose they are."""

    def __init__(self, watch: Watch, lives: list[int]) -> None:
        super().__init__(watch)
        self.own = ActorContext.of(self)
        self.lives = lives
        self.life = len(lives)
        lives.append(0)

    async def __aenter__(self) -> Self:
        assert not any(self.lives), "helpers of an earlier incarnation run on"
        self.own.every(self.rng.choice([0.1, 0.5]), Ticker.tick, self.life, is_fixed_rate=self.rng.random() < 0.5)
        self.own.after(self.rng.uniform(0, 1), Ticker.tick, self.life, key="once")
        for _ in range(2):
            self.context.spawn(self._help)
        return await super().__aenter__()

    async def tick(self, life: int) -> None:
        assert life == self.life, "a tick of an earlier incarnation"
        await self.work(self.rng.choice([0.0, 0.3]))

    async def _help(self) -> None:
        self.lives[self.life] += 1
        try:
            while True:
                await anyio.sleep(0.2)
                assert self.life == len(self.lives) - 1
                if self.rng.random() < 0.05:
                    raise ValueError("helper")
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(self.rng.choice([0.0, 0.1]))
            self.lives[self.life] -= 1


async def timers_and_helpers(rng: Random) -> None:
    """They belong to one incarnation, and take turns with the messages."""
    async with bounded():
        watch, lives = Turns("one_for_one", rng, crash_rate=0.02, delay_rate=0.0), list[int]()
        async with watch.supervise():
            ref = await watch.start(lambda: Ticker(watch, lives), name="ticker", stop_timeout_s=rng.choice([0.0, 5.0]))
            async with anyio.create_task_group() as group:
                for _ in range(20):
                    group.start_soon(quietly, ref.ask(Watched.work, rng.choice([0.0, 0.2]), timeout=2.0))
                    await anyio.sleep(rng.choice([0.0, 0.1, 0.7]))
                    if rng.random() < 0.1:
                        crash(ref)
        errors = [getattr(event, "error", None) for event in watch.events]
        assert not any(isinstance(error, AssertionError) for error in errors), errors
        assert not any(lives), "helpers outlive the supervisor"


class Leases(Watched):
    """One lock. Who holds it is on a `disk` that outlives crashes; between the look and the change it takes its time."""

    def __init__(self, watch: Watch, disk: list[str]) -> None:
        super().__init__(watch)
        self.disk = disk

    async def acquire(self, client: str) -> bool:
        is_free = not self.disk
        await self.work(self.rng.choice([0.0, 0.05]))
        if is_free:
            self.disk.append(client)
        return is_free

    async def release(self, client: str) -> bool:
        is_held = client in self.disk
        await self.work(self.rng.choice([0.0, 0.05]))
        if is_held:
            self.disk.remove(client)
        return is_held


def apply_to_lock(holder: str, call: Call) -> tuple[str, object]:
    client = str(call.argument)
    if call.name == "acquire":
        return (holder or client), not holder
    return ("" if holder == client else holder), holder == client


async def leases(rng: Random) -> None:
    """What the clients of a lock see could have happened one call after the other, through timeouts and crashes."""
    async with bounded():
        watch = Watch("one_for_one", rng, crash_rate=rng.choice([0.0, 0.1]), delay_rate=0.5)
        history, moments, disk = list[Call](), itertools.count(), list[str]()

        async def call(ref: Ref[Leases], client: str, name: str) -> None:
            record = Call(name, client, next(moments))
            history.append(record)
            try:
                method = Leases.acquire if name == "acquire" else Leases.release
                record.result = await ref.ask(method, client, timeout=rng.choice([0.1, 0.3, 9.0]))
            except ActorCrashed:
                return
            except (AskTimeout, ActorStopped) as error:
                if error.was_started:
                    return
                history.remove(record)
            record.returned = next(moments)

        async def client(ref: Ref[Leases], name: str) -> None:
            for step in range(5):
                await call(ref, name, "acquire" if step % 2 == 0 else "release")
                await anyio.sleep(rng.choice([0.0, 0.1]))

        async with watch.supervise():
            ref = await watch.start(lambda: Leases(watch, disk), name="leases")
            async with anyio.create_task_group() as group:
                for name in ("a", "b", "c"):
                    group.start_soon(client, ref, name)
        assert is_linearizable(history, apply_to_lock, ""), history


@attrs.frozen
class Add:
    amount: int


@attrs.frozen
class Total:
    answer: Deferred[int]


class Sum:
    """A loop that keeps what it is asked until it feels like answering. The total is on a `disk` that outlives crashes."""

    def __init__(self, disk: list[int], rng: Random) -> None:
        self.disk = disk
        self.rng = rng

    async def run(self, inbox: Inbox[Add | Total]) -> None:
        asked: list[Deferred[int]] = []
        async for message in inbox:
            if isinstance(message, Add):
                self.disk.append(message.amount)
            else:
                asked.append(message.answer)
            await anyio.sleep(self.rng.choice([0.0, 0.1]))
            if self.rng.random() < 0.05:
                raise ValueError("loop")
            if self.rng.random() < 0.5:
                while asked:
                    asked.pop().resolve(sum(self.disk))
        for answer in asked:
            answer.resolve(sum(self.disk))


async def loops(rng: Random) -> None:
    """What a loop has accepted it adds up, once; and what it owes is answered, or fails with it."""
    async with bounded():
        watch = Watch("one_for_one", rng, crash_rate=0.0, delay_rate=0.3)
        watch.intensity = (1000, 1.0)
        disk, accepted = list[int](), list[int]()

        async def add(channel: Channel[Add | Total], amount: int) -> None:
            try:
                if rng.random() < 0.5:
                    await channel.send(Add(amount))
                else:
                    channel.tell(Add(amount))
            except (MailboxFull, ActorStopped):
                return
            accepted.append(amount)

        async def ask(channel: Channel[Add | Total]) -> None:
            before = sum(disk)
            with anyio.move_on_after(rng.choice([0.3, math.inf])):
                assert before <= await channel.ask(Total) <= sum(disk)

        async with watch.supervise() as supervisor:
            channel = await supervisor.start_loop(
                lambda: Sum(disk, rng), name="sum", mailbox_capacity=3, stop_timeout_s=60.0
            )
            watch.handles.append(channel)
            async with anyio.create_task_group() as group:
                for number in range(25):
                    group.start_soon(add, channel, 1 << number)
                    if rng.random() < 0.3:
                        group.start_soon(quietly, ask(channel))
                    await anyio.sleep(rng.choice([0.0, 0.05]))
                await anyio.sleep(rng.choice([0.0, 5.0]))
                await watch.stop(channel, now=False)
        lost = [event for event in watch.events if isinstance(event, Undelivered) and event.method == "Add"]
        assert len(disk) == len(set(disk)) == len(accepted) - len(lost)
        assert set(disk) <= set(accepted)


SCENARIOS: tuple[Callable[[Random], Awaitable[None]], ...] = (
    impatient_askers,
    pool_under_crashes,
    trees,
    backoff_with_siblings,
    cancelled_host,
    timers_and_helpers,
    leases,
    loops,
)
