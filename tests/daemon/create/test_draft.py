"""A body that comes again is not thought through again, and that makes no difference to what becomes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from daemon.container import Container, ContainerConfig, EndpointSettings, HostConfig, MountRequest, NetworkingConfig
from daemon.create.draft import DRAFTS_MAX, Draft, Drafts
from daemon.create.request import CreateRequest
from daemon.engine import Engine
from daemon.errors import InvalidParameter, NotFound
from daemon.image import Image
from daemon.services.image_store import ImageStore
from daemon.storage.database import Database
from tests.daemon.harness import IMAGE, crash, engine_at
from tests.daemon.storage.records import image

BODY = CreateRequest(
    config=ContainerConfig(image="busybox", cmd=("true",), labels={"a": "b"}),
    host_config=HostConfig(network_mode="bridge"),
)


def of(body: CreateRequest, name: str = "", **changes: Any) -> CreateRequest:
    return replace(body, name=name, origin=body, **changes)


def draft(request: CreateRequest, image: Image | None = None) -> Draft:
    return Draft(request=request, image=image, networks={}, warnings=("w",), is_plain=True)


def test_a_draft_serves_others_with_the_same_body_under_their_own_name() -> None:
    drafts, first, second = Drafts(), of(BODY, "first"), of(BODY, "second")
    assert not drafts.has(first)
    drafts.keep(first, draft(first), 1)
    assert drafts.has(second)
    assert drafts.get(second, 1) == draft(second)


def test_when_images_have_changed_a_draft_is_good_for_the_image_that_it_was_made_with() -> None:
    drafts, first, second = Drafts(), of(BODY, "first"), of(BODY, "second")
    had, other = image(b"had"), image(b"other")
    drafts.keep(first, draft(first, had), 1)
    assert drafts.get(second, 2) is None
    assert drafts.renew(second, other, 2) is None
    assert drafts.renew(second, None, 2) is None
    assert drafts.get(second, 2) is None
    assert drafts.renew(second, had, 2) == draft(second, had)
    assert drafts.get(second, 2) == draft(second, had)
    assert drafts.get(second, 1) is None


def test_equal_bodies_that_were_decoded_twice_are_two() -> None:
    drafts, first = Drafts(), of(BODY)
    drafts.keep(first, draft(first), 1)
    assert not drafts.has(of(replace(BODY)))
    assert not drafts.has(BODY), "one that comes from no body stands for itself"


@pytest.mark.parametrize(
    "changes",
    [
        {"platform": "linux/amd64"},
        {"host_config": HostConfig(mounts=(MountRequest(type="bind", source="/tmp", target="/a"),))},
        {"host_config": HostConfig(network_mode="mine")},
        {"host_config": HostConfig(network_mode="container:web")},
        {"host_config": HostConfig(pid_mode="container:web")},
        {"host_config": HostConfig(ipc_mode="container:web")},
        {"networking": NetworkingConfig(endpoints_config={"mine": EndpointSettings()})},
    ],
)
def test_where_something_is_looked_up_it_is_looked_up_each_time(changes: dict[str, Any]) -> None:
    drafts, request = Drafts(), of(replace(BODY, **changes))
    drafts.keep(request, draft(request), 1)
    assert not drafts.has(request)


def test_a_platform_is_always_looked_at() -> None:
    drafts = Drafts()
    drafts.keep(of(BODY), draft(of(BODY)), 1)
    assert not drafts.has(of(BODY, platform="linux/arm64"))


def test_the_latest_are_kept() -> None:
    drafts, bodies = Drafts(), [replace(BODY) for _ in range(DRAFTS_MAX + 1)]
    for body in bodies:
        drafts.keep(of(body), draft(of(body)), 1)
    assert [drafts.has(of(body)) for body in bodies] == [False, *[True] * DRAFTS_MAX]


async def created(engine: Engine, request: CreateRequest) -> Container:
    container = await engine.services.database.ask(Database.container, (await engine.create(request)).id)
    assert container is not None
    return container


@pytest.mark.anyio
async def test_what_is_created_from_a_known_body_is_what_would_be_created_from_a_new_one(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        first, again, new = [
            await created(engine, request)
            for request in (of(BODY, "first"), of(BODY, "again"), of(replace(BODY), "new"))
        ]
    for container in (again, new):
        own = replace(
            container,
            id=first.id,
            name=first.name,
            created_ns=first.created_ns,
            config=replace(container.config, hostname=first.config.hostname),
        )
        assert container.config.hostname == container.id[:12]
        assert own == first


@pytest.mark.anyio
async def test_a_known_body_whose_image_is_another_now_or_gone(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        images = engine.services.images
        for name in ("first", "second", "third"):  # from the second on it is not looked up
            before = await created(engine, of(BODY, name))
        had = await images.ask(ImageStore.find, "busybox")
        other = replace(had, id=f"sha256:{'0' * 64}", config=ContainerConfig(env=("OTHER=1",)))
        await images.ask(ImageStore.add, other, (IMAGE,))
        after = await created(engine, of(BODY, "after"))
        assert (before.config.env, after.config.env) == (None, ("OTHER=1",))
        await images.ask(ImageStore.tag, had.id, IMAGE)
        assert (await created(engine, of(BODY, "again"))).config.env is None
        await images.ask(ImageStore.remove, "busybox", force=True, users={had.id: "c"})
        for name in ("one", "two"):
            with pytest.raises(NotFound):
                await engine.create(of(BODY, name))


@pytest.mark.anyio
async def test_an_image_that_comes_when_the_store_of_images_is_another_is_noticed(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        images = engine.services.images
        for name in ("first", "second", "third"):
            await engine.create(of(BODY, name))
        had = await images.ask(ImageStore.find, "busybox")
        crash(images)
        other = replace(had, id=f"sha256:{'0' * 64}", config=ContainerConfig(env=("OTHER=1",)))
        await images.ask(ImageStore.add, other, (IMAGE,))
        assert (await created(engine, of(BODY, "after"))).config.env == ("OTHER=1",)


@pytest.mark.anyio
async def test_what_was_refused_is_refused_again(tmp_path: Path) -> None:
    bad = replace(BODY, config=replace(BODY.config, working_dir="relative"))
    async with engine_at(tmp_path) as engine:
        for name in ("one", "two"):
            with pytest.raises(InvalidParameter, match="relative"):
                await engine.create(of(bad, name))
