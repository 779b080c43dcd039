"""The volume endpoints: JSON in, JSON out, statuses and texts. With a real engine behind them."""

from __future__ import annotations

import datetime
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import attrs
import pytest
from msgspec.structs import replace

from daemon.api.routes import Router
from daemon.api.volumes import decode_volume, listed_by, pruned_by
from daemon.engine import Engine
from daemon.errors import InvalidParameter, Unavailable
from daemon.services.volume_index import ListedVolume
from daemon.volume import ANONYMOUS_LABEL, VolumeRequest
from tests.daemon.api.test_routes import Asker
from tests.daemon.harness import engine_at, state_of
from tests.daemon.storage.records import volume

NO_SWARM = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm '
    "and try again."
)


@attrs.frozen
class Client:
    """The API as JSON."""

    engine: Engine
    asker: Asker

    async def call(self, method: str, target: str, body: object = None) -> tuple[int, Any]:
        content = b"" if body is None else json.dumps(body).encode()
        response = await self.asker.ask(method, target, content)
        assert isinstance(response.body, bytes)
        return response.status, json.loads(response.body) if response.body else None

    async def fails(self, method: str, target: str, body: object = None) -> tuple[int, str]:
        status, answer = await self.call(method, target, body)
        assert list(answer) == ["message"]
        return status, answer["message"]

    async def names(self, query: str = "") -> list[str]:
        status, answer = await self.call("GET", f"/volumes{query}")
        assert status == 200
        assert list(answer) == ["Volumes", "Warnings"]
        assert answer["Warnings"] is None
        return [each["Name"] for each in answer["Volumes"]]


@asynccontextmanager
async def client_at(root: Path) -> AsyncIterator[Client]:
    async with engine_at(root) as engine:
        yield Client(engine, Asker(Router(engine)))


def filters(**values: object) -> str:
    return "?filters=" + quote(json.dumps(values))


# Over HTTP -----------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_volume_is_shown_as_docker_shows_it(tmp_path: Path) -> None:
    async with client_at(tmp_path) as client:
        before = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
        status, made = await client.call("POST", "/volumes/create", {"Name": "vol"})
        expected = {
            "CreatedAt": made["CreatedAt"],
            "Driver": "local",
            "Labels": None,
            "Mountpoint": str(client.engine.config.data_root / "volumes" / "vol" / "_data"),
            "Name": "vol",
            "Options": None,
            "Scope": "local",
        }
        assert (status, made) == (201, expected)
        assert list(made) == sorted(made)
        created = datetime.datetime.fromisoformat(made["CreatedAt"])
        assert before <= created <= datetime.datetime.now(datetime.UTC)
        assert "volumes/vol/_data" in (await state_of(client.engine)).files
        assert await client.call("GET", "/volumes/vol") == (200, expected)
        assert await client.call("GET", "/v1.24/volumes") == (200, {"Volumes": [expected], "Warnings": None})
        assert await client.call("DELETE", "/volumes/vol") == (204, None)
        assert await client.call("GET", "/volumes") == (200, {"Volumes": [], "Warnings": None})


@pytest.mark.anyio
async def test_labels_and_options_are_shown_as_they_were_given(tmp_path: Path) -> None:
    options = {"type": "tmpfs", "device": "tmpfs", "o": "size=100m,uid=1000"}
    async with client_at(tmp_path) as client:
        for name, given in (("full", ({"k": "v"}, options)), ("empty", ({}, {})), ("null", (None, None))):
            body = {"Name": name, "Driver": "local", "Labels": given[0], "DriverOpts": given[1]}
            await client.call("POST", "/volumes/create", body)
            _, shown = await client.call("GET", f"/volumes/{name}")
            assert (shown["Labels"], shown["Options"]) == given


@pytest.mark.anyio
async def test_a_name_is_generated_where_none_is_given(tmp_path: Path) -> None:
    async with client_at(tmp_path) as client:
        for body in (None, {}, {"Name": ""}, {"labels": {"k": "v"}, "unknown": 1}):
            status, made = await client.call("POST", "/volumes/create", body)
            assert status == 201
            assert len(made["Name"]) == 64
            assert made["Labels"][ANONYMOUS_LABEL] == ""
        assert made["Labels"] == {"k": "v", ANONYMOUS_LABEL: ""}


