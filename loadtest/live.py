"""What the live view shows: a bar, the rate of the last moments, the times of the last second, errors. Draws; reads no clock.

It runs in a process of its own, which looks on: the samples are in memory that both share, so the load pays nothing for being
watched.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from fractions import Fraction

import attrs
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from loadtest.statistics import UNANSWERED, Recorder, nearest_rank
from loadtest.units import duration_text, nanoseconds_text, rate_text
from loadtest.work import Progress

RECENT_NS = 1_000_000_000
RATES_MAX = 48
BAR_WIDTH_MAX = 60

_BLOCKS = " ▁▂▃▄▅▆▇█"


@attrs.frozen
class Moment:
    """How it goes, now."""

    rates_per_s: tuple[float, ...]
    """Answers per second between one look and the next, the latest last."""
    p50_ns: int | None
    p99_ns: int | None
    longest_ns: int | None


class Onlooker:
    """Follows a load through its recorder, by looking only at what was not answered the last time."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._pending: list[int] = []
        self._sent = 0
        self._recent: deque[tuple[int, int]] = deque()
        """When it was done, and its response time."""
        self._rates: deque[float] = deque(maxlen=RATES_MAX)
        self._last: Progress | None = None

    def look(self, progress: Progress) -> Moment:
        earlier_done, earlier_s = (self._last.done, self._last.elapsed_s) if self._last is not None else (0, 0.0)
        if progress.elapsed_s > earlier_s:
            self._rates.append((progress.done - earlier_done) / (progress.elapsed_s - earlier_s))
        self._last = progress
        self._read(progress.sent)
        times = sorted(time_ns for _, time_ns in self._recent)
        if not times:
            return Moment(tuple(self._rates), None, None, None)
        p50_ns, p99_ns = (nearest_rank(times, Fraction(share)) for share in ("0.5", "0.99"))
        return Moment(tuple(self._rates), p50_ns, p99_ns, times[-1])

    def _read(self, sent: int) -> None:
        candidates = [*self._pending, *range(self._sent, sent)]
        self._sent = sent
        self._pending = []
        for number in candidates:
            sample = self._recorder.sample(number)
            if sample.status == UNANSWERED:
                self._pending.append(number)
            elif sample.status > 0:
                self._recent.append((sample.done_at_ns, sample.done_at_ns - sample.intended_start_ns))
        newest_ns = max((done_at_ns for done_at_ns, _ in self._recent), default=0)
        self._recent = deque(pair for pair in self._recent if pair[0] > newest_ns - RECENT_NS)


def drawn(progress: Progress, moment: Moment) -> RenderableType:
    """Four lines for a terminal."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim")
    grid.add_column()
    grid.add_row("creating", _bar(progress))
    now = Text(rate_text(moment.rates_per_s[-1]) if moment.rates_per_s else "-", "bold")
    if len(moment.rates_per_s) > 1:
        now.append("  " + sparkline(moment.rates_per_s), "cyan").append(
            f"  peak {rate_text(max(moment.rates_per_s))}", "dim"
        )
    grid.add_row("now", now)
    times = (("p50", moment.p50_ns), ("p99", moment.p99_ns), ("longest", moment.longest_ns))
    grid.add_row("last second", "   ".join(f"{name} {nanoseconds_text(value)}" for name, value in times))
    grid.add_row("errors", Text(f"{progress.errors:,}", "red") if progress.errors else Text("none", "dim"))
    return Group(grid)


def sparkline(values: Sequence[float]) -> str:
    """One character for each, its height by the highest."""
    highest = max(values)
    if highest <= 0:
        return _BLOCKS[1] * len(values)
    return "".join(_BLOCKS[1 + round(value / highest * (len(_BLOCKS) - 2))] for value in values)


def _bar(progress: Progress) -> RenderableType:
    done = f"{progress.done:,}" + (f"/{progress.count:,}" if progress.count is not None else "")
    left = ""
    if 0 < progress.share < 1 and progress.elapsed_s > 0:
        left = f"{duration_text(progress.elapsed_s * (1 - progress.share) / progress.share)} left"
    row = Table.grid(padding=(0, 2))
    bar = ProgressBar(total=1.0, completed=progress.share, width=BAR_WIDTH_MAX // 2)
    row.add_row(bar, done, f"{progress.share:.0%}", Text(left, "dim"))
    return row
