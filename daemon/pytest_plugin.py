"""Fixtures for tests of programs that use Docker: an engine for each test, in memory, and docker-py on it.

    def test_my_app(docker_engine, docker_client):
        docker_engine.image("busybox")
        my_app.create_a_sandbox(docker_client)
        assert docker_client.containers.list(all=True)

Programs that look for Docker themselves find this one: DOCKER_HOST is set for as long as the test runs. No root, no daemon, no
download. What an engine can be made to do is in `daemon/testing`. Needs `boatyard[pytest]`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # an import takes a third of a second, and most tests do not use Docker
    import docker

    from daemon.testing import DockerEngine

_OTHER_SETTINGS = ("DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "DOCKER_API_VERSION")
"""Variables that would lead elsewhere."""


@pytest.fixture
def docker_engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[DockerEngine]:
    """A Docker engine without images and containers, and DOCKER_HOST pointing at it."""
    from daemon.testing import DockerEngine, in_memory

    with in_memory() as home, DockerEngine(home) as engine:
        monkeypatch.setenv("DOCKER_HOST", engine.host)
        for name in _OTHER_SETTINGS:
            monkeypatch.delenv(name, raising=False)
        yield engine


@pytest.fixture
def docker_client(docker_engine: DockerEngine) -> Iterator[docker.DockerClient]:
    """docker-py on `docker_engine`."""
    try:
        import docker
    except ImportError as error:
        raise pytest.UsageError("docker_client needs docker-py: pip install 'boatyard[pytest]'") from error
    client = docker.DockerClient(base_url=docker_engine.host)
    try:
        yield client
    finally:
        client.close()
