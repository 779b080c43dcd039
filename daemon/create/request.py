"""What a client asks for, decoded and not yet judged; what it gets back."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from daemon.container import ContainerConfig, HostConfig, NetworkingConfig


@attrs.frozen(kw_only=True)
class Idempotency:
    """The name that a client gives to one create, so that it may ask for it again."""

    key: str
    fingerprint: str
    """Of all that is asked for: the same key with another is a mistake."""


@attrs.frozen(kw_only=True, slots=False)  # for `evolve`
class CreateRequest:
    name: str = ""
    """As given, perhaps with a leading slash; empty for a generated one."""
    platform: str = ""
    config: ContainerConfig
    host_config: HostConfig = HostConfig()
    networking: NetworkingConfig = NetworkingConfig()
    api_version: tuple[int, int] = (1, 50)
    idempotency: Idempotency | None = None
    bad_sources: Mapping[str, str] = attrs.field(factory=dict)
    """The sources of binds that cannot be used, and what is wrong with each: looked up before the request is judged."""
    origin: CreateRequest | None = attrs.field(default=None, eq=False, repr=False)
    """What this one is, apart from its name, its platform and its key: one object for all that were asked for with one body.
    None if it will not be asked for again, as far as anybody knows."""


@attrs.frozen(kw_only=True)
class Created:
    id: str
    warnings: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class Pruned:
    removed: tuple[str, ...]
    """Names of volumes, ids of containers."""
    freed_bytes: int
