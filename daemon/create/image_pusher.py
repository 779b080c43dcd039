"""`docker push`: the blobs that the registry has not got, then the manifest, byte for byte as they are stored.

So an image that was pulled is the same at another registry, with the same digest. Unlike Moby, which compresses the layers anew
and makes a manifest of its own. Order and texts of the steps: moby v28 distribution/push.go, push_v2.go.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import attrs

from daemon.create.blob_download import ATTEMPTS_MAX, COUNT_EVERY_S, RETRY_WAIT_S
from daemon.create.events import publish, reference_event
from daemon.create.platforms import Platform, check_platform
from daemon.create.streaming import Reading
from daemon.errors import DaemonError, InvalidParameter, NotFound
from daemon.image import Image
from daemon.reference import Reference, parse_reference
from daemon.registry.challenges import scopes_of
from daemon.registry.credentials import Credentials
from daemon.registry.documents import media_type_of
from daemon.registry.refusals import RegistryError, RegistryRefusal
from daemon.registry.registries import Registries
from daemon.services import Services
from daemon.services.image_store import ImageStore, NamedImage
from daemon.services.transfers import Progress, Pushed, short_digest
from daemon.storage.content import ContentStore
from daemon.storage.oci import JSON_BYTES_MAX, Descriptor, Manifest, decode_manifest
from daemon.storage.streams import chunks

if TYPE_CHECKING:  # the client is imported for the first who needs it: see `Registries`
    from daemon.registry.client import RegistryClient

UPLOADS_MAX = 5
"""Blobs that are sent at a time, of all pushes, as in dockerd (`max-concurrent-uploads`)."""

SOURCES_MAX = 8
"""Repositories that layers are mounted from: each is one more right that the token server is asked for."""


@attrs.frozen(kw_only=True)
class PushRequest:
    reference: Reference
    """With a tag, or the name alone for all its tags."""
    platform: Platform | None
    credentials: Credentials


@attrs.frozen(kw_only=True)
class ImagePusher:
    services: Services
    registries: Registries
    content: ContentStore
    reading: Reading
    now_ns: Callable[[], int]
    retry_wait_s: float = RETRY_WAIT_S
    _uploads: anyio.CapacityLimiter = attrs.field(factory=lambda: anyio.CapacityLimiter(UPLOADS_MAX))

    async def push(self, request: PushRequest, progress: Progress) -> None:
        """Send images to the registry of their name, and record by which digest it has them.

        Raises:
            NotFound: there is no such image here.
            InvalidParameter: it was named by its digest.
            RegistryError: the registry refuses or has failed.
            System: the image has been removed meanwhile.
        """
        reference = request.reference
        progress.message(f"The push refers to repository [{reference.name}]")
        images = await self.services.images.ask(ImageStore.list)
        tagged = tagged_images(images, reference)
        if request.platform is not None:
            for image in tagged.values():
                check_platform(image, request.platform, str(reference))
        sources = mount_sources(images, reference)
        repositories = tuple(dict.fromkeys(sources.values()))
        scopes = scopes_of(reference.path, is_push=True, sources=repositories)
        async with self.registries.client(reference, request.credentials, scopes) as client:
            for tag, image in tagged.items():
                await progress.wait_room()
                await _Push(self, client, image, sources, progress).run(attrs.evolve(reference, tag=tag))
        labels = next(iter(tagged.values())).config.labels
        await publish(self.services.events, reference_event(reference, "push", labels, self.now_ns()))

    def upload_turn(self) -> anyio.CapacityLimiter:
        return self._uploads


@attrs.frozen
class _Push:
    """One image on its way to one registry."""

    pusher: ImagePusher
    client: RegistryClient
    image: Image
    sources: dict[str, str]
    progress: Progress

    async def run(self, reference: Reference) -> None:
        store, image = self.pusher.content, self.image
        content = await anyio.to_thread.run_sync(lambda: store.read(image.manifest_digest, bytes_max=JSON_BYTES_MAX))
        manifest = decode_manifest(content)
        await self._push_blobs(manifest)
        await self.client.put_manifest(reference.tag, media_type_of("", content), content)
        digest, size = image.manifest_digest, len(content)
        with suppress(NotFound):  # removed while it was sent: there is nothing to record, and the registry has it
            await self.pusher.services.images.ask(ImageStore.tag, image.id, f"{reference.name}@{digest}")
        self.progress.message(f"{reference.tag}: digest: {digest} size: {size}")
        self.progress.pushed(Pushed(tag=reference.tag, digest=digest, size=size))

    async def _push_blobs(self, manifest: Manifest) -> None:
        """The layers, the uppermost first, under the names of their contents; and the configuration, under none."""
        names = {layer.digest: short_digest(layer.diff_id) for layer in self.image.layers}
        blobs = {pointer.digest: pointer.content for pointer in reversed(manifest.layers)}
        for digest in blobs:
            self.progress.update(names.get(digest, ""), "Preparing")
        blobs[manifest.config.digest] = manifest.config.content
        failures: list[DaemonError] = []

        async def send(blob: Descriptor) -> None:
            name, turn = names.get(blob.digest, ""), self.pusher.upload_turn()
            try:
                if name and not turn.available_tokens:
                    self.progress.update(name, "Waiting")
                async with turn:
                    status = await self._send(blob, name)
                if name:
                    self.progress.update(name, status)
            except DaemonError as error:
                failures.append(error)
                tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            for blob in blobs.values():
                tasks.start_soon(send, blob)
        if failures:
            raise failures[0]

    async def _send(self, blob: Descriptor, name: str) -> str:
        """What has become of it, in Docker's words."""
        for attempt in range(1, ATTEMPTS_MAX + 1):
            try:
                return await self._attempt(blob, name)
            except RegistryError as error:
                if attempt == ATTEMPTS_MAX or not error.is_worth_another_try:
                    raise
            await anyio.sleep(self.pusher.retry_wait_s * attempt)
        raise AssertionError("the last attempt returns or raises")

    async def _attempt(self, blob: Descriptor, name: str) -> str:
        if await self.client.has_blob(blob.digest):
            return "Layer already exists"
        location = ""
        if source := self.sources.get(blob.digest):
            try:
                location = await self.client.mount(blob.digest, source)
            except RegistryRefusal:
                location = await self.client.begin_upload()  # not for us to mount
            if not location:
                return f"Mounted from {source}"
        else:
            location = await self.client.begin_upload()
        async with aclosing(self._content_of(blob, name)) as content:
            await self.client.upload(location, blob, content)
        return "Pushed"

    async def _content_of(self, blob: Descriptor, name: str) -> AsyncGenerator[bytes, None]:
        sent, counted_at = 0, 0.0
        async with aclosing(self.pusher.reading.stream(_pieces(self.pusher.content, blob.digest))) as batches:
            async for batch in batches:
                yield batch
                sent += len(batch)
                now = anyio.current_time()
                if name and now - counted_at >= COUNT_EVERY_S:
                    counted_at = now
                    self.progress.count(name, "Pushing", sent, blob.size)


