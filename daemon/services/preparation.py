"""Trees made beforehand (`ready.py`), when the thread that makes them has nothing better to do.

While they are taken more are made only if few are left; then many at a time, and not by this process.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial

import anyio

from actors import ActorContext
from daemon.errors import System, Unavailable
from daemon.storage.ready import ReadyTrees, nothing

_log = logging.getLogger(__name__)

BATCH = 8
"""Made in a row: a create that needs the thread meanwhile waits for them, about 1 ms."""

BUSY_BATCH = 64
"""The same while there are creates and few trees are left: about 5 ms, and the sync of those before, while others make them."""

PAUSE_S = 0.02
"""Between two looks while there are creates."""


class Preparation:
    """Of one actor's incarnation; `submit` has something done by its thread."""

    def __init__(self, ready: ReadyTrees, submit: Callable[[Callable[[], None]], Awaitable[None]]) -> None:
        self._ready = ready
        self._submit = submit
        self._is_asked = False
        """Whether any may have been taken since the last batch."""
        self._news: anyio.Event | None = None
        """Set by the next that is taken, where that is waited for."""

    def begin(self, context: ActorContext[object]) -> None:
        """`end` must follow."""
        self._ready.on_take = self.note_claim
        context.spawn(self._run)

    def end(self) -> None:
        self._ready.on_take = nothing

    def note_claim(self) -> None:
        """One has been taken, or is about to be."""
        self._is_asked = True
        if self._news is not None:
            self._news.set()
            self._news = None

    async def _run(self) -> None:
        while True:
            try:
                await self._prepare()
            except (System, Unavailable) as error:  # the next claim is the time to try again
                _log.warning("no directories are made beforehand for now: %s", error)
            self._news = news = anyio.Event()
            await news.wait()

    async def _prepare(self) -> None:
        """Until all are there. Raises System: the disk refuses; Unavailable."""
        while True:
            is_busy, self._is_asked = self._is_asked, False
            if self._ready.is_low or not is_busy:
                count = BUSY_BATCH if is_busy else BATCH
                await self._submit(partial(self._ready.prepare, count))
            # What has been asked lately may not have claimed its tree yet: then this was not the last look.
            if not (is_busy or self._is_asked or self._ready.has_room):
                return
            if (is_busy or self._is_asked) and not self._ready.is_low:
                await anyio.sleep(PAUSE_S)
