"""The network endpoints, asked as a client asks them, with a real engine behind."""

from __future__ import annotations

import ipaddress
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
from anyio import create_task_group

from daemon.api.routes import Router
from daemon.engine import Engine
from daemon.network.pools import LOCAL_BLOCKS
from tests.daemon.api.test_routes import Asker
from tests.daemon.harness import crash, engine_at

pytestmark = pytest.mark.anyio


@attrs.frozen
class Client:
    engine: Engine
    _asker: Asker

    async def call(self, method: str, target: str, body: object = None) -> tuple[int, Any]:
        content = b"" if body is None else json.dumps(body).encode()
        response = await self._asker.ask(method, target, content)
        assert isinstance(response.body, bytes)
        return response.status, json.loads(response.body) if response.body else None

    async def fails(self, method: str, target: str, body: object = None) -> tuple[int, str]:
        status, answer = await self.call(method, target, body)
        assert list(answer) == ["message"], answer
        return status, answer["message"]

    async def create(self, name: str, **fields: object) -> str:
        status, answer = await self.call("POST", "/networks/create", {"Name": name, **fields})
        assert (status, answer["Warning"], set(answer)) == (201, "", {"Id", "Warning"})
        return str(answer["Id"])

    async def container(self, name: str, **fields: object) -> str:
        body = {"Image": "busybox", "Cmd": ["true"], **fields}
        status, answer = await self.call("POST", f"/containers/create?name={name}", body)
        assert status == 201, answer
        return str(answer["Id"])

    async def networks_of(self, name: str, version: str = "") -> dict[str, Any]:
        _, answer = await self.call("GET", f"{version}/containers/{name}/json")
        return dict(answer["NetworkSettings"]["Networks"])


@asynccontextmanager
async def client_at(root: Path) -> AsyncIterator[Client]:
    async with engine_at(root) as engine:
        yield Client(engine, Asker(Router(engine)))


def query(**filters: object) -> str:
    return f"filters={json.dumps(filters)}"


async def test_the_list_has_dockers_own_networks_and_what_was_made(tmp_path: Path) -> None:
    async with client_at(tmp_path) as client:
        network_id = await client.create("web", Labels={"k": "v"})
        status, listed = await client.call("GET", "/networks")
        assert (status, [each["Name"] for each in listed]) == (200, ["bridge", "host", "none", "web"])
        assert (await client.call("GET", "/networks/"))[1] == listed
        assert listed[3]["Id"] == network_id
        subnet = ipaddress.ip_network(listed[3]["IPAM"]["Config"][0]["Subnet"])
        assert any(subnet.overlaps(block.base) for block in LOCAL_BLOCKS)
        assert ipaddress.ip_address(listed[3]["IPAM"]["Config"][0]["Gateway"]) == subnet[1]
        for filters, names in (
            ({"label": ["k=v"]}, ["web"]),
            ({"type": {"builtin": True}}, ["bridge", "host", "none"]),
        ):
            _, listed = await client.call("GET", f"/networks?{query(**filters)}")
            assert [each["Name"] for each in listed] == names
        assert (await client.call("GET", f"/networks?{query(name=['nosuch'])}"))[1] == []
        assert await client.fails("GET", f"/networks?{query(until=['1h'])}") == (400, "invalid filter 'until'")


async def test_inspect_finds_by_name_id_and_prefix_within_a_scope(tmp_path: Path) -> None:
    async with client_at(tmp_path) as client:
        network_id = await client.create("web/a b")
        for term in ("web/a%20b", network_id, network_id[:20]):
            status, shown = await client.call("GET", f"/networks/{term}?verbose=true&scope=local")
            assert (status, shown["Name"], shown["Id"]) == (200, "web/a b", network_id)
        assert await client.fails("GET", "/networks/nosuch") == (404, "network nosuch not found")
        assert await client.fails("GET", "/networks/bridge?scope=swarm") == (404, "network bridge not found")
        assert await client.fails("GET", "/networks/bridge?verbose=maybe") == (
            400,
            'invalid value for verbose: maybe: strconv.ParseBool: parsing "maybe": invalid syntax',
        )


