"""What one load, import or pull brings in, all or nothing: checked and unpacked into an area, for the commit (`staged.py`).

Owns the checks of an image's parts against one another. Knows what an image consists of, not how an archive says so
(`archive.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs

from daemon.errors import InvalidParameter
from daemon.image import Image, Layer, LoadedImage
from daemon.storage.content import Descriptor
from daemon.storage.image_config import ImageConfig, decode_config
from daemon.storage.layers import LayerBuild, LayerStore
from daemon.storage.oci import (
    CONFIG_TYPE,
    LAYER_TYPES,
    Manifest,
    Reference,
    chain_ids,
    encode_manifest,
)
from daemon.storage.received import ReceivedFile, ReceivedFiles, read_json
from daemon.storage.staged import Area, Staged
from daemon.storage.streams import Plain, Watched
from daemon.storage.unpack import ENTRIES_MAX, FILE_BYTES_MAX, Limits, Unpacked, measure_layer, unpack_layer

INTAKE_ENTRIES_MAX = 10 * ENTRIES_MAX
INTAKE_FILE_BYTES_MAX = 4 * FILE_BYTES_MAX
"""All layers of one intake: a small archive can ask for one blob as many layers, each unpacked anew on what is below it."""


@attrs.frozen(kw_only=True)
class Unpacking:
    """How far a layer has been unpacked."""

    digest: str
    """Of its blob."""
    diff_id: str
    """What it is to be."""
    read_bytes: int
    blob_bytes: int


Told = Callable[[Unpacking], None]


def unheard(_: Unpacking) -> None:
    """For whoever does not ask how far it is."""


@attrs.frozen(kw_only=True)
class _Facts:
    """What a layer's blob has inside."""

    diff_id: str
    media_type: str
    file_bytes: int


@attrs.frozen(kw_only=True)
class FoundImage:
    """The files of an image, not yet checked against one another."""

    config: ReceivedFile
    layers: tuple[ReceivedFile, ...]
    """Lowest first."""
    references: tuple[str, ...]
    manifest: ReceivedFile | None = None
    """None where the archive has none, and one is made."""


