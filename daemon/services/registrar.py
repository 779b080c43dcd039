"""The containers that exist, in memory: what `ps` lists and what a name, an id or a prefix of one means.

Rebuilt from the database at each start. A container is entered after its record is durable (unlike Moby, which shows it
first), and leaves after its record is gone. Summaries only: whoever wants all of a container reads its record.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

import attrs

from actors import Ref
from daemon.container import ContainerSummary, summary_of
from daemon.errors import Conflict, InvalidParameter, NotFound
from daemon.storage.database import Database


class ContainerIndex:
    """The synchronous core: summaries by id, ids by name, and who is being changed."""

    def __init__(self, summaries: Iterable[ContainerSummary] = ()) -> None:
        self._summaries = {summary.id: summary for summary in summaries}
        self._ids = {summary.name: summary.id for summary in self._summaries.values()}
        self._changing: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._summaries)

    def add(self, summary: ContainerSummary) -> None:
        self._summaries[summary.id] = summary
        self._ids[summary.name] = summary.id

    def discard(self, container_id: str) -> None:
        summary = self._summaries.pop(container_id, None)
        if summary is not None and self._ids.get(summary.name) == container_id:
            del self._ids[summary.name]
        self._changing.pop(container_id, None)

    def find(self, name_or_id: str) -> ContainerSummary:
        """By whole id, else by name, else by a prefix of the id (moby daemon/container.go GetContainer).

        Raises:
            InvalidParameter: it is empty, or a prefix of several ids.
            NotFound: there is none.
        """
        if not name_or_id:
            raise InvalidParameter('invalid name or ID supplied: ""')
        if (summary := self._summaries.get(name_or_id)) is not None:
            return summary
        if (container_id := self._ids.get(name_or_id.removeprefix("/"))) is not None:
            return self._summaries[container_id]
        matches = [container_id for container_id in self._summaries if container_id.startswith(name_or_id)]
        if len(matches) > 1:
            raise InvalidParameter(f"multiple IDs found with provided prefix: {name_or_id}")
        if not matches:
            raise NotFound(f"No such container: {name_or_id}")
        return self._summaries[matches[0]]

    def all(self) -> tuple[ContainerSummary, ...]:
        return tuple(self._summaries.values())

    def begin_change(self, name_or_id: str, change: str) -> ContainerSummary:
        """Claim a container for a change that takes several steps: one at a time.

        Raises:
            Conflict: another change is under way; and as `find`.
        """
        summary = self.find(name_or_id)
        if (under_way := self._changing.get(summary.id)) is not None:
            raise Conflict(f"{under_way} of container {name_or_id} is already in progress")
        self._changing[summary.id] = change
        return summary

    def end_change(self, container_id: str) -> None:
        self._changing.pop(container_id, None)

    def rename(self, container_id: str, name: str) -> None:
        summary = self._summaries.get(container_id)
        if summary is not None:
            if self._ids.get(summary.name) == container_id:
                del self._ids[summary.name]
            self.add(attrs.evolve(summary, name=name))


class Registrar:
    def __init__(self, database: Ref[Database]) -> None:
        self._database = database
        self._index = ContainerIndex()

    async def __aenter__(self) -> Self:
        self._index = ContainerIndex(map(summary_of, await self._database.ask(Database.containers)))
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def register(self, summary: ContainerSummary) -> None:
        """Make it visible. Harmless twice."""
        self._index.add(summary)

    async def find(self, name_or_id: str) -> ContainerSummary:
        return self._index.find(name_or_id)

    async def list(self) -> tuple[ContainerSummary, ...]:
        """A snapshot, oldest first."""
        return self._index.all()

    async def begin_change(self, name_or_id: str, change: str) -> ContainerSummary:
        """See `ContainerIndex.begin_change`; `end_change`, or `remove`, must follow."""
        return self._index.begin_change(name_or_id, change)

    async def end_change(self, container_id: str) -> None:
        self._index.end_change(container_id)

    async def rename(self, container_id: str, name: str) -> None:
        self._index.rename(container_id, name)

    async def remove(self, container_id: str) -> None:
        """Make it invisible. Harmless twice."""
        self._index.discard(container_id)
