"""What an adapter is: one library's counter actor, as calls that are bound beforehand, so that the loops time little else.

An adapter knows its library and nothing of how it is measured. Its rules: the library's documented fast way; the default
settings, but for restarts without a limit and logging switched off; a mailbox that takes `MAILBOX` messages.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from types import TracebackType
from typing import ClassVar, Generic, Self, TypeVar

import anyio
import attrs

R = TypeVar("R")
T = TypeVar("T")

ASKERS = 64
MAILBOX = 1024
"""Messages told in a row before the actor gets its turn: the default capacity of ours, so its mailbox is full then."""


class Measure(StrEnum):
    """What one process measures."""

    ASK = "ask"
    ASK_MANY = "ask-many"
    TELL = "tell"
    RESTART = "restart"
    START = "start"
    MEMORY = "memory"


class Figure(StrEnum):
    """A column of the table: microseconds per operation, or bytes per actor."""

    ASK = "ask"
    ASK_MANY = f"ask, {ASKERS} askers"
    TELL = "tell"
    TELL_AND_HANDLE = "tell + handle"
    RESTART = "crash + restart"
    START = "start"
    MEMORY = "memory"


MEASURE_OF = {
    Figure.ASK: Measure.ASK,
    Figure.ASK_MANY: Measure.ASK_MANY,
    Figure.TELL: Measure.TELL,
    Figure.TELL_AND_HANDLE: Measure.TELL,
    Figure.RESTART: Measure.RESTART,
    Figure.START: Measure.START,
    Figure.MEMORY: Measure.MEMORY,
}


@attrs.frozen(kw_only=True)
class AsyncCalls:
    """One actor's messages."""

    ask: Callable[[], Awaitable[object]]
    """Adds one and waits for the sum."""
    tell: Callable[[], object] | None = None
    """Adds one. Exactly one of this and `send` is there."""
    send: Callable[[], Awaitable[object]] | None = None
    """The same where the library's way of telling is awaited."""
    restart: Callable[[], Awaitable[object]] | None = None
    """Crashes the actor by a message, and waits until its fresh incarnation has answered an ask."""


@attrs.frozen(kw_only=True)
class SyncCalls:
    """One actor's messages, where calls block."""

    ask: Callable[[], object]
    tell: Callable[[], object]


class AsyncLibrary(ABC, Generic[R]):
    """A library whose calls are awaited. Entered in the loop that it is measured on."""

    absent: ClassVar[Mapping[Measure, str]] = {}
    """What cannot be measured, and what the cell says instead."""

    def __init__(self, loop: str) -> None:
        self.loop = loop

    def run(self, main: Callable[[], Awaitable[T]]) -> T:
        """The result of `main`, run in a fresh loop of the kind that was asked for."""
        is_trio = self.loop == "trio"
        options = {} if is_trio else {"use_uvloop": self.loop == "uvloop"}
        return anyio.run(main, backend="trio" if is_trio else "asyncio", backend_options=options)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    @abstractmethod
    async def start(self, number: int) -> R:
        """A reference to a new actor that is up: its start hook has run. `number` is unique."""

    @abstractmethod
    def calls(self, ref: R) -> AsyncCalls: ...


class SyncLibrary(ABC, Generic[R]):
    """A library whose calls block the thread."""

    absent: ClassVar[Mapping[Measure, str]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    @abstractmethod
    def start(self, number: int) -> R: ...

    @abstractmethod
    def calls(self, ref: R) -> SyncCalls: ...

    @abstractmethod
    def ask_from_many(self, ref: R, count: int) -> float:
        """Seconds that `ASKERS` askers take for `count` asks each."""
