from __future__ import annotations

import ipaddress
from typing import Any

import attrs
import pytest
from msgspec.structs import replace

from daemon.errors import Conflict, DaemonError, Forbidden, InvalidParameter, NotFound
from daemon.network import ConfigReference, Ipam, Network, Pool, SubnetConfig
from daemon.network.plan import check_removable, predefined_networks
from daemon.network.table import NetworkTable
from tests.daemon.network.making import IDS, SURROUNDINGS, id_of, planned, predefined, subnets, with_planned

ENABLE_IPV4, ENABLE_IPV6 = "com.docker.network.enable_ipv4", "com.docker.network.enable_ipv6"
COUNT, INTERVAL = "com.docker.network.advertise_addr_nmsgs", "com.docker.network.advertise_addr_ms"

CONFIG = Ipam(driver="default", options={"o": "1"}, config=(SubnetConfig(subnet="10.7.0.0/16"),))
TABLE = with_planned(
    predefined(),
    {"name": "taken"},
    {
        "name": "config",
        "config_only": True,
        "ipam": CONFIG,
        "labels": {"from": "config"},
        "options": {"parent": "lan0"},
    },
)


def refused(table: NetworkTable = TABLE, **fields: Any) -> tuple[type[DaemonError], str]:
    with pytest.raises(DaemonError) as caught:
        planned(table, **fields)
    return type(caught.value), str(caught.value)


def test_every_data_root_has_dockers_own_three() -> None:
    bridge, host, none = predefined()
    assert (bridge.id, host.id, none.id) == IDS
    assert (bridge.name, bridge.driver, bridge.ipam) == ("bridge", "bridge", Ipam(driver="default"))
    assert bridge.pools == (Pool(subnet="172.17.0.0/16", gateway="172.17.0.1"),)
    assert bridge.options == {
        "com.docker.network.bridge.default_bridge": "true",
        "com.docker.network.bridge.enable_icc": "true",
        "com.docker.network.bridge.enable_ip_masquerade": "true",
        "com.docker.network.bridge.host_binding_ipv4": "0.0.0.0",
        "com.docker.network.bridge.name": "docker0",
        "com.docker.network.driver.mtu": "1500",
    }
    assert host == Network(id=IDS[1], name="host", created_ns=1, driver="host")
    assert none == Network(id=IDS[2], name="none", created_ns=1, driver="null")


def test_of_dockers_own_three_only_those_are_made_that_are_missing() -> None:
    def missing(table: NetworkTable) -> list[str]:
        made = predefined_networks(table, IDS, created_ns=2, surroundings=SURROUNDINGS)
        return [network.name for network in made]

    assert missing(predefined()) == []
    assert missing(predefined().without(IDS[0]).without(IDS[2])) == ["bridge", "none"]


def test_a_network_that_says_nothing_is_a_bridge_with_a_subnet_of_its_own() -> None:
    assert planned(TABLE, 7) == Network(
        id=id_of(7),
        name="name7",
        created_ns=1007,
        driver="bridge",
        scope="local",
        ipam=Ipam(driver="default"),
        pools=(Pool(subnet="172.19.0.0/16", gateway="172.19.0.1"),),
    )


def test_what_the_host_uses_is_not_chosen() -> None:
    reserved = (ipaddress.ip_network("172.17.3.0/24"), ipaddress.ip_network("172.18.0.1/32"))
    surroundings = attrs.evolve(SURROUNDINGS, reserved=reserved)
    assert planned(NetworkTable(), surroundings=surroundings).pools[0].subnet == "172.19.0.0/16"
    asked_for = planned(NetworkTable(), surroundings=surroundings, ipam=subnets("172.17.0.0/16"))
    assert asked_for.pools[0].subnet == "172.17.0.0/16"


