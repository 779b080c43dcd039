"""One blob from a registry into the content store: what has arrived is kept while the connection is made again.

A blob is resumed where it stopped for as long as its pull lasts (Range, RFC 9110, 14.2). Nothing is kept for later pulls: what is
there is whole. Limits and texts: moby v28 distribution/xfer/download.go, pull_v2.go.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import attrs

from daemon.errors import InvalidParameter
from daemon.registry.refusals import Interrupted, RegistryError
from daemon.services.transfers import Progress
from daemon.storage.content import Ingest
from daemon.storage.oci import Descriptor
from daemon.storage.received import ReceivedFile, ReceivedFiles

if TYPE_CHECKING:  # the client is imported for the first who needs it: see `Registries`
    from daemon.registry.client import BlobStream, RegistryClient

ATTEMPTS_MAX = 5
RETRY_WAIT_S = 5.0
"""Before the second attempt; before the third twice as long, and so on."""

WRITE_BYTES = 1 << 20
"""Collected before a thread writes and hashes it: a switch of threads for every packet would cost more than both."""

COUNT_EVERY_S = 0.1
"""A progress bar need not move more often."""


@attrs.define
class Download:
    """The download of one blob into `files`."""

    client: RegistryClient
    files: ReceivedFiles
    blob: Descriptor
    name: str
    """What the progress display calls it."""
    progress: Progress
    retry_wait_s: float = RETRY_WAIT_S
    _file: Ingest | None = None
    _counted_at: float = 0.0

    async def run(self) -> ReceivedFile:
        """The file, complete and with the right digest.

        Raises:
            RegistryError: the registry refuses, or has failed too often.
            InvalidParameter: it sent something else.
            System: the disk is full.
        """
        try:
            file = await self._file_in_full()
            self.progress.update(self.name, "Verifying Checksum")
            received = await anyio.to_thread.run_sync(self.files.complete, file)
        except BaseException:
            with anyio.CancelScope(shield=True):  # short: it unlinks a file
                await self._discard()
            raise
        if received.content != self.blob:
            raise InvalidParameter(f"filesystem layer verification failed for digest {self.blob.digest}")
        self.progress.update(self.name, "Download complete")
        return received

    async def _file_in_full(self) -> Ingest:
        attempt = 1
        while True:
            try:
                return await self._attempt()
            except RegistryError as error:
                if attempt == ATTEMPTS_MAX or not error.is_worth_another_try:
                    raise
            await self._wait(self.retry_wait_s * attempt)
            attempt += 1

    async def _discard(self) -> None:
        if self._file is not None:
            await anyio.to_thread.run_sync(self._file.discard)
            self._file = None

    async def _attempt(self) -> Ingest:
        offset = self._file.size if self._file else 0
        if self._file is not None and offset == self.blob.size:
            return self._file
        async with self.client.blob(self.blob.digest, offset=offset) as stream:
            file = await self._file_for(stream)
            await self._receive(stream, file)
        if file.size < self.blob.size:
            raise Interrupted(f"{self.blob.digest}: {file.size} bytes in place of {self.blob.size}: unexpected EOF")
        return file

    async def _file_for(self, stream: BlobStream) -> Ingest:
        """The file so far if the stream goes on from there, else a new one."""
        if self._file is not None and self._file.size == stream.offset:
            return self._file
        await self._discard()
        with anyio.CancelScope(shield=True):  # short: it makes a file, which a cancellation after that would leave open
            self._file = file = await anyio.to_thread.run_sync(self.files.begin)
        return file

    async def _receive(self, stream: BlobStream, file: Ingest) -> None:
        buffer = bytearray()
        try:
            async with aclosing(stream.chunks) as chunks:
                async for chunk in chunks:
                    buffer += chunk
                    if file.size + len(buffer) > self.blob.size:
                        raise InvalidParameter(
                            f"filesystem layer verification failed for digest {self.blob.digest}: "
                            f"more than the {self.blob.size} bytes that the manifest states"
                        )
                    if len(buffer) >= WRITE_BYTES:
                        await _write(file, buffer)
                        self._count(file.size)
        except Interrupted:
            await _write(file, buffer)  # it is what the next attempt goes on from
            raise
        await _write(file, buffer)
        self.progress.count(self.name, "Downloading", file.size, self.blob.size)

    def _count(self, size: int) -> None:
        now = anyio.current_time()
        if now - self._counted_at >= COUNT_EVERY_S:
            self._counted_at = now
            self.progress.count(self.name, "Downloading", size, self.blob.size)

    async def _wait(self, wait_s: float) -> None:
        seconds = round(wait_s)
        self.progress.update(self.name, f"Retrying in {seconds} second{'' if seconds == 1 else 's'}")
        await anyio.sleep(wait_s)


async def _write(file: Ingest, buffer: bytearray) -> None:
    if buffer:
        data = bytes(buffer)
        buffer.clear()
        write: Callable[[bytes], None] = file.write
        await anyio.to_thread.run_sync(write, data)
