"""OTP's vocabulary as frozen data: what a supervisor is told about a child."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Generic, Literal, TypedDict, TypeVar

import attrs

from actors._mailbox import Overflow

A_co = TypeVar("A_co", covariant=True)

MAILBOX_CAPACITY = 1024
"""Messages an actor may be behind by default: a bound that shows a stuck actor before memory does."""

STOP_TIMEOUT_S = 5.0
"""As OTP's default shutdown for a worker."""

Strategy = Literal["one_for_one", "one_for_all", "rest_for_one"]
"""Who is restarted when a child fails: it alone, all its siblings, or those started after it."""


class Restart(enum.Enum):
    """When a child that has ended is started again (OTP supervisor, `restart`)."""

    PERMANENT = "always"
    TRANSIENT = "only after a crash"
    TEMPORARY = "never, not even with its siblings"


class ChildOptions(TypedDict, total=False):
    """What may be said of a child at its start, and what each leaves out means `ChildSpec`'s default."""

    restart: Restart
    mailbox_capacity: int
    overflow: Overflow
    context: Literal["actor", "caller"]
    while_down: Literal["queue", "reject"]
    stop_timeout_s: float


@attrs.frozen(kw_only=True)
class ChildSpec(Generic[A_co]):
    name: str
    factory: Callable[[], A_co]
    """Makes a fresh incarnation; called at every start."""
    restart: Restart = Restart.PERMANENT
    mailbox_capacity: int = MAILBOX_CAPACITY
    overflow: Overflow = "wait"
    context: Literal["actor", "caller"] = "actor"
    """Whose context variables a handler sees when it is asked; of a tell always the actor's. The caller's make an ask about a
    quarter slower."""
    while_down: Literal["queue", "reject"] = "queue"
    """What becomes of messages while it backs off before a restart: they are queued, to its bound; or nobody is to wait for it:
    they fail with `ActorDown`, and so do the asks and those who wait for room that are there already. What was accepted of
    tells and sends is kept. A pool rejects once the last of its members that was up backs off."""
    stop_timeout_s: float = STOP_TIMEOUT_S
    """How long a graceful stop may take, its queue included, before the incarnation is cancelled."""
