from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from daemon.errors import DaemonError, Forbidden, InvalidParameter
from daemon.network import Pool, SubnetConfig
from daemon.network.addresses import Subnet
from daemon.network.pools import GLOBAL_BLOCKS, LOCAL_BLOCKS, AddressSpace, Block, first_free, unique_local_block

OVERLAP = "invalid pool request: Pool overlaps with other one on this address space"
IN_USE = "Address already in use"


def space(*taken: str, reserved: Sequence[str] = (), blocks: Sequence[Block] = LOCAL_BLOCKS) -> AddressSpace:
    """Some pools are taken: `10.0.0.0/8`, or `10.0.0.0/8 10.1.0.0/16 10.1.0.1` with a range and a gateway."""
    made = AddressSpace(blocks, map(ipaddress.ip_network, reserved))
    for text in taken:
        subnet, ip_range, gateway, *_ = (*text.split(), "", "")
        made.occupy(Pool(subnet=subnet, ip_range=ip_range, gateway=gateway))
    return made


def allocate(within: AddressSpace, *, needed: bool = True, **fields: Any) -> Pool:
    return within.allocate(SubnetConfig(**fields), network_name="net", is_gateway_needed=needed)


def refused(within: AddressSpace, *, needed: bool = True, **fields: Any) -> tuple[type[DaemonError], str]:
    with pytest.raises(DaemonError) as caught:
        allocate(within, needed=needed, **fields)
    return type(caught.value), str(caught.value)


# The choice of a subnet ----------------------------------------------------------------------------------------------


def test_the_blocks_are_dockers_and_are_used_up_in_order() -> None:
    within = space()
    chosen = [allocate(within).subnet for _ in range(31)]
    assert chosen == [
        *(f"172.{number}.0.0/16" for number in range(17, 32)),
        *(f"192.168.{number}.0/20" for number in range(0, 256, 16)),
    ]
    assert refused(within) == (InvalidParameter, "all predefined address pools have been fully subnetted")


def test_networks_of_global_scope_have_a_block_of_their_own() -> None:
    within = space(blocks=GLOBAL_BLOCKS)
    assert [allocate(within).subnet for _ in range(3)] == ["10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24"]


@pytest.mark.parametrize(
    ("taken", "reserved", "chosen"),
    [
        (["172.17.0.0/16"], [], "172.18.0.0/16"),
        (["172.18.0.0/16"], [], "172.17.0.0/16"),
        (["172.17.5.0/24"], [], "172.18.0.0/16"),
        (["172.16.0.0/12"], [], "192.168.0.0/20"),
        (["172.17.0.0/16", "172.18.0.0/16", "172.19.0.0/16", "172.21.0.0/16"], [], "172.20.0.0/16"),
        (["172.17.0.0/16", "172.18.0.0/16", "172.19.0.0/16", "172.20.0.0/16"], [], "172.21.0.0/16"),
        (["172.16.0.0/12", "192.168.0.0/24"], [], "192.168.16.0/20"),
        (["172.16.0.0/12", "192.168.0.0/17"], [], "192.168.128.0/20"),
        (["172.16.0.0/12"], ["192.168.0.0/17", "192.168.1.0/24"], "192.168.128.0/20"),
        ([], ["172.17.0.1/32"], "172.18.0.0/16"),
        (["fd00::/8", "0.0.0.0/0"], [], ""),
        (["fd00::/8"], [], "172.17.0.0/16"),
    ],
)
def test_a_chosen_subnet_overlaps_nothing_that_is_taken_or_the_hosts_own(
    taken: list[str], reserved: list[str], chosen: str
) -> None:
    within = space(*taken, reserved=reserved)
    if chosen:
        assert allocate(within).subnet == chosen
    else:
        assert refused(within)[0] is InvalidParameter


