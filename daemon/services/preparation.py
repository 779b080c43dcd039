"""Trees made beforehand (`ready.py`), in the thread that is to claim them, when it has nothing better to do.

While they are claimed more are made only if few are left, and then only as many as do not slow down those who claim them.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import anyio

from actors import ActorContext
from daemon.errors import System
from daemon.storage.ready import ReadyTrees

_log = logging.getLogger(__name__)

BATCH = 8
"""Made in a row: a create that comes meanwhile waits for them, about 1 ms."""

PAUSE_S = 0.02
"""Between two batches while there are creates: 400 trees a second, a twentieth of what the disk can do."""


class Preparation:
    """Of one actor's incarnation; `submit` has something done by its thread."""

    def __init__(self, ready: ReadyTrees, submit: Callable[[Callable[[], None]], Awaitable[None]]) -> None:
        self._ready = ready
        self._submit = submit
        self._is_running = False
        self._is_asked = False
        """Whether any may have been claimed since the last batch."""

    def begin(self, context: ActorContext[object]) -> None:
        self._context = context
        self._start()

    def note_claim(self) -> None:
        """One is about to be claimed."""
        self._is_asked = True
        if not self._is_running:
            self._start()

    def _start(self) -> None:
        self._is_running = True
        self._context.spawn(self._prepare)

    async def _prepare(self) -> None:
        """Until all are there, or the disk refuses: then the next claim is the time to try again."""
        try:
            while True:
                is_busy, self._is_asked = self._is_asked, False
                if self._ready.is_low or not is_busy:
                    await self._submit(lambda: self._ready.prepare(BATCH))
                # What has been asked lately may not have claimed its tree yet: then this was not the last look.
                if not (is_busy or self._is_asked or self._ready.has_room):
                    return
                if is_busy or self._is_asked:
                    await anyio.sleep(PAUSE_S)
        except System as error:
            _log.warning("no directories are made beforehand for now: %s", error)
        finally:
            self._is_running = False
