"""A layer's tar, written below a directory and nowhere else, ready to be a lower directory of an overlay.

Every name is checked, and then opened by the kernel below the target without following any symbolic link (`openat.py`), so that
nothing depends on the check alone. What exists is replaced, never written through: a file is always a new inode.

    .wh.NAME       -> character device 0:0, overlay's whiteout; where the same layer has NAME as a directory: an opaque directory
    .wh..wh..opq   -> the attribute trusted.overlay.opaque=y on its directory; user.overlay.opaque as an ordinary user
    devices        -> made as root, as Docker does; refused otherwise, because a layer without them is another layer
    owner, security.capability -> given as root only; user.* attributes kept, all others dropped

A whiteout hides what lower layers have, never what its own layer has (OCI image-spec layer.md, Whiteouts), in whatever order they
come. Parents that the archive does not have are made 0755. A directory's time survives the entries that follow it.
Unlike Moby: absolute names, names with `..` and hard links to symbolic links are refused, not interpreted.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import attrs

from daemon.errors import InvalidParameter
from daemon.storage.attributes import (
    Attributes,
    is_whiteout,
    make_opaque,
    make_whiteout,
    write_attributes,
)
from daemon.storage.disk import disk, sync_file_system_of
from daemon.storage.failpoints import failpoint
from daemon.storage.oci import Descriptor
from daemon.storage.openat import open_beneath
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
from daemon.storage.streams import Hashed, Source, drain
from daemon.storage.tar import Entry, Kind, TarReader, bad_entry

ENTRIES_MAX = 1_000_000
"""Inodes that one layer may make. Whole distributions have 300,000; an ext4 of 16 GB has a million."""

FILE_BYTES_MAX = 64 * 1024**3
"""Content of one layer's files: as much as its tar may have (`streams.STREAM_BYTES_MAX`)."""

UNSYNCED_BYTES_MAX = 32 * 1024**2
"""What may wait to be written: it goes to the disk in one go, and every create waits behind it for its own sync."""

PATH_DEPTH_MAX = 128
"""Components of a name. The deepest trees, of JavaScript packages, have 40; removing a tree takes a descriptor per level."""

NAME_BYTES_MAX = 255
"""Linux' NAME_MAX."""

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@attrs.frozen(kw_only=True)
class Limits:
    """How much one layer may ask for."""

    entries: int = ENTRIES_MAX
    file_bytes: int = FILE_BYTES_MAX


@attrs.frozen(kw_only=True)
class Unpacked:
    """What a layer's tar was: the stream has been read to its end."""

    diff_id: str
    """`sha256:<hex>` of the tar."""
    diff_bytes: int
    """The length of the tar."""
    file_bytes: int
    """Sum of the sizes of the regular files in it, and of the symbolic links, which are as long as what they say.

    As Moby's directory.Size, from which Docker has the size of an image.
    """
    entries: int
    """Inodes that were asked for; parents that the archive does not have are counted where they are made."""


def unpack_layer(
    tar_stream: Source,
    target: Path,
    *,
    limits: Limits | None = None,
    is_end_required: bool = False,
    known: Descriptor | None = None,
) -> Unpacked:
    """Unpack an uncompressed tar below `target`, an existing directory that is empty and nobody else writes to.

    `known` is what the tar is, where that has been computed before; else it is computed here. After a failure the target holds a
    part of the layer: remove it. Raises InvalidParameter, naming the entry, for an archive that is damaged, hostile or too large;
    System where the disk fails or root would be needed.
    """
    with disk("unpack a layer"):
        root = os.open(target, _DIRECTORY)
    try:
        unpacker = _Unpacker(root, limits or Limits())
        return _through(tar_stream, unpacker, is_end_required, known)
    finally:
        os.close(root)


def measure_layer(tar_stream: Source, *, limits: Limits | None = None, known: Descriptor | None = None) -> Unpacked:
    """What `unpack_layer` would return, without writing anything. Raises InvalidParameter."""
    return _through(tar_stream, Budget(limits or Limits()), is_end_required=False, known=known)


