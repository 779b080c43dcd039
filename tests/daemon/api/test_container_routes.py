"""The container endpoints from a path to JSON and back, with a real engine behind them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any, cast
from urllib.parse import quote, urlencode

import anyio
import attrs
import pytest

from daemon.api.container_list import LIST_FILTERS
from daemon.api.routes import Router
from daemon.container import ContainerConfig
from daemon.engine import Engine
from daemon.http.message import Request
from daemon.storage.database import Database
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

    async def status(self, method: str, target: str) -> int:
        """Of an answer that may be a stream: that is read to its end, or let go after a moment."""
        path, _, query = target.partition("?")
        body = cast("Any", Body(b""))
        response = await self.router(
            Request(method=method, path=path, query=query, headers={}, body=body, has_body=False)
        )
        if not isinstance(response.body, bytes):
            async with aclosing(response.body) as lines:
                with anyio.move_on_after(0.01):
                    async for _ in lines:
                        pass
        return response.status

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
    loaded = await engine.intake.import_rootfs(
        Bytes(rootfs_tar()),
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
            (filters(name=["^/a1$"]), []),
            (f"all=1&{filters(name=['^/a1$', '^c1$'])}", ["/c1", "/a1"]),
            (f"all=1&{filters(name=['^/a1$'], status=['running'])}", []),
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


ODD = [
    *(
        "0 1 -1 true x web /web a/b % [ ( * \\ 1.5 1e9 2023-02-31 0001-01-01 9999-12-31T23:59:59Z 10m -5h 80/tcp 1-2 65536 "
        "created null {} busybox sha256: @ label=x = 99999999999999999999h 1970-01-01T00:00:00+99:99 caf\u00e9 \u0661 \U0001f6a2"
    ).split(),
    *("", " ", "\0", "\n", "a" * 300, "9" * 40, "0" * 5_000, "\ud800"),
]
FILTER_NAMES = [
    *sorted(LIST_FILTERS),
    *("type", "event", "scope", "image", "container", "label!", "until", "dangling", "reference", "nosuch", ""),
]
TARGETS = [
    ("GET", "/containers/json", ["all", "limit", "size", "filters"]),
    ("GET", "/images/json", ["all", "shared-size", "filter", "filters"]),
    ("POST", "/containers/prune", ["filters"]),
    ("GET", "/events", ["since", "until", "filters"]),
    ("GET", "/containers/{}/json", ["size"]),
    ("POST", "/containers/{}/rename", ["name"]),
    ("DELETE", "/containers/{}", ["v", "link", "force"]),
    ("GET", "/containers/{}/logs", ["stdout", "stderr", "since", "until", "tail"]),
    ("GET", "/containers/{}/top", ["ps_args"]),
    ("POST", "/containers/{}/kill", ["signal"]),
    ("POST", "/containers/{}/resize", ["h", "w"]),
    ("POST", "/containers/{}/wait", ["condition"]),
    ("POST", "/containers/{}/stop", ["t"]),
    ("GET", "/volumes", ["filters"]),
    ("GET", "/volumes/{}", []),
    ("DELETE", "/volumes/{}", ["force"]),
    ("POST", "/volumes/prune", ["filters"]),
    ("GET", "/networks", ["filters"]),
    ("GET", "/networks/{}", ["verbose", "scope"]),
    ("DELETE", "/networks/{}", []),
    ("POST", "/networks/prune", ["filters"]),
]
UPDATES = "Memory MemorySwap NanoCpus CpuPeriod PidsLimit CpusetCpus RestartPolicy BlkioWeight Ulimits".split()
VALUES: list[object] = [
    *(None, 0, 1, -1, 2**62, -(2**63), 64 << 20, 1.5, True, "x", "", [], {}),
    *({"Name": "always"}, [{"Name": None}]),
]


async def test_no_input_is_a_defect_of_ours(tmp_path: Path) -> None:
    rng = Random(28)
    seen = set[int]()

    def odd_filters() -> str:
        kind = rng.randrange(4)
        values: object = rng.choices(ODD, k=rng.randrange(3))
        if kind == 0:
            values = dict.fromkeys(cast("list[str]", values), True)
        elif kind == 1:
            values = rng.choice(VALUES)
        return json.dumps({rng.choice(FILTER_NAMES): values for _ in range(rng.randrange(3))})

    async with a_client(tmp_path) as client:
        for _ in range(600):
            if "/web" not in await client.names("all=1"):
                await client.create("web")
            method, path, keys = rng.choice(TARGETS)
            query = {key: odd_filters() if key == "filters" else rng.choice(ODD) for key in keys if rng.random() < 0.7}
            if path == "/events":
                query |= {"until": query.get("until") or "1"}
            version = rng.choice(["", "/v1.24", "/v1.30", "/v1.41", "/v1.50"])
            target = version + path.format(quote(rng.choice(["web", "web", *ODD]), safe="", errors="surrogatepass"))
            target += "?" + urlencode(query, errors="surrogatepass")
            seen.add(await client.status(method, target))
            body = {rng.choice(UPDATES): rng.choice(VALUES) for _ in range(rng.randrange(4))}
            seen.add((await client.call("POST", "/containers/web/update", body))[0])
    assert 500 not in seen
    assert {200, 204, 400, 404, 409} <= seen


async def test_what_was_not_found_is_not_listed_any_more_though_its_removal_goes_on(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        container_id = await client.create("web")
        await client.engine.services.database.ask(Database.delete_container, container_id)  # as the removal does first
        assert await client.status("GET", "/containers/web/json") == 404
        assert await client.names("all=1") == []
