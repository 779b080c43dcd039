"""The image endpoints: load, import, list, inspect."""

from __future__ import annotations

import datetime
import fnmatch
from collections import Counter
from collections.abc import Sequence

from daemon.api.calls import Call, encode_json, json_response
from daemon.api.views import image_summary_view, image_view
from daemon.container import ContainerConfig
from daemon.create.events import publish
from daemon.errors import InvalidParameter, NotImplementedHere
from daemon.http.message import Response
from daemon.image import Image, LoadedImage
from daemon.reference import parse_reference
from daemon.services.event_bus import Event
from daemon.services.image_loader import ImageLoader
from daemon.services.image_store import ImageStore, NamedImage
from daemon.services.registrar import Registrar

LIST_FILTERS = frozenset("before dangling label reference since until".split())
_LATER = frozenset({"before", "since", "until"})
_TRUE = ("1", "true")
_FALSE = ("0", "false")

_JSON = ("Content-Type", "application/json")


async def load(call: Call) -> Response:
    if not call.request.has_body:
        raise InvalidParameter("images/load needs an archive as its body")
    loaded = await call.engine.services.loader.ask(ImageLoader.load, call.request.body)
    lines = []
    for item in loaded:
        await _publish(call, item.image, "load")
        names = [f"Loaded image: {parse_reference(text).tagged().familiar}" for text in item.references]
        lines += names or [f"Loaded image ID: {item.image.id}"]
    body = b"".join(encode_json({"stream": f"{line}\n"}) for line in lines)
    return Response(status=200, headers=(_JSON,), body=body)


async def create(call: Call) -> Response:
    """`docker import`; pulling is not supported yet."""
    query = call.query()
    source = query.text("fromSrc")
    if not source:
        name = query.text("fromImage") or "an image"
        raise NotImplementedHere(f"cannot pull {name}: pulling is not supported yet, use docker load or docker import")
    if source != "-":
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
    await _publish(call, loaded.image, "import", reference)
    return Response(status=200, headers=(_JSON,), body=encode_json({"status": loaded.image.id}))


async def list_images(call: Call) -> Response:
    filters = call.query().filters(LIST_FILTERS)
    for key in filters:
        if key in _LATER:
            raise NotImplementedHere(f"the filter '{key}' is not supported yet")
    services = call.engine.services
    images = list(await services.images.ask(ImageStore.list))
    if dangling := filters.get("dangling"):
        is_dangling = _boolean(dangling[0])
        images = [named for named in images if is_dangling is not bool(named.references)]
    if filters.get("reference"):
        images = [named for named in images if _fits(named, filters["reference"])]
    for label in filters.get("label", ()):
        images = [named for named in images if _has_label(named.image, label)]
    users = Counter(summary.image_id for summary in await services.registrar.ask(Registrar.list))
    images.sort(key=lambda named: named.image.created, reverse=True)
    return json_response([image_summary_view(named, users[named.image.id]) for named in images])


async def inspect(call: Call) -> Response:
    return json_response(image_view(await call.engine.services.images.ask(ImageStore.find_named, call.name)))


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


def _fits(named: NamedImage, patterns: Sequence[str]) -> bool:
    references = [parse_reference(text) for text in named.references]
    return any(
        fnmatch.fnmatchcase(text, pattern)
        for reference in references
        for text in (reference.familiar, reference.familiar_name)
        for pattern in patterns
    )


def _has_label(image: Image, wanted: str) -> bool:
    key, equals, value = wanted.partition("=")
    labels = image.config.labels or {}
    return key in labels and (not equals or labels[key] == value)


def _boolean(text: str) -> bool:
    if text.lower() not in (*_TRUE, *_FALSE):
        raise InvalidParameter(f"invalid filter 'dangling=[{text}]'")
    return text.lower() in _TRUE
