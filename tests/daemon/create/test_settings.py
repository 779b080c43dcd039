from __future__ import annotations

import attrs
import pytest

from daemon.container import (
    BindOptions,
    ContainerConfig,
    EndpointSettings,
    Healthcheck,
    HostConfig,
    MountRequest,
    PortBinding,
    RestartPolicy,
    TmpfsOptions,
    VolumeOptions,
)
from daemon.create.request import CreateRequest
from daemon.create.settings import MASKED_PATHS, READONLY_PATHS, adapt, for_api_version, with_hostname
from daemon.host import Host
from tests.daemon.create.asking import HOST, MIB, OLD_HOST, Fields, asking


def adapted(request: CreateRequest, host: Host = HOST) -> CreateRequest:
    return adapt(request, host, default_runtime="runc")[0]


def warnings_of(request: CreateRequest, host: Host = HOST) -> tuple[str, ...]:
    return adapt(request, host, default_runtime="runc")[1]


def test_a_host_config_that_says_nothing_becomes_dockers_defaults() -> None:
    assert adapted(asking()).host_config == HostConfig(
        network_mode="bridge",
        restart_policy=RestartPolicy(name="no"),
        shm_size=64 * MIB,
        ipc_mode="private",
        cgroupns_mode="private",
        oom_kill_disable=False,
        runtime="runc",
        port_bindings={},
        masked_paths=MASKED_PATHS,
        readonly_paths=READONLY_PATHS,
    )


@pytest.mark.parametrize(
    ("fields", "filled"),
    [
        ({"network_mode": "default"}, {"network_mode": "bridge"}),
        ({"network_mode": "host"}, {"network_mode": "host"}),
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
        ({"memory_swappiness": -1}, {"memory_swappiness": None}),
        ({"memory_swappiness": 0}, {"memory_swappiness": 0}),
        ({"memory_swappiness": 60}, {"memory_swappiness": 60}),
        ({"shm_size": 1}, {"shm_size": 1}),
        ({"ipc_mode": "host"}, {"ipc_mode": "host"}),
        ({"cgroupns_mode": "host"}, {"cgroupns_mode": "host"}),
        ({"oom_kill_disable": False}, {"oom_kill_disable": False}),
        ({"pids_limit": None}, {"pids_limit": None}),
        ({"pids_limit": 0}, {"pids_limit": None}),
        ({"pids_limit": -1}, {"pids_limit": None}),
        ({"pids_limit": 1}, {"pids_limit": 1}),
        ({"runtime": "crun"}, {"runtime": "crun"}),
        ({"port_bindings": {"80/tcp": None}}, {"port_bindings": {"80/tcp": None}}),
        ({"cpu_percent": 50}, {"cpu_percent": 0}),
        ({"masked_paths": (), "readonly_paths": ()}, {"masked_paths": (), "readonly_paths": ()}),
        ({"masked_paths": ("/a",)}, {"masked_paths": ("/a",), "readonly_paths": READONLY_PATHS}),
        ({"privileged": True}, {"masked_paths": None, "readonly_paths": None, "cgroupns_mode": "private"}),
        ({"privileged": True, "readonly_paths": ("/a",)}, {"masked_paths": None, "readonly_paths": ("/a",)}),
    ],
)
def test_a_default_takes_the_place_of_nothing_only(fields: Fields, filled: Fields) -> None:
    host_config = adapted(asking(**fields)).host_config
    assert {name: getattr(host_config, name) for name in filled} == filled


def test_with_version_1_of_control_groups_their_namespace_is_the_hosts_and_oom_kills_can_be_disabled() -> None:
    host_config = adapted(asking(oom_kill_disable=True), OLD_HOST).host_config
    assert (host_config.cgroupns_mode, host_config.oom_kill_disable) == ("host", True)


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
    once = adapted(asking(memory=8 * MIB, working_dir="/a/../b", endpoints={"default": EndpointSettings()}))
    assert adapted(once) == once


@pytest.mark.parametrize(
    ("given", "cleaned"),
    [("", ""), ("/", "/"), ("//", "/"), ("//srv", "/srv"), ("/srv/", "/srv"), ("/a//b/./../c", "/a/c"), ("/..", "/")],
)
def test_the_working_directory_is_cleaned(given: str, cleaned: str) -> None:
    assert adapted(asking(working_dir=given)).config.working_dir == cleaned


API_VERSIONS: list[tuple[tuple[int, int], Fields, Fields]] = [
    ((1, 24), {"auto_remove": True}, {"auto_remove": False}),
    ((1, 25), {"auto_remove": True}, {"auto_remove": True}),
    ((1, 39), {}, {"ipc_mode": "shareable"}),
    ((1, 39), {"ipc_mode": "host"}, {"ipc_mode": "host"}),
    ((1, 40), {}, {"ipc_mode": "private"}),
    ((1, 41), {"console_size": (24, 80)}, {"console_size": (0, 0)}),
    ((1, 42), {"console_size": (24, 80)}, {"console_size": (24, 80)}),
    ((1, 41), {"kernel_memory": 8 * MIB}, {"kernel_memory": 8 * MIB}),
    ((1, 42), {"kernel_memory": 8 * MIB}, {"kernel_memory": 0}),
    ((1, 42), {"annotations": {"a": "b"}}, {"annotations": None}),
    ((1, 43), {"annotations": {"a": "b"}}, {"annotations": {"a": "b"}}),
]


