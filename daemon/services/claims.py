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


Settle = Callable[[bool], None]


class Claims:
    """The lines, by container. The first in a line has the turn."""

    def __init__(self) -> None:
        self._lines: dict[str, deque[tuple[Claim, Settle]]] = {}

    def __contains__(self, container_id: str) -> bool:
        return container_id in self._lines

    def join(self, container_id: str, claim: Claim, settle: Settle, *, called: str) -> None:
        """Call `settle` once: with true when it is this claim's turn, now if nobody is before it; with false if it leaves first.

        Raises:
            RemovalInProgress: the container, which the caller has `called` so, is going to be removed.
        """
        line = self._lines.setdefault(container_id, deque())
        if line and line[-1][0].change == REMOVAL:
            raise RemovalInProgress(f"removal of container {called} is already in progress")
        line.append((claim, settle))
        if len(line) == 1:
            settle(True)

    def leave(self, claim: Claim) -> str | None:
        """The container that this claim had the turn for, if it had: the next in line has it now. Harmless twice."""
        for container_id, line in self._lines.items():
            for place, (other, _) in enumerate(line):
                if other is claim:
                    return self._give_up(container_id, line, place)
        return None

    def _give_up(self, container_id: str, line: deque[tuple[Claim, Settle]], place: int) -> str | None:
        _, settle = line[place]
        del line[place]
        if place > 0:
            settle(False)
            return None
        if line:
            line[0][1](True)
        else:
            del self._lines[container_id]
        return container_id
