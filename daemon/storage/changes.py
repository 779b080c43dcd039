"""What a container has changed of its image: `docker diff`.

Only directories that the container's own layer takes part in are looked at: what lies below the others is the image's. A file has
changed if its attributes, size or time are others, a directory if its attributes are, or if something in it has changed.
Source: github.com/moby/go-archive changes.go addChanges, changes_unix.go statDifferent (v28).
"""

from __future__ import annotations

import enum
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs

from daemon.errors import System
from daemon.storage.disk import disk
from daemon.storage.overlay import MergedFile, child_of, down_to_opaque, held, names_in, root_of
from daemon.storage.tar_out import DEPTH_MAX

_UPPER = 0
_CAPABILITY = "security.capability"


class ChangeKind(enum.IntEnum):
    """Docker's numbers."""

    MODIFIED = 0
    ADDED = 1
    DELETED = 2


@attrs.frozen
class Change:
    path: str
    kind: ChangeKind


def changes_of(layers: Sequence[Path]) -> tuple[Change, ...]:
    """What the first of the layers has changed of the others merged, sorted by path. Raises System."""
    lower = layers[1:]
    with disk("compare the container's files"):
        new = root_of(down_to_opaque(layers))
        old = root_of(down_to_opaque(lower)) if lower else None
        return tuple(sorted(_changes_in("", old, new, 0), key=lambda change: change.path.split("/")))


def _changes_in(path: str, old: MergedFile | None, new: MergedFile, depth: int) -> Iterator[Change]:
    """Of what is in a directory that may be new."""
    if depth > DEPTH_MAX:
        raise System(f"more than {DEPTH_MAX} directories within each other")
    new = held(new)
    names = names_in(new)
    if old is not None and old.is_directory:
        old = held(old)
        yield from (Change(f"{path}/{name}", ChangeKind.DELETED) for name in set(names_in(old)).difference(names))
    else:
        old = None
    for name in names:
        found = child_of(new, name)
        if found is not None and (found.layer == _UPPER or old is None):
            yield from _changes_at(f"{path}/{name}", child_of(old, name) if old else None, found, depth)


def _changes_at(path: str, old: MergedFile | None, new: MergedFile, depth: int) -> Iterator[Change]:
    below = list(_changes_in(path, old, new, depth + 1)) if new.is_directory else []
    if old is None:
        yield Change(path, ChangeKind.ADDED)
    elif below or _differ(old, new):
        yield Change(path, ChangeKind.MODIFIED)
    yield from below


def _differ(old: MergedFile, new: MergedFile) -> bool:
    before, after = old.status, new.status
    if (before.st_mode, before.st_uid, before.st_gid) != (after.st_mode, after.st_uid, after.st_gid):
        return True
    if _is_device(before) and before.st_rdev != after.st_rdev:
        return True
    if new.is_directory:
        return False  # neither size nor time of a directory say anything about it
    return before.st_size != after.st_size or not _is_same_time(before, after) or _capability(old) != _capability(new)


def _is_device(status: os.stat_result) -> bool:
    return stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode)


def _is_same_time(before: os.stat_result, after: os.stat_result) -> bool:
    """A tar may have rounded one of them to whole seconds."""
    (seconds, fraction), (other_seconds, other_fraction) = (
        divmod(status.st_mtime_ns, 1_000_000_000) for status in (before, after)
    )
    return seconds == other_seconds and (fraction == other_fraction or not fraction or not other_fraction)


def _capability(found: MergedFile) -> bytes | None:
    if not stat.S_ISREG(found.status.st_mode) or _CAPABILITY not in os.listxattr(found.real_path):
        return None
    return os.getxattr(found.real_path, _CAPABILITY)
