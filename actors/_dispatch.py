"""How an incarnation of a plain class handles its messages: one at a time, each by the method it names."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast

import anyio
import anyio.lowlevel

from actors._cell import CURRENT, Cell
from actors._deferred import Deferred
from actors._errors import ActorStopped, Refused
from actors._events import RefusedTell
from actors._in_context import InContext
from actors._mailbox import Envelope, Tell

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
    take, hooks, streak = cell.mailbox.take, cell.parent.hooks, 0
    while True:
        message = None if cell.has_news else take()
        if message is None and (message := await cell.next_message()) is None:
            return
        cell.handling = message
        try:
            if hooks is not None:
                await hooks.before_handle(cell.name, message.method)
            handler, context = getattr(actor, message.method), message.context
            if context is not None:
                context.run(CURRENT.set, cell)  # or an ask in a circle would not be seen
                handler = functools.partial(context.run, handler)
            answer = handler(*message.args, **message.kwargs) if message.kwargs else handler(*message.args)
            if type(answer) is Deferred:
                defer(cell, message, answer)
            else:
                value = await (answer if context is None else InContext(context, answer))
                if hooks is not None:
                    await hooks.after_handle(cell.name, message.method)
                if type(message) is Envelope and message.reply_to is not None:
                    message.reply(value)
        except Refused as refusal:
            _refuse(cell, message, refusal)
        except BaseException as error:
            cell.fail(message, error)
            raise
        cell.handled += 1
        streak += 1
        if streak == MESSAGES_PER_TURN_MAX:
            await anyio.lowlevel.checkpoint()
            streak = 0


def _refuse(cell: Cell[object], message: Tell, refusal: Refused) -> None:
    if type(message) is Envelope and message.reply_to is not None:
        message.fail(refusal)
    else:
        cell.parent.emit(RefusedTell(cell.parent.name, cell.name, message.method, refusal))


def defer(cell: Cell[object], message: Tell, answer: Deferred[object]) -> None:
    """`message` is answered when `answer` is."""
    owed = cell.owed = {} if cell.owed is None else cell.owed
    owed[answer] = message

    def settle() -> None:
        if owed.pop(answer, None) is None or cell.owed is not owed:
            return  # that incarnation is over, and the asker has been told
        error = answer.error
        if isinstance(error, Refused):
            _refuse(cell, message, error)
        elif error is not None:
            cell.fail(message, error)
            cell.interrupt(error if isinstance(error, Exception) else ActorStopped(cell.name))
        elif type(message) is Envelope and message.reply_to is not None:
            message.reply(answer.value)
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
        if type(message) is not Envelope or message.method != handler.__name__ or message.scope is not None:
            return await handler(actor, *args, **kwargs)  # not handled for an asker: a plain call
        with anyio.CancelScope() as message.scope:
            if message.state == "runs on":
                message.scope.cancel()
            return await handler(actor, *args, **kwargs)
        return cast("R", None)  # nobody waits for it any more

    return run
