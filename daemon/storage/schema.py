"""The tables of the database, and the file opened with them in it: made where they are missing, in older files, too."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
from msgspec.structs import replace

from daemon.container import Container
from daemon.errors import DiskFull, System
from daemon.storage.disk import FREE_SHARE_MAX, disk, sync_directory, sync_file
from daemon.storage.failpoints import failpoint

CHECKPOINT_PAGES = 8000
"""In the write-ahead log when it is copied into the database, while the writer waits: after 3,000 creates or so, so that far
fewer than one in a hundred wait for that, with 16 clients."""
LOG_BYTES_MIN = 256 * 1024
"""Also on a full disk, as long as there is any space: enough for some removals, which make more."""

_ZEROS = bytes(1 << 20)
"""Written again and again: as many as a log is long would be made first, which takes longer than to write them."""

SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE containers (id TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL UNIQUE, record BLOB NOT NULL);
CREATE TABLE images (id TEXT PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE image_references (reference TEXT PRIMARY KEY, image_id TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE volumes (name TEXT PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID;
"""
"""Containers have a rowid, unlike the others: what is many and large is appended, and a commit changes the leaves of two indexes
besides. In the order of their ids, as the first databases have it, the same insert costs twice as much."""
NETWORKS = """
CREATE TABLE IF NOT EXISTS networks (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, record BLOB NOT NULL) WITHOUT ROWID;
"""
VOLUME_USERS = (
    """CREATE TABLE volume_users (
        container TEXT NOT NULL REFERENCES containers (id) ON DELETE CASCADE,
        volume TEXT NOT NULL REFERENCES volumes (name),
        PRIMARY KEY (container, volume)
    ) WITHOUT ROWID""",
    "CREATE INDEX users_by_volume ON volume_users (volume)",
)
"""Made where it is missing, from the containers' records: the first databases did not have it either."""
IDEMPOTENCY_KEYS = """
CREATE TABLE IF NOT EXISTS idempotency_keys (
    key TEXT PRIMARY KEY,
    container_id TEXT NOT NULL UNIQUE REFERENCES containers (id) ON DELETE CASCADE,
    record BLOB NOT NULL
) WITHOUT ROWID;
"""
SET_ASIDE = """
CREATE TABLE IF NOT EXISTS set_aside (
    kind TEXT NOT NULL, key TEXT NOT NULL, name TEXT, record BLOB NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (kind, key)
) WITHOUT ROWID;
"""
"""The networks, the keys and what is set aside (`records.py`) are made at every start where they are missing: the first databases
did not have them."""


def open_database(path: Path) -> sqlite3.Connection:
    """The database at `path`, made if there is none, durable from the first commit on.

    Raises:
        System: it was written by a newer version, is damaged, or the disk failed.
    """
    try:
        return _open_database(path)
    except sqlite3.Error as error:
        raise System(f"cannot open the database: {error}") from error


def _open_database(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    try:
        path.chmod(0o600)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        with closing(connection.execute("PRAGMA user_version")) as cursor:
            version = cursor.fetchone()[0]
        if version == 0:
            failpoint("schema.before_tables")
            connection.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
        elif version != SCHEMA_VERSION:
            raise System(f"the database has version {version}, this program knows {SCHEMA_VERSION}")
        connection.execute(NETWORKS)
        _add_volume_users(connection)
        connection.execute(IDEMPOTENCY_KEYS)
        connection.execute(SET_ASIDE)
    except BaseException:
        connection.close()
        raise
    sync_directory(path.parent)  # SQLite syncs the files, not their names; a first start may not have come this far
    return connection


def grow_log(path: Path, bytes_max: int) -> None:
    """Give the write-ahead log of the open database at `path` its size before anybody waits for it: `bytes_max`, or less where
    there is little space. From then on it is overwritten in place.

    An fsync of a file that grows waits for the journal of the file system, and for all else that is in it; that of a file whose
    blocks are there does not. What follows the last frame of a log is no frame, and is ignored (SQLite, "WAL-mode File
    Format"). The log goes when the database is closed.

    Raises System, SyncFailed.
    """
    with disk("make room for the database's log"):
        found = os.statvfs(path.parent)
        size = min(bytes_max, int(found.f_bavail * found.f_frsize * FREE_SHARE_MAX))
        size = max(size, min(bytes_max, LOG_BYTES_MIN))
        with contextlib.suppress(DiskFull), disk("grow"), path.with_name(f"{path.name}-wal").open("ab") as log:
            while (missing := size - log.tell()) > 0:
                log.write(_ZEROS[:missing])
        failpoint("schema.log_grown")
        sync_file(Path(log.name))


def hold_index(path: Path, log_bytes_max: int) -> None:
    """Give the index of the log, which SQLite maps into memory, all its blocks, if there are any left.

    SQLite writes a byte to every 4 KB of it. Where blocks are smaller the rest is a hole: on a full disk the first write there
    would be a SIGBUS. Raises System.
    """
    size = _INDEX_BYTES * (1 + log_bytes_max // (_INDEX_FRAMES * _PAGE_BYTES))
    index = path.with_name(f"{path.name}-shm").resolve()
    with contextlib.suppress(DiskFull), disk("make room for the index of the database's log"):
        # SQLite's own descriptors: with another one, when it is closed, all locks on the file would go.
        for descriptor in _DESCRIPTORS.iterdir():
            with contextlib.suppress(FileNotFoundError):  # those of other threads come and go
                if descriptor.readlink() == index:
                    os.posix_fallocate(int(descriptor.name), 0, size)


_DESCRIPTORS = Path("/proc/self/fd")
_PAGE_BYTES = 4096
_INDEX_BYTES = 32 << 10
_INDEX_FRAMES = 4062
"""Of the log, in the first part of the index, and a few more in each other (SQLite, "WAL-mode File Format")."""


def _add_volume_users(connection: sqlite3.Connection) -> None:
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'volume_users'").fetchone():
        return
    connection.execute("BEGIN IMMEDIATE")
    for statement in VOLUME_USERS:
        connection.execute(statement)
    for name, record in connection.execute("SELECT name, record FROM containers").fetchall():
        container = container_of(name, record)
        for volume in volumes_of(container):
            use = "INSERT INTO volume_users SELECT ?, name FROM volumes WHERE name = ?"
            connection.execute(use, (container.id, volume))
    connection.execute("COMMIT")


def volumes_of(container: Container) -> tuple[str, ...]:
    return tuple(dict.fromkeys(mount.name for mount in container.mounts if mount.type == "volume"))


def open_for_reading(path: Path) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode=ro"
    return sqlite3.connect(uri, uri=True, check_same_thread=False, isolation_level=None)


def container_of(name: str, record: bytes) -> Container:
    container = msgspec.json.decode(record, type=Container)
    return container if container.name == name else replace(container, name=name)
