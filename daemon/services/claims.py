"""Whose turn it is to change a container: one change at a time, the others wait in line, and behind a removal nobody.

The synchronous core of the registrar's part in every change. A `Claim` is made by whoever wants to change something, before it
asks; so it can be given back in any state: granted, waiting, or never arrived.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import attrs

from daemon.errors import RemovalInProgress

REMOVAL = "removal"


@attrs.frozen(eq=False)
class Claim:
    """The right to change one container, or its place in the line for it. Its identity is what counts."""

    change: str
    """What is done with it, as a noun: `removal`, `renaming`, `update`."""


class Claims:
    """The lines, by container. The first in a line has the turn."""

    def __init__(self) -> None:
        self._lines: dict[str, deque[tuple[Claim, Callable[[], None]]]] = {}

    def __contains__(self, container_id: str) -> bool:
        return container_id in self._lines

    def join(self, container_id: str, claim: Claim, grant: Callable[[], None], *, called: str) -> None:
        """Call `grant` once it is this claim's turn: now, if nobody is before it.

        Raises:
            RemovalInProgress: the container, which the caller has `called` so, is going to be removed.
        """
        line = self._lines.setdefault(container_id, deque())
        if line and line[-1][0].change == REMOVAL:
            raise RemovalInProgress(f"removal of container {called} is already in progress")
        line.append((claim, grant))
        if len(line) == 1:
            grant()

    def leave(self, claim: Claim) -> str | None:
        """The container that this claim had the turn for, if it had: the next in line has it now. Harmless twice."""
        for container_id, line in self._lines.items():
            for place, (other, _) in enumerate(line):
                if other is claim:
                    return self._give_up(container_id, line, place)
        return None

    def _give_up(self, container_id: str, line: deque[tuple[Claim, Callable[[], None]]], place: int) -> str | None:
        del line[place]
        if not line:
            del self._lines[container_id]
        elif place == 0:
            line[0][1]()
        return container_id if place == 0 else None
