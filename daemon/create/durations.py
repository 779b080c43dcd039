"""Durations as Go writes them: `1h30m`, `1.5s`, `-20ms`. Pure; rules and texts are those of Go's time.ParseDuration."""

from __future__ import annotations

import re

from daemon.errors import InvalidParameter, quoted

SECOND_NS = 1_000_000_000

_NUMBER = re.compile(r"([0-9]{1,18})(?:\.([0-9]{0,18}))?|\.([0-9]{1,18})", re.ASCII)
_UNIT = re.compile(r"[^.0-9]*", re.ASCII)
_UNITS_NS = {"ns": 1, "us": 1000, "\u00b5s": 1000, "\u03bcs": 1000, "ms": 10**6, "s": SECOND_NS, "m": 60 * SECOND_NS}
_UNITS_NS["h"] = 3600 * SECOND_NS
_NS_MAX = 2**63 - 1


def parse_duration(text: str) -> int:
    """Nanoseconds, those of an impossible number of digits refused. Raises InvalidParameter."""
    left = text[1:] if text[:1] in ("+", "-") else text
    if left == "0":
        return 0
    total, at = 0, 0
    while at < len(left) or not left:
        number = _NUMBER.match(left, at)
        if number is None:
            raise InvalidParameter(f"time: invalid duration {quoted(text)}")
        unit = _UNIT.match(left, number.end())
        assert unit is not None, "it matches nothing, too"
        if not unit[0]:
            raise InvalidParameter(f"time: missing unit in duration {quoted(text)}")
        if unit[0] not in _UNITS_NS:
            raise InvalidParameter(f"time: unknown unit {quoted(unit[0])} in duration {quoted(text)}")
        fraction = number[2] or number[3] or ""
        total += int(number[1] or 0) * _UNITS_NS[unit[0]] + int(fraction or 0) * _UNITS_NS[unit[0]] // 10 ** len(
            fraction
        )
        at = unit.end()
    if total > _NS_MAX:
        raise InvalidParameter(f"time: invalid duration {quoted(text)}")
    return -total if text.startswith("-") else total
