"""The disk's failures as one kind of error, and the ways to make bytes durable.

A sync that failed is no answer to anybody. The kernel may have dropped the pages and reports success the next time ("Can
applications recover from fsync failures?", ATC 20), so it is never tried again: `SyncFailed` ends the daemon, and the next one
recovers.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from daemon.errors import SyncFailed, System, Unavailable, disk_full
from daemon.storage.failpoints import failpoint

FULL = (errno.ENOSPC, errno.EDQUOT)

WRITING_BYTES = 8 << 20
"""As much as is worth an order of its own to a disk; 30 ms for a slow one."""

FREE_SHARE_MAX = 0.01
"""Of what is free on the disk, for each of the things that are made before they are needed."""

_WAIT_BEFORE, _START_WRITING, _WAIT_AFTER = 1, 2, 4

_libc = ctypes.CDLL(None, use_errno=True)


class disk:  # noqa: N801 - it is used as a function
    """Turns an OSError into System, without the host's paths: the text may reach a client. One text for every full disk.

    Raises Unavailable if there were no descriptors left: that passes. A class, as every create passes through one.
    """

    __slots__ = ("_purpose",)

    def __init__(self, purpose: str) -> None:
        self._purpose = purpose

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if not isinstance(error, OSError):
            return
        if error.errno in FULL:
            raise disk_full() from error
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise Unavailable("too many open files, try again") from error
        raise System(f"cannot {self._purpose}: {error.strerror or error}") from error


def sync_file(path: Path) -> None:
    """Make a file's content durable. Raises OSError where it cannot be opened, SyncFailed."""
    with _opened(path, os.O_RDONLY) as descriptor, _syncing():
        failpoint("disk.sync_file")
        os.fsync(descriptor)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable: a rename is not, before this. Raises as `sync_file`."""
    with _opened(path, os.O_RDONLY | os.O_DIRECTORY) as descriptor, _syncing():
        failpoint("disk.sync_directory")
        os.fsync(descriptor)


def sync_file_system(path: Path) -> None:
    """Make everything on the file system of `path` durable: for a tree, one journal commit instead of one per file.

    Raises as `sync_file`.
    """
    with _opened(path, os.O_RDONLY | os.O_DIRECTORY) as descriptor:
        sync_file_system_of(descriptor)


def sync_file_system_of(descriptor: int) -> None:
    """The same for that of an open file. Raises SyncFailed."""
    with _syncing():
        failpoint("disk.sync_file_system")
        if _libc.syncfs(descriptor) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))


def write_out(descriptor: int, end: int) -> None:
    """Have the kernel write out the last `WRITING_BYTES` before `end` of a file, and wait for those before them.

    A commit of the journal waits for all that is being written, and every create waits for a commit: so it must never be much.
    Promises nothing, so that it failed is nobody's concern but the sync's (sync_file_range(2)).
    """
    start = max(end - WRITING_BYTES, 0)
    _sync_file_range(descriptor, start, end - start, _START_WRITING)
    if start:
        before = max(start - WRITING_BYTES, 0)
        _sync_file_range(descriptor, before, start - before, _WAIT_BEFORE | _START_WRITING | _WAIT_AFTER)


def _sync_file_range(descriptor: int, offset: int, length: int, flags: int) -> None:
    _libc.sync_file_range(descriptor, ctypes.c_int64(offset), ctypes.c_int64(length), flags)


def remove_tree(path: Path) -> None:
    """Remove a file or a whole tree; harmless when there is none. Symbolic links are removed, not followed."""
    failpoint("disk.before_remove_tree")
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def size_of_tree(path: Path) -> int:
    """Bytes in the files below a directory, those of hard links once; directories count nothing. As Moby measures volumes.

    Raises OSError.
    """
    sizes: dict[tuple[int, int], int] = {}
    pending = [str(path)]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                    continue
                status = entry.stat(follow_symlinks=False)
                sizes[status.st_dev, status.st_ino] = status.st_size
    return sum(sizes.values())


@contextlib.contextmanager
def _syncing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SyncFailed(f"the disk cannot make durable what was written: {error.strerror or error}") from error


@contextlib.contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
