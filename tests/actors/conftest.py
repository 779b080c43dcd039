"""The matrix of the actors' tests: the three loops, and trio in virtual time."""

from __future__ import annotations

import pytest
from trio.testing import MockClock


@pytest.fixture(params=["asyncio", "uvloop", "trio", "trio in virtual time"])
def anyio_backend(request: pytest.FixtureRequest) -> object:
    match request.param:
        case "asyncio" | "uvloop":
            return "asyncio", {"use_uvloop": request.param == "uvloop"}
        case "trio":
            return "trio", {}
        case _:
            return "trio", {"clock": MockClock(autojump_threshold=0)}
