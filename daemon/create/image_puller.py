"""`docker pull`: manifests first, then the layers that are missing, then all of it at once into the stores.

Layers arrive beside whatever else goes on (`blob_download`); a worker process checks them against the configuration and unpacks
them, and the image loader stores and records them (`image_intake`). So a pull that is cut short leaves nothing, and an image is
there whole or not at all.
Of several pulls of one image at a time the first fetches it, and the others find it there.

Order and texts of the steps: moby v28 distribution/pull_v2.go, pull.go, xfer/download.go.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import attrs

from daemon.create.blob_download import RETRY_WAIT_S, Download
from daemon.create.events import publish, reference_event
from daemon.create.image_intake import ImageIntake
from daemon.create.keyed_turns import KeyedTurns
from daemon.create.platforms import Platform, check_platform, rank
from daemon.errors import DaemonError, Forbidden, InvalidParameter, NotFound
from daemon.host import Host
from daemon.image import Image, Layer
from daemon.reference import Reference
from daemon.registry.challenges import scopes_of
from daemon.registry.credentials import Credentials
from daemon.registry.documents import FetchedManifest, image_manifest, index_entries
from daemon.registry.refusals import RegistryError, explained
from daemon.registry.registries import Registries
from daemon.services import Services
from daemon.services.image_loader import ImageLoader
from daemon.services.image_store import ImageStore, NamedImage, key_of
from daemon.services.transfers import Progress, short_digest
from daemon.storage.archive import INDEX_DEPTH_MAX, Delivery, Given
from daemon.storage.content import ContentStore
from daemon.storage.intake import Unpacking
from daemon.storage.oci import Descriptor, Manifest
from daemon.storage.oci import Reference as Pointer
from daemon.storage.received import ReceivedFile, ReceivedFiles

if TYPE_CHECKING:  # the client is imported for the first who needs it: see `Registries`
    from daemon.registry.client import RegistryClient

DOWNLOADS_MAX = 3
"""Layers that arrive at a time, of all pulls, as in dockerd (`max-concurrent-downloads`)."""


@attrs.frozen(kw_only=True)
class PullRequest:
    reference: Reference
    """With a tag or a digest; the name alone means all tags."""
    platform: Platform | None
    """None means this machine's, if there is a choice."""
    credentials: Credentials


@attrs.frozen(kw_only=True)
class _Found:
    """An image at the registry."""

    manifest: Manifest
    content: bytes
    """The manifest, byte for byte."""
    digest: str
    """Of what the reference means: an index, where it leads to one."""


