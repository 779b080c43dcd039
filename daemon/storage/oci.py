"""The JSON of images: the only file that knows the field names of the OCI image-spec and of Docker's archives.

Bytes in, frozen records out, and back. Everything that comes in was written by a stranger: its size is limited before it is
parsed, its types are checked, digests are validated before anybody makes a path of them, and a NUL in a string is refused
because the string ends up in a system call. Unknown fields are ignored, as the specification asks; `null` is absence, as in Go.

Sources: OCI image-spec v1.1 (descriptor.md, manifest.md, image-index.md, config.md), Docker's image specification v1.3
(moby docker-image-spec) for `manifest.json`.
The image's configuration is in `image_config.py`.
"""

from __future__ import annotations

import hashlib
import platform
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, TypeVar

import attrs
import msgspec

from daemon.errors import InvalidParameter

JSON_BYTES_MAX = 4 * 1024 * 1024
"""A manifest, an index or a configuration. Registries refuse manifests above 4 MiB (distribution-spec); real ones are 10 KB."""

LAYERS_MAX = 127
"""Layers of one image: overlay2's limit of 128 lower directories, less the container's init layer."""

MANIFESTS_MAX = 1024
"""Entries of one index or archive: far above any multi-platform image, and a bound on the work an archive can ask for."""

REFERENCES_MAX = 1024
"""Names that one archived image may ask for."""

INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
LAYER_GZIP_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
LAYER_ZSTD_TYPE = "application/vnd.oci.image.layer.v1.tar+zstd"
LAYER_TYPES = {"": LAYER_TYPE, "gzip": LAYER_GZIP_TYPE, "zstd": LAYER_ZSTD_TYPE}
"""By the compression of a layer (`streams.Plain`)."""
DOCKER_MANIFEST_LIST_TYPE = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"

INDEX_TYPES = frozenset({INDEX_TYPE, DOCKER_MANIFEST_LIST_TYPE})
MANIFEST_TYPES = frozenset({MANIFEST_TYPE, DOCKER_MANIFEST_TYPE})

LAYOUT_FILE = b'{"imageLayoutVersion":"1.0.0"}'
"""The whole content of `oci-layout`."""

_NAME_ANNOTATION = "io.containerd.image.name"
_TAG_ANNOTATION = "org.opencontainers.image.ref.name"
_ATTESTATION_ANNOTATION = "vnd.docker.reference.type"

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

T = TypeVar("T")


@attrs.frozen
class Descriptor:
    """A piece of content: what it hashes to and how long it is."""

    digest: str
    size: int


@attrs.frozen(kw_only=True)
class Platform:
    os: str
    architecture: str
    variant: str = ""


@attrs.frozen(kw_only=True)
class Reference:
    """A pointer from one JSON document to other content, with what it says of it."""

    media_type: str
    digest: str
    size: int
    platform: Platform | None = None
    name: str = ""
    """The full reference that an index gives it, or empty."""
    is_attestation: bool = False
    """BuildKit's provenance and SBOM records, which look like manifests but are no images."""

    @property
    def content(self) -> Descriptor:
        return Descriptor(self.digest, self.size)


@attrs.frozen(kw_only=True)
class Manifest:
    config: Reference
    layers: tuple[Reference, ...]
    """Lowest first."""


@attrs.frozen(kw_only=True)
class IndexEntry:
    """One manifest of the store, as `index.json` lists it."""

    manifest: Descriptor
    references: tuple[str, ...]
    """Full ones: `docker.io/library/busybox:latest`."""
    platform: Platform


@attrs.frozen(kw_only=True)
class ArchivedImage:
    """One entry of a docker-archive's `manifest.json`: names of files in the archive."""

    config: str
    references: tuple[str, ...]
    layers: tuple[str, ...]
    """Lowest first."""


