from __future__ import annotations

import inspect
import re

import pytest

from daemon.container import BindOptions, Healthcheck, MountRequest, RestartPolicy, VolumeOptions
from daemon.create.checks import config, conflicts, host_config, network, platform, resources
from daemon.create.validate import CHECKS, validate
from daemon.errors import InvalidParameter
from tests.daemon.create.asking import HOST, Fields, asking


def test_every_check_there_is_is_made() -> None:
    written = {
        function
        for module in (config, conflicts, host_config, network, platform, resources)
        for _, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__
        and list(inspect.signature(function).parameters) == ["request", "host"]
    }
    assert set(CHECKS) == written
    assert len(CHECKS) == len(written)


def test_a_request_that_says_nothing_passes() -> None:
    validate(asking(), HOST)


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
        ({"blkio_weight": 1, "ipc_mode": "x"}, "Range of blkio weight"),
        ({"shm_size": -1, "oom_score_adj": 1001}, "SHM size"),
        ({"mac_address": "x", "network_mode": "none", "working_dir": "app", "api_version": (1, 43)}, "conflicting"),
    ],
)
def test_of_several_mistakes_the_first_in_dockers_order_is_told(fields: Fields, text: str) -> None:
    with pytest.raises(InvalidParameter, match=f"^{re.escape(text)}"):
        validate(asking(**fields), HOST)


@pytest.mark.parametrize(
    ("fields", "last_accepting", "first_refusing"),
    [
        ({"auto_remove": True, "restart_policy": RestartPolicy(name="always")}, (1, 24), (1, 25)),
        ({"mounts": (MountRequest(type="tmpfs", target="/t", volume_options=VolumeOptions()),)}, (1, 41), (1, 42)),
        ({"annotations": {"": "x"}}, (1, 42), (1, 43)),
        ({"healthcheck": Healthcheck(start_interval_ns=1)}, (1, 43), (1, 44)),
        ({"kernel_memory": 1}, (1, 42), (1, 41)),
    ],
)
def test_what_an_api_version_does_not_know_is_not_held_against_its_client(
    fields: Fields, last_accepting: tuple[int, int], first_refusing: tuple[int, int]
) -> None:
    validate(asking(api_version=last_accepting, **fields), HOST)
    with pytest.raises(InvalidParameter):
        validate(asking(api_version=first_refusing, **fields), HOST)


def test_options_for_a_bind_on_another_type_of_mount_were_always_refused() -> None:
    mount = MountRequest(type="volume", target="/data", bind_options=BindOptions())
    with pytest.raises(InvalidParameter, match="field BindOptions must not be specified"):
        validate(asking(api_version=(1, 41), mounts=(mount,)), HOST)
    with pytest.raises(InvalidParameter, match='BindOptions must not be specified on mount type "volume"'):
        validate(asking(api_version=(1, 42), mounts=(mount,)), HOST)
