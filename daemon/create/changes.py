"""`docker rm`, `docker rename`, `docker update`, `docker container prune`: the verbs that change a container that is created.

One change of a container at a time, in the order they came (moby holds the container's lock); behind a removal nothing waits.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

import anyio
import attrs
from msgspec.structs import replace

from actors import ActorError
from daemon.config import Config
from daemon.container import HostConfig, link_name
from daemon.create.events import container_event, insist, prune_event, publish, volume_event
from daemon.create.leftovers import left_to_recovery
from daemon.create.request import Pruned
from daemon.create.turns import released, turn_to_change
from daemon.create.undo import Undo
from daemon.create.update import check_update, updated
from daemon.errors import Conflict, DaemonError, InvalidParameter, NotFound, RemovalInProgress, System
from daemon.host import Host
from daemon.services import Services
from daemon.services.allocator import Allocator
from daemon.services.claims import REMOVAL, Claim
from daemon.services.idempotency import IdempotencyKeys
from daemon.services.layer_manager import LayerManager
from daemon.services.registrar import Registrar
from daemon.services.volumes import Volumes
from daemon.storage.database import Database
from daemon.summary import ContainerSummary, summary_of
from daemon.volume import Volume

_log = logging.getLogger(__name__)

PRUNED_AT_ONCE_MAX = 16
"""Removals that a prune has under way: enough to share their commits, few enough to leave others their turn."""

Sizes = Callable[[Sequence[str]], Awaitable[Mapping[str, int]]]
"""Bytes in the files of each container's own layer, by id."""


