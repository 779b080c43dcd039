"""What is written down of runs: the published format of the JSON files, which reports are made from.

The types here are the format: `docs/loadtest.schema.json` is generated from them. Times are nanoseconds where the name ends
in `_ns`. A percentile that too few samples were measured for is null.
"""

from __future__ import annotations

from typing import Any

import msgspec

from loadtest.errors import HarnessError

VERSION = 2


class Times(msgspec.Struct, frozen=True):
    """How long something took."""

    count: int
    percentiles_ns: dict[str, int | None]
    """`p50`, `p75`, `p90`, `p99`, `p99.9`: exact, by nearest rank."""
    max_ns: int | None
    curve: tuple[tuple[float, int], ...] = ()
    """Points of the distribution: the share of all values that do not exceed the value, and the value."""


class Span(msgspec.Struct, frozen=True):
    """One interval of a run."""

    start_s: float
    created: int
    errors: int
    p50_ns: int | None
    p90_ns: int | None
    p99_ns: int | None
    max_ns: int | None


class OverTime(msgspec.Struct, frozen=True):
    interval_s: float
    spans: tuple[Span, ...]


class Environment(msgspec.Struct, frozen=True):
    """The machine that the client ran on."""

    kernel: str
    machine: str
    cpu_model: str
    cpu_count: int
    cpus_usable: int
    python: str
    load_average: tuple[float, float, float]
    """At the end of the run."""


class Server(msgspec.Struct, frozen=True):
    """What was measured. What it does not say is empty."""

    host: str
    version: str
    process: str
    driver: str
    data_root: str
    file_system: str
    image: str
    containers_before: int


class Plan(msgspec.Struct, frozen=True):
    """What was to be done."""

    run_id: str
    model: str
    """`closed` or `open`."""
    count: int | None
    duration_s: float | None
    concurrency: int
    rate_per_s: float | None
    is_poisson: bool
    warmup_s: float
    mix: dict[str, int]
    names: str
    image: str
    body: dict[str, Any]
    seed: int
    timeout_s: float


class Counts(msgspec.Struct, frozen=True):
    sent: int
    warmup: int
    """Of those sent: not measured."""
    created: int
    errors: int
    abandoned: int
    """Sent, and not waited for."""
    unsent: int
    """In an open loop: due, and never sent."""
    late: int
    """In an open loop: due when no connection was free."""
    statuses: dict[str, int]


class Errors(msgspec.Struct, frozen=True):
    """Those of one kind and, but for ids, names and numbers, of one message."""

    kind: str
    message: str
    count: int
    samples: tuple[str, ...]


class Use(msgspec.Struct, frozen=True):
    """What a process used while the load ran."""

    cpu_s: float
    core_share: float
    """Of the time: 1.0 is one core, all the time."""
    run_queue_s: float | None
    """How long it could run and had to wait for a CPU."""
    resident_bytes: int | None = None


class Client(msgspec.Struct, frozen=True):
    """The harness's own part in what was measured."""

    use: Use
    cpu_us_per_request: float
    loop_lag_ns: int
    """The longest that its loop came back later than it had meant to."""
    ceiling_per_s: float | None
    """What it does against a server that does nothing."""
    floor_p50_ns: int | None
    """The median of its service times there, one request at a time."""
    pinning: str
    is_limited: bool
    """What was measured may be the client."""
    ceiling_share: float | None = None
    """Of its ceiling it did so much, in requests of all kinds."""


class Objective(msgspec.Struct, frozen=True):
    text: str
    is_kept: bool
    measured: str


class Removal(msgspec.Struct, frozen=True):
    removed: int
    failures: tuple[str, ...]


class Made(msgspec.Struct, frozen=True, array_like=True):
    """A container that was acknowledged, that was not removed, and whose renames and removals were answered: what `verify` looks
    for."""

    id: str
    name: str
    """The last that it was given; empty when the server chose it."""


