"""Takes in archives, one after another: the content store and the layer store are changed by this actor alone.

The work is done in a thread, which reads the client's bytes as they come. What was stored for an image that could not be
recorded is taken back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Protocol

import anyio
import anyio.from_thread
import anyio.to_thread

from actors import Ref
from daemon.container import ContainerConfig
from daemon.errors import InvalidParameter, System, quoted
from daemon.image import Image, LoadedImage
from daemon.reference import parse_reference
from daemon.services.image_store import ImageStore, NamedImage
from daemon.storage.archive import import_rootfs, load_archive, take_image
from daemon.storage.content import ContentStore
from daemon.storage.findings import index_entry
from daemon.storage.intake import FoundImage
from daemon.storage.layer_commit import Draft, commit_layer
from daemon.storage.layers import LayerStore
from daemon.storage.oci import IndexEntry, Platform
from daemon.storage.received import ReceivedFiles


class ByteStream(Protocol):
    """A body that is still arriving."""

    async def receive(self) -> bytes:
        """The next bytes, empty at the end. Raises a DaemonError if the client goes away."""
        ...


class Delivery:
    """Files that somebody has fetched, and the image that they are; whoever has it last removes what is left of them."""

    def __init__(self, files: ReceivedFiles, image: FoundImage) -> None:
        self.files = files
        self.image = image
        self.is_taken = False
        """Whether the loader has begun with it: from then on the files are the loader's."""


class ImageLoader:
    def __init__(
        self, images: Ref[ImageStore], content: ContentStore, layers: LayerStore, *, note_residue: Callable[[], None]
    ) -> None:
        """`note_residue` is called when the disk has failed: then something may be left that no record names."""
        self._images = images
        self._note_residue = note_residue
        self._content = content
        self._layers = layers

    async def load(self, body: ByteStream) -> tuple[LoadedImage, ...]:
        """The images of an archive as `docker save` writes it, durable, under the names it gives them.

        Raises:
            InvalidParameter: the archive is damaged, hostile or too large.
            System: the disk failed.
        """
        with self._noting_residue():
            loaded = await anyio.to_thread.run_sync(
                lambda: load_archive(BlockingReader(body), self._content, self._layers)
            )
            await self._record(loaded)
        return loaded

    async def take(self, delivery: Delivery) -> LoadedImage:
        """The image of files that have been fetched, durable, under its names, which may be digests.

        Raises:
            InvalidParameter: it is damaged, hostile or too large.
            System: the disk failed.
        """
        delivery.is_taken = True
        work = partial(take_image, delivery.files, delivery.image, self._content, self._layers)
        with self._noting_residue():
            loaded = await anyio.to_thread.run_sync(work)
            await self._record((loaded,), may_be_digests=True)
        return loaded

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
        platform = Platform(os="linux", architecture=architecture, variant=variant) if architecture else None
        references = (reference,) if reference else ()
        with self._noting_residue():
            loaded = await anyio.to_thread.run_sync(
                lambda: import_rootfs(
                    BlockingReader(body),
                    self._content,
                    self._layers,
                    config=config,
                    created=created,
                    message=message,
                    references=references,
                    platform=platform,
                )
            )
            await self._record((loaded,))
        return loaded

    async def commit(self, upper: Path, draft: Draft, references: tuple[str, ...]) -> Image:
        """The image of a draft and what is in `upper`, durable, under these full references. See `commit_layer`."""
        with self._noting_residue():
            image = await anyio.to_thread.run_sync(lambda: commit_layer(upper, draft, self._content, self._layers))
            await self._record((LoadedImage(image=image, references=references),))
        return image

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

        with self._noting_residue():
            await anyio.to_thread.run_sync(remove)
        return gone

    @contextmanager
    def _noting_residue(self) -> Iterator[None]:
        try:
            yield
        except System:
            self._note_residue()
            raise

    async def _record(self, loaded: Sequence[LoadedImage], *, may_be_digests: bool = False) -> None:
        try:
            # All names before the first record: an archive with a bad one is refused as a whole.
            full = partial(_full_name, may_be_digest=may_be_digests)
            names = [tuple(map(full, item.references)) for item in loaded]
            await anyio.to_thread.run_sync(self._make_inits, [item.image.chain_ids for item in loaded])
            for item, references in zip(loaded, names, strict=True):
                await self._images.ask(ImageStore.add, item.image, references)
        except BaseException:
            with anyio.CancelScope(shield=True):  # short: it removes what was just written
                await self._take_back()
            raise
        await anyio.to_thread.run_sync(
            self._content.write_index, index_entries(await self._images.ask(ImageStore.list))
        )

    def _make_inits(self, chains: Sequence[tuple[str, ...]]) -> None:
        for chain_ids in chains:
            self._layers.make_init(chain_ids)

    async def _take_back(self) -> None:
        known = await self._images.ask(ImageStore.list)

        def sweep() -> None:
            # The ingests stay: of this intake none is left, and those of downloads are theirs.
            self._content.sweep({digest for named in known for digest in named.image.digests})
            self._layers.sweep({chain_id for named in known for chain_id in named.image.chain_ids})

        await anyio.to_thread.run_sync(sweep)


def _full_name(text: str, *, may_be_digest: bool) -> str:
    """Raises InvalidParameter, also for a digest by which nothing was pulled (moby tarexport/load.go)."""
    reference = parse_reference(text)
    if reference.digest and not may_be_digest:
        raise InvalidParameter(f"invalid tag {quoted(text)}")
    return str(reference.tagged())


class BlockingReader:
    """A body as a file, for the worker thread that unpacks it."""

    def __init__(self, body: ByteStream) -> None:
        self._body = body
        self._left = b""

    def read(self, size: int, /) -> bytes:
        if not self._left:
            self._left = anyio.from_thread.run(self._body.receive)
        data, self._left = self._left[:size], self._left[size:]
        return data


def index_entries(images: Sequence[NamedImage]) -> list[IndexEntry]:
    return [index_entry(named.image, named.references) for named in images]
