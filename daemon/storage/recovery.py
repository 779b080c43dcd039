"""Makes the disk agree with the database again, after a crash or a power cut. Runs before anything is served.

The records are the truth. What no record names is residue of work that nobody was told of, and goes; a fresh tree that a record
names and a power cut took is made again. After a clean stop there is nothing to do, which a marker says: it is written last,
after everything has been synced, and removed first.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import stat
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs

from daemon.errors import System
from daemon.storage.content import INDEX_NAME, REPLACEMENT, ContentStore
from daemon.storage.disk import disk, remove_tree, sync_directory, sync_file, sync_file_system
from daemon.storage.failpoints import failpoint
from daemon.storage.findings import Finding, Kind, Listing, Outcome, Problem, Records, findings_of, index_entries
from daemon.storage.layers import LayerStore
from daemon.storage.ready import CONTAINER, VOLUME, ReadyTrees, is_untouched
from daemon.storage.tree_maker import TreeMaker
from daemon.storage.trees import ContainerTrees, VolumeTrees

_log = logging.getLogger(__name__)

_LOCK = "lock"
_CLEAN = "stopped-cleanly"
_LISTED = (Kind.CONTAINER, Kind.VOLUME, Kind.LAYER, Kind.BLOB, Kind.STAGED)


@attrs.frozen(kw_only=True)
class Stores:
    """Everything below the data root but the database."""

    root: Path
    content: ContentStore
    layers: LayerStore
    containers: ContainerTrees
    volumes: VolumeTrees
    maker: TreeMaker

    def leave(self) -> bool:
        """At a clean stop; whether what was made for creates that have not come could be listed for the next start."""
        self.maker.close()
        try:
            return self.containers.ready.leave(self.root)
        except System as error:
            _log.error("clean-up is left to the next start: %s", error)
            return False


@contextlib.contextmanager
def locked(root: Path) -> Iterator[None]:
    """The data root, made if it is missing, for this process alone: a lock that ends with the process, however it ends.

    Nobody else may look into it: it holds what containers are told in confidence, and programs with rights (CVE-2021-41091).

    Raises:
        System: another daemon has it, or it cannot be made.
    """
    with disk("make the data root"):
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        _close_to_others(root)
        descriptor = os.open(root / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise System("another daemon is using this data root") from error
        yield
    finally:
        os.close(descriptor)


def _close_to_others(root: Path) -> None:
    """If it is ours alone: whoever gives us `/tmp`, or a directory of theirs, is not to lose it."""
    status = root.stat()
    mode = status.st_mode
    if not mode & 0o077:
        return
    is_ours = status.st_uid == os.geteuid() and ((root / _LOCK).exists() or not any(root.iterdir()))
    if is_ours and not mode & stat.S_ISVTX:
        root.chmod(stat.S_IMODE(mode) & ~0o077)
    else:
        _log.warning("others may look into the data root: it should be a directory of its own, of mode 0700")


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
    maker = TreeMaker()
    return Stores(
        root=root,
        content=ContentStore(root / "content"),
        layers=LayerStore(root / "layers"),
        containers=ContainerTrees(root, ReadyTrees(root, ready_trees_max, CONTAINER, maker)),
        volumes=VolumeTrees(root, ReadyTrees(root, ready_trees_max // 2, VOLUME, maker)),
        maker=maker,
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


def listing_of(root: Path) -> Listing:
    """What is below the data root. Its cost is per name in a few directories, not per file. Raises System."""
    with disk("list the data root"):
        names = {kind: frozenset(_names_in(root / kind.value)) for kind in _LISTED}
        content = root / Kind.INDEX.value
        half_written = frozenset(name for name in _names_in(content) if name.startswith(REPLACEMENT))
        index = (content / INDEX_NAME).read_bytes() if (content / INDEX_NAME).exists() else b""
    return Listing(names={**names, Kind.INDEX: half_written}, index=index)


def damaged_content(root: Path) -> tuple[Finding, ...]:
    """The blobs that are not what their name says, found by reading all of them. Raises System."""
    found = []
    with disk("read the content store"):
        for name in sorted(_names_in(root / Kind.BLOB.value)):
            with (root / Kind.BLOB.value / name).open("rb") as blob:
                is_whole = hashlib.file_digest(blob, "sha256").hexdigest() == name
            if not is_whole:
                found.append(Finding(path=f"{Kind.BLOB.value}/{name}", problem=Problem.DAMAGED, kind=Kind.BLOB))
    return tuple(found)


def recover(root: Path, stores: Stores, records: Records) -> tuple[Outcome, ...]:
    """Find out in what the disk and the records differ, and do what can be done about it: residue first, it takes up room.

    What cannot be done, on a full disk, is no reason not to do the rest, and none not to start. Containers' trees that were made
    beforehand, and that no container has come to have, are no difference.
    """
    prepared = _prepared(root, records)
    stores.containers.ready.found(prepared)
    order = (Problem.RESIDUE, Problem.MISSING, Problem.DAMAGED)
    findings = sorted(_findings(root, records, prepared), key=lambda each: order.index(each.problem))
    repair = _Repair(root, stores, records)
    return tuple(Outcome(finding, _is_carried_out(repair, finding)) for finding in findings)


def look(root: Path, records: Records) -> tuple[Finding, ...]:
    """What `recover` would find; changes nothing. Raises System."""
    return _findings(root, records, _prepared(root, records))


def _findings(root: Path, records: Records, prepared: Sequence[str]) -> tuple[Finding, ...]:
    listing = listing_of(root)
    others = listing.names[Kind.CONTAINER].difference(prepared)
    return findings_of(records, attrs.evolve(listing, names={**listing.names, Kind.CONTAINER: others}))


def _prepared(root: Path, records: Records) -> Sequence[str]:
    """Containers' trees that no record names, and that nobody has touched. Raises System."""
    known = {container.id for container in records.containers}
    known.update(key for table, key in records.set_aside if table == Kind.CONTAINER.value)
    home = root / Kind.CONTAINER.value
    with disk("list the containers directory"):
        return [name for name in set(_names_in(home)) - known if is_untouched(f"{home}/{name}", CONTAINER)]


