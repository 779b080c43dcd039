"""`docker pull`, `push`, `login` and what comes with them, by the real command, against Debian's docker-registry."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import docker as docker_py
import pytest

from tests.integration.conftest import Api, Docker
from tests.integration.registries import PASSWORD, USER, Registry, running_registry

pytestmark = pytest.mark.integration

ONE_LOOP = pytest.mark.parametrize("daemon", ["uvloop"], indirect=True)
"""For what the loop makes no difference to: the way there and back is tested on all of them."""


@pytest.fixture
def registry(home: Path) -> Iterator[Registry]:
    with running_registry(home / "registry") as started:
        yield started


@pytest.fixture
def command(docker_command: Docker, registry: Registry, rootfs: Path) -> Docker:
    """With an image `me/app:v1` of the registry, which does not have it yet."""
    docker_command.output("import", str(rootfs), f"{registry.host}/me/app:v1")
    return docker_command


def digest_of(command: Docker, name: str) -> str:
    return command.output("inspect", "--format", "{{index .RepoDigests 0}}", name).partition("@")[2]


def test_an_image_goes_to_the_registry_and_comes_back_the_same(command: Docker, registry: Registry) -> None:
    name = f"{registry.host}/me/app"
    image_id = command.output("images", "-q", "--no-trunc")
    pushed = command.output("push", f"{name}:v1").splitlines()
    digest = digest_of(command, f"{name}:v1")
    assert pushed[0] == f"The push refers to repository [{name}]"
    assert pushed[1].endswith(": Preparing")
    assert pushed[-2].endswith(": Pushed")
    assert pushed[-1].startswith(f"v1: digest: {digest} size: ")
    assert command.output("push", f"{name}:v1").splitlines()[-2].endswith(": Layer already exists")
    assert command.output("images", "--digests", "--format", "{{.Tag}} {{.Digest}}") == f"v1 {digest}"

    assert command.output("rmi", f"{name}:v1").splitlines()[:2] == [
        f"Untagged: {name}:v1",
        f"Untagged: {name}@{digest}",
    ]
    assert command.output("images", "-qa") == ""
    pulled = command.output("pull", f"{name}:v1").splitlines()
    assert pulled[0] == "v1: Pulling from me/app"
    assert pulled[1].endswith(": Pulling fs layer")
    assert pulled[-4].endswith(": Pull complete")
    assert pulled[-3:] == [f"Digest: {digest}", f"Status: Downloaded newer image for {name}:v1", f"{name}:v1"]
    assert command.output("images", "-q", "--no-trunc") == image_id
    assert command.output("pull", f"{name}:v1").splitlines()[-2] == f"Status: Image is up to date for {name}:v1"


@ONE_LOOP
def test_a_layer_is_mounted_from_another_repository(command: Docker, registry: Registry) -> None:
    command.output("push", f"{registry.host}/me/app:v1")
    command.output("tag", f"{registry.host}/me/app:v1", f"{registry.host}/other/app:v2")
    blobs = registry.blobs()
    pushed = command.output("push", f"{registry.host}/other/app:v2")
    assert "Mounted from me/app" in pushed
    assert registry.blobs() == blobs
    digests = command.output("inspect", "--format", "{{json .RepoDigests}}", f"{registry.host}/me/app:v1")
    assert len(json.loads(digests)) == 2


@ONE_LOOP
def test_a_create_pulls_what_is_missing_and_takes_a_digest(command: Docker, registry: Registry) -> None:
    name = f"{registry.host}/me/app"
    command.output("push", f"{name}:v1")
    digest = digest_of(command, f"{name}:v1")
    command.output("rmi", f"{name}:v1")
    done = command.run("create", "--name", "web", f"{name}:v1", "true")
    assert (done.returncode, done.stderr.splitlines()[0]) == (0, f"Unable to find image '{name}:v1' locally")
    by_digest = command.output("create", f"{name}@{digest}", "true")
    images = command.output("inspect", "--format", "{{.Image}} {{.Config.Image}}", "web", by_digest).splitlines()
    assert images[0].split()[0] == images[1].split()[0]
    assert images[1].split()[1] == f"{name}@{digest}"
    command.output("rm", "web", by_digest)
    command.output("rmi", f"{name}:v1")
    assert command.output("pull", f"{name}@{digest}").splitlines()[0] == f"{name}@{digest}: Pulling from me/app"
    command.output("create", f"{name}@{digest}", "true")
    assert command.output("images", "--digests", "--format", "{{.Tag}} {{.Digest}}") == f"<none> {digest}"


@ONE_LOOP
def test_all_tags_are_pushed_and_pulled(command: Docker, registry: Registry) -> None:
    name = f"{registry.host}/me/app"
    command.output("tag", f"{name}:v1", f"{name}:v2")
    assert command.output("push", "--all-tags", name).count("digest: ") == 2
    command.output("rmi", f"{name}:v1", f"{name}:v2")
    pulled = command.output("pull", "--all-tags", name)
    assert pulled.count("Pulling from me/app") == 2
    assert command.output("images", "--format", "{{.Tag}}").split() == ["v1", "v2"]


FAILURES = [
    (["pull", "{}/me/app:none"], "manifest for {}/me/app:none not found: manifest unknown: manifest unknown"),
    (
        ["pull", "-a", "{}/me/none"],
        "repository {}/me/none not found: name unknown: repository name not known to registry",
    ),
    (["create", "{}/me/none", "true"], "manifest for {}/me/none:latest not found: manifest unknown: manifest unknown"),
    (["push", "{}/me/none"], "An image does not exist locally with the tag: {}/me/none"),
    (["push", "{}/me/app:none"], "tag does not exist: {}/me/app:none"),
    (["pull", "{}/me/app:A B"], "invalid reference format"),
]


@ONE_LOOP
def test_what_is_not_there_is_told_in_dockers_words(command: Docker, registry: Registry) -> None:
    for arguments, complaint in FAILURES:
        done = command.run(*(argument.format(registry.host) for argument in arguments))
        assert done.returncode != 0
        assert complaint.format(registry.host) in done.stderr, arguments


@ONE_LOOP
def test_a_registry_with_a_password_wants_a_login(docker_command: Docker, home: Path, rootfs: Path) -> None:
    with running_registry(home / "closed", has_password=True) as registry:
        name = f"{registry.host}/me/app:v1"
        docker_command.output("import", str(rootfs), name)
        done = docker_command.run("push", name)
        assert done.stderr.endswith(": no basic auth credentials\n")
        login = ["login", "--username", USER, "--password"]
        done = docker_command.run(*login, "wrong", registry.host)
        assert done.returncode == 1
        assert f"login attempt to http://{registry.host}/v2/ failed with status: 401 Unauthorized" in done.stderr
        assert "Login Succeeded" in docker_command.output(*login, PASSWORD, registry.host)
        docker_command.output("push", name)
        docker_command.output("rmi", name)
        docker_command.output("pull", name)
        docker_command.output("logout", registry.host)
        docker_command.output("rmi", name)
        assert docker_command.run("pull", name).stderr.endswith(": no basic auth credentials\n")


@ONE_LOOP
def test_several_clients_may_pull_at_a_time(command: Docker, registry: Registry) -> None:
    name = f"{registry.host}/me/app:v1"
    command.output("push", name)
    command.output("rmi", name)

    def pull(_: int) -> subprocess.CompletedProcess[str]:
        return command.run("pull", name)

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(pull, range(4)))
    assert [(each.returncode, each.stderr) for each in done] == [(0, "")] * 4
    assert sum("Downloaded newer image" in each.stdout for each in done) == 1


@ONE_LOOP
def test_the_registry_is_asked_what_it_has(command: Docker, registry: Registry) -> None:
    name = f"{registry.host}/me/app:v1"
    command.output("push", name)
    with closing(Api(command.daemon)) as api:
        status, found = api.call("GET", f"/distribution/{name}/json")
    assert status == 200
    assert found["Descriptor"]["digest"] == digest_of(command, name)
    assert [platform["os"] for platform in found["Platforms"]] == ["linux"]


@ONE_LOOP
def test_docker_py_pulls_and_pushes(client: docker_py.DockerClient, registry: Registry) -> None:
    name = f"{registry.host}/me/app"
    client.images.get("busybox").tag(name, "v1")
    told = list(client.images.push(name, tag="v1", stream=True, decode=True))
    assert not [line for line in told if "error" in line]
    assert next(line["aux"] for line in told if "aux" in line)["Tag"] == "v1"
    client.images.remove(f"{name}:v1")
    client.images.remove("busybox:latest")
    assert client.images.pull(name, tag="v1").tags == [f"{name}:v1"]
    with pytest.raises(docker_py.errors.NotFound, match="manifest unknown"):
        client.images.pull(name, tag="none")
