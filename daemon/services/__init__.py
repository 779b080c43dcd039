"""The actors: each owns one kind of state, and others hold a `Ref` to it. They know no HTTP and no field name of Docker's."""

from __future__ import annotations

import attrs

from actors import Ref
from daemon.services.allocator import Allocator
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


@attrs.frozen(kw_only=True)
class Services:
    """A ref to every actor, passed to whoever needs them; nothing is looked up by name."""

    database: Ref[Database]
    events: Ref[EventBus]
    registrar: Ref[Registrar]
    allocator: Ref[Allocator]
    keys: Ref[IdempotencyKeys]
    images: Ref[ImageStore]
    loader: Ref[ImageLoader]
    volumes: Ref[Volumes]
    layers: Ref[LayerManager]
    networks: Ref[Networks]
    transfers: Ref[Transfers]
