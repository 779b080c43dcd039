"""`docker load` and `docker import`: a stream of a stranger's bytes becomes images that are stored, unpacked and durable.

Two phases. Receiving reads the stream once into ingests and takes as long as the client does (`received.py`). Then everything is
checked, each digest and each diff id, and unpacked aside; only what has passed is committed (`intake.py`). A failure anywhere
leaves the stores as they were: what was committed by then and was not there before is taken back.

Reads the OCI image layout (also within what Docker 25 and newer save, where it is preferred because it keeps the manifest's
digest) and the docker-archive with its `manifest.json`. An image without a manifest gets one made here.
Texts are Moby's where it has one (image/tarexport/load.go). Unlike Moby: a file that is named by a digest has to match it.

Commits follow the stores' rule of one thread at a time, until the returned images are recorded as well: the image store's actor
runs loads, imports and removals one after another.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import attrs

from daemon.container import ContainerConfig
from daemon.errors import InvalidParameter
from daemon.image import History, LoadedImage
from daemon.storage.content import ContentStore, Ingest
from daemon.storage.image_config import ImageConfig, encode_config
from daemon.storage.intake import FoundImage, Intake
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
from daemon.storage.received import ReceivedFiles
from daemon.storage.streams import STREAM_BYTES_MAX, Source
from daemon.storage.unpack import Limits

INDEX_DEPTH_MAX = 4
"""Indexes within indexes: buildx nests one level."""

_NAMED_BY_DIGEST = re.compile(r"(?:blobs/sha256/)?([0-9a-f]{64})(?:\.json)?")


def load_archive(
    stream: Source, store: ContentStore, layers: LayerStore, *, limits: Limits | None = None
) -> tuple[LoadedImage, ...]:
    """The images of an archive as `docker save`, `podman save`, skopeo or buildx write it, plain, gzip or zstd.

    In the archive's order, each image once with all its names. Raises InvalidParameter for an archive that is damaged, hostile or
    too large, System where the disk fails; the stores are then as before.
    """
    with ReceivedFiles(store) as files:
        files.receive(stream)
        with Intake(files, store, layers, limits) as intake:
            images = [intake.take(found) for found in _found_images(files)]
            intake.commit()
    return _merged(images)


def import_rootfs(
    stream: Source,
    store: ContentStore,
    layers: LayerStore,
    *,
    config: ContainerConfig,
    created: str,
    message: str = "Imported from -",
    references: Sequence[str] = (),
    platform: Platform | None = None,
    limits: Limits | None = None,
) -> LoadedImage:
    """An image of one layer from the tar of a root file system, compressed or not; for this machine, unless it is for another.

    `created` is an RFC 3339 time. Raises as `load_archive`. Fields as in Moby's ImportImage (daemon/images/image_import.go).
    """
    with ReceivedFiles(store) as files:
        rootfs = files.add_stream(stream, bytes_max=STREAM_BYTES_MAX)
        with Intake(files, store, layers, limits) as intake:
            platform = platform or machine_platform()
            image_config = ImageConfig(
                created=created,
                architecture=platform.architecture,
                os=platform.os,
                variant=platform.variant,
                comment=message,
                config=config,
                diff_ids=(intake.unpack_root(rootfs).diff_id,),
                history=(History(created=created, comment=message),),
            )
            image = intake.take(
                FoundImage(
                    config=files.add(encode_config(image_config)), layers=(rootfs,), references=tuple(references)
                )
            )
            intake.commit()
    return image


def take_image(
    files: ReceivedFiles, found: FoundImage, store: ContentStore, layers: LayerStore, *, limits: Limits | None = None
) -> LoadedImage:
    """The image of files that have arrived one by one, as from a registry. They are used up. Raises as `load_archive`."""
    with files, Intake(files, store, layers, limits) as intake:
        image = intake.take(found)
        intake.commit()
    return image


def _found_images(files: ReceivedFiles) -> Iterator[FoundImage]:
    manifest_json = files.find("manifest.json")
    archived: tuple[ArchivedImage, ...] = ()
    if manifest_json is not None:
        archived = decode_archive_manifest(files.read_json(manifest_json, "manifest.json"))
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
    names: dict[Ingest, tuple[str, ...]] = {}
    for item in archived:
        config = _file_named(files, item.config)
        names[config] = names.get(config, ()) + item.references
    pointers = decode_index(files.read_json(files.get("index.json"), "index.json"))
    for pointer in _for_this_machine(pointers, is_choice=False):
        for reference in _manifests(files, pointer, pointer.name, depth=1):
            yield _of_manifest(files, reference, names)


def _of_manifest(files: ReceivedFiles, pointer: Reference, names: dict[Ingest, tuple[str, ...]]) -> FoundImage:
    blob = _blob(files, pointer)
    manifest = decode_manifest(files.read_json(blob, "manifest"))
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
    inner = decode_index(files.read_json(_blob(files, pointer), "index"))
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


def _blob(files: ReceivedFiles, pointer: Reference) -> Ingest:
    """The file that holds the content. Raises InvalidParameter if it is missing or other content."""
    file = files.get(f"blobs/sha256/{pointer.digest.removeprefix('sha256:')}")
    if files.content(file) != pointer.content:
        raise InvalidParameter(
            f"invalid archive: {files.content(file).digest} of {files.content(file).size} bytes "
            f"in place of {pointer.digest} of {pointer.size} bytes"
        )
    return file


def _file_named(files: ReceivedFiles, name: str) -> Ingest:
    """The file that `manifest.json` names, which has the digest that its name may state."""
    file = files.get(name)
    stated = _NAMED_BY_DIGEST.fullmatch(name)
    if stated and files.content(file).digest != f"sha256:{stated[1]}":
        raise InvalidParameter(f"invalid archive: {name!r} has digest {files.content(file).digest}")
    return file


def _merged(images: Iterable[LoadedImage]) -> tuple[LoadedImage, ...]:
    """Each image once, under all its names."""
    merged: dict[str, LoadedImage] = {}
    for loaded in images:
        first = merged.setdefault(loaded.image.id, loaded)
        references = dict.fromkeys(first.references + loaded.references)
        merged[loaded.image.id] = attrs.evolve(first, references=tuple(references))
    return tuple(merged.values())
