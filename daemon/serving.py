"""An engine on a socket: the HTTP server, with the API of Docker as its handler. See `Engine.serving`."""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from pathlib import Path

import anyio
import attrs

from daemon.api.routes import Router
from daemon.config import Config
from daemon.engine import Engine
from daemon.http.limits import Limits
from daemon.http.listeners import Listener, SocketAccess, listening
from daemon.http.server import Server
from daemon.process import DESCRIPTORS_KEPT, descriptor_limit

_log = logging.getLogger(__name__)


def serving(engine: Engine, where: Path | socket.socket) -> AbstractAsyncContextManager[None]:
    """See `Engine.serving`."""
    config, router = engine.config, Router(engine)
    access = SocketAccess(mode=config.socket_mode, group=config.socket_group)
    server = Server(router, router.error, limits_of(config))
    return running(server, listening(where, access), drain_timeout_s=config.drain_timeout_s)


@asynccontextmanager
async def running(
    server: Server, opened: AbstractContextManager[Listener], *, drain_timeout_s: float
) -> AsyncIterator[None]:
    """While the block lasts, `server` runs; at its end it drains. A block that fails, or is cancelled, cancels it.

    Raises what opening the listener does.
    """
    failure: BaseException | None = None
    with opened as listener:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.run, listener)
            try:
                yield
            except (Exception, KeyboardInterrupt, SystemExit) as error:  # noqa: BLE001 - raised below
                failure = error  # the task group would wrap it; it is the host's, so it leaves as it came
                tasks.cancel_scope.cancel()
            else:
                server.drain(drain_timeout_s)
    if failure is not None:
        raise failure


def limits_of(config: Config) -> Limits:
    """With as many connections as there can be descriptors for."""
    limits = Limits(**{field.name: getattr(config, field.name) for field in attrs.fields(Limits)})
    connections_max = max(descriptor_limit() - DESCRIPTORS_KEPT, 1)
    if connections_max < limits.connections_max:
        _log.warning("at most %d connections: the limit on open files allows no more", connections_max)
        limits = attrs.evolve(limits, connections_max=connections_max)
    return limits
