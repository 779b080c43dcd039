"""The events of a tree as records of `logging`: `Supervisor(on_event=log_events(logging.getLogger("app.actors")))`.

A record reads well as text and carries the same as data, in `extra`: `kind`, `supervisor`, `child` and what else its event has.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

import attrs

from actors._events import (
    ChildCrashed,
    ChildStarted,
    ChildStopped,
    Event,
    EventHook,
    RefusedTell,
    StopTimeout,
    Undelivered,
)


def level_of(event: Event) -> int:
    """ERROR for a crash, WARNING for what is lost or late, INFO for a restart, DEBUG for the ordinary."""
    match event:
        case ChildCrashed():
            return logging.ERROR
        case StopTimeout() | RefusedTell() | Undelivered():
            return logging.WARNING
        case ChildStarted(incarnation=incarnation):
            return logging.INFO if incarnation > 1 else logging.DEBUG
        case ChildStopped():
            return logging.DEBUG


def log_events(logger: logging.Logger, *, level_of: Callable[[Event], int] = level_of) -> EventHook:
    """A hook that logs every event to `logger`, at the level that `level_of` gives it; a crash with its traceback.

    The handlers of `logger` run in the event loop: let a `logging.handlers.QueueHandler` take the ones that may block.
    """

    def log(event: Event) -> None:
        level = level_of(event)
        if logger.isEnabledFor(level):
            text, arguments = _message(event)
            error = event.error if isinstance(event, ChildCrashed) else None
            logger.log(level, text, *arguments, exc_info=error, extra=_fields(event))

    return log


def _message(event: Event) -> tuple[str, tuple[object, ...]]:
    match event:
        case ChildStarted(supervisor, child, 1):
            return "%s: %s started", (supervisor, child)
        case ChildStarted(supervisor, child, incarnation):
            return "%s: %s restarted, incarnation %d", (supervisor, child, incarnation)
        case ChildCrashed(supervisor, child, error):
            return "%s: %s crashed: %r", (supervisor, child, error)
        case ChildStopped(supervisor, child):
            return "%s: %s stopped", (supervisor, child)
        case StopTimeout(supervisor, child, waited_s, stack):
            where = stack[-1] if stack else "nowhere"
            return "%s: %s did not stop within %.1f s and is cancelled, at %s", (supervisor, child, waited_s, where)
        case RefusedTell(supervisor, child, method, error):
            return "%s: %s.%s refused a message: %s", (supervisor, child, method, error)
        case Undelivered(supervisor, child, method, reason):
            return "%s: a message to %s.%s was not delivered: %s", (supervisor, child, method, reason)


def _fields(event: Event) -> Mapping[str, object]:
    # Not `event`: formatters that turn records into JSON call the message so.
    return {"kind": type(event).__name__} | {
        field.name: getattr(event, field.name) for field in attrs.fields(type(event))
    }
