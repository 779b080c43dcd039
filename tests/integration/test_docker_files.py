"""`docker cp`, `docker export` and `docker diff` with the real command, and docker-py, against the real daemon."""

from __future__ import annotations

import http.client
import io
import os
import subprocess
import tarfile
from pathlib import Path

import docker
import docker.errors
import pytest

from tests.daemon.harness import rootfs_tar
from tests.integration.conftest import COMMAND_TIMEOUT_S, Api, Daemon, Docker

pytestmark = pytest.mark.integration

LARGE_BYTES = 160 << 20
GROWTH_BYTES_MAX = 64 << 20


@pytest.fixture
def command(docker_command: Docker, rootfs: Path) -> Docker:
    """With a container `web` of the image `busybox`, and a volume at /data."""
    docker_command.output("import", str(rootfs), "busybox:latest")
    docker_command.output("create", "--name", "web", "-v", "/data", "busybox", "sh")
    return docker_command


def test_files_go_in_and_come_out(command: Docker, home: Path) -> None:
    (home / "in/sub").mkdir(parents=True)
    (home / "in/sub/f").write_text("content")
    (home / "in/l").symlink_to("sub/f")
    assert command.run("cp", str(home / "in"), "web:/full").returncode == 0
    assert command.run("cp", f"{home / 'in'}/.", "web:/full").returncode == 0
    assert command.run("cp", str(home / "in/sub/f"), "web:/renamed").returncode == 0
    assert command.run("cp", str(home / "in/sub/f"), "web:/data/").returncode == 0
    assert command.run("cp", "web:/full", str(home / "out")).returncode == 0
    assert (home / "out/sub/f").read_text() == (home / "out/in/sub/f").read_text() == "content"
    assert str((home / "out/l").readlink()) == "sub/f"
    assert command.run("cp", "-L", "web:/full/l", str(home / "followed")).returncode == 0
    assert (home / "followed").read_text() == "content"
    assert not (home / "followed").is_symlink()
    assert command.output("diff", "web").splitlines() == [
        "C /full",
        "A /full/in",
        "A /full/in/l",
        "A /full/in/sub",
        "A /full/in/sub/f",
        "A /full/l",
        "A /full/sub",
        "A /full/sub/f",
        "A /renamed",
    ]


def test_a_whole_container_is_exported_and_imported_again(command: Docker, home: Path) -> None:
    exported = home / "exported.tar"
    assert command.run("export", "-o", str(exported), "web").returncode == 0
    assert command.output("import", str(exported), "again:latest").startswith("sha256:")
    command.output("create", "--name", "again", "again", "sh")
    assert command.run("cp", "again:/full/content", str(home / "content")).returncode == 0
    assert (home / "content").read_text() == "hello"


def test_containers_copy_to_each_other_through_a_pipe(command: Docker) -> None:
    command.output("create", "--name", "other", "busybox", "sh")
    environment = {**os.environ, "DOCKER_HOST": command.daemon.host}
    pipe = "docker cp web:/ - | docker cp - other:/full"
    done = subprocess.run(["sh", "-c", pipe], env=environment, timeout=COMMAND_TIMEOUT_S, check=False)
    assert done.returncode == 0
    assert "A /full/bin/sh" in command.output("diff", "other").splitlines()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("web:/no", "-"), "Could not find the file /no in container web"),
        (("/etc/hostname", "web:/no/f"), "Could not find the file /no in container web"),
        (("/etc/hostname", "web:/no/"), "no such directory"),
        (("/etc", "web:/bin/sh"), "cannot copy directory"),
        (("other:/f", "-"), "No such container: other"),
    ],
)
def test_a_copy_that_fails_says_why(command: Docker, arguments: tuple[str, str], complaint: str) -> None:
    done = command.run("cp", *arguments)
    assert done.returncode == 1
    assert complaint in done.stderr


def test_docker_py_gets_and_puts_archives(client: docker.DockerClient) -> None:
    container = client.containers.create("busybox", "sh")
    assert container.put_archive("/full", rootfs_tar())
    stream, described = container.get_archive("/full/bin/sh")
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
        assert tar.getnames() == ["sh"]
    assert (described["name"], described["size"]) == ("sh", 5)
    assert {"Path": "/full/bin/sh", "Kind": 1} in container.diff()
    assert b"".join(container.export())
    with pytest.raises(docker.errors.NotFound, match="Could not find the file /no in container"):
        container.get_archive("/no")


def test_large_files_go_through_in_flat_memory(client: docker.DockerClient, daemon: Daemon) -> None:
    container = client.containers.create("busybox", "sh")
    info = tarfile.TarInfo("large")
    info.size = LARGE_BYTES
    block = os.urandom(1 << 20)

    def archive() -> object:
        yield info.tobuf()
        for _ in range(LARGE_BYTES >> 20):
            yield block
        yield bytes(1024)

    before = resident_bytes(daemon)
    response = client.api.put(
        client.api._url("/containers/{0}/archive", container.id), params={"path": "/"}, data=archive()
    )
    assert response.status_code == 200, response.text
    stream, described = container.get_archive("/large", chunk_size=1 << 20)
    assert sum(len(chunk) for chunk in stream) == LARGE_BYTES + 3 * 512
    assert described["size"] == LARGE_BYTES
    assert peak_bytes(daemon) - before < GROWTH_BYTES_MAX


def resident_bytes(daemon: Daemon) -> int:
    return _status(daemon, "VmRSS")


def peak_bytes(daemon: Daemon) -> int:
    return _status(daemon, "VmHWM")


def _status(daemon: Daemon, field: str) -> int:
    lines = Path(f"/proc/{daemon.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{field}:"))


def test_a_slow_reader_holds_nobody_up(client: docker.DockerClient, daemon: Daemon) -> None:
    """An archive larger than every buffer on the way is not read; the container is removed all the same."""
    container = client.containers.create("busybox", "sh")
    for name in ("one", "two"):
        info = tarfile.TarInfo(name)
        info.size = 16 << 20
        assert container.put_archive("/", info.tobuf() + bytes(info.size) + bytes(1024))
    reader = Api(daemon)
    try:
        reader.request("GET", f"/containers/{container.id}/export")
        answer = reader.getresponse()
        assert answer.status == 200
        container.remove()
        with pytest.raises(http.client.IncompleteRead):
            answer.read()
    finally:
        reader.close()
