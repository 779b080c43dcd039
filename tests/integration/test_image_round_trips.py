"""Images go to other tools and come back the same: the real dockerd, skopeo and umoci beside the real daemon."""

from __future__ import annotations

import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance import images
from tests.engines import dockerd, installed
from tests.integration.conftest import COMMAND_TIMEOUT_S, Docker, running

pytestmark = pytest.mark.integration


def needs(*programs: str) -> None:
    for name in programs:
        installed(name)


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def ours(home: Path) -> Iterator[Docker]:
    needs("docker")
    with running(home) as daemon:
        yield Docker(daemon)


def load(docker: Docker, archive: Path) -> None:
    docker.output("load", "-i", str(archive))


def save(docker: Docker, archive: Path, *names: str) -> Path:
    docker.output("save", "-o", str(archive), *names)
    return archive


def ids(docker: Docker) -> dict[str, str]:
    """By name; of all images, each with its id and its layers."""
    listed = docker.output("images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}")
    named = dict(line.split() for line in listed.splitlines())
    layers = "{{json .RootFS.Layers}}"
    return {name: f"{image_id} {docker.output('inspect', '-f', layers, image_id)}" for name, image_id in named.items()}


def manifests(layout: Path) -> set[str]:
    """The digests in an OCI layout, which is an archive or a directory."""
    if layout.is_dir():
        index = json.loads((layout / "index.json").read_text())
    else:
        with tarfile.open(layout) as tar:
            member = tar.extractfile("index.json")
            assert member is not None
            index = json.load(member)
    return {entry["digest"] for entry in index["manifests"]}


def packed(layout: Path) -> Path:
    archive = layout.with_suffix(".tar")
    with tarfile.open(archive, "w") as tar:
        tar.add(layout, ".")
    return archive


def an_image(ours: Docker, home: Path) -> str:
    """Of two layers, one of which removes something; made by a commit."""
    archive = home / "conformance.tar"
    archive.write_bytes(images.archive(images.FULL))
    load(ours, archive)
    ours.output("create", "--name", "web", images.FULL, "x")
    (home / "new").write_text("new")
    ours.output("cp", str(home / "new"), "web:/new")
    ours.output("commit", "-c", "EXPOSE 80", "web", "mine:1")
    return "mine:1"


def test_what_dockerd_saves_is_loaded_and_goes_back_the_same(ours: Docker, home: Path) -> None:
    needs("docker", "dockerd", "containerd", "unshare")
    theirs_home = home / "theirs"
    theirs_home.mkdir()
    (home / "in.tar").write_bytes(images.archive(images.FULL))
    with dockerd(theirs_home) as engine:
        theirs = Docker(engine)
        load(theirs, home / "in.tar")
        theirs.output("create", "--name", "web", images.FULL, "x")
        theirs.output("commit", "-c", "EXPOSE 80", "web", "mine:1")
        before = ids(theirs)
        load(ours, save(theirs, home / "theirs.tar", *before))
        assert ids(ours) == before
        theirs.output("rm", "web")
        theirs.output("rmi", "-f", *before)
        assert ids(theirs) == {}
        load(theirs, save(ours, home / "ours.tar", *before))
        assert ids(theirs) == before


def test_what_is_committed_here_is_loaded_by_dockerd(ours: Docker, home: Path) -> None:
    needs("docker", "dockerd", "containerd", "unshare")
    name = an_image(ours, home)
    theirs_home = home / "theirs"
    theirs_home.mkdir()
    with dockerd(theirs_home) as engine:
        theirs = Docker(engine)
        load(theirs, save(ours, home / "ours.tar", name))
        assert ids(theirs) == {name: ids(ours)[name]}


@pytest.mark.parametrize("options", [(), ("--preserve-digests",)])
def test_what_skopeo_copies_to_a_layout_comes_back_the_same(options: tuple[str, ...], ours: Docker, home: Path) -> None:
    needs("docker", "skopeo")
    name = an_image(ours, home)
    before, archive, copied = ids(ours)[name], save(ours, home / "ours.tar", name), home / "copied"
    copy("oci-archive", f"{archive}:1", "oci", f"{copied}:x", *options)
    forget(ours, name)
    load(ours, packed(copied))
    ours.output("tag", before.split()[0], "copied:1")
    assert ids(ours)["copied:1"] == before
    again = manifests(save(ours, home / "again.tar", "copied:1"))
    assert again == manifests(copied)
    assert (again == manifests(archive)) == bool(options)  # else skopeo has compressed the layers


@pytest.mark.parametrize(("kind", "asked"), [("oci-archive", "1"), ("docker-archive", "mine:1")])
def test_what_skopeo_copies_to_a_docker_archive_comes_back_the_same(
    kind: str, asked: str, ours: Docker, home: Path
) -> None:
    needs("docker", "skopeo")
    name = an_image(ours, home)
    before, archive, copied = ids(ours)[name], save(ours, home / "ours.tar", name), home / "copied.tar"
    copy(kind, f"{archive}:{asked}", "docker-archive", f"{copied}:copied:1")
    forget(ours, name)
    load(ours, copied)
    assert ids(ours)["copied:1"] == before


def copy(kind: str, source: str, target_kind: str, target: str, *options: str) -> None:
    run("skopeo", "--insecure-policy", "copy", "--quiet", *options, f"{kind}:{source}", f"{target_kind}:{target}")


def forget(ours: Docker, name: str) -> None:
    """The image and its container."""
    ours.run("rm", "web")
    ours.output("rmi", name)


def test_what_umoci_makes_is_loaded_as_it_is(ours: Docker, home: Path) -> None:
    needs("docker", "umoci", "skopeo")
    layout, bundle = home / "umoci", home / "bundle"
    run("umoci", "init", "--layout", str(layout))
    run("umoci", "new", "--image", f"{layout}:x")
    run("umoci", "unpack", "--image", f"{layout}:x", str(bundle))
    (bundle / "rootfs" / "etc").mkdir()
    (bundle / "rootfs" / "etc" / "motd").write_text("umoci\n")
    run("umoci", "repack", "--image", f"{layout}:x", str(bundle))
    run("umoci", "config", "--image", f"{layout}:x", "--config.cmd", "sh")
    config = json.loads(run("skopeo", "inspect", "--raw", f"oci:{layout}:x"))["config"]["digest"]
    load(ours, packed(layout))
    ours.output("tag", config, "made:1")
    assert ids(ours)["made:1"].split()[0] == config
    assert manifests(save(ours, home / "ours.tar", "made:1")) <= manifests(layout)
    ours.output("create", "--name", "web", "made:1")
    assert run("tar", "-xOf", str(export(ours, home)), "etc/motd") == "umoci\n"


def export(ours: Docker, home: Path) -> Path:
    ours.output("export", "-o", str(home / "exported.tar"), "web")
    return home / "exported.tar"
