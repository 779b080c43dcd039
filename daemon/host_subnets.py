"""Which subnets this machine uses itself: a network over one of them would cut it off.

Rules: moby v28 libnetwork/netutils/utils_linux.go InferReservedNetworks: name servers, and what is reached without a router.
"""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Iterator
from pathlib import Path

Subnet = ipaddress.IPv4Network | ipaddress.IPv6Network

_SYSTEMD_RESOLVED = ipaddress.ip_network("127.0.0.53")


def subnets_in_use() -> tuple[Subnet, ...]:
    """As of now. Blocks, for two small files."""
    servers = tuple(name_servers(_read("/etc/resolv.conf")))
    if servers == (_SYSTEMD_RESOLVED,):  # which knows the real ones
        servers = tuple(name_servers(_read("/run/systemd/resolve/resolv.conf")))
    return (*servers, *on_link_subnets(_read("/proc/net/route")))


def name_servers(resolv_conf: str) -> Iterator[Subnet]:
    for line in resolv_conf.splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver":
            try:
                yield ipaddress.ip_network(words[1].partition("%")[0])
            except ValueError:
                continue  # resolv.conf(5) would not know it, either


def on_link_subnets(routes: str) -> Iterator[Subnet]:
    """Of the kernel's table: addresses are hexadecimal, in the byte order of the machine."""
    for line in routes.splitlines()[1:]:
        _, destination, gateway, _, _, _, _, mask, *_ = line.split()
        if int(gateway, 16) == 0 and int(destination, 16) != 0:
            address = int.from_bytes(int(destination, 16).to_bytes(4, sys.byteorder))
            yield ipaddress.IPv4Network((address, int(mask, 16).bit_count()))


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
