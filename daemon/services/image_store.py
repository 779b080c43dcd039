"""Which images there are and what they are called. Rebuilt from the database at each start; content is `storage/content`'s."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

import attrs

from actors import Ref
from daemon.errors import InvalidParameter, NotFound
from daemon.image import Image
from daemon.reference import Reference, parse_image_id, parse_reference
from daemon.storage.database import Database


@attrs.frozen
class NamedImage:
    image: Image
    references: tuple[str, ...]
    """In full, sorted: `docker.io/library/busybox:latest`."""


class ImageIndex:
    """The synchronous core: images by id, ids by full reference."""

    def __init__(self, images: Iterable[Image] = (), references: Iterable[tuple[str, str]] = ()) -> None:
        self._images = {image.id: image for image in images}
        self._ids = dict(references)

    def add(self, image: Image, references: Iterable[str]) -> None:
        self._images[image.id] = image
        self._ids.update(dict.fromkeys(references, image.id))

    def find(self, text: str) -> Image:
        """By whole id, else by name, else by a prefix of the id (moby daemon/images/image.go GetImage).

        Raises:
            InvalidParameter: it is no reference.
            NotFound: there is none.
        """
        image_id = parse_image_id(text)
        if image_id is not None:
            if image_id not in self._images:
                raise NotFound(f"No such image: {image_id}")
            return self._images[image_id]
        if text.startswith("sha256:"):  # the prefix of an id; as a reference it would be a tag of a name "sha256"
            found = self._by_prefix(text)
            if found is not None:
                return found
        reference = parse_reference(text)
        found = self._by_reference(reference) or self._by_prefix(f"sha256:{text}")
        if found is None:
            raise NotFound(f"No such image: {reference.tagged().familiar}")
        return found

    def find_or_none(self, text: str) -> Image | None:
        try:
            return self.find(text)
        except (NotFound, InvalidParameter):
            return None

    def all(self) -> tuple[NamedImage, ...]:
        names: dict[str, list[str]] = {}
        for reference, image_id in self._ids.items():
            names.setdefault(image_id, []).append(reference)
        return tuple(
            NamedImage(image, tuple(sorted(names.get(image_id, ())))) for image_id, image in self._images.items()
        )

    def references(self, image_id: str) -> tuple[str, ...]:
        return tuple(sorted(reference for reference, pointed_at in self._ids.items() if pointed_at == image_id))

    def _by_reference(self, reference: Reference) -> Image | None:
        if not reference.digest:
            image_id = self._ids.get(str(reference.tagged()))
            return self._images[image_id] if image_id else None
        # A digest names a manifest, and whatever tag stands beside it does not count. Unlike Moby's, no record is kept of
        # which name a digest was pulled by: the name must be one of the image's.
        for image in self._images.values():
            if reference.digest in (image.manifest_digest, image.id) and any(
                name.startswith(f"{reference.name}:") for name in self.references(image.id)
            ):
                return image
        return None

    def _by_prefix(self, prefix: str) -> Image | None:
        matches = [image for image_id, image in self._images.items() if image_id.startswith(prefix)]
        return matches[0] if len(matches) == 1 else None


class ImageStore:
    def __init__(self, database: Ref[Database]) -> None:
        self._database = database
        self._index = ImageIndex()

    async def __aenter__(self) -> Self:
        self._index = ImageIndex(
            await self._database.ask(Database.images), await self._database.ask(Database.image_references)
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def find(self, text: str) -> Image:
        """See `ImageIndex.find`."""
        if not text:
            raise InvalidParameter("invalid reference format")
        return self._index.find(text)

    async def find_named(self, text: str) -> NamedImage:
        image = self._index.find(text)
        return NamedImage(image, self._index.references(image.id))

    async def meanings(self, texts: frozenset[str]) -> dict[str, str]:
        """The id of the image that each text means at present; what means none is left out."""
        return {text: image.id for text in texts if (image := self._index.find_or_none(text)) is not None}

    async def list(self) -> tuple[NamedImage, ...]:
        return self._index.all()

    async def add(self, image: Image, references: tuple[str, ...]) -> None:
        """Durable when it returns. A reference that pointed elsewhere points here now.

        Raises:
            System: the disk is full.
        """
        await self._database.ask(Database.insert_image, image, references)
        self._index.add(image, references)
