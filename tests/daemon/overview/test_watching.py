"""Watching a real engine: also while its actors crash, restart and hang."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import anyio
import pytest

from actors import Refused
from actors.testing import crash, quiesce
from daemon import ContainerConfig, CreateRequest, Engine, Instruments
from daemon.errors import Unavailable
from daemon.overview import Actor, Overview
from daemon.overview.watching import WATCHERS_MAX, Watchers
from daemon.services.event_bus import EventBus
from tests.daemon.harness import config_at

pytestmark = pytest.mark.anyio


def actor_of(overview: Overview, name: str) -> Actor:
    return next(actor for tree in overview.trees for actor in tree.actors if actor.name == name)


def told(overview: Overview) -> list[tuple[str, str, str]]:
    return [(event.kind, event.action, event.name) for event in overview.events]


def request(name: str = "", image: str = "demo") -> CreateRequest:
    return CreateRequest(name=name, config=ContainerConfig(image=image, cmd=("true",)))


async def test_a_watcher_sees_creates_actors_and_events(tmp_path: Path) -> None:
    async with Engine(config_at(tmp_path)) as engine:
        await engine.make_image("demo")
        watchers = Watchers(engine, "1.2.3")
        await engine.create(request("early"))
        with watchers.watching() as watcher:
            first = await watcher.look()
            assert (first.version, first.creates.created) == ("1.2.3", 1)
            assert [tree.name for tree in first.trees] == ["storage", "services"]
            await engine.create(request("web"))
            with pytest.raises(Refused):
                await engine.create(request(image="nosuch"))
            await watcher.listen(0.05)
            second = await watcher.look()
    assert (second.creates.created, second.creates.refused) == (2, {"not_found": 1})
    assert told(second)[-2:] == [("container", "create", "early"), ("container", "create", "web")]
    assert len(second.events[-1].id) == 64
    assert actor_of(second, "allocator").handled > actor_of(first, "allocator").handled
    assert actor_of(first, "allocator").handled_per_s is None
    assert (actor_of(second, "allocator").handled_per_s or 0) > 0


async def test_a_crash_is_seen_and_what_is_published_after_it_too(tmp_path: Path) -> None:
    async with Engine(config_at(tmp_path)) as engine:
        await engine.make_image("demo")
        with Watchers(engine, "1").watching() as watcher:
            await watcher.look()
            await engine.create(request("before"))
            await watcher.listen(0.02)
            crash(engine.services.events)
            await quiesce()
            await watcher.listen(0.02)
            await watcher.look()
            await engine.create(request("after"))
            await watcher.listen(0.02)
            overview = await watcher.look()
    assert actor_of(overview, "events").restarts == 1
    assert "InjectedCrash" in actor_of(overview, "events").last_crash
    seen = told(overview)
    assert ("actor", "crashed", "events") in seen
    assert ("actor", "restarted", "events") in seen
    assert [name for kind, action, name in seen if (kind, action) == ("container", "create")] == ["before", "after"]


class Stuck:
    """The event bus handles no message, until it is let go."""

    def __init__(self) -> None:
        self.go = anyio.Event()

    async def before_handle(self, actor: str, method: str) -> None:
        if actor == "events":
            await self.go.wait()

    async def after_handle(self, actor: str, method: str) -> None: ...


async def test_an_event_bus_that_hangs_is_seen_to_hang(tmp_path: Path) -> None:
    stuck = Stuck()
    async with Engine(config_at(tmp_path), Instruments(hooks=stuck)) as engine:
        engine.services.events.tell(EventBus.count_subscribers)
        with Watchers(engine, "1").watching() as watcher:
            with anyio.fail_after(5):
                overview = await watcher.look()
            assert actor_of(overview, "events").handling == "count_subscribers"
            stuck.go.set()
            await watcher.look()
            assert await engine.services.events.ask(EventBus.count_subscribers) == 1
        assert await engine.services.events.ask(EventBus.count_subscribers) == 0


async def test_so_many_may_watch_and_who_goes_makes_room(tmp_path: Path) -> None:
    async with Engine(config_at(tmp_path)) as engine:
        watchers = Watchers(engine, "1")
        with ExitStack() as stack:
            for _ in range(WATCHERS_MAX):
                stack.enter_context(watchers.watching())
            with pytest.raises(Unavailable), watchers.watching():
                raise AssertionError("not reached")
        with watchers.watching() as watcher:
            await watcher.look()


async def test_of_a_watcher_that_does_not_listen_only_the_latest_events_wait(tmp_path: Path) -> None:
    async with Engine(config_at(tmp_path)) as engine:
        await engine.make_image("demo")
        with Watchers(engine, "1").watching() as watcher:
            await watcher.look()
            for number in range(30):
                await engine.create(request(f"c{number}"))
            assert watcher._subscription is not None
            assert len(watcher._subscription._values) == 20
            await watcher.listen(0.02)
            names = [event.name for event in (await watcher.look()).events]
    assert names == [f"c{number}" for number in range(10, 30)]
