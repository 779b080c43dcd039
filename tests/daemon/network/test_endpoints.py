from __future__ import annotations

from typing import Any

import pytest

from daemon.container import Container, ContainerConfig, EndpointIpam, EndpointSettings, HostConfig
from daemon.errors import InvalidParameter
from daemon.network import is_user_defined
from daemon.network.endpoints import check_endpoints, connected, disconnected, networks_of
from tests.daemon.network.making import predefined, subnets, with_planned

TABLE = with_planned(
    predefined(),
    {"name": "auto"},
    {"name": "fixed", "ipam": subnets("10.0.0.0/16", "fd05::/64"), "enable_ipv6": True},
)
FIXED = TABLE.find("fixed")
SYSCTLS = "com.docker.network.endpoint.sysctls"

NOT_ON_PREDEFINED = "user specified IP address is supported on user defined networks only"
NO_ALIAS = "network-scoped alias is supported only for containers in user defined networks"
NOT_CONFIGURED = "user specified IP address is supported only when connecting to networks with user configured subnets"


def fixed_address(ipv4: str = "", ipv6: str = "", *link_local: str) -> dict[str, Any]:
    return {"ipam_config": EndpointIpam(ipv4_address=ipv4, ipv6_address=ipv6, link_local_ips=link_local or None)}


def unrecognised(sysctl: str) -> str:
    return (
        f"unrecognised network interface sysctl '{sysctl}'; represent 'net.X.Y.ethN.Z=V' as "
        "'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'"
    )


CHECKS: list[tuple[str, dict[str, Any], list[str]]] = [
    ("fixed", {}, []),
    ("fixed", {"aliases": ("db",), "mac_address": "02:42:ac:11:00:02"}, []),
    ("fixed", fixed_address("10.0.0.9", "fd05::9"), []),
    ("fixed", fixed_address("::ffff:10.0.0.9"), []),
    (FIXED.id, fixed_address("10.0.0.9"), []),
    ("nosuch", fixed_address("10.9.0.9", "fd09::9", "169.254.1.1", "fe80::1"), []),
    ("fixed", fixed_address("10.9.0.9"), ["no configured subnet or ip-range contain the IP address 10.9.0.9"]),
    ("fixed", fixed_address("", "fd09::9"), ["no configured subnet or ip-range contain the IP address fd09::9"]),
    (
        "fixed",
        fixed_address("10.0.0", "10.0.0.9"),
        [
            "invalid IPv4 address: 10.0.0",
            "invalid IPv6 address: 10.0.0.9",
            "no configured subnet or ip-range contain the IP address 10.0.0",
            "no configured subnet or ip-range contain the IP address 10.0.0.9",
        ],
    ),
    ("nosuch", fixed_address("0.0.0.0", "::"), ["invalid IPv4 address: 0.0.0.0", "invalid IPv6 address: ::"]),
    ("nosuch", fixed_address("fd00::1"), ["invalid IPv4 address: fd00::1"]),
    ("nosuch", fixed_address("", "fe80::1%eth0"), ["invalid IPv6 address: fe80::1%eth0"]),
    ("nosuch", fixed_address("", "::ffff:10.0.0.9"), ["invalid IPv6 address: ::ffff:10.0.0.9"]),
    (
        "nosuch",
        fixed_address("", "", "x", "::", "169.254.1.1"),
        ["invalid link-local IP address: x", "invalid link-local IP address: ::"],
    ),
    ("auto", fixed_address("172.18.0.9"), [NOT_CONFIGURED]),
    ("bridge", fixed_address("172.17.0.9"), [NOT_ON_PREDEFINED, NOT_CONFIGURED]),
    ("none", {"aliases": ("db",)}, [NO_ALIAS]),
    (
        "host",
        {**fixed_address("", "x"), "aliases": ("db",)},
        [NOT_ON_PREDEFINED, NO_ALIAS, "invalid IPv6 address: x", NOT_CONFIGURED],
    ),
    ("default", {"aliases": ("db",)}, [NO_ALIAS]),
    ("fixed", {"driver_opts": {SYSCTLS: "net.ipv4.conf.IFNAME.log_martians=1"}}, []),
    ("fixed", {"driver_opts": {SYSCTLS: "net.ipv6.conf.ifname.a=1,net.mpls.conf.IFNAME.input=1"}}, []),
    (
        "fixed",
        {"driver_opts": {SYSCTLS: "net.ipv4.conf.eth0.a=1,net.ipv5.conf.IFNAME.a=1,net.ipv4.conf.IFNAME,"}},
        [*map(unrecognised, ("net.ipv4.conf.eth0.a=1", "net.ipv5.conf.IFNAME.a=1", "net.ipv4.conf.IFNAME", ""))],
    ),
    ("fixed", {"driver_opts": {"anything": "net.ipv4.conf.eth0.a=1"}}, []),
]


