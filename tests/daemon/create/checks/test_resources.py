from __future__ import annotations

from typing import Any

import attrs
import msgspec
import pytest

from daemon.container import ThrottleDevice, WeightDevice
from daemon.create.checks.resources import RULES, Discard, fit_limits
from daemon.errors import InvalidParameter
from daemon.host import Host
from tests.daemon.create.asking import HOST, MIB, OLD_HOST, Fields, asking

CPU = 1_000_000_000
NOT_MOUNTED = "or the cgroup is not mounted"


def without(*abilities: str, host: Host = OLD_HOST) -> Host:
    lacking: dict[str, Any] = dict.fromkeys(abilities, False)
    return attrs.evolve(host, abilities=attrs.evolve(host.abilities, **lacking))


def fitted(fields: Fields, host: Host = OLD_HOST) -> tuple[Fields, tuple[str, ...]]:
    """What has changed, and the warnings."""
    given = asking(**fields).host_config
    limits, warnings = fit_limits(given, host)
    names = [field.name for field in msgspec.structs.fields(type(given))]
    changed = {name: getattr(limits, name) for name in names if getattr(limits, name) != getattr(given, name)}
    return changed, warnings


def refusal(fields: Fields, host: Host = OLD_HOST) -> str:
    with pytest.raises(InvalidParameter) as caught:
        fit_limits(asking(**fields).host_config, host)
    return str(caught.value)


ACCEPTED: list[Fields] = [
    {},
    {"memory": 6 * MIB},
    {"memory": 8 * MIB, "memory_swap": 0},
    {"memory": 8 * MIB, "memory_swap": -1},
    {"memory": 8 * MIB, "memory_swap": 8 * MIB},
    {"memory_swap": -1},
    *({"memory_swappiness": value} for value in (None, 0, 100)),
    {"memory_reservation": 6 * MIB},
    {"memory_reservation": -1},
    {"memory": 8 * MIB, "memory_reservation": 8 * MIB},
    {"kernel_memory": 6 * MIB},
    {"kernel_memory": -1},
    {"oom_kill_disable": False},
    {"oom_kill_disable": True, "memory": 8 * MIB},
    {"pids_limit": 1},
    {"nano_cpus": 1},
    {"nano_cpus": 4 * CPU},
    {"nano_cpus": CPU, "cpu_quota": -1},
    {"cpu_shares": 1024},
    {"cpu_period": 1000, "cpu_quota": 1000},
    {"cpu_period": 1_000_000},
    {"cpu_quota": -1},
    *({"cpuset_cpus": value} for value in ("0", "0-3", "3,0-1,1", "03", "+1", "0-0")),
    {"cpuset_mems": "0"},
    *({"blkio_weight": value} for value in (0, 10, 1000)),
    {"blkio_weight_device": (WeightDevice(path="/dev/sda", weight=1),)},
]


@pytest.mark.parametrize("fields", ACCEPTED)
def test_limits_that_fit_each_other_and_the_kernel_are_left_as_they_are(fields: Fields) -> None:
    assert fitted(fields) == ({}, ())


SWAP_TOO_SMALL = "Minimum memoryswap limit should be larger than memory limit, see usage"
SWAP_ALONE = "You should always set the Memory limit when using Memoryswap limit, see usage"
RESERVATION_TOO_LARGE = "Minimum memory limit can not be less than memory reservation limit, see usage"
CPUS_RANGE = "range of CPUs is from 0.01 to 4.00, as there are only 4 CPUs available"
PERIOD_RANGE = "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)"
OUT_OF_RANGE = "value of out range, maximum is 8192"

