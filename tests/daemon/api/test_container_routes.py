"""The container endpoints from a path to JSON and back, with a real engine behind them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import attrs
import pytest

from daemon.api.routes import Router
from daemon.container import ContainerConfig
from daemon.engine import Engine
from daemon.http.message import Request
from daemon.services.image_loader import ImageLoader
from tests.daemon.harness import IMAGE, Bytes, engine_at, rootfs_tar

pytestmark = pytest.mark.anyio


class Body(Bytes):
    async def read(self, bytes_max: int) -> bytes:
        return await self.receive()


@attrs.frozen
class Client:
    engine: Engine
    router: Router

    async def call(self, method: str, target: str, body: object = None) -> tuple[int, Any]:
        path, _, query = target.partition("?")
        content = b"" if body is None else json.dumps(body).encode()
        request = Request(
            method=method,
            path=path,
            query=query,
            headers={"content-type": "application/json", "content-length": str(len(content))},
            body=cast("Any", Body(content)),
            has_body=bool(content),
        )
        response = await self.router(request)
        assert isinstance(response.body, bytes)
        return response.status, json.loads(response.body) if response.body else None

    async def create(self, name: str, **fields: object) -> str:
        status, answer = await self.call(
            "POST", f"/containers/create?name={name}", {"Image": "busybox", "Cmd": ["a"], **fields}
        )
        assert status == 201, answer
        return str(answer["Id"])

    async def names(self, query: str) -> list[str]:
        status, listed = await self.call("GET", f"/containers/json?{query}")
        assert status == 200, listed
        return [container["Names"][0] for container in listed]


def filters(**values: object) -> str:
    return "filters=" + quote(json.dumps({key.replace("_", "!"): value for key, value in values.items()}))


@asynccontextmanager
async def a_client(root: Path) -> AsyncIterator[Client]:
    async with engine_at(root) as engine:
        yield Client(engine, Router(engine))


async def import_busybox(engine: Engine, **labels: str) -> str:
    loaded = await engine.services.loader.ask(
        ImageLoader.import_rootfs,
        cast("Any", Bytes(rootfs_tar())),
        config=ContainerConfig(labels=labels),
        created="2026-01-02T00:00:00Z",
        message="",
        reference=IMAGE,
    )
    return loaded.image.id


async def test_the_list_is_newest_first_and_of_running_containers_unless_more_is_asked_for(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        for name in ("a1", "b1", "c1"):
            await client.create(name)
        for query, expected in (
            ("", []),
            ("all=0", []),
            ("limit=0", []),
            ("limit=-1", []),
            ("all=1", ["/c1", "/b1", "/a1"]),
            ("all=1&limit=2", ["/c1", "/b1"]),
            ("limit=2", ["/c1", "/b1"]),
            ("limit=9", ["/c1", "/b1", "/a1"]),
            (filters(name=["a1"]), []),
            (filters(status=["created"]), ["/c1", "/b1", "/a1"]),
            (filters(status=["exited"]), []),
            (f"limit=1&{filters(name=['a1', 'b1'])}", ["/b1"]),
            (f"all=1&{filters(before=['c1'])}", ["/b1", "/a1"]),
            (f"all=1&{filters(since=['a1'], before=['c1'])}", ["/b1"]),
        ):
            assert await client.names(query) == expected, query


async def test_mistakes_are_told_even_where_nothing_would_be_listed(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        for query, status, text in (
            ("limit=x", 400, 'strconv.Atoi: parsing "x": invalid syntax'),
            (filters(colour=["red"]), 400, "invalid filter 'colour'"),
            (filters(before=["nobody"]), 404, "No such container: nobody"),
            (filters(health=["well"]), 400, "invalid filter 'health=well'"),
        ):
            found = await client.call("GET", f"/containers/json?{query}")
            assert found[0] == status
            assert found[1]["message"].startswith(text)


async def test_an_image_is_listed_as_typed_while_that_means_it_and_else_by_its_id(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        typed = {"web": "busybox", "tag": "busybox:latest", "long": "docker.io/library/busybox"}
        for name, image in typed.items():
            await client.create(name, Image=image)
        (listed, *_) = (await client.call("GET", "/containers/json?all=1"))[1]
        image_id = listed["ImageID"]
        await client.create("byid", Image=image_id)
        await client.create("short", Image=image_id[7:19])
        await client.create("none", Image="")
        typed |= {"byid": image_id, "short": image_id[7:19], "none": ""}

        async def shown() -> dict[str, str]:
            containers = (await client.call("GET", "/containers/json?all=1"))[1]
            return {container["Names"][0][1:]: container["Image"] for container in containers}

        assert await shown() == typed
        await import_busybox(client.engine, newer="1")
        moved = dict.fromkeys(("web", "tag", "long"), image_id)
        assert await shown() == {**typed, **moved}


async def test_sizes_are_told_if_they_are_asked_for(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        await client.create("web")
        await client.create("none", Image="")

        async def sizes(query: str) -> list[dict[str, int]]:
            containers = (await client.call("GET", f"/containers/json?all=1&{query}"))[1]
            return [{key: value for key, value in one.items() if key.startswith("Size")} for one in containers]

        assert await sizes("size=0") == [{}, {}]
        assert await sizes("size=1") == [{}, {"SizeRootFs": 10}]
        inspected = (await client.call("GET", "/containers/web/json?size=1"))[1]
        assert (inspected["SizeRw"], inspected["SizeRootFs"]) == (0, 10)
        assert "SizeRw" not in (await client.call("GET", "/containers/web/json"))[1]


async def test_an_update_is_answered_with_its_warnings_and_shown_by_inspect(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        await client.create("web", HostConfig={"Memory": 64 << 20})
        body = {"Memory": 32 << 20, "CpuShares": 7, "RestartPolicy": {"Name": "always"}, "Binds": 5}
        status, answer = await client.call("POST", "/containers/web/update", body)
        assert (status, list(answer)) == (200, ["Warnings"])
        assert answer["Warnings"] is None or all("IPv4" in warning for warning in answer["Warnings"])
        host_config = (await client.call("GET", "/containers/web/json"))[1]["HostConfig"]
        assert (host_config["Memory"], host_config["MemorySwap"], host_config["CpuShares"]) == (32 << 20, 128 << 20, 7)
        assert host_config["RestartPolicy"] == {"Name": "always", "MaximumRetryCount": 0}
        for target, wrong, expected in (
            ("web", {"Memory": 1}, (400, "Minimum memory limit allowed is 6MB")),
            ("nobody", {"Memory": 1}, (400, "Minimum memory limit allowed is 6MB")),
            ("nobody", {}, (404, "No such container: nobody")),
            ("web", None, (400, "invalid JSON: got EOF while reading request body")),
        ):
            found = await client.call("POST", f"/containers/{target}/update", wrong)
            assert (found[0], found[1]["message"]) == expected


@pytest.mark.parametrize(
    ("query", "gone"),
    [
        ("", ["old", "front", "back"]),
        (filters(label=["tier"]), ["front", "back"]),
        (filters(label=["tier=front"]), ["front"]),
        (filters(label_=["tier"]), ["old"]),
        (filters(label_=["tier=front"]), ["old", "back"]),
        (filters(label=["tier"], label_=["tier=back"]), ["front"]),
        (filters(label_=[]), []),
        (filters(until=["1000"]), []),
        (filters(until=["24h"]), []),
        (filters(until=["2999-01-01"]), ["old", "front", "back"]),
        (filters(until=[]), ["old", "front", "back"]),
    ],
)
async def test_a_prune_removes_what_its_filters_let_pass(query: str, gone: list[str], tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        ids = {
            "old": await client.create("old"),
            "front": await client.create("front", Labels={"tier": "front"}),
            "back": await client.create("back", Labels={"tier": "back"}),
        }
        status, answer = await client.call("POST", f"/containers/prune?{query}")
        expected = [ids[name] for name in reversed(gone)] or None
        assert (status, answer) == (200, {"ContainersDeleted": expected, "SpaceReclaimed": 0})
        left = await client.names("all=1")
        assert left == [f"/{name}" for name in reversed(ids) if name not in gone]


async def test_filters_that_make_no_sense_prune_nothing(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        await client.create("web")
        for query, text in (
            (filters(name=["web"]), "invalid filter 'name'"),
            (filters(until=["1m", "2m"]), "more than one until filter specified"),
            (filters(until=["soon"]), 'failed to parse value as time or duration: "soon"'),
            ("filters=x", "invalid filter"),
        ):
            status, answer = await client.call("POST", f"/containers/prune?{query}")
            assert (status, answer["message"]) == (400, text)
        assert await client.names("all=1") == ["/web"]


async def test_a_container_is_removed_by_any_of_its_names_with_any_of_dockers_flags(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        for flags in ("", "v=1", "force=1", "v=1&force=true&link=0"):
            container_id = await client.create("web")
            for name in ("web", "%2Fweb", container_id, container_id[:12]):
                assert await client.call("DELETE", f"/containers/{name}?link=1") == (
                    409,
                    {"message": "Conflict, cannot remove the default link name of the container"},
                )
            assert await client.call("DELETE", f"/containers/{container_id[:12]}?{flags}") == (204, None)
        for query in ("", "link=1", "force=1"):
            found = await client.call("DELETE", f"/containers/web?{query}")
            assert found == (404, {"message": "No such container: web"})


async def test_images_are_listed_with_filters_and_what_they_share(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        newer = await import_busybox(client.engine, tier="front")

        async def listed(query: str, version: str = "") -> list[dict[str, Any]]:
            status, images = await client.call("GET", f"{version}/images/json?{query}")
            assert status == 200, images
            return cast("list[dict[str, Any]]", images)

        assert [image["RepoTags"] for image in await listed("")] == [["busybox:latest"], []]
        assert [image["SharedSize"] for image in await listed("")] == [-1, -1]
        assert [image["SharedSize"] for image in await listed("shared-size=1")] == [10, 10]
        assert [image["SharedSize"] for image in await listed("shared-size=1", "/v1.41")] == [-1, -1]
        assert [image["Id"] for image in await listed(filters(dangling=["false"]))] == [newer]
        assert [image["Id"] for image in await listed(filters(label=["tier=front"]))] == [newer]
        assert [image["Id"] for image in await listed("filter=busy*", "/v1.40")] == [newer]
        assert len(await listed("filter=busy*", "/v1.41")) == 2
        assert [image["Id"] for image in await listed(filters(since=["busybox"]))] == []


async def test_info_counts_who_listens_to_events(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        assert (await client.call("GET", "/info"))[1]["NEventsListener"] == 0
        assert (await client.call("GET", "/v1.24/info"))[1]["RuncCommit"] == {"ID": "", "Expected": ""}
        version = (await client.call("GET", "/version"))[1]
        keys = (
            "Platform Components Version ApiVersion MinAPIVersion GitCommit GoVersion Os Arch KernelVersion BuildTime"
        )
        assert set(keys.split()) <= set(version)


async def test_a_hostile_filter_is_answered_at_once(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        await client.create("a" * 60)
        for pattern in ("(a*)*$x", "(a|a)*b", "(" * 500, "a{1000}{1000}"):
            assert await client.names(f"all=1&{filters(name=[pattern], id=[pattern])}") == []
