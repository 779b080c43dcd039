"""A run from its image to its result: sends the creates, keeps what came back, judges it afterwards, cleans up.

While the load runs nothing is decoded and nothing is counted but progress; the garbage collector is off. Order and timing are
the client's, verdicts are `outcome`'s, numbers are `statistics`'.
"""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from random import Random
from types import MappingProxyType

import attrs

from loadtest.arrivals import constant, measured_part, poisson
from loadtest.client import Client
from loadtest.conditions import Conditions, Meter
from loadtest.errors import NEVER_SENT, ErrorKind
from loadtest.journal import Journal
from loadtest.outcome import Ack, ErrorGroup, judge
from loadtest.pinning import pinned
from loadtest.requests import OK
from loadtest.scenario import Operation, Scenario, socket_path
from loadtest.statistics import FAILED, Recorder, Samples, Statistics, summarize
from loadtest.system import Kernel, System, allow_connections
from loadtest.target import Cleanup, Target, clean_up, describe, ensure_image
from loadtest.work import Progress, Work


@attrs.frozen(kw_only=True)
class Result:
    """What a run did, as recorded."""

    scenario: Scenario
    server: str
    """What the target calls itself; empty when it does not say."""
    target: Target | None = None
    """What it was before the run; None for a load that was not prepared."""
    created: tuple[Ack, ...]
    """Every create that was acknowledged, in the order of sending: (name, id)."""
    errors: tuple[ErrorGroup, ...]
    statuses: Mapping[int, int]
    """How many answers had each HTTP status."""
    sent: int
    abandoned: int
    """Sent, but neither answered nor failed when the run was broken off."""
    unsent: int = 0
    """In an open loop: due, but abandoned at the end, because the server never kept up or the run was broken off."""
    warmup_count: int = 0
    """How many of the requests, from the first on, were not measured."""
    renamed: Mapping[str, str] = MappingProxyType({})
    """The last name by id, of the containers that the mix has renamed."""
    removed: frozenset[str] = frozenset()
    """Ids of those that it has removed."""
    in_doubt: frozenset[str] = frozenset()
    """Ids of those that it may have renamed or removed: nothing was heard of it."""
    samples: Samples = attrs.field(repr=False)
    """Of all requests, the warm-up's included."""
    conditions: Conditions | None = None
    """None for a load that never began."""
    started_at: float = 0.0
    """Seconds since 1970."""
    loop_lag_ns: int = 0
    """The longest that the client's own loop came back later than it had meant to: what it may add to any time measured."""
    is_interrupted: bool
    cleanup: Cleanup | None = None
    """None when the containers were kept."""

    def statistics(self) -> Statistics:
        """Throughput and percentiles of the creates that were answered 201."""
        return self.statistics_of(Operation.CREATE)

    def statistics_of(self, operation: Operation) -> Statistics:
        """Of the requests for `operation` that were carried out, without the warm-up's."""
        return summarize(self.samples, status=OK[operation], operation=operation, first=self.warmup_count)

    @property
    def late(self) -> int:
        """In an open loop: how many of the requests were due when no connection was free."""
        return sum(self.samples.queued())

    @property
    def error_count(self) -> int:
        return sum(group.count for group in self.errors)


def run(scenario: Scenario, on_progress: Callable[[Progress], None] | None = None) -> Result:
    """Carries the scenario out and returns when it is cleaned up, or at once after the load if `scenario.keep`.

    `on_progress` is called at most 4 times a second in this thread, so what it costs is missing from the load. Interrupted by
    Ctrl-C or by an exception of `on_progress`, it still cleans up. Raises `TargetUnreachable`, `TargetRefused`.
    """
    load = Load(scenario)
    load.prepare()
    try:
        result = load.create(on_progress)
    except BaseException:
        if not scenario.keep:
            load.clean_up()
        raise
    return load.finish(result)


