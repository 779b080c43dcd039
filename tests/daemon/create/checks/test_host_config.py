from __future__ import annotations

import attrs
import pytest

from daemon.container import (
    BindOptions,
    MountRequest,
    PortBinding,
    RestartPolicy,
)
from daemon.create.checks.host_config import (
    annotations_have_keys,
    auto_remove_excludes_restart,
    capabilities_exist,
    extra_hosts_are_pairs,
    mounts_make_sense,
    port_bindings_are_ports,
    restart_policy_is_known,
    warnings,
)
from daemon.create.mounts import missing_source
from daemon.host import CAPABILITIES
from tests.daemon.create.asking import HOST, Fields, asking


@pytest.mark.parametrize(
    ("auto_remove", "policy", "is_refused"),
    [
        (True, "", False),
        (True, "no", False),
        (True, "always", True),
        (True, "on-failure", True),
        (True, "unless-stopped", True),
        (False, "always", False),
    ],
)
def test_a_container_is_removed_or_restarted_but_not_both(auto_remove: bool, policy: str, is_refused: bool) -> None:
    request = asking(auto_remove=auto_remove, restart_policy=RestartPolicy(name=policy))
    expected = "can't create 'AutoRemove' container with restart policy" if is_refused else None
    assert auto_remove_excludes_restart(request, HOST) == expected


@pytest.mark.parametrize(
    "entry", ["db:10.0.0.1", "db:::1", "db:fe80::1", "db:host-gateway", "db: 10.0.0.1 ", "db:::ffff:10.0.0.1"]
)
def test_an_extra_host_is_a_name_and_an_address(entry: str) -> None:
    assert extra_hosts_are_pairs(asking(extra_hosts=("ok:127.0.0.1", entry)), HOST) is None


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ("", 'bad format for add-host: ""'),
        ("db", 'bad format for add-host: "db"'),
        (":10.0.0.1", 'bad format for add-host: ":10.0.0.1"'),
        ("db:", 'invalid IP address in add-host: ""'),
        ("db:localhost", 'invalid IP address in add-host: "localhost"'),
        ("db:10.0.0.256", 'invalid IP address in add-host: "10.0.0.256"'),
        ("db:010.0.0.1", 'invalid IP address in add-host: "010.0.0.1"'),
        ("db:10.0.0.1:80", 'invalid IP address in add-host: "10.0.0.1:80"'),
        ("db:[::1]", 'invalid IP address in add-host: "[::1]"'),  # the client takes the brackets off
        ("db:fe80::1%eth0", 'invalid IP address in add-host: "fe80::1%eth0"'),
        ('"\x00"', 'bad format for add-host: "\\"\\x00\\""'),
        ("db:Host-Gateway", 'invalid IP address in add-host: "Host-Gateway"'),
    ],
)
def test_an_extra_host_that_is_no_pair_is_refused(entry: str, text: str) -> None:
    assert extra_hosts_are_pairs(asking(extra_hosts=("ok:127.0.0.1", entry)), HOST) == text


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"port_bindings": {"80": None, "80/tcp": (), "53/udp": (PortBinding(),), "9/sctp": None, "0/tcp": None}},
        {"port_bindings": {"65535/TCP": (PortBinding(host_ip="::1", host_port="8080"),)}},
        {"port_bindings": {"80/tcp": (PortBinding(host_port="8000-8010"), PortBinding(host_port="81/tcp"))}},
        # What Docker does not look at before a container runs:
        {"port_bindings": {"": None, "/tcp": None, "80/icmp": None, "80/tcp/udp": None, "0080": None}},
        {"port_bindings": {"80": (PortBinding(host_port="1-2-x"), PortBinding(host_port="/x"))}},
        {"exposed_ports": ("80/tcp", "8000-8010/udp", "web", "")},
    ],
)
def test_a_port_is_a_number_with_or_without_a_protocol(fields: Fields) -> None:
    assert port_bindings_are_ports(asking(**fields), HOST) is None


