"""What inspect shows, compared with what it must show."""

from __future__ import annotations

from typing import Any

# Any: what inspect shows is JSON.
Json = Any


class KernelMayLack:
    """A value that is discarded, with a warning, where the kernel cannot set it."""

    def __init__(self, asked_for: Json, without: Json) -> None:
        self._values = [asked_for, without]

    def __eq__(self, other: object) -> bool:
        return other in self._values

    __hash__ = None  # type: ignore[assignment] # it equals two different things

    def __repr__(self) -> str:
        return " or ".join(map(repr, self._values))


def at(shown: Json, path: str) -> Json:
    """What is at a path with dots: `HostConfig.Memory`. None where there is nothing."""
    for key in path.split("."):
        shown = shown.get(key)
        if shown is None:
            break
    return shown
