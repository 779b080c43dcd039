"""Which images there are and what they are called. Rebuilt from the database at each start; content is `storage/content`'s."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Self
from weakref import WeakSet

import attrs
from msgspec.structs import replace

from actors import Ref
from daemon.errors import Conflict, InvalidParameter, NotFound
from daemon.image import Image
from daemon.reference import Reference, parse_image_id, parse_reference
from daemon.storage.database import Database


@attrs.frozen
class NamedImage:
    image: Image
    references: tuple[str, ...]
    """In full, sorted: `docker.io/library/busybox:latest`, and with a digest those by which it was pulled or pushed."""
    has_children: bool = False
    """Whether others were committed on it, here."""

    @property
    def tags(self) -> tuple[str, ...]:
        """The references that are no digests."""
        return tuple(reference for reference in self.references if "@" not in reference)


@attrs.frozen(kw_only=True)
class ImageRemoval:
    """What is to go, or has gone."""

    image: Image
    untagged: tuple[str, ...]
    """References in full."""
    is_deleted: bool
    """Whether the image itself goes."""


class ImageIndex:
    """The synchronous core: images by id, ids by full reference; and by image its references, and those committed on it."""

    def __init__(self, images: Iterable[Image] = (), references: Iterable[tuple[str, str]] = ()) -> None:
        self._images: dict[str, Image] = {}
        self._ids: dict[str, str] = {}
        self._references: dict[str, set[str]] = {}
        self._children: dict[str, set[str]] = {}
        for image in images:
            self.add(image, ())
        for reference, image_id in references:
            self._point(reference, image_id)

    def add(self, image: Image, references: Iterable[str]) -> None:
        self._images[image.id] = image
        if image.parent_id:
            self._children.setdefault(image.parent_id, set()).add(image.id)
        for reference in references:
            self._point(reference, image.id)

    def held_by_others(self, image_id: str, references: Iterable[str]) -> tuple[tuple[str, str], ...]:
        """Those of the references that point at another image, each with its id."""
        held = ((reference, self._ids.get(reference, image_id)) for reference in references)
        return tuple((reference, holder) for reference, holder in held if holder != image_id)

    def remove(self, removal: ImageRemoval) -> None:
        image = removal.image
        for reference in removal.untagged:
            self._unpoint(reference)
        if removal.is_deleted and self._images.pop(image.id, None) is not None and image.parent_id:
            _discard(self._children, image.parent_id, image.id)

    def _point(self, reference: str, image_id: str) -> None:
        self._unpoint(reference)
        self._ids[reference] = image_id
        self._references.setdefault(image_id, set()).add(reference)

    def _unpoint(self, reference: str) -> None:
        if (image_id := self._ids.pop(reference, None)) is not None:
            _discard(self._references, image_id, reference)

    def has_children(self, image_id: str) -> bool:
        """Whether others were committed on it, here."""
        return image_id in self._children

    def get(self, image_id: str) -> Image | None:
        return self._images.get(image_id)

    def plan_removal(self, text: str, *, force: bool, users: Mapping[str, str]) -> ImageRemoval:
        """What `docker rmi` removes; `users` is for each image in use the id of a container that has it.

        Rules and texts: moby v28 daemon/images/image_delete.go. Unlike Moby, an image that a container has is not deleted even by
        force: it loses its names, and stays for as long as it is needed.

        Raises:
            Conflict: it is in use, others were committed on it, or it has several names and none was given.
        """
        image = self.find(text)
        references, user = self.references(image.id), users.get(image.id)
        short, is_parent = _short(image.id), self.has_children(image.id)
        is_single = is_single_reference(references)
        if not self._is_id_of(image, text):
            if not force and user and is_single:
                raise Conflict(
                    f'conflict: unable to remove repository reference "{text}" (must force) - '
                    f"container {_short(user)} is using its referenced image {short}"
                )
            untagged = gone_with(key_of(parse_reference(text)), references)
            is_last = set(untagged) == set(references)
            is_deleted = is_last and not user and not is_parent
            return ImageRemoval(image=image, untagged=untagged, is_deleted=is_deleted)
        if is_parent:
            raise Conflict(f"conflict: unable to delete {short} (cannot be forced) - image has dependent child images")
        if not is_single and not force:
            raise Conflict(
                f"conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories"
            )
        if user and not (force and references):
            how = "cannot be forced" if force else "must be forced"
            raise Conflict(
                f"conflict: unable to delete {short} ({how}) - image is being used by stopped container {_short(user)}"
            )
        return ImageRemoval(image=image, untagged=references, is_deleted=not user)

    def plan_pruning(self, image_id: str, *, is_used: bool) -> ImageRemoval | None:
        """The removal of an image that another was committed on, if nobody needs it any more."""
        image = self._images.get(image_id)
        if image is None or is_used or image_id in self._references or self.has_children(image_id):
            return None
        return ImageRemoval(image=image, untagged=(), is_deleted=True)

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
        return tuple(map(self.named_as, self._images.values()))

    def named_as(self, image: Image) -> NamedImage:
        return NamedImage(image, self.references(image.id), self.has_children(image.id))

    def references(self, image_id: str) -> tuple[str, ...]:
        return tuple(sorted(self._references.get(image_id, ())))

    def named(self, texts: Iterable[str]) -> tuple[NamedImage, ...]:
        """The images, each once, and those of their names that were meant: of a name alone all its tags, of an id none.

        Raises NotFound, InvalidParameter (moby image/tarexport/save.go parseNames).
        """
        names: dict[str, set[str]] = {}
        for text in texts:
            tags = self._tags_of(text)
            for tag in tags:
                names.setdefault(self._ids[tag], set()).add(tag)
            if not tags:
                image = self._meant(text)
                is_tag = not _is_id_of(image, text)
                names.setdefault(image.id, set()).update({str(parse_reference(text).tagged())} if is_tag else ())
        return tuple(NamedImage(self._images[image_id], tuple(sorted(found))) for image_id, found in names.items())

    def _meant(self, text: str) -> Image:
        """As `find`, with the texts that Moby has for this."""
        try:
            return self.find(text)
        except NotFound:
            is_tagged = not text.startswith("sha256:") and bool(parse_reference(text).suffix)
            raise NotFound("reference does not exist" if is_tagged else f"No such image: {text}") from None

    def _tags_of(self, text: str) -> tuple[str, ...]:
        """All tags of a name that stands alone."""
        if parse_image_id(text) is not None or text.startswith("sha256:"):
            return ()
        reference = parse_reference(text)
        if reference.suffix:
            return ()
        return tuple(name for name in self._ids if name.startswith(f"{reference.name}:"))

    def _by_reference(self, reference: Reference) -> Image | None:
        image_id = self._ids.get(key_of(reference))
        if image_id is not None or not reference.digest:
            return self._images[image_id] if image_id else None
        # Unlike Moby, an image that was loaded is found by a digest, too: by its manifest's or its own, with one of its names.
        for image in self._images.values():
            if reference.digest in (image.manifest_digest, image.id) and any(
                name.startswith(f"{reference.name}:") for name in self.references(image.id)
            ):
                return image
        return None

    def _is_id_of(self, image: Image, text: str) -> bool:
        """A digest counts as an id, unless the image was pulled by it."""
        return _is_id_of(image, text) and not ("@" in text and key_of(parse_reference(text)) in self._ids)

    def _by_prefix(self, prefix: str) -> Image | None:
        matches = [image for image_id, image in self._images.items() if image_id.startswith(prefix)]
        return matches[0] if len(matches) == 1 else None


def _discard(sets: dict[str, set[str]], key: str, member: str) -> None:
    """Without leaving an empty set."""
    members = sets.get(key, set())
    members.discard(member)
    if not members:
        sets.pop(key, None)


def key_of(reference: Reference) -> str:
    """By which a reference is kept: whatever tag stands beside a digest does not count."""
    return f"{reference.name}@{reference.digest}" if reference.digest else str(reference.tagged())


def is_single_reference(references: Sequence[str]) -> bool:
    """Whether these are one name at most, and digests of its repository (moby daemon/images/image_delete.go)."""
    tags = [reference for reference in references if "@" not in reference]
    repositories = {reference.partition("@")[0] for reference in references if "@" in reference}
    if len(references) <= 1:
        return True
    return len(tags) <= 1 and repositories == {_repository(tags[0]) if tags else references[0].partition("@")[0]}


def gone_with(untagged: str, references: Sequence[str]) -> tuple[str, ...]:
    """The references that go with one of them: with the last tag of a repository its digests."""
    repository = _repository(untagged)
    others = [each for each in references if each != untagged and _repository(each) == repository]
    if "@" in untagged or any("@" not in each for each in others):
        return (untagged,)
    return (untagged, *others)


def _repository(reference: str) -> str:
    if "@" in reference:
        return reference.partition("@")[0]
    return reference.rpartition(":")[0]


def _is_id_of(image: Image, text: str) -> bool:
    return image.id.startswith(text) or image.id.removeprefix("sha256:").startswith(text) or "@" in text


def _short(thing_id: str) -> str:
    return thing_id.removeprefix("sha256:")[:12]


class ImagesWatch:
    """Tells whoever remembers images whether any may have changed since: an image, a reference, or the store itself."""

    is_kept = False
    """Whether a store knows of it: else `ImageStore.watch` must be asked, and `changes` says nothing."""
    changes = 0
    """Other than it was: what was found before must be looked up again."""

    def notify(self, *, is_kept: bool = True) -> None:
        self.changes += 1
        self.is_kept = is_kept


class ImageStore:
    def __init__(self, database: Ref[Database]) -> None:
        self._database = database
        self._index = ImageIndex()
        self._pruner: object | None = None
        self._watches: WeakSet[ImagesWatch] = WeakSet()

    async def __aenter__(self) -> Self:
        self._index = ImageIndex(
            await self._database.ask(Database.images), await self._database.ask(Database.image_references)
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._notify(is_kept=False)

    async def watch(self, watch: ImagesWatch) -> None:
        """Notify it of every change, before whoever has asked for that is answered, for as long as anybody has it."""
        self._watches.add(watch)
        watch.notify()  # of what it has missed

    async def find(self, text: str) -> Image:
        """See `ImageIndex.find`."""
        if not text:
            raise InvalidParameter("invalid reference format")
        return self._index.find(text)

    async def find_named(self, text: str) -> NamedImage:
        return self._index.named_as(self._index.find(text))

    async def ancestry(self, text: str) -> tuple[NamedImage, ...]:
        """The image that `text` means, that on which it was committed, and so on. Raises as `find`."""
        line = []
        image: Image | None = self._index.find(text)
        while image is not None:
            line.append(self._index.named_as(image))
            image = self._index.get(image.parent_id)
        return tuple(line)

    async def meanings(self, texts: frozenset[str]) -> dict[str, str]:
        """The id of the image that each text means at present; what means none is left out."""
        return {text: image.id for text in texts if (image := self._index.find_or_none(text)) is not None}

    async def list(self) -> tuple[NamedImage, ...]:
        return self._index.all()

    async def add(self, image: Image, references: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
        """Durable when it returns. The references that pointed elsewhere until now, each with the id of that image.

        Raises:
            System: the disk is full.
        """
        replaced = self._index.held_by_others(image.id, references)
        known = self._index.get(image.id)
        if known is not None and not image.parent_id:  # one that was committed here comes in as an archive, too
            image = replace(image, parent_id=known.parent_id)
        await self._database.ask(Database.insert_image, image, references)
        self._index.add(image, references)
        self._notify()
        return replaced

    async def tag(self, text: str, reference: str) -> Image:
        """Point a reference in full at the image that `text` means; durable. Raises NotFound, System."""
        image = await self.find(text)
        await self.add(image, (reference,))
        return image

    async def remove(self, text: str, *, force: bool, users: Mapping[str, str]) -> ImageRemoval:
        """What has been removed, durably. See `ImageIndex.plan_removal`.

        Raises:
            NotFound: there is no such image.
            Conflict: it is in use, or has several names and none was given.
            System: the disk is full.
        """
        removal = self._index.plan_removal(text, force=force, users=users)
        await self._carry_out(removal)
        return removal

    async def prune(self, image_id: str, *, is_used: bool) -> ImageRemoval | None:
        """See `ImageIndex.plan_pruning`; durable. Raises Conflict, System."""
        removal = self._index.plan_pruning(image_id, is_used=is_used)
        if removal is not None:
            await self._carry_out(removal)
        return removal

    async def claim_pruning(self, claim: object) -> None:
        """Raises Conflict while another prune is under way. `release_pruning` must follow."""
        if self._pruner is not None:
            raise Conflict("a prune operation is already running")
        self._pruner = claim

    async def release_pruning(self, claim: object) -> None:
        """Harmless twice, and for a claim that never arrived."""
        if self._pruner is claim:
            self._pruner = None

    async def _carry_out(self, removal: ImageRemoval) -> None:
        if removal.is_deleted:
            try:
                await self._database.ask(Database.delete_image, removal.image.id, removal.untagged)
            except NotFound:  # a container has it since `users` were listed
                short = _short(removal.image.id)
                text = f"conflict: unable to delete {short} (must be forced) - image is being used by a container"
                raise Conflict(text) from None
        else:
            await self._database.ask(Database.delete_references, removal.untagged)
        self._index.remove(removal)
        self._notify()

    def _notify(self, *, is_kept: bool = True) -> None:
        for watch in self._watches:
            watch.notify(is_kept=is_kept)

    async def named(self, texts: tuple[str, ...]) -> tuple[NamedImage, ...]:
        """See `ImageIndex.named`."""
        return self._index.named(texts)
