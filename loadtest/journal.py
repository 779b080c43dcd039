"""Which runs have begun and not been cleaned up, in files, so that a harness that was killed leaves nothing it cannot find again.

A run is written down before its first request and struck out when its containers are removed, or are to be kept. One file per
run, `$XDG_STATE_HOME/boatyard-load/runs/<run>.json` (XDG Base Directory Specification 0.8: ~/.local/state where that is not
set), written beside and renamed, so that it is there whole or not at all.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import attrs
import msgspec

from loadtest.errors import HarnessError
from loadtest.procfs import parse_stat
from loadtest.scenario import Scenario


class Entry(msgspec.Struct, frozen=True):
    run_id: str
    host: str
    started_at: float
    """Seconds since 1970."""
    pid: int
    """Of the harness."""
    pid_started_at: str
    """In the kernel's ticks: a number that the next process of that pid does not have."""

    @property
    def is_running(self) -> bool:
        return _started_at(self.pid) == self.pid_started_at


@attrs.frozen
class Journal:
    directory: Path

    @classmethod
    def of_user(cls) -> Journal:
        """Raises `HarnessError`."""
        try:
            state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
        except RuntimeError as error:
            raise HarnessError(
                "the journal has no place: this user has no home, and XDG_STATE_HOME is not set"
            ) from error
        return cls(Path(state) / "boatyard-load" / "runs")

    def begin(self, scenario: Scenario) -> None:
        """Durable when it returns. Raises `HarnessError`: a run that could not be cleaned up must not begin."""
        pid = os.getpid()
        entry = Entry(scenario.run_id, scenario.host, time.time(), pid, _started_at(pid))
        temporary = self.directory / f".{scenario.run_id}.{pid}"
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                file.write(msgspec.json.encode(entry))
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(self._path(scenario.run_id))
        except OSError as error:
            raise HarnessError(f"journal cannot be written: {error}; XDG_STATE_HOME says where it is") from error

    def finish(self, run_id: str) -> None:
        """Harmless twice."""
        self._path(run_id).unlink(missing_ok=True)

    def find(self, run_id: str) -> Entry | None:
        return _read(self._path(run_id))

    def unfinished(self) -> tuple[Entry, ...]:
        """Those that nobody is working on any more, the oldest first."""
        if not self.directory.is_dir():
            return ()
        entries = [_read(path) for path in self.directory.glob("*.json")]
        found = [entry for entry in entries if entry is not None and not entry.is_running]
        return tuple(sorted(found, key=lambda entry: entry.started_at))

    def _path(self, run_id: str) -> Path:
        return self.directory / f"{run_id}.json"


def _read(path: Path) -> Entry | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Entry)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):  # gone meanwhile, or not ours
        return None


def _started_at(pid: int) -> str:
    """Empty when there is no such process."""
    try:
        return parse_stat(Path(f"/proc/{pid}/stat").read_text())[1][19]  # field 22 of proc(5)
    except OSError:
        return ""
