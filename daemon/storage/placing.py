"""One entry of an archive, made in an open directory. What has its name already is replaced, never written through.

Shared by those who decide where an entry may go: `unpack.py` for layers, `copy_in.py` for containers. Nothing here follows a
link: a name is a single component, and the directory has been opened by whoever calls. Every function may raise OSError, which
`cause_of` explains.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterator

from daemon.errors import InvalidParameter, System, disk_full
from daemon.storage.attributes import (
    Attributes,
    allowed_xattrs,
    is_root,
    write_attributes,
    write_attributes_at,
)
from daemon.storage.disk import FULL
from daemon.storage.tar import Entry, Kind, bad_entry

PATH_BYTES_MAX = 4095
"""Linux' PATH_MAX without the NUL: what is longer can be made, but not opened by its name."""

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def place_file(parent: int, name: str, entry: Entry, content: Iterator[bytes], *, is_synced: bool = False) -> None:
    """A regular file, whole or not at all; if that is asked for, its content is durable."""
    if mode_at(parent, name):
        remove(parent, name)
    with closing(os.open(name, _NEW_FILE, mode=0o600, dir_fd=parent)) as file:
        try:
            for data in content:
                _write_all(file, data)
            write_attributes(file, attributes_of(entry))
            if is_synced:
                os.fsync(file)
        except BaseException:
            os.unlink(name, dir_fd=parent)
            raise


def place_special(parent: int, name: str, entry: Entry) -> None:
    """A symbolic link, a pipe or a device."""
    if entry.kind is Kind.SYMLINK:
        target = entry.target
        if not target or "\0" in target or len(os.fsencode(target)) > PATH_BYTES_MAX:
            raise bad_entry(entry.name, f"a symbolic link's target is 1 to {PATH_BYTES_MAX} bytes without NUL")
        replace(parent, name, lambda: os.symlink(target, name, dir_fd=parent))
    else:
        kinds = {Kind.FIFO: stat.S_IFIFO, Kind.CHAR_DEVICE: stat.S_IFCHR, Kind.BLOCK_DEVICE: stat.S_IFBLK}
        if entry.kind is not Kind.FIFO and not is_root():
            raise System(f"cannot unpack {entry.name!r}: a device needs root")
        kind, device = kinds[entry.kind], os.makedev(*entry.device)
        replace(parent, name, lambda: os.mknod(name, kind | 0o600, device, dir_fd=parent))
    write_attributes_at(parent, name, attributes_of(entry))


def replace(parent: int, name: str, create: Callable[[], None]) -> None:
    """`create` the name, which may exist as something else."""
    try:
        create()
    except FileExistsError:
        remove(parent, name)
        create()


def remove(parent: int, name: str) -> None:
    if stat.S_ISDIR(mode_at(parent, name)):
        shutil.rmtree(name, dir_fd=parent)
    else:
        os.unlink(name, dir_fd=parent)


def mode_at(parent: int, name: str) -> int:
    """The mode of the name itself, 0 if there is none."""
    try:
        return os.lstat(name, dir_fd=parent).st_mode
    except FileNotFoundError:
        return 0


def attributes_of(entry: Entry) -> Attributes:
    return Attributes(
        mode=entry.mode, uid=entry.uid, gid=entry.gid, mtime_ns=entry.mtime_ns, xattrs=allowed_xattrs(entry.xattrs)
    )


def cause_of(error: OSError, entry: Entry) -> InvalidParameter | System:
    """Whose fault an error of the file system is: what the archive asked for, or the disk."""
    if error.errno in (errno.ELOOP, errno.EXDEV):
        return bad_entry(entry.name, "a symbolic link is in the way")
    if error.errno == errno.ENOTDIR:
        return bad_entry(entry.name, "a file is in the way")
    if error.errno in FULL:
        return disk_full()
    return System(f"cannot unpack {entry.name[:200]!r}: {error.strerror or error}")


def _write_all(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


@contextlib.contextmanager
def closing(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)