def test_ipv6_subnets_come_from_a_block_that_is_the_data_roots_own() -> None:
    block = unique_local_block("bd1d0f3e-2a53-4d2a-a6a0-8f1ddf2cf2a5")
    assert block == unique_local_block("bd1d0f3e-2a53-4d2a-a6a0-8f1ddf2cf2a5") != unique_local_block("other")
    assert block.base.subnet_of(ipaddress.ip_network("fd00::/8"))  # type: ignore[arg-type]  # both are IPv6
    assert (block.base.prefixlen, block.prefixlen) == (48, 64)
    within = space(blocks=[Block.of("fd00:1:2::/48", 64)])
    assert [(pool.subnet, pool.gateway) for pool in (allocate(within), allocate(within))] == [
        ("fd00:1:2::/64", "fd00:1:2::1"),
        ("fd00:1:2:1::/64", "fd00:1:2:1::1"),
    ]


@pytest.mark.parametrize("seed", range(30))
def test_whatever_comes_and_goes_the_first_free_subnet_is_chosen_and_overlaps_nothing(seed: int) -> None:
    rng = Random(seed)
    blocks = [Block.of("10.0.0.0/22", 24), Block.of("10.9.0.0/24", 26), Block.of("fd00::/62", 64)]
    candidates: list[Subnet] = [subnet for block in blocks for subnet in block.base.subnets(new_prefix=block.prefixlen)]
    taken: list[Subnet] = []
    for _ in range(200):
        if taken and rng.random() < 0.45:
            taken.remove(rng.choice(taken))
            continue
        version = rng.choice((4, 6))
        of_version = [block for block in blocks if block.base.version == version]
        if rng.random() < 0.2:  # somebody's own, of any size, which may overlap others
            length = rng.randrange(20, 33) if version == 4 else rng.randrange(60, 68)
            start = rng.choice(candidates)
            if start.version == version:
                taken.append(ipaddress.ip_network(f"{start.network_address}/{length}", strict=False))
            continue
        free = [
            candidate
            for candidate in candidates
            if candidate.version == version
            and not any(other.version == version and candidate.overlaps(other) for other in taken)
        ]
        chosen = first_free(of_version, taken)
        assert chosen == (free[0] if free else None)
        if chosen is not None:
            taken.append(chosen)


# Subnets and ranges asked for ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("taken", "fields", "is_free"),
    [
        ([], {"subnet": "10.0.0.0/8"}, True),
        (["10.0.0.0/8"], {"subnet": "10.0.0.0/8"}, False),
        (["10.0.0.0/8"], {"subnet": "10.1.0.0/16"}, False),
        (["10.1.0.0/16"], {"subnet": "10.0.0.0/8"}, False),
        (["10.1.0.0/16"], {"subnet": "10.2.0.0/16"}, True),
        (["2001:db8::/32"], {"subnet": "2001:db8:1::/48"}, False),
        # With ranges a subnet is shared, and overlaps are not looked for.
        (["10.0.0.0/8 10.1.0.0/16"], {"subnet": "10.0.0.0/8", "ip_range": "10.2.0.0/16"}, True),
        (["10.0.0.0/8 10.1.0.0/16"], {"subnet": "10.0.0.0/8", "ip_range": "10.1.0.0/16"}, False),
        (["10.0.0.0/8 10.1.0.0/16"], {"subnet": "10.0.0.0/8"}, False),
        (["10.0.0.0/8"], {"subnet": "10.0.0.0/8", "ip_range": "10.2.0.0/16"}, True),
        (["10.0.0.0/8"], {"subnet": "10.0.0.0/16", "ip_range": "10.0.0.0/24"}, True),
    ],
)
def test_a_subnet_that_overlaps_another_is_refused(taken: list[str], fields: dict[str, Any], is_free: bool) -> None:
    within = space(*taken)
    if is_free:
        assert allocate(within, **fields).subnet == fields["subnet"]
        assert refused(within, **fields) == (Forbidden, OVERLAP), "it is taken from now on"
    else:
        assert refused(within, **fields) == (Forbidden, OVERLAP)


def test_what_the_host_uses_may_be_asked_for() -> None:
    assert allocate(space(reserved=["192.0.2.0/24"]), subnet="192.0.2.0/24").gateway == "192.0.2.1"


