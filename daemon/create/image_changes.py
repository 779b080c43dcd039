"""`docker tag`, `docker rmi`, `docker image prune`: the names of images, and their end.

Rules: moby v28 daemon/images/image_delete.go, image_prune.go. The record goes first, durably; what was stored for it is removed
after, and by recovery if that is cut short.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

import anyio
import attrs

from daemon.create.events import image_event, insist, prune_event, publish
from daemon.errors import Conflict, DaemonError, NotFound
from daemon.image import Image
from daemon.reference import parse_reference
from daemon.services import Services
from daemon.services.image_loader import ImageLoader
from daemon.services.image_store import ImageStore, NamedImage
from daemon.services.registrar import Registrar

_log = logging.getLogger(__name__)


@attrs.frozen(kw_only=True)
class Removed:
    """What `docker rmi` says, in this order."""

    untagged: tuple[str, ...]
    """Familiar names."""
    deleted: tuple[str, ...]
    """The image's id, then the chain ids of the layers that went with it."""
    freed_bytes: int
    """The files of those layers."""


@attrs.frozen(kw_only=True)
class ImageChanger:
    services: Services
    now_ns: Callable[[], int]

    async def tag(self, name_or_id: str, reference: str) -> None:
        """Point a reference in full, with a tag, at an image; durable. Raises NotFound, InvalidParameter, System."""
        image = await self.services.images.ask(ImageStore.tag, name_or_id, reference)
        await self._publish(image, "tag", parse_reference(reference).familiar)

    async def remove(self, name_or_id: str, *, force: bool) -> Removed:
        """Remove a name of an image, and with its last name the image. See `ImageIndex.plan_removal`.

        Raises:
            NotFound: there is no such image.
            Conflict: it is in use, or has several names and none was given.
            System: the disk is full, and nothing has changed; or something that was stored could not be removed.
        """
        services = self.services
        summaries = await services.registrar.ask(Registrar.list)
        users = {summary.image_id: summary.id for summary in reversed(summaries)}
        with anyio.CancelScope(shield=True):  # bounded: one commit and the removal of what was stored
            removal = await services.images.ask(ImageStore.remove, name_or_id, force=force, users=users)
            for _ in removal.untagged:
                await self._publish(removal.image, "untag", removal.image.id)
            deleted: tuple[str, ...] = ()
            gone: tuple[str, ...] = ()
            if removal.is_deleted:
                await self._publish(removal.image, "delete", removal.image.id)
                gone = await insist(partial(services.loader.ask, ImageLoader.discard, removal.image))
                deleted = (removal.image.id, *gone)
        return Removed(
            untagged=tuple(parse_reference(reference).familiar for reference in removal.untagged),
            deleted=deleted,
            freed_bytes=sum(layer.unpacked_bytes for layer in removal.image.layers if layer.chain_id in gone),
        )

    async def prune(self, is_wanted: Callable[[NamedImage], bool], *, only_nameless: bool) -> tuple[Removed, ...]:
        """Remove the images that are wanted by the caller, have no name if that is asked for, and are not in use."""
        images = await self.services.images.ask(ImageStore.list)
        removed: list[Removed] = []
        for named in images:
            if not is_wanted(named) or (only_nameless and named.tags):
                continue
            for name in named.references or (named.image.id,):
                try:
                    removed.append(await self.remove(name, force=False))
                except (Conflict, NotFound):  # in use, or gone meanwhile
                    continue
                except DaemonError as error:
                    _log.warning("cannot prune image %s: %s", named.image.id, error)
        freed_bytes = sum(each.freed_bytes for each in removed)
        await publish(self.services.events, prune_event("image", freed_bytes, self.now_ns()))
        return tuple(removed)

    async def _publish(self, image: Image, action: str, name: str) -> None:
        await publish(self.services.events, image_event(image, action, self.now_ns(), name=name))
