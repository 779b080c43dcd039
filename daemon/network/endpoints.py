"""A container's endpoint in a network: are its settings possible, and what connect and disconnect make of a container.

Rules and texts: moby v28 daemon/container_operations.go (validateEndpointSettings, updateNetworkConfig, ConnectToNetwork,
DisconnectFromNetwork), for containers that do not run. Unlike Moby: what Moby answers with 500 for want of a kind is a 400.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from daemon.container import Container, EndpointIpam, EndpointSettings, short_id
from daemon.errors import InvalidParameter, joined
from daemon.network import HOST, NONE, Network, is_predefined, is_user_defined
from daemon.network.addresses import Address, is_mac_address, parse_host
from daemon.network.ipam import configs_of, subnet_of
from daemon.network.table import NetworkTable

_SYSCTLS = "com.docker.network.endpoint.sysctls"
_SYSCTL_PARTS = 5
_SYSCTL_FAMILIES = ("ipv4", "ipv6", "mpls")

_TO_HOST = "cannot connect container to host network - container must be created in host network mode"
_SHARED = "container sharing network namespace with another container or host cannot be connected to any other network"
_PRIVATE = "container cannot be connected to multiple networks with one of the networks in private (none) mode"


def check_endpoints(endpoints: Mapping[str, EndpointSettings | None], table: NetworkTable) -> None:
    """Every endpoint of a create. A network that does not exist is no mistake: it may be made before the container is started.

    Raises:
        InvalidParameter: with everything that is wrong.
    """
    complaints = []
    for name, endpoint in endpoints.items():
        if endpoint is None:
            complaints.append(f"invalid config for network {name}: EndpointsConfig is nil")
        elif text := _complaint(name, endpoint, table.lookup(name)):
            complaints.append(f"invalid config for network {name}: {text}")
    if complaints:
        raise InvalidParameter(joined(complaints))


def networks_of(
    network_mode: str, endpoints: Mapping[str, EndpointSettings], network: Network | None
) -> Mapping[str, EndpointSettings]:
    """The networks that a new container will join, by name: those asked for, or else the one its mode names.

    `network` is the one that a user-defined mode means, if there is one by now. The key is its name if it was its id
    (moby daemon/container_operations.go updateContainerNetworkSettings).
    """
    name = network.name if network is not None else network_mode
    networks = dict(endpoints) or {name: EndpointSettings()}
    if network is not None and name not in networks and network.id in networks:
        networks[name] = networks.pop(network.id)
    return networks


def connected(container: Container, term: str, endpoint: EndpointSettings, table: NetworkTable) -> Container:
    """The container with one network more; as it is if it has that already.

    Raises:
        InvalidParameter: the endpoint's settings, or the combination of networks, are impossible.
    """
    network = table.lookup(term)
    if network is None:  # noticed at start, as in Docker
        return _with_networks(container, {**container.networks, term: endpoint})
    if not is_predefined(network.name):
        endpoint = replace(endpoint, dns_names=_dns_names(container, endpoint))
    if text := _complaint(network.name, endpoint, network):
        raise InvalidParameter(text)
    if network.driver == HOST and container.host_config.network_mode != HOST:
        raise InvalidParameter(_TO_HOST)
    for name, other_endpoint in container.networks.items():
        other = table.lookup(_identity(name, other_endpoint))
        if other is None:
            continue
        if other.id == network.id:
            return container
        if HOST in (other.driver, network.driver):
            raise InvalidParameter(_SHARED)
        if NONE in (other.name, network.name):
            raise InvalidParameter(_PRIVATE)
    return _with_networks(container, {**container.networks, network.name: endpoint})


def disconnected(container: Container, term: str, table: NetworkTable) -> Container:
    """Raises InvalidParameter: it is not connected to that network."""
    network = table.lookup(term)
    name = term if network is None else network.name
    if name not in container.networks:
        raise InvalidParameter(f"container {container.id} is not connected to the network {name}")
    return _with_networks(container, {key: value for key, value in container.networks.items() if key != name})


def _with_networks(container: Container, networks: Mapping[str, EndpointSettings]) -> Container:
    return replace(container, networks=networks)


def _identity(name: str, endpoint: EndpointSettings) -> str:
    return endpoint.network_id if is_user_defined(name) and endpoint.network_id else name


def _dns_names(container: Container, endpoint: EndpointSettings) -> tuple[str, ...]:
    """The first is what an address is resolved to."""
    names = (container.name, *(endpoint.aliases or ()), short_id(container.id), container.config.hostname)
    return tuple(dict.fromkeys(name for name in names if name))


def _complaint(name: str, endpoint: EndpointSettings, network: Network | None) -> str:
    """Empty if the settings are possible in that network; None is one that does not exist yet."""
    if endpoint.mac_address and not is_mac_address(endpoint.mac_address):
        return f"invalid MAC address {endpoint.mac_address}"
    complaints = [
        *_predefined_complaints(name, endpoint),
        *_address_complaints(endpoint.ipam_config or EndpointIpam()),
        *_range_complaints(endpoint.ipam_config or EndpointIpam(), network),
        *_sysctl_complaints(endpoint),
    ]
    return f"invalid endpoint settings:\n{joined(complaints)}" if complaints else ""


def _predefined_complaints(name: str, endpoint: EndpointSettings) -> Iterator[str]:
    if is_user_defined(name):
        return
    ipam = endpoint.ipam_config
    if ipam is not None and (ipam.ipv4_address or ipam.ipv6_address):
        yield "user specified IP address is supported on user defined networks only"
    if endpoint.aliases:
        yield "network-scoped alias is supported only for containers in user defined networks"


def _address_complaints(ipam: EndpointIpam) -> Iterator[str]:
    for text, version in ((ipam.ipv4_address, 4), (ipam.ipv6_address, 6)):
        if text and not _is_usable(parse_host(text), version):
            yield f"invalid IPv{version} address: {text}"
    for text in ipam.link_local_ips or ():
        if not _is_usable(parse_host(text)):
            yield f"invalid link-local IP address: {text}"


def _is_usable(address: Address | None, version: int | None = None) -> bool:
    return address is not None and not address.is_unspecified and version in (None, address.version)


def _range_complaints(ipam: EndpointIpam, network: Network | None) -> Iterator[str]:
    """A fixed address must be in a subnet that the user has chosen: one that the daemon chose may be another tomorrow."""
    if network is None:
        return
    for text, version in ((ipam.ipv4_address, 4), (ipam.ipv6_address, 6)):
        if not text:
            continue
        subnets = [subnet_of(config) for config in configs_of(network.ipam, version)]
        if not subnets:
            yield "user specified IP address is supported only when connecting to networks with user configured subnets"
            continue
        address = parse_host(text)
        if address is None or not any(address in subnet for subnet in subnets):
            yield f"no configured subnet or ip-range contain the IP address {text}"


def _sysctl_complaints(endpoint: EndpointSettings) -> Iterator[str]:
    sysctls = (endpoint.driver_opts or {}).get(_SYSCTLS)
    for sysctl in sysctls.split(",") if sysctls is not None else ():
        parts = sysctl.split(".", _SYSCTL_PARTS - 1)
        is_known = len(parts) == _SYSCTL_PARTS and parts[1] in _SYSCTL_FAMILIES and parts[3] in ("IFNAME", "ifname")
        if not is_known:
            yield (
                f"unrecognised network interface sysctl '{sysctl}'; represent 'net.X.Y.ethN.Z=V' as "
                "'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'"
            )
