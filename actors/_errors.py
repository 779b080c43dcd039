"""What an asker can be told, and what leaves a supervisor. Knows nothing of mailboxes, tasks or backends."""

from __future__ import annotations


class Refused(Exception):
    """An answer that is no crash: raised in a handler it goes to whoever asked, and the actor lives on.

    Subclass it for the failures that are part of an actor's contract (not found, conflict). Every other exception is a
    defect: it ends the incarnation and is the supervisor's business. It is the one way: a list of other classes that count
    as answers would take a `KeyError` for one that is a slip in the handler. Who must raise a `KeyError` raises his own:
    `class NotFound(Refused, KeyError)`.
    """


class StopActor(Exception):
    """Raised in a handler: this actor is done. A normal exit, so only a permanent child is started again."""


class ActorError(Exception):
    """The base of what the library itself raises at a caller."""


class ActorCrashed(ActorError):
    """The handler of this message failed; `__cause__` is its exception. Whether it had an effect is unknown."""

    def __init__(self, actor: str, method: str) -> None:
        super().__init__(f"{actor}.{method} crashed")
        self.actor = actor
        self.method = method


class ActorStopped(ActorError):
    """The actor is gone, or went before it answered.

    `was_started` tells whether its handler had begun: if not, the message had no effect and may be sent elsewhere.
    """

    def __init__(self, actor: str, *, was_started: bool = False) -> None:
        super().__init__(f"actor {actor!r} has stopped" + (" in the middle of this message" if was_started else ""))
        self.actor = actor
        self.was_started = was_started


class MailboxFull(ActorError):
    """There was no room for a message that does not wait."""

    def __init__(self, actor: str, capacity: int) -> None:
        super().__init__(f"mailbox of {actor!r} is full ({capacity} messages)")
        self.actor = actor
        self.capacity = capacity


class ActorDown(MailboxFull):
    """The actor backs off before a restart, and was started with `while_down="reject"`: as if full, so try again later."""

    def __init__(self, actor: str) -> None:
        super().__init__(actor, 0)
        self.args = (f"actor {actor!r} is down until it is started again",)


class AskTimeout(ActorError, TimeoutError):
    """No reply in time. If `was_started` is false the message was never read and never will be."""

    def __init__(self, actor: str, method: str, timeout: float, *, was_started: bool) -> None:
        state = "is still working on it" if was_started else "had not begun"
        super().__init__(f"no reply from {actor}.{method} within {timeout:g} s: it {state}")
        self.actor = actor
        self.method = method
        self.was_started = was_started


class AskCycle(ActorError):
    """This ask would wait for itself. The text shows the circle, as `a.f -> b.g -> a`."""

    def __init__(self, path: tuple[str, ...]) -> None:
        super().__init__("ask would never return: " + " -> ".join(path))
        self.path = path


class TooManyRestarts(ActorError):
    """A supervisor gave up; `__cause__` is the crash that was one too many."""

    def __init__(self, supervisor: str, actor: str, restarts_max: int, period_s: float) -> None:
        super().__init__(
            f"supervisor {supervisor!r} gave up: {actor!r} crashed after {restarts_max} restarts in {period_s:g} s"
        )
        self.supervisor = supervisor
        self.actor = actor
