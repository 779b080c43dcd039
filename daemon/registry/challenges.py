"""`WWW-Authenticate`: what a server asks for before it answers; and the rights to ask for then. Pure.

Grammar: RFC 9110, 11.6.1: challenges by commas, and their parameters by commas, too. What does not fit ends the list.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import attrs

HEADER_LENGTH_MAX = 16 << 10
"""A challenge names a realm, a service and a scope: some hundred characters."""

_SCHEME = re.compile(r"[\s,]*([A-Za-z0-9!#$%&'*+.^_`|~-]+)(?:[ \t]+|$|(?=,))")
_PARAMETER = re.compile(r"""[\s,]*([A-Za-z0-9!#$%&'*+.^_`|~-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))""")
_ESCAPE = re.compile(r"\\(.)")


@attrs.frozen
class Challenge:
    scheme: str
    """In lower case."""
    parameters: Mapping[str, str] = attrs.field(factory=dict)
    """Names in lower case."""


def parse_challenges(headers: Iterable[str]) -> tuple[Challenge, ...]:
    """The challenges of all `WWW-Authenticate` headers, in their order."""
    return tuple(challenge for header in headers for challenge in _parse(header[:HEADER_LENGTH_MAX]))


def scopes_of(repository: str, *, is_push: bool = False, sources: Sequence[str] = ()) -> tuple[str, ...]:
    """The rights to ask a token server for."""
    own = f"repository:{repository}:{'pull,push' if is_push else 'pull'}"
    return (own, *(f"repository:{source}:pull" for source in sources))


def _parse(header: str) -> list[Challenge]:
    found: list[Challenge] = []
    position = 0
    while match := _SCHEME.match(header, position):
        position = match.end()
        parameters: dict[str, str] = {}
        while parameter := _PARAMETER.match(header, position):
            position = parameter.end()
            name, quoted, plain = parameter.groups()
            parameters.setdefault(name.lower(), plain if quoted is None else _ESCAPE.sub(r"\1", quoted))
        found.append(Challenge(match[1].lower(), parameters))
    return found
