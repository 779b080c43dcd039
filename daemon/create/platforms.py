"""`--platform`: what was asked for, and whether an image is that. Pure.

Forms, normal forms and which platform runs the images of which are those of containerd's platforms package (platforms.go,
database.go, compare.go), as moby v28 uses it (daemon/images/image.go OnlyPlatformWithFallback).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

import attrs

from daemon.errors import InvalidParameter, NotFound, quoted
from daemon.host import Host
from daemon.image import Image
from daemon.reference import parse_reference

_OS = re.compile(r"([A-Za-z0-9_-]+)(?:\(([A-Za-z0-9_.-]*)\))?", re.ASCII)
_PART = re.compile(r"[A-Za-z0-9_.-]+", re.ASCII)
_SYSTEMS = frozenset(
    "aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 solaris windows zos".split()
)
_ARCHITECTURES = frozenset(
    (
        "386 amd64 amd64p32 arm armbe arm64 arm64be ppc64 ppc64le loong64 mips mipsle mips64 mips64le mips64p32 mips64p32le "
        "ppc riscv riscv64 s390 s390x sparc sparc64 wasm"
    ).split()
)

_ALIASES = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64"}
_WITH_VARIANT = {"i386": ("386", ""), "armhf": ("arm", "v7"), "armel": ("arm", "v6")}
"""Names that say architecture and variant in one."""

_VARIANTS = {
    ("amd64", "v1"): "",
    ("arm64", "8"): "",
    ("arm64", "v8"): "",
    ("arm64", "v8.0"): "",
    ("arm64", "9"): "v9",
    ("arm64", "9.0"): "v9",
    ("arm64", "v9.0"): "v9",
    ("arm", ""): "v7",
    ("arm", "7"): "v7",
    ("arm", "5"): "v5",
    ("arm", "6"): "v6",
    ("arm", "8"): "v8",
}
"""Other ways to write a variant. The plain one of an architecture is left unsaid, but for 32-bit ARM."""

_PAIRS_MAX = 256
"""Of a host and an image, whose answer is remembered: every create asks."""

_ARM64_MINORS = {"v8": 9, "v9": 7}
"""The highest minor version there is of each."""

_V9_RUNS_V8 = 5
"""Version 9.n of ARM can do what 8.(n + 5) can."""


@attrs.frozen
class Platform:
    os: str
    architecture: str
    variant: str = ""
    os_version: str = ""

    def __str__(self) -> str:
        system = f"{self.os}({self.os_version})" if self.os_version else self.os
        return "/".join(part for part in (system, self.architecture, self.variant) if part) if self.os else "unknown"


def parse_platform(text: str, host: Host) -> Platform:
    """`os`, `arch`, `os/arch` or `os/arch/variant`; what is not said is the host's. Raises InvalidParameter."""
    if "*" in text:
        raise InvalidParameter(f"{quoted(text)}: wildcards not yet supported: invalid argument")
    system, *rest = text.split("/", 3)
    if (match := _OS.fullmatch(system)) is None:
        raise InvalidParameter(
            f"{quoted(system)} is an invalid OS component of {quoted(text)}: "
            f"OSAndVersion specifier component must match {quoted(f'^{_OS.pattern}$')}: invalid argument"
        )
    for part in rest:
        if not _PART.fullmatch(part):
            raise InvalidParameter(
                f"{quoted(part)} is an invalid component of {quoted(text)}: "
                f"platform specifier component must match {quoted(f'^{_PART.pattern}$')}: invalid argument"
            )
    os, os_version = _system(match[1]), match[2] or ""
    match rest:
        case [architecture]:
            return _unsaid_v7(Platform(os, *_normal(architecture, ""), os_version))
        case [architecture, variant]:
            architecture, variant = _normal(architecture, variant)
            return Platform(os, architecture, variant or ("v8" if architecture == "arm64" else ""), os_version)
        case [] if os in _SYSTEMS:
            variant = host.variant if host.architecture == "arm" and host.variant != "v7" else ""
            return Platform(os, host.architecture, variant, os_version)
        case [] if _normal(system, "")[0] in _ARCHITECTURES:
            return _unsaid_v7(Platform("linux", *_normal(system, ""), os_version))
        case []:
            raise InvalidParameter(f"{quoted(text)}: unknown operating system or architecture: invalid argument")
    raise InvalidParameter(f"{quoted(text)}: cannot parse platform specifier: invalid argument")


