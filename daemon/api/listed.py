"""The container list's views as JSON, encoded once for each state of a container: the list is asked for far more often.

A summary is replaced when its container changes, so an entry holds as long as the summary it was made from is the one that is
listed, and the image is still called the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs
import msgspec

from daemon.api.views import ANNOTATIONS_SINCE, summary_view
from daemon.summary import ContainerSummary

SPARE_MAX = 1024
"""Views that are kept of containers that are there no more."""


@attrs.frozen
class _Entry:
    summary: ContainerSummary
    image: str
    has_annotations: bool
    view: msgspec.Raw


class ListedViews:
    """`root` is the data root, which views name."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._entries: dict[str, _Entry] = {}

    def view(self, summary: ContainerSummary, image: str, api_version: tuple[int, int]) -> msgspec.Raw:
        """As `summary_view` without sizes; `image` is how its image is called."""
        has_annotations = api_version >= ANNOTATIONS_SINCE
        entry = self._entries.get(summary.id)
        if (
            entry is None
            or entry.summary is not summary
            or entry.image != image
            or entry.has_annotations != has_annotations
        ):
            view = msgspec.Raw(msgspec.json.encode(summary_view(summary, image, self._root, api_version=api_version)))
            self._entries[summary.id] = entry = _Entry(summary, image, has_annotations, view)
        return entry.view

    def forget_others(self, present: Sequence[ContainerSummary]) -> None:
        """Drop what is kept of containers that are not `present`, if that is much."""
        if len(self._entries) > len(present) + SPARE_MAX:
            ids = {summary.id for summary in present}
            self._entries = {key: entry for key, entry in self._entries.items() if key in ids}
