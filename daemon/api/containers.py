"""The container endpoints: create, list, inspect, rename, update, remove, prune."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from daemon.api.calls import Call, Query, decoded, json_response, no_content
from daemon.api.codec import Json, WrongType, json_kind
from daemon.api.container_list import LIST_FILTERS, in_slices, matching, whole_names
from daemon.api.filters import has_labels
from daemon.api.idempotency import IDEMPOTENCY_HEADER, with_idempotency
from daemon.api.moments import parse_moment
from daemon.api.network_views import with_network_history
from daemon.api.schema import CONFIG, HOST_CONFIG, HOST_CONFIG_KEY, NETWORKING, NETWORKING_KEY
from daemon.api.views import inspect_view, summary_view
from daemon.container import Container, HostConfig, NetworkingConfig, link_name
from daemon.create.records import record_of
from daemon.create.request import CreateRequest
from daemon.create.update import UPDATABLE
from daemon.errors import InvalidParameter, NotFound
from daemon.http.message import Response
from daemon.services import Services
from daemon.services.image_store import ImageStore
from daemon.services.registrar import Registrar
from daemon.summary import ContainerSummary

PRUNE_FILTERS = frozenset({"label", "label!", "until"})

KERNEL_MEMORY_UNTIL = (1, 42)
PIDS_LIMIT_IN_UPDATES_SINCE = (1, 40)

_PLATFORM_SINCE = (1, 41)
_UPDATABLE = frozenset(HOST_CONFIG.name_of(attribute).lower() for attribute in UPDATABLE)
_BODY = "CreateRequest"
"""What Go calls the body in its complaints."""


async def create(call: Call) -> Response:
    call.engine.check_room()  # before anything is spent on it
    query, key = call.query(), call.request.headers.get(IDEMPOTENCY_HEADER)
    content = await call.content()
    if (request := call.bodies.get(content, call.version)) is None:
        request = await decoded(content, lambda document: decode_create(document, call.version))
        if request is None:
            raise InvalidParameter("config cannot be empty in order to create a container")
        request = call.bodies.kept(content, call.version, request)
    created = await call.engine.create(with_idempotency(with_query(request, query), key))
    return json_response({"Id": created.id, "Warnings": list(created.warnings)}, 201)


def with_query(body: CreateRequest, query: Query) -> CreateRequest:
    """What is asked for with that body."""
    platform = query.text("platform") if body.api_version >= _PLATFORM_SINCE else ""
    return replace(body, name=query.text("name"), platform=platform)


def decode_create(raw: Json, version: tuple[int, int]) -> CreateRequest | None:
    """The body embeds a Config beside HostConfig and NetworkingConfig; None if it has no field of one.

    Raises:
        WrongType: the first value in it that is of another type than its field.
    """
    if raw is not None and not isinstance(raw, dict):
        raise WrongType(
            f"invalid JSON: json: cannot unmarshal {json_kind(raw)} into Go value of type container.CreateRequest"
        )
    body: dict[str, Json] = raw or {}
    try:
        request = _decode_create(body, version)
    except WrongType:  # the first in the body is told, not the first that is looked at
        for key, value in body.items():
            _decode_create({key: value}, version)
        raise
    return request if any(map(CONFIG.has_field, body)) else None


def _decode_create(body: dict[str, Json], version: tuple[int, int]) -> CreateRequest:
    folded = {key.lower(): value for key, value in body.items() if value is not None}
    host_config, networking = folded.get(HOST_CONFIG_KEY.lower()), folded.get(NETWORKING_KEY.lower())
    request = CreateRequest(
        config=CONFIG.decode(body, f"{_BODY}.Config", _BODY),
        host_config=HostConfig()
        if host_config is None
        else HOST_CONFIG.decode(host_config, f"{_BODY}.{HOST_CONFIG_KEY}"),
        networking=(
            NetworkingConfig() if networking is None else NETWORKING.decode(networking, f"{_BODY}.{NETWORKING_KEY}")
        ),
        api_version=version,
    )
    if host_config is not None and request.config.volumes is None:
        request = replace(request, config=replace(request.config, volumes=()))
    return request


async def list_containers(call: Call) -> Response:
    query = call.query()
    filters = query.filters(LIST_FILTERS)
    limit = query.integer("limit")
    services = call.engine.services
    present = None
    if names := whole_names(filters.get("name", ())):
        summaries = await services.registrar.ask(Registrar.named, names)  # one of 100,000: not each of them is asked
    else:
        present = summaries = await services.registrar.ask(Registrar.list)
    if not (query.flag("all") or limit > 0 or filters.get("status")):
        summaries = ()  # without `all` the list is of running containers
    chosen = await matching(summaries, filters, services)
    chosen.sort(key=lambda summary: summary.created_ns, reverse=True)
    if limit > 0:
        del chosen[limit:]
    meanings = await services.images.ask(ImageStore.meanings, frozenset(summary.image for summary in chosen))
    # As the user typed it while that still means the same image, else the image's id.
    called = {
        summary.id: summary.image if meanings.get(summary.image, "") == summary.image_id else summary.image_id
        for summary in chosen
    }
    if query.flag("size"):
        return json_response(await _views_with_sizes(call, chosen, called))
    views = [call.listed.view(summary, called[summary.id], call.version) async for summary in in_slices(chosen)]
    if present is not None:
        call.listed.forget_others(present)
    return json_response(views)


async def _views_with_sizes(
    call: Call, summaries: Sequence[ContainerSummary], called: Mapping[str, str]
) -> list[Mapping[str, Json]]:
    sizes = await sizes_of(call, summaries)
    return [
        summary_view(
            summary,
            called[summary.id],
            call.config.data_root,
            own_bytes=sizes.get(summary.id, (0, 0))[0],
            size_bytes=sizes.get(summary.id, (0, 0))[1],
            api_version=call.version,
        )
        async for summary in in_slices(summaries)
    ]


async def sizes_of(call: Call, summaries: Sequence[ContainerSummary]) -> Mapping[str, tuple[int, int]]:
    """By container: the bytes of its own layer, and those with its image."""
    images = {
        named.image.id: named.image.size_bytes for named in await call.engine.services.images.ask(ImageStore.list)
    }
    own = await call.engine.files.sizes([summary.id for summary in summaries])
    return {
        summary.id: (own[summary.id], own[summary.id] + images.get(summary.image_id, 0))
        for summary in summaries
        if summary.id in own
    }


async def inspect(call: Call) -> Response:
    services = call.engine.services
    summary = await services.registrar.ask(Registrar.find, call.name)
    container = with_network_history(await record_of(services, summary, call.name), call.version)
    if container.host_config.links is not None:
        container = await _with_links_shown(container, services)
    image = None
    if container.image_id:
        images = await services.images.ask(ImageStore.list)
        image = next((named.image for named in images if named.image.id == container.image_id), None)
    own_bytes = None
    if call.query().flag("size"):
        own_bytes = (await call.engine.files.sizes((container.id,))).get(container.id, 0)
    return json_response(inspect_view(container, image, call.config.data_root, own_bytes=own_bytes))


async def _with_links_shown(container: Container, services: Services) -> Container:
    """With its links as Docker shows them, by the names of today, and without those to containers that are gone."""
    shown = []
    for link in container.links:
        with contextlib.suppress(NotFound):
            linked = await services.registrar.ask(Registrar.find, link.container_id)
            shown.append(f"/{linked.name}:/{link_name(container.name, link.alias)}")
    host_config = replace(container.host_config, links=tuple(shown) or None)
    return replace(container, host_config=host_config)


async def rename(call: Call) -> Response:
    await call.engine.rename(call.name, call.query().text("name"))
    return no_content()


async def update(call: Call) -> Response:
    limits = decode_update(await call.json(), call.version)
    warnings = await call.engine.update(call.name, limits)
    return json_response({"Warnings": list(warnings) or None})


def decode_update(raw: Json, version: tuple[int, int]) -> HostConfig:
    """Limits and a restart policy; what else a container's settings are is no part of the body. Raises InvalidParameter."""
    body = {key: value for key, value in raw.items() if key.lower() in _UPDATABLE} if isinstance(raw, dict) else raw
    limits = HOST_CONFIG.decode({} if body is None else body)
    if version >= KERNEL_MEMORY_UNTIL:
        limits = replace(limits, kernel_memory=0)
    if version < PIDS_LIMIT_IN_UPDATES_SINCE:
        limits = replace(limits, pids_limit=None)
    elif limits.pids_limit is not None:
        limits = replace(limits, pids_limit=max(limits.pids_limit, 0))  # less than none is as good as none
    return limits


async def remove(call: Call) -> Response:
    query = call.query()
    if query.flag("link"):
        await call.engine.remove_link(call.name)
    else:
        await call.engine.remove(call.name, with_volumes=query.flag("v"))
    return no_content()


async def prune(call: Call) -> Response:
    filters = call.query().filters(PRUNE_FILTERS)
    until_ns = _until_ns(filters.get("until"), call.engine.now_ns())

    def is_wanted(summary: ContainerSummary) -> bool:
        if until_ns is not None and summary.created_ns > until_ns:
            return False
        if "label!" in filters and has_labels(filters, summary.labels, "label!"):
            return False
        return has_labels(filters, summary.labels)

    pruned = await call.engine.prune(is_wanted)
    return json_response({"ContainersDeleted": list(pruned.removed) or None, "SpaceReclaimed": pruned.freed_bytes})


def _until_ns(values: tuple[str, ...] | None, now_ns: int) -> int | None:
    if not values:
        return None
    if len(values) > 1:
        raise InvalidParameter("more than one until filter specified")
    return parse_moment(values[0], now_ns)
