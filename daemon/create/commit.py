"""`docker commit`: an image of a container's own files and its configuration, changed as the user wants it.

Rules, events and texts: moby v28 daemon/commit.go, daemon/images/image_commit.go. Nothing is mounted, and nothing paused, because
no container runs. The container cannot be changed or removed meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from actors import run_in_thread
from daemon.container import Container, ContainerConfig
from daemon.create.events import container_event, image_event, publish
from daemon.create.image_config_changes import changed
from daemon.create.merge import completed
from daemon.create.turns import released
from daemon.errors import Conflict, NotFound, RemovalInProgress
from daemon.image import Image
from daemon.reference import parse_reference
from daemon.services import Services
from daemon.services.claims import Claim
from daemon.services.image_loader import ImageLoader
from daemon.services.image_store import ImageStore
from daemon.services.registrar import Registrar
from daemon.storage.database import Database
from daemon.storage.layer_commit import Draft
from daemon.storage.trees import ContainerTrees
from daemon.summary import ContainerSummary


@attrs.frozen(kw_only=True)
class CommitRequest:
    container: str
    """A name or an id."""
    reference: str = ""
    """In full, or empty."""
    author: str = ""
    comment: str = ""
    config: ContainerConfig | None = None
    """Instead of the container's own, which still says what this does not."""
    changes: tuple[str, ...] = ()
    """Instructions of a Dockerfile."""


@attrs.frozen(kw_only=True)
class Committer:
    services: Services
    containers: ContainerTrees
    now_ns: Callable[[], int]

    async def commit(self, request: CommitRequest, *, created: str) -> Image:
        """The image, recorded and durable; `created` is an RFC 3339 time.

        Raises:
            NotFound: there is no such container.
            InvalidParameter: a change makes no sense, or the image would have what an image cannot have.
            Conflict: the container is being removed.
            System: the disk failed; there is no such image then.
        """
        registrar, claim = self.services.registrar, Claim("commit")
        summary = await registrar.ask(Registrar.find, request.container)
        async with released(registrar, claim):  # not shielded: it takes as long as copying the files does
            try:
                summary = await registrar.ask(Registrar.claim, summary.id, claim)
            except RemovalInProgress:
                raise Conflict(f"You cannot commit container {summary.id} which is being removed") from None
            container = await self.services.database.ask(Database.container, summary.id)
            if container is None:
                raise NotFound(f"No such container: {request.container}")
            image = await self._commit(container, request, created)
        await self._publish(summary, image, request)
        return image

    async def _commit(self, container: Container, request: CommitRequest, created: str) -> Image:
        config = request.config if request.config is not None else container.config
        config = completed(await run_in_thread(changed, config, request.changes), container.config)
        parent = None
        if container.image_id:
            parent = await self.services.images.ask(ImageStore.find, container.image_id)
        draft = Draft(
            parent=parent,
            config=config,
            created=created,
            created_by=" ".join(container.config.cmd or ()),
            author=request.author,
            comment=request.comment,
        )
        references = (request.reference,) if request.reference else ()
        upper = self.containers.upper(container.id)
        return await self.services.loader.ask(ImageLoader.commit, upper, draft, references)

    async def _publish(self, summary: ContainerSummary, image: Image, request: CommitRequest) -> None:
        events, now_ns = self.services.events, self.now_ns()
        await publish(events, image_event(image, "create", now_ns, name=image.id))
        familiar = parse_reference(request.reference).familiar if request.reference else ""
        if familiar:
            await publish(events, image_event(image, "tag", now_ns, name=familiar))
        attributes = {"comment": request.comment, "imageID": image.id, "imageRef": familiar}
        await publish(events, container_event(summary, "commit", now_ns, **attributes))
