"""The words of a Dockerfile's instruction: split at blanks outside of quotes, and expanded as a shell would. Pure.

Rules and texts: moby/buildkit frontend/dockerfile/parser/line_parsers.go parseWords and shell/lex.go, as moby v28 has them.
Unlike there, the modifiers that match a pattern (`${x#p}`, `${x%p}`, `${x/p/r}`) are refused: a stranger's may take any time.
"""

from __future__ import annotations

from collections.abc import Mapping

from daemon.errors import InvalidParameter, quoted

ESCAPE = "\\"
EXPANSION_DEPTH_MAX = 64
"""Substitutions within each other: far beyond anything sensible, far below Python's own limit."""

_SPECIAL_PARAMETERS = frozenset("@*#?-$!0")


def split_words(text: str) -> list[str]:
    """Words with their quotes and escapes still in them."""
    words, word, quote, may_be_empty = list[str](), list[str](), "", False
    characters = iter(text)
    for char in characters:
        if not quote and char.isspace():
            if word or may_be_empty:
                words.append("".join(word))
            word, may_be_empty = [], False
            continue
        if not quote and char in "'\"":
            quote, may_be_empty = char, True
        elif char == quote:
            quote = ""
        elif char == ESCAPE and quote != "'":
            escaped = next(characters, "")
            if not escaped:
                break  # one at the very end is left out
            word.append(char)
            char = escaped
        word.append(char)
    if word or may_be_empty:
        words.append("".join(word))
    return words


def expand(text: str, env: Mapping[str, str]) -> str:
    """The text without its quotes and escapes, its variables replaced. Raises InvalidParameter."""
    return _expanded(text, env)[0]


def expand_words(text: str, env: Mapping[str, str]) -> list[str]:
    """The same, split into words afterwards: what a variable holds may be several. Raises InvalidParameter."""
    return _expanded(text, env)[1]


def _expanded(text: str, env: Mapping[str, str]) -> tuple[str, list[str]]:
    try:
        return _Expansion(text, env).read_until("")
    except InvalidParameter as error:
        raise InvalidParameter(f"failed to process {quoted(text)}: {error}") from None


class _Words:
    """What has been read, whole and in words."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self._words: list[str] = []
        self._word: list[str] = []

    def add(self, text: str) -> None:
        """Blanks end a word."""
        self.text.append(text)
        for char in text:
            if not char.isspace():
                self._word.append(char)
            elif self._word:
                self._words.append("".join(self._word))
                self._word = []

    def add_quoted(self, text: str) -> None:
        self.text.append(text)
        self._word += text

    def words(self) -> list[str]:
        return [*self._words, "".join(self._word)] if self._word else self._words


class _Expansion:
    """Reads one text from its beginning to its end."""

    def __init__(self, text: str, env: Mapping[str, str]) -> None:
        self._text = text
        self._env = env
        self._at = 0
        self._depth = 0

    def read_until(self, stop: str) -> tuple[str, list[str]]:
        """Text and words up to `stop`, which is taken as well, or up to the end if it is empty."""
        found = _Words()
        while char := self._peek():
            if char == stop:
                self._at += 1
                return "".join(found.text), found.words()
            if char == "'":
                found.add_quoted(self._single_quoted())
            elif char == '"':
                found.add_quoted(self._double_quoted())
            elif char == "$":
                found.add(self._variable())
            elif self._next() == ESCAPE:
                found.add_quoted(self._next())
            else:
                found.add(char)
        if stop:
            raise InvalidParameter(f"unexpected end of statement while looking for matching {stop}")
        return "".join(found.text), found.words()

    def _peek(self) -> str:
        """Empty at the end."""
        return self._text[self._at : self._at + 1]

    def _next(self) -> str:
        char = self._peek()
        self._at += 1
        return char

    def _single_quoted(self) -> str:
        end = self._text.find("'", self._at + 1)
        if end < 0:
            raise InvalidParameter("unexpected end of statement while looking for matching single-quote")
        content, self._at = self._text[self._at + 1 : end], end + 1
        return content

    def _double_quoted(self) -> str:
        self._at += 1
        content = []
        while char := self._peek():
            if char == "$":
                content.append(self._variable())
                continue
            self._at += 1
            if char == '"':
                return "".join(content)
            if char == ESCAPE:
                if not self._peek():
                    continue
                if self._peek() in ('"', "$", ESCAPE):
                    char = self._next()
            content.append(char)
        raise InvalidParameter("unexpected end of statement while looking for matching double-quote")

    def _variable(self) -> str:
        self._at += 1
        if self._peek() != "{":
            name = self._name()
            return self._env.get(name, "") if name else "$"
        self._at += 1
        if not self._peek():
            raise InvalidParameter("syntax error: missing '}'")
        if self._peek() in "{}:":
            raise InvalidParameter("syntax error: bad substitution")
        name, modifier = self._name(), self._next() or "\ufffd"  # as Go writes the end of a text
        if modifier == "}":
            return self._env.get(name, "")
        if modifier == ":":
            modifier += self._next()
        if modifier.removeprefix(":") not in ("-", "+", "?"):
            raise InvalidParameter(f"unsupported modifier ({modifier}) in substitution")
        return self._substituted(name, modifier, self._word())

    def _word(self) -> str:
        """What stands between a modifier and the closing brace."""
        self._depth += 1
        if self._depth > EXPANSION_DEPTH_MAX:
            raise InvalidParameter(f"more than {EXPANSION_DEPTH_MAX} substitutions within each other")
        try:
            word, _ = self.read_until("}")
        except InvalidParameter:
            if not self._peek():
                raise InvalidParameter("syntax error: missing '}'") from None
            raise
        self._depth -= 1
        return word

    def _substituted(self, name: str, modifier: str, word: str) -> str:
        value = self._env.get(name)
        is_there = bool(value) if modifier.startswith(":") else value is not None
        if modifier.endswith("+"):
            return word if is_there else ""
        if is_there:
            return value or ""
        if modifier.endswith("-"):
            return word
        state = "unset" if value is None else "empty"
        raise InvalidParameter(f"{name}: {word or f'is not allowed to be {state}'}")

    def _name(self) -> str:
        """Letters, digits and `_`; or digits alone, or one of the shell's own."""
        start = self._at
        if self._peek().isdigit():
            while self._peek().isdigit():
                self._at += 1
        elif self._peek() in _SPECIAL_PARAMETERS:
            self._at += 1
        else:
            while self._peek().isalnum() or self._peek() == "_":
                self._at += 1
        return self._text[start : self._at]
