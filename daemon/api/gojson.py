"""JSON as Go's encoding/json reads it, for what msgspec will not take: its texts for what is wrong, and its leniencies.

Slow, and so only the second try: bodies that are in order never come here. What differs from msgspec: bytes that are no UTF-8 and
halves of surrogate pairs become U+FFFD, nesting may be 10,000 deep, numbers are kept as they were written (`codec.Number`) and
may be of any size, and what follows the document is the caller's affair.

The states are those of Go's scanner.go: what may come next, and what it says if something else does.
"""

from __future__ import annotations

import json
import re
from typing import Any

from daemon.api.codec import Number
from daemon.errors import InvalidParameter, quoted

DEPTH_MAX = 10_000
"""Go's own limit."""

_BLANK = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]+|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+')
"""Without the closing quote: where it stops is where the mistake is, if that does not follow."""

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_NUMBER_BEGUN = re.compile(
    r"(-(?!\d))|(-?(?:0|[1-9][0-9]*)\.(?!\d))|(-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?[eE][+-]?+(?!\d))"
)
_NUMBER_MISTAKES = ("in numeric literal", "after decimal point in numeric literal", "in exponent of numeric literal")
_LITERALS = {"t": ("true", True), "f": ("false", False), "n": ("null", None)}
_SURROGATE = re.compile("[\ud800-\udfff]")
_HEX = re.compile(r"u[0-9a-fA-F]{0,3}")

# Any: a document is what it is.
Value = Any


class SyntaxMistake(InvalidParameter):
    """The body is no JSON."""


def decode(content: bytes) -> tuple[Value, str]:
    """The first document in `content`, and the text after it without the blanks that begin it.

    Raises:
        SyntaxMistake: in Go's words.
    """
    reader = _Reader(content.decode("utf-8", "surrogateescape"))
    value = reader.document()
    return value, reader.text[reader.skip_blanks() :]


def is_more(rest: str) -> bool:
    """Whether Go sees something after a document (json.Decoder.More): a closing bracket is nothing to it."""
    return bool(rest) and rest[0] not in "]}"


class _Reader:
    """A text and a place in it. A stack of open containers takes the place of recursion."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._at = 0

    def skip_blanks(self) -> int:
        match = _BLANK.match(self.text, self._at)
        assert match is not None
        self._at = match.end()
        return self._at

    def document(self) -> Value:
        open_containers: list[tuple[list[Value] | dict[str, Value], str]] = []
        """The containers around this place, each with the key in it that the next value is for."""
        while True:
            opened = self._begin_value(open_containers, "looking for beginning of value")
            while opened is not _OPENED:
                if not open_containers:
                    return opened
                opened = self._end_value(open_containers, opened)

    def _begin_value(self, around: list[tuple[list[Value] | dict[str, Value], str]], context: str) -> Value:
        """A value, or `_OPENED` when a container has been opened and its first value is to come."""
        self.skip_blanks()
        char = self._peek()
        if char in ("{", "["):
            return self._open(around, char)
        if char == '"':
            return self._string()
        if char == "-" or "0" <= char <= "9":
            return self._number()
        if char in _LITERALS:
            return self._literal(*_LITERALS[char])
        raise self._mistake(context)

    def _open(self, around: list[tuple[list[Value] | dict[str, Value], str]], char: str) -> Value:
        if len(around) >= DEPTH_MAX:
            raise self._mistake("exceeded max depth")
        self._at += 1
        self.skip_blanks()
        if char == "[":
            if self._peek() == "]":
                self._at += 1
                return []
            around.append(([], ""))
            return _OPENED
        if self._peek() == "}":
            self._at += 1
            return {}
        around.append(({}, self._key()))
        return _OPENED

    def _end_value(self, around: list[tuple[list[Value] | dict[str, Value], str]], value: Value) -> Value:
        """Put the value where it belongs: `_OPENED` if another follows there, else the container, which is whole."""
        container, key = around[-1]
        self.skip_blanks()
        char = self._peek()
        if isinstance(container, list):
            container.append(value)
            if char not in (",", "]"):
                raise self._mistake("after array element")
        else:
            container[key] = value
            if char not in (",", "}"):
                raise self._mistake("after object key:value pair")
        self._at += 1
        if char != ",":
            around.pop()
            return container
        if isinstance(container, dict):
            self.skip_blanks()
            around[-1] = (container, self._key())
        return _OPENED

    def _key(self) -> str:
        if self._peek() != '"':
            raise self._mistake("looking for beginning of object key string")
        key = self._string()
        self.skip_blanks()
        if self._peek() != ":":
            raise self._mistake("after object key")
        self._at += 1
        return key

    def _string(self) -> str:
        match = _STRING.match(self.text, self._at)
        assert match is not None  # there is a quote
        start, self._at = self._at, match.end()
        if self._peek() != '"':
            raise self._string_mistake()
        self._at += 1
        return _SURROGATE.sub("\ufffd", json.loads(self.text[start : self._at]))

    def _string_mistake(self) -> SyntaxMistake:
        if self._peek() != "\\":
            return self._mistake("in string literal")
        self._at += 1
        match = _HEX.match(self.text, self._at)
        if match is None:
            return self._mistake("in string escape code")
        self._at = match.end()
        return self._mistake("in \\u hexadecimal character escape")

    def _number(self) -> Number:
        if (begun := _NUMBER_BEGUN.match(self.text, self._at)) is not None:
            self._at = begun.end()
            assert begun.lastindex is not None
            raise self._mistake(_NUMBER_MISTAKES[begun.lastindex - 1])
        match = _NUMBER.match(self.text, self._at)
        assert match is not None  # there is a digit
        self._at = match.end()
        return Number(match[0])

    def _literal(self, word: str, value: bool | None) -> bool | None:
        for char in word:
            if self._peek() != char:
                raise self._mistake(f"in literal {word} (expecting {quoted_char(char)})")
            self._at += 1
        return value

    def _peek(self) -> str:
        """The next character; empty at the end."""
        return self.text[self._at : self._at + 1]

    def _mistake(self, context: str) -> SyntaxMistake:
        char = self._peek()
        if not char:
            return SyntaxMistake("invalid JSON: unexpected EOF")
        return SyntaxMistake(f"invalid JSON: invalid character {quoted_char(char)} {context}")


_OPENED = object()


def quoted_char(char: str) -> str:
    """In single quotes, as Go shows a byte of the text: of a character of several bytes the first."""
    byte = chr(char.encode("utf-8", "surrogateescape")[0])
    if byte == "'":
        return "'\\''"
    return "'\"'" if byte == '"' else f"'{quoted(byte)[1:-1]}'"
