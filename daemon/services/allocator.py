"""The authority over names and ids: nobody else says yes to a name.

`NameIndex` is the synchronous core, one dictionary each way; `Allocator` is the actor around it. A name is *reserved* from
the start of a create and *kept* once its record is durable; what is not kept is released by the create's undo. After a crash
the index is rebuilt from the database, so reservations are forgotten; the database's UNIQUE is the fence for that moment.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from random import Random
from typing import Self

import attrs
import msgspec

from actors import Deferred
from daemon.container import Link, link_name
from daemon.errors import Cancelled, Conflict, name_in_use
from daemon.services.names import candidate_names, check_name
from daemon.summary import ContainerNames, ContainerSummary


class NameIndex:
    """Which container holds which name. A container holds one, during a rename two, and those by which others link to it."""

    def __init__(self, names: Iterable[tuple[str, str]] = ()) -> None:
        self._holders = {name: container_id for container_id, name in names}
        self._links: dict[str, tuple[Link, ...]] = {}

    def __len__(self) -> int:
        return len(self._holders)

    def reserve(self, container_id: str, name: str) -> None:
        """Idempotent for the same holder.

        Raises:
            Conflict: another container holds it.
        """
        holder = self._holders.setdefault(name, container_id)
        if holder != container_id:
            raise name_in_use(name, holder)

    def take(self, container_id: str, name: str) -> None:
        """As `reserve`, whoever holds it."""
        self._holders[name] = container_id

    def reserve_any(self, container_id: str, candidates: Iterable[str]) -> str:
        """The first candidate that is free.

        Raises:
            Conflict: none is.
        """
        for name in candidates:
            if self._holders.setdefault(name, container_id) == container_id:
                return name
        raise Conflict("no free name was found for the container")

    def reserve_links(self, container_id: str, name: str, links: tuple[Link, ...]) -> tuple[Link, ...]:
        """Those whose name was free: it is the linked container's now. A taken one is passed over, as in Docker.

        Idempotent for those that the container has already.
        """
        had, own = self._links.get(container_id, ()), []
        for link in links:
            full_name = link_name(name, link.alias)
            if link in had or full_name not in self._holders:
                self._holders[full_name] = link.container_id
                own.append(link)
        if own:
            self._links[container_id] = tuple(own)
        return tuple(own)

    def release_links(self, container_id: str, name: str) -> tuple[Link, ...]:
        """The names of a container's links are free; the links."""
        links = self._links.pop(container_id, ())
        for link in links:
            self.release(link.container_id, link_name(name, link.alias))
        return links

    def release_all(self, container_id: str, name: str) -> None:
        """A container is gone: its name, its links' names, and those by which others linked to it, are free."""
        self.release_links(container_id, name)
        self.release(container_id, name)
        if any(link.container_id == container_id for links in self._links.values() for link in links):
            self._holders = {held: holder for held, holder in self._holders.items() if holder != container_id}

    def holder(self, name: str) -> str | None:
        return self._holders.get(name)

    def release(self, container_id: str, name: str) -> None:
        if self._holders.get(name) == container_id:
            del self._holders[name]


class _Creation(msgspec.Struct):
    """A create on its way: its name is taken, its container not yet there."""

    name: str
    call_off: Callable[[], None]
    waiters: list[Deferred[bool]] = []
    """Who has called it off."""
    line: list[_Candidate] = []
    """Who is to have the name if this one fails."""


@attrs.frozen(eq=False)
class _Candidate:
    """A create that waits for its name."""

    container_id: str
    name: str
    call_off: Callable[[], None]
    answer: Deferred[str] = attrs.field(factory=Deferred)


Named = ContainerNames | ContainerSummary
Containers = Callable[[], Awaitable[Iterable[Named]]]
"""Reads all that are durable."""


def at_first(known: Iterable[Named], later: Containers) -> Containers:
    """Those that are known, without reading them again; after that, what is read then."""
    left = [known]

    async def read() -> Iterable[Named]:
        return left.pop() if left else await later()

    return read


