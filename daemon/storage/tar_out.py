"""A tar of what a container's view has, made piece by piece in flat memory.

The headers are those of Moby's `docker cp` and `docker export`: PAX, times in whole seconds, no names of users, capabilities as
`SCHILY.xattr.security.capability`, hard links to the first name of a file. Sockets are left out. A file that grows or shrinks
while it is read has the length that its header says.
Source: github.com/moby/go-archive archive.go (v28), tarAppender.
"""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Generator, Iterator, Sequence

import attrs

from daemon.errors import System
from daemon.storage.container_view import ContainerView, open_file
from daemon.storage.disk import disk
from daemon.storage.overlay import MergedFile, held
from daemon.storage.streams import CHUNK_BYTES

DEPTH_MAX = 256
"""Directories within directories: twice what an archive may make (`unpack.PATH_DEPTH_MAX`), as a volume may have been filled
otherwise. Each may hold a descriptor meanwhile."""

_TYPES = {
    stat.S_IFREG: tarfile.REGTYPE,
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFCHR: tarfile.CHRTYPE,
    stat.S_IFBLK: tarfile.BLKTYPE,
    stat.S_IFIFO: tarfile.FIFOTYPE,
}
BLOCK = 512
_CAPABILITY = "security.capability"
_CAPABILITY_2_BYTES = 20
"""Of a capability of revision 2, which is one of revision 3 without the user of a name space (linux/capability.h)."""


def tar_of_tree(
    view: ContainerView, trail: Sequence[MergedFile], name: str, *, with_top: bool = True
) -> Generator[bytes, None, None]:
    """The tar of what is at the end of a trail, called `name` in it; `with_top`, with an entry for that itself.

    Pieces of at most CHUNK_BYTES and a header. Raises System, also where something disappears meanwhile: an archive that ends as
    a tar should is whole.
    """
    packer = Packer()
    with disk("read the container's files"):
        if with_top:
            yield from packer.entry(trail[-1], name)
        for found, path in walk(view, trail, name):
            yield from packer.entry(found, path)
    yield bytes(2 * BLOCK)


def walk(view: ContainerView, trail: Sequence[MergedFile], name: str) -> Iterator[tuple[MergedFile, str]]:
    """What is below the end of a trail, each directory before what is in it, sorted; with its path from `name` on.

    What is yielded may be opened until the next is asked for. Raises System, OSError.
    """
    stack = [(tuple(trail), name, iter(view.children(trail) if trail[-1].is_directory else ()))]
    while stack:
        here, prefix, children = stack[-1]
        found = next(children, None)
        if found is None:
            stack.pop()
            continue
        path = f"{prefix.rstrip('/')}/{found.name}" if prefix else found.name
        yield found, path
        if found.is_directory:
            if len(stack) == DEPTH_MAX:
                raise System(f"more than {DEPTH_MAX} directories within each other")
            below = (*here, held(found))
            stack.append((below, path, iter(view.children(below))))


@attrs.define
class Packer:
    """The entries of one tar, in which the second name of a file is a link to the first."""

    names: dict[tuple[int, int], str] = attrs.field(factory=dict)
    """The first name of each file that has several, by device and inode."""

    def entry(self, found: MergedFile, name: str) -> Iterator[bytes]:
        kind = _TYPES.get(stat.S_IFMT(found.status.st_mode))
        if kind is None:
            return
        if kind == tarfile.REGTYPE:
            yield from self._file(found, name)
            return
        info = header_of(found.status, name)
        info.type = kind
        if kind == tarfile.DIRTYPE:
            info.name = f"{name.rstrip('/')}/"
        elif kind == tarfile.SYMTYPE:
            info.linkname = os.readlink(found.real_path)  # noqa: PTH115 - a Path would tidy the target up
        elif kind != tarfile.FIFOTYPE:
            info.devmajor, info.devminor = os.major(found.status.st_rdev), os.minor(found.status.st_rdev)
        if kind != tarfile.DIRTYPE and (first := self._first_name(found.status, name)) is not None:
            info.type, info.linkname = tarfile.LNKTYPE, first
        yield encoded_header(info)

    def _file(self, found: MergedFile, name: str) -> Iterator[bytes]:
        descriptor = open_file(found)
        if descriptor is None:
            return
        try:
            status = os.fstat(descriptor)
            info = header_of(status, name)
            if (first := self._first_name(status, name)) is not None:
                info.type, info.linkname = tarfile.LNKTYPE, first
                yield encoded_header(info)
                return
            info.size = status.st_size
            if (capability := _capability(descriptor)) is not None:
                info.pax_headers = {f"SCHILY.xattr.{_CAPABILITY}": capability.decode("utf-8", "surrogateescape")}
            yield encoded_header(info)
            yield from _content(descriptor, status.st_size)
        finally:
            os.close(descriptor)

    def _first_name(self, status: os.stat_result, name: str) -> str | None:
        """The name to link to, None for the first name of a file."""
        if status.st_nlink == 1:
            return None
        first = self.names.setdefault((status.st_dev, status.st_ino), name)
        return first if first != name else None


def header_of(status: os.stat_result, name: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.mode = stat.S_IMODE(status.st_mode)
    info.uid, info.gid = status.st_uid, status.st_gid
    info.mtime = int(status.st_mtime)
    return info


def encoded_header(info: tarfile.TarInfo) -> bytes:
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _content(descriptor: int, size: int) -> Iterator[bytes]:
    left = size
    while left:
        # What has become shorter is filled up with zeros.
        data = os.read(descriptor, min(left, CHUNK_BYTES)) or bytes(min(left, CHUNK_BYTES))
        left -= len(data)
        yield data
    if size % BLOCK:
        yield bytes(-size % BLOCK)


def _capability(descriptor: int) -> bytes | None:
    if _CAPABILITY not in os.listxattr(descriptor):
        return None
    value = os.getxattr(descriptor, _CAPABILITY)
    # In revision 3 there is the id of a user in another name space, which means nothing elsewhere.
    return value[:3] + b"\x02" + value[4:_CAPABILITY_2_BYTES] if value[3:4] == b"\x03" else value
