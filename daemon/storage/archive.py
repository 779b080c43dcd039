"""`docker load`, `import` and `pull`: a stranger's bytes become images that are checked, unpacked, to be committed.

Receiving reads a stream once into the area and takes as long as the client does (`received.py`); what a pull has fetched is there
already. After that, at the turn of this intake, everything is checked, each digest and each diff id, and unpacked aside
(`intake.py`). The stores are looked at and not touched: the daemon, in whose process none of this runs (`worker.py`), commits
what has passed (`staged.py`).

Reads the OCI image layout (also within what Docker 25 and newer save, where it is preferred because it keeps the manifest's
digest) and the docker-archive with its `manifest.json`. An image without a manifest gets one made here.
Texts are Moby's where it has one (image/tarexport/load.go). Unlike Moby: a file that is named by a digest has to match it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import attrs
from msgspec.structs import replace

from daemon.container import ContainerConfig
from daemon.errors import InvalidParameter
from daemon.image import History, Layer, LoadedImage
from daemon.storage.content import Descriptor
from daemon.storage.image_config import ImageConfig, encode_config
from daemon.storage.intake import FoundImage, Intake, Told, unheard
from daemon.storage.layers import LayerStore
from daemon.storage.oci import (
    INDEX_TYPES,
    MANIFEST_TYPES,
    ArchivedImage,
    Platform,
    Reference,
    decode_archive_manifest,
    decode_index,
    decode_manifest,
    machine_platform,
)
from daemon.storage.received import ReceivedFile, ReceivedFiles, read_json
from daemon.storage.staged import Area, Staged
from daemon.storage.streams import STREAM_BYTES_MAX, Source
from daemon.storage.unpack import Limits

INDEX_DEPTH_MAX = 4
"""Indexes within indexes: buildx nests one level."""

_NAMED_BY_DIGEST = re.compile(r"(?:blobs/sha256/)?([0-9a-f]{64})(?:\.json)?")


@attrs.frozen(kw_only=True)
class Rootfs:
    """What a root file system that comes without an image's metadata is to become."""

    config: ContainerConfig
    created: str
    """RFC 3339."""
    message: str
    references: tuple[str, ...] = ()
    architecture: str = ""
    """Empty for this machine's own, and then without a variant."""
    variant: str = ""


@attrs.frozen
class Given:
    """A file that has been fetched, and what it hashes to: by its name in the area."""

    name: str
    content: Descriptor


@attrs.frozen(kw_only=True)
class Delivery:
    """An image whose files have been fetched one by one, and hashed by whoever fetched them."""

    config: Given
    layers: tuple[Given, ...]
    """Lowest first."""
    manifest: Given
    references: tuple[str, ...]
    """In full; may be digests."""
    known: tuple[Layer, ...] = ()
    """Of images that are here, with the blobs that this one has, too."""

    @property
    def files(self) -> tuple[Given, ...]:
        return (self.config, self.manifest, *self.layers)


def receive_archive(stream: Source, area: Area) -> ReceivedFiles:
    """The files of an archive, plain, gzip or zstd. Raises InvalidParameter, System."""
    files = ReceivedFiles(area.blobs)
    files.receive(stream)
    return files


def receive_rootfs(stream: Source, area: Area) -> tuple[ReceivedFiles, ReceivedFile]:
    """A whole stream as one file, the layer to be. Raises InvalidParameter, System."""
    files = ReceivedFiles(area.blobs)
    return files, files.add_stream(stream, bytes_max=STREAM_BYTES_MAX)


def stage_archive(
    files: ReceivedFiles, layers: LayerStore, area: Area, *, limits: Limits | None = None, told: Told = unheard
) -> Staged:
    """The images of an archive as `docker save`, `podman save`, skopeo or buildx write it.

    In the archive's order, each image once with all its names. Raises InvalidParameter for an archive that is damaged, hostile or
    too large, System where the disk fails.
    """
    intake = Intake(files, layers, area, limits=limits, told=told)
    return intake.staged(_merged([intake.take(found) for found in _found_images(files)]))


def stage_rootfs(
    files: ReceivedFiles,
    rootfs: ReceivedFile,
    into: Rootfs,
    layers: LayerStore,
    area: Area,
    *,
    limits: Limits | None = None,
) -> Staged:
    """An image of one layer from the tar of a root file system.

    Raises as `stage_archive`. Fields as in Moby's ImportImage (daemon/images/image_import.go).
    """
    intake, platform = Intake(files, layers, area, limits=limits), machine_platform()
    if into.architecture:
        platform = Platform(os="linux", architecture=into.architecture, variant=into.variant)
    image_config = ImageConfig(
        created=into.created,
        architecture=platform.architecture,
        os=platform.os,
        variant=platform.variant,
        comment=into.message,
        config=into.config,
        diff_ids=(intake.unpack_root(rootfs).diff_id,),
        history=(History(created=into.created, comment=into.message),),
    )
    config = files.add(encode_config(image_config))
    return intake.staged([intake.take(FoundImage(config=config, layers=(rootfs,), references=into.references))])


