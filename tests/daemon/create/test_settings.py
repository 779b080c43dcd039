from __future__ import annotations

import attrs
import pytest

from daemon.container import ContainerConfig, HostConfig, RestartPolicy
from daemon.create.request import CreateRequest
from daemon.create.settings import MASKED_PATHS, READONLY_PATHS, adapt, with_hostname
from daemon.host import Host
from tests.daemon.create.asking import HOST, MIB, OLD_HOST, Fields, asking


def adapted(request: CreateRequest, host: Host = HOST) -> CreateRequest:
    return adapt(request, host, default_runtime="runc")


def test_a_host_config_that_says_nothing_becomes_dockers_defaults() -> None:
    assert adapted(asking()).host_config == HostConfig(
        restart_policy=RestartPolicy(name="no"),
        shm_size=64 * MIB,
        ipc_mode="private",
        cgroupns_mode="private",
        oom_kill_disable=False,
        runtime="runc",
        masked_paths=MASKED_PATHS,
        readonly_paths=READONLY_PATHS,
    )


@pytest.mark.parametrize(
    ("fields", "filled"),
    [
        (
            {"restart_policy": RestartPolicy(name="on-failure", maximum_retry_count=3)},
            {"restart_policy": RestartPolicy(name="on-failure", maximum_retry_count=3)},
        ),
        ({"memory": 8 * MIB}, {"memory": 8 * MIB, "memory_swap": 16 * MIB}),
        ({"memory": 1 << 62}, {"memory_swap": -(1 << 63)}),
        ({"memory": (1 << 63) - 1}, {"memory_swap": -2}),
        ({"memory": 8 * MIB, "memory_swap": -1}, {"memory_swap": -1}),
        ({"memory": 8 * MIB, "memory_swap": 8 * MIB}, {"memory_swap": 8 * MIB}),
        ({"memory": 0}, {"memory_swap": 0}),
        ({"shm_size": 1}, {"shm_size": 1}),
        ({"ipc_mode": "host"}, {"ipc_mode": "host"}),
        ({"cgroupns_mode": "host"}, {"cgroupns_mode": "host"}),
        ({"oom_kill_disable": False}, {"oom_kill_disable": False}),
        ({"oom_kill_disable": True}, {"oom_kill_disable": True}),
        ({"runtime": "crun"}, {"runtime": "crun"}),
        *(({"port_bindings": given}, {"port_bindings": given}) for given in (None, {}, {"80/tcp": None})),
        ({"masked_paths": (), "readonly_paths": ()}, {"masked_paths": (), "readonly_paths": ()}),
        ({"masked_paths": ("/a",)}, {"masked_paths": ("/a",), "readonly_paths": READONLY_PATHS}),
        ({"privileged": True}, {"masked_paths": None, "readonly_paths": None, "cgroupns_mode": "private"}),
        *(
            ({**fields, "security_opt": options}, {"security_opt": (*(options or ()), "label=disable")})
            for fields in ({"privileged": True}, {"ipc_mode": "host"}, {"pid_mode": "host"})
            for options in (None, (), ("no-new-privileges",), ("apparmor=label",))
        ),
        ({"privileged": True, "security_opt": ("label=type:x",)}, {"security_opt": ("label=type:x",)}),
        ({"privileged": True, "security_opt": ("label",)}, {"security_opt": ("label",)}),
        ({"security_opt": ("no-new-privileges",)}, {"security_opt": ("no-new-privileges",)}),
        ({"ipc_mode": "container:a", "pid_mode": "container:a"}, {"security_opt": None}),
        ({"privileged": True, "readonly_paths": ("/a",)}, {"masked_paths": None, "readonly_paths": ("/a",)}),
    ],
)
def test_a_default_takes_the_place_of_nothing_only(fields: Fields, filled: Fields) -> None:
    host_config = adapted(asking(**fields)).host_config
    assert {name: getattr(host_config, name) for name in filled} == filled


@pytest.mark.parametrize("fields", [{}, {"privileged": True}])
def test_with_version_1_of_control_groups_their_namespace_is_the_hosts(fields: Fields) -> None:
    assert adapted(asking(**fields), OLD_HOST).host_config.cgroupns_mode == "host"


def test_throttle_paths_of_the_machine_are_masked_after_the_others() -> None:
    host = attrs.evolve(HOST, thermal_throttle_paths=("/sys/devices/system/cpu/cpu0/thermal_throttle",))
    assert adapted(asking(), host).host_config.masked_paths == (*MASKED_PATHS, *host.thermal_throttle_paths)
    assert adapted(asking(masked_paths=()), host).host_config.masked_paths == ()
    assert adapted(asking(privileged=True), host).host_config.masked_paths is None


def test_the_default_paths_are_those_of_docker() -> None:
    assert " ".join(MASKED_PATHS) == (
        "/proc/acpi /proc/asound /proc/interrupts /proc/kcore /proc/keys /proc/latency_stats /proc/sched_debug /proc/scsi "
        "/proc/timer_list /proc/timer_stats /sys/devices/virtual/powercap /sys/firmware"
    )
    assert " ".join(READONLY_PATHS) == "/proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger"


def test_to_adapt_twice_is_to_adapt_once() -> None:
    once = adapted(asking(memory=8 * MIB, working_dir="/a/../b", privileged=True))
    assert adapted(once) == once


@pytest.mark.parametrize(
    ("given", "cleaned"),
    [("", ""), ("/", "/"), ("//", "/"), ("//srv", "/srv"), ("/srv/", "/srv"), ("/a//b/./../c", "/a/c"), ("/..", "/")],
)
def test_the_working_directory_is_cleaned(given: str, cleaned: str) -> None:
    assert adapted(asking(working_dir=given)).config.working_dir == cleaned


@pytest.mark.parametrize(
    ("hostname", "network_mode", "expected"),
    [
        ("", "bridge", "0123456789ab"),
        ("", "none", "0123456789ab"),
        ("", "host", "quay"),
        ("web", "bridge", "web"),
        ("web", "host", "web"),
    ],
)
def test_a_host_name_is_the_short_id_or_the_hosts_own(hostname: str, network_mode: str, expected: str) -> None:
    config = ContainerConfig(hostname=hostname)
    named = with_hostname(config, container_id="0123456789ab" + "c" * 52, network_mode=network_mode, host=HOST)
    assert named.hostname == expected
