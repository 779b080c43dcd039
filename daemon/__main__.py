"""`boatyardd`: arguments to a Config, the engine on its event loop, the socket last. Exit codes: 0 stopped, 1 failed, 2 usage."""

from __future__ import annotations

import argparse
import gc
import importlib.util
import ipaddress
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import anyio
import attrs

from actors import ActorError
from daemon import fsck
from daemon.api.routes import Router
from daemon.api.system import VERSION
from daemon.config import BACKENDS, READY_TREES_MAX, SOCKET_PATH_BYTES_MAX, Config
from daemon.engine import Engine
from daemon.errors import DaemonError, InvalidParameter, SyncFailed
from daemon.http.limits import Limits
from daemon.http.listeners import listening
from daemon.http.server import Server
from daemon.process import DESCRIPTORS_KEPT, raise_descriptor_limit
from daemon.registry.addresses import address_of_login
from daemon.systemd import Notifier, passed_socket

_log = logging.getLogger("daemon")

GC_THRESHOLD = 10_000
"""Objects made and not freed between two collections. The default, 700, is one for every seven creates."""


def main(arguments: Sequence[str] | None = None) -> int:
    given = arguments_parser().parse_args(arguments)
    return fsck.run(given) if given.command == "fsck" else run(parse(arguments))


def run(config: Config) -> int:
    """Serve until a signal; the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # addresses of blobs may be signed: they are no log's business
    os.umask(0o022)  # as dockerd: modes are those of images and of our own tables, not of whoever starts us
    backend = "trio" if config.backend == "trio" else "asyncio"
    options = {"use_uvloop": config.backend == "uvloop"} if backend == "asyncio" else {}
    try:
        anyio.run(serve, config, backend=backend, backend_options=options)
    except* (DaemonError, ActorError, SyncFailed) as group:
        for error in leaves(group):
            print(f"boatyardd: {error}", file=sys.stderr)
        return_code = 1
    else:
        return_code = 0
    return return_code


async def serve(config: Config) -> None:
    """Until SIGTERM or SIGINT."""
    notifier = Notifier(os.environ)
    where = passed_socket(os.environ) if config.socket is None else config.socket
    engine = Engine(config)
    router = Router(engine)
    server = Server(router, router.error, limits_of(config))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stop_on_signal, server, notifier, config, tasks.cancel_scope)
        async with engine:
            with listening(where) as listener:
                gc.freeze()  # what has been made so far stays: no collection needs to look at it again
                gc.set_threshold(GC_THRESHOLD)
                _log.info("boatyardd %s is listening on %s", VERSION, config.socket or "the socket of systemd")
                notifier.notify("READY=1")
                tasks.start_soon(notifier.keep_alive, engine.is_answering)
                await server.run(listener)
        tasks.cancel_scope.cancel()


async def stop_on_signal(server: Server, notifier: Notifier, config: Config, scope: anyio.CancelScope) -> None:
    """At the first what is under way is answered; at the second, or before anything is served, all is cancelled."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for number in signals:
            notifier.notify("STOPPING=1")
            if server.is_serving:
                _log.info("stopping on %s: answering what is under way", number.name)
                server.drain(config.drain_timeout_s)
            else:
                _log.info("stopping on %s at once", number.name)
                scope.cancel()


def limits_of(config: Config) -> Limits:
    """With as many connections as there can be descriptors for."""
    limits = Limits(**{field.name: getattr(config, field.name) for field in attrs.fields(Limits)})
    connections_max = max(raise_descriptor_limit() - DESCRIPTORS_KEPT, 1)
    if connections_max < limits.connections_max:
        _log.warning("at most %d connections: the limit on open files allows no more", connections_max)
        limits = attrs.evolve(limits, connections_max=connections_max)
    return limits


def leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    """The exceptions in a group of groups."""
    found: list[BaseException] = []
    for error in group.exceptions:
        found += leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found


def parse(arguments: Sequence[str] | None) -> Config:
    parser = arguments_parser()
    given = parser.parse_args(arguments)
    if given.ready_trees < 0:
        parser.error(f"--ready-trees is a number of containers, not {given.ready_trees}")
    if given.socket and len(bytes(given.socket)) > SOCKET_PATH_BYTES_MAX:
        parser.error(f"the path of a socket has at most {SOCKET_PATH_BYTES_MAX} bytes: {given.socket}")
    if given.backend != "asyncio" and importlib.util.find_spec(given.backend) is None:
        parser.error(f"the backend {given.backend} is not installed: pip install 'boatyard[{given.backend}]'")
    return Config(
        data_root=given.data_root.absolute(),
        socket=given.socket and given.socket.absolute(),
        backend=given.backend,
        ready_trees_max=given.ready_trees,
        insecure_registries=tuple(given.insecure_registry),
    )


def arguments_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="boatyardd", description="Docker's container create, on a Unix socket that speaks the Docker Engine API."
    )
    parser.add_argument("--version", action="version", version=f"boatyardd {VERSION}")
    commands = parser.add_subparsers(dest="command", required=True)
    serve_parser = commands.add_parser(
        "serve",
        help="run the daemon in the foreground",
        description="Run the daemon in the foreground until SIGTERM or SIGINT.",
        epilog="Whoever may write to the socket is root on this machine. Then: docker -H unix://SOCKET ps -a",
    )
    serve_parser.add_argument(
        "--data-root",
        required=True,
        type=Path,
        metavar="DIR",
        help="where everything durable is; made if it is missing",
    )
    serve_parser.add_argument(
        "--socket",
        type=Path,
        metavar="PATH",
        help="where to listen; a stale socket there is replaced (default: the socket that systemd passes)",
    )
    serve_parser.add_argument(
        "--backend", choices=BACKENDS, default="uvloop", help="the event loop (default: %(default)s)"
    )
    serve_parser.add_argument(
        "--ready-trees",
        type=int,
        default=READY_TREES_MAX,
        metavar="N",
        help="containers whose directories are made beforehand, so that a burst of as many is fast (default: %(default)s)",
    )
    serve_parser.add_argument(
        "--insecure-registry",
        action="append",
        default=[],
        type=insecure_registry,
        metavar="HOST[:PORT]|NETWORK",
        help="a registry that is spoken to without TLS; may be given several times. This machine always is",
    )
    fsck.add_parser(commands)
    return parser


def insecure_registry(text: str) -> str:
    """Raises ValueError, which argparse tells as a wrong argument, for what is neither a host nor a network."""
    if "/" in text:
        return str(ipaddress.ip_network(text, strict=False))
    try:
        host = address_of_login(text, ()).host
    except InvalidParameter as error:
        raise ValueError(text) from error
    if host != text:
        raise ValueError(text)
    return text


if __name__ == "__main__":
    sys.exit(main())
