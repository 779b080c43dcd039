"""What clients know of what they have asked for. Pure; each thing belongs to one client while there is traffic."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum

import attrs


class Kind(Enum):
    CONTAINER = "container"
    IMAGE = "image"
    VOLUME = "volume"


class State(Enum):
    ASKED = "asked for"
    THERE = "there"
    LEAVING = "asked to go"
    GONE = "gone"
    """Its removal was acknowledged, or its making refused."""


DOUBTFUL = (State.ASKED, State.LEAVING)
"""There, or not: nobody has been told."""


@attrs.define(eq=False)
class Thing:
    """A container, a volume, or a name of an image."""

    kind: Kind
    name: str
    mark: str = ""
    """What is in it, and in nothing else."""
    id: str = ""
    """Of a container, once it is acknowledged."""
    steps: list[tuple[float, State]] = attrs.field(factory=list)
    """The states, and since when each is known."""

    @property
    def state(self) -> State:
        return self.steps[-1][1]

    def become(self, state: State, at: float) -> None:
        self.steps.append((at, state))

    def forget_after(self, at: float) -> None:
        """What was told then has never left the machine; what was asked then may have had its effect, or not."""
        if self.steps[-1][0] >= at:
            self.steps = [(at, State.ASKED)]


@attrs.define
class History:
    things: list[Thing] = attrs.field(factory=list)
    sent: int = 0
    """Requests."""
    told: int = 0
    """Requests that succeeded."""
    unanswered: int = 0
    refusals: list[tuple[float, str]] = attrs.field(factory=list)
    """When, and how, but for those by a daemon that is stopping."""

    def of(self, kind: Kind, *states: State) -> Iterator[Thing]:
        return (thing for thing in self.things if thing.kind is kind and thing.state in states)

    def forget_after(self, at: float) -> None:
        """The power was cut then."""
        self.refusals = [(when, text) for when, text in self.refusals if when < at]
        for thing in self.things:
            thing.forget_after(at)

    def merge(self, others: Iterable[History]) -> None:
        for other in others:
            self.things += other.things
            self.sent += other.sent
            self.told += other.told
            self.unanswered += other.unanswered
            self.refusals += other.refusals
