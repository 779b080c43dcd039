"""Creates for some seconds, over the load harness's own connections, and what became of them. Nothing is removed."""

from __future__ import annotations

import gc
import itertools
import json
import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence

import attrs

from contrib.engines import Engine
from loadtest.client import Client
from loadtest.errors import ErrorKind
from loadtest.image import REFERENCE
from loadtest.procfs import usage
from loadtest.response import Response
from loadtest.statistics import Times, distribution

TIMEOUT_S = 30.0
WARMUP_S = 1.0
CREATED, REFUSED = 201, 503


@attrs.frozen
class Load:
    """How it is asked."""

    clients: int
    seconds: float
    warmup_s: float = attrs.field(
        default=attrs.Factory(lambda self: min(WARMUP_S, self.seconds), takes_self=True), kw_only=True
    )
    """Before that, and not counted."""
    rate_per_s: float | None = None
    """Of an open loop; else each client asks as soon as it is answered."""
    keeps_alive: bool = True
    """Or each create comes over a connection of its own, as those of the docker command."""


@attrs.frozen
class Outcome:
    seconds: float
    times_ns: Sequence[int] = attrs.field(repr=False)
    """From the moment a create was to be sent to its 201."""
    refused: int
    """With a 503."""
    odd: int
    """All other answers, and what got none."""
    client_cpu_s: float
    daemon_cpu_s: float

    @property
    def creates_per_s(self) -> float:
        return len(self.times_ns) / self.seconds

    @property
    def creates_per_cpu_s(self) -> float:
        """Of the daemon."""
        return over(len(self.times_ns), self.daemon_cpu_s)


def over(figure: float, base: float) -> float:
    """NaN where that is nothing: in a very short time nothing may have been created, and no tick of the CPU's clock seen."""
    return figure / base if base else math.nan


def percentile_ms(times_ns: Sequence[int], name: str) -> float:
    """NaN if there are too few."""
    value_ns = distribution(times_ns).value_ns(name)
    return math.nan if value_ns is None else value_ns / 1e6


def outcome_of(engine: Engine, load: Load) -> Outcome:
    """Asks, and returns when everything is answered."""
    plan = _Creates(load)
    client = Client(str(engine.socket), concurrency=load.clients, timeout_s=TIMEOUT_S)
    schedule = None if load.rate_per_s is None else _schedule(time.perf_counter_ns(), load.rate_per_s)
    gc.collect()
    gc.disable()  # it would stop the loop for milliseconds
    try:
        client_before_s, daemon_before_s = time.process_time(), _cpu_s(engine)
        began = time.perf_counter()
        client.run(plan, schedule)
        part = load.seconds / (time.perf_counter() - began)  # the rest is warm-up, and waiting for the last answers
        return Outcome(
            seconds=load.seconds,
            times_ns=plan.times_ns,
            refused=plan.statuses[REFUSED],
            odd=plan.statuses.total() - plan.statuses[REFUSED] - plan.statuses[CREATED],
            client_cpu_s=(time.process_time() - client_before_s) * part,
            daemon_cpu_s=(_cpu_s(engine) - daemon_before_s) * part,
        )
    finally:
        gc.enable()


def _schedule(start_ns: int, rate_per_s: float) -> Iterator[int]:
    return (start_ns + round(number * 1e9 / rate_per_s) for number in itertools.count())


def _cpu_s(engine: Engine) -> float:
    used = usage(engine.process.pid)
    assert used is not None, "it runs"
    return used.cpu_s


class _Creates:
    """A `loop.Plan`."""

    def __init__(self, load: Load) -> None:
        self._request = _request(keeps_alive=load.keeps_alive)
        self._from_ns = time.perf_counter_ns() + round(load.warmup_s * 1e9)
        self._until_ns = self._from_ns + round(load.seconds * 1e9)
        self.times_ns: list[int] = []
        self.statuses: Counter[int] = Counter()
        """0: no answer."""

    def next_request(self, intended_start_ns: int) -> tuple[int, bytes] | None:
        return (0, self._request) if time.perf_counter_ns() < self._until_ns else None

    def answered(self, number: int, times: Times, response: Response) -> None:
        if self._from_ns <= times.done_at_ns < self._until_ns:
            self.statuses[response.status] += 1
            if response.status == CREATED:
                self.times_ns.append(times.done_at_ns - times.intended_start_ns)

    def failed(self, number: int, times: Times, kind: ErrorKind, text: str) -> None:
        self.statuses[0] += 1

    def abandoned(self, count: int) -> None:
        """Due, and not sent: whoever asks for more than there is has some of these."""

    def tick(self) -> bool:
        return time.perf_counter_ns() < self._until_ns


def _request(*, keeps_alive: bool) -> bytes:
    body = json.dumps({"Image": REFERENCE, "Cmd": ["/bin/sh"], "Labels": {"bench": "peers"}}).encode()
    lines = ["POST /containers/create HTTP/1.1", "Host: docker", "Content-Type: application/json"]
    lines += [f"Content-Length: {len(body)}", *(() if keeps_alive else ("Connection: close",))]
    return "\r\n".join([*lines, "", ""]).encode() + body