# Gateways and auxiliary addresses --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "gateway"),
    [
        ({"subnet": "10.0.0.0/8"}, "10.0.0.1"),
        ({"subnet": "10.0.0.0/8", "gateway": "10.9.9.9"}, "10.9.9.9"),
        ({"subnet": "10.0.0.0/8", "ip_range": "10.5.0.0/16"}, "10.5.0.0"),  # which is a host's address there
        ({"subnet": "10.0.0.0/8", "ip_range": "10.0.0.0/16"}, "10.0.0.1"),
        ({"subnet": "10.0.0.0/8", "ip_range": "10.5.0.0/16", "gateway": "10.9.9.9"}, "10.9.9.9"),
        ({"subnet": "10.0.0.0/30"}, "10.0.0.1"),
        ({"subnet": "10.0.0.0/31"}, "10.0.0.0"),
        ({"subnet": "10.0.0.7/32"}, "10.0.0.7"),
        ({"subnet": "2001:db8::/64"}, "2001:db8::1"),
        ({"subnet": "2001:db8::/127"}, "2001:db8::1"),
    ],
)
def test_a_gateway_is_the_one_asked_for_or_else_the_first_address_that_is_free(
    fields: dict[str, Any], gateway: str
) -> None:
    assert allocate(space(), **fields).gateway == gateway


def test_where_no_gateway_is_needed_there_is_one_only_if_it_is_asked_for() -> None:
    assert allocate(space(), needed=False, subnet="10.0.0.0/8").gateway == ""
    assert allocate(space(), needed=False, subnet="10.0.0.0/8", gateway="10.0.0.9").gateway == "10.0.0.9"


def test_networks_that_share_a_subnet_do_not_share_addresses() -> None:
    within = space()
    one: dict[str, Any] = {
        "subnet": "10.0.0.0/8",
        "ip_range": "10.0.0.0/16",
        "auxiliary_addresses": {"dns": "10.0.0.2"},
    }
    assert allocate(within, **one) == Pool(
        subnet="10.0.0.0/8", ip_range="10.0.0.0/16", gateway="10.0.0.1", auxiliary_addresses=("10.0.0.2",)
    )
    other: dict[str, Any] = {"subnet": "10.0.0.0/8", "ip_range": "10.0.0.0/24"}
    for gateway in ("10.0.0.1", "10.0.0.2"):
        text = f"failed to allocate gateway ({gateway}): {IN_USE}"
        assert refused(within, **other, gateway=gateway) == (InvalidParameter, text)
    assert allocate(within, **other).gateway == "10.0.0.3"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"subnet": "10.0.0.0/8", "gateway": "10.0.0.0"}, f"failed to allocate gateway (10.0.0.0): {IN_USE}"),
        ({"subnet": "10.0.0.0/24", "gateway": "10.0.0.255"}, f"failed to allocate gateway (10.0.0.255): {IN_USE}"),
        ({"subnet": "fd00::/64", "gateway": "fd00::"}, f"failed to allocate gateway (fd00::): {IN_USE}"),
        (
            {"subnet": "10.0.0.0/24", "ip_range": "10.0.0.0/32"},
            "failed to allocate gateway (): no available addresses on this pool",
        ),
        ({"subnet": "fd00::/128"}, "failed to allocate gateway (): no available addresses on this pool"),
        (
            {"subnet": "10.0.0.0/24", "auxiliary_addresses": {"a": "10.0.0.1"}},
            f"failed to allocate secondary ip address (a:10.0.0.1): {IN_USE}",
        ),
        (
            {"subnet": "10.0.0.0/24", "auxiliary_addresses": {"a": "10.0.0.9", "b": "10.0.0.9"}},
            f"failed to allocate secondary ip address (b:10.0.0.9): {IN_USE}",
        ),
        (
            {"subnet": "10.0.0.0/24", "auxiliary_addresses": {"a": ""}},
            "non parsable secondary ip address (a:) passed for network net",
        ),
    ],
)
def test_an_address_that_cannot_be_had_is_the_clients_mistake(fields: dict[str, Any], text: str) -> None:
    """Unlike Moby, which answers 500."""
    within = space()
    assert refused(within, **fields) == (InvalidParameter, text)
    assert allocate(within, subnet=fields["subnet"], needed=False), "the refused one has left nothing"


def test_a_subnet_of_a_few_octillion_addresses_is_not_searched() -> None:
    assert allocate(space(), subnet="::/1").gateway == "::1"
