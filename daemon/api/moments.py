"""Moments as clients write them: seconds since the epoch, a date, a time, or a duration ago.

Rules: moby v28 api/types/time/timestamp.go GetTimestamp, and Go's time.ParseDuration.
"""

from __future__ import annotations

import datetime
import re
from fractions import Fraction

from daemon.errors import InvalidParameter

SECOND_NS = 1_000_000_000

_UNIX = re.compile(r"([+-]?[0-9]{1,18})(?:\.([0-9]{1,18}))?", re.ASCII)
_DURATION = re.compile(
    r"[+-]?(?:(?:[0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18})(?:ns|us|\u00b5s|\u03bcs|ms|s|m|h))+", re.ASCII
)
_PART = re.compile(r"([0-9.]+)([a-z\u00b5\u03bc]+)")
_UNITS_NS = {"ns": 1, "us": 1000, "\u00b5s": 1000, "\u03bcs": 1000, "ms": 10**6, "s": SECOND_NS, "m": 60 * SECOND_NS}
_UNITS_NS["h"] = 3600 * SECOND_NS
_DATE = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:T([0-9]{2})(?::([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]+))?)?)?)?(Z|[+-][0-9]{2}:[0-9]{2})?",
    re.ASCII,
)


def parse_moment(text: str, now_ns: int) -> int:
    """Nanoseconds since the epoch. A time without a zone is one of this machine's.

    Raises:
        InvalidParameter: it is nothing of the kind.
    """
    if text != "0" and _DURATION.fullmatch(text):
        return (now_ns - _duration_ns(text)) // SECOND_NS * SECOND_NS  # whole seconds, as in Docker
    if match := _UNIX.fullmatch(text):
        return int(match[1]) * SECOND_NS + _fraction_ns(match[2])
    if match := _DATE.fullmatch(text):
        try:
            return _date_ns(match)
        except (ValueError, OverflowError):
            pass  # the 31st of February
    raise InvalidParameter(f'failed to parse value as time or duration: "{text}"')


def _duration_ns(text: str) -> int:
    total = sum(Fraction(number) * _UNITS_NS[unit] for number, unit in _PART.findall(text))
    return int(-total if text.startswith("-") else total)


def _date_ns(match: re.Match[str]) -> int:
    date, hour, minute, second, fraction, zone = match.groups()
    text = f"{date}T{hour or '00'}:{minute or '00'}:{second or '00'}{(zone or '').replace('Z', '+00:00')}"
    moment = datetime.datetime.fromisoformat(text)  # the fraction apart: a datetime stops at microseconds
    return int(moment.timestamp()) * SECOND_NS + _fraction_ns(fraction)


def _fraction_ns(digits: str | None) -> int:
    return int((digits or "")[:9].ljust(9, "0"))
