"""A volume as the daemon knows it, and what may be asked of one: names, drivers, options. Pure.

Rules and texts: moby v28 volume/local/local.go, volume/local/local_unix.go, volume/service/store.go. The one driver is `local`,
which has no quota here, as Docker's has none on a file system that is mounted without project quota.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import msgspec

from daemon.errors import InvalidParameter, NotFound

LOCAL = "local"
"""The driver, and the scope, of every volume."""
ANONYMOUS_LABEL = "com.docker.volume.anonymous"
"""On a volume whose name was generated. Pruning goes by it."""

NAME_LENGTH_MAX = 255
"""It is a file name."""

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*", re.ASCII)
_OPTIONS = ("type", "o", "device", "size")
_REQUIRED: Mapping[str, tuple[str, ...]] = {"device": ("type",), "type": ("device",), "o": ("device", "type")}


class Volume(msgspec.Struct, frozen=True, kw_only=True):
    """A named directory that outlives containers."""

    name: str
    created_ns: int
    """Since the epoch."""
    labels: Mapping[str, str] | None = None
    options: Mapping[str, str] | None = None
    """What to mount when a container starts; a volume with none is a plain directory."""


class VolumeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A volume as it was asked for; a name and the driver `local` are filled in where there are none."""

    name: str = ""
    driver: str = ""
    driver_opts: Mapping[str, str] | None = None
    labels: Mapping[str, str] | None = None


def no_such_volume(name: str) -> NotFound:
    return NotFound(f"get {name}: no such volume" if name else "get: no such volume")


def driver_complaint(name: str, driver: str) -> str | None:
    if driver in ("", LOCAL):
        return None
    return f"create {name}: error looking up volume plugin {driver}: plugin {quoted(driver)} not found"


def check_volume_name(name: str) -> None:
    """Raises InvalidParameter. Unlike Moby: a name that is no file name is a 400, not a 500."""
    if len(name) == 1:
        raise InvalidParameter(
            f"create {name}: volume name is too short, names should be at least two alphanumeric characters"
        )
    if not _NAME.fullmatch(name):
        raise InvalidParameter(
            f"create {name}: {quoted(name)} includes invalid characters for a local volume name, only "
            '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path'
        )
    if len(name) > NAME_LENGTH_MAX:
        raise InvalidParameter(f"create {name[:40]}...: volume name is longer than {NAME_LENGTH_MAX} characters")


def check_volume_options(name: str, options: Mapping[str, str] | None) -> None:
    """Raises InvalidParameter. An existing volume is used whatever options are asked for: ask this for new ones only."""
    if options and (complaint := _options_complaint(options)) is not None:
        raise InvalidParameter(f"create {name}: {complaint}")


def is_mounted_from_elsewhere(options: Mapping[str, str] | None) -> bool:
    """Whether the data is not in the volume's own directory."""
    return bool(options and (options.get("type") or options.get("device")))


def _options_complaint(options: Mapping[str, str]) -> str | None:
    for option in sorted(options):
        if option not in _OPTIONS:
            return f"invalid option: {quoted(option)}"
    device = options.get("device", "")
    if options.get("type") == "cifs" and device and (complaint := _cifs_complaint(device)) is not None:
        return complaint
    if "size" in options and (complaint := _size_complaint(options["size"])) is not None:
        return complaint
    missing = (needed for option, all_needed in _REQUIRED.items() if option in options for needed in all_needed)
    return next((f'missing required option: "{needed}"' for needed in missing if needed not in options), None)


# Sizes, as go-units' RAMInBytes reads them -----------------------------------------------------------------------------

_SIZE_END = re.compile(r"[0-9. ](?=[^0-9. ]*\Z)", re.ASCII | re.DOTALL)
_FLOAT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_SIZE_SUFFIX = re.compile(r"b|[kmgtp](?:b|ib)?", re.ASCII | re.IGNORECASE)


def _size_complaint(text: str) -> str | None:
    """Only a size of 0 can be had."""
    end = _SIZE_END.search(text)
    if end is None:
        return f"invalid size: '{text}'"
    number, suffix = text[: end.end()], text[end.end() :]
    if number.endswith(" "):
        number = number[:-1]
    if not _FLOAT.fullmatch(number):
        return f"strconv.ParseFloat: parsing {quoted(number)}: invalid syntax"
    size = float(number)
    if math.isinf(size):
        return f"strconv.ParseFloat: parsing {quoted(number)}: value out of range"
    if size < 0:
        return f"invalid size: '{text}'"
    if suffix and not _SIZE_SUFFIX.fullmatch(suffix):
        return f"invalid suffix: '{suffix if len(suffix.encode()) > 3 else suffix.lower()}'"
    exponent = "bkmgtp".index(suffix[0].lower()) if suffix else 0
    return "quota size requested but no quota support" if size * 1024**exponent >= 1 else None


# The device of a CIFS share, as net/url reads it -----------------------------------------------------------------------

_URL_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*):", re.ASCII)
_PORT = re.compile(r":[0-9]*", re.ASCII)
_BAD_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2}).{0,2}", re.ASCII | re.DOTALL)


def _cifs_complaint(device: str) -> str | None:
    complaint = _url_complaint(device)
    if complaint is not None:
        return f"error parsing mount device url: parse {quoted(device)}: {complaint}"
    _, host, _ = _split_url(device)
    if _port_of(host) not in ("", ":"):
        return "port not allowed in CIFS device URL, include 'port' in 'o='"
    return None


def _url_complaint(url: str) -> str | None:
    if _URL_CONTROL.search(url):
        return "net/url: invalid control character in URL"
    if url.startswith(":"):
        return "missing protocol scheme"
    scheme, host, path = _split_url(url)
    if not scheme and not path.startswith("/") and ":" in path.partition("/")[0]:
        return "first path segment in URL cannot contain colon"
    if host.startswith("[") and "]" not in host:
        return "missing ']' in host"
    port = _port_of(host)
    if port and not _PORT.fullmatch(port):
        return f"invalid port {quoted(port)} after host"
    if (bad := _BAD_ESCAPE.search(path)) is not None:
        return f"invalid URL escape {quoted(bad[0])}"
    return None


def _split_url(url: str) -> tuple[str, str, str]:
    """Scheme, host with its port, path."""
    rest = url.partition("#")[0].partition("?")[0]
    scheme = ""
    if match := _SCHEME.match(rest):
        scheme, rest = match[1], rest[match.end() :]
    if not rest.startswith("//") or (not scheme and rest.startswith("///")):
        return scheme, "", rest
    authority, slash, path = rest[2:].partition("/")
    return scheme, authority.rpartition("@")[2], slash + path


def _port_of(host: str) -> str:
    """With its colon."""
    if host.startswith("["):
        return host.rpartition("]")[2]
    _, colon, port = host.rpartition(":")
    return f":{port}" if colon else ""


# ---------------------------------------------------------------------------------------------------------------------

_ESCAPES = {"\a": r"\a", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v"}


def quoted(text: str) -> str:
    """As Go's `%q`."""
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
