"""Images, when their engine is killed, or the power of its disk is cut, as soon as the last of them is acknowledged."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from contrib.connection import Connection
from contrib.crash.disks import SIZE_BYTES
from contrib.crash.images import MARK, SmallImage, files_in
from contrib.crash.registry import registry
from contrib.engines import DidNotStart
from contrib.reliability.clients import API, create
from contrib.reliability.part import Part
from contrib.reliability.site import Site, Subject
from loadtest import HarnessError

LOADED = PULLED = 4
"""In each round."""


@attrs.define
class Found:
    killed: int = 0
    lost_killed: int = 0
    cut: int = 0
    lost_cut: int = 0


def examine(subject: Subject) -> Found:
    found = Found()
    with registry() as host:
        for _ in range(subject.rounds):
            with subject.site() as site:
                images, lost = _harm(site, host, cuts_power=False)
                found.killed += images
                found.lost_killed += lost
            with subject.site(disk_bytes=SIZE_BYTES) as site:
                images, lost = _harm(site, host, cuts_power=True)
                found.cut += images
                found.lost_cut += lost
    return found


def _harm(site: Site, host: str, *, cuts_power: bool) -> tuple[int, int]:
    """How many were acknowledged, and how many of them are not there, or not whole."""
    with site.running() as (engine, connection):
        marks = [*_taken_in(connection, host)]
        if cuts_power:
            site.cut_power(engine)
        else:
            site.kill(engine)
    try:
        with site.running() as (_, connection):
            return len(marks), sum(not is_whole(connection, *mark) for mark in marks)
    except DidNotStart:
        return len(marks), len(marks)


def _taken_in(connection: Connection, host: str) -> Iterator[tuple[str, str]]:
    """Reference and mark of each."""
    for mark in (f"loaded{number}" for number in range(LOADED)):
        reference = f"{mark}:1"
        status, answer = connection.call_raw("POST", f"{API}/images/load?quiet=1", SmallImage(mark).archive(reference))
        if status != 200:
            raise HarnessError(f"a load says {status} {answer!r}")
        yield reference, mark
    for mark in (f"pulled{number}" for number in range(PULLED)):
        path = f"{API}/images/create?fromImage={host}/{mark}&tag=1"
        status, answer = connection.call_raw("POST", path)
        if status != 200 or b'"errorDetail"' in answer:
            raise HarnessError(f"a pull says {status} {answer[-300:]!r}")
        yield f"{host}/{mark}:1", mark


def is_whole(connection: Connection, reference: str, mark: str) -> bool:
    """Whether a container of it can be made, in which there is what was in the image."""
    status, answer = create(connection, f"of-{mark}", reference)
    if status != 201:
        return False
    status, archive = connection.call_raw("GET", f"{API}/containers/{answer['Id']}/archive?path=/{MARK}")
    return status == 200 and files_in(archive) == {MARK: mark.encode()}


IMAGES = Part(
    name="images",
    examine=examine,
    rows=(
        ("images acknowledged before SIGKILL", lambda found: f"{found.killed}"),
        ("acknowledged images lost after SIGKILL", lambda found: f"{found.lost_killed}"),
        ("images acknowledged before a power cut", lambda found: f"{found.cut}"),
        ("acknowledged images lost after a power cut", lambda found: f"{found.lost_cut}"),
    ),
    is_broken=lambda found: bool(found.lost_killed or found.lost_cut),
)
