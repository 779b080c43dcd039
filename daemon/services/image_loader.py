"""Makes what has been unpacked part of the stores: the content store and the layer store are changed by this actor alone.

An intake is checked and unpacked in its turn here, because it leaves out the layers that are there already; it is received before
that, as fast as its client or its registry is, beside others. What was stored for an image that could not be recorded is taken
back.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import anyio
from msgspec.structs import replace

from actors import Ref, run_in_thread
from daemon.errors import InvalidParameter, System, quoted
from daemon.image import Image, LoadedImage
from daemon.reference import parse_reference
from daemon.services.image_store import ImageStore, NamedImage
from daemon.services.intake_process import IntakeProcess
from daemon.storage.archive import Delivery
from daemon.storage.findings import index_entry
from daemon.storage.layer_commit import Draft, commit_layer
from daemon.storage.oci import IndexEntry
from daemon.storage.recovery import Stores
from daemon.storage.staged import commit

_log = logging.getLogger(__name__)


class ImageLoader:
    def __init__(self, images: Ref[ImageStore], stores: Stores, *, note_residue: Callable[[], None]) -> None:
        """`note_residue` is called when the disk has failed: then something may be left that no record names."""
        self._images = images
        self._note_residue = note_residue
        self._stores = stores
        self._content, self._layers = stores.content, stores.layers

    async def take(self, intake: IntakeProcess) -> tuple[LoadedImage, ...]:
        """The images that a worker has been given, durable, under their names; of a delivery these may be digests.

        Raises:
            InvalidParameter: what it was given is damaged, hostile or too large.
            Cancelled: whoever asked has gone.
            System: the disk failed, or the worker died.
        """
        async with intake.turn():
            staged, delivery = await intake.staged(), intake.order.delivery
            given = {}
            if delivery is not None:
                check_delivered(staged.images, delivery)
                given = {file.content.digest: file.name for file in delivery.files}
            work = partial(commit, staged, intake.area, self._content, self._layers, given=given)
            with self._noting_residue():
                await run_in_thread(work)
                return await self._record(staged.images, may_be_digests=delivery is not None)

    async def commit(self, upper: Path, draft: Draft, references: tuple[str, ...]) -> Image:
        """The image of a draft and what is in `upper`, durable, under these full references. See `commit_layer`."""
        with self._noting_residue():
            image = await run_in_thread(commit_layer, upper, draft, self._stores)
            await self._record((LoadedImage(image=image, references=references),))
        return image

    async def write_index(self) -> None:
        """Have `index.json` name the images as they are called now. On a full disk it stays as it is: it is for other tools."""
        entries = index_entries(await self._images.ask(ImageStore.list))
        try:
            await run_in_thread(self._content.write_index, entries)
        except System as error:
            self._note_residue()
            _log.error("index.json is not up to date: %s", error)

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

        await run_in_thread(remove)
        return gone

    @contextmanager
    def _noting_residue(self) -> Iterator[None]:
        try:
            yield
        except System:
            self._note_residue()
            raise

    async def _record(self, loaded: Sequence[LoadedImage], *, may_be_digests: bool = False) -> tuple[LoadedImage, ...]:
        recorded = []
        try:
            # All names before the first record: an archive with a bad one is refused as a whole.
            full = partial(_full_name, may_be_digest=may_be_digests)
            names = [tuple(map(full, item.references)) for item in loaded]
            await run_in_thread(self._make_inits, [item.image.chain_ids for item in loaded])
            for item, references in zip(loaded, names, strict=True):
                replaced = await self._images.ask(ImageStore.add, item.image, references)
                recorded.append(replace(item, replaced=replaced))
        except BaseException:
            with anyio.CancelScope(shield=True):  # short: it removes what was just written
                await self._take_back()
            raise
        await self.write_index()
        return tuple(recorded)

    def _make_inits(self, chains: Sequence[tuple[str, ...]]) -> None:
        for chain_ids in chains:
            self._layers.make_init(chain_ids)

    async def _take_back(self) -> None:
        known = await self._images.ask(ImageStore.list)

        def sweep() -> None:
            self._content.sweep({digest for named in known for digest in named.image.digests})
            self._layers.sweep({chain_id for named in known for chain_id in named.image.chain_ids})

        await run_in_thread(sweep)


def check_delivered(loaded: Sequence[LoadedImage], delivery: Delivery) -> None:
    """A worker that strangers have made their own could say that it was another image. Raises System."""
    wanted = (delivery.config, delivery.manifest, *delivery.layers)
    digests = {
        (item.image.id, item.image.manifest_digest, *(layer.digest for layer in item.image.layers)) for item in loaded
    }
    is_right = digests == {tuple(given.content.digest for given in wanted)}
    if len(loaded) != 1 or not is_right or loaded[0].references != delivery.references:
        raise System("what was unpacked is not what was delivered")


def _full_name(text: str, *, may_be_digest: bool) -> str:
    """Raises InvalidParameter, also for a digest by which nothing was pulled (moby tarexport/load.go)."""
    reference = parse_reference(text)
    if reference.digest and not may_be_digest:
        raise InvalidParameter(f"invalid tag {quoted(text)}")
    return str(reference.tagged())


def index_entries(images: Sequence[NamedImage]) -> list[IndexEntry]:
    return [index_entry(named.image, named.references) for named in images]
