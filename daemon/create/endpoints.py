"""What a create says about its networks, as each version of the API means it. Pure.

Rules and texts: moby v28 api/server/router/container/container_routes.go (postContainersCreate, handleMACAddressBC,
epConfigForNetMode).
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from daemon.container import EndpointSettings, NetworkingConfig
from daemon.create.request import CreateRequest
from daemon.errors import InvalidParameter
from daemon.network import BRIDGE, is_user_defined

_MAC_WARNING = (
    "The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead."
)
_MAC_MISMATCH = (
    "the container-wide MAC address must match the endpoint-specific MAC address for the main network, or be left empty"
)
_MAC_NOWHERE = (
    "unable to migrate container-wide MAC address to a specific network: "
    "HostConfig.NetworkMode must match the identity of a network in NetworkSettings.Networks"
)

Endpoints = Mapping[str, EndpointSettings | None]


def with_endpoints(request: CreateRequest) -> tuple[CreateRequest, tuple[str, ...]]:
    """The request with its network mode and endpoints as they are meant, and the warnings for the client. Twice is once.

    Raises:
        InvalidParameter: that version of the API does not know such a thing, or it contradicts itself.
    """
    request = _with_default_network(request)
    endpoints = request.networking.endpoints_config or {}
    if request.api_version < (1, 44) and len(endpoints) > 1:
        raise InvalidParameter(f"Container cannot be created with multiple network endpoints: {', '.join(endpoints)}")
    if request.api_version < (1, 48):
        request = _with(request, {name: ep and replace(ep, gw_priority=0) for name, ep in endpoints.items()})
    if request.api_version < (1, 44):
        return _with_mac_of_old(request), ()
    return _with_mac(request)


def _with_default_network(request: CreateRequest) -> CreateRequest:
    """`default` means the bridge, unless another network is the main one."""
    if request.host_config.network_mode not in ("", "default"):
        return request
    endpoints = dict(request.networking.endpoints_config or {})
    if "default" in endpoints:
        endpoints[BRIDGE] = endpoints.pop("default")
    return replace(_with(request, endpoints), host_config=replace(request.host_config, network_mode=BRIDGE))


def _with_mac_of_old(request: CreateRequest) -> CreateRequest:
    """Before 1.44 a container had one MAC address, and an endpoint's was ignored."""
    endpoints = request.networking.endpoints_config or {}
    mac_address = request.config.mac_address
    if not mac_address:
        return _with(request, {name: ep and replace(ep, mac_address="") for name, ep in endpoints.items()})
    if not _has_mac_address(request):
        raise InvalidParameter("conflicting options: mac-address and the network mode")
    # There is one endpoint at most, and it is the one that is meant, whatever its name.
    name = next(iter(endpoints), request.host_config.network_mode)
    endpoint = endpoints.get(name, EndpointSettings())
    return _with(request, {name: endpoint and replace(endpoint, mac_address=mac_address)})


def _with_mac(request: CreateRequest) -> tuple[CreateRequest, tuple[str, ...]]:
    """A container's MAC address becomes that of its endpoint in the main network."""
    mac_address = request.config.mac_address
    if not mac_address:
        return request, ()
    if _has_mac_address(request):
        mode = request.host_config.network_mode
        endpoints = request.networking.endpoints_config or {mode: EndpointSettings()}
        if mode not in endpoints:
            raise InvalidParameter(_MAC_NOWHERE)
        endpoint = endpoints[mode]
        if endpoint is not None:  # one that is null is refused later, by name
            if endpoint.mac_address not in ("", mac_address):
                raise InvalidParameter(_MAC_MISMATCH)
            endpoint = replace(endpoint, mac_address=mac_address)
        request = _with(request, {**endpoints, mode: endpoint})
    return replace(request, config=replace(request.config, mac_address="")), (_MAC_WARNING,)


def _has_mac_address(request: CreateRequest) -> bool:
    mode = request.host_config.network_mode
    return mode == BRIDGE or is_user_defined(mode)


def _with(request: CreateRequest, endpoints: Endpoints) -> CreateRequest:
    return replace(request, networking=NetworkingConfig(endpoints_config=endpoints))
