"""Go's scanner, state by state: what it says where a document breaks off or goes wrong, and what it lets pass."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.api.codec import Number
from daemon.api.gojson import DEPTH_MAX, SyntaxMistake, decode, is_more, quoted_char
from daemon.errors import InvalidParameter

VALUE = "looking for beginning of value"
KEY = "looking for beginning of object key string"

WRONG: list[tuple[str, str, str]] = [
    # The document, the character at which it goes wrong, what was expected there.
    ("x", "x", VALUE),
    ("]", "]", VALUE),
    ("[1,]", "]", VALUE),
    ("[,", ",", VALUE),
    ('{"a":}', "}", VALUE),
    ("NaN", "N", VALUE),
    ("+1", "+", VALUE),
    (".5", ".", VALUE),
    ("'a'", "\\'", VALUE),
    ("{1:2}", "1", KEY),
    ("{'a':1}", "\\'", KEY),
    ('{"a":1,}', "}", KEY),
    ("{,", ",", KEY),
    ('{"a" 1}', "1", "after object key"),
    ('{"a"}', "}", "after object key"),
    ('{"a":1 "b"', '"', "after object key:value pair"),
    ('{"a":1]', "]", "after object key:value pair"),
    ("[1 2]", "2", "after array element"),
    ("[1}", "}", "after array element"),
    ("[01]", "1", "after array element"),
    ('"a\nb"', "\\n", "in string literal"),
    ('"\x00"', "\\x00", "in string literal"),
    ('"\\x41"', "x", "in string escape code"),
    ('"\\\n"', "\\n", "in string escape code"),
    ('"\\u12g4"', "g", "in \\u hexadecimal character escape"),
    ('"\\u"', '"', "in \\u hexadecimal character escape"),
    ("-x", "x", "in numeric literal"),
    ("--1", "-", "in numeric literal"),
    ("1.x", "x", "after decimal point in numeric literal"),
    ("[1.]", "]", "after decimal point in numeric literal"),
    ("1e", "", ""),
    ("1ex", "x", "in exponent of numeric literal"),
    ("[1e+]", "]", "in exponent of numeric literal"),
    ("tru", "", ""),
    ("trux", "x", "in literal true (expecting 'e')"),
    ("fals!", "!", "in literal false (expecting 'e')"),
    ("nul1", "1", "in literal null (expecting 'l')"),
    ("\u00e9", "\u00c3", VALUE),  # the first byte of two
    ("\u00a0{}", "\u00c2", VALUE),  # a blank to Unicode, not to JSON
    ("\ufeff{}", "\u00ef", VALUE),
]


@pytest.mark.parametrize(("text", "char", "context"), WRONG)
def test_what_is_wrong_is_told_with_the_character_and_what_was_expected(text: str, char: str, context: str) -> None:
    with pytest.raises(SyntaxMistake) as caught:
        decode(text.encode())
    expected = f"invalid character '{char}' {context}" if context else "unexpected EOF"
    assert str(caught.value) == f"invalid JSON: {expected}"


@pytest.mark.parametrize(
    "text", ["", " ", "{", "[", '{"a', '{"a"', '{"a":', '{"a":1', '{"a":1,', "[1", "[1,", '"', "-", "1.", "1e+"]
)
def test_a_document_that_breaks_off_anywhere_has_an_unexpected_end(text: str) -> None:
    with pytest.raises(SyntaxMistake, match=r"^invalid JSON: unexpected EOF$"):
        decode(text.encode())


@pytest.mark.parametrize(
    ("content", "value", "rest"),
    [
        (b" null\r\n\t", None, ""),
        (b'{"a":{}} x', {"a": {}}, "x"),
        (b"[[],{}]]", [[], {}], "]"),
        (b"-0.5e+10,", Number("-0.5e+10"), ","),
        (b"12a", Number("12"), "a"),
        (b"truefalse", True, "false"),
        (b'"a""b"', "a", '"b"'),
        (b'"\\u00e9\\ud83d\\ude00\\"\\/"', '\u00e9\U0001f600"/', ""),
        (b'"\\ud83d x \\ude00"', "\ufffd x \ufffd", ""),
        (b'"\xe2\x82 \xed\xa0\x80 \xff"', "\ufffd\ufffd \ufffd\ufffd\ufffd \ufffd", ""),
        (b'{"a":1,"a":2}', {"a": Number("2")}, ""),
        (b"[" * DEPTH_MAX + b"]" * DEPTH_MAX, None, ""),
    ],
)
def test_what_go_takes_is_taken_and_what_follows_is_left(content: bytes, value: Any, rest: str) -> None:
    found, left = decode(content)
    assert left == rest
    if value is not None:
        assert found == value


def test_nesting_has_a_limit() -> None:
    with pytest.raises(SyntaxMistake, match=r"^invalid JSON: invalid character '\[' exceeded max depth$"):
        decode(b"[" * (DEPTH_MAX + 1))


@pytest.mark.parametrize(("rest", "expected"), [("", False), ("]", False), ("} x", False), ("x", True), ('"', True)])
def test_a_closing_bracket_is_nothing_more(rest: str, expected: bool) -> None:
    assert is_more(rest) is expected


@pytest.mark.parametrize(
    ("char", "shown"),
    [
        ("a", "'a'"),
        ("'", r"'\''"),
        ('"', "'\"'"),
        ("\\", r"'\\'"),
        ("\n", r"'\n'"),
        ("\x7f", r"'\x7f'"),
        ("\udcff", "'\u00ff'"),
    ],
)
def test_a_character_is_shown_as_go_quotes_it(char: str, shown: str) -> None:
    assert quoted_char(char) == shown


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def plain(value: Any) -> Any:
    if isinstance(value, Number):
        return json.loads(value.text)
    if isinstance(value, list):
        return [plain(each) for each in value]
    return {key: plain(each) for key, each in value.items()} if isinstance(value, dict) else value


@given(JSON_VALUES, st.booleans())
@settings(derandomize=True, max_examples=200)
def test_a_document_is_read_as_any_other_reader_reads_it(value: Any, is_ascii: bool) -> None:
    found, rest = decode(json.dumps(value, ensure_ascii=is_ascii, indent=1).encode())
    assert (plain(found), rest) == (value, "")


@given(st.binary(max_size=60) | st.text(alphabet='{}[]:,"\\\\u0019.eE+-truefalsn ', max_size=40).map(str.encode))
@settings(derandomize=True, max_examples=500)
def test_any_bytes_are_a_document_or_refused(content: bytes) -> None:
    try:
        decode(content)
    except InvalidParameter as error:
        assert str(error).startswith("invalid JSON: ")
