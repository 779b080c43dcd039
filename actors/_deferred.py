"""A reply that comes later than the end of its handler: OTP's `noreply` followed by `reply`, as an awaitable.

A handler that returns a `Deferred` frees its actor for the next message at once; the asker gets the answer when somebody
resolves it. So an actor can gather many messages into one piece of work, such as a group commit, and stay serial.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Generic, TypeVar, cast

from actors._backend import current_backend, fire

R = TypeVar("R")


class Deferred(Awaitable[R], Generic[R]):
    """An answer owed. It is resolved or failed once, in the event loop's thread; later calls are ignored.

    Declare the handler as a plain `def commit(self, write: Write) -> Deferred[int]`: `ask` infers `int`, and without any
    runtime `await actor.commit(write)` works as well. To fail with anything but `Refused` is a crash of the actor.
    """

    __slots__ = ("_error", "_is_done", "_listener", "_value")

    def __init__(self) -> None:
        self._is_done = False
        self._value: R | None = None
        self._error: BaseException | None = None
        self._listener: Callable[[], None] | None = None

    def resolve(self, value: R) -> None:
        self._finish(value, None)

    def fail(self, error: BaseException) -> None:
        self._finish(None, error)

    def _finish(self, value: R | None, error: BaseException | None) -> None:
        if self._is_done:
            return
        self._is_done, self._value, self._error = True, value, error
        # Not kept: it mostly knows who waits for us, and such a circle would be left to the garbage collector.
        listener, self._listener = self._listener, None
        if listener is not None:
            listener()

    def when_done(self, listener: Callable[[], None]) -> None:
        """Call `listener` once this is done: now if it already is. There is one listener."""
        if self._is_done:
            listener()
        else:
            self._listener = listener

    @property
    def error(self) -> BaseException | None:
        return self._error

    @property
    def value(self) -> R:
        return cast("R", self._value)

    def __await__(self) -> Generator[object, None, R]:
        return self._wait().__await__()

    async def _wait(self) -> R:
        slot = current_backend().slot()
        self.when_done(lambda: fire(slot))
        await slot
        if self._error is not None:
            raise self._error
        return self.value
