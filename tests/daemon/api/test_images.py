"""What inspect shows of an image, by version of the API."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from daemon.api.progress import progress_bar
from daemon.api.routes import Router
from daemon.engine import Engine
from daemon.storage.oci import digest_of
from tests.daemon.harness import engine_at, rootfs_tar
from tests.daemon.http.serving import serving
from tests.daemon.storage.making import BASE, TOP, docker_archive, tar_of

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def engine_with_host_at(root: Path) -> AsyncIterator[Engine]:
    """One that has the process that starts workers already, so that serving opens no descriptor that stays."""
    async with engine_at(root) as engine:
        (await engine.intake.host.start()).close()
        yield engine


@pytest.mark.parametrize(
    ("version", "fields"),
    [
        ("1.43", {"ContainerConfig", "VirtualSize"}),
        ("1.44", {"ContainerConfig"}),
        ("1.45", set()),
    ],
)
async def test_old_clients_are_shown_what_they_still_read(version: str, fields: set[str], tmp_path: Path) -> None:
    async with (
        engine_at(tmp_path) as engine,
        serving(Router(engine), tmp_path) as service,
        await service.connect() as client,
    ):
        answer = await client.ask(f"GET /v{version}/images/busybox/json HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        shown = json.loads(answer.body)
    assert {"ContainerConfig", "VirtualSize"} & shown.keys() == fields
    assert shown.get("VirtualSize", shown["Size"]) == shown["Size"]
    assert shown.get("ContainerConfig", {}).get("Volumes") is None


FORM = "POST /v1.50/{path} HTTP/1.1\r\nHost: a\r\n{headers}\r\n{body}"
CREATED_WEB = '{"Image": "busybox", "Cmd": ["sh"]}'


def posting(path: str, body: str = "", kind: str = "application/json") -> bytes:
    headers = f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n" if body else "Content-Length: 0\r\n"
    return FORM.format(path=path, headers=headers, body=body).encode()


@pytest.mark.parametrize(
    ("query", "body", "status", "text"),
    [
        ("container=web", "", 201, ""),
        ("container=web", "null", 201, ""),
        ("container=web&repo=x/y&tag=1&pause=0&changes=USER+a&changes=ENV+B%3D2", "{}", 201, ""),
        ("container=web", '{"Cmd": ["other"]}', 201, ""),
        ("container=web&tag=nobody-is-called-so", "", 201, ""),
        ("", "", 400, 'invalid name or ID supplied: ""'),
        ("container=nope", "", 404, "No such container: nope"),
        ("container=web&changes=", "", 400, "file with no instructions"),
        ("container=web&changes=COPY+a+b", "", 400, "COPY is not a valid change command"),
        ("container=web&repo=UP", "", 400, "invalid reference format: repository name (library/UP) must be lowercase"),
        ("container=web&repo=sha256", "", 400, "refusing to create an ambiguous tag using digest algorithm as name"),
        (f"container=web&repo=x@sha256:{'0' * 64}", "", 400, "cannot import digest reference"),
        ("container=web", "[]", 400, "cannot unmarshal array"),
        ("container=web", '{"Cmd": 5}', 400, "cannot unmarshal number"),
    ],
)
async def test_a_commit_is_answered_as_by_docker(query: str, body: str, status: int, text: str, tmp_path: Path) -> None:
    async with (
        engine_at(tmp_path) as engine,
        serving(Router(engine), tmp_path) as service,
        await service.connect() as client,
    ):
        await client.ask(posting("containers/create?name=web", CREATED_WEB))
        answer = await client.ask(posting(f"commit?{query}", body))
        said = json.loads(answer.body)
        assert (answer.status, text in said.get("message", "")) == (status, True), said
        if status != 201:
            return
        shown = json.loads(
            (await client.ask(f"GET /images/{said['Id']}/json HTTP/1.1\r\nHost: a\r\n\r\n".encode())).body
        )
    assert (shown["Id"], shown["RepoTags"]) == (said["Id"], ["x/y:1"] if "repo" in query else [])
    assert shown["Config"]["Cmd"] == (["other"] if "other" in body else ["sh"])
    assert shown["Config"]["User"] == ("a" if "USER" in query else "")


@pytest.mark.parametrize(
    ("query", "status", "text"),
    [
        ("changes=CMD+x&changes=ENV+A%3D1&message=hi&platform=linux/arm/v6", 200, ""),
        ("platform=arm64", 200, ""),
        ("platform=windows/amd64", 400, "operating system is not supported"),
        ("platform=a/b/c/d", 400, "cannot parse platform specifier"),
        ("changes=RUN+x", 400, "RUN is not a valid change command"),
    ],
)
async def test_an_import_takes_changes_a_message_and_a_platform(
    query: str, status: int, text: str, tmp_path: Path
) -> None:
    async with (
        engine_with_host_at(tmp_path) as engine,
        serving(Router(engine), tmp_path) as service,
        await service.connect() as client,
    ):
        answer = await client.ask(
            posting(f"images/create?fromSrc=-&repo=new&{query}", rootfs_tar().decode("latin-1"), "application/x-tar")
        )
        assert (answer.status, text in answer.body.decode()) == (status, True), answer.body
        if status != 200:
            return
        shown = json.loads((await client.ask(b"GET /images/new/json HTTP/1.1\r\nHost: a\r\n\r\n")).body)
    if "arm64" in query:
        assert (shown["Architecture"], shown.get("Variant")) == ("arm64", None)
    else:
        assert (shown["Architecture"], shown["Variant"]) == ("arm", "v6")
        assert (shown["Comment"], shown["Config"]["Env"]) == ("hi", ["A=1"])
        assert shown["Config"]["Cmd"] == ["/bin/sh", "-c", "x"]


def loading(archive: bytes, query: str = "") -> bytes:
    head = f"POST /v1.50/images/load{query} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(archive)}\r\n\r\n"
    return head.encode() + archive


async def told_of(archive: bytes, query: str, root: Path) -> tuple[int, list[dict[str, Any]]]:
    async with (
        engine_with_host_at(root) as engine,
        serving(Router(engine), root) as service,
        await service.connect() as client,
    ):
        answer = await client.ask(loading(archive, query))
    return answer.status, [json.loads(line) for line in answer.body.splitlines()]


LOADED = {"stream": "Loaded image: a:1\n"}


async def test_a_load_tells_how_far_each_layer_is_and_what_was_loaded(tmp_path: Path) -> None:
    status, lines = await told_of(tar_of(docker_archive(tags=["a:1"])), "", tmp_path)
    assert (status, lines[-1]) == (200, LOADED)
    last = {line["id"]: line for line in lines[:-1]}
    for layer in (BASE, TOP):
        name = digest_of(layer).removeprefix("sha256:")[:12]
        assert last[name] == {
            "status": "Loading layer",
            "progressDetail": {"current": len(layer), "total": len(layer)},
            "progress": progress_bar(len(layer), len(layer)),
            "id": name,
        }


async def test_a_quiet_load_tells_what_was_loaded(tmp_path: Path) -> None:
    assert await told_of(tar_of(docker_archive(tags=["a:1"])), "?quiet=1", tmp_path) == (200, [LOADED])


async def test_a_load_that_fails_is_an_error_as_a_status_or_once_it_has_begun_as_the_last_line(tmp_path: Path) -> None:
    status, (said,) = await told_of(b"x" * 2000, "", tmp_path / "one")
    assert (status, "invalid archive" in said["message"]) == (400, True)
    status, lines = await told_of(tar_of(docker_archive(tags=["UP"])), "", tmp_path / "two")
    assert (status, lines[0]["status"]) == (200, "Loading layer")
    text = "invalid reference format: repository name (library/UP) must be lowercase"
    assert lines[-1] == {"errorDetail": {"message": text}, "error": text}