def _is_carried_out(repair: _Repair, finding: Finding) -> bool:
    if not finding.is_repairable:
        return False
    try:
        repair.carry_out(finding)
    except System as error:
        _log.error("recovery: %s %s: %s", finding.path, finding.problem.value, error)
        return False
    return True


class _Repair:
    def __init__(self, root: Path, stores: Stores, records: Records) -> None:
        self._root = root
        self._stores = stores
        self._records = records
        self._chains = {image.id: image.chain_ids for image in records.images}
        self._containers = {container.id: container for container in records.containers}

    def carry_out(self, finding: Finding) -> None:
        """Raises System."""
        if finding.kind is Kind.INDEX and finding.problem is Problem.DAMAGED:
            self._stores.content.write_index(index_entries(self._records))
        elif finding.problem is Problem.RESIDUE:
            with disk("remove a leftover"):
                failpoint("recovery.before_sweep")
                remove_tree(self._root / finding.path)
        elif finding.kind is Kind.VOLUME:
            self._stores.volumes.create(finding.name)
        else:
            self._make_container(finding.name)

    def _make_container(self, container_id: str) -> None:
        container = self._containers[container_id]
        layers = tuple(self._stores.layers.path(each) for each in reversed(self._chains.get(container.image_id, ())))
        self._stores.containers.create(container.id, layers, container.config.working_dir)
        with disk("make a container again"):
            failpoint("recovery.remade")


def _names_in(directory: Path) -> list[str]:
    """None of a directory that is not there: then there has been no start that lasted."""
    return [path.name for path in directory.iterdir()] if directory.exists() else []
