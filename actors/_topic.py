"""Publish and subscribe: one value to everyone who listens, and nobody who listens slowly holds up the others.

Each subscriber has a queue of its own with a bound and a policy for when it is full; publishing never waits. A topic is a
plain object for whoever owns it, an actor for instance; it needs no task.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Generic, Literal, Protocol, Self, TypeVar

from actors._backend import Backend, Slot, current_backend, fire
from actors._errors import ActorError, ActorStopped, MailboxFull
from actors._ref import Ref

A = TypeVar("A")
T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)

SUBSCRIBER_CAPACITY = 1024


class CutOff(ActorError):
    """This subscriber fell behind, or the topic was aborted: what it will miss is unknown."""

    def __init__(self) -> None:
        super().__init__("the subscription has been cut off: it fell behind, or its topic is gone")


class EndOfTopic(ActorError):
    """There will be no more values, and the last has been received."""

    def __init__(self) -> None:
        super().__init__("the topic has been closed")


class Subscriber(Protocol[T_contra]):
    @property
    def is_closed(self) -> bool:
        """Whether it wants no more values: it has left, or has been cut off."""
        ...

    def push(self, value: T_contra, /) -> None: ...

    def close(self, error: ActorError | None, /) -> None:
        """There will be no more."""
        ...


class Topic(Generic[T]):
    def __init__(self) -> None:
        self._subscribers: list[Subscriber[T]] = []

    def subscribe(self, subscriber: Subscriber[T]) -> None:
        """From the next value on."""
        self._forget_closed()  # or those who come and go while nothing is published would pile up
        self._subscribers.append(subscriber)

    def publish(self, value: T) -> None:
        for subscriber in self._subscribers:
            subscriber.push(value)
        self._forget_closed()

    def close(self, error: ActorError | None = None) -> None:
        """The subscribers get what they have not read yet, and then the end, or `error`."""
        subscribers, self._subscribers = self._subscribers, []
        for subscriber in subscribers:
            subscriber.close(error)

    def _forget_closed(self) -> None:
        self._subscribers = [subscriber for subscriber in self._subscribers if not subscriber.is_closed]

    def __len__(self) -> int:
        """How many will get the next value."""
        return sum(not subscriber.is_closed for subscriber in self._subscribers)


class Subscription(Generic[T]):
    """A subscriber's own queue: a topic fills it, one reader empties it, as an `async for` or by `receive`.

    Make it, hand it to `Topic.subscribe`, and leave its `with` block, or call `close`, to be rid of it. `overflow` says what
    becomes of a value for which there is no room: `"cut_off"` ends the subscription with `CutOff`; with the other two it is
    lost, or the oldest is, and `dropped` counts them.
    """

    def __init__(
        self,
        *,
        capacity: int = SUBSCRIBER_CAPACITY,
        overflow: Literal["cut_off", "drop_new", "drop_oldest"] = "cut_off",
    ) -> None:
        if capacity < 1:
            raise ValueError(f"a subscription needs room for at least one value, not {capacity}")
        self.dropped = 0
        self._capacity = capacity
        self._overflow = overflow
        self._values: deque[T] = deque()
        self._is_closed = False
        self._error: ActorError | None = None
        self._backend: Backend | None = None
        self._reader: Slot | None = None

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    def push(self, value: T) -> None:
        if self._is_closed:
            return
        if len(self._values) < self._capacity:
            self._values.append(value)
            self._wake()
        elif self._overflow == "cut_off":
            self.close(CutOff())
        else:
            self.dropped += 1
            if self._overflow == "drop_oldest":
                self._values.popleft()
                self._values.append(value)

    def close(self, error: ActorError | None = None) -> None:
        """No more values; the reader gets those that are there and then the end, or `error`."""
        if not self._is_closed:
            self._is_closed = True
            self._error = error
            self._wake()

    async def receive(self) -> T:
        """The next value, waited for.

        Raises:
            EndOfTopic: the topic or this subscription has been closed.
            CutOff: see `overflow`.
        """
        await self._wait_news()
        return self._values.popleft()

    async def receive_all(self) -> list[T]:
        """Everything new, at least one value. Waits and raises as `receive`."""
        await self._wait_news()
        values = list(self._values)
        self._values.clear()
        return values

    async def _wait_news(self) -> None:
        while not self._values:
            if self._error is not None:
                raise self._error
            if self._is_closed:
                raise EndOfTopic
            self._backend = self._backend or current_backend()
            self._reader = self._backend.slot()
            await self._reader

    def _wake(self) -> None:
        if self._reader is not None:
            fire(self._reader)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        try:
            return await self.receive()
        except EndOfTopic:
            raise StopAsyncIteration from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class TellSubscriber(Generic[T]):
    """Tells an actor: `topic.subscribe(TellSubscriber(ref, Cache.forget))`.

    The bound and the policy are its mailbox's. What a full one refuses is lost, and `dropped` counts it: nobody waits. It
    leaves the topic when the actor is gone.
    """

    def __init__(self, ref: Ref[A], method: Callable[[A, T], Awaitable[object]]) -> None:
        self.dropped = 0
        self.is_closed = False

        def tell(value: T) -> None:
            ref.tell(method, value)

        self._tell = tell

    def push(self, value: T) -> None:
        try:
            self._tell(value)
        except MailboxFull:
            self.dropped += 1
        except ActorStopped:
            self.is_closed = True

    def close(self, error: ActorError | None) -> None:
        """Nothing to tell: what an actor does without news is its own business."""
