"""Promises about a run that it keeps or breaks: `p99<50ms`, `errors==0`, `rate>=500/s`. Pure.

A percentile that too few samples were measured for is not kept: a promise that cannot be checked must not pass.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from fractions import Fraction

import attrs

from loadtest.errors import BadScenario
from loadtest.scenario import COUNT_MAX
from loadtest.statistics import Statistics, samples_needed
from loadtest.units import nanoseconds_text, rate_text

_FORM = re.compile(
    r"(?:(?P<of>service|response|lag)\.)?(?P<metric>p(?!0+(?:\.0+)?\b)\d{1,2}(?:\.\d+)?|max|errors|rate)\s*"
    r"(?P<operator><=|>=|==|<|>)\s*(?P<value>\d+(?:\.\d+)?)\s*(?P<unit>us|ms|s|m|/s|%)?"
)
_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
}
_NS = {"us": 1e3, "ms": 1e6, "s": 1e9, "m": 60e9}
_UNITS = {"errors": {"", "%"}, "rate": {"/s"}}


@attrs.frozen
class Verdict:
    text: str
    is_kept: bool
    measured: str
    """For people: the value, or why there is none."""


@attrs.frozen
class Slo:
    text: str
    metric: str
    of: str
    """Which time: `response`, `service` or `lag`."""
    operator: str
    limit: float
    """Nanoseconds, requests per second, a number of errors, or with `%` their share."""
    unit: str

    @classmethod
    def parse(cls, text: str) -> Slo:
        """Raises `BadScenario`."""
        match = _FORM.fullmatch(text.strip())
        if match is None:
            raise BadScenario(
                f"objective {text!r} is not like p99<50ms, service.max<1s, errors==0, errors<1% or rate>=500/s"
            )
        metric, unit = match["metric"], match["unit"] or ""
        if unit not in _UNITS.get(metric, set(_NS)):
            known = " or ".join(sorted(_UNITS.get(metric, set(_NS)))) or "none"
            raise BadScenario(f"objective {text!r}: the unit of {metric} is {known}")
        if match["of"] and metric in _UNITS:
            raise BadScenario(f"objective {text!r}: {metric} is not a time")
        value = float(match["value"]) * _NS.get(unit, 1.0)
        slo = cls(text.strip(), metric, match["of"] or "response", match["operator"], value, unit)
        if slo.samples_needed > COUNT_MAX:
            raise BadScenario(
                f"objective {text!r} needs {slo.samples_needed:,} samples, and no run has more than {COUNT_MAX:,}"
            )
        return slo

    @property
    def samples_needed(self) -> int:
        """How many creates it takes to tell."""
        return samples_needed(Fraction(self.metric[1:]) / 100) if self.metric.startswith("p") else 1

    def judge(self, statistics: Statistics, *, errors: int, sent: int) -> Verdict:
        """`errors` of all requests `sent`, warm-up included."""
        if self.metric == "errors":
            share = 100 * errors / sent if sent else 0.0
            measured = share if self.unit == "%" else float(errors)
            return self._compare(measured, f"{share:.3g}%" if self.unit == "%" else f"{errors:,}")
        if self.metric == "rate":
            return self._compare(statistics.creates_per_s, rate_text(statistics.creates_per_s))
        distribution = {
            "response": statistics.response_time,
            "service": statistics.service_time,
            "lag": statistics.send_lag,
        }[self.of]
        is_percentile = self.metric.startswith("p")
        value_ns = distribution.at(Fraction(self.metric[1:]) / 100) if is_percentile else distribution.max_ns
        if value_ns is None:
            return Verdict(
                self.text,
                False,
                f"cannot be told: needs {self.samples_needed:,} samples, there are {distribution.count:,}",
            )
        return self._compare(value_ns, nanoseconds_text(value_ns))

    def _compare(self, measured: float, shown: str) -> Verdict:
        return Verdict(self.text, _OPERATORS[self.operator](measured, self.limit), shown)
