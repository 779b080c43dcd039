"""What the network endpoints show, and what inspect shows of a container's networks in each version of the API.

Names and order of fields: moby v28 api/types/network Inspect.
"""

from __future__ import annotations

from msgspec.structs import replace

from daemon.api.codec import Json
from daemon.api.schema import SUBNET
from daemon.api.views import rfc3339
from daemon.container import Container, EndpointSettings, short_id
from daemon.network import BRIDGE, Network, is_user_defined
from daemon.network.ipam import shown_subnets


def network_view(network: Network) -> dict[str, Json]:
    """Containers appear in it when they run."""
    subnets = shown_subnets(network)
    return {
        "Name": network.name,
        "Id": network.id,
        "Created": rfc3339(network.created_ns),
        "Scope": network.scope,
        "Driver": network.driver,
        "EnableIPv4": network.enable_ipv4,
        "EnableIPv6": network.enable_ipv6,
        "IPAM": {
            "Driver": network.ipam.driver,
            "Options": None if network.ipam.options is None else dict(network.ipam.options),
            "Config": [SUBNET.encode(subnet) for subnet in subnets] or None,
        },
        "Internal": network.internal,
        "Attachable": network.attachable,
        "Ingress": False,
        "ConfigFrom": {"Network": network.config_from},
        "ConfigOnly": network.config_only,
        "Containers": {},
        "Options": dict(network.options),
        "Labels": dict(network.labels),
    }


_WITH_IMPLIED_ALIASES = (1, 45)
"""Before it, aliases were shown with the names that every container has."""


def with_network_history(container: Container, api_version: tuple[int, int]) -> Container:
    """The container as inspect has always shown it: a MAC address of its own, and aliases that are implied.

    Rules: moby v28 daemon/inspect.go getInspectData, api/server/router/container/inspect.go.
    """
    config, mode = container.config, container.host_config.network_mode
    if not config.mac_address and (mode == BRIDGE or is_user_defined(mode)) and mode in container.networks:
        config = replace(config, mac_address=container.networks[mode].mac_address)
    networks = container.networks
    if api_version < _WITH_IMPLIED_ALIASES:
        implied = (short_id(container.id), config.hostname)
        networks = {
            name: _with_aliases(endpoint, implied) if is_user_defined(name) else endpoint
            for name, endpoint in networks.items()
        }
    return replace(container, config=config, networks=networks)


def _with_aliases(endpoint: EndpointSettings, implied: tuple[str, ...]) -> EndpointSettings:
    return replace(endpoint, aliases=tuple(dict.fromkeys((*(endpoint.aliases or ()), *implied))))
