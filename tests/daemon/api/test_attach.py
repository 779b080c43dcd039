"""Attaching to a created container, on a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from daemon.api.routes import Router
from daemon.container import ContainerConfig
from daemon.create.request import CreateRequest
from tests.daemon.harness import engine_at
from tests.daemon.http.serving import PATIENCE_S, Client, serving

pytestmark = pytest.mark.anyio

UPGRADE = "Connection: Upgrade\r\nUpgrade: tcp\r\n"
RAW = "application/vnd.docker.raw-stream"
MULTIPLEXED = "application/vnd.docker.multiplexed-stream"


@asynccontextmanager
async def attached(root: Path, target: str, fields: str = "") -> AsyncIterator[Client]:
    """A client that has asked to attach. There are `web`, and `tty` with a terminal."""
    async with engine_at(root) as engine:
        for name, tty in (("web", False), ("tty", True)):
            config = ContainerConfig(image="busybox", cmd=("a",), tty=tty)
            await engine.create(CreateRequest(name=name, config=config))
        async with serving(Router(engine), root) as service, await service.connect() as client:
            await client.send(f"POST {target} HTTP/1.1\r\nHost: a\r\n{fields}Content-Length: 0\r\n\r\n".encode())
            yield client


async def head_of(client: Client) -> tuple[int, dict[str, str]]:
    lines = (await client.read_until(b"\r\n\r\n")).decode().split("\r\n")
    return int(lines[0].split()[1]), dict(line.split(": ", 1) for line in lines[1:-2])


@pytest.mark.parametrize(
    ("target", "fields", "status", "content_type"),
    [
        ("/containers/web/attach?stream=1", UPGRADE, 101, MULTIPLEXED),
        ("/v1.41/containers/web/attach?stream=1", UPGRADE, 101, RAW),
        ("/containers/tty/attach?stream=1", UPGRADE, 101, RAW),
        ("/containers/web/attach?stream=1&detachKeys=ctrl-p,q", "", 200, RAW),
    ],
)
async def test_a_stream_says_nothing_and_stays_open_until_the_client_goes(
    target: str, fields: str, status: int, content_type: str, tmp_path: Path
) -> None:
    async with attached(tmp_path, target, fields) as client:
        got, headers = await head_of(client)
        assert (got, headers["Content-Type"]) == (status, content_type)
        assert headers.get("Upgrade") == ("tcp" if status == 101 else None)
        await client.send(b"standard input that nobody reads")
        with anyio.move_on_after(0.05) as scope:
            await client.read_to_end()
        assert scope.cancelled_caught


async def test_without_a_stream_there_is_an_end(tmp_path: Path) -> None:
    async with attached(tmp_path, "/containers/web/attach?logs=1", UPGRADE) as client:
        await head_of(client)
        with anyio.fail_after(PATIENCE_S):
            assert await client.read_to_end() == b""


@pytest.mark.parametrize(
    ("target", "status", "text"),
    [
        ("/containers/nobody/attach?stream=1", 404, "No such container: nobody"),
        ("/containers/web/attach?detachKeys=ctrl-1", 400, "Invalid detach keys (ctrl-1) provided"),
        ("/containers/web/attach?detachKeys=a,,b", 400, "Invalid detach keys (a,,b) provided"),
    ],
)
async def test_what_is_wrong_is_refused(target: str, status: int, text: str, tmp_path: Path) -> None:
    async with attached(tmp_path, target) as client:
        answer = await client.read_answer()
        assert (answer.status, text in answer.body.decode()) == (status, True)
