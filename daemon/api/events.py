"""The event stream: what has been kept of the past, then what happens, each line one JSON document.

Rules: moby v28 api/server/router/system/system_routes.go getEvents, daemon/events/filter.go, events.go. A filter that is not
known there is ignored, not refused.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

import anyio

from actors import CutOff, Subscription
from daemon.api.calls import Call, encode_json, stream_response
from daemon.api.codec import Json
from daemon.api.filters import Filters, begins_one_of, has_labels, is_one_of
from daemon.api.moments import parse_moment
from daemon.errors import InvalidParameter
from daemon.http.message import Response
from daemon.reference import parse_reference
from daemon.services.event_bus import Event, EventBus, new_subscription

WITHOUT_LEGACY_FIELDS_SINCE = (1, 52)

WAIT_S_MAX = 10**9
"""For an `until` that is further away than event loops can count."""

_BY_ID_OR_NAME = "config container daemon network node plugin secret service volume".split()
_WITH_DETAIL = frozenset({"health_status", "exec_create", "exec_start"})
"""Actions that something follows after a colon: a filter that names one is taken as the beginning of it."""


async def events(call: Call) -> Response:
    query, now_ns = call.query(), call.engine.now_ns()
    since_ns, until_ns = _moment(query.text("since"), now_ns), _moment(query.text("until"), now_ns)
    if since_ns is not None and until_ns is not None and until_ns < since_ns:
        texts = query.text("since"), query.text("until")
        raise InvalidParameter(f"`since` time ({texts[0]}) cannot be after `until` time ({texts[1]})")
    filters = query.filters()
    subscription = new_subscription()
    kept = await call.engine.services.events.ask(EventBus.subscribe, subscription)
    past = [event for event in kept if _is_between(event, since_ns, until_ns)]
    return stream_response(_event_lines(call, past, subscription, until_ns, filters), is_endless=True)


def _moment(text: str, now_ns: int) -> int | None:
    """Unlike Moby, whose clients turn dates and durations into seconds: whatever clients can be told."""
    return None if text in ("", "-1") else parse_moment(text, now_ns)


def _is_between(event: Event, since_ns: int | None, until_ns: int | None) -> bool:
    if since_ns is None and until_ns is None:
        return False  # who asks for no time wants to hear news only
    return (since_ns is None or event.time_ns >= since_ns) and (until_ns is None or event.time_ns <= until_ns)


async def _event_lines(
    call: Call, past: list[Event], subscription: Subscription[Event], until_ns: int | None, filters: Filters
) -> AsyncGenerator[bytes, None]:
    def lines(batch: Sequence[Event]) -> bytes:
        wanted = (event for event in batch if passes(event, filters))
        return b"".join(encode_json(event_view(event, call.version)) for event in wanted)

    try:
        if text := lines(past):
            yield text
        while True:
            wait_s = WAIT_S_MAX if until_ns is None else min((until_ns - call.engine.now_ns()) / 1e9, WAIT_S_MAX)
            batch: list[Event] = []
            with anyio.move_on_after(wait_s):
                batch = await subscription.receive_all()
            if not batch or wait_s <= 0:
                return
            if text := lines(batch):
                yield text
    except CutOff:
        message = "the event stream has been cut off: it fell behind, or the event bus has restarted"
        yield encode_json({"errorDetail": {"message": message}, "error": message})
    finally:
        subscription.close()


def event_view(event: Event, api_version: tuple[int, int]) -> dict[str, Json]:
    legacy: dict[str, Json] = {}
    if api_version < WITHOUT_LEGACY_FIELDS_SINCE and event.type in ("container", "image"):
        legacy = {"status": event.action, "id": event.actor_id}
        if event.type == "container":
            legacy["from"] = event.attributes.get("image", "")
    return {key: value for key, value in legacy.items() if value} | {
        "Type": event.type,
        "Action": event.action,
        "Actor": {"ID": event.actor_id, "Attributes": dict(event.attributes)},
        "scope": "local",
        "time": event.time_ns // 1_000_000_000,
        "timeNano": event.time_ns,
    }


def passes(event: Event, filters: Filters) -> bool:
    """Any value of a key will do, but of labels all are wanted.

    A filter by id or name looks at events of every type: `volume=web` finds the container `web`, too, as in Docker.
    """
    name = event.attributes.get("name", "")
    if _WITH_DETAIL & set(filters.get("event", ())):
        is_action = begins_one_of(filters, "event", event.action)
    else:
        is_action = is_one_of(filters, "event", event.action)
    return (
        is_action
        and is_one_of(filters, "type", event.type)
        and is_one_of(filters, "scope", "local")
        and all(begins_one_of(filters, key, event.actor_id, name) for key in _BY_ID_OR_NAME)
        and is_one_of(filters, "image", *_images_of(event))
        and has_labels(filters, event.attributes)
    )


def _images_of(event: Event) -> tuple[str, ...]:
    """What an image filter may call it: id and name, each with and without a tag."""
    image = event.attributes.get("name" if event.type == "image" else "image", "")
    return event.actor_id, image, _without_tag(event.actor_id), _without_tag(image)


def _without_tag(image: str) -> str:
    try:
        return parse_reference(image).familiar_name
    except InvalidParameter:
        return image
