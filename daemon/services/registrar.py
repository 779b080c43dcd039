"""The containers that exist, in memory: what `ps` lists and what a name, an id or a prefix of one means.

Rebuilt from the database at each start. A container is entered after its record is durable (unlike Moby, which shows it
first), and leaves after its record is gone. Summaries only: whoever wants all of a container reads its record.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

import anyio

from actors import Deferred, Ref
from daemon.container import link_name
from daemon.errors import Conflict, InvalidParameter, NotFound
from daemon.services.claims import Claim, Claims
from daemon.storage.database import Database
from daemon.summary import ContainerSummary


class ContainerIndex:
    """The synchronous core: summaries by id, ids by name, links included, and by image."""

    def __init__(self, summaries: Iterable[ContainerSummary] = ()) -> None:
        self._summaries = {summary.id: summary for summary in summaries}
        self._ids = {summary.name: summary.id for summary in self._summaries.values()}
        self._users: dict[str, dict[str, None]] = {}
        """Of each image, oldest first."""
        for summary in tuple(self._summaries.values()):
            if summary.links:
                self._link(summary)
            self._users.setdefault(summary.image_id, {})[summary.id] = None

    def __len__(self) -> int:
        return len(self._summaries)

    def add(self, summary: ContainerSummary) -> None:
        """A new container, or another state of one that there is."""
        if (known := self._summaries.get(summary.id)) is not None:
            self._unlink(known)
            if self._ids.get(known.name) == known.id:
                del self._ids[known.name]
            summary = summary.known_as(self._summaries[known.id].linked_as)
        self._summaries[summary.id] = summary
        self._ids[summary.name] = summary.id
        self._users.setdefault(summary.image_id, {})[summary.id] = None
        self._link(summary)

    def discard(self, container_id: str) -> None:
        if (known := self._summaries.get(container_id)) is not None:
            self._unlink(known)
            del self._summaries[container_id]
            for name in (known.name, *known.linked_as):
                if self._ids.get(name) == container_id:
                    del self._ids[name]
            users = self._users[known.image_id]
            del users[container_id]
            if not users:
                del self._users[known.image_id]

    def get(self, container_id: str) -> ContainerSummary | None:
        return self._summaries.get(container_id)

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

    def named(self, names: frozenset[str]) -> tuple[ContainerSummary, ...]:
        found = (self._summaries[self._ids[name]] for name in names if name in self._ids)
        return tuple(summary for summary in found if summary.name in names)

    def all(self) -> tuple[ContainerSummary, ...]:
        return tuple(self._summaries.values())

    def user_of_image(self, image_id: str) -> str | None:
        """The container that has had it longest."""
        return next(iter(self._users.get(image_id, ())), None)

    def users_by_image(self) -> dict[str, int]:
        """How many containers have each image that is in use."""
        return {image_id: len(users) for image_id, users in self._users.items()}

    def rename(self, container_id: str, name: str) -> None:
        if (summary := self._summaries.get(container_id)) is not None:
            self.add(summary.renamed(name))

    def linking(self, name: str) -> ContainerSummary | None:
        """The container that has a link of that name."""
        name = name.removeprefix("/")
        return next(
            (
                summary
                for summary in self._summaries.values()
                if any(link_name(summary.name, link.alias) == name for link in summary.links)
            ),
            None,
        )

    def _link(self, summary: ContainerSummary) -> None:
        for link in summary.links:
            name, linked = link_name(summary.name, link.alias), self._summaries.get(link.container_id)
            if linked is not None and name not in self._ids:
                self._ids[name] = linked.id
                self._summaries[linked.id] = linked.known_as((*linked.linked_as, name))

    def _unlink(self, summary: ContainerSummary) -> None:
        for link in summary.links:
            name, linked = link_name(summary.name, link.alias), self._summaries.get(link.container_id)
            if linked is not None and name in linked.linked_as:
                del self._ids[name]
                left = (each for each in linked.linked_as if each != name)
                self._summaries[linked.id] = linked.known_as(left)


class RemovalWatch:
    """Tells one waiter that a container is gone, or that the registrar, which was to tell it, is."""

    def __init__(self) -> None:
        self._news = anyio.Event()

    def notify(self) -> None:
        self._news.set()

    async def wait(self) -> None:
        """Return when it is time to ask the registrar again."""
        await self._news.wait()


class Registrar:
    def __init__(self, database: Ref[Database]) -> None:
        self._database = database
        self._index = ContainerIndex()
        self._claims = Claims()
        self._pruner: Claim | None = None
        self._watches: dict[str, set[RemovalWatch]] = {}

    async def __aenter__(self) -> Self:
        self._index = ContainerIndex(await self._database.ask(Database.summaries))
        return self

    async def __aexit__(self, *_: object) -> None:
        for watches in self._watches.values():
            for watch in watches:
                watch.notify()

    async def register(self, summary: ContainerSummary) -> None:
        """Make it visible. Harmless twice."""
        self._index.add(summary)

    async def find(self, name_or_id: str) -> ContainerSummary:
        return self._index.find(name_or_id)

    async def linking(self, name: str) -> ContainerSummary:
        """The container that has a link of that name.

        Raises:
            Conflict: it is no link's, but a container's own.
            NotFound, InvalidParameter: as `find`.
        """
        self._index.find(name)
        summary = self._index.linking(name)
        if summary is None:
            raise Conflict("Conflict, cannot remove the default link name of the container")
        return summary

    async def list(self) -> tuple[ContainerSummary, ...]:
        """A snapshot, oldest first."""
        return self._index.all()

    async def named(self, names: frozenset[str]) -> tuple[ContainerSummary, ...]:
        """Those that have one of these names, and not only a link's."""
        return self._index.named(names)

    async def user_of_image(self, image_id: str) -> str | None:
        """See `ContainerIndex.user_of_image`."""
        return self._index.user_of_image(image_id)

    async def users_by_image(self) -> dict[str, int]:
        """See `ContainerIndex.users_by_image`."""
        return self._index.users_by_image()

    def claim(self, name_or_id: str, claim: Claim) -> Deferred[ContainerSummary]:
        """The container, once it is this claim's turn to change it. `release` must follow, whatever comes of it.

        Raises:
            RemovalInProgress: it is going to be removed.
            NotFound: there is none, or none any more; and as `find`.
        """
        answer: Deferred[ContainerSummary] = Deferred()
        container_id = self._index.find(name_or_id).id

        def settle(has_turn: bool) -> None:
            summary = self._index.get(container_id)  # looked up again: whoever was before may have renamed it
            if (
                summary is None or not has_turn
            ):  # if it gave up nobody reads this, but an actor does not stop while it owes
                answer.fail(NotFound(f"No such container: {name_or_id}"))
            else:
                answer.resolve(summary)

        self._claims.join(container_id, claim, settle, called=name_or_id)
        return answer

    async def claim_pruning(self, claim: Claim) -> None:
        """Of containers or networks: one at a time. Raises Conflict; `release` must follow."""
        if self._pruner is not None:
            raise Conflict("a prune operation is already running")
        self._pruner = claim

    async def release(self, claim: Claim) -> None:
        """The change is done, or will not be. Harmless twice, and for a claim that never arrived."""
        if self._pruner is claim:
            self._pruner = None
        container_id = self._claims.leave(claim)
        if container_id is not None and self._index.get(container_id) is None:
            for watch in self._watches.pop(container_id, ()):
                watch.notify()

    async def watch_removal(self, container_id: str, watch: RemovalWatch) -> bool:
        """Whether there is anything to wait for: else the container is gone. `unwatch` must follow."""
        if self._index.get(container_id) is None and container_id not in self._claims:
            return False
        self._watches.setdefault(container_id, set()).add(watch)
        return True

    async def unwatch(self, container_id: str, watch: RemovalWatch) -> None:
        """Harmless twice."""
        watches = self._watches.get(container_id, set())
        watches.discard(watch)
        if not watches:
            self._watches.pop(container_id, None)

    async def rename(self, container_id: str, name: str) -> None:
        self._index.rename(container_id, name)

    async def remove(self, container_id: str) -> None:
        """Make it invisible. Harmless twice. Who waits for its removal is told when the claim for it is released."""
        self._index.discard(container_id)
