"""The container endpoints: create, list, inspect, rename, remove."""

from __future__ import annotations

from daemon.api.calls import Call, Query, json_response, no_content
from daemon.api.codec import Json
from daemon.api.container_list import LIST_FILTERS, matching
from daemon.api.network_views import with_network_history
from daemon.api.schema import CONFIG, HOST_CONFIG, HOST_CONFIG_KEY, NETWORKING, NETWORKING_KEY
from daemon.api.views import inspect_view, summary_view
from daemon.container import HostConfig, NetworkingConfig
from daemon.create.request import CreateRequest
from daemon.errors import InvalidParameter, NotFound, NotImplementedHere
from daemon.http.message import Response
from daemon.services.image_store import ImageStore
from daemon.services.registrar import Registrar
from daemon.storage.database import Database

_PLATFORM_SINCE = (1, 41)
_BODY = "CreateRequest"
"""What Go calls the body in its complaints."""


async def create(call: Call) -> Response:
    query = call.query()
    request = decode_create(await call.json(), query, call.version)
    created = await call.engine.create(request)
    return json_response({"Id": created.id, "Warnings": list(created.warnings)}, 201)


def decode_create(raw: Json, query: Query, version: tuple[int, int]) -> CreateRequest:
    """The body embeds a Config beside HostConfig and NetworkingConfig. Raises InvalidParameter."""
    if raw is not None and not isinstance(raw, dict):
        kind = {list: "array", str: "string", bool: "bool"}.get(type(raw), "number")
        raise InvalidParameter(
            f"invalid JSON: json: cannot unmarshal {kind} into Go value of type container.CreateRequest"
        )
    body: dict[str, Json] = raw or {}
    if not any(CONFIG.has_field(key) for key in body):
        raise InvalidParameter("config cannot be empty in order to create a container")
    folded = {key.lower(): value for key, value in body.items() if value is not None}
    host_config = folded.get(HOST_CONFIG_KEY.lower())
    networking = folded.get(NETWORKING_KEY.lower())
    return CreateRequest(
        name=query.text("name"),
        platform=query.text("platform") if version >= _PLATFORM_SINCE else "",
        config=CONFIG.decode(body),
        host_config=HostConfig()
        if host_config is None
        else HOST_CONFIG.decode(host_config, f"{_BODY}.{HOST_CONFIG_KEY}"),
        networking=(
            NetworkingConfig() if networking is None else NETWORKING.decode(networking, f"{_BODY}.{NETWORKING_KEY}")
        ),
        api_version=version,
    )


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
    image = None
    if container.image_id:
        images = await services.images.ask(ImageStore.list)
        image = next((named.image for named in images if named.image.id == container.image_id), None)
    return json_response(inspect_view(container, image, call.config.data_root, with_size=call.query().flag("size")))


async def rename(call: Call) -> Response:
    await call.engine.rename(call.name, call.query().text("name"))
    return no_content()


async def remove(call: Call) -> Response:
    query = call.query()
    if query.flag("link"):
        raise NotImplementedHere("removing a link is not supported yet")
    await call.engine.remove(call.name, with_volumes=query.flag("v"))
    return no_content()
