"""Fixtures: a socket path that fits, and a fake Docker engine on it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.scenario import SOCKET_PATH_BYTES_MAX
from tests.loadtest.fake_docker import FakeDocker


@pytest.fixture
def socket_file(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "d.sock"
    if len(str(path)) <= SOCKET_PATH_BYTES_MAX:
        yield path
        return
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        yield Path(directory) / "d.sock"


@pytest.fixture(autouse=True)
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the runs of a test are written down."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "boatyard-load" / "runs"


@pytest.fixture
def docker(socket_file: Path) -> Iterator[FakeDocker]:
    with FakeDocker(socket_file) as fake:
        yield fake
