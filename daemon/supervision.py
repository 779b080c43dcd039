"""The tree of actors: what is started, in which order, and what happens when one crashes.

    storage   one_for_one, no restarts   database: if the disk fails it, the daemon ends and recovers at its next start
    services  one_for_one, 3 in 5 s      events, registrar, allocator, keys, images, loader, volumes, layers, networks, transfers

Each rebuilds its state from the database when it starts, and asks no other actor for it. So it is restarted by itself, whichever
others have crashed at the same time, in the time that its own rows take; and those others keep what they know of work under
way. (With rest_for_one all later ones read everything again, for nothing, while every create waited.) When `services` has used up
its restarts the daemon ends, too: a third supervisor above, that would start the services again within the same process, could
only repeat what has just failed, while the next process begins with recovery.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import TypeVar

from actors import ChildCrashed, Event, EventHook, Ref, StopTimeout, Supervisor
from actors.adapters.logs import log_events
from daemon.config import Config
from daemon.instruments import UNWATCHED, Instruments
from daemon.network.plan import Surroundings
from daemon.services import Services
from daemon.services.allocator import Allocator, at_first
from daemon.services.event_bus import EventBus
from daemon.services.idempotency import IdempotencyKeys
from daemon.services.image_loader import ImageLoader
from daemon.services.image_store import ImageStore
from daemon.services.layer_manager import LayerManager
from daemon.services.networks import Networks
from daemon.services.registrar import Registrar
from daemon.services.transfers import Transfers
from daemon.services.volumes import Volumes
from daemon.storage.database import Database
from daemon.storage.recovery import Stores

A = TypeVar("A")

_log_event = log_events(logging.getLogger(__name__))

MAILBOX_CAPACITY = 8192
"""Requests that may wait for one actor: more than connections there can be, so that none is refused here first."""

STOP_TIMEOUT_S = 10.0


@asynccontextmanager
async def database_tree(
    path: Path, *, log_bytes_max: int, instruments: Instruments = UNWATCHED
) -> AsyncIterator[tuple[Supervisor, Ref[Database]]]:
    """Its supervisor, and the database."""
    on_event = _hook(instruments)
    async with Supervisor(
        "one_for_one", intensity=(0, 1.0), name="storage", on_event=on_event, hooks=instruments.hooks
    ) as supervisor:
        database = await supervisor.start(
            lambda: Database(path, log_bytes_max=log_bytes_max, on_commit=instruments.on_commit),
            name="database",
            mailbox_capacity=MAILBOX_CAPACITY,
            stop_timeout_s=STOP_TIMEOUT_S,
        )
        yield supervisor, database


@asynccontextmanager
async def service_tree(
    config: Config,
    database: Ref[Database],
    stores: Stores,
    rng: Random,
    surroundings: Callable[[], Surroundings],
    on_crash: Callable[[BaseException], None],
    note_residue: Callable[[], None],
    instruments: Instruments = UNWATCHED,
) -> AsyncIterator[tuple[Supervisor, Services]]:
    """Its supervisor, and all the actors."""
    on_event = _hook(instruments, on_crash)
    async with Supervisor(
        "one_for_one", intensity=(3, 5.0), name="services", on_event=on_event, hooks=instruments.hooks
    ) as supervisor:

        async def start(name: str, factory: Callable[[], A]) -> Ref[A]:
            return await supervisor.start(
                factory, name=name, mailbox_capacity=MAILBOX_CAPACITY, stop_timeout_s=STOP_TIMEOUT_S
            )

        events = await start("events", lambda: EventBus(config.events_kept_max))
        registrar = await start("registrar", lambda: Registrar(database))
        # Which has just read them; a restart does not ask it, as it may be down, too, and the next to be restarted.
        containers = at_first(await registrar.ask(Registrar.list), partial(database.ask, Database.names))
        allocator = await start("allocator", lambda: Allocator(containers, rng))
        keys = await start("keys", lambda: IdempotencyKeys(database))
        images = await start("images", lambda: ImageStore(database))
        loader = await start("loader", lambda: ImageLoader(images, stores, note_residue=note_residue))
        volumes = await start("volumes", lambda: Volumes(database, stores.volumes, stores.layers, stores.containers))
        layers = await start("layers", lambda: LayerManager(stores.containers, stores.layers))
        networks = await start("networks", lambda: Networks(database, surroundings))
        transfers = await start("transfers", Transfers)
        services = Services(
            database=database,
            events=events,
            registrar=registrar,
            allocator=allocator,
            keys=keys,
            images=images,
            loader=loader,
            volumes=volumes,
            layers=layers,
            networks=networks,
            transfers=transfers,
        )
        yield supervisor, services


def _hook(instruments: Instruments, on_crash: Callable[[BaseException], None] = lambda _: None) -> EventHook:
    def on_event(event: Event) -> None:
        if isinstance(event, ChildCrashed):
            on_crash(event.error)
        elif isinstance(event, StopTimeout):
            on_crash(TimeoutError(event.child))
        instruments.on_event(event)
        _log_event(event)

    return on_event
