from __future__ import annotations

import attrs
import pytest

from daemon.container import ContainerConfig
from daemon.create.platforms import Platform, check_platform, mismatch_warning, parse_platform, platform_of
from daemon.errors import InvalidParameter, NotFound
from daemon.image import Image
from tests.daemon.create.asking import HOST

ARM_HOST = attrs.evolve(HOST, architecture="arm64")
INVALID = "invalid argument"
PART_PATTERN = "^[A-Za-z0-9_.-]+$"
OS_PATTERN = r"^([A-Za-z0-9_-]+)(?:\\(([A-Za-z0-9_.-]*)\\))?$"
"""Its backslashes are doubled: Go quotes it."""


def an_image(system: str, architecture: str, variant: str = "") -> Image:
    return Image(
        id="sha256:" + "a" * 64,
        manifest_digest="sha256:" + "b" * 64,
        manifest_bytes=1,
        created="",
        architecture=architecture,
        os=system,
        variant=variant,
        config=ContainerConfig(),
        layers=(),
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("linux", Platform("linux", "arm64")),
        ("Linux", Platform("linux", "arm64")),
        ("windows(10.0.17763)", Platform("windows", "arm64", "", "10.0.17763")),
        ("macOS", Platform("darwin", "arm64")),
        ("plan9", Platform("plan9", "arm64")),
        ("amd64", Platform("linux", "amd64")),
        ("x86_64", Platform("linux", "amd64")),
        ("x86-64", Platform("linux", "amd64")),
        ("i386", Platform("linux", "386")),
        ("AArch64", Platform("linux", "arm64")),
        ("armhf", Platform("linux", "arm")),
        ("armel", Platform("linux", "arm", "v6")),
        ("riscv64", Platform("linux", "riscv64")),
        ("linux/amd64", Platform("linux", "amd64")),
        ("linux/x86_64/v1", Platform("linux", "amd64")),
        ("linux/amd64/v2", Platform("linux", "amd64", "v2")),
        ("linux/arm64", Platform("linux", "arm64")),
        ("linux/arm64/v8", Platform("linux", "arm64", "v8")),
        ("linux/arm64/9.0", Platform("linux", "arm64", "v9")),
        ("linux/arm", Platform("linux", "arm")),
        ("linux/arm/7", Platform("linux", "arm", "v7")),
        ("LINUX/ARM/V7", Platform("linux", "arm", "v7")),
        ("plan9/68000", Platform("plan9", "68000")),
    ],
)
def test_what_a_platform_does_not_say_is_the_hosts(text: str, expected: Platform) -> None:
    assert parse_platform(text, ARM_HOST) == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("68000", f'"68000": unknown operating system or architecture: {INVALID}'),
        ("linux/*", f'"linux/*": wildcards not yet supported: {INVALID}'),
        ("a/b/c/d", f'"a/b/c/d": cannot parse platform specifier: {INVALID}'),
        (
            "linux/",
            f'"" is an invalid component of "linux/": platform specifier component must match "{PART_PATTERN}": {INVALID}',
        ),
        (
            "linux/amd 64",
            f'"amd 64" is an invalid component of "linux/amd 64": '
            f'platform specifier component must match "{PART_PATTERN}": {INVALID}',
        ),
        (
            "",
            f'"" is an invalid OS component of "": OSAndVersion specifier component must match "{OS_PATTERN}": {INVALID}',
        ),
        (
            "/amd64",
            f'"" is an invalid OS component of "/amd64": '
            f'OSAndVersion specifier component must match "{OS_PATTERN}": {INVALID}',
        ),
    ],
)
def test_what_is_no_platform_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        parse_platform(text, HOST)
    assert str(caught.value) == complaint


