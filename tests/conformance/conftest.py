"""Debian's dockerd 20.10 and our daemon side by side, each in a directory of its own, with the same images and containers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest

from tests.conformance import images
from tests.conformance.case import API_VERSION, Case, request
from tests.conformance.comparing import Difference, differences, laid_out
from tests.conformance.corpus import corpus
from tests.conformance.engines import Engine
from tests.conformance.tables import HERE, Json
from tests.integration.conftest import STOP_TIMEOUT_S, running

START_TIMEOUT_S = 60
MEMORY_BYTES_MIN = 256 << 20
"""Both data roots stay far below."""
LISTENING = "API listen on"
DOCKERD_OPTIONS = ["--iptables=false", "--ip6tables=false", "--bridge=none"]

PRESENT: Mapping[str, dict[str, Json]] = {
    "base": request(
        {"Image": images.VOLUME}, {"Binds": ["basevolume:/vol:ro", f"{HERE}:/bind"], "Tmpfs": {"/run": ""}}
    ),
    "hosted": request(host={"NetworkMode": "host"}),
    "shared": request(host={"NetworkMode": "container:base"}),
}
"""The containers that are there on both sides, for others to refer to."""


@attrs.frozen
class Sides:
    theirs: Engine
    ours: Engine

    def differences(self, case: Case) -> list[Difference]:
        theirs, ours = self.theirs.create(case), self.ours.create(case)
        found = differences(case, laid_out(theirs, self.theirs), laid_out(ours, self.ours))
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
    dockerd = _dockerd()
    with tempfile.TemporaryDirectory(prefix="by-", dir=_memory()) as name:
        home = Path(name)
        for directory in ("theirs", "ours", "here"):
            (home / directory).mkdir()
        (home / "here" / "file").write_text("of the host\n")
        with _running_dockerd(dockerd, home / "theirs") as theirs, running(home / "ours") as ours:
            both = Sides(
                Engine("dockerd", theirs / "socket", theirs / "data", home / "here"),
                Engine("boatyard", ours.home / "socket", ours.data_root, home / "here"),
            )
            try:
                for engine in (both.theirs, both.ours):
                    _prepare(engine)
                yield both
            finally:
                both.close()


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


def _dockerd() -> str:
    path = shutil.which("dockerd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    missing = "dockerd is not installed" if path is None else "" if os.geteuid() == 0 else "dockerd needs root"
    if missing and os.environ.get("CI"):
        pytest.fail(f"{missing}: a skipped test would prove nothing here")
    if path is None or missing:
        pytest.skip(missing)
    version = subprocess.run(
        [path, "--version"], capture_output=True, text=True, timeout=START_TIMEOUT_S, check=True
    ).stdout
    if not version.startswith("Docker version 20.10."):
        missing = f"the differences are written down for dockerd 20.10, not for {version.strip()}"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    return path


def _memory() -> str | None:
    """A directory in memory, if there is room: dockerd syncs the whole file system for each create."""
    memory = Path("/dev/shm")
    is_fit = memory.is_mount() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free >= MEMORY_BYTES_MIN
    return str(memory) if is_fit else None


@contextmanager
def _running_dockerd(dockerd: str, home: Path) -> Iterator[Path]:
    """dockerd at `home`, in a mount namespace of its own, so that nothing it mounts is left when it has gone."""
    command = ["unshare", "--mount", "--propagation", "private", dockerd, *DOCKERD_OPTIONS]
    command += ["--data-root", str(home / "data"), "--exec-root", str(home / "exec"), "--pidfile", str(home / "pid")]
    command += ["--host", f"unix://{home / 'socket'}", "--config-file", str(home / "config.json")]
    # Else it would look for its settings, and leave a key, in /etc/docker.
    (home / "config.json").write_text(json.dumps({"deprecated-key-path": str(home / "key.json")}))
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    has_news = threading.Event()
    reader = threading.Thread(target=_read_log, args=(process, home / "log", has_news))
    reader.start()
    try:
        has_news.wait(START_TIMEOUT_S)
        log = (home / "log").read_text()
        if LISTENING not in log:
            pytest.fail(f"dockerd did not start:\n{log[-4000:]}")
        yield home
    finally:
        process.terminate()
        process.wait(STOP_TIMEOUT_S)
        reader.join(STOP_TIMEOUT_S)


def _read_log(process: subprocess.Popen[str], path: Path, has_news: threading.Event) -> None:
    """Until the process has gone. There is news when it listens, or has gone."""
    assert process.stderr is not None
    with process.stderr, path.open("w") as log:
        for line in process.stderr:
            log.write(line)
            log.flush()
            if LISTENING in line:
                has_news.set()
    has_news.set()


def _prepare(engine: Engine) -> None:
    for reference in images.CONFIGS:
        status, content = engine.call("POST", "/images/load", images.archive(reference), "application/x-tar")
        assert status == 200, content
    for name, body in PRESENT.items():
        path = f"/v{API_VERSION}/containers/create?name={name}"
        status, content = engine.call("POST", path, engine.filled(json.dumps(body).encode()), "application/json")
        assert status == 201, content
        engine.base = engine.base or content["Id"]
