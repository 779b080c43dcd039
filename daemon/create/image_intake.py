"""`docker load`, `docker import`, and what `docker pull` has fetched: a worker process checks and unpacks it, then it is stored.

Each intake has a process and a directory of its own, so that one client's slowness, or a hostile archive, is nobody else's
affair. A client that goes away takes its intake along.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import attrs

from actors import Ref
from daemon.container import ContainerConfig
from daemon.image import LoadedImage
from daemon.services.image_loader import ImageLoader
from daemon.services.intake_process import ByteStream, WorkerHost, intake_area, intake_process
from daemon.services.transfers import Progress, short_digest
from daemon.storage.archive import Delivery, Rootfs
from daemon.storage.intake import Told, Unpacking, unheard
from daemon.storage.recovery import Stores
from daemon.storage.staged import Area
from daemon.storage.worker import Order

INTAKES_MAX = 4
"""At a time: each has a process, of up to 1 GB of memory, for as long as its client sends. Others wait."""


@attrs.frozen(kw_only=True)
class ImageIntake:
    loader: Ref[ImageLoader]
    stores: Stores
    host: WorkerHost
    note_residue: Callable[[], None]
    """Called when the disk has failed: then something may be left that no record names."""
    _intakes: anyio.CapacityLimiter = attrs.field(factory=lambda: anyio.CapacityLimiter(INTAKES_MAX))

    async def load(self, body: ByteStream, progress: Progress | None = None) -> tuple[LoadedImage, ...]:
        """The images of an archive as `docker save` writes it, durable, under the names it gives them.

        Raises:
            InvalidParameter: the archive is damaged, hostile or too large.
            System: the disk failed, or the worker died.
        """

        def told(unpacking: Unpacking) -> None:
            if progress is not None:
                name = short_digest(unpacking.diff_id)
                progress.count(name, "Loading layer", unpacking.read_bytes, unpacking.blob_bytes)

        async with self._intakes, self.area() as area:
            return await self._take(self._order(area), body, told)

    async def import_rootfs(
        self,
        body: ByteStream,
        *,
        config: ContainerConfig,
        created: str,
        message: str,
        reference: str,
        architecture: str = "",
        variant: str = "",
    ) -> LoadedImage:
        """An image of one layer from the tar of a root file system. Raises as `load`.

        `reference` may be empty, and `architecture`, where it is this machine's.
        """
        into = Rootfs(
            config=config,
            created=created,
            message=message,
            references=(reference,) if reference else (),
            architecture=architecture,
            variant=variant,
        )
        async with self._intakes, self.area() as area:
            (loaded,) = await self._take(self._order(area, rootfs=into), body)
        return loaded

    @asynccontextmanager
    async def area(self) -> AsyncIterator[Area]:
        """For what is to be delivered: it is gone at the end. Raises System."""
        async with intake_area(self.stores.root, note_residue=self.note_residue) as area:
            yield area

    async def deliver(self, delivery: Delivery, area: Area, told: Told = unheard) -> LoadedImage:
        """The image of what has been fetched into an area. Raises as `load`."""
        async with self._intakes:
            (loaded,) = await self._take(self._order(area, delivery=delivery), None, told)
        return loaded

    async def _take(self, order: Order, body: ByteStream | None, told: Told = unheard) -> tuple[LoadedImage, ...]:
        async with intake_process(self.host, order, told) as intake:
            if body is not None:
                await intake.feed(body)
            return await self.loader.ask(ImageLoader.take, intake)

    def _order(self, area: Area, *, rootfs: Rootfs | None = None, delivery: Delivery | None = None) -> Order:
        return Order(area=str(area.path), layers=str(self.stores.layers.root), rootfs=rootfs, delivery=delivery)
