from __future__ import annotations

import pytest

from loadtest.errors import BadScenario
from loadtest.slo import Slo
from loadtest.statistics import Statistics, distribution

MS = 1_000_000


def statistics(count: int = 1000) -> Statistics:
    """Response times of 1, 2, ... ms, service times of half of that, no lag, 500 a second."""
    response = distribution([number * MS for number in range(1, count + 1)])
    service = distribution([number * MS // 2 for number in range(1, count + 1)])
    nothing = distribution([0] * count)
    return Statistics(count, count / 500, 500.0, response, service, nothing, nothing)


@pytest.mark.parametrize(
    ("text", "is_kept", "measured"),
    [
        ("p99<1s", True, "990 ms"),
        ("p99<990ms", False, "990 ms"),
        ("p99<=990ms", True, "990 ms"),
        ("p50 < 501 ms", True, "500 ms"),
        ("p95<=0.95s", True, "950 ms"),
        ("max<1m", True, "1.00 s"),
        ("max<1000ms", False, "1.00 s"),
        ("service.p50<=250ms", True, "250 ms"),
        ("response.p50<=250ms", False, "500 ms"),
        ("lag.max<1us", True, "0.00 us"),
        ("rate>=500/s", True, "500/s"),
        ("rate>500/s", False, "500/s"),
        ("errors==0", False, "3"),
        ("errors<=3", True, "3"),
        ("errors<1%", True, "0.3%"),
        ("errors<0.3%", False, "0.3%"),
    ],
)
def test_an_objective_is_kept_or_broken_by_what_was_measured(text: str, is_kept: bool, measured: str) -> None:
    verdict = Slo.parse(text).judge(statistics(), errors=3, sent=1000)
    assert (verdict.is_kept, verdict.measured, verdict.text) == (is_kept, measured, text)


def test_a_percentile_of_too_few_samples_is_not_kept() -> None:
    verdict = Slo.parse("p99<1m").judge(statistics(999), errors=0, sent=999)
    assert (verdict.is_kept, verdict.measured) == (False, "cannot be told: needs 1,000 samples, there are 999")


def test_an_objective_says_how_many_samples_it_needs() -> None:
    needs = {text: Slo.parse(text).samples_needed for text in ("p50<1s", "p99.9<1s", "max<1s", "errors==0", "rate>1/s")}
    assert needs == {"p50<1s": 20, "p99.9<1s": 10_000, "max<1s": 1, "errors==0": 1, "rate>1/s": 1}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is not like"),
        ("p99.99999<1s", "needs 100,000,000 samples, and no run has more than 10,000,000"),
        ("p99", "is not like"),
        ("p99=50ms", "is not like"),
        ("p100<1s", "is not like"),
        ("p0<1s", "is not like"),
        ("p00.0<1s", "is not like"),
        ("mean<1s", "is not like"),
        ("p99<50", "the unit of p99 is m or ms or s or us"),
        ("p99<50/s", "the unit of p99"),
        ("rate>=500", "the unit of rate is /s"),
        ("errors<1ms", "the unit of errors"),
        ("service.errors==0", "errors is not a time"),
        ("p99<-1s", "is not like"),
    ],
)
def test_an_objective_that_cannot_be_read_is_refused(text: str, why: str) -> None:
    with pytest.raises(BadScenario, match=why):
        Slo.parse(text)
