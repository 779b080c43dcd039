"""The image endpoints: load, import, commit, list, inspect."""

from __future__ import annotations

from functools import partial

import anyio.to_thread

from daemon.api import registries
from daemon.api.calls import Call, encode_json, json_response
from daemon.api.containers import decode_create
from daemon.api.image_changes import tagged_if_named
from daemon.api.image_list import LIST_FILTERS, created_of, matching_images, shared_bytes
from daemon.api.progress import run
from daemon.api.schema import CONFIG
from daemon.api.views import image_summary_view, image_view, rfc3339
from daemon.container import ContainerConfig
from daemon.create.commit import CommitRequest
from daemon.create.events import publish
from daemon.create.image_config_changes import changed
from daemon.create.platforms import parse_platform
from daemon.errors import InvalidParameter, NotImplementedHere
from daemon.http.message import Response
from daemon.image import Image, LoadedImage
from daemon.reference import parse_reference
from daemon.services.event_bus import Event
from daemon.services.image_store import ImageStore
from daemon.services.transfers import Progress

FILTER_PARAMETER_UNTIL = (1, 41)
SHARED_SIZE_SINCE = (1, 42)

IMPORT_PLATFORM_SINCE = (1, 32)

CONTAINER_CONFIG_UNTIL = (1, 45)
VIRTUAL_SIZE_UNTIL = (1, 44)

_JSON = ("Content-Type", "application/json")


async def load(call: Call) -> Response:
    if not call.request.has_body:
        raise InvalidParameter("images/load needs an archive as its body")
    return await run(call, partial(_load, call, is_quiet=call.query().flag("quiet")))


async def _load(call: Call, progress: Progress, *, is_quiet: bool) -> None:
    """Steps and texts: moby v28 image/tarexport/load.go."""
    for item in await call.engine.intake.load(call.request.body, None if is_quiet else progress):
        await _publish(call, item.image, "load")
        for line in loaded_lines(item):
            progress.text(line)


def loaded_lines(item: LoadedImage) -> list[str]:
    # An archive may say a name twice, in full and as people write it.
    names = dict.fromkeys(parse_reference(text).tagged().familiar for text in item.references)
    replaced = [
        f"The image {parse_reference(name).familiar} already exists, renaming the old one with ID {old} to empty string"
        for name, old in item.replaced
    ]
    return replaced + ([f"Loaded image: {name}" for name in names] or [f"Loaded image ID: {item.image.id}"])


async def create(call: Call) -> Response:
    """`docker pull` or `docker import`."""
    query = call.query()
    if query.text("fromImage"):
        return await registries.pull(call)
    if query.text("fromSrc") != "-":
        raise NotImplementedHere("docker import reads standard input or a local file; a URL is not supported yet")
    architecture, variant = _import_platform(query.text("platform"), call)
    reference = tagged_if_named(query.text("repo"), query.text("tag"))
    config = await anyio.to_thread.run_sync(changed, ContainerConfig(), query.texts("changes"))
    loaded = await call.engine.intake.import_rootfs(
        call.request.body,
        config=config,
        created=rfc3339(call.engine.now_ns()),
        message=query.text("message") or "Imported from -",
        reference=reference,
        architecture=architecture,
        variant=variant,
    )
    if reference:
        await _publish(call, loaded.image, "tag", parse_reference(reference).familiar)
    await _publish(call, loaded.image, "import")
    return Response(status=200, headers=(_JSON,), body=encode_json({"status": loaded.image.id}))


def _import_platform(text: str, call: Call) -> tuple[str, str]:
    """Architecture and variant, empty where they are the machine's own. Raises InvalidParameter."""
    if not text or call.version < IMPORT_PLATFORM_SINCE:
        return "", ""
    platform = parse_platform(text, call.engine.host)
    if platform.os != "linux":
        raise InvalidParameter("operating system is not supported")
    return platform.architecture, platform.variant


async def commit(call: Call) -> Response:
    query = call.query()
    body = await call.read_json(lambda document: decode_create(document, call.version), may_be_empty=True)
    request = CommitRequest(
        container=query.text("container"),
        reference=tagged_if_named(query.text("repo"), query.text("tag")),
        author=query.text("author"),
        comment=query.text("comment"),
        config=body.config if body is not None else None,
        changes=query.texts("changes"),
    )
    image = await call.engine.committer.commit(request, created=rfc3339(call.engine.now_ns()))
    return json_response({"Id": image.id}, 201)


async def list_images(call: Call) -> Response:
    query, version = call.query(), call.version
    filters = query.filters(LIST_FILTERS)
    if version < FILTER_PARAMETER_UNTIL and (pattern := query.text("filter")):
        filters = {**filters, "reference": (*filters.get("reference", ()), pattern)}
    services, are_all_wanted = call.engine.services, query.flag("all")
    images = await services.images.ask(ImageStore.list)
    chosen = await matching_images(images, filters, services, call.engine.now_ns(), with_parents=are_all_wanted)
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