CREATIONS: list[tuple[object, int, str]] = [
    ([], 400, "invalid JSON: json: cannot unmarshal array into Go value of type volume.CreateOptions"),
    ("x", 400, "invalid JSON: json: cannot unmarshal string into Go value of type volume.CreateOptions"),
    (
        {"Name": 1},
        400,
        "invalid JSON: json: cannot unmarshal number into Go struct field CreateOptions.Name of type string",
    ),
    (
        {"Labels": ["a"]},
        400,
        "invalid JSON: json: cannot unmarshal array into Go struct field CreateOptions.Labels of type map[string]string",
    ),
    ({"Name": "v"}, 400, "create v: volume name is too short, names should be at least two alphanumeric characters"),
    (
        {"Name": "/vol"},
        400,
        'create /vol: "/vol" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are '
        "allowed. If you intended to pass a host directory, use absolute path",
    ),
    (
        {"Name": "vol", "Driver": "nfs"},
        404,
        'create vol: error looking up volume plugin nfs: plugin "nfs" not found',
    ),
    ({"Name": "vol", "DriverOpts": {"foobar": "foobaz"}}, 400, 'create vol: invalid option: "foobar"'),
    ({"Name": "vol", "DriverOpts": {"type": "nfs"}}, 400, 'create vol: missing required option: "device"'),
    ({"Name": "vol", "DriverOpts": {"size": "1g"}}, 400, "create vol: quota size requested but no quota support"),
    ({"Name": "vol", "ClusterVolumeSpec": {}}, 503, NO_SWARM),
]


@pytest.mark.anyio
async def test_a_creation_that_makes_no_sense_is_refused_with_dockers_text_and_leaves_nothing(tmp_path: Path) -> None:
    async with client_at(tmp_path) as client:
        before = await state_of(client.engine)
        for body, status, text in CREATIONS:
            assert await client.fails("POST", "/volumes/create", body) == (status, text)
        assert await client.fails("GET", "/volumes/none") == (404, "get none: no such volume")
        assert await client.fails("GET", "/volumes/a%2Fb") == (404, "get a/b: no such volume")
        assert await client.fails("DELETE", "/volumes/none") == (404, "get none: no such volume")
        assert await client.call("DELETE", "/volumes/none?force=1") == (204, None)
        assert await state_of(client.engine) == before


@pytest.mark.anyio
async def test_without_a_swarm_no_volume_is_updated(tmp_path: Path) -> None:
    text = "volume update only valid for cluster volumes, but swarm is unavailable"
    async with client_at(tmp_path) as client:
        for target in ("/volumes/none", "/volumes/none?version=x", "/v1.42/volumes/none?version=1"):
            assert await client.fails("PUT", target, {}) == (503, text)


@pytest.mark.anyio
async def test_a_volume_in_use_names_its_containers(tmp_path: Path) -> None:
    async with client_at(tmp_path) as client:
        body = {"Image": "busybox", "Cmd": ["true"], "HostConfig": {"Binds": ["vol:/data"]}}
        ids = sorted([(await client.call("POST", "/containers/create", body))[1]["Id"] for _ in range(2)])
        text = f"remove vol: volume is in use - [{ids[0]}, {ids[1]}]"
        for target in ("/volumes/vol", "/volumes/vol?force=true"):
            assert await client.fails("DELETE", target) == (409, text)
        assert await client.call("DELETE", f"/containers/{ids[0]}?v=1") == (204, None)
        assert await client.call("DELETE", f"/containers/{ids[1]}?v=1") == (204, None)
        assert await client.call("DELETE", "/volumes/vol") == (204, None)


