from __future__ import annotations

from typing import Any

import pytest

from daemon.api.system import dotted, info_for

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