REFUSED: list[tuple[Fields, str]] = [
    ({"memory": 6 * MIB - 1}, "Minimum memory limit allowed is 6MB"),
    ({"memory": -1}, "Minimum memory limit allowed is 6MB"),
    ({"memory": 8 * MIB, "memory_swap": 8 * MIB - 1}, SWAP_TOO_SMALL),
    ({"memory_swap": 1}, SWAP_ALONE),
    *(
        ({"memory_swappiness": value}, f"Invalid value: {value}, valid memory swappiness range is 0-100")
        for value in (-2, 101)
    ),
    ({"memory_reservation": 1}, "Minimum memory reservation allowed is 6MB"),
    ({"memory": 8 * MIB, "memory_reservation": 8 * MIB + 1}, RESERVATION_TOO_LARGE),
    ({"kernel_memory": 1}, "Minimum kernel memory limit allowed is 6MB"),
    ({"nano_cpus": CPU, "cpu_period": 1000}, "Conflicting options: Nano CPUs and CPU Period cannot both be set"),
    ({"nano_cpus": CPU, "cpu_quota": 1000}, "Conflicting options: Nano CPUs and CPU Quota cannot both be set"),
    ({"nano_cpus": 4 * CPU + 1}, CPUS_RANGE),
    ({"nano_cpus": -1}, CPUS_RANGE),
    *(({"cpu_period": value}, PERIOD_RANGE) for value in (999, 1_000_001, -1)),
    ({"cpu_quota": 999}, "CPU cfs quota can not be less than 1ms (i.e. 1000)"),
    *(
        ({"cpuset_cpus": value}, f"Invalid value {value} for cpuset cpus: invalid format: {value}")
        for value in ("a", "0,", ",", "-1", "1-", "3-1", "0-1-2", " 0", "0.5", "0x1", "\u0661", "9" * 20, "9" * 5000)
    ),
    *(
        ({"cpuset_cpus": value}, f"Invalid value {value} for cpuset cpus: {OUT_OF_RANGE}")
        for value in ("8193", "0-9223372036854775807")
    ),
    ({"cpuset_cpus": "0,4"}, "Requested CPUs are not available - requested 0,4, available: 0-3"),
    ({"cpuset_cpus": "8192"}, "Requested CPUs are not available - requested 8192, available: 0-3"),
    ({"cpuset_mems": "x"}, "Invalid value x for cpuset mems: invalid format: x"),
    ({"cpuset_mems": "1-9223372036854775807"}, f"Invalid value 1-9223372036854775807 for cpuset mems: {OUT_OF_RANGE}"),
    ({"cpuset_mems": "0-1"}, "Requested memory nodes are not available - requested 0-1, available: 0"),
    *(({"blkio_weight": value}, "Range of blkio weight is from 10 to 1000") for value in (9, 1001, -1)),
    *(
        ({field: 1}, "Invalid QoS settings: linux does not support Maximum IO Bandwidth or Maximum IO IOps")
        for field in ("io_maximum_bandwidth", "io_maximum_iops")
    ),
]


@pytest.mark.parametrize(("fields", "text"), REFUSED)
def test_limits_that_break_a_rule_are_refused(fields: Fields, text: str) -> None:
    assert refusal(fields) == text


def test_cpus_without_a_scheduler_that_shares_them_out_are_refused() -> None:
    assert refusal({"nano_cpus": CPU}, without("cpu_cfs")) == (
        f"NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler {NOT_MOUNTED}"
    )


DEVICES = (ThrottleDevice(path="/dev/sda", rate=1),)
NO_SWAP = f"Your kernel does not support swap limit capabilities {NOT_MOUNTED}. Memory limited without swap."

