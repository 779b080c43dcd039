"""Requests and a machine for the tests of decisions: say what matters, the rest is Docker's default."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import msgspec

from daemon.container import ContainerConfig, EndpointSettings, HostConfig, NetworkingConfig
from daemon.create.request import CreateRequest
from daemon.host import Abilities, Host

ALL = Abilities(cpus="0-3", memory_nodes="0")
HOST = Host(
    name="quay",
    kernel_version="6.1.0",
    operating_system="Debian",
    machine="x86_64",
    architecture="amd64",
    cpus=4,
    memory_bytes=8 << 30,
    is_cgroup_v2=True,
    is_ipv4_forwarding=True,
    abilities=attrs.evolve(
        ALL,
        memory_swappiness=False,
        oom_kill_disable=False,
        kernel_memory=False,
        kernel_memory_tcp=False,
        cpu_realtime=False,
    ),
)
OLD_HOST = attrs.evolve(HOST, is_cgroup_v2=False, abilities=ALL)
"""The same machine with version 1 of control groups, of which it can everything."""

MIB = 1 << 20

Check = Callable[[CreateRequest, Host], str | None]
Fields = dict[str, Any]
"""Any: a table names fields of several records, each with a type of its own."""

_OF_CONFIG = {field.name for field in msgspec.structs.fields(ContainerConfig)}
_OF_HOST_CONFIG = {field.name for field in msgspec.structs.fields(HostConfig)}
assert not _OF_CONFIG & _OF_HOST_CONFIG


def asking(
    *,
    api_version: tuple[int, int] = (1, 50),
    endpoints: dict[str, EndpointSettings | None] | None = None,
    bad_sources: dict[str, str] | None = None,
    **fields: Any,
) -> CreateRequest:
    """A request with these fields, of its Config or its HostConfig as they come."""
    config = {name: value for name, value in fields.items() if name in _OF_CONFIG}
    host_config = {name: value for name, value in fields.items() if name in _OF_HOST_CONFIG}
    assert len(config) + len(host_config) == len(fields), "there is no such field"
    return CreateRequest(
        config=ContainerConfig(**config),
        host_config=HostConfig(**host_config),
        networking=NetworkingConfig(endpoints_config=endpoints),
        api_version=api_version,
        bad_sources=bad_sources or {},
    )
