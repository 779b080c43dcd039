"""The files of an image or container as a process inside would see them: the layers merged, without a mount.

Merging follows overlayfs (`overlay.py`). Symbolic links are resolved with the layers' root as `/`: an absolute one and `..` stay
inside, as after a chroot. An opaque root ends the layers: a mount is to be made of `Rootfs.layers`.

Reading assumes that nobody changes the layers meanwhile, which holds for images and for containers that do not run. Writing goes
through descriptors and follows no link, because a volume may be in use.
Sources: path_resolution(7); Moby daemon/create_unix.go (populateVolumes), container/container.go (SetupWorkingDirectory).
"""

from __future__ import annotations

import enum
import os
import stat
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs

from daemon.errors import InvalidParameter, System
from daemon.storage.copy_up import copy_tree, make_directories
from daemon.storage.disk import disk
from daemon.storage.overlay import MergedFile, child_of, down_to_opaque, held, names_in, on_top, root_of

LINKS_MAX = 40
"""Symbolic links in one resolution: Linux' MAXSYMLINKS."""

NAME_BYTES_MAX = 255
PATH_LENGTH_MAX = 3072
"""Linux takes 4,095 bytes of a path at a time; the rest is for where our own directories are."""


Child = Callable[[Sequence[MergedFile], str], MergedFile | None]
"""What is under a name in the last directory of a trail."""


class NodeKind(enum.Enum):
    FILE = enum.auto()
    DIRECTORY = enum.auto()
    SYMLINK = enum.auto()
    CHAR_DEVICE = enum.auto()
    BLOCK_DEVICE = enum.auto()
    FIFO = enum.auto()
    SOCKET = enum.auto()


_KINDS = {
    stat.S_IFREG: NodeKind.FILE,
    stat.S_IFDIR: NodeKind.DIRECTORY,
    stat.S_IFLNK: NodeKind.SYMLINK,
    stat.S_IFCHR: NodeKind.CHAR_DEVICE,
    stat.S_IFBLK: NodeKind.BLOCK_DEVICE,
    stat.S_IFIFO: NodeKind.FIFO,
    stat.S_IFSOCK: NodeKind.SOCKET,
}


@attrs.frozen(kw_only=True)
class Node:
    """One file of the merged view. A directory has the attributes of its uppermost layer."""

    path: str
    """Absolute, inside the root, links resolved."""
    kind: NodeKind
    mode: int
    """Permission bits, 0o7777."""
    uid: int
    gid: int
    size: int
    """As lstat(2) tells it."""
    mtime_ns: int
    layer: int
    """Index of the layer it is in, 0 the uppermost."""
    real_path: Path
    """Where it is on this host. Never shown to a client."""


@attrs.frozen
class Resolution:
    """Where a path leads."""

    trail: tuple[MergedFile, ...]
    """From the root on, directories but for the last."""
    missing: tuple[str, ...] = ()
    """Components that do not exist below the last of the trail."""


class Rootfs:
    """The merged view of unpacked layers, the uppermost first. Every method may raise System."""

    def __init__(self, layers: Sequence[Path]) -> None:
        with disk("open the layers"):
            self.layers = down_to_opaque(layers)
            self._root = root_of(self.layers)

    def lookup(self, path: str, *, follow: bool = True) -> Node | None:
        """What is at `path`, None if nothing is; without `follow` a final symbolic link is not resolved."""
        with disk("look into the layers"):
            resolution = resolve(self._root, path, follow=follow)
        return None if resolution.missing else _node(resolution.trail)

    def listdir(self, path: str) -> tuple[str, ...]:
        """The names in a directory, sorted. Raises System if there is no directory at `path`."""
        with disk("look into the layers"):
            resolution = resolve(self._root, path)
            if resolution.missing or not resolution.trail[-1].is_directory:
                raise System(f"{path} is not a directory")
            return tuple(sorted(names_in(resolution.trail[-1])))

    def make_directory(self, upper: Path, path: str) -> bool:
        """Make `path` a directory in `upper`, which lies on these layers; whether anything had to be written.

        New directories are 0755 and root's. Those that are in lower layers only are copied up with what they have. A link whose
        target is missing gets a directory there. Raises InvalidParameter where something else is in the way.
        """
        with disk("make a directory"):
            resolution = resolve(on_top(upper, self._root), path)
            if not resolution.trail[-1].is_directory:
                # Unlike Moby, where it is a 500: it is the request that is wrong, or the image, and no disk has failed.
                raise InvalidParameter(f"Cannot mkdir: {path} is not a directory")
            if not resolution.missing:
                return False
            below_root = resolution.trail[1:]
            make_directories(upper, below_root, resolution.missing)
        return True

    def copy_directory(self, path: str, destination: Path) -> bool:
        """Fill the empty directory `destination` with what is at `path`, durably; whether it was done.

        It is not done where there is no directory at `path` or `destination` is not empty. Everything is kept, hard links among
        these files, too. After a failure the destination is empty again.
        """
        with disk("copy a directory of the image"):
            resolution = resolve(self._root, path)
            if resolution.missing or not resolution.trail[-1].is_directory:
                return False
            return copy_tree(resolution.trail[-1], destination)


def _child(trail: Sequence[MergedFile], name: str) -> MergedFile | None:
    return child_of(trail[-1], name)


def resolve(root: MergedFile, path: str, *, follow: bool = True, child: Child = _child) -> Resolution:
    """Where `path` leads, as path_resolution(7) says for a process with this root. Raises InvalidParameter, System, OSError."""
    pending = deque(_components(_checked(path)))
    trail, missing, links = [root], list[str](), 0
    while pending:
        name = pending.popleft()
        if name == "..":
            # Past the root it stays there; below what does not exist it is what the text says.
            if missing:
                missing.pop()
            elif len(trail) > 1:
                trail.pop()
            continue
        found = None if missing else child(trail, name)
        if found is None:
            missing.append(name)
        elif stat.S_ISLNK(found.status.st_mode) and (follow or pending):
            links += 1
            if links > LINKS_MAX:
                raise InvalidParameter(f"too many levels of symbolic links: {path}")
            target = os.readlink(found.real_path)  # noqa: PTH115 - a hot path
            trail = [root] if target.startswith("/") else trail
            pending.extendleft(reversed(_components(target)))
        else:
            trail.append(held(found))
    return Resolution(tuple(trail), tuple(missing))


def _checked(path: str) -> str:
    try:
        is_bad = b"\0" in os.fsencode(path)
    except UnicodeEncodeError:
        is_bad = True
    if is_bad:
        raise InvalidParameter(f"invalid path {path!r}")
    names = os.fsencode(path).split(b"/")
    if sum(map(len, names)) + len(names) > PATH_LENGTH_MAX or max(map(len, names)) > NAME_BYTES_MAX:
        raise InvalidParameter(f"invalid path {path[:40]!r}...: file name too long")
    return path


def _components(path: str) -> list[str]:
    return [component for component in path.split("/") if component not in ("", ".")]


def _node(trail: tuple[MergedFile, ...]) -> Node:
    found = trail[-1]
    return Node(
        path="/" + "/".join(step.name for step in trail[1:]),
        kind=_KINDS[stat.S_IFMT(found.status.st_mode)],
        mode=stat.S_IMODE(found.status.st_mode),
        uid=found.status.st_uid,
        gid=found.status.st_gid,
        size=found.status.st_size,
        mtime_ns=found.status.st_mtime_ns,
        layer=found.layer,
        real_path=Path(found.real_path),
    )
