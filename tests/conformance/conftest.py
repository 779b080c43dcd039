"""Debian's dockerd 20.10 and our daemon side by side, each in a directory of its own, with the same images and containers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs
import pytest

from tests.conformance import images
from tests.conformance.case import API_VERSION, PRESENT, Case
from tests.conformance.comparing import Difference, differences, laid_out
from tests.conformance.corpus import corpus
from tests.conformance.engines import Engine
from tests.conformance.stories import stories
from tests.conformance.story import told
from tests.engines import dockerd, installed, not_here, running

VERSION_TIMEOUT_S = 60
MEMORY_BYTES_MIN = 256 << 20
"""Both data roots stay far below."""


@attrs.frozen
class Sides:
    theirs: Engine
    ours: Engine

    def differences(self, case: Case) -> list[Difference]:
        theirs, ours = self.theirs.create(case), self.ours.create(case)
        found = differences(case.name, laid_out(theirs, self.theirs), laid_out(ours, self.ours))
        if ours.status >= 500:  # whatever dockerd says: a request is no reason to fail
            found.append(Difference(case.name, "our status", "below 500", str(ours.status)))
        return found

    def twin(self) -> Sides:
        """With connections of its own, for another thread."""
        return Sides(self.theirs.twin(), self.ours.twin())

    def close(self) -> None:
        self.theirs.close()
        self.ours.close()


@pytest.fixture(scope="session")
def sides() -> Iterator[Sides]:
    _check_version()
    with tempfile.TemporaryDirectory(prefix="by-", dir=_memory()) as name:
        home = Path(name)
        for directory in ("theirs", "ours", "here"):
            (home / directory).mkdir()
        (home / "here" / "file").write_text("of the host\n")
        with dockerd(home / "theirs"), running(home / "ours") as ours:
            both = Sides(
                Engine("dockerd", home / "theirs" / "socket", home / "theirs" / "data", home / "here"),
                Engine("boatyard", ours.home / "socket", ours.data_root, home / "here"),
            )
            try:
                for engine in (both.theirs, both.ours):
                    _prepare(engine)
                yield both
            finally:
                both.close()


@pytest.fixture(scope="session")
def found_in_stories(sides: Sides) -> Mapping[str, list[Difference]]:
    """The differences in each step of the stories."""
    return {name: found for story in stories() for name, found in told(story, sides.theirs, sides.ours)}


@pytest.fixture(scope="session")
def found(sides: Sides) -> Mapping[str, list[Difference]]:
    """The differences in each case of the corpus."""
    cases = corpus()
    slow = [case for case in cases if case.is_slow]
    with ThreadPoolExecutor(max_workers=len(slow)) as pool:  # they wait for plugins that never come
        waiting = [pool.submit(_alone, sides, case) for case in slow]
        answered = {case.name: sides.differences(case) for case in cases if not case.is_slow}
        return answered | {case.name: future.result() for case, future in zip(slow, waiting, strict=True)}


def _alone(sides: Sides, case: Case) -> list[Difference]:
    twin = sides.twin()
    try:
        return twin.differences(case)
    finally:
        twin.close()


def _check_version() -> None:
    version = subprocess.run(
        [installed("dockerd"), "--version"], capture_output=True, text=True, timeout=VERSION_TIMEOUT_S, check=True
    ).stdout
    if not version.startswith("Docker version 20.10."):
        not_here(f"the differences are written down for dockerd 20.10, not for {version.strip()}")


def _memory() -> str | None:
    """A directory in memory, if there is room: dockerd syncs the whole file system for each create."""
    memory = Path("/dev/shm")
    is_fit = memory.is_mount() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free >= MEMORY_BYTES_MIN
    return str(memory) if is_fit else None


def _prepare(engine: Engine) -> None:
    for reference in images.CONFIGS:
        status, content = engine.call("POST", "/images/load?quiet=1", images.archive(reference), "application/x-tar")
        assert status == 200, content
    for name, body in PRESENT.items():
        path = f"/v{API_VERSION}/containers/create?name={name}"
        status, content = engine.call("POST", path, engine.filled(json.dumps(body).encode()), "application/json")
        assert status == 201, content
        engine.base = engine.base or content["Id"]