@pytest.mark.parametrize(
    ("port", "quoted"),
    [
        ("19039;1230", "19039;1230"),
        ("aa80/tcp", "aa80"),
        ("65536/tcp", "65536"),
        ("-1/tcp", "-1"),
        ("+1/tcp", "+1"),
        ("8000-8010/tcp", "8000-8010"),
        ("\u0668\u0660/tcp", "\u0668\u0660"),
        ('8"0\n/tcp', '8\\"0\\n'),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_what_is_no_container_port_is_refused(port: str, quoted: str) -> None:
    request = asking(port_bindings={port: (PortBinding(host_port="80"),)})
    assert port_bindings_are_ports(request, HOST) == f'invalid port specification: "{quoted}"'


@pytest.mark.parametrize("port", ["aa80", "80-", "-80", "8010-8000", "65536", "1-65536", "80 ", "x/tcp", "80-/tcp"])
def test_what_is_no_host_port_is_refused(port: str) -> None:
    bindings = {"80/tcp": (PortBinding(host_port="80"), PortBinding(host_port=port))}
    text = port_bindings_are_ports(asking(port_bindings=bindings), HOST)
    assert text == f'invalid port specification: "{port}"'


ONLY_ON_FAILURE = "invalid restart policy: maximum retry count can only be used with 'on-failure'"


@pytest.mark.parametrize(
    ("name", "retries", "text"),
    [
        ("", 0, None),
        ("no", 0, None),
        ("always", 0, None),
        ("unless-stopped", 0, None),
        ("on-failure", 0, None),
        ("on-failure", 5, None),
        ("on-failure", -1, "invalid restart policy: maximum retry count cannot be negative"),
        ("", 1, ONLY_ON_FAILURE),
        ("no", 1, ONLY_ON_FAILURE),
        ("always", 1, ONLY_ON_FAILURE),
        ("unless-stopped", -1, f"{ONLY_ON_FAILURE} and cannot be negative"),
        *(
            (
                name,
                0,
                f"invalid restart policy: unknown policy '{name}'; "
                "use one of 'no', 'always', 'on-failure', or 'unless-stopped'",
            )
            for name in ("sometimes", "Always", "on-failure:3")
        ),
    ],
)
def test_a_restart_policy_is_one_of_four_and_retries_belong_to_one(name: str, retries: int, text: str | None) -> None:
    policy = RestartPolicy(name=name, maximum_retry_count=retries)
    assert restart_policy_is_known(asking(restart_policy=policy), HOST) == text


def _with(field: str, *names: str) -> Fields:
    return {field: names}


@pytest.mark.parametrize("field", ["cap_add", "cap_drop"])
def test_every_capability_of_linux_is_known_in_any_spelling(field: str) -> None:
    assert len(CAPABILITIES) == 41  # include/uapi/linux/capability.h, up to CAP_CHECKPOINT_RESTORE
    spellings = [spelling for name in CAPABILITIES for spelling in (name, f"CAP_{name}", f"cap_{name}".lower())]
    assert capabilities_exist(asking(**_with(field, *spellings, "ALL", "all")), HOST) is None


@pytest.mark.parametrize(("field", "shown"), [("cap_add", "CapAdd"), ("cap_drop", "CapDrop")])
@pytest.mark.parametrize(
    ("name", "quoted"),
    [
        ("x", "CAP_X"),
        ("", "CAP_"),
        ("CAP_ALL", "CAP_ALL"),
        ("CAP_CAP_CHOWN", "CAP_CAP_CHOWN"),
        ("chown ", "CAP_CHOWN "),
    ],
)
def test_an_unknown_capability_is_refused(field: str, shown: str, name: str, quoted: str) -> None:
    text = capabilities_exist(asking(**_with(field, "CHOWN", name)), HOST)
    assert text == f'invalid {shown}: unknown capability: "{quoted}"'


@pytest.mark.parametrize(("field", "shown"), [("cap_add", "CapAdd"), ("cap_drop", "CapDrop")])
def test_a_capability_that_this_process_has_not_is_refused(field: str, shown: str) -> None:
    host = attrs.evolve(HOST, capabilities=frozenset({"CHOWN"}))
    assert capabilities_exist(asking(**_with(field, "cap_chown", "all")), host) is None
    assert capabilities_exist(asking(**_with(field, "bpf")), host) == (
        f"invalid {shown}: capability not supported by your kernel or not available in the current environment: "
        '"CAP_BPF"'
    )


@pytest.mark.parametrize(
    ("annotations", "text"),
    [
        (None, None),
        ({"key": ""}, None),
        ({"": "value"}, "invalid Annotations: the empty string is not permitted as an annotation key"),
    ],
)
def test_an_annotation_has_a_key(annotations: dict[str, str] | None, text: str | None) -> None:
    assert annotations_have_keys(asking(annotations=annotations), HOST) == text


@pytest.mark.parametrize(
    ("mount", "text"),
    [
        (MountRequest(type="volume", target="/dst"), None),
        (
            MountRequest(type="bind", target="/dst"),
            'invalid mount config for type "bind": field Source must not be empty',
        ),
        (MountRequest(target="/dst"), 'invalid mount config for type "": mount type unknown'),
    ],
)
def test_a_mount_that_makes_no_sense_is_refused_with_its_type(mount: MountRequest, text: str | None) -> None:
    good = MountRequest(type="tmpfs", target="/tmp")
    assert mounts_make_sense(asking(mounts=(good, mount)), HOST) == text


BAD = {"/no": missing_source("/no"), "/etc/passwd/x": "stat /etc/passwd/x: not a directory"}
MADE = BindOptions(create_mountpoint=True)


@pytest.mark.parametrize(
    ("mount", "complaint"),
    [
        (MountRequest(type="bind", source="/yes", target="/dst"), None),
        (MountRequest(type="bind", source="/no", target="/dst"), "bind source path does not exist: /no"),
        (MountRequest(type="bind", source="/no", target="/dst", bind_options=MADE), None),
        (MountRequest(type="bind", source="/etc/passwd/x", target="/dst"), "stat /etc/passwd/x: not a directory"),
        (
            MountRequest(type="bind", source="/etc/passwd/x", target="/dst", bind_options=MADE),
            "stat /etc/passwd/x: not a directory",
        ),
        (MountRequest(type="bind", source="/no", target="/"), "invalid specification: destination can't be '/'"),
        (MountRequest(type="volume", source="/no", target="/dst"), None),
    ],
)
def test_the_source_of_a_bind_is_there_unless_it_is_to_be_made(mount: MountRequest, complaint: str | None) -> None:
    expected = complaint and f'invalid mount config for type "bind": {complaint}'
    assert mounts_make_sense(asking(mounts=(mount,), bad_sources=BAD), HOST) == expected


def test_mounts_of_images_are_warned_of_one_by_one() -> None:
    image = MountRequest(type="image", source="busybox", target="/dst")
    assert warnings(asking()) == ()
    assert warnings(asking(mounts=(image, MountRequest(type="tmpfs", target="/t"), image))) == (
        "Image mount is an experimental feature",
        "Image mount is an experimental feature",
    )
