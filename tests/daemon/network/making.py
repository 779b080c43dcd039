"""Networks for the tests of decisions: say what matters, the rest is Docker's default."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from daemon.network import Ipam, Network, NetworkRequest, SubnetConfig
from daemon.network.plan import Surroundings, plan_network, predefined_networks
from daemon.network.pools import Block
from daemon.network.table import NetworkTable

SURROUNDINGS = Surroundings(ipv6_block=Block.of("fd00:1:2::/48", 64))

IDS = ("b" * 64, "c" * 64, "d" * 64)
"""Of bridge, host and none."""


def predefined(surroundings: Surroundings = SURROUNDINGS) -> NetworkTable:
    return NetworkTable.of(predefined_networks(NetworkTable(), IDS, created_ns=1, surroundings=surroundings))


def id_of(number: int) -> str:
    return f"{number:012x}".ljust(64, "0")  # what is the number's is in the name of the bridge, too


def subnets(*configs: SubnetConfig | str) -> Ipam:
    """With those subnets, said in full or by their address alone."""
    return Ipam(config=tuple(SubnetConfig(subnet=config) if isinstance(config, str) else config for config in configs))


def planned(
    table: NetworkTable, number: int = 1, *, surroundings: Surroundings = SURROUNDINGS, **fields: Any
) -> Network:
    """The network `name<number>`, unless the fields say otherwise."""
    request = NetworkRequest(**{"name": f"name{number}", **fields})
    return plan_network(request, table, network_id=id_of(number), created_ns=1000 + number, surroundings=surroundings)


def with_planned(table: NetworkTable, *requests: dict[str, Any]) -> NetworkTable:
    """The table with one network more for each request."""
    for number, fields in enumerate(requests, start=len(table) + 100):
        table = table.with_network(planned(table, number, **fields))
    return table


def network(number: int, **fields: Any) -> Network:
    """A record, without a decision."""
    return replace(Network(id=id_of(number), name=f"name{number}", created_ns=number), **fields)
