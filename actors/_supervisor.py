"""Start in order, stop in reverse, restart, escalate: OTP's supervisor inside anybody's task group.

One control task handles exits one after the other under the lock that `start` and `stop` take, too, so there is never more
than one change to the tree at a time. Children never raise into the task group: what leaves this supervisor is the host's
own exception, a cancellation, or `TooManyRestarts`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

import anyio
import anyio.abc

from actors._backend import Backend, Slot, current_backend
from actors._cell import Cell
from actors._child import ChildSpec, Restart, Strategy
from actors._errors import ActorStopped, TooManyRestarts
from actors._events import ChildCrashed, ChildStarted, ChildStopped, Event, EventHook, StopTimeout
from actors._ref import Ref
from actors._restart import Intensity, affected_siblings, is_restarted

A = TypeVar("A")

MAILBOX_CAPACITY = 1024
"""Messages an actor may be behind by default: a bound that shows a stuck actor before memory does."""

STOP_TIMEOUT_S = 5.0
"""As OTP's default shutdown for a worker."""


def _ignore(_: Event) -> None: ...


class Supervisor:
    """Keeps its children running: `async with Supervisor("one_for_one") as supervisor: ...`, on asyncio, uvloop or trio.

    Args:
        strategy: who is restarted with a child that failed.
        intensity: how many restarts in how many seconds; one more raises `TooManyRestarts` out of the `async with`.
        on_event: called with every event of the tree, in the event loop; it must not block or raise.

    An actor class that is entered may hold a supervisor of its own: so trees are built.
    """

    def __init__(
        self,
        strategy: Strategy = "one_for_one",
        *,
        intensity: tuple[int, float] = (3, 5.0),
        name: str = "supervisor",
        on_event: EventHook = _ignore,
    ) -> None:
        self.name = name
        self._strategy: Strategy = strategy
        self._intensity = Intensity(*intensity)
        self._on_event = on_event
        self._children: list[Cell[object]] = []
        self._exits: deque[tuple[Cell[object], int, Exception | None]] = deque()
        self._control_wait: Slot | None = None
        self._control_scope = anyio.CancelScope(shield=True)
        self._control_done = anyio.Event()
        self._is_open = False
        self._failure: TooManyRestarts | None = None

    async def __aenter__(self) -> Self:
        self._backend: Backend = current_backend()
        self._lock = anyio.Lock()
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._is_open = True
        self._tasks.start_soon(self._control, name=f"{self.name}: control")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        self._is_open = False
        with anyio.CancelScope(shield=True):  # bounded by the children's stop timeouts
            self._control_scope.cancel()  # it may be in the middle of a restart that never ends
            await self._control_done.wait()
            async with self._lock:
                for cell in reversed(self._children):
                    await self._stop(cell)
                self._children.clear()
        is_plain = isinstance(error, Exception | KeyboardInterrupt | SystemExit)
        if is_plain:  # the task group would wrap it; it is the host's, so it leaves as it came
            kind, error, traceback = None, None, None
        is_swallowed = bool(await self._tasks.__aexit__(kind, error, traceback))
        if self._failure is not None:
            raise self._failure
        return is_swallowed and not is_plain

    async def start(
        self,
        factory: Callable[[], A],
        *,
        name: str,
        restart: Restart = Restart.PERMANENT,
        mailbox_capacity: int = MAILBOX_CAPACITY,
        stop_timeout_s: float = STOP_TIMEOUT_S,
    ) -> Ref[A]:
        """Start a child and return when it is up: made by `factory`, and entered if it is an async context manager.

        Raises:
            ValueError: a child of that name is there already.
            ActorStopped: this supervisor is stopping.
            Whatever the factory or `__aenter__` raises: then there is no child.
        """
        spec = ChildSpec(
            name=name,
            factory=factory,
            restart=restart,
            mailbox_capacity=mailbox_capacity,
            stop_timeout_s=stop_timeout_s,
        )
        async with self._lock:
            if not self._is_open:
                raise ActorStopped(self.name)
            if any(cell.name == name for cell in self._children):
                raise ValueError(f"supervisor {self.name!r} has a child {name!r} already")
            cell: Cell[A] = Cell(
                spec,
                supervisor=self.name,
                backend=self._backend,
                on_event=self._on_event,
                on_exit=self._note_exit,
            )
            await self._launch(cell)
            self._children.append(cell)
        return Ref(cell, self._stop_for_good)

    async def _launch(self, cell: Cell[object]) -> None:
        await self._tasks.start(cell.run, name=f"{self.name}: {cell.name}")
        self._on_event(ChildStarted(self.name, cell.name, cell.incarnation))

    async def _stop_for_good(self, cell: Cell[object]) -> None:
        async with self._lock:
            if cell in self._children:
                with anyio.CancelScope(shield=True):  # bounded by the child's stop timeout
                    self._children.remove(cell)
                    await self._stop(cell)

    async def _stop(self, cell: Cell[object]) -> None:
        await self._end(cell, drain=True)
        cell.close()
        self._on_event(ChildStopped(self.name, cell.name))

    async def _end(self, cell: Cell[object], *, drain: bool) -> None:
        """Return when no incarnation of `cell` is running."""
        if not cell.is_up:
            return
        cell.request_stop(drain=drain)
        with anyio.move_on_after(cell.spec.stop_timeout_s):
            await cell.ended.wait()
            return
        self._on_event(StopTimeout(self.name, cell.name, cell.spec.stop_timeout_s))
        cell.cancel()
        await cell.ended.wait()

    def _note_exit(self, cell: Cell[object], crash: Exception | None) -> None:
        if crash is not None:
            self._on_event(ChildCrashed(self.name, cell.name, crash))
        if cell.is_asked_to_stop:
            return  # whoever asked goes on from here
        self._exits.append((cell, cell.incarnation, crash))
        if self._control_wait is not None:
            self._control_wait.fire()

    async def _control(self) -> None:
        with self._control_scope:
            while self._failure is None:
                if not self._exits:
                    self._control_wait = self._backend.slot()
                    await self._control_wait.wait()
                    continue
                cell, incarnation, crash = self._exits.popleft()
                async with self._lock:
                    # Not if it was stopped for good, or restarted with a sibling, since it went.
                    if cell in self._children and cell.incarnation == incarnation and not cell.is_up:
                        await self._after_exit(cell, crash)
        self._control_done.set()

    async def _after_exit(self, cell: Cell[object], crash: Exception | None) -> None:
        if not is_restarted(cell.spec.restart, crashed=crash is not None):
            self._children.remove(cell)
            cell.close()
            return
        if not self._intensity.allows(anyio.current_time()):
            self._failure = TooManyRestarts(
                self.name, cell.name, self._intensity.restarts_max, self._intensity.period_s
            )
            self._failure.__cause__ = crash
            for down in self._children:
                if not down.is_up:
                    down.close()  # the host may be waiting for it behind a shield, and we for the host
            self._tasks.cancel_scope.cancel()
            return
        group = affected_siblings(self._strategy, self._children, cell)
        for sibling in reversed(group):
            await self._end(sibling, drain=False)
        for sibling in group:
            if sibling.spec.restart is Restart.TEMPORARY:
                self._children.remove(sibling)
                sibling.close()
                continue
            try:
                await self._launch(sibling)
            except Exception as error:  # noqa: BLE001 - whatever a start raises is the child's crash
                # Tried again by message, so that a stop gets in between; it costs budget like any crash. Those after it
                # in the group are its affected siblings, too, and wait for that.
                self._note_exit(sibling, error)
                return
