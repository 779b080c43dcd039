"""Results as Markdown: all of them, and in short for README.md between its marks. Decides nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from contrib.bench.plan import DOCKERD, GROWING, GROWN, OURS, PODMAN
from contrib.bench.results import (
    CREATES,
    DISK,
    INODES,
    LIST,
    MEMORY,
    P50,
    P99,
    START,
    UNITS,
    Results,
    Row,
    Samples,
    Subject,
    Verdict,
)

MARKS = "make bench"
"""The name of those that README has it between."""

GROWING_METRICS = {
    LIST: "list all",
    START: "start-up",
    MEMORY: "memory",
    INODES: "inodes",
    DISK: "disk",
}


def markdown(results: Results) -> str:
    return (
        "\n\n".join(filter(None, [_conditions(results), _creates(results), _growing(results), _targets(results)]))
        + "\n"
    )


def in_short(results: Results) -> str:
    """On one of our loops, and of the targets those that were missed."""
    subjects = tuple(subject for subject in results.subjects if subject.name in (OURS, DOCKERD, PODMAN))
    few = msgspec.structs.replace(results, subjects=subjects)
    return "\n\n".join(filter(None, [_conditions(few), _creates(few), _growing(few), _missed(results)])) + "\n"


def _missed(results: Results) -> str:
    missed = [
        f"{verdict.text} {verdict.must} ({_measured_text(verdict)})"
        for verdict in results.verdicts
        if verdict.held == "missed"
    ]
    said = f"Of {len(results.verdicts)} targets (`contrib/bench/targets.py`), {len(missed)} were missed in this run"
    return f"{said}{': ' if missed else ''}{'; '.join(missed)}."


def _conditions(results: Results) -> str:
    machine = results.machine
    lines = [
        f"On {machine.cpu_model}, {machine.cpu_count} cores that engine and clients share, {machine.kernel}, "
        f"{machine.python}, {machine.file_system}; {results.started_at[:10]}, load average {machine.load_average:.1f} before.",
        f"Medians; rounds: {results.rounds}, each engine with a data root of its own in each. Before the clock runs, each has "
        f"made {results.warmup:,} containers and idles: boatyard has the directories of 2,048 ready then.",
        "In brackets: times better than dockerd in the same row.",
    ]
    if results.is_quick:
        lines.insert(0, "**A quick run: these figures mean nothing.**")
    lines += [f"{subject.name} was not measured: {subject.skipped}." for subject in results.subjects if subject.skipped]
    lines += [f"Failed: {failure}." for failure in results.failures]
    return "\n".join(lines)


def _creates(results: Results) -> str:
    samples = Samples(results.figures)
    measured = [
        (row, subject)
        for row in results.rows
        for subject in results.subjects
        if samples.of(subject.name, row.name, CREATES)
    ]
    rows = (
        (_load_text(row, subject), _engine_text(subject), *_cells(samples, subject.name, row.name, (CREATES, P50, P99)))
        for row, subject in measured
    )
    return _table(("creates", "engine", "creates/s", "p50", "p99"), rows, worded=2)


def _load_text(row: Row, subject: Subject) -> str:
    is_ours = subject.name.startswith("boatyard")
    return f"{row.name}: {row.creates if is_ours else row.creates_slow:,}"


def _engine_text(subject: Subject) -> str:
    return f"{subject.name} {subject.version.partition(' (')[0]}" if subject.name == "dockerd" else subject.name


def _growing(results: Results) -> str:
    samples = Samples(results.figures)
    measured = [
        subject for subject in results.subjects if subject.name in GROWN and samples.of(subject.name, GROWING, LIST)
    ]
    if not measured:
        return ""
    rows = ((_engine_text(subject), *_cells(samples, subject.name, GROWING, GROWING_METRICS)) for subject in measured)
    head = (f"with {results.grown:,} containers", *GROWING_METRICS.values())
    return _table(head, rows) + "\n\nMemory, inodes and bytes on disk are what one container adds."


def _targets(results: Results) -> str:
    rows = (
        (verdict.text, verdict.must, verdict.aim, _measured_text(verdict), _held_text(verdict))
        for verdict in results.verdicts
    )
    return _table(("promised", "must", "aim", "measured", ""), rows)


def _measured_text(verdict: Verdict) -> str:
    if verdict.measured is None:
        return ""
    value = _number(verdict.measured)
    if verdict.low is None or verdict.high is None:
        return value
    return f"{value} ({_number(verdict.low)} to {_number(verdict.high)})"


def _held_text(verdict: Verdict) -> str:
    return {"aim": "held, the aim, too", "must": "held", "missed": "**missed**"}.get(verdict.held, verdict.held)


def _cells(samples: Samples, engine: str, row: str, metrics: Iterable[str]) -> Iterator[str]:
    for metric in metrics:
        median = samples.median(engine, row, metric)
        ratio = samples.ratio(engine, row, metric) if engine != "dockerd" else None
        times = f" ({ratio.value:.3g}x)" if ratio is not None else ""
        yield "" if median is None else f"{_amount(median, UNITS[metric])}{times}"


def _amount(value: float, unit: str) -> str:
    return f"{_number(value)} {unit}" if unit in ("s", "ms") else _number(value)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]], *, worded: int = 1) -> str:
    """The first `worded` columns are words, the others numbers."""
    titles = list(head)
    lines = [titles, ["---" if at < worded else "---:" for at in range(len(titles))], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
