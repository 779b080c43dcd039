"""Addresses and numbers as Go reads them: what net, net/netip and strconv take, and nothing else."""

from __future__ import annotations

import functools
import ipaddress
import re
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network

Address = IPv4Address | IPv6Address
Interface = IPv4Interface | IPv6Interface
Subnet = IPv4Network | IPv6Network

_PREFIX_LENGTH = re.compile(r"0|[1-9][0-9]{0,2}", re.ASCII)
_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_DIGITS_MAX = 19
"""Of a number that fits into 64 bits."""
_MAC_BYTES = (6, 8, 20)

PARSED_MAX = 8192
"""Subnets and gateways that are kept parsed: each decision looks at those of all networks, and parsing costs more than that."""

_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")


def parse_address(text: str) -> Address | None:
    """As netip.ParseAddr, but that a zone is no address here: none is ever inside a subnet."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return None if "%" in text else address


def parse_host(text: str) -> Address | None:
    """As net.ParseIP: `::ffff:10.0.0.1` is an IPv4 address."""
    address = parse_address(text)
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def parse_prefix(text: str) -> Interface | None:
    """As netip.ParsePrefix, the bits of the host kept. Unlike it: an IPv4 address in IPv6's clothes is none."""
    address_text, slash, length = text.rpartition("/")
    address = parse_address(address_text)
    if not slash or address is None or not _PREFIX_LENGTH.fullmatch(length) or int(length) > address.max_prefixlen:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return None
    return ipaddress.ip_interface(f"{address}/{length}")


@functools.lru_cache(maxsize=PARSED_MAX)
def subnet_at(text: str) -> Subnet:
    """A subnet that this daemon has written itself, as that of a pool."""
    return ipaddress.ip_network(text)


@functools.lru_cache(maxsize=PARSED_MAX)
def address_at(text: str) -> Address:
    """The same, of an address."""
    return ipaddress.ip_address(text)


def overlap(one: Subnet, other: Subnet) -> bool:
    """False for those of two versions of IP."""
    return (
        one.version == other.version
        and int(one.network_address) <= int(other.broadcast_address)
        and int(other.network_address) <= int(one.broadcast_address)
    )


def is_mac_address(text: str) -> bool:
    """As net.ParseMAC: 6, 8 or 20 bytes as `02:42:..`, `02-42-..` or `0242.ac11.0002`."""
    for separator, digits in ((":", 2), ("-", 2), (".", 4)):
        if separator in text:
            parts = text.split(separator)
            is_hex = all(re.fullmatch(rf"[0-9a-fA-F]{{{digits}}}", part, re.ASCII) for part in parts)
            return is_hex and len(parts) * digits // 2 in _MAC_BYTES
    return False


def parse_bool(text: str) -> bool:
    """As strconv.ParseBool. Raises ValueError with its text."""
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax')


def parse_integer(text: str) -> int:
    """As strconv.Atoi. Raises ValueError with its text."""
    if not _INTEGER.fullmatch(text):
        raise ValueError(f'strconv.Atoi: parsing "{text}": invalid syntax')
    digits = text.lstrip("+-").lstrip("0") or "0"
    value = -int(digits[: _DIGITS_MAX + 1]) if text.startswith("-") else int(digits[: _DIGITS_MAX + 1])
    if not -(2**63) <= value < 2**63:
        raise ValueError(f'strconv.Atoi: parsing "{text}": value out of range')
    return value
