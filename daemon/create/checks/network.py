"""Endpoint settings. Rules and texts: moby v28 daemon/container_operations.go validateEndpointSettings."""

from __future__ import annotations

import ipaddress

from daemon.container import EndpointSettings
from daemon.create.request import CreateRequest
from daemon.host import Host

PREDEFINED_NETWORKS = ("bridge", "default", "host", "none")


def endpoints_are_valid(request: CreateRequest, host: Host) -> str | None:
    for name, endpoint in (request.networking.endpoints_config or {}).items():
        if endpoint is None:
            return f"invalid config for network {name}: EndpointsConfig is nil"
        lines = list(_complaints(name, endpoint))
        if lines:
            return f"invalid config for network {name}: invalid endpoint settings:\n" + "\n".join(lines)
    return None


def _complaints(name: str, endpoint: EndpointSettings) -> list[str]:
    ipam = endpoint.ipam_config
    lines = []
    if name in PREDEFINED_NETWORKS:
        if ipam is not None and (ipam.ipv4_address or ipam.ipv6_address):
            lines.append("user-specified IP address is supported on user-defined networks only")
        if endpoint.aliases:
            lines.append("network-scoped aliases are only supported for user-defined networks")
    if ipam is not None:
        if ipam.ipv4_address and not _is_version(ipam.ipv4_address, 4):
            lines.append(f"invalid IPv4 address: {ipam.ipv4_address}")
        if ipam.ipv6_address and not _is_version(ipam.ipv6_address, 6):
            lines.append(f"invalid IPv6 address: {ipam.ipv6_address}")
        lines += [
            f"invalid link-local IP address: {address}"
            for address in ipam.link_local_ips or ()
            if not _is_version(address, 4) and not _is_version(address, 6)
        ]
    return lines


def _is_version(text: str, version: int) -> bool:
    """An address of that version that is one: not 0.0.0.0 or ::, and without a zone."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return address.version == version and not address.is_unspecified and "%" not in text
