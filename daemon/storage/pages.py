"""A table read in pages, each of them in one step of SQLite.

The interpreter is given up for every step, and had again when the event loop lets go of it: an actor that is restarted while
clients create would wait for each row that it reads, and they for it. So SQLite puts the rows of a page together by itself.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

PAGE_ROWS = 512

_ROWS = msgspec.json.Decoder(list[list[Any]])


def read_pages(
    connection: sqlite3.Connection, source: str, columns: Sequence[str], *, unique: int = 1, joined: str = "''"
) -> Iterator[tuple[list[list[Any]], bytes]]:
    """Of each page the `columns` of its rows, as JSON has them, and what the rows have `joined`, in one piece.

    The first `unique` of the columns are the order; together no two rows have the same. What is written meanwhile may be there
    or not, as if it had been read a little later.
    """
    order = ", ".join(columns[:unique])
    page = (
        f"SELECT json_group_array(json_array({', '.join(columns)})), CAST(group_concat({joined}, '') AS BLOB) "
        f"FROM (SELECT * FROM {source} {{where}} ORDER BY {order} LIMIT {PAGE_ROWS})"
    )
    query, after = page.format(where=""), list[Any]()
    while True:
        found, content = connection.execute(query, after).fetchone()
        rows = _ROWS.decode(found)
        yield rows, content or b""
        if len(rows) < PAGE_ROWS:
            return
        query, after = page.format(where=f"WHERE ({order}) > ({', '.join('?' * unique)})"), rows[-1][:unique]