@attrs.frozen(kw_only=True)
class Changer:
    services: Services
    host: Host
    config: Config
    now_ns: Callable[[], int]
    note_residue: Callable[[], None]
    """Something has been left to the next start."""

    async def remove(self, name_or_id: str, *, with_volumes: bool) -> None:
        """The container is gone, durably, and its name free; `with_volumes`, its anonymous volumes, too.

        A container that is only just being created is called off. Unlike Moby, which does not find it (moby#24858).

        Raises:
            NotFound: there is no such container.
            Conflict: it is being removed already.
            System: the disk is full; nothing has changed.
        """
        # Creates first: the name of one may be the prefix of another container's id, and names count before prefixes.
        if not await self.services.allocator.ask(Allocator.call_off, name_or_id):
            await self._remove(name_or_id, with_volumes=with_volumes)

    async def _remove(self, name_or_id: str, *, with_volumes: bool) -> None:
        async with turn_to_change(self.services.registrar, name_or_id, REMOVAL) as summary:
            try:
                volumes = await self._delete_record(summary, with_volumes=with_volumes)
            except System as error:
                raise type(error)(f'cannot remove container "{name_or_id}": {error}') from error
            await self._clear_away(summary, volumes)

    async def remove_link(self, name: str) -> None:
        """The name by which one container links to another is free, durably; both containers stay.

        Raises:
            Conflict: it is a container's own name or id, or the one that has the link is being removed.
            NotFound: there is no such name.
            System: the disk is full; nothing has changed.
        """
        services = self.services
        linking = await services.registrar.ask(Registrar.linking, name)
        async with turn_to_change(services.registrar, linking.id, "removal of a link") as summary:
            container = await services.database.ask(Database.container, summary.id)
            if container is None:
                raise NotFound(f"No such container: {name}")
            removed = name.removeprefix("/")
            left = tuple(link for link in container.links if link_name(container.name, link.alias) != removed)
            container = replace(container, links=left)
            await services.database.ask(Database.update_container, container)
            await insist(partial(services.registrar.ask, Registrar.register, summary_of(container)))
            await insist(partial(services.allocator.ask, Allocator.keep_links, summary.id, summary.name, left))

    async def rename(self, name_or_id: str, new_name: str) -> None:
        """Raises NotFound, Conflict (the name is taken), InvalidParameter, System."""
        if not name_or_id or not new_name:
            raise InvalidParameter("Neither old nor new names may be empty")
        async with turn_to_change(self.services.registrar, name_or_id, "renaming") as summary:
            name = await self._rename(summary, f"/{new_name.removeprefix('/')}")
            renamed = summary.renamed(name)
            event = container_event(renamed, "rename", self.now_ns(), oldName=f"/{summary.name}")
            await publish(self.services.events, event)

    async def update(self, name_or_id: str, limits: HostConfig) -> tuple[str, ...]:
        """The container has other limits or another restart policy, durably. Warnings for the client.

        Raises:
            InvalidParameter: the limits make no sense, whatever the container.
            NotFound: there is no such container.
            Conflict: they do not fit those it has, or it is being removed.
            System: the disk is full; nothing has changed.
        """
        database = self.services.database
        limits, warnings = check_update(limits, self.host)
        found = await self.services.registrar.ask(Registrar.find, name_or_id)
        try:
            async with turn_to_change(self.services.registrar, found.id, "update") as summary:
                container = await database.ask(Database.container, summary.id)
                if container is None:
                    raise NotFound(f"No such container: {name_or_id}")
                host_config = updated(container.host_config, limits)
                await database.ask(Database.update_container, replace(container, host_config=host_config))
                await publish(self.services.events, container_event(summary, "update", self.now_ns()))
        except RemovalInProgress as error:
            text = 'container is marked for removal and cannot be "update"'
            raise Conflict(f"Cannot update container {found.id}: {text}") from error
        except (Conflict, System) as error:
            raise type(error)(f"Cannot update container {found.id}: {error}") from error
        return warnings

    async def prune(self, is_wanted: Callable[[ContainerSummary], bool], *, sizes: Sizes) -> Pruned:
        """What is gone, newest first, and how much was in it: all containers that are not running and wanted by the caller.

        Raises:
            Conflict: another prune, of containers or networks, is under way.
            System: what is to go cannot be measured; nothing has changed.
        """
        services, gone = self.services, set[str]()
        claim = Claim("pruning")
        async with released(services.registrar, claim):
            await services.registrar.ask(Registrar.claim_pruning, claim)
            summaries = [summary for summary in await services.registrar.ask(Registrar.list) if is_wanted(summary)]
            own_bytes = await sizes([summary.id for summary in summaries])
            left = iter(summaries)

            async def remove_some() -> None:
                for summary in left:
                    try:
                        await self._remove(summary.id, with_volumes=False)
                        gone.add(summary.id)
                    except (DaemonError, ActorError) as error:
                        _log.warning("cannot prune container %s: %s", summary.id, error)

            async with anyio.create_task_group() as tasks:
                for _ in range(PRUNED_AT_ONCE_MAX):
                    tasks.start_soon(remove_some)
            freed_bytes = sum(own_bytes.get(container_id, 0) for container_id in gone)
            await publish(services.events, prune_event("container", freed_bytes, self.now_ns()))
        summaries.sort(key=lambda summary: summary.created_ns, reverse=True)
        return Pruned(removed=tuple(summary.id for summary in summaries if summary.id in gone), freed_bytes=freed_bytes)

    async def _rename(self, summary: ContainerSummary, requested: str) -> str:
        services = self.services
        if requested.removeprefix("/") == summary.name:
            raise InvalidParameter("Renaming a container with the same name as its current name")
        async with Undo(timeout_s=self.config.undo_timeout_s) as undo:
            release = partial(services.allocator.ask, Allocator.release_name, summary.id)
            undo.push("new name", partial(release, requested.removeprefix("/")))
            try:
                name = await services.allocator.ask(Allocator.reserve_new_name, summary.id, requested)
            except (Conflict, InvalidParameter) as error:
                raise type(error)(f"Error when allocating new name: {error}") from error
            await services.database.ask(Database.rename_container, summary.id, name)
            undo.commit()
        await insist(partial(services.registrar.ask, Registrar.rename, summary.id, name))
        await insist(partial(services.allocator.ask, Allocator.rename, summary.id, summary.name, name))
        await insist(partial(release, summary.name))
        return name

    async def _delete_record(self, summary: ContainerSummary, *, with_volumes: bool) -> tuple[Volume, ...]:
        """The volumes that have gone with it."""
        services, owner = self.services, _owner(summary)
        volumes: tuple[Volume, ...] = ()
        anonymous = tuple(mount.name for mount in summary.mounts if mount.is_anonymous)
        async with Undo(timeout_s=self.config.undo_timeout_s) as undo:
            if with_volumes and anonymous:
                undo.push("volumes", partial(services.volumes.ask, Volumes.release, owner))
                volumes = await services.volumes.ask(Volumes.claim_unused, owner, anonymous, but_by=summary.id)
            names = tuple(volume.name for volume in volumes)
            await services.database.ask(Database.delete_container, summary.id, names)
            undo.commit()
        return volumes

    async def _clear_away(self, summary: ContainerSummary, volumes: tuple[Volume, ...]) -> None:
        """What follows once the record is gone, each part whatever became of those before it."""
        services, gone = self.services, partial(left_to_recovery, f"container {summary.id}", self.note_residue)
        with gone():
            await insist(partial(services.registrar.ask, Registrar.remove, summary.id))
            await insist(partial(services.allocator.ask, Allocator.release_all, summary.id, summary.name))
            await insist(partial(services.keys.ask, IdempotencyKeys.forget, summary.id))
        if any(mount.name for mount in summary.mounts):
            with gone():
                await self._leave_volumes(summary, volumes)
        with gone():
            await publish(services.events, container_event(summary, "destroy", self.now_ns()))
            await insist(partial(services.layers.ask, LayerManager.remove, summary.id))

    async def _leave_volumes(self, summary: ContainerSummary, removed: tuple[Volume, ...]) -> None:
        services = self.services
        await insist(partial(services.volumes.ask, Volumes.release, summary.id))
        for volume in removed:
            await publish(services.events, volume_event(volume, "destroy", self.now_ns()))
        if removed:
            await insist(partial(services.volumes.ask, Volumes.discard, _owner(summary), removed))


def _owner(summary: ContainerSummary) -> str:
    """Of the volumes that are removed with a container; the container itself owns those that it uses."""
    return f"removal of {summary.id}"
