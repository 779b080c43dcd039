"""Results for people, as a table on the terminal and as Markdown, and for programs, as JSON. Measures and decides nothing."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import attrs
from rich.console import Console
from rich.table import Table
from rich.text import Text

from contrib.bench_actors.contract import ASKERS, MAILBOX, Figure
from contrib.bench_actors.results import TARGETS, Target, Value, Verdict, failures, samples_of, value_of
from contrib.bench_actors.runner import Results
from contrib.bench_actors.subjects import Subject

JSON_VERSION = 1
TABLE_WIDTH = 150
"""Where the output is no terminal, which would say how wide it is."""
VERSIONS_OF = ("anyio", "uvloop", "trio", "pykka", "xoscar", "thespian", "triotp")

NOTE = (
    f"Microseconds an operation, memory in bytes an actor. In brackets: times ours on the same loop, or on asyncio. "
    f"ask: one asker, the actor idle. {ASKERS} askers: time by number of asks. tell: {MAILBOX - 1:,} in a row, then the actor "
    f"drains its mailbox, which is in `tell + handle`. crash + restart: until a fresh incarnation has answered. start: until up."
)


@attrs.frozen
class Run:
    """What was measured, and how."""

    subjects: Sequence[Subject]
    skipped: Sequence[tuple[Subject, str]]
    rounds: int
    count: int
    results: Results
    load_before: float = 0.0
    """What else the machine was doing: its load average over a minute. It is to be well below 1."""


def print_run(run: Run, console: Console) -> None:
    _print_machine(run, console)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("library", "runs on"):
        table.add_column(name, no_wrap=True)
    for figure in Figure:
        table.add_column(figure, justify="right")
    for subject in run.subjects:
        row = (value_of(run.results, subject, figure) for figure in Figure)
        style = "bold" if subject.library == "ours" else None
        table.add_row(subject.label, subject.loop, *(Text(_cell(value)) for value in row), style=style)
    console.print(table)
    console.print()
    console.print(Text(NOTE, "dim"))
    for text in _gaps(run):
        console.print(Text(text, "yellow"), soft_wrap=True)
    console.print()
    _print_targets(run, console)


def markdown(run: Run) -> str:
    """The same as a table for a README, with what was left out and the machine below."""
    head = ("library", "runs on", *Figure)
    lines = [f"| {' | '.join(head)} |", f"|---|---|{'---:|' * len(Figure)}"]
    for subject in run.subjects:
        row = (_cell(value_of(run.results, subject, figure)) for figure in Figure)
        lines.append(f"| {subject.label} | {subject.loop} | {' | '.join(row)} |")
    lines += ["", NOTE, "", f"{_machine()}; {_versions()}. {_how(run)}."]
    lines += [f"{text[0].upper()}{text[1:]}." for text in _gaps(run)]
    return "\n".join(lines) + "\n"


def run_json(run: Run) -> dict[str, object]:
    """Every sample, in JSON's types."""
    return {
        "version": JSON_VERSION,
        "machine": _machine(),
        "load_before": run.load_before,
        "versions": {name: _version(name) for name in VERSIONS_OF},
        "rounds": run.rounds,
        "count": run.count,
        "subjects": [
            {
                "key": subject.key,
                "label": subject.label,
                "runs_on": subject.loop,
                "compared_with": subject.compared_with,
                "cells": {figure.name.lower(): _cell_json(run, subject, figure) for figure in Figure},
            }
            for subject in run.subjects
        ],
        "skipped": [{"key": subject.key, "reason": reason} for subject, reason in run.skipped],
        "failures": [
            {"key": subject.key, "measure": measure, "reason": reason}
            for subject, measure, reason in failures(run.results)
        ],
        "targets": [
            {"text": str(target), "value": target.value(run.results), "verdict": target.verdict(run.results)}
            for target in TARGETS
        ],
    }


def _print_machine(run: Run, console: Console) -> None:
    for text in (_machine(), _versions(), _how(run)):
        console.print(Text(text, "dim"), soft_wrap=True)
    console.print()


def _print_targets(run: Run, console: Console) -> None:
    styles = {Verdict.HELD: "green", Verdict.MISSED: "bold red", Verdict.NOT_MEASURED: "yellow"}
    for target in TARGETS:
        verdict = target.verdict(run.results)
        console.print(
            Text.assemble((f"{verdict:<14}", styles[verdict]), str(target), (_measured(target, run), "dim")),
            soft_wrap=True,
        )


def _measured(target: Target, run: Run) -> str:
    value = target.value(run.results)
    if value is None:
        return ""
    if target.beside is not None:
        return f"  ({value:.2f} times)"
    return f"  ({value / 1024:.1f} KB)" if target.figure is Figure.MEMORY else f"  ({value:.2f} us)"


def _gaps(run: Run) -> Iterator[str]:
    """What the table does not show, and why."""
    for subject, reason in run.skipped:
        yield f"skipped: {subject.label} on {subject.loop}: {reason}"
    for subject, measure, reason in failures(run.results):
        yield f"failed: {measure} of {subject.label} on {subject.loop}: {reason}"


def _cell(value: Value) -> str:
    if value.least is None:
        return value.text
    ratio = "" if value.ratio is None else f" ({_digits(value.ratio)}x)"
    return f"{_digits(value.least)}{ratio}"


def _cell_json(run: Run, subject: Subject, figure: Figure) -> dict[str, object]:
    value = value_of(run.results, subject, figure)
    if value.least is None:
        return {"text": value.text}
    return {"least": value.least, "ratio": value.ratio, "samples": samples_of(run.results, subject.key, figure)}


def _digits(value: float) -> str:
    """Three figures at most are worth reading: `0.43`, `8.97`, `38.5`, `11,400`."""
    if value < 10:
        return f"{value:.2f}"
    return f"{value:.1f}" if value < 100 else f"{float(f'{value:.3g}'):,.0f}"


def _machine() -> str:
    cores = len(os.sched_getaffinity(0))
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{python}, {cores} cores of {_processor()}, {platform.system()} {platform.release()}"


def _processor() -> str:
    """As Linux names it; elsewhere, and in some virtual machines, only the architecture is known."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names and names[0] != "unknown" else platform.machine()


def _versions() -> str:
    return ", ".join(f"{name} {_version(name) or 'not installed'}" for name in VERSIONS_OF)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _how(run: Run) -> str:
    rounds = "1 round" if run.rounds == 1 else f"{run.rounds} rounds"
    how = f"The least of {rounds} of at most {run.count:,} operations, every cell in a process of its own"
    return f"{how}; load average before: {run.load_before:.2f}"
