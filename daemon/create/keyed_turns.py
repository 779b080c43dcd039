"""Turns by key: who asks for the same comes one after another, who asks for something else does not wait."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import attrs


@attrs.define
class _Turn:
    lock: anyio.Lock = attrs.field(factory=anyio.Lock)
    askers: int = 0


class KeyedTurns:
    def __init__(self) -> None:
        self._turns: dict[str, _Turn] = {}

    @asynccontextmanager
    async def turn(self, key: str) -> AsyncIterator[None]:
        """Alone among those with this key; in the order of asking."""
        turn = self._turns.setdefault(key, _Turn())
        turn.askers += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.askers -= 1
            if not turn.askers:
                del self._turns[key]

    def __len__(self) -> int:
        """Keys that somebody has or waits for."""
        return len(self._turns)
