"""Writes of the database, many in one transaction: each is carried out whole or is refused, which hinders none of the others."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence

import msgspec

from daemon.errors import Conflict, DaemonError, NotFound, key_in_use, name_in_use, network_name_in_use
from daemon.storage.failpoints import failpoint

Statement = tuple[str, tuple[object, ...]]
OnCommit = Callable[[int, float], None]
"""Told how many writes a commit was for, and how many seconds it took to make them durable."""


class Write(msgspec.Struct, frozen=True):
    """Statements that become durable together or not at all."""

    statements: tuple[Statement, ...]
    must_change: str = ""
    """If set, the first statement must change a row, or the write is refused as NotFound with this text."""
    name: str = ""
    """The container name that the first statement claims."""
    network_name: str = ""
    """The same, of a network."""
    must_refer: str = ""
    """If set, the write is refused as Conflict with this text where it would break a reference."""
    key: str = ""
    """The key of idempotency that the second claims, if there is one."""
    is_removal: bool = False
    """Whether it may use up the reserve of a full disk."""
    answer: Callable[[Sequence[int]], object] = lambda _: None
    """What to tell whoever asked for it, by how many rows each statement has changed."""


COPY_LOG = Write(())
"""Changes nothing, and has the log copied if no other write has come with it."""


def commit(connection: sqlite3.Connection, writes: Sequence[Write], on_commit: OnCommit) -> Sequence[object] | None:
    """The answers to all writes, which are durable; None if the disk is full, and nothing has changed."""
    outcomes: list[object] = []
    try:
        connection.execute("BEGIN IMMEDIATE")
        for write in writes:
            outcomes.append(_apply(connection, write))
        failpoint("database.before_commit")
        began = time.perf_counter()
        connection.execute("COMMIT")
        failpoint("database.after_commit")
        on_commit(len(writes), time.perf_counter() - began)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_FULL:
            raise
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        return None
    return outcomes


def copy_log(connection: sqlite3.Connection) -> bool:
    """Copy the log into the database as far as nobody reads what was before; whether that is all of it, and so it is overwritten
    from its beginning.

    A database that cannot grow, on a full disk or for a quota, is left as it is: the log has it all.
    """
    try:
        (_, pages, copied) = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode not in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE):
            raise
        return False
    return bool(pages == copied)


def restart_log(connection: sqlite3.Connection) -> bool:
    """Copy all of the log into the database and wait for readers, so that it is overwritten from its beginning: where that makes
    nothing longer, it can be done on a full disk."""
    try:
        (is_busy, _, _) = connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_FULL:
            raise
        return False
    return not is_busy


def _apply(connection: sqlite3.Connection, write: Write) -> object:
    """One write inside the batch's transaction: its answer, or its refusal, which undoes it alone."""
    is_compound = len(write.statements) > 1  # a single statement that fails leaves nothing to undo
    if is_compound:
        connection.execute("SAVEPOINT write")
    refusal: DaemonError | None = None
    changed: list[int] = []
    try:
        for statement, values in write.statements:
            changed.append(connection.execute(statement, values).rowcount)
            if write.must_change and not changed[0]:
                refusal = NotFound(write.must_change)
                break
    except sqlite3.IntegrityError as error:
        refusal = _refusal_of(connection, write, error)
        refusal.__cause__ = error
    if is_compound:
        if refusal is not None:
            connection.execute("ROLLBACK TO write")
        connection.execute("RELEASE write")
    return write.answer(changed) if refusal is None else refusal


def _refusal_of(connection: sqlite3.Connection, write: Write, error: sqlite3.IntegrityError) -> DaemonError:
    if error.sqlite_errorcode == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY and write.must_refer:
        return Conflict(write.must_refer)
    refusal = _taken(connection, write)
    if refusal is None:
        raise error  # an id drawn twice: a defect, not an answer
    return refusal


def _taken(connection: sqlite3.Connection, write: Write) -> DaemonError | None:
    """By which other row what this write claims is held."""
    if write.network_name:
        query = "SELECT id FROM networks WHERE name = ?"
        is_taken = connection.execute(query, (write.network_name,)).fetchone() is not None
        return network_name_in_use(write.network_name) if is_taken else None
    # A container that is inserted with a key that is taken has its row already, in this savepoint.
    own_id = write.statements[0][1][0]
    query = "SELECT id FROM containers WHERE name = ? AND id IS NOT ?"
    if (holder := connection.execute(query, (write.name, own_id)).fetchone()) is not None:
        return name_in_use(write.name, holder[0])
    query = "SELECT container_id FROM idempotency_keys WHERE key = ?"
    holder = connection.execute(query, (write.key,)).fetchone()
    return key_in_use(write.key, holder[0]) if holder is not None else None