@pytest.mark.parametrize(
    ("image", "requested", "fits"),
    [
        (an_image("linux", "amd64"), "linux/amd64", True),
        (an_image("linux", "386"), "linux/amd64", True),
        (an_image("linux", "amd64"), "linux/386", False),
        (an_image("linux", "amd64", "v2"), "linux/amd64/v3", True),
        (an_image("linux", "amd64", "v3"), "linux/amd64/v2", False),
        (an_image("linux", "amd64", "v1"), "linux/amd64", True),
        (an_image("linux", "amd64"), "linux/amd64/v4", True),
        (an_image("linux", "arm64", "v8"), "linux/arm64", True),
        (an_image("linux", "arm64"), "linux/arm64/v8", True),
        (an_image("linux", "arm64", "v8.1"), "linux/arm64/v8.2", True),
        (an_image("linux", "arm64", "v8.2"), "linux/arm64/v8.1", False),
        (an_image("linux", "arm64", "v8.7"), "linux/arm64/v9.2", True),
        (an_image("linux", "arm64", "v8.8"), "linux/arm64/v9.2", False),
        (an_image("linux", "arm64", "v8.9"), "linux/arm64/v9.7", True),
        (an_image("linux", "arm64", "v9"), "linux/arm64/v10", False),
        (an_image("linux", "arm64"), "linux/arm64/v10", True),
        (an_image("linux", "arm", "v7"), "linux/arm64", True),
        (an_image("linux", "arm", "v6"), "linux/arm64/v9", True),
        (an_image("linux", "arm", "v7"), "linux/arm", True),
        (an_image("linux", "arm"), "linux/arm/v7", True),
        (an_image("linux", "arm", "v6"), "linux/arm/v6", True),
        (an_image("linux", "arm", "v6"), "linux/arm/v7", True),
        (an_image("linux", "arm", "v7"), "linux/arm/v6", False),
        (an_image("linux", "arm", "v4"), "linux/arm/v7", False),
        (an_image("linux", "amd64"), "linux/arm64", False),
        (an_image("windows", "amd64"), "linux/amd64", False),
        (an_image("", "amd64"), "linux/amd64", True),
        (an_image("linux", ""), "linux/amd64", False),
    ],
)
def test_an_image_fits_a_platform_that_runs_it(image: Image, requested: str, fits: bool) -> None:
    if fits:
        check_platform(image, parse_platform(requested, HOST), "busybox")
    else:
        with pytest.raises(NotFound) as caught:  # "was found but" is what makes clients pull the other one
            check_platform(image, parse_platform(requested, HOST), "busybox")
        assert str(caught.value) == (
            f"image with reference busybox was found but its platform ({platform_of(image)}) "
            f"does not match the specified platform ({parse_platform(requested, HOST)})"
        )


@pytest.mark.parametrize(
    ("reference", "shown"),
    [
        ("busybox", "busybox"),
        ("library/busybox:1", "library/busybox:1"),
        ("docker.io/library/busybox:1", "busybox:1"),
        ("quay.io/a/b", "quay.io/a/b"),
        ("a" * 64, "a" * 64),
        ("sha256:" + "a" * 64, "sha256:" + "a" * 64),
    ],
)
def test_an_image_for_another_platform_is_named_as_people_write_it(reference: str, shown: str) -> None:
    with pytest.raises(NotFound, match=f"^image with reference {shown} was found but its platform"):
        check_platform(an_image("linux", "arm"), parse_platform("linux/amd64", HOST), reference)


@pytest.mark.parametrize(
    ("image", "warning"),
    [
        (an_image("linux", "amd64"), None),
        (an_image("linux", "amd64", "v1"), None),
        (an_image("linux", "amd64", "v3"), None),
        (an_image("linux", "386"), None),
        (
            an_image("linux", "amd64", "v4"),
            "The requested image's platform (linux/amd64/v4) does not match the detected host platform (linux/amd64/v3) "
            "and no specific platform was requested",
        ),
        (
            an_image("linux", "arm", "v7"),
            "The requested image's platform (linux/arm/v7) does not match the detected host platform (linux/amd64/v3) "
            "and no specific platform was requested",
        ),
    ],
)
def test_an_image_of_another_machine_is_warned_of(image: Image, warning: str | None) -> None:
    assert mismatch_warning(image, attrs.evolve(HOST, variant="v3")) == warning
