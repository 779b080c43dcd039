"""After a start: whether everything that clients have been told is so, and nothing else is there."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import attrs

from contrib.connection import Connection
from contrib.crash.history import DOUBTFUL, History, Kind, State, Thing
from contrib.crash.images import MARK, digest_of, files_in
from contrib.crash.traffic import ANSWER_TIMEOUT_S, BASE, HOST_CONFIG
from contrib.engines import Engine
from contrib.unclaimed import unclaimed

SAMPLE = 25
"""Of what earlier rounds have left: everything of the last one is looked at."""
NAMES_MAX = 5
"""Of removed containers, whose names are used again."""

READY_TREES = 64
"""Fewer than are asked for in a round, so that creates without one meet the end, too."""

READY_TIMEOUT_S = 10.0

Listed = Mapping[Kind, Mapping[str, str]]
"""What the daemon says is there: the ids, of volumes the names, by name."""


@attrs.define
class Verdict:
    present: int = 0
    absent: int = 0
    """Of what had no answer."""
    lost: list[str] = attrs.field(factory=list)
    """What was acknowledged and is not there, or not whole."""
    back: list[str] = attrs.field(factory=list)
    """What was removed, or refused, and is there."""
    unusable: list[str] = attrs.field(factory=list)
    """Names that cannot be given."""
    left: list[str] = attrs.field(factory=list)
    """What nobody was told of, and what no record names."""

    @property
    def broken(self) -> list[str]:
        return [*self.lost, *self.back, *self.unusable, *self.left]

    def add(self, other: Verdict) -> None:
        for field in attrs.fields(Verdict):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))


def audit(engine: Engine, known: History, fresh: History, rng: Random) -> Verdict:
    """Of everything `known`, of which the things of the last round are `fresh`; after it nothing is in doubt any more."""
    with closing(Connection(engine.socket, timeout_s=ANSWER_TIMEOUT_S)) as connection:
        there = listed(connection)
        to_come(engine.data_root, there[Kind.CONTAINER].values())
        auditor = _Auditor(connection, engine.data_root, there, compare(known, there, engine.data_root))
        doubtful = [*fresh.of(Kind.CONTAINER, *DOUBTFUL)]
        removed = [*fresh.of(Kind.CONTAINER, State.GONE)]
        auditor.settle(known)
        auditor.check_content([*_sampled(known, fresh, rng)])
        auditor.check_names([*doubtful, *removed[:NAMES_MAX]])
    return auditor.verdict


def remove_everything(engine: Engine) -> list[str]:
    """What could not be removed."""
    with closing(Connection(engine.socket, timeout_s=ANSWER_TIMEOUT_S)) as connection:
        there = listed(connection)
        paths = [f"/containers/{each}?v=1&force=1" for each in there[Kind.CONTAINER].values()]
        paths += [f"/volumes/{each}" for each in there[Kind.VOLUME]]
        paths += [f"/images/{each}?force=1" for each in there[Kind.IMAGE]]
        answers = [(path, *connection.call("DELETE", path)) for path in paths]
    return [f"{path} cannot be removed: {status} {answer}" for path, status, answer in answers if status >= 300]


def entries(root: Path) -> frozenset[str]:
    """All there is below a data root without containers, but for what is made beforehand, as much as there is time for."""
    nobodys = to_come(root) | {"ready", "lost+found"}
    paths = (path.relative_to(root) for path in root.rglob("*"))
    return frozenset(str(path) for path in paths if nobodys.isdisjoint(path.parts))


def to_come(root: Path, ids: Collection[str] = ()) -> frozenset[str]:
    """The trees of containers to come, when as many are there as are to be."""
    deadline = time.monotonic() + READY_TIMEOUT_S
    while len(found := unclaimed(root, ids)) != READY_TREES and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    return found


def listed(connection: Connection) -> Listed:
    containers = _get(connection, "/containers/json?all=1")
    images = _get(connection, "/images/json")
    volumes = _get(connection, "/volumes")["Volumes"]
    return {
        Kind.CONTAINER: {name[1:]: each["Id"] for each in containers for name in each["Names"]},
        Kind.IMAGE: {tag: each["Id"] for each in images for tag in each["RepoTags"]},
        Kind.VOLUME: {each["Name"]: each["Name"] for each in volumes},
    }


def compare(known: History, there: Listed, root: Path) -> Verdict:
    """Whether what is there is what should be, by name and id, in the daemon's words and on the disk."""
    verdict = Verdict()
    for thing in known.things:
        found = there[thing.kind].get(thing.name)
        text = f"{thing.kind.value} {thing.name} {thing.id[:12]}"
        if thing.state in DOUBTFUL:
            verdict.present += found is not None
            verdict.absent += found is None
        elif thing.state is State.THERE and (found is None or found != (thing.id or found)):
            verdict.lost.append(f"{text} is not there")
        elif thing.state is State.GONE and found is not None:
            verdict.back.append(f"{text} is there again")
    for kind, found_by_name in there.items():
        unknown = set(found_by_name) - {thing.name for thing in known.things if thing.kind is kind}
        verdict.left += [f"nobody has asked for {kind.value} {name}" for name in sorted(unknown)]
    ids = set(there[Kind.CONTAINER].values())
    spared = unclaimed(root, ids)
    if len(spared) > READY_TREES:
        verdict.left.append(f"{len(spared) - READY_TREES} containers' trees belong to nothing")
    for directory, kind in (("containers", Kind.CONTAINER), ("volumes", Kind.VOLUME)):
        names, ids = {path.name for path in (root / directory).iterdir()} - spared, set(there[kind].values())
        verdict.left += [f"{directory}/{each} belongs to nothing" for each in sorted(names - ids)]
        verdict.lost += [f"{directory}/{each} is not there" for each in sorted(ids - names)]
    verdict.left += [f"staging/{path.name} is there" for path in (root / "staging").iterdir()]
    return verdict


