"""Lines of a Dockerfile, as `docker commit --change` and `docker import --change` take them, as instructions. Pure.

Knows how each instruction is written, not what it does (`image_config_changes.py`). Rules and texts: moby/buildkit
frontend/dockerfile/parser (parser.go, split_command.go, line_parsers.go) and instructions (parse.go, bflag.go), as moby v28 has
them. Unlike there, a `# escape=` is a comment like any other, and there are no here-documents: they belong to RUN and COPY.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

import attrs

from daemon.create.dockerfile_words import ESCAPE, split_words
from daemon.errors import InvalidParameter, quoted

_BLANKS = re.compile(r"[\t\v\f\r ]+")
_CONTINUED = re.compile(r"([^\\])\\[ \t]*$|^\\[ \t]*$")
"""A backslash at the end that no backslash stands before."""

_VALID = frozenset("cmd entrypoint healthcheck env expose label onbuild stopsignal user volume workdir".split())
_EXEC_FORMS = frozenset("add cmd copy entrypoint run shell volume".split())
"""Those whose arguments may be a JSON array."""

_SPLIT_AT_BLANKS = frozenset({"expose", "volume"})


@attrs.frozen(kw_only=True)
class Instruction:
    name: str
    """In lower case."""
    arguments: tuple[str, ...]
    """Of ENV and LABEL, names and values in turn."""
    flags: tuple[str, ...] = ()
    is_json: bool = False
    """Whether the arguments were a JSON array."""
    source: str = ""
    """The line, continuations joined."""

    def refuse_flags(self) -> None:
        """Raises InvalidParameter if there are any."""
        self.parse_flags(())

    def parse_flags(self, known: Sequence[str]) -> dict[str, str]:
        """Raises InvalidParameter."""
        values: dict[str, str] = {}
        for flag in self.flags:
            name, equals, value = flag.partition("=")
            key = name.removeprefix("--")
            if key not in known:
                raise InvalidParameter(f"unknown flag: {name}{_suggestion(key, known)}")
            if key in values:
                raise InvalidParameter(f"duplicate flag specified: {name}")
            if not equals:
                raise InvalidParameter(f"missing a value on flag: {name}")
            values[key] = value
        return values


def parse_changes(changes: Sequence[str]) -> tuple[Instruction, ...]:
    """The instructions in `changes`, which are lines or several of them. Raises InvalidParameter."""
    parsed = [_parse_line(line) for line in _logical_lines("\n".join(changes))]
    if not parsed:
        raise InvalidParameter("file with no instructions")
    for written, instruction in parsed:
        if instruction.name not in _VALID:
            raise InvalidParameter(f"{written} is not a valid change command")
    return tuple(instruction for _, instruction in parsed)


def _logical_lines(text: str) -> Iterator[str]:
    """Lines with their continuations, without comments and empty lines."""
    pending: str | None = None
    for raw in text.split("\n"):
        is_comment = raw.lstrip().startswith("#")
        line = raw.rstrip("\r")
        if pending is None:
            line = "" if is_comment else line.lstrip()
        elif is_comment or not line.strip():
            continue
        line, count = _CONTINUED.subn(r"\1", line)
        line = (pending or "") + line
        pending = line if count else None
        if pending is None and line:
            yield line
    if pending:
        yield pending


def _parse_line(line: str) -> tuple[str, Instruction]:
    """The instruction's name as it is written, and the instruction."""
    written, *rest = _BLANKS.split(line.strip(), maxsplit=1)
    name = written.lower()
    flags, text = _split_flags(rest[0]) if rest else ((), "")
    text = text.strip()
    arguments, is_json = _parse_arguments(name, text)
    return written, Instruction(name=name, arguments=arguments, flags=flags, is_json=is_json, source=line)


