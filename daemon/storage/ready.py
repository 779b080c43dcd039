"""Empty trees, made beforehand: directories cost a create more than anything else, and drag the journal's commit into the next
fsync.

    containers/<id>/    0700    as in trees.py, and empty: the id was drawn with it, for a container that is to come
    ready/<name>/       0700    as below volumes/: a volume that is to come takes one by a rename, as its name is its user's

So a create that finds one has its id and its tree at once, and no disk to wait for. They are made while there is nothing better
to do, and by a process beside this one where that moment does not come (`tree_maker.py`).

What an earlier daemon has left is taken over where nobody has touched it. Of containers those that a clean stop has listed are as
good as new; of the others some create may have told the id, or there has been such a container: they get another.

    prepared            after a clean stop: the ids of the containers that are to come, as JSON

For each kind one thread calls what changes the disk here; `take` and `put_back` are for any.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import attrs
import msgspec

from daemon.container import new_container_ids
from daemon.entropy import hex_names
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
    draw_names: Callable[[int], list[str]]
    """So many."""
    is_told: bool
    """Whether clients come to know the name."""


CONTAINER = Kind("containers", (("checkpoints", 0o700), (UPPER, 0o755)), new_container_ids, is_told=True)
VOLUME = Kind("ready", ((DATA, 0o755),), lambda count: hex_names(count, 32), is_told=False)

_LISTED = "prepared"


class ReadyTrees:
    """At most `trees_max` of one kind, fewer where there is little space."""

    def __init__(self, root: Path, trees_max: int, kind: Kind, maker: TreeMaker) -> None:
        self._kind = kind
        self._maker = maker
        self._home = root / kind.home
        self._ready: deque[str] = deque()
        self._found: deque[str] = deque()
        """Left by an earlier daemon, and yet to be taken over."""
        self._in_the_making: frozenset[str] = frozenset()
        self.on_take: Callable[[], None] = nothing
        """Called by `take`."""
        with disk("open the directory of prepared trees"):
            self._home.mkdir(mode=0o700, exist_ok=True)
            self._count = min(trees_max, _share_of(root, kind))
            if not kind.is_told:
                self._found.extend(os.listdir(self._home))

    def __len__(self) -> int:
        """How many can be taken at once."""
        return len(self._ready)

    def names(self) -> frozenset[str]:
        """Of those that can be taken, and of those that are being made, or are to be taken over."""
        return self._in_the_making.union(self._ready, self._found)

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
        source = f"{self._home}/{name}"
        try:
            os.rename(source, target)
        except (OSError, ValueError):
            if not os.path.isdir(source):  # somebody has tidied up behind us
                return False
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
        return len(self._ready) < self._count or bool(self._found)

    def found(self, names: Iterable[str]) -> None:
        """Trees that no record names, and that nobody has touched: to be taken over, as many as there is room for."""
        self._found.extend(names)

    def prepare(self, count: int) -> None:
        """At most `count` more, or fewer of those to be taken over where there are too many.

        Raises System: the disk failed, and nothing is left of those that are not whole.
        """
        with disk("prepare directories"):
            if self._count >= MAKER_BATCH_MIN:
                self._maker.start()  # in good time
            if self._found:
                for _ in range(min(count, len(self._found))):
                    self._take_over(self._found[0])
                    self._found.pop()
                return
        names = self._kind.draw_names(max(0, min(count, self._count - len(self._ready))))
        self._in_the_making = frozenset(names)
        try:
            with disk("prepare directories"):
                self._make([f"{self._home}/{name}" for name in names])
            self._ready.extend(names)
        except BaseException:
            self._found.extendleft(name for name in names if not self._is_gone(name))
            raise
        finally:
            self._in_the_making = frozenset()

    def leave(self, root: Path) -> bool:
        """At a stop, of containers: list them for the next start; whether that is all there is. Raises System."""
        with disk("list prepared directories"):
            (root / _LISTED).write_bytes(msgspec.json.encode([*iter(self._pop, None)]))
        return not self._found

    def resume(self, root: Path, *, is_clean: bool) -> None:
        """What `leave` has listed, if nothing can have happened since. Raises System."""
        with disk("take over prepared directories"):
            listed = root / _LISTED
            if not listed.exists():
                return
            content = listed.read_bytes()
            listed.unlink()
            if is_clean:
                names = msgspec.json.decode(content, type=list[str])
                self._ready.extend(name for name in names if os.path.isdir(f"{self._home}/{name}"))

    def _take_over(self, name: str) -> None:
        path = f"{self._home}/{name}"
        self._found.rotate(-1)  # the next time it is another's turn, if this one cannot be
        if len(self._ready) >= self._count or not is_untouched(path, self._kind):
            _remove_tree(path, self._kind)
            return
        if self._kind.is_told:
            (name,) = self._kind.draw_names(1)
            os.rename(path, f"{self._home}/{name}")
        self._ready.append(name)

    def _pop(self) -> str | None:
        try:
            return self._ready.popleft()
        except IndexError:
            return None

    def _make(self, paths: Sequence[str]) -> None:
        if len(paths) >= MAKER_BATCH_MIN:
            self._maker.make(paths, self._kind.parts)
        else:
            for path in paths:
                make_tree(path, self._kind.parts)

    def _is_gone(self, name: str) -> bool:
        """What could not be made whole. If it cannot be removed either that is tried again."""
        try:
            _remove_tree(f"{self._home}/{name}", self._kind)
        except OSError:
            return False
        return True


def is_untouched(path: str, kind: Kind) -> bool:
    """Whether there is a tree as `make_tree` makes it, with nothing in it."""
    parts = [name for name, _ in kind.parts]
    ours = os.geteuid(), os.getegid()
    try:
        if sorted(os.listdir(path)) != sorted(parts) or any(os.listdir(f"{path}/{name}") for name in parts):
            return False
        found = [(mode, os.lstat(f"{path}/{name}")) for name, mode in (("", 0o700), *kind.parts)]
    except OSError:
        return False
    return all(stat.S_IMODE(each.st_mode) == mode and (each.st_uid, each.st_gid) == ours for mode, each in found)


def _remove_tree(path: str, kind: Kind) -> None:
    """Most likely it is empty: then that is a quarter of the system calls. Raises OSError."""
    with contextlib.suppress(OSError):
        for name, _ in kind.parts:
            os.rmdir(f"{path}/{name}")
        os.rmdir(path)
        return
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