class Run(msgspec.Struct, frozen=True, tag="run", tag_field="kind"):
    """One run."""

    version: int
    command: tuple[str, ...]
    started_at: str
    environment: Environment
    server: Server
    plan: Plan
    counts: Counts
    elapsed_s: float
    creates_per_s: float
    response_time: Times
    """From the moment a request was meant to start to its answer."""
    service_time: Times
    """From its sending to its answer."""
    send_lag: Times
    """From the moment it was meant to start to its sending."""
    client_lag: Times
    """The same of the requests that found a free connection: then it is the client that was late."""
    operations: dict[str, Times]
    """Response times by operation."""
    over_time: OverTime
    errors: tuple[Errors, ...]
    client: Client
    server_use: Use | None
    cpu_pressure: float | None
    """The share of the time in which somebody on this machine waited for a CPU."""
    caveats: tuple[str, ...]
    objectives: tuple[Objective, ...]
    is_interrupted: bool
    cleanup: Removal | None
    containers: tuple[Made, ...] | None = None


class Usl(msgspec.Struct, frozen=True):
    """The Universal Scalability Law: X(N) = rate N / (1 + contention (N - 1) + coherency N (N - 1))."""

    rate_per_s: float
    contention: float
    coherency: float
    best_concurrency: float | None
    """Where throughput is highest; None when it only levels off."""
    r_squared: float


class Sweep(msgspec.Struct, frozen=True, tag="sweep", tag_field="kind"):
    """Runs with rising concurrency."""

    version: int
    command: tuple[str, ...]
    runs: tuple[Run, ...]
    fit: Usl | None
    """None from fewer than three runs."""


class Knee(msgspec.Struct, frozen=True, tag="knee", tag_field="kind"):
    """Runs at rising rates, to the highest that keeps the objectives."""

    version: int
    command: tuple[str, ...]
    runs: tuple[Run, ...]
    kept: tuple[bool, ...]
    """By run: whether it kept them."""
    knee_per_s: float | None
    """None when none did."""
    is_bounded: bool
    """Whether a rate was found that is too high."""


class Quotient(msgspec.Struct, frozen=True):
    """One metric of two targets: the median of the first over that of the second."""

    metric: str
    unit: str
    is_more_better: bool
    a: tuple[float, ...]
    """By block."""
    b: tuple[float, ...]
    ratio: float
    low: float
    high: float
    """The interval of the ratio, by bootstrap."""
    p: float
    """Mann-Whitney, both sides."""
    is_significant: bool


class Condition(msgspec.Struct, frozen=True):
    """Something that has to be alike for a comparison to be fair."""

    text: str
    is_met: bool | None
    """None: cannot be told from here."""


class Comparison(msgspec.Struct, frozen=True, tag="comparison", tag_field="kind"):
    """Two targets in turn."""

    version: int
    command: tuple[str, ...]
    rounds: int
    count: int
    """Requests in each block."""
    confidence: float
    names: tuple[str, str]
    quotients: tuple[Quotient, ...]
    conditions: tuple[Condition, ...]
    a: Run
    """All blocks of the first target together."""
    b: Run


Document = Run | Sweep | Knee | Comparison


def encode(document: Document) -> bytes:
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"


def decode(data: bytes, name: str = "document") -> Document:
    """Raises `HarnessError` for what is none of ours."""
    try:
        read: Document = msgspec.json.decode(data, type=Document)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise HarnessError(f"{name} is not a result of boatyard-load: {error}") from error
    if (read.runs[0] if isinstance(read, Sweep | Knee) and read.runs else read).version != VERSION:
        raise HarnessError(f"{name} has version {read.version} of the format, this is version {VERSION}")
    if isinstance(read, Sweep | Knee) and not read.runs:
        raise HarnessError(f"{name} has no runs in it")
    return read


def schema() -> dict[str, Any]:
    """JSON Schema of the format."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(Document)}
