"""The daemon as an object: everything that can create a container, in anybody's event loop, with or without a socket.

    async with Engine(Config(data_root=...)) as engine, engine.serving(path):
        created = await engine.create(CreateRequest(config=ContainerConfig(image="busybox", cmd=("true",))))

It belongs to no process and to no module: there may be as many as there are data roots, each in the task that has entered it.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from pathlib import Path
from random import Random
from types import MappingProxyType, TracebackType
from typing import Self

import anyio

from actors import ActorError, Ref, Snapshot, run_in_thread
from daemon.config import Config
from daemon.container import ContainerConfig, HostConfig
from daemon.create.changes import Changer
from daemon.create.commit import Committer
from daemon.create.files import ContainerFiles
from daemon.create.image_changes import ImageChanger
from daemon.create.image_intake import ImageIntake
from daemon.create.image_maker import ImageMaker
from daemon.create.image_puller import ImagePuller
from daemon.create.image_pusher import ImagePusher
from daemon.create.image_saver import ImageSaver
from daemon.create.network_changes import NetworkChanger
from daemon.create.pipeline import Creator
from daemon.create.registry_inspector import RegistryInspector
from daemon.create.request import Created, CreateRequest, Pruned
from daemon.create.streaming import Reading
from daemon.create.volume_changes import VolumeChanger
from daemon.errors import DiskFull, Overloaded, SyncFailed, System
from daemon.host import Host, detect
from daemon.host_subnets import subnets_in_use
from daemon.image import Image
from daemon.instruments import UNWATCHED, Instruments
from daemon.network.plan import Surroundings
from daemon.network.pools import unique_local_block
from daemon.overview.recorder import Recorder
from daemon.process import UMASK, umask
from daemon.registry.registries import Registries
from daemon.services import Services
from daemon.services.allocator import Allocator
from daemon.services.event_bus import EventBus
from daemon.services.idempotency import IdempotencyKeys
from daemon.services.intake_process import WorkerHost
from daemon.services.networks import Networks
from daemon.services.registrar import Registrar, RemovalWatch
from daemon.storage.attributes import is_root
from daemon.storage.confine import LANDLOCK_ABI_MIN, landlock_abi
from daemon.storage.database import Database
from daemon.storage.records import DATABASE_NAME
from daemon.storage.recovery import (
    Stores,
    leave_clean_marker,
    locked,
    open_stores,
    read_engine_id,
    recover,
    take_clean_marker,
)
from daemon.summary import ContainerSummary
from daemon.supervision import database_tree, service_tree
from daemon.volume import Volume, VolumeRequest

NO_LANDLOCK = (
    "WARNING: no Landlock in this kernel: what unpacks archives is held to its limits and to careful paths only"
)

NOT_ROOT = (
    "WARNING: not run as root: files of images, containers and volumes belong to the daemon's user, whatever their archive says; "
    "archives with devices are refused; what is created here could not be run"
)
ODD_UMASK = (
    "WARNING: the umask is %04o, not 0022: directories of containers and volumes lack permissions that Docker gives"
)

NO_FILES: Mapping[str, bytes] = MappingProxyType({})
EMPTY = ContainerConfig()

_log = logging.getLogger(__name__)


class Engine:
    """Enter it to recover the data root and start the actors; leave it to stop them in reverse.

    Raises:
        System: the data root cannot be used, or another daemon uses it.
        SyncFailed: nobody can tell what is durable; whatever was under way has been cancelled.
        TooManyRestarts: an actor crashed too often; the engine has been stopped in good order.
    """

    services: Services
    host: Host
    id: str
    """Of this data root, for good."""
    networks: NetworkChanger
    warnings: tuple[str, ...]
    """What of this machine an operator should know."""

    def __init__(self, config: Config, instruments: Instruments = UNWATCHED) -> None:
        self.config = config
        self.recorder = Recorder()
        self._instruments = self.recorder.instruments.beside(instruments)
        self.creates_under_way = 0
        self.creates_turned_away = 0
        """Since the start, because too many were under way."""
        self._is_tidy = False
        """Whether all residue has been looked for and no clean-up has failed since; else the next start must look."""
        self._failure: SyncFailed | None = None

    async def __aenter__(self) -> Self:
        root = self.config.data_root
        async with AsyncExitStack() as stack:
            stack.enter_context(locked(root))
            self.host = detect()
            self.warnings = warnings()
            self.id = read_engine_id(root)
            stores = open_stores(root, ready_trees_max=self.config.ready_trees_max)
            self._is_tidy = is_clean = take_clean_marker(root)
            stack.push(self._leave_marker)
            stack.enter_context(self._ended_by_failure())
            tree = database_tree(
                root / DATABASE_NAME, log_bytes_max=self.config.log_bytes_max, instruments=self._instruments
            )
            storage, database = await stack.enter_async_context(tree)
            stores.containers.ready.resume(root, is_clean=is_clean)
            if not is_clean:
                await self._recover(stores, database)
            stack.push_async_callback(self._leave, stores)
            await self._make_inits(stores, database)
            services = service_tree(
                self.config,
                database,
                stores,
                Random(),  # names are no secrets, and each draw of the system's gives the interpreter up
                self._surroundings,
                on_crash=self._note_crash,
                note_residue=self._note_residue,
                instruments=self._instruments,
            )
            host = await stack.enter_async_context(WorkerHost())
            supervisor, self.services = await stack.enter_async_context(services)
            self._supervisors, self.ready = (storage, supervisor), stores.containers.ready
            self._assemble(stores, host)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return await self._stack.__aexit__(kind, error, traceback)

    def _assemble(self, stores: Stores, host: WorkerHost) -> None:
        self._creator = Creator(
            services=self.services,
            ready=stores.containers.ready,
            host=self.host,
            config=self.config,
            now_ns=self.now_ns,
            step=self._instruments.step,
        )
        self._changer = Changer(
            services=self.services,
            host=self.host,
            config=self.config,
            now_ns=self.now_ns,
            note_residue=self._note_residue,
        )
        reading = Reading()
        self.files = ContainerFiles(services=self.services, stores=stores, reading=reading, now_ns=self.now_ns)
        self.intake = ImageIntake(
            loader=self.services.loader, stores=stores, host=host, note_residue=self._note_residue
        )
        self._image_maker = ImageMaker(services=self.services, intake=self.intake, now_ns=self.now_ns)
        self.images = ImageChanger(services=self.services, now_ns=self.now_ns, note_residue=self._note_residue)
        self.committer = Committer(services=self.services, containers=stores.containers, now_ns=self.now_ns)
        self.saver = ImageSaver(services=self.services, content=stores.content, reading=reading, now_ns=self.now_ns)
        self._use_registries(stores, reading)
        self.networks = NetworkChanger(services=self.services, now_ns=self.now_ns)
        self._volume_changer = VolumeChanger(
            services=self.services, config=self.config, now_ns=self.now_ns, note_residue=self._note_residue
        )

    async def is_answering(self) -> bool:
        """Whether the actors answer that have no reason to take their time, as images, layers and volumes may; waits for them."""
        services = self.services
        try:
            await services.database.ask(Database.container, "")
            await services.registrar.ask(Registrar.unwatch, "", RemovalWatch())
            await services.allocator.ask(Allocator.release, "")
            await services.keys.ask(IdempotencyKeys.forget, "")
            await services.networks.ask(Networks.table)
            await services.events.ask(EventBus.count_subscribers)
        except ActorError as error:
            _log.warning("an actor does not answer: %s", error)
            return False
        return True

    def snapshots(self) -> tuple[Snapshot, ...]:
        """The trees of actors, in the order in which they were started."""
        return tuple(supervisor.snapshot() for supervisor in self._supervisors)

    def reconfigure(self, config: Config) -> None:
        """From now on: of what can change while it runs (`options/reload.py`), the rest being as it was."""
        self.config = config
        self._registries.insecure = config.insecure_registries

    def now_ns(self) -> int:
        """The wall clock, since the epoch."""
        return time.time_ns()

    def serving(self, where: Path | socket.socket) -> AbstractAsyncContextManager[None]:
        """While the block lasts, clients of Docker's API are served at a path, or at a socket that is bound already.

        When the block ends, what is under way is answered, for `drain_timeout_s` at most. When it is cancelled, or left by an
        exception, requests under way are cut off and undone. The path is gone then, and every connection closed.

        Raises:
            System: something else is at that path, or another daemon listens there.
        """
        from daemon.serving import serving  # here: what serves an engine knows it, and an engine need not be served

        return serving(self, where)

    async def make_image(
        self, reference: str, files: Mapping[str, bytes] = NO_FILES, config: ContainerConfig = EMPTY
    ) -> Image:
        """See `ImageMaker.make`."""
        return await self._image_maker.make(reference, files, config)

    async def create(self, request: CreateRequest) -> Created:
        """See `Creator.create`. Raises Overloaded as `check_room`, too."""
        return await self.recorder.recorded(self._instruments.step("create", self._create(request)))

    async def _create(self, request: CreateRequest) -> Created:
        self.check_room()
        self.creates_under_way += 1
        try:
            return await self._creator.create(request)
        except BaseException as error:  # as `_noting_residue`, without the generator: this is every create's path
            self._note_failure(error)
            raise
        finally:
            self.creates_under_way -= 1

    def check_room(self) -> None:
        """Raises Overloaded: as many creates are under way as may be."""
        if self.creates_under_way >= self.config.creates_max:
            self.creates_turned_away += 1
            raise Overloaded("too many creates are under way, try again")

    async def remove(self, name_or_id: str, *, with_volumes: bool = False) -> None:
        """See `Changer.remove`."""
        with self._noting_residue():
            await self._changer.remove(name_or_id, with_volumes=with_volumes)

    async def rename(self, name_or_id: str, new_name: str) -> None:
        """See `Changer.rename`."""
        with self._noting_residue():
            await self._changer.rename(name_or_id, new_name)

    async def create_volume(self, request: VolumeRequest) -> Volume:
        """See `VolumeChanger.create`."""
        with self._noting_residue():
            return await self._volume_changer.create(request)

    async def remove_volume(self, name: str, *, force: bool = False) -> None:
        """See `VolumeChanger.remove`."""
        with self._noting_residue():
            await self._volume_changer.remove(name, force=force)

    async def prune_volumes(self, is_wanted: Callable[[Volume], bool]) -> Pruned:
        """See `VolumeChanger.prune`."""
        with self._noting_residue():
            return await self._volume_changer.prune(is_wanted)

    def give_up(self, failure: SyncFailed) -> None:
        """Cancel everything; `failure` is raised where the engine was entered."""
        self._failure = failure
        self._scope.cancel()

    @contextmanager
    def _ended_by_failure(self) -> Iterator[None]:
        with anyio.CancelScope() as self._scope:
            yield
        if self._failure is not None:
            raise self._failure

    def _note_residue(self) -> None:
        self._is_tidy = False

    def _note_crash(self, error: BaseException) -> None:
        self._note_residue()  # an actor forgets, or did not finish, what it has made for work under way
        if isinstance(error, SyncFailed):
            self.give_up(error)

    async def remove_link(self, name: str) -> None:
        """See `Changer.remove_link`."""
        await self._changer.remove_link(name)

    async def update(self, name_or_id: str, limits: HostConfig) -> tuple[str, ...]:
        """See `Changer.update`."""
        return await self._changer.update(name_or_id, limits)

    async def prune(self, is_wanted: Callable[[ContainerSummary], bool]) -> Pruned:
        """See `Changer.prune`."""
        with self._noting_residue():
            return await self._changer.prune(is_wanted, sizes=self.files.sizes)

    def _surroundings(self) -> Surroundings:
        return Surroundings(reserved=subnets_in_use(), ipv6_block=unique_local_block(self.id))

    def _use_registries(self, stores: Stores, reading: Reading) -> None:
        registries = self._registries = Registries(self.config.insecure_registries)
        services, content = self.services, stores.content
        self.puller = ImagePuller(
            services=services,
            registries=registries,
            content=content,
            intake=self.intake,
            host=self.host,
            now_ns=self.now_ns,
        )
        self.pusher = ImagePusher(
            services=services, registries=registries, content=content, reading=reading, now_ns=self.now_ns
        )
        self.inspector = RegistryInspector(registries=registries)

    @contextmanager
    def _noting_residue(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self._note_failure(error)
            raise

    def _note_failure(self, error: BaseException) -> None:
        for note in getattr(error, "__notes__", ()):  # an undo that failed
            self._is_tidy = False
            _log.error("clean-up is left to the next start: %s", note)
        if isinstance(error, System):
            self._is_tidy = False

    async def _recover(self, stores: Stores, database: Ref[Database]) -> None:
        records = await database.ask(Database.records)
        found = await run_in_thread(recover, self.config.data_root, stores, records)
        self._is_tidy = all(outcome.is_repaired or not outcome.finding.is_repairable for outcome in found)
        for outcome in found:
            level = logging.INFO if outcome.is_repaired else logging.ERROR
            _log.log(level, "recovery: %s %s", outcome.finding.path, outcome.finding.problem.value)

    async def _leave(self, stores: Stores) -> None:
        with anyio.CancelScope(shield=True):  # a file is written
            self._is_tidy &= await run_in_thread(stores.leave)

    async def _make_inits(self, stores: Stores, database: Ref[Database]) -> None:
        """An image that an older version took in has no init layer yet, and what has no layer is no image."""
        chains = {(), *(image.chain_ids for image in await database.ask(Database.images))}

        def make() -> None:
            for chain_ids in chains:
                try:
                    stores.layers.make_init(chain_ids)
                except System as error:  # of one image: no reason not to serve the others
                    self._note_residue()
                    _log.error("layers cannot be used: %s", error)

        await run_in_thread(make)

    def _leave_marker(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # After a failure of any kind the next start looks at everything. A cancellation is how a daemon is stopped.
        if self._is_tidy and not isinstance(error, Exception):
            try:
                leave_clean_marker(self.config.data_root)
            except DiskFull:
                _log.warning("no space left for the marker of a clean stop: the next start looks at everything")


def warnings() -> tuple[str, ...]:
    """What of this machine, and of the rights of this process, an operator should know."""
    found = []
    if landlock_abi() < LANDLOCK_ABI_MIN:
        found.append(NO_LANDLOCK)
    if not is_root():
        found.append(NOT_ROOT)
    if umask() != UMASK:
        found.append(ODD_UMASK % umask())
    return tuple(found)
