"""`docker commit`, `tag`, `rmi`, `history`, `prune` and `save` with the real command, and docker-py, against the real daemon."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import docker
import docker.errors
import pytest

from tests.integration.conftest import Docker

pytestmark = pytest.mark.integration


@pytest.fixture
def command(docker_command: Docker, rootfs: Path) -> Docker:
    """With the image `busybox`."""
    docker_command.output("import", "--message", "from a tar", str(rootfs), "busybox:latest")
    return docker_command


def names(command: Docker) -> list[str]:
    return sorted(command.output("images", "--format", "{{.Repository}}:{{.Tag}}").split())


def test_names_come_and_go_and_the_image_with_the_last(command: Docker) -> None:
    image_id = command.output("images", "-q", "--no-trunc")
    command.output("tag", "busybox", "me/mine:v1")
    assert names(command) == ["busybox:latest", "me/mine:v1"]
    assert command.output("rmi", "busybox") == "Untagged: busybox:latest"
    lines = command.output("rmi", "me/mine:v1").splitlines()
    assert lines[:2] == ["Untagged: me/mine:v1", f"Deleted: {image_id}"]
    assert len(lines) == 3
    assert names(command) == []
    done = command.run("rmi", "busybox")
    assert (done.returncode, done.stderr.strip()) == (
        1,
        "Error response from daemon: No such image: busybox:latest",
    )


def test_an_image_in_use_is_spared(command: Docker) -> None:
    container_id = command.output("create", "--name", "web", "busybox", "true")
    image_id = command.output("images", "-q")
    done = command.run("rmi", "busybox")
    assert done.returncode == 1
    assert done.stderr.strip() == (
        'Error response from daemon: conflict: unable to remove repository reference "busybox" (must force) - '
        f"container {container_id[:12]} is using its referenced image {image_id}"
    )
    assert command.output("image", "prune", "-af") == "Total reclaimed space: 0B"
    command.output("rm", "web")
    assert "untagged: busybox:latest" in command.output("image", "prune", "-af")


def test_a_container_becomes_an_image(command: Docker, home: Path) -> None:
    command.output("create", "--name", "web", "-e", "A=1", "busybox", "true")
    (home / "new").write_text("new")
    command.output("cp", str(home / "new"), "web:/full/new")
    changes = ("-c", "ENV B=$A", "-c", 'ENTRYPOINT ["/bin/sh"]')
    image_id = command.output("commit", "-a", "me", "-m", "why", *changes, "web", "mine:1")
    shown = command.output("inspect", "-f", "{{.Id}} {{.Author}} {{.Comment}} {{.Config.Env}}", "mine:1")
    assert shown == f"{image_id} me why [A=1 B=1]"
    command.output("create", "--name", "other", "mine:1")
    assert command.output("diff", "other") == ""
    command.output("cp", "other:/full/new", str(home / "again"))
    assert (home / "again").read_text() == "new"
    rows = command.output("history", "--format", "{{.CreatedBy}}|{{.Comment}}", "mine:1").splitlines()
    assert rows == ["true|why", "|from a tar"]
    done = command.run("commit", "-c", "RUN x", "web")
    assert done.stderr.strip() == "Error response from daemon: RUN is not a valid change command"


def test_everything_unused_is_pruned_at_once(command: Docker) -> None:
    command.output("create", "--name", "web", "busybox", "true")
    lost = command.output("commit", "web")
    output = command.output("system", "prune", "-f")
    assert f"deleted: {lost}" in output
    assert "Total reclaimed space:" in output
    assert names(command) == ["busybox:latest"]
    assert "untagged: busybox:latest" in command.output("system", "prune", "-af")


def test_history_tells_where_an_image_comes_from(command: Docker) -> None:
    row = command.output("history", "--no-trunc", "--format", "{{.ID}} {{.Comment}}", "busybox")
    assert row == f"{command.output('images', '-q', '--no-trunc')} from a tar"


def test_a_saved_image_is_loaded_again(command: Docker, home: Path) -> None:
    command.output("tag", "busybox", "me/mine:v1")
    image_id = command.output("images", "-q", "--no-trunc", "busybox")
    archive = home / "saved.tar"
    command.output("save", "-o", str(archive), "busybox", "me/mine:v1")
    with tarfile.open(archive) as tar:
        manifest = tar.extractfile("manifest.json")
        assert manifest is not None
        assert json.load(manifest)[0]["RepoTags"] == ["busybox:latest", "me/mine:v1"]
    command.output("rmi", "-f", image_id)
    assert command.output("load", "-i", str(archive)).splitlines() == [
        "Loaded image: busybox:latest",
        "Loaded image: me/mine:v1",
    ]
    assert command.output("images", "-q", "--no-trunc", "busybox") == image_id
    done = command.run("save", "-o", str(home / "none.tar"), "none")
    assert (done.returncode, done.stderr.strip()) == (1, "Error response from daemon: No such image: none")


def test_disk_usage_is_shown(command: Docker) -> None:
    command.output("create", "--name", "web", "-v", "data:/data", "busybox", "true")
    rows = command.output("system", "df", "--format", "{{.Type}} {{.TotalCount}} {{.Size}}").splitlines()
    assert rows == ["Images 1 10B", "Containers 1 0B", "Local Volumes 1 0B", "Build Cache 0 0B"]


def test_docker_py_tags_saves_and_removes(client: docker.DockerClient) -> None:
    image = client.images.get("busybox")
    assert image.tag("me/mine", "v1")
    archive = b"".join(image.save(named="busybox:latest"))
    assert [step["Id"] for step in image.history()] == [image.id]
    with pytest.raises(docker.errors.APIError, match="must be forced"):
        client.images.remove(image.id)
    client.images.remove(image.id, force=True)
    loaded = client.images.load(archive)
    assert {each.id for each in loaded} == {image.id}
    assert loaded[0].tags == ["busybox:latest"]
    assert client.images.prune({"dangling": False})["ImagesDeleted"][0] == {"Untagged": "busybox:latest"}
