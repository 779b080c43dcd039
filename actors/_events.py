"""What happens in a tree, as typed events for one hook. The library itself logs nothing."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from actors._errors import ActorError


@attrs.frozen
class ChildStarted:
    supervisor: str
    child: str
    incarnation: int
    """1 for the first start; each restart adds one."""


@attrs.frozen
class ChildCrashed:
    supervisor: str
    child: str
    error: BaseException


@attrs.frozen
class ChildStopped:
    """A child is gone for good: it was stopped, or it ended and is not restarted."""

    supervisor: str
    child: str


@attrs.frozen
class StopTimeout:
    """A child did not finish its queue in time and is cancelled; again and again while it does not heed that.

    Python cannot kill: a child that ignores its cancellation holds up its supervisor, and here is where it sits.
    """

    supervisor: str
    child: str
    waited_s: float
    """Since it was asked to stop."""
    stack: tuple[str, ...]
    """`file:line function`, outermost first."""


@attrs.frozen
class RefusedTell:
    """A handler refused a message that nobody waits for."""

    supervisor: str
    child: str
    method: str
    error: BaseException


@attrs.frozen
class Undelivered:
    """A tell or send was accepted and never read."""

    supervisor: str
    child: str
    method: str
    reason: ActorError
    """`ActorStopped`, or `MailboxFull` where the mailbox drops what it has no room for."""


Event = ChildStarted | ChildCrashed | ChildStopped | StopTimeout | RefusedTell | Undelivered
EventHook = Callable[[Event], None]
