from __future__ import annotations

from typing import Any

import pytest

from daemon.errors import DaemonError, Forbidden, InvalidParameter, NotFound
from daemon.network import Pool
from daemon.network.drivers import DRIVERS, Gateways, check_driver, check_network, needed_gateways
from tests.daemon.network.making import id_of, network

BRIDGE = "com.docker.network.bridge"
POOL = Pool(subnet="10.0.0.0/24", gateway="10.0.0.1")
OTHER_POOL = Pool(subnet="10.1.0.0/24", gateway="10.1.0.1")
POOL_V6 = Pool(subnet="fd00::/64", gateway="fd00::1")


def test_drivers_that_are_not_built_in_are_not_there() -> None:
    for driver in DRIVERS:
        check_driver(driver)
    for driver in ("default", "Bridge", "weave/net", ""):
        with pytest.raises(NotFound) as refused:
            check_driver(driver)
        assert str(refused.value) == f'plugin "{driver}" not found'


NEEDED: list[tuple[str, dict[str, str], bool, Gateways]] = [
    ("bridge", {}, False, Gateways()),
    ("bridge", {}, True, Gateways()),
    ("bridge", {f"{BRIDGE}.inhibit_ipv4": "true"}, False, Gateways()),
    ("bridge", {f"{BRIDGE}.inhibit_ipv4": "true"}, True, Gateways(ipv4=False)),
    ("bridge", {f"{BRIDGE}.inhibit_ipv4": "0"}, True, Gateways()),
    ("bridge", {f"{BRIDGE}.gateway_mode_ipv4": "isolated"}, True, Gateways(ipv4=False)),
    ("bridge", {f"{BRIDGE}.gateway_mode_ipv6": "isolated"}, True, Gateways(ipv6=False)),
    ("bridge", {f"{BRIDGE}.gateway_mode_ipv4": "routed"}, False, Gateways()),
    ("bridge", {"com.docker.network.driver.mtu": "-5", "unknown": "x"}, False, Gateways()),
    ("macvlan", {}, False, Gateways(ipv4=False, ipv6=False)),
    ("macvlan", {"parent": "eth0"}, False, Gateways()),
    ("macvlan", {"parent": "eth0"}, True, Gateways(ipv4=False, ipv6=False)),
    ("macvlan", {"parent": "eth0", "macvlan_mode": "vepa"}, False, Gateways()),
    ("ipvlan", {}, False, Gateways(ipv4=False, ipv6=False)),
    ("ipvlan", {"parent": "eth0"}, False, Gateways()),
    ("ipvlan", {"parent": "eth0", "ipvlan_mode": "l2", "ipvlan_flag": "private"}, False, Gateways()),
    ("ipvlan", {"parent": "eth0", "ipvlan_mode": "l3"}, False, Gateways(ipv4=False, ipv6=False)),
    ("ipvlan", {"parent": "eth0", "ipvlan_mode": "l3s"}, False, Gateways(ipv4=False, ipv6=False)),
    ("host", {"anything": "goes"}, False, Gateways()),
]


@pytest.mark.parametrize(("driver", "options", "internal", "needed"), NEEDED)
def test_which_gateways_a_network_needs_is_its_drivers_to_say(
    driver: str, options: dict[str, str], internal: bool, needed: Gateways
) -> None:
    assert needed_gateways(network(1, driver=driver, options=options, internal=internal)) == needed


def not_parsed(key: str, value: str, why: str) -> tuple[str, dict[str, str], str]:
    return "bridge", {key: value}, f"failed to parse {key} value: {value} ({why})"


