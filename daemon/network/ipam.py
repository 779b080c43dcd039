"""Are the subnets, ranges and addresses that were asked for possible? Rules and texts: moby v28 api/types/network/ipam.go."""

from __future__ import annotations

from collections.abc import Iterator

from daemon.errors import InvalidParameter, joined
from daemon.network import Ipam, Network, SubnetConfig
from daemon.network.addresses import Interface, Subnet, parse_address, parse_prefix


def check_ipam(ipam: Ipam, *, enable_ipv6: bool) -> None:
    """Raises InvalidParameter with everything that is wrong, not only the first of it."""
    complaints = [text for config in ipam.config or () for text in _complaints(config, enable_ipv6=enable_ipv6)]
    if complaints:
        raise InvalidParameter(f"invalid network config:\n{joined(complaints)}")


def configs_of(ipam: Ipam, version: int) -> tuple[SubnetConfig, ...]:
    """Those of IPv4 or IPv6; `check_ipam` has seen them."""
    return tuple(config for config in ipam.config or () if subnet_of(config).version == version)


def subnet_of(config: SubnetConfig) -> Subnet:
    """Without the bits of a host, which one that is not used may have; `check_ipam` has seen it."""
    return _parsed(config.subnet).network


def shown_subnets(network: Network) -> tuple[SubnetConfig, ...]:
    """The subnets that inspect shows: for each version of IP what was asked for, or else what was allocated.

    So a gateway that was chosen within a subnet asked for is not shown (moby daemon/network.go buildIPAMResources).
    """
    asked_for = {version: configs_of(network.ipam, version) for version in (4, 6)}
    allocated = tuple(
        SubnetConfig(subnet=pool.subnet, gateway=pool.gateway)
        for pool in network.pools
        if not asked_for[_parsed(pool.subnet).version]
    )
    return (*asked_for[4], *asked_for[6], *allocated)


def _complaints(config: SubnetConfig, *, enable_ipv6: bool) -> Iterator[str]:
    subnet = parse_prefix(config.subnet)
    if subnet is None:
        yield f"invalid subnet {config.subnet}: invalid CIDR block notation"
        return
    if subnet.version == 6 and not enable_ipv6:
        return  # it is kept and shown, and not used
    if subnet.ip != subnet.network.network_address:
        yield f"invalid subnet {subnet}: it should be {subnet.network}"
    if config.ip_range:
        yield from _range_complaints(config.ip_range, subnet)
    if config.gateway and (text := _address_complaint(config.gateway, subnet)):
        yield f"invalid gateway {config.gateway}: {text}"
    for name, address in (config.auxiliary_addresses or {}).items():
        if address and (text := _address_complaint(address, subnet)):
            yield f"invalid auxiliary address {name}: {text}"


def _range_complaints(text: str, subnet: Interface) -> Iterator[str]:
    ip_range = parse_prefix(text)
    if ip_range is None:
        yield f"invalid ip-range {text}: invalid CIDR block notation"
    elif ip_range.version != subnet.version:
        yield f"invalid ip-range {text}: parent subnet is an IPv{subnet.version} block"
    else:
        if ip_range.network.prefixlen < subnet.network.prefixlen:
            yield f"invalid ip-range {text}: CIDR block is bigger than its parent subnet {subnet}"
        if ip_range.ip != ip_range.network.network_address:
            yield f"invalid ip-range {ip_range}: it should be {ip_range.network}"
        if not ip_range.network.overlaps(subnet.network):
            yield f"invalid ip-range {text}: parent subnet {subnet} doesn't contain ip-range"


def _address_complaint(text: str, subnet: Interface) -> str:
    """Empty if it is an address of that subnet."""
    address = parse_address(text)
    if address is None:
        return "invalid address"
    if address.version != subnet.version:
        return f"parent subnet is an IPv{subnet.version} block"
    return "" if address in subnet.network else f"parent subnet {subnet} doesn't contain this address"


def _parsed(subnet: str) -> Interface:
    parsed = parse_prefix(subnet)
    assert parsed is not None
    return parsed