@pytest.mark.parametrize(("api_version", "fields", "expected"), API_VERSIONS)
def test_an_old_client_gets_what_its_daemon_would_have_done(
    api_version: tuple[int, int], fields: Fields, expected: Fields
) -> None:
    host_config = adapted(asking(api_version=api_version, **fields)).host_config
    assert {name: getattr(host_config, name) for name in expected} == expected


@pytest.mark.parametrize(("api_version", "expected"), [((1, 43), 0), ((1, 44), 7)])
def test_a_start_interval_is_known_since_1_44(api_version: tuple[int, int], expected: int) -> None:
    config = adapted(asking(api_version=api_version, healthcheck=Healthcheck(start_interval_ns=7, retries=2))).config
    assert config.healthcheck == Healthcheck(start_interval_ns=expected, retries=2)


BIND = BindOptions(non_recursive=True, create_mountpoint=True, propagation="shared")


@pytest.mark.parametrize(
    ("api_version", "mount", "expected"),
    [
        ((1, 39), {"type": "bind", "bind_options": BIND}, {"bind_options": BindOptions(propagation="shared")}),
        (
            (1, 41),
            {"type": "bind", "bind_options": BIND},
            {"bind_options": BindOptions(propagation="shared", non_recursive=True)},
        ),
        ((1, 42), {"type": "bind", "bind_options": BIND}, {"bind_options": BIND}),
        ((1, 41), {"type": "bind", "volume_options": VolumeOptions()}, {"volume_options": None}),
        ((1, 41), {"type": "volume", "volume_options": VolumeOptions()}, {"volume_options": VolumeOptions()}),
        ((1, 41), {"type": "volume", "tmpfs_options": TmpfsOptions()}, {"tmpfs_options": None}),
        ((1, 41), {"type": "tmpfs", "tmpfs_options": TmpfsOptions()}, {"tmpfs_options": TmpfsOptions()}),
        ((1, 42), {"type": "bind", "volume_options": VolumeOptions()}, {"volume_options": VolumeOptions()}),
    ],
)
def test_options_of_mounts_are_known_since_their_version(
    api_version: tuple[int, int], mount: Fields, expected: Fields
) -> None:
    request = for_api_version(asking(api_version=api_version, mounts=(MountRequest(**mount),)))
    assert request.host_config.mounts == (MountRequest(**{**mount, **expected}),)


NO_LIMIT = (
    "OOM killer is disabled for the container, but no memory limit is set, "
    "this can result in the system running out of resources."
)
NO_OOM_SWITCH = "Your kernel does not support OomKillDisable. OomKillDisable discarded."
NO_FORWARDING = "IPv4 forwarding is disabled. Networking will not work."
NO_PORTS = "Published ports are discarded when using host network mode"
NO_PERCENT = "linux does not support CPU percent. Percent discarded."
ISOLATED, OLD_ISOLATED = (attrs.evolve(host, is_ipv4_forwarding=False) for host in (HOST, OLD_HOST))
PUBLISHED = {"80/tcp": (PortBinding(),)}


@pytest.mark.parametrize(
    ("host", "fields", "warnings"),
    [
        (HOST, {}, ()),
        (HOST, {"oom_kill_disable": False}, ()),
        (HOST, {"oom_kill_disable": True}, (NO_OOM_SWITCH,)),
        (HOST, {"oom_kill_disable": True, "memory": 8 * MIB}, (NO_OOM_SWITCH,)),
        (OLD_HOST, {"oom_kill_disable": True}, (NO_LIMIT,)),
        (OLD_HOST, {"oom_kill_disable": True, "memory": 8 * MIB}, ()),
        (HOST, {"cpu_percent": 1}, (NO_PERCENT,)),
        (ISOLATED, {}, (NO_FORWARDING,)),
        (ISOLATED, {"network_mode": "backend"}, (NO_FORWARDING,)),
        (ISOLATED, {"network_mode": "host"}, ()),
        (ISOLATED, {"network_mode": "none"}, ()),
        (HOST, {"port_bindings": PUBLISHED}, ()),
        (HOST, {"network_mode": "host", "port_bindings": {}}, ()),
        (HOST, {"network_mode": "host", "port_bindings": PUBLISHED}, (NO_PORTS,)),
        (OLD_ISOLATED, {"oom_kill_disable": True, "cpu_percent": 1}, (NO_LIMIT, NO_PERCENT, NO_FORWARDING)),
    ],
)
def test_what_is_discarded_or_will_not_work_is_warned_of(host: Host, fields: Fields, warnings: tuple[str, ...]) -> None:
    assert warnings_of(asking(**fields), host) == warnings


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
