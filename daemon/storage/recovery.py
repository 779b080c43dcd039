"""Makes the disk agree with the database again, after a crash or a power cut. Runs before anything is served.

The records are the truth. What no record names is residue of work that nobody was told of, and goes; a fresh tree that a record
names and a power cut took is made again. After a clean stop there is nothing to do, which a marker says: it is written last,
after everything has been synced, and removed first.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import attrs

from daemon.container import Container
from daemon.errors import System
from daemon.image import Image
from daemon.storage.content import ContentStore
from daemon.storage.disk import disk, sync_directory, sync_file, sync_file_system
from daemon.storage.layers import LayerStore
from daemon.storage.oci import Descriptor, IndexEntry, Platform
from daemon.storage.ready import ReadyTrees
from daemon.storage.trees import ContainerTrees, VolumeTrees, clear_staging
from daemon.volume import Volume

_LOCK = "lock"
_CLEAN = "stopped-cleanly"


@attrs.frozen(kw_only=True)
class Stores:
    """Everything below the data root but the database."""

    root: Path
    content: ContentStore
    layers: LayerStore
    containers: ContainerTrees
    volumes: VolumeTrees


@attrs.frozen(kw_only=True)
class Recovered:
    """What recovery did, in numbers."""

    removed: int
    remade: int


@contextlib.contextmanager
def locked(root: Path) -> Iterator[None]:
    """The data root, made if it is missing, for this process alone: a lock that ends with the process, however it ends.

    Raises:
        System: another daemon has it, or it cannot be made.
    """
    with disk("make the data root"):
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(root / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise System("another daemon is using this data root") from error
        yield
    finally:
        os.close(descriptor)


def read_engine_id(root: Path) -> str:
    """The id of this data root, drawn at its first start."""
    path = root / "engine-id"
    with disk("read the engine's id"):
        if not path.exists():
            aside = root / "engine-id.new"
            aside.write_text(str(uuid.uuid4()))
            sync_file(aside)
            aside.replace(path)
            sync_directory(root)
        return path.read_text()


def open_stores(root: Path, *, ready_trees_max: int) -> Stores:
    return Stores(
        root=root,
        content=ContentStore(root / "content"),
        layers=LayerStore(root / "layers"),
        containers=ContainerTrees(root, ReadyTrees(root, ready_trees_max)),
        volumes=VolumeTrees(root),
    )


def take_clean_marker(root: Path) -> bool:
    """Whether the last daemon stopped cleanly; from now on it has not."""
    with disk("read the marker of a clean stop"):
        try:
            (root / _CLEAN).unlink()
        except FileNotFoundError:
            return False
        sync_directory(root)  # else a power cut could bring the marker back
    return True


def leave_clean_marker(root: Path) -> None:
    with disk("write the marker of a clean stop"):
        sync_file_system(root)
        (root / _CLEAN).touch(mode=0o600)
        sync_directory(root)


@attrs.frozen(kw_only=True)
class Records:
    """What the database says there is."""

    containers: Sequence[Container]
    images: Sequence[Image]
    references: Sequence[tuple[str, str]]
    """Reference, image id."""
    volumes: Sequence[Volume]


def index_entry(image: Image, references: Iterable[str]) -> IndexEntry:
    """What other tools are to find of an image: its tags; what it was pulled by as a digest says the entry itself."""
    return IndexEntry(
        manifest=Descriptor(image.manifest_digest, image.manifest_bytes),
        references=tuple(reference for reference in references if "@" not in reference),
        platform=Platform(os=image.os, architecture=image.architecture, variant=image.variant),
    )


def recover(root: Path, stores: Stores, records: Records) -> Recovered:
    """Remove residue, make again what is missing. Its cost is per record and per name in a directory, not per file."""
    containers, images, volumes = records.containers, records.images, records.volumes
    chains = {image.id: image.chain_ids for image in images}
    removed = clear_staging(root)
    removed += len(stores.content.recover({digest for image in images for digest in image.digests}))
    removed += len(stores.layers.recover({chain_id for chain in chains.values() for chain_id in chain}))
    removed += len(stores.containers.recover({container.id for container in containers}))
    removed += len(stores.volumes.recover({volume.name for volume in volumes}))
    remade = 0
    present = set(stores.containers.names())
    for container in containers:
        if container.id not in present:
            layers = tuple(stores.layers.path(chain_id) for chain_id in reversed(chains.get(container.image_id, ())))
            stores.containers.create(container.id, layers, container.config.working_dir)
            remade += 1
    present = set(stores.volumes.names())
    for volume in volumes:
        if volume.name not in present:
            stores.volumes.create(volume.name)
            remade += 1
    _write_index(stores.content, records)
    return Recovered(removed=removed, remade=remade)


def _write_index(content: ContentStore, records: Records) -> None:
    """A crash between a record and the index leaves an image without a name there, or a name without an image."""
    names: dict[str, list[str]] = {image.id: [] for image in records.images}
    for reference, image_id in sorted(records.references):
        names.setdefault(image_id, []).append(reference)
    # On a full disk it stays as it is: it is for other tools, and no reason not to start.
    with contextlib.suppress(System):
        content.write_index([index_entry(image, names[image.id]) for image in records.images])
