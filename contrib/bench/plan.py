"""What is measured: engines, loads, counts. Frozen data; nothing here starts anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import attrs

from contrib import engines
from contrib.engines import Engine

DOCKERD, PODMAN, OURS = "dockerd", "podman", "boatyard (uvloop)"

ENGINES: Mapping[str, Callable[[Path], AbstractContextManager[Engine]]] = {
    OURS: engines.boatyard,
    "boatyard (asyncio)": partial(engines.boatyard, backend="asyncio"),
    "boatyard (trio)": partial(engines.boatyard, backend="trio"),
    DOCKERD: engines.dockerd,
    PODMAN: engines.podman,
}
"""By the name in the results."""
SLOW = (DOCKERD, PODMAN)
"""They get `Load.count_slow` creates."""
GROWN = (OURS, DOCKERD)
"""Measured with many containers, too. Podman's service keeps nothing in memory that it could start up with."""

ONE, BURST, SUSTAINED, MANY = "1 client", "16 clients, burst", "16 clients, sustained", "64 clients"
FEW_PRESENT, PRESENT = "16 clients, few present", "16 clients, many present"
"""The same burst in one daemon, before and after it has been given many containers."""
GROWING = "growing"
"""The rows of the results."""


@attrs.frozen
class Load:
    row: str
    clients: int
    count: int
    count_slow: int

    def count_of(self, engine: str) -> int:
        return self.count_slow if engine in SLOW else self.count


@attrs.frozen(kw_only=True)
class Plan:
    """Counts for a p99 have at least 1,000 creates: ten samples lie beyond it then."""

    engines: tuple[str, ...] = tuple(ENGINES)
    rounds: int = 3
    is_quick: bool = False
    one: int = 1_000
    burst: int = 2_000
    sustained: int = 20_000
    many: int = 2_000
    present: int = 100_000
    """Containers that are there when a burst is measured again."""
    grown: int = 5_000
    """Containers that are listed, started up with, and divided by."""
    warmup: int = 200
    lists: int = 5
    compared: int = 1_000
    """Creates in each block of the comparison."""
    compared_rounds: int = 3
    """Six blocks each: the least that can be told from chance at p < 0.01."""

    @property
    def bytes_needed(self) -> int:
        """On the disk, generously: 16 KB for each of our containers, 128 for each of dockerd's, and an engine's own."""
        return (256 << 20) + self.present * (16 << 10) + self.grown * (128 << 10)

    @property
    def loads(self) -> tuple[Load, ...]:
        return (
            Load(ONE, 1, self.one, self.one),
            Load(BURST, 16, self.burst, self.burst),
            Load(SUSTAINED, 16, self.sustained, self.burst),  # the others are so slow that it is their burst again
            Load(MANY, 64, self.many, self.many),
        )


QUICK = Plan(
    engines=(OURS, DOCKERD, PODMAN),
    rounds=1,
    is_quick=True,
    one=30,
    burst=100,
    sustained=300,
    many=100,
    present=1_000,
    grown=100,
    warmup=20,
    lists=3,
    compared=30,
    compared_rounds=1,
)
"""Shows in less than a minute that all of it works. Its figures mean nothing."""
