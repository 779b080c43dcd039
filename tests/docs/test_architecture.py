"""The drawing of the architecture: its actors are those that there are, its arrows the messages of a create, in their order."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path

import pytest

from actors import ChildStarted, Event
from daemon import ContainerConfig, CreateRequest, Engine, Instruments
from daemon.create.request import Idempotency
from daemon.services.event_bus import EventBus
from tests.daemon.harness import config_at
from tests.docs.pages import blocks_of

PAGE = Path(__file__).parents[2] / "docs/architecture.md"


class Watcher:
    """Of an engine: who is started by whom, and which messages are handled."""

    def __init__(self) -> None:
        self.tree: dict[str, list[str]] = {}
        self.handled: list[tuple[str, str]] = []

    def on_event(self, event: Event) -> None:
        if isinstance(event, ChildStarted):
            self.tree.setdefault(event.supervisor, []).append(event.child)

    async def before_handle(self, actor: str, method: str) -> None:
        self.handled.append((actor, method))

    async def after_handle(self, actor: str, method: str) -> None: ...


def drawing() -> str:
    (found,) = (block.text for block in blocks_of(PAGE.read_text()) if block.language == "mermaid")
    return found


async def watched_create(home: Path) -> Watcher:
    """One with everything that a create may have: a key, an image, a volume."""
    watcher = Watcher()
    config = ContainerConfig(image="demo", cmd=("hello",), volumes=("/data",))
    request = CreateRequest(config=config, idempotency=Idempotency(key="k", fingerprint="f"))
    async with Engine(config_at(home), Instruments(on_event=watcher.on_event, hooks=watcher)) as engine:
        await engine.make_image("demo", {"bin/sh": b""})
        await engine.services.events.ask(EventBus.count_subscribers)  # the image's own event has been handled
        watcher.handled.clear()
        await engine.create(request)
    return watcher  # the actors have finished what was queued


@pytest.fixture
def anyio_backend() -> str:
    """Which loop it is makes no difference here."""
    return "asyncio"


@pytest.mark.anyio
async def test_the_drawing_is_true(tmp_path: Path) -> None:
    watcher = await watched_create(tmp_path)
    boxes = re.findall(r"subgraph (\w+) \[.*\]\n((?:(?!\s*subgraph).*\n)*?)\s*end\n", drawing())
    assert {name: re.findall(r"^\s*(\w+)\W", nodes, re.MULTILINE) for name, nodes in boxes} == watcher.tree
    arrows = re.findall(r'pipeline -->\|"(\d+) (\w+)"\| (\w+)\n', drawing())
    assert [int(number) for number, _, _ in arrows] == list(range(1, len(arrows) + 1))
    assert [(actor, method) for _, method, actor in arrows] == [message for message, _ in groupby(watcher.handled)]


def test_every_arrow_is_between_nodes_of_the_drawing() -> None:
    nodes = set(re.findall(r"(\w+)[\[(]+\"", drawing()))
    for before, after in re.findall(r"(\w+)(?:[\[(]+\".*?\"[\])]+)? -->(?:\|.*?\|)? (\w+)", drawing()):
        assert {before, after} <= nodes
