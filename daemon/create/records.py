"""All of a container, for those who only look at it: they wait for no turn, and so may come in the middle of its removal."""

from __future__ import annotations

from daemon.container import Container
from daemon.errors import NotFound
from daemon.services import Services
from daemon.services.registrar import Registrar
from daemon.storage.database import Database
from daemon.summary import ContainerSummary


async def record_of(services: Services, summary: ContainerSummary, called: str) -> Container:
    """Raises NotFound: it has been removed since it was found by what it is `called`."""
    container = await services.database.ask(Database.container, summary.id)
    if container is None:
        # Durably, so sooner or later it will be invisible: now, as whoever is told so here must not find it listed after that.
        await services.registrar.ask(Registrar.remove, summary.id)
        raise NotFound(f"No such container: {called}")
    return container