class Load:
    """One run in steps, for a caller who has something to do between them, or wants to stop early."""

    def __init__(self, scenario: Scenario, system: Callable[[], System] = Kernel) -> None:
        self._scenario = scenario
        self._system = system
        self._work = Work(scenario)
        self._journal = Journal.of_user()
        self._target: Target | None = None
        self._conditions: Conditions | None = None
        self._loop_lag_ns = 0
        self._started_at = 0.0

    @property
    def recorder(self) -> Recorder:
        """What is recorded while the load runs; in shared memory, so that a process forked off may look on."""
        return self._work.recorder

    def prepare(self) -> None:
        """Asks what the target is, loads the image if it is needed, and writes the run down in the journal.

        Raises `TargetUnreachable`, `TargetRefused`, `HarnessError`.
        """
        scenario = self._scenario
        if scenario.image is None:
            reference = ensure_image(scenario.host)
            if reference != scenario.reference:
                self._scenario = scenario = attrs.evolve(scenario, image=reference)
                before, self._work = self._work, Work(scenario)
                if before.is_stopped:  # by a signal, meanwhile
                    self._work.stop()
        self._target = describe(scenario.host, scenario.reference)
        self._journal.begin(scenario)

    def create(self, on_progress: Callable[[Progress], None] | None = None) -> Result:
        """Sends the creates and waits for the answers. What becomes of them is in the result; nothing is raised for it."""
        scenario = self._scenario
        client = Client(socket_path(scenario.host), concurrency=scenario.concurrency, timeout_s=scenario.timeout_s)
        allow_connections(scenario.concurrency)
        system = self._system()
        self._started_at = time.time()
        with _no_garbage_collection():
            started_at_ns = self._work.begin(system.now_ns, on_progress)
            schedule = None if scenario.rate_per_s is None else self._schedule(scenario.rate_per_s, started_at_ns)
            pid = self._target.pid if self._target is not None else None
            with pinned(pid) if scenario.pin else nullcontext("") as pinning:
                meter = Meter(pid)
                try:
                    self._loop_lag_ns = client.run(self._work, schedule, system)
                finally:  # broken off, it has cost what it has cost
                    self._conditions = meter.read(pinning=pinning)
        self._work.tick()
        return self.result()

    def _schedule(self, rate_per_s: float, started_at_ns: int) -> Iterator[int]:
        scenario = self._scenario
        arrivals = poisson(rate_per_s, Random(scenario.seed)) if scenario.is_poisson else constant(rate_per_s)
        duration_ns = None if scenario.duration_s is None else round(scenario.duration_s * 1e9)
        warmup_ns = round(scenario.warmup_s * 1e9)
        planned = measured_part(arrivals, warmup_ns=warmup_ns, duration_ns=duration_ns, limit=scenario.limit)
        return (started_at_ns + at_ns for at_ns in planned)

    def stop(self) -> None:
        """Sends no more creates; those under way are still waited for. May be called from a signal handler."""
        self._work.stop()

    def result(self) -> Result:
        """The result so far: also of a load that was broken off."""
        work = self._work
        samples = work.recorder.samples(work.sent)
        created, errors = judge(self._scenario, samples, work.bodies, work.failures)
        answers = Counter(status for status in samples.statuses() if status)
        failed = answers.pop(FAILED, 0)
        return Result(
            scenario=self._scenario,
            server=self._target.version if self._target is not None else "",
            target=self._target,
            created=created,
            errors=errors,
            statuses=MappingProxyType(dict(sorted(answers.items()))),
            sent=work.sent,
            warmup_count=work.sent if work.warmup_count is None else work.warmup_count,
            renamed=MappingProxyType(dict(work.requests.renamed)),
            removed=frozenset(work.requests.removed),
            in_doubt=work.requests.in_doubt(),
            abandoned=work.sent - answers.total() - failed,
            unsent=work.unsent,
            samples=samples,
            conditions=self._conditions,
            started_at=self._started_at,
            loop_lag_ns=self._loop_lag_ns,
            is_interrupted=work.is_stopped,
        )

    def clean_up(self) -> Cleanup:
        """Removes all that the run created. Raises nothing of the target's: see the failures.

        The run stays in the journal if something could not be removed, or may be created yet.
        """
        result = self.result()
        given_up = {failure.kind for failure in self._work.failures} - NEVER_SENT
        is_settled = not given_up and not result.abandoned
        cleanup = clean_up(self._scenario, [ack.id for ack in result.created], is_settled=is_settled)
        if not cleanup.failures and ErrorKind.TIMEOUT not in given_up:
            self._journal.finish(self._scenario.run_id)
        return cleanup

    def carry_out(self) -> tuple[Result, Cleanup]:
        """All of it, the clean-up included; which `KeyboardInterrupt` skips, and leaves to the journal."""
        self.prepare()
        try:
            result = self.create()
        except Exception:
            self.clean_up()
            raise
        return result, self.clean_up()

    def finish(self, result: Result) -> Result:
        """The result with its clean-up, or without one if the containers are to be kept."""
        if self._scenario.keep:
            self._journal.finish(self._scenario.run_id)
            return result
        return attrs.evolve(result, cleanup=self.clean_up())


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """A collection would stop the loop for milliseconds; the loop makes no cycles."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
