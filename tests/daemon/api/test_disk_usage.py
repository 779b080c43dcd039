"""Sizes, asked as a client asks them, with a real engine behind."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest

from daemon.api.routes import Router
from daemon.container import ContainerConfig, HostConfig
from daemon.create.request import CreateRequest
from tests.daemon.api.test_routes import Asker
from tests.daemon.harness import engine_at
from tests.daemon.storage.making import adding, tar_by

pytestmark = pytest.mark.anyio

IMAGE_BYTES = 10


@attrs.frozen
class Client:
    _asker: Asker

    async def get(self, target: str) -> Any:
        response = await self._asker.ask("GET", target)
        assert isinstance(response.body, bytes)
        return json.loads(response.body)

    async def put(self, path: str, content: bytes) -> None:
        archive = tar_by(adding("f", content=content)).getvalue()
        response = await self._asker.ask("PUT", f"/containers/web/archive?path={path}", archive)
        assert response.status == 200


@asynccontextmanager
async def client_at(root: Path) -> AsyncIterator[Client]:
    """With a container `web` that has a volume."""
    async with engine_at(root) as engine:
        config = ContainerConfig(image="busybox", cmd=("sh",))
        host_config = HostConfig(binds=("data:/data",))
        await engine.create(CreateRequest(name="web", config=config, host_config=host_config))
        yield Client(Asker(Router(engine)))


async def test_what_was_copied_into_a_container_counts_where_sizes_are_told(tmp_path: Path) -> None:
    async with client_at(tmp_path) as client:
        for own in (0, 3):
            if own:
                await client.put("/", b"x" * own)
            shown = await client.get("/containers/web/json?size=1")
            assert (shown["SizeRw"], shown["SizeRootFs"]) == (own, own + IMAGE_BYTES)
            (listed,) = await client.get("/containers/json?all=1&size=1")
            assert (listed.get("SizeRw", 0), listed["SizeRootFs"]) == (own, own + IMAGE_BYTES)
            (listed,) = await client.get("/containers/json?all=1")
            assert "SizeRw" not in listed
            assert "SizeRw" not in await client.get("/containers/web/json")


async def test_disk_usage_is_of_images_containers_and_volumes(tmp_path: Path) -> None:
    async with client_at(tmp_path) as client:
        await client.put("/", b"x" * 3)
        await client.put("/data", b"x" * 5)
        view = await client.get("/system/df")
        assert (view["LayersSize"], view["BuildCache"]) == (IMAGE_BYTES, [])
        (image,), (container,), (volume,) = view["Images"], view["Containers"], view["Volumes"]
        assert (image["RepoTags"], image["Size"], image["SharedSize"], image["Containers"]) == (
            ["busybox:latest"],
            IMAGE_BYTES,
            0,
            1,
        )
        assert (container["Names"], container["SizeRw"], container["SizeRootFs"]) == (["/web"], 3, 3 + IMAGE_BYTES)
        assert (volume["Name"], volume["UsageData"]) == ("data", {"RefCount": 1, "Size": 5})


async def test_only_what_is_asked_for_is_measured(tmp_path: Path) -> None:
    async with client_at(tmp_path) as client:
        view = await client.get("/system/df?type=image&type=volume")
        assert (view["Containers"], view["BuildCache"], len(view["Images"]), len(view["Volumes"])) == (None, None, 1, 1)
        assert (await client.get("/v1.41/system/df?type=none"))["Containers"] is not None
        assert await client.get("/system/df?type=none") == {"message": "unknown object type: none"}


@pytest.mark.parametrize(
    ("target", "status", "text"),
    [
        ("/build/prune", 200, ""),
        ("/v1.50/build/prune?all=1&max-used-space=5", 200, ""),
        ("/v1.47/build/prune?max-used-space=x", 200, ""),
        (
            "/build/prune?keep-storage=x",
            400,
            'keep-storage is in bytes and expects an integer, got x: strconv.Atoi: parsing "x": invalid syntax',
        ),
        ("/build/prune?filters=x", 400, "invalid filter"),
    ],
)
async def test_there_is_no_build_cache_to_prune(target: str, status: int, text: str, tmp_path: Path) -> None:
    async with client_at(tmp_path) as client:
        response = await client._asker.ask("POST", target)
    assert isinstance(response.body, bytes)
    expected = {"message": text} if text else {"CachesDeleted": None, "SpaceReclaimed": 0}
    assert (response.status, json.loads(response.body)) == (status, expected)


async def test_what_is_there_for_another_image_only_is_not_told_of(tmp_path: Path) -> None:
    async with client_at(tmp_path) as client:
        for path in ("/commit?container=web&repo=a", "/commit?container=web&repo=b"):
            assert (await client._asker.ask("POST", path)).status == 201
        usage = await client.get("/system/df?type=image")
        assert len(usage["Images"]) == 3
        assert {
            len(image["RepoTags"]): image["Containers"] for image in usage["Images"] if image["ParentId"] == ""
        } == {1: 1}
        await client._asker.ask("DELETE", "/images/busybox?force=1")
        usage = await client.get("/system/df?type=image")
    assert sorted(image["RepoTags"] for image in usage["Images"]) == [["a:latest"], ["b:latest"]]
