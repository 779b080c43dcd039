"""What is kept in memory of each container that there is: what the list shows and filters by, as small as it can be.

Whoever wants all of a container reads its record.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from sys import intern
from types import MappingProxyType

import msgspec

from daemon.container import Container, EndpointSettings, Link, Mount


class ContainerSummary(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the list shows and filters by: the part of a container that is kept in memory."""

    id: str
    name: str
    created_ns: int
    image: str
    image_id: str
    path: str
    args: tuple[str, ...]
    labels: Mapping[str, str]
    network_mode: str
    annotations: Mapping[str, str] | None
    networks: Mapping[str, EndpointSettings]
    mounts: tuple[Mount, ...]
    links: tuple[Link, ...] = ()
    linked_as: tuple[str, ...] = ()
    """Names by which others link to it, sorted. The registrar's to fill in: no record of this container has them."""

    def renamed(self, name: str) -> ContainerSummary:
        return msgspec.structs.replace(self, name=name)

    def known_as(self, linked_as: Iterable[str]) -> ContainerSummary:
        return msgspec.structs.replace(self, linked_as=tuple(sorted(linked_as)))


class ContainerNames(msgspec.Struct, frozen=True, gc=False):
    """What a container has in the table of all names: its own, and those of its links."""

    id: str
    name: str
    links: tuple[Link, ...] = ()


def summary_of(container: Container) -> ContainerSummary:
    """What many containers have in common is there once for all of them: there may be a hundred thousand."""
    config, host_config = container.config, container.host_config
    return ContainerSummary(
        id=container.id,
        name=container.name,
        created_ns=container.created_ns,
        image=intern(config.image),
        image_id=intern(container.image_id),
        path=intern(container.path),
        args=_shared_args(container.args),
        labels=config.labels or NO_LABELS,
        network_mode=intern(host_config.network_mode),
        annotations=host_config.annotations,
        networks=_shared_networks(container.networks),
        mounts=container.mounts,
        links=container.links,
    )


NO_LABELS: Mapping[str, str] = MappingProxyType({})

_SHARED_MAX = 1024
"""Values that are remembered for the containers to come; those that are forgotten stay shared where they are."""

_SHARED_LENGTH_MAX = 256
"""Characters in such a value: nobody fills the memory with long ones."""


def _shared_args(args: tuple[str, ...]) -> tuple[str, ...]:
    return _same_args(args) if sum(map(len, args)) + len(args) <= _SHARED_LENGTH_MAX else args


@lru_cache(maxsize=_SHARED_MAX)
def _same_args(args: tuple[str, ...]) -> tuple[str, ...]:
    return args


def _shared_networks(networks: Mapping[str, EndpointSettings]) -> Mapping[str, EndpointSettings]:
    if len(networks) != 1:
        return networks
    [(name, endpoint)] = networks.items()
    is_plain = endpoint == _PLAIN and len(name) <= _SHARED_LENGTH_MAX
    return _plain_network(name) if is_plain else networks


_PLAIN = EndpointSettings()


@lru_cache(maxsize=_SHARED_MAX)
def _plain_network(name: str) -> Mapping[str, EndpointSettings]:
    return MappingProxyType({name: _PLAIN})
