"""Supervised actors for asyncio, uvloop and trio: plain classes, typed messages, OTP's restarts, inside your task group.

A five-minute tour; it runs as it stands, on any backend:

    class Counter:                                   # a plain class: test it without any runtime
        def __init__(self, start: int = 0) -> None:
            self.value = start
        async def add(self, n: int = 1) -> int:
            self.value += n
            return self.value
        async def crash(self) -> None:
            raise ValueError("let it crash")

    async def main() -> None:                        # in any task group, on any backend
        async with Supervisor("one_for_one", intensity=(3, 5.0)) as supervisor:
            counter: Ref[Counter] = await supervisor.start(lambda: Counter(10), name="counter")
            assert await counter.ask(Counter.add, 2) == 12      # waits for the reply; the reply's type is inferred
            counter.tell(Counter.add, 1)                        # never waits; MailboxFull when full
            await counter.send(Counter.add, 1)                  # waits for room only
            try:
                await counter.ask(Counter.crash, timeout=1.0)
            except ActorCrashed as error:
                assert isinstance(error.__cause__, ValueError)
            assert await counter.ask(Counter.add) == 11         # the same ref, a fresh incarnation

A message is one of the class's methods. An actor handles one message at a time. A handler that raises `Refused` answers
no and lives on; any other exception is a crash, and the supervisor starts a fresh object around the same mailbox. A class
with `__aenter__` and `__aexit__` is entered before its start is acknowledged and left when it stops or crashes.
A handler may return a `Deferred` to answer later, and a `BatchThread` does blocking work for it.
"""

from actors._cell import Exit
from actors._child import Restart, Strategy
from actors._deferred import Deferred
from actors._errors import (
    ActorCrashed,
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
from actors._mailbox import MailboxStatistics, Overflow
from actors._ref import Ref
from actors._restart import Backoff
from actors._snapshot import ChildSnapshot, Snapshot
from actors._supervisor import Supervisor
from actors._thread import BatchThread

__all__ = [
    "ActorCrashed",
    "ActorError",
    "ActorStopped",
    "AskCycle",
    "AskTimeout",
    "Backoff",
    "BatchThread",
    "ChildCrashed",
    "ChildSnapshot",
    "ChildStarted",
    "ChildStopped",
    "Deferred",
    "Event",
    "EventHook",
    "Exit",
    "MailboxFull",
    "MailboxStatistics",
    "Overflow",
    "Ref",
    "Refused",
    "RefusedTell",
    "Restart",
    "Snapshot",
    "StopActor",
    "StopTimeout",
    "Strategy",
    "Supervisor",
    "TooManyRestarts",
    "Undelivered",
]
