"""16 clients create, with and without a crowd: in blocks ABBA on one daemon, so that what changes with time changes both.

Daemon and file system are new for each round: they would run out of inodes.
"""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import attrs
from rich.table import Table

from contrib.bench_peers.creates import Load, Outcome, outcome_of, percentile_ms
from contrib.bench_peers.crowd import Crowd, Done, present
from contrib.engines import Engine

ROOM = 64
"""Connections beyond those of the crowd."""

ALONE, BESIDE = "alone", "beside the crowd"
ABBA = (ALONE, BESIDE, BESIDE, ALONE)


@attrs.frozen
class Round:
    """One ABBA."""

    outcomes: dict[str, list[Outcome]]
    crowds: list[Done]

    def percentile_ms(self, where: str, name: str) -> float:
        """Of the creates of both blocks. NaN if there are too few."""
        times_ns = [time_ns for outcome in self.outcomes[where] for time_ns in outcome.times_ns]
        return percentile_ms(times_ns, name)

    def creates_per_s(self, where: str) -> float:
        return statistics.fmean(outcome.creates_per_s for outcome in self.outcomes[where])

    def ratio(self, name: str) -> float:
        return self.percentile_ms(BESIDE, name) / self.percentile_ms(ALONE, name)


def options_for(crowd: Crowd) -> list[str]:
    """For the daemon to keep all of them, though they are one user's."""
    places = str(crowd.idle + crowd.slow + ROOM)
    return ["--connections-max", places, "--connections-per-uid-max", places]


def rounds_of(
    start: Callable[[], AbstractContextManager[Engine]],
    load: Load,
    crowd: Crowd,
    count: int,
    say: Callable[[str], None],
) -> list[Round]:
    """Each of an engine that `start` gives."""
    rounds = []
    for number in range(count):
        done = Round({ALONE: [], BESIDE: []}, [])
        with start() as engine:
            for where in ABBA:
                with (
                    present(crowd, engine.socket) if where == BESIDE else contextlib.nullcontext(done.crowds) as crowds
                ):
                    done.outcomes[where].append(outcome_of(engine, load))
                if where == BESIDE:
                    done.crowds.extend(crowds)
        rounds.append(done)
        ratios = ", ".join(f"{name} {done.ratio(name):.2f}" for name in ("p50", "p99"))
        say(f"round {number + 1}: beside the crowd over alone: {ratios}")
    return rounds


def table_of(rounds: Sequence[Round], crowd: Crowd) -> Table:
    """Medians of the rounds, and the least and most."""
    table = Table(title=f"creates beside {crowd.idle:,} idle connections and {crowd.slow:,} slow senders")
    for column in ("", "creates/s", "p50 ms", "p99 ms"):
        table.add_column(column, justify="right")
    for where in (ALONE, BESIDE):
        times = [_spread([each.percentile_ms(where, name) for each in rounds]) for name in ("p50", "p99")]
        table.add_row(where, _spread([each.creates_per_s(where) for each in rounds], digits=0), *times)
    table.add_row("ratio", "", *(_spread([each.ratio(name) for each in rounds]) for name in ("p50", "p99")))
    return table


def notes_on(rounds: Sequence[Round]) -> str:
    blocks = [outcome for each in rounds for where in (ALONE, BESIDE) for outcome in each.outcomes[where]]
    crowds = [done for each in rounds for done in each.crowds]
    cpu_s = {
        "the crowd": sum(done.cpu_s for done in crowds),
        "those who create": sum(block.client_cpu_s for block in blocks),
        "the daemon": sum(block.daemon_cpu_s for block in blocks),
    }
    return (
        f"{sum(done.connections for done in crowds)} connections of slow senders; answers other than 201: "
        f"{sum(block.refused + block.odd for block in blocks)}; CPU: "
        + ", ".join(f"{who} {used_s:.1f} s" for who, used_s in cpu_s.items())
    )


def _spread(values: Sequence[float], digits: int = 2) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"