REFUSED: list[tuple[str, dict[str, str], str]] = [
    not_parsed("com.docker.network.driver.mtu", "a", 'strconv.Atoi: parsing "a": invalid syntax'),
    not_parsed("com.docker.network.enable_ipv4", "a", 'strconv.ParseBool: parsing "a": invalid syntax'),
    not_parsed("com.docker.network.enable_ipv6", "", 'strconv.ParseBool: parsing "": invalid syntax'),
    not_parsed(f"{BRIDGE}.enable_icc", "2", 'strconv.ParseBool: parsing "2": invalid syntax'),
    not_parsed(f"{BRIDGE}.enable_ip_masquerade", "no", 'strconv.ParseBool: parsing "no": invalid syntax'),
    not_parsed(f"{BRIDGE}.inhibit_ipv4", "no", 'strconv.ParseBool: parsing "no": invalid syntax'),
    not_parsed(f"{BRIDGE}.default_bridge", "no", 'strconv.ParseBool: parsing "no": invalid syntax'),
    not_parsed(f"{BRIDGE}.gateway_mode_ipv4", "nut", "unknown gateway mode nut"),
    not_parsed(f"{BRIDGE}.gateway_mode_ipv6", "", "unknown gateway mode "),
    not_parsed(f"{BRIDGE}.host_binding_ipv4", "x", "nil ip"),
    not_parsed("com.docker.network.host_ipv4", "x", "nil ip"),
    not_parsed("com.docker.network.host_ipv6", "", "nil ip"),
    (
        "bridge",
        {f"{BRIDGE}.gateway_mode_ipv4": "isolated"},
        "gateway mode 'isolated' can only be used for an internal network",
    ),
    (
        "macvlan",
        {"macvlan_mode": "x"},
        "requested macvlan mode 'x' is not valid, 'bridge' mode is the macvlan driver default",
    ),
    ("macvlan", {"parent": "lo"}, "loopback interface is not a valid macvlan parent link"),
    (
        "ipvlan",
        {"ipvlan_mode": "l4"},
        "requested ipvlan mode 'l4' is not valid, 'l2' mode is the ipvlan driver default",
    ),
    ("ipvlan", {"ipvlan_flag": "x"}, "requested ipvlan flag 'x' is not valid, 'bridge' is the ipvlan driver default"),
    ("ipvlan", {"parent": "lo"}, "loopback interface is not a valid ipvlan parent link"),
]


@pytest.mark.parametrize(("driver", "options", "text"), REFUSED)
def test_options_that_make_no_sense_are_refused_in_dockers_words(
    driver: str, options: dict[str, str], text: str
) -> None:
    with pytest.raises(InvalidParameter) as refused:
        needed_gateways(network(1, driver=driver, options=options))
    assert str(refused.value) == text


CHECKED: list[tuple[dict[str, Any], type[DaemonError] | None, str]] = [
    ({"pools": (POOL,)}, None, ""),
    ({"pools": (POOL, POOL_V6), "enable_ipv6": True}, None, ""),
    ({"pools": (POOL_V6,), "enable_ipv4": False, "enable_ipv6": True}, None, ""),
    ({"enable_ipv4": False}, InvalidParameter, "IPv4 or IPv6 must be enabled"),
    ({"pools": ()}, InvalidParameter, "ipv4 pool is empty"),
    ({"pools": (Pool(subnet="0.0.0.0/0"),)}, InvalidParameter, "ipv4 pool is empty"),
    ({"pools": (POOL, Pool(subnet="::/0")), "enable_ipv6": True}, InvalidParameter, "ipv6 pool is empty"),
    ({"pools": (POOL, OTHER_POOL)}, Forbidden, "bridge driver doesn't support multiple subnets"),
    (
        {"pools": (POOL,), "options": {"com.docker.network.driver.mtu": "-5"}},
        InvalidParameter,
        "invalid MTU number: -5",
    ),
    (
        {"pools": (Pool(subnet="ff02::/64", gateway="ff02::1"),), "enable_ipv4": False, "enable_ipv6": True},
        InvalidParameter,
        "multicast subnet 'ff02::1/64' is not allowed",
    ),
    (
        {"pools": (Pool(subnet="fe80::/80", gateway="fe80::1"),), "enable_ipv4": False, "enable_ipv6": True},
        InvalidParameter,
        "'fe80::1/80' clashes with the Link-Local prefix 'fe80::/64'",
    ),
    (
        {"pools": (Pool(subnet="fe80::/64", gateway="fe80::1"),), "enable_ipv4": False, "enable_ipv6": True},
        None,
        "",
    ),
    ({"driver": "host"}, Forbidden, 'only one instance of "host" network is allowed'),
    ({"driver": "null"}, Forbidden, 'only one instance of "null" network is allowed'),
    ({"driver": "macvlan", "pools": (POOL, OTHER_POOL)}, None, ""),
    ({"driver": "macvlan", "enable_ipv4": False}, None, ""),
    ({"driver": "macvlan"}, InvalidParameter, "ipv4 pool is empty"),
    ({"driver": "ipvlan"}, InvalidParameter, "ipv4 pool is empty"),
]


