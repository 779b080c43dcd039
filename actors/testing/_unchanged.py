"""Whether what is sent stays as it was until it is received: an actor and its sender share the arguments, nothing is copied."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from actors._mailbox import Mailbox, Message


class Changed(AssertionError):
    """Arguments were not received as they were sent."""


@contextmanager
def unchanged_arguments() -> Iterator[None]:
    """Within it no argument changes between the moment when a message is sent and the one when its actor takes it.

    Arguments are compared by their `repr`. A hash would miss what it is about: a list or a dict has none, and that of a plain
    object is its identity, which never changes. So what is looked into are the built-in containers, attrs classes and
    dataclasses, but no object whose `repr` does not show its state; and an object that is meant to change on its way, such as a
    task, and shows it, does not belong into such a test. Not looked at: timers, and what happens to an argument later.

    Raises:
        Changed: at the end, showing each such message. If the body raises, that leaves, unchecked.
    """
    sent: dict[int, tuple[Message, str]] = {}
    """By identity of the message, which is kept alive so that no other gets the same."""
    changes: list[str] = []
    put, put_nowait, take = Mailbox.put, Mailbox.put_nowait, Mailbox.take

    def put_and_note(mailbox: Mailbox, message: Message) -> bool:
        sent.setdefault(id(message), (message, _as_call(message)))  # once: what waited for room is put again
        return put(mailbox, message)

    def put_nowait_and_note(mailbox: Mailbox, message: Message) -> bool:
        sent.setdefault(id(message), (message, _as_call(message)))
        return put_nowait(mailbox, message)

    def take_and_compare(mailbox: Mailbox) -> Message | None:
        message = take(mailbox)
        _, before = sent.pop(id(message), (None, None))
        if message is not None and before is not None and (after := _as_call(message)) != before:
            changes.append(f"{mailbox.name}: sent as {before}, received as {after}")
        return message

    _replace(put_and_note, put_nowait_and_note, take_and_compare)
    try:
        yield
    finally:
        _replace(put, put_nowait, take)
    if changes:
        raise Changed("; ".join(changes))


def _replace(put: object, put_nowait: object, take: object) -> None:
    # In the class: a mailbox has no seam for this, and every message of a program passes through these three.
    for name, function in (("put", put), ("put_nowait", put_nowait), ("take", take)):
        setattr(Mailbox, name, function)


def _as_call(message: Message) -> str:
    method, args, kwargs, _ = message
    shown = [*map(repr, args), *(f"{name}={value!r}" for name, value in (kwargs or {}).items())]
    return f"{method}({', '.join(shown)})"
