"""What a data root lies on: a directory, or a small ext4 of its own whose power can be cut. That needs root and a loop device."""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from loadtest import HarnessError

SIZE_BYTES = 512 << 20
"""A hole in a file, until something is written."""

COMMAND_TIMEOUT_S = 60.0
UNMOUNT_TIMEOUT_S = 10.0
"""Until the last process that has something open there has been reaped."""
PAUSE_S = 0.05

_SHUTDOWN = 0x8004587D
"""EXT4_IOC_SHUTDOWN: _IOR('X', 125, __u32)."""
_WITHOUT_LOG = struct.pack("I", 2)
"""EXT4_GOING_FLAGS_NOLOGFLUSH: what the journal has in memory only is lost, too."""


class CannotMount(HarnessError):
    """There are no file systems to be had here."""


@attrs.frozen
class Disk:
    image: Path
    point: Path

    def cut(self) -> None:
        """From now on nothing is written any more."""
        descriptor = os.open(self.point, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, _WITHOUT_LOG)
        finally:
            os.close(descriptor)

    def come_back(self) -> None:
        """With what was durable. Whoever used it must have ended."""
        self.unmount()
        self.mount()

    def mount(self) -> None:
        """Raises CannotMount."""
        _command("mount", "-o", "loop", str(self.image), str(self.point))

    def unmount(self) -> None:
        """Raises CannotMount: it is still used."""
        deadline, pause = time.monotonic() + UNMOUNT_TIMEOUT_S, threading.Event()
        while self.point.is_mount():
            try:
                _command("umount", str(self.point))
            except CannotMount:
                if time.monotonic() > deadline:
                    raise
                pause.wait(PAUSE_S)


@contextmanager
def disk_at(point: Path, image: Path, *, size_bytes: int = SIZE_BYTES) -> Iterator[Disk]:
    """An empty one, mounted at a new directory. Raises CannotMount."""
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        raise CannotMount("only root can cut the power, of a file system that mkfs.ext4 makes")
    with image.open("wb") as file:
        file.truncate(size_bytes)
    _command("mkfs.ext4", "-q", "-F", "-i", "4096", str(image))
    point.mkdir()
    disk = Disk(image, point)
    try:
        disk.mount()
        yield disk
    finally:
        disk.unmount()


def _command(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False)
    if done.returncode:
        raise CannotMount(f"{command[0]}: {done.stderr.strip()}")
