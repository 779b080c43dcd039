"""What a start of the daemon brings in. The rest of `running` is tested where a real daemon runs (tests/integration)."""

from __future__ import annotations

import subprocess
import sys

import pytest

NOT_NEEDED = ("click", "httpx", "loadtest", "opentelemetry", "prometheus_client", "rich", "trio")
"""For what some daemons do some time. httpx, with what it brings in, is a quarter of all that would be imported."""


def imported_by(*modules: str) -> frozenset[str]:
    code = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    return frozenset(subprocess.check_output([sys.executable, "-c", code], text=True).split())


def test_a_start_imports_nothing_that_only_some_daemons_need() -> None:
    assert not imported_by("daemon.__main__", "daemon.running") & frozenset(NOT_NEEDED)


@pytest.mark.parametrize("module", ["daemon.engine", "daemon.api.routes", "sqlite3"])
def test_arguments_are_read_before_the_house_is_brought_in(module: str) -> None:
    assert module not in imported_by("daemon.__main__")
