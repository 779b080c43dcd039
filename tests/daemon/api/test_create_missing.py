"""Everything that a create can name and that is not there: the image is a 404, and nothing else is.

The docker command and docker-py take a 404 for a missing image, pull it, and create again. So each text that a request may have,
wherever the schema has one, is the name of something that does not exist, in every form in which one may be given.
"""

from __future__ import annotations

import json
import typing
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest

from daemon.api.codec import _RECORDS, Record
from daemon.api.routes import Router
from daemon.api.schema import CONFIG, HOST_CONFIG, NETWORKING
from daemon.container import MountRequest
from tests.daemon.api.test_create_fuzz import NOT_THE_IMAGE, SETS, create
from tests.daemon.harness import engine_at, in_memory

MISSING = ("nosuch", "container:nosuch", "nosuch:x", "nosuch:/x", f"sha256:{64 * 'a'}")
MOUNTS = [{"Type": kind, "Target": "/target", "Source": "nosuch"} for kind in ("volume", "bind", "image", "tmpfs")]

Json = Any


def bodies(text: str) -> Iterator[tuple[str, dict[str, Json]]]:
    """A path, and a body that has `text` there and is in order elsewhere."""
    for path, value in objects(CONFIG, text):
        yield path, {"Image": "busybox", "Cmd": ["true"], **value}
    for path, value in objects(HOST_CONFIG, text):
        yield f"HostConfig.{path}", {"Image": "busybox", "Cmd": ["true"], "HostConfig": value}
    for path, value in objects(NETWORKING, text):
        yield f"NetworkingConfig.{path}", {"Image": "busybox", "Cmd": ["true"], "NetworkingConfig": value}


def objects(record: Record[Any], text: str) -> Iterator[tuple[str, dict[str, Json]]]:
    hints = typing.get_type_hints(record.kind)
    for field in record._fields:
        values = [("", {text: {}})] if field.name in SETS else values_of(hints[field.attribute], text)
        for path, value in values:
            yield f"{field.name}{path}", {field.name: value}
            if record.kind is MountRequest:
                yield from ((f"{field.name}{path} of {each['Type']}", {**each, field.name: value}) for each in MOUNTS)


def values_of(hint: Any, text: str) -> Iterator[tuple[str, Json]]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is str:
        yield "", text
    elif origin is tuple:
        yield from ((f"[]{path}", [value]) for path, value in values_of(arguments[0], text))
    elif origin is Mapping:
        for key, value_text in ((text, "value"), ("key", text), (text, text)):
            yield from ((f"{{}}{path}", {key: value}) for path, value in values_of(arguments[1], value_text))
    elif hint in _RECORDS:
        yield from ((f".{path}", value) for path, value in objects(_RECORDS[hint], text))
    elif origin is not None:  # that, or None
        yield from values_of(arguments[0], text)


@pytest.fixture(scope="module")
def answers() -> Mapping[str, set[tuple[int, str]]]:
    """By path: the statuses and messages that there were."""
    found: dict[str, set[tuple[int, str]]] = defaultdict(set)

    async def run(root: Path) -> None:
        async with engine_at(root) as engine:
            router = Router(engine)
            for path, body in (each for text in MISSING for each in bodies(text)):
                status, answer = await create(router, "/containers/create", "", json.dumps(body).encode(), {})
                found[path].add((status, answer.get("message", "")))
                if status == 201:
                    await engine.remove(answer["Id"], with_volumes=True)

    with in_memory() as home:
        anyio.run(run, home, backend_options={"use_uvloop": True})
    return found


def test_nothing_but_the_image_is_not_found(answers: Mapping[str, set[tuple[int, str]]]) -> None:
    not_found = {path for path, found in answers.items() if any(status == 404 for status, _ in found)}
    assert not_found == {"Image"}
    assert {status for found in answers.values() for status, _ in found} == {201, 400, 404}
    assert all(message.startswith(NOT_THE_IMAGE) for status, message in answers["Image"] if status == 404)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("HostConfig.VolumesFrom[]", "No such container: nosuch"),
        ("HostConfig.Links[]", "could not get container for nosuch: No such container: nosuch"),
        ("HostConfig.Mounts[].Source of image", "No such image: nosuch:latest"),
        ("HostConfig.Mounts[].VolumeOptions.DriverConfig.Name of volume", 'plugin "nosuch" not found'),
        ("HostConfig.LogConfig.Type", 'plugin "nosuch" not found'),
        ("HostConfig.Runtime", "unknown or invalid runtime name: nosuch"),
    ],
)
def test_what_would_be_not_found_is_a_bad_request(
    path: str, message: str, answers: Mapping[str, set[tuple[int, str]]]
) -> None:
    assert any(status == 400 and message in text for status, text in answers[path]), answers[path]