def machine_platform() -> Platform:
    """The platform of this machine, in the words of Go's GOARCH."""
    machine = platform.machine()
    return Platform(os="linux", architecture={"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine))


def is_digest(text: str) -> bool:
    return _DIGEST.fullmatch(text) is not None


def checked_digest(text: str) -> str:
    """`text`, which is a sha256 digest. Call it before a digest from outside becomes a path.

    Raises InvalidParameter.
    """
    if not is_digest(text):
        raise InvalidParameter(f"invalid digest {text[:100]!r}")
    return text


def digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def chain_ids(diff_ids: Iterable[str]) -> tuple[str, ...]:
    """The chain id of each layer on those below it, lowest first (image-spec config.md, Layer ChainID)."""
    chain: list[str] = []
    for diff_id in diff_ids:
        chain.append(digest_of(f"{chain[-1]} {diff_id}".encode()) if chain else diff_id)
    return tuple(chain)


def decode_json(content: bytes, shape: type[T], what: str) -> T:
    """`content` as a `shape`. Raises InvalidParameter, whose text begins with "invalid" and `what`."""
    if len(content) > JSON_BYTES_MAX:
        raise InvalidParameter(f"invalid {what}: larger than {JSON_BYTES_MAX} bytes")
    try:
        decoded = msgspec.json.decode(content, type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidParameter(f"invalid {what}: {error}") from error
    # A JSON string holds a NUL only as this escape, so most documents need no second look.
    if b"\\u0000" in content and _has_nul(msgspec.to_builtins(decoded)):
        raise InvalidParameter(f"invalid {what}: a string contains a NUL")
    return decoded


def decode_manifest(content: bytes) -> Manifest:
    """An image manifest, OCI's or Docker's schema 2. Raises InvalidParameter."""
    document = decode_json(content, _Manifest, "manifest")
    layers = document.layers or []
    if len(layers) > LAYERS_MAX:
        raise InvalidParameter(f"invalid manifest: {len(layers)} layers, more than {LAYERS_MAX}")
    return Manifest(config=document.config.reference(), layers=tuple(layer.reference() for layer in layers))


def encode_manifest(manifest: Manifest) -> bytes:
    return msgspec.json.encode(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": _descriptor(manifest.config),
            "layers": [_descriptor(layer) for layer in manifest.layers],
        }
    )


def decode_index(content: bytes) -> tuple[Reference, ...]:
    """The entries of an image index, in its order. Raises InvalidParameter."""
    manifests = decode_json(content, _Index, "index").manifests or []
    if len(manifests) > MANIFESTS_MAX:
        raise InvalidParameter(f"invalid index: {len(manifests)} entries, more than {MANIFESTS_MAX}")
    return tuple(manifest.reference() for manifest in manifests)


def encode_index(entries: Iterable[IndexEntry]) -> bytes:
    """An `index.json`: one descriptor per reference, because a descriptor can carry only one name."""
    manifests: list[dict[str, object]] = []
    for entry in entries:
        for reference in entry.references or ("",):
            pointer = Reference(
                media_type=MANIFEST_TYPE,
                digest=entry.manifest.digest,
                size=entry.manifest.size,
                platform=entry.platform,
                name=reference,
            )
            manifests.append(_descriptor(pointer))
    return msgspec.json.encode({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": manifests})


def decode_archive_manifest(content: bytes) -> tuple[ArchivedImage, ...]:
    """The images of a docker-archive's `manifest.json`. Raises InvalidParameter."""
    items = decode_json(content, list[_ArchivedImage] | None, "manifest.json")  # type: ignore[arg-type]  # a union is no type to mypy
    if items is None:
        raise InvalidParameter("invalid manifest, manifest cannot be null (but can be [])")
    if len(items) > MANIFESTS_MAX:
        raise InvalidParameter(f"invalid manifest.json: {len(items)} images, more than {MANIFESTS_MAX}")
    return tuple(_archived_image(item) for item in items)


def _archived_image(item: _ArchivedImage) -> ArchivedImage:
    layers, references = item.layers or [], item.references or []
    if len(layers) > LAYERS_MAX:
        raise InvalidParameter(f"invalid manifest.json: {len(layers)} layers, more than {LAYERS_MAX}")
    if len(references) > REFERENCES_MAX:
        raise InvalidParameter(f"invalid manifest.json: {len(references)} names, more than {REFERENCES_MAX}")
    return ArchivedImage(config=item.config, references=tuple(references), layers=tuple(layers))


def _descriptor(pointer: Reference) -> dict[str, object]:
    encoded: dict[str, object] = {"mediaType": pointer.media_type, "digest": pointer.digest, "size": pointer.size}
    if pointer.platform is not None:
        variant = {"variant": pointer.platform.variant} if pointer.platform.variant else {}
        encoded["platform"] = {"architecture": pointer.platform.architecture, "os": pointer.platform.os, **variant}
    if pointer.name:
        encoded["annotations"] = _annotations_of(pointer.name)
    return encoded


def _annotations_of(reference: str) -> dict[str, str]:
    annotations = {_NAME_ANNOTATION: reference}
    _, colon, tag = reference.rpartition("/")[2].partition(":")
    if colon and "@" not in reference:
        annotations[_TAG_ANNOTATION] = tag
    return annotations


def _has_nul(value: object) -> bool:
    """Whether any string in a tree of JSON values holds a NUL, which no path, name or argument can."""
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, Mapping):
        return any(_has_nul(key) or _has_nul(item) for key, item in value.items())
    return isinstance(value, list) and any(_has_nul(item) for item in value)


class _Platform(msgspec.Struct):
    architecture: str = ""
    os: str = ""
    variant: str | None = None


class _Descriptor(msgspec.Struct):
    digest: str
    size: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    media_type: str | None = msgspec.field(default=None, name="mediaType")
    platform: _Platform | None = None
    annotations: dict[str, str] | None = None

    def reference(self) -> Reference:
        annotations = self.annotations or {}
        return Reference(
            media_type=self.media_type or "",
            digest=checked_digest(self.digest),
            size=self.size,
            platform=self._platform(),
            name=annotations.get(_NAME_ANNOTATION, ""),
            is_attestation=_ATTESTATION_ANNOTATION in annotations,
        )

    def _platform(self) -> Platform | None:
        stated = self.platform
        if stated is None:
            return None
        return Platform(os=stated.os, architecture=stated.architecture, variant=stated.variant or "")


class _Manifest(msgspec.Struct):
    config: _Descriptor
    layers: list[_Descriptor] | None = None


class _Index(msgspec.Struct):
    manifests: list[_Descriptor] | None = None


class _ArchivedImage(msgspec.Struct):
    config: str = msgspec.field(name="Config")
    references: list[str] | None = msgspec.field(default=None, name="RepoTags")
    layers: list[str] | None = msgspec.field(default=None, name="Layers")
