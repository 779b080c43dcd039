"""Named directories, who uses them, and which were made for a create that is not through yet.

A volume is *provisional* until a container that uses it is durable: its row is written in that container's transaction. If
the create fails, `release` takes back what it made, unless another container has come to use it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

import attrs

from actors import BatchThread, Deferred, Ref
from daemon.errors import Conflict, InvalidParameter
from daemon.services.layer_manager import do_each
from daemon.storage.database import Database, Volume
from daemon.storage.layers import LayerStore
from daemon.storage.trees import VolumeTrees

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*", re.ASCII)
NAME_LENGTH_MAX = 239
"""It is a file name, and a longer one of at most 255 bytes while its tree is made or removed (`storage/trees`)."""


@attrs.frozen(kw_only=True)
class VolumeUse:
    """A volume that a container wants; made if there is none of that name."""

    name: str
    destination: str
    """In the container; also where in the image the content for an empty volume is."""
    is_anonymous: bool
    is_filled: bool
    """Whether an empty volume gets the image's content."""
    labels: Mapping[str, str] | None = None
    options: Mapping[str, str] | None = None


def check_volume_name(name: str) -> None:
    """Raises InvalidParameter with Docker's text (moby volume/local/local.go validateName)."""
    if len(name) == 1:
        raise InvalidParameter(
            f"create {name}: volume name is too short, names should be at least two alphanumeric characters"
        )
    if not _NAME.fullmatch(name):
        raise InvalidParameter(
            f'create {name}: "{name}" includes invalid characters for a local volume name, only '
            '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path'
        )
    if len(name) > NAME_LENGTH_MAX:
        raise InvalidParameter(f"create {name[:40]}...: volume name is longer than {NAME_LENGTH_MAX} characters")


class Volumes:
    def __init__(self, database: Ref[Database], trees: VolumeTrees, layers: LayerStore) -> None:
        self._database = database
        self._trees = trees
        self._layers = layers
        self._volumes: dict[str, Volume] = {}
        self._provisional: set[str] = set()
        self._leaving: set[str] = set()
        self._users: dict[str, set[str]] = {}
        self._thread: BatchThread[Callable[[], None], None] = BatchThread(do_each, name="volumes", batch_max=1)

    async def __aenter__(self) -> Self:
        self._volumes = {volume.name: volume for volume in await self._database.ask(Database.volumes)}
        for container in await self._database.ask(Database.containers):
            for mount in container.mounts:
                if mount.name:
                    self._users.setdefault(mount.name, set()).add(container.id)
        await self._thread.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._thread.__aexit__(kind, error, traceback)

    async def acquire(self, container_id: str, uses: tuple[VolumeUse, ...], created_ns: int) -> tuple[Volume, ...]:
        """Note the use of volumes, made where there were none; those to write with the container are returned.

        Raises:
            Conflict: one of them is being removed.
        """
        for use in uses:
            if use.name in self._leaving:
                raise Conflict(f"volume {use.name} is being removed")
        for use in uses:
            if use.name not in self._volumes:
                self._volumes[use.name] = Volume(
                    name=use.name,
                    created_ns=created_ns,
                    labels=use.labels,
                    options=use.options,
                    is_anonymous=use.is_anonymous,
                )
                self._provisional.add(use.name)
            self._users.setdefault(use.name, set()).add(container_id)
        names = dict.fromkeys(use.name for use in uses if use.name in self._provisional)
        return tuple(self._volumes[name] for name in names)

    def fill(self, uses: tuple[VolumeUse, ...], chain_ids: tuple[str, ...]) -> Deferred[None]:
        """Make the directories of acquired volumes, and copy the image's content into those that are empty.

        Raises:
            System: the disk failed.
        """

        def work() -> None:
            layers = tuple(self._layers.path(chain_id) for chain_id in reversed(chain_ids))
            for use in uses:
                self._trees.create(use.name)
                if use.is_filled:
                    self._trees.fill(use.name, layers, use.destination)

        return self._thread.submit(work)

    async def keep(self, container_id: str, names: tuple[str, ...], made: tuple[Volume, ...]) -> None:
        """The container is durable, and with it `made`; it uses the volumes `names`.

        Told again, because this actor may have been restarted, before the commit, since they were acquired.
        """
        for volume in made:
            self._volumes[volume.name] = volume
            self._provisional.discard(volume.name)
        for name in names:
            self._users.setdefault(name, set()).add(container_id)

    async def release(self, container_id: str) -> None:
        """The container is not, or no longer. Volumes made for it alone that were not kept go with it. Harmless twice."""
        for name in [name for name, users in self._users.items() if container_id in users]:
            self._users[name].discard(container_id)
            if not self._users[name]:
                del self._users[name]
                if name in self._provisional:
                    await self._remove(name)

    async def claim_anonymous(self, container_id: str) -> tuple[str, ...]:
        """The anonymous volumes that only this container uses: nobody can come to use them from now on."""
        claimed = tuple(
            name for name, users in self._users.items() if users == {container_id} and self._volumes[name].is_anonymous
        )
        self._leaving.update(claimed)
        return claimed

    async def disclaim(self, names: tuple[str, ...]) -> None:
        """They stay after all. Harmless twice."""
        self._leaving.difference_update(names)

    async def remove(self, names: tuple[str, ...]) -> None:
        """Remove the directories of claimed volumes whose rows are gone. Harmless twice."""
        for name in names:
            self._users.pop(name, None)
            await self._remove(name)

    async def _remove(self, name: str) -> None:
        self._volumes.pop(name, None)
        self._provisional.discard(name)
        await self._thread.submit(lambda: self._trees.remove(name))
        self._leaving.discard(name)
