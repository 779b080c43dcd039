"""Rounds of cells, each in a fresh process. What fails or is not there is a reason, and the rest goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import attrs

from contrib.bench_actors.contract import Figure, Measure
from contrib.bench_actors.subjects import Subject

ROOT = Path(__file__).parents[2]
CELL_TIMEOUT_S = 120.0
"""A cell takes one or two seconds; one that hangs is to end."""


@attrs.frozen
class Samples:
    """What a subject has to show in one measure: figures, one a round, or the reason why there are none."""

    figures: dict[Figure, list[float]] = attrs.field(factory=dict)
    absent: str = ""
    """The library has no such thing."""
    failure: str = ""
    """It should have been measured."""


Results = dict[tuple[str, Measure], Samples]
"""By the subject's key."""


def measure_all(subjects: Sequence[Subject], *, rounds: int, count: int, on_progress: Callable[[str], None]) -> Results:
    results: Results = {}
    for number, subject, measure in _plan(subjects, rounds):
        key = (subject.key, measure)
        so_far = results.get(key, Samples())
        if so_far.absent or so_far.failure:
            continue
        on_progress(f"round {number} of {rounds}: {measure}, {subject.label} on {subject.loop}")
        results[key] = _together(so_far, measure_once(subject, measure, count))
    return results


def measure_once(subject: Subject, measure: Measure, count: int) -> Samples:
    command = [sys.executable, "-m", "contrib.bench_actors.cell", subject.key, measure, str(count)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True, process_group=0) as process:
        try:
            stdout, stderr = process.communicate(timeout=CELL_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return Samples(failure=f"no answer in {CELL_TIMEOUT_S:.0f} s")
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # and what it started: an actor may be a process
    if process.returncode != 0:
        lines = stderr.strip().splitlines()
        return Samples(failure=lines[-1].strip() if lines else f"exit code {process.returncode}")
    answer = json.loads(stdout.splitlines()[-1])
    if "absent" in answer:
        return Samples(absent=answer["absent"])
    return Samples({Figure(name): [value] for name, value in answer["figures"].items()})


def _plan(subjects: Sequence[Subject], rounds: int) -> Iterator[tuple[int, Subject, Measure]]:
    """Measure by measure, so that what is compared is measured within seconds of each other."""
    for number in range(1, rounds + 1):
        for measure in Measure:
            for subject in subjects:
                yield number, subject, measure


def _together(so_far: Samples, more: Samples) -> Samples:
    if more.absent or more.failure:
        return more
    return Samples({figure: [*so_far.figures.get(figure, []), *values] for figure, values in more.figures.items()})
