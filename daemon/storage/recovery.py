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
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs

from daemon.container import Container
from daemon.errors import System
from daemon.image import Image
from daemon.storage.content import ContentStore
from daemon.storage.disk import disk, sync_directory, sync_file, sync_file_system
from daemon.storage.failpoints import failpoint
from daemon.storage.layers import LayerStore
from daemon.storage.ready import ReadyTrees
from daemon.storage.trees import ContainerTrees, VolumeTrees, clear_staging
from daemon.volume import Volume

_LOCK = "lock"
_CLEAN = "stopped-cleanly"


@attrs.frozen(kw_only=True)
class Stores:
    """Everything below the data root but the database."""

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
            failpoint("recovery.engine_id")
            aside.replace(path)
            sync_directory(root)
        return path.read_text()


def open_stores(root: Path, *, ready_trees_max: int) -> Stores:
    return Stores(
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
        failpoint("recovery.marker_taken")
        sync_directory(root)  # else a power cut could bring the marker back
    return True


def leave_clean_marker(root: Path) -> None:
    with disk("write the marker of a clean stop"):
        sync_file_system(root)
        (root / _CLEAN).touch(mode=0o600)
        failpoint("recovery.marker_left")
        sync_directory(root)


def recover(
    root: Path, stores: Stores, containers: Sequence[Container], images: Sequence[Image], volumes: Sequence[Volume]
) -> Recovered:
    """Remove residue, make again what is missing. Its cost is per record and per name in a directory, not per file."""
    chains = {image.id: image.chain_ids for image in images}
    removed = clear_staging(root)
    removed += len(stores.content.recover({digest for image in images for digest in image.digests}))
    removed += len(stores.layers.recover({chain_id for chain in chains.values() for chain_id in chain}))
    removed += len(stores.containers.recover({container.id for container in containers}))
    removed += len(stores.volumes.recover({volume.name for volume in volumes}))
    with disk("recover"):
        failpoint("recovery.swept")
    remade = 0
    present = set(stores.containers.names())
    for container in containers:
        if container.id not in present:
            layers = tuple(stores.layers.path(chain_id) for chain_id in reversed(chains.get(container.image_id, ())))
            stores.containers.create(container.id, layers, container.config.working_dir)
            with disk("recover"):
                failpoint("recovery.remade")
            remade += 1
    present = set(stores.volumes.names())
    for volume in volumes:
        if volume.name not in present:
            stores.volumes.create(volume.name)
            remade += 1
    return Recovered(removed=removed, remade=remade)