@pytest.mark.anyio
async def test_the_list_is_filtered(tmp_path: Path) -> None:
    async with client_at(tmp_path) as client:
        for body in ({"Name": "used"}, {"Name": "free", "Labels": {"k": "v"}}):
            await client.call("POST", "/volumes/create", body)
        create = {"Image": "busybox", "Cmd": ["true"], "HostConfig": {"Binds": ["used:/data"]}}
        assert (await client.call("POST", "/containers/create", create))[0] == 201
        assert await client.names() == ["free", "used"]
        assert await client.names(filters(dangling=["true"])) == ["free"]
        assert await client.names(filters(dangling={"0": True})) == ["used"]
        assert await client.names(filters(label=["k=v"])) == ["free"]
        assert await client.names(filters(name=["^us"])) == ["used"]
        assert await client.names(filters(driver=["nfs"])) == []


FILTERS: list[tuple[str, str]] = [
    (filters(nosuch=["x"]), "invalid filter 'nosuch'"),
    (filters(dangling=["maybe"]), "invalid filter 'dangling=[maybe]'"),
    (filters(dangling=["true", "0"]), "invalid filter 'dangling=[true 0]'"),
    (filters(dangling=[]), "invalid filter 'dangling'"),
]
PRUNE_FILTERS: list[tuple[str, str]] = [
    (filters(dangling=["true"]), "invalid filter 'dangling'"),
    (filters(all=["true", "false"]), "invalid filter 'all=[true false]': only one value is expected"),
    (filters(all=["maybe"]), "invalid filter 'all': strconv.ParseBool: parsing \"maybe\": invalid syntax"),
]


@pytest.mark.anyio
async def test_filters_that_make_no_sense_are_refused_with_dockers_text(tmp_path: Path) -> None:
    async with client_at(tmp_path) as client:
        for query, text in FILTERS:
            assert await client.fails("GET", f"/volumes{query}") == (400, text)
        for query, text in PRUNE_FILTERS:
            assert await client.fails("POST", f"/volumes/prune{query}") == (400, text)
        status, text = await client.fails("GET", "/volumes?filters=x")
        assert status == 400
        assert text.startswith("error reading volume filters: invalid filter")
        assert (await client.fails("POST", "/volumes/prune?filters=x"))[1].startswith("invalid filter")


@pytest.mark.anyio
async def test_pruning_spares_names_since_version_1_42(tmp_path: Path) -> None:
    async with client_at(tmp_path) as client:

        async def prune(target: str) -> tuple[int, list[str]]:
            status, answer = await client.call("POST", target)
            assert list(answer) == ["VolumesDeleted", "SpaceReclaimed"]
            assert (status, answer["SpaceReclaimed"]) == (200, 0)
            return len(answer["VolumesDeleted"]), [name for name in answer["VolumesDeleted"] if len(name) < 64]

        async def refill() -> None:
            for body in ({"Name": "named"}, {"Name": "labelled", "Labels": {"k": "v"}}, {}):
                await client.call("POST", "/volumes/create", body)

        for target, expected in (
            ("/volumes/prune", (1, [])),
            ("/v1.42/volumes/prune", (1, [])),
            ("/volumes/prune" + filters(all=["false"]), (1, [])),
            ("/volumes/prune" + filters(all=["1"]), (3, ["labelled", "named"])),
            ("/volumes/prune" + filters(all=["true"], label=["k"]), (1, ["labelled"])),
            ("/volumes/prune" + filters(**{"all": ["true"], "label!": ["k=v"]}), (2, ["named"])),
            ("/v1.41/volumes/prune", (3, ["labelled", "named"])),
            ("/v1.41/volumes/prune" + filters(all=["true"]), (3, ["labelled", "named"])),
            ("/v1.24/volumes/prune" + filters(**{"label!": ["k"]}), (2, ["named"])),
        ):
            await client.call("POST", "/v1.24/volumes/prune")
            await refill()
            assert await prune(target) == expected, target
        text = "invalid filter 'all=[false true]': only one value is expected"
        assert await client.fails("POST", "/v1.41/volumes/prune" + filters(all=["false"])) == (400, text)


# Without HTTP --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (None, VolumeRequest()),
        ({}, VolumeRequest()),
        ({"Name": None, "Driver": None}, VolumeRequest()),
        (
            {"name": "vol", "DRIVER": "local", "driveropts": {"o": "a"}, "Labels": {"k": None}},
            VolumeRequest(name="vol", driver="local", driver_opts={"o": "a"}, labels={"k": ""}),
        ),
    ],
)
def test_a_body_is_read_as_go_reads_it(raw: Any, expected: VolumeRequest) -> None:
    assert decode_volume(raw, (1, 50)) == expected


