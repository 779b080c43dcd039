"""The image endpoints: load, import, list, inspect."""

from __future__ import annotations

import datetime
from collections.abc import AsyncGenerator, Sequence

from daemon.api import registries
from daemon.api.calls import Call, encode_json, json_response, stream_response
from daemon.api.image_list import LIST_FILTERS, created_of, matching_images, shared_bytes
from daemon.api.schema import CONFIG
from daemon.api.views import image_summary_view, image_view
from daemon.container import ContainerConfig
from daemon.create.events import publish
from daemon.errors import InvalidParameter, NotImplementedHere
from daemon.http.message import Response
from daemon.image import Image, LoadedImage
from daemon.reference import parse_reference
from daemon.services.event_bus import Event
from daemon.services.image_loader import ImageLoader
from daemon.services.image_store import ImageStore

FILTER_PARAMETER_UNTIL = (1, 41)
SHARED_SIZE_SINCE = (1, 42)

CONTAINER_CONFIG_UNTIL = (1, 45)
VIRTUAL_SIZE_UNTIL = (1, 44)

_JSON = ("Content-Type", "application/json")


async def load(call: Call) -> Response:
    if not call.request.has_body:
        raise InvalidParameter("images/load needs an archive as its body")
    loaded = await call.engine.services.loader.ask(ImageLoader.load, call.request.body)
    lines = []
    for item in loaded:
        await _publish(call, item.image, "load")
        # An archive may say a name twice, in full and as people write it.
        names = dict.fromkeys(parse_reference(text).tagged().familiar for text in item.references)
        lines += [f"Loaded image: {name}" for name in names] or [f"Loaded image ID: {item.image.id}"]
    return stream_response(_streamed(lines))


async def _streamed(lines: Sequence[str]) -> AsyncGenerator[bytes, None]:
    """In chunks, as docker-py reads several documents from chunks only."""
    for line in lines:
        yield encode_json({"stream": f"{line}\n"})


async def create(call: Call) -> Response:
    """`docker pull` or `docker import`."""
    query = call.query()
    if query.text("fromImage"):
        return await registries.pull(call)
    if query.text("fromSrc") != "-":
        raise NotImplementedHere("docker import reads standard input or a local file; a URL is not supported yet")
    if query.has("changes") and query.text("changes"):
        raise NotImplementedHere("docker import --change is not supported yet")
    reference = _reference(query.text("repo"), query.text("tag"))
    now = datetime.datetime.now(datetime.UTC).isoformat().replace("+00:00", "Z")
    loaded: LoadedImage = await call.engine.services.loader.ask(
        ImageLoader.import_rootfs,
        call.request.body,
        config=ContainerConfig(),
        created=now,
        message=query.text("message") or "Imported from -",
        reference=reference,
    )
    if reference:
        await _publish(call, loaded.image, "tag", parse_reference(reference).familiar)
    await _publish(call, loaded.image, "import")
    return Response(status=200, headers=(_JSON,), body=encode_json({"status": loaded.image.id}))


async def list_images(call: Call) -> Response:
    query, version = call.query(), call.version
    filters = query.filters(LIST_FILTERS)
    if version < FILTER_PARAMETER_UNTIL and (pattern := query.text("filter")):
        filters = {**filters, "reference": (*filters.get("reference", ()), pattern)}
    services = call.engine.services
    images = await services.images.ask(ImageStore.list)
    chosen = await matching_images(images, filters, services, call.engine.now_ns())
    chosen.sort(key=lambda named: created_of(named.image) or 0, reverse=True)
    is_shared_told = version >= SHARED_SIZE_SINCE and query.flag("shared-size")
    shared = shared_bytes(images) if is_shared_told else {}
    views = [
        image_summary_view(named, shared_bytes=shared.get(named.image.id, -1), api_version=version) for named in chosen
    ]
    return json_response(views)


async def inspect(call: Call) -> Response:
    view = image_view(await call.engine.services.images.ask(ImageStore.find_named, call.name))
    if call.version < CONTAINER_CONFIG_UNTIL:  # of the container that a build made it from: here there was none
        view["ContainerConfig"] = CONFIG.encode(ContainerConfig())
    if call.version < VIRTUAL_SIZE_UNTIL:
        view["VirtualSize"] = view["Size"]
    return json_response(view)


async def _publish(call: Call, image: Image, action: str, name: str = "") -> None:
    attributes = {**(image.config.labels or {}), "name": name or image.id}
    event = Event(type="image", action=action, actor_id=image.id, attributes=attributes, time_ns=call.engine.now_ns())
    await publish(call.engine.services.events, event)


def _reference(repository: str, tag: str) -> str:
    """The full reference that an import is to have, or an empty one. Raises InvalidParameter."""
    if not repository:
        return ""
    reference = parse_reference(f"{repository}:{tag}" if tag else repository)
    if reference.digest:
        raise InvalidParameter("cannot import digest reference")
    return str(reference.tagged())
