"""The only handle on an actor that others hold. It survives restarts, and is typed by the actor's own methods."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from contextvars import copy_context
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, TypeVarTuple, overload

import anyio

from actors._backend import fire
from actors._cell import CURRENT, Cell, Exit
from actors._errors import AskTimeout
from actors._from_thread import ThreadRef
from actors._mailbox import MailboxStatistics, Message, Receipt

A = TypeVar("A")
A_co = TypeVar("A_co", covariant=True)
P = ParamSpec("P")
R = TypeVar("R")
Ts = TypeVarTuple("Ts")


class Handle:
    """What every handle on an actor can do, whatever its messages are."""

    __slots__ = ("_cell",)

    def __init__(self, cell: Cell[object]) -> None:
        self._cell = cell

    @property
    def name(self) -> str:
        return self._cell.mailbox.name

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    async def stop(self) -> None:
        """Stop the actor for good: no new messages, the queue is finished within its `stop_timeout_s`, then cancelled.

        Raises:
            AskCycle: the caller is what the actor would have to finish first. It can raise `StopActor` instead.
        """
        await self._end(now=False)

    async def cancel(self) -> None:
        """Stop the actor for good, at once: what it is doing is cancelled, what is queued is not begun. Raises as `stop`."""
        await self._end(now=True)

    async def _end(self, *, now: bool) -> None:
        cell, caller = self._cell, CURRENT.get()
        if caller is not None and caller.is_running_here():
            caller.check_cycle("stop", cell)
        await cell.parent.stop_for_good(cell, now=now)

    async def watch(self) -> Exit:
        """Return when the actor is gone for good; at once if it is. Restarts are not noticed."""
        return await self._cell.wait_exit()

    def statistics(self) -> MailboxStatistics:
        return self._cell.mailbox.statistics()


class Ref(Handle, Generic[A_co]):
    """Send an actor messages, named by its methods: `await ref.ask(Counter.add, 2)`.

    Dispatch is by the method's name, so a `Ref[Counter]` may be passed on as a `Ref[SomeProtocol]`. The keyword `timeout`
    belongs to `ask`; a message that is given it passes its own arguments by position.
    """

    __slots__ = ()

    @overload
    def ask(
        self: Ref[A], method: Callable[Concatenate[A, P], Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, R]: ...

    @overload
    def ask(
        self: Ref[A], method: Callable[[A, *Ts], Awaitable[R]], /, *args: *Ts, timeout: float
    ) -> Coroutine[Any, Any, R]: ...

    # A message whose method takes a `timeout` of its own must pass it by position: no signature can say that.
    def ask(  # type: ignore[misc]
        self, method: Callable[..., Awaitable[object]], /, *args: object, timeout: float | None = None, **kwargs: object
    ) -> Coroutine[Any, Any, object]:
        """The reply. Waits for room in the mailbox, then for the answer; `timeout` (seconds) covers both.

        Cancelled or timed out before the actor has read the message, it is never read; afterwards the handler runs on and
        its reply is dropped (unless it is marked `cancel_on_abandon`), so whether it had an effect is unknown to the caller.

        Raises:
            Refused: the actor's answer is no.
            ActorCrashed: the handler failed; its exception is the `__cause__`.
            ActorStopped: the actor is gone.
            MailboxFull: there is no room, and nobody may wait for it; or `ActorDown`: see `ChildSpec.while_down`.
            AskTimeout: no reply in time.
            AskCycle: the ask would wait for itself.
        """
        cell = self._cell
        return request(cell, (method.__name__, args, kwargs, Receipt(cell.parent.backend.slot())), timeout)

    def send(
        self: Ref[A], method: Callable[Concatenate[A, P], Awaitable[object]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, None]:
        """Return when the message is in the mailbox: waits for room, not for the handler.

        Raises:
            ActorStopped: the actor is gone.
            MailboxFull: as for `ask`.
            AskCycle: the wait for room would be for itself.
        """
        cell = self._cell
        return deliver(cell, (method.__name__, args, kwargs, Receipt(cell.parent.backend.slot(), is_ask=False)))

    def tell(
        self: Ref[A], method: Callable[Concatenate[A, P], Awaitable[object]], /, *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Put the message into the mailbox, now or never.

        Raises:
            MailboxFull: there is no room; or `ActorDown`, as for `ask`.
            ActorStopped: the actor is gone.
        """
        self._cell.mailbox.put_nowait((method.__name__, args, kwargs or None, None))

    @property
    def from_thread(self) -> ThreadRef[A_co]:
        """The same actor, for threads that have no event loop."""
        return ThreadRef(self._cell)


async def request(cell: Cell[object], message: Message, timeout: float | None) -> object:
    """See `Ref.ask`."""
    method, _, _, receipt = message
    assert receipt is not None
    if cell.spec.context == "caller":
        receipt.context = copy_context()
    slot, caller = receipt.slot, CURRENT.get()
    if caller is not None:
        caller = _if_it_waits(caller, cell, method)
    try:
        cell.mailbox.put(message)
        if timeout is None:
            await slot
        else:
            with anyio.move_on_after(timeout) as scope:
                await slot
            if scope.cancelled_caught:
                was_started = cell.mailbox.abandon(receipt)
                raise AskTimeout(cell.mailbox.name, method, timeout, was_started=was_started)
    except BaseException:
        cell.mailbox.abandon(receipt)
        raise
    finally:
        if caller is not None:
            caller.waiting_on = None
    error = receipt.error
    if error is None:
        return receipt.value
    receipt.error = None
    try:
        raise error
    finally:
        del error  # else the error, its traceback and this frame would keep each other alive until a collection


async def deliver(cell: Cell[object], message: Message) -> None:
    """See `Ref.send`."""
    method, _, _, receipt = message
    assert receipt is not None
    slot, caller = receipt.slot, None
    try:
        if cell.mailbox.put(message):
            fire(slot)
        elif (caller := CURRENT.get()) is not None:
            caller = _if_it_waits(caller, cell, method)
        await slot
    except BaseException:
        cell.mailbox.abandon(receipt)
        raise
    finally:
        if caller is not None:
            caller.waiting_on = None
    if receipt.error is not None:
        raise receipt.error


def _if_it_waits(caller: Cell[object], cell: Cell[object], method: str) -> Cell[object] | None:
    """`caller` if it is its handler that waits from here on, and not a task beside it. Raises AskCycle."""
    if cell.mailbox.is_shared or not caller.is_running_here():
        return None
    caller.check_cycle(method, cell)
    caller.waiting_on = (method, cell)
    return caller