def test_everything_that_was_asked_for_is_in_the_network() -> None:
    config = SubnetConfig(
        subnet="10.0.0.0/8", ip_range="10.5.0.0/16", gateway="10.5.0.1", auxiliary_addresses={"dns": "10.5.0.2"}
    )
    network = planned(
        TABLE,
        name="a b/c",
        check_duplicate=False,
        driver="bridge",
        scope="local",
        enable_ipv6=True,
        ipam=Ipam(driver="default", options={"o": "1"}, config=(config,)),
        internal=True,
        attachable=True,
        options={"com.docker.network.bridge.name": "br0"},
        labels={"k": "v"},
    )
    assert network == Network(
        id=id_of(1),
        name="a b/c",
        created_ns=1001,
        enable_ipv6=True,
        ipam=Ipam(driver="default", options={"o": "1"}, config=(config,)),
        pools=(
            Pool(subnet="10.0.0.0/8", ip_range="10.5.0.0/16", gateway="10.5.0.1", auxiliary_addresses=("10.5.0.2",)),
            Pool(subnet="fd00:1:2::/64", gateway="fd00:1:2::1"),
        ),
        internal=True,
        attachable=True,
        options={"com.docker.network.bridge.name": "br0"},
        labels={"k": "v"},
    )


def test_ipv4_subnets_come_before_ipv6_subnets() -> None:
    network = planned(TABLE, enable_ipv6=True, ipam=subnets("fd09::/64", "10.0.0.0/8"))
    assert network.ipam.config == (SubnetConfig(subnet="10.0.0.0/8"), SubnetConfig(subnet="fd09::/64"))
    assert [pool.subnet for pool in network.pools] == ["10.0.0.0/8", "fd09::/64"]


@pytest.mark.parametrize(
    ("fields", "enabled", "options"),
    [
        ({}, (True, False), {}),
        ({"enable_ipv6": True}, (True, True), {}),
        ({"enable_ipv4": False, "enable_ipv6": True}, (False, True), {}),
        ({"options": {ENABLE_IPV6: "1"}}, (True, True), {ENABLE_IPV6: "1"}),
        ({"enable_ipv6": False, "options": {ENABLE_IPV6: "1"}}, (True, False), {}),
        ({"enable_ipv4": True, "options": {ENABLE_IPV4: "x"}}, (True, False), {}),
        ({"options": {ENABLE_IPV4: "0", ENABLE_IPV6: "t"}}, (False, True), {ENABLE_IPV4: "0", ENABLE_IPV6: "t"}),
    ],
)
def test_which_versions_of_ip_are_enabled_is_said_by_a_field_or_else_by_an_option(
    fields: dict[str, Any], enabled: tuple[bool, bool], options: dict[str, str]
) -> None:
    network = planned(TABLE, **fields)
    assert (network.enable_ipv4, network.enable_ipv6) == enabled
    assert network.options == options
    versions = [ipaddress.ip_network(pool.subnet).version for pool in network.pools]
    assert versions == [version for version, is_enabled in zip((4, 6), enabled, strict=True) if is_enabled]


def test_a_network_of_global_scope_has_its_subnets_from_elsewhere() -> None:
    table = with_planned(TABLE, {"scope": "global"})
    network = planned(table, scope="global", driver="macvlan", options={"parent": "eth0"})
    assert (network.scope, network.pools) == ("global", (Pool(subnet="10.0.1.0/24", gateway="10.0.1.1"),))
    assert planned(table, ipam=subnets("10.0.0.0/16"), driver="macvlan").pools, "they are spaces apart"
    assert refused(scope="global", enable_ipv6=True) == (
        InvalidParameter,
        "all predefined address pools have been fully subnetted",
    )


def test_a_network_without_need_of_a_gateway_has_none() -> None:
    assert planned(TABLE, driver="macvlan").pools == (Pool(subnet="172.19.0.0/16"),)
    assert planned(TABLE, driver="macvlan", enable_ipv4=False).pools == ()
    assert planned(TABLE, driver="macvlan", enable_ipv4=False, ipam=Ipam(driver="null")).pools == ()


# Configurations ------------------------------------------------------------------------------------------------------