def stage_delivery(
    delivery: Delivery,
    layers: LayerStore,
    area: Area,
    *,
    limits: Limits | None = None,
    told: Told = unheard,
) -> Staged:
    """The one image of what has been fetched. Raises as `stage_archive`."""
    files = ReceivedFiles(area.blobs)
    intake = Intake(files, layers, area, known=delivery.known, limits=limits, told=told)

    def received(given: Given) -> ReceivedFile:
        return ReceivedFile(area.given / given.name, given.content)

    found = FoundImage(
        config=received(delivery.config),
        layers=tuple(map(received, delivery.layers)),
        references=delivery.references,
        manifest=received(delivery.manifest),
    )
    return intake.staged([intake.take(found)])


def _found_images(files: ReceivedFiles) -> Iterator[FoundImage]:
    manifest_json = files.find("manifest.json")
    archived: tuple[ArchivedImage, ...] = ()
    if manifest_json is not None:
        archived = decode_archive_manifest(read_json(manifest_json, "manifest.json"))
    if files.find("oci-layout") is not None and files.find("index.json") is not None:
        return _of_layout(files, archived)
    if manifest_json is None:
        raise InvalidParameter("invalid archive: neither manifest.json nor an OCI image layout")
    return (_of_docker_archive(files, item) for item in archived)


def _of_docker_archive(files: ReceivedFiles, item: ArchivedImage) -> FoundImage:
    return FoundImage(
        config=_file_named(files, item.config),
        layers=tuple(_file_named(files, layer) for layer in item.layers),
        references=item.references,
    )


def _of_layout(files: ReceivedFiles, archived: Iterable[ArchivedImage]) -> Iterator[FoundImage]:
    """Every image that `index.json` leads to; `manifest.json` beside it may know more names."""
    names: dict[ReceivedFile, tuple[str, ...]] = {}
    for item in archived:
        config = _file_named(files, item.config)
        names[config] = names.get(config, ()) + item.references
    pointers = decode_index(read_json(files.get("index.json"), "index.json"))
    for pointer in _for_this_machine(pointers, is_choice=False):
        for reference in _manifests(files, pointer, pointer.name, depth=1):
            yield _of_manifest(files, reference, names)


def _of_manifest(files: ReceivedFiles, pointer: Reference, names: dict[ReceivedFile, tuple[str, ...]]) -> FoundImage:
    blob = _blob(files, pointer)
    manifest = decode_manifest(read_json(blob, "manifest"))
    config = _blob(files, manifest.config)
    named = (pointer.name,) if pointer.name else ()
    return FoundImage(
        config=config,
        layers=tuple(_blob(files, layer) for layer in manifest.layers),
        references=named + names.get(config, ()),
        manifest=blob,
    )


def _manifests(files: ReceivedFiles, pointer: Reference, name: str, *, depth: int) -> Iterator[Reference]:
    """The image manifests that a pointer leads to, with the name that the outermost index gave it."""
    if pointer.media_type in MANIFEST_TYPES:
        yield attrs.evolve(pointer, name=name)
        return
    if pointer.media_type not in INDEX_TYPES:
        raise InvalidParameter(f"invalid index: media type {pointer.media_type[:100]!r} is not supported")
    if depth > INDEX_DEPTH_MAX:
        raise InvalidParameter(f"invalid index: nested more than {INDEX_DEPTH_MAX} times")
    inner = decode_index(read_json(_blob(files, pointer), "index"))
    for chosen in _for_this_machine(inner, is_choice=True):
        yield from _manifests(files, chosen, name, depth=depth + 1)


def _for_this_machine(pointers: Sequence[Reference], *, is_choice: bool) -> tuple[Reference, ...]:
    """Those that are images for this machine.

    A nested index is one image for several platforms, a choice of one; the entries of `index.json` are images in their own right.
    A single image is taken whatever its platform, as by Moby. Raises InvalidParameter if none fits.
    """
    images = [pointer for pointer in pointers if not pointer.is_attestation]
    here = machine_platform()
    fitting = [
        pointer
        for pointer in images
        if pointer.platform is None
        or (pointer.platform.os, pointer.platform.architecture) == (here.os, here.architecture)
    ]
    if not fitting and len(images) > 1:
        raise InvalidParameter(f"no image for platform {here.os}/{here.architecture} in the archive")
    return tuple((fitting or images)[:1] if is_choice else fitting or images)


def _blob(files: ReceivedFiles, pointer: Reference) -> ReceivedFile:
    """The file that holds the content. Raises InvalidParameter if it is missing or other content."""
    file = files.get(f"blobs/sha256/{pointer.digest.removeprefix('sha256:')}")
    if file.content != pointer.content:
        raise InvalidParameter(
            f"invalid archive: {file.content.digest} of {file.content.size} bytes "
            f"in place of {pointer.digest} of {pointer.size} bytes"
        )
    return file


def _file_named(files: ReceivedFiles, name: str) -> ReceivedFile:
    """The file that `manifest.json` names, which has the digest that its name may state."""
    file = files.get(name)
    stated = _NAMED_BY_DIGEST.fullmatch(name)
    if stated and file.content.digest != f"sha256:{stated[1]}":
        raise InvalidParameter(f"invalid archive: {name!r} has digest {file.content.digest}")
    return file


def _merged(images: Iterable[LoadedImage]) -> tuple[LoadedImage, ...]:
    """Each image once, under all its names."""
    merged: dict[str, LoadedImage] = {}
    for loaded in images:
        first = merged.setdefault(loaded.image.id, loaded)
        references = dict.fromkeys(first.references + loaded.references)
        merged[loaded.image.id] = replace(first, references=tuple(references))
    return tuple(merged.values())
