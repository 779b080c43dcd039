"""Volumes by name: who uses which, which are not durable yet, which somebody is changing. The core of the actor; synchronous.

A volume is *provisional* until its row is written, in the transaction of a container that uses it or in one of its own. Nobody
sees it before that, but creates that want it share it. A *lock* is for one change of a volume: its own creation, its removal.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import attrs

from daemon.errors import Conflict
from daemon.volume import Volume, check_volume_options, no_such_volume


@attrs.frozen(kw_only=True)
class VolumeUse:
    """A volume that a container wants; made if there is none of that name."""

    name: str
    destination: str
    """In the container; also where in the image the content for an empty volume is."""
    is_filled: bool
    """Whether an empty volume gets the image's content."""
    is_inherited: bool = False
    """It is another container's: where it is gone, none is made."""
    is_of_config: bool = False
    """Of `ContainerConfig.volumes`, which Docker words its complaints differently for."""
    labels: Mapping[str, str] | None = None
    options: Mapping[str, str] | None = None


@attrs.frozen(kw_only=True)
class ListedVolume:
    volume: Volume
    users: tuple[str, ...]
    """Ids of containers, sorted."""


class VolumeIndex:
    """An *owner* is whoever uses or changes volumes: a container by its id, or one request by an id of its own."""

    def __init__(
        self, volumes: Iterable[Volume] = (), users: Iterable[tuple[str, str]] = (), orphans: Iterable[str] = ()
    ) -> None:
        """`orphans` are names with a directory and no row: made for creates that an earlier incarnation knew.

        They may still be under way, so no directory of these is removed until the daemon starts again.
        """
        self._volumes = {volume.name: volume for volume in volumes}
        self._provisional: set[str] = set()
        self._users: defaultdict[str, set[str]] = defaultdict(set)
        self._held: defaultdict[str, set[str]] = defaultdict(set)
        self._locks: dict[str, str] = {}
        self._orphans = frozenset(orphans)
        for name, container_id in users:
            self._note(container_id, name)

    # What there is -----------------------------------------------------------------------------------------------------

    def find(self, name: str) -> Volume:
        """Raises NotFound."""
        if name not in self._volumes or name in self._provisional:
            raise no_such_volume(name)
        return self._volumes[name]

    def list(self) -> tuple[ListedVolume, ...]:
        return tuple(
            ListedVolume(volume=volume, users=tuple(sorted(self._users.get(name, ()))))
            for name, volume in sorted(self._volumes.items())
            if name not in self._provisional
        )

    def options(self, name: str) -> Mapping[str, str] | None:
        volume = self._volumes.get(name)
        return volume.options if volume else None

    def is_locked(self, names: Iterable[str]) -> bool:
        return any(name in self._locks for name in names)

    def is_provisional(self, name: str) -> bool:
        return name in self._provisional

    def is_owner(self, owner: str) -> bool:
        return owner in self._held

    # Containers --------------------------------------------------------------------------------------------------------

    def acquire(self, container_id: str, uses: Iterable[VolumeUse], created_ns: int) -> tuple[Volume, ...]:
        """Note the uses; the volumes among them that are to become durable with the container.

        Raises:
            InvalidParameter: a new one has options that make no sense.
            Conflict: an inherited one is gone.
        """
        uses = tuple(uses)
        for use in uses:
            if use.name in self._volumes:
                continue
            if use.is_inherited:
                raise Conflict(f"volume {use.name} of another container has been removed")
            check_volume_options(use.name, use.options)
        for use in uses:
            if use.name not in self._volumes:
                self._add_provisional(
                    Volume(name=use.name, created_ns=created_ns, labels=use.labels, options=use.options)
                )
            self._note(container_id, use.name)
        names = dict.fromkeys(use.name for use in uses if use.name in self._provisional)
        return tuple(self._volumes[name] for name in names)

    def keep(self, container_id: str, names: Iterable[str], made: Iterable[Volume]) -> None:
        """The container is durable, and with it `made`. Harmless twice."""
        for volume in made:
            if volume.name in self._provisional or volume.name not in self._volumes:
                self._volumes[volume.name] = volume
                self._provisional.discard(volume.name)
        for name in names:
            self._note(container_id, name)

    def release(self, owner: str) -> tuple[str, ...]:
        """Nothing is used or changed by `owner` any more; the names whose directories are to go. Harmless twice."""
        gone = []
        for name in sorted(self._held.pop(owner, ())):
            self._users[name].discard(owner)
            if not self._users[name]:
                del self._users[name]
                if name in self._provisional:
                    self._provisional.discard(name)
                    del self._volumes[name]
                    gone.append(name)
        self._unlock(owner)
        return tuple(name for name in gone if name not in self._orphans)

    # Changes of one volume ---------------------------------------------------------------------------------------------

    def begin_create(self, owner: str, volume: Volume) -> Volume | None:
        """The volume of that name, if there is one; else it is made provisional, and locked.

        Raises InvalidParameter: its options make no sense.
        """
        if (existing := self._volumes.get(volume.name)) is not None:
            return existing
        check_volume_options(volume.name, volume.options)
        self._add_provisional(volume)
        self._note(owner, volume.name)
        self._locks[volume.name] = owner
        return None

    def finish_create(self, owner: str, volume: Volume) -> None:
        """It is durable. Harmless twice."""
        self._volumes[volume.name] = volume
        self._provisional.discard(volume.name)
        self.release(owner)

    def claim(self, owner: str, name: str) -> Volume:
        """Lock a volume to remove it.

        Raises:
            NotFound: there is none.
            Conflict: containers use it.
        """
        volume = self.find(name)
        if users := self._users.get(name):
            raise Conflict(f"remove {name}: volume is in use - [{', '.join(sorted(users))}]")
        self._locks[name] = owner
        return volume

    def claim_unused(self, owner: str, names: Iterable[str], *, but_by: str = "") -> tuple[Volume, ...]:
        """Lock those that nobody uses `but_by` one container, and nobody is changing."""
        claimed = tuple(
            self._volumes[name]
            for name in dict.fromkeys(names)
            if name in self._volumes
            and name not in self._provisional
            and name not in self._locks
            and self._users.get(name, set()) <= {but_by}
        )
        self._locks.update({volume.name: owner for volume in claimed})
        return claimed

    def drop(self, owner: str, volumes: Iterable[Volume]) -> tuple[str, ...]:
        """The rows of claimed volumes are gone; the names whose directories are to follow. Harmless twice.

        One that another incarnation claimed may have been made again since, and is then another volume.
        """
        gone = [volume.name for volume in volumes if self._volumes.get(volume.name, volume) == volume]
        for name in gone:
            self._volumes.pop(name, None)
            self._provisional.discard(name)
            for user in self._users.pop(name, ()):
                self._held[user].discard(name)
        self._unlock(owner)
        return tuple(gone)

    # -------------------------------------------------------------------------------------------------------------------

    def _add_provisional(self, volume: Volume) -> None:
        self._volumes[volume.name] = volume
        self._provisional.add(volume.name)

    def _note(self, owner: str, name: str) -> None:
        self._users[name].add(owner)
        self._held[owner].add(name)

    def _unlock(self, owner: str) -> None:
        for name in [name for name, holder in self._locks.items() if holder == owner]:
            del self._locks[name]
