"""What Prometheus is to know of an engine: creates and their steps, commits, actors. Needs `boatyard[metrics]`.

    metrics = Metrics()
    async with Engine(config, metrics.instruments) as engine, metrics.observing(engine):
        text = metrics.page()                       # for `GET /metrics`; or give it a registry that is shown already

Counting is on the path of every create, and a create has seven steps. A histogram of the client library, which any thread may
use, takes several times as long as one that has a single writer: so the event loop counts in plain numbers, which are handed over
when they are looked at; in the event loop, too: `page` is for whoever is in it. Names and units are those of https://prometheus.io/docs/practices/naming/.
"""

from __future__ import annotations

import itertools
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import attrs
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from actors import ChildCrashed, ChildStarted, Event, MailboxStatistics
from daemon.engine import Engine
from daemon.instruments import STEPS, Instruments, StepName
from daemon.outcomes import CREATED, FAILED, OUTCOMES, outcome_of

R = TypeVar("R")

SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Bounds: from a step that waits for nothing to what an operator is called for."""

WRITES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)
"""Bounds: up to the largest batch that there is (`storage/database.py`)."""


class Metrics(Collector):
    """Of the engines that it observes, one after the other or at a time, in one process.

    Args:
        registry: where it is to be found; one of its own by default.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = CollectorRegistry() if registry is None else registry
        self.instruments = Instruments(step=self._step, on_event=self._on_event, on_commit=self._on_commit)
        self._steps: dict[str, _Tally] = {name: _Tally(SECONDS) for name in STEPS}
        self._refused: Counter[str] = Counter(dict.fromkeys([FAILED, *(name for _, name in OUTCOMES)], 0))
        self._commits, self._batches = _Tally(SECONDS), _Tally(WRITES)
        self._crashes: Counter[str] = Counter()
        self._restarts: Counter[str] = Counter()
        self._engines: list[Engine] = []
        self.registry.register(self)

    @classmethod
    def of_this_process(cls) -> Metrics:
        """Which is the daemon's own: its memory, CPU and descriptors are seen, too."""
        metrics = cls()
        ProcessCollector(registry=metrics.registry)
        return metrics

    def page(self) -> bytes:
        """Everything in the registry, as text (`prometheus_client.CONTENT_TYPE_LATEST`). In the event loop."""
        return generate_latest(self.registry)

    @contextmanager
    def observing(self, engine: Engine) -> Iterator[None]:
        """Within it the mailboxes of `engine`, which has been entered, are seen, too."""
        self._engines.append(engine)
        for actor, _ in mailboxes_of(engine):  # a counter is to be there before it counts
            self._crashes[actor] += 0
            self._restarts[actor] += 0
        try:
            yield
        finally:
            self._engines.remove(engine)

    async def _step(self, name: StepName, work: Coroutine[Any, Any, R], /) -> R:
        began = time.perf_counter()
        try:
            return await work
        except BaseException as error:
            if name == "create":
                self._refused[outcome_of(error)] += 1
            raise
        finally:
            self._steps[name].add(time.perf_counter() - began)

    def _on_event(self, event: Event) -> None:
        match event:
            case ChildCrashed(child=child):
                self._crashes[child] += 1
            case ChildStarted(child=child, incarnation=incarnation) if incarnation > 1:
                self._restarts[child] += 1

    def _on_commit(self, writes: int, took_s: float) -> None:
        # In the database's thread, and there is one: the event loop only reads these.
        self._batches.add(writes)
        self._commits.add(took_s)

    def collect(self) -> Iterator[Metric]:
        """For the registry."""
        created = self._steps["create"].count - self._refused.total()
        outcomes = {CREATED: created, **self._refused}
        yield _counter("boatyard_creates", "Creates that have come to an end", "outcome", outcomes)
        yield CounterMetricFamily(
            "boatyard_creates_turned_away",
            "Creates refused before they began: too many were under way",
            value=sum(engine.creates_turned_away for engine in self._engines),
        )
        yield GaugeMetricFamily(
            "boatyard_creates_under_way",
            "Creates that have begun and not ended",
            value=sum(engine.creates_under_way for engine in self._engines),
        )
        steps = "Steps of creates, of those that failed, too: create is all of it, image is a part of check"
        yield _histogram("boatyard_create_step_seconds", steps, self._steps, ("step",))
        yield _histogram("boatyard_commit_seconds", "Commits: the log is written and synced", {"": self._commits})
        yield _histogram("boatyard_commit_writes", "How many writes shared a commit", {"": self._batches})
        yield _counter("boatyard_actor_crashes", "Ends of an actor by an exception", "actor", self._crashes)
        yield _counter("boatyard_actor_restarts", "Actors started again", "actor", self._restarts)
        yield from self._mailboxes()

    def _mailboxes(self) -> Iterator[Metric]:
        queued: Counter[str] = Counter()
        waited_s: dict[str, float] = {}
        for engine in self._engines:
            for actor, mailbox in mailboxes_of(engine):
                queued[actor] += mailbox.queued
                waited_s[actor] = max(waited_s.get(actor, 0.0), mailbox.time_in_mailbox_s)
        yield _gauge("boatyard_mailbox_messages", "Messages in the mailbox", queued)
        yield _gauge("boatyard_mailbox_wait_seconds", "How long a message was in a busy actor's mailbox", waited_s)


def mailboxes_of(engine: Engine) -> Iterator[tuple[str, MailboxStatistics]]:
    """Each with the name of its actor."""
    for ref in attrs.asdict(engine.services, recurse=False).values():
        yield ref.name, ref.statistics()


class _Tally:
    """A histogram with one writer."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    @property
    def count(self) -> int:
        return sum(self._counts)

    def buckets(self) -> list[tuple[str, float]]:
        """Each upper bound, and how many were not above it."""
        bounds = [*map(floatToGoString, self._bounds), "+Inf"]
        return list(zip(bounds, itertools.accumulate(self._counts), strict=True))


def _counter(name: str, text: str, label: str, counts: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=[label])
    for value, count in counts.items():
        family.add_metric([value], count)
    return family


def _gauge(name: str, text: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=["actor"])
    for actor, value in values.items():
        family.add_metric([actor], value)
    return family


def _histogram(name: str, text: str, tallies: Mapping[str, _Tally], labels: Sequence[str] = ()) -> Metric:
    family = HistogramMetricFamily(name, text, labels=labels)
    for value, tally in tallies.items():
        family.add_metric([value] if labels else [], tally.buckets(), tally.sum)
    return family
