"""docker-compose 1.29 against the real daemon: a project of three services is made, listed and taken down again."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.daemon.harness import rootfs_tar
from tests.integration.conftest import COMMAND_TIMEOUT_S, Api, Daemon, running

pytestmark = pytest.mark.integration

PROJECT = """
version: "2.4"
services:
  web:
    image: busybox
    command: ["serve"]
    depends_on: [db, cache]
    environment: {MODE: test}
    labels: {tier: front}
    ports: ["8080:80"]
    volumes: ["content:/srv", "./config:/config:ro"]
    networks: {front: {}, back: {aliases: [www]}}
  db:
    image: busybox
    command: ["serve"]
    mem_limit: 64m
    volumes: ["data:/full", "/anonymous"]
    networks: [back]
  cache:
    image: busybox
    command: ["serve"]
    tmpfs: /run
    networks: [back]
volumes: {content: {}, data: {labels: {kept: "no"}}}
networks: {front: {}, back: {labels: {inner: "yes"}}}
"""
SERVICES = ("cache", "db", "web")


@attrs.frozen
class Compose:
    daemon: Daemon
    directory: Path

    def output(self, *arguments: str) -> str:
        """What it prints, when it succeeds."""
        environment = {**os.environ, "DOCKER_HOST": self.daemon.host, "HOME": str(self.daemon.home)}
        done = subprocess.run(
            ["docker-compose", "--ansi", "never", *arguments],
            cwd=self.directory,
            env=environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def get(self, path: str) -> Any:
        with closing(Api(self.daemon)) as api:
            status, content = api.call("GET", path)
        assert status == 200, content
        return content

    def containers(self) -> list[str]:
        return sorted(name for container in self.get("/containers/json?all=1") for name in container["Names"])


@pytest.fixture
def compose(home: Path) -> Iterator[Compose]:
    """With the image `busybox` and the project `three`."""
    missing = None if shutil.which("docker-compose") else "docker-compose is not installed"
    if missing and os.environ.get("CI"):
        pytest.fail(f"{missing}: a skipped test would prove nothing here")
    if missing:
        pytest.skip(missing)
    directory = home / "three"
    (directory / "config").mkdir(parents=True)
    (directory / "docker-compose.yml").write_text(PROJECT)
    with running(home) as daemon:
        with closing(Api(daemon)) as api:
            assert api.call("POST", "/images/create?fromSrc=-&repo=busybox&tag=latest", rootfs_tar())[0] == 200
        yield Compose(daemon, directory)


def test_up_without_start_makes_networks_volumes_and_containers(compose: Compose) -> None:
    compose.output("up", "--no-start")
    assert compose.containers() == [f"/three_{service}_1" for service in SERVICES]
    volumes = {volume["Name"]: volume for volume in compose.get("/volumes")["Volumes"]}
    assert {"three_content", "three_data"} <= volumes.keys()
    assert volumes["three_data"]["Labels"]["kept"] == "no"
    networks = {network["Name"]: network for network in compose.get("/networks")}
    assert {"three_front", "three_back"} <= networks.keys()
    assert networks["three_back"]["Labels"]["inner"] == "yes"
    web = compose.get("/containers/three_web_1/json")
    assert web["Config"]["Env"] == ["MODE=test"]
    assert (web["Config"]["Labels"]["tier"], web["Config"]["Labels"]["com.docker.compose.service"]) == ("front", "web")
    assert {mount["Destination"]: mount["Type"] for mount in web["Mounts"]} == {"/srv": "volume", "/config": "bind"}
    assert web["NetworkSettings"]["Networks"].keys() == {"three_back"}  # it would join the other before it starts
    assert "www" in web["NetworkSettings"]["Networks"]["three_back"]["Aliases"]
    database = compose.get("/containers/three_db_1/json")
    data = Path(next(mount["Source"] for mount in database["Mounts"] if mount["Destination"] == "/full"))
    assert (data / "content").read_bytes() == b"hello"


def test_what_is_there_is_listed_kept_and_removed(compose: Compose) -> None:
    compose.output("up", "--no-start")
    before = {name: compose.get(f"/containers{name}/json")["Id"] for name in compose.containers()}
    for service in SERVICES:
        assert f"three_{service}_1" in compose.output("ps")
    assert sorted(compose.output("ps", "--services").split()) == sorted(SERVICES)
    compose.output("up", "--no-start")  # nothing has changed
    assert {name: compose.get(f"/containers{name}/json")["Id"] for name in compose.containers()} == before
    compose.output("rm", "-f", "cache")
    assert compose.containers() == ["/three_db_1", "/three_web_1"]
    compose.output("down", "-v")
    assert compose.containers() == []
    assert [volume["Name"] for volume in compose.get("/volumes")["Volumes"] if volume["Name"].startswith("three")] == []
    assert sorted(network["Name"] for network in compose.get("/networks")) == ["bridge", "host", "none"]


def test_create_makes_the_containers(compose: Compose) -> None:
    """An old command, and it makes no networks; dockerd lets that pass until the start."""
    compose.output("create")
    assert compose.containers() == [f"/three_{service}_1" for service in SERVICES]
    compose.output("rm", "-f")
    assert compose.containers() == []
