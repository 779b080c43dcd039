from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from daemon.api.moments import parse_moment
from daemon.create.durations import SECOND_NS
from daemon.errors import InvalidParameter

THEN = 1_700_000_000 * SECOND_NS
"""2023-11-14T22:13:20Z"""
NOW = THEN + 500_000_000


@pytest.fixture(autouse=True)
def far_from_greenwich() -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC-9"
    time.tzset()
    yield
    os.environ.pop("TZ") if before is None else os.environ.__setitem__("TZ", before)
    time.tzset()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("1700000000", THEN),
        ("1700000000.5", THEN + 500_000_000),
        ("1700000000.000000001", THEN + 1),
        ("1700000000.1234567891", THEN + 123_456_789),
        ("99999999999", 99_999_999_999 * SECOND_NS),
        ("10", 10 * SECOND_NS),  # a duration has a unit
        ("+5", 5 * SECOND_NS),
        ("-1", -SECOND_NS),
        ("2023-11-14T22:13:20Z", THEN),
        ("2023-11-14T22:13:20.123456789Z", THEN + 123_456_789),
        ("2023-11-14T23:43:20.5+01:30", THEN + 500_000_000),
        ("2023-11-14T22:13Z", THEN - 20 * SECOND_NS),
        ("2023-11-14T22Z", THEN - (13 * 60 + 20) * SECOND_NS),
        ("2023-11-15T07:13:20", THEN),  # of no zone: this machine's
        ("2023-11-15T07:13:20.25", THEN + 250_000_000),
        ("2023-11-15T07:13", THEN - 20 * SECOND_NS),
        ("2023-11-15T07", THEN - (13 * 60 + 20) * SECOND_NS),
        ("2023-11-14Z", THEN - (22 * 3600 + 13 * 60 + 20) * SECOND_NS),
        ("2023-11-14", THEN - (31 * 3600 + 13 * 60 + 20) * SECOND_NS),
        ("1969-12-31T23:59:59.25Z", -750_000_000),
        ("10m", THEN - 600 * SECOND_NS),  # ago, in whole seconds
        ("1h30m", THEN - 5400 * SECOND_NS),
        ("1.5h", THEN - 5400 * SECOND_NS),
        (".5h", THEN - 1800 * SECOND_NS),
        ("-10m", THEN + 600 * SECOND_NS),
        ("500ms", THEN),
        ("501ms", THEN - SECOND_NS),
        ("1\u00b5s", THEN),
        ("0s", THEN),
    ],
)
def test_a_moment_is_read_as_docker_reads_it(text: str, expected: int) -> None:
    assert parse_moment(text, NOW) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "10x",
        "m",
        ".h",
        "1700000000.",
        ".5",
        "1.5.5",
        "1e9",
        " 1",
        "\u0661",
        "9" * 10_000,
        "2023-02-31",
        "2023-02-31T00:00:00Z",
        "2023-11-14T25:00:00Z",
        "2023-11-14 22:13:20Z",
        "2023-11-14T22:13:20.Z",
        "23-11-14",
        "0000-01-01",
    ],
)
def test_what_is_no_moment_is_the_clients_mistake(text: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        parse_moment(text, NOW)
    assert str(caught.value) == f'failed to parse value as time or duration: "{text}"'
