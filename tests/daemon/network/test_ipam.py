from __future__ import annotations

from typing import Any

import pytest

from daemon.errors import InvalidParameter
from daemon.network import Ipam, Pool, SubnetConfig
from daemon.network.ipam import check_ipam, configs_of, shown_subnets, subnet_of
from tests.daemon.network.making import network, subnets

Fields = dict[str, Any]

CHECKS: list[tuple[Fields, list[str]]] = [
    ({"subnet": "10.0.0.0/8"}, []),
    ({"subnet": "10.0.0.0/8", "ip_range": "10.1.0.0/16", "gateway": "10.1.0.1"}, []),
    ({"subnet": "10.0.0.0/8", "ip_range": "10.0.0.0/8"}, []),
    ({"subnet": "10.0.0.0/8", "auxiliary_addresses": {"a": "10.0.0.5", "b": ""}}, []),
    ({"subnet": "2001:db8::/64", "gateway": "2001:db8::1", "ip_range": "2001:db8::/80"}, []),
    ({"subnet": ""}, ["invalid subnet : invalid CIDR block notation"]),
    ({"subnet": "10.0.0.0"}, ["invalid subnet 10.0.0.0: invalid CIDR block notation"]),
    (
        {"subnet": "foobar", "gateway": "x", "ip_range": "y"},
        ["invalid subnet foobar: invalid CIDR block notation"],  # and no more of it
    ),
    ({"subnet": "10.10.10.10/8"}, ["invalid subnet 10.10.10.10/8: it should be 10.0.0.0/8"]),
    ({"subnet": "2001:DB8::1/64"}, ["invalid subnet 2001:db8::1/64: it should be 2001:db8::/64"]),
    (
        {"subnet": "192.168.0.0/24", "ip_range": "foobar"},
        ["invalid ip-range foobar: invalid CIDR block notation"],
    ),
    (
        {"subnet": "192.168.0.0/24", "ip_range": "192.168.0.0/23"},
        ["invalid ip-range 192.168.0.0/23: CIDR block is bigger than its parent subnet 192.168.0.0/24"],
    ),
    (
        {"subnet": "192.168.0.0/24", "ip_range": "192.168.0.1/25"},
        ["invalid ip-range 192.168.0.1/25: it should be 192.168.0.0/25"],
    ),
    (
        {"subnet": "192.168.0.0/24", "ip_range": "192.170.0.0/25"},
        ["invalid ip-range 192.170.0.0/25: parent subnet 192.168.0.0/24 doesn't contain ip-range"],
    ),
    (
        {"subnet": "192.168.0.0/24", "ip_range": "192.170.0.1/20"},
        [
            "invalid ip-range 192.170.0.1/20: CIDR block is bigger than its parent subnet 192.168.0.0/24",
            "invalid ip-range 192.170.0.1/20: it should be 192.170.0.0/20",
            "invalid ip-range 192.170.0.1/20: parent subnet 192.168.0.0/24 doesn't contain ip-range",
        ],
    ),
    (
        {"subnet": "192.168.0.0/24", "ip_range": "2001:db8::/32"},
        ["invalid ip-range 2001:db8::/32: parent subnet is an IPv4 block"],
    ),
    (
        {"subnet": "2001:db8::/32", "ip_range": "192.168.0.0/24"},
        ["invalid ip-range 192.168.0.0/24: parent subnet is an IPv6 block"],
    ),
    ({"subnet": "192.168.0.0/24", "gateway": "foobar"}, ["invalid gateway foobar: invalid address"]),
    (
        {"subnet": "192.168.0.0/24", "gateway": "2001:db8::1"},
        ["invalid gateway 2001:db8::1: parent subnet is an IPv4 block"],
    ),
    (
        {"subnet": "192.168.0.0/24", "gateway": "192.168.1.254"},
        ["invalid gateway 192.168.1.254: parent subnet 192.168.0.0/24 doesn't contain this address"],
    ),
    (
        {"subnet": "192.168.0.0/24", "auxiliary_addresses": {"DefaultGatewayIPv4": "foobar"}},
        ["invalid auxiliary address DefaultGatewayIPv4: invalid address"],
    ),
    (
        {"subnet": "192.168.0.0/24", "auxiliary_addresses": {"a": "2001:db8::1", "b": "192.168.0.1"}},
        ["invalid auxiliary address a: parent subnet is an IPv4 block"],
    ),
    (
        {"subnet": "192.168.0.0/24", "auxiliary_addresses": {"a": "192.168.2.1"}},
        ["invalid auxiliary address a: parent subnet 192.168.0.0/24 doesn't contain this address"],
    ),
]