def test_a_configuration_is_a_network_without_subnets() -> None:
    network = planned(TABLE, config_only=True, driver="macvlan", ipam=subnets("10.0.0.0/8"), options={"parent": "x"})
    assert (network.driver, network.scope, network.pools) == ("null", "local", ())
    assert (network.ipam.config, network.options) == ((SubnetConfig(subnet="10.0.0.0/8"),), {"parent": "x"})


def test_a_network_may_have_the_configuration_of_another() -> None:
    network = planned(TABLE, config_from=ConfigReference(network="config"), driver="macvlan", internal=True)
    assert network == Network(
        id=id_of(1),
        name="name1",
        created_ns=1001,
        driver="macvlan",
        config_from="config",
        internal=True,
        ipam=CONFIG,
        pools=(Pool(subnet="10.7.0.0/16"),),
        options={"parent": "lan0"},
        labels={"from": "config"},
    )


def test_a_configuration_that_is_in_use_stays_and_dockers_own_stay_always() -> None:
    table = with_planned(TABLE, {"name": "user", "config_from": ConfigReference(network="config"), "driver": "macvlan"})
    for name, text in (
        ("bridge", "bridge is a pre-defined network and cannot be removed"),
        ("host", "host is a pre-defined network and cannot be removed"),
        ("none", "none is a pre-defined network and cannot be removed"),
        ("config", 'error while removing network: configuration network "config" is in use'),
    ):
        with pytest.raises(Forbidden) as caught:
            check_removable(table.find(name), table)
        assert str(caught.value) == text
    check_removable(table.find("user"), table)
    check_removable(TABLE.find("config"), TABLE)


# Refusals, in the order of the checks ----------------------------------------------------------------------------------

SWARM = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" '
    "to connect this node to swarm and try again."
)
OPERATOR = (
    "configuration network can only contain network specific fields. Network operator fields like "
    "[ ingress | internal | attachable | scope ] are not supported."
)
DEPENDS = "user specified configurations are not supported if the network depends on a configuration network"
FROM = {"config_from": ConfigReference(network="config")}

