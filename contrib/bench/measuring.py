"""Rounds of measurements, each with an engine of its own on a new file system. What fails is a text, and the rest goes on."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import attrs

from contrib.bench.plan import ENGINES, FEW_PRESENT, GROWING, GROWN, OURS, PRESENT, Plan
from contrib.bench.plan import Load as Row
from contrib.bench.results import CREATES, DISK, INODES, LIST, MEMORY, P50, P99, START, Samples
from contrib.engines import Engine, NotHere
from contrib.places import Places
from loadtest import HarnessError, Load, Scenario, Statistics
from loadtest.client import Client, request_bytes
from loadtest.errors import Failure
from loadtest.journal import Journal
from loadtest.procfs import family_usage
from loadtest.target import everything, server_version

IDLE_S = 0.5
"""So long an engine does nothing before it is measured."""
IDLE_CPU_S = 0.02
"""What counts as nothing: two ticks of the kernel's clock in that time."""
IDLE_TIMEOUT_S = 120.0
LIST_TIMEOUT_S = 60.0
FILLERS = 64
"""Clients that create what is to be there before something is measured."""

Step = tuple[str, str, Callable[[], None]]
"""What it is called, which engine it needs, what to do."""


class Failed(HarnessError):
    """A measurement is not worth its name."""


class Measuring:
    """Measures what the plan says; the results are there afterwards, and also after an interruption."""

    def __init__(self, plan: Plan, places: Places, say: Callable[[str], None]) -> None:
        self._plan = plan
        self._places = places
        self._say = say
        self.samples = Samples()
        self.versions: dict[str, str] = {}
        """By engine."""
        self.skipped: dict[str, str] = {}
        """Engines that are not here, and why."""
        self.failures: list[str] = []

    def run(self) -> None:
        for number in range(self._plan.rounds):
            for text, engine, step in self._steps(is_reversed=number % 2 == 1):
                if engine in self.skipped:
                    continue
                self._say(f"round {number + 1} of {self._plan.rounds}: {engine}, {text}")
                try:
                    step()
                except NotHere as error:
                    self.skipped[engine] = str(error)
                except (HarnessError, OSError, subprocess.SubprocessError) as error:
                    self._say(f"failed: {error}")
                    self.failures.append(f"{engine}, {text}: {first_line(error)}")

    def _steps(self, *, is_reversed: bool) -> Iterator[Step]:
        """Of one round: row by row, so that what is compared is measured within minutes of each other."""
        engines = self._plan.engines[::-1] if is_reversed else self._plan.engines
        done: dict[tuple[str, int, int], Statistics] = {}
        for row in self._plan.loads:
            for engine in engines:
                yield row.row, engine, partial(self._load, engine, row, done)
        for engine in engines:
            if engine in GROWN:
                yield GROWING, engine, partial(self._growing, engine)
        if OURS in engines:
            yield PRESENT, OURS, self._present

    def _load(self, engine: str, row: Row, done: dict[tuple[str, int, int], Statistics]) -> None:
        key = (engine, row.clients, row.count_of(engine))
        if key not in done:
            with self._warm(engine) as running:
                done[key] = create(running, clients=row.clients, count=row.count_of(engine), when_idle=True)
        self._record(engine, row.row, done[key])

    def _present(self) -> None:
        with self._warm(OURS) as running:
            self._record(OURS, FEW_PRESENT, create(running, clients=16, count=self._plan.burst, when_idle=True))
            create(running, clients=FILLERS, count=self._plan.present)
            self._record(OURS, PRESENT, create(running, clients=16, count=self._plan.burst, when_idle=True))

    def _growing(self, engine: str) -> None:
        count = self._plan.grown
        with self._places.fresh() as home:
            with ENGINES[engine](home) as running:
                create(running, clients=16, count=self._plan.warmup)
                before = Footprint.of(running, self._places)
                create(running, clients=16, count=count)
                grown = Footprint.of(running, self._places).since(before, count)
                for metric, value in grown.items():
                    self.samples.add(engine, GROWING, metric, value)
                for _ in range(self._plan.lists):
                    self.samples.add(engine, GROWING, LIST, list_ms(running))
                running.stop()
            with ENGINES[engine](home) as running:
                self.samples.add(engine, GROWING, START, running.start_s)
                listed = len(everything(running.host))
                if listed != count + self._plan.warmup:
                    raise Failed(f"{listed:,} containers after a restart, not {count + self._plan.warmup:,}")

    @contextmanager
    def _warm(self, engine: str) -> Iterator[Engine]:
        with self._places.fresh() as home, ENGINES[engine](home) as running:
            self.versions[engine] = server_version(running.host)
            create(running, clients=16, count=self._plan.warmup)
            yield running

    def _record(self, engine: str, row: str, statistics: Statistics) -> None:
        self.samples.add(engine, row, CREATES, statistics.creates_per_s)
        for metric in (P50, P99):
            value_ns = statistics.response_time.value_ns(metric)
            if value_ns is not None:
                self.samples.add(engine, row, metric, value_ns / 1e6)


