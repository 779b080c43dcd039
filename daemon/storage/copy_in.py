"""A tar, written into a container that does not run: `docker cp` into it.

Where an entry goes is found in the container's view, in which links stay inside; it is then opened by the kernel below the layer
or the volume it belongs to, without following any link (`openat.py`), so nothing depends on the finding alone. In the container's
layer, directories that only the image has are copied up, and a new directory hides what was hidden before, as overlayfs would do
it. What exists is replaced, never written through, and a file is there whole or not at all.

Refused, with what came before left in place: names with `..`, what is too deep, too many or too large, a device 0:0, which an
overlay takes for a whiteout, and whatever would replace a mount. Of extended attributes only those of `attributes.py` are kept.
Absolute names count from the directory that is written to, as those that an archive of `/` has.
Sources: moby v28 daemon/archive_unix.go, github.com/moby/go-archive archive.go Unpack, createTarFile.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import attrs

from daemon.errors import InvalidParameter
from daemon.storage.attributes import make_opaque, write_attributes
from daemon.storage.container_view import ContainerView, Ground, Mounting, path_of
from daemon.storage.copy_up import copy_file_up, make_directories
from daemon.storage.disk import disk, sync_file_system
from daemon.storage.openat import open_beneath
from daemon.storage.overlay import MergedFile
from daemon.storage.placing import (
    PATH_BYTES_MAX,
    attributes_of,
    cause_of,
    closing,
    mode_at,
    place_file,
    place_special,
    replace,
)
from daemon.storage.rootfs import Resolution
from daemon.storage.streams import Source, drain
from daemon.storage.tar import Entry, Kind, TarReader, bad_entry
from daemon.storage.unpack import PATH_DEPTH_MAX, Budget, Limits, components_of

SYNCED_SINGLY_MAX = 32
"""Entries that are synced one by one: a tenth of a second. For more, one sync of the file system is cheaper; but that waits for
everything that others have written, too.
"""

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@attrs.frozen(kw_only=True)
class Rules:
    """What the client wants of a copy."""

    keeps_kinds: bool
    """Whether a directory must not be replaced by something else, nor the other way round."""
    owner: tuple[int, int] | None
    """User and group of everything that is written; None for what the archive says."""
    is_rootfs_writable: bool


def copy_in(tar_stream: Source, view: ContainerView, path: str, rules: Rules, *, limits: Limits | None = None) -> None:
    """Unpack an uncompressed tar into the directory at `path`, which exists; durable on return.

    Raises:
        InvalidParameter: it is no directory, it is read-only, or the archive is refused, naming the entry.
        System: the disk failed.
    """
    with disk("copy into the container"), _Copier(view, path, rules, limits or Limits()) as copier:
        reader = TarReader(tar_stream)
        for entry in reader:
            copier.place(entry, reader.chunks())
        drain(tar_stream)
        copier.finish()


@attrs.frozen
class _Open:
    """A directory that entries go into."""

    trail: tuple[MergedFile, ...]
    ground: Ground
    descriptor: int

    @property
    def path(self) -> str:
        return path_of(self.trail)


class _Copier(Budget):
    """Writes entries below a directory of a view. Use it as a context manager."""

    def __init__(self, view: ContainerView, path: str, rules: Rules, limits: Limits) -> None:
        super().__init__(limits)
        self._view = view
        self._rules = rules
        self._stack = ExitStack()
        self._roots: dict[Path, int] = {}
        self._last: tuple[tuple[str, ...], _Open] | None = None
        self._touched: set[tuple[Path, tuple[str, ...]]] = set()
        """Directories that have something new in them, or are new: a root, and the names below it."""
        self._is_copied_up = False
        self._times: dict[str, int] = {}
        """When the directories in the archive were changed: writing into them changes it, so they are given it last."""
        resolution = view.resolve(path)
        if resolution.missing or not resolution.trail[-1].is_directory:
            raise InvalidParameter("extraction point is not a directory")
        self._destination = path_of(resolution.trail)
        self._check_writable(view.ground(resolution).mounting)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._leave()
        self._stack.close()

    def place(self, entry: Entry, content: Iterator[bytes]) -> None:
        super().place(entry, content)
        components = components_of(entry.name.lstrip("/") or ".")
        if self._rules.owner is not None:
            uid, gid = self._rules.owner
            entry = attrs.evolve(entry, uid=uid, gid=gid)
        try:
            if components:
                self._place_below(components, entry, content)
            elif entry.kind is not Kind.DIRECTORY:
                raise bad_entry(entry.name, "the root is a directory")
        except OSError as error:
            raise cause_of(error, entry) from error

    def finish(self) -> None:
        """Give the directories their times, and make everything durable. Raises OSError."""
        self._leave()
        for path, mtime_ns in self._times.items():
            resolution = self._view.resolve(path, follow=False)
            if resolution.missing or not resolution.trail[-1].is_directory:
                continue  # a later entry has replaced it
            with self._opened(self._view.ground(resolution)) as directory:
                os.utime(directory, ns=(mtime_ns, mtime_ns))
        self._sync()

    def _sync(self) -> None:
        if self._is_synced_singly:
            for root, names in sorted(self._touched):
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # a later entry has replaced it
                    path = "/".join(names) or "."
                    with closing(open_beneath(self._roots[root], path, os.O_RDONLY | os.O_DIRECTORY)) as directory:
                        os.fsync(directory)
        else:
            for root in self._roots:
                sync_file_system(root)

    @property
    def _is_synced_singly(self) -> bool:
        """A file that was copied up for a link to it is not."""
        return self.entries <= SYNCED_SINGLY_MAX and not self._is_copied_up

    def _touch(self, ground: Ground, *new: str) -> None:
        """Note a directory of the ground, or a new one in it, and all above, which may be new, too."""
        names = (*(directory.name for directory in ground.below), *new)
        self._touched.update((ground.root, names[:depth]) for depth in range(len(names) + 1))

    def _place_below(self, components: tuple[str, ...], entry: Entry, content: Iterator[bytes]) -> None:
        *parents, name = components
        parent = self._enter(tuple(parents), entry)
        place = f"{parent.path}/{name}"
        there = self._view.child(parent.trail, name)
        is_directory, was_directory = entry.kind is Kind.DIRECTORY, there is not None and there.is_directory
        if there is not None:
            self._check_replaceable(place, entry, is_directory=is_directory, was_directory=was_directory)
        if entry.kind is Kind.CHAR_DEVICE and entry.device == (0, 0):
            raise bad_entry(entry.name, "device 0:0 is a whiteout")
        if is_directory:
            self._times[place] = entry.mtime_ns
            if was_directory:
                write_attributes(self._enter(components, entry).descriptor, attributes_of(entry))
            else:
                _make_directory(parent, name, entry)
            self._touch(parent.ground, name)
        elif entry.kind is Kind.FILE:
            place_file(parent.descriptor, name, entry, content, is_synced=self._is_synced_singly)
        elif entry.kind is Kind.LINK:
            self._place_link(parent, name, entry)
        else:
            place_special(parent.descriptor, name, entry)

    def _place_link(self, parent: _Open, name: str, entry: Entry) -> None:
        target = components_of(entry.target.lstrip("/"))
        resolution = self._view.resolve("/".join((self._destination, *target)), follow=False)
        found = resolution.trail[-1]
        place = path_of(resolution.trail)
        if resolution.missing or not stat.S_ISREG(found.status.st_mode):
            raise bad_entry(entry.name, f"a hard link to {entry.target[:200]!r}, which is no regular file")
        ground = self._view.ground(Resolution(resolution.trail[:-1]))
        if ground.root != parent.ground.root or self._view.is_mounted(place):
            raise bad_entry(entry.name, f"a hard link to {entry.target[:200]!r}, which is in another file system")
        if place == f"{parent.path}/{name}":
            raise bad_entry(entry.name, "a hard link to itself")
        if found.layer != 0:
            self._is_copied_up = True
            copy_file_up(ground.root, ground.below, found)
        with self._opened(ground) as holder:
            descriptors = {"src_dir_fd": holder, "dst_dir_fd": parent.descriptor}
            try:
                replace(
                    parent.descriptor, name, lambda: os.link(found.name, name, **descriptors, follow_symlinks=False)
                )
            except FileNotFoundError as error:  # it was below the directory that the link replaced
                raise bad_entry(entry.name, f"a hard link to {entry.target[:200]!r}, which it replaces") from error

    def _enter(self, components: tuple[str, ...], entry: Entry) -> _Open:
        """The directory there, made if it is missing, copied up if it is in lower layers only. The last one stays open."""
        if self._last is not None and self._last[0] == components:
            return self._last[1]
        self._leave()
        path = "/".join((self._destination, *components))
        if len(os.fsencode(path)) > PATH_BYTES_MAX:
            raise bad_entry(entry.name, f"a path of more than {PATH_BYTES_MAX} bytes")
        resolution = self._view.resolve(path)
        if not resolution.trail[-1].is_directory:
            raise bad_entry(entry.name, "a file is in the way")
        if len(resolution.trail) + len(resolution.missing) > PATH_DEPTH_MAX:
            raise bad_entry(entry.name, f"more than {PATH_DEPTH_MAX} directories within each other")
        ground = self._view.ground(resolution)
        self._check_writable(ground.mounting)
        if ground.missing or any(directory.layer != 0 for directory in ground.below):
            for _ in ground.missing:
                self.spend(entry.name)
            make_directories(ground.root, ground.below, ground.missing)
            resolution = self._view.resolve(path)
            ground = self._view.ground(resolution)
            if ground.missing:  # somebody who uses the volume has taken it away again
                raise bad_entry(entry.name, "its directory is being changed")
        opened = _Open(resolution.trail, ground, self._open(ground))
        self._touch(ground)
        self._last = components, opened
        return opened

    def _leave(self) -> None:
        if self._last is not None:
            os.close(self._last[1].descriptor)
            self._last = None

    def _open(self, ground: Ground) -> int:
        root = self._roots.get(ground.root)
        if root is None:
            root = self._roots[ground.root] = os.open(ground.root, _DIRECTORY)
            self._stack.callback(os.close, root)
        path = "/".join(directory.name for directory in ground.below) or "."
        return open_beneath(root, path, os.O_RDONLY | os.O_DIRECTORY)

    @contextlib.contextmanager
    def _opened(self, ground: Ground) -> Iterator[int]:
        with closing(self._open(ground)) as descriptor:
            yield descriptor

    def _check_writable(self, mounting: Mounting | None) -> None:
        if mounting is not None and not mounting.is_writable:
            raise InvalidParameter("mounted volume is marked read-only")
        if mounting is None and not self._rules.is_rootfs_writable:
            raise InvalidParameter("container rootfs is marked read-only")

    def _check_replaceable(self, place: str, entry: Entry, *, is_directory: bool, was_directory: bool) -> None:
        """Raises InvalidParameter. Unlike Moby, whose 500 for the first two is no failure of the daemon's."""
        if self._rules.keeps_kinds and was_directory and not is_directory:
            raise InvalidParameter(
                f'cannot overwrite directory "{place}" with non-directory "{self._destination or "/"}"'
            )
        if self._rules.keeps_kinds and is_directory and not was_directory:
            raise InvalidParameter(
                f'cannot overwrite non-directory "{place}" with directory "{self._destination or "/"}"'
            )
        if not (is_directory and was_directory) and self._view.is_mounted(place):
            raise bad_entry(entry.name, "something is mounted there")


def _make_directory(parent: _Open, name: str, entry: Entry) -> None:
    """In place of whatever is not one. What that hid in lower layers stays hidden."""
    was_there = bool(mode_at(parent.descriptor, name))
    replace(parent.descriptor, name, lambda: os.mkdir(name, mode=0o700, dir_fd=parent.descriptor))
    with closing(os.open(name, _DIRECTORY, dir_fd=parent.descriptor)) as directory:
        if was_there and parent.ground.mounting is None:
            make_opaque(directory)
        write_attributes(directory, attributes_of(entry))
