"""What a part is: how one engine is tried, and what is told of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Generic, TypeVar

import attrs

from contrib.reliability.site import Subject
from loadtest import HarnessError

F = TypeVar("F")


@attrs.frozen
class Column:
    """Of one engine."""

    cells: tuple[str, ...]
    is_broken: bool
    """Whether a promise is, of those that ours makes."""


@attrs.frozen(kw_only=True)
class Part(Generic[F]):
    name: str
    examine: Callable[[Subject], F]
    """May raise NotHere, HarnessError."""
    rows: tuple[tuple[str, Callable[[F], str]], ...]
    is_broken: Callable[[F], bool]

    def column(self, subject: Subject) -> Column:
        """Raises NotHere."""
        try:
            found = self.examine(subject)
        except HarnessError as error:
            return Column(tuple(f"({str(error).splitlines()[0]})" for _ in self.rows), is_broken=True)
        return Column(tuple(cell(found) for _, cell in self.rows), is_broken=self.is_broken(found))

    def table(self, columns: Mapping[str, Column]) -> str:
        """Markdown."""
        lines = [f"| | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
        for number, (title, _) in enumerate(self.rows):
            lines.append(f"| {title} | {' | '.join(each.cells[number] for each in columns.values())} |")
        return "\n".join(lines)


def plain(text: str, home: Path) -> str:
    """Without what is another each time, and for one line of a table."""
    text = re.sub(r"\b(?:[0-9a-f]{12,64}|[0-9A-Z]{26})\b", "ID", text.replace(str(home), "/HOME"))
    return re.sub(r"\d{6,}", "N", re.sub(r"\s+", " ", text)).replace("|", "\\|")