@pytest.mark.parametrize(("version", "is_known"), [((1, 41), False), ((1, 42), True), ((1, 50), True)])
def test_a_volume_of_a_cluster_is_known_since_1_42(version: tuple[int, int], is_known: bool) -> None:
    raw = {"Name": "vol", "clusterVolumeSpec": {}}
    if is_known:
        with pytest.raises(Unavailable):
            decode_volume(raw, version)
    else:
        assert decode_volume(raw, version) == VolumeRequest(name="vol")


USED = ListedVolume(volume=replace(volume("used-data"), labels={"k": "v", "l": ""}), users=("a",))
FREE = ListedVolume(volume=volume("free"), users=())


@pytest.mark.parametrize(
    ("filters_", "used", "free"),
    [
        ({}, True, True),
        ({"dangling": ("true",)}, False, True),
        ({"dangling": ("1", "true")}, False, True),
        ({"dangling": ("false", "x")}, True, False),
        ({"driver": ("local",)}, True, True),
        ({"driver": ("nfs", "local")}, True, True),
        ({"driver": ("nfs",)}, False, False),
        ({"driver": ()}, True, True),
        ({"name": ("free",)}, False, True),
        ({"name": ("re",)}, False, True),
        ({"name": ("^data", "ee$")}, False, True),
        ({"name": (".",)}, True, True),
        ({"name": ("(",)}, False, False),
        ({"name": (r"^[[:lower:]-]+\z",)}, True, True),  # Go's own, and not Python's
        ({"name": ()}, True, True),
        ({"label": ("k",)}, True, False),
        ({"label": ("k=v", "l=")}, True, False),
        ({"label": ("k=", "l=")}, False, False),
        ({"label": ("k=v", "none")}, False, False),
        ({"label": ("k",), "name": ("free",)}, False, False),
    ],
)
def test_a_listed_volume_has_what_every_filter_asks_for(
    filters_: dict[str, tuple[str, ...]], used: bool, free: bool
) -> None:
    is_wanted = listed_by(filters_)
    assert (is_wanted(USED), is_wanted(FREE)) == (used, free)


NAMED = replace(volume("named"), labels={"k": "v"})
ANONYMOUS = replace(volume("anonymous"), labels={ANONYMOUS_LABEL: "", "k": "w"})


@pytest.mark.parametrize(
    ("filters_", "named", "anonymous"),
    [
        ({}, False, True),
        ({"all": ("false",)}, False, True),
        *(({"all": (value,)}, True, True) for value in ("1", "t", "T", "TRUE", "true", "True")),
        *(({"all": (value,)}, False, True) for value in ("0", "f", "F", "FALSE", "false", "False")),
        ({"all": ()}, False, True),
        ({"label": ("k",)}, False, True),
        ({"label": ("k=v",)}, False, False),
        ({"all": ("true",), "label": ("k=v",)}, True, False),
        ({"label!": ("k",)}, False, False),
        ({"all": ("true",), "label!": ("k=v",)}, False, True),
        ({"all": ("true",), "label!": ("k=v", "none")}, True, True),
        ({"all": ("true",), "label!": ()}, True, True),
        ({"all": ("true",), "label": ("k",), "label!": ("k=w",)}, True, False),
    ],
)
def test_a_pruned_volume_has_what_is_asked_for_and_not_what_is_to_be_spared(
    filters_: dict[str, tuple[str, ...]], named: bool, anonymous: bool
) -> None:
    is_wanted = pruned_by(filters_)
    assert (is_wanted(NAMED), is_wanted(ANONYMOUS)) == (named, anonymous)


@pytest.mark.parametrize("value", ["yes", "", "tRUE", " true"])
def test_whether_to_prune_all_is_said_as_go_says_it(value: str) -> None:
    with pytest.raises(InvalidParameter, match=r"^invalid filter 'all': strconv\.ParseBool: parsing "):
        pruned_by({"all": (value,)})
