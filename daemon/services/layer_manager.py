"""Makes and removes the directories of containers, in one thread that takes them in batches.

An event loop must not wait for a disk, and a thread switch for each directory costs as much as the directory. When the thread has
nothing to do it makes some beforehand, for the creates to come (`preparation.py`), which take them without asking.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from actors import ActorContext, BatchThread, Deferred
from daemon.errors import DaemonError
from daemon.services.preparation import Preparation
from daemon.storage.layers import LayerStore
from daemon.storage.trees import ContainerTrees

R = TypeVar("R")

BATCH_MAX = 64
"""Containers whose directories are made in a row before the first is answered: about 10 ms."""

_IMAGES_MAX = 256
"""Images whose layers' paths are remembered."""


class LayerManager:
    def __init__(self, trees: ContainerTrees, layers: LayerStore) -> None:
        self._trees = trees
        self._layers = layers
        # Any: each job's Deferred is typed by its own method.
        self._thread: BatchThread[Callable[[], Any], Any] = BatchThread(do_each, name="layers", batch_max=BATCH_MAX)
        self._paths = functools.lru_cache(maxsize=_IMAGES_MAX)(self._paths_of)
        self._preparation = Preparation(trees.ready, self._thread.submit)

    async def __aenter__(self) -> Self:
        await self._thread.__aenter__()
        self._preparation.begin(ActorContext.of(self))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._preparation.end()
        await self._thread.__aexit__(kind, error, traceback)

    def is_plain(self, chain_ids: tuple[str, ...], working_dir: str) -> Deferred[bool]:
        """Whether a container of that image needs no more than a tree that is ready.

        `chain_ids` are those of the image, lowest first. Raises System: the disk failed.
        """
        return self._thread.submit(lambda: self._trees.is_plain(self._paths(chain_ids), working_dir))

    def make_ready(self) -> Deferred[None]:
        """Have some trees ready if there are none. Whoever asks takes one then, and asks again if others were faster.

        Raises System: the disk failed.
        """
        self._preparation.note_claim()
        return self._thread.submit(self._make_ready)

    def create(self, container_id: str, chain_ids: tuple[str, ...], working_dir: str) -> Deferred[None]:
        """The container's directory 0700, its checkpoints directory, its read-write layer, its working directory.

        Raises:
            System: the disk failed.
            InvalidParameter: the working directory is a file in the image.
        """
        self._preparation.note_claim()
        return self._thread.submit(lambda: self._trees.create(container_id, self._paths(chain_ids), working_dir))

    def remove(self, container_id: str) -> Deferred[None]:
        """Harmless twice, and for an id that was never created."""
        return self._thread.submit(lambda: self._trees.remove(container_id))

    def _make_ready(self) -> None:
        if not len(self._trees.ready):
            self._trees.ready.prepare(BATCH_MAX)

    def _paths_of(self, chain_ids: tuple[str, ...]) -> tuple[Path, ...]:
        """The directories of an image's layers, top first."""
        return tuple(self._layers.path(chain_id) for chain_id in reversed(chain_ids))


def do_each(jobs: Sequence[Callable[[], R]]) -> list[R | Exception]:
    """Each job by itself: what one is refused does not touch the others. A defect ends the batch, and the actor."""
    outcomes: list[R | Exception] = []
    for job in jobs:
        try:
            outcomes.append(job())
        except DaemonError as error:
            outcomes.append(error)
    return outcomes
