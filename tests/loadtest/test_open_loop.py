"""What the models say of a server whose delays are known: the open one what arithmetic says, the closed one something else."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, pairwise
from random import Random

import attrs
import pytest

from loadtest.arrivals import constant, measured_part, poisson
from loadtest.client import Client
from loadtest.errors import ErrorKind
from loadtest.loop import BEAT_NS
from loadtest.response import Response
from loadtest.runner import Load, Result
from loadtest.scenario import Scenario
from loadtest.statistics import Distribution, Times
from tests.loadtest.virtual import Delay, VirtualSystem

MS = 1_000_000
S = 1_000_000_000
STALL = (10 * S, 11 * S)
SERVICE_NS = 1 * MS


def stalls(number: int, arrived_at_ns: int) -> int:
    """An answer takes 1 ms, but none is given between 10 s and 11 s."""
    done_at_ns = arrived_at_ns + SERVICE_NS
    return max(done_at_ns, STALL[1]) if STALL[0] <= arrived_at_ns < STALL[1] else done_at_ns


def every_hundredth_is_slow(number: int, arrived_at_ns: int) -> int:
    return arrived_at_ns + (100 if number % 100 == 50 else 1) * MS


def measured(delay: Delay, **fields: object) -> Result:
    scenario = Scenario(host="unix:///s", run_id="r", **fields)  # type: ignore[arg-type]  # checked at run time
    return Load(scenario, lambda: VirtualSystem(delay)).create()


def milliseconds(distribution: Distribution, name: str) -> float:
    value_ns = distribution.max_ns if name == "max" else distribution.value_ns(name)
    assert value_ns is not None
    return value_ns / MS


# 20,000 requests at 1,000/s. Those of the second that the server stalls, 5 %, wait from 0 to 1,000 ms for its end.
@pytest.mark.parametrize(("name", "expected_ms"), [("p50", 1), ("p90", 1), ("p99", 800), ("p99.9", 980), ("max", 1000)])
def test_a_stall_of_a_second_counts_for_all_who_would_have_come_in_it(name: str, expected_ms: float) -> None:
    result = measured(stalls, rate_per_s=1000, count=20_000, concurrency=2000)
    assert milliseconds(result.statistics().response_time, name) == pytest.approx(expected_ms, rel=0.02)
    assert result.late == 0


# The same on 16 connections: 984 wait for one, which is had again at 16 per ms when the stall is over.
@pytest.mark.parametrize(
    ("name", "expected_ms"), [("p50", 1), ("p90", 1), ("p99", 800 + 200 / 16), ("p99.9", 980 + 20 / 16)]
)
def test_waiting_for_a_free_connection_is_part_of_the_response_time(name: str, expected_ms: float) -> None:
    result = measured(stalls, rate_per_s=1000, count=20_000, concurrency=16)
    statistics = result.statistics()
    assert milliseconds(statistics.response_time, name) == pytest.approx(expected_ms, rel=0.02)
    # Only the 16 that were under way were slow to be served, and no delay was the client's.
    assert milliseconds(statistics.service_time, "p99") == pytest.approx(1)
    assert statistics.client_lag.max_ns == 0
    assert result.late == pytest.approx(1000, rel=0.1)


def test_a_closed_loop_sees_almost_nothing_of_the_stall() -> None:
    result = measured(stalls, duration_s=20, concurrency=4)
    times = result.statistics().response_time
    assert result.statistics().created == pytest.approx(4 * 19_000, rel=0.02)
    assert [milliseconds(times, name) for name in ("p50", "p99", "p99.9")] == pytest.approx([1, 1, 1])
    assert sum(sample.done_at_ns - sample.intended_start_ns > 100 * MS for sample in result.samples) == 4


def test_a_slow_one_percent_is_what_lies_beyond_p99() -> None:
    times = measured(every_hundredth_is_slow, rate_per_s=1000, count=20_000).statistics().response_time
    assert [milliseconds(times, name) for name in ("p50", "p99", "p99.9", "max")] == pytest.approx([1, 1, 100, 100])


def test_a_slow_one_percent_leaves_a_closed_loop_of_one_a_lower_rate_and_the_same_percentiles() -> None:
    result = measured(every_hundredth_is_slow, count=20_000, concurrency=1)
    assert milliseconds(result.statistics().response_time, "p99.9") == pytest.approx(100)
    assert result.statistics().creates_per_s == pytest.approx(1000 / 1.99, rel=0.02)


def test_an_offered_rate_beyond_the_server_makes_response_times_grow_and_service_times_not() -> None:
    result = measured(lambda number, at_ns: at_ns + 10 * MS, rate_per_s=2000, count=4000, concurrency=10)
    statistics = result.statistics()
    # 10 connections carry 1,000/s: after 2 s the last of 4,000 has waited for 2,000 others.
    assert statistics.creates_per_s == pytest.approx(1000, rel=0.02)
    assert milliseconds(statistics.response_time, "max") == pytest.approx(2000, rel=0.02)
    assert milliseconds(statistics.service_time, "max") == pytest.approx(10)
    assert (result.unsent, result.late) == (0, 3990)


def test_a_client_that_can_send_nothing_sleeps_until_it_can() -> None:
    """It takes the server's time otherwise, most of all where the server has too little."""
    system = VirtualSystem(lambda number, at_ns: at_ns + 100 * MS)
    scenario = Scenario(host="unix:///s", run_id="r", rate_per_s=10_000, count=10_000, concurrency=2, timeout_s=2.0)
    result = Load(scenario, lambda: system).create()
    assert result.sent + result.unsent == 10_000
    assert result.sent == pytest.approx(2 * 30, abs=4)
    assert system.waits < 3 * S // BEAT_NS + result.sent