def components_of(name: str) -> tuple[str, ...]:
    """The components of a name in an archive; none for the root itself.

    Raises InvalidParameter for a name that leads or might lead out, or that Linux could not open.
    """
    if not name or "\0" in name or len(os.fsencode(name)) > PATH_BYTES_MAX:
        raise bad_entry(name, f"a name is 1 to {PATH_BYTES_MAX} bytes without NUL")
    if name.startswith("/"):
        raise bad_entry(name, "its name is absolute")
    components = tuple(component for component in name.split("/") if component not in ("", "."))
    if ".." in components:
        raise bad_entry(name, "its name contains '..'")
    if len(components) > PATH_DEPTH_MAX:
        raise bad_entry(name, f"its name has more than {PATH_DEPTH_MAX} components")
    if any(len(os.fsencode(component)) > NAME_BYTES_MAX for component in components):
        raise bad_entry(name, f"a component of its name is longer than {NAME_BYTES_MAX} bytes")
    return components


class Budget:
    """Counts what a layer asks for, and refuses what is too much."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.entries = 0
        self.file_bytes = 0

    def place(self, entry: Entry, content: Iterator[bytes]) -> None:
        """Account for one entry; `content` is left unread."""
        self.spend(entry.name)
        self.file_bytes += len(os.fsencode(entry.target)) if entry.kind is Kind.SYMLINK else entry.size
        if self.file_bytes > self._limits.file_bytes:
            raise bad_entry(entry.name, f"the files are larger than {self._limits.file_bytes} bytes")

    def spend(self, name: str) -> None:
        """Account for one inode."""
        self.entries += 1
        if self.entries > self._limits.entries:
            raise bad_entry(name, f"more than {self._limits.entries} entries")


def _through(tar_stream: Source, budget: Budget, is_end_required: bool, known: Descriptor | None) -> Unpacked:
    hashed = Hashed(tar_stream)
    reader = TarReader(tar_stream if known else hashed, is_end_required=is_end_required)
    for entry in reader:
        budget.place(entry, reader.chunks())
    if known is None:
        drain(hashed)  # the digest covers what follows the end-of-archive blocks, too
        known = Descriptor(hashed.digest, hashed.size)
    return Unpacked(diff_id=known.digest, diff_bytes=known.size, file_bytes=budget.file_bytes, entries=budget.entries)


class _Unpacker(Budget):
    """Writes entries below the open directory `root`."""

    def __init__(self, root: int, limits: Limits) -> None:
        super().__init__(limits)
        self._root = root
        self._synced_bytes = 0

    def place(self, entry: Entry, content: Iterator[bytes]) -> None:
        super().place(entry, content)
        if self.file_bytes - entry.size - self._synced_bytes >= UNSYNCED_BYTES_MAX:
            self._synced_bytes = self.file_bytes - entry.size
            with disk("unpack a layer"):
                sync_file_system_of(self._root)
        components = components_of(entry.name)
        try:
            failpoint("unpack.entry")
            if components:
                self._place_below(components, entry, content)
            else:
                self._place_root(entry)
        except OSError as error:
            raise cause_of(error, entry) from error

    def _place_root(self, entry: Entry) -> None:
        if entry.kind is not Kind.DIRECTORY:
            raise bad_entry(entry.name, "the root is a directory")
        write_attributes(self._root, attributes_of(entry))

    def _place_below(self, components: tuple[str, ...], entry: Entry, content: Iterator[bytes]) -> None:
        *parents, name = components
        if any(parent.startswith(_WHITEOUT) for parent in parents):
            raise bad_entry(entry.name, "a whiteout is no directory")
        with self._parent(tuple(parents), entry) as parent:
            if name.startswith(_WHITEOUT):
                _place_whiteout(parent, name, entry)
            elif entry.kind is Kind.DIRECTORY:
                _place_directory(parent, name, attributes_of(entry))
            elif entry.kind is Kind.FILE:
                place_file(parent, name, entry, content)
            elif entry.kind is Kind.LINK:
                self._place_link(parent, name, components, entry)
            else:
                place_special(parent, name, entry)

    def _place_link(self, parent: int, name: str, components: tuple[str, ...], entry: Entry) -> None:
        target = components_of(entry.target)
        if not target or target == components:
            raise bad_entry(entry.name, f"a hard link to {entry.target!r}")
        try:
            holder = open_beneath(self._root, _joined(target[:-1]), os.O_PATH | os.O_DIRECTORY)
        except FileNotFoundError as error:
            raise _dangling(entry) from error
        with closing(holder):
            if not stat.S_ISREG(mode_at(holder, target[-1])):
                raise _dangling(entry)
            try:
                replace(
                    parent,
                    name,
                    lambda: os.link(target[-1], name, src_dir_fd=holder, dst_dir_fd=parent, follow_symlinks=False),
                )
            except FileNotFoundError as error:
                raise _dangling(entry) from error  # It was below the directory that the link replaced.

    @contextlib.contextmanager
    def _parent(self, parents: tuple[str, ...], entry: Entry) -> Iterator[int]:
        """The open directory that an entry goes into, made if it is missing; its time is as before afterwards."""
        try:
            parent = open_beneath(self._root, _joined(parents), os.O_RDONLY | os.O_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            parent = self._make_parents(parents, entry)
        with closing(parent):
            before = os.fstat(parent)
            yield parent
            os.utime(parent, ns=(before.st_atime_ns, before.st_mtime_ns))

    def _make_parents(self, parents: tuple[str, ...], entry: Entry) -> int:
        for depth in range(len(parents)):
            holder = open_beneath(self._root, _joined(parents[:depth]), os.O_RDONLY | os.O_DIRECTORY)
            with closing(holder):
                self._make_parent(holder, parents[depth], entry)
        return open_beneath(self._root, _joined(parents), os.O_RDONLY | os.O_DIRECTORY)

    def _make_parent(self, holder: int, name: str, entry: Entry) -> None:
        mode = mode_at(holder, name)
        if stat.S_ISDIR(mode):
            return
        if mode and not is_whiteout(os.lstat(name, dir_fd=holder)):
            raise bad_entry(entry.name, f"{name!r} is not a directory")
        self.spend(entry.name)
        with closing(_make_directory(holder, name)) as directory:
            os.fchmod(directory, 0o755)


def _place_whiteout(parent: int, name: str, entry: Entry) -> None:
    if entry.kind is not Kind.FILE:
        raise bad_entry(entry.name, "a whiteout is an empty file")
    if name == _OPAQUE:
        make_opaque(parent)
        return
    hidden = name.removeprefix(_WHITEOUT)
    if hidden in ("", ".", "..") or hidden.startswith(_WHITEOUT):
        raise bad_entry(entry.name, "a whiteout of nothing")
    mode = mode_at(parent, hidden)
    if stat.S_ISDIR(mode):
        with closing(os.open(hidden, _DIRECTORY, dir_fd=parent)) as directory:
            make_opaque(directory)
    elif not mode:
        make_whiteout(parent, hidden)


def _place_directory(parent: int, name: str, attributes: Attributes) -> None:
    is_there = stat.S_ISDIR(mode_at(parent, name))
    opened = os.open(name, _DIRECTORY, dir_fd=parent) if is_there else _make_directory(parent, name)
    with closing(opened) as directory:
        write_attributes(directory, attributes)


def _make_directory(parent: int, name: str) -> int:
    """A new open directory in place of whatever is not one; in place of a whiteout it hides what the whiteout hid."""
    was_whiteout = bool(mode_at(parent, name)) and is_whiteout(os.lstat(name, dir_fd=parent))
    replace(parent, name, lambda: os.mkdir(name, mode=0o700, dir_fd=parent))
    directory = os.open(name, _DIRECTORY, dir_fd=parent)
    if was_whiteout:
        make_opaque(directory)
    return directory


def _dangling(entry: Entry) -> InvalidParameter:
    return bad_entry(entry.name, f"a hard link to {entry.target[:200]!r}, which is no regular file of this layer")


def _joined(components: tuple[str, ...]) -> str:
    return "/".join(components) or "."
