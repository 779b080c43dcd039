"""What has been done so far and how to take it back, newest first. Knows nothing of what it takes back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

import anyio


class Undo:
    """An async context manager: left with an error or a cancellation it undoes what was pushed, unless `commit` was called.

    Push *before* the effect: a call that is cancelled while waiting may still be carried out. So every undo must be harmless
    when there is nothing to undo. The clean-up is shielded and takes `timeout_s` at most. What goes wrong in it is added to the
    cause as a note and never hides it; what is left behind then is residue that recovery removes.
    """

    def __init__(self, *, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._steps: list[tuple[str, Callable[[], Awaitable[object]]]] = []

    def push(self, what: str, step: Callable[[], Awaitable[object]]) -> None:
        self._steps.append((what, step))

    def drop(self, what: str) -> None:
        """That need not be undone after all."""
        self._steps = [step for step in self._steps if step[0] != what]

    def commit(self) -> None:
        """From here on there is nothing to undo."""
        self._steps.clear()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, cause: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if cause is None or not self._steps:
            return
        with anyio.move_on_after(self._timeout_s, shield=True) as scope:
            while self._steps:
                what, step = self._steps[-1]
                try:
                    await step()
                except Exception as error:  # noqa: BLE001 - the other steps must be undone, too
                    cause.add_note(f"undo of {what} failed: {error!r}")
                self._steps.pop()
        if scope.cancelled_caught:
            cause.add_note(
                f"undo took longer than {self._timeout_s:g} s; not undone: {[what for what, _ in self._steps]}"
            )
