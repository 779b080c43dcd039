"""Runs the daemon in a process of its own, until a signal: logs, engine, listeners, reloads, and the socket last.

Slow to import, as it brings in the whole house: `__main__` does that for `serve` only.
"""

from __future__ import annotations

import gc
import importlib.util
import logging
import os
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, contextmanager, nullcontext
from pathlib import Path

import anyio
import attrs

from actors import ActorError
from daemon.access_log import AccessLog
from daemon.api.routes import Router
from daemon.config import Config
from daemon.engine import Engine
from daemon.errors import DaemonError, SyncFailed, System
from daemon.http.listeners import Listener, SocketAccess, listening, listening_on_tcp
from daemon.http.server import Server
from daemon.http.tls import TlsFiles, server_context
from daemon.logs import logging_to, set_level
from daemon.options.reload import reload
from daemon.options.sources import WrongOption
from daemon.process import UMASK, keep_memory_private, raise_descriptor_limit
from daemon.serving import limits_of
from daemon.systemd import Notifier, passed_socket
from daemon.version import VERSION

_log = logging.getLogger("daemon")

GC_THRESHOLDS = (10_000, 2, 50)
"""Objects made and not freed between two collections; the default, 700, is one for every seven creates. And how many of those
between two that look at all that was made since the last such one. There is hardly any garbage, but many containers and
connections: after ten, which is the default, that takes a tenth of a second."""

STDERR = 2


def run(config: Config, wanted: Callable[[], Config]) -> int:
    """Serve until a signal; the exit code. `wanted` is what the operator wants by now; it may raise WrongOption."""
    keep_memory_private()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to reload
    os.umask(UMASK)
    backend = "trio" if config.backend == "trio" else "asyncio"
    options = {"use_uvloop": config.backend == "uvloop"} if backend == "asyncio" else {}
    with logging_to(STDERR, level=config.log_level, log_format=config.log_format) as writer:
        access_log = AccessLog(writer, config.log_format, config.access_log)
        try:
            anyio.run(serve, config, access_log, wanted, backend=backend, backend_options=options)
        except* (DaemonError, ActorError, SyncFailed) as group:
            for error in leaves(group):
                print(f"boatyardd: {error}", file=sys.stderr)
            return_code = 1
        else:
            return_code = 0
    return return_code


async def serve(config: Config, access_log: AccessLog, wanted: Callable[[], Config]) -> None:
    """Until SIGTERM or SIGINT."""
    notifier = Notifier(os.environ)
    where = passed_socket(os.environ) if config.socket is None else config.socket
    raise_descriptor_limit()
    engine, shown = watched(config)
    async with anyio.create_task_group() as tasks, routing(engine) as router:
        server = Server(router, router.error, limits_of(config), access_log.note)
        tasks.start_soon(stop_on_signal, server, notifier, engine, tasks.cancel_scope)
        async with engine, shown:
            with listening_everywhere(config, where) as listeners:
                gc.freeze()  # what has been made so far stays: no collection needs to look at it again
                gc.set_threshold(*GC_THRESHOLDS)
                gc.enable()
                reloader = Reloader(engine, server, listeners, access_log, wanted)
                tasks.start_soon(reloader.run)
                notifier.notify("READY=1")
                tasks.start_soon(notifier.keep_alive, engine.is_answering)
                await server.run(*listeners)
        tasks.cancel_scope.cancel()


def watched(config: Config) -> tuple[Engine, AbstractAsyncContextManager[None]]:
    """The engine, and what shows its metrics while it runs, if they are asked for. Raises System."""
    if config.metrics is None:
        return Engine(config), nullcontext()
    if importlib.util.find_spec("prometheus_client") is None:
        raise System("metrics are not installed: pip install 'boatyard[metrics]'")
    from daemon.metrics import Metrics  # here: without it they need not be installed
    from daemon.metrics_page import showing

    metrics = Metrics.of_this_process()
    engine = Engine(config, metrics.instruments)
    return engine, showing(metrics, engine, config.metrics)


@asynccontextmanager
async def routing(engine: Engine) -> AsyncIterator[Router]:
    """With the plugins for authorization, if there are to be any."""
    names = engine.config.authorization_plugins
    if not names:
        yield Router(engine)
        return
    from daemon.api.authorization_plugins import asking  # here: httpx takes a quarter of the time that imports take

    async with asking(names) as plugins:
        yield Router(engine, plugins.authorize, plugins.authorize_answer)


@contextmanager
def listening_everywhere(config: Config, where: Path | socket.socket) -> Iterator[Sequence[Listener]]:
    """On the socket, and on the port if there is to be one."""
    with ExitStack() as stack:
        tls = tls_context(config)
        access = SocketAccess(mode=config.socket_mode, group=config.socket_group)
        listeners = [stack.enter_context(listening(where, access))]
        _log.info("boatyardd %s is listening on %s", VERSION, config.socket or "the socket of systemd")
        if tls is not None and config.tls_listen is not None:
            listeners.append(stack.enter_context(listening_on_tcp(*config.tls_listen, tls)))
            _log.info("with TLS it is listening on port %d of %s", listeners[-1].port, config.tls_listen[0])
        yield listeners


def tls_context(config: Config) -> ssl.SSLContext | None:
    """Raises System."""
    if config.tls_cert is None or config.tls_key is None or config.tls_ca is None:
        return None
    return server_context(TlsFiles(certificate=config.tls_cert, key=config.tls_key, authority=config.tls_ca))


@attrs.frozen
class Reloader:
    """SIGHUP: what can be taken over now is, and what is wrong changes nothing."""

    engine: Engine
    server: Server
    listeners: Sequence[Listener]
    access_log: AccessLog
    wanted: Callable[[], Config]

    async def run(self) -> None:
        with anyio.open_signal_receiver(signal.SIGHUP) as signals:
            async for _ in signals:
                try:
                    self.reload()
                except (WrongOption, System) as error:
                    _log.error("the configuration is not reloaded: %s", str(error))

    def reload(self) -> None:
        """Raises WrongOption, System: nothing has been changed."""
        outcome = reload(self.engine.config, self.wanted())
        tls = tls_context(outcome.config)
        for listener in self.listeners:
            if listener.tls is not None and tls is not None:
                listener.tls = tls
        self.engine.reconfigure(outcome.config)
        self.server.change_limits(limits_of(outcome.config))
        self.access_log.wanted = outcome.config.access_log
        _log.info("the configuration is reloaded: %s", "; ".join(outcome.changed) or "nothing has changed")
        if outcome.needs_restart:
            _log.warning("a restart is needed for %s", ", ".join(outcome.needs_restart))
        set_level(outcome.config.log_level)  # last: else it may hide what has just been said


async def stop_on_signal(server: Server, notifier: Notifier, engine: Engine, scope: anyio.CancelScope) -> None:
    """At the first what is under way is answered; at the second, or before anything is served, all is cancelled."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for number in signals:
            notifier.notify("STOPPING=1")
            if server.is_serving:
                _log.info("stopping on %s: answering what is under way", number.name)
                server.drain(engine.config.drain_timeout_s)
            else:
                _log.info("stopping on %s at once", number.name)
                scope.cancel()


def leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    """The exceptions in a group of groups."""
    found: list[BaseException] = []
    for error in group.exceptions:
        found += leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
