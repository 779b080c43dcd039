from __future__ import annotations

import json
import logging
import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemon.config import LogFormat
from daemon.errors import InvalidParameter, System
from daemon.logs import LINES_MAX, LogWriter, log_line, logging_to, printable

CANARY = "canary-5b2f"

_log = logging.getLogger("tests.logs")


class Sink:
    """A file to log to, read when that is over."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def lines(self) -> list[str]:
        return self.path.read_text().splitlines()

    def logged(self, say: Callable[[], object], log_format: LogFormat = "json", level: str = "debug") -> list[str]:
        with logging_to(self.descriptor, level=level, log_format=log_format):
            say()
        return self.lines()


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[Sink]:
    made = Sink(tmp_path / "log")
    yield made
    os.close(made.descriptor)


def test_a_record_is_one_line_of_json_or_of_text(sink: Sink) -> None:
    [line] = sink.logged(lambda: _log.warning("%d of %s", 5, "a\nb"))
    record = json.loads(line)
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record.pop("time"))
    assert record == {"level": "warning", "logger": "tests.logs", "message": "5 of a\\nb"}
    line = sink.logged(lambda: _log.warning("%d of %s", 5, "a\nb"), "text")[-1]
    assert re.fullmatch(r"\S+Z WARNING 5 of a\\nb", line)


def test_what_comes_from_outside_has_no_control_characters_and_an_end() -> None:
    assert printable("a\r\n\x1b[31m\u2028\x85\u00e9\ud800", 100) == "a\\r\\n\\x1b[31m\\u2028\\x85\u00e9\\ud800"
    assert printable("x" * 1000, 200) == "x" * 200 + "..."
    assert printable("x" * 200, 200) == "x" * 200


def test_the_level_is_what_is_asked_for_and_is_put_back(sink: Sink) -> None:
    before = logging.getLogger().level

    def say() -> None:
        _log.info("no")
        _log.error("yes")
        logging.getLogger("httpx").info("GET https://blobs.example/?signature=x")

    assert [json.loads(line)["message"] for line in sink.logged(say, level="error")] == ["yes"]
    assert [json.loads(line)["message"] for line in sink.logged(say)] == ["yes", "no", "yes"]
    assert logging.getLogger().level == before


def raise_in_chain() -> None:
    try:
        raise ValueError(CANARY)
    except ValueError as error:
        raise OSError(5, "Input/output error") from error


ERRORS: list[tuple[BaseException, str, bool]] = [
    (ValueError(CANARY), "ValueError", False),
    (KeyError(CANARY), "KeyError", False),
    (InvalidParameter(f"invalid environment variable: {CANARY}"), "InvalidParameter", False),
    (System(f"the disk is {CANARY}"), "System", True),
    (sqlite3.OperationalError(f"disk is {CANARY}"), "OperationalError", True),
    (OSError(28, CANARY), "OSError", True),
    (ExceptionGroup("several", [ValueError(CANARY)]), "ValueError", False),
]


@pytest.mark.parametrize(("error", "name", "is_told"), ERRORS, ids=lambda value: str(value)[:20])
@pytest.mark.parametrize("log_format", ["json", "text"])
def test_of_an_exception_only_what_is_ours_or_the_systems_is_told(
    error: BaseException, name: str, is_told: bool, log_format: LogFormat, sink: Sink
) -> None:
    def say() -> None:
        _log.error("%s: %r", error, error)
        try:
            raise error
        except BaseException:  # noqa: BLE001 - it is logged
            _log.exception("failed")

    text = "\n".join(sink.logged(say, log_format))
    assert name in text
    assert (CANARY in text) == is_told
    assert "test_logs.py:" in text, "where it was"


def test_the_causes_of_an_exception_come_before_it(sink: Sink) -> None:
    def say() -> None:
        try:
            raise_in_chain()
        except OSError:
            _log.exception("failed")

    [line] = sink.logged(say)
    error = json.loads(line)["error"]
    assert error.index("ValueError") < error.index("OSError: [Errno 5] Input/output error")
    assert CANARY not in error


def test_lines_come_in_the_order_in_which_they_were_put(sink: Sink) -> None:
    with LogWriter(sink.descriptor, dropped=str) as writer:
        for number in range(1000):
            writer.put(lambda number=number: str(number), is_urgent=number % 100 == 0)  # type: ignore[misc]  # a default
    assert sink.lines() == [str(number) for number in range(1000)]


def test_who_logs_never_waits_for_who_reads_and_what_is_dropped_is_counted() -> None:
    reading, writing = os.pipe()
    with LogWriter(writing, dropped=lambda count: f"dropped {count}") as writer:
        line = "x" * 100
        for _ in range(4 * LINES_MAX):  # far more than a pipe holds
            writer.put(lambda: line)
        with os.fdopen(reading, "rb") as reader:
            found = b""
            while b"dropped" not in found:
                found += reader.read1(1 << 16)
    os.close(writing)
    lines = found.decode().splitlines()
    [count] = [int(line.removeprefix("dropped ")) for line in lines if line.startswith("dropped")]
    assert count + sum(line.startswith("x") for line in lines) <= 4 * LINES_MAX
    assert count >= LINES_MAX


def test_a_log_that_nobody_reads_any_more_is_no_reason_to_end() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with LogWriter(writing, dropped=str) as writer:
        writer.put(lambda: "x", is_urgent=True)
    os.close(writing)


def test_fields_are_written_after_the_message(sink: Sink) -> None:
    fields = {"logger": "access", "message": "answered", "uid": 0, "path": "/a b", "ms": 1.5, "method": "GET"}
    assert log_line("text", 0.25, "info", fields) == (
        '1970-01-01T00:00:00.250Z INFO answered uid=0 path="/a b" ms=1.5 method=GET'
    )
    assert json.loads(log_line("json", 0.25, "info", fields)) == {
        "time": "1970-01-01T00:00:00.250Z",
        "level": "info",
        **fields,
    }
