"""Room on the disk that is kept for removing things, and for starting: it is given up when there is no other.

    reserve-0       RESERVE_BYTES of nothing
    reserve-1, -2   names: a file system may run out of these first

SQLite needs a log and its index to open a database, and more log for every removal. A daemon that could not have these on a full
disk could not be used to make it less full. Owned by the database, which writes in one thread.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

RESERVE_BYTES = 1 << 20
"""Log for a hundred removals, after the first of which there is more room."""
ROOM_BYTES = 4 * RESERVE_BYTES
"""What has to be free for the reserve to be held: the rest is for those who are served."""
START_BYTES = 256 << 10
"""What opening the database takes, and some removals, which make more."""
DISK_BYTES_MIN = 16 * RESERVE_BYTES
"""A smaller file system has no room for a reserve."""
_FILES = 3


class Reserve:
    """Files in `directory`. While there is a shortage nothing but removals may be written."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._files = [directory / f"reserve-{number}" for number in range(_FILES)]
        self.is_short = False

    def open(self) -> None:
        """Before the database is opened. Raises OSError."""
        found = os.statvfs(self._directory)
        is_short = found.f_bavail * found.f_frsize < RESERVE_BYTES or (found.f_files and found.f_favail < _FILES)
        if is_short and found.f_blocks * found.f_frsize >= DISK_BYTES_MIN:
            self.release()

    def release(self) -> None:
        """There is no other room left. Raises OSError."""
        self.is_short = True
        for file in self._files:
            file.unlink(missing_ok=True)

    def hold(self) -> None:
        """End the shortage if there is room; harmless twice."""
        found = os.statvfs(self._directory)
        if found.f_bavail * found.f_frsize < ROOM_BYTES or (found.f_files and found.f_favail < 2 * _FILES):
            self.is_short &= found.f_blocks * found.f_frsize >= DISK_BYTES_MIN
            return
        with contextlib.suppress(OSError):
            for file in self._files:
                file.touch(mode=0o600)
            with self._files[0].open("ab") as large:
                os.posix_fallocate(large.fileno(), 0, RESERVE_BYTES)
            self.is_short = False

    def leave(self) -> None:
        """For the next start, when the database has been closed: its log has given as much back as that takes."""
        with contextlib.suppress(OSError):
            found = os.statvfs(self._directory)
            if found.f_blocks * found.f_frsize < DISK_BYTES_MIN:
                return
            for file in self._files:
                file.touch(mode=0o600)
            with self._files[0].open("ab") as large:
                os.posix_fallocate(large.fileno(), 0, START_BYTES)