class Allocator:
    def __init__(self, containers: Containers, rng: Random) -> None:
        self._containers = containers
        self._rng = rng
        self._names = NameIndex()
        self._creations: dict[str, _Creation] = {}
        self._candidates: dict[str, _Candidate] = {}

    async def __aenter__(self) -> Self:
        containers = tuple(await self._containers())
        self._names = NameIndex((named.id, named.name) for named in containers)
        for named in containers:
            if named.links:
                self._names.reserve_links(named.id, named.name, named.links)
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def reserve(self, container_id: str, requested: str, call_off: Callable[[], None]) -> str:
        """The container's name: the one requested, or a generated one where that is empty.

        `call_off` is called if somebody removes the name before the create is through.

        Raises:
            InvalidParameter: the name breaks the rules.
            Conflict: another container holds it.
        """
        if requested:
            name = check_name(requested)
            self._names.reserve(container_id, name)
        else:
            name = self._names.reserve_any(container_id, candidate_names(container_id, self._rng))
        self._creations[container_id] = _Creation(name, call_off)
        return name

    def reserve_in_turn(self, container_id: str, requested: str, call_off: Callable[[], None]) -> Deferred[str]:
        """As `reserve` with a name, but where a create is on its way with that name, once that is over.

        For a create that may be the very same, asked for again: where the claims of keys are forgotten in a crash, only the
        database can tell, and only when the other one is through.
        """
        candidate = _Candidate(container_id, check_name(requested), call_off)
        self._candidates[container_id] = candidate
        self._admit(candidate)
        return candidate.answer

    async def reserve_links(self, container_id: str, links: tuple[Link, ...]) -> tuple[Link, ...]:
        """See `NameIndex.reserve_links`; of a create on its way."""
        creation = self._creations.get(container_id)
        return self._names.reserve_links(container_id, creation.name, links) if creation is not None else links

    async def keep(self, container_id: str, name: str, links: tuple[Link, ...] = ()) -> None:
        """The container is durable: its name is no longer that of a create on its way.

        Named again, because this actor may have been restarted, before the commit, since it reserved the name. Whoever has
        reserved it meanwhile will be refused by the database.
        """
        self._names.take(container_id, name)
        self._names.reserve_links(container_id, name, links)
        self._finish(container_id, is_created=True)

    async def release(self, container_id: str) -> None:
        """The create failed: its name is free. Harmless twice, and for an id that never reserved."""
        candidate = self._candidates.pop(container_id, None)
        if candidate is not None:  # nobody reads this, but an actor does not stop while it owes
            candidate.answer.fail(Cancelled("the request has been called off"))
        creation = self._creations.get(container_id)
        if creation is not None:
            self._names.release_all(container_id, creation.name)
            self._finish(container_id, is_created=False)

    async def reserve_new_name(self, container_id: str, requested: str) -> str:
        """A second name for a container that is being renamed."""
        name = check_name(requested)
        self._names.reserve(container_id, name)
        return name

    async def release_name(self, container_id: str, name: str) -> None:
        """Harmless twice, and for a name that somebody else holds by now."""
        self._names.release(container_id, name)

    async def release_all(self, container_id: str, name: str) -> None:
        """See `NameIndex.release_all`. Harmless twice."""
        self._names.release_all(container_id, name)

    async def rename(self, container_id: str, old_name: str, new_name: str) -> None:
        """A container has its new name durably, and the names of its links begin with that. Harmless twice."""
        # As in `keep`: this actor may have been restarted since it reserved it.
        self._names.take(container_id, new_name)
        links = self._names.release_links(container_id, old_name)
        self._names.reserve_links(container_id, new_name, links)

    async def keep_links(self, container_id: str, name: str, links: tuple[Link, ...]) -> None:
        """Of its links the container has only these any more. Harmless twice."""
        self._names.release_links(container_id, name)
        self._names.reserve_links(container_id, name, links)

    def call_off(self, name_or_id: str) -> Deferred[bool]:
        """Whether a create of that name or id was on its way and has been called off; answered when it is over."""
        answer: Deferred[bool] = Deferred()
        container_id = self._names.holder(name_or_id.removeprefix("/")) or name_or_id
        creation = self._creations.get(container_id)
        if creation is None:
            answer.resolve(False)
        else:
            creation.waiters.append(answer)
            creation.call_off()
        return answer

    def _finish(self, container_id: str, *, is_created: bool) -> None:
        creation = self._creations.pop(container_id, None)
        if creation is not None:
            for waiter in creation.waiters:
                waiter.resolve(not is_created)
            for candidate in creation.line:
                self._admit(candidate)

    def _admit(self, candidate: _Candidate) -> None:
        """Answer who waits for a name, or have it wait for the create that has it now."""
        container_id, name = candidate.container_id, candidate.name
        if container_id not in self._candidates:  # it has been given up
            return
        holder = self._names.holder(name)
        if holder is not None and holder in self._creations:
            self._creations[holder].line.append(candidate)
            return
        del self._candidates[container_id]
        if holder is not None:
            candidate.answer.fail(name_in_use(name, holder))
        else:
            self._names.reserve(container_id, name)
            self._creations[container_id] = _Creation(name, candidate.call_off)
            candidate.answer.resolve(name)
