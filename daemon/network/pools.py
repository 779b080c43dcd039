"""Which subnet and gateway a network gets. An address space is rebuilt from the networks for each decision, so nothing leaks.

Rules and texts: moby v28 libnetwork/ipams/defaultipam, libnetwork/ipamutils, libnetwork/network.go ipamAllocateVersion. Unlike
Moby: a subnet that the daemon chooses never overlaps one that is taken, even where those overlap each other; and an address that
cannot be had is the client's mistake, 400, not 500.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Iterator, Sequence

import attrs

from daemon.errors import Forbidden, InvalidParameter
from daemon.network import Pool, SubnetConfig
from daemon.network.addresses import Address, Subnet, address_at, overlap, parse_address, subnet_at


@attrs.frozen
class Block:
    """A block of addresses that is given away in subnets of one size."""

    base: Subnet
    prefixlen: int

    @classmethod
    def of(cls, base: str, prefixlen: int) -> Block:
        return cls(ipaddress.ip_network(base), prefixlen)


LOCAL_BLOCKS = (
    Block.of("172.17.0.0/16", 16),
    Block.of("172.18.0.0/16", 16),
    Block.of("172.19.0.0/16", 16),
    Block.of("172.20.0.0/14", 16),
    Block.of("172.24.0.0/14", 16),
    Block.of("172.28.0.0/14", 16),
    Block.of("192.168.0.0/16", 20),
)
GLOBAL_BLOCKS = (Block.of("10.0.0.0/8", 24),)
"""For networks of global scope."""

_IN_USE = "Address already in use"
_OVERLAP = "invalid pool request: Pool overlaps with other one on this address space"


def unique_local_block(seed: str) -> Block:
    """The /48 of unique local addresses that IPv6 subnets are taken from: the same for good for the same `seed` (RFC 4193)."""
    global_id = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8]) & (1 << 40) - 1
    base = int(ipaddress.IPv6Address("fd00::")) + (global_id << 80)
    return Block(ipaddress.IPv6Network((base, 48)), 64)


def first_free(blocks: Sequence[Block], taken: Sequence[Subnet]) -> Subnet | None:
    """The first subnet of the first block that overlaps nothing taken."""
    for block in blocks:
        in_the_way = [subnet for subnet in taken if overlap(subnet, block.base)]
        size = 1 << (block.base.max_prefixlen - block.prefixlen)
        start, end = int(block.base.network_address), int(block.base.broadcast_address)
        while start < end:
            candidate = _subnet(start, block)
            blocker = next((subnet for subnet in in_the_way if overlap(subnet, candidate)), None)
            if blocker is None:
                return candidate
            # To the next multiple of `size` behind what is in the way: it may be larger than a candidate.
            start = max(start + size, (int(blocker.broadcast_address) // size + 1) * size)
    return None


class AddressSpace:
    """The addresses of one version of IP, shared by networks of one scope."""

    def __init__(self, blocks: Sequence[Block], reserved: Iterable[Subnet] = ()) -> None:
        """`reserved` are subnets of the host, that the daemon does not choose, but a user may."""
        self._blocks = tuple(blocks)
        self._reserved = tuple(reserved)
        self._pools: dict[Subnet, list[Pool]] = {}

    def occupy(self, pool: Pool) -> None:
        """Note what a network has."""
        self._pools.setdefault(subnet_at(pool.subnet), []).append(pool)

    def allocate(self, config: SubnetConfig, *, network_name: str, is_gateway_needed: bool) -> Pool:
        """A subnet with its gateway, occupied from now on.

        Raises:
            Forbidden: it overlaps one that is taken.
            InvalidParameter: an address is taken, or there is nothing left.
        """
        subnet = ipaddress.ip_network(config.subnet) if config.subnet else self._choose()
        ip_range = ipaddress.ip_network(config.ip_range) if config.ip_range else None
        if config.subnet:
            self._check_free(subnet, ip_range)
        taken = set(self._taken_addresses(subnet))
        gateway: Address | None = None
        if config.gateway or is_gateway_needed:
            gateway = _gateway(config.gateway, ip_range or subnet, taken)
            taken.add(gateway)
        auxiliary = tuple(_auxiliary_addresses(config, network_name, taken))
        pool = Pool(
            subnet=str(subnet),
            ip_range=str(ip_range or ""),
            gateway=str(gateway or ""),
            auxiliary_addresses=auxiliary,
        )
        self.occupy(pool)
        return pool

    def _choose(self) -> Subnet:
        subnet = first_free(self._blocks, (*self._reserved, *self._pools))
        if subnet is None:
            raise InvalidParameter("all predefined address pools have been fully subnetted")
        return subnet

    def _check_free(self, subnet: Subnet, ip_range: Subnet | None) -> None:
        """A subnet may be shared by networks with different ranges of it, and is not checked for overlaps then (moby#46756)."""
        if ip_range is None:
            is_free = not any(overlap(other, subnet) for other in self._pools)
        else:
            is_free = all(pool.ip_range != str(ip_range) for pool in self._pools.get(subnet, ()))
        if not is_free:
            raise Forbidden(_OVERLAP)

    def _taken_addresses(self, subnet: Subnet) -> Iterator[Address]:
        """What networks that share the subnet have, and the addresses that are nobody's (RFC 3021, RFC 4291 2.6.1)."""
        if subnet.version == 6 or subnet.num_addresses > 2:
            yield subnet.network_address
        if subnet.version == 4 and subnet.num_addresses > 2:
            yield subnet.broadcast_address
        for pool in self._pools.get(subnet, ()):
            for text in (pool.gateway, *pool.auxiliary_addresses):
                if text:
                    yield address_at(text)


def _gateway(asked_for: str, within: Subnet, taken: set[Address]) -> Address:
    if asked_for:
        gateway = parse_address(asked_for)
        assert gateway is not None  # `check_ipam` has seen it
        if gateway in taken:
            raise InvalidParameter(f"failed to allocate gateway ({asked_for}): {_IN_USE}")
        return gateway
    # At most one address more than are taken has to be looked at.
    for offset in range(min(len(taken) + 1, within.num_addresses)):
        if (address := within[offset]) not in taken:
            return address
    raise InvalidParameter("failed to allocate gateway (): no available addresses on this pool")


def _auxiliary_addresses(config: SubnetConfig, network_name: str, taken: set[Address]) -> Iterator[str]:
    for name, text in (config.auxiliary_addresses or {}).items():
        address = parse_address(text)
        if address is None:  # an empty one, which `check_ipam` lets pass
            raise InvalidParameter(
                f"non parsable secondary ip address ({name}:{text}) passed for network {network_name}"
            )
        if address in taken:
            raise InvalidParameter(f"failed to allocate secondary ip address ({name}:{text}): {_IN_USE}")
        taken.add(address)
        yield str(address)


def _subnet(start: int, block: Block) -> Subnet:
    if block.base.version == 4:
        return ipaddress.IPv4Network((start, block.prefixlen))
    return ipaddress.IPv6Network((start, block.prefixlen))
