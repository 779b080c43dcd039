"""The patterns in filters: regular expressions as Go's `regexp`, and file-name patterns as Go's `path.Match`.

Both are matched by RE2, whose time grows with the length of the text and never with its ways to match: a stranger's pattern
cannot hold the daemon up, as it could with Python's `re`. Go's syntax is RE2's. A pattern that would take more than
`PROGRAM_BYTES_MAX` matches nothing, like one that is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, cast

import re2

from daemon.errors import InvalidParameter

PROGRAM_BYTES_MAX = 1 << 20
"""Of one compiled pattern: room for some ten thousand steps, where the longest sensible name filter has a hundred."""

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False  # a stranger's mistake is no news for this daemon's standard error
_OPTIONS.never_capture = True
_OPTIONS.max_mem = PROGRAM_BYTES_MAX

BAD_PATTERN = "syntax error in pattern"

Match = Callable[[str], bool]


def any_found(patterns: Iterable[str]) -> Match:
    """Whether one of the regular expressions matches anywhere in a text; one that is none matches nothing, as in Docker."""
    found = [compiled.search for pattern in patterns if (compiled := _compiled(pattern)) is not None]
    return lambda text: any(search(text) is not None for search in found)


def any_fits(patterns: Iterable[str]) -> Match:
    """Whether all of a text is as one of the patterns says, in which `*` and `?` stand for anything but a slash.

    Raises:
        InvalidParameter: a bracket is not closed, or a backslash stands at the end.
    """
    fitting = []
    for pattern in patterns:
        compiled = _compiled(_from_glob(pattern))
        if compiled is None:
            raise InvalidParameter(BAD_PATTERN)
        fitting.append(compiled.fullmatch)
    return lambda text: any(fullmatch(text) is not None for fullmatch in fitting)


class _Compiled(Protocol):
    """What is used of an expression of RE2, whose package has no types."""

    def search(self, text: str) -> object | None: ...

    def fullmatch(self, text: str) -> object | None: ...


def _compiled(pattern: str) -> _Compiled | None:
    try:
        return cast("_Compiled", re2.compile(pattern, _OPTIONS))
    except (re2.error, UnicodeEncodeError):
        return None


def _from_glob(pattern: str) -> str:
    expression, left = [], list(reversed(pattern))
    while left:
        if left[-1] == "*":
            left.pop()
            expression.append("[^/]*")
        elif left[-1] == "?":
            left.pop()
            expression.append("[^/]")
        elif left[-1] == "[":
            left.pop()
            expression.append(_bracket(left))
        else:
            expression.append(re2.escape(_character(left)))
    return f"(?s:{''.join(expression)})"


def _bracket(left: list[str]) -> str:
    """What stands in the bracket that has just been opened, as a regular expression."""
    negation, ranges = "", list[str]()
    if left and left[-1] == "^":
        negation = left.pop()
    while not (ranges and left and left[-1] == "]"):
        low = high = _character(left, but_not="-]")
        if left and left[-1] == "-":
            left.pop()
            high = _character(left, but_not="-]")
        # One that runs backwards holds nothing.
        ranges.append(rf"\x{{{ord(low):x}}}-\x{{{ord(high):x}}}" if low <= high else "")
    left.pop()
    inside = "".join(ranges)
    if not inside:
        return "." if negation else r"[^\x{0}-\x{10FFFF}]"
    return f"[{negation}{inside}]"


def _character(left: list[str], *, but_not: str = "") -> str:
    """The next character, which a backslash may go before."""
    if left and left[-1] == "\\":
        left.pop()
    elif left and left[-1] in but_not:
        raise InvalidParameter(BAD_PATTERN)
    if not left:
        raise InvalidParameter(BAD_PATTERN)
    return left.pop()
