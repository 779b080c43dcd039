from __future__ import annotations

import ipaddress

import pytest

from daemon.network.addresses import is_mac_address, parse_address, parse_bool, parse_host, parse_integer, parse_prefix


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("2001:DB8::1", "2001:db8::1"),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.1"),
        ("", None),
        ("10.0.0", None),
        ("10.0.0.01", None),
        ("10.0.0.256", None),
        ("10.0.0.1/8", None),
        ("fe80::1%eth0", None),
        ("web", None),
    ],
)
def test_an_address_is_what_go_takes_for_one(text: str, parsed: str | None) -> None:
    assert parse_address(text) == (ipaddress.ip_address(parsed) if parsed else None)


def test_the_address_of_a_host_is_ipv4_also_in_the_clothes_of_ipv6() -> None:
    assert parse_host("::ffff:10.0.0.1") == ipaddress.ip_address("10.0.0.1")
    assert parse_host("10.0.0.1") == ipaddress.ip_address("10.0.0.1")
    assert parse_host("::1") == ipaddress.ip_address("::1")
    assert parse_host("x") is None


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.1.2.3/8", "10.1.2.3/8"),
        ("10.0.0.0/0", "10.0.0.0/0"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("::/128", "::/128"),
        ("10.0.0.0", None),
        ("10.0.0.0/", None),
        ("/8", None),
        ("10.0.0.0/33", None),
        ("10.0.0.0/08", None),
        ("10.0.0.0/+8", None),
        ("10.0.0.0/-1", None),
        ("10.0.0.0/255.0.0.0", None),
        ("10.0.0.0/8/8", None),
        ("10.0.0.0/\u0668", None),
        ("::/129", None),
        ("fe80::%eth0/64", None),
        ("::ffff:10.0.0.0/104", None),
    ],
)
def test_a_prefix_is_what_go_takes_for_one(text: str, parsed: str | None) -> None:
    assert parse_prefix(text) == (ipaddress.ip_interface(parsed) if parsed else None)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("02:42:ac:11:00:02", True),
        ("02-42-AC-11-00-02", True),
        ("0242.ac11.0002", True),
        ("02:00:5e:10:00:00:00:01", True),
        ("0200.5e10.0000.0001", True),
        (":".join(["00"] * 20), True),
        ("", False),
        ("0242ac110002", False),
        ("02:42:ac:11:00", False),
        ("02:42:ac:11:00:2", False),
        ("02:42:ac:11:00:0g", False),
        ("02:42-ac:11:00:02", False),
        ("02:42:ac:11:00:02:", False),
        ("02:42:ac:11:00:\u0660\u0662", False),
    ],
)
def test_a_mac_address_is_what_go_takes_for_one(text: str, is_one: bool) -> None:
    assert is_mac_address(text) is is_one


def test_truth_and_numbers_are_read_as_go_does() -> None:
    for text in ("1", "t", "T", "true", "True", "TRUE"):
        assert parse_bool(text) is True
    for text in ("0", "f", "F", "false", "False", "FALSE"):
        assert parse_bool(text) is False
    for text in ("", "yes", "tRUE"):
        with pytest.raises(ValueError, match=f'^strconv.ParseBool: parsing "{text}": invalid syntax$'):
            parse_bool(text)
    for text, number in (("1500", 1500), ("+7", 7), ("-1", -1), ("007", 7), (str(2**63 - 1), 2**63 - 1)):
        assert parse_integer(text) == number
    for text in ("", "1.0", "0x1", "1_0", "\u0661"):
        with pytest.raises(ValueError, match=r"invalid syntax$"):
            parse_integer(text)
    for text in (str(2**63), "9" * 10_000, f"-{2**63 + 1}"):
        with pytest.raises(ValueError, match=r"value out of range$"):
            parse_integer(text)
