"""Start in order, stop in reverse, restart, escalate: OTP's supervisor inside anybody's task group.

One control task handles exits one after the other under the lock that `start` and `stop` take, too, so there is never more
than one change to the tree at a time. Children never raise into the task group: what leaves this supervisor is the host's
own exception, a cancellation, or `TooManyRestarts`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from random import Random
from types import TracebackType
from typing import Literal, Self, TypeVar

import anyio
import attrs

from actors._backend import Backend, Slot, current_backend
from actors._cell import Cell
from actors._child import ChildSpec, Restart, Strategy
from actors._errors import ActorStopped, TooManyRestarts
from actors._events import ChildCrashed, ChildStarted, ChildStopped, Event, EventHook, StopTimeout
from actors._mailbox import Overflow
from actors._ref import Ref
from actors._restart import Backoff, Intensity, affected_siblings, is_restarted
from actors._snapshot import Snapshot, child_snapshot

A = TypeVar("A")

MAILBOX_CAPACITY = 1024
"""Messages an actor may be behind by default: a bound that shows a stuck actor before memory does."""

STOP_TIMEOUT_S = 5.0
"""As OTP's default shutdown for a worker."""


@attrs.frozen
class _Exited:
    """A child that has ended by itself, and when to see to it."""

    cell: Cell[object]
    incarnation: int
    crash: Exception | None
    due_at: float = 0.0
    """Of `anyio.current_time`; 0 for now."""


def _ignore(_: Event) -> None: ...


