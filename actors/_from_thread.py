"""Asking an actor from a thread that has no event loop: the same verbs, blocking."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, TypeVarTuple, overload

from actors._cell import Cell
from actors._errors import ActorError, ActorStopped, AskTimeout
from actors._mailbox import Receipt

A = TypeVar("A")
A_co = TypeVar("A_co", covariant=True)
P = ParamSpec("P")
R = TypeVar("R")
Ts = TypeVarTuple("Ts")


class ThreadRef(Generic[A_co]):
    """A `Ref` for other threads: `ref.from_thread.ask(Counter.add, 2)`.

    Raises RuntimeError in the event loop's own thread, which it would block for ever.
    """

    __slots__ = ("_cell",)

    def __init__(self, cell: Cell[object]) -> None:
        self._cell = cell

    @overload
    def ask(
        self: ThreadRef[A], method: Callable[Concatenate[A, P], Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...

    @overload
    def ask(self: ThreadRef[A], method: Callable[[A, *Ts], Awaitable[R]], /, *args: *Ts, timeout: float) -> R: ...

    # As with `Ref.ask`: a message whose method takes a `timeout` of its own must pass it by position.
    def ask(  # type: ignore[misc]
        self, method: Callable[..., Awaitable[object]], /, *args: object, timeout: float | None = None, **kwargs: object
    ) -> object:
        """The reply; raises as `Ref.ask` does."""
        cell, future = self._cell, concurrent.futures.Future[object]()
        name, receipt = method.__name__, Receipt(_Settles(future))

        def begin() -> None:
            try:
                cell.mailbox.put((name, args, kwargs, receipt))
            except ActorError as error:
                receipt.fail(error)

        self._in_loop(begin)
        try:
            future.result(timeout)
        except concurrent.futures.TimeoutError:
            was_started = self._call(lambda: cell.mailbox.abandon(receipt))
            if not future.done():
                raise AskTimeout(cell.mailbox.name, name, timeout or 0.0, was_started=was_started) from None
        if receipt.error is not None:
            raise receipt.error
        return receipt.value

    def tell(
        self: ThreadRef[A], method: Callable[Concatenate[A, P], Awaitable[object]], /, *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Return when the message is in the mailbox; raises as `Ref.tell` does."""
        self._call(lambda: self._cell.mailbox.put_nowait((method.__name__, args, kwargs, None)))

    def _call(self, function: Callable[[], R]) -> R:
        """What `function` returns or raises in the event loop."""
        future: concurrent.futures.Future[R] = concurrent.futures.Future()

        def run() -> None:
            try:
                future.set_result(function())
            except ActorError as error:
                future.set_exception(error)

        self._in_loop(run)
        return future.result()

    def _in_loop(self, callback: Callable[[], object]) -> None:
        backend = self._cell.parent.backend
        if threading.get_ident() == backend.thread_id:
            raise RuntimeError("from_thread is for other threads than the event loop's: use the ref itself")
        try:
            backend.call_soon_threadsafe(callback)
        except RuntimeError as error:  # the loop is closed
            raise ActorStopped(self._cell.mailbox.name) from error


class _Settles:
    """A slot whose waiter is a thread."""

    __slots__ = ("_future",)

    def __init__(self, future: concurrent.futures.Future[object]) -> None:
        self._future = future

    def fire(self) -> None:
        if not self._future.done():
            self._future.set_result(None)

    def __await__(self) -> Generator[Any, Any, None]:
        raise AssertionError("a thread waits for this, not a task")
