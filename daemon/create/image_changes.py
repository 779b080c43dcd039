"""`docker tag`, `docker rmi`, `docker image prune`: the names of images, and their end.

Rules: moby v28 daemon/images/image_delete.go, image_prune.go. The record goes first, durably; what was stored for it is removed
after, and by recovery if that is cut short.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable
from functools import partial

import anyio
import attrs

from actors import ActorError
from daemon.create.events import image_event, insist, prune_event, publish
from daemon.create.leftovers import left_to_recovery
from daemon.errors import Conflict, DaemonError, NotFound, System
from daemon.image import Image
from daemon.reference import parse_reference
from daemon.services import Services
from daemon.services.image_loader import ImageLoader
from daemon.services.image_store import ImageRemoval, ImageStore, NamedImage
from daemon.services.registrar import Registrar

_log = logging.getLogger(__name__)


@attrs.frozen(kw_only=True)
class Removed:
    """What `docker rmi` says, in this order."""

    untagged: tuple[str, ...]
    """Familiar names."""
    deleted: tuple[str, ...]
    """The image's id, then the chain ids of the layers that went with it; and the same of each parent that went, too."""
    freed_bytes: int
    """The files of those layers."""

    def and_also(self, other: Removed) -> Removed:
        return Removed(
            untagged=self.untagged + other.untagged,
            deleted=self.deleted + other.deleted,
            freed_bytes=self.freed_bytes + other.freed_bytes,
        )


@attrs.frozen(kw_only=True)
class ImageChanger:
    services: Services
    now_ns: Callable[[], int]
    note_residue: Callable[[], None]
    """Something has been left to the next start."""

    async def tag(self, name_or_id: str, reference: str) -> None:
        """Point a reference in full, with a tag, at an image; durable. Raises NotFound, InvalidParameter, System."""
        image = await self.services.images.ask(ImageStore.tag, name_or_id, reference)
        await insist(partial(self.services.loader.ask, ImageLoader.write_index))
        await self._publish(image, "tag", parse_reference(reference).familiar)

    async def remove(self, name_or_id: str, *, force: bool, with_parents: bool = True) -> Removed:
        """Remove a name of an image, and with its last name the image. See `ImageIndex.plan_removal`.

        `with_parents`, the images go with it that it was committed on and nobody else needs.

        Raises:
            NotFound: there is no such image.
            Conflict: it is in use, others were committed on it, or it has several names and none was given.
            System: the disk is full; nothing has changed.
        """
        services = self.services
        image = await services.images.ask(ImageStore.find, name_or_id)
        user = await services.registrar.ask(Registrar.user_of_image, image.id)
        users = {image.id: user} if user is not None else {}
        with anyio.CancelScope(shield=True):  # bounded: as many commits as the image has parents, and what they stored
            removal = await services.images.ask(ImageStore.remove, name_or_id, force=force, users=users)
            removed = await self._carry_out(removal)
            while with_parents and removal.is_deleted and (parent := await self._prune(removal.image.parent_id)):
                removed, removal = removed.and_also(await self._carry_out(parent)), parent
        return removed

    async def prune(self, is_wanted: Callable[[NamedImage], bool], *, only_nameless: bool) -> tuple[Removed, ...]:
        """Remove the images that are wanted by the caller, have no name if that is asked for, and are not in use.

        Raises Conflict while another prune is under way.
        """
        images, claim = self.services.images, object()
        try:
            await images.ask(ImageStore.claim_pruning, claim)
            removed = [each async for each in self._pruned(is_wanted, only_nameless=only_nameless)]
        finally:
            with anyio.CancelScope(shield=True):
                await insist(partial(images.ask, ImageStore.release_pruning, claim))
        freed_bytes = sum(each.freed_bytes for each in removed)
        await publish(self.services.events, prune_event("image", freed_bytes, self.now_ns()))
        return tuple(removed)

    async def _pruned(
        self, is_wanted: Callable[[NamedImage], bool], *, only_nameless: bool
    ) -> AsyncGenerator[Removed, None]:
        for named in await self.services.images.ask(ImageStore.list):
            # What others were committed on goes with the last of them, if it has no name of its own.
            is_nameless = not named.tags
            if not is_wanted(named) or (only_nameless and not is_nameless) or (is_nameless and named.has_children):
                continue
            for name in named.references or (named.image.id,):
                try:
                    yield await self.remove(name, force=False)
                except (Conflict, NotFound):  # in use, or gone meanwhile
                    continue
                except DaemonError as error:
                    _log.warning("cannot prune image %s: %s", named.image.id, error)

    async def _prune(self, image_id: str) -> ImageRemoval | None:
        """An image that another was committed on goes, too, unless somebody needs it, or it cannot."""
        if not image_id:
            return None
        services = self.services
        try:
            is_used = await services.registrar.ask(Registrar.user_of_image, image_id) is not None
            return await services.images.ask(ImageStore.prune, image_id, is_used=is_used)
        except Conflict:  # a container has come to have it since
            return None
        except (System, ActorError) as error:  # the other is gone: that is what was asked for
            _log.warning("image %s stays, though nobody needs it any more: %s", image_id, error)
            return None

    async def _carry_out(self, removal: ImageRemoval) -> Removed:
        """What follows once the records are gone."""
        for _ in removal.untagged:
            await self._publish(removal.image, "untag", removal.image.id)
        deleted: tuple[str, ...] = ()
        gone: tuple[str, ...] = ()
        if removal.is_deleted:
            await self._publish(removal.image, "delete", removal.image.id)
            with left_to_recovery(f"image {removal.image.id}", self.note_residue):
                gone = await insist(partial(self.services.loader.ask, ImageLoader.discard, removal.image))
            deleted = (removal.image.id, *gone)
        elif removal.untagged:
            await insist(partial(self.services.loader.ask, ImageLoader.write_index))
        return Removed(
            untagged=tuple(parse_reference(reference).familiar for reference in removal.untagged),
            deleted=deleted,
            freed_bytes=sum(layer.unpacked_bytes for layer in removal.image.layers if layer.chain_id in gone),
        )

    async def _publish(self, image: Image, action: str, name: str) -> None:
        await publish(self.services.events, image_event(image, action, self.now_ns(), name=name))
