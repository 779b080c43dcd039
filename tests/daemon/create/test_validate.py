from __future__ import annotations

import inspect
import re

import attrs
import pytest

from daemon.container import BindOptions, Healthcheck, MountRequest, RestartPolicy, VolumeOptions
from daemon.create.checks import config, conflicts, host_config, platform
from daemon.create.request import CreateRequest
from daemon.create.validate import OPTIONS, PLATFORM, SETTINGS, validate_options, verify
from daemon.create.versions import for_api_version
from daemon.errors import InvalidParameter
from daemon.host import Host
from tests.daemon.create.asking import HOST, MIB, Fields, asking

CHECKS = (*OPTIONS, *SETTINGS, *PLATFORM)


def validate(request: CreateRequest, host: Host = HOST) -> CreateRequest:
    """Everything that needs no image, in the pipeline's order."""
    validate_options(request, host)
    request, _ = for_api_version(request, host)
    request, _ = verify(request, host)
    return request


def test_every_check_there_is_is_made() -> None:
    written = {
        function
        for module in (config, conflicts, host_config, platform)
        for _, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__
        and list(inspect.signature(function).parameters) == ["request", "host"]
        and function.__name__ != "warnings"
    }
    assert set(CHECKS) == written
    assert len(CHECKS) == len(written)


def test_a_request_that_says_nothing_passes() -> None:
    validate(asking())


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        # Each pair breaks two rules of neighbouring groups; the earlier group speaks.
        ({"network_mode": "container:", "cpu_shares": -1}, "invalid network mode"),
        ({"cpu_shares": -1, "working_dir": "app"}, "invalid CPU shares"),
        ({"working_dir": "app", "stop_signal": "0"}, "the working directory"),
        ({"env": ("",), "extra_hosts": ("",)}, "invalid environment variable"),
        ({"mounts": (MountRequest(type="bind"),), "extra_hosts": ("",)}, "invalid mount config"),
        ({"cap_add": ("X",), "memory": 1}, "invalid CapAdd"),
        ({"memory": 1, "nano_cpus": -1}, "Minimum memory limit"),
        ({"cpu_shares": -1, "mounts": (MountRequest(type="tmpfs", bind_options=BindOptions()),)}, "invalid CPU shares"),
        (
            {"working_dir": "app", "mounts": (MountRequest(type="tmpfs", bind_options=BindOptions()),)},
            "BindOptions must not be specified",
        ),
        ({"blkio_weight": 1, "ipc_mode": "x"}, "Range of blkio weight"),
        ({"pid_mode": "x", "shm_size": -1}, "invalid PID mode"),
        ({"shm_size": -1, "uts_mode": "x"}, "SHM size"),
        ({"uts_mode": "x", "oom_score_adj": 1001}, "invalid UTS mode"),
        ({"oom_score_adj": 1001, "runtime": "kata"}, "Invalid value 1001"),
        ({"runtime": "kata", "tmpfs": {"/": ""}}, "unknown or invalid runtime"),
        ({"tmpfs": {"/": ""}, "cgroupns_mode": "x"}, "invalid specification"),
        ({"mac_address": "x", "network_mode": "none", "working_dir": "app", "api_version": (1, 43)}, "conflicting"),
    ],
)
def test_of_several_mistakes_the_first_in_dockers_order_is_told(fields: Fields, text: str) -> None:
    with pytest.raises(InvalidParameter, match=f"^{re.escape(text)}"):
        validate(asking(**fields))


@pytest.mark.parametrize(
    ("fields", "last_accepting", "first_refusing"),
    [
        ({"auto_remove": True, "restart_policy": RestartPolicy(name="always")}, (1, 24), (1, 25)),
        ({"mounts": (MountRequest(type="tmpfs", target="/t", volume_options=VolumeOptions()),)}, (1, 41), (1, 42)),
        ({"annotations": {"": "x"}}, (1, 42), (1, 43)),
        ({"healthcheck": Healthcheck(start_interval_ns=1)}, (1, 43), (1, 44)),
    ],
)
def test_what_an_api_version_does_not_know_is_not_held_against_its_client(
    fields: Fields, last_accepting: tuple[int, int], first_refusing: tuple[int, int]
) -> None:
    validate(asking(api_version=last_accepting, **fields))
    with pytest.raises(InvalidParameter):
        validate(asking(api_version=first_refusing, **fields))


def test_options_for_a_bind_on_another_type_of_mount_were_always_refused() -> None:
    mount = MountRequest(type="volume", target="/data", bind_options=BindOptions())
    with pytest.raises(InvalidParameter, match="field BindOptions must not be specified"):
        validate(asking(api_version=(1, 41), mounts=(mount,)))
    with pytest.raises(InvalidParameter, match='BindOptions must not be specified on mount type "volume"'):
        validate(asking(api_version=(1, 42), mounts=(mount,)))


def test_what_the_kernel_cannot_do_is_given_up_before_what_comes_after_is_judged() -> None:
    host = attrs.evolve(HOST, abilities=attrs.evolve(HOST.abilities, cpuset=False), is_ipv4_forwarding=False)
    request, warnings = verify(asking(cpuset_cpus="99", memory=8 * MIB, memory_swappiness=200), host)
    assert (request.host_config.cpuset_cpus, request.host_config.memory_swappiness) == ("", None)
    assert [warning.partition(".")[0] for warning in warnings] == [
        "Your kernel does not support memory swappiness capabilities or the cgroup is not mounted",
        "Your kernel does not support cpuset or the cgroup is not mounted",
        "IPv4 forwarding is disabled",
    ]