def first_line(error: Exception) -> str:
    """For the results; below it there may be a log, with paths of this machine in it."""
    return (str(error) or type(error).__name__).splitlines()[0]


def create(engine: Engine, *, clients: int, count: int, when_idle: bool = False) -> Statistics:
    """Of so many creates; `when_idle`, they begin when the engine has nothing else to do: what is measured does.

    Raises `Failed` if one was refused, and as `Load.prepare`.
    """
    scenario = Scenario(host=engine.host, count=count, concurrency=clients, keep=True)
    load = Load(scenario)
    load.prepare()
    try:
        if when_idle:
            wait_idle(engine)
        result = load.create()
    finally:
        Journal.of_user().finish(scenario.run_id)  # nothing to clean up later: the containers go with the file system
    if result.error_count:
        raise Failed(f"{result.error_count:,} of {count:,} creates failed: {result.errors[0].samples[0]}")
    return result.statistics()


def wait_idle(engine: Engine) -> None:
    """Until the engine does nothing, prepares no more directories, and what it has written is on disk. Raises `Failed`."""
    pause = threading.Event()  # never set: no engine tells when it is done with its own business
    deadline = time.monotonic() + IDLE_TIMEOUT_S
    before = _activity(engine)
    while True:
        pause.wait(IDLE_S)
        cpu_s, prepared = _activity(engine)
        if cpu_s - before[0] <= IDLE_CPU_S and prepared == before[1]:
            break
        if time.monotonic() > deadline:
            raise Failed(f"still busy {IDLE_TIMEOUT_S:.0f} s later")
        before = cpu_s, prepared
    subprocess.run(["sync", "--file-system", str(engine.home)], timeout=IDLE_TIMEOUT_S, check=True)


def _activity(engine: Engine) -> tuple[float, int]:
    """CPU time of its processes so far, and how many containers' and volumes' directories there are, also for those to come."""
    usage = family_usage(engine.process.pid)
    if usage is None:
        raise Failed("the engine has ended")
    homes = [engine.data_root / name for name in ("containers", "ready")]
    return usage.cpu_s, sum(1 for home in homes if home.is_dir() for _ in home.iterdir())


@attrs.frozen
class Footprint:
    """What an engine takes, idle."""

    resident_bytes: int
    inodes: int | None
    """On a file system of its own; None where others write to it, too."""
    disk_bytes: int | None

    @classmethod
    def of(cls, engine: Engine, places: Places) -> Footprint:
        wait_idle(engine)
        usage = family_usage(engine.process.pid)
        if usage is None:
            raise Failed("the engine has ended")
        if not places.is_mounted:
            return cls(usage.resident_bytes, None, None)
        found = os.statvfs(engine.home)
        used = (found.f_blocks - found.f_bfree) * found.f_frsize
        return cls(usage.resident_bytes, found.f_files - found.f_ffree, used)

    def since(self, before: Footprint, count: int) -> dict[str, float]:
        """By metric, for each of `count` containers."""
        grown = {MEMORY: (self.resident_bytes - before.resident_bytes) / count}
        if self.inodes is not None and before.inodes is not None:
            grown[INODES] = (self.inodes - before.inodes) / count
        if self.disk_bytes is not None and before.disk_bytes is not None:
            grown[DISK] = (self.disk_bytes - before.disk_bytes) / count
        return grown


def list_ms(engine: Engine) -> float:
    """How long all containers take to be listed, until the answer is there; it is not decoded."""
    client = Client(str(engine.socket), concurrency=1, timeout_s=LIST_TIMEOUT_S)
    request = request_bytes("GET", "/containers/json?all=1")
    began = time.perf_counter()
    (answer,) = client.exchange([request])
    took_ms = (time.perf_counter() - began) * 1e3
    if isinstance(answer, Failure) or answer.status != 200:
        raise Failed(f"no list of containers: {answer}")
    return took_ms
