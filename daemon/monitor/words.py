"""Numbers, times and strangers' texts as they are shown."""

from __future__ import annotations

import datetime

from daemon.overview import Creates
from loadtest.units import duration_text, rate_text


def shown(text: str) -> str:
    """A stranger's text without what would do something to a terminal, or turn the direction of writing."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")


def known(value_s: float | None) -> str:
    """`1.20 ms`; `-` for what could not be measured."""
    return "-" if value_s is None else duration_text(value_s)


def waited(value_s: float) -> str:
    """As `known`, of a time that is 0 where nobody has waited."""
    return known(value_s or None)


def rate(value_per_s: float | None) -> str:
    if value_per_s is None:
        return "-"
    return rate_text(value_per_s) if value_per_s else "0/s"


def uptime(value_s: float) -> str:
    """`42 s`, `3 min 12 s`, `5 h 3 min`, `12 d 5 h`: the two largest units."""
    whole = int(value_s)
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "min"), (whole % 60, "s")]
    first = next((index for index, (count, _) in enumerate(parts) if count), len(parts) - 1)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2])


def utc(time_ns: int) -> str:
    """`2026-11-26T08:00:00Z`."""
    return f"{datetime.datetime.fromtimestamp(time_ns // 10**9, datetime.UTC):%Y-%m-%dT%H:%M:%SZ}"


def local(time_ns: int, now_ns: int) -> str:
    """`09:00:00`, where we are; `Nov 24` of another day than `now_ns` is."""
    time, now = (datetime.datetime.fromtimestamp(each // 10**9) for each in (time_ns, now_ns))
    return f"{time:%H:%M:%S}" if time.date() == now.date() else f"{time:%b %d}"


def totals(creates: Creates) -> str:
    """`12,345 created, 0 failed, 4 of 256 under way, 3 refused (2 conflict, 1 not found)`, since the start."""
    reasons = ", ".join(f"{count:,} {shown(reason.replace('_', ' '))}" for reason, count in creates.refused.items())
    return ", ".join(
        (
            f"{creates.created:,} created",
            f"{creates.failed:,} failed",
            f"{creates.under_way:,} of {creates.under_way_max:,} under way",
            *((f"{creates.turned_away:,} turned away",) if creates.turned_away else ()),
            f"{sum(creates.refused.values()):,} refused" + (f" ({reasons})" if reasons else ""),
        )
    )
