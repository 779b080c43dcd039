"""Empty trees, made beforehand: a create claims one by one rename instead of making two or three directories.

    ready/<number>/           0700    as below containers/ (trees.py), and empty
    ready/volume-<number>/    0700    as below volumes/

Directories cost a create more than anything else, and drag the journal's commit into the next fsync; so they are made while
there is nothing better to do. Every number below the capacity is a slot, ready or to be filled. What an earlier daemon has left
in a slot is taken over where it is whole: it is no residue, and recovery does not look at it.

For each kind of them one thread calls what changes anything here.
"""

from __future__ import annotations

import os
from pathlib import Path

import attrs

from daemon.storage.disk import FREE_SHARE_MAX, disk, remove_tree
from daemon.storage.failpoints import failpoint

UPPER = "diff"
DATA = "_data"


@attrs.frozen
class Kind:
    parts: tuple[tuple[str, int], ...]
    """The directories in a tree, and their modes."""
    prefix: str = ""
    """Of the slots' names."""


CONTAINER = Kind((("checkpoints", 0o700), (UPPER, 0o755)))
VOLUME = Kind(((DATA, 0o755),), prefix="volume-")


class ReadyTrees:
    """At most `trees_max` of one kind below `root / "ready"`, fewer where there is little space."""

    def __init__(self, root: Path, trees_max: int, kind: Kind = CONTAINER) -> None:
        self._kind = kind
        self._home = root / "ready"
        self._ready: list[str] = []
        with disk("open the directory of prepared trees"):
            self._home.mkdir(mode=0o700, exist_ok=True)
            count = min(trees_max, _share_of(root, kind))
            self._to_fill = [f"{kind.prefix}{number}" for number in reversed(range(count))]
            for entry in set(os.listdir(self._home)).difference(self._to_fill):
                if entry.startswith(VOLUME.prefix) == (kind is VOLUME):
                    remove_tree(self._home / entry)

    def __len__(self) -> int:
        """How many can be claimed at once."""
        return len(self._ready)

    def claim(self, target: str) -> bool:
        """Move one to `target`; False when there is none. Raises OSError: there is something at `target`."""
        failpoint("ready.before_claim")
        if not self._ready:
            return False
        slot = self._ready[-1]
        try:
            os.rename(f"{self._home}/{slot}", target)
        except FileNotFoundError:  # somebody has tidied up behind us
            self._to_fill.append(self._ready.pop())
            return False
        self._to_fill.append(self._ready.pop())
        failpoint("ready.after_claim")
        return True

    @property
    def is_low(self) -> bool:
        """Whether less than a quarter of the slots are ready."""
        return 3 * len(self._ready) < len(self._to_fill)

    @property
    def has_room(self) -> bool:
        return bool(self._to_fill)

    def prepare(self, count: int) -> None:
        """Make at most `count` more. Raises System: the disk failed."""
        with disk("prepare directories"):
            for _ in range(min(count, len(self._to_fill))):
                _fill(f"{self._home}/{self._to_fill[-1]}", self._kind)
                self._ready.append(self._to_fill.pop())


def make_tree(path: str, kind: Kind) -> None:
    """Raises OSError."""
    os.mkdir(path, 0o700)
    failpoint("ready.tree_in_part")
    for name, mode in kind.parts:
        os.mkdir(f"{path}/{name}", mode)


def _fill(slot: str, kind: Kind) -> None:
    """A tree, unless there is one. What a crash has cut short is made anew. Raises OSError."""
    try:
        make_tree(slot, kind)
    except FileExistsError:
        if set(os.listdir(slot)) == {name for name, _ in kind.parts}:
            return
        remove_tree(Path(slot))
        make_tree(slot, kind)


def _share_of(root: Path, kind: Kind) -> int:
    """How many trees the free space of the file system may be used for."""
    found = os.statvfs(root)
    inodes = 1 + len(kind.parts)
    by_bytes = found.f_bavail * found.f_frsize * FREE_SHARE_MAX / (inodes * found.f_bsize)
    by_inodes = found.f_favail * FREE_SHARE_MAX / inodes if found.f_files else by_bytes  # btrfs makes them as needed
    return int(min(by_bytes, by_inodes))