def tagged_images(images: Sequence[NamedImage], reference: Reference) -> dict[str, Image]:
    """What is to be sent, by tag. Raises NotFound, InvalidParameter with Moby's texts."""
    if reference.digest:
        raise InvalidParameter("cannot push a digest reference")
    tags: dict[str, Image] = {}
    for named in images:
        for parsed in map(parse_reference, named.tags):
            if parsed.name == reference.name:
                tags[parsed.tag] = named.image
    if not tags:
        raise NotFound(f"An image does not exist locally with the tag: {reference.familiar_name}")
    if not reference.tag:
        return dict(sorted(tags.items()))
    if reference.tag not in tags:
        raise NotFound(f"tag does not exist: {reference.familiar}")
    return {reference.tag: tags[reference.tag]}


def mount_sources(images: Sequence[NamedImage], reference: Reference) -> dict[str, str]:
    """By blob: another repository of the same registry that has it, because an image that has it was pulled or pushed there."""
    sources: dict[str, str] = {}
    repositories: set[str] = set()
    for named in images:
        for parsed in map(parse_reference, named.references):
            if not parsed.digest or parsed.domain != reference.domain or parsed.path == reference.path:
                continue
            if parsed.path not in repositories and len(repositories) >= SOURCES_MAX:
                continue
            repositories.add(parsed.path)
            for layer in named.image.layers:
                sources.setdefault(layer.digest, parsed.path)
    return sources


def _pieces(store: ContentStore, digest: str) -> Generator[bytes, None, None]:
    with store.open(digest) as blob:
        yield from chunks(blob)
