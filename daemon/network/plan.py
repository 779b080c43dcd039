"""A request for a network -> the network, or the text that refuses it.

To be laid beside moby v28's createNetwork and NewNetwork (daemon/network.go, libnetwork/controller.go): the checks are in their
order, because the first that fails is what is answered.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs
from msgspec.structs import replace

from daemon.errors import Forbidden, InvalidParameter, NotFound, network_name_in_use
from daemon.network import BRIDGE, HOST, NONE, Ipam, Network, NetworkRequest, Pool, SubnetConfig, is_predefined
from daemon.network.addresses import Subnet, parse_bool, parse_integer
from daemon.network.drivers import BRIDGE_NAME, SPECIAL, check_driver, check_network, needed_gateways
from daemon.network.ipam import check_ipam, configs_of
from daemon.network.pools import GLOBAL_BLOCKS, LOCAL_BLOCKS, AddressSpace, Block
from daemon.network.table import NetworkTable

NAME_LENGTH_MAX = 255
"""Unlike Moby, which has no limit: every filter looks through every name."""

NO_SWARM = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" '
    "to connect this node to swarm and try again."
)

_ENABLE_IPV4 = "com.docker.network.enable_ipv4"
_ENABLE_IPV6 = "com.docker.network.enable_ipv6"
_ADVERTISE_COUNT = "com.docker.network.advertise_addr_nmsgs"
_ADVERTISE_INTERVAL = "com.docker.network.advertise_addr_ms"
_ADVERTISE_COUNT_MAX = 3
_ADVERTISE_INTERVAL_MS = range(100, 2001)

_CONFIG_ONLY_FIELDS = (
    "configuration network can only contain network specific fields. Network operator fields like "
    "[ ingress | internal | attachable | scope ] are not supported."
)
_DEFAULT_IPAM = ("", "default")


@attrs.frozen(kw_only=True)
class Surroundings:
    """What of this host a network must fit into."""

    reserved: tuple[Subnet, ...] = ()
    """Subnets that the daemon does not choose: the host uses them."""
    ipv6_block: Block
    """Where IPv6 subnets are taken from."""


def plan_network(
    request: NetworkRequest, table: NetworkTable, *, network_id: str, created_ns: int, surroundings: Surroundings
) -> Network:
    """The network, with its subnets.

    Raises:
        InvalidParameter, Forbidden, NotFound (no such driver or configuration), Conflict (the name is taken), in Docker's words.
    """
    if is_predefined(request.name):
        raise Forbidden(f"operation is not permitted on predefined {request.name} network ")
    if request.driver == "overlay":
        raise Forbidden(NO_SWARM)
    network = _as_asked_for(request, network_id, created_ns)
    check_ipam(network.ipam, enable_ipv6=network.enable_ipv6)
    if not request.name.strip():
        raise InvalidParameter("invalid name: name is empty")
    if len(request.name) > NAME_LENGTH_MAX:
        raise InvalidParameter(f"invalid name: more than {NAME_LENGTH_MAX} characters")
    if table.named(request.name) is not None:
        raise network_name_in_use(request.name)
    network = replace(network, ipam=_in_order(network.ipam))
    _check_configuration(request, network)
    if network.config_only:
        return replace(network, driver="null", scope="local")
    check_driver(network.driver)
    if request.ingress:
        raise Forbidden("Ingress network can only be global scope network")
    if network.config_from:
        network = _with_configuration(network, table)
    if network.scope == "swarm":
        raise Forbidden("cannot create a swarm scoped network when swarm is not active")
    network = replace(network, pools=_allocated(network, table, surroundings))
    check_network(network, table)
    return network


def predefined_networks(
    table: NetworkTable, ids: Iterable[str], *, created_ns: int, surroundings: Surroundings
) -> tuple[Network, ...]:
    """Those that every data root has and this one has not yet (moby daemon/daemon_unix.go configureNetworking)."""
    bridge_id, host_id, none_id = ids
    missing = []
    if table.named(BRIDGE) is None:
        bridge = Network(
            id=bridge_id, name=BRIDGE, created_ns=created_ns, options=_BRIDGE_OPTIONS, ipam=Ipam(driver="default")
        )
        missing.append(replace(bridge, pools=_allocated(bridge, table, surroundings)))
    if table.named(HOST) is None:
        missing.append(Network(id=host_id, name=HOST, created_ns=created_ns, driver="host"))
    if table.named(NONE) is None:
        missing.append(Network(id=none_id, name=NONE, created_ns=created_ns, driver="null"))
    return tuple(missing)


def check_removable(network: Network, table: NetworkTable) -> None:
    """Raises Forbidden. Containers that are not running do not count: they find out when they are started."""
    if is_predefined(network.name):
        raise Forbidden(f"{network.name} is a pre-defined network and cannot be removed")
    if network.config_only and any(other.config_from == network.name for other in table):
        raise Forbidden(f'error while removing network: configuration network "{network.name}" is in use')


_BRIDGE_OPTIONS = {
    "com.docker.network.bridge.default_bridge": "true",
    "com.docker.network.bridge.enable_icc": "true",
    "com.docker.network.bridge.enable_ip_masquerade": "true",
    "com.docker.network.bridge.host_binding_ipv4": "0.0.0.0",
    BRIDGE_NAME: "docker0",
    "com.docker.network.driver.mtu": "1500",
}


def _as_asked_for(request: NetworkRequest, network_id: str, created_ns: int) -> Network:
    options = dict(request.options or {})
    ipam = request.ipam or Ipam()
    return Network(
        id=network_id,
        name=request.name,
        created_ns=created_ns,
        driver=request.driver or BRIDGE,
        scope=request.scope or ("" if request.config_only else "local"),
        enable_ipv4=_is_enabled(request.enable_ipv4, options, _ENABLE_IPV4, default=True),
        enable_ipv6=_is_enabled(request.enable_ipv6, options, _ENABLE_IPV6, default=False),
        ipam=replace(ipam, driver=ipam.driver or "default"),
        internal=request.internal,
        attachable=request.attachable,
        config_from=request.config_from.network if request.config_from else "",
        config_only=request.config_only,
        options=options,
        labels=request.labels or {},
    )


def _is_enabled(asked_for: bool | None, options: dict[str, str], key: str, *, default: bool) -> bool:
    if asked_for is not None:
        options.pop(key, None)  # it would be ignored, and look wrong in inspect
        return asked_for
    try:
        return parse_bool(options[key]) if key in options else default
    except ValueError as error:
        raise InvalidParameter(f'driver-opt "{key}" is not a valid bool') from error


def _in_order(ipam: Ipam) -> Ipam:
    return replace(ipam, config=ipam.config and (*configs_of(ipam, 4), *configs_of(ipam, 6)))


def _check_configuration(request: NetworkRequest, network: Network) -> None:
    """Networks that are a configuration for others, and those that have one (libnetwork/network.go validateConfiguration)."""
    if network.config_only and (request.ingress or network.internal or network.attachable or network.scope):
        raise Forbidden(_CONFIG_ONLY_FIELDS)
    if not network.config_from:
        _check_advertising(network)
        return
    if network.config_only:
        raise Forbidden("a configuration network cannot depend on another configuration network")
    ipam = network.ipam
    is_configured = ipam.driver not in _DEFAULT_IPAM or not network.enable_ipv4 or network.enable_ipv6
    if is_configured or network.labels or ipam.options or ipam.config:
        raise Forbidden(
            "user specified configurations are not supported if the network depends on a configuration network"
        )
    if network.options:
        raise Forbidden("network driver options are not supported if the network depends on a configuration network")


def _check_advertising(network: Network) -> None:
    """Unlike Moby: 400, not 500 (libnetwork/network_unix.go)."""
    complaints = []
    count, interval = network.options.get(_ADVERTISE_COUNT), network.options.get(_ADVERTISE_INTERVAL)
    if count is not None:
        try:
            if not 0 <= parse_integer(count) <= _ADVERTISE_COUNT_MAX:
                complaints.append(f"{_ADVERTISE_COUNT} must be in the range 0 to {_ADVERTISE_COUNT_MAX}")
        except ValueError:
            complaints.append(f'value for option {_ADVERTISE_COUNT} "{count}" must be an integer')
    if interval is not None:
        try:
            if parse_integer(interval) not in _ADVERTISE_INTERVAL_MS:
                first, last = _ADVERTISE_INTERVAL_MS[0], _ADVERTISE_INTERVAL_MS[-1]
                complaints.append(f"{_ADVERTISE_INTERVAL} must be in the range {first} to {last}")
        except ValueError:
            complaints.append(f'value for option {_ADVERTISE_INTERVAL} "{interval}" must be integer milliseconds')
    if complaints:
        raise InvalidParameter("\n".join(complaints))


def _with_configuration(network: Network, table: NetworkTable) -> Network:
    source = table.named(network.config_from)
    if source is None or not source.config_only:
        raise NotFound(f'configuration network "{network.config_from}" does not exist')
    return replace(
        network,
        enable_ipv4=source.enable_ipv4,
        enable_ipv6=source.enable_ipv6,
        labels=source.labels,
        ipam=replace(source.ipam, options=source.ipam.options or network.ipam.options),
        options=source.options,
    )


def _allocated(network: Network, table: NetworkTable, surroundings: Surroundings) -> tuple[Pool, ...]:
    if network.driver in SPECIAL:
        return ()
    gateways = needed_gateways(network)
    if network.ipam.driver == "null":
        return _null_pools(network)
    if network.ipam.driver != "default":
        raise NotFound(f'plugin "{network.ipam.driver}" not found')
    pools: list[Pool] = []
    for version, is_enabled, is_gateway_needed in (
        (4, network.enable_ipv4, gateways.ipv4),
        (6, network.enable_ipv6, gateways.ipv6),
    ):
        space = _address_space(network.scope, version, table, surroundings)
        for config in configs_of(network.ipam, version) or (SubnetConfig(),):
            if is_enabled:
                pool = space.allocate(config, network_name=network.name, is_gateway_needed=is_gateway_needed)
                pools.append(pool)
    return tuple(pools)


def _null_pools(network: Network) -> tuple[Pool, ...]:
    """Of the IPAM driver that gives everything and nothing; what drivers there are here refuse it."""
    pools = []
    for version, subnet, is_enabled in ((4, "0.0.0.0/0", network.enable_ipv4), (6, "::/0", network.enable_ipv6)):
        if is_enabled and configs_of(network.ipam, version):
            raise InvalidParameter("null ipam driver does not handle specific address pool requests")
        if is_enabled:
            pools.append(Pool(subnet=subnet))
    return tuple(pools)


def _address_space(scope: str, version: int, table: NetworkTable, surroundings: Surroundings) -> AddressSpace:
    is_global = scope == "global"
    if version == 6:
        blocks: tuple[Block, ...] = () if is_global else (surroundings.ipv6_block,)
    else:
        blocks = GLOBAL_BLOCKS if is_global else LOCAL_BLOCKS
    space = AddressSpace(blocks, () if is_global else surroundings.reserved)
    for network in table:
        if (network.scope == "global") == is_global:
            for pool in network.pools:
                space.occupy(pool)
    return space
