"""Numbers as Go's `strconv` reads them, and its words for what it does not read."""

from __future__ import annotations

import re

from daemon.errors import InvalidParameter

_SIGNED = re.compile(r"[+-]?[0-9]+", re.ASCII)
_UNSIGNED = re.compile(r"[0-9]+", re.ASCII)
_DIGITS_MAX = 20
"""Of a number of 64 bits: a longer one is not even read. Zeros before it do not count, nor are they read: Python takes 4,300."""

SYNTAX = "invalid syntax"
RANGE = "value out of range"


def parse_integer(text: str) -> int:
    """Raises InvalidParameter as `strconv.Atoi`."""
    complaint = SYNTAX
    if _SIGNED.fullmatch(text):
        complaint = RANGE
        digits = text.lstrip("+-0") or "0"
        number = int(digits) if len(digits) < _DIGITS_MAX else 2**64
        number = -number if text.startswith("-") else number
        if -(2**63) <= number < 2**63:
            return number
    raise InvalidParameter(f'strconv.Atoi: parsing "{text}": {complaint}')


def unsigned_complaint(text: str, number_max: int) -> str | None:
    """What is wrong with it as a number from 0 to `number_max`, None if nothing is."""
    if not _UNSIGNED.fullmatch(text):
        return SYNTAX
    digits = text.lstrip("0") or "0"
    return RANGE if len(digits) > _DIGITS_MAX or int(digits) > number_max else None
