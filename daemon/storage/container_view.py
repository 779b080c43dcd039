"""The files of a container as a process inside would see them: its layers merged, and what is mounted on them.

Nothing is mounted for this. Where the container has a volume or a bind, the view continues in its directory on this host. It may
be in use by somebody who plays with it, so it is walked by descriptors (`overlay.held`): a directory that becomes a symbolic link
in the meantime leads nowhere. A place for a mount that the layers lack is there all the same, as it would be at start.
The layers themselves are still, because containers do not run yet.
Sources: Moby daemon/containerfs_linux.go, daemon/archive_unix.go.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path

import attrs

from daemon.errors import InvalidParameter
from daemon.storage.disk import disk
from daemon.storage.overlay import MergedFile, child_of, down_to_opaque, held, names_in, root_of
from daemon.storage.rootfs import Resolution, resolve

_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
"""Not to wait for a writer, should it have become a pipe meanwhile."""


@attrs.frozen(kw_only=True)
class Mounting:
    """A volume or a bind of the container."""

    destination: str
    """In the container."""
    source: Path | None
    """On this host: a directory or a file. None if there is none before the container starts."""
    is_writable: bool


@attrs.frozen(kw_only=True)
class Ground:
    """What a path stands on: the directory on this host that is to be written to, and the way from there."""

    root: Path
    mounting: Mounting | None
    """None for the container's own layer."""
    below: tuple[MergedFile, ...]
    """The directories that exist, from below the root on."""
    missing: tuple[str, ...]


class ContainerView:
    """The view of a container with these layers, its own first. Every method may raise InvalidParameter, System."""

    def __init__(self, layers: Sequence[Path], mountings: Sequence[Mounting] = ()) -> None:
        self._upper = layers[0]
        self._grafts: dict[str, tuple[MergedFile, Mounting | None]] = {}
        with disk("open the container's files"):
            self.root = root_of(down_to_opaque(layers))
            # A mount on a mount comes after it.
            for mounting in sorted(mountings, key=lambda mounting: mounting.destination.count("/")):
                self._graft(mounting)

    def resolve(self, path: str, *, follow: bool = True) -> Resolution:
        """Where `path` leads; without `follow` a final symbolic link is not resolved."""
        with disk("look into the container"):
            return resolve(self.root, path, follow=follow, child=self.child)

    def child(self, trail: Sequence[MergedFile], name: str) -> MergedFile | None:
        """What is under `name` in the last directory of a trail. Raises OSError."""
        graft = self._grafts.get(f"{path_of(trail)}/{name}") if self._grafts else None
        if graft is None:
            return child_of(trail[-1], name)
        root, mounting = graft
        # A place that was missing may have been made meanwhile.
        return root if mounting is not None else child_of(trail[-1], name) or root

    def children(self, trail: Sequence[MergedFile]) -> list[MergedFile]:
        """What is in the last directory of a trail, sorted by name. Raises OSError."""
        names = set(names_in(trail[-1]))
        if self._grafts:
            parent = f"{path_of(trail)}/"
            names |= {path.removeprefix(parent) for path in self._grafts if path.rpartition("/")[0] + "/" == parent}
        children = (self.child(trail, name) for name in sorted(names))
        return [child for child in children if child is not None]

    def is_mounted(self, path: str) -> bool:
        """Whether something is mounted at or below this place, which is free of links."""
        return any(place == path or place.startswith(f"{path}/") for place in self._grafts)

    def ground(self, resolution: Resolution) -> Ground:
        """Where to write what is at the end of a path whose last found file is a directory."""
        trail = resolution.trail
        for depth in range(len(trail), 1, -1):
            root, mounting = self._grafts.get(path_of(trail[:depth]), (None, None))
            if root is not None and mounting is not None:
                if mounting.source is None or not root.parts:
                    place = mounting.destination
                    raise InvalidParameter(f"what is mounted at {place} is not there before the container starts")
                return Ground(root=mounting.source, mounting=mounting, below=trail[depth:], missing=resolution.missing)
        # The rest is there only because something is mounted below it.
        below = tuple(step for step in trail[1:] if step.parts)
        missing = tuple(step.name for step in trail[len(below) + 1 :])
        return Ground(root=self._upper, mounting=None, below=below, missing=(*missing, *resolution.missing))

    def _graft(self, mounting: Mounting) -> None:
        resolution = resolve(self.root, mounting.destination, child=self.child)
        places = [*(step.name for step in resolution.trail[1:]), *resolution.missing]
        if not places:
            raise InvalidParameter("cannot look into a container with a mount at its root")
        for depth in range(len(resolution.trail), len(places)):
            self._grafts["".join(f"/{name}" for name in places[:depth])] = (_empty(places[depth - 1]), None)
        if mounting.source is not None:
            # A link at its end is followed once, here: whoever writes opens the source without following any.
            mounting = attrs.evolve(mounting, source=Path(os.path.realpath(mounting.source)))
        self._grafts["".join(f"/{name}" for name in places)] = (_root_of_mount(mounting, places[-1]), mounting)


def open_file(found: MergedFile) -> int | None:
    """A descriptor of a regular file of a view, whose directory is held; None if it is none any more. Raises OSError."""
    try:
        descriptor = os.open(found.real_path, _FILE)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            return None
        raise
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    return None


def path_of(trail: Sequence[MergedFile]) -> str:
    """Absolute; empty for the root."""
    return "".join(f"/{step.name}" for step in trail[1:])


def _root_of_mount(mounting: Mounting, name: str) -> MergedFile:
    """Empty where the source is still to be made, as that of a bind is at start."""
    if mounting.source is None:
        return _empty(name)
    source = str(mounting.source)
    try:
        return held(MergedFile(name, os.lstat(source), ((0, source),), is_live=True))
    except (FileNotFoundError, NotADirectoryError):
        return _empty(name)


def _empty(name: str) -> MergedFile:
    """A directory that is nowhere: as it would be made, 0755 and root's."""
    times = {"st_atime_ns": 0, "st_mtime_ns": 0, "st_ctime_ns": 0}
    return MergedFile(name, os.stat_result((stat.S_IFDIR | 0o755, 0, 0, 1, 0, 0, 0, 0, 0, 0), times), ())
