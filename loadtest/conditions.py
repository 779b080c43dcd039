"""Under which conditions a run was measured: what client and server used of the machine, and how long they waited for it."""

from __future__ import annotations

import time
from collections.abc import Sequence

import attrs

from loadtest import procfs


@attrs.frozen
class Conditions:
    """Of a run, from its first request to its last answer."""

    client_cpu_s: float
    """CPU time of the thread that ran the load."""
    client_run_queue_s: float | None
    """How long that thread could run and had to wait for a CPU."""
    server: procfs.Usage | None
    """With its helpers, such as containerd. None when its process is not to be seen from here."""
    cpu_pressure: float | None
    """The share of the time in which somebody on this machine waited for a CPU."""
    elapsed_s: float
    pinning: str = ""
    """Which CPUs they had each to themselves; empty when they shared."""


def together(parts: Sequence[Conditions]) -> Conditions:
    """Those of several runs, one after the other. Not empty."""
    servers = [part.server for part in parts if part.server is not None]
    waits = [part.client_run_queue_s for part in parts if part.client_run_queue_s is not None]
    pressures = [part.cpu_pressure * part.elapsed_s for part in parts if part.cpu_pressure is not None]
    elapsed_s = sum(part.elapsed_s for part in parts)
    return Conditions(
        client_cpu_s=sum(part.client_cpu_s for part in parts),
        client_run_queue_s=sum(waits) if waits else None,
        server=procfs.total(servers) if servers else None,
        cpu_pressure=sum(pressures) / elapsed_s if pressures else None,
        elapsed_s=elapsed_s,
        pinning=parts[-1].pinning,
    )


class Meter:
    """Reads the figures when it is made and when it is asked, in the thread that is measured."""

    def __init__(self, server_pid: int | None) -> None:
        self._server_pid = server_pid
        self._server = procfs.family_usage(server_pid) if server_pid is not None else None
        self._pressure_us = procfs.cpu_pressure()
        self._run_queue_s = procfs.thread_run_queue_s()
        self._started_at_ns = time.perf_counter_ns()
        self._cpu_ns = time.thread_time_ns()

    def read(self, *, pinning: str = "") -> Conditions:
        cpu_s = (time.thread_time_ns() - self._cpu_ns) / 1e9
        elapsed_s = (time.perf_counter_ns() - self._started_at_ns) / 1e9
        waited_s, pressure_us = procfs.thread_run_queue_s(), procfs.cpu_pressure()
        server = procfs.family_usage(self._server_pid) if self._server_pid is not None else None
        return Conditions(
            client_cpu_s=cpu_s,
            client_run_queue_s=_difference(waited_s, self._run_queue_s),
            server=server.since(self._server) if server is not None and self._server is not None else None,
            cpu_pressure=_share(_difference(pressure_us, self._pressure_us), elapsed_s * 1e6),
            elapsed_s=elapsed_s,
            pinning=pinning,
        )


def _difference(later: float | None, earlier: float | None) -> float | None:
    return None if later is None or earlier is None else later - earlier


def _share(part: float | None, whole: float) -> float | None:
    return None if part is None or whole <= 0 else min(1.0, part / whole)
