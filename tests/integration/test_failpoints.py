"""Every failpoint, each in a daemon of its own: killed there, or refused by the disk there, and what is left afterwards."""

from __future__ import annotations

import ast
import http.client
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from daemon.storage.failpoints import POINTS, VARIABLE
from tests.daemon.harness import rootfs_tar
from tests.daemon.storage.making import docker_archive, names_in, tar_of
from tests.integration.forked import Forked, forked, log_of

pytestmark = pytest.mark.integration

HITS = int(os.environ.get("FAILPOINT_HITS", "0"))
"""How many calls of each point are hit, one after the other in runs of their own; 0 for the first of some points."""

SPREAD = 3
"""Of so many points one is taken for each test where not all are: a run is four daemons, all of them are a minute."""

ENDS_THE_DAEMON = ("database.", "disk.sync_")
"""Points whose errors nobody may live on with: what is durable is not known."""


def test_every_point_is_in_the_table_and_in_the_code() -> None:
    sources = Path(__file__).parents[2] / "daemon"
    found = [name for path in sources.rglob("*.py") for name in points_in(path.read_text())]
    assert set(found) == set(POINTS)
    assert list(POINTS) == [*dict.fromkeys(POINTS)]


def points_in(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "failpoint":
            name = ast.literal_eval(node.args[0])
            assert isinstance(name, str), "a name that can be looked for"
            yield name


# What happens to a daemon -------------------------------------------------------------------------------------------


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
    """Names of what the last call, which had no answer, was about."""


class Client:
    """Makes calls that succeed, and notes what follows from their answers."""

    def __init__(self, daemon: Forked, known: Known, refused: list[tuple[int, str]]) -> None:
        self._daemon = daemon
        self.known = known
        self.refused = refused

    def call(self, method: str, path: str, body: object = None, *, about: str, done: tuple[int, ...] = ()) -> Any:
        """`done` are the answers, besides success, to a call that is made again and has had its effect."""
        for _ in range(2):
            self.known.doubtful = {about}
            status, answer = self._daemon.call(method, path, body)
            if status < 300 or status in done:
                self.known.doubtful = set()
                return answer
            self.refused.append((status, answer["message"]))
        raise AssertionError(f"{method} {path} is refused twice: {self.refused}")

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


def live(client: Client) -> None:
    """Everything that has an effect on the disk, once."""
    client.call("POST", "/images/create?fromSrc=-&repo=base&tag=1", rootfs_tar(), about="base:1")
    client.known.images.add("base:1")
    client.load("a:1")
    client.create("plain")
    client.create("with-a-directory", WorkingDir="/new/directory")
    client.create("with-a-volume", HostConfig={"Binds": ["filled:/full"]})
    client.known.volumes.add("filled")
    client.call("POST", "/commit?container=with-a-directory&repo=committed&tag=1", about="committed:1")
    client.known.images.add("committed:1")
    client.create("gone", Volumes={"/full": {}})
    client.remove("gone")
    client.call("POST", "/volumes/create", {"Name": "volume"}, about="volume")
    client.call("DELETE", "/volumes/volume", about="volume", done=(404,))
    client.known.images.discard("a:1")
    client.call("DELETE", "/images/a:1", about="a:1", done=(404,))


def damage(home: Path, known: Known) -> None:
    """What a power cut may leave: a directory that has not become durable, a name that no record has."""
    data = home / "data"
    (data / "staging" / "half").mkdir()
    container_id = known.containers["plain"]
    (data / "containers" / container_id).rename(data / "containers" / ("0" * 64))


@attrs.frozen(kw_only=True)
class Run:
    known: Known
    exits: list[int]
    """Of the daemons, in order."""
    refused: list[tuple[int, str]]


def run(home: Path, armed: str) -> Run:
    """Start, live, stop in order, start, be killed, be damaged, start, stop: until a point is seen to be reached."""
    known = Known()
    exits: list[int] = []
    refused: list[tuple[int, str]] = []
    for act in (live_and_stop, be_killed, stop):
        with forked(home, armed) as daemon:
            if daemon.is_ready:
                act(daemon, Client(daemon, known, refused))
            exits.append(daemon.wait())
        if exits[-1] not in (0, KILLED_BY_US) or refused:
            break  # it has been reached
        if exits[-1] == KILLED_BY_US:
            damage(home, known)
    return Run(known=known, exits=exits, refused=refused)


KILLED_BY_US = -signal.SIGQUIT
"""Not how a failpoint kills."""


def live_and_stop(daemon: Forked, client: Client) -> None:
    try:
        live(client)
    except (OSError, http.client.HTTPException):
        return  # it has ended
    daemon.process.terminate()


def be_killed(daemon: Forked, client: Client) -> None:
    pid = daemon.process.pid
    assert pid is not None
    os.kill(pid, -KILLED_BY_US)


def stop(daemon: Forked, client: Client) -> None:
    daemon.process.terminate()


# What is left --------------------------------------------------------------------------------------------------------


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
    for directory in ("containers", "volumes", "staging", "content/blobs/sha256"):
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
    assert names_in(daemon.home / "data" / "containers") == sorted(ids)
    assert names_in(daemon.home / "data" / "staging") == []
    for name in (known.doubtful & {"plain", "with-a-directory", "with-a-volume", "gone"}) - names:
        status, _ = daemon.call("POST", f"/containers/create?name={name}", {"Image": "base:1", "Cmd": ["x"]})
        assert status == 201, "the name is free"


def check_the_rest(daemon: Forked, known: Known) -> None:
    images = {tag: each["Id"] for each in daemon.call("GET", "/images/json")[1] for tag in each["RepoTags"]}
    assert known.images <= set(images) <= known.images | known.doubtful
    for tag in images:
        status, created = daemon.call("POST", "/containers/create", {"Image": tag, "Cmd": ["x"]})
        assert status == 201
        assert daemon.call("HEAD", f"/containers/{created['Id']}/archive?path=/bin/sh")[0] == 200
    volumes = {each["Name"] for each in daemon.call("GET", "/volumes")[1]["Volumes"]}
    assert known.volumes <= volumes
    assert names_in(daemon.home / "data" / "volumes") == sorted(volumes)
    if "filled" in volumes:
        assert names_in(daemon.home / "data/volumes/filled/_data") == ["content"], "it was committed with a container"


# The points ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hit", range(HITS or 1))
@pytest.mark.parametrize("point", POINTS if HITS else [*POINTS][::SPREAD])
def test_killed_there_nothing_acknowledged_is_lost_and_nothing_else_is_left(point: str, hit: int, home: Path) -> None:
    done = run(home, f"{point}={hit}*off->1*kill")
    if hit == 0:
        assert done.exits[-1] == -signal.SIGKILL, "it was reached"
    audit(home, done.known)


@pytest.mark.parametrize("hit", range(HITS or 1))
@pytest.mark.parametrize("point", POINTS if HITS else [*POINTS][1::SPREAD])
def test_refused_by_the_disk_there_it_says_so_and_nothing_is_left(point: str, hit: int, home: Path) -> None:
    done = run(home, f"{point}={hit}*off->1*error({('EIO', 'ENOSPC')[(len(point) + hit) % 2]})")
    for status, message in done.refused:
        assert status in (500, 503, 507)
        assert str(home) not in message
    if point.startswith(ENDS_THE_DAEMON) and hit == 0:
        assert done.exits[-1] == 1
    audit(home, done.known)


def test_the_environment_arms_a_daemon(home: Path) -> None:
    command = [sys.executable, "-m", "daemon", "serve", "--data-root", str(home / "data"), "--socket", str(home / "s")]
    for armed, code in (("recovery.engine_id=1*kill", -signal.SIGKILL), ("recovery.engine_id=error(EIO)", 1)):
        environment = {**os.environ, VARIABLE: armed}
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == code
    assert ended.stderr == "boatyardd: cannot read the engine's id: Input/output error\n"
