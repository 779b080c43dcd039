"""Moments as clients write them: seconds since the epoch, a date, a time, or a duration ago.

Rules: moby v28 api/types/time/timestamp.go GetTimestamp, and Go's time.ParseDuration.
"""

from __future__ import annotations

import contextlib
import datetime
import re

from daemon.create.durations import SECOND_NS, parse_duration
from daemon.errors import InvalidParameter

_LAST_OF_UNITS = ("s", "m", "h")

_UNIX = re.compile(r"([+-]?[0-9]{1,18})(?:\.([0-9]{1,18}))?", re.ASCII)
_DATE = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:T([0-9]{2})(?::([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]+))?)?)?)?(Z|[+-][0-9]{2}:[0-9]{2})?",
    re.ASCII,
)


def parse_moment(text: str, now_ns: int) -> int:
    """Nanoseconds since the epoch. A time without a zone is one of this machine's.

    Raises:
        InvalidParameter: it is nothing of the kind.
    """
    if text.endswith(_LAST_OF_UNITS):  # nothing else does
        with contextlib.suppress(InvalidParameter):
            return (now_ns - parse_duration(text)) // SECOND_NS * SECOND_NS  # whole seconds, as in Docker
    if match := _UNIX.fullmatch(text):
        return int(match[1]) * SECOND_NS + _fraction_ns(match[2])
    if match := _DATE.fullmatch(text):
        try:
            return _date_ns(match)
        except (ValueError, OverflowError):
            pass  # the 31st of February
    raise InvalidParameter(f'failed to parse value as time or duration: "{text}"')


def _date_ns(match: re.Match[str]) -> int:
    date, hour, minute, second, fraction, zone = match.groups()
    text = f"{date}T{hour or '00'}:{minute or '00'}:{second or '00'}{(zone or '').replace('Z', '+00:00')}"
    moment = datetime.datetime.fromisoformat(text)  # the fraction apart: a datetime stops at microseconds
    return int(moment.timestamp()) * SECOND_NS + _fraction_ns(fraction)


def _fraction_ns(digits: str | None) -> int:
    return int((digits or "")[:9].ljust(9, "0"))
