from __future__ import annotations

import io
import os

import pytest
from rich.console import Console

from loadtest.live import RATES_MAX, Moment, Onlooker, drawn, sparkline
from loadtest.statistics import FAILED, Recorder, Times
from loadtest.work import Progress

MS = 1_000_000
S = 1_000_000_000


def progress(
    done: int, elapsed_s: float, *, sent: int | None = None, errors: int = 0, count: int | None = 100
) -> Progress:
    return Progress(done, errors, elapsed_s, done / 100, count, done if sent is None else sent)


def record(recorder: Recorder, number: int, *, done_s: float, time_ms: float, status: int = 201) -> None:
    done_ns = round(done_s * S)
    recorder.record(number, Times(done_ns - round(time_ms * MS), done_ns, done_ns, False), status)


def test_the_times_are_those_of_the_last_second() -> None:
    recorder = Recorder(10)
    onlooker = Onlooker(recorder)
    record(recorder, 0, done_s=10.0, time_ms=500)
    record(recorder, 1, done_s=10.1, time_ms=2)
    assert onlooker.look(progress(2, 0.25)).longest_ns == 500 * MS
    record(recorder, 2, done_s=11.05, time_ms=4)
    moment = onlooker.look(progress(3, 0.5))
    assert (moment.p50_ns, moment.longest_ns) == (2 * MS, 4 * MS)


def test_a_request_that_was_under_way_is_looked_at_again_and_a_failure_has_no_time() -> None:
    recorder = Recorder(10)
    onlooker = Onlooker(recorder)
    record(recorder, 1, done_s=1.0, time_ms=1)
    assert onlooker.look(progress(1, 0.25, sent=3)).longest_ns == 1 * MS
    record(recorder, 0, done_s=1.2, time_ms=7)
    record(recorder, 2, done_s=1.2, time_ms=9, status=FAILED)
    assert onlooker.look(progress(3, 0.5, sent=3)).longest_ns == 7 * MS


def test_the_rate_is_that_between_two_looks_and_only_the_last_are_kept() -> None:
    onlooker = Onlooker(Recorder(1))
    onlooker.look(progress(0, 0.0))
    onlooker.look(progress(50, 0.5, sent=0))
    assert onlooker.look(progress(60, 1.0, sent=0)).rates_per_s == (100.0, 20.0)
    for step in range(100):
        moment = onlooker.look(progress(60, 2.0 + step, sent=0))
    assert len(moment.rates_per_s) == RATES_MAX


def test_the_recorder_is_seen_by_a_process_that_was_forked_before() -> None:
    recorder = Recorder(1)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        record(recorder, 0, done_s=1.0, time_ms=3)
        os.write(writer, b"x")
        os._exit(0)
    os.read(reader, 1)
    os.waitpid(child, 0)
    os.close(reader)
    os.close(writer)
    assert Onlooker(recorder).look(progress(1, 0.25)).p50_ns == 3 * MS


@pytest.mark.parametrize(("values", "expected"), [((0, 0), "▁▁"), ((1, 2, 4, 8), "▂▃▅█"), ((5,), "█"), ((0, 8), "▁█")])
def test_a_sparkline_is_as_high_as_its_highest(values: tuple[float, ...], expected: str) -> None:
    assert sparkline(values) == expected


def test_the_view_has_four_lines() -> None:
    output = io.StringIO()
    moment = Moment((100.0, 250.0, 200.0), 12 * MS, 30 * MS, 41 * MS)
    Console(file=output, width=100).print(drawn(progress(62, 3.1, errors=2), moment))
    first, now, times, errors = (line.rstrip() for line in output.getvalue().splitlines())
    assert "62/100  62%" in first
    assert first.endswith("1.90 s left")
    assert now.split() == ["now", "200/s", "▄█▇", "peak", "250/s"]
    assert times.endswith("p50 12.0 ms   p99 30.0 ms   longest 41.0 ms")
    assert errors.split() == ["errors", "2"]
