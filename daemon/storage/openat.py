"""openat2(2): opening a path that a stranger wrote, with the kernel keeping it below a directory.

`open_beneath` follows no symbolic link anywhere and refuses to leave; `open_in_root` follows links as if the directory were `/`.
Checking a path first and opening it afterwards can be raced; this cannot. Linux 5.6 and newer.
Source: openat2(2) of man-pages 6, linux/openat2.h.
"""

from __future__ import annotations

import ctypes
import errno
import os

_OPENAT2 = 437
"""The call's number on x86_64 and on aarch64: since 5.1 new calls have one number on all architectures."""

_NO_MAGICLINKS = 0x02
_NO_SYMLINKS = 0x04
_BENEATH = 0x08
_IN_ROOT = 0x10

_ATTEMPTS_MAX = 128
"""The kernel answers EAGAIN while something above the path is being renamed; nobody renames this often in good faith."""

_libc = ctypes.CDLL(None, use_errno=True)


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def open_beneath(directory: int, path: str | bytes, flags: int, mode: int = 0) -> int:
    """A descriptor, close-on-exec, of `path` below the open `directory`; no symbolic link is followed.

    Raises OSError: ELOOP where a link is in the way, EXDEV where the path leads out.
    """
    return _openat2(directory, path, flags, mode, _BENEATH | _NO_SYMLINKS | _NO_MAGICLINKS)


def open_in_root(directory: int, path: str | bytes, flags: int, mode: int = 0) -> int:
    """A descriptor, close-on-exec, of `path` as seen by a process whose root is the open `directory`.

    Raises OSError: ELOOP for too many links or one of /proc's.
    """
    return _openat2(directory, path, flags, mode, _IN_ROOT | _NO_MAGICLINKS)


def _openat2(directory: int, path: str | bytes, flags: int, mode: int, resolve: int) -> int:
    name = os.fsencode(path)
    if b"\0" in name:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), path)
    # The kernel refuses a mode where nothing is created.
    how = _OpenHow(flags | os.O_CLOEXEC, mode if flags & (os.O_CREAT | os.O_TMPFILE & ~os.O_DIRECTORY) else 0, resolve)
    code = errno.EAGAIN
    for _ in range(_ATTEMPTS_MAX):
        descriptor: int = _libc.syscall(_OPENAT2, directory, name, ctypes.byref(how), ctypes.sizeof(how))
        if descriptor >= 0:
            return descriptor
        code = ctypes.get_errno()
        if code not in (errno.EAGAIN, errno.EINTR):
            break
    raise OSError(code, os.strerror(code), path)
