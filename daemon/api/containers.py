"""The container endpoints: create, list, inspect, rename, remove."""

from __future__ import annotations

import contextlib

import attrs

from daemon.api.calls import Call, Query, json_response, no_content
from daemon.api.codec import Json, WrongType, json_kind
from daemon.api.container_list import LIST_FILTERS, matching
from daemon.api.idempotency import IDEMPOTENCY_HEADER, with_idempotency
from daemon.api.network_views import with_network_history
from daemon.api.schema import CONFIG, HOST_CONFIG, HOST_CONFIG_KEY, NETWORKING, NETWORKING_KEY
from daemon.api.views import inspect_view, summary_view
from daemon.container import Container, HostConfig, NetworkingConfig
from daemon.create.request import CreateRequest
from daemon.errors import InvalidParameter, NotFound, NotImplementedHere
from daemon.http.message import Response
from daemon.services import Services
from daemon.services.allocator import link_name
from daemon.services.image_store import ImageStore
from daemon.services.registrar import Registrar
from daemon.storage.database import Database

_PLATFORM_SINCE = (1, 41)
_BODY = "CreateRequest"
"""What Go calls the body in its complaints."""


async def create(call: Call) -> Response:
    query, key = call.query(), call.request.headers.get(IDEMPOTENCY_HEADER)
    request = await call.read_json(lambda document: decode_create(document, query, call.version))
    if request is None:
        raise InvalidParameter("config cannot be empty in order to create a container")
    created = await call.engine.create(with_idempotency(request, key))
    return json_response({"Id": created.id, "Warnings": list(created.warnings)}, 201)


def decode_create(raw: Json, query: Query, version: tuple[int, int]) -> CreateRequest | None:
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
        request = _decode_create(body, query, version)
    except WrongType:  # the first in the body is told, not the first that is looked at
        for key, value in body.items():
            _decode_create({key: value}, query, version)
        raise
    return request if any(map(CONFIG.has_field, body)) else None


def _decode_create(body: dict[str, Json], query: Query, version: tuple[int, int]) -> CreateRequest:
    folded = {key.lower(): value for key, value in body.items() if value is not None}
    host_config, networking = folded.get(HOST_CONFIG_KEY.lower()), folded.get(NETWORKING_KEY.lower())
    request = CreateRequest(
        name=query.text("name"),
        platform=query.text("platform") if version >= _PLATFORM_SINCE else "",
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
        request = attrs.evolve(request, config=attrs.evolve(request.config, volumes=()))
    return request


async def list_containers(call: Call) -> Response:
    query = call.query()
    filters = query.filters(LIST_FILTERS)
    limit = query.integer("limit")
    services = call.engine.services
    summaries = await services.registrar.ask(Registrar.list)
    if not (query.flag("all") or limit > 0 or filters.get("status")):
        summaries = ()  # without `all` the list is of running containers
    images = {named.image.id: named for named in await services.images.ask(ImageStore.list)}
    chosen = await matching(summaries, filters, services)
    chosen.sort(key=lambda summary: summary.created_ns, reverse=True)
    if limit > 0:
        del chosen[limit:]
    return json_response([summary_view(summary, images, call.config.data_root) for summary in chosen])


async def inspect(call: Call) -> Response:
    services = call.engine.services
    summary = await services.registrar.ask(Registrar.find, call.name)
    container = await services.database.ask(Database.container, summary.id)
    if container is None:
        raise NotFound(f"No such container: {call.name}")  # removed between the two questions
    container = with_network_history(container, call.version)
    if container.host_config.links:
        container = await _with_links_shown(container, services)
    image = None
    if container.image_id:
        images = await services.images.ask(ImageStore.list)
        image = next((named.image for named in images if named.image.id == container.image_id), None)
    return json_response(inspect_view(container, image, call.config.data_root, with_size=call.query().flag("size")))


async def _with_links_shown(container: Container, services: Services) -> Container:
    """With its links as Docker shows them, by the names of today, and without those to containers that are gone."""
    shown = []
    for link in container.links:
        with contextlib.suppress(NotFound):
            linked = await services.registrar.ask(Registrar.find, link.container_id)
            shown.append(f"/{linked.name}:/{link_name(container.name, link.alias)}")
    host_config = attrs.evolve(container.host_config, links=tuple(shown) or None)
    return attrs.evolve(container, host_config=host_config)


async def rename(call: Call) -> Response:
    await call.engine.rename(call.name, call.query().text("name"))
    return no_content()


async def remove(call: Call) -> Response:
    query = call.query()
    if query.flag("link"):
        raise NotImplementedHere("removing a link is not supported yet")
    await call.engine.remove(call.name, with_volumes=query.flag("v"))
    return no_content()
