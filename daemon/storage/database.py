"""The one truth: which containers, images, references, volumes and networks there are. SQLite with a group commit.

    containers         id PRIMARY KEY | name UNIQUE | record        record: a Container as JSON, without its name
    images             id PRIMARY KEY | record                      record: an Image as JSON
    image_references   reference PRIMARY KEY | image_id             docker.io/library/busybox:latest -> sha256:...
    volumes            name PRIMARY KEY | record                    record: a Volume as JSON
    networks           id PRIMARY KEY | name UNIQUE | record        record: a Network as JSON
    volume_users       container | volume                           whose names the other two must have
    idempotency_keys   key PRIMARY KEY | container_id UNIQUE | record        record: a KeptKey; goes with its container
    set_aside          what could not be read (records.py)

One writer thread drains its queue into one transaction (`BatchThread`), and nobody is answered before its commit has
returned: with WAL and synchronous=FULL that is one fsync for all who waited. One reader thread reads beside it. The log is
copied into the database when nothing has been written for a while, or by the commit that fills it.
`name UNIQUE` is the second fence behind the allocator, for the moment after that has crashed and forgotten what it reserved; the
references of `volume_users` are that behind the volumes actor: no container without its volumes, no volume removed while in use.

A full disk refuses the writes of that batch and the daemon lives on. Any other error of the disk raises, which crashes this
actor, and its supervisor has no budget for that: the daemon ends and recovers at its next start. An fsync that failed is
never tried again (its pages count as clean afterwards: "Can applications recover from fsync failures?", ATC 20).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, closing
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import msgspec

from actors import ActorContext, BatchThread, Deferred
from daemon.container import Container
from daemon.errors import (
    DaemonError,
    NotFound,
    System,
    disk_full,
)
from daemon.image import Image
from daemon.network import Network
from daemon.storage.disk import disk
from daemon.storage.findings import Records
from daemon.storage.outline import footing_in, summary_in
from daemon.storage.pages import read_pages
from daemon.storage.records import UNREADABLE, as_json, read_all, read_names, read_records
from daemon.storage.reserve import Reserve
from daemon.storage.schema import (
    container_of,
    grow_log,
    hold_index,
    open_database,
    open_for_reading,
    volumes_of,
)
from daemon.storage.writes import COPY_LOG, OnCommit, Statement, Write, commit, copy_log, restart_log
from daemon.summary import ContainerNames, ContainerSummary
from daemon.volume import Volume, no_such_volume

COMMIT_BATCH_MAX = 256
"""Writes in one transaction: more would let the first wait for the last without saving a measurable part of the fsync."""

READ_BATCH_MAX = 64

IDLE_S = 0.25
"""Without a write: nobody is likely to wait if the log is copied into the database now. Otherwise it is when it has reached its
length, and all who create then wait for that."""

COPIED_WRITES_MIN = 256
"""Since it was copied last. Below that it has hardly grown, and a commit now and then is not to cost two more syncs."""

T = TypeVar("T")


class KeptKey(msgspec.Struct, frozen=True, kw_only=True):
    """What a key of idempotency stands for: the container that was created, and what its client was told."""

    key: str
    fingerprint: str
    container_id: str
    warnings: tuple[str, ...] = ()


class Database:
    """The actor that owns the file. Every method answers when the thing is done, and a write when it is durable."""

    def __init__(self, path: Path, *, log_bytes_max: int = 0, on_commit: OnCommit = lambda _, __: None) -> None:
        """`log_bytes_max` is the size that the log is given before it is used, where there is space enough; with 0 all is left
        to SQLite, which copies it when it is long. `on_commit` is told in the writer's thread."""
        self._path = path
        self._log_bytes_max = log_bytes_max
        self._on_commit = on_commit
        self._reserve = Reserve(path.parent)
        self._written = 0
        """Writes that were asked for; below, those that have been answered, and those that the log was copied after."""
        self._done = 0
        self._copied = 0
        self._is_looked_at = False
        """Whether a timer is set, to copy the log if there are no writes until then."""
        self._removed_images: set[str] = set()
        """No container comes to have one of these: creates that found one before it was removed are under way."""

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            with disk("look for room"):
                self._reserve.open()
            self._connection = stack.enter_context(closing(open_database(self._path)))
            self._reading = stack.enter_context(closing(open_for_reading(self._path)))
            self._writer: BatchThread[Write, object] = await stack.enter_async_context(
                BatchThread(self._commit, name="database writer", batch_max=COMMIT_BATCH_MAX)
            )
            self._reader: BatchThread[Callable[[sqlite3.Connection], object], object]
            self._reader = await stack.enter_async_context(
                BatchThread(self._read, name="database reader", batch_max=READ_BATCH_MAX)
            )
            await self._submit_read(lambda _: self._make_room())
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, traceback)
        self._reserve.leave()

    def insert_container(
        self, container: Container, volumes: Sequence[Volume] = (), key: KeptKey | None = None
    ) -> Deferred[tuple[Volume, ...]]:
        """The container, the key it was asked for with, the volumes that were made for it, and that it uses those and others.

        Answers which of `volumes` are new with it: another container that they were made for, too, may have been first.

        Raises:
            Conflict: its name or the key is taken, or a volume that it uses has been removed.
            NotFound: its image has been removed meanwhile.
            System: the disk is full.
        """
        if container.image_id in self._removed_images:
            raise NotFound(f"No such image: {container.config.image}")
        insert = ("INSERT INTO containers VALUES (?, ?, ?)", (container.id, container.name, _encode(container)))
        made = [("INSERT OR IGNORE INTO volumes VALUES (?, ?)", (volume.name, _encode(volume))) for volume in volumes]
        claims = (
            []
            if key is None
            else [("INSERT INTO idempotency_keys VALUES (?, ?, ?)", (key.key, container.id, _encode(key)))]
        )
        uses = [("INSERT INTO volume_users VALUES (?, ?)", (container.id, name)) for name in volumes_of(container)]
        text = f"a volume of container {container.name} has been removed, try again"
        write = Write(
            (insert, *claims, *made, *uses),
            name=container.name,
            must_refer=text,
            key=key.key if key is not None else "",
            answer=lambda changed: tuple(
                volume for volume, rows in zip(volumes, changed[1 + len(claims) :], strict=False) if rows
            ),
        )
        return self._submit_write(write)

    def rename_container(self, container_id: str, name: str) -> Deferred[None]:
        update = ("UPDATE containers SET name = ? WHERE id = ?", (name, container_id))
        return self._submit_write(Write((update,), must_change=f"No such container: {container_id}", name=name))

    def update_container(self, container: Container) -> Deferred[None]:
        """Another record for a container that is there; its name stays as it is."""
        update = ("UPDATE containers SET record = ? WHERE id = ?", (_encode(container), container.id))
        return self._submit_write(Write((update,), must_change=f"No such container: {container.id}"))

    def delete_container(self, container_id: str, volume_names: Sequence[str] = ()) -> Deferred[None]:
        """The container, and volumes that only it has used, or neither.

        Raises:
            NotFound: there is none.
            Conflict: another container uses one of the volumes.
            System: the disk is full.
        """
        delete = ("DELETE FROM containers WHERE id = ?", (container_id,))
        return self._submit_write(
            Write(
                (delete, *(("DELETE FROM volumes WHERE name = ?", (name,)) for name in volume_names)),
                must_change=f"No such container: {container_id}",
                must_refer=f"a volume of container {container_id} is in use, try again",
                is_removal=True,
            )
        )

    def insert_volume(self, volume: Volume) -> Deferred[None]:
        """Harmless twice. Raises System: the disk is full."""
        insert = ("INSERT OR IGNORE INTO volumes VALUES (?, ?)", (volume.name, _encode(volume)))
        return self._submit_write(Write((insert,)))

    def delete_volume(self, name: str) -> Deferred[None]:
        """Raises NotFound, Conflict (a container uses it), System (the disk is full)."""
        delete = ("DELETE FROM volumes WHERE name = ?", (name,))
        return self._submit_write(
            Write(
                (delete,),
                must_change=str(no_such_volume(name)),
                must_refer=f"remove {name}: volume is in use",
                is_removal=True,
            )
        )

    def insert_image(self, image: Image, references: Sequence[str]) -> Deferred[None]:
        """The image, and each reference pointing at it, wherever it pointed before."""
        self._removed_images.discard(image.id)
        insert = ("INSERT OR REPLACE INTO images VALUES (?, ?)", (image.id, _encode(image)))
        point = [("INSERT OR REPLACE INTO image_references VALUES (?, ?)", (name, image.id)) for name in references]
        return self._submit_write(Write((insert, *point)))

    def delete_references(self, references: Sequence[str]) -> Deferred[None]:
        """Harmless twice."""
        return self._submit_write(
            Write(tuple(_delete_reference(reference) for reference in references), is_removal=True)
        )

    def delete_image(self, image_id: str, references: Sequence[str]) -> Deferred[None]:
        """The image and these references to it, or nothing of it.

        Raises:
            NotFound: there is no such image, or a container has it.
        """
        # From now on, in the order of asking: what was asked to be inserted before is seen by the statement.
        self._removed_images.add(image_id)
        delete = (
            "DELETE FROM images WHERE id = ?1 AND NOT EXISTS "
            "(SELECT 1 FROM containers WHERE json_extract(CAST(record AS TEXT), '$.image_id') = ?1)",
            (image_id,),
        )
        statements = (delete, *map(_delete_reference, references))
        return self._submit_write(Write(statements, must_change=f"No such image: {image_id}", is_removal=True))

    def insert_network(self, network: Network) -> Deferred[None]:
        """Raises Conflict: its name is taken; System: the disk is full."""
        insert = ("INSERT INTO networks VALUES (?, ?, ?)", (network.id, network.name, _encode(network)))
        return self._submit_write(Write((insert,), network_name=network.name))

    def delete_network(self, network_id: str) -> Deferred[None]:
        """Harmless twice."""
        return self._submit_write(Write((("DELETE FROM networks WHERE id = ?", (network_id,)),), is_removal=True))

    def container(self, container_id: str) -> Deferred[Container | None]:
        def read(connection: sqlite3.Connection) -> Container | None:
            query = "SELECT name, record FROM containers WHERE id = ?"
            row = connection.execute(query, (container_id,)).fetchone()
            try:
                return container_of(*row) if row else None
            except UNREADABLE as error:
                raise System(f"the record of container {container_id} is damaged") from error

        return self._submit_read(read)

    def records(self) -> Deferred[Records]:
        """All that recovery goes by."""
        return self._submit_read(lambda connection: read_records(connection, footing_in))

    def summaries(self) -> Deferred[tuple[ContainerSummary, ...]]:
        """Of every container."""
        return self._submit_read(lambda connection: read_all(connection, "containers", summary_in))

    def names(self) -> Deferred[tuple[ContainerNames, ...]]:
        """Of every container."""
        return self._submit_read(read_names)

    def kept_key(self, key: str) -> Deferred[KeptKey | None]:
        query = "SELECT record FROM idempotency_keys WHERE key = ?"

        def read(connection: sqlite3.Connection) -> KeptKey | None:
            row = connection.execute(query, (key,)).fetchone()
            return msgspec.json.decode(row[0], type=KeptKey) if row else None

        return self._submit_read(read)

    def kept_keys(self) -> Deferred[tuple[KeptKey, ...]]:
        return self._submit_read(lambda connection: read_all(connection, "idempotency_keys", as_json(KeptKey)))

    def images(self) -> Deferred[tuple[Image, ...]]:
        return self._submit_read(lambda connection: read_all(connection, "images", as_json(Image)))

    def image_references(self) -> Deferred[tuple[tuple[str, str], ...]]:
        """(reference, image id) of every reference."""
        return self._submit_read(
            lambda connection: tuple(connection.execute("SELECT reference, image_id FROM image_references"))
        )

    def volumes(self) -> Deferred[tuple[Volume, ...]]:
        return self._submit_read(lambda connection: read_all(connection, "volumes", as_json(Volume)))

    def networks(self) -> Deferred[tuple[Network, ...]]:
        return self._submit_read(lambda connection: read_all(connection, "networks", as_json(Network)))

    def volume_users(self) -> Deferred[tuple[tuple[str, str], ...]]:
        """(volume, id of a container that uses it) for all of them."""

        def read(connection: sqlite3.Connection) -> tuple[tuple[str, str], ...]:
            pages = read_pages(connection, "volume_users", ("container", "volume"), unique=2)
            return tuple((volume, container_id) for rows, _ in pages for container_id, volume in rows)

        return self._submit_read(read)

    def copy_log(self, written: int) -> Deferred[None]:
        """From a timer: if nothing has been written since, or is being written, the log is copied; else it is looked at later."""
        if written == self._written == self._done:
            self._is_looked_at = False  # what could not be copied is tried again after the next write
            return self._writer.submit(COPY_LOG)  # type: ignore[return-value]  # as below
        self._look_later()
        nothing: Deferred[None] = Deferred()
        nothing.resolve(None)
        return nothing

    def _look_later(self) -> None:
        self._is_looked_at = True
        ActorContext.of(self).after(IDLE_S, Database.copy_log, self._written)

    def _submit_write(self, write: Write) -> Deferred[T]:
        self._written += 1
        if self._written - self._copied >= COPIED_WRITES_MIN and self._log_bytes_max and not self._is_looked_at:
            self._look_later()
        # The writer's jobs differ in what they answer; each Deferred is typed by its own.
        return self._writer.submit(write)  # type: ignore[return-value]

    def _submit_read(self, read: Callable[[sqlite3.Connection], T]) -> Deferred[T]:
        # The reader's jobs differ in what they return; each Deferred is typed by its own.
        return self._reader.submit(read)  # type: ignore[return-value]

    def _read(self, jobs: Sequence[Callable[[sqlite3.Connection], object]]) -> list[object]:
        return [_outcome_of(job, self._reading) for job in jobs]

    def _make_room(self) -> None:
        hold_index(self._path, self._log_bytes_max)
        grow_log(self._path, self._log_bytes_max)
        self._reserve.hold()

    def _commit(self, writes: Sequence[Write]) -> Sequence[object]:
        if writes == [COPY_LOG]:
            if copy_log(self._connection):
                self._copied = self._done
            return [None]
        try:
            return self._commit_all(writes)
        finally:
            self._done += len(writes) - writes.count(COPY_LOG)

    def _commit_all(self, writes: Sequence[Write]) -> Sequence[object]:
        if self._reserve.is_short:
            self._reserve.hold()
        if not self._reserve.is_short:
            outcomes = commit(self._connection, writes, self._on_commit)
            if outcomes is not None:
                return outcomes
            self._reserve.release()
            restart_log(self._connection)  # while there is room for what it makes longer
        removals = [write for write in writes if write.is_removal]
        done = iter(self._commit_removals(removals) if removals else ())
        return [next(done) if write.is_removal else disk_full() for write in writes]

    def _commit_removals(self, removals: Sequence[Write]) -> Sequence[object]:
        outcomes = commit(self._connection, removals, self._on_commit)
        if outcomes is None and restart_log(self._connection):
            outcomes = commit(self._connection, removals, self._on_commit)
        return outcomes or [disk_full() for _ in removals]


def _outcome_of(job: Callable[[sqlite3.Connection], object], connection: sqlite3.Connection) -> object:
    try:
        return job(connection)
    except DaemonError as error:
        return error


def _delete_reference(reference: str) -> Statement:
    return "DELETE FROM image_references WHERE reference = ?", (reference,)


def _encode(record: Container | Image | Volume | Network | KeptKey) -> bytes:
    return msgspec.json.encode(record)
