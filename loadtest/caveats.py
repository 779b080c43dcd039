"""What has to be said beside the numbers, so that nobody reads more into them than they hold. Pure.

Most of it is about the client: a harness that is slow itself measures itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from loadtest.conditions import Conditions
from loadtest.scenario import Scenario
from loadtest.selftest import Ceiling
from loadtest.statistics import Distribution, Statistics
from loadtest.units import duration_text, nanoseconds_text, rate_text

CEILING_WARNING_SHARE = 0.5
CEILING_LIMITED_SHARE = 0.8
CORE_LIMITED_SHARE = 0.8  # of one core; the loop has only one
CLIENT_LAG_WARNING_NS = 1_000_000
CLIENT_LAG_WARNING_SHARE = 0.05  # of the median response time
RUN_QUEUE_WARNING_SHARE = 0.2
PRESSURE_WARNING_SHARE = 0.2
KEEPING_UP_SHARE = 0.97  # achieved over offered; also where a search for the knee gives up


def is_client_limited(requests_per_s: float, ceiling: Ceiling | None, conditions: Conditions | None) -> bool:
    """Whether what was measured may be the client."""
    if ceiling is not None and requests_per_s > CEILING_LIMITED_SHARE * ceiling.requests_per_s:
        return True
    return conditions is not None and _share(conditions.client_cpu_s, conditions.elapsed_s) > CORE_LIMITED_SHARE


def caveats(
    scenario: Scenario,
    statistics: Statistics,
    requests_per_s: float,
    *,
    conditions: Conditions | None,
    ceiling: Ceiling | None,
    loop_lag_ns: int,
) -> Iterator[str]:
    """Sentences, the gravest first. `requests_per_s` counts those of all kinds."""
    if is_client_limited(requests_per_s, ceiling, conditions):
        yield "client-limited: the server might have answered more; the numbers are those of this client"
    elif ceiling is not None and requests_per_s > CEILING_WARNING_SHARE * ceiling.requests_per_s:
        yield f"the rate is more than half of what this client can do here ({rate_text(ceiling.requests_per_s)})"
    yield from _lateness(scenario, statistics)
    if conditions is not None:
        yield from _company(conditions)
    longest_ns = statistics.response_time.max_ns
    if longest_ns is not None and loop_lag_ns > CLIENT_LAG_WARNING_NS and loop_lag_ns * 2 > longest_ns:
        yield f"the client was held up for {nanoseconds_text(loop_lag_ns)} once: the longest times may be its own"
    missing = [percentile for percentile in statistics.response_time.percentiles if percentile.value_ns is None]
    if missing:
        needs = ", ".join(f"{percentile.name} needs {percentile.samples_needed:,} samples" for percentile in missing)
        yield f"{needs}; there are {statistics.response_time.count:,}"


def keeps_up(achieved_per_s: float, offered_per_s: float) -> bool:
    return achieved_per_s >= KEEPING_UP_SHARE * offered_per_s


def _lateness(scenario: Scenario, statistics: Statistics) -> Iterator[str]:
    if scenario.rate_per_s is None:
        return
    late_ns = _high(statistics.client_lag)
    median_ns = statistics.response_time.value_ns("p50")
    if late_ns is not None and late_ns > CLIENT_LAG_WARNING_NS:
        yield f"the client itself sent late, {nanoseconds_text(late_ns)} at its p99: response times contain that"
    elif late_ns is not None and median_ns and late_ns > CLIENT_LAG_WARNING_SHARE * median_ns:
        yield f"the client's own lateness ({nanoseconds_text(late_ns)} at its p99) is more than 5 % of the median"


def _company(conditions: Conditions) -> Iterator[str]:
    waited_s = conditions.client_run_queue_s
    if waited_s is not None and _share(waited_s, conditions.elapsed_s) > RUN_QUEUE_WARNING_SHARE:
        yield f"the client waited {duration_text(waited_s)} of {duration_text(conditions.elapsed_s)} for a CPU"
    if conditions.cpu_pressure is not None and conditions.cpu_pressure > PRESSURE_WARNING_SHARE:
        shared = "" if conditions.pinning else "; client and server share the CPUs (see --pin)"
        yield f"the machine was busy: in {conditions.cpu_pressure:.0%} of the time somebody waited for a CPU{shared}"


def _high(distribution: Distribution) -> int | None:
    """The p99; of too few samples the longest."""
    value_ns = distribution.value_ns("p99")
    return distribution.max_ns if value_ns is None else value_ns


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
