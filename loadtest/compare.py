"""Two targets in turn, so that what changes on the machine meanwhile changes for both: ABBA, block after block.

A block is a load of its own on fresh connections, and its containers are removed before the next one begins: so each finds as
many as the other did. What is compared are blocks, not requests: those of one block are no independent measurements.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import attrs

from loadtest import document as doc
from loadtest.conditions import together
from loadtest.errors import HarnessError
from loadtest.runner import Load, Result
from loadtest.scenario import Scenario, new_run_id
from loadtest.significance import mann_whitney, ratio_interval
from loadtest.statistics import Samples, Statistics
from loadtest.target import Cleanup, Target

CONFIDENCE = 0.99
SIGNIFICANT_P = 0.01  # not 0.05: four metrics are looked at, and each would cry wolf once in twenty times
ORDER = "ABBA"


@attrs.frozen
class Metric:
    name: str
    unit: str
    is_more_better: bool
    read: Callable[[Statistics], float | None]


METRICS = (
    Metric("creates/s", "/s", True, lambda statistics: statistics.creates_per_s),
    Metric("p50", "ns", False, lambda statistics: statistics.response_time.value_ns("p50")),
    Metric("p90", "ns", False, lambda statistics: statistics.response_time.value_ns("p90")),
    Metric("p99", "ns", False, lambda statistics: statistics.response_time.value_ns("p99")),
)


@attrs.frozen
class Compared:
    a: tuple[Result, ...]
    b: tuple[Result, ...]
    is_interrupted: bool


class Comparing:
    """One comparison; may be stopped after the block that is under way."""

    def __init__(self, a: Scenario, b: Scenario, *, rounds: int) -> None:
        self._scenarios = {"A": a, "B": b}
        self._rounds = rounds
        self._is_stopped = False
        self._load: Load | None = None

    def stop(self) -> None:
        self._is_stopped = True
        if self._load is not None:
            self._load.stop()

    def run(self, on_block: Callable[[int, int, str, Result], None]) -> Compared:
        """`on_block` is told the number of each block, how many there will be, whose it was, and what became of it.

        One block of each before the first is thrown away: both are warm then. Raises as `Load.prepare`, and `HarnessError` when
        something could not be removed, which would be there for one and not for the other.
        """
        results: dict[str, list[Result]] = {"A": [], "B": []}
        for side in "AB":
            self._block(side)
        total = self._rounds * len(ORDER)
        for number, side in enumerate(ORDER * self._rounds):
            if self._is_stopped:
                break
            result = self._block(side)
            if not result.is_interrupted:
                results[side].append(result)
                on_block(number + 1, total, side, result)
        return Compared(tuple(results["A"]), tuple(results["B"]), self._is_stopped)

    def _block(self, side: str) -> Result:
        load = self._load = Load(attrs.evolve(self._scenarios[side], run_id=new_run_id()))
        if self._is_stopped:  # by a signal, between two blocks: nothing is sent
            load.stop()
        result, cleanup = load.carry_out()
        if cleanup.failures:
            raise HarnessError(f"{side}: {cleanup.failures[0].text}, and what one block leaves would slow the next")
        return attrs.evolve(result, cleanup=cleanup)


def quotients(compared: Compared, rng: Random, *, confidence: float = CONFIDENCE) -> tuple[doc.Quotient, ...]:
    """One for each metric that every block has enough samples for."""
    found = []
    a_statistics = [result.statistics() for result in compared.a]
    b_statistics = [result.statistics() for result in compared.b]
    for metric in METRICS:
        a, b = _values(metric, a_statistics), _values(metric, b_statistics)
        if a is None or b is None:
            continue
        ratio, low, high = ratio_interval(a, b, rng, confidence=confidence)
        p = mann_whitney(a, b)
        is_significant = p < SIGNIFICANT_P and not low <= 1 <= high
        found.append(
            doc.Quotient(metric.name, metric.unit, metric.is_more_better, a, b, ratio, low, high, p, is_significant)
        )
    return tuple(found)


def pooled(results: Sequence[Result]) -> Result:
    """All blocks of one target as if they were one run, one after the other: for its distribution, and its errors."""
    *_, last = results
    return attrs.evolve(
        last,
        created=tuple(ack for result in results for ack in result.created),
        errors=tuple(group for result in results for group in result.errors),
        sent=sum(result.sent for result in results),
        samples=Samples.joined([result.samples for result in results]),
        statuses={
            status: sum(result.statuses.get(status, 0) for result in results)
            for status in sorted({status for result in results for status in result.statuses})
        },
        conditions=together([result.conditions for result in results if result.conditions is not None]),
        loop_lag_ns=max(result.loop_lag_ns for result in results),
        cleanup=Cleanup(sum(result.cleanup.removed for result in results if result.cleanup)),
    )


def fairness(compared: Compared) -> tuple[doc.Condition, ...]:
    """What has to be alike, and whether it was."""
    a, b = compared.a[0], compared.b[0]
    before = [{result.target.containers for result in side if result.target} for side in (compared.a, compared.b)]
    same_body = a.scenario.body == b.scenario.body
    return (
        doc.Condition("the same body in every create", same_body),
        doc.Condition(f"the same image ({a.scenario.reference})", _alike(a.target, b.target, "image")),
        doc.Condition(
            f"as many containers there before each block ({_range(before[0])} and {_range(before[1])})",
            before[0] == before[1] if all(before) else None,
        ),
        doc.Condition("data on the same kind of file system", _alike(a.target, b.target, "file_system")),
        doc.Condition("the same kind of storage driver", _alike(a.target, b.target, "driver_kind")),
        doc.Condition(f"in the order {ORDER}, on fresh connections, both warm", True),
        doc.Condition("no errors", not any(result.error_count for result in (*compared.a, *compared.b))),
    )


def _values(metric: Metric, statistics: Sequence[Statistics]) -> tuple[float, ...] | None:
    values = [metric.read(each) for each in statistics]
    known = tuple(float(value) for value in values if value)
    return known if known and len(known) == len(values) else None


def _alike(a: Target | None, b: Target | None, field: str) -> bool | None:
    """None when one of them does not say."""
    values = [getattr(target, field, "") for target in (a, b)]
    return values[0] == values[1] if all(values) else None


def _range(counts: set[int]) -> str:
    if not counts:
        return "unknown"
    return f"{min(counts):,}" if len(counts) == 1 else f"{min(counts):,} to {max(counts):,}"
