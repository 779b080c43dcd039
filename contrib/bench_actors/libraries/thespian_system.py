"""Thespian: actors in a system that one thread asks; `simpleSystemBase` runs them in that thread, the others in processes.

Its fast way: `simpleSystemBase`, which switches neither threads nor processes and runs the actor inside `ask`. Beside it
`multiprocQueueBase`, the faster to tell of those with real concurrency (`multiprocTCPBase` asks about as fast). Messages are
plain tuples, logging is off. One thread may ask a system at a time, so there are no askers beside each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import TracebackType
from typing import ClassVar

from thespian.actors import Actor, ActorAddress, ActorSystem

from contrib.bench_actors.contract import Measure, SyncCalls, SyncLibrary

ASK, TELL = ("ask", 1), ("tell", 1)


class Counter(Actor):
    def __init__(self) -> None:
        super().__init__()
        self.value = 0

    def receiveMessage(self, message: object, sender: ActorAddress) -> None:
        if isinstance(message, tuple):  # not one of the system's own
            kind, n = message
            self.value += n
            if kind == "ask":
                self.send(sender, self.value)


class ThespianSimple(SyncLibrary[ActorAddress]):
    # A failing message is handled a second time, then returned as a PoisonMessage; the object lives on.
    absent: ClassVar[Mapping[Measure, str]] = {Measure.RESTART: "no restart", Measure.ASK_MANY: "one asker"}
    base = "simpleSystemBase"

    def __enter__(self) -> ThespianSimple:
        self._system = ActorSystem(self.base, logDefs={"version": 1})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._system.shutdown()

    def start(self, number: int) -> ActorAddress:
        return self._system.createActor(Counter)

    def calls(self, ref: ActorAddress) -> SyncCalls:
        return SyncCalls(ask=partial(self._system.ask, ref, ASK), tell=partial(self._system.tell, ref, TELL))

    def ask_from_many(self, ref: ActorAddress, count: int) -> float:
        raise NotImplementedError


class ThespianProcesses(ThespianSimple):
    absent: ClassVar[Mapping[Measure, str]] = {**ThespianSimple.absent, Measure.MEMORY: "a process each"}
    base = "multiprocQueueBase"

    def start(self, number: int) -> ActorAddress:
        ref = super().start(number)
        self._system.ask(ref, ASK)  # only an answer shows that its process is up
        return ref
