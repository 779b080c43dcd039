"""A full disk: what is still answered, and what is left of it when there is room again."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import attrs

from contrib.connection import Connection
from contrib.engines import DidNotStart
from contrib.reliability.clients import create, entries, listed, load_base, missing, remove
from contrib.reliability.part import Part, plain
from contrib.reliability.site import Site, Subject
from contrib.unclaimed import leftover
from loadtest import HarnessError

DISK_BYTES = 64 << 20
BEFORE = 40
"""Containers, made while there is room."""
REMOVED = 10
"""Of them, on a full disk, and as many after a start on it."""
ASKED_MAX = 5000
"""Creates: an engine that is not refused one has room of its own, or has put none of it on the disk."""
REFUSED = 20
"""Creates are asked for until there have been as many refusals."""
PIECES = (1 << 20, 4096, 4096, 4096)


@attrs.define
class Found:
    refusals: dict[str, int] = attrs.field(factory=dict)
    """How often each answer was given, without ids and paths."""
    refused: list[str] = attrs.field(factory=list)
    """Names."""
    removed: int = 0
    removed_later: int = 0
    """After a start on the full disk."""
    is_listed: bool = False
    start: str = ""
    missing: int = 0
    unusable: int = 0
    left: int = 0


def examine(subject: Subject) -> Found:
    found, known = Found(), dict[str, str]()
    with subject.site(disk_bytes=DISK_BYTES) as site:
        with site.running() as (engine, connection):
            load_base(connection)
            before = entries(engine.data_root)
            for name in (f"before{number}" for number in range(BEFORE)):
                status, answer = create(connection, name)
                assert status == 201, answer
                known[name] = answer["Id"]
            fill(site.disk.point)
            _create_until_refused(connection, site.home, known, found)
            found.is_listed = _is_listed(connection, known)
            found.removed = _remove_some(connection, known)
            fill(site.disk.point)
            site.stop(engine)
        fill(site.disk.point)
        _start_again(site, known, found)
        make_room(site.disk.point)
        with site.running() as (engine, connection):
            _audit(connection, known, found)
            found.left = len(entries(engine.data_root) - before)
        found.left += len(leftover(engine.data_root))
    return found


def fill(point: Path) -> None:
    """Leave no room on the disk."""
    with _ballast(point).open("ab", buffering=0) as file:
        for size in PIECES:
            with contextlib.suppress(OSError):  # no space left: smaller pieces may fit
                while file.write(bytes(size)):
                    pass
            # Then what had been set aside for the file's index, and has not been needed, is free.
            os.fsync(file.fileno())


def make_room(point: Path) -> None:
    _ballast(point).unlink()


def _ballast(point: Path) -> Path:
    return point / "lost+found" / "ballast"  # where no engine looks


def _create_until_refused(connection: Connection, home: Path, known: dict[str, str], found: Found) -> None:
    for name in (f"full{number}" for number in range(ASKED_MAX)):
        status, answer = create(connection, name)
        if status == 201:
            known[name] = answer["Id"]
            continue
        found.refused.append(name)
        text = plain(f"{status} {answer['message']}", home)
        found.refusals[text] = found.refusals.get(text, 0) + 1
        if len(found.refused) == REFUSED:
            break


def _is_listed(connection: Connection, known: dict[str, str]) -> bool:
    try:
        return known.items() <= listed(connection).items()
    except HarnessError:
        return False


def _remove_some(connection: Connection, known: dict[str, str]) -> int:
    """How many say that they are gone."""
    removed = 0
    for name in [name for name in known if name.startswith("before")][:REMOVED]:
        # Whether it goes or not, or goes and says that it has not, it is not asked for again.
        removed += remove(connection, known.pop(name)) in (200, 204)
    return removed


def _start_again(site: Site, known: dict[str, str], found: Found) -> None:
    """On the full disk."""
    began = time.monotonic()
    try:
        with site.running() as (engine, connection):
            found.start = f"in {engine.start_s:.2f} s"
            found.is_listed &= _is_listed(connection, known)
            found.removed_later = _remove_some(connection, known)
    except DidNotStart:
        found.start = f"no: it ends after {time.monotonic() - began:.1f} s"


def _audit(connection: Connection, known: dict[str, str], found: Found) -> None:
    """With room again; in the end nothing is there any more."""
    found.missing = missing(connection, known)
    there = listed(connection)
    for name in found.refused:
        found.unusable += name in there or create(connection, name)[0] != 201
    for container_id in listed(connection).values():
        remove(connection, container_id)


def _refusal(found: Found) -> str:
    if not found.refusals:
        return "(none is refused)"
    most = max(found.refusals, key=lambda text: found.refusals[text])
    return f"`{most}`"


FULL = Part(
    name="full",
    examine=examine,
    rows=(
        ("a create on a full disk answers, most often", _refusal),
        ("different answers to such creates", lambda found: f"{len(found.refusals)}"),
        ("lists all its containers on a full disk", lambda found: "yes" if found.is_listed else "no"),
        ("containers removed on a full disk", lambda found: f"{found.removed} of {REMOVED}"),
        ("starts on a full disk", lambda found: found.start),
        (
            "containers removed after a start on a disk without a free block",
            lambda found: f"{found.removed_later} of {REMOVED}",
        ),
        ("acknowledged creates missing after a full disk", lambda found: f"{found.missing}"),
        ("names refused on a full disk that cannot be given later", lambda found: f"{found.unusable}"),
        ("entries left after a full disk when everything is removed", lambda found: f"{found.left}"),
    ),
    is_broken=lambda found: bool(
        found.missing
        or found.unusable
        or found.left
        or found.removed < REMOVED
        or not found.is_listed
        or found.start.startswith("no")
    ),
)