@pytest.mark.parametrize(("network", "fields", "complaints"), CHECKS)
def test_an_endpoint_that_cannot_be_is_refused_with_everything_that_is_wrong(
    network: str, fields: dict[str, Any], complaints: list[str]
) -> None:
    endpoints = {network: EndpointSettings(**fields)}
    if not complaints:
        check_endpoints(endpoints, TABLE)
        return
    with pytest.raises(InvalidParameter) as refused:
        check_endpoints(endpoints, TABLE)
    listed = complaints[0] if len(complaints) == 1 else "\n".join(f"* {text}" for text in complaints)
    assert str(refused.value) == f"invalid config for network {network}: invalid endpoint settings:\n{listed}"


def test_a_mac_address_that_is_none_is_told_alone() -> None:
    bad = EndpointSettings(mac_address="02:42", aliases=("db",), **fixed_address("x"))
    with pytest.raises(InvalidParameter) as refused:
        check_endpoints({"bridge": bad}, TABLE)
    assert str(refused.value) == "invalid config for network bridge: invalid MAC address 02:42"


def test_the_complaints_of_several_endpoints_are_a_list_of_lists() -> None:
    endpoints = {
        "bridge": EndpointSettings(aliases=("db",), **fixed_address("172.17.0.9")),
        "fixed": EndpointSettings(),
        "auto": None,
    }
    with pytest.raises(InvalidParameter) as refused:
        check_endpoints(endpoints, TABLE)
    assert str(refused.value) == (
        "* invalid config for network bridge: invalid endpoint settings:\n"
        f"\t* {NOT_ON_PREDEFINED}\n\t* {NO_ALIAS}\n\t* {NOT_CONFIGURED}\n"
        "* invalid config for network auto: EndpointsConfig is nil"
    )


@pytest.mark.parametrize(
    ("mode", "is_one"),
    [
        ("backend", True),
        ("", True),
        ("bridge", False),
        ("default", False),
        ("host", False),
        ("none", False),
        ("container", False),
        ("container:web", False),
        ("containers", True),
    ],
)
def test_a_mode_that_is_not_dockers_own_names_a_users_network(mode: str, is_one: bool) -> None:
    assert is_user_defined(mode) is is_one


ALIASED, PLAIN = EndpointSettings(aliases=("db",)), EndpointSettings()


@pytest.mark.parametrize(
    ("mode", "endpoints", "is_found", "expected"),
    [
        ("bridge", {}, False, {"bridge": PLAIN}),
        ("bridge", {"bridge": ALIASED}, False, {"bridge": ALIASED}),
        ("bridge", {"fixed": ALIASED}, False, {"fixed": ALIASED}),
        ("nosuch", {}, False, {"nosuch": PLAIN}),
        ("nosuch", {"nosuch": ALIASED}, False, {"nosuch": ALIASED}),
        ("fixed", {}, True, {"fixed": PLAIN}),
        (FIXED.id, {}, True, {"fixed": PLAIN}),
        (FIXED.id[:12], {}, True, {"fixed": PLAIN}),
        ("fixed", {"fixed": ALIASED}, True, {"fixed": ALIASED}),
        (FIXED.id, {FIXED.id: ALIASED, "auto": PLAIN}, True, {"fixed": ALIASED, "auto": PLAIN}),
        ("fixed", {FIXED.id: ALIASED}, True, {"fixed": ALIASED}),
        ("fixed", {FIXED.id: ALIASED, "fixed": PLAIN}, True, {"fixed": PLAIN, FIXED.id: ALIASED}),
        (FIXED.id[:12], {FIXED.id[:12]: ALIASED}, True, {FIXED.id[:12]: ALIASED}),  # as in Docker
    ],
)
def test_the_networks_are_those_asked_for_or_the_one_the_mode_names(
    mode: str, endpoints: dict[str, EndpointSettings], is_found: bool, expected: dict[str, EndpointSettings]
) -> None:
    assert networks_of(mode, endpoints, FIXED if is_found else None) == expected


# Connect and disconnect ------------------------------------------------------------------------------------------------

TO_HOST = "cannot connect container to host network - container must be created in host network mode"
SHARED = "container sharing network namespace with another container or host cannot be connected to any other network"
PRIVATE = "container cannot be connected to multiple networks with one of the networks in private (none) mode"


