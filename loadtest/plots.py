"""The figures of a report: what of a document is drawn, and how. Each is a `Plot`, or None where there is nothing to draw."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import median

import attrs

from loadtest.document import Comparison, Knee, Quotient, Run, Sweep, Times
from loadtest.report_many import fitted_throughput
from loadtest.svg import Axis, Figure, Tick
from loadtest.units import duration_text, nanoseconds_text, rate_text

CURVE_STEPS = 120
_PERCENTILE_TICKS: tuple[Tick, ...] = (
    *((1, "0"), (2, "50%"), (10, "90%"), (100, "99%"), (1000, "99.9%"), (10_000, "99.99%")),
    *((100_000, "99.999%"), (1_000_000, "99.9999%")),
)


@attrs.frozen
class Plot:
    title: str
    figure: str
    legend: tuple[tuple[str, str], ...]
    """(class, what it is)."""
    note: str = ""


def throughput_over_time(run: Run) -> Plot | None:
    spans, step_s = run.over_time.spans, run.over_time.interval_s
    if len(spans) < 2:
        return None
    end_s = spans[-1].start_s + step_s
    high = max(max(span.created, span.errors) for span in spans) / step_s
    x = Axis("time since the start", 0, end_s, _seconds_text)
    y = Axis("per second", 0, high * 1.05, lambda value: f"{value:,.0f}")
    figure = Figure(x, y, title=f"Creates per second over {duration_text(end_s)}")
    points = [(span.start_s, span.created / step_s) for span in spans]
    points.append((end_s, points[-1][1]))
    figure.band(
        [point for start, end in _steps(points) for point in ((start[0], 0, start[1]), (end, 0, start[1]))], "a"
    )
    figure.line(points, "a", title="created", is_step=True)
    for span in spans:
        if span.errors:
            title = f"{span.errors:,} errors at {_seconds_text(span.start_s)}"
            figure.bar(span.start_s, span.start_s + step_s, span.errors / step_s, "bad", title=title)
    legend = [("a", "created")]
    if any(span.errors for span in spans):
        legend.append(("bad", "errors"))
    if run.plan.rate_per_s is not None:
        offered = run.plan.rate_per_s * run.plan.mix["create"] / sum(run.plan.mix.values())
        figure.line([(0, offered), (end_s, offered)], "quiet dashed", title="offered")
        legend.append(("quiet dashed", "offered"))
    _mark_warmup(run, figure, legend)
    return Plot("Throughput over time", figure.text(), tuple(legend), f"in intervals of {duration_text(step_s)}")


def times_over_time(run: Run) -> Plot | None:
    known = [
        (span.start_s + run.over_time.interval_s / 2, span.p50_ns, span.p90_ns, span.p99_ns, span.max_ns)
        for span in run.over_time.spans
        if span.p50_ns and span.p90_ns and span.p99_ns and span.max_ns
    ]
    if len(known) < 2:
        return None
    end_s = run.over_time.spans[-1].start_s + run.over_time.interval_s
    low, high = min(p50 for _, p50, *_ in known), max(longest for *_, longest in known)
    x = Axis("when the request was meant to start", 0, end_s, _seconds_text)
    y = Axis("response time", low / 1.3, high * 1.2, _axis_ns, is_log=True)
    figure = Figure(x, y, title="Median, p90, p99 and longest response time over time")
    figure.band([(at, p99, longest) for at, _, _, p99, longest in known], "a faintest", title="p99 to the longest")
    figure.band([(at, p90, p99) for at, _, p90, p99, _ in known], "a fainter", title="p90 to p99")
    figure.band([(at, p50, p90) for at, p50, p90, _, _ in known], "a faint", title="p50 to p90")
    figure.line([(at, p50) for at, p50, *_ in known], "a", title="p50")
    legend = [("a", "p50"), ("a faint", "to p90"), ("a fainter", "to p99"), ("a faintest", "to the longest")]
    _mark_warmup(run, figure, legend)
    return Plot("Response time over time", figure.text(), tuple(legend), f"in intervals of {_step(run)}")


def percentile_curve(curves: Sequence[tuple[str, str, Times]]) -> Plot | None:
    """Of (class, what it is, times): the further right, the rarer."""
    drawn = [(css, name, times) for css, name, times in curves if len(times.curve) > 1]
    if not drawn:
        return None
    right = max(times.count for _, _, times in drawn)
    values = [value for _, _, times in drawn for _, value in times.curve if value > 0] or [1]
    ticks = tuple(tick for tick in _PERCENTILE_TICKS if tick[0] <= right)
    x = Axis("percentile", 1, max(right, 2), str, is_log=True, ticks=ticks)
    y = Axis("time", min(values) / 1.2, max(values) * 1.2, _axis_ns, is_log=True)
    figure = Figure(x, y, title="Time by percentile")
    for css, name, times in drawn:
        points = [(1 / (1 - share) if share < 1 else times.count, value) for share, value in times.curve]
        figure.line(points, css, title=name)
        for share_name, value in times.percentiles_ns.items():
            if value is not None:
                share = float(share_name.removeprefix("p")) / 100
                figure.dot(1 / (1 - share), value, css, title=f"{name}, {share_name}: {nanoseconds_text(value)}")
    note = "the dots are the percentiles that there are enough samples for"
    return Plot("Percentiles", figure.text(), tuple((css, name) for css, name, _ in drawn), note)


def distribution(curves: Sequence[tuple[str, str, Times]]) -> Plot | None:
    """How many were done within a time: of (class, what it is, times)."""
    drawn = [(css, name, times) for css, name, times in curves if len(times.curve) > 1]
    if not drawn:
        return None
    values = [value for _, _, times in drawn for _, value in times.curve if value > 0] or [1]
    x = Axis("done within", min(values) / 1.1, max(values) * 1.1, _axis_ns, is_log=True)
    y = Axis("share of all", 0, 1, lambda value: f"{value:.0%}")
    figure = Figure(x, y, title="Share of all that were done within a time")
    for css, name, times in drawn:
        figure.line([(value, share) for share, value in times.curve], css, title=name)
    return Plot("Distribution", figure.text(), tuple((css, name) for css, name, _ in drawn))


def blocks(quotient: Quotient) -> Plot:
    """Every block of a comparison, in the order in which they were measured."""
    values = [*quotient.a, *quotient.b]
    text = _axis_ns if quotient.unit == "ns" else (lambda value: f"{value:,.0f}")
    count = max(len(quotient.a), len(quotient.b))
    x = Axis("block", 0.5, count + 0.5, lambda value: f"{value:.0f}", ticks=_block_ticks(count))
    name = "Creates per second" if quotient.is_more_better else f"Response time {quotient.metric}"
    y = Axis(name, 0, max(values) * 1.1, text)
    figure = Figure(x, y, title=f"{name} of every block")
    for css, letter, side in (("a", "A", quotient.a), ("b", "B", quotient.b)):
        figure.line([(0.5, median(side)), (count + 0.5, median(side))], f"{css} dashed", title=f"median of {letter}")
        for number, value in enumerate(side, 1):
            figure.dot(number, value, css, title=f"{letter}, block {number}: {_quotient_text(quotient, value)}")
    return Plot(name, figure.text(), (("a", "A"), ("b", "B")), "by block; dashed: the medians")


def sweep_curve(sweep: Sweep) -> Plot | None:
    points = [(run.plan.concurrency, run.creates_per_s) for run in sweep.runs]
    if len(points) < 2:
        return None
    low, high = points[0][0], points[-1][0]
    x = Axis("clients", low, high * 1.05, str, is_log=True, ticks=_step_ticks(clients for clients, _ in points))
    y = Axis("creates per second", 0, max(rate for _, rate in points) * 1.1, lambda value: f"{value:,.0f}")
    figure = Figure(x, y, title="Creates per second by number of clients")
    legend = [("a", "measured")]
    if sweep.fit is not None:
        fit = sweep.fit
        steps = [low * (high / low) ** (step / CURVE_STEPS) for step in range(CURVE_STEPS + 1)]
        figure.line([(n, fitted_throughput(fit, n)) for n in steps], "quiet dashed", title="Universal Scalability Law")
        legend.append(("quiet dashed", "Universal Scalability Law"))
    figure.line(points, "a", title="measured")
    for concurrency, rate in points:
        figure.dot(concurrency, rate, "a", title=f"{concurrency:,} clients: {rate_text(rate)}")
    return Plot("Throughput by clients", figure.text(), tuple(legend))


def times_by_step(runs: Sequence[Run], label: str) -> Plot | None:
    """Response times over concurrency, or over the offered rate."""
    steps = [(run.plan.rate_per_s or float(run.plan.concurrency), run.response_time) for run in runs]
    steps = sorted([(at, times) for at, times in steps if times.max_ns], key=lambda step: step[0])
    if len(steps) < 2:
        return None
    shown = [("a", "p50"), ("b", "p99"), ("quiet", "max")]
    values = {css: list(_known(steps, name)) for css, name in shown}
    everything = [value for points in values.values() for _, value in points]
    is_by_clients = runs[0].plan.rate_per_s is None
    ticks = _step_ticks(at for at, _ in steps) if is_by_clients else None
    x = Axis(label, steps[0][0], steps[-1][0] * 1.05, lambda value: f"{value:,.0f}", is_log=True, ticks=ticks)
    y = Axis("response time", min(everything) / 1.3, max(everything) * 1.2, _axis_ns, is_log=True)
    figure = Figure(x, y, title=f"Response time by {label}")
    for css, name in shown:
        figure.line(values[css], css, title=name)
        for at, value in values[css]:
            figure.dot(at, value, css, title=f"{at:,.0f}: {name} {nanoseconds_text(value)}")
    legend = tuple((css, name) for css, name in shown if values[css])
    return Plot(f"Response time by {label}", figure.text(), legend)


def knee_curve(knee: Knee) -> Plot | None:
    tried = [
        (run.plan.rate_per_s or 0.0, run.creates_per_s, kept) for run, kept in zip(knee.runs, knee.kept, strict=True)
    ]
    if not tried:
        return None
    high = max(max(offered, achieved) for offered, achieved, _ in tried) * 1.1
    x = Axis("offered per second", 0, high, lambda value: f"{value:,.0f}")
    y = Axis("achieved per second", 0, high, lambda value: f"{value:,.0f}")
    figure = Figure(x, y, title="Achieved by offered rate")
    figure.line([(0, 0), (high, high)], "quiet dashed", title="as offered")
    for offered, achieved, kept in tried:
        title = f"{rate_text(offered)} offered, {rate_text(achieved)} achieved: {'kept' if kept else 'broken'}"
        figure.dot(offered, achieved, "good" if kept else "bad", title=title)
    if knee.knee_per_s is not None:
        figure.rule(knee.knee_per_s, "good", title=f"knee: {rate_text(knee.knee_per_s)}")
    return Plot(
        "The search", figure.text(), (("good", "objectives kept"), ("bad", "broken"), ("quiet dashed", "as offered"))
    )


def comparison_plots(comparison: Comparison) -> list[Plot | None]:
    both = [("a", "A", comparison.a.response_time), ("b", "B", comparison.b.response_time)]
    rates = [blocks(quotient) for quotient in comparison.quotients[:2]]
    return [*rates, percentile_curve(both), distribution(both)]


def run_plots(run: Run) -> list[Plot | None]:
    curves = [("a", "response time", run.response_time)]
    if run.plan.model == "open":
        curves += [("b", "service time", run.service_time), ("quiet", "send lag", run.send_lag)]
    return [throughput_over_time(run), times_over_time(run), percentile_curve(curves), distribution(curves[:2])]


def _mark_warmup(run: Run, figure: Figure, legend: list[tuple[str, str]]) -> None:
    if run.plan.warmup_s:
        figure.rule(run.plan.warmup_s, "quiet", title="measured from here on")
        legend.append(("quiet ruled", "end of the warm-up"))


def _steps(points: Sequence[tuple[float, float]]) -> Iterable[tuple[tuple[float, float], float]]:
    """Each point and where the next one begins."""
    return [(point, after[0]) for point, after in pairwise(points)]


def _known(steps: Iterable[tuple[float, Times]], name: str) -> Iterable[tuple[float, float]]:
    for at, times in steps:
        value = times.max_ns if name == "max" else times.percentiles_ns[name]
        if value is not None:
            yield at, float(value)


def _step_ticks(values: Iterable[float]) -> tuple[Tick, ...]:
    return tuple((float(value), f"{value:,.0f}") for value in values)


def _block_ticks(count: int) -> tuple[Tick, ...]:
    step = max(1, round(count / 10))
    return tuple((float(number), str(number)) for number in range(1, count + 1, step))


def _quotient_text(quotient: Quotient, value: float) -> str:
    return nanoseconds_text(value) if quotient.unit == "ns" else rate_text(value)


def _step(run: Run) -> str:
    return duration_text(run.over_time.interval_s)


def _seconds_text(value: float) -> str:
    return f"{value:g} s" if value == 0 or value >= 1 else f"{value * 1000:g} ms"


def _axis_ns(value: float) -> str:
    """`20 ms`: a round number needs no digits after it."""
    for factor, unit in ((1e9, "s"), (1e6, "ms"), (1e3, "us")):
        if value >= factor:
            return f"{value / factor:g} {unit}"
    return f"{value:g} ns" if value else "0"
