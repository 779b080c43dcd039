"""Running a handler in its asker's context variables, without a task of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Generator
from contextvars import Context
from typing import Any


class InContext:
    """Awaits `awaitable` with every step of it run in `context`; cancellation and errors pass both ways as they are."""

    __slots__ = ("_awaitable", "_context")

    def __init__(self, context: Context, awaitable: Awaitable[object]) -> None:
        self._context = context
        self._awaitable = awaitable

    # Any: what passes between a coroutine and its event loop is between the two.
    def __await__(self) -> Generator[Any, Any, object]:
        context = self._context
        steps: Any = self._awaitable.__await__()
        step: Any = steps.__next__
        arguments: tuple[Any, ...] = ()
        while True:
            try:
                request = context.run(step, *arguments)
            except StopIteration as stop:
                return stop.value
            try:
                answer = yield request
            except BaseException as error:  # noqa: BLE001 - it is the coroutine's, which raises it or not
                step, arguments = steps.throw, (error,)
            else:
                step, arguments = steps.send, (answer,)
