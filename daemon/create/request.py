"""What a client asks for, decoded and not yet judged; what it gets back."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from daemon.container import ContainerConfig, HostConfig, NetworkingConfig


class Idempotency(msgspec.Struct, frozen=True, kw_only=True):
    """The name that a client gives to one create, so that it may ask for it again."""

    key: str
    fingerprint: str
    """Of all that is asked for: the same key with another is a mistake."""


class Origin:
    """Known by its identity."""

    __slots__ = ()


class CreateRequest(msgspec.Struct, frozen=True, kw_only=True):
    name: str = ""
    """As given, perhaps with a leading slash; empty for a generated one."""
    platform: str = ""
    config: ContainerConfig
    host_config: HostConfig = HostConfig()
    networking: NetworkingConfig = NetworkingConfig()
    api_version: tuple[int, int] = (1, 50)
    idempotency: Idempotency | None = None
    bad_sources: Mapping[str, str] = msgspec.field(default_factory=dict)
    """The sources of binds that cannot be used, and what is wrong with each: looked up before the request is judged."""
    origin: Origin | None = None
    """One for all that were asked for with one body, and differ in name, platform and key only. None if it will not be asked for
    again, as far as anybody knows."""


class Created(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    warnings: tuple[str, ...] = ()


class Pruned(msgspec.Struct, frozen=True, kw_only=True):
    removed: tuple[str, ...]
    """Names of volumes, ids of containers."""
    freed_bytes: int
