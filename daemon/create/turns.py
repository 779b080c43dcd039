"""How a change of a container gets its turn: every verb that changes one goes through here, so that they come one by one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import anyio

from actors import Ref
from daemon.create.events import insist
from daemon.services.claims import Claim
from daemon.services.registrar import Registrar
from daemon.summary import ContainerSummary


@asynccontextmanager
async def turn_to_change(registrar: Ref[Registrar], name_or_id: str, change: str) -> AsyncIterator[ContainerSummary]:
    """The container, for as long as nobody else may change it.

    The body is shielded, so it must be bounded: a commit, perhaps a tree, and messages to actors that are restarted.

    Raises:
        RemovalInProgress: it is going to be removed.
        NotFound, InvalidParameter: as `Registrar.find`.
    """
    claim = Claim(change)
    async with released(registrar, claim):
        summary = await registrar.ask(Registrar.claim, name_or_id, claim)
        with anyio.CancelScope(shield=True):
            yield summary


@asynccontextmanager
async def released(registrar: Ref[Registrar], claim: Claim) -> AsyncIterator[None]:
    """Around the asking for a claim: an ask that is cancelled while waiting may still be carried out."""
    try:
        yield
    finally:
        with anyio.CancelScope(shield=True):
            await insist(partial(registrar.ask, Registrar.release, claim))