@attrs.frozen(kw_only=True)
class ImagePuller:
    services: Services
    registries: Registries
    content: ContentStore
    intake: ImageIntake
    host: Host
    now_ns: Callable[[], int]
    retry_wait_s: float = RETRY_WAIT_S
    _downloads: anyio.CapacityLimiter = attrs.field(factory=lambda: anyio.CapacityLimiter(DOWNLOADS_MAX))
    _turns: KeyedTurns = attrs.field(factory=KeyedTurns)

    async def pull(self, request: PullRequest, progress: Progress) -> None:
        """The image, durable, under its tag and its digest.

        Raises:
            NotFound: the registry has none, or does not tell us.
            Forbidden: this name is not for an image.
            InvalidParameter: what it sent is no image, damaged or hostile.
            RegistryError: it refuses or has failed.
            System: the disk is full.
        """
        reference = request.reference
        if reference.path == "library/scratch" and reference.familiar_name == "scratch":
            raise Forbidden("'scratch' is a reserved name")
        scopes = scopes_of(reference.path)
        try:
            async with self.registries.client(reference, request.credentials, scopes) as client:
                is_new = False
                for each in await self._wanted(client, reference):
                    await progress.wait_room()
                    is_new = await self._pull_one(client, each, request.platform, progress) or is_new
        except RegistryError as error:
            raise explained(error, reference) from error
        status = "Downloaded newer image" if is_new else "Image is up to date"
        progress.message(f"Status: {status} for {reference.familiar}")
        named = await self._find_named(key_of(reference))
        labels = named.image.config.labels if named else None
        if named is not None and request.platform is not None:
            _warn(named.image, request.platform, str(reference), progress)
        await publish(self.services.events, reference_event(reference, "pull", labels, self.now_ns()))

    async def _wanted(self, client: RegistryClient, reference: Reference) -> tuple[Reference, ...]:
        if reference.suffix:
            return (reference,)
        return tuple(attrs.evolve(reference, tag=tag) for tag in await client.tags())

    async def _pull_one(
        self, client: RegistryClient, reference: Reference, platform: Platform | None, progress: Progress
    ) -> bool:
        """Whether the reference means another image than before."""
        wanted = reference.digest or reference.tag
        fetched = await client.manifest(wanted)
        progress.message(f"Pulling from {reference.path}", str(reference) if reference.digest else reference.tag)
        found = await self._choose(client, fetched, reference, platform)
        own_digest = f"{reference.name}@{found.digest}"
        references = (own_digest,) if reference.digest else (own_digest, str(reference))
        async with self._turns.turn(found.manifest.config.digest):
            named = await self._find_named(found.manifest.config.digest)
            is_new = named is None or references[-1] not in named.references
            if named is None or not await self._point(named, references):
                is_new = True
                await self._fetch(client, found, references, progress)
        progress.message(f"Digest: {found.digest}")
        return is_new

    async def _choose(
        self, client: RegistryClient, fetched: FetchedManifest, reference: Reference, platform: Platform | None
    ) -> _Found:
        """The image that an index has for the platform, or the image itself. Raises NotFound if there is none."""
        top = fetched
        for _ in range(INDEX_DEPTH_MAX):
            entries = index_entries(fetched)
            if entries is None:
                manifest = image_manifest(fetched, reference)
                return _Found(manifest=manifest, content=fetched.content, digest=top.digest)
            wanted = platform or Platform("linux", self.host.architecture, self.host.variant)
            best = best_of(entries, wanted)
            if best is None:
                raise NotFound(f"no matching manifest for {wanted} in the manifest list entries")
            fetched = await client.manifest(best.digest)
        raise InvalidParameter(f"invalid index: nested more than {INDEX_DEPTH_MAX} times")

    async def _find_named(self, text: str) -> NamedImage | None:
        try:
            return await self.services.images.ask(ImageStore.find_named, text)
        except NotFound:
            return None

    async def _point(self, named: NamedImage, references: tuple[str, ...]) -> bool:
        """Let the references mean an image that is there; False if it is not there any more."""
        try:
            for reference in references:
                if reference not in named.references:
                    await self.services.images.ask(ImageStore.tag, named.image.id, reference)
                    await self.services.loader.ask(ImageLoader.write_index)
        except NotFound:
            return False
        return True

    async def _fetch(
        self, client: RegistryClient, found: _Found, references: tuple[str, ...], progress: Progress
    ) -> None:
        """Fetch what is missing, and have it taken in."""
        async with self.intake.area() as area:
            files = ReceivedFiles(area.given)
            config = await client.small_blob(found.manifest.config.content)
            layers = await self._layers(client, found.manifest, files, progress)
            known = await self._known({layer.digest for layer in layers})
            documents = await anyio.to_thread.run_sync(lambda: [files.add(each) for each in (config, found.content)])
            delivery = Delivery(
                config=_given(documents[0]),
                layers=tuple(_given(layer.file) for layer in layers),
                manifest=_given(documents[1]),
                references=references,
                known=known,
            )
            fetched = {layer.digest: short_digest(layer.digest) for layer in layers if not layer.is_borrowed}

            def told(unpacking: Unpacking) -> None:
                if (name := fetched.get(unpacking.digest)) is not None:
                    progress.count(name, "Extracting", unpacking.read_bytes, unpacking.blob_bytes)

            await self.intake.deliver(delivery, area, told)
            for name in fetched.values():
                progress.update(name, "Pull complete")

    async def _known(self, digests: Collection[str]) -> tuple[Layer, ...]:
        """What is known of the layers that these blobs are, from images that are here."""
        listed = await self.services.images.ask(ImageStore.list)
        layers = {layer.digest: layer for named in listed for layer in named.image.layers if layer.digest in digests}
        return tuple(layers.values())

    async def _layers(
        self, client: RegistryClient, manifest: Manifest, files: ReceivedFiles, progress: Progress
    ) -> tuple[_Layer, ...]:
        """The manifest's layers, each blob once: those that the store has, and the others, as many at a time as may be."""
        blobs = {pointer.digest: pointer.content for pointer in manifest.layers}
        found: dict[str, _Layer] = {}
        for blob in blobs.values():
            file = await anyio.to_thread.run_sync(files.borrow, blob.digest, self.content)
            if file is not None:
                found[blob.digest] = _Layer(file, is_borrowed=True)
            progress.update(short_digest(blob.digest), "Pulling fs layer" if file is None else "Already exists")
        failures: list[DaemonError] = []

        async def fetch(blob: Descriptor) -> None:
            download = Download(client, files, blob, short_digest(blob.digest), progress, self.retry_wait_s)
            try:
                if not self._downloads.available_tokens:
                    progress.update(short_digest(blob.digest), "Waiting")
                async with self._downloads:
                    found[blob.digest] = _Layer(await download.run(), is_borrowed=False)
            except DaemonError as error:
                failures.append(error)
                tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            for blob in blobs.values():
                if blob.digest not in found:
                    tasks.start_soon(fetch, blob)
        if failures:
            raise failures[0]
        return tuple(found[pointer.digest] for pointer in manifest.layers)


@attrs.frozen
class _Layer:
    file: ReceivedFile
    is_borrowed: bool

    @property
    def digest(self) -> str:
        return self.file.content.digest


def _given(file: ReceivedFile) -> Given:
    return Given(file.path.name, file.content)


def _warn(image: Image, platform: Platform, name: str, progress: Progress) -> None:
    """Of an image for another platform than was asked for: the registry has no other by that name."""
    try:
        check_platform(image, platform, name)
    except NotFound as error:
        progress.message(f"WARNING: {error}")


def best_of(entries: Sequence[Pointer], wanted: Platform) -> Pointer | None:
    """The entry of an index that suits the platform best, the first of several; one that does not say its own at last."""
    ranked = [(ranked_as, entry) for entry in entries if (ranked_as := _rank(entry, wanted)) is not None]
    return min(ranked, key=lambda pair: pair[0])[1] if ranked else None


_UNSAID = 1000
"""Below any platform that is said to fit."""


def _rank(entry: Pointer, wanted: Platform) -> int | None:
    if entry.platform is None:
        return _UNSAID
    return rank(wanted, Platform(entry.platform.os, entry.platform.architecture, entry.platform.variant))
