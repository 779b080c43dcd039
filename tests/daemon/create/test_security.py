from __future__ import annotations

import pytest

from daemon.container import HostConfig, SecurityOptions
from daemon.create.security import parse_security_options, shares_labels
from daemon.errors import InvalidParameter
from tests.daemon.create.asking import Fields

PLAIN = SecurityOptions()
STRICT = SecurityOptions(no_new_privileges=True)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), PLAIN),
        (("no-new-privileges",), STRICT),
        *(((f"no-new-privileges={value}",), STRICT) for value in ("1", "t", "T", "true", "TRUE", "True")),
        *(((f"no-new-privileges:{value}",), PLAIN) for value in ("0", "f", "F", "false", "FALSE", "False")),
        (("no-new-privileges", "no-new-privileges=false"), PLAIN),
        (("writable-cgroups",), SecurityOptions(writable_cgroups=True)),
        (("writable-cgroups=true",), SecurityOptions(writable_cgroups=True)),
        (("writable-cgroups=0",), SecurityOptions(writable_cgroups=False)),
        (("apparmor=unconfined",), SecurityOptions(apparmor_profile="unconfined")),
        (("apparmor:mine",), SecurityOptions(apparmor_profile="mine")),
        (("apparmor=one", "apparmor=two"), SecurityOptions(apparmor_profile="two")),
        (('seccomp={"defaultAction":"x=y"}',), SecurityOptions(seccomp_profile='{"defaultAction":"x=y"}')),
        (("seccomp=",), PLAIN),
        (("label=disable", "label:type:t", "disable"), PLAIN),
        (
            ("seccomp=unconfined", "apparmor=a", "no-new-privileges"),
            SecurityOptions(seccomp_profile="unconfined", apparmor_profile="a", no_new_privileges=True),
        ),
    ],
)
def test_a_security_option_is_a_key_and_a_value(options: tuple[str, ...], expected: SecurityOptions) -> None:
    assert parse_security_options(options) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, True),
        ({"security_opt": ("apparmor=label",)}, True),
        ({"security_opt": ("label=disable",)}, False),
        ({"security_opt": ("label",)}, False),
        ({"security_opt": ("label:disable",)}, True),  # Docker looks for the equals sign only
        ({"privileged": True}, False),
        ({"ipc_mode": "host"}, False),
        ({"pid_mode": "host"}, False),
        ({"network_mode": "host", "uts_mode": "host", "ipc_mode": "private"}, True),
    ],
)
def test_labels_are_shared_with_a_container_unless_there_are_none(fields: Fields, expected: bool) -> None:
    assert shares_labels(HostConfig(**fields)) is expected


@pytest.mark.parametrize(
    ("option", "number"),
    [
        ("", 1),
        ("seccomp", 1),
        ("privileged", 1),
        ("=", 2),
        ("SECCOMP=unconfined", 2),
        ("no-new-privileges=yes", 2),
        ("no-new-privileges=", 2),
        ("systempaths=unconfined", 2),  # which the client translates and does not send
        ("writable-cgroups=yes", 2),
    ],
)
def test_a_security_option_that_is_not_understood_is_the_clients_mistake(option: str, number: int) -> None:
    # Unlike Moby, where it is a 500.
    with pytest.raises(InvalidParameter) as caught:
        parse_security_options(("no-new-privileges", option))
    assert str(caught.value) == f'invalid --security-opt {number}: "{option}"'
