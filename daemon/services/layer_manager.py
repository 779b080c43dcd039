"""Makes and removes the directories of containers, in one thread that takes them in batches.

An event loop must not wait for a disk, and a thread switch for each directory costs as much as the directory. When the thread has
nothing to do it makes some beforehand, for the creates to come; while there are creates only if few are left, and then only as
many as do not slow them down.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio

from actors import ActorContext, BatchThread, Deferred
from daemon.errors import DaemonError, System
from daemon.storage.layers import LayerStore
from daemon.storage.trees import ContainerTrees

_log = logging.getLogger(__name__)

BATCH_MAX = 64
"""Containers whose directories are made in a row before the first is answered: about 10 ms."""


PREPARE_BATCH = 8
"""Trees made beforehand in a row: a create that comes meanwhile waits for them, about 1 ms."""

PREPARE_PAUSE_S = 0.02
"""Between two such batches while there are creates: 400 trees a second, a twentieth of what the disk can do."""

_IMAGES_MAX = 256
"""Images whose layers' paths are remembered."""


class LayerManager:
    def __init__(self, trees: ContainerTrees, layers: LayerStore) -> None:
        self._trees = trees
        self._layers = layers
        self._thread: BatchThread[Callable[[], None], None] = BatchThread(do_each, name="layers", batch_max=BATCH_MAX)
        self._paths = functools.lru_cache(maxsize=_IMAGES_MAX)(self._paths_of)
        self._is_preparing = False
        self._is_asked = False
        """Whether there has been a create since the last batch of prepared trees."""

    async def __aenter__(self) -> Self:
        await self._thread.__aenter__()
        self._context = ActorContext.of(self)
        self._prepare()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._thread.__aexit__(kind, error, traceback)

    def create(self, container_id: str, chain_ids: tuple[str, ...], working_dir: str) -> Deferred[None]:
        """The container's directory 0700, its checkpoints directory, its read-write layer, its working directory.

        `chain_ids` are those of the image, lowest first.

        Raises:
            System: the disk failed.
            InvalidParameter: the working directory is a file in the image.
        """

        self._is_asked = True
        if not self._is_preparing:
            self._prepare()
        return self._thread.submit(lambda: self._trees.create(container_id, self._paths(chain_ids), working_dir))

    def remove(self, container_id: str) -> Deferred[None]:
        """Harmless twice, and for an id that was never created."""
        return self._thread.submit(lambda: self._trees.remove(container_id))

    def _prepare(self) -> None:
        self._is_preparing = True
        self._context.spawn(self._prepare_trees)

    async def _prepare_trees(self) -> None:
        """Until all are there, or the disk refuses: then the next create is the time to try again."""
        try:
            while True:
                is_busy, self._is_asked = self._is_asked, False
                if self._trees.ready.is_low or not is_busy:
                    await self._thread.submit(lambda: self._trees.ready.prepare(PREPARE_BATCH))
                # What has been asked meanwhile may not have claimed its tree yet: then this was not the last look.
                if not (self._is_asked or self._trees.ready.has_room):
                    return
                if is_busy or self._is_asked:
                    await anyio.sleep(PREPARE_PAUSE_S)
        except System as error:
            _log.warning("no containers' directories are made beforehand for now: %s", error)
        finally:
            self._is_preparing = False

    def _paths_of(self, chain_ids: tuple[str, ...]) -> tuple[Path, ...]:
        """The directories of an image's layers, top first."""
        return tuple(self._layers.path(chain_id) for chain_id in reversed(chain_ids))


def do_each(jobs: Sequence[Callable[[], None]]) -> list[Exception | None]:
    """Each job by itself: what one is refused does not touch the others. A defect ends the batch, and the actor."""
    outcomes: list[Exception | None] = []
    for job in jobs:
        try:
            job()
            outcomes.append(None)
        except DaemonError as error:
            outcomes.append(error)
    return outcomes