class _Auditor:
    def __init__(self, connection: Connection, root: Path, there: Listed, verdict: Verdict) -> None:
        self._connection = connection
        self._root = root
        self._there = there
        self.verdict = verdict

    def settle(self, known: History) -> None:
        """What is there now has been told to us: it stays."""
        for thing in known.things:
            found = self._there[thing.kind].get(thing.name)
            if thing.state in DOUBTFUL:
                thing.id = thing.id if found is None or thing.kind is not Kind.CONTAINER else found
                thing.become(State.GONE if found is None else State.THERE, time.monotonic())

    def check_content(self, things: list[Thing]) -> None:
        checks = {Kind.CONTAINER: self._container, Kind.IMAGE: self._image, Kind.VOLUME: self._volume}
        for thing in things:
            self.verdict.lost += [
                f"{thing.kind.value} {thing.name}: {complaint}" for complaint in checks[thing.kind](thing)
            ]

    def check_names(self, things: list[Thing]) -> None:
        """Whether their names can be given; afterwards they are."""
        for thing in things:
            if thing.state is State.THERE:
                self._expect(thing, "POST", 409)
                self._expect(thing, "DELETE", 204)
            answer = self._expect(thing, "POST", 201)
            if answer:
                thing.id = answer["Id"]
                thing.become(State.THERE, time.monotonic())

    def _expect(self, thing: Thing, method: str, wanted: int) -> Any:
        path = f"/containers/create?name={thing.name}" if method == "POST" else f"/containers/{thing.name}"
        body = {"Image": BASE, "Cmd": ["sh"], "Labels": {"mark": thing.mark}, "HostConfig": HOST_CONFIG}
        status, answer = self._connection.call(method, path, body if method == "POST" else None)
        if status == wanted:
            return answer
        self.verdict.unusable.append(f"{method} {path}: {status} {answer} instead of {wanted}")
        return None

    def _container(self, container: Thing) -> Iterator[str]:
        status, found = self._connection.call("GET", f"/containers/{container.id}/json")
        if status != 200:
            yield f"inspect says {status} {found}"
            return
        host_config = {key: found["HostConfig"][key] for key in HOST_CONFIG}
        if (found["Name"], found["Config"]["Labels"]) != (f"/{container.name}", {"mark": container.mark}):
            yield "it is another one"
        if host_config != HOST_CONFIG:
            yield f"its settings are {host_config}"
        status, _ = self._connection.call_raw("HEAD", f"/containers/{container.id}/archive?path=/bin/sh")
        if status != 200:
            yield f"its /bin/sh: {status}"

    def _image(self, image: Thing) -> Iterator[str]:
        status, created = self._connection.call("POST", "/containers/create", {"Image": image.name, "Cmd": ["sh"]})
        if status != 201:
            yield f"a container of it: {status} {created}"
            return
        path = f"/containers/{created['Id']}"
        status, archive = self._connection.call_raw("GET", f"{path}/archive?path=/{MARK}")
        if status != 200 or files_in(archive) != {MARK: image.mark.encode()}:
            yield f"its content: {status} {archive[:200]!r}"
        self._connection.call("DELETE", path)
        status, archive = self._connection.call_raw("GET", f"/images/{image.name}/get")
        if status != 200:
            yield f"it cannot be saved: {status} {archive!r}"
            return
        blobs = {name: blob for name, blob in files_in(archive).items() if name.startswith("blobs/sha256/")}
        yield from (
            f"{name} is damaged" for name, blob in blobs.items() if digest_of(blob) != f"sha256:{Path(name).name}"
        )

    def _volume(self, volume: Thing) -> Iterator[str]:
        data = self._root / "volumes" / volume.name / "_data"
        found = {path.name: path.read_text() for path in data.iterdir()}
        if found != ({"content": volume.mark} if volume.mark else {}):
            yield f"it has {found}"


def _sampled(known: History, fresh: History, rng: Random) -> Iterator[Thing]:
    for kind in Kind:
        new = [*fresh.of(kind, State.THERE)]
        old = [thing for thing in known.of(kind, State.THERE) if thing not in new]
        yield from (*new[-SAMPLE:], *rng.sample(new[:-SAMPLE], min(SAMPLE, len(new[:-SAMPLE]))))
        yield from rng.sample(old, min(SAMPLE, len(old)))


def _get(connection: Connection, path: str) -> Any:
    status, answer = connection.call("GET", path)
    assert status == 200, f"{path}: {status} {answer}"
    return answer
