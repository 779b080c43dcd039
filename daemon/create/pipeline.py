"""`docker create`, step by step. Read this page first; it can be laid beside Moby's daemon/create.go.

First everything that needs no effect: a request that is wrong is refused before anything is touched. Then the effects, each with
its undo pushed before its call. The last of them is the commit, which makes the container durable; what follows cannot fail
for good, and is done even if the client has gone. Unlike Moby: on disk before visible (daemon/container.go register).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import attrs

from daemon.config import Config
from daemon.container import Container, EndpointSettings, Mount, summary_of
from daemon.create.checks.conflicts import is_container_mode
from daemon.create.events import container_event, insist, publish, volume_event
from daemon.create.merge import merge_config, merge_log_config, path_and_args
from daemon.create.mounts import MountPlan, bind_sources, parse_volumes_from, plan_mounts
from daemon.create.platforms import check_platform, mismatch_warning, parse_platform
from daemon.create.request import Created, CreateRequest
from daemon.create.security import parse_security_options
from daemon.create.settings import adapt, with_hostname
from daemon.create.undo import Undo
from daemon.create.validate import validate
from daemon.errors import Cancelled, InvalidParameter, NotFound, Unavailable
from daemon.host import Host
from daemon.image import Image
from daemon.network import is_user_defined
from daemon.network.endpoints import check_endpoints, networks_of
from daemon.network.table import NetworkTable
from daemon.services import Services
from daemon.services.allocator import Allocator, new_container_id
from daemon.services.image_store import ImageStore
from daemon.services.layer_manager import LayerManager
from daemon.services.networks import Networks
from daemon.services.registrar import Registrar
from daemon.services.volumes import Volumes
from daemon.storage.database import Database
from daemon.volume import Volume


@attrs.frozen(kw_only=True)
class Draft:
    """What is settled before the first effect."""

    request: CreateRequest
    """Checked, merged with the image, every default in its place."""
    image: Image | None
    """None for a container from an empty layer."""
    mounts: MountPlan
    networks: Mapping[str, EndpointSettings]
    warnings: tuple[str, ...]

    @property
    def chain_ids(self) -> tuple[str, ...]:
        return self.image.chain_ids if self.image else ()


@attrs.frozen(kw_only=True)
class Creator:
    services: Services
    host: Host
    config: Config
    now_ns: Callable[[], int]
    """The wall clock."""

    async def create(self, request: CreateRequest) -> Created:
        """The container's id, once it is durable.

        Raises:
            InvalidParameter: the request is wrong.
            NotFound: there is no such image, and nothing else: clients pull and try again on it.
            Conflict: the name is taken.
            Cancelled: somebody removed the name meanwhile.
            Unavailable: a service did not answer in time.
            System: the disk failed.
        """
        draft = await self._draft(request)
        container_id = new_container_id()
        is_called_off = False
        with anyio.CancelScope(deadline=anyio.current_time() + self.config.ask_timeout_s) as scope:

            def call_off() -> None:
                nonlocal is_called_off
                is_called_off = True
                scope.cancel()

            async with Undo(timeout_s=self.config.undo_timeout_s) as undo:
                container, made = await self._build(draft, container_id, undo, call_off)
                with anyio.CancelScope(shield=True):  # bounded: one commit, and messages to actors that are restarted
                    await self._commit(container, made, undo)
            return Created(id=container_id, warnings=draft.warnings)
        if is_called_off:
            raise Cancelled(f"the creation of container {container_id} was cancelled by a removal")
        raise Unavailable(f"the container could not be created within {self.config.ask_timeout_s:g} s")

    # Without effects ---------------------------------------------------------------------------------------------------

    async def _draft(self, request: CreateRequest) -> Draft:
        validate(request, self.host)
        request, warnings = adapt(request, self.host, default_runtime=self.config.default_runtime)
        await _check_exist(bind_sources(request.host_config))
        image, image_warnings = await self._image(request)
        networks = await self._networks(request)
        config = merge_config(request.config, image.config if image else None)
        log_config = merge_log_config(request.host_config.log_config, self.config.default_log_driver)
        host_config = attrs.evolve(request.host_config, log_config=log_config)
        request = attrs.evolve(request, config=config, host_config=host_config)
        request = await self._with_namespaces(request)
        inherited = await self._inherited(host_config.volumes_from or ())
        mounts = plan_mounts(config, host_config, inherited, data_root=str(self.config.data_root))
        warnings = (*image_warnings, *warnings)
        return Draft(request=request, image=image, mounts=mounts, networks=networks, warnings=warnings)

    async def _image(self, request: CreateRequest) -> tuple[Image | None, tuple[str, ...]]:
        reference = request.config.image
        if not reference:
            return None, ()
        requested = parse_platform(request.platform, self.host) if request.platform else None
        image = await self.services.images.ask(ImageStore.find, reference)
        if requested is not None:
            check_platform(image, requested, reference)
            return image, ()
        warning = mismatch_warning(image, self.host)
        return image, (warning,) if warning else ()

    async def _networks(self, request: CreateRequest) -> Mapping[str, EndpointSettings]:
        mode, endpoints = request.host_config.network_mode, request.networking.endpoints_config or {}
        table = NetworkTable()
        if endpoints or is_user_defined(mode):  # else there is nothing to look up
            table = await self.services.networks.ask(Networks.table)
        check_endpoints(endpoints, table)
        if request.config.network_disabled or is_container_mode(mode):
            return {}
        known = {name: endpoint for name, endpoint in endpoints.items() if endpoint is not None}
        return networks_of(mode, known, table.lookup(mode) if is_user_defined(mode) else None)

    async def _with_namespaces(self, request: CreateRequest) -> CreateRequest:
        """`container:NAME` becomes `container:<id>` in the modes that share a namespace."""
        host_config = request.host_config
        modes = (host_config.network_mode, host_config.ipc_mode, host_config.pid_mode)
        if not any(map(is_container_mode, modes)):
            return request
        network_mode, ipc_mode, pid_mode = [await self._resolved(mode) for mode in modes]
        return attrs.evolve(
            request,
            host_config=attrs.evolve(host_config, network_mode=network_mode, ipc_mode=ipc_mode, pid_mode=pid_mode),
        )

    async def _resolved(self, mode: str) -> str:
        if not is_container_mode(mode):
            return mode
        try:
            found = await self.services.registrar.ask(Registrar.find, mode.removeprefix("container:"))
        except (NotFound, InvalidParameter):
            return mode  # noticed at start, as in Docker
        return f"container:{found.id}"

    async def _inherited(self, volumes_from: tuple[str, ...]) -> list[tuple[tuple[Mount, ...], str]]:
        inherited = []
        for text in volumes_from:
            name, mode = parse_volumes_from(text)
            try:
                found = await self.services.registrar.ask(Registrar.find, name)
            except NotFound as error:
                raise InvalidParameter(str(error)) from error  # a 404 here would make clients pull an image
            inherited.append((found.mounts, mode))
        return inherited

    # Effects -----------------------------------------------------------------------------------------------------------

    async def _build(
        self, draft: Draft, container_id: str, undo: Undo, call_off: Callable[[], None]
    ) -> tuple[Container, tuple[Volume, ...]]:
        """Everything but the commit; the container, and the volumes that are to be durable with it."""
        services, request = self.services, draft.request
        undo.push("name", partial(services.allocator.ask, Allocator.release, container_id))
        name = await services.allocator.ask(Allocator.reserve, container_id, request.name, call_off)
        config = with_hostname(
            request.config,
            container_id=container_id,
            network_mode=request.host_config.network_mode,
            host=self.host,
        )
        path, args = path_and_args(config)
        security = parse_security_options(request.host_config.security_opt or ())
        # The read-write layer, the container's directory and its checkpoints are one tree, made by one rename.
        undo.push("layer", partial(services.layers.ask, LayerManager.remove, container_id))
        await services.layers.ask(LayerManager.create, container_id, draft.chain_ids, config.working_dir)
        created_ns = self.now_ns()
        made = await self._make_volumes(draft, container_id, created_ns, undo)
        container = Container(
            id=container_id,
            name=name,
            created_ns=created_ns,
            path=path,
            args=args,
            config=config,
            host_config=request.host_config,
            image_id=draft.image.id if draft.image else "",
            mounts=draft.mounts.mounts,
            networks=draft.networks,
            security=security,
        )
        return container, made

    async def _make_volumes(self, draft: Draft, container_id: str, created_ns: int, undo: Undo) -> tuple[Volume, ...]:
        uses = draft.mounts.volumes
        if not uses:
            return ()
        volumes = self.services.volumes
        undo.push("volumes", partial(volumes.ask, Volumes.release, container_id))
        made = await volumes.ask(Volumes.acquire, container_id, uses, created_ns)
        await volumes.ask(Volumes.fill, container_id, uses, draft.chain_ids)
        return made

    async def _commit(self, container: Container, made: tuple[Volume, ...], undo: Undo) -> None:
        services, summary = self.services, summary_of(container)
        await services.database.ask(Database.insert_container, container, made)
        undo.commit()
        await insist(partial(services.registrar.ask, Registrar.register, summary))
        await insist(partial(services.allocator.ask, Allocator.keep, container.id, container.name))
        if names := tuple(mount.name for mount in container.mounts if mount.type == "volume"):
            # A volume that several creates have made together is new once.
            for volume in await insist(partial(services.volumes.ask, Volumes.keep, container.id, names, made)):
                await publish(services.events, volume_event(volume, "create", self.now_ns()))
        await publish(services.events, container_event(summary, "create", self.now_ns()))


async def _check_exist(sources: tuple[str, ...]) -> None:
    for source in sources:
        text = await anyio.to_thread.run_sync(_absence_of, source)
        if text is not None:
            raise InvalidParameter(f'invalid mount config for type "bind": {text}')


def _absence_of(source: str) -> str | None:
    try:
        Path(source).stat()
    except (FileNotFoundError, ValueError):  # a NUL is in the name of no file
        return f"bind source path does not exist: {source}"
    except OSError as error:
        return f"stat {source}: {os.strerror(error.errno).lower()}" if error.errno else str(error)
    return None
