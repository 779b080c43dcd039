"""What the value of an option may look like. A file has numbers, texts and lists; a flag and a variable have text for all."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeGuard

import attrs

from daemon.config import SOCKET_PATH_BYTES_MAX
from daemon.errors import InvalidParameter
from daemon.registry.addresses import address_of_login

Shown = str | int | float | list[str] | list[int] | None
"""As a file says it."""

_DIGITS = re.compile(r"[0-9]{1,15}", re.ASCII)
_BYTES = re.compile(r"([0-9]{1,12})([kmg]?)", re.ASCII)
_UNITS = {"": 0, "k": 10, "m": 20, "g": 30}
_PLUGIN = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}", re.ASCII)
_MODE = re.compile(r"0?o?([0-7]{3})", re.ASCII)


@attrs.frozen(kw_only=True)
class Kind:
    metavar: str
    expected: str
    """What it must be, for who has said something else."""
    read: Callable[[object], object]
    """Raises ValueError."""
    show: Callable[[object], Shown]
    is_list: bool = False
    """In a file a list, as a flag one at a time, in the environment separated by commas."""


def _as_it_is(value: object) -> Shown:
    if value is None or isinstance(value, str | int | float):
        return value
    return str(value)


def text(metavar: str, expected: str) -> Kind:
    def read(value: object) -> str:
        return _text(value)

    return Kind(metavar=metavar, expected=expected, read=read, show=_as_it_is)


def choice(*choices: str) -> Kind:
    def read(value: object) -> str:
        if value not in choices:
            raise ValueError(value)
        return _text(value)

    return Kind(metavar="|".join(choices), expected=f"one of {', '.join(choices)}", read=read, show=_as_it_is)


def path(metavar: str = "PATH", *, bytes_max: int | None = None) -> Kind:
    def read(value: object) -> Path:
        found = Path(_text(value)).absolute()
        if bytes_max is not None and len(bytes(found)) > bytes_max:
            raise ValueError(value)
        return found

    expected = "a path" if bytes_max is None else f"a path of at most {bytes_max} bytes"
    return Kind(metavar=metavar, expected=expected, read=read, show=_as_it_is)


def number(minimum: int = 1) -> Kind:
    def read(value: object) -> int:
        found = int(value) if isinstance(value, str) and _DIGITS.fullmatch(value) else value
        if not _is_whole(found) or found < minimum:
            raise ValueError(value)
        return found

    return Kind(metavar="N", expected=f"a whole number, at least {minimum}", read=read, show=_as_it_is)


def size(minimum: int = 1) -> Kind:
    """In bytes; as text also with a unit, as docker's `--memory`."""

    def read(value: object) -> int:
        found = value
        if isinstance(value, str) and (match := _BYTES.fullmatch(value.lower())):
            found = int(match[1]) << _UNITS[match[2]]
        if not _is_whole(found) or found < minimum:
            raise ValueError(value)
        return found

    expected = f'a number of bytes, at least {minimum}, or one with a unit, as "4m"'
    return Kind(metavar="BYTES", expected=expected, read=read, show=_as_it_is)


def _seconds(value: object) -> float:
    found = float(value) if isinstance(value, str) else value
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found <= SECONDS_MAX:
        raise ValueError(value)
    return float(found)


SECONDS_MAX = 86_400
"""A day: whoever means for ever has not thought of what is held up."""

SECONDS = Kind(metavar="SECONDS", expected=f"a number of seconds, at most {SECONDS_MAX}", read=_seconds, show=_as_it_is)


def _mode(value: object) -> int:
    """Of a text only: 660 as a number would be another mode."""
    match = _MODE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(value)
    return int(match[1], 8)


def _shown_mode(value: object) -> Shown:
    assert isinstance(value, int)
    return f"{value:03o}"


MODE = Kind(metavar="MODE", expected='three octal digits in a text, as "660"', read=_mode, show=_shown_mode)


def _several(value: object, read_one: Callable[[object], object]) -> tuple[object, ...]:
    """Of a list; in a text they are separated by commas."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(value, Sequence):
        raise ValueError(value)
    return tuple(dict.fromkeys(read_one(each) for each in value))


def _uid(value: object) -> int:
    found = int(value) if isinstance(value, str) and _DIGITS.fullmatch(value) else value
    if not _is_whole(found) or not 0 <= found < 1 << 32:
        raise ValueError(value)
    return found


def _shown_uids(value: object) -> Shown:
    return None if value is None else sorted(value) if isinstance(value, frozenset) else []


UIDS = Kind(
    metavar="UID",
    expected="a list of user ids",
    read=lambda value: frozenset(_several(value, _uid)),
    show=_shown_uids,
    is_list=True,
)


def insecure_registry(value: object) -> str:
    """A host, with or without a port, or a network. Raises ValueError."""
    entry = _text(value)
    if "/" in entry:
        return str(ipaddress.ip_network(entry, strict=False))
    try:
        host = address_of_login(entry, ()).host
    except InvalidParameter as error:
        raise ValueError(entry) from error
    if host != entry:
        raise ValueError(entry)
    return entry


def _shown_texts(value: object) -> Shown:
    return [str(each) for each in value] if isinstance(value, tuple) else []


REGISTRIES = Kind(
    metavar="HOST[:PORT]|NETWORK",
    expected="a list of hosts, with or without a port, and of networks, as 10.0.0.0/8",
    read=lambda value: _several(value, insecure_registry),
    show=_shown_texts,
    is_list=True,
)


def _address(value: object) -> tuple[str, int]:
    host, colon, port = _text(value).rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not host or not colon or not _DIGITS.fullmatch(port) or int(port) > PORT_MAX:
        raise ValueError(value)
    return host, int(port)


def _shown_address(value: object) -> Shown:
    if not isinstance(value, tuple):
        return None
    host, port = value
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


PORT_MAX = 65_535

ADDRESS = Kind(
    metavar="HOST:PORT", expected='a host and a port, as "127.0.0.1:2376"', read=_address, show=_shown_address
)


def _metrics(value: object) -> Path | tuple[str, int]:
    if "/" in _text(value):
        return Path(_text(value)).absolute()
    host, port = _address(value)
    if not ipaddress.ip_address(host).is_loopback:
        raise ValueError(value)
    return host, port


def _shown_place(value: object) -> Shown:
    return str(value) if isinstance(value, Path) else _shown_address(value)


METRICS = Kind(
    metavar="PATH|ADDRESS:PORT",
    expected='a path with a slash, or a port of this machine only, as "127.0.0.1:9323"',
    read=_metrics,
    show=_shown_place,
)


def _plugin(value: object) -> str:
    name = _text(value)
    if not (_PLUGIN.fullmatch(name) or name.startswith("/")):
        raise ValueError(value)
    return name


PLUGINS = Kind(
    metavar="NAME|PATH",
    expected="a list of names, or absolute paths of sockets",
    read=lambda value: _several(value, _plugin),
    show=_shown_texts,
    is_list=True,
)

SOCKET_PATH = path(bytes_max=SOCKET_PATH_BYTES_MAX)


def _text(value: object) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError(value)
    return value


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)
