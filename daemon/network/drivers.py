"""What a driver reads out of a network's options, and which networks it takes.

Rules and texts: moby v28 libnetwork/drivers (bridge, ipvlan, macvlan, host, null). Unlike Moby: a mode that does not exist and a
parent interface that is taken are the client's mistakes, 400 and 403, not 500. What the host's interfaces say is not looked at
before networks are wired.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping

import attrs

from daemon.errors import Forbidden, InvalidParameter, NotFound
from daemon.network import Network
from daemon.network.addresses import (
    Address,
    Subnet,
    address_at,
    overlap,
    parse_bool,
    parse_host,
    parse_integer,
    subnet_at,
)

DRIVERS = ("bridge", "host", "ipvlan", "macvlan", "null", "overlay")

SPECIAL = ("host", "null")
"""One network each, which has always been there; no subnets."""

BRIDGE_NAME = "com.docker.network.bridge.name"
_MTU = "com.docker.network.driver.mtu"
_INHIBIT_IPV4 = "com.docker.network.bridge.inhibit_ipv4"
_GATEWAY_MODES = {
    4: "com.docker.network.bridge.gateway_mode_ipv4",
    6: "com.docker.network.bridge.gateway_mode_ipv6",
}
_BRIDGE_FLAGS = (
    "com.docker.network.enable_ipv4",
    "com.docker.network.enable_ipv6",
    "com.docker.network.bridge.enable_ip_masquerade",
    "com.docker.network.bridge.enable_icc",
    _INHIBIT_IPV4,
    "com.docker.network.bridge.default_bridge",
)
_BRIDGE_ADDRESSES = (
    "com.docker.network.bridge.host_binding_ipv4",
    "com.docker.network.host_ipv4",
    "com.docker.network.host_ipv6",
)
_MACVLAN_MODES = ("", "bridge", "private", "passthru", "vepa")
_IPVLAN_MODES = ("", "l2", "l3", "l3s")
_IPVLAN_FLAGS = ("", "bridge", "private", "vepa")
_LINK_LOCAL = ipaddress.IPv6Network("fe80::/64")


@attrs.frozen
class Gateways:
    """For which versions of IP the driver wants the address of a gateway."""

    ipv4: bool = True
    ipv6: bool = True


def check_driver(driver: str) -> None:
    """Raises NotFound: there is none of that name, and plugins are not offered here."""
    if driver not in DRIVERS:
        raise NotFound(f'plugin "{driver}" not found')


def needed_gateways(network: Network) -> Gateways:
    """Before anything is allocated. Raises InvalidParameter: an option makes no sense."""
    parse = {"bridge": _bridge_gateways, "ipvlan": _ipvlan_gateways, "macvlan": _macvlan_gateways}.get(network.driver)
    return parse(network.options, network.internal) if parse else Gateways()


def check_network(network: Network, others: Iterable[Network]) -> None:
    """The driver's last word, once everything is allocated.

    Raises:
        InvalidParameter: the network is impossible.
        Forbidden: it collides with another.
    """
    if network.driver in SPECIAL:
        raise Forbidden(f'only one instance of "{network.driver}" network is allowed')
    if network.driver == "bridge" and not (network.enable_ipv4 or network.enable_ipv6):
        raise InvalidParameter("IPv4 or IPv6 must be enabled")
    for version in (4, 6):
        if _is_pool_empty(network, version):
            raise InvalidParameter(f"ipv{version} pool is empty")
    others = [other for other in others if other.driver == network.driver]
    _CHECKS[network.driver](network, others)


def _is_pool_empty(network: Network, version: int) -> bool:
    is_enabled = network.enable_ipv4 if version == 4 else network.enable_ipv6
    subnets = [subnet_at(pool.subnet) for pool in network.pools]
    of_version = [subnet for subnet in subnets if subnet.version == version]
    return is_enabled and (not of_version or of_version[0].prefixlen == 0)


# Bridge --------------------------------------------------------------------------------------------------------------


def _bridge_gateways(options: Mapping[str, str], internal: bool) -> Gateways:
    for key, value in options.items():
        try:
            _parse_bridge_option(key, value)
        except ValueError as error:
            raise InvalidParameter(f"failed to parse {key} value: {value} ({error})") from error
    is_isolated = {version: options.get(key) == "isolated" for version, key in _GATEWAY_MODES.items()}
    if any(is_isolated.values()) and not internal:
        raise InvalidParameter("gateway mode 'isolated' can only be used for an internal network")
    is_inhibited = internal and parse_bool(options.get(_INHIBIT_IPV4, "false"))
    return Gateways(ipv4=not (is_isolated[4] or is_inhibited), ipv6=not is_isolated[6])


def _parse_bridge_option(key: str, value: str) -> None:
    """Raises ValueError. What the driver does not know it ignores."""
    if key == _MTU:
        parse_integer(value)
    elif key in _BRIDGE_FLAGS:
        parse_bool(value)
    elif key in _GATEWAY_MODES.values() and value not in ("nat", "nat-unprotected", "routed", "isolated"):
        raise ValueError(f"unknown gateway mode {value}")
    elif key in _BRIDGE_ADDRESSES and parse_host(value) is None:
        raise ValueError("nil ip")


def _check_bridge(network: Network, others: Iterable[Network]) -> None:
    bridges = _bridges(network)
    if any(len(of_version) > 1 for of_version in bridges.values()):
        raise Forbidden("bridge driver doesn't support multiple subnets")
    mtu = parse_integer(network.options.get(_MTU, "0"))
    if mtu < 0:
        raise InvalidParameter(f"invalid MTU number: {mtu}")
    for address, subnet in bridges[6]:
        shown = f"{address}/{subnet.prefixlen}"
        if address.is_multicast:
            raise InvalidParameter(f"multicast subnet '{shown}' is not allowed")
        if subnet != _LINK_LOCAL and overlap(subnet, _LINK_LOCAL):
            raise InvalidParameter(f"'{shown}' clashes with the Link-Local prefix 'fe80::/64'")
    for other in others:
        if conflict := _bridge_conflict(network, bridges, other):
            raise Forbidden(
                f"cannot create network {network.id} ({_bridge_name(network)}): "
                f"conflicts with network {other.id} ({_bridge_name(other)}): {conflict}"
            )


def _bridge_conflict(network: Network, mine: Bridges, other: Network) -> str:
    if _bridge_name(network) == _bridge_name(other):
        return "networks have same bridge name"
    theirs = _bridges(other)
    for version in (4, 6):
        pairs = [(one, another) for one in mine[version] for another in theirs[version]]
        if any(address in other_subnet or other in subnet for (address, subnet), (other, other_subnet) in pairs):
            return f"networks have overlapping IPv{version}"
    return ""


def _bridge_name(network: Network) -> str:
    return network.options.get(BRIDGE_NAME) or f"br-{network.id[:12]}"


Bridges = Mapping[int, list[tuple[Address, Subnet]]]


def _bridges(network: Network) -> Bridges:
    """The bridge's own addresses by version, with their subnets: the gateway, or where there is none, the subnet's first."""
    bridges: dict[int, list[tuple[Address, Subnet]]] = {4: [], 6: []}
    for pool in network.pools:
        subnet = subnet_at(pool.subnet)
        bridges[subnet.version].append((address_at(pool.gateway) if pool.gateway else subnet.network_address, subnet))
    return bridges


# IPvlan and macvlan --------------------------------------------------------------------------------------------------


def _ipvlan_gateways(options: Mapping[str, str], internal: bool) -> Gateways:
    mode, flag = options.get("ipvlan_mode", ""), options.get("ipvlan_flag", "")
    if mode not in _IPVLAN_MODES:
        raise InvalidParameter(f"requested ipvlan mode '{mode}' is not valid, 'l2' mode is the ipvlan driver default")
    if flag not in _IPVLAN_FLAGS:
        raise InvalidParameter(f"requested ipvlan flag '{flag}' is not valid, 'bridge' is the ipvlan driver default")
    is_needed = _has_outside(options, internal, "ipvlan") and mode not in ("l3", "l3s")
    return Gateways(is_needed, is_needed)


def _macvlan_gateways(options: Mapping[str, str], internal: bool) -> Gateways:
    mode = options.get("macvlan_mode", "")
    if mode not in _MACVLAN_MODES:
        raise InvalidParameter(
            f"requested macvlan mode '{mode}' is not valid, 'bridge' mode is the macvlan driver default"
        )
    is_needed = _has_outside(options, internal, "macvlan")
    return Gateways(is_needed, is_needed)


def _has_outside(options: Mapping[str, str], internal: bool, driver: str) -> bool:
    """Without a parent interface the network is an internal one."""
    parent = options.get("parent", "")
    if parent == "lo":
        raise InvalidParameter(f"loopback interface is not a valid {driver} parent link")
    return bool(parent) and not internal


def _check_ipvlan(network: Network, others: Iterable[Network]) -> None:
    parent = network.options.get("parent", "")
    for other in others:
        if parent and parent == other.options.get("parent", ""):
            raise Forbidden(f"network di-{other.id[:12]} is already using parent interface {parent}")


def _check_macvlan(network: Network, others: Iterable[Network]) -> None:
    parent = network.options.get("parent", "")
    for other in others:
        if not parent or parent != other.options.get("parent", ""):
            continue
        if network.options.get("macvlan_mode") == "passthru":
            raise Forbidden(
                f"cannot use mode passthru, macvlan network {other.id} is already using parent interface {parent}"
            )
        if other.options.get("macvlan_mode") == "passthru":
            raise Forbidden(f"macvlan network {other.id} is already using parent interface {parent} in mode passthru")


_CHECKS: Mapping[str, Callable[[Network, Iterable[Network]], None]] = {
    "bridge": _check_bridge,
    "ipvlan": _check_ipvlan,
    "macvlan": _check_macvlan,
}