async def test_a_prefix_of_several_ids_is_ambiguous_in_two_wordings(tmp_path: Path) -> None:
    async with client_at(tmp_path) as client:
        ids = [await client.create(f"n{number}", Driver="macvlan") for number in range(17)]
        first = Counter(each[0] for each in [*ids, *await own_ids(client)]).most_common(1)[0][0]
        times = sum(each.startswith(first) for each in [*ids, *await own_ids(client)])
        assert times > 1, "of twenty ids two begin alike"
        assert await client.fails("GET", f"/networks/{first}") == (
            400,
            f"{times} matches found based on ID prefix: network {first} is ambiguous",
        )
        assert await client.fails("DELETE", f"/networks/{first}") == (
            400,
            f"network {first} is ambiguous ({times} matches found based on ID prefix)",
        )


async def own_ids(client: Client) -> list[str]:
    _, listed = await client.call("GET", f"/networks?{query(type=['builtin'])}")
    return [each["Id"] for each in listed]


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({}, 400, "invalid name: name is empty"),
        ({"Name": "bridge"}, 403, "operation is not permitted on predefined bridge network "),
        ({"Name": "web", "CheckDuplicate": False}, 409, "network with name web already exists"),
        ({"Name": "x", "Driver": "nosuch"}, 404, 'plugin "nosuch" not found'),
        (
            {"Name": "x", "IPAM": {"Config": [{"Subnet": "10.1.0.0/8"}]}},
            400,
            "invalid network config:\ninvalid subnet 10.1.0.0/8: it should be 10.0.0.0/8",
        ),
        (
            {"Name": "x", "IPAM": {"Config": [{"Subnet": "10.77.0.0/24"}]}},
            403,
            "invalid pool request: Pool overlaps with other one on this address space",
        ),
        (
            {"Name": "x", "IPAM": {"Config": [{"Subnet": 5}]}},
            400,
            "invalid JSON: json: cannot unmarshal number into Go struct field "
            "IPAMConfig.IPAM.Config.Subnet of type string",
        ),
        (
            {"Name": "x", "EnableIPv6": "yes"},
            400,
            "invalid JSON: json: cannot unmarshal string into Go struct field CreateRequest.EnableIPv6 of type bool",
        ),
        ([], 400, "invalid JSON: json: cannot unmarshal array into Go value of type network.CreateRequest"),
        (
            {"Name": "x", "IPAM": []},
            400,
            "invalid JSON: json: cannot unmarshal array into Go struct field CreateRequest.IPAM of type network.IPAM",
        ),
    ],
)
async def test_what_cannot_be_made_is_refused_in_dockers_words(
    tmp_path: Path, body: object, status: int, text: str
) -> None:
    async with client_at(tmp_path) as client:
        await client.create("web", IPAM={"Config": [{"Subnet": "10.77.0.0/16"}]})
        assert await client.fails("POST", "/networks/create", body) == (status, text)
        assert len((await client.call("GET", "/networks"))[1]) == 4


async def test_the_body_may_be_null_and_must_be_json(tmp_path: Path) -> None:
    async with client_at(tmp_path) as client:
        response = await client._asker.ask("POST", "/networks/create", b"null")
        assert (response.status, response.body) == (400, b'{"message":"invalid name: name is empty"}\n')
        for path in ("create", "web/connect", "web/disconnect"):
            status, text = await client._asker.fails("POST", f"/networks/{path}", b"{")
            assert (status, text.startswith("invalid JSON: ")) == (400, True)


