"""Numbers as people write and read them: `500ms`, `200/s`, `1,2,4,...,64` in; three significant digits out. Pure."""

from __future__ import annotations

import re
from itertools import pairwise

from loadtest.errors import BadScenario

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_UNIT_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_seconds(text: str) -> float:
    """`500ms`, `2s`, `1.5m`, or seconds without a unit. Raises `BadScenario`."""
    match = re.fullmatch(r"([0-9]*\.?[0-9]+)(us|ms|s|m|h)?", text)
    if match is None:
        raise BadScenario(f"{text!r} is not a time like 500ms, 2s or 1.5m")
    return float(match[1]) * _UNIT_S[match[2] or "s"]


def parse_rate(text: str) -> float:
    """Requests per second: `200/s`, `200`, `600/m`. Raises `BadScenario`."""
    match = re.fullmatch(r"([0-9]*\.?[0-9]+)(?:/(s|m))?", text)
    if match is None:
        raise BadScenario(f"{text!r} is not a rate like 200/s")
    return float(match[1]) / {"s": 1.0, "m": 60.0}[match[2] or "s"]


def parse_steps(text: str) -> tuple[int, ...]:
    """`1,2,4,8`; `1,2,4,...,64` goes on as it began, by doubling or by adding, to the last. Raises `BadScenario`."""
    words = [word.strip() for word in text.replace("…", "...").split(",")]
    numbers = [int(word) for word in words if word.isascii() and word.isdigit()]
    if words.count("...") == 1 and len(numbers) == len(words) - 1 and words[-2] == "..." and len(numbers) >= 3:
        numbers = _filled(numbers[:-1], numbers[-1])
    elif len(numbers) != len(words):
        numbers = []
    if not numbers or numbers[0] < 1 or any(later <= earlier for earlier, later in pairwise(numbers)):
        raise BadScenario(f"{text!r} is not a rising list like 1,2,4,8 or 1,2,4,...,64")
    return tuple(numbers)


def duration_text(value_s: float) -> str:
    """Three significant digits in the unit that suits: `812 us`, `6.13 ms`, `2.40 s`."""
    for limit_s, factor, unit in ((0.9995e-3, 1e6, "us"), (0.9995, 1e3, "ms")):
        if value_s < limit_s:
            return f"{value_s * factor:#.3g} {unit}".replace(". ", " ")
    return f"{value_s:#.3g} s".replace(". ", " ") if value_s < 1000 else f"{value_s:,.0f} s"


def nanoseconds_text(value_ns: float | None) -> str:
    """As `duration_text`; `-` for what could not be told."""
    return "-" if value_ns is None else duration_text(value_ns / 1e9)


def rate_text(value_per_s: float) -> str:
    """`1,234/s`, `87.3/s`."""
    return f"{value_per_s:,.0f}/s" if value_per_s >= 100 else f"{value_per_s:#.3g}/s".replace("./", "/")


def visible(text: str) -> str:
    """What somebody else has written, fit for a terminal: control characters as their numbers, but for tabs and line feeds."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def share_text(share: float | None) -> str:
    """`42%`, `0.7%`; `-` for what could not be told."""
    if share is None:
        return "-"
    return f"{share:.0%}" if share >= 0.1 else f"{share:.1%}"


def bytes_text(value: int) -> str:
    return f"{value / 2**20:,.0f} MB"


def _filled(given: list[int], last: int) -> list[int]:
    """The numbers with those that the dots stand for; empty when the last cannot be reached."""
    before, latest = given[-2:]
    is_doubling = (
        before > 0 and latest % before == 0 and latest > before and (len(given) < 3 or given[-3] * latest == before**2)
    )
    numbers = list(given)
    while numbers[-1] < last:
        numbers.append(numbers[-1] * (latest // before) if is_doubling else numbers[-1] + latest - before)
        if numbers[-1] <= numbers[-2]:
            return []
    return numbers if numbers[-1] == last else []