# The ability that is lacking, what is asked for, what is made of it, the warning.
DISCARDED: list[tuple[str, Fields, Fields, str]] = [
    (
        "memory_limit",
        {"memory": 8 * MIB, "memory_swap": 9 * MIB},
        {"memory": 0, "memory_swap": -1},
        f"Your kernel does not support memory limit capabilities {NOT_MOUNTED}. Limitation discarded.",
    ),
    ("swap_limit", {"memory": 8 * MIB}, {"memory_swap": -1}, NO_SWAP),
    ("swap_limit", {"memory": 8 * MIB, "memory_swap": 7 * MIB}, {"memory_swap": -1}, NO_SWAP),
    (
        "memory_swappiness",
        {"memory_swappiness": 101},
        {"memory_swappiness": None},
        f"Your kernel does not support memory swappiness capabilities {NOT_MOUNTED}. Memory swappiness discarded.",
    ),
    (
        "memory_reservation",
        {"memory_reservation": 1},
        {"memory_reservation": 0},
        f"Your kernel does not support memory soft limit capabilities {NOT_MOUNTED}. Limitation discarded.",
    ),
    (
        "kernel_memory",
        {"kernel_memory": 1},
        {"kernel_memory": 0},
        f"Your kernel does not support kernel memory limit capabilities {NOT_MOUNTED}. Limitation discarded.",
    ),
    (
        "oom_kill_disable",
        {"oom_kill_disable": True},
        {"oom_kill_disable": None},
        "Your kernel does not support OomKillDisable. OomKillDisable discarded.",
    ),
    (
        "pids_limit",
        {"pids_limit": 1},
        {"pids_limit": None},
        f"Your kernel does not support PIDs limit capabilities {NOT_MOUNTED}. PIDs limit discarded.",
    ),
    (
        "cpu_shares",
        {"cpu_shares": 1},
        {"cpu_shares": 0},
        f"Your kernel does not support CPU shares {NOT_MOUNTED}. Shares discarded.",
    ),
    *(
        (
            "cpu_cfs",
            fields,
            dict.fromkeys(fields, 0),
            "Your kernel does not support CPU CFS scheduler. CPU period/quota discarded.",
        )
        for fields in ({"cpu_period": 1}, {"cpu_quota": 1}, {"cpu_period": -1, "cpu_quota": 5})
    ),
    *(
        (
            "cpuset",
            fields,
            dict.fromkeys(fields, ""),
            f"Your kernel does not support cpuset {NOT_MOUNTED}. Cpuset discarded.",
        )
        for fields in ({"cpuset_cpus": "99"}, {"cpuset_mems": "x"}, {"cpuset_cpus": "0", "cpuset_mems": "0"})
    ),
    (
        "blkio_weight",
        {"blkio_weight": 1},
        {"blkio_weight": 0},
        f"Your kernel does not support Block I/O weight {NOT_MOUNTED}. Weight discarded.",
    ),
    (
        "blkio_weight_device",
        {"blkio_weight_device": (WeightDevice(),)},
        {"blkio_weight_device": ()},
        f"Your kernel does not support Block I/O weight_device {NOT_MOUNTED}. Weight-device discarded.",
    ),
    *(
        (
            f"blkio_{way}_bps",
            {f"blkio_device_{way}_bps": DEVICES},
            {f"blkio_device_{way}_bps": ()},
            f"Your kernel does not support BPS Block I/O {way} limit {NOT_MOUNTED}. Block I/O BPS {way} limit discarded.",
        )
        for way in ("read", "write")
    ),
    *(
        (
            f"blkio_{way}_iops",
            {f"blkio_device_{way}_iops": DEVICES},
            {f"blkio_device_{way}_iops": ()},
            f"Your kernel does not support IOPS Block {way} limit {NOT_MOUNTED}. Block I/O IOPS {way} limit discarded.",
        )
        for way in ("read", "write")
    ),
]


@pytest.mark.parametrize(("ability", "fields", "changed", "warning"), DISCARDED)
def test_what_the_kernel_cannot_do_is_given_up_with_a_warning_before_it_is_judged(
    ability: str, fields: Fields, changed: Fields, warning: str
) -> None:
    assert fitted(fields, without(ability)) == (changed, (warning,))


# Said to a kernel that lacks it, but not worth a warning.
SILENT: list[tuple[str, Fields, Fields]] = [
    ("memory_limit", {"memory_swap": -1}, {}),
    ("swap_limit", {"memory": 8 * MIB, "memory_swap": -1}, {}),
    ("memory_swappiness", {"memory_swappiness": -1}, {"memory_swappiness": None}),
    ("memory_swappiness", {}, {}),
    ("memory_reservation", {"memory_reservation": -1}, {}),
    ("oom_kill_disable", {"oom_kill_disable": False}, {"oom_kill_disable": None}),
    ("pids_limit", {"pids_limit": 0}, {"pids_limit": None}),
    ("cpu_shares", {"cpu_shares": -1}, {}),
    ("blkio_weight_device", {"blkio_weight_device": ()}, {}),
]