async def test_the_switch_for_ipv4_came_with_1_48(tmp_path: Path) -> None:
    async with client_at(tmp_path) as client:
        body = {"Name": "old", "EnableIPv4": False, "EnableIPv6": True}
        assert (await client.call("POST", "/v1.47/networks/create", body))[0] == 201
        assert (await client.call("POST", "/v1.48/networks/create", {**body, "Name": "new"}))[0] == 201
        shown = [(await client.call("GET", f"/networks/{name}"))[1] for name in ("old", "new")]
        assert [each["EnableIPv4"] for each in shown] == [True, False]
        assert [len(each["IPAM"]["Config"]) for each in shown] == [2, 1]


async def test_a_network_is_removed_but_for_dockers_own(tmp_path: Path) -> None:
    async with client_at(tmp_path) as client:
        await client.create("web")
        assert await client.call("DELETE", "/networks/web") == (204, None)
        assert await client.fails("DELETE", "/networks/web") == (404, "network web not found")
        for name in ("bridge", "host", "none"):
            text = f"{name} is a pre-defined network and cannot be removed"
            assert await client.fails("DELETE", f"/networks/{name}") == (403, text)


async def test_prune_answers_names_or_null(tmp_path: Path) -> None:
    async with client_at(tmp_path) as client:
        assert await client.call("POST", "/networks/prune") == (200, {"NetworksDeleted": None})
        await client.create("keep", Labels={"keep": ""})
        await client.create("web")
        path = f"/networks/prune?{query(**{'label!': ['keep']})}"
        assert await client.call("POST", path) == (200, {"NetworksDeleted": ["web"]})
        assert await client.call("POST", f"/networks/prune?{query(until=['1h'])}") == (200, {"NetworksDeleted": None})
        assert await client.fails("POST", f"/networks/prune?{query(name=['x'])}") == (400, "invalid filter 'name'")
        assert await client.call("POST", "/networks/prune") == (200, {"NetworksDeleted": ["keep"]})


async def test_a_created_container_shows_the_networks_it_will_join(tmp_path: Path) -> None:
    plain = {
        "IPAMConfig": None,
        "Links": None,
        "Aliases": None,
        "MacAddress": "",
        "DriverOpts": None,
        "GwPriority": 0,
        "NetworkID": "",
        "EndpointID": "",
        "Gateway": "",
        "IPAddress": "",
        "IPPrefixLen": 0,
        "IPv6Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "DNSNames": None,
    }
    async with client_at(tmp_path) as client:
        network_id = await client.create("net", IPAM={"Config": [{"Subnet": "10.77.0.0/16"}]})
        await client.container("c1")
        assert await client.networks_of("c1") == {"bridge": plain}
        endpoint = {"IPAMConfig": {"IPv4Address": "10.77.0.9"}, "Aliases": ["db"], "GwPriority": 2}
        await client.container(
            "c2",
            HostConfig={"NetworkMode": network_id},
            NetworkingConfig={"EndpointsConfig": {network_id: endpoint}},
            MacAddress="",
        )
        assert await client.networks_of("c2") == {"net": {**plain, **endpoint}}
        container_id = await client.container("c3")
        connect = {"Container": "c3", "EndpointConfig": endpoint}
        assert await client.call("POST", f"/networks/{network_id[:12]}/connect", connect) == (200, None)
        assert await client.networks_of("c3") == {
            "bridge": plain,
            "net": {**plain, **endpoint, "DNSNames": ["c3", "db", container_id[:12]]},
        }
        aliases = (await client.networks_of("c3", "/v1.44"))["net"]["Aliases"]
        assert aliases == ["db", container_id[:12]]
        _, listed = await client.call("GET", "/containers/json?all=1&limit=1")
        assert listed[0]["NetworkSettings"]["Networks"]["net"] == {
            **plain,
            "IPAMConfig": {"IPv4Address": "10.77.0.9"},
            "GwPriority": 2,
        }
        assert await client.call("POST", "/networks/bridge/disconnect", {"Container": "c3"}) == (200, None)
        assert list(await client.networks_of("c3")) == ["net"]


