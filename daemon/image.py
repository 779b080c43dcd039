"""An image as the daemon knows it: an immutable record, found by its id or by the references that point at it.

The id is the digest of the image's configuration, as in Docker; content lives in `storage/content` and is named by digest.
"""

from __future__ import annotations

import functools

import msgspec

from daemon.container import ContainerConfig


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """One file-system layer of an image."""

    digest: str
    """`sha256:<hex>` of the blob as it is stored."""
    media_type: str
    blob_bytes: int
    diff_id: str
    """`sha256:<hex>` of the uncompressed tar."""
    chain_id: str
    """`sha256:<hex>` of this layer on all those below it; names the unpacked directory (OCI image-spec, config.md, ChainID)."""
    unpacked_bytes: int
    """Sum of the sizes of the regular files in it."""


class History(msgspec.Struct, frozen=True, kw_only=True):
    created: str = ""
    created_by: str = ""
    author: str = ""
    comment: str = ""
    is_empty_layer: bool = False


class Image(msgspec.Struct, frozen=True, kw_only=True, dict=True):  # for the cached property
    id: str
    """`sha256:<hex>`, the digest of the configuration blob."""
    manifest_digest: str
    manifest_bytes: int
    parent_id: str = ""
    """The image that this one was committed on, here; empty if it came from elsewhere. That stays for as long as this one."""
    created: str
    """RFC 3339, or empty where the image does not say."""
    architecture: str
    os: str
    variant: str = ""
    author: str = ""
    comment: str = ""
    config: ContainerConfig
    layers: tuple[Layer, ...]
    """Lowest first."""
    history: tuple[History, ...] = ()

    @property
    def size_bytes(self) -> int:
        return sum(layer.unpacked_bytes for layer in self.layers)

    @functools.cached_property
    def chain_ids(self) -> tuple[str, ...]:
        """Lowest first."""
        return tuple(layer.chain_id for layer in self.layers)

    @property
    def digests(self) -> frozenset[str]:
        """Every blob it consists of."""
        return frozenset({self.id, self.manifest_digest, *(layer.digest for layer in self.layers)})


class LoadedImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image whose content is stored and durable, and what it asks to be called."""

    image: Image
    references: tuple[str, ...]
    """As written in the archive, not yet normalised; may be empty."""
    replaced: tuple[tuple[str, str], ...] = ()
    """References in full that were another image's until now, each with that one's id."""
