"""An Overview from what is to be seen, and the one before it. Pure."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence

import attrs

from actors import ChildSnapshot, Snapshot
from daemon.overview import Actor, Creates, Happened, Overview, Tree
from daemon.overview.recorder import HAPPENED_MAX, TEXT_LENGTH_MAX

OF_ACTORS_MAX = 6
"""Of `HAPPENED_MAX` events: three crashes, and that the actors are up again."""

Path = tuple[str, ...]
"""Of an actor: the names of the supervisors and actors that it is below, and its own."""


@attrs.frozen(kw_only=True)
class Sight:
    """What is to be seen at one moment."""

    time_ns: int
    version: str
    uptime_s: float
    creates: Creates
    snapshots: Sequence[Snapshot]
    events: Iterable[Happened]
    """In any order."""


def overview_of(sight: Sight, before: Overview | None) -> Overview:
    rates = _Rates(before, sight.uptime_s)
    return Overview(
        time_ns=sight.time_ns,
        version=sight.version,
        pid=os.getpid(),
        uptime_s=sight.uptime_s,
        creates=sight.creates,
        trees=tuple(_tree(snapshot, (), rates) for snapshot in sight.snapshots),
        events=latest(sight.events),
    )


def latest(events: Iterable[Happened]) -> tuple[Happened, ...]:
    """In the order of their time. Those of actors are rare, and not to be pushed out by a thousand creates."""
    in_order = sorted(events, key=lambda event: event.time_ns)
    of_actors = [event for event in in_order if event.kind == "actor"][-OF_ACTORS_MAX:]
    others = [event for event in in_order if event.kind != "actor"][len(of_actors) - HAPPENED_MAX :]
    return tuple(sorted((*of_actors, *others), key=lambda event: event.time_ns))


def _tree(snapshot: Snapshot, above: Path, rates: _Rates) -> Tree:
    path = (*above, snapshot.name)
    actors = tuple(_actor(child, (*path, child.name), rates) for child in snapshot.children)
    return Tree(name=snapshot.name, strategy=snapshot.strategy, actors=actors)


def _actor(child: ChildSnapshot, path: Path, rates: _Rates) -> Actor:
    return Actor(
        name=child.name,
        state=child.state,
        queued=child.mailbox.queued,
        capacity=child.mailbox.capacity,
        waiting=child.mailbox.waiting,
        waited_s=child.mailbox.time_in_mailbox_s,
        handling=child.handling,
        handled=child.handled,
        handled_per_s=rates.of(path, child.handled),
        restarts=child.restarts,
        last_crash=child.last_crash[:TEXT_LENGTH_MAX],
        trees=tuple(_tree(snapshot, path, rates) for snapshot in child.supervisors),
    )


class _Rates:
    """Messages per second since an earlier overview."""

    def __init__(self, before: Overview | None, uptime_s: float) -> None:
        self._handled: Mapping[Path, int] = {} if before is None else dict(_handled(before.trees, ()))
        self._since_s = 0.0 if before is None else uptime_s - before.uptime_s

    def of(self, path: Path, handled: int) -> float | None:
        """None if it was not there."""
        earlier = self._handled.get(path)
        if earlier is None or self._since_s <= 0:
            return None
        return max(handled - earlier, 0) / self._since_s


def _handled(trees: Iterable[Tree], above: Path) -> Iterator[tuple[Path, int]]:
    for tree in trees:
        for actor in tree.actors:
            path = (*above, tree.name, actor.name)
            yield path, actor.handled
            yield from _handled(actor.trees, path)
