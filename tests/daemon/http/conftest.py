from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def directory() -> Iterator[Path]:
    """A short one: the path of a socket has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="by-") as path:
        yield Path(path)


@pytest.fixture(autouse=True)
def defects(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """The defects that a test means to show; there must be no other in the log."""
    meant: list[str] = []
    yield meant
    errors = [record for record in caplog.get_records("call") if record.levelno >= logging.ERROR]
    assert [str(record.exc_info and record.exc_info[1]) for record in errors] == meant