async def test_a_mac_address_given_to_the_container_is_its_endpoints(tmp_path: Path) -> None:
    mac = "02:42:ac:11:00:02"
    async with client_at(tmp_path) as client:
        body = {"Image": "busybox", "Cmd": ["true"], "MacAddress": mac}
        status, answer = await client.call("POST", "/containers/create?name=c1", body)
        assert status == 201
        assert answer["Warnings"] == [
            "The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead."
        ]
        _, shown = await client.call("GET", "/containers/c1/json")
        assert shown["Config"]["MacAddress"] == shown["NetworkSettings"]["Networks"]["bridge"]["MacAddress"] == mac
        status, text = await client.fails("POST", "/containers/create", {**body, "MacAddress": "zz"})
        assert (status, text) == (400, "invalid config for network bridge: invalid MAC address zz")


@pytest.mark.parametrize(
    ("target", "body", "status", "text"),
    [
        ("net/connect", {"Container": "nosuch"}, 404, "No such container: nosuch"),
        ("net/connect", {}, 400, 'invalid name or ID supplied: ""'),
        (
            "host/connect",
            {"Container": "c1"},
            400,
            "cannot connect container to host network - container must be created in host network mode",
        ),
        (
            "none/connect",
            {"Container": "c1"},
            400,
            "container cannot be connected to multiple networks with one of the networks in private (none) mode",
        ),
        (
            "net/connect",
            {"Container": "c1", "EndpointConfig": {"IPAMConfig": {"IPv4Address": "10.0.0.9"}}},
            400,
            "invalid endpoint settings:\n"
            "user specified IP address is supported only when connecting to networks with user configured subnets",
        ),
        ("net/disconnect", {"Container": "nosuch", "Force": True}, 404, "endpoint nosuch not found"),
        ("net/disconnect", {"Container": "nosuch"}, 404, "No such container: nosuch"),
    ],
)
async def test_what_cannot_be_connected_is_refused_in_dockers_words(
    tmp_path: Path, target: str, body: object, status: int, text: str
) -> None:
    async with client_at(tmp_path) as client:
        await client.create("net")
        await client.container("c1")
        assert await client.fails("POST", f"/networks/{target}", body) == (status, text)
        assert list(await client.networks_of("c1")) == ["bridge"]


async def test_a_container_that_is_not_in_the_network_cannot_leave_it(tmp_path: Path) -> None:
    async with client_at(tmp_path) as client:
        container_id = await client.container("c1")
        assert await client.fails("POST", "/networks/net/disconnect", {"Container": "c1"}) == (
            400,
            f"container {container_id} is not connected to the network net",
        )


async def test_of_64_clients_that_want_one_name_exactly_one_gets_it(tmp_path: Path) -> None:
    statuses: Counter[int] = Counter()

    async with client_at(tmp_path) as client:

        async def one() -> None:
            status, _ = await client.call("POST", "/networks/create", {"Name": "web"})
            statuses[status] += 1

        async with create_task_group() as group:
            for _ in range(64):
                group.start_soon(one)
        assert statuses == {201: 1, 409: 63}
        assert len((await client.call("GET", "/networks"))[1]) == 4


async def test_while_the_networks_crash_requests_are_answered_and_nothing_is_lost(tmp_path: Path) -> None:
    made: list[str] = []

    async with client_at(tmp_path) as client:

        async def one(number: int) -> None:
            status, answer = await client.call("POST", "/networks/create", {"Name": f"n{number}"})
            assert status == 201, answer
            made.append(answer["Id"])

        async with create_task_group() as group:
            for number in range(12):
                group.start_soon(one, number)
                if number in (3, 8):
                    crash(client.engine.services.networks)
        _, listed = await client.call("GET", f"/networks?{query(type=['custom'])}")
        assert sorted(each["Id"] for each in listed) == sorted(made)
        subnets = [each["IPAM"]["Config"][0]["Subnet"] for each in listed]
        assert len(set(subnets)) == 12
