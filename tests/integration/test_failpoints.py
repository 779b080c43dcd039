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

import attrs
import pytest

from daemon.storage.failpoints import POINTS, VARIABLE
from tests.integration.forked import Forked, forked
from tests.integration.told import Client, Known, audit

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


def live(client: Client) -> None:
    """Everything that has an effect on the disk, once."""
    client.make_base()
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