class Intake:
    """The images of one archive, or one pull. What it makes is in `area`; in the stores it only looks.

    `known` are layers of which it has been computed before what their blobs have inside: where the store has them, they are not
    read again.
    """

    def __init__(
        self,
        files: ReceivedFiles,
        layers: LayerStore,
        area: Area,
        *,
        known: Iterable[Layer] = (),
        limits: Limits | None = None,
        told: Told = unheard,
    ) -> None:
        self._files = files
        self._layers = layers
        self._area = area
        self._limits = limits or Limits()
        self._told = told
        self._left = Limits(entries=INTAKE_ENTRIES_MAX, file_bytes=INTAKE_FILE_BYTES_MAX)
        self._blobs: dict[str, ReceivedFile] = {}
        self._builds: dict[str, LayerBuild] = {}
        self._facts = {
            layer.digest: _Facts(diff_id=layer.diff_id, media_type=layer.media_type, file_bytes=layer.unpacked_bytes)
            for layer in known
        }
        """By the digest of the blob."""

    def take(self, found: FoundImage) -> LoadedImage:
        """Check an image and unpack its layers aside. Raises InvalidParameter, System."""
        config = decode_config(read_json(found.config, "image configuration"))
        if config.os not in ("", "linux"):
            raise InvalidParameter(f"cannot load {config.os} image on linux")
        if len(found.layers) != len(config.diff_ids):
            raise InvalidParameter(
                f"invalid manifest, layers length mismatch: expected {len(found.layers)}, got {len(config.diff_ids)}"
            )
        chain = chain_ids(config.diff_ids)
        layers = tuple(
            self._layer(number, blob, diff_id=config.diff_ids[number], chain_id=chain[number])
            for number, blob in enumerate(found.layers)
        )
        manifest = self._manifest(found, layers)
        return LoadedImage(
            image=_image(self._add_blob(found.config), manifest, config, layers), references=found.references
        )

    def unpack_root(self, blob: ReceivedFile) -> Unpacked:
        """Unpack a layer that nothing else tells about, and that has none below it. Raises InvalidParameter, System."""
        build = LayerBuild.made_in(self._area.layers)
        unpacked = self._unpack(blob, build, is_end_required=True, diff_id="")
        # A layer of its own is its own chain. If the store has it already, this one goes with the area.
        if not self._layers.contains(unpacked.diff_id):
            self._builds[unpacked.diff_id] = build
        return unpacked

    def staged(self, images: Iterable[LoadedImage]) -> Staged:
        """Everything taken, for the commit."""
        return Staged(
            images=tuple(images),
            blobs={digest: blob.path.name for digest, blob in self._blobs.items()},
            layers={chain_id: build.home.name for chain_id, build in self._builds.items()},
        )

    def _layer(self, number: int, blob: ReceivedFile, *, diff_id: str, chain_id: str) -> Layer:
        if chain_id not in self._builds and not self._layers.contains(chain_id):
            build = LayerBuild.made_in(self._area.layers)
            self._unpack(blob, build, is_end_required=False, diff_id=diff_id)
            self._builds[chain_id] = build
        elif blob.content.digest not in self._facts:
            # Unpacked under another name, or long ago: still, this blob has to be that layer.
            with blob.open() as opened:
                plain = Plain(opened)
                self._remember(blob, plain, measure_layer(plain, limits=self._limits, known=_hashed(blob, plain)))
        facts = self._facts[blob.content.digest]
        if facts.diff_id != diff_id:
            raise InvalidParameter(f'invalid diffID for layer {number}: expected "{diff_id}", got "{facts.diff_id}"')
        stored = self._add_blob(blob)
        return Layer(
            digest=stored.digest,
            media_type=facts.media_type,
            blob_bytes=stored.size,
            diff_id=diff_id,
            chain_id=chain_id,
            unpacked_bytes=facts.file_bytes,
        )

    def _unpack(self, blob: ReceivedFile, build: LayerBuild, *, is_end_required: bool, diff_id: str) -> Unpacked:
        limits = Limits(
            entries=min(self._limits.entries, self._left.entries),
            file_bytes=min(self._limits.file_bytes, self._left.file_bytes),
        )
        with blob.open() as opened:
            tell = self._telling(blob.content, diff_id)
            plain = Plain(Watched(opened, tell))
            unpacked = unpack_layer(
                plain, build.target, limits=limits, is_end_required=is_end_required, known=_hashed(blob, plain)
            )
        self._left = Limits(
            entries=self._left.entries - unpacked.entries, file_bytes=self._left.file_bytes - unpacked.file_bytes
        )
        tell(blob.content.size)  # what follows the end of a tar may not have been read
        self._remember(blob, plain, unpacked)
        return unpacked

    def _telling(self, blob: Descriptor, diff_id: str) -> Callable[[int], None]:
        def tell(read_bytes: int) -> None:
            self._told(Unpacking(digest=blob.digest, diff_id=diff_id, read_bytes=read_bytes, blob_bytes=blob.size))

        return tell

    def _remember(self, blob: ReceivedFile, plain: Plain, unpacked: Unpacked) -> None:
        self._facts[blob.content.digest] = _Facts(
            diff_id=unpacked.diff_id, media_type=LAYER_TYPES[plain.compression], file_bytes=unpacked.file_bytes
        )

    def _manifest(self, found: FoundImage, layers: tuple[Layer, ...]) -> Descriptor:
        if found.manifest is not None:
            return self._add_blob(found.manifest)
        config = found.config.content
        manifest = Manifest(
            config=Reference(media_type=CONFIG_TYPE, digest=config.digest, size=config.size),
            layers=tuple(
                Reference(media_type=layer.media_type, digest=layer.digest, size=layer.blob_bytes) for layer in layers
            ),
        )
        return self._add_blob(self._files.add(encode_manifest(manifest)))

    def _add_blob(self, blob: ReceivedFile) -> Descriptor:
        if blob.path.parent == self._area.blobs:  # what has been given is somebody else's to commit
            self._blobs.setdefault(blob.content.digest, blob)
        return blob.content


def _hashed(blob: ReceivedFile, plain: Plain) -> Descriptor | None:
    """A tar that is not compressed has been hashed as it arrived."""
    return None if plain.compression else blob.content


def _image(config_blob: Descriptor, manifest: Descriptor, config: ImageConfig, layers: tuple[Layer, ...]) -> Image:
    return Image(
        id=config_blob.digest,
        manifest_digest=manifest.digest,
        manifest_bytes=manifest.size,
        created=config.created,
        architecture=config.architecture,
        os=config.os or "linux",
        variant=config.variant,
        author=config.author,
        comment=config.comment,
        config=config.config,
        layers=layers,
        history=config.history,
    )
