"""`GET /boatyard/overview` on a real server: who may, how many, and how it ends."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import attrs
import msgspec
import pytest

from daemon.api import overview
from daemon.api.authorization import Asked, Authorize
from daemon.api.routes import Router
from daemon.engine import Engine
from daemon.errors import Forbidden
from daemon.overview import Overview
from daemon.overview.watching import WATCHERS_MAX, Watcher
from daemon.services.event_bus import EventBus
from tests.daemon.harness import engine_at
from tests.daemon.http.serving import PATIENCE_S, Client, Service, serving

pytestmark = pytest.mark.anyio

ASK = b"GET /boatyard/overview HTTP/1.1\r\nHost: a\r\n"
ONCE = ASK + b"\r\n"
MADE_BYTES_MAX = 1 << 20
"""More than fits into the socket of somebody who does not read."""

STREAM = ASK + b"Accept: text/event-stream\r\n\r\n"


@attrs.frozen
class Place:
    engine: Engine
    service: Service

    async def wait_watchers(self, count: int) -> None:
        """Until the event bus has so many subscribers."""
        with anyio.fail_after(PATIENCE_S):
            while await self.engine.services.events.ask(EventBus.count_subscribers) != count:
                await anyio.lowlevel.checkpoint()


@asynccontextmanager
async def place(root: Path, authorize: Authorize | None = None, **limits: Any) -> AsyncIterator[Place]:
    async with engine_at(root) as engine:
        router = Router(engine, authorize)
        async with serving(
            router, root, error_response=router.error, connections_max=64, connections_per_uid_max=64, **limits
        ) as service:
            yield Place(engine, service)


async def next_event(client: Client) -> dict[str, Any]:
    chunk = (await client.read_chunk()).decode()
    assert chunk.startswith("data: ")
    assert chunk.endswith("\n\n")
    assert chunk.count("\n") == 2
    document: dict[str, Any] = json.loads(chunk.removeprefix("data: "))
    return document


async def head_of(client: Client) -> str:
    return (await client.read_until(b"\r\n\r\n")).decode().lower()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "INTERVAL_S", 0.01)


async def test_it_is_one_document_and_in_any_version_of_the_api(tmp_path: Path) -> None:
    async with place(tmp_path) as here, await here.service.connect() as client:
        for request in (ONCE, ONCE.replace(b"GET /", b"GET /v1.24/")):
            answer = await client.ask(request)
            assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
            assert answer.headers["cache-control"] == "no-store"
            document = json.loads(answer.body)
            assert [tree["name"] for tree in document["trees"]] == ["storage", "services"]
        await here.wait_watchers(0)


@pytest.mark.usefixtures("quick")
async def test_or_a_stream_that_ends_when_its_client_goes(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        async with await here.service.connect() as client:
            await client.send(STREAM)
            assert "content-type: text/event-stream" in await head_of(client)
            documents = [await next_event(client) for _ in range(3)]
            assert documents[0]["trees"][0]["actors"][0]["handled_per_s"] is None
            assert documents[2]["trees"][0]["actors"][0]["handled_per_s"] == 0
            assert documents[0]["uptime_s"] < documents[1]["uptime_s"] < documents[2]["uptime_s"]
            await here.wait_watchers(1)
        await here.wait_watchers(0)


async def test_a_stop_ends_it_at_once_and_whole(tmp_path: Path) -> None:
    async with place(tmp_path) as here, await here.service.connect() as client:
        await client.send(STREAM)
        await head_of(client)
        await next_event(client)
        here.service.drain(PATIENCE_S * 10)
        assert await client.read_chunk() == b""
        assert await client.read_to_end() == b""
        await here.service.wait_ended()


async def test_authorization_is_asked_and_may_refuse(tmp_path: Path) -> None:
    asked: list[Asked] = []

    async def refuse(what: Asked) -> None:
        asked.append(what)
        raise Forbidden("no")

    async with place(tmp_path, refuse) as here, await here.service.connect() as client:
        for request in (ONCE, STREAM):
            answer = await client.ask(request)
            assert (answer.status, json.loads(answer.body)) == (403, {"message": "no"})
    assert [what.target for what in asked] == ["/boatyard/overview"] * 2


async def test_so_many_may_watch_and_the_next_is_told_to_wait(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        watching = [await here.service.connect() for _ in range(WATCHERS_MAX)]
        for client in watching:
            await client.send(STREAM)
            await head_of(client)
            await next_event(client)
        async with await here.service.connect() as client:
            for request in (ONCE, STREAM):
                answer = await client.ask(request)
                assert (answer.status, answer.headers["retry-after"]) == (503, "1")
                assert "16 clients are watching" in json.loads(answer.body)["message"]
            await watching[0].close()
            await here.wait_watchers(WATCHERS_MAX - 1)
            assert (await client.ask(ONCE)).status == 200
        for client in watching:
            await client.close()


@pytest.mark.usefixtures("quick")
async def test_who_stops_reading_is_let_go_and_holds_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    look = Watcher.look

    async def counted(watcher: Watcher) -> Overview:
        seen = await look(watcher)
        made.append(len(msgspec.json.encode(seen)))
        return seen

    monkeypatch.setattr(Watcher, "look", counted)
    async with place(tmp_path, write_timeout_s=0.2) as here, await here.service.connect() as client:
        await client.send(STREAM)
        await here.wait_watchers(1)
        await here.wait_watchers(0)
    assert 0 < sum(made) < MADE_BYTES_MAX
