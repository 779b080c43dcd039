"""What a file has besides its name and its content: mode, owner, time and extended attributes; and overlay's marks among those.

Used by everything that writes a tree. Owner and capabilities are given only as root; without root everything belongs to the
daemon's user. Source of the marks: Linux Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories".
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

import attrs

_CAPABILITY = "security.capability"
_USER = "user."
_OVERLAY_PREFIXES = ("user.overlay.", "user.fuseoverlayfs.", "user.containers.")
"""Attributes that change what an overlay of the layer looks like: a layer says such things with whiteouts only."""

_OPAQUE_NAMES = ("trusted.overlay.opaque", "user.overlay.opaque")


@attrs.frozen(kw_only=True)
class Attributes:
    mode: int
    """Permission bits, 0o7777."""
    uid: int
    gid: int
    mtime_ns: int
    xattrs: Mapping[str, bytes]


def is_root() -> bool:
    return os.geteuid() == 0


def allowed_xattrs(xattrs: Mapping[str, bytes]) -> dict[str, bytes]:
    """Those that a layer may carry: a program's capabilities and the user's own. Others concern this host and are dropped."""
    return {name: value for name, value in xattrs.items() if _is_allowed(name)}


def read_attributes(path: str) -> Attributes:
    """Of the file itself, not of what a symbolic link points at. Raises OSError."""
    status = os.lstat(path)
    is_carrier = stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)
    return Attributes(
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        mtime_ns=status.st_mtime_ns,
        xattrs=_read_xattrs(path) if is_carrier else {},
    )


def write_attributes(descriptor: int, attributes: Attributes) -> None:
    """Give an open file or directory its attributes. Raises OSError."""
    if is_root():
        os.fchown(descriptor, attributes.uid, attributes.gid)
    # After the owner, whose change clears the set-id bits and the capabilities.
    os.fchmod(descriptor, attributes.mode)
    for name, value in attributes.xattrs.items():
        if name != _CAPABILITY or is_root():
            os.setxattr(descriptor, name, value)
    os.utime(descriptor, ns=(attributes.mtime_ns, attributes.mtime_ns))


def write_attributes_at(parent: int, name: str, attributes: Attributes) -> None:
    """The same for what cannot be opened: links, pipes and devices. They carry no extended attributes. Raises OSError."""
    if is_root():
        os.chown(name, attributes.uid, attributes.gid, dir_fd=parent, follow_symlinks=False)
    if not stat.S_ISLNK(os.lstat(name, dir_fd=parent).st_mode):
        node = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            Path(f"/proc/self/fd/{node}").chmod(attributes.mode)
        finally:
            os.close(node)
    os.utime(name, ns=(attributes.mtime_ns, attributes.mtime_ns), dir_fd=parent, follow_symlinks=False)


def is_whiteout(status: os.stat_result) -> bool:
    """Whether this is overlay's mark for "removed": a character device 0:0."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def make_whiteout(parent: int, name: str) -> None:
    """Allowed to everybody since Linux 5.8: such a device opens nothing. Raises OSError."""
    os.mknod(name, stat.S_IFCHR, os.makedev(0, 0), dir_fd=parent)


def make_opaque(directory: int) -> None:
    """Mark a directory to hide what lower layers have in it. Raises OSError."""
    os.setxattr(directory, _OPAQUE_NAMES[0 if is_root() else 1], b"y")


def is_opaque(path: str) -> bool:
    """Whether a directory hides what lower layers have in it."""
    # Listed first, because most have none at all, and asking for one that is missing costs an exception.
    present = os.listxattr(path, follow_symlinks=False)
    return any(name in present and os.getxattr(path, name, follow_symlinks=False) == b"y" for name in _OPAQUE_NAMES)


def _is_allowed(name: str) -> bool:
    return name == _CAPABILITY or (name.startswith(_USER) and not name.startswith(_OVERLAY_PREFIXES))


def _read_xattrs(path: str) -> dict[str, bytes]:
    names = [name for name in os.listxattr(path, follow_symlinks=False) if _is_allowed(name)]
    return {name: os.getxattr(path, name, follow_symlinks=False) for name in names}
