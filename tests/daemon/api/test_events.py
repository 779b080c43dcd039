"""Which events a client is sent, and how each is written."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import anyio
import pytest

from daemon.api.calls import Call
from daemon.api.decoded import DecodedBodies
from daemon.api.events import event_view, events, passes
from daemon.api.listed import ListedViews
from daemon.engine import Engine
from daemon.errors import InvalidParameter
from daemon.http.message import Request
from daemon.overview.watching import Watchers
from daemon.services.event_bus import PENDING_MAX, Event, EventBus
from tests.daemon.harness import config_at


def event(kind: str, action: str, actor_id: str, **attributes: str) -> Event:
    return Event(type=kind, action=action, actor_id=actor_id, attributes=attributes, time_ns=1_700_000_000_123_456_789)


CREATED = event("container", "create", "abc1", name="web", image="busybox:1.36", tier="front", team="")
LOADED = event("image", "load", "sha256:abc2", name="quay.io/me/app:v1")
MADE = event("volume", "create", "data", driver="local")
CHECKED = event("container", "health_status: healthy", "fff", name="db", image="sha256:abc2")
ALL = (CREATED, LOADED, MADE, CHECKED)


EVERY_TYPE = "config container daemon network node plugin secret service volume".split()


@pytest.mark.parametrize(
    ("filters", "passing"),
    [
        ({}, ALL),
        ({"type": ()}, ALL),
        ({"type": ("container",)}, (CREATED, CHECKED)),
        ({"type": ("image", "volume")}, (LOADED, MADE)),
        ({"event": ("create",)}, (CREATED, MADE)),
        ({"event": ("health_status",)}, (CHECKED,)),
        ({"event": ("health_status", "creat")}, (CREATED, MADE, CHECKED)),  # then all are taken as beginnings
        ({"event": ("health_status: healthy",)}, (CHECKED,)),
        ({"event": ("health_status: ",)}, ()),
        ({"event": ("creat",)}, ()),
        ({"scope": ("local",)}, ALL),
        ({"scope": ("swarm",)}, ()),
        ({"label": ("tier",)}, (CREATED,)),
        ({"label": ("tier=front",)}, (CREATED,)),
        ({"label": ("tier=back",)}, ()),
        ({"label": ("team=",)}, (CREATED,)),
        ({"label": ("tier", "team")}, (CREATED,)),
        ({"label": ("tier", "colour")}, ()),  # all labels, where of other keys any value will do
        ({"container": ("web",)}, (CREATED,)),
        ({"container": ("/web",)}, ()),
        ({"container": ("we",)}, (CREATED,)),
        ({"container": ("abc",)}, (CREATED,)),
        ({"container": ("web", "db")}, (CREATED, CHECKED)),
        ({"container": ("nobody",)}, ()),
        ({"volume": ("data",)}, (MADE,)),
        ({"volume": ("web",)}, (CREATED,)),  # of whatever type, as in Docker
        ({"image": ()}, ALL),
        ({"network": ("bridge",)}, ()),
        *(({key: ("db", "dat")}, (MADE, CHECKED)) for key in EVERY_TYPE),
        *(({key: ("x",)}, ()) for key in EVERY_TYPE),
        ({"id": ("abc1",)}, ALL),  # no filter of Docker's: it filters nothing
        ({"name": ("web",)}, ALL),
        ({"image": ("busybox:1.36",)}, (CREATED,)),
        ({"image": ("busybox",)}, (CREATED,)),
        ({"image": ("busybox:1.37",)}, ()),
        ({"image": ("quay.io/me/app:v1",)}, (LOADED,)),
        ({"image": ("quay.io/me/app",)}, (LOADED,)),
        ({"image": ("sha256:abc2",)}, (LOADED, CHECKED)),
        ({"type": ("container",), "event": ("create",), "image": ("busybox",)}, (CREATED,)),
        ({"type": ("volume",), "event": ("load",)}, ()),
    ],
)
def test_an_event_passes_if_every_filter_lets_it(
    filters: dict[str, tuple[str, ...]], passing: tuple[Event, ...]
) -> None:
    assert tuple(event for event in ALL if passes(event, filters)) == passing


LEGACY = {"status": "create", "id": "abc1", "from": "busybox:1.36"}


@pytest.mark.parametrize(
    ("shown", "version", "legacy"),
    [
        (CREATED, (1, 51), LEGACY),
        (CREATED, (1, 52), {}),
        (LOADED, (1, 50), {"status": "load", "id": "sha256:abc2"}),
        (MADE, (1, 50), {}),
        (event("container", "prune", "", reclaimed="0"), (1, 50), {"status": "prune"}),
    ],
)
def test_an_event_has_its_old_fields_until_1_52(shown: Event, version: tuple[int, int], legacy: dict[str, str]) -> None:
    assert event_view(shown, version) == {
        **legacy,
        "Type": shown.type,
        "Action": shown.action,
        "Actor": {"ID": shown.actor_id, "Attributes": shown.attributes},
        "scope": "local",
        "time": 1_700_000_000,
        "timeNano": 1_700_000_000_123_456_789,
    }


def a_call(engine: Engine, query: str) -> Call:
    request: Any = Request(method="GET", path="/events", query=query, headers={}, body=None, has_body=False)  # type: ignore[arg-type]
    return Call(
        engine=engine,
        bodies=DecodedBodies(),
        listed=ListedViews(engine.config.data_root),
        watchers=Watchers(engine, "0"),
        request=request,
        version=(1, 50),
    )


async def told(call: Call) -> list[str]:
    """The actors of the events of a stream that ends by itself."""
    response = await events(call)
    assert isinstance(response.body, AsyncGenerator)
    content = b"".join([chunk async for chunk in response.body])
    return [json.loads(line)["Actor"]["ID"] for line in content.splitlines()]


def at(time_ns: int) -> Event:
    return Event(type="volume", action="create", actor_id=str(time_ns), attributes={}, time_ns=time_ns)


MOMENTS = [1_000_000_000, 1_500_000_000, 2_000_000_001]


@pytest.mark.anyio
async def test_the_past_is_told_between_since_and_until(tmp_path: Path) -> None:
    async with Engine(config_at(tmp_path)) as engine:
        for time_ns in MOMENTS:
            await engine.services.events.ask(EventBus.publish, at(time_ns))
        for query, expected in (
            ("since=0&until=3", MOMENTS),
            ("until=3", MOMENTS),  # all that is kept
            ("since=1.5&until=3", MOMENTS[1:]),
            ("since=1.500000001&until=3", MOMENTS[2:]),
            ("since=1&until=2", MOMENTS[:2]),
            ("since=1&until=1.5", MOMENTS[:2]),
            ("since=1970-01-01T00:00:01.5Z&until=1970-01-01T00:00:02.1Z", MOMENTS[1:]),
            ("since=0&until=1m", MOMENTS),
            ("since=1&until=3&filters=%7B%22type%22%3A%5B%22container%22%5D%7D", []),
            ("since=1&until=3&filters=%7B%22nosuch%22%3A%5B%22x%22%5D%7D", MOMENTS),
        ):
            assert await told(a_call(engine, query)) == [str(time_ns) for time_ns in expected], query


@pytest.mark.anyio
async def test_who_asks_for_no_time_is_told_news_only(tmp_path: Path) -> None:
    async with Engine(config_at(tmp_path)) as engine:
        await engine.services.events.ask(EventBus.publish, at(1))
        for query in ("", "since=-1"):
            response = await events(a_call(engine, query))
            assert isinstance(response.body, AsyncGenerator)
            await engine.services.events.ask(EventBus.publish, at(2))
            assert json.loads(await anext(response.body))["Actor"]["ID"] == "2"
            await response.body.aclose()
        assert await engine.services.events.ask(EventBus.count_subscribers) == 0


@pytest.mark.anyio
async def test_a_slow_reader_is_cut_off_with_an_error_in_the_stream(tmp_path: Path) -> None:
    async with Engine(config_at(tmp_path)) as engine:
        response = await events(a_call(engine, ""))
        assert isinstance(response.body, AsyncGenerator)
        for time_ns in range(PENDING_MAX + 1):
            await engine.services.events.ask(EventBus.publish, at(time_ns))
        lines = b"".join([chunk async for chunk in response.body]).splitlines()
        assert len(lines) == PENDING_MAX + 1
        message = "the event stream has been cut off: it fell behind, or the event bus has restarted"
        assert json.loads(lines[-1]) == {"errorDetail": {"message": message}, "error": message}


@pytest.mark.anyio
async def test_a_stream_ends_when_its_time_is_up(tmp_path: Path) -> None:
    async with Engine(config_at(tmp_path)) as engine:
        until = (engine.now_ns() + 50_000_000) / 1e9
        with anyio.fail_after(10):
            assert await told(a_call(engine, f"until={until:.9f}")) == []


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("since=2&until=1", "`since` time (2) cannot be after `until` time (1)"),
        ("since=yesterday", 'failed to parse value as time or duration: "yesterday"'),
        ("until=1.x", 'failed to parse value as time or duration: "1.x"'),
        ("filters=x", "invalid filter"),
    ],
)
async def test_a_time_or_filter_that_is_none_is_the_clients_mistake(query: str, text: str, tmp_path: Path) -> None:
    async with Engine(config_at(tmp_path)) as engine:
        with pytest.raises(InvalidParameter) as caught:
            await events(a_call(engine, query))
        assert str(caught.value) == text
