"""A run from its image to its result: sends the creates, keeps what came back, judges it afterwards, cleans up.

While the load runs nothing is decoded and nothing is counted but progress; the garbage collector is off. Order and timing are the
client's, verdicts are `outcome`'s, numbers are `statistics`'.
"""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

import attrs

from loadtest.client import Client, Times
from loadtest.errors import ErrorKind, Failure
from loadtest.outcome import CONFLICT, CREATED, Ack, ErrorGroup, judge
from loadtest.response import Response
from loadtest.scenario import Naming, Scenario, socket_path
from loadtest.statistics import FAILED, Recorder, Samples, Statistics, summarize
from loadtest.target import Cleanup, clean_up, load_image, server_version


@attrs.frozen
class Progress:
    """How far a run has come. `errors` counts what can be told without decoding; the result's are the verdict."""

    done: int
    count: int
    errors: int
    elapsed_s: float


@attrs.frozen(kw_only=True)
class Result:
    """What a run did, as recorded."""

    scenario: Scenario
    server: str
    """What the target calls itself; empty when it does not say."""
    created: tuple[Ack, ...]
    """Every create that was acknowledged, in the order of sending: (name, id)."""
    errors: tuple[ErrorGroup, ...]
    statuses: Mapping[int, int]
    """How many answers had each HTTP status."""
    sent: int
    abandoned: int
    """Sent, but neither answered nor failed when the run was broken off."""
    samples: Samples = attrs.field(repr=False)
    client_cpu_s: float
    """CPU time of the thread that ran the load, from the first request to the last answer."""
    is_interrupted: bool
    cleanup: Cleanup | None = None
    """None when the containers were kept."""

    def statistics(self) -> Statistics:
        """Throughput and percentiles of the creates that were answered 201."""
        return summarize(self.samples, status=CREATED)

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
    return result if scenario.keep else attrs.evolve(result, cleanup=load.clean_up())


class Load:
    """One run in steps, for a caller who has something to do between them, or wants to stop early."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._creates = _Creates(scenario)
        self._server = ""
        self._cpu_s = 0.0
        self._is_stopped = False

    def prepare(self) -> None:
        """Asks the target for its version, and loads the image if it is needed. Raises `TargetUnreachable`, `TargetRefused`."""
        self._server = server_version(self._scenario.host)
        if self._scenario.image is None:
            load_image(self._scenario.host)

    def create(self, on_progress: Callable[[Progress], None] | None = None) -> Result:
        """Sends the creates and waits for the answers. What becomes of them is in the result; nothing is raised for it."""
        scenario = self._scenario
        client = Client(socket_path(scenario.host), concurrency=scenario.concurrency, timeout_s=scenario.timeout_s)
        with _no_garbage_collection():
            self._creates.watch(on_progress)
            cpu_start_ns = time.thread_time_ns()
            try:
                client.run(self._creates)
            finally:
                self._cpu_s = (time.thread_time_ns() - cpu_start_ns) / 1e9
        self._creates.tick()
        return self.result()

    def stop(self) -> None:
        """Sends no more creates; those under way are still waited for. May be called from a signal handler."""
        self._is_stopped = True
        self._creates.stop()

    def result(self) -> Result:
        """The result so far: also of a load that was broken off."""
        creates = self._creates
        samples = creates.recorder.samples()
        created, errors = judge(self._scenario, samples, creates.bodies, creates.failures)
        answers = Counter(status for status in samples.statuses() if status)
        failed = answers.pop(FAILED, 0)
        return Result(
            scenario=self._scenario,
            server=self._server,
            created=created,
            errors=errors,
            statuses=MappingProxyType(dict(sorted(answers.items()))),
            sent=creates.sent,
            abandoned=creates.sent - answers.total() - failed,
            samples=samples,
            client_cpu_s=self._cpu_s,
            is_interrupted=self._is_stopped,
        )

    def clean_up(self) -> Cleanup:
        """Removes all that the run created. Raises nothing of the target's: see the failures."""
        return clean_up(self._scenario, [ack.id for ack in self.result().created])


class _Creates:
    """The plan of a closed loop of creates, and all that is recorded of it."""

    def __init__(self, scenario: Scenario) -> None:
        self._head, self._tail = _request_parts(scenario)
        self._clients_per_name = scenario.names.clients_per_name
        self._is_numbered = scenario.names.naming is not Naming.GENERATED
        self._is_fine = frozenset({CREATED, CONFLICT} if scenario.expects_conflicts else {CREATED})
        self._count = self._limit = scenario.count
        self._on_progress: Callable[[Progress], None] | None = None
        self._started_at_s = 0.0
        self._done = 0
        self._errors = 0
        self.sent = 0
        self.recorder = Recorder(scenario.count)
        self.bodies: list[bytes] = [b""] * scenario.count
        self.failures: list[Failure] = []

    def watch(self, on_progress: Callable[[Progress], None] | None) -> None:
        """From now on the clock runs, and `on_progress` is called with every tick."""
        self._on_progress = on_progress
        self._started_at_s = time.perf_counter()

    def stop(self) -> None:
        self._limit = 0

    def next_request(self) -> tuple[int, bytes] | None:
        number = self.sent
        if number >= self._limit:
            return None
        self.sent = number + 1
        if not self._is_numbered:
            return number, self._head + self._tail
        return number, b"%b%d%b" % (self._head, number // self._clients_per_name, self._tail)

    def answered(self, number: int, times: Times, response: Response) -> None:
        self.recorder.record(number, *times, response.status)
        self.bodies[number] = response.body
        self._done += 1
        if response.status not in self._is_fine:
            self._errors += 1

    def failed(self, number: int, times: Times, kind: ErrorKind, text: str) -> None:
        self.recorder.record(number, *times, FAILED)
        self.failures.append(Failure(number, kind, text))
        self._done += 1
        self._errors += 1

    def tick(self) -> None:
        if self._on_progress is None:
            return
        elapsed_s = time.perf_counter() - self._started_at_s
        self._on_progress(Progress(self._done, self._count, self._errors, elapsed_s))


def _request_parts(scenario: Scenario) -> tuple[bytes, bytes]:
    """What comes before and after the number in a create's name; without a number, all of it comes before."""
    body = scenario.create_body()
    head = b"POST /containers/create"
    if scenario.names.naming is not Naming.GENERATED:
        head += f"?name={scenario.name_prefix}".encode()
    tail = b" HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
        len(body),
        body,
    )
    return head, tail


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
