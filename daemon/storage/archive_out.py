"""Images as `docker save` writes them: an OCI image layout that is a docker-archive as well, made piece by piece in flat memory.

    blobs/sha256/<hex>   configurations, manifests and layers, as they are stored: ids and digests stay what they are
    index.json           the manifests by name; what newer readers go by
    manifest.json        configuration, names and layers of each image; what older ones do
    oci-layout

The same images are the same archive, byte for byte. Unlike Moby, which unpacks layers and writes another manifest for them, and
the files of format 1.0 (image/tarexport/save.go).
"""

from __future__ import annotations

import tarfile
from collections.abc import Generator, Iterator, Sequence

import attrs
import msgspec

from daemon.errors import System
from daemon.image import Image
from daemon.reference import parse_reference
from daemon.storage.content import ContentStore
from daemon.storage.disk import disk
from daemon.storage.oci import Descriptor, IndexEntry, Platform, encode_index
from daemon.storage.streams import chunks

_BLOCK = 512
_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


@attrs.frozen(kw_only=True)
class SavedImage:
    image: Image
    references: tuple[str, ...]
    """In full: those that the archive is to have."""


def save_images(content: ContentStore, images: Sequence[SavedImage]) -> Generator[bytes, None, None]:
    """The archive. Raises System where a blob has been removed meanwhile: an archive that ends as a tar should is whole."""
    yield from _directory("blobs/")
    yield from _directory("blobs/sha256/")
    for digest in sorted({digest for saved in images for digest in saved.image.digests}):
        yield from _blob(content, digest)
    yield from _file("index.json", encode_index(map(_index_entry, images)))
    yield from _file("manifest.json", msgspec.json.encode([_manifest_item(saved) for saved in images]))
    yield from _file("oci-layout", _LAYOUT)
    yield bytes(2 * _BLOCK)


def _index_entry(saved: SavedImage) -> IndexEntry:
    image = saved.image
    return IndexEntry(
        manifest=Descriptor(image.manifest_digest, image.manifest_bytes),
        references=saved.references,
        platform=Platform(os=image.os, architecture=image.architecture, variant=image.variant),
    )


def _manifest_item(saved: SavedImage) -> dict[str, object]:
    return {
        "Config": _path(saved.image.id),
        "RepoTags": [parse_reference(reference).familiar for reference in saved.references] or None,
        "Layers": [_path(layer.digest) for layer in saved.image.layers],
    }


def _path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _blob(content: ContentStore, digest: str) -> Iterator[bytes]:
    with content.open(digest) as blob, disk("read an image"):
        size = blob.seek(0, 2)
        blob.seek(0)
        yield _header(_path(digest), size)
        for data in chunks(blob):
            size -= len(data)
            yield data
        if size:
            raise System("cannot read an image: a blob has changed")
        yield bytes(-blob.tell() % _BLOCK)


def _file(name: str, data: bytes) -> Iterator[bytes]:
    yield _header(name, len(data))
    yield data + bytes(-len(data) % _BLOCK)


def _directory(name: str) -> Iterator[bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.mode = tarfile.DIRTYPE, 0o755
    yield info.tobuf(tarfile.PAX_FORMAT)


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.PAX_FORMAT)
