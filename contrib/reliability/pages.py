"""Where the tables are: in the docs all of them, each between markers of its own, and in README.md some rows."""

from __future__ import annotations

from pathlib import Path

from contrib.marks import between_marks

SOURCES = Path(__file__).parents[2]
PAGE = SOURCES / "docs" / "reliability.md"
README = SOURCES / "README.md"

IN_SHORT = "in short"
"""The name of README's table."""

SHORT_ROWS = (
    "acknowledged creates missing after SIGKILL and SIGTERM",
    "acknowledged creates missing after a power cut",
    "acknowledged images lost after a power cut",
    "creates cut off by SIGTERM",
    "names of cut-off creates that cannot be given again",
    "entries left on the disk when everything is removed",
    "starts on a full disk",
    "fsync and fdatasync calls for a create, many clients",
)


def with_table(page: str, name: str, table: str) -> str:
    """`page`, with another table of that name. Raises ValueError: it has no place for it."""
    return between_marks(page, f"reliability, {name}", table)


def short_table(page: str) -> str:
    """The rows of `page` that README has. Raises ValueError: one is not there."""
    lines = page.splitlines()
    head = next(number for number, line in enumerate(lines) if line.startswith("| |"))
    rows = {line.split("|")[1].strip(): line for line in lines if line.startswith("| ")}
    if lacking := [title for title in SHORT_ROWS if title not in rows]:
        raise ValueError(f"the page has no row {lacking[0]!r}")
    return "\n".join([*lines[head : head + 2], *(rows[title] for title in SHORT_ROWS)])