class EndsAfter:
    """A `Plan` that has enough when it is first looked at after so long."""

    def __init__(self, system: VirtualSystem, after_ns: int) -> None:
        self._system = system
        self._end_ns = system.now_ns() + after_ns
        self.ended_at_ns = 0
        self.count = 0
        """Of the requests that were sent or abandoned."""

    def next_request(self, intended_start_ns: int) -> tuple[int, bytes] | None:
        self.count += 1
        return self.count, b"x"

    def answered(self, number: int, times: Times, response: Response) -> None:
        """Of no interest."""

    def failed(self, number: int, times: Times, kind: ErrorKind, text: str) -> None:
        """Of no interest."""

    def abandoned(self, count: int) -> None:
        self.count += count

    def tick(self) -> bool:
        now_ns = self._system.now_ns()
        if now_ns < self._end_ns:
            return True
        self.ended_at_ns = self.ended_at_ns or now_ns
        return False


def test_all_that_was_due_when_it_ends_is_counted_though_nobody_was_free_for_it() -> None:
    system = VirtualSystem(lambda number, at_ns: at_ns + 2 * S)
    plan, began_ns = EndsAfter(system, S), system.now_ns()
    Client("/s", concurrency=1, timeout_s=5.0).run(plan, (began_ns + number * MS // 2 for number in count()), system)
    assert plan.count == (plan.ended_at_ns - began_ns) // (MS // 2) + 1


def test_what_is_still_waiting_a_timeout_after_the_schedules_end_is_abandoned_and_counted() -> None:
    result = measured(lambda number, at_ns: at_ns + 100 * MS, rate_per_s=1000, count=1000, concurrency=1, timeout_s=2.0)
    assert result.sent == pytest.approx(30, abs=3)
    assert result.sent + result.unsent == 1000


def test_the_warm_up_is_sent_but_not_measured() -> None:
    def cold(number: int, arrived_at_ns: int) -> int:
        return arrived_at_ns + (500 if arrived_at_ns < S else 1) * MS

    for fields in ({"rate_per_s": 1000}, {}):
        result = measured(cold, warmup_s=1.5, duration_s=0.5, concurrency=500 if fields else 4, **fields)
        assert result.warmup_count > 4
        assert result.statistics().created > 400
        assert result.statistics().response_time.max_ns == MS


def test_a_load_that_is_stopped_counts_what_was_due_and_not_sent() -> None:
    load = Load(Scenario(host="unix:///s", rate_per_s=1000, count=10_000, concurrency=1), lambda: VirtualSystem(slow))

    def slow(number: int, arrived_at_ns: int) -> int:
        if number == 5:
            load.stop()
        return arrived_at_ns + 100 * MS

    result = load.create()
    assert (result.sent, result.abandoned, result.is_interrupted) == (6, 0, True)
    assert result.unsent == pytest.approx(600, abs=260)  # what came due until the loop looked


def test_poisson_arrivals_have_the_rate_and_exponential_gaps_and_repeat_with_their_seed() -> None:
    times = taken(poisson(1000, Random(1)), 20_000)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert sum(gaps) / len(gaps) == pytest.approx(MS, rel=0.02)
    assert sum(gap > MS for gap in gaps) / len(gaps) == pytest.approx(0.368, rel=0.03)  # 1 / e
    assert times == taken(poisson(1000, Random(1)), 20_000)
    assert times != taken(poisson(1000, Random(2)), 20_000)


def test_a_constant_schedule_does_not_drift() -> None:
    assert taken(constant(3), 7) == [0, 333_333_333, 666_666_667, S, 1_333_333_333, 1_666_666_667, 2 * S]


@pytest.mark.parametrize(
    ("warmup", "duration", "limit", "expected"),
    [(0, 4, 100, [0, 1, 2, 3]), (0, None, 3, [0, 1, 2]), (2, 3, 100, [0, 1, 2, 3, 4]), (2, None, 2, [0, 1, 2, 3])],
)
def test_a_schedule_ends_after_its_count_or_its_time(
    warmup: int, duration: int | None, limit: int, expected: list[int]
) -> None:
    duration_ns = None if duration is None else duration * S
    part = measured_part(constant(1), warmup_ns=warmup * S, duration_ns=duration_ns, limit=limit)
    assert [at_ns // S for at_ns in part] == expected


def taken(schedule: Iterator[int], count: int) -> list[int]:
    return [at_ns for at_ns, _ in zip(schedule, range(count), strict=False)]


@attrs.define
class Late:
    """A clock of a client that is held up once, for 30 ms."""

    is_over: bool = False


def test_a_client_that_was_held_up_says_by_how_much() -> None:
    class Held(VirtualSystem):
        def wait(self, until_ns: int) -> list[tuple[int, int]]:
            ready = super().wait(until_ns)
            if self.requests == 50 and not late.is_over:
                late.is_over = True
                self._now_ns += 30 * MS
            return ready

    late = Late()
    scenario = Scenario(host="unix:///s", rate_per_s=1000, count=1000)
    result = Load(scenario, lambda: Held(lambda number, at_ns: at_ns + MS // 2)).create()
    assert 20 * MS < result.loop_lag_ns <= 30 * MS
    assert result.statistics().client_lag.max_ns == pytest.approx(30 * MS, rel=0.05)


def test_the_client_wakes_once_to_send_and_once_for_the_answer() -> None:
    wakes = []

    class Counting(VirtualSystem):
        def wait(self, until_ns: int) -> list[tuple[int, int]]:
            wakes.append(until_ns)
            return super().wait(until_ns)

    scenario = Scenario(host="unix:///s", rate_per_s=970, count=2000, concurrency=16)
    Load(scenario, lambda: Counting(lambda number, at_ns: at_ns + MS // 10)).create()
    assert len(wakes) <= 2 * 2000
