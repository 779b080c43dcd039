"""`docker commit`: a container's own layer becomes a layer of an image that is made here, durable, or nothing does.

The layer's tar is written into the content store and unpacked from there, by the same writer as every layer: what is read later
is what other tools will read, too. Fields as in Moby's NewChildImage (image/image.go). The stores' rule of one thread at a time
holds for the whole of it.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import attrs

from daemon.container import ContainerConfig
from daemon.errors import InvalidParameter
from daemon.image import History, Image, Layer
from daemon.storage.content import ContentStore, Descriptor, Ingest
from daemon.storage.image_config import ImageConfig, decode_config, encode_config
from daemon.storage.layer_out import EMPTY_LAYER, tar_of_layer
from daemon.storage.layers import LayerBuild, LayerStore
from daemon.storage.oci import (
    CONFIG_TYPE,
    LAYER_TYPE,
    LAYERS_MAX,
    Manifest,
    Reference,
    chain_ids,
    encode_manifest,
    machine_platform,
)
from daemon.storage.unpack import unpack_layer


@attrs.frozen(kw_only=True)
class Draft:
    """What the image is to say."""

    parent: Image | None
    """The image of the container, None if it has none."""
    config: ContainerConfig
    created: str
    """RFC 3339."""
    created_by: str = ""
    author: str = ""
    comment: str = ""


def commit_layer(upper: Path, draft: Draft, content: ContentStore, layers: LayerStore) -> Image:
    """The image of the draft's parent and what is in `upper`; if that is nothing, of the parent's layers alone.

    Raises:
        InvalidParameter: there would be too many layers, or a file has a name that an image cannot have.
        System: the disk failed; the stores are as before.
    """
    with _Commit(content, layers) as commit:
        image_layers = draft.parent.layers if draft.parent else ()
        layer = commit.layer(upper, image_layers)
        if layer is not None:
            image_layers = (*image_layers, layer)
        image = commit.image(draft, image_layers, is_empty_layer=layer is None)
        commit.finish()
    return image


class _Commit:
    """What is made aside, and moved into the stores at the end. A context manager: what is not finished is removed."""

    def __init__(self, content: ContentStore, layers: LayerStore) -> None:
        self._content = content
        self._layers = layers
        self._work = contextlib.ExitStack()
        self._blobs: dict[str, Ingest] = {}
        self._builds: dict[str, LayerBuild] = {}

    def __enter__(self) -> _Commit:
        return self

    def __exit__(self, *_: object) -> None:
        self._work.close()

    def layer(self, upper: Path, below: tuple[Layer, ...]) -> Layer | None:
        """None if there is nothing in it."""
        blob = self._work.enter_context(self._content.ingest())
        for piece in tar_of_layer(upper):
            blob.write(piece)
        stored = blob.seal()
        if stored.digest == EMPTY_LAYER:
            return None
        if len(below) >= LAYERS_MAX:
            raise InvalidParameter("max depth exceeded")
        build = self._work.enter_context(self._layers.build())
        with blob.open() as opened:
            unpacked = unpack_layer(opened, build.target, is_end_required=True)
        chain_id = chain_ids((*(layer.diff_id for layer in below), unpacked.diff_id))[-1]
        self._blobs[stored.digest], self._builds[chain_id] = blob, build
        return Layer(
            digest=stored.digest,
            media_type=LAYER_TYPE,
            blob_bytes=stored.size,
            diff_id=unpacked.diff_id,
            chain_id=chain_id,
            unpacked_bytes=unpacked.file_bytes,
        )

    def image(self, draft: Draft, layers: tuple[Layer, ...], *, is_empty_layer: bool) -> Image:
        encoded = encode_config(_image_config(draft, layers, is_empty_layer=is_empty_layer))
        # Read back, as if it had come from elsewhere: what would be refused there is refused here.
        read = decode_config(encoded)
        stored = self._add(encoded)
        manifest = self._add(
            encode_manifest(
                Manifest(
                    config=Reference(media_type=CONFIG_TYPE, digest=stored.digest, size=stored.size),
                    layers=tuple(
                        Reference(media_type=layer.media_type, digest=layer.digest, size=layer.blob_bytes)
                        for layer in layers
                    ),
                )
            )
        )
        return Image(
            id=stored.digest,
            manifest_digest=manifest.digest,
            manifest_bytes=manifest.size,
            parent_id=draft.parent.id if draft.parent else "",
            created=read.created,
            architecture=read.architecture,
            os=read.os,
            variant=read.variant,
            author=read.author,
            config=read.config,
            layers=layers,
            history=read.history,
        )

    def finish(self) -> None:
        """Make all of it part of the stores, durably, or nothing. Raises System."""
        with contextlib.ExitStack() as undo:
            for digest, blob in self._blobs.items():
                if not self._content.contains(digest):
                    undo.callback(self._content.delete, digest)
                blob.commit(digest)
            for chain_id, build in self._builds.items():
                if not self._layers.contains(chain_id):
                    undo.callback(self._layers.delete, chain_id)
                build.commit(chain_id)
            undo.pop_all()

    def _add(self, document: bytes) -> Descriptor:
        blob = self._work.enter_context(self._content.ingest())
        blob.write(document)
        stored = blob.seal()
        self._blobs[stored.digest] = blob
        return stored


def _image_config(draft: Draft, layers: tuple[Layer, ...], *, is_empty_layer: bool) -> ImageConfig:
    parent, here = draft.parent, machine_platform()
    step = History(
        created=draft.created,
        created_by=draft.created_by,
        author=draft.author,
        comment=draft.comment,
        is_empty_layer=is_empty_layer,
    )
    return ImageConfig(
        created=draft.created,
        architecture=parent.architecture if parent else here.architecture,
        os=parent.os if parent else here.os,
        variant=parent.variant if parent else here.variant,
        author=draft.author,
        config=draft.config,
        diff_ids=tuple(layer.diff_id for layer in layers),
        history=(*(parent.history if parent else ()), step),
    )