def _unsaid_v7(platform: Platform) -> Platform:
    is_plain_arm = (platform.architecture, platform.variant) == ("arm", "v7")
    return attrs.evolve(platform, variant="") if is_plain_arm else platform


def _system(name: str) -> str:
    return "darwin" if name.lower() == "macos" else name.lower()


def _normal(architecture: str, variant: str) -> tuple[str, str]:
    architecture, variant = architecture.lower(), variant.lower()
    if architecture in _WITH_VARIANT:
        return _WITH_VARIANT[architecture]
    architecture = _ALIASES.get(architecture, architecture)
    return architecture, _VARIANTS.get((architecture, variant), variant)


def _normalized(platform: Platform) -> Platform:
    return Platform(_system(platform.os or "linux"), *_normal(platform.architecture, platform.variant))


def platform_of(image: Image) -> Platform:
    """As the image says."""
    return Platform(image.os, image.architecture, image.variant)


def check_platform(image: Image, requested: Platform, reference: str) -> None:
    """Raises NotFound if the image is for another platform and does not run on the one requested either."""
    actual = platform_of(image)
    if not runs(requested, actual):
        raise NotFound(
            f"image with reference {_shown(reference)} was found but its platform ({actual}) "
            f"does not match the specified platform ({requested})"
        )


def _shown(text: str) -> str:
    """As people write it, if it was given in full; else as it was given."""
    try:
        reference = parse_reference(text)
    except InvalidParameter:  # an id
        return text
    return reference.familiar if str(reference) == text else text


def mismatch_warning(image: Image, host: Host) -> str | None:
    """The warning for an image that was made for another machine and was not asked for as such."""
    actual, own = platform_of(image), Platform("linux", host.architecture, host.variant)
    if runs(own, actual):
        return None
    return (
        f"The requested image's platform ({actual}) does not match the detected host platform ({own}) "
        "and no specific platform was requested"
    )


@functools.lru_cache(maxsize=_PAIRS_MAX)
def runs(platform: Platform, image: Platform) -> bool:
    """Whether `platform` runs the programs of `image`; an image that does not say its variant is taken at its word."""
    return rank(platform, image) is not None


def rank(platform: Platform, image: Platform) -> int | None:
    """How well `image` suits `platform`, 0 being best; None if it does not run there."""
    wanted, given = _normalized(platform), _normalized(image)
    runnable = [_normalized(each) for each in _runnable(wanted)]
    if given in runnable:
        return runnable.index(given)
    is_unsaid = not image.variant and (wanted.os, wanted.architecture) == (given.os, given.architecture)
    return len(runnable) if is_unsaid else None


def _runnable(platform: Platform) -> Iterator[Platform]:
    """The platforms whose programs this one runs, itself among them."""
    os, architecture, variant = platform.os, platform.architecture, platform.variant
    if architecture == "arm64":
        for name in _arm64_variants(variant or "v8"):
            yield Platform(os, "arm64", name)
            if name == "v8":  # the last: from here on down 32-bit programs run, too
                yield from _runnable(Platform(os, "arm", "v8"))
        return
    yield platform
    lowest = {"amd64": 1, "arm": 5}.get(architecture)
    if lowest is not None and variant.removeprefix("v").isdecimal():
        for number in range(int(variant.removeprefix("v")[:3]) - 1, lowest - 1, -1):
            yield Platform(os, architecture, f"v{number}")
    if architecture == "amd64":
        yield Platform(os, "386")


def _arm64_variants(variant: str) -> Iterator[str]:
    """`v8.2` runs itself, `v8.1` and `v8`."""
    major, _, minor = variant.partition(".")
    if major not in _ARM64_MINORS or (minor and not minor.isdecimal()) or int(minor or 0) > _ARM64_MINORS[major]:
        return
    steps = [(major, int(minor or 0))]
    if major == "v9":
        steps.append(("v8", min(int(minor or 0) + _V9_RUNS_V8, _ARM64_MINORS["v8"])))
    for name, highest in steps:
        for number in range(highest, -1, -1):
            yield f"{name}.{number}" if number else name
