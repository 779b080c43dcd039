"""Makes what has been unpacked part of the stores: the content store and the layer store are changed by this actor alone.

An intake is checked and unpacked in its turn here, because it leaves out the layers that are there already; it is received before
that, at its client's pace, beside others. What was stored for an image that could not be recorded is taken back.
"""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import anyio.to_thread
import attrs

from actors import Ref
from daemon.image import Image, LoadedImage
from daemon.reference import parse_reference
from daemon.services.image_store import ImageStore, NamedImage
from daemon.services.intake_process import IntakeProcess
from daemon.storage.content import ContentStore
from daemon.storage.layers import LayerStore
from daemon.storage.oci import IndexEntry
from daemon.storage.recovery import index_entry
from daemon.storage.staged import commit


class ImageLoader:
    def __init__(self, images: Ref[ImageStore], content: ContentStore, layers: LayerStore) -> None:
        self._images = images
        self._content = content
        self._layers = layers

    async def take(self, intake: IntakeProcess) -> tuple[LoadedImage, ...]:
        """The images of an archive that has been fed to a worker, durable, under the names that it gives them.

        Raises:
            InvalidParameter: the archive is damaged, hostile or too large.
            Cancelled: whoever asked has gone.
            System: the disk failed, or the worker died.
        """
        async with intake.turn():
            staged = await intake.staged()
            await anyio.to_thread.run_sync(commit, staged, intake.area, self._content, self._layers)
            return await self._record(staged.images)

    async def discard(self, image: Image) -> tuple[str, ...]:
        """Remove the content of an image that has no record any more, but for what others share.

        The chain ids of the layers that went, the uppermost first. Raises System; what is left then is residue.
        """
        known = await self._images.ask(ImageStore.list)
        entries = index_entries(known)
        digests = image.digests.difference(*(named.image.digests for named in known))
        kept = {chain_id for named in known for chain_id in named.image.chain_ids}
        gone = tuple(chain_id for chain_id in reversed(image.chain_ids) if chain_id not in kept)

        def remove() -> None:
            self._content.write_index(entries)
            for digest in digests:
                self._content.delete(digest)
            for chain_id in gone:
                self._layers.delete(chain_id)

        await anyio.to_thread.run_sync(remove)
        return gone

    async def _record(self, loaded: Sequence[LoadedImage]) -> tuple[LoadedImage, ...]:
        recorded = []
        try:
            # All names before the first record: an archive with a bad one is refused as a whole.
            names = [tuple(str(parse_reference(text).tagged()) for text in item.references) for item in loaded]
            for item, references in zip(loaded, names, strict=True):
                replaced = await self._images.ask(ImageStore.add, item.image, references)
                recorded.append(attrs.evolve(item, replaced=replaced))
        except BaseException:
            with anyio.CancelScope(shield=True):  # short: it removes what was just written
                await self._take_back()
            raise
        await anyio.to_thread.run_sync(
            self._content.write_index, index_entries(await self._images.ask(ImageStore.list))
        )
        return tuple(recorded)

    async def _take_back(self) -> None:
        known = await self._images.ask(ImageStore.list)

        def sweep() -> None:
            self._content.recover({digest for named in known for digest in named.image.digests})
            self._layers.recover({chain_id for named in known for chain_id in named.image.chain_ids})

        await anyio.to_thread.run_sync(sweep)


def index_entries(images: Sequence[NamedImage]) -> list[IndexEntry]:
    return [index_entry(named.image, named.references) for named in images]
