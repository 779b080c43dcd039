from __future__ import annotations

import io

import attrs
import pytest
from rich.console import Console

from loadtest.conditions import Conditions
from loadtest.describing import describe_run
from loadtest.errors import ErrorKind, Failure
from loadtest.outcome import group_failures
from loadtest.report import print_cleanup, print_run
from loadtest.runner import Result
from loadtest.scenario import Scenario
from loadtest.statistics import Recorder, Times
from loadtest.target import Cleanup
from loadtest.units import duration_text


def result(count: int, *, names: str = "unique") -> Result:
    """Creates that took 1, 2, 3 ... ms, one after another."""
    recorder = Recorder(count)
    now_ns = 1
    for number in range(count):
        done_ns = now_ns + (number + 1) * 1_000_000
        recorder.record(number, Times(now_ns, now_ns + 500_000, done_ns, False), 201)
        now_ns = done_ns
    return Result(
        scenario=Scenario(host="unix:///s", run_id="r", count=count, names=names),
        server="1.2.3",
        created=(),
        errors=(),
        statuses={201: count},
        sent=count,
        abandoned=0,
        samples=recorder.samples(count),
        conditions=Conditions(count * 20e-6, 0.0, None, 0.0, elapsed_s=now_ns / 1e9),
        is_interrupted=False,
    )


def printed(value: Result) -> str:
    output = io.StringIO()
    console = Console(file=output, width=100)
    described = describe_run(value)
    print_run(described, console)
    print_cleanup(described, console)
    return output.getvalue()


def test_the_summary_has_throughput_percentiles_and_the_clients_cost() -> None:
    text = printed(result(1000))
    assert "2.00 creates/s   1,000 created in 500 s" in text
    rows = {line[:16].strip(): line[16:].split() for line in text.splitlines()}
    assert rows["response time"] == "500 ms 750 ms 900 ms 990 ms - 1.00 s".split()
    assert rows["service time"] == "500 ms 750 ms 900 ms 990 ms - 1.00 s".split()
    assert "20.0 us CPU per request" in text
    assert "201 x 1,000" in text


def test_on_a_narrow_terminal_no_number_is_cut_off() -> None:
    file = io.StringIO()
    print_run(describe_run(result(10_000)), Console(file=file, width=20))
    row = next(line for line in file.getvalue().splitlines() if "service time" in line)
    assert len(row.split()) == 2 + 2 * 6  # each with its unit
    assert "\u2026" not in file.getvalue()


def test_a_percentile_without_enough_samples_is_a_dash_with_its_reason() -> None:
    text = printed(result(200))
    assert "p99 needs 1,000 samples, p99.9 needs 10,000 samples; there are 200" in text


def test_errors_are_shown_with_their_first_samples() -> None:
    failures = [Failure(number, ErrorKind.HTTP_STATUS, f"disk {number} full", 500) for number in range(5)]
    text = printed(attrs.evolve(result(10), errors=group_failures(failures)))
    assert "http_500 x 5" in text
    assert [f"disk {number} full" in text for number in range(5)] == [True, True, True, False, False]


def test_markup_in_a_message_is_printed_as_it_is() -> None:
    failures = [Failure(0, ErrorKind.HTTP_STATUS, "[red]bold[/red] [/x]", 500)]
    assert "[red]bold[/red] [/x]" in printed(attrs.evolve(result(10), errors=group_failures(failures)))


def test_a_message_cannot_steer_the_terminal() -> None:
    failures = [Failure(0, ErrorKind.HTTP_STATUS, "\x1b[2J\x9b1mgone\tfor good", 500)]
    text = printed(attrs.evolve(result(10), server="1\x07", errors=group_failures(failures)))
    assert "\\x1b[2J\\x9b1mgone" in text
    assert "1\\x07" in text
    assert not {"\x1b", "\x9b", "\x07"} & set(text)


def test_what_timed_out_may_yet_be_created() -> None:
    failures = [Failure(0, ErrorKind.TIMEOUT, "no answer within 1 s")]
    text = printed(attrs.evolve(result(10), errors=group_failures(failures), cleanup=Cleanup(9)))
    assert "what timed out may yet be created; to look again: boatyard-load clean r -H unix:///s" in text


def test_podmans_way_to_refuse_a_name_is_no_error() -> None:
    text = printed(attrs.evolve(result(10, names="collide:2"), statuses={201: 5, 500: 5}))
    assert "500 x 5  (500 is what all clients but one for each name are to get)" in text


def test_conflicts_that_were_asked_for_are_said_to_be_right() -> None:
    text = printed(attrs.evolve(result(10, names="collide:2"), statuses={201: 5, 409: 5}))
    assert "409 x 5  (409 is what all clients but one for each name are to get)" in text


def test_a_client_that_used_its_core_up_says_so() -> None:
    value = result(10)
    assert "client-limited" not in printed(value)
    assert "client-limited" in printed(attrs.evolve(value, conditions=Conditions(0.9, 0.0, None, 0.0, 1.0)))


@pytest.mark.parametrize(
    ("cleanup", "expected"),
    [
        (None, "kept         0 containers; to remove them: boatyard-load clean r -H unix:///s"),
        (Cleanup(1200), "clean-up     1,200 containers removed"),
        (Cleanup(0, (Failure(0, ErrorKind.RESET, "busy"),)), "1 failed: busy"),
        (Cleanup(0, (Failure(0, ErrorKind.RESET, "busy"),)), "to try again: boatyard-load clean r -H unix:///s"),
    ],
)
def test_the_last_line_says_what_is_left_and_how_to_remove_it(cleanup: Cleanup | None, expected: str) -> None:
    assert expected in printed(attrs.evolve(result(10), cleanup=cleanup))


def test_a_run_that_was_interrupted_says_how_far_it_came() -> None:
    value = attrs.evolve(result(10), is_interrupted=True, sent=7, abandoned=2)
    assert "interrupted after 7 requests, 2 of them abandoned" in printed(value)


def test_a_run_without_a_single_answer_can_be_reported() -> None:
    nothing = attrs.evolve(result(3), samples=Recorder(3).samples(3), statuses={}, sent=0)
    assert "0 creates/s" in printed(nothing)
    assert describe_run(nothing).response_time.max_ns is None


@pytest.mark.parametrize(
    ("value_s", "expected"),
    [
        (0.0, "0.00 us"),
        (0.000_000_9, "0.900 us"),
        (0.000_812, "812 us"),
        (0.006_13, "6.13 ms"),
        (0.25, "250 ms"),
        (0.999_99, "1.00 s"),
        (0.000_999_99, "1.00 ms"),
        (2.4, "2.40 s"),
        (99.96, "100 s"),
        (1234.5, "1,234 s"),
    ],
)
def test_a_time_has_three_digits_in_the_unit_that_suits(value_s: float, expected: str) -> None:
    assert duration_text(value_s) == expected
