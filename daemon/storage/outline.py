"""Containers' records read so far as all of them are needed at a start: into summaries, and for recovery. As fast as it can be.

What many containers have in common is read once, and is there once for all of them: it is known by its bytes. A start with
100,000 containers takes half as long like that, and half the memory.
"""

from __future__ import annotations

from functools import lru_cache
from sys import intern
from typing import Generic, TypeVar

import msgspec

from daemon.container import EndpointSettings, Link, Mount
from daemon.summary import NO_LABELS, ContainerSummary

SHARED_MAX = 1024
"""Parts of each kind that are remembered for the records to come; those that are forgotten stay shared where they are."""

SHARED_BYTES_MAX = 1024
"""Of such a part: nobody fills the memory with long ones. A network's has 330."""

T = TypeVar("T")


class Footing(msgspec.Struct, frozen=True, gc=False):
    """A container's record so far as its tree depends on it."""

    id: str
    config: FootingConfig
    image_id: str


class FootingConfig(msgspec.Struct, frozen=True, gc=False):
    working_dir: str = ""


class _Linked(msgspec.Struct, frozen=True, gc=False):
    links: tuple[Link, ...] = ()


class _Config(msgspec.Struct, frozen=True, gc=False):
    image: str
    labels: msgspec.Raw = msgspec.Raw(b"null")


class _HostConfig(msgspec.Struct, frozen=True, gc=False):
    network_mode: str = ""
    annotations: msgspec.Raw = msgspec.Raw(b"null")


class _Outline(msgspec.Struct, frozen=True, gc=False):
    """What the summary shows; that the rest is JSON is checked, too. What is raw has been read elsewhere more often than not."""

    id: str
    created_ns: int
    path: str
    args: msgspec.Raw
    config: _Config
    host_config: _HostConfig
    image_id: str
    mounts: msgspec.Raw = msgspec.Raw(b"[]")
    networks: msgspec.Raw = msgspec.Raw(b"{}")
    links: tuple[Link, ...] = ()


def footing_in(_: str, record: bytes) -> Footing:
    return _FOOTINGS.decode(record)


def links_in(record: bytes) -> tuple[Link, ...]:
    return _LINKED.decode(record).links


def summary_in(name: str, record: bytes) -> ContainerSummary:
    """By that name: the one in the record may be an older one. Raises as msgspec does what cannot be read."""
    outline = _OUTLINES.decode(record)
    config, host_config = outline.config, outline.host_config
    return ContainerSummary(
        id=outline.id,
        name=name,
        created_ns=outline.created_ns,
        image=intern(config.image),
        image_id=intern(outline.image_id),
        path=intern(outline.path),
        args=_WORDS.read(outline.args),
        labels=_STRINGS.read(config.labels) or NO_LABELS,
        network_mode=intern(host_config.network_mode),
        annotations=_STRINGS.read(host_config.annotations),
        networks=_NETWORKS.read(outline.networks),
        mounts=_MOUNTS.read(outline.mounts),
        links=outline.links,
    )


class _Parts(Generic[T]):
    """Of records, one kind of them: those that have been read lately are there still."""

    def __init__(self, decoder: msgspec.json.Decoder[T]) -> None:
        self._read = decoder.decode
        self._recent = lru_cache(SHARED_MAX)(decoder.decode)

    def read(self, part: msgspec.Raw) -> T:
        content = bytes(part)
        return self._recent(content) if len(content) <= SHARED_BYTES_MAX else self._read(content)


_LINKED = msgspec.json.Decoder(_Linked)
_FOOTINGS = msgspec.json.Decoder(Footing)
_OUTLINES = msgspec.json.Decoder(_Outline)
_WORDS = _Parts(msgspec.json.Decoder(tuple[str, ...]))
_STRINGS: _Parts[dict[str, str] | None] = _Parts(msgspec.json.Decoder(dict[str, str] | None))
_MOUNTS = _Parts(msgspec.json.Decoder(tuple[Mount, ...]))
_NETWORKS = _Parts(msgspec.json.Decoder(dict[str, EndpointSettings]))
