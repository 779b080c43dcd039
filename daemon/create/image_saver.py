"""`docker save`: images as an archive that `docker load` takes, here and elsewhere."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

import attrs

from daemon.create.events import image_event, publish
from daemon.create.streaming import Reading
from daemon.services import Services
from daemon.services.image_store import ImageStore
from daemon.storage.archive_out import SavedImage, save_images
from daemon.storage.content import ContentStore


@attrs.frozen(kw_only=True)
class ImageSaver:
    services: Services
    content: ContentStore
    reading: Reading
    now_ns: Callable[[], int]

    async def save(self, names: tuple[str, ...]) -> AsyncGenerator[bytes, None]:
        """The archive of these images, with the names that were asked for; it breaks off with Cancelled if one is removed.

        Raises:
            NotFound: there is no such image.
            InvalidParameter: what was asked for is no name.
        """
        found = sorted(
            await self.services.images.ask(ImageStore.named, names), key=lambda named: named.image.id
        )  # whatever the order of asking: the same images are the same archive
        saved = tuple(SavedImage(image=named.image, references=named.references) for named in found)
        for named in found:
            event = image_event(named.image, "save", self.now_ns(), name=named.image.id)
            await publish(self.services.events, event)
        return self.reading.stream(save_images(self.content, saved))
