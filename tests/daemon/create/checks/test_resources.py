from __future__ import annotations

import pytest

from daemon.create.checks.resources import (
    blkio_weight_is_in_range,
    cpu_limits_fit_each_other,
    memory_limits_fit_each_other,
)
from tests.daemon.create.asking import HOST, MIB, Fields, asking

SWAP_TOO_SMALL = "Minimum memoryswap limit should be larger than memory limit, see usage"
SWAP_ALONE = "You should always set the Memory limit when using Memoryswap limit, see usage"
RESERVATION_TOO_LARGE = "Minimum memory limit can not be less than memory reservation limit, see usage"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, None),
        ({"memory": 6 * MIB}, None),
        ({"memory": 6 * MIB - 1}, "Minimum memory limit allowed is 6MB"),
        ({"memory": -1}, "Minimum memory limit allowed is 6MB"),
        ({"memory": 8 * MIB, "memory_swap": 0}, None),
        ({"memory": 8 * MIB, "memory_swap": -1}, None),
        ({"memory": 8 * MIB, "memory_swap": 8 * MIB}, None),
        ({"memory": 8 * MIB, "memory_swap": 8 * MIB - 1}, SWAP_TOO_SMALL),
        ({"memory": 0, "memory_swap": -1}, None),
        ({"memory": 0, "memory_swap": 1}, SWAP_ALONE),
        *(({"memory_swappiness": value}, None) for value in (None, -1, 0, 100)),
        *(
            (
                {"memory_swappiness": value},
                f"Invalid value: {value}, valid memory swappiness range is 0-100",
            )
            for value in (-2, 101)
        ),
        ({"memory_reservation": 6 * MIB}, None),
        ({"memory_reservation": 1}, "Minimum memory reservation allowed is 6MB"),
        ({"memory": 8 * MIB, "memory_reservation": 8 * MIB}, None),
        ({"memory": 8 * MIB, "memory_reservation": 8 * MIB + 1}, RESERVATION_TOO_LARGE),
        ({"kernel_memory": 6 * MIB}, None),
        ({"kernel_memory": 1}, "Minimum kernel memory limit allowed is 6MB"),
    ],
)
def test_memory_limits_fit_each_other(fields: Fields, text: str | None) -> None:
    assert memory_limits_fit_each_other(asking(**fields), HOST) == text


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"memory": 1, "memory_reservation": 1}, "Minimum memory limit allowed is 6MB"),
        ({"memory": 8 * MIB, "memory_swap": 1, "memory_swappiness": 101}, SWAP_TOO_SMALL),
        ({"memory_swap": 1, "memory_reservation": 1}, SWAP_ALONE),
        ({"memory_reservation": 1, "kernel_memory": 1}, "Minimum memory reservation allowed is 6MB"),
    ],
)
def test_of_several_bad_memory_limits_the_first_in_dockers_order_is_named(fields: Fields, text: str) -> None:
    assert memory_limits_fit_each_other(asking(**fields), HOST) == text


CPU = 1_000_000_000
CPUS_RANGE = "range of CPUs is from 0.01 to 4.00, as there are only 4 CPUs available"
PERIOD_RANGE = "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, None),
        ({"nano_cpus": 1}, None),
        ({"nano_cpus": 4 * CPU}, None),
        ({"nano_cpus": 4 * CPU + 1}, CPUS_RANGE),
        ({"nano_cpus": -1}, CPUS_RANGE),
        ({"nano_cpus": CPU, "cpu_period": 1000}, "Conflicting options: Nano CPUs and CPU Period cannot both be set"),
        ({"nano_cpus": CPU, "cpu_quota": 1000}, "Conflicting options: Nano CPUs and CPU Quota cannot both be set"),
        ({"nano_cpus": CPU, "cpu_quota": -1}, None),
        ({"cpu_period": 1000, "cpu_quota": 1000}, None),
        ({"cpu_period": 1_000_000}, None),
        ({"cpu_period": 999}, PERIOD_RANGE),
        ({"cpu_period": 1_000_001}, PERIOD_RANGE),
        ({"cpu_period": -1}, PERIOD_RANGE),
        ({"cpu_quota": -1}, None),
        ({"cpu_quota": 999}, "CPU cfs quota can not be less than 1ms (i.e. 1000)"),
    ],
)
def test_cpu_limits_fit_each_other_and_the_machine(fields: Fields, text: str | None) -> None:
    assert cpu_limits_fit_each_other(asking(**fields), HOST) == text


@pytest.mark.parametrize(
    ("weight", "is_refused"), [(0, False), (10, False), (1000, False), (9, True), (1001, True), (-1, True)]
)
def test_a_blkio_weight_is_in_range(weight: int, is_refused: bool) -> None:
    expected = "Range of blkio weight is from 10 to 1000" if is_refused else None
    assert blkio_weight_is_in_range(asking(blkio_weight=weight), HOST) == expected