def container(mode: str = "bridge", *networks: str, **endpoints: EndpointSettings) -> Container:
    """In the network of its mode, unless some are named."""
    names = networks or (() if mode.startswith("container:") else (mode,))
    return Container(
        id="0123456789ab" + "c" * 52,
        name="web",
        created_ns=1,
        path="sh",
        args=(),
        config=ContainerConfig(hostname="quay"),
        host_config=HostConfig(network_mode=mode),
        image_id="",
        networks={**dict.fromkeys(names, PLAIN), **endpoints},
    )


@pytest.mark.parametrize("term", ["fixed", FIXED.id, FIXED.id[:12]])
def test_a_connected_container_is_in_the_network_under_its_name_with_names_of_its_own_there(term: str) -> None:
    endpoint = EndpointSettings(aliases=("db", "web"), gw_priority=3, **fixed_address("10.0.0.9"))
    networks = connected(container(), term, endpoint, TABLE).networks
    assert list(networks) == ["bridge", "fixed"]
    assert networks["bridge"] == PLAIN
    assert networks["fixed"] == EndpointSettings(
        aliases=("db", "web"),
        gw_priority=3,
        dns_names=("web", "db", "0123456789ab", "quay"),
        **fixed_address("10.0.0.9"),
    )


def test_in_dockers_own_networks_a_container_has_no_names() -> None:
    assert connected(container("fixed"), "bridge", PLAIN, TABLE).networks["bridge"] == PLAIN


def test_a_container_that_is_in_the_network_already_stays_as_it_is() -> None:
    other = EndpointSettings(aliases=("db",))
    for before in (
        container("bridge", "bridge", "fixed"),
        container("bridge", FIXED.id),
        container("bridge", mine=EndpointSettings(network_id=FIXED.id)),
    ):
        assert connected(before, "fixed", other, TABLE) is before


def test_a_network_that_is_not_there_is_noticed_at_start_only() -> None:
    endpoint = EndpointSettings(aliases=("db",))
    assert connected(container(), "nosuch", endpoint, TABLE).networks == {"bridge": PLAIN, "nosuch": endpoint}
    assert "fixed" in connected(container("bridge", "nosuch"), "fixed", PLAIN, TABLE).networks


CONFLICTS: list[tuple[Container, str, str]] = [
    (container(), "host", TO_HOST),
    (container("container:x"), "host", TO_HOST),
    (container("host"), "bridge", SHARED),
    (container("host"), "fixed", SHARED),
    (container("none"), "fixed", PRIVATE),
    (container(), "none", PRIVATE),
    (container("host", "bridge"), "host", SHARED),
    (container("container:x"), "fixed", ""),
    (container("host"), "host", ""),
    (container("host", "nosuch"), "host", ""),
    (container("bridge", "auto"), "fixed", ""),
]


@pytest.mark.parametrize(("before", "term", "text"), CONFLICTS)
def test_some_networks_exclude_others(before: Container, term: str, text: str) -> None:
    if not text:
        assert term in connected(before, term, PLAIN, TABLE).networks
        return
    with pytest.raises(InvalidParameter) as refused:
        connected(before, term, PLAIN, TABLE)
    assert str(refused.value) == text


def test_the_settings_of_an_endpoint_are_judged_before_the_networks() -> None:
    for term, fields, text in (
        ("fixed", fixed_address("10.9.0.9"), "no configured subnet or ip-range contain the IP address 10.9.0.9"),
        ("host", {"aliases": ("db",)}, NO_ALIAS),
    ):
        with pytest.raises(InvalidParameter) as refused:
            connected(container(), term, EndpointSettings(**fields), TABLE)
        assert str(refused.value) == f"invalid endpoint settings:\n{text}"


@pytest.mark.parametrize(
    ("networks", "term", "left"),
    [
        (("bridge", "fixed"), "fixed", ["bridge"]),
        (("bridge", "fixed"), FIXED.id, ["bridge"]),
        (("bridge", "fixed"), FIXED.id[:12], ["bridge"]),
        (("bridge",), "bridge", []),
        (("bridge", "nosuch"), "nosuch", ["bridge"]),
    ],
)
def test_a_disconnected_container_has_left_the_network(networks: tuple[str, ...], term: str, left: list[str]) -> None:
    assert list(disconnected(container("bridge", *networks), term, TABLE).networks) == left


@pytest.mark.parametrize(("term", "shown"), [("fixed", "fixed"), (FIXED.id, "fixed"), ("nosuch", "nosuch")])
def test_a_container_cannot_leave_a_network_that_it_is_not_in(term: str, shown: str) -> None:
    """Unlike Moby, which answers 500."""
    with pytest.raises(InvalidParameter) as refused:
        disconnected(container(), term, TABLE)
    assert str(refused.value) == f"container {container().id} is not connected to the network {shown}"
