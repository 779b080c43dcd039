"""What the process that unpacks may do: little memory, few directories, no new rights. Called once, in that process, before it
reads what a stranger sent.

Limits of the process and `no_new_privs` always; Landlock where the kernel has it: then it can change nothing outside its
directories, and open nothing there, whatever a hostile archive makes of a decompressor. It keeps its user: as root it gives files
their owners.
Sources: setrlimit(2), prctl(2), landlock(7); linux/landlock.h for the numbers. Landlock's calls have one number on all machines.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
from collections.abc import Sequence
from pathlib import Path

MEMORY_BYTES_MAX = 1 << 30
"""Of address space. The interpreter maps 100 MB, a zstd window takes 32 MB, a configuration of 4 MB about 50 MB."""

CPU_SECONDS_MAX = 3600
"""An archive of 256 GiB at 70 MiB/s."""

FILE_BYTES_MAX = 256 << 30
"""One file: as much as an archive may have."""

DESCRIPTORS_MAX = 512
"""Removing a tree takes one per level, of which there are at most 128."""

LANDLOCK_ABI_MIN = 2
"""The first that can allow a hard link from one directory to another, without which no layer can be unpacked."""

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1
_PATH_BENEATH = 1
_DEATH_SIGNAL, _DUMPABLE, _NO_NEW_PRIVS = 1, 4, 38
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}
"""How many rights on files each version knows, counted from the lowest bit."""
_NET_ABI, _NET_RIGHTS = 4, 0b11
_SCOPE_ABI, _SCOPES = 6, 0b11
_EXECUTE = 1
_READ = 1 << 2 | 1 << 3
"""Files and directories."""

_libc = ctypes.CDLL(None, use_errno=True)


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def confine(writable: Sequence[Path], readable: Sequence[Path] = ()) -> None:
    """Limit this process, for good, to its work below these directories. Raises OSError."""
    for limit, value in (
        (resource.RLIMIT_AS, MEMORY_BYTES_MAX),
        (resource.RLIMIT_CPU, CPU_SECONDS_MAX),
        (resource.RLIMIT_FSIZE, FILE_BYTES_MAX),
        (resource.RLIMIT_NOFILE, DESCRIPTORS_MAX),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(limit)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (value, value))
    _checked(_libc.prctl(_DUMPABLE, 0, 0, 0, 0))
    _checked(_libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0))
    abi = landlock_abi()
    if abi >= LANDLOCK_ABI_MIN:
        _restrict(abi, writable, readable)


def die_with_parent(parent: int) -> None:
    """Have this process killed when its parent, which must have one thread, ends. Raises OSError."""
    _checked(_libc.prctl(_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0))
    if os.getppid() != parent:  # it had ended before
        os._exit(1)


def landlock_abi() -> int:
    """The version of Landlock that the kernel has, 0 if none."""
    abi: int = _libc.syscall(_CREATE_RULESET, None, 0, _VERSION)
    return max(abi, 0)


def _restrict(abi: int, writable: Sequence[Path], readable: Sequence[Path]) -> None:
    files = (1 << max(count for since, count in _FILE_RIGHTS.items() if since <= abi)) - 1
    rules = _Ruleset(files, _NET_RIGHTS if abi >= _NET_ABI else 0, _SCOPES if abi >= _SCOPE_ABI else 0)
    size = 24 if abi >= _SCOPE_ABI else 16 if abi >= _NET_ABI else 8  # an older kernel knows fewer fields
    ruleset = _checked(_libc.syscall(_CREATE_RULESET, ctypes.byref(rules), size, 0))
    try:
        for directory in writable:
            _allow(ruleset, directory, files & ~_EXECUTE)
        for directory in readable:
            _allow(ruleset, directory, _READ)
        _checked(_libc.syscall(_RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)


def _allow(ruleset: int, directory: Path, rights: int) -> None:
    parent = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        rule = _PathBeneath(rights, parent)
        _checked(_libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0))
    finally:
        os.close(parent)


def _checked(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
