"""Networks: the nouns, and beside them every decision about names, subnets, drivers and endpoints, pure.

    table        which network a name, an id or a prefix of one means
    plan         a request for a network -> the network, or the text that refuses it
      ipam       are the subnets, ranges and addresses that were asked for possible?
      pools      which subnet and gateway does it get?
      drivers    do the driver's options make sense, and does it collide with another network?
    endpoints    the settings of a container's endpoint; connect and disconnect

A network is a record here: nothing is wired before containers run. Rules and texts are those of moby v28 daemon/network.go and
libnetwork. The owner of the records is `services/networks`.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from daemon.container import EndpointSettings

BRIDGE, HOST, NONE = "bridge", "host", "none"
PREDEFINED = (BRIDGE, HOST, NONE)
"""The networks that every data root has. Their names mean the same everywhere; any other name is the user's."""

_RESERVED = ("default", *PREDEFINED)


def is_predefined(name: str) -> bool:
    """Whether Docker keeps that name for itself."""
    return name in _RESERVED


def is_user_defined(network_mode: str) -> bool:
    """Whether a network mode, or a key of EndpointsConfig, names a network that a user has made."""
    return not is_predefined(network_mode) and network_mode != "container" and not network_mode.startswith("container:")


class SubnetConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A subnet as the user wants it, and as inspect shows it; empty where the choice is the daemon's."""

    subnet: str = ""
    ip_range: str = ""
    gateway: str = ""
    auxiliary_addresses: Mapping[str, str] | None = None


class Ipam(msgspec.Struct, frozen=True, kw_only=True):
    driver: str = ""
    options: Mapping[str, str] | None = None
    config: tuple[SubnetConfig, ...] | None = None


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """A subnet as it was allocated, in canonical form."""

    subnet: str
    ip_range: str = ""
    gateway: str = ""
    """Empty where the driver needs none."""
    auxiliary_addresses: tuple[str, ...] = ()


class ConfigReference(msgspec.Struct, frozen=True, kw_only=True):
    network: str = ""


class NetworkRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asks for, decoded and not yet judged."""

    name: str = ""
    check_duplicate: bool | None = None
    """Means nothing any more: names are always unique."""
    driver: str = ""
    scope: str = ""
    enable_ipv4: bool | None = None
    enable_ipv6: bool | None = None
    ipam: Ipam | None = None
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    config_only: bool = False
    config_from: ConfigReference | None = None
    options: Mapping[str, str] | None = None
    labels: Mapping[str, str] | None = None


class ConnectRequest(msgspec.Struct, frozen=True, kw_only=True):
    container: str = ""
    endpoint_config: EndpointSettings | None = None


class DisconnectRequest(msgspec.Struct, frozen=True, kw_only=True):
    container: str = ""
    force: bool = False


class Network(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    """64 lower-case hex digits."""
    name: str
    created_ns: int
    """Since the epoch."""
    driver: str = BRIDGE
    scope: str = "local"
    enable_ipv4: bool = True
    enable_ipv6: bool = False
    ipam: Ipam = Ipam(driver="default")
    """As it was asked for, IPv4 before IPv6."""
    pools: tuple[Pool, ...] = ()
    """What was allocated for it."""
    internal: bool = False
    attachable: bool = False
    config_from: str = ""
    config_only: bool = False
    options: Mapping[str, str] = msgspec.field(default_factory=dict)
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
