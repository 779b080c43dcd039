"""Who asks for containers, and what is asked of them later."""

from __future__ import annotations

import http.client
import itertools
import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from pathlib import Path

import attrs

from contrib.connection import Connection, NotSent
from contrib.crash.images import SmallImage
from contrib.reliability.site import ANSWER_TIMEOUT_S
from contrib.unclaimed import unclaimed
from loadtest import HarnessError

API = "/v1.41"
IMAGE = "crash-base:1"
NOT_ON_THE_DISK = frozenset({"ready", "lost+found"})
"""What is made beforehand for volumes, as much as there is time for, belongs to nobody."""


@attrs.define
class Clients:
    """Threads that create, each with a connection of its own, until the engine is gone, or they are told that it is enough."""

    socket: Path
    prefix: str
    acknowledged: dict[str, str] = attrs.field(factory=dict)
    """Ids by name."""
    unanswered: list[str] = attrs.field(factory=list)
    _told_at: dict[str, float] = attrs.field(factory=dict)
    _is_enough: threading.Event = attrs.field(factory=threading.Event)

    def run(self, count: int, traffic_s: float, end: Callable[[], float]) -> None:
        """`end` is called after that time; what is answered after the moment that it returns is no answer."""
        threads = [threading.Thread(target=self._work, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        threading.Event().wait(traffic_s)
        try:
            ended_at = end()
        finally:
            self._is_enough.set()
            for thread in threads:
                thread.join()
        for name in [name for name, at in self._told_at.items() if at >= ended_at]:
            self.unanswered.append(name)
            del self.acknowledged[name]

    def _work(self, number: int) -> None:
        with closing(Connection(self.socket, timeout_s=ANSWER_TIMEOUT_S)) as connection:
            for count in itertools.count():
                if self._is_enough.is_set() or not self._create(connection, f"{self.prefix}c{number}n{count}"):
                    return

    def _create(self, connection: Connection, name: str) -> bool:
        """Whether there is somebody to ask for more."""
        try:
            if connection.sock is None:
                connection.connect()
        except OSError:
            return False  # it listens no more: nothing has been asked
        try:
            status, answer = create(connection, name)
        except NotSent:
            return False
        except (OSError, http.client.HTTPException):
            self.unanswered.append(name)
            return False
        if status == 201:
            self._told_at[name] = time.monotonic()
            self.acknowledged[name] = answer["Id"]
        return status == 201


def load_base(connection: Connection) -> None:
    status, answer = connection.call_raw("POST", f"{API}/images/load?quiet=1", SmallImage("base").archive(IMAGE))
    assert status == 200, answer


def create(connection: Connection, name: str, image: str = IMAGE) -> tuple[int, dict[str, str]]:
    body = {"Image": image, "Cmd": ["sh"], "HostConfig": {"NetworkMode": "none"}}
    return connection.call("POST", f"{API}/containers/create?name={name}", body)


def remove(connection: Connection, container_id: str) -> int:
    """The status."""
    return connection.call_raw("DELETE", f"{API}/containers/{container_id}?v=1&force=1")[0]


def listed(connection: Connection) -> dict[str, str]:
    """Ids by name. Raises HarnessError: the engine cannot say."""
    status, answer = connection.call("GET", f"{API}/containers/json?all=1")
    if status != 200:
        raise HarnessError(f"the list says {status} {answer}")
    return {name[1:]: each["Id"] for each in answer for name in each["Names"]}


def missing(connection: Connection, known: Mapping[str, str]) -> int:
    """How many of them are neither listed nor, where there is no list, known by their id."""
    try:
        there = listed(connection)
    except HarnessError:
        paths = (f"{API}/containers/{container_id}/json" for container_id in known.values())
        return sum(connection.call_raw("GET", path)[0] != 200 for path in paths)
    return sum(there.get(name) != container_id for name, container_id in known.items())


def entries(root: Path, known: Collection[str] = ()) -> frozenset[str]:
    """What there is of the `known` containers and all else, but for what is made beforehand."""
    paths = [path.relative_to(root) for path in root.rglob("*")]
    nobodys = NOT_ON_THE_DISK | unclaimed(root, known)  # afterwards: else it would not have what was being made
    return frozenset(str(path) for path in paths if nobodys.isdisjoint(path.parts))
