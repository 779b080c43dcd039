"""`docker create`, step by step. Read this page first; it can be laid beside Moby's daemon/create.go.

First everything that needs no effect: a request that is wrong is refused before anything is touched. Then the effects, each with
its undo pushed before its call. The last of them is the commit, which makes the container durable; what follows cannot fail
for good, and is done even if the client has gone. Unlike Moby: on disk before visible (daemon/container.go register).
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Mapping
from functools import partial

import anyio
import anyio.lowlevel
import attrs
import msgspec
from msgspec.structs import replace

from daemon.config import Config
from daemon.container import Container, EndpointSettings, HostConfig, Mount, new_container_id
from daemon.create.checks.conflicts import is_container_mode
from daemon.create.deadlines import Deadlines
from daemon.create.draft import Draft, Drafts
from daemon.create.events import container_event, insist, post, publish, volume_event
from daemon.create.links import resolve_links
from daemon.create.merge import merge_config, merge_log_config, path_and_args
from daemon.create.mounts import MountPlan, parse_volumes_from, plan_mounts
from daemon.create.platforms import Platform, check_platform, mismatch_warning, parse_platform
from daemon.create.request import Created, CreateRequest
from daemon.create.security import parse_security_options, shares_labels
from daemon.create.settings import adapt, with_hostname
from daemon.create.sources import bad_sources
from daemon.create.storage import refuse_storage_options
from daemon.create.undo import Undo
from daemon.create.validate import validate_options, verify
from daemon.create.versions import for_api_version
from daemon.errors import Cancelled, Conflict, InvalidParameter, NotFound, System, Unavailable
from daemon.host import Host
from daemon.image import Image
from daemon.instruments import Step, plainly
from daemon.network import is_user_defined
from daemon.network.endpoints import check_endpoints, networks_of
from daemon.network.table import NetworkTable
from daemon.services import Services
from daemon.services.allocator import Allocator
from daemon.services.idempotency import IdempotencyKeys
from daemon.services.image_store import ImageStore, ImagesWatch
from daemon.services.layer_manager import LayerManager
from daemon.services.networks import Networks
from daemon.services.registrar import Registrar
from daemon.services.volume_index import VolumeUse
from daemon.services.volumes import Volumes
from daemon.storage.database import Database, KeptKey
from daemon.storage.ready import ReadyTrees
from daemon.summary import summary_of
from daemon.volume import Volume


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """What is to become durable in one commit."""

    container: Container
    volumes: tuple[Volume, ...]
    """Those that were made for it."""
    key: KeptKey | None


@attrs.frozen(kw_only=True)
class Creator:
    services: Services
    ready: ReadyTrees
    """From the layer manager: containers' trees, made beforehand."""
    host: Host
    config: Config
    now_ns: Callable[[], int]
    """The wall clock."""
    step: Step = plainly
    """Around each step: what looks at creates from outside."""
    _drafts: Drafts = attrs.field(factory=Drafts, init=False)
    _images: ImagesWatch = attrs.field(factory=ImagesWatch, init=False)
    _deadlines: Deadlines = attrs.field(factory=Deadlines, init=False)

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
        is_called_off = False
        with self._deadlines.after(self.config.ask_timeout_s) as scope:

            def call_off() -> None:
                nonlocal is_called_off
                if not scope.shield:  # else it is too late
                    is_called_off = True
                    scope.cancel()

            try:
                return await self._create(request, scope, call_off)
            except Conflict:
                if (repeated := await self._repeated(request)) is None:
                    raise
                return repeated
        if is_called_off:
            raise Cancelled(f"the creation of container {request.name or '(unnamed)'} was cancelled by a removal")
        raise Unavailable(f"the container could not be created within {self.config.ask_timeout_s:g} s")

    async def _create(self, request: CreateRequest, scope: anyio.CancelScope, call_off: Callable[[], None]) -> Created:
        async with Undo(timeout_s=self.config.undo_timeout_s) as undo:
            if (earlier := await self._earlier(request, undo)) is not None:
                return Created(id=earlier.container_id, warnings=earlier.warnings)
            draft = await self.step("check", self._draft(request))
            built = await self._build(draft, undo, call_off)
            if scope.cancel_called:  # since the last step was through; from the next on it is too late
                await anyio.lowlevel.checkpoint()
            # Bounded: one commit, and messages to actors that are restarted.
            scope.deadline, scope.shield = math.inf, True
            await self._commit(built, undo)
        return Created(id=built.container.id, warnings=draft.warnings)

    async def _repeated(self, request: CreateRequest) -> Created | None:
        """What the create that collided with this one was told, if it was the same: claims of keys are forgotten in a crash."""
        asked = request.idempotency
        if asked is None:
            return None
        kept = await self.services.database.ask(Database.kept_key, asked.key)
        if kept is None or kept.fingerprint != asked.fingerprint:
            return None
        return Created(id=kept.container_id, warnings=kept.warnings)

    async def _earlier(self, request: CreateRequest, undo: Undo) -> KeptKey | None:
        """The create that this one repeats, awaited if it is under way; else the key is this one's until it fails."""
        if request.idempotency is None:
            return None
        key, keys, claimant = request.idempotency.key, self.services.keys, secrets.token_hex(16)
        undo.push("idempotency key", partial(keys.ask, IdempotencyKeys.free, key, claimant))
        claim = keys.ask(IdempotencyKeys.claim, key, request.idempotency.fingerprint, claimant)
        return await self.step("key", claim)

    # Without effects ---------------------------------------------------------------------------------------------------

    async def _draft(self, request: CreateRequest) -> Draft:
        drafts, watch = self._drafts, self._images
        if drafts.has(request):
            if not watch.is_kept:
                await self.services.images.ask(ImageStore.watch, watch)
            seen = watch.changes
            known = drafts.get(request, seen)
            if known is None:
                known = drafts.renew(request, await self._found_image(request), seen)
            if known is not None:
                return known
        seen = watch.changes
        draft = await self._new_draft(request)
        drafts.keep(request, draft, seen)
        return draft

    async def _new_draft(self, request: CreateRequest) -> Draft:
        host = self.host
        validate_options(request, host)
        platform = parse_platform(request.platform, host) if request.platform else None
        request, notes = for_api_version(request, host)
        request = replace(request, bad_sources=await bad_sources(request.host_config))
        request, warnings = verify(request, host)
        image, mismatch = await self._image(request) if platform is None else (None, ())
        networks = await self._networks(request)
        request = adapt(request, host, default_runtime=self.config.default_runtime)
        request = await self._with_namespaces(request)
        if platform is not None:  # Docker looks for it here then, after its last checks
            image = await self._image_for(request, platform)
        config = merge_config(request.config, image.config if image else None)
        log_config = merge_log_config(request.host_config.log_config, self.config.default_log_driver)
        host_config = replace(request.host_config, log_config=log_config)
        request = replace(request, config=config, host_config=host_config)
        draft = Draft(
            request=request,
            image=image,
            networks=networks,
            warnings=(*warnings, *mismatch, *notes),
            is_plain=False,
        )
        is_plain = await self.services.layers.ask(LayerManager.is_plain, draft.chain_ids, config.working_dir)
        return replace(draft, is_plain=is_plain)

    async def _found_image(self, request: CreateRequest) -> Image | None:
        """None for a container without one."""
        if not request.config.image:
            return None
        return await self.step("image", self.services.images.ask(ImageStore.find, request.config.image))

    async def _image(self, request: CreateRequest) -> tuple[Image | None, tuple[str, ...]]:
        image = await self._found_image(request)
        warning = mismatch_warning(image, self.host) if image is not None else None
        return image, (warning,) if warning else ()

    async def _image_for(self, request: CreateRequest, platform: Platform) -> Image | None:
        image = await self._found_image(request)
        if image is not None:
            check_platform(image, platform, request.config.image)
        return image

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
        """`container:NAME` becomes `container:<id>` in the modes that share a namespace.

        A container that is not there is noticed at start, as in Docker, unless its SELinux label would be asked for now.
        """
        given = request.host_config
        if not any(map(is_container_mode, (given.pid_mode, given.ipc_mode, given.network_mode))):
            return request
        is_wanted = shares_labels(given)
        host_config = replace(
            given,
            ipc_mode=await self._resolved(given.ipc_mode, is_wanted=is_wanted),
            pid_mode=await self._resolved(given.pid_mode, is_wanted=is_wanted),
            network_mode=await self._resolved(given.network_mode, is_wanted=False),
        )
        return replace(request, host_config=host_config)

    async def _resolved(self, mode: str, *, is_wanted: bool) -> str:
        name = mode.removeprefix("container:")
        if not is_container_mode(mode) or not name:
            return mode
        try:
            found = await self.services.registrar.ask(Registrar.find, name)
        except (NotFound, InvalidParameter) as error:
            if is_wanted:
                raise InvalidParameter(str(error)) from error  # a 404 would make clients pull an image
            return mode
        return f"container:{found.id}"

    async def _inherited(self, volumes_from: tuple[str, ...]) -> list[tuple[tuple[Mount, ...], str]]:
        inherited = []
        for text in volumes_from:
            name, mode = parse_volumes_from(text)
            try:
                found = await self.services.registrar.ask(Registrar.find, name)
            except NotFound as error:
                raise InvalidParameter(str(error)) from error  # as above
            inherited.append((found.mounts, mode))
        return inherited

    async def _check_images_of_mounts(self, host_config: HostConfig) -> None:
        for mount in host_config.mounts or ():
            if mount.type == "image":
                try:
                    await self.services.images.ask(ImageStore.find, mount.source)
                except NotFound as error:
                    raise InvalidParameter(str(error)) from error  # as above: it is another image that would be pulled

    # Effects -----------------------------------------------------------------------------------------------------------

    async def _build(self, draft: Draft, undo: Undo, call_off: Callable[[], None]) -> Built:
        """Everything but the commit. The checks among the effects are where Docker has them: a name that is taken is told
        before a bind that makes no sense."""
        services, request = self.services, draft.request
        host_config = request.host_config
        ready_id = await self._ready_tree() if draft.is_plain else None
        container_id = ready_id or new_container_id()
        name = await self._reserve(request, container_id, undo, call_off, is_ready=ready_id is not None)
        config = with_hostname(
            request.config, container_id=container_id, network_mode=host_config.network_mode, host=self.host
        )
        path, args = path_and_args(config)
        security = parse_security_options(host_config.security_opt or ())
        refuse_storage_options(host_config.storage_opt or {})
        mounts = await self._plan_mounts(request)
        links = await resolve_links(services.registrar, host_config)
        if links:
            links = await services.allocator.ask(Allocator.reserve_links, container_id, links)
        # The read-write layer, the container's directory and its checkpoints are one tree.
        if ready_id is None:
            make = services.layers.ask(LayerManager.create, container_id, draft.chain_ids, config.working_dir)
            await self.step("layer", make)
        created_ns = self.now_ns()
        volumes = await self._make_volumes(mounts.volumes, draft, config.working_dir, container_id, created_ns, undo)
        container = Container(
            id=container_id,
            name=name,
            created_ns=created_ns,
            path=path,
            args=args,
            config=config,
            host_config=host_config,
            image_id=draft.image.id if draft.image else "",
            mounts=mounts.mounts,
            networks=draft.networks,
            security=security,
            links=links,
        )
        return Built(container=container, volumes=volumes, key=_kept_key(draft, container_id))

    async def _ready_tree(self) -> str | None:
        """The id of one, made now with those for others if there is none; None where there are to be none, or cannot be."""
        while (ready_id := self.ready.take()) is None and self.ready.has_room:
            try:
                await self.step("layer", self.services.layers.ask(LayerManager.make_ready))
            except System:  # a name that is taken is told before that
                return None
        return ready_id

    async def _reserve(
        self, request: CreateRequest, container_id: str, undo: Undo, call_off: Callable[[], None], *, is_ready: bool
    ) -> str:
        """Its name. From here on its tree goes if the create fails, whether it was ready or is yet to be made."""
        layers, allocator = self.services.layers, self.services.allocator
        undo.push("layer", partial(layers.ask, LayerManager.remove, container_id))
        undo.push("name", partial(allocator.ask, Allocator.release, container_id))
        may_be_repeated = bool(request.name) and request.idempotency is not None
        reserve = Allocator.reserve_in_turn if may_be_repeated else Allocator.reserve
        try:
            return await self.step("name", allocator.ask(reserve, container_id, request.name, call_off))
        except (Conflict, InvalidParameter):  # nobody has heard of that id
            if is_ready:
                undo.drop("layer")
                self.ready.put_back(container_id)
            raise

    async def _plan_mounts(self, request: CreateRequest) -> MountPlan:
        await self._check_images_of_mounts(request.host_config)
        return plan_mounts(
            request.config,
            request.host_config,
            await self._inherited(request.host_config.volumes_from or ()),
            data_root=str(self.config.data_root.absolute()),
            api_version=request.api_version,
        )

    async def _make_volumes(
        self,
        uses: tuple[VolumeUse, ...],
        draft: Draft,
        working_dir: str,
        container_id: str,
        created_ns: int,
        undo: Undo,
    ) -> tuple[Volume, ...]:
        if not uses:
            return ()
        volumes = self.services.volumes

        async def make() -> tuple[Volume, ...]:
            made = await volumes.ask(Volumes.acquire, container_id, uses, created_ns)
            await volumes.ask(Volumes.fill, container_id, uses, draft.chain_ids, working_dir)
            return made

        undo.push("volumes", partial(volumes.ask, Volumes.release, container_id))
        return await self.step("volumes", make())

    async def _commit(self, built: Built, undo: Undo) -> None:
        insert = self.services.database.ask(Database.insert_container, built.container, built.volumes, built.key)
        new = await self.step("commit", insert)
        undo.commit()
        await self.step("register", self._register(built, new))

    async def _register(self, built: Built, new: tuple[Volume, ...]) -> None:
        services, container, made = self.services, built.container, built.volumes
        summary = summary_of(container)
        # Whoever asks these two from now on is behind their message; one that crashes on it is rebuilt from the database.
        await post(services.registrar, Registrar.register, summary)
        await post(services.allocator, Allocator.keep, container.id, container.name, container.links)
        if built.key is not None:
            await insist(partial(services.keys.ask, IdempotencyKeys.keep, built.key))
        if names := tuple(mount.name for mount in container.mounts if mount.type == "volume"):
            await insist(partial(services.volumes.ask, Volumes.keep, container.id, names, made))
        for volume in new:  # of several creates that have made it together it is new with the first
            await publish(services.events, volume_event(volume, "create", self.now_ns()))
        await publish(services.events, container_event(summary, "create", self.now_ns()))


def _kept_key(draft: Draft, container_id: str) -> KeptKey | None:
    asked = draft.request.idempotency
    if asked is None:
        return None
    return KeptKey(key=asked.key, fingerprint=asked.fingerprint, container_id=container_id, warnings=draft.warnings)
