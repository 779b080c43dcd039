"""What a volume may be called, which driver it may have, with which options."""

from __future__ import annotations

import pytest

from daemon.errors import InvalidParameter
from daemon.volume import (
    NAME_LENGTH_MAX,
    check_volume_name,
    check_volume_options,
    driver_complaint,
    is_mounted_from_elsewhere,
    no_such_volume,
    quoted,
)

# Names ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ab", "0-", "A_.-z", "x" * NAME_LENGTH_MAX, "v.removed"])
def test_a_good_name_passes(name: str) -> None:
    check_volume_name(name)


CHARACTERS = (
    'includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. '
    "If you intended to pass a host directory, use absolute path"
)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("", '""'),
        ("..", '".."'),
        (".a", '".a"'),
        ("-a", '"-a"'),
        ("a/b", '"a/b"'),
        ("a b", '"a b"'),
        ("a\n", r'"a\n"'),
        ("a\0", r'"a\x00"'),
        ('a"', r'"a\""'),
        ("\u0661\u0662", '"\u0661\u0662"'),
        ("caf\u00e9", '"caf\u00e9"'),
    ],
)
def test_a_name_with_other_characters_is_refused_in_dockers_words(name: str, shown: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        check_volume_name(name)
    assert str(refused.value) == f"create {name}: {shown} {CHARACTERS}"


def test_a_name_of_one_character_is_refused_in_dockers_words() -> None:
    with pytest.raises(InvalidParameter) as refused:
        check_volume_name("a")
    assert str(refused.value) == (
        "create a: volume name is too short, names should be at least two alphanumeric characters"
    )


def test_a_name_that_is_no_file_name_is_refused() -> None:
    with pytest.raises(InvalidParameter, match=r"^create x{40}\.\.\.: volume name is longer than 255 characters$"):
        check_volume_name("x" * (NAME_LENGTH_MAX + 1))


def test_a_volume_that_is_not_there_is_named() -> None:
    assert str(no_such_volume("v")) == "get v: no such volume"
    assert str(no_such_volume("")) == "get: no such volume"


# Drivers -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("driver", "complaint"),
    [
        ("", None),
        ("local", None),
        ("nfs", 'create v: error looking up volume plugin nfs: plugin "nfs" not found'),
        ("Local", 'create v: error looking up volume plugin Local: plugin "Local" not found'),
        ('a"\n', 'create v: error looking up volume plugin a"\n: plugin "a\\"\\n" not found'),
    ],
)
def test_the_only_driver_is_local(driver: str, complaint: str | None) -> None:
    assert driver_complaint("v", driver) == complaint


# Options -------------------------------------------------------------------------------------------------------------

NO_QUOTA = "quota size requested but no quota support"
NO_PORT = "port not allowed in CIFS device URL, include 'port' in 'o='"


def cifs(device: str) -> dict[str, str]:
    return {"type": "cifs", "device": device, "o": "username=a"}


