"""Every asynchronous test runs on each loop that Boatyard supports, and in memory where there is enough of it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")
MEMORY_BYTES_MIN = 2 << 30
"""Free, so that the tests do not fill it. All of them together use a tenth."""


def pytest_configure() -> None:
    """Most tests sync what they write, as the daemon does, and none of them is about the disk: that takes three times as long.
    Those that are about it make file systems of their own."""
    if MEMORY.is_mount() and shutil.disk_usage(MEMORY).free >= MEMORY_BYTES_MIN:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


BACKENDS = [
    pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
    pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop"),
    pytest.param(("trio", {}), id="trio"),
]


@pytest.fixture(params=BACKENDS)
def anyio_backend(request: pytest.FixtureRequest) -> object:
    return request.param
