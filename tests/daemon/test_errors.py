"""Texts as Go writes them."""

from __future__ import annotations

import pytest

from daemon.errors import joined, quoted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", '""'),
        (" a~Z_[]!#", '" a~Z_[]!#"'),
        ('say "x"\\', '"say \\"x\\"\\\\"'),
        ("\a\b\f\n\r\t\v", '"\\a\\b\\f\\n\\r\\t\\v"'),
        ("\0\x1f\x7f", '"\\x00\\x1f\\x7f"'),
        ("\x80\xa0\xad", '"\\u0080\\u00a0\\u00ad"'),
        ("caf\u00e9 \u4e16 \U0001f600", '"caf\u00e9 \u4e16 \U0001f600"'),
        ("\u202e\ufeff\U000e0001", '"\\u202e\\ufeff\\U000e0001"'),
    ],
)
def test_a_text_is_quoted_as_go_quotes_it(text: str, expected: str) -> None:
    assert quoted(text) == expected


def test_several_complaints_are_a_list() -> None:
    assert joined(["only this "]) == "only this"
    assert joined(["one", "two\nlines"]) == "* one\n* two\n\tlines"
