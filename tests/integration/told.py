"""What clients of a daemon that fails have been told, and whether it is so at the next start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs

from contrib.unclaimed import claimed, leftover
from daemon.storage.recovery import damaged_content
from tests.daemon.harness import rootfs_tar
from tests.daemon.storage.making import docker_archive, names_in, tar_of
from tests.integration.forked import Forked, forked, log_of


@attrs.define
class Known:
    """What a client may rely on: that of which it has been told."""

    containers: dict[str, str] = attrs.field(factory=dict)
    """Id by name."""
    gone: set[str] = attrs.field(factory=set)
    """Ids."""
    volumes: set[str] = attrs.field(factory=set)
    images: set[str] = attrs.field(factory=set)
    doubtful: set[str] = attrs.field(factory=set)
    """Names of what calls were about that had no answer, or no good one."""


class Refused(Exception):
    """As often as it was asked."""


class Client:
    """Makes calls, and notes what follows from their answers."""

    def __init__(self, daemon: Forked, known: Known, refused: list[tuple[int, str]], *, attempts: int = 2) -> None:
        self._daemon = daemon
        self._attempts = attempts
        self.known = known
        self.refused = refused

    def call(self, method: str, path: str, body: object = None, *, about: str, done: tuple[int, ...] = ()) -> Any:
        """`done` are the answers, besides success, to a call that is made again and has had its effect.

        Raises Refused, and OSError and HTTPException: the daemon has ended.
        """
        self.known.doubtful.add(about)
        for _ in range(self._attempts):
            status, answer = self._daemon.call(method, path, body)
            if status < 300 or status in done:
                self.known.doubtful.discard(about)
                return answer
            self.refused.append((status, answer["message"]))
        raise Refused(f"{method} {path}: {self.refused}")

    def make_base(self) -> None:
        """The image of the containers."""
        self.call("POST", "/images/create?fromSrc=-&repo=base&tag=1", rootfs_tar(), about="base:1")
        self.known.images.add("base:1")

    def create(self, name: str, **body: object) -> None:
        config = {"Image": "base:1", "Cmd": ["x"], **body}
        self.known.containers[name] = self.call("POST", f"/containers/create?name={name}", config, about=name)["Id"]

    def remove(self, name: str) -> None:
        container_id = self.known.containers.pop(name)
        self.call("DELETE", f"/containers/{container_id}?v=1", about=container_id, done=(404,))
        self.known.gone.add(container_id)

    def load(self, *references: str) -> None:
        self.call("POST", "/images/load?quiet=1", tar_of(docker_archive(tags=[*references])), about=references[0])
        self.known.images.update(references)


CONTAINERS = {"plain", "with-a-directory", "with-a-volume", "gone"}
"""Names that they may have."""


def audit(home: Path, known: Known) -> None:
    with forked(home) as daemon:
        assert daemon.is_ready, log_of(home)
        listed = {each["Names"][0][1:]: each["Id"] for each in daemon.call("GET", "/containers/json?all=1")[1]}
        check_containers(daemon, known, listed)
        check_the_rest(daemon, known)
        for container_id in [each["Id"] for each in daemon.call("GET", "/containers/json?all=1")[1]]:
            assert daemon.call("DELETE", f"/containers/{container_id}?v=1&force=1")[0] == 204
        for volume in daemon.call("GET", "/volumes")[1]["Volumes"]:
            assert daemon.call("DELETE", f"/volumes/{volume['Name']}")[0] == 204
        for image in daemon.call("GET", "/images/json")[1]:
            assert daemon.call("DELETE", f"/images/{image['Id']}?force=1")[0] == 200
        assert daemon.stop() == 0
    assert not claimed(home / "data")
    assert not leftover(home / "data")
    for directory in ("volumes", "staging", "content/blobs/sha256"):
        assert names_in(home / "data" / directory) == [], directory
    assert names_in(home / "data" / "layers") == ["scratch"]
    assert not any("repla" in name for name in names_in(home / "data" / "content"))
    assert b'"manifests":[]' in (home / "data" / "content" / "index.json").read_bytes()


def check_containers(daemon: Forked, known: Known, listed: dict[str, str]) -> None:
    assert known.containers.items() <= listed.items(), "what was acknowledged is there, under its name"
    assert not known.gone & set(listed.values()), "what was removed stays away"
    names, ids = set(listed), set(listed.values())
    assert not {name for name in names - set(known.containers) if not {name, listed[name]} & known.doubtful}
    for container_id in ids:
        assert daemon.call("GET", f"/containers/{container_id}/json")[0] == 200
        assert daemon.call("HEAD", f"/containers/{container_id}/archive?path=/bin/sh")[0] == 200
    assert claimed(daemon.home / "data", ids) == ids
    assert names_in(daemon.home / "data" / "staging") == []
    for name in (known.doubtful & CONTAINERS) - names:
        status, _ = daemon.call("POST", f"/containers/create?name={name}", {"Image": "base:1", "Cmd": ["x"]})
        assert status == 201, "the name is free"


def check_the_rest(daemon: Forked, known: Known) -> None:
    images = {tag: each["Id"] for each in daemon.call("GET", "/images/json")[1] for tag in each["RepoTags"]}
    assert known.images <= set(images) <= known.images | known.doubtful
    assert damaged_content(daemon.home / "data") == ()
    for tag in images:
        status, created = daemon.call("POST", "/containers/create", {"Image": tag, "Cmd": ["x"]})
        assert status == 201
        assert daemon.call("HEAD", f"/containers/{created['Id']}/archive?path=/bin/sh")[0] == 200
    volumes = {each["Name"] for each in daemon.call("GET", "/volumes")[1]["Volumes"]}
    assert known.volumes <= volumes
    assert names_in(daemon.home / "data" / "volumes") == sorted(volumes)
    if "filled" in volumes:
        assert names_in(daemon.home / "data/volumes/filled/_data") == ["content"], "it was committed with a container"
