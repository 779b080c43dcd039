"""Runs what takes long and is watched while it runs: pulls, pushes, loads. Each has a task of its own that ends with its client.

The task tells its steps to a `Progress`; one reader takes them from there. Steps that only count replace one another, so that a
slow reader costs no memory, and the reader that leaves cancels the task.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import anyio
import attrs

from actors import ActorContext
from daemon.errors import DaemonError, System, Unavailable

TRANSFERS_MAX = 64
"""At a time: each may hold some connections to a registry, some open files and a few megabytes; a load waits for its client."""

UNREAD_MAX = 1000
"""Steps that a task may be ahead of its reader before it has to wait between two images."""

SHORT = 12
"""Characters of a digest in a progress display."""

_log = logging.getLogger(__name__)


@attrs.frozen(kw_only=True)
class Pushed:
    """What a tag is at the registry now."""

    tag: str
    digest: str
    size: int


@attrs.frozen
class Step:
    """One line of a progress display."""

    status: str
    id: str = ""
    current: int = 0
    total: int = 0
    is_message: bool = False
    """Whether it is told once, rather than the state of something that goes on."""
    is_text: bool = False
    """Whether it is said as it is, and no step at all."""
    pushed: Pushed | None = None


def short_digest(digest: str) -> str:
    """As a progress display calls it."""
    return digest.removeprefix("sha256:")[:SHORT]


class Progress:
    """What a task has told and nobody has read yet."""

    def __init__(self) -> None:
        self._scope = anyio.CancelScope()
        self._steps: dict[object, Step] = {}
        self._news = anyio.Event()
        self._room = anyio.Event()
        self._is_over = False
        self._error: DaemonError | None = None
        self._count = 0

    @property
    def scope(self) -> anyio.CancelScope:
        """That of the task."""
        return self._scope

    def message(self, status: str, step_id: str = "") -> None:
        self._put(Step(status, step_id, is_message=True))

    def text(self, line: str) -> None:
        self._put(Step(line, is_text=True))

    def update(self, step_id: str, status: str) -> None:
        self._put(Step(status, step_id))

    def count(self, step_id: str, status: str, current: int, total: int) -> None:
        """The last of these that has not been read is forgotten."""
        self._steps[step_id, status] = Step(status, step_id, current, total)
        self._news.set()

    def pushed(self, pushed: Pushed) -> None:
        self._put(Step("", pushed=pushed))

    async def wait_room(self) -> None:
        """Until the reader is not too far behind."""
        while len(self._steps) > UNREAD_MAX:
            self._room = anyio.Event()
            await self._room.wait()

    async def wait_steps(self) -> list[Step]:
        """Everything new; nothing at the end. Raises the DaemonError that the task has ended with."""
        while not self._steps:
            if self._error is not None:
                raise self._error
            if self._is_over:
                return []
            self._news = anyio.Event()
            await self._news.wait()
        steps = list(self._steps.values())
        self._steps.clear()
        self._room.set()
        return steps

    def end(self, error: DaemonError | None = None) -> None:
        """The task is over; the first end counts."""
        if not self._is_over:
            self._is_over, self._error = True, error
            self._news.set()

    def abandon(self) -> None:
        """Nobody reads any more: the task is cancelled."""
        self._scope.cancel()

    def _put(self, step: Step) -> None:
        self._count += 1
        self._steps[self._count] = step
        self._news.set()


Work = Callable[[Progress], Awaitable[None]]


class Transfers:
    def __init__(self) -> None:
        self._running = 0

    async def start(self, work: Work, progress: Progress) -> None:
        """Begin `work`, which is cancelled when `progress` is abandoned. Raises Unavailable if there is too much of it."""
        if self._running >= TRANSFERS_MAX:
            raise Unavailable(f"more than {TRANSFERS_MAX} pulls, pushes and loads at a time")
        self._running += 1
        ActorContext.of(self).spawn(self._carry_out, work, progress)

    async def count(self) -> int:
        """How many run."""
        return self._running

    async def _carry_out(self, work: Work, progress: Progress) -> None:
        try:
            with progress.scope:
                await work(progress)
            progress.end()
        except DaemonError as error:
            progress.end(error)
        except Exception:  # noqa: BLE001 - a defect of ours: one transfer lost, not those of others
            _log.exception("a transfer failed")
            progress.end(System("internal error: see the log of the daemon"))
        finally:
            self._running -= 1
            progress.end(Unavailable("the daemon is stopping, or has restarted its services: try again"))
