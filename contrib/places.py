"""Directories to measure in, each on a file system that is new; without root, just new directories."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from loadtest import HarnessError, procfs

SIZE_BYTES = 16 << 30
"""Of a file system; a hole in a file, until something is written."""
COMMAND_TIMEOUT_S = 60.0


class NoPlace(HarnessError):
    """There is nothing to measure on."""


@attrs.frozen
class Places:
    """Below `parent`, which is not to be in memory."""

    parent: Path
    is_mounted: bool

    @classmethod
    def at(cls, parent: Path, *, bytes_needed: int, plain: bool = False) -> Places:
        """Directories if `plain`, and where no file system can be made and mounted. Raises `NoPlace`: there is no room."""
        free = shutil.disk_usage(parent).free
        if free < bytes_needed:
            raise NoPlace(f"{parent} has {free >> 20:,} MB free, {bytes_needed >> 20:,} are needed")
        mounted = cls(parent, is_mounted=True)
        return mounted if not plain and mounted._is_possible() else cls(parent, is_mounted=False)

    def _is_possible(self) -> bool:
        if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
            return False
        try:
            with self.fresh():
                return True
        except NoPlace:  # no loop devices, as in most containers
            return False

    def __str__(self) -> str:
        if self.is_mounted:
            return "ext4, made anew for each measurement, on a loop device"
        kind = procfs.file_system(str(self.parent.resolve()), procfs.mountinfo("self"))
        return f"{kind or 'unknown'}, a new directory for each measurement"

    @contextmanager
    def fresh(self) -> Iterator[Path]:
        """An empty directory with a short path, as a socket needs it; gone afterwards."""
        with _uninterrupted():
            directory = tempfile.TemporaryDirectory(prefix="bench-", dir=self.parent)
        try:
            home = Path(directory.name) / "home"
            home.mkdir()
            if not self.is_mounted:
                yield home
                return
            with _mounted(Path(directory.name) / "disk", home):
                yield home
        finally:
            with _uninterrupted():
                directory.cleanup()


@contextmanager
def _mounted(image: Path, point: Path) -> Iterator[None]:
    with image.open("wb") as file:
        file.truncate(SIZE_BYTES)
    # All of it now: else the kernel goes on with the tables of inodes while we measure.
    _command("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0", str(image))
    try:
        _command("mount", "-o", "loop", str(image), str(point))
        yield
    finally:
        with _uninterrupted():
            if point.is_mount():  # also where the mount was interrupted
                _command("umount", str(point))


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """A signal comes after it: what is half made, or half gone, would stay."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _command(*command: str) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False, process_group=0
    )
    if done.returncode:
        raise NoPlace(f"{command[0]}: {done.stderr.strip()}")
