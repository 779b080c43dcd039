"""`docker load` and `docker import`: a body goes to a worker process as it arrives, and what comes of it into the stores.

Each intake has a process and a directory of its own, so that one client's slowness, or a hostile archive, is nobody else's
affair. A client that goes away takes its intake along.
"""

from __future__ import annotations

import anyio
import anyio.to_thread
import attrs

from actors import Ref
from daemon.container import ContainerConfig
from daemon.image import LoadedImage
from daemon.services.image_loader import ImageLoader
from daemon.services.intake_process import ByteStream, WorkerHost, intake_process
from daemon.storage.archive import Rootfs
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
    _intakes: anyio.CapacityLimiter = attrs.field(factory=lambda: anyio.CapacityLimiter(INTAKES_MAX))

    async def load(self, body: ByteStream) -> tuple[LoadedImage, ...]:
        """The images of an archive as `docker save` writes it, durable, under the names it gives them.

        Raises:
            InvalidParameter: the archive is damaged, hostile or too large.
            System: the disk failed, or the worker died.
        """
        return await self._take(body, None)

    async def import_rootfs(
        self, body: ByteStream, *, config: ContainerConfig, created: str, message: str, reference: str
    ) -> LoadedImage:
        """An image of one layer from the tar of a root file system; `reference` may be empty. Raises as `load`."""
        references = (reference,) if reference else ()
        rootfs = Rootfs(config=config, created=created, message=message, references=references)
        (loaded,) = await self._take(body, rootfs)
        return loaded

    async def _take(self, body: ByteStream, rootfs: Rootfs | None) -> tuple[LoadedImage, ...]:
        stores = self.stores
        async with self._intakes:
            area = await anyio.to_thread.run_sync(Area.made_in, stores.root)
            order = Order(
                area=str(area.path), content=str(stores.content.root), layers=str(stores.layers.root), rootfs=rootfs
            )
            async with intake_process(self.host, order, area) as intake:
                await intake.feed(body)
                return await self.loader.ask(ImageLoader.take, intake)
