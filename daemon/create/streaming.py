"""Long answers that are made in worker threads, piece by piece, as fast as the client takes them."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from typing import TypeVar

import anyio
import anyio.to_thread
import attrs

from daemon.errors import Cancelled, System

T = TypeVar("T")

_log = logging.getLogger(__name__)

READERS_MAX = 8
"""Threads that read at a time. One is needed for as long as the disk takes, not the client."""

BATCH_BYTES = 256 * 1024
"""Made in one go: a switch of threads takes about as long as copying this much."""


@attrs.frozen
class Reading:
    """The threads that read; one for the daemon."""

    _threads: anyio.CapacityLimiter = attrs.field(factory=lambda: anyio.CapacityLimiter(READERS_MAX))

    async def run(self, work: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(work, limiter=self._threads)

    async def stream(self, pieces: Generator[bytes, None, None]) -> AsyncGenerator[bytes, None]:
        """Pieces in batches; each is made when the one before has been taken. Breaks off with Cancelled if one cannot be made."""
        try:
            while batch := await self.run(lambda: _take(pieces)):
                yield batch
        except System as error:
            _log.warning("an archive has broken off: %s", error)
            raise Cancelled("the archive cannot be continued") from error
        finally:
            pieces.close()


def _take(pieces: Iterator[bytes]) -> bytes:
    """A batch, empty at the end."""
    batch = bytearray()
    for piece in pieces:
        batch += piece
        if len(batch) >= BATCH_BYTES:
            break
    return bytes(batch)
