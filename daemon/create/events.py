"""The events of containers and volumes, and the ways to speak to a service once there is no way back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Concatenate, ParamSpec, TypeVar

from actors import ActorCrashed, MailboxFull, Ref
from daemon.image import Image
from daemon.reference import Reference
from daemon.services.event_bus import Event, EventBus
from daemon.summary import ContainerSummary
from daemon.volume import LOCAL, Volume

A = TypeVar("A")
P = ParamSpec("P")
T = TypeVar("T")

INSIST_MAX = 3
"""As many restarts as a supervisor grants."""


async def insist(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask again if the actor crashes: it has rebuilt itself from the database, and the message must be harmless twice."""
    for _ in range(INSIST_MAX):
        try:
            return await ask()
        except ActorCrashed:
            continue
    return await ask()


async def post(
    ref: Ref[A], method: Callable[Concatenate[A, P], Awaitable[object]], *args: P.args, **kwargs: P.kwargs
) -> None:
    """Put the message into the actor's mailbox, waiting for room only if there is none."""
    try:
        ref.tell(method, *args, **kwargs)
    except MailboxFull:
        await ref.send(method, *args, **kwargs)


async def publish(events: Ref[EventBus], event: Event) -> None:
    await post(events, EventBus.publish, event)


def container_event(summary: ContainerSummary, action: str, time_ns: int, **attributes: str) -> Event:
    """Of things called the same, labels count more than `attributes`, and image and name most (moby daemon/events.go)."""
    image = {"image": summary.image} if summary.image else {}
    return Event(
        type="container",
        action=action,
        actor_id=summary.id,
        attributes={**attributes, **summary.labels, **image, "name": summary.name},
        time_ns=time_ns,
    )


def image_event(image: Image, action: str, time_ns: int, *, name: str) -> Event:
    attributes = {**(image.config.labels or {}), "name": name}
    return Event(type="image", action=action, actor_id=image.id, attributes=attributes, time_ns=time_ns)


def reference_event(reference: Reference, action: str, labels: Mapping[str, str] | None, time_ns: int) -> Event:
    """Of a name rather than an image: that of a pull or a push (moby v28 distribution/pull.go, push.go)."""
    attributes = {**(labels or {}), "name": reference.familiar_name}
    return Event(type="image", action=action, actor_id=reference.familiar, attributes=attributes, time_ns=time_ns)


def volume_event(volume: Volume, action: str, time_ns: int) -> Event:
    return Event(type="volume", action=action, actor_id=volume.name, attributes={"driver": LOCAL}, time_ns=time_ns)


def prune_event(kind: str, freed_bytes: int, time_ns: int) -> Event:
    return Event(type=kind, action="prune", actor_id="", attributes={"reclaimed": str(freed_bytes)}, time_ns=time_ns)
