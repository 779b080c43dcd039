"""Numbers as Go's `strconv` reads them, and its words for what it does not read."""

from __future__ import annotations

import re

from daemon.errors import InvalidParameter

_SIGNED = re.compile(r"[+-]?[0-9]+", re.ASCII)
_UNSIGNED = re.compile(r"[0-9]+", re.ASCII)
_DIGITS_MAX = 20
"""Of a number of 64 bits: a longer one is not even read."""

SYNTAX = "invalid syntax"
RANGE = "value out of range"


def parse_integer(text: str) -> int:
    """Raises InvalidParameter as `strconv.Atoi`."""
    complaint = SYNTAX
    if _SIGNED.fullmatch(text):
        complaint = RANGE
        if len(text.lstrip("+-0")) < _DIGITS_MAX and -(2**63) <= int(text) < 2**63:
            return int(text)
    raise InvalidParameter(f'strconv.Atoi: parsing "{text}": {complaint}')


def unsigned_complaint(text: str, number_max: int) -> str | None:
    """What is wrong with it as a number from 0 to `number_max`, None if nothing is."""
    if not _UNSIGNED.fullmatch(text):
        return SYNTAX
    return RANGE if len(text.lstrip("0")) > _DIGITS_MAX or int(text) > number_max else None