@pytest.mark.parametrize(("fields", "complaints"), CHECKS)
def test_what_cannot_be_is_refused_with_everything_that_is_wrong(fields: Fields, complaints: list[str]) -> None:
    ipam = subnets(SubnetConfig(**fields))
    if not complaints:
        check_ipam(ipam, enable_ipv6=True)
        return
    with pytest.raises(InvalidParameter) as refused:
        check_ipam(ipam, enable_ipv6=True)
    listed = complaints[0] if len(complaints) == 1 else "\n".join(f"* {text}" for text in complaints)
    assert str(refused.value) == f"invalid network config:\n{listed}"


def test_the_complaints_of_all_subnets_are_one_list() -> None:
    with pytest.raises(InvalidParameter) as refused:
        check_ipam(subnets("10.10.10.10/8", "x", "192.168.0.0/24"), enable_ipv6=False)
    assert str(refused.value) == (
        "invalid network config:\n"
        "* invalid subnet 10.10.10.10/8: it should be 10.0.0.0/8\n"
        "* invalid subnet x: invalid CIDR block notation"
    )


def test_an_ipv6_subnet_that_is_not_used_is_not_judged_but_for_being_one() -> None:
    unused = SubnetConfig(subnet="2001:db8::1/64", gateway="x", ip_range="y")
    check_ipam(subnets(unused), enable_ipv6=False)
    assert str(subnet_of(unused)) == "2001:db8::/64"
    with pytest.raises(InvalidParameter):
        check_ipam(subnets(unused), enable_ipv6=True)
    with pytest.raises(InvalidParameter):
        check_ipam(subnets("2001:db8::1"), enable_ipv6=False)


def test_the_subnets_of_a_version_are_found_among_all() -> None:
    ipam = subnets("2001:db8::/64", "10.0.0.0/8", "10.1.0.0/16")
    assert [config.subnet for config in configs_of(ipam, 4)] == ["10.0.0.0/8", "10.1.0.0/16"]
    assert [config.subnet for config in configs_of(ipam, 6)] == ["2001:db8::/64"]
    assert configs_of(Ipam(), 4) == ()


def test_what_was_asked_for_is_shown_as_it_was_and_else_what_was_allocated() -> None:
    v4, v6 = Pool(subnet="172.18.0.0/16", gateway="172.18.0.1"), Pool(subnet="fd00::/64", gateway="fd00::1")
    shown_v4 = SubnetConfig(subnet="172.18.0.0/16", gateway="172.18.0.1")
    shown_v6 = SubnetConfig(subnet="fd00::/64", gateway="fd00::1")
    for configs, pools, shown in (
        ((), (), ()),
        ((), (v4,), (shown_v4,)),
        ((), (v4, v6), (shown_v4, shown_v6)),
        (("10.0.0.0/8",), (Pool(subnet="10.0.0.0/8", gateway="10.0.0.1"),), (SubnetConfig(subnet="10.0.0.0/8"),)),
        (("2001:DB8::/64",), (v4, v6), (SubnetConfig(subnet="2001:DB8::/64"), shown_v4)),
        (
            ("10.0.0.0/8", "2001:db8::/64"),
            (v4, v6),
            (SubnetConfig(subnet="10.0.0.0/8"), SubnetConfig(subnet="2001:db8::/64")),
        ),
    ):
        assert shown_subnets(network(1, ipam=subnets(*configs), pools=pools)) == shown
