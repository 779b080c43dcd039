from __future__ import annotations

import attrs
import pytest

from daemon.container import PortBinding
from daemon.create.checks.platform import (
    cgroup_namespace_mode_is_known,
    cgroup_parent_is_a_slice,
    ipc_mode_is_known,
    oom_score_is_in_range,
    pid_mode_is_known,
    runtime_is_known,
    shm_size_is_not_negative,
    tmpfs_destinations_are_absolute,
    uts_mode_is_known,
    warnings,
)
from daemon.host import Host
from tests.daemon.create.asking import ALL, HOST, OLD_HOST, Check, Fields, asking

ACCEPTED: list[tuple[Check, Fields]] = [
    *((ipc_mode_is_known, {"ipc_mode": mode}) for mode in ("", "none", "private", "shareable", "host")),
    *((ipc_mode_is_known, {"ipc_mode": mode}) for mode in ("container:web", "container:")),
    *((pid_mode_is_known, {"pid_mode": mode}) for mode in ("", "host", "container:web")),
    *((uts_mode_is_known, {"uts_mode": mode}) for mode in ("", "host")),
    *((cgroup_namespace_mode_is_known, {"cgroupns_mode": mode}) for mode in ("", "private", "host")),
    (shm_size_is_not_negative, {"shm_size": 0}),
    (shm_size_is_not_negative, {"shm_size": 1}),
    *((oom_score_is_in_range, {"oom_score_adj": score}) for score in (-1000, 0, 1000)),
    *((runtime_is_known, {"runtime": runtime}) for runtime in ("", "runc", "io.containerd.runc.v2", "a.b")),
    (tmpfs_destinations_are_absolute, {}),
    (tmpfs_destinations_are_absolute, {"tmpfs": {"/tmp": "size=1m", "/run/../var": ""}}),
]

REFUSED: list[tuple[Check, Fields, str]] = [
    *(
        (ipc_mode_is_known, {"ipc_mode": mode}, f"invalid IPC mode: {mode}")
        for mode in ("Host", "container", "shared", "containers:web")
    ),
    *(
        (pid_mode_is_known, {"pid_mode": mode}, f"invalid PID mode: {mode}")
        for mode in ("private", "container:", "container")
    ),
    (uts_mode_is_known, {"uts_mode": "container:web"}, "invalid UTS mode: container:web"),
    (cgroup_namespace_mode_is_known, {"cgroupns_mode": "shareable"}, "invalid cgroup namespace mode: shareable"),
    (shm_size_is_not_negative, {"shm_size": -1}, "SHM size can not be less than 0"),
    *(
        (
            oom_score_is_in_range,
            {"oom_score_adj": score},
            f"Invalid value {score}, range for oom score adj is [-1000, 1000]",
        )
        for score in (-1001, 1001)
    ),
    *(
        (runtime_is_known, {"runtime": name}, f"unknown or invalid runtime name: {name}")
        for name in ("kata", "Runc", ".kata.v2", "/usr/bin/runc.v2", "io.containerd/runc.v2")
    ),
    (tmpfs_destinations_are_absolute, {"tmpfs": {"/": ""}}, "invalid specification: destination can't be '/'"),
    (tmpfs_destinations_are_absolute, {"tmpfs": {"/a/..": ""}}, "invalid specification: destination can't be '/'"),
    (tmpfs_destinations_are_absolute, {"tmpfs": {"": ""}}, "invalid mount path: '' mount path must be absolute"),
    (tmpfs_destinations_are_absolute, {"tmpfs": {"\\": ""}}, "invalid specification: destination can't be '/'"),
    (
        tmpfs_destinations_are_absolute,
        {"tmpfs": {"/tmp": "", "run": ""}},
        "invalid mount path: 'run' mount path must be absolute",
    ),
]


@pytest.mark.parametrize(("check", "fields"), ACCEPTED)
def test_what_linux_can_do_is_accepted(check: Check, fields: Fields) -> None:
    assert check(asking(**fields), HOST) is None


@pytest.mark.parametrize(("check", "fields", "text"), REFUSED)
def test_what_linux_cannot_do_is_refused(check: Check, fields: Fields, text: str) -> None:
    assert check(asking(**fields), HOST) == text


SYSTEMD = attrs.evolve(HOST, is_systemd=True)
NO_SLICE = 'cgroup-parent for systemd cgroup should be a valid slice named as "xxx.slice"'


@pytest.mark.parametrize(
    ("host", "parent", "text"),
    [
        (HOST, "/docker", None),
        (attrs.evolve(OLD_HOST, is_systemd=True), "/docker", None),
        (SYSTEMD, "", None),
        (SYSTEMD, "a.slice", None),
        (SYSTEMD, "/docker", NO_SLICE),
        (SYSTEMD, ".slice", NO_SLICE),
        (SYSTEMD, "a.slice/b", NO_SLICE),
    ],
)
def test_a_parent_of_groups_is_a_slice_where_systemd_has_them(host: Host, parent: str, text: str | None) -> None:
    assert cgroup_parent_is_a_slice(asking(cgroup_parent=parent), host) == text


NO_FORWARDING = "IPv4 forwarding is disabled. Networking will not work."
NO_PORTS = "Published ports are discarded when using host network mode"
NO_NAMESPACES = "Your kernel does not support cgroup namespaces.  Cgroup namespace setting discarded."
ISOLATED = attrs.evolve(HOST, is_ipv4_forwarding=False)
UNSPACED = attrs.evolve(ISOLATED, abilities=attrs.evolve(ALL, cgroup_namespaces=False))
PUBLISHED = {"80/tcp": (PortBinding(),)}


@pytest.mark.parametrize(
    ("host", "fields", "expected"),
    [
        (HOST, {"cgroupns_mode": "private"}, ()),
        (ISOLATED, {}, (NO_FORWARDING,)),
        (ISOLATED, {"network_mode": "backend"}, (NO_FORWARDING,)),
        (ISOLATED, {"network_mode": "container:web"}, (NO_FORWARDING,)),
        (ISOLATED, {"network_mode": "host"}, ()),
        (ISOLATED, {"network_mode": "none"}, ()),
        (HOST, {"port_bindings": PUBLISHED}, ()),
        (HOST, {"network_mode": "host", "port_bindings": {}}, ()),
        (HOST, {"network_mode": "host", "port_bindings": PUBLISHED}, (NO_PORTS,)),
        (UNSPACED, {"cgroupns_mode": "host"}, (NO_FORWARDING,)),
        (UNSPACED, {"cgroupns_mode": "private"}, (NO_FORWARDING, NO_NAMESPACES)),
        (
            UNSPACED,
            {"cgroupns_mode": "private", "network_mode": "host", "port_bindings": PUBLISHED},
            (NO_PORTS, NO_NAMESPACES),
        ),
    ],
)
def test_what_will_not_work_is_warned_of_in_dockers_order(
    host: Host, fields: Fields, expected: tuple[str, ...]
) -> None:
    assert warnings(asking(**fields), host) == expected
