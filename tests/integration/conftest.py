"""The real daemon in its own process, on a socket in a temporary directory, and the real docker command beside it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import attrs
import docker
import pytest

from contrib.connection import Connection
from tests.daemon.harness import rootfs_tar
from tests.engines import running as running  # also from here, beside the other fixtures
from tests.integration.forked import forked, log_of

COMMAND_TIMEOUT_S = 60


class Process(Protocol):
    @property
    def pid(self) -> int | None: ...


class Daemon(Protocol):
    """Ours, in a process of its own, however that was started."""

    @property
    def home(self) -> Path: ...

    @property
    def host(self) -> str: ...

    @property
    def data_root(self) -> Path: ...

    @property
    def process(self) -> Process: ...


class AtHome(Protocol):
    """A daemon with its socket in a directory of its own."""

    @property
    def home(self) -> Path: ...


class Api(Connection):
    """The Engine API without a library between: one connection, closed at the end."""

    def __init__(self, daemon: AtHome) -> None:
        super().__init__(daemon.home / "socket", timeout_s=COMMAND_TIMEOUT_S)


@pytest.fixture
def home() -> Iterator[Path]:
    """A directory with a short path: a socket's has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="by-") as path:
        yield Path(path)


@pytest.fixture(params=["uvloop", "asyncio", "trio"])
def daemon(request: pytest.FixtureRequest, home: Path) -> Iterator[Daemon]:
    with forked(home, backend=request.param) as started:
        assert started.is_ready, log_of(home)
        yield started


@attrs.frozen
class Docker:
    """The docker command, pointed at one daemon."""

    daemon: Daemon

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "DOCKER_HOST": self.daemon.host, "HOME": str(self.daemon.home)}
        return subprocess.run(
            ["docker", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )

    def output(self, *arguments: str) -> str:
        """What it prints, when it succeeds."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture
def docker_command(daemon: Daemon) -> Docker:
    if shutil.which("docker") is None:
        if os.environ.get("CI"):
            pytest.fail("the docker command is missing: a skipped test would prove nothing here")
        pytest.skip("the docker command is not installed")
    return Docker(daemon)


@pytest.fixture
def rootfs(home: Path) -> Path:
    path = home / "rootfs.tar"
    path.write_bytes(rootfs_tar())
    return path


@pytest.fixture
def client(daemon: Daemon) -> Iterator[docker.DockerClient]:
    """docker-py, with the image `busybox` there."""
    with_client = docker.DockerClient(base_url=daemon.host)
    try:
        with_client.api.import_image_from_data(rootfs_tar(), repository="busybox", tag="latest")
        yield with_client
    finally:
        with_client.close()
