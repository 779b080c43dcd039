from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import attrs
import pytest
from anyio import create_task_group

from actors import ActorCrashed, Ref, Supervisor
from daemon.errors import Conflict, DaemonError, Forbidden, InvalidParameter
from daemon.network import ConfigReference, Network, NetworkRequest
from daemon.network.plan import Surroundings
from daemon.services.networks import Networks, new_network_id
from daemon.storage.database import Database
from tests.daemon.harness import crash
from tests.daemon.network.making import SURROUNDINGS, id_of, subnets

pytestmark = pytest.mark.anyio


@attrs.frozen
class House:
    database: Ref[Database]
    networks: Ref[Networks]

    async def create(self, number: int, **fields: Any) -> Network:
        request = NetworkRequest(**{"name": f"name{number}", **fields})
        return await self.networks.ask(Networks.create, request, id_of(number), number)

    async def names(self) -> list[str]:
        return [network.name for network in await self.networks.ask(Networks.table)]

    async def rows(self) -> list[str]:
        return sorted(network.name for network in await self.database.ask(Database.networks))


@asynccontextmanager
async def house_at(root: Path, surroundings: Surroundings = SURROUNDINGS) -> AsyncIterator[House]:
    async with Supervisor("rest_for_one", intensity=(100, 1.0)) as supervisor:
        database = await supervisor.start(lambda: Database(root / "db"), name="database")
        networks = await supervisor.start(lambda: Networks(database, lambda: surroundings), name="networks")
        yield House(database, networks)


OWN = ["bridge", "host", "none"]


async def test_a_new_data_root_gets_dockers_own_networks_for_good(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        before = list(await house.networks.ask(Networks.table))
        assert [network.name for network in before] == OWN
        assert len({network.id for network in before}) == 3
    async with house_at(tmp_path) as house:
        assert list(await house.networks.ask(Networks.table)) == before, "with the same ids"


async def test_their_subnet_is_not_one_that_the_host_uses(tmp_path: Path) -> None:
    reserved = (ipaddress.ip_network("172.17.0.0/16"),)
    async with house_at(tmp_path, attrs.evolve(SURROUNDINGS, reserved=reserved)) as house:
        bridge = (await house.networks.ask(Networks.table)).find("bridge")
        assert [pool.subnet for pool in bridge.pools] == ["172.18.0.0/16"]


async def test_a_network_is_durable_and_there_after_a_restart(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        first = await house.create(1, labels={"k": "v"})
        second = await house.create(2, enable_ipv6=True)
        assert await house.rows() == [*OWN[:2], "name1", "name2", "none"]
    async with house_at(tmp_path) as house:
        table = await house.networks.ask(Networks.table)
        assert table.find("name1") == first
        assert table.find("name2") == second
        third = await house.create(3)
        assert third.pools[0].subnet not in (first.pools[0].subnet, second.pools[0].subnet)


async def test_a_refused_network_leaves_nothing(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        await house.create(1)
        for fields, kind in (
            ({"name": "name1"}, Conflict),
            ({"ipam": subnets("172.17.0.0/16")}, Forbidden),
            ({"ipam": subnets("10.0.0.0/16", "10.1.0.0/16")}, Forbidden),
            ({"options": {"com.docker.network.driver.mtu": "x"}}, InvalidParameter),
        ):
            before = await house.networks.ask(Networks.table)
            with pytest.raises(kind):
                await house.create(2, **fields)
            assert await house.networks.ask(Networks.table) == before
            assert len(await house.rows()) == len(before)
        assert (await house.create(2)).pools[0].subnet == "172.19.0.0/16", "nothing has been given away"


async def test_what_is_asked_for_twice_with_one_id_is_made_once(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        assert await house.create(1) == await house.create(1)
        assert len(await house.rows()) == 4


async def test_a_removed_network_is_gone_and_its_name_and_subnet_are_free(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        network = await house.create(1, name="web")
        assert await house.networks.ask(Networks.remove, network.id)
        assert not await house.networks.ask(Networks.remove, network.id)
        assert await house.rows() == await house.names() == OWN
        assert (await house.create(2, name="web")).pools == network.pools


async def test_dockers_own_networks_and_configurations_in_use_stay(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        config = await house.create(1, name="config", config_only=True)
        user = await house.create(2, config_from=ConfigReference(network="config"))
        table = await house.networks.ask(Networks.table)
        for network in (*map(table.find, OWN), config):
            with pytest.raises(Forbidden):
                await house.networks.ask(Networks.remove, network.id)
        assert len(await house.rows()) == 5
        assert await house.networks.ask(Networks.remove, user.id)
        assert await house.networks.ask(Networks.remove, config.id)


async def test_of_64_that_ask_for_one_name_at_once_exactly_one_gets_it(tmp_path: Path) -> None:
    made: list[Network] = []
    refused: list[str] = []

    async with house_at(tmp_path) as house:

        async def one(number: int) -> None:
            try:
                made.append(await house.create(number, name=f"name{number % 4}"))
            except Conflict as error:
                refused.append(str(error))

        async with create_task_group() as group:
            for number in range(64):
                group.start_soon(one, number)
        assert sorted(network.name for network in made) == ["name0", "name1", "name2", "name3"]
        assert len(refused) == 60
        assert set(refused) == {f"network with name name{number} already exists" for number in range(4)}
        assert sorted(await house.names()) == sorted([*OWN, *(network.name for network in made)])


async def test_networks_made_at_once_share_no_subnet_and_the_31st_gets_none(tmp_path: Path) -> None:
    made: list[str] = []
    refused: list[str] = []

    async with house_at(tmp_path) as house:

        async def one(number: int) -> None:
            try:
                made.append((await house.create(number)).pools[0].subnet)
            except InvalidParameter as error:
                refused.append(str(error))

        async with create_task_group() as group:
            for number in range(40):
                group.start_soon(one, number)
    assert len(made) == len(set(made)) == 30
    assert refused == ["all predefined address pools have been fully subnetted"] * 10


async def test_the_database_is_the_second_fence_for_a_name(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        await house.database.ask(Database.insert_network, Network(id=id_of(1), name="web", created_ns=1))
        with pytest.raises(Conflict, match=r"^network with name web already exists$"):
            await house.create(2, name="web")
        assert await house.names() == OWN


@pytest.mark.parametrize("seed", range(5))
async def test_whenever_it_crashes_it_knows_afterwards_what_the_database_knows(tmp_path: Path, seed: int) -> None:
    rng = Random(seed)
    async with house_at(tmp_path) as house:

        async def change(number: int) -> None:
            try:
                network = await house.create(number, name=f"name{number % 12}")
                if rng.random() < 0.5:
                    await house.networks.ask(Networks.remove, network.id)
            except (DaemonError, ActorCrashed):
                pass  # refused, or nobody knows

        async with create_task_group() as group:
            for number in range(60):
                group.start_soon(change, number)
                if rng.random() < 0.3:
                    crash(house.networks)
        table = await house.networks.ask(Networks.table)
        assert sorted(table, key=lambda each: each.id) == sorted(
            await house.database.ask(Database.networks), key=lambda each: each.id
        )
        subnets = [pool.subnet for network in table for pool in network.pools]
        assert len(subnets) == len(set(subnets))
        assert len({network.name for network in table}) == len(table)


async def test_an_id_is_64_hex_digits_and_no_two_are_the_same() -> None:
    ids = {new_network_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(len(network_id) == 64 and int(network_id, 16) >= 0 for network_id in ids)
