"""The documents of registries: manifests by media type, lists of tags, tokens. Pure; limits first (`storage/oci`).

Sources: OCI distribution-spec v1.1, the distribution project's docs/spec/auth, image-spec v1.1.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import attrs
import msgspec

from daemon.errors import InvalidParameter
from daemon.reference import Reference as ImageReference
from daemon.registry.refusals import RegistryError
from daemon.storage.oci import (
    DOCKER_MANIFEST_LIST_TYPE,
    DOCKER_MANIFEST_TYPE,
    INDEX_TYPE,
    INDEX_TYPES,
    MANIFEST_TYPE,
    MANIFEST_TYPES,
    Manifest,
    Reference,
    decode_index,
    decode_json,
    decode_manifest,
    digest_of,
)

ACCEPTED = (MANIFEST_TYPE, DOCKER_MANIFEST_TYPE, INDEX_TYPE, DOCKER_MANIFEST_LIST_TYPE)
"""What a manifest may be; the value of `Accept`."""

TAGS_MAX = 10_000
"""Tags of one repository that `--all-tags` takes: a week of pulling."""

TOKEN_LENGTH_MAX = 64 << 10
"""Real ones have a few thousand characters; a header line must hold it."""

DOCKER_CONFIG_TYPE = "application/vnd.docker.container.image.v1+json"
_IMAGE_CONFIGS = frozenset(
    {DOCKER_CONFIG_TYPE, "application/vnd.oci.image.config.v1+json", "application/octet-stream", "text/plain", ""}
)
"""The configurations of images; the last three are those of old tools (moby distribution/pull_v2.go)."""

_TOKEN = re.compile(r"[\x21-\x7e]+", re.ASCII)
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)


@attrs.frozen(kw_only=True)
class FetchedManifest:
    """A manifest or an index, byte for byte, with the type that the registry or it itself says it has."""

    media_type: str
    content: bytes

    @property
    def digest(self) -> str:
        return digest_of(self.content)


def media_type_of(header: str, content: bytes) -> str:
    """What a manifest is: by `Content-Type`, unless that says nothing; then by what it says itself. Raises InvalidParameter."""
    stated = header.partition(";")[0].strip().lower()
    if stated in INDEX_TYPES | MANIFEST_TYPES:
        return stated
    shape = decode_json(content, _Any, "manifest")
    if shape.schema_version == 1 or "manifest.v1" in stated:
        return SCHEMA1
    return shape.media_type or stated_by_shape(shape)


SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json"


def stated_by_shape(shape: _Any) -> str:
    """Of one that does not say: OCI's may leave it out."""
    if shape.manifests is not None:
        return INDEX_TYPE
    is_docker = shape.config is not None and shape.config.media_type == DOCKER_CONFIG_TYPE
    return DOCKER_MANIFEST_TYPE if is_docker else MANIFEST_TYPE


def index_entries(fetched: FetchedManifest) -> tuple[Reference, ...] | None:
    """The images to choose from, without attestations; None if this is one image. Raises InvalidParameter."""
    if fetched.media_type not in INDEX_TYPES:
        return None
    return tuple(entry for entry in decode_index(fetched.content) if not entry.is_attestation)


def image_manifest(fetched: FetchedManifest, reference: ImageReference) -> Manifest:
    """Raises InvalidParameter for what is no image, in Moby's words (distribution/pull_v2.go, errors.go)."""
    if fetched.media_type == SCHEMA1:
        raise InvalidParameter(
            "[DEPRECATION NOTICE] Docker Image Format v1 and Docker Image manifest version 2, schema 1 support is disabled by "
            "default and will be removed in an upcoming release. Suggest the author of "
            f"{reference} to upgrade the image to the OCI Format or Docker Image manifest v2, schema 2. "
            "More information at https://docs.docker.com/go/deprecated-image-specs/"
        )
    if fetched.media_type not in MANIFEST_TYPES:
        raise InvalidParameter(f"unsupported manifest format: {fetched.media_type[:100]!r}")
    manifest = decode_manifest(fetched.content)
    if manifest.config.media_type not in _IMAGE_CONFIGS:
        raise InvalidParameter(f'Encountered remote "{manifest.config.media_type[:100]}"(unknown) when fetching')
    return manifest


def decode_tags(content: bytes) -> tuple[str, ...]:
    """Raises InvalidParameter."""
    tags = decode_json(content, _Tags, "list of tags").tags or []
    if len(tags) > TAGS_MAX:
        raise InvalidParameter(f"invalid list of tags: {len(tags)} tags, more than {TAGS_MAX}")
    for tag in tags:
        if not _TAG.fullmatch(tag):
            raise InvalidParameter(f"invalid list of tags: {tag[:200]!r} is none")
    return tuple(tags)


def decode_token(content: bytes) -> tuple[str, str]:
    """The token, and the identity token if the server gave one. Raises RegistryError, InvalidParameter."""
    document = decode_json(content, _Token, "token")
    token = document.token or document.access_token or ""
    if not token:
        raise RegistryError("authorization server did not include a token in the response")
    if len(token) > TOKEN_LENGTH_MAX or not _TOKEN.fullmatch(token):
        raise RegistryError("authorization server sent a token that is none")
    return token, document.refresh_token or ""


def platforms_of(entries: Sequence[Reference]) -> list[dict[str, str]]:
    """As `docker manifest inspect` wants them: architecture, os, variant."""
    return [
        {"architecture": entry.platform.architecture, "os": entry.platform.os}
        | ({"variant": entry.platform.variant} if entry.platform.variant else {})
        for entry in entries
        if entry.platform is not None
    ]


class _Config(msgspec.Struct):
    media_type: str | None = msgspec.field(default=None, name="mediaType")


class _Any(msgspec.Struct):
    schema_version: int | None = msgspec.field(default=None, name="schemaVersion")
    media_type: str | None = msgspec.field(default=None, name="mediaType")
    config: _Config | None = None
    manifests: list[msgspec.Raw] | None = None


class _Tags(msgspec.Struct):
    tags: list[str] | None = None


class _Token(msgspec.Struct):
    token: str | None = None
    access_token: str | None = None
    refresh_token: str | None = None
