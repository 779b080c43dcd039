"""Tasks beside an actor's own: what it has started and does not wait for, ended with the incarnation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import anyio

from actors._backend import Backend, Slot, Spawn, fire


class Helpers:
    """`on_failure` is called with what a task of them raised."""

    def __init__(self, spawn: Spawn, backend: Backend, *, on_failure: Callable[[Exception], None]) -> None:
        self._spawn = spawn
        self._backend = backend
        self._on_failure = on_failure
        self._scopes: set[anyio.CancelScope] = set()
        self._all_ended: Slot | None = None

    def start(self, run: Callable[[], Awaitable[object]], *, name: str) -> None:
        scope = anyio.CancelScope()
        self._scopes.add(scope)
        self._spawn(partial(self._run, run, scope), name)

    async def _run(self, run: Callable[[], Awaitable[object]], scope: anyio.CancelScope) -> None:
        try:
            with scope:
                await run()
        except Exception as error:  # noqa: BLE001 - the actor's crash, as if its handler had raised it
            self._on_failure(error)
        finally:
            self._scopes.discard(scope)
            if not self._scopes and self._all_ended is not None:
                fire(self._all_ended)

    async def end(self) -> None:
        """Cancel them and return when all have ended; there must be no new ones."""
        for scope in self._scopes:
            scope.cancel()
        with anyio.CancelScope(shield=True):  # of no bound: a task cannot be left behind, nor killed
            if self._scopes:
                self._all_ended = self._backend.slot()
                await self._all_ended
