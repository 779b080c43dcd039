"""Writing what the merged view has into a directory: missing directories of an upper layer, the first content of a volume.

Writes through descriptors below the destination and follows no symbolic link there: a volume may be in use by a container that
plays with it. Attributes are those a layer may carry (`attributes.py`).
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from daemon.storage.attributes import (
    Attributes,
    is_root,
    is_whiteout,
    make_opaque,
    read_attributes,
    write_attributes,
    write_attributes_at,
)
from daemon.storage.disk import remove_tree, sync_file_system
from daemon.storage.openat import open_beneath
from daemon.storage.overlay import MergedFile, children_of

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_SOURCE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

_SENDFILE_BYTES = 16 * 1024 * 1024
"""One sendfile(2): the kernel copies, and the thread stays interruptible."""


def make_directories(upper: Path, existing: Sequence[MergedFile], missing: Sequence[str]) -> None:
    """Below `upper`, layer 0 of the view: the chain of `existing` directories, copied up where it is not there, then `missing`.

    Raises OSError.
    """
    names: list[str] = []
    with _opened(upper) as root:
        for directory in existing:
            if directory.layer != 0:
                with _below(root, names) as holder:
                    _copy_up_directory(holder, directory)
            names.append(directory.name)
        for name in missing:
            with _below(root, names) as holder:
                _make_new_directory(holder, name)
            names.append(name)


def copy_file_up(upper: Path, holders: Sequence[MergedFile], file: MergedFile) -> None:
    """Below `upper`, layer 0 of the view: a regular file of a lower layer, in the chain of directories that hold it.

    Raises OSError.
    """
    make_directories(upper, holders, ())
    with _opened(upper) as root, _below(root, [holder.name for holder in holders]) as holder:
        before = os.fstat(holder)
        _copy_file(holder, file, read_attributes(file.real_path))
        os.utime(holder, ns=(before.st_atime_ns, before.st_mtime_ns))


def copy_tree(source: MergedFile, destination: Path) -> bool:
    """Copy a merged directory into the existing empty `destination`, attributes and all; whether it was empty.

    Durable on return: a volume, unlike a layer, cannot be made again from the records. Raises OSError; the destination is then
    empty again.
    """
    if any(destination.iterdir()):
        return False
    try:
        with _opened(destination) as root:
            pending: list[tuple[MergedFile, list[str]]] = [(source, [])]
            links: dict[tuple[int, int], str] = {}
            while pending:
                directory, names = pending.pop()
                with _below(root, names) as holder:
                    children = children_of(directory)
                    for child in children:
                        _copy_or_link(root, holder, child, "/".join([*names, child.name]), links)
                    # Last, because making the children changed the time.
                    write_attributes(holder, read_attributes(directory.real_path))
                pending += [(child, [*names, child.name]) for child in children if child.is_directory]
        sync_file_system(destination)
    except BaseException:
        for path in destination.iterdir():
            remove_tree(path)
        raise
    return True


def _copy_up_directory(holder: int, directory: MergedFile) -> None:
    before = os.fstat(holder)
    os.mkdir(directory.name, mode=0o700, dir_fd=holder)
    with _opened(directory.name, holder) as made:
        write_attributes(made, read_attributes(directory.real_path))
    # Nothing new is in the holder for those who look at the merged view.
    os.utime(holder, ns=(before.st_atime_ns, before.st_mtime_ns))


def _make_new_directory(holder: int, name: str) -> None:
    was_removed = _is_whiteout_at(holder, name)
    if was_removed:
        os.unlink(name, dir_fd=holder)
    os.mkdir(name, mode=0o700, dir_fd=holder)
    with _opened(name, holder) as made:
        if was_removed:
            make_opaque(made)
        if is_root():
            os.fchown(made, 0, 0)  # A set-group-id holder would give its own group; the bit itself it does hand down.
        os.fchmod(made, 0o755 | os.fstat(holder).st_mode & stat.S_ISGID)


def _is_whiteout_at(holder: int, name: str) -> bool:
    try:
        return is_whiteout(os.lstat(name, dir_fd=holder))
    except FileNotFoundError:
        return False


def _copy_or_link(root: int, holder: int, source: MergedFile, path: str, links: dict[tuple[int, int], str]) -> None:
    """`path` is that of the copy, below `root`. Names of one file in the source are names of one file in the copy."""
    status = source.status
    if not stat.S_ISREG(status.st_mode) or status.st_nlink == 1:
        _copy(holder, source)
        return
    first = links.setdefault((status.st_dev, status.st_ino), path)
    if first == path:
        _copy(holder, source)
    else:
        os.link(first, source.name, src_dir_fd=root, dst_dir_fd=holder, follow_symlinks=False)


def _copy(holder: int, source: MergedFile) -> None:
    """One file into the open directory; a directory is made empty, and gets its attributes when it is filled."""
    status = source.status
    if source.is_directory:
        os.mkdir(source.name, mode=0o700, dir_fd=holder)
        return
    attributes = read_attributes(source.real_path)
    if stat.S_ISREG(status.st_mode):
        _copy_file(holder, source, attributes)
        return
    if stat.S_ISLNK(status.st_mode):
        target = os.readlink(source.real_path)  # noqa: PTH115 - a Path would tidy the target up
        os.symlink(target, source.name, dir_fd=holder)
    else:
        os.mknod(source.name, stat.S_IFMT(status.st_mode) | 0o600, status.st_rdev, dir_fd=holder)
    write_attributes_at(holder, source.name, attributes)


def _copy_file(holder: int, source: MergedFile, attributes: Attributes) -> None:
    original = os.open(source.real_path, _SOURCE)
    try:
        copy = os.open(source.name, _NEW_FILE, mode=0o600, dir_fd=holder)
        try:
            while os.sendfile(copy, original, None, _SENDFILE_BYTES):
                pass
            write_attributes(copy, attributes)
        finally:
            os.close(copy)
    finally:
        os.close(original)


@contextlib.contextmanager
def _opened(path: Path | str, holder: int | None = None) -> Iterator[int]:
    directory = os.open(path, _DIRECTORY, dir_fd=holder)
    try:
        yield directory
    finally:
        os.close(directory)


@contextlib.contextmanager
def _below(root: int, names: Sequence[str]) -> Iterator[int]:
    directory = open_beneath(root, "/".join(names) or ".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield directory
    finally:
        os.close(directory)
