"""Networks that come and go, and containers that join and leave them: with the events, and with faults at every step."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest

from actors import ActorCrashed, Subscription
from daemon.container import ContainerConfig, EndpointIpam, EndpointSettings, HostConfig, NetworkingConfig
from daemon.create.network_changes import NetworkChanger
from daemon.create.request import CreateRequest
from daemon.engine import Engine
from daemon.errors import Conflict, DaemonError, Forbidden, InvalidParameter, NotFound
from daemon.network import ConfigReference, NetworkRequest
from daemon.network.table import NetworkTable
from daemon.services.claims import REMOVAL, Claim
from daemon.services.event_bus import Event, EventBus, new_subscription
from daemon.services.networks import Networks
from daemon.services.registrar import Registrar
from daemon.storage.database import Database
from tests.daemon.harness import Faults, Injected, crash, engine_at, faulty
from tests.daemon.network.making import subnets

pytestmark = pytest.mark.anyio

OWN = ["bridge", "host", "none"]


@attrs.frozen
class House:
    engine: Engine
    _subscription: Subscription[Event]
    _seen: list[Event] = attrs.field(factory=list)

    async def create(self, name: str, **fields: Any) -> str:
        return (await self.engine.networks.create(NetworkRequest(name=name, **fields))).id

    async def container(self, name: str, mode: str = "", **endpoints: EndpointSettings) -> str:
        request = CreateRequest(
            name=name,
            config=ContainerConfig(image="busybox", cmd=("true",)),
            host_config=HostConfig(network_mode=mode),
            networking=NetworkingConfig(endpoints_config=endpoints),
        )
        return (await self.engine.create(request)).id

    async def networks_of(self, name: str) -> dict[str, EndpointSettings]:
        """What the record says, and the list, which must be the same."""
        summary = await self.engine.services.registrar.ask(Registrar.find, name)
        record = await self.engine.services.database.ask(Database.container, summary.id)
        assert record is not None
        assert record.networks == summary.networks
        return dict(record.networks)

    async def table(self) -> NetworkTable:
        return await self.engine.services.networks.ask(Networks.table)

    async def rows(self) -> list[str]:
        return sorted(network.name for network in await self.engine.services.database.ask(Database.networks))

    async def events(self) -> list[tuple[str, str, str]]:
        """Of networks: action, id, name."""
        await self.engine.services.events.ask(EventBus.publish, END)
        while END not in self._seen:
            self._seen.extend(await self._subscription.receive_all())
        self._seen.remove(END)
        return [
            (event.action, event.actor_id, event.attributes.get("name", ""))
            for event in self._seen
            if event.type == "network"
        ]


END = Event(type="test", action="end", actor_id="", attributes={}, time_ns=0)


@asynccontextmanager
async def house_at(root: Path) -> AsyncIterator[House]:
    async with engine_at(root) as engine:
        subscription = new_subscription()
        await engine.services.events.ask(EventBus.subscribe, subscription)
        yield House(engine, subscription)


# Networks ------------------------------------------------------------------------------------------------------------


async def test_a_network_is_told_when_it_comes_and_when_it_goes(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        network_id = await house.create("net")
        await house.engine.networks.remove("net")
        assert await house.events() == [("create", network_id, "net"), ("destroy", network_id, "net")]
        created = house._seen[-2]
        assert created.attributes == {"name": "net", "type": "bridge"}


async def test_a_configuration_that_goes_is_not_told(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        network_id = await house.create("config", config_only=True)
        await house.engine.networks.remove("config")
        assert await house.events() == [("create", network_id, "config")]


async def test_a_network_is_removed_by_name_id_or_prefix(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        for term in (lambda _: "net", lambda network_id: network_id, lambda network_id: network_id[:20]):
            await house.engine.networks.remove(term(await house.create("net")))
        assert await house.rows() == OWN


async def test_what_cannot_be_removed_is_refused_and_not_told(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        for term, kind, text in (
            ("nosuch", NotFound, "network nosuch not found"),
            ("bridge", Forbidden, "bridge is a pre-defined network and cannot be removed"),
            ("", InvalidParameter, "network  is ambiguous (3 matches found based on ID prefix)"),
        ):
            with pytest.raises(kind) as refused:
                await house.engine.networks.remove(term)
            assert str(refused.value) == text
        assert await house.events() == []


async def test_a_network_that_only_created_containers_use_can_be_removed(tmp_path: Path) -> None:
    """As in Docker: an endpoint is made when a container is started."""
    async with house_at(tmp_path) as house:
        await house.create("net")
        await house.container("web", "net")
        await house.engine.networks.remove("net")
        assert list(await house.networks_of("web")) == ["net"]


async def test_prune_takes_what_it_may_and_tells_of_it(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        ids = {name: await house.create(name) for name in ("a", "b", "spared")}
        await house.create("config", config_only=True)
        pruned = await house.engine.networks.prune(lambda network: network.name != "spared")
        assert pruned == ("a", "b")
        assert await house.rows() == ["bridge", "config", "host", "none", "spared"]
        assert (await house.events())[-3:] == [
            ("destroy", ids["a"], "a"),
            ("destroy", ids["b"], "b"),
            ("prune", "", ""),
        ]
        assert house._seen[-1].attributes == {"reclaimed": "0"}
        assert await house.engine.networks.prune(lambda network: network.name != "spared") == ()


async def test_networks_are_not_pruned_while_networks_or_containers_are(tmp_path: Path) -> None:
    """As in Docker: one flag for both."""
    async with house_at(tmp_path) as house:
        await house.create("net")
        claim = Claim("pruning")
        await house.engine.services.registrar.ask(Registrar.claim_pruning, claim)
        with pytest.raises(Conflict, match=r"^a prune operation is already running$"):
            await house.engine.networks.prune(lambda _: True)
        await house.engine.services.registrar.ask(Registrar.release, claim)
        assert await house.engine.networks.prune(lambda _: True) == ("net",)


# Containers ------------------------------------------------------------------------------------------------------------


async def test_a_created_container_joins_and_leaves_networks_and_only_that_it_left_is_told(tmp_path: Path) -> None:
    """As in Docker: a connection is told of when it is made, which is at start."""
    async with house_at(tmp_path) as house:
        network_id = await house.create("net")
        container_id = await house.container("web")
        before = await house.events()
        await house.engine.networks.connect(network_id, "web", EndpointSettings(aliases=("db",)))
        assert await house.networks_of("web") == {
            "bridge": EndpointSettings(),
            "net": EndpointSettings(aliases=("db",), dns_names=("web", "db", container_id[:12])),
        }
        await house.engine.networks.disconnect("bridge", container_id, force=False)
        assert list(await house.networks_of("web")) == ["net"]
        bridge = (await house.engine.services.networks.ask(Networks.table)).find("bridge")
        assert await house.events() == [*before, ("disconnect", bridge.id, "bridge")]
        assert house._seen[-1].attributes == {"container": container_id, "name": "bridge", "type": "bridge"}
    async with house_at(tmp_path) as house:
        assert list(await house.networks_of("web")) == ["net"], "it is durable"


async def test_what_cannot_be_connected_stays_as_it_is(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        await house.container("web")
        networks = house.engine.networks
        with pytest.raises(NotFound, match=r"^No such container: nosuch$"):
            await networks.connect("bridge", "nosuch", EndpointSettings())
        with pytest.raises(InvalidParameter, match=r"^cannot connect container to host network"):
            await networks.connect("host", "web", EndpointSettings())
        with pytest.raises(InvalidParameter, match=r"is not connected to the network none$"):
            await networks.disconnect("none", "web", force=True)
        with pytest.raises(NotFound, match=r"^No such container: nosuch$"):
            await networks.disconnect("bridge", "nosuch", force=False)
        with pytest.raises(NotFound, match=r"^endpoint nosuch not found$"):
            await networks.disconnect("bridge", "nosuch", force=True)
        with pytest.raises(NotFound, match=r"^network nonet not found$"):
            await networks.disconnect("nonet", "nosuch", force=True)
        assert await house.networks_of("web") == {"bridge": EndpointSettings()}
        await house.engine.rename("web", "site")  # nothing holds it


async def test_a_container_that_is_being_removed_cannot_be_connected(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        await house.container("web")
        claim = Claim(REMOVAL)
        await house.engine.services.registrar.ask(Registrar.claim, "web", claim)
        with pytest.raises(Conflict, match=r"^removal of container web is already in progress$"):
            await house.engine.networks.connect("nosuch", "web", EndpointSettings())
        await house.engine.services.registrar.ask(Registrar.release, claim)


async def test_a_create_looks_its_networks_up(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        network_id = await house.create("fixed", ipam=subnets("10.0.0.0/16"))
        endpoint = EndpointSettings(ipam_config=EndpointIpam(ipv4_address="10.0.0.9"))
        await house.container("c1", network_id, **{network_id: endpoint})
        assert await house.networks_of("c1") == {"fixed": endpoint}
        await house.container("c2", network_id[:20])
        assert await house.networks_of("c2") == {"fixed": EndpointSettings()}
        await house.container("c3", "nosuch")
        assert await house.networks_of("c3") == {"nosuch": EndpointSettings()}
        await house.container("c4", "container:c1")
        assert await house.networks_of("c4") == {}
        elsewhere = EndpointSettings(ipam_config=EndpointIpam(ipv4_address="10.9.0.9"))
        with pytest.raises(InvalidParameter) as refused:
            await house.container("c5", "fixed", fixed=elsewhere)
        assert str(refused.value) == (
            "invalid config for network fixed: invalid endpoint settings:\n"
            "no configured subnet or ip-range contain the IP address 10.9.0.9"
        )


# Faults --------------------------------------------------------------------------------------------------------------


async def changes(changer: NetworkChanger, house: House, name: str) -> None:
    """One of each kind."""
    await changer.create(NetworkRequest(name=name))
    await changer.connect(name, "web", EndpointSettings())
    await changer.disconnect(name, "web", force=False)
    await changer.remove(name)


NEVER_REFUSED = (
    ("database.update_container", "after"),
    *((f"registrar.{method}", moment) for method in ("register", "release") for moment in ("before", "after")),
)


async def steps_of_the_changes(house: House) -> list[str]:
    faults = Faults()
    changer = NetworkChanger(services=faulty(house.engine.services, faults), now_ns=house.engine.now_ns)
    await changes(changer, house, "rehearsal")
    return faults.steps


async def check_consistent(house: House) -> None:
    """What is told is what is durable, and nothing is held by a change that is over."""
    assert sorted(network.name for network in await house.table()) == await house.rows()
    await house.networks_of("web")
    network_id = await house.create("after")
    await house.engine.networks.connect("after", "web", EndpointSettings())
    await house.engine.networks.disconnect("after", "web", force=False)
    await house.engine.networks.remove(network_id)
    await house.engine.networks.prune(lambda _: True)
    assert await house.rows() == OWN


async def test_a_change_that_fails_or_is_cancelled_at_any_step_leaves_everything_consistent(tmp_path: Path) -> None:
    def fail(_: str) -> None:
        raise Injected("planned")

    async with house_at(tmp_path) as house:
        await house.container("web")
        steps = await steps_of_the_changes(house)
        for number, step in enumerate(steps):
            for moment in ("before", "after"):
                for kind in ("cancel",) if (step, moment) in NEVER_REFUSED else ("fail", "cancel"):
                    faults = Faults()
                    changer = NetworkChanger(services=faulty(house.engine.services, faults), now_ns=house.engine.now_ns)
                    with anyio.CancelScope() as scope:
                        faults.plan(number, moment, fail if kind == "fail" else lambda _, s=scope: s.cancel())  # type: ignore[misc]
                        with suppress(Injected):
                            await changes(changer, house, f"n{number}-{moment}-{kind}")
                    await check_consistent(house)


async def test_a_crash_at_any_step_is_over_when_the_change_is(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        await house.container("web")
        steps = await steps_of_the_changes(house)
    for number, step in enumerate(steps):
        actor = step.partition(".")[0]
        if actor == "database":
            continue  # its crash ends the daemon
        for moment in ("before", "after"):
            async with house_at(tmp_path) as house:  # a supervisor has a budget of restarts
                faults = Faults()
                changer = NetworkChanger(services=faulty(house.engine.services, faults), now_ns=house.engine.now_ns)
                ref = getattr(house.engine.services, actor)
                faults.plan(number, moment, lambda _, ref=ref: crash(ref))  # type: ignore[misc]
                with suppress(DaemonError, ActorCrashed):
                    await changes(changer, house, f"n{number}-{moment}")
                await check_consistent(house)


async def test_a_network_whose_making_is_cancelled_is_made_and_told_all_the_same(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await house.create("net")
        network = (await house.table()).find("net")
        assert await house.events() == [("create", network.id, "net")]


async def test_a_configuration_in_use_is_not_pruned_and_not_removed(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        await house.create("config", config_only=True)
        await house.create("user", config_from=ConfigReference(network="config"))
        with pytest.raises(Forbidden) as refused:
            await house.engine.networks.remove("config")
        assert str(refused.value) == 'error while removing network: configuration network "config" is in use'
