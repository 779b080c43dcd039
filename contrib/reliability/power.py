"""Containers, when the power of their disk is cut in the midst of creates: nothing is left but what was synced."""

from __future__ import annotations

import attrs

from contrib.crash.disks import SIZE_BYTES
from contrib.engines import DidNotStart
from contrib.reliability.clients import Clients, create, listed, load_base, missing
from contrib.reliability.part import Part, plain
from contrib.reliability.site import Site, Subject
from loadtest import HarnessError

TRAFFIC_S = 1.0


@attrs.define
class Found:
    cuts: int = 0
    acknowledged: int = 0
    missing: int = 0
    starts: int = 0
    lists: int = 0
    creates: int = 0
    """Cuts after which it starts; lists its containers; makes a new one."""
    complaint: str = ""
    """The last words of one that did not start."""


def examine(subject: Subject) -> Found:
    found = Found()
    for _ in range(subject.rounds):  # with a disk each: an engine that a cut has broken has no second one
        with subject.site(disk_bytes=SIZE_BYTES) as site:
            _cut(site, subject.clients, found)
    return found


def _cut(site: Site, clients: int, found: Found) -> None:
    with site.running() as (engine, connection):
        load_base(connection)
        site.sync()  # images are another question
        crowd = Clients(engine.socket, "r")
        crowd.run(clients, TRAFFIC_S, lambda: site.cut_power(engine))
    known = crowd.acknowledged
    found.cuts += 1
    found.acknowledged += len(known)
    try:
        with site.running() as (_, connection):
            found.starts += 1
            found.missing += missing(connection, known)
            try:
                listed(connection)
                found.lists += 1
            except HarnessError:
                pass
            status, _ = create(connection, "after")
            found.creates += status == 201
    except DidNotStart as error:
        found.missing += len(known)
        found.complaint = f": {plain(str(error).splitlines()[-1], site.home)}"


POWER = Part(
    name="power",
    examine=examine,
    rows=(
        ("creates acknowledged before a power cut", lambda found: f"{found.acknowledged}"),
        ("acknowledged creates missing after a power cut", lambda found: f"{found.missing}"),
        ("starts after a power cut", lambda found: f"{found.starts} of {found.cuts}{found.complaint}"),
        ("lists its containers after a power cut", lambda found: f"{found.lists} of {found.cuts}"),
        ("creates another container after a power cut", lambda found: f"{found.creates} of {found.cuts}"),
    ),
    is_broken=lambda found: found.missing > 0 or not found.cuts == found.starts == found.lists == found.creates,
)
