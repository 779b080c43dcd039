"""The database's rows read as records. One that cannot be read is set aside, and hinders neither the start nor the others.

    set_aside   kind, key PRIMARY KEY | name | record | reason      kind: the table that the row was in, key: its key there

A row that is set aside gives its name back and is no longer used; its bytes stay in this table, and what it names on the disk
stays where it is, for whoever can make sense of them.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import attrs
import msgspec

from daemon.container import Container
from daemon.errors import System
from daemon.image import Image
from daemon.storage.findings import Records
from daemon.storage.outline import Footing, links_in
from daemon.storage.pages import read_pages
from daemon.storage.schema import container_of, open_database, open_for_reading
from daemon.summary import ContainerNames
from daemon.volume import Volume

_log = logging.getLogger(__name__)

DATABASE_NAME = "boatyard.db"

T = TypeVar("T")

_KEYS = {"containers": "id", "images": "id", "volumes": "name", "networks": "id", "idempotency_keys": "key"}
_NAMED = ("containers", "networks")

_USES = {
    "images": ("DELETE FROM image_references WHERE image_id = ?",),
    "volumes": ("DELETE FROM volume_users WHERE volume = ?",),
}
"""What refers to a row and does not go with it by itself."""

JOINED_BYTES_MAX = 16 * 1024
"""Of a record that is read with its page, which so has eight megabytes at most; a longer one is read by itself."""

NO_LINKS = b'"links":[]}'
"""What the record of a container that has none ends with."""

_IF_LINKED = f"CASE WHEN substr(record, -{len(NO_LINKS)}) = X'{NO_LINKS.hex()}' THEN X'' ELSE record END"

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, TypeError, ValueError, RecursionError)


@attrs.frozen
class Unreadable:
    table: str
    key: str
    reason: str


def read_all(connection: sqlite3.Connection, table: str, decode: Callable[[str, bytes], T]) -> tuple[T, ...]:
    """Every record of a table, given its key (or its name, where it has one) and its bytes.

    Those that cannot be read are set aside in the file of `connection`, which may be for reading only.
    """
    found, unreadable = try_all(connection, table, decode)
    if unreadable:
        (path,) = (path for _, name, path in connection.execute("PRAGMA database_list") if name == "main")
        try:
            set_aside(Path(path), unreadable)
        except (sqlite3.OperationalError, System) as error:  # a full disk: they are left out all the same
            _log.error("records that cannot be read stay where they are: %s", error)
    return found


def as_json(kind: type[T]) -> Callable[[str, bytes], T]:
    """Decodes records that are no more than that."""
    decode = msgspec.json.Decoder(kind).decode
    return lambda _, record: decode(record)


def try_all(
    connection: sqlite3.Connection, table: str, decode: Callable[[str, bytes], T]
) -> tuple[tuple[T, ...], tuple[Unreadable, ...]]:
    """The same, and what cannot be read."""
    found, unreadable = [], []
    for row_key, name, record in _rows(connection, table):
        try:
            found.append(decode(name, record))
        except UNREADABLE as error:
            unreadable.append(Unreadable(table, row_key, str(error)))
    return tuple(found), tuple(unreadable)


def read_names(connection: sqlite3.Connection) -> tuple[ContainerNames, ...]:
    """Of every container. Only those records are read that may have links: it takes a fifth of the time of reading all.

    One that cannot be read has none; it is for whoever reads all of it to set it aside.
    """
    found = []
    for container_id, name, record in _rows(connection, "containers", _IF_LINKED):
        try:
            links = links_in(record) if record else ()
        except UNREADABLE:
            links = ()
        found.append(ContainerNames(container_id, name, links))
    return tuple(found)


def _rows(connection: sqlite3.Connection, table: str, part: str = "record") -> Iterator[tuple[str, str, bytes]]:
    """The key, the name or else the key again, and the record, or that `part` of it, of every row; the oldest container first."""
    key = _KEYS[table]
    columns = (*(["rowid"] if table == "containers" else []), key, *(["name"] if table in _NAMED else []))
    key_at, name_at = columns.index(key), len(columns) - 1
    joined = f"CASE WHEN typeof(record) = 'blob' AND length(record) <= {JOINED_BYTES_MAX} THEN {part} END"
    source = f"(SELECT {', '.join(columns)}, {joined} AS record FROM {table})"
    for rows, content in read_pages(connection, source, (*columns, "length(record)"), joined="record"):
        begin = 0
        for row in rows:
            row_key, size = row[key_at], row[-1]
            if size is not None:
                yield row_key, row[name_at], content[begin : begin + size]
                begin += size
                continue
            alone = connection.execute(f"SELECT record FROM {table} WHERE {key} = ?", (row_key,)).fetchone()
            if alone is not None:  # else it has been removed meanwhile
                yield row_key, row[name_at], alone[0]


def set_aside(path: Path, rows: Sequence[Unreadable]) -> None:
    """In one transaction, durable when it returns. Raises sqlite3.Error."""
    with closing(open_database(path)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        for row in rows:
            key, name = _KEYS[row.table], "name" if row.table in _NAMED else "NULL"
            kept = (
                f"INSERT OR REPLACE INTO set_aside SELECT ?, {key}, {name}, record, ? FROM {row.table} WHERE {key} = ?"
            )
            connection.execute(kept, (row.table, row.reason, row.key))
            for use in _USES.get(row.table, ()):
                connection.execute(use, (row.key,))
            connection.execute(f"DELETE FROM {row.table} WHERE {key} = ?", (row.key,))
            _log.error("a record of %s cannot be read and is set aside: %s: %s", row.table, row.key, row.reason)
        connection.execute("COMMIT")


def read_records(connection: sqlite3.Connection, decode: Callable[[str, bytes], Container | Footing]) -> Records:
    """What recovery goes by, of containers what `decode` reads. Changes nothing: what cannot be read counts as set aside."""
    containers, lost = try_all(connection, "containers", decode)
    images, more = try_all(connection, "images", as_json(Image))
    volumes, most = try_all(connection, "volumes", as_json(Volume))
    before = connection.execute("SELECT kind, key FROM set_aside").fetchall() if _has_set_aside(connection) else []
    return Records(
        containers=containers,
        images=images,
        references=connection.execute("SELECT reference, image_id FROM image_references").fetchall(),
        volumes=volumes,
        set_aside=(*before, *((row.table, row.key) for row in (*lost, *more, *most))),
    )


def read_offline(path: Path, *, is_verifying: bool) -> tuple[Records, tuple[str, ...]]:
    """The records of a database that nobody uses, and what is wrong with its pages if that is asked. Raises System."""
    try:
        with closing(open_for_reading(path)) as connection:
            complaints = connection.execute("PRAGMA quick_check").fetchall() if is_verifying else [("ok",)]
            return read_records(connection, container_of), tuple(text for (text,) in complaints if text != "ok")
    except sqlite3.Error as error:
        raise System(f"cannot read the database: {error}") from error


def _has_set_aside(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'set_aside'").fetchone() is not None
