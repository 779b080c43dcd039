"""Supervised actors for asyncio, uvloop and trio: plain classes, typed messages, OTP's restarts, inside your task group.

A five-minute tour; it runs as it stands, by `asyncio.run(main())`, `trio.run(main)` or `anyio.run(main)`:

    from actors import ActorCrashed, Ref, Supervisor

    class Counter:                                   # a plain class: test it without any runtime
        def __init__(self, start: int = 0) -> None:
            self.value = start
        async def add(self, n: int = 1) -> int:
            self.value += n
            return self.value
        async def crash(self) -> None:
            raise ValueError("let it crash")

    async def main() -> None:                        # in any task of a program that is there already, too
        async with Supervisor("one_for_one", intensity=(3, 5.0)) as supervisor:     # 3 restarts in 5 s, and no more
            # A factory, not an object: it is called again at each restart.
            counter: Ref[Counter] = await supervisor.start(lambda: Counter(10), name="counter")
            assert await counter.ask(Counter.add, 2) == 12      # waits for the reply; the reply's type is inferred
            counter.tell(Counter.add, 1)                        # never waits; MailboxFull when full
            await counter.send(Counter.add, 1)                  # waits for room only
            try:
                await counter.ask(Counter.crash, timeout=1.0)
            except ActorCrashed as error:
                assert isinstance(error.__cause__, ValueError)
            assert await counter.ask(Counter.add) == 11         # the same ref, a fresh Counter(10)
        # Here every actor has finished its queue and has ended, the last started first.

A message is one of the class's methods. An actor handles one message at a time. A handler that raises `Refused`, or a
subclass of it, answers no and lives on; any other exception is a crash, and the supervisor starts a fresh object around the
same mailbox: what must outlive that belongs elsewhere. One restart more than `intensity` allows leaves the `async with` as
`TooManyRestarts`. A class with `__aenter__` and `__aexit__` is entered before its start is acknowledged and left when it
stops or crashes.

From there: `ActorContext.of(self)` for timers and tasks beside the handlers, `Deferred` for a reply that comes later and
`BatchThread` and `run_in_thread` for blocking work, `Supervisor.start_loop` with an `Inbox` for actors that are better
written as a loop, `Pool` for several behind one ref, `Topic` for publish and subscribe, `Ref.watch`, `Ref.from_thread`,
`Supervisor.snapshot` and one hook for all events, `Supervisor(on_event=...)`. `actors.testing` is for your tests,
`actors.adapters` for logging and OpenTelemetry. SEMANTICS.md says what is guaranteed; examples/ has an asyncio, a trio and
an ASGI program.
"""

from actors._cell import Exit
from actors._child import ChildOptions, Restart, Strategy
from actors._deferred import Deferred
from actors._dispatch import Hooks, cancel_on_abandon
from actors._errors import (
    ActorCrashed,
    ActorDown,
    ActorError,
    ActorStopped,
    AskCycle,
    AskTimeout,
    MailboxFull,
    Refused,
    StopActor,
    TooManyRestarts,
)
from actors._events import (
    ChildCrashed,
    ChildStarted,
    ChildStopped,
    Event,
    EventHook,
    RefusedTell,
    StopTimeout,
    Undelivered,
)
from actors._from_thread import ThreadRef
from actors._inbox import Channel, Inbox, Loop
from actors._inside import ActorContext
from actors._mailbox import MailboxStatistics, Overflow
from actors._pool import Pool
from actors._ref import Ref
from actors._restart import Backoff
from actors._snapshot import ChildSnapshot, Snapshot
from actors._supervisor import Supervisor
from actors._thread import BatchThread, run_in_thread
from actors._topic import CutOff, EndOfTopic, Subscriber, Subscription, TellSubscriber, Topic

__all__ = [
    "ActorContext",
    "ActorCrashed",
    "ActorDown",
    "ActorError",
    "ActorStopped",
    "AskCycle",
    "AskTimeout",
    "Backoff",
    "BatchThread",
    "Channel",
    "ChildCrashed",
    "ChildOptions",
    "ChildSnapshot",
    "ChildStarted",
    "ChildStopped",
    "CutOff",
    "Deferred",
    "EndOfTopic",
    "Event",
    "EventHook",
    "Exit",
    "Hooks",
    "Inbox",
    "Loop",
    "MailboxFull",
    "MailboxStatistics",
    "Overflow",
    "Pool",
    "Ref",
    "Refused",
    "RefusedTell",
    "Restart",
    "Snapshot",
    "StopActor",
    "StopTimeout",
    "Strategy",
    "Subscriber",
    "Subscription",
    "Supervisor",
    "TellSubscriber",
    "ThreadRef",
    "TooManyRestarts",
    "Topic",
    "Undelivered",
    "cancel_on_abandon",
    "run_in_thread",
]
