"""An engine in a thread of its own, with its own event loop, so that tests without one can use it: docker-py, a subprocess.

The thread lives from `start` to `stop`. What is asked of the engine is asked in its loop (`call`), or over its socket.
"""

from __future__ import annotations

import concurrent.futures
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from shutil import disk_usage
from tempfile import TemporaryDirectory
from types import MappingProxyType, TracebackType
from typing import Self, TypeVar

import anyio
import anyio.abc
import attrs
from anyio.from_thread import BlockingPortal, start_blocking_portal

from actors import TooManyRestarts
from daemon.config import Config
from daemon.container import ContainerConfig
from daemon.engine import Engine
from daemon.testing.faults import Faults

R = TypeVar("R")

READY_TREES = 0
"""Every create takes every step, so that it can be made to fail at each."""

DRAIN_TIMEOUT_S = 2.0
"""For requests that are under way when a test ends: nobody waits for them."""

STOP_TIMEOUT_S = 30.0
"""After which a stop has failed: as long as the clean-up of a create may take."""

PIECE_BYTES = 64 << 10
"""Of an archive, at a time: as from a socket."""

MEMORY = Path("/dev/shm")
MEMORY_BYTES_MIN = 48 << 20
"""An engine takes 1 MB and what a test puts into it; many containers have 64 MB there."""

TINY: Mapping[str, bytes] = MappingProxyType(
    {"bin/sh": b"#!/bin/sh\n", "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\n", "tmp/.keep": b""}
)
"""The files of an image that need not be run."""

SHELL = ContainerConfig(cmd=("sh",))


class EngineDown(RuntimeError):
    """The engine does not run: it has not been started, was stopped, or has ended by itself."""


@attrs.frozen
class _Life:
    """From one start to its end."""

    portal: BlockingPortal
    engine: Engine
    stop: anyio.Event
    scope: anyio.CancelScope
    ended: concurrent.futures.Future[None]


class DockerEngine:
    """Docker's API at `host`, on the images and containers below `home`. A context manager, or to be started and stopped."""

    def __init__(self, home: Path) -> None:
        self.faults = Faults()
        self.config = Config(
            data_root=home / "docker",
            ready_trees_max=READY_TREES,
            log_bytes_max=0,
            drain_timeout_s=DRAIN_TIMEOUT_S,
        )
        self.socket = home / "docker.sock"
        self._resources = ExitStack()
        self._life: _Life | None = None

    @property
    def host(self) -> str:
        """For DOCKER_HOST, `docker -H` and docker-py's `base_url`."""
        return f"unix://{self.socket}"

    @property
    def is_up(self) -> bool:
        """Whether it runs: an engine whose database has crashed, or any actor too often, has ended."""
        return self._life is not None and not self._life.ended.done()

    def start(self) -> None:
        """Return when clients are served; what was there before a stop is there again.

        Raises:
            System: the directory cannot be used.
        """
        assert self._life is None, "it has been started already"
        with ExitStack() as stack:
            portal = stack.enter_context(start_blocking_portal("asyncio", {"use_uvloop": True}, name="boatyard"))
            ended, (engine, stop, scope) = portal.start_task(self._live)
            self._life = _Life(portal, engine, stop, scope, ended)
            self._resources = stack.pop_all()

    def stop(self, *, drain: bool = True) -> None:
        """As a daemon is stopped: what is under way is answered; without `drain` it is cut off. Harmless twice.

        Raises what the engine has ended with by itself, unless that is a crash that was asked for.
        """
        life, self._life = self._life, None
        if life is None:
            return
        with self._resources:
            if not life.ended.done():
                life.portal.call(life.stop.set if drain else life.scope.cancel)
            try:
                life.ended.result(STOP_TIMEOUT_S)
            except TooManyRestarts:
                if not self.faults.have_crashed:
                    raise

    def wait_ended(self) -> None:
        """Until it has ended by itself, as after a crash that is its end. Raises TimeoutError: it does not."""
        if self._life is not None:
            self._life.ended.exception(STOP_TIMEOUT_S)

    def call(self, ask: Callable[[Engine], Awaitable[R]]) -> R:
        """What `ask` returns or raises, in the engine's event loop. Raises EngineDown."""
        if self._life is None or not self.is_up:
            raise EngineDown("the engine does not run")
        return self._life.portal.call(ask, self._life.engine)

    def image(
        self, reference: str = "busybox:latest", files: Mapping[str, bytes] = TINY, config: ContainerConfig = SHELL
    ) -> str:
        """The id of an image that is made on the spot: of these files, by their paths in it. Raises as `ImageMaker.make`."""
        return self.call(lambda engine: engine.make_image(reference, files, config)).id

    def load(self, archive: bytes | Path) -> tuple[str, ...]:
        """The ids of the images in an archive of `docker save`, as `docker load` takes them. Raises as `ImageIntake.load`."""
        body = _Body(archive if isinstance(archive, bytes) else archive.read_bytes())
        return tuple(loaded.image.id for loaded in self.call(lambda engine: engine.intake.load(body)))

    async def _live(self, *, task_status: anyio.abc.TaskStatus[tuple[Engine, anyio.Event, anyio.CancelScope]]) -> None:
        stop = anyio.Event()
        with anyio.CancelScope() as scope:
            async with Engine(self.config, self.faults.instruments) as engine, engine.serving(self.socket):
                task_status.started((engine, stop, scope))
                await stop.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


@contextmanager
def in_memory() -> Iterator[Path]:
    """A directory for an engine, in memory where there is enough: what nobody reads after a power cut need not be synced."""
    is_there = MEMORY.is_mount() and os.access(MEMORY, os.W_OK) and disk_usage(MEMORY).free >= MEMORY_BYTES_MIN
    with TemporaryDirectory(prefix="boatyard-", dir=MEMORY if is_there else None) as home:
        yield Path(home)


class _Body:
    """Bytes as a body that arrives."""

    def __init__(self, content: bytes) -> None:
        self._left = memoryview(content)

    async def receive(self) -> bytes:
        data, self._left = bytes(self._left[:PIECE_BYTES]), self._left[PIECE_BYTES:]
        return data
