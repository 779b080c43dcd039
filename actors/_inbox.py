"""Actors that are better written as a loop: their messages come through an `Inbox`, in the order and at the time they choose.

    @attrs.frozen
    class Add:
        amount: int

    @attrs.frozen
    class Total:
        answer: Deferred[int]                             # an ask's first field: where the reply goes

    class Sum:                                            # factory, restarts, `__aenter__`: as with any actor
        async def run(self, inbox: Inbox[Add | Total]) -> None:
            total = 0
            async for message in inbox:                   # ends when the actor is stopped and the queue is empty
                match message:
                    case Add(amount):
                        total += amount
                    case Total(answer):
                        answer.resolve(total)             # or keep it, or hand it on: a stash is a list

    channel = await supervisor.start_loop(Sum, name="sum")     # Channel[Add | Total]
    await channel.send(Add(2))
    assert await channel.ask(Total) == 2

The mailbox, its bounds and its policies are those of every actor, and so is what happens at a crash.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable, Mapping
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar, cast

from actors._cell import Cell
from actors._deferred import Deferred
from actors._dispatch import MESSAGES_PER_TURN_MAX, defer
from actors._errors import StopActor
from actors._inside import Inside
from actors._mailbox import Message, Receipt
from actors._ref import Handle, deliver, request

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)
P = ParamSpec("P")
R = TypeVar("R")


class Inbox(Inside, Generic[T]):
    """The receiving end of an actor's mailbox, for its own task only."""

    async def receive(self) -> T:
        """The next message, waited for.

        Raises:
            StopActor: the actor is to stop, and nothing is left to receive. Let it pass.
            What a helper task of this actor has raised, or a `Deferred` of a message failed with.
        """
        cell = self._cell
        if cell.handled % MESSAGES_PER_TURN_MAX == 0:  # with none in hand, which a cancellation would lose
            await cell.parent.backend.checkpoint()
        message = await cell.next_message()
        if message is None:
            raise StopActor
        cell.handling = message
        cell.handled += 1
        method, args, kwargs, _ = message
        if kwargs:  # an ask's
            defer(cell, message, cast("Deferred[object]", kwargs["answer"]))
        if cell.parent.hooks is not None:
            await cell.parent.hooks.before_handle(cell.name, method)
        return cast("T", args[0])

    def after(self, delay_s: float, item: T, *, key: Hashable | None = None) -> None:
        """Receive `item` once, in `delay_s` seconds. See `ActorContext.after`; the key is its type's name unless given."""
        self._set_timer(key, _message(item), delay_s)

    def every(self, period_s: float, item: T, *, key: Hashable | None = None, is_fixed_rate: bool = False) -> None:
        """Receive `item` again and again. See `ActorContext.every`; the key is its type's name unless given."""
        self._set_timer(key, _message(item), period_s, is_repeated=True, is_fixed_rate=is_fixed_rate)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        try:
            return await self.receive()
        except StopActor:
            raise StopAsyncIteration from None


class Loop(Protocol[T]):
    """A class whose `run` receives messages of type `T` until its inbox ends. To return earlier is a normal exit."""

    async def run(self, inbox: Inbox[T], /) -> None: ...


async def serve_loop(cell: Cell[object], actor: object) -> None:
    await cast("Loop[object]", actor).run(Inbox(cell))


class Channel(Handle, Generic[T_contra]):
    """The sending end of a loop's mailbox: the same verbs as a `Ref`'s, for messages that are values."""

    __slots__ = ()

    def ask(
        self, make: Callable[Concatenate[Deferred[R], P], T_contra], /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, R]:
        """Send `make(answer, *args)` and return what `answer` is resolved with. Waits and raises as `Ref.ask`.

        For a deadline put it in a scope: `with anyio.fail_after(1): ...`.
        """
        answer: Deferred[R] = Deferred()
        item = make(answer, *args, **kwargs)
        message = _message(item, Receipt(self._cell.parent.backend.slot()), {"answer": answer})
        return cast("Coroutine[Any, Any, R]", request(self._cell, message, None))

    def send(self, item: T_contra) -> Coroutine[Any, Any, None]:
        """Return when it is in the mailbox. Raises as `Ref.send`."""
        return deliver(self._cell, _message(item, Receipt(self._cell.parent.backend.slot(), is_ask=False)))

    def tell(self, item: T_contra) -> None:
        """Put it into the mailbox, now or never. Raises as `Ref.tell`."""
        self._cell.mailbox.put_nowait(_message(item))


def _message(item: object, receipt: Receipt | None = None, kwargs: Mapping[str, object] | None = None) -> Message:
    return type(item).__name__, (item,), kwargs, receipt