class Supervisor:
    """Keeps its children running: `async with Supervisor("one_for_one") as supervisor: ...`, on asyncio, uvloop or trio.

    Args:
        strategy: who is restarted with a child that failed.
        intensity: how many restarts in how many seconds; one more raises `TooManyRestarts` out of the `async with`.
        backoff: how long to wait before a restart; by default not at all. Meanwhile the mailbox goes on taking messages.
        rng: draws the jitter of `backoff`.
        on_event: called with every event of the tree, in the event loop; it must not block. If it raises, that is the end.

    An actor class that is entered may hold a supervisor of its own: so trees are built.
    """

    def __init__(
        self,
        strategy: Strategy = "one_for_one",
        *,
        intensity: tuple[int, float] = (3, 5.0),
        backoff: Backoff | None = None,
        rng: Random | None = None,
        name: str = "supervisor",
        on_event: EventHook = _ignore,
    ) -> None:
        self.name = name
        self._strategy: Strategy = strategy
        self._intensity = Intensity(*intensity)
        self._backoff = backoff
        self._rng = rng or Random()
        self._hook = on_event
        self._children: list[Cell[object]] = []
        self._exits: deque[_Exited] = deque()
        self._backing_off: list[_Exited] = []
        self._control_wait: Slot | None = None
        self._control_scope = anyio.CancelScope(shield=True)
        self._control_done = anyio.Event()
        self._is_open = False
        self._failure: Exception | None = None

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
        overflow: Overflow = "wait",
        context: Literal["actor", "caller"] = "actor",
        stop_timeout_s: float = STOP_TIMEOUT_S,
    ) -> Ref[A]:
        """Start a child and return when it is up: made by `factory`, and entered if it is an async context manager.

        With `context="caller"` a handler that is asked runs in a copy of the asker's context variables, which makes an ask
        about a quarter slower.

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
            overflow=overflow,
            context=context,
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
                on_event=self._emit,
                on_exit=self._note_exit,
            )
            await self._launch(cell)
            self._children.append(cell)
        return Ref(cell, self._stop_for_good)

    def snapshot(self) -> Snapshot:
        return Snapshot(
            name=self.name, strategy=self._strategy, children=tuple(child_snapshot(cell) for cell in self._children)
        )

    async def _launch(self, cell: Cell[object]) -> None:
        cell.prepare()
        self._tasks.start_soon(cell.run, name=f"{self.name}: {cell.name}")
        try:
            await cell.wait_started()
        except BaseException:
            with anyio.CancelScope(shield=True):  # bounded by the actor's own cleanup
                cell.cancel()
                await cell.wait_ended()
            raise
        self._emit(ChildStarted(self.name, cell.name, cell.incarnation))

    async def _stop_for_good(self, cell: Cell[object]) -> None:
        async with self._lock:
            if cell in self._children:
                with anyio.CancelScope(shield=True):  # bounded by the child's stop timeout
                    self._children.remove(cell)
                    await self._stop(cell)

    async def _stop(self, cell: Cell[object]) -> None:
        await self._end(cell, drain=True)
        cell.close()
        self._emit(ChildStopped(self.name, cell.name))

    async def _end(self, cell: Cell[object], *, drain: bool) -> None:
        """Return when no incarnation of `cell` is running."""
        if not cell.is_up:
            return
        cell.request_stop(drain=drain)
        with anyio.move_on_after(cell.spec.stop_timeout_s):
            await cell.wait_ended()
            return
        self._emit(StopTimeout(self.name, cell.name, cell.spec.stop_timeout_s))
        cell.cancel()
        await cell.wait_ended()

    def _emit(self, event: Event) -> None:
        try:
            self._hook(event)
        except Exception as error:  # noqa: BLE001 - a defect of the host's: it leaves the `async with`, as itself
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        """End this supervisor: the host's body is cancelled, and `error` leaves the `async with`."""
        if self._failure is None:
            self._failure = error
            self._tasks.cancel_scope.cancel()

    def _note_exit(self, cell: Cell[object], crash: Exception | None) -> None:
        if crash is not None:
            self._emit(ChildCrashed(self.name, cell.name, crash))
        if cell.is_asked_to_stop:
            return  # whoever asked goes on from here
        self._exits.append(_Exited(cell, cell.incarnation, crash))
        if self._control_wait is not None:
            self._control_wait.fire()

    async def _control(self) -> None:
        try:
            with self._control_scope:
                while self._failure is None:
                    exited = self._next_exit()
                    if exited is None:
                        await self._wait_for_exit()
                        continue
                    async with self._lock:
                        # Not if it was stopped for good, or restarted with a sibling, since it went.
                        cell = exited.cell
                        if cell in self._children and cell.incarnation == exited.incarnation and not cell.is_up:
                            await self._after_exit(exited)
        finally:
            self._control_done.set()

    def _next_exit(self) -> _Exited | None:
        now = anyio.current_time()
        for exited in self._backing_off:
            if exited.due_at <= now:
                self._backing_off.remove(exited)
                return exited
        return self._exits.popleft() if self._exits else None

    async def _wait_for_exit(self) -> None:
        next_due_at = min((exited.due_at for exited in self._backing_off), default=math.inf)
        self._control_wait = self._backend.slot()
        with anyio.CancelScope(deadline=next_due_at):
            await self._control_wait.wait()

    async def _after_exit(self, exited: _Exited) -> None:
        cell, crash = exited.cell, exited.crash
        if not is_restarted(cell.spec.restart, crashed=crash is not None):
            self._children.remove(cell)
            cell.close(crash)
        elif exited.due_at:
            await self._restart(cell)
        elif not self._intensity.allows(anyio.current_time()):
            self._give_up(cell, crash)
        elif (delay_s := self._delay_s(cell)) > 0:
            self._backing_off.append(attrs.evolve(exited, due_at=anyio.current_time() + delay_s))
        else:
            await self._restart(cell)

    def _delay_s(self, cell: Cell[object]) -> float:
        if self._backoff is None:
            return 0.0
        if anyio.current_time() - cell.up_since > cell.last_delay_s:
            cell.restarts_in_a_row = 0
        cell.restarts_in_a_row += 1
        cell.last_delay_s = self._backoff.delay_s(cell.restarts_in_a_row, self._rng)
        return cell.last_delay_s

    def _give_up(self, cell: Cell[object], crash: Exception | None) -> None:
        failure = TooManyRestarts(self.name, cell.name, self._intensity.restarts_max, self._intensity.period_s)
        failure.__cause__ = crash
        for down in self._children:
            if not down.is_up:
                down.close(crash)  # the host may be waiting for it behind a shield, and we for the host
        self._fail(failure)

    async def _restart(self, cell: Cell[object]) -> None:
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
