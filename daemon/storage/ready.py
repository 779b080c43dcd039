"""Empty trees, made beforehand: directories cost a create more than anything else, and drag the journal's commit into the next
fsync.

    containers/<id>/    0700    as in trees.py, and empty: the id was drawn with it, for a container that is to come
    ready/<name>/       0700    as below volumes/: a volume that is to come takes one by a rename, as its name is its user's

So a create that finds one has its id and its tree at once, and no disk to wait for. They are made while there is nothing better
to do, and by a process beside this one where that moment does not come (`tree_maker.py`). None outlives its daemon: a clean stop
removes them, and after a crash they are residue like any other.

For each kind one thread calls what changes the disk here; `take` and `put_back` are for any.
"""

from __future__ import annotations

import os
import secrets
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs

from daemon.container import new_container_id
from daemon.storage.disk import FREE_SHARE_MAX, disk, remove_tree
from daemon.storage.failpoints import failpoint
from daemon.storage.tree_maker import Parts, TreeMaker, make_tree

UPPER = "diff"
DATA = "_data"

MAKER_BATCH_MIN = 32
"""Trees that are worth a message to another process."""


@attrs.frozen
class Kind:
    home: str
    """Below the data root."""
    parts: Parts
    draw_name: Callable[[], str]


CONTAINER = Kind("containers", (("checkpoints", 0o700), (UPPER, 0o755)), new_container_id)
VOLUME = Kind("ready", ((DATA, 0o755),), lambda: secrets.token_hex(16))


class ReadyTrees:
    """At most `trees_max` of one kind, fewer where there is little space."""

    def __init__(self, root: Path, trees_max: int, kind: Kind, maker: TreeMaker) -> None:
        self._kind = kind
        self._maker = maker
        self._home = root / kind.home
        self._ready: deque[str] = deque()
        self._in_the_making: frozenset[str] = frozenset()
        self.on_take: Callable[[], None] = nothing
        """Called by `take`."""
        with disk("open the directory of prepared trees"):
            self._home.mkdir(mode=0o700, exist_ok=True)
            self._count = min(trees_max, _share_of(root, kind))

    def __len__(self) -> int:
        """How many can be taken at once."""
        return len(self._ready)

    def names(self) -> frozenset[str]:
        """Of those that can be taken, and of those that are being made."""
        return self._in_the_making.union(self._ready)

    def take(self) -> str | None:
        """The name of one, which is the caller's from now on; None when there is none."""
        name = self._pop()
        if name is not None:
            self.on_take()
        return name

    def put_back(self, name: str) -> None:
        """What was taken, and is as it was."""
        self._ready.append(name)

    def claim(self, target: str) -> bool:
        """Move one to `target`; False when there is none. Raises OSError: there is something at `target`."""
        failpoint("ready.before_claim")
        name = self._pop()
        if name is None:
            return False
        try:
            os.rename(f"{self._home}/{name}", target)
        except FileNotFoundError:  # somebody has tidied up behind us
            return False
        except OSError:
            self.put_back(name)
            raise
        failpoint("ready.after_claim")
        return True

    @property
    def is_low(self) -> bool:
        """Whether less than a quarter of them is ready."""
        return 4 * len(self._ready) < self._count

    @property
    def has_room(self) -> bool:
        return len(self._ready) < self._count

    def prepare(self, count: int) -> None:
        """Make at most `count` more. Raises System: the disk failed, and nothing is left of those that are not whole."""
        names = [self._kind.draw_name() for _ in range(min(count, self._count - len(self._ready)))]
        self._in_the_making = frozenset(names)
        try:
            with disk("prepare directories"):
                self._make([f"{self._home}/{name}" for name in names])
            self._ready.extend(names)
        except BaseException:
            self._remove(names)
            raise
        finally:
            self._in_the_making = frozenset()

    def discard(self) -> None:
        """Remove those that nobody has taken, and make no more. Raises System."""
        self._count = 0
        self._remove([*iter(self._pop, None)])

    def _pop(self) -> str | None:
        try:
            return self._ready.popleft()
        except IndexError:
            return None

    def _make(self, paths: Sequence[str]) -> None:
        if self._count >= MAKER_BATCH_MIN:
            self._maker.start()  # in good time
        if len(paths) >= MAKER_BATCH_MIN:
            self._maker.make(paths, self._kind.parts)
        else:
            for path in paths:
                make_tree(path, self._kind.parts)

    def _remove(self, names: Sequence[str]) -> None:
        with disk("remove prepared directories"):
            for name in names:
                _remove_tree(f"{self._home}/{name}", self._kind)


def sweep(root: Path) -> None:
    """Remove what an earlier daemon has left in `ready`. Raises System."""
    home = root / VOLUME.home
    with disk("remove prepared directories"):
        for name in os.listdir(home) if home.exists() else ():
            _remove_tree(f"{home}/{name}", VOLUME)


def is_untouched(path: str, kind: Kind) -> bool:
    """Whether there is a tree with nothing in it. Raises OSError."""
    parts = [name for name, _ in kind.parts]
    return sorted(os.listdir(path)) == sorted(parts) and not any(os.listdir(f"{path}/{name}") for name in parts)


def remove_if_untouched(path: str, kind: Kind) -> bool:
    """Whether it was; else something of it may have gone."""
    try:
        for name, _ in kind.parts:
            os.rmdir(f"{path}/{name}")
        os.rmdir(path)
    except OSError:
        return False
    return True


def _remove_tree(path: str, kind: Kind) -> None:
    """Most likely it is empty: then that is a quarter of the system calls."""
    if not remove_if_untouched(path, kind):
        remove_tree(Path(path))


def nothing() -> None:
    """For as long as nobody wants to know."""


def _share_of(root: Path, kind: Kind) -> int:
    """How many trees the free space of the file system may be used for."""
    found = os.statvfs(root)
    inodes = 1 + len(kind.parts)
    by_bytes = found.f_bavail * found.f_frsize * FREE_SHARE_MAX / (inodes * found.f_bsize)
    by_inodes = found.f_favail * FREE_SHARE_MAX / inodes if found.f_files else by_bytes  # btrfs makes them as needed
    return int(min(by_bytes, by_inodes))
