"""`docker commit`: a container's own layer becomes a layer of an image that is made here, durable, or nothing does.

The layer's tar is unpacked again, by the same writer as every layer: what is read later is what other tools will read, too. That
happens in the daemon and not in a worker (`worker.py`), because no byte is parsed or decompressed that a stranger has packed: the
headers are written here, from what the kernel says of the files, and the files' content is copied. Fields as in Moby's
NewChildImage (image/image.go). The stores' rule of one thread at a time holds for the whole of it.
"""

from __future__ import annotations

from pathlib import Path

import attrs

from daemon.container import ContainerConfig
from daemon.errors import InvalidParameter
from daemon.image import History, Image, Layer, LoadedImage
from daemon.storage.content import Descriptor
from daemon.storage.image_config import ImageConfig, decode_config, encode_config
from daemon.storage.layer_out import EMPTY_LAYER, tar_of_layer
from daemon.storage.layers import LayerBuild
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
from daemon.storage.received import ReceivedFiles
from daemon.storage.recovery import Stores
from daemon.storage.staged import Area, Staged, commit
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


def commit_layer(upper: Path, draft: Draft, stores: Stores) -> Image:
    """The image of the draft's parent and what is in `upper`; if that is nothing, of the parent's layers alone.

    Raises:
        InvalidParameter: there would be too many layers, or a file has a name that an image cannot have.
        System: the disk failed; the stores are as before.
    """
    area = Area.made_in(stores.root)
    try:
        made = _Commit(area, ReceivedFiles(area.blobs))
        image_layers = draft.parent.layers if draft.parent else ()
        layer = made.layer(upper, image_layers)
        if layer is not None:
            image_layers = (*image_layers, layer)
        image = made.image(draft, image_layers, is_empty_layer=layer is None)
        commit(made.staged(image), area, stores.content, stores.layers)
    finally:
        area.remove()
    return image


class _Commit:
    """What is made aside, in an area, for the commit."""

    def __init__(self, area: Area, files: ReceivedFiles) -> None:
        self._area = area
        self._files = files
        self._blobs: dict[str, str] = {}
        self._builds: dict[str, str] = {}

    def layer(self, upper: Path, below: tuple[Layer, ...]) -> Layer | None:
        """None if there is nothing in it."""
        blob = self._files.add_pieces(tar_of_layer(upper))
        stored = blob.content
        if stored.digest == EMPTY_LAYER:
            return None
        if len(below) >= LAYERS_MAX:
            raise InvalidParameter("max depth exceeded")
        build = LayerBuild.made_in(self._area.layers)
        with blob.open() as opened:
            unpacked = unpack_layer(opened, build.target, is_end_required=True, known=stored)
        chain_id = chain_ids((*(layer.diff_id for layer in below), stored.digest))[-1]
        self._blobs[stored.digest], self._builds[chain_id] = blob.path.name, build.home.name
        return Layer(
            digest=stored.digest,
            media_type=LAYER_TYPE,
            blob_bytes=stored.size,
            diff_id=stored.digest,
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

    def staged(self, image: Image) -> Staged:
        loaded = LoadedImage(image=image, references=())
        return Staged(images=(loaded,), blobs=self._blobs, layers=self._builds)

    def _add(self, document: bytes) -> Descriptor:
        blob = self._files.add(document)
        self._blobs[blob.content.digest] = blob.path.name
        return blob.content


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
