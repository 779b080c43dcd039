"""Numbers in queries and filters, as Go's strconv reads them."""

from __future__ import annotations

import pytest

from daemon.api.numbers import RANGE, SYNTAX, parse_integer, unsigned_complaint
from daemon.errors import InvalidParameter

ZEROS = "0" * 10_000
"""More digits than Python's `int` takes."""


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("-0", 0),
        ("+7", 7),
        ("007", 7),
        (ZEROS, 0),
        (f"-{ZEROS}7", -7),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
    ],
)
def test_a_number_may_have_a_sign_and_zeros_before_it(text: str, number: int) -> None:
    assert parse_integer(text) == number


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", SYNTAX),
        ("-", SYNTAX),
        ("+-1", SYNTAX),
        ("1.0", SYNTAX),
        ("1_0", SYNTAX),
        ("\u0661", SYNTAX),
        ("9223372036854775808", RANGE),
        ("-9223372036854775809", RANGE),
        ("9" * 10_000, RANGE),
    ],
)
def test_what_is_no_number_of_64_bits_is_told_in_gos_words(text: str, complaint: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        parse_integer(text)
    assert str(caught.value) == f'strconv.Atoi: parsing "{text}": {complaint}'


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("0", None),
        (ZEROS, None),
        (f"{ZEROS}80", None),
        ("65535", None),
        ("65536", RANGE),
        ("9" * 10_000, RANGE),
        ("", SYNTAX),
        ("+1", SYNTAX),
        ("\u0661", SYNTAX),
    ],
)
def test_an_unsigned_number_has_an_end(text: str, complaint: str | None) -> None:
    assert unsigned_complaint(text, 65535) == complaint
