"""The plan of a run, and all that is recorded of it while it goes on: what to send next, and what came back, undecoded."""

from __future__ import annotations

import sys
from collections.abc import Callable

import attrs

from loadtest.errors import ErrorKind, Failure
from loadtest.outcome import CONFLICT, CREATED, is_conflict
from loadtest.requests import CREATE, OK, Requests
from loadtest.response import Response
from loadtest.scenario import COUNT_MAX, Scenario
from loadtest.statistics import FAILED, Recorder, Times


@attrs.frozen
class Progress:
    """How far a run has come. `errors` counts what can be told without decoding; the result's are the verdict."""

    done: int
    errors: int
    elapsed_s: float
    share: float
    """Of the whole, by requests or by time: from 0 to 1."""
    count: int | None
    """How many there will be, where that is known."""
    sent: int = 0
    is_stopping: bool = False
    """Whether it was told to send nothing more."""


class Work:
    """A `loop.Plan`."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self.requests = Requests(scenario)
        self._is_fine = frozenset({CREATED, CONFLICT} if scenario.expects_conflicts else OK.values())
        self._limit, self._end_ns = COUNT_MAX, sys.maxsize
        self._now_ns: Callable[[], int] = lambda: 0
        self._started_at_ns = self._measured_from_ns = 0
        self._on_progress: Callable[[Progress], None] | None = None
        self._done = 0
        self._errors = 0
        self.is_stopped = False
        self.sent = 0
        self.unsent = 0
        self.warmup_count: int | None = None if scenario.warmup_s else 0
        """How many requests came before those that are measured; None while there are none of those."""
        self.recorder = Recorder(COUNT_MAX if scenario.warmup_s else scenario.limit)
        self.bodies: list[bytes] = []
        """Of the answers to creates, and of all that are refusals."""
        self.failures: list[Failure] = []

    def begin(self, now_ns: Callable[[], int], on_progress: Callable[[Progress], None] | None) -> int:
        """From now on the clock runs, and `on_progress` is called with every tick. Returned is the time."""
        self._now_ns = now_ns
        self._on_progress = on_progress
        self._started_at_ns = now_ns()
        self._measured_from_ns = self._started_at_ns + round(self._scenario.warmup_s * 1e9)
        if self.warmup_count is not None:
            self._begin_measuring(self.warmup_count)
        return self._started_at_ns

    def stop(self) -> None:
        """Nothing more is sent. May be called from a signal handler."""
        self.is_stopped = True

    def next_request(self, intended_start_ns: int) -> tuple[int, bytes] | None:
        number = self.sent
        if self.warmup_count is None and intended_start_ns >= self._measured_from_ns:
            self._begin_measuring(number)
        if self.is_stopped or number >= self._limit or intended_start_ns >= self._end_ns:
            return None
        self.sent = number + 1
        self.bodies.append(b"")
        return number, self.requests.make(number)

    def answered(self, number: int, times: Times, response: Response) -> None:
        operation = self.requests.answered(number, response)
        self.recorder.record(number, times, response.status, operation)
        if operation is CREATE or response.status >= 300:
            self.bodies[number] = response.body
        self._done += 1
        if response.status not in self._is_fine and not self._is_conflict(response):
            self._errors += 1

    def failed(self, number: int, times: Times, kind: ErrorKind, text: str) -> None:
        self.recorder.record(number, times, FAILED, self.requests.failed(number))
        self.failures.append(Failure(number, kind, text))
        self._done += 1
        self._errors += 1

    def _is_conflict(self, response: Response) -> bool:
        return self._scenario.expects_conflicts and is_conflict(response.status, response.body)

    def abandoned(self, count: int) -> None:
        self.unsent += count

    def tick(self) -> bool:
        if self._on_progress is not None:
            self._on_progress(self._progress())
        return not self.is_stopped

    def _progress(self) -> Progress:
        elapsed_s = (self._now_ns() - self._started_at_ns) / 1e9
        scenario, count = self._scenario, None
        if scenario.duration_s is not None:
            share = elapsed_s / (scenario.warmup_s + scenario.duration_s)
        else:
            count = scenario.limit + (self.warmup_count or 0)
            share = self._done / count
        return Progress(self._done, self._errors, elapsed_s, min(share, 1.0), count, self.sent, self.is_stopped)

    def _begin_measuring(self, number: int) -> None:
        self.warmup_count = number
        if self._scenario.is_open:
            return  # its schedule ends by itself
        self._limit = min(number + self._scenario.limit, COUNT_MAX)
        if self._scenario.duration_s is not None:
            self._end_ns = self._measured_from_ns + round(self._scenario.duration_s * 1e9)