def unparsable(device: str, reason: str) -> tuple[dict[str, str], str]:
    return cifs(device), f"error parsing mount device url: parse {quoted(device)}: {reason}"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({}, None),
        ({"type": "tmpfs", "device": "tmpfs"}, None),
        ({"type": "tmpfs", "device": "tmpfs", "o": "size=1"}, None),
        ({"type": "", "device": ""}, None),
        ({"foobar": "foobaz"}, 'invalid option: "foobar"'),
        ({"": ""}, 'invalid option: ""'),
        ({"Type": "tmpfs", "device": "tmpfs"}, 'invalid option: "Type"'),
        ({"b": "", "a\n": ""}, r'invalid option: "a\n"'),
        ({"type": "tmpfs"}, 'missing required option: "device"'),
        ({"device": "tmpfs"}, 'missing required option: "type"'),
        ({"o": "size=1"}, 'missing required option: "device"'),
        ({"o": "size=1", "device": "tmpfs"}, 'missing required option: "type"'),
        ({"o": "size=1", "type": "tmpfs"}, 'missing required option: "device"'),
        ({"size": "0"}, None),
        ({"size": "0.9"}, None),
        ({"size": "0G"}, None),
        ({"size": "-0"}, None),
        ({"size": "0 "}, None),
        ({"size": "1"}, NO_QUOTA),
        ({"size": "1b"}, NO_QUOTA),
        ({"size": "0.5k"}, NO_QUOTA),
        ({"size": "10GiB"}, NO_QUOTA),
        ({"size": "10 PB"}, NO_QUOTA),
        ({"size": "1e3"}, NO_QUOTA),
        ({"size": "x", "o": ""}, "invalid size: 'x'"),
        ({"size": ""}, "invalid size: ''"),
        ({"size": "-1m"}, "invalid size: '-1m'"),
        ({"size": "1x"}, "invalid suffix: 'x'"),
        ({"size": "1BB"}, "invalid suffix: 'bb'"),
        ({"size": "1KIM"}, "invalid suffix: 'kim'"),
        ({"size": "1KiBi"}, "invalid suffix: 'KiBi'"),
        ({"size": "1_0"}, 'strconv.ParseFloat: parsing "1_0": invalid syntax'),
        ({"size": "1.2.3"}, 'strconv.ParseFloat: parsing "1.2.3": invalid syntax'),
        ({"size": " "}, 'strconv.ParseFloat: parsing "": invalid syntax'),
        ({"size": "1e999"}, 'strconv.ParseFloat: parsing "1e999": value out of range'),
        *(
            (cifs(device), None)
            for device in ("//host/share", "//u:p@host/a", "//host:/a", "//[::1]/a", "a:b", "/a:1/b", "///h:1/a", "a")
        ),
        *((cifs(device), NO_PORT) for device in ("//host:445/share", "cifs://host:1", "//[::1]:445/a", "//u:p@h:1/a")),
        ({"type": "nfs", "device": "//host:445/share"}, None),
        ({"type": "cifs", "device": ""}, None),
        unparsable("//host:x/a", 'invalid port ":x" after host'),
        unparsable("//[::1/a", "missing ']' in host"),
        unparsable("//host/%zz", 'invalid URL escape "%zz"'),
        unparsable("//host/%z", 'invalid URL escape "%z"'),
        unparsable("1a:b", "first path segment in URL cannot contain colon"),
        unparsable(":a", "missing protocol scheme"),
        unparsable("//a\n", "net/url: invalid control character in URL"),
    ],
)
def test_options_are_those_of_the_local_driver(options: dict[str, str], complaint: str | None) -> None:
    if complaint is None:
        check_volume_options("v", options)
        return
    with pytest.raises(InvalidParameter) as refused:
        check_volume_options("v", options)
    assert str(refused.value) == f"create v: {complaint}"


def test_no_options_are_good_options() -> None:
    check_volume_options("v", None)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (None, False),
        ({}, False),
        ({"size": "0"}, False),
        ({"type": "", "device": ""}, False),
        ({"type": "tmpfs", "device": "tmpfs"}, True),
        ({"type": "", "device": "/dev/sda"}, True),
    ],
)
def test_a_type_or_a_device_is_to_be_mounted(options: dict[str, str] | None, expected: bool) -> None:
    assert is_mounted_from_elsewhere(options) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", '""'),
        ("a b", '"a b"'),
        ('"\\', r'"\"\\"'),
        ("\a\b\f\n\r\t\v", r'"\a\b\f\n\r\t\v"'),
        ("\x00\x7f", r'"\x00\x7f"'),
        ("\u00e9\u2028\U000e0001", '"\u00e9\\u2028\\U000e0001"'),
    ],
)
def test_text_is_quoted_as_go_quotes_it(text: str, expected: str) -> None:
    assert quoted(text) == expected
