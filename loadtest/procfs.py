"""What Linux says about processes and the machine: CPU time, waiting for a CPU, pressure, file systems. Changes nothing.

A process has waited for a CPU when it could run and did not: field 2 of schedstat (kernel
Documentation/scheduler/sched-stats.rst). Pressure is the share of time in which some task waited so
(Documentation/accounting/psi.rst). Figures that the kernel does not give, or not to us, are None.
"""

from __future__ import annotations

import os
import platform
import socket
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_UCRED = struct.Struct("3i")  # pid, uid, gid: unix(7), SO_PEERCRED


@attrs.frozen
class Usage:
    """Of a process since its start; or between two moments: see `since`."""

    name: str
    cpu_s: float
    run_queue_s: float | None
    """How long its threads waited for a CPU. Of those that run now: what a thread that has ended waited is forgotten."""
    resident_bytes: int
    ended_cpu_s: float = 0.0
    """What the processes that it has started had used when they ended, and all that these have started."""

    def since(self, earlier: Usage) -> Usage:
        waited_s = None
        if self.run_queue_s is not None and earlier.run_queue_s is not None:
            waited_s = max(0.0, self.run_queue_s - earlier.run_queue_s)
        return Usage(self.name, max(0.0, self.cpu_s - earlier.cpu_s), waited_s, self.resident_bytes)


def total(parts: Sequence[Usage]) -> Usage:
    """What one process used in several spans of time. Not empty."""
    waits = [part.run_queue_s for part in parts if part.run_queue_s is not None]
    resident_bytes = max(part.resident_bytes for part in parts)
    return Usage(parts[-1].name, sum(part.cpu_s for part in parts), sum(waits) if waits else None, resident_bytes)


def usage(pid: int | str, proc: Path = Path("/proc")) -> Usage | None:
    """None when there is no such process, or it is not ours to see."""
    try:
        name, fields = parse_stat((proc / str(pid) / "stat").read_text())
        waits = [_waited_s(task / "schedstat") for task in (proc / str(pid) / "task").iterdir()]
    except OSError:
        return None
    known = [wait for wait in waits if wait is not None]
    # Fields 14 to 17 of proc(5): utime, stime, and those of the children that were waited for.
    cpu_s, ended_cpu_s = ((int(fields[at]) + int(fields[at + 1])) / _TICKS_PER_S for at in (11, 13))
    return Usage(name, cpu_s, sum(known) if known else None, int(fields[21]) * _PAGE_BYTES, ended_cpu_s)


def family_usage(pid: int, proc: Path = Path("/proc")) -> Usage | None:
    """Of a process, of those it has started, of theirs and so on, and of those of all these that have ended. None as `usage`."""
    parent = usage(pid, proc)
    if parent is None:
        return None
    members = [parent, *filter(None, (usage(child, proc) for child in descendants(pid, proc)))]
    waits = [member.run_queue_s for member in members if member.run_queue_s is not None]
    cpu_s = sum(member.cpu_s + member.ended_cpu_s for member in members)
    resident_bytes = sum(member.resident_bytes for member in members)
    return Usage(parent.name, cpu_s, sum(waits) if waits else None, resident_bytes)


def descendants(pid: int, proc: Path = Path("/proc")) -> Iterator[int]:
    """The processes that it has started, and those that they have, that still run."""
    for children in (proc / str(pid) / "task").glob("*/children"):  # each thread has its own
        try:
            found = children.read_text().split()
        except OSError:  # it has ended
            continue
        for child in map(int, found):
            yield child
            yield from descendants(child, proc)


def parse_stat(text: str) -> tuple[str, list[str]]:
    """The name of the process, which may have any character in it, and the fields after it: the first is field 3 of proc(5)."""
    start, end = text.index("("), text.rindex(")")
    return text[start + 1 : end], text[end + 1 :].split()


def thread_run_queue_s() -> float | None:
    """How long the calling thread has waited for a CPU."""
    return _waited_s(Path("/proc/thread-self/schedstat"))


def cpu_pressure() -> float | None:
    """Microseconds since boot in which some task waited for a CPU."""
    return _pressure(Path("/proc/pressure/cpu"))


def peer_pid(path: str) -> int | None:
    """The process that listens on a Unix socket. None when it is in another PID namespace, or nobody listens."""
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            sock.connect(path)
        except OSError:
            return None
        pid, _, _ = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return int(pid) or None


def file_system(path: str, mountinfo: str) -> str:
    """The type of the file system that `path` is on, by the text of a /proc/PID/mountinfo; empty when that is not to be told."""
    best = ("", "")
    for line in mountinfo.splitlines():
        mount, _, source = line.partition(" - ")
        point = mount.split(" ")[4].encode().decode("unicode_escape")
        is_above = path == point or path.startswith(point.rstrip("/") + "/")
        if path and is_above and len(point) >= len(best[0]):
            best = (point, source.split(" ")[0])
    return best[1]


def mountinfo(pid: int | str) -> str:
    """Empty when it is not ours to see."""
    try:
        return Path(f"/proc/{pid}/mountinfo").read_text()
    except OSError:
        return ""


def cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _waited_s(path: Path) -> float | None:
    try:
        return int(path.read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return None


def _pressure(path: Path) -> float | None:
    try:
        some = path.read_text().splitlines()[0]
    except OSError:
        return None
    return float(some.rpartition("total=")[2])
