"""How an incarnation of a plain class handles its messages: one at a time, each by the method it names."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast

import anyio

from actors._cell import CURRENT, Cell
from actors._deferred import Deferred
from actors._errors import ActorStopped, Refused
from actors._events import RefusedTell
from actors._in_context import InContext
from actors._mailbox import Message

A = TypeVar("A")
P = ParamSpec("P")
R = TypeVar("R")

MESSAGES_PER_TURN_MAX = 64
"""Handled in a row before others get the loop: a checkpoint per message costs ten times the message."""


class Hooks(Protocol):
    """Seams for tests: called around every message, in the actor's task. They may sleep, or raise what the handler could."""

    async def before_handle(self, actor: str, method: str) -> None: ...

    async def after_handle(self, actor: str, method: str) -> None:
        """After the handler has returned and before its reply is on the way."""
        ...


async def serve_methods(cell: Cell[object], actor: object) -> None:
    """Until the incarnation is to end. Raises what a handler raised."""
    while (message := await cell.next_message()) is not None:
        await _handle_all(cell, actor, message)
        message = None  # while it waits an actor holds on to nothing that it was sent


async def _handle_all(cell: Cell[object], actor: object, message: Message | None) -> None:
    """`message` and those behind it."""
    take, hooks = cell.mailbox.take, cell.parent.hooks
    while message is not None:
        cell.handling = message
        method, args, kwargs, receipt = message
        try:
            if hooks is not None:
                await hooks.before_handle(cell.name, method)
            handler, context = getattr(actor, method), None if receipt is None else receipt.context
            if context is not None:
                context.run(CURRENT.set, cell)  # or an ask in a circle would not be seen
                handler = functools.partial(context.run, handler)
            answer = handler(*args, **kwargs) if kwargs else handler(*args)
            if type(answer) is Deferred:
                defer(cell, message, answer)
            else:
                value = await (answer if context is None else InContext(context, answer))
                if hooks is not None:
                    await hooks.after_handle(cell.name, method)
                if receipt is not None:
                    receipt.reply(value)
        except Refused as refusal:
            _refuse(cell, message, refusal)
        except BaseException as error:
            cell.fail(message, error)
            raise
        handled = cell.handled = cell.handled + 1
        if not handled % MESSAGES_PER_TURN_MAX:
            await cell.parent.backend.checkpoint()
        message = None if cell.has_news else take()


def _refuse(cell: Cell[object], message: Message, refusal: Refused) -> None:
    method, _, _, receipt = message
    if receipt is not None and receipt.is_ask:
        receipt.fail(refusal)
    else:
        cell.parent.emit(RefusedTell(cell.parent.name, cell.name, method, refusal))


def defer(cell: Cell[object], message: Message, answer: Deferred[object]) -> None:
    """`message` is answered when `answer` is."""
    owed = cell.owed = {} if cell.owed is None else cell.owed
    owed[answer] = message

    def settle() -> None:
        if owed.pop(answer, None) is None or cell.owed is not owed:
            return  # that incarnation is over, and the asker has been told
        error, receipt = answer.error, message[3]
        if isinstance(error, Refused):
            _refuse(cell, message, error)
        elif error is not None:
            cell.fail(message, error)
            cell.interrupt(error if isinstance(error, Exception) else ActorStopped(cell.name))
        elif receipt is not None:
            receipt.reply(answer.value)
        if cell.is_asked_to_stop and not owed:
            cell.mailbox.wake()

    answer.when_done(settle)


def cancel_on_abandon(
    handler: Callable[Concatenate[A, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[A, P], Coroutine[Any, Any, R]]:
    """A handler that is cancelled when its asker times out or is cancelled, instead of running on for nobody.

    For handlers that only read: one that is cut off between two changes leaves its actor with half of them.
    """

    @functools.wraps(handler)
    async def run(actor: A, /, *args: P.args, **kwargs: P.kwargs) -> R:
        cell = CURRENT.get()
        message = cell.handling if cell is not None and cell.is_running_here() else None
        receipt = message[3] if message is not None and message[0] == handler.__name__ else None
        if receipt is None or receipt.scope is not None:
            return await handler(actor, *args, **kwargs)  # not handled for an asker: a plain call
        with anyio.CancelScope() as receipt.scope:
            if receipt.state == "runs on":
                receipt.scope.cancel()
            return await handler(actor, *args, **kwargs)
        return cast("R", None)  # nobody waits for it any more

    return run
