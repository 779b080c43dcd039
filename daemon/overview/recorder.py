"""What an engine remembers of its own work for whoever comes to look: the last minute of creates, the last events of its actors.

It is always there, so that there is something to see at once; it costs two looks at a clock for a create, and is not asked about
its steps.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from actors import ChildCrashed, ChildStarted, Event, StopTimeout
from daemon.instruments import Instruments
from daemon.outcomes import CREATED, outcome_of
from daemon.overview import Happened
from daemon.overview.timeline import Timeline

R = TypeVar("R")

HAPPENED_MAX = 20
"""What is read on one screen."""

TEXT_LENGTH_MAX = 400
"""Of an error: it may repeat a request."""


class Recorder:
    """Of one engine, in its event loop."""

    def __init__(self, now: Callable[[], float] = time.monotonic, now_ns: Callable[[], int] = time.time_ns) -> None:
        self.now = now
        self.now_ns = now_ns
        self.began = now()
        self.instruments = Instruments(on_event=self._on_event)
        self.timeline = Timeline(self.began)
        self.outcomes: Counter[str] = Counter()
        """Since the start."""
        self.happened: deque[Happened] = deque(maxlen=HAPPENED_MAX)
        """To actors, the oldest first."""
        self._crashed: set[str] = set()
        """Those that are not up again."""

    async def recorded(self, work: Coroutine[Any, Any, R]) -> R:
        """What a create comes to, which `work` is."""
        began = self.now()
        outcome = CREATED
        try:
            return await work
        except BaseException as error:
            outcome = outcome_of(error)
            raise
        finally:
            now = self.now()
            self.outcomes[outcome] += 1
            self.timeline.add(now, outcome, now - began)

    def _on_event(self, event: Event) -> None:
        match event:
            case ChildCrashed(child=child, error=error):
                self._crashed.add(child)
                self._note(child, "crashed", f"{type(error).__name__}: {error}"[:TEXT_LENGTH_MAX])
            case ChildStarted(child=child) if child in self._crashed:  # not those that are restarted with it
                self._crashed.remove(child)
                self._note(child, "restarted", "")
            case StopTimeout(child=child, waited_s=waited_s, stack=stack):
                self._note(
                    child, "does not stop", f"for {waited_s:.0f} s, at {stack[-1] if stack else 'no place known'}"
                )

    def _note(self, actor: str, action: str, text: str) -> None:
        happened = Happened(time_ns=self.now_ns(), kind="actor", action=action, name=actor, id="", text=text)
        self.happened.append(happened)
