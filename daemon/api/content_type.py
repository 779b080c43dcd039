"""The Content-Type header, read as Go's mime.ParseMediaType reads it. Texts are Docker's and Go's."""

from __future__ import annotations

import functools
import re

from daemon.errors import InvalidParameter

JSON_TYPE = "application/json"

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_PARAMETER = re.compile(
    r"\s*;\s*(?P<key>[!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*=\s*"
    r'(?:[!#$%&\'*+.^_`|~0-9A-Za-z-]+|"(?:[^"\\\r\n]|\\.)*")',
    re.ASCII,
)


@functools.lru_cache(maxsize=64)  # clients have one way to write it
def check_is_json(content_type: str) -> None:
    """Raises InvalidParameter if it is anything but `application/json`, whatever its parameters."""
    media_type = content_type.partition(";")[0].strip().lower()
    mistake = _type_mistake(media_type) or _parameter_mistake(content_type[len(content_type.partition(";")[0]) :])
    if mistake is not None:
        raise InvalidParameter(f"malformed Content-Type header ({content_type}): mime: {mistake}")
    if media_type != JSON_TYPE:
        raise InvalidParameter(f"unsupported Content-Type header ({content_type}): must be '{JSON_TYPE}'")


def _type_mistake(media_type: str) -> str | None:
    first = _TOKEN.match(media_type)
    if first is None:
        return "no media type"
    rest = media_type[first.end() :]
    if not rest:
        return None
    if not rest.startswith("/"):
        return "expected slash after first token"
    second = _TOKEN.match(rest, 1)
    if second is None:
        return "expected token after slash"
    return None if second.end() == len(rest) else "unexpected content after media subtype"


def _parameter_mistake(text: str) -> str | None:
    keys: set[str] = set()
    while text.strip():
        match = _PARAMETER.match(text)
        if match is None:
            return None if text.strip() == ";" else "invalid media parameter"
        if match["key"].lower() in keys:
            return "duplicate parameter name"
        keys.add(match["key"].lower())
        text = text[match.end() :]
    return None
