"""`--platform`: what was asked for, and whether an image is that. Pure; forms as containerd's platforms package reads them."""

from __future__ import annotations

import re

import attrs

from daemon.errors import InvalidParameter, NotFound
from daemon.host import ARCHITECTURES, Host
from daemon.image import Image

_PART = re.compile(r"[A-Za-z0-9_.-]+", re.ASCII)
_SYSTEMS = frozenset({"linux", "windows", "darwin", "freebsd"})
_VARIANTS = {("arm64", "v8"): "", ("amd64", "v1"): ""}
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
    parts = [part.lower() for part in text.split("/")]
    if len(parts) > 3 or not all(_PART.fullmatch(part) for part in parts):
        raise InvalidParameter(f'"{text}": invalid argument: invalid platform specifier')
    if len(parts) == 1:
        system, architecture = (parts[0], host.architecture) if parts[0] in _SYSTEMS else ("linux", parts[0])
    else:
        system, architecture = parts[0], parts[1]
    architecture = ARCHITECTURES.get(architecture, architecture)
    variant = parts[2] if len(parts) == 3 else ""
    return Platform(system, architecture, _VARIANTS.get((architecture, variant), variant))


def platform_of(image: Image) -> Platform:
    return Platform(image.os, image.architecture, _VARIANTS.get((image.architecture, image.variant), image.variant))


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