@pytest.mark.parametrize(("ability", "fields", "changed"), SILENT)
def test_what_asks_for_nothing_is_taken_back_in_silence(ability: str, fields: Fields, changed: Fields) -> None:
    assert fitted(fields, without(ability)) == (changed, ())


def test_a_swappiness_of_minus_one_is_as_good_as_none() -> None:
    assert fitted({"memory_swappiness": -1}) == ({"memory_swappiness": None}, ())


def test_what_linux_never_had_or_may_end_badly_is_warned_of() -> None:
    percent = ({"cpu_percent": 0}, ("linux does not support CPU percent. Percent discarded.",))
    assert fitted({"cpu_percent": 50}) == percent
    unlimited = (
        "OOM killer is disabled for the container, but no memory limit is set, "
        "this can result in the system running out of resources."
    )
    assert fitted({"oom_kill_disable": True}) == ({}, (unlimited,))
    # Without a kernel that limits memory, the limit is none.
    _, warnings = fitted({"oom_kill_disable": True, "memory": 8 * MIB}, without("memory_limit"))
    assert warnings[1:] == (unlimited,)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"memory": 1, "memory_reservation": 1}, "Minimum memory limit allowed is 6MB"),
        ({"memory": 8 * MIB, "memory_swap": 1, "memory_swappiness": 101}, SWAP_TOO_SMALL),
        ({"memory_swap": 1, "memory_reservation": 1}, SWAP_ALONE),
        ({"memory_swappiness": 101, "memory_reservation": 1}, "Invalid value: 101"),
        ({"memory_reservation": 1, "kernel_memory": 1}, "Minimum memory reservation allowed is 6MB"),
        ({"kernel_memory": 1, "nano_cpus": -1}, "Minimum kernel memory limit allowed is 6MB"),
        ({"nano_cpus": CPU, "cpu_period": 1, "cpu_quota": 1}, "Conflicting options: Nano CPUs and CPU Period"),
        ({"nano_cpus": -1, "cpu_period": 1}, CPUS_RANGE),
        ({"cpu_period": 1, "cpu_quota": 1}, PERIOD_RANGE),
        ({"cpu_quota": 1, "cpuset_cpus": "x"}, "CPU cfs quota"),
        ({"cpuset_cpus": "9", "cpuset_mems": "x"}, "Requested CPUs"),
        ({"cpuset_mems": "9", "blkio_weight": 1}, "Requested memory nodes"),
        ({"blkio_weight": 1, "io_maximum_iops": 1}, "Range of blkio weight"),
    ],
)
def test_of_several_bad_limits_the_first_in_dockers_order_is_named(fields: Fields, text: str) -> None:
    assert refusal(fields).startswith(text)


def test_every_ability_decides_a_rule_and_every_warning_has_its_cell() -> None:
    warned = {rule.warning for rule in RULES if isinstance(rule, Discard) and rule.warning}
    cells = {warning for *_, warning in DISCARDED}
    assert len(warned - cells) == 2  # CPU percent, and the OOM killer without a limit: no ability decides those
    elsewhere = {"kernel_memory_tcp", "cpu_realtime", "cpus", "memory_nodes", "cgroup_namespaces"}
    abilities = {field.name for field in attrs.fields(type(HOST.abilities))}
    assert abilities == {ability for ability, *_ in DISCARDED} | elsewhere


def test_where_it_is_unknown_which_cpus_there_are_none_can_be_asked_for() -> None:
    host = attrs.evolve(OLD_HOST, abilities=attrs.evolve(OLD_HOST.abilities, cpus="?"))
    assert refusal({"cpuset_cpus": "0"}, host) == "Requested CPUs are not available - requested 0, available: ?"
    assert fitted({}, host) == ({}, ())
