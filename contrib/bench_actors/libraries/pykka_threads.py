"""pykka: an actor is a thread, and who asks blocks the thread it is in.

Its fast way: `on_receive` with plain messages, not a proxy, which wraps each call and looks attributes up; no timeout. So many
askers are so many threads (`PykkaThreads`), or one thread that keeps as many futures under way (`PykkaFutures`), which spares
pykka most of its thread switches. As only one thread runs Python at a time, and handing over to one on another core is slow, it
is several times faster when the process is held to one core (`PykkaOneCore`); the rest measures the same there. All are shown.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Mapping
from functools import partial
from time import perf_counter
from types import TracebackType
from typing import ClassVar, Self

import pykka

from contrib.bench_actors.contract import ASKERS, Measure, SyncCalls, SyncLibrary


class Counter(pykka.ThreadingActor):
    def __init__(self, up: threading.Event) -> None:
        super().__init__()
        self.value = 0
        self._up = up

    def on_start(self) -> None:
        self._up.set()

    def on_receive(self, message: int) -> int:
        self.value += message
        return self.value


class PykkaThreads(SyncLibrary["pykka.ActorRef[Counter]"]):
    absent: ClassVar[Mapping[Measure, str]] = {Measure.RESTART: "no restart"}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pykka.ActorRegistry.stop_all()

    def start(self, number: int) -> pykka.ActorRef[Counter]:
        up = threading.Event()  # `start` returns before the thread has got anywhere
        ref = Counter.start(up)
        up.wait()
        return ref

    def calls(self, ref: pykka.ActorRef[Counter]) -> SyncCalls:
        return SyncCalls(ask=partial(ref.ask, 1), tell=partial(ref.tell, 1))

    def ask_from_many(self, ref: pykka.ActorRef[Counter], count: int) -> float:
        start = threading.Barrier(ASKERS + 1)
        ends: list[float] = []

        def asker() -> None:
            start.wait()
            for _ in range(count):
                ref.ask(1)
            ends.append(perf_counter())

        threads = [threading.Thread(target=asker) for _ in range(ASKERS)]
        for thread in threads:
            thread.start()
        start.wait()
        began = perf_counter()
        for thread in threads:
            thread.join()
        return max(ends) - began


class PykkaOneCore(PykkaThreads):
    def __enter__(self) -> Self:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        return self


class PykkaFutures(PykkaThreads):
    absent: ClassVar[Mapping[Measure, str]] = dict.fromkeys(set(Measure) - {Measure.ASK_MANY}, "as above")

    def ask_from_many(self, ref: pykka.ActorRef[Counter], count: int) -> float:
        began = perf_counter()
        under_way = deque(ref.ask(1, block=False) for _ in range(ASKERS))
        for _ in range(ASKERS * (count - 1)):
            under_way.popleft().get()
            under_way.append(ref.ask(1, block=False))
        for future in under_way:
            future.get()
        return perf_counter() - began