def _parse_arguments(name: str, text: str) -> tuple[tuple[str, ...], bool]:
    if name in ("env", "label"):
        return _names_and_values(name, text), False
    if name == "healthcheck":
        kind, *command = text.split(None, 1)[:2] or ("",)
        arguments, is_json = _exec_form(command[0]) if command else ((), False)
        return ((kind, *arguments) if kind else ()), is_json
    if name == "onbuild":
        return _triggers(text), False
    if name in _EXEC_FORMS and (array := _array(text)) is not None:
        return array, True
    if name in _SPLIT_AT_BLANKS:
        return tuple(_BLANKS.split(text)) if text else (), False
    return (text,) if text else (), False


def _triggers(text: str) -> tuple[str, ...]:
    """The name of the instruction that ONBUILD keeps, which must be written as such a one is."""
    if not text:
        return ()
    name = _BLANKS.split(text, maxsplit=1)[0]
    if name.lower() != "onbuild":  # that is refused, however deep they are within each other
        _parse_line(text)
    return (name,)


def _exec_form(text: str) -> tuple[tuple[str, ...], bool]:
    array = _array(text)
    return (array, True) if array is not None else ((text,), False)


def _array(text: str) -> tuple[str, ...] | None:
    """None for what is no JSON array. Raises InvalidParameter if not all in it are strings."""
    if not text.startswith("["):
        return None
    try:
        items = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None
    if not all(isinstance(item, str) for item in items):
        raise InvalidParameter("when using JSON array syntax, arrays must be comprised of strings only")
    return tuple(_without_surrogates(item) for item in items)


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is not in JSON")


def _without_surrogates(text: str) -> str:
    """Half a character becomes U+FFFD, as in Go."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _names_and_values(name: str, text: str) -> tuple[str, ...]:
    """`name=value name=value`, or the older `name value` for one."""
    words = split_words(text)
    if words and "=" not in words[0]:
        parts = _BLANKS.split(text, maxsplit=1)
        if len(parts) < 2:
            raise InvalidParameter(f"{name.upper()} must have two arguments")
        return tuple(parts)
    pairs = []
    for word in words:
        if "=" not in word:
            text = f"Syntax error - can't find = in {quoted(word)}. Must be of the form: name=value"
            raise InvalidParameter(text)
        key, _, value = word.partition("=")
        pairs += [key, value]
    return tuple(pairs)


def _split_flags(text: str) -> tuple[tuple[str, ...], str]:
    """The words that begin with `--`, unquoted, and what follows them."""
    flags = list[str]()
    at = 0
    while True:
        while at < len(text) and text[at].isspace():
            at += 1
        if not text.startswith("--", at):
            return tuple(flags), text[at:]
        flag, at = _flag_at(text, at)
        if flag == "--":
            return tuple(flags), text[at:]
        flags.append(flag)


def _flag_at(text: str, at: int) -> tuple[str, int]:
    """The flag that begins there, and where it ends."""
    flag, quote = list[str](), ""
    while at < len(text):
        char = text[at]
        if not quote and char.isspace():
            break
        at += 1
        if char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
        elif char != ESCAPE:
            flag.append(char)
        elif at < len(text):
            flag.append(text[at])
            at += 1
    return "".join(flag), at


def _suggestion(key: str, known: Sequence[str]) -> str:
    """The known flag that is nearest, if it is at most two letters away (moby/buildkit util/suggest)."""
    nearest = min(known, key=lambda flag: _distance(key, flag), default=None)
    return f" (did you mean {nearest}?)" if nearest is not None and _distance(key, nearest) <= 2 else ""


def _distance(one: str, other: str) -> int:
    """Levenshtein's, of texts that are not much longer than a flag; others are far from each other."""
    if abs(len(one) - len(other)) > 2:
        return 3
    row = list(range(len(other) + 1))
    for number, char in enumerate(one, start=1):
        left, row[0] = row[0], number
        for column, wanted in enumerate(other, start=1):
            left, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, left + (char != wanted))
    return row[-1]
