from __future__ import annotations

from typing import Any

import attrs
import msgspec
import pytest
from msgspec.structs import replace

from daemon.container import HostConfig, RestartPolicy, Ulimit
from daemon.create.update import UPDATABLE, check_update, updated
from daemon.errors import Conflict, InvalidParameter
from tests.daemon.create.asking import HOST, MIB

BEFORE = HostConfig(
    memory=64 * MIB, memory_swap=128 * MIB, cpu_shares=512, cpuset_cpus="0", restart_policy=RestartPolicy(name="no")
)


@pytest.mark.parametrize(
    ("present", "limits", "changes"),
    [
        (BEFORE, {}, {}),
        (BEFORE, {"memory": 32 * MIB}, {"memory": 32 * MIB}),
        (BEFORE, {"memory": 128 * MIB}, {"memory": 128 * MIB}),
        (BEFORE, {"memory_swap": -1}, {"memory_swap": -1}),
        (BEFORE, {"memory": 256 * MIB, "memory_swap": 512 * MIB}, {"memory": 256 * MIB, "memory_swap": 512 * MIB}),
        (BEFORE, {"memory_reservation": 8 * MIB}, {"memory_reservation": 8 * MIB}),
        (BEFORE, {"kernel_memory": 8 * MIB}, {"kernel_memory": 8 * MIB}),
        (BEFORE, {"cpu_shares": 2}, {"cpu_shares": 2}),
        (BEFORE, {"cpu_shares": 0, "cpuset_cpus": ""}, {}),  # what is not said stays
        (BEFORE, {"cpuset_cpus": "1", "cpuset_mems": "0"}, {"cpuset_cpus": "1", "cpuset_mems": "0"}),
        (BEFORE, {"nano_cpus": 5 * 10**8}, {"nano_cpus": 5 * 10**8}),
        (BEFORE, {"cpu_period": 1000, "cpu_quota": 2000}, {"cpu_period": 1000, "cpu_quota": 2000}),
        (BEFORE, {"cpu_quota": -1}, {"cpu_quota": -1}),
        (
            BEFORE,
            {"cpu_realtime_period": 2, "cpu_realtime_runtime": 1},
            {"cpu_realtime_period": 2, "cpu_realtime_runtime": 1},
        ),
        (BEFORE, {"blkio_weight": 10}, {"blkio_weight": 10}),
        (BEFORE, {"pids_limit": 0}, {"pids_limit": 0}),
        (BEFORE, {"pids_limit": 7}, {"pids_limit": 7}),
        (BEFORE, {"restart_policy": RestartPolicy(name="always")}, {"restart_policy": RestartPolicy(name="always")}),
        (BEFORE, {"restart_policy": RestartPolicy(name="", maximum_retry_count=3)}, {}),
        # Limits that a request may speak of and that no update changes.
        (BEFORE, {"ulimits": (Ulimit(name="nofile"),), "cgroup_parent": "x", "oom_kill_disable": True}, {}),
        (
            HostConfig(auto_remove=True),
            {"restart_policy": RestartPolicy(name="no")},
            {"restart_policy": RestartPolicy(name="no")},
        ),
    ],
)
def test_an_update_changes_what_it_says_and_nothing_else(
    present: HostConfig, limits: dict[str, Any], changes: dict[str, Any]
) -> None:
    assert updated(present, HostConfig(**limits)) == replace(present, **changes)


SWAP = "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time"


@pytest.mark.parametrize(
    ("present", "limits", "text"),
    [
        (
            {"cpu_period": 1000},
            {"nano_cpus": 1},
            "Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set",
        ),
        (
            {"cpu_quota": 1000},
            {"nano_cpus": 1},
            "Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set",
        ),
        (
            {"nano_cpus": 1},
            {"cpu_period": 1000},
            "Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set",
        ),
        (
            {"nano_cpus": 1},
            {"cpu_quota": 1000},
            "Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set",
        ),
        ({"memory": 64 * MIB, "memory_swap": 128 * MIB}, {"memory": 128 * MIB + 1}, SWAP),
        ({}, {"memory": 6 * MIB}, SWAP),  # no limit at all, which reads as a swap limit of 0
        ({"memory": 64 * MIB, "memory_swap": -1}, {"memory": 6 * MIB}, SWAP),
        (
            {"auto_remove": True},
            {"restart_policy": RestartPolicy(name="always")},
            "Restart policy cannot be updated because AutoRemove is enabled for the container",
        ),
    ],
)
def test_limits_that_do_not_fit_those_that_stay_are_a_conflict(
    present: dict[str, Any], limits: dict[str, Any], text: str
) -> None:
    with pytest.raises(Conflict) as caught:
        updated(HostConfig(**present), HostConfig(**limits))
    assert str(caught.value) == text


def test_what_can_be_updated_are_fields_of_a_host_config() -> None:
    assert {field.name for field in msgspec.structs.fields(HostConfig)} >= UPDATABLE


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        ({"memory": MIB}, "Minimum memory limit allowed is 6MB"),
        (
            {"memory": 8 * MIB, "memory_swap": 7 * MIB},
            "Minimum memoryswap limit should be larger than memory limit, see usage",
        ),
        ({"nano_cpus": -1}, "range of CPUs is from 0.01 to 4.00, as there are only 4 CPUs available"),
        ({"cpu_period": 1}, "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)"),
        ({"blkio_weight": 5}, "Range of blkio weight is from 10 to 1000"),
        (
            {"io_maximum_iops": 1},
            "Invalid QoS settings: linux does not support Maximum IO Bandwidth or Maximum IO IOps",
        ),
        (
            {"restart_policy": RestartPolicy(name="never")},
            "invalid restart policy: unknown policy 'never'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'",
        ),
        (
            {"restart_policy": RestartPolicy(name="always", maximum_retry_count=1)},
            "invalid restart policy: maximum retry count can only be used with 'on-failure'",
        ),
    ],
)
def test_limits_that_make_no_sense_anywhere_are_the_clients_mistake(limits: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        check_update(HostConfig(**limits), HOST)
    assert str(caught.value) == text


@pytest.mark.parametrize(
    "limits",
    [
        {},
        {"memory_swap": 8 * MIB},  # unlike at a create: the memory limit beside it is the container's
        {"restart_policy": RestartPolicy(name="", maximum_retry_count=5)},
        {"restart_policy": RestartPolicy(name="on-failure", maximum_retry_count=5)},
        {"memory_swappiness": -1},
        {"pids_limit": 0},
    ],
)
def test_an_update_may_say_what_a_create_may_not(limits: dict[str, Any]) -> None:
    assert check_update(HostConfig(**limits), HOST)[1] == ()


@pytest.mark.parametrize(
    ("limits", "is_ipv4_forwarding", "warnings"),
    [
        ({"oom_kill_disable": False}, True, ()),
        ({"oom_kill_disable": True}, True, ("Your kernel does not support OomKillDisable. OomKillDisable discarded.",)),
        ({"cpu_percent": 1}, True, ("linux does not support CPU percent. Percent discarded.",)),
        ({}, False, ("IPv4 forwarding is disabled. Networking will not work.",)),
    ],
)
def test_what_this_machine_cannot_do_is_warned_of(
    limits: dict[str, Any], is_ipv4_forwarding: bool, warnings: tuple[str, ...]
) -> None:
    host = attrs.evolve(HOST, is_ipv4_forwarding=is_ipv4_forwarding)
    assert check_update(HostConfig(**limits), host)[1] == warnings
