"""Tables read in pages: every row once, in order, however many there are and whatever is in them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from daemon.storage.pages import PAGE_ROWS, read_pages
from daemon.storage.records import JOINED_BYTES_MAX, try_all

COUNTS = (0, 1, PAGE_ROWS - 1, PAGE_ROWS, PAGE_ROWS + 1, 3 * PAGE_ROWS)


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE containers (id TEXT PRIMARY KEY, name TEXT, record BLOB)")
        connection.execute("CREATE TABLE volumes (name TEXT PRIMARY KEY, record BLOB) WITHOUT ROWID")
        connection.execute(
            "CREATE TABLE uses (container TEXT, volume TEXT, PRIMARY KEY (container, volume)) WITHOUT ROWID"
        )
        yield connection


@pytest.mark.parametrize("count", COUNTS)
def test_every_row_is_in_one_page_in_the_order_of_all_that_makes_it_unique(
    count: int, connection: sqlite3.Connection
) -> None:
    rows = [(f"c{number % 7}", f"v{number:04}") for number in range(count)]
    connection.executemany("INSERT INTO uses VALUES (?, ?)", rows)
    pages = [*read_pages(connection, "uses", ("container", "volume"), unique=2)]
    assert [tuple(row) for page, _ in pages for row in page] == sorted(rows)
    assert all(len(page) == PAGE_ROWS for page, _ in pages[:-1])
    assert not any(content for _, content in pages)


@pytest.mark.parametrize("count", COUNTS)
def test_records_come_with_their_keys_and_names_the_oldest_first(count: int, connection: sqlite3.Connection) -> None:
    rows = [(f"id{count - number:04}", f"name {number}", b"%d\n\0\xff" % number) for number in range(count)]
    connection.executemany("INSERT INTO containers VALUES (?, ?, ?)", rows)
    assert try_all(connection, "containers", lambda name, record: (name, record)) == (
        tuple((name, record) for _, name, record in rows),
        (),
    )


def test_a_record_that_is_long_or_no_bytes_at_all_takes_no_other_with_it(connection: sqlite3.Connection) -> None:
    records = {
        "empty": b"",
        "first": b"1",
        "just": b"j" * JOINED_BYTES_MAX,
        "long": b"l" * (JOINED_BYTES_MAX + 1),
        "none": None,
        "number": 17,
        "text": "ä",
        "wide": b"\xc3\xa4",
    }
    connection.executemany("INSERT INTO volumes VALUES (?, ?)", records.items())
    assert try_all(connection, "volumes", lambda name, record: (name, record)) == (tuple(records.items()), ())


def test_a_record_that_cannot_be_read_is_told_by_its_key(connection: sqlite3.Connection) -> None:
    connection.executemany("INSERT INTO containers VALUES (?, ?, ?)", [("i", "a", b"good"), ("j", "b", b"bad")])

    def decode(_: str, record: bytes) -> bytes:
        if record == b"bad":
            raise ValueError("no good")
        return record

    found, (unreadable,) = try_all(connection, "containers", decode)
    assert (found, unreadable.table, unreadable.key, unreadable.reason) == ((b"good",), "containers", "j", "no good")
