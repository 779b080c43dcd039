from __future__ import annotations

from typing import Any

import attrs
import pytest

from daemon.api.system import dotted, host_view, info_for
from daemon.host import NO_ABILITIES, Abilities
from tests.daemon.create.asking import HOST

INFO: dict[str, Any] = {
    "KernelVersion": "",
    "OperatingSystem": "",
    "RegistryConfig": {"Mirrors": []},
    "ContainerdCommit": {"ID": "a"},
    "RuncCommit": {"ID": "b"},
    "InitCommit": {"ID": "c"},
}


@pytest.mark.parametrize(
    ("version", "bridge", "commit", "registry", "kernel"),
    [
        ((1, 50), {}, {"ID": "b"}, {"Mirrors"}, ""),
        ((1, 49), {"BridgeNfIptables": False, "BridgeNfIp6tables": False}, {"ID": "b"}, {"Mirrors"}, ""),
        (
            (1, 48),
            {"BridgeNfIptables": False, "BridgeNfIp6tables": False},
            {"ID": "b", "Expected": "b"},
            {"Mirrors"},
            "",
        ),
        (
            (1, 46),
            {"BridgeNfIptables": False, "BridgeNfIp6tables": False},
            {"ID": "b", "Expected": "b"},
            {"Mirrors", "AllowNondistributableArtifactsCIDRs", "AllowNondistributableArtifactsHostnames"},
            "",
        ),
        (
            (1, 38),
            {"BridgeNfIptables": False, "BridgeNfIp6tables": False},
            {"ID": "b", "Expected": "b"},
            {"Mirrors", "AllowNondistributableArtifactsCIDRs", "AllowNondistributableArtifactsHostnames"},
            "<unknown>",
        ),
    ],
)
def test_info_tells_each_client_what_its_version_knows(
    version: tuple[int, int], bridge: dict[str, bool], commit: dict[str, str], registry: set[str], kernel: str
) -> None:
    told = info_for(INFO, version)
    assert {key: value for key, value in told.items() if key.startswith("Bridge")} == bridge
    assert told["RuncCommit"] == commit
    assert set(told["RegistryConfig"]) == registry
    assert (told["KernelVersion"], told["OperatingSystem"]) == (kernel, kernel)


def test_what_one_client_is_told_does_not_reach_the_next() -> None:
    info_for(INFO, (1, 24))
    assert INFO["RuncCommit"] == {"ID": "b"}
    assert INFO["RegistryConfig"] == {"Mirrors": []}


def test_a_version_is_written_with_a_dot() -> None:
    assert dotted((1, 50)) == "1.50"


def test_info_says_what_this_kernel_can_limit() -> None:
    able = host_view(attrs.evolve(HOST, abilities=Abilities()))
    unable = host_view(attrs.evolve(HOST, abilities=NO_ABILITIES))
    limits = "MemoryLimit SwapLimit CpuCfsPeriod CpuCfsQuota CPUShares CPUSet PidsLimit OomKillDisable".split()
    assert [able[name] for name in limits] == [True] * len(limits)
    assert [unable[name] for name in limits] == [False] * len(limits)


@pytest.mark.parametrize(
    ("is_cgroup_v2", "is_systemd", "driver"),
    [(True, True, "systemd"), (True, False, "cgroupfs"), (False, True, "cgroupfs"), (False, False, "cgroupfs")],
)
def test_systemd_has_the_groups_where_they_are_of_version_2(is_cgroup_v2: bool, is_systemd: bool, driver: str) -> None:
    host = attrs.evolve(HOST, is_cgroup_v2=is_cgroup_v2, is_systemd=is_systemd)
    assert host_view(host)["CgroupDriver"] == driver
