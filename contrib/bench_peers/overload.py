"""Four times as many creates as the daemon can do: how many of those it can do it still does.

Its capacity is measured with the number of clients that gets most out of it, before and after each overload, on connections of
the same kind. Daemon and file system are new for each, and used for as long before that: the first creates find directories that
were made before anybody asked. There are three overloads, each from more clients than the daemon lets create at once:

- hammering: on connections that are kept, each client asks again in the moment in which it is refused
- by the clock: so many creates a second, on connections that are kept; who is refused does not come again
- strangers: the same, each over a connection of its own
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager

import attrs
from rich.table import Table

from contrib.bench_peers.creates import Load, Outcome, outcome_of, over, percentile_ms
from contrib.engines import Engine

TIMES = 4
CLIENTS = 500
CAPACITY_CLIENTS = (16, 32, 64, 128)
AFTER_S = 1.0
"""How soon after an overload it is looked at whether everything is as before."""

HAMMERING, BY_THE_CLOCK, STRANGERS = "hammering", "by the clock", "strangers"


@attrs.frozen
class Overload:
    capacity_per_s: float
    capacity_per_cpu_s: float
    outcome: Outcome
    after_per_s: float
    """Creates in the time right after it, by as many clients as the capacity was measured with."""

    @property
    def goodput(self) -> float:
        return over(self.outcome.creates_per_s, self.capacity_per_s)

    @property
    def goodput_of_cpu(self) -> float:
        """The same, of creates for a second of the daemon's CPU: what others on the machine take does not change that."""
        return over(self.outcome.creates_per_cpu_s, self.capacity_per_cpu_s)


def kinds(capacity_per_s: float, seconds: float) -> Mapping[str, Load]:
    rate_per_s = TIMES * max(capacity_per_s, 1.0)
    return {
        HAMMERING: Load(CLIENTS, seconds),
        BY_THE_CLOCK: Load(CLIENTS, seconds, rate_per_s=rate_per_s),
        STRANGERS: Load(CLIENTS, seconds, rate_per_s=rate_per_s, keeps_alive=False),
    }


def best_clients(
    start: Callable[[], AbstractContextManager[Engine]], seconds: float, say: Callable[[str], None]
) -> int:
    """With so many it does most."""
    rates = {}
    for clients in CAPACITY_CLIENTS:
        with start() as engine:
            load = Load(clients, seconds)
            outcome_of(engine, load)
            rates[clients] = outcome_of(engine, load).creates_per_s
    say(f"creates/s by clients: {', '.join(f'{clients}: {rate:.0f}' for clients, rate in rates.items())}")
    return max(rates, key=lambda clients: rates[clients])


def overloads(
    start: Callable[[], AbstractContextManager[Engine]], seconds: float, rounds: int, say: Callable[[str], None]
) -> dict[str, list[Overload]]:
    """By kind; each of an engine that `start` gives."""
    clients = best_clients(start, seconds, say)
    found: dict[str, list[Overload]] = {HAMMERING: [], BY_THE_CLOCK: [], STRANGERS: []}
    for number in range(rounds):
        for kind in found:
            with start() as engine:
                done = _overload(engine, kind, Load(clients, seconds, keeps_alive=kind != STRANGERS))
            found[kind].append(done)
            say(f"round {number + 1}, {kind}: {done.goodput:.0%} of {done.capacity_per_s:.0f}/s")
    return found


def _overload(engine: Engine, kind: str, as_many_as_can_be: Load) -> Overload:
    outcome_of(engine, as_many_as_can_be)
    before = outcome_of(engine, as_many_as_can_be)
    outcome = outcome_of(engine, kinds(before.creates_per_s, as_many_as_can_be.seconds)[kind])
    right_after = outcome_of(engine, attrs.evolve(as_many_as_can_be, seconds=AFTER_S, warmup_s=0.0))
    after = outcome_of(engine, as_many_as_can_be)
    return Overload(
        statistics.fmean((before.creates_per_s, after.creates_per_s)),
        statistics.fmean((before.creates_per_cpu_s, after.creates_per_cpu_s)),
        outcome,
        right_after.creates_per_s,
    )


def table_of(found: Mapping[str, Sequence[Overload]]) -> Table:
    """Medians of the rounds."""
    table = Table(title=f"{TIMES} times as many creates as can be done")
    columns = (
        "",
        "capacity/s",
        "creates/s",
        "goodput",
        "by CPU",
        "p50 ms",
        "p99 ms",
        "refused/s",
        "CPU client",
        "daemon",
    )
    for column in (*columns, "the second after"):
        table.add_column(column, justify="right")
    for kind, rounds in found.items():
        goodputs = [each.goodput for each in rounds]
        table.add_row(
            kind,
            f"{_median(rounds, lambda each: each.capacity_per_s):.0f}",
            f"{_median(rounds, lambda each: each.outcome.creates_per_s):.0f}",
            f"{statistics.median(goodputs):.0%} ({min(goodputs):.0%} to {max(goodputs):.0%})",
            f"{_median(rounds, lambda each: each.goodput_of_cpu):.0%}",
            f"{_median(rounds, lambda each: percentile_ms(each.outcome.times_ns, 'p50')):.0f}",
            f"{_median(rounds, lambda each: percentile_ms(each.outcome.times_ns, 'p99')):.0f}",
            f"{_median(rounds, lambda each: each.outcome.refused / each.outcome.seconds):.0f}",
            f"{_median(rounds, lambda each: each.outcome.client_cpu_s / each.outcome.seconds):.0%}",
            f"{_median(rounds, lambda each: each.outcome.daemon_cpu_s / each.outcome.seconds):.0%}",
            f"{_median(rounds, lambda each: over(each.after_per_s, each.capacity_per_s)):.0%}",
        )
    return table


def _median(rounds: Sequence[Overload], figure: Callable[[Overload], float]) -> float:
    return statistics.median(map(figure, rounds))