@pytest.mark.parametrize(("fields", "kind", "text"), CHECKED)
def test_a_driver_takes_the_networks_it_can_make(
    fields: dict[str, Any], kind: type[DaemonError] | None, text: str
) -> None:
    asked_for = network(1, **fields)
    if kind is None:
        check_network(asked_for, [])
        return
    with pytest.raises(kind) as refused:
        check_network(asked_for, [])
    assert str(refused.value) == text


MINE, THEIRS = id_of(0xA), id_of(0xB)
WHO = f"cannot create network {MINE} (br-{MINE[:12]}): conflicts with network {THEIRS} (br-{THEIRS[:12]}): "
NAMED = {f"{BRIDGE}.name": "docker9"}

COLLISIONS: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"pools": (POOL,)}, {"pools": (OTHER_POOL,)}, ""),
    (
        {"pools": (POOL,), "options": NAMED},
        {"pools": (OTHER_POOL,), "options": NAMED},
        f"cannot create network {MINE} (docker9): conflicts with network {THEIRS} (docker9): "
        "networks have same bridge name",
    ),
    (
        {"pools": (Pool(subnet="10.0.0.0/16", ip_range="10.0.9.0/24", gateway="10.0.9.0"),)},
        {"pools": (Pool(subnet="10.0.0.0/8", ip_range="10.7.0.0/16", gateway="10.7.0.0"),)},
        f"{WHO}networks have overlapping IPv4",
    ),
    (
        {"pools": (POOL, POOL_V6), "enable_ipv6": True},
        {"pools": (OTHER_POOL, Pool(subnet="fd00::/16", gateway="fd00:1::1"))},
        f"{WHO}networks have overlapping IPv6",
    ),
    ({"pools": (POOL,)}, {"pools": (POOL,), "driver": "macvlan"}, ""),
    ({"pools": (POOL,)}, {"config_only": True, "driver": "null"}, ""),
    (
        {"driver": "ipvlan", "pools": (POOL,), "options": {"parent": "eth0"}},
        {"driver": "ipvlan", "pools": (OTHER_POOL,), "options": {"parent": "eth0"}},
        f"network di-{THEIRS[:12]} is already using parent interface eth0",
    ),
    ({"driver": "ipvlan", "pools": (POOL,)}, {"driver": "ipvlan", "pools": (OTHER_POOL,)}, ""),
    (
        {"driver": "macvlan", "pools": (POOL,), "options": {"parent": "eth0"}},
        {"driver": "macvlan", "pools": (OTHER_POOL,), "options": {"parent": "eth0"}},
        "",
    ),
    (
        {"driver": "macvlan", "pools": (POOL,), "options": {"parent": "eth0", "macvlan_mode": "passthru"}},
        {"driver": "macvlan", "pools": (OTHER_POOL,), "options": {"parent": "eth0"}},
        f"cannot use mode passthru, macvlan network {THEIRS} is already using parent interface eth0",
    ),
    (
        {"driver": "macvlan", "pools": (POOL,), "options": {"parent": "eth0"}},
        {"driver": "macvlan", "pools": (OTHER_POOL,), "options": {"parent": "eth0", "macvlan_mode": "passthru"}},
        f"macvlan network {THEIRS} is already using parent interface eth0 in mode passthru",
    ),
]


@pytest.mark.parametrize(("mine", "theirs", "text"), COLLISIONS)
def test_two_networks_that_collide_are_one_too_many(mine: dict[str, Any], theirs: dict[str, Any], text: str) -> None:
    asked_for, other = network(1, id=MINE, **mine), network(2, id=THEIRS, **theirs)
    if not text:
        check_network(asked_for, [other])
        return
    with pytest.raises(Forbidden) as refused:
        check_network(asked_for, [other])
    assert str(refused.value) == text
