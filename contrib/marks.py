"""Tables that programs write into pages, each between two marks of its own."""

from __future__ import annotations


def between_marks(page: str, name: str, text: str) -> str:
    """`page`, with the lines of `text` in place of those between its marks of that name. Raises ValueError: there are none."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, has_begin, rest = page.partition(begin)
    _, has_end, after = rest.partition(end)
    if not (has_begin and has_end):
        raise ValueError(f"the page has no {begin} and {end}")
    return f"{before}{begin}\n{text.rstrip()}\n{end}{after}"
