"""docker-py against the real daemon."""

from __future__ import annotations

import threading
from collections import Counter

import docker
import docker.errors
import pytest

from tests.integration.conftest import Daemon

pytestmark = pytest.mark.integration

IPV4_WARNING = "IPv4 forwarding is disabled. Networking will not work."
"""On machines where it is."""


def test_the_life_of_a_container(client: docker.DockerClient) -> None:
    container = client.containers.create(
        "busybox",
        ["sh", "-c", "echo hi"],
        name="web",
        environment={"A": "1"},
        labels={"k": "v"},
        volumes=["/data"],
        ports={"80/tcp": 80},
        mem_limit="64m",
    )
    assert container.status == "created"
    assert client.containers.get("web").id == container.id
    assert client.containers.get(container.id[:12]).labels == {"k": "v"}
    assert container.attrs["HostConfig"]["Memory"] == 64 << 20
    assert [found.name for found in client.containers.list(all=True, filters={"label": "k"})] == ["web"]
    assert client.containers.list() == []
    container.rename("web2")
    container.reload()
    assert container.name == "web2"
    container.remove(v=True)
    with pytest.raises(docker.errors.NotFound, match="No such container: web2"):
        client.containers.get("web2")


def test_errors_are_dockers(client: docker.DockerClient) -> None:
    first = client.containers.create("busybox", "true", name="web")
    with pytest.raises(docker.errors.APIError) as caught:
        client.containers.create("busybox", "true", name="web")
    assert caught.value.status_code == 409
    assert first.id in caught.value.explanation
    with pytest.raises(docker.errors.ImageNotFound, match="No such image: nosuch:latest"):
        client.containers.create("nosuch", "true")
    with pytest.raises(docker.errors.APIError) as caught:
        client.containers.create("busybox", "true", mem_limit="1m")
    assert (caught.value.status_code, caught.value.explanation) == (400, "Minimum memory limit allowed is 6MB")
    with pytest.raises(docker.errors.ImageNotFound):
        client.images.get("nosuch")


def test_images_version_info_and_ping(client: docker.DockerClient) -> None:
    assert client.ping()
    assert client.version()["MinAPIVersion"] == "1.24"
    assert client.images.get("busybox").tags == ["busybox:latest"]
    assert [tag for image in client.images.list() for tag in image.tags] == ["busybox:latest"]
    client.containers.create("busybox", "true")
    assert client.info()["Containers"] == 1


def test_every_verb_on_a_created_container(client: docker.DockerClient) -> None:
    container = client.containers.create("busybox", "true", name="web", mem_limit="64m", labels={"tier": "front"})
    assert container.update(mem_limit="32m", restart_policy={"Name": "always"})["Warnings"] in (None, [IPV4_WARNING])
    container.reload()
    assert (container.attrs["HostConfig"]["Memory"], container.attrs["HostConfig"]["MemorySwap"]) == (
        32 << 20,
        128 << 20,
    )
    assert container.wait() == {"StatusCode": 0}
    assert container.logs() == b""
    assert container.stats(stream=False)["name"] == "/web"
    container.stop()
    for refused in (container.kill, container.pause, container.top, lambda: container.exec_run("ls")):
        with pytest.raises(docker.errors.APIError, match=f"container {container.id} is not running") as caught:
            refused()
        assert caught.value.status_code == 409
    with pytest.raises(docker.errors.APIError, match="running a container is not supported yet"):
        container.start()
    assert client.containers.list(filters={"status": "created"})[0].id == container.id
    assert client.containers.list(all=True, filters={"before": container.id}) == []
    pruned = client.containers.prune(filters={"label": ["tier=front"]})
    assert pruned == {"ContainersDeleted": [container.id], "SpaceReclaimed": 0}
    assert client.containers.prune() == {"ContainersDeleted": None, "SpaceReclaimed": 0}


def test_events_can_be_followed(client: docker.DockerClient) -> None:
    client.containers.create("busybox", "true", name="web")
    stream = client.events(since=1, decode=True)
    try:
        assert [next(stream)["Action"] for _ in range(3)] == ["tag", "import", "create"]
        client.containers.get("web").remove()
        assert next(stream)["Action"] == "destroy"
    finally:
        stream.close()


@pytest.mark.parametrize("version", ["1.24", "1.30", "1.41", "1.50"])
def test_old_and_new_versions_of_the_api_are_spoken(version: str, daemon: Daemon, client: docker.DockerClient) -> None:
    versioned = docker.DockerClient(base_url=daemon.host, version=version)
    try:
        container = versioned.containers.create("busybox", "true", name="web")
        assert versioned.containers.get("web").id == container.id
    finally:
        versioned.close()


def test_of_64_clients_with_16_names_exactly_one_gets_each(daemon: Daemon, client: docker.DockerClient) -> None:
    statuses: Counter[tuple[str, int]] = Counter()
    start = threading.Barrier(64)

    def one(number: int) -> None:
        api = docker.APIClient(base_url=daemon.host, version="1.50")
        name = f"name{number % 16}"
        start.wait(30)
        try:
            api.create_container("busybox", "true", name=name)
            statuses[name, 201] += 1
        except docker.errors.APIError as error:
            statuses[name, error.status_code] += 1
        finally:
            api.close()

    threads = [threading.Thread(target=one, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert statuses == {(f"name{n}", status): count for n in range(16) for status, count in ((201, 1), (409, 3))}
    assert len(client.containers.list(all=True)) == 16
