"""Containers, when their engine is ended by SIGKILL some times and then by SIGTERM, each time in the midst of creates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import attrs

from contrib.connection import Connection
from contrib.engines import Engine
from contrib.reliability.clients import Clients, create, entries, listed, load_base, remove
from contrib.reliability.part import Part
from contrib.reliability.site import Site, Subject
from contrib.unclaimed import leftover

TRAFFIC_S = 1.0
"""Before the end comes."""
MEASURED = 10
"""Containers, for what one of them is on the disk."""


@attrs.define
class Found:
    acknowledged: int = 0
    missing: int = 0
    unanswered: int = 0
    """Creates that were cut off by SIGKILL."""
    unusable: int = 0
    """Names of creates that are not there and cannot be given."""
    unanswered_at_stop: int = 0
    left: int = 0
    """Entries below the data root when everything has been removed, beyond those before the first create."""
    per_container: float = 0.0
    restart_s: float = 0.0
    """The last, with all containers."""
    containers: int = 0


def examine(subject: Subject) -> Found:
    found, known = Found(), dict[str, str]()
    with subject.site() as site:
        with site.running() as (engine, connection):
            load_base(connection)
            before = entries(engine.data_root)
            found.per_container = _per_container(connection, engine.data_root, known)
        for number in range(subject.rounds + 1):
            _harm(site, subject.clients, str(number), known, found, is_stop=number == subject.rounds)
        with site.running() as (engine, connection):
            for container_id in listed(connection).values():
                remove(connection, container_id)
            found.left = len(entries(engine.data_root) - before)
        found.left += len(leftover(engine.data_root))
    return found


def _per_container(connection: Connection, root: Path, known: dict[str, str]) -> float:
    before = entries(root)
    for number in range(MEASURED):
        status, answer = create(connection, f"measured{number}")
        assert status == 201, answer
        known[f"measured{number}"] = answer["Id"]
    return len(entries(root, frozenset(known.values())) - before) / MEASURED


def _harm(site: Site, clients: int, prefix: str, known: dict[str, str], found: Found, *, is_stop: bool) -> None:
    """One round."""
    with site.running() as (engine, _):
        crowd = Clients(engine.socket, f"r{prefix}")
        crowd.run(clients, TRAFFIC_S, lambda: _end(site, engine, is_stop=is_stop))
    known |= crowd.acknowledged
    found.acknowledged += len(crowd.acknowledged)
    found.unanswered += 0 if is_stop else len(crowd.unanswered)
    found.unanswered_at_stop += len(crowd.unanswered) if is_stop else 0
    with site.running() as (engine, connection):
        found.restart_s = engine.start_s
        _audit(connection, known, crowd.unanswered, found)


def _end(site: Site, engine: Engine, *, is_stop: bool) -> float:
    if is_stop:
        site.stop(engine)
    else:
        site.kill(engine)
    return math.inf  # every answer that was read counts


def _audit(connection: Connection, known: dict[str, str], unanswered: Sequence[str], found: Found) -> None:
    there = listed(connection)
    found.containers = len(there)
    found.missing += sum(there.get(name) != container_id for name, container_id in known.items())
    for name in unanswered:
        if name in there:
            known[name] = there[name]
            continue
        status, answer = create(connection, name)
        found.unusable += status != 201
        if status == 201:
            known[name] = answer["Id"]


KILLED = Part(
    name="killed",
    examine=examine,
    rows=(
        ("creates acknowledged before SIGKILL and SIGTERM", lambda found: f"{found.acknowledged}"),
        ("acknowledged creates missing after SIGKILL and SIGTERM", lambda found: f"{found.missing}"),
        ("creates cut off by SIGKILL", lambda found: f"{found.unanswered}"),
        ("names of cut-off creates that cannot be given again", lambda found: f"{found.unusable}"),
        ("creates cut off by SIGTERM", lambda found: f"{found.unanswered_at_stop}"),
        ("entries left on the disk when everything is removed", lambda found: f"{found.left}"),
        ("entries on the disk for one container", lambda found: f"{found.per_container:.0f}"),
        ("last start", lambda found: f"{found.restart_s:.2f} s with {found.containers}"),
    ),
    is_broken=lambda found: bool(found.missing or found.unusable or found.unanswered_at_stop),
)
