from __future__ import annotations

import ipaddress
import sys

import pytest

from daemon.host_subnets import name_servers, on_link_subnets, subnets_in_use

HEADER = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT"


def networks(*texts: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    return [ipaddress.ip_network(text) for text in texts]


@pytest.mark.parametrize(
    ("content", "servers"),
    [
        ("", []),
        ("search lan\nnameserver 10.0.0.53\n  nameserver\t8.8.8.8 # public\n", ["10.0.0.53/32", "8.8.8.8/32"]),
        ("nameserver fd00::53\nnameserver fe80::1%eth0", ["fd00::53/128", "fe80::1/128"]),
        ("#nameserver 10.0.0.1\n;nameserver 10.0.0.1\nnameserver\nnameserver dns.lan", []),
    ],
)
def test_name_servers_are_read_as_the_resolver_does(content: str, servers: list[str]) -> None:
    assert list(name_servers(content)) == networks(*servers)


def test_subnets_that_are_reached_without_a_router_are_in_use() -> None:
    def route(interface: str, destination: str, gateway: str, mask: str) -> str:
        fields = [f"{as_the_kernel_writes(text)}" for text in (destination, gateway)]
        return f"{interface}\t{fields[0]}\t{fields[1]}\t0001\t0\t0\t0\t{as_the_kernel_writes(mask)}\t0\t0\t0"

    table = [
        route("eth0", "0.0.0.0", "192.0.2.1", "0.0.0.0"),  # the default route
        route("eth0", "192.0.2.0", "0.0.0.0", "255.255.255.0"),
        route("docker0", "172.17.0.0", "0.0.0.0", "255.255.0.0"),
        route("tun0", "10.0.0.0", "192.0.2.9", "255.0.0.0"),  # behind a router
        route("tun0", "0.0.0.0", "0.0.0.0", "128.0.0.0"),
        route("tun0", "10.9.9.9", "0.0.0.0", "255.255.255.255"),
    ]
    in_use = list(on_link_subnets("\n".join([HEADER, *table])))
    assert in_use == networks("192.0.2.0/24", "172.17.0.0/16", "10.9.9.9/32")
    assert list(on_link_subnets(HEADER)) == list(on_link_subnets("")) == []


def as_the_kernel_writes(address: str) -> str:
    return f"{int.from_bytes(ipaddress.IPv4Address(address).packed, sys.byteorder):08X}"


def test_this_machine_is_looked_at_without_complaint() -> None:
    assert all(subnet.prefixlen > 0 for subnet in subnets_in_use())