REFUSALS: list[tuple[dict[str, Any], type[DaemonError], str]] = [
    *(
        ({"name": name}, Forbidden, f"operation is not permitted on predefined {name} network ")
        for name in ("bridge", "host", "none", "default")
    ),
    ({"driver": "overlay"}, Forbidden, SWARM),
    ({"options": {ENABLE_IPV4: "x"}}, InvalidParameter, f'driver-opt "{ENABLE_IPV4}" is not a valid bool'),
    ({"options": {ENABLE_IPV6: ""}}, InvalidParameter, f'driver-opt "{ENABLE_IPV6}" is not a valid bool'),
    (
        {"ipam": subnets("x")},
        InvalidParameter,
        "invalid network config:\ninvalid subnet x: invalid CIDR block notation",
    ),
    ({"name": ""}, InvalidParameter, "invalid name: name is empty"),
    ({"name": " \t"}, InvalidParameter, "invalid name: name is empty"),
    ({"name": 256 * "n"}, InvalidParameter, "invalid name: more than 255 characters"),
    ({"name": "taken"}, Conflict, "network with name taken already exists"),
    ({"name": "config", "config_only": True}, Conflict, "network with name config already exists"),
    *(
        ({"config_only": True, field: value}, Forbidden, OPERATOR)
        for field, value in (("ingress", True), ("internal", True), ("attachable", True), ("scope", "local"))
    ),
    (
        {"options": {COUNT: "x", INTERVAL: "x"}},
        InvalidParameter,
        f'value for option {COUNT} "x" must be an integer\n'
        f'value for option {INTERVAL} "x" must be integer milliseconds',
    ),
    ({"options": {COUNT: "4"}}, InvalidParameter, f"{COUNT} must be in the range 0 to 3"),
    ({"options": {INTERVAL: "99"}}, InvalidParameter, f"{INTERVAL} must be in the range 100 to 2000"),
    ({"options": {INTERVAL: "2001"}}, InvalidParameter, f"{INTERVAL} must be in the range 100 to 2000"),
    (
        {"config_only": True, **FROM},
        Forbidden,
        "a configuration network cannot depend on another configuration network",
    ),
    *(
        ({**FROM, field: value}, Forbidden, DEPENDS)
        for field, value in (
            ("enable_ipv4", False),
            ("enable_ipv6", True),
            ("labels", {"k": "v"}),
            ("ipam", Ipam(driver="null")),
            ("ipam", Ipam(options={"o": "1"})),
            ("ipam", subnets("10.0.0.0/8")),
        )
    ),
    (
        {**FROM, "options": {"o": "1"}},
        Forbidden,
        "network driver options are not supported if the network depends on a configuration network",
    ),
    ({"driver": "nosuch"}, NotFound, 'plugin "nosuch" not found'),
    ({"ingress": True}, Forbidden, "Ingress network can only be global scope network"),
    (
        {"config_from": ConfigReference(network="taken")},
        NotFound,
        'configuration network "taken" does not exist',
    ),
    ({"scope": "swarm"}, Forbidden, "cannot create a swarm scoped network when swarm is not active"),
    (
        {"options": {"com.docker.network.driver.mtu": "x"}},
        InvalidParameter,
        'failed to parse com.docker.network.driver.mtu value: x (strconv.Atoi: parsing "x": invalid syntax)',
    ),
    ({"ipam": Ipam(driver="nosuch")}, NotFound, 'plugin "nosuch" not found'),
    ({"ipam": Ipam(driver="null")}, InvalidParameter, "ipv4 pool is empty"),
    (
        {"ipam": replace(subnets("10.0.0.0/8"), driver="null")},
        InvalidParameter,
        "null ipam driver does not handle specific address pool requests",
    ),
    (
        {"ipam": subnets("172.17.0.0/24")},
        Forbidden,
        "invalid pool request: Pool overlaps with other one on this address space",
    ),
    ({"driver": "host"}, Forbidden, 'only one instance of "host" network is allowed'),
    ({"driver": "null"}, Forbidden, 'only one instance of "null" network is allowed'),
    ({"enable_ipv4": False}, InvalidParameter, "IPv4 or IPv6 must be enabled"),
    ({"ipam": subnets("10.0.0.0/16", "10.1.0.0/16")}, Forbidden, "bridge driver doesn't support multiple subnets"),
    (
        {"ipam": subnets("10.0.0.0/16", "10.0.0.0/16")},
        Forbidden,
        "invalid pool request: Pool overlaps with other one on this address space",
    ),
    (
        {"options": {"com.docker.network.bridge.name": "docker0"}},
        Forbidden,
        f"cannot create network {id_of(1)} (docker0): conflicts with network {IDS[0]} (docker0): "
        "networks have same bridge name",
    ),
]


@pytest.mark.parametrize(("fields", "kind", "text"), REFUSALS)
def test_what_is_refused_and_in_which_words(fields: dict[str, Any], kind: type[DaemonError], text: str) -> None:
    assert refused(**fields) == (kind, text)


@pytest.mark.parametrize("number", range(len(REFUSALS) - 1))
def test_of_two_mistakes_the_earlier_in_dockers_order_is_told(number: int) -> None:
    """Each together with the next, where one request can hold both."""
    (first, kind, text), (second, *_) = REFUSALS[number], REFUSALS[number + 1]
    if set(first) & set(second) or "config_from" in second or second.get("driver") in ("host", "null"):
        return  # the host's network and none have no use for most of what a request may say
    assert refused(**{**second, **first}) == (kind, text)


@pytest.mark.parametrize("options", [{COUNT: "0"}, {COUNT: "3"}, {INTERVAL: "100"}, {INTERVAL: "2000", COUNT: "1"}])
def test_how_addresses_are_advertised_has_bounds(options: dict[str, str]) -> None:
    assert planned(TABLE, options=options).options == options
