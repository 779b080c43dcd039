"""Cancel scopes with a deadline, of the backend that runs: `anyio.CancelScope` looks for it each time, and then makes two."""

from __future__ import annotations

from collections.abc import Callable

import anyio


class Deadlines:
    """Of one event loop, in which it is made."""

    def __init__(self) -> None:
        self._scope: Callable[..., anyio.CancelScope] = type(anyio.CancelScope())

    def after(self, delay_s: float) -> anyio.CancelScope:
        """Cancelled in so many seconds."""
        return self._scope(deadline=anyio.current_time() + delay_s)
