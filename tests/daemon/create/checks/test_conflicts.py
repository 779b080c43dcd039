from __future__ import annotations

import attrs
import pytest

from daemon.container import PortBinding
from daemon.create.checks.conflicts import (
    a_shared_network_has_no_settings_of_its_own,
    a_shared_uts_namespace_has_no_hostname,
    cpu_realtime_is_possible,
    cpu_shares_are_positive,
    io_limits_of_windows_are_absent,
    is_container_mode,
    isolation_is_default,
    network_mode_names_a_container,
    the_hosts_network_has_no_links,
)
from daemon.host import Host
from tests.daemon.create.asking import HOST, OLD_HOST, Check, Fields, asking

UNDEFINED = "This would result in undefined behavior"
NO_CONTAINER = "invalid network mode: invalid container format container:<name|id>"


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("container:web", True), ("container:", True), ("container", True), ("containers", False), ("", False)],
)
def test_a_mode_is_another_containers_by_its_first_word(mode: str, expected: bool) -> None:
    assert is_container_mode(mode) is expected


@pytest.mark.parametrize(
    ("check", "fields", "text"),
    [
        (network_mode_names_a_container, {"network_mode": ""}, None),
        (network_mode_names_a_container, {"network_mode": "bridge"}, None),
        (network_mode_names_a_container, {"network_mode": "containers"}, None),
        (network_mode_names_a_container, {"network_mode": "container:web"}, None),
        (network_mode_names_a_container, {"network_mode": "container:"}, NO_CONTAINER),
        (network_mode_names_a_container, {"network_mode": "container"}, NO_CONTAINER),
        (a_shared_uts_namespace_has_no_hostname, {"uts_mode": "host"}, None),
        (a_shared_uts_namespace_has_no_hostname, {"hostname": "web"}, None),
        (
            a_shared_uts_namespace_has_no_hostname,
            {"uts_mode": "host", "hostname": "web"},
            "conflicting options: hostname and the UTS mode",
        ),
        (the_hosts_network_has_no_links, {"network_mode": "host", "links": ()}, None),
        (the_hosts_network_has_no_links, {"network_mode": "bridge", "links": ("db",)}, None),
        (
            the_hosts_network_has_no_links,
            {"network_mode": "host", "links": ("db",)},
            f"conflicting options: host type networking can't be used with links. {UNDEFINED}",
        ),
        (isolation_is_default, {"isolation": ""}, None),
        (isolation_is_default, {"isolation": "Default"}, None),
        (isolation_is_default, {"isolation": "hyperv"}, "invalid isolation (hyperv): linux only supports 'default'"),
        (io_limits_of_windows_are_absent, {}, None),
        (
            io_limits_of_windows_are_absent,
            {"io_maximum_bandwidth": 1},
            "invalid option: QoS maximum bandwidth configuration is not supported on linux",
        ),
        (
            io_limits_of_windows_are_absent,
            {"io_maximum_iops": 1},
            "invalid option: QoS maximum IOPs configuration is not supported on linux",
        ),
        (cpu_shares_are_positive, {"cpu_shares": 0}, None),
        (cpu_shares_are_positive, {"cpu_shares": 1024}, None),
        (
            cpu_shares_are_positive,
            {"cpu_shares": -1},
            "invalid CPU shares (-1): value must be a positive integer",
        ),
    ],
)
def test_options_that_exclude_each_other_are_refused(check: Check, fields: Fields, text: str | None) -> None:
    assert check(asking(**fields), HOST) == text


OF_ITS_OWN: list[tuple[Fields, str]] = [
    ({"hostname": "web"}, "hostname and the network mode"),
    ({"links": ("db",)}, f"container type network can't be used with links. {UNDEFINED}"),
    ({"dns": ("9.9.9.9",)}, "dns and the network mode"),
    ({"extra_hosts": ("db:10.0.0.1",)}, "custom host-to-IP mapping and the network mode"),
    ({"port_bindings": {"80/tcp": (PortBinding(),)}}, "port publishing and the container type network mode"),
    ({"publish_all_ports": True}, "port publishing and the container type network mode"),
    ({"exposed_ports": ("80/tcp",)}, "port exposing and the container type network mode"),
]


@pytest.mark.parametrize(("fields", "text"), OF_ITS_OWN)
def test_a_container_in_anothers_network_has_no_network_settings_of_its_own(fields: Fields, text: str) -> None:
    shared = asking(network_mode="container:web", **fields)
    assert a_shared_network_has_no_settings_of_its_own(shared, HOST) == f"conflicting options: {text}"


@pytest.mark.parametrize("mode", ["", "default", "bridge", "host", "none", "backend"])
@pytest.mark.parametrize("fields", [fields for fields, _ in OF_ITS_OWN])
def test_network_settings_are_for_a_network_of_ones_own(mode: str, fields: Fields) -> None:
    assert a_shared_network_has_no_settings_of_its_own(asking(network_mode=mode, **fields), HOST) is None


def test_a_container_in_anothers_network_may_have_empty_network_settings() -> None:
    empty = asking(network_mode="container:web", links=(), dns=(), extra_hosts=(), port_bindings={}, exposed_ports=())
    assert a_shared_network_has_no_settings_of_its_own(empty, HOST) is None


@pytest.mark.parametrize(
    ("host", "period", "runtime", "text"),
    [
        (HOST, 0, 0, None),
        (OLD_HOST, 1000, 0, None),
        (OLD_HOST, 0, 2000, None),
        (OLD_HOST, 1000, 1000, None),
        (OLD_HOST, 1000, 1001, "cpu real-time runtime cannot be higher than cpu real-time period"),
        (HOST, 1000, 0, "kernel does not support CPU real-time scheduler"),
        (HOST, 0, 950, "kernel does not support CPU real-time scheduler"),
    ],
)
def test_the_real_time_scheduler_is_for_kernels_that_have_one(
    host: Host, period: int, runtime: int, text: str | None
) -> None:
    request = asking(cpu_realtime_period=period, cpu_realtime_runtime=runtime)
    assert cpu_realtime_is_possible(request, host) == text


def test_shares_of_the_cpu_are_looked_at_only_where_the_kernel_has_them() -> None:
    host = attrs.evolve(HOST, abilities=attrs.evolve(HOST.abilities, cpu_shares=False))
    assert cpu_shares_are_positive(asking(cpu_shares=-1), host) is None
