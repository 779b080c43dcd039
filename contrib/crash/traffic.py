"""The clients: each in a thread, with a connection and things of its own, until the daemon is gone or does no more."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random

import attrs

from contrib.connection import Connection, NotSent
from contrib.crash.history import History, Kind, State, Thing
from contrib.crash.images import MARK, SmallImage, tar_of

ANSWER_TIMEOUT_S = 60.0
"""Beyond it there is none: many times the slowest pull on a busy machine."""

BASE = "crash-base:1"
"""The image of the containers."""

HOST_CONFIG = {"NetworkMode": "none", "ShmSize": 1 << 21, "OomScoreAdj": 77}
"""What an inspect is to show again."""

STOPPING = 503


@attrs.frozen(kw_only=True)
class Scene:
    """Where the clients are."""

    socket: Path
    registry: str
    round: str
    """Names of different rounds are different."""
    on_told: Callable[[], None]
    """Called by the client that has just read that something is done, before it asks for anything else."""


@contextmanager
def traffic(scene: Scene, clients: int, rng: Random) -> Iterator[list[History]]:
    """At the end of the block they are done, each with its own history; somebody must have ended the daemon."""
    workers = [_Client(scene, number, Random(rng.random())) for number in range(clients)]
    threads = [threading.Thread(target=worker.run) for worker in workers]
    for thread in threads:
        thread.start()
    try:
        yield [worker.history for worker in workers]
    finally:
        for thread in threads:
            thread.join()


class _Stopping(Exception):
    """The daemon takes no more requests."""


class _Client:
    def __init__(self, scene: Scene, number: int, rng: Random) -> None:
        self._scene = scene
        self._prefix = f"r{scene.round}c{number}n"
        self._rng = rng
        self._made = 0
        self._connection = Connection(scene.socket, timeout_s=ANSWER_TIMEOUT_S)
        self.history = History()
        self._acts: dict[Callable[[], object], int] = {
            self._create: 50,
            self._create_with_volume: 10,
            self._remove_container: 15,
            self._create_volume: 3,
            self._remove_volume: 2,
            self._load: 4,
            self._import: 4,
            self._pull: 4,
            self._commit: 4,
            self._remove_image: 4,
        }
        """And how often, beside one another."""

    def run(self) -> None:
        acts, weights = [*self._acts], [*self._acts.values()]
        with closing(self._connection):
            try:
                while True:
                    self._connect()  # before anything is meant to be asked
                    self._rng.choices(acts, weights)[0]()
            except (OSError, http.client.HTTPException, json.JSONDecodeError):
                self.history.unanswered += 1
            except _Stopping:
                pass

    # What they do --------------------------------------------------------------------------------------------------

    def _create(self, volume: Thing | None = None) -> Thing | None:
        """None if it is refused."""
        container = self._new(Kind.CONTAINER)
        host_config = {**HOST_CONFIG, "Binds": [f"{volume.name}:/full"]} if volume else HOST_CONFIG
        body = {"Image": BASE, "Cmd": ["sh"], "Labels": {"mark": container.mark}, "HostConfig": host_config}
        things = (container, volume) if volume else (container,)
        answer = self._ask(f"/containers/create?name={container.name}", body, *things)
        if answer is None:
            return None
        container.id = json.loads(answer)["Id"]
        return container

    def _create_with_volume(self) -> None:
        volume = self._new(Kind.VOLUME)
        volume.mark = "full"  # what the image has there
        self._create(volume)

    def _remove_container(self) -> None:
        if container := self._any(Kind.CONTAINER):
            self._remove(container, f"/containers/{container.id}")

    def _create_volume(self) -> None:
        volume = self._new(Kind.VOLUME)
        volume.mark = ""
        self._ask("/volumes/create", {"Name": volume.name}, volume)

    def _remove_volume(self) -> None:
        unused = [volume for volume in self.history.of(Kind.VOLUME, State.THERE) if not volume.mark]
        if unused:
            volume = self._rng.choice(unused)
            self._remove(volume, f"/volumes/{volume.name}")

    def _load(self) -> None:
        image = self._new(Kind.IMAGE)
        self._ask("/images/load?quiet=1", SmallImage(image.mark).archive(image.name), image)

    def _import(self) -> None:
        image = self._new(Kind.IMAGE)
        repository = image.name.removesuffix(":1")
        self._ask(f"/images/create?fromSrc=-&repo={repository}&tag=1", SmallImage(image.mark).rootfs(), image)

    def _pull(self) -> None:
        image = self._new(Kind.IMAGE)
        repository = f"{self._scene.registry}/{image.mark}"
        image.name = f"{repository}:1"
        self._ask(f"/images/create?fromImage={repository}&tag=1", None, image)

    def _commit(self) -> None:
        container = self._create()
        if container is None:
            return
        image = self._new(Kind.IMAGE)
        image.become(State.GONE, time.monotonic())  # as long as it has not been asked for
        path = f"/containers/{container.id}/archive?path=/"
        status, answer = self._call("PUT", path, tar_of({MARK: image.mark.encode()}))
        self._note(status == 200, status, f"PUT {path}: {status} {answer!r}")
        image.become(State.ASKED, time.monotonic())
        self._ask(f"/commit?container={container.id}&repo={image.name.removesuffix(':1')}&tag=1", None, image)

    def _remove_image(self) -> None:
        if image := self._any(Kind.IMAGE):
            self._remove(image, f"/images/{image.name}")

    # How they do it ------------------------------------------------------------------------------------------------

    def _new(self, kind: Kind) -> Thing:
        self._made += 1
        name = f"{self._prefix}{self._made}"
        thing = Thing(kind=kind, name=f"{name}:1" if kind is Kind.IMAGE else name, mark=name)
        thing.become(State.ASKED, time.monotonic())
        self.history.things.append(thing)
        return thing

    def _any(self, kind: Kind) -> Thing | None:
        there = [*self.history.of(kind, State.THERE)]
        return self._rng.choice(there) if there else None

    def _ask(self, path: str, body: object, *things: Thing) -> bytes | None:
        """Have these made; None if that is refused, else the answer."""
        status, answer = self._call("POST", path, body)
        is_done = status < 300 and b'"errorDetail"' not in answer  # which comes at the end of a stream that began well
        for thing in things:
            thing.become(State.THERE if is_done else State.GONE, time.monotonic())
        self._note(is_done, status, f"POST {path}: {status} {answer[-300:]!r}")
        return answer if is_done else None

    def _remove(self, thing: Thing, path: str) -> None:
        thing.become(State.LEAVING, time.monotonic())
        status, answer = self._call("DELETE", path)
        if status < 300 or status == STOPPING:
            thing.become(State.GONE if status < 300 else State.THERE, time.monotonic())
        self._note(status < 300, status, f"DELETE {path}: {status} {answer[-300:]!r}")

    def _call(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        self._connect()
        self.history.sent += 1
        try:
            return self._connection.call_raw(method, path, body)
        except NotSent as error:
            raise _Stopping from error

    def _connect(self) -> None:
        if self._connection.sock is None:
            try:
                self._connection.connect()
            except (FileNotFoundError, ConnectionRefusedError) as error:
                raise _Stopping from error  # it has closed the last one in good order, or is dead

    def _note(self, is_done: bool, status: int, text: str) -> None:
        if is_done:
            self.history.told += 1
            self._scene.on_told()
        elif status == STOPPING:
            raise _Stopping
        else:
            self.history.refusals.append((time.monotonic(), text))
