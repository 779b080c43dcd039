"""`docker volume create`, `rm` and `prune`: volumes by themselves, not for a container.

Rules and texts: moby v28 volume/service/service.go, volume/service/store.go. A volume is durable when its creation is
acknowledged, and gone for good when its removal is.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from functools import partial

import anyio
import attrs

from daemon.config import Config
from daemon.create.events import insist, prune_event, publish, volume_event
from daemon.create.leftovers import left_to_recovery
from daemon.create.request import Pruned
from daemon.create.undo import Undo
from daemon.errors import Conflict, NotFound
from daemon.services import Services
from daemon.services.volumes import Volumes
from daemon.storage.database import Database
from daemon.volume import ANONYMOUS_LABEL, Volume, VolumeRequest, check_volume_name, driver_complaint

_log = logging.getLogger(__name__)


@attrs.frozen(kw_only=True)
class VolumeChanger:
    services: Services
    config: Config
    now_ns: Callable[[], int]
    note_residue: Callable[[], None]
    """Something has been left to the next start."""

    async def create(self, request: VolumeRequest) -> Volume:
        """The volume of that name, durable: a new one, or the one that there is, whatever options and labels were asked for.

        Raises:
            InvalidParameter: its name or its options make no sense.
            NotFound: there is no such driver.
            System: the disk failed; nothing has changed.
        """
        name = request.name or secrets.token_hex(32)
        labels = request.labels if request.name else {**(request.labels or {}), ANONYMOUS_LABEL: ""}
        if (complaint := driver_complaint(name, request.driver)) is not None:
            raise NotFound(complaint)
        check_volume_name(name)
        volume = Volume(name=name, created_ns=self.now_ns(), labels=labels, options=request.driver_opts)
        volumes, owner = self.services.volumes, _new_owner("creation")
        async with Undo(timeout_s=self.config.undo_timeout_s) as undo:
            undo.push("volume", partial(volumes.ask, Volumes.release, owner))
            existing = await volumes.ask(Volumes.begin_create, owner, volume, timeout=self.config.ask_timeout_s)
            if existing is not None:
                return existing
            await volumes.ask(Volumes.make, owner, name)
            with anyio.CancelScope(shield=True):  # bounded: one commit, and messages to actors that are restarted
                await self.services.database.ask(Database.insert_volume, volume)
                undo.commit()
                await insist(partial(volumes.ask, Volumes.finish_create, owner, volume))
                await publish(self.services.events, volume_event(volume, "create", self.now_ns()))
        return volume

    async def remove(self, name: str, *, force: bool) -> None:
        """The volume is gone, durably; with `force` there need not have been one.

        Raises:
            NotFound: there is none.
            Conflict: containers use it.
            System: the disk is full; nothing has changed.
        """
        owner = _new_owner("removal")
        async with Undo(timeout_s=self.config.undo_timeout_s) as undo:
            undo.push("volume", partial(self.services.volumes.ask, Volumes.release, owner))
            try:
                volume = await self.services.volumes.ask(Volumes.claim, owner, name, timeout=self.config.ask_timeout_s)
                await self._remove_claimed(owner, volume)
            except NotFound:
                if not force:
                    raise

    async def prune(self, is_wanted: Callable[[Volume], bool]) -> Pruned:
        """Remove what is wanted of the plain volumes that nobody uses. One that has come into use meanwhile stays.

        Raises:
            Conflict: another prune is under way.
            System: the disk is full; what has been removed until then is gone.
        """
        services, owner = self.services, _new_owner("pruning")
        names: list[str] = []
        freed_bytes = 0
        async with Undo(timeout_s=self.config.undo_timeout_s) as undo:
            undo.push("pruning", partial(services.volumes.ask, Volumes.release, owner))
            await services.volumes.ask(Volumes.begin_prune, owner)
            listed = await services.volumes.ask(Volumes.list)
            unused = (each.volume for each in listed if not each.users and not each.volume.options)
            for name in (volume.name for volume in unused if is_wanted(volume)):
                for volume in await services.volumes.ask(Volumes.claim_unused, owner, (name,)):
                    try:
                        freed_bytes += await self._remove_claimed(owner, volume, is_measured=True)
                    except (Conflict, NotFound) as error:
                        _log.warning("volume %s is not pruned: %s", name, error)
                        continue
                    names.append(name)
        with anyio.CancelScope(shield=True):  # bounded: messages to actors that are restarted
            await insist(partial(services.volumes.ask, Volumes.release, owner))
            await publish(services.events, prune_event("volume", freed_bytes, self.now_ns()))
        return Pruned(removed=tuple(names), freed_bytes=freed_bytes)

    async def _remove_claimed(self, owner: str, volume: Volume, *, is_measured: bool = False) -> int:
        """Bytes that were in its files, if `is_measured` and they could be removed."""
        services = self.services
        # Bounded: one commit, one tree, and messages to actors that are restarted.
        with anyio.CancelScope(shield=True):
            await services.database.ask(Database.delete_volume, volume.name)
            with left_to_recovery(f"volume {volume.name}", self.note_residue):
                await publish(services.events, volume_event(volume, "destroy", self.now_ns()))
                discard = partial(services.volumes.ask, Volumes.discard, owner, (volume,), is_measured=is_measured)
                return await insist(discard)
        return 0


def _new_owner(what: str) -> str:
    """Of what one request has locked."""
    return f"{what} {secrets.token_hex(8)}"
