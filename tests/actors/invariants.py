"""What must hold at every moment of every tree, whatever happens: a supervisor that is watched, and actors that report to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from random import Random
from typing import Self, TypeVar, Unpack

import anyio

from actors import (
    ActorContext,
    Backoff,
    ChildCrashed,
    ChildStarted,
    ChildStopped,
    Event,
    Ref,
    Strategy,
    Supervisor,
    TooManyRestarts,
)
from actors._child import ChildOptions
from actors._mailbox import _is_live
from actors._ref import Handle
from actors.testing import Chaos, no_leaks

A = TypeVar("A")

START_S_MAX = 2.0
"""How long a group takes to be started again, at most: its restart is paid for before that."""

HANGS_AFTER_S = 10_000.0
"""Of virtual time: no scenario has anything to do for so long."""


@asynccontextmanager
async def bounded() -> AsyncIterator[None]:
    """Whatever is in it ends, and leaves nothing behind."""
    async with no_leaks():
        with anyio.fail_after(HANGS_AFTER_S):
            yield


class Watch(Chaos):
    """Hook and hooks of one supervisor. Every event and every message is an occasion to look at everything."""

    def __init__(self, strategy: Strategy, rng: Random, *, crash_rate: float, delay_rate: float) -> None:
        super().__init__(rng, delay_s_max=0.2, delay_rate=delay_rate, crash_rate=crash_rate)
        self.rng = rng
        self.strategy = strategy
        self.intensity = (rng.choice([2, 50]), 5.0)
        self.backoff: Backoff | None = None
        self.events: list[Event] = []
        self.order: list[str] = []
        """The children, as they were started first."""
        self.up: list[str] = []
        self.busy: list[str] = []
        self.restarts: list[tuple[float, str]] = []
        self.crashed_at: dict[str, float] = {}
        self.handles: list[Handle] = []
        self.stopped_alone: set[str] = set()
        """These were asked to stop by themselves, so their siblings need not be down."""

    @asynccontextmanager
    async def supervise(self, name: str = "supervisor") -> AsyncIterator[Supervisor]:
        """At its end nothing of it is left. That it gives up is no failure."""
        try:
            async with Supervisor(
                self.strategy,
                intensity=self.intensity,
                backoff=self.backoff,
                rng=self.rng,
                name=name,
                on_event=self.note,
                hooks=self,
            ) as self.supervisor:
                yield self.supervisor
        except TooManyRestarts as error:
            assert error.supervisor == name, "it belongs to another"
        finally:
            self.check_end()

    async def start(self, make: Callable[[], A], *, name: str, **options: Unpack[ChildOptions]) -> Ref[A]:
        ref = await self.supervisor.start(make, name=name, **options)
        self.handles.append(ref)
        return ref

    async def stop(self, handle: Handle, *, now: bool) -> None:
        self.stopped_alone.update(name for name in self.order if name.partition("/")[0] == handle.name)
        await (handle.cancel() if now else handle.stop())

    def note(self, event: Event) -> None:
        self.events.append(event)
        now = anyio.current_time()
        match event:
            case ChildStarted(_, child, 1):
                self.order.append(child)
            case ChildStarted(_, child, _):
                self.restarts.append((now, child))
                self.check_intensity(now, child)
                if self.backoff is not None:
                    assert now - self.crashed_at[child] > self.backoff.first_s - 1e-6, "sooner than the back-off says"
            case ChildCrashed(_, child, _):
                self.crashed_at[child] = now
            case ChildStopped(_, child):
                self.order.remove(child)
        self.check_mailboxes()

    async def before_handle(self, actor: str, method: str) -> None:
        self.check_mailboxes()
        await super().before_handle(actor, method)

    def entered(self, name: str) -> None:
        assert name not in self.up, "two incarnations at once"
        assert self.strategy == "one_for_one" or not self.after(name), (
            f"{name} starts before {self.after(name)} are down"
        )
        self.up.append(name)

    def left(self, name: str, error: BaseException | None) -> None:
        self.up.remove(name)
        if error is None and name not in self.stopped_alone:
            assert not self.after(name), f"{name} is stopped before {self.after(name)}"

    def after(self, name: str) -> list[str]:
        """Those that are up and stand behind `name` in the order."""
        behind = self.order[self.order.index(name) + 1 :] if name in self.order else []
        return [other for other in behind if other in self.up]

    @contextmanager
    def handling(self, name: str) -> Iterator[None]:
        assert name not in self.busy, "two messages at once"
        self.busy.append(name)
        try:
            yield
        finally:
            self.busy.remove(name)

    def check_intensity(self, now: float, child: str) -> None:
        """A group restart costs one and starts each child once at most, so there each child counts for itself."""
        restarts_max, period_s = self.intensity
        late_s = self.backoff.max_s * (1 + self.backoff.jitter) if self.backoff else START_S_MAX
        since = now - period_s + late_s
        recent = [other for at, other in self.restarts if at > since]
        count = len(recent) if self.strategy == "one_for_one" else recent.count(child)
        assert count <= restarts_max, f"{count} restarts within {period_s} s"

    def check_mailboxes(self) -> None:
        for handle in self.handles:
            mailbox, seen = handle._cell.mailbox, handle.statistics()
            live = sum(_is_live(message) for message in mailbox._queue)
            assert seen.queued == live <= seen.capacity, f"{live} messages in {seen.capacity}"
            room, expected = mailbox._limit - len(mailbox._queue), seen.capacity - live
            assert room <= 0 if mailbox._refusal else room == expected, f"{expected} free, not {room}"
            assert not seen.waiting or mailbox._refusal or live == seen.capacity, "they wait, but there is room"

    def check_end(self) -> None:
        assert not self.up, f"outlive their supervisor: {self.up}"
        assert not self.busy
        for handle in self.handles:
            cell = handle._cell
            assert cell.exit is not None, f"{cell.name} is over and does not say so"
            assert not cell.mailbox._queue, "dead slots are retained"
            assert not cell.mailbox._waiting, "senders are left waiting"
            assert not any((cell.owed, cell._timers, cell._helpers, cell._watchers, cell.waiting_on))


class Watched:
    """The base of the scenarios' actors."""

    def __init__(self, watch: Watch) -> None:
        self.context = ActorContext.of(self)
        self.name = self.context.name
        self.watch = watch
        self.rng = watch.rng

    async def __aenter__(self) -> Self:
        self.watch.entered(self.name)
        return self

    async def __aexit__(self, _: object, error: BaseException | None, traceback: object) -> None:
        self.watch.left(self.name, error)

    async def work(self, seconds: float = 0.0) -> str:
        with self.watch.handling(self.name):
            await anyio.sleep(seconds)
            return self.name

    async def fail(self) -> None:
        raise ValueError(self.name)


def is_over(handle: Handle) -> bool:
    return handle._cell.exit is not None
