"""The engines for tests: one that is not here skips its test, and fails it in CI, where it is to be there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from contrib import engines
from contrib.engines import Engine, NotHere

READY_TREES = 16
"""Few: tests start one daemon after the other."""


@contextmanager
def running(
    home: Path, backend: str = "uvloop", wrapper: Sequence[str] = (), options: Sequence[str] = ()
) -> Iterator[Engine]:
    """Our daemon; ended at the end if it still runs."""
    with engines.boatyard(home, backend, ready_trees=READY_TREES, wrapper=wrapper, options=options) as engine:
        yield engine


@contextmanager
def dockerd(home: Path) -> Iterator[Engine]:
    installed("dockerd")
    with engines.dockerd(home) as engine:
        yield engine


@contextmanager
def podman(home: Path) -> Iterator[Engine]:
    installed("podman")
    with engines.podman(home) as engine:
        yield engine


ENGINES: Mapping[str, Callable[[Path], AbstractContextManager[Engine]]] = {
    "boatyard": running,
    "dockerd": dockerd,
    "podman": podman,
}


def installed(name: str) -> str:
    """The path of an engine that can be started here."""
    try:
        return engines.installed(name)
    except NotHere as error:
        not_here(str(error))


def not_here(why: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(f"{why}: a skipped test would prove nothing here")
    pytest.skip(why)
