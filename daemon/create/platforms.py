"""`--platform`: what was asked for, and whether an image is that. Pure; forms as containerd's platforms package reads them."""

from __future__ import annotations

import re

import attrs

from daemon.errors import InvalidParameter, NotFound
from daemon.host import ARCHITECTURES, Host
from daemon.image import Image

_OS = re.compile(r"([A-Za-z0-9_-]+)(?:\(([A-Za-z0-9_.-]*)\))?", re.ASCII)
"""A system, for Windows with its version, which says nothing here."""

_PART = re.compile(r"[A-Za-z0-9_.-]+", re.ASCII)
_SYSTEMS = frozenset({"linux", "windows", "darwin", "freebsd"})
_ARCHITECTURES = frozenset(
    "386 amd64 arm arm64 loong64 mips mips64 mips64le mipsle ppc64 ppc64le riscv64 s390x".split()
)
_ALIASES = {**ARCHITECTURES, "x86-64": "amd64", "i386": "386", "armhf": "arm"}
_VARIANTS = {("arm64", "v8"): "", ("arm64", "8"): "", ("amd64", "v1"): ""}
"""The variants that mean the same as none."""


@attrs.frozen
class Platform:
    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


def parse_platform(text: str, host: Host) -> Platform:
    """`os`, `arch`, `os/arch` or `os/arch/variant`; what is not said is the host's. Raises InvalidParameter."""
    if "*" in text:
        raise InvalidParameter(f'"{text}": wildcards not yet supported: invalid argument')
    system, *rest = text.split("/", 3)
    if (match := _OS.fullmatch(system)) is None:
        raise InvalidParameter(
            f'"{system}" is an invalid OS component of "{text}": '
            f'OSAndVersion specifier component must match "^{_OS.pattern}$": invalid argument'
        )
    for part in rest:
        if not _PART.fullmatch(part):
            raise InvalidParameter(
                f'"{part}" is an invalid component of "{text}": '
                f'platform specifier component must match "^{_PART.pattern}$": invalid argument'
            )
    system = match[1].lower()
    match [part.lower() for part in rest]:
        case [architecture]:
            return _platform(system, architecture)
        case [architecture, variant]:
            return _platform(system, architecture, variant)
        case [] if system in _SYSTEMS:
            return Platform(system, host.architecture)
        case [] if (platform := _platform("linux", system)).architecture in _ARCHITECTURES:
            return platform
        case []:
            raise InvalidParameter(f'"{text}": unknown operating system or architecture: invalid argument')
    raise InvalidParameter(f'"{text}": cannot parse platform specifier: invalid argument')


def _platform(system: str, architecture: str, variant: str = "") -> Platform:
    if architecture == "armel":
        return Platform(system, "arm", "v6")
    architecture = _ALIASES.get(architecture, architecture)
    return Platform(system, architecture, _VARIANTS.get((architecture, variant), variant))


def platform_of(image: Image) -> Platform:
    return _platform(image.os, image.architecture, image.variant)


def check_platform(image: Image, requested: Platform, reference: str) -> None:
    """Raises NotFound if the image is for another platform; an unsaid variant fits all."""
    actual = platform_of(image)
    is_same = (actual.os, actual.architecture) == (requested.os, requested.architecture)
    if not is_same or (requested.variant and actual.variant and requested.variant != actual.variant):
        raise NotFound(
            f"image with reference {reference} was found but its platform ({actual}) "
            f"does not match the specified platform ({requested})"
        )


def mismatch_warning(image: Image, host: Host) -> str | None:
    """The warning for an image that was made for another machine and was not asked for as such."""
    actual, own = platform_of(image), Platform("linux", host.architecture)
    if (actual.os, actual.architecture) == (own.os, own.architecture):
        return None
    return (
        f"The requested image's platform ({actual}) does not match the detected host platform ({own}) "
        "and no specific platform was requested"
    )
