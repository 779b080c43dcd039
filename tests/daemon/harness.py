"""A real engine in a temporary data root, the state one can see of it, and faults at any step of what it does."""

from __future__ import annotations

import io
import tarfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import anyio
import anyio.lowlevel
import attrs

from actors import ActorCrashed, Ref
from daemon.config import Config
from daemon.container import ContainerConfig
from daemon.create.pipeline import Creator
from daemon.engine import Engine
from daemon.errors import System
from daemon.image import Image
from daemon.services import Services
from daemon.services.image_loader import index_entries
from daemon.services.image_store import ImageStore
from daemon.services.registrar import Registrar
from daemon.storage.archive import Rootfs
from daemon.storage.database import Database
from tests.daemon.storage.making import Stores, stores_in

IMAGE = "docker.io/library/busybox:latest"


class Bytes:
    """A request body that has arrived."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def receive(self) -> bytes:
        content, self._content = self._content, b""
        return content


@contextmanager
def in_memory() -> Iterator[Path]:
    """A directory in memory, where there is one: for what makes thousands of containers and asks nothing of the disk."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(prefix="by-", dir=memory if memory.is_mount() else None) as home:
        yield Path(home)


def rootfs_tar() -> bytes:
    """A file system with a directory `/full` that has something in it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in ("bin", "full"):
            directory = tarfile.TarInfo(name)
            directory.type, directory.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(directory)
        for name in ("bin/sh", "full/content"):
            file = tarfile.TarInfo(name)
            file.mode, file.size = 0o755, 5
            tar.addfile(file, io.BytesIO(b"hello"))
    return buffer.getvalue()


def config_at(root: Path, *, ready_trees: int = 0) -> Config:
    return Config(data_root=root / "data", socket=root / "socket", ready_trees_max=ready_trees, log_bytes_max=0)


@asynccontextmanager
async def engine_at(root: Path, *, ready_trees: int = 0) -> AsyncIterator[Engine]:
    """An engine that has the image `busybox`, and made so many containers' trees beforehand: without any, creates take the
    long way."""
    async with Engine(config_at(root, ready_trees=ready_trees)) as engine:
        while engine.ready.has_room:
            await anyio.lowlevel.checkpoint()
        # As an import would leave it, without the process that an import starts.
        into = Rootfs(config=ContainerConfig(), created="2026-01-01T00:00:00Z", message="", references=(IMAGE,))
        stores = stores_in(engine.config.data_root)
        await record(engine, stores, stores.import_rootfs(rootfs_tar(), into).image, IMAGE)
        yield engine


async def record(engine: Engine, stores: Stores, image: Image, reference: str) -> None:
    """Do what a load does with an image when it has been unpacked and committed."""
    stores.layers.make_init(image.chain_ids)
    await engine.services.images.ask(ImageStore.add, image, (reference,))
    stores.content.write_index(index_entries(await engine.services.images.ask(ImageStore.list)))


@attrs.frozen
class State:
    """Everything that could be left behind."""

    files: frozenset[str]
    rows: tuple[tuple[str, str], ...]
    volumes: tuple[str, ...]
    visible: tuple[str, ...]


async def state_of(engine: Engine) -> State:
    services, root = engine.services, engine.config.data_root
    trees = [root / "containers", root / "volumes", root / "staging"]
    ready = engine.ready.names()
    found = [path for tree in trees for path in tree.rglob("*")]
    ready |= engine.ready.names()  # some may have been begun since
    return State(
        files=frozenset(str(path.relative_to(root)) for path in found if ready.isdisjoint(path.parts)),
        rows=tuple(sorted((each.id, each.name) for each in await services.database.ask(Database.summaries))),
        volumes=tuple(sorted(volume.name for volume in await services.database.ask(Database.volumes))),
        visible=tuple(sorted(summary.id for summary in await services.registrar.ask(Registrar.list))),
    )


class Injected(System):
    """The failure that a test has planned."""


class Faults:
    """Counts the messages that pass, and does one thing at one of them."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.at: tuple[int, str] | None = None
        """At which message, `before` or `after` its effect."""
        self.strike: Callable[[str], None] = lambda _: None

    def plan(self, number: int, moment: str, strike: Callable[[str], None]) -> None:
        self.steps, self.at, self.strike = [], (number, moment), strike

    async def pass_through(self, step: str, carry_out: Callable[[], Any]) -> Any:
        number = len(self.steps)
        self.steps.append(step)
        if self.at == (number, "before"):
            await self._strike(step)
        result = await carry_out()
        if self.at == (number, "after"):
            await self._strike(step)
        return result

    def note(self, step: str, carry_out: Callable[[], None]) -> None:
        """As `pass_through`, for a message that nobody waits for: only what happens around it can go wrong, not the message."""
        number = len(self.steps)
        self.steps.append(step)
        for moment, act in (("before", None), ("", carry_out), ("after", None)):
            if act is not None:
                act()
            elif self.at == (number, moment):
                self.at = None
                with suppress(Injected, ActorCrashed):
                    self.strike(step)

    async def _strike(self, step: str) -> None:
        self.at = None  # once: what it sets off, an undo, runs as it would
        self.strike(step)
        await anyio.lowlevel.checkpoint()


class FaultyRef:
    """A real ref whose messages pass through `faults`."""

    def __init__(self, ref: Ref[Any], faults: Faults) -> None:
        self._ref = ref
        self._faults = faults

    async def ask(self, method: Any, *args: Any, **kwargs: Any) -> Any:
        step = f"{self._ref.name}.{method.__name__}"
        return await self._faults.pass_through(step, lambda: self._ref.ask(method, *args, **kwargs))

    def tell(self, method: Any, *args: Any, **kwargs: Any) -> None:
        step = f"{self._ref.name}.{method.__name__}"
        self._faults.note(step, lambda: self._ref.tell(method, *args, **kwargs))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ref, name)


def faulty(services: Services, faults: Faults) -> Services:
    refs = {field.name: FaultyRef(getattr(services, field.name), faults) for field in attrs.fields(Services)}
    return Services(**cast("Any", refs))


def creator_of(engine: Engine, services: Services) -> Creator:
    """Creates as the engine does, but for these services."""
    return Creator(services=services, ready=engine.ready, host=engine.host, config=engine.config, now_ns=engine.now_ns)


def crash(ref: Ref[Any]) -> None:
    """Make the actor crash at the next message it reads."""

    async def no_such_method() -> None: ...

    ref.tell(cast("Any", no_such_method))
