"""The actor that owns the volumes: their directories, who uses them, and which somebody is changing (`volume_index`).

A request for a volume that is just being created or removed waits until that is settled, as behind Moby's lock for each name
(volume/service/store.go). Directories are made, filled and taken away in the order of the messages, by one thread; what has been
taken away is deleted by another, because that may take long.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import attrs

from actors import ActorContext, BatchThread, Deferred, Ref, run_in_thread
from daemon.errors import Cancelled, Conflict, DaemonError, Unavailable
from daemon.services.layer_manager import do_each
from daemon.services.preparation import Preparation
from daemon.services.volume_index import ListedVolume, VolumeIndex, VolumeUse
from daemon.storage.database import Database
from daemon.storage.layers import LayerStore
from daemon.storage.trees import ContainerTrees, VolumeTrees
from daemon.volume import Volume, is_mounted_from_elsewhere

R = TypeVar("R")


@attrs.frozen
class _Waiting:
    """A message that cannot be answered before some change of a volume is settled."""

    owner: str
    is_ready: Callable[[], bool]
    answer: Callable[[], None]
    refuse: Callable[[DaemonError], None]


class Volumes:
    def __init__(
        self, database: Ref[Database], trees: VolumeTrees, layers: LayerStore, containers: ContainerTrees
    ) -> None:
        self._database = database
        self._trees = trees
        self._layers = layers
        self._containers = containers
        self._index = VolumeIndex()
        self._waiting: list[_Waiting] = []
        self._pruner = ""
        self._thread: BatchThread[Callable[[], None], None] = BatchThread(do_each, name="volumes", batch_max=1)
        self._preparation = Preparation(trees.ready, self._thread.submit)
        self._sweeper: BatchThread[_Sweep, int] = BatchThread(self._sweep, name="volume sweeper", batch_max=1)

    async def __aenter__(self) -> Self:
        volumes = await self._database.ask(Database.volumes)
        users = await self._database.ask(Database.volume_users)
        directories = await run_in_thread(lambda: frozenset(self._trees.names()))
        self._index = VolumeIndex(volumes, users, directories - {volume.name for volume in volumes})
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._sweeper)
            await stack.enter_async_context(self._thread)
            self._stack = stack.pop_all()
        self._preparation.begin(ActorContext.of(self))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._preparation.end()
        await self._stack.__aexit__(kind, error, traceback)

    # What there is -----------------------------------------------------------------------------------------------------

    async def find(self, name: str) -> Volume:
        """Raises NotFound."""
        return self._index.find(name)

    async def list(self) -> tuple[ListedVolume, ...]:
        """Every volume that is durable, by name."""
        return self._index.list()

    # Containers --------------------------------------------------------------------------------------------------------

    def acquire(self, container_id: str, uses: tuple[VolumeUse, ...], created_ns: int) -> Deferred[tuple[Volume, ...]]:
        """See `VolumeIndex.acquire`. `release`, or `keep`, must follow."""
        names = tuple(use.name for use in uses)
        return self._when_settled(
            container_id,
            lambda: not self._index.is_locked(names),
            lambda: self._index.acquire(container_id, uses, created_ns),
        )

    def fill(
        self, container_id: str, uses: tuple[VolumeUse, ...], chain_ids: tuple[str, ...], working_dir: str
    ) -> Deferred[None]:
        """Make the directories of acquired volumes; those that are empty get what the container has at their places.

        That is the image's content, and the working directory if that lies there. Volumes that are mounted from elsewhere are
        left alone: nothing is mounted at create.

        Raises:
            InvalidParameter: a file is where the volume is to be.
            Unavailable: this actor has been restarted since they were acquired.
            System: the disk failed.
        """
        if not self._index.is_owner(container_id):
            raise Unavailable("the volumes have been restarted, try again")
        filled = [use for use in uses if use.is_filled and not is_mounted_from_elsewhere(self._index.options(use.name))]
        self._preparation.note_claim()

        def work() -> None:
            image = tuple(map(self._layers.path, reversed(chain_ids)))
            layers = self._containers.layers(container_id, image, working_dir)
            for use in uses:
                self._trees.create(use.name)
            # All are looked at before the first is filled: a request that is refused leaves nothing in a volume that was there.
            to_fill: dict[str, VolumeUse] = {}
            for use in filled:
                place = (use.name, layers, use.destination)
                if use.name not in to_fill and self._trees.is_to_fill(*place, complaint=_file_complaint(use)):
                    to_fill[use.name] = use
            for use in to_fill.values():
                self._trees.fill(use.name, layers, use.destination, complaint=_file_complaint(use))

        return self._thread.submit(work)

    async def keep(self, container_id: str, names: tuple[str, ...], made: tuple[Volume, ...]) -> None:
        """The container is durable, and with it `made`; it uses the volumes `names`. Harmless twice.

        Told again, because this actor may have been restarted, before the commit, since they were acquired.
        """
        self._index.keep(container_id, names, made)
        self._resume()

    def release(self, owner: str) -> Deferred[None]:
        """The owner is not, or no longer; what it waits for is called off. Harmless twice.

        Volumes made for it alone that were not kept go with it.
        """
        for waiting in [waiting for waiting in self._waiting if waiting.owner == owner]:
            self._waiting.remove(waiting)
            waiting.refuse(Cancelled("the request has been called off"))
        if self._pruner == owner:
            self._pruner = ""
        names = self._index.release(owner)
        self._resume()
        if not names:
            return _nothing_to_wait_for()
        return self._thread.submit(lambda: self._remove_trees(names))

    # Changes of one volume ---------------------------------------------------------------------------------------------

    def begin_create(self, owner: str, volume: Volume) -> Deferred[Volume | None]:
        """The volume of that name if there is one, durable; else None, and `make`, `finish_create` or `release` follow.

        Raises InvalidParameter: its options make no sense.
        """
        return self._when_settled(
            owner,
            lambda: not self._index.is_locked((volume.name,)) and not self._index.is_provisional(volume.name),
            lambda: self._index.begin_create(owner, volume),
        )

    def make(self, owner: str, name: str) -> Deferred[None]:
        """The directory. Raises System, and Unavailable as `fill`."""
        if not self._index.is_owner(owner):
            raise Unavailable("the volumes have been restarted, try again")
        self._preparation.note_claim()
        return self._thread.submit(lambda: self._trees.create(name))

    async def finish_create(self, owner: str, volume: Volume) -> None:
        """It is durable. Harmless twice."""
        self._index.finish_create(owner, volume)
        self._resume()

    def claim(self, owner: str, name: str) -> Deferred[Volume]:
        """The volume, which nobody can come to use from now on; `discard` or `release` must follow.

        Raises:
            NotFound: there is none.
            Conflict: containers use it.
        """
        return self._when_settled(
            owner, lambda: not self._index.is_locked((name,)), lambda: self._index.claim(owner, name)
        )

    async def claim_unused(self, owner: str, names: tuple[str, ...], but_by: str = "") -> tuple[Volume, ...]:
        """As `claim`, those of them that nobody uses `but_by` one container, and nobody else is changing."""
        return self._index.claim_unused(owner, names, but_by=but_by)

    def discard(self, owner: str, volumes: tuple[Volume, ...], *, is_measured: bool = False) -> Deferred[int]:
        """Remove the directories of claimed volumes whose rows are gone; their bytes if `is_measured`. Harmless twice.

        Raises System: the disk failed; the rest is left to recovery.
        """
        names = self._index.drop(owner, volumes)
        self._resume()
        asides: list[Path] = []
        freed: Deferred[int] = Deferred()

        def set_aside() -> None:
            asides.extend(aside for name in names if (aside := self._trees.set_aside(name)) is not None)

        def sweep() -> None:
            if moved.error is not None:
                freed.fail(moved.error)
                return
            swept = self._sweeper.submit(_Sweep(tuple(asides), is_measured))
            swept.when_done(lambda: freed.resolve(swept.value) if swept.error is None else freed.fail(swept.error))

        moved = self._thread.submit(set_aside)
        moved.when_done(sweep)
        return freed

    async def begin_prune(self, owner: str) -> None:
        """`release` ends it. Raises Conflict: another one is under way."""
        if self._pruner not in ("", owner):
            raise Conflict("a prune operation is already running")
        self._pruner = owner

    # -------------------------------------------------------------------------------------------------------------------

    def _when_settled(self, owner: str, is_ready: Callable[[], bool], decide: Callable[[], R]) -> Deferred[R]:
        reply: Deferred[R] = Deferred()

        def answer() -> None:
            try:
                reply.resolve(decide())
            except DaemonError as error:
                reply.fail(error)

        self._waiting.append(_Waiting(owner, is_ready, answer, reply.fail))
        self._resume()
        return reply

    def _resume(self) -> None:
        """Answer whoever need not wait, the first first: each may make the next one wait."""
        for waiting in [*self._waiting]:
            if waiting.is_ready():
                self._waiting.remove(waiting)
                waiting.answer()

    def _remove_trees(self, names: tuple[str, ...]) -> None:
        for name in names:
            self._trees.remove(name)

    def _sweep(self, sweeps: Sequence[_Sweep]) -> Sequence[int | Exception]:
        outcomes: list[int | Exception] = []
        for sweep in sweeps:
            try:
                outcomes.append(self._swept(sweep))
            except DaemonError as error:
                outcomes.append(error)
        return outcomes

    def _swept(self, sweep: _Sweep) -> int:
        freed = 0
        for aside in sweep.asides:
            freed += self._trees.size(aside) if sweep.is_measured else 0
            self._trees.discard(aside)
        return freed


@attrs.frozen
class _Sweep:
    """Volumes that have been set aside, to be deleted."""

    asides: tuple[Path, ...]
    is_measured: bool


def _file_complaint(use: VolumeUse) -> str:
    """Unlike Moby, the path is that in the container: the host's is none of the client's business."""
    if use.is_of_config:
        return f"cannot mount volume over existing file, file exists {use.destination}"
    return f"source {use.destination} is not directory"


def _nothing_to_wait_for() -> Deferred[None]:
    done: Deferred[None] = Deferred()
    done.resolve(None)
    return done
