"""Which host a reference's domain means, and how it may be spoken to. Pure.

Unlike Moby, which tries TLS first where a registry is insecure (registry/service_v2.go): those are spoken to in plain HTTP only.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

import attrs

from daemon.errors import InvalidParameter
from daemon.reference import DEFAULT_DOMAIN

HUB_HOST = "registry-1.docker.io"
HUB_LOGIN = "https://index.docker.io/v1/"
"""What clients call Docker Hub when they log in to it."""


@attrs.frozen
class Address:
    scheme: str
    host: str
    """With the port, if it is not the scheme's own."""

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.host}"

    @property
    def is_loopback(self) -> bool:
        return is_loopback(self.host)


def address_of(domain: str, insecure: Sequence[str]) -> Address:
    """Where the registry of a reference is; `insecure` are hosts, with or without a port, and networks as `10.0.0.0/8`."""
    host = HUB_HOST if domain == DEFAULT_DOMAIN else domain
    return Address("http" if may_be_plain(host, insecure) else "https", host)


def address_of_login(server: str, insecure: Sequence[str]) -> Address:
    """As `address_of`, of what `docker login` was given: a host or a URL. Raises InvalidParameter."""
    if server in ("", HUB_LOGIN, DEFAULT_DOMAIN):
        return address_of(DEFAULT_DOMAIN, insecure)
    host = server.partition("://")[2] if "://" in server else server
    host = host.partition("/")[0]
    try:
        is_host = urlsplit(f"//{host}").hostname is not None and "@" not in host
    except ValueError:
        is_host = False
    if not is_host or not host.isascii() or not host.isprintable() or " " in host:
        raise InvalidParameter(f"unable to parse server address: {server[:200]!r}")
    return address_of(host, insecure)


def may_be_plain(host: str, insecure: Sequence[str]) -> bool:
    """Whether HTTP without TLS will do: on this machine, and where the operator said so."""
    name = host_name(host)
    return is_loopback(host) or any(_is_meant(host, name, entry) for entry in insecure)


def is_loopback(host: str) -> bool:
    name = host_name(host)
    address = _ip_address(name)
    return name == "localhost" or (address is not None and address.is_loopback)


def host_name(host: str) -> str:
    """Without the port and the brackets of IPv6."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _is_meant(host: str, name: str, entry: str) -> bool:
    if "/" in entry:
        address = _ip_address(name)
        return address is not None and address in ipaddress.ip_network(entry, strict=False)
    return entry in (host, name)


def _ip_address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
