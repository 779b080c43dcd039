"""What this client can do on this machine, measured against a server that does nothing: its ceiling, its floor, its own cost."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from loadtest import nullserver
from loadtest.errors import HarnessError
from loadtest.runner import Load, Result
from loadtest.scenario import Scenario
from loadtest.statistics import Distribution

FLOOR_COUNT = 300
QUICK_COUNT = 2_000
"""Enough for a rate and a median, and over in a fifth of a second: every report has them."""
STOP_TIMEOUT_S = 10.0


@attrs.frozen
class Ceiling:
    """No server can look better than this to this client, here and now."""

    requests_per_s: float
    """From as many connections as the run has."""
    floor_p50_ns: int
    """The service time of a request that is alone."""
    cpu_us_per_request: float


@attrs.frozen
class SelfTest:
    ceiling: Ceiling
    closed: Result
    scheduled: Result
    """An open loop."""

    @property
    def schedule_lag(self) -> Distribution:
        """How late the client sends when it has every connection free."""
        return self.scheduled.statistics().send_lag


def selftest(*, concurrency: int, count: int, rate_per_s: float, duration_s: float) -> SelfTest:
    with null_server() as host:
        closed = against(host, concurrency=concurrency, count=count)
        scenario = Scenario(host=host, rate_per_s=rate_per_s, duration_s=duration_s, concurrency=concurrency, keep=True)
        return SelfTest(_ceiling(closed, _alone(host)), closed, Load(scenario).create())


def quick_ceiling(scenario: Scenario) -> Ceiling:
    """That of the scenario's clients and body, from creates."""
    with null_server() as host:
        clients, body = scenario.concurrency, scenario.body
        quick = Scenario(host=host, count=QUICK_COUNT, concurrency=clients, body=body, keep=True)
        return _ceiling(Load(quick).create(), _alone(host))


def against(host: str, *, concurrency: int, count: int) -> Result:
    return Load(Scenario(host=host, concurrency=concurrency, count=count, keep=True)).create()


@contextmanager
def null_server() -> Iterator[str]:
    """The host of a null server in its own process. Raises `HarnessError`."""
    with tempfile.TemporaryDirectory(prefix="boatyard-load-") as directory:
        path = Path(directory) / "null.sock"
        command = [sys.executable, "-I", "-S", nullserver.__file__, str(path)]
        # In a session of its own: a terminal's Ctrl-C is for the client alone.
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            if process.stdout.readline().strip() != nullserver.READY:
                raise HarnessError("the null server did not start")
            try:
                yield f"unix://{path}"
            finally:
                process.stdin.close()
                try:
                    process.wait(STOP_TIMEOUT_S)
                except subprocess.TimeoutExpired:
                    process.kill()


def _alone(host: str) -> Result:
    return against(host, concurrency=1, count=FLOOR_COUNT)


def _ceiling(result: Result, alone: Result) -> Ceiling:
    statistics = result.statistics()
    floor_ns = alone.statistics().service_time.value_ns("p50")
    if result.errors or floor_ns is None or not result.conditions:
        raise HarnessError("the null server did not answer as it should")
    return Ceiling(statistics.creates_per_s, floor_ns, result.conditions.client_cpu_s * 1e6 / result.sent)
