"""`docker rm`, `docker rename`: the verbs on a container that is created. One change of a container at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import anyio
import attrs

from daemon.config import Config
from daemon.container import ContainerSummary
from daemon.create.events import container_event, insist, publish
from daemon.create.undo import Undo
from daemon.errors import Conflict, InvalidParameter
from daemon.services import Services
from daemon.services.allocator import Allocator
from daemon.services.idempotency import IdempotencyKeys
from daemon.services.layer_manager import LayerManager
from daemon.services.registrar import Registrar
from daemon.services.volumes import Volumes
from daemon.storage.database import Database


@attrs.frozen(kw_only=True)
class Changer:
    services: Services
    config: Config
    now_ns: Callable[[], int]

    async def remove(self, name_or_id: str, *, with_volumes: bool) -> None:
        """The container is gone, durably, and its name free; `with_volumes`, its anonymous volumes, too.

        A container that is only just being created is called off. Unlike Moby, which does not find it (moby#24858).

        Raises:
            NotFound: there is no such container.
            Conflict: it is being removed or renamed already.
            System: the disk is full; nothing has changed.
        """
        services = self.services
        # Creates first: the name of one may be the prefix of another container's id, and names count before prefixes.
        if await services.allocator.ask(Allocator.call_off, name_or_id):
            return
        summary = await services.registrar.ask(Registrar.begin_change, name_or_id, "removal")
        with anyio.CancelScope(shield=True):  # bounded: one commit, one tree, and messages to actors that are restarted
            volumes = await self._delete_record(summary, with_volumes=with_volumes)
            await insist(partial(services.registrar.ask, Registrar.remove, summary.id))
            await insist(partial(services.allocator.ask, Allocator.release_all, summary.id, summary.name))
            await insist(partial(services.keys.ask, IdempotencyKeys.forget, summary.id))
            await publish(services.events, container_event(summary, "destroy", self.now_ns()))
            if any(mount.name for mount in summary.mounts):
                await insist(partial(services.volumes.ask, Volumes.release, summary.id))
                await insist(partial(services.volumes.ask, Volumes.remove, volumes))
            await insist(partial(services.layers.ask, LayerManager.remove, summary.id))

    async def rename(self, name_or_id: str, new_name: str) -> None:
        """Raises NotFound, Conflict (the name is taken), InvalidParameter, System."""
        services = self.services
        if not name_or_id or not new_name.removeprefix("/"):
            raise InvalidParameter("Neither old nor new names may be empty")
        summary = await services.registrar.ask(Registrar.begin_change, name_or_id, "renaming")
        with anyio.CancelScope(shield=True):  # bounded: one commit, and messages to actors that are restarted
            try:
                name = await self._rename(summary, new_name)
            finally:
                await insist(partial(services.registrar.ask, Registrar.end_change, summary.id))
            renamed = attrs.evolve(summary, name=name)
            event = container_event(renamed, "rename", self.now_ns(), oldName=f"/{summary.name}")
            await publish(services.events, event)

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
        await insist(partial(services.allocator.ask, Allocator.move_links, summary.id, summary.name, name))
        await insist(partial(release, summary.name))
        return name

    async def _delete_record(self, summary: ContainerSummary, *, with_volumes: bool) -> tuple[str, ...]:
        services = self.services
        volumes: tuple[str, ...] = ()
        async with Undo(timeout_s=self.config.undo_timeout_s) as undo:
            undo.push("removal", partial(services.registrar.ask, Registrar.end_change, summary.id))
            if with_volumes and any(mount.is_anonymous for mount in summary.mounts):
                volumes = await services.volumes.ask(Volumes.claim_anonymous, summary.id)
                undo.push("volumes", partial(services.volumes.ask, Volumes.disclaim, volumes))
            await services.database.ask(Database.delete_container, summary.id, volumes)
            undo.commit()
        return volumes
