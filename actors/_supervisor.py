"""Start in order, stop in reverse, restart, escalate: OTP's supervisor inside anybody's task group.

One control task handles exits one after the other under the lock that `start` and `stop` take, too, so there is never more
than one change to the tree at a time. The children's tasks belong to it, behind a shield: a host that is cancelled stops them in
order. They never raise: what leaves this supervisor is the host's own exception, a cancellation, or `TooManyRestarts`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import copy_context
from random import Random
from types import TracebackType
from typing import Self, TypeVar, Unpack

import anyio
import attrs

from actors._backend import Slot, Spawn, current_backend, fire
from actors._cell import CURRENT, Cell, Serve
from actors._child import ChildOptions, ChildSpec, Restart, Strategy
from actors._dispatch import Hooks, serve_methods
from actors._errors import ActorStopped, TooManyRestarts
from actors._events import ChildCrashed, ChildStopped, Event, EventHook, StopTimeout, Undelivered
from actors._inbox import Channel, Loop, serve_loop
from actors._mailbox import Mailbox
from actors._ref import Ref
from actors._restart import Backoff, Intensity, affected_siblings, is_restarted
from actors._snapshot import Snapshot, child_snapshot

A = TypeVar("A")
T = TypeVar("T")
M = TypeVar("M", bound=Mailbox)

STOP_REPORT_PERIOD_S = 1.0
"""At least this long between two reports of a child that ignores its cancellation."""


@attrs.frozen
class _Exited:
    """A child that has ended by itself, and when to see to it."""

    cell: Cell[object]
    incarnation: int
    crash: Exception | None
    due_at: float = 0.0
    """Of `anyio.current_time`; 0 for now."""
    behind: Sequence[Cell[object]] = ()
    """Those of its group that are down, too, and that nobody starts if it is stopped for good before its turn."""
    is_cancelled: bool = False
    """For good, by somebody who has not waited until it was this supervisor's turn."""


def _ignore(_: Event) -> None: ...


class Supervisor:
    """Keeps its children running: `async with Supervisor("one_for_one") as supervisor: ...`, on asyncio, uvloop or trio.

    Args:
        strategy: who is restarted with a child that failed.
        intensity: how many restarts in how many seconds; one more raises `TooManyRestarts` out of the `async with`.
        backoff: how long to wait before a restart; by default not at all. For the messages meanwhile see `ChildSpec.while_down`.
        rng: draws the jitter of `backoff`.
        on_event: called with every event of the tree, in the event loop; it must not block. If it raises, that is the end.
        hooks: called around every message that a child handles; for tests.

    An actor class that is entered may hold a supervisor of its own: so trees are built, and `snapshot` shows all of one.
    """

    spawn: Spawn

    def __init__(
        self,
        strategy: Strategy = "one_for_one",
        *,
        intensity: tuple[int, float] = (3, 5.0),
        backoff: Backoff | None = None,
        rng: Random | None = None,
        name: str = "supervisor",
        on_event: EventHook = _ignore,
        hooks: Hooks | None = None,
    ) -> None:
        self.name = name
        self.hooks = hooks
        self._strategy: Strategy = strategy
        self._intensity = Intensity(*intensity)
        self._backoff = backoff
        self._rng = rng or Random()
        self._on_event = on_event
        # One for all mailboxes.
        self._on_dropped = lambda child, method, reason: self.emit(Undelivered(self.name, child, method, reason))
        self._children: dict[str, Cell[object]] = {}
        """By name, in start order."""
        self._exits: deque[_Exited] = deque()
        self._backing_off: list[_Exited] = []
        self._control_wait: Slot | None = None
        self._control_scope = anyio.CancelScope()
        self._is_open = False
        self._failure: BaseException | None = None

    async def __aenter__(self) -> Self:
        self.backend = current_backend()
        self._context = copy_context()
        self._lock = anyio.Lock()
        self._is_ready, self._control_done, self._all_stopped = anyio.Event(), anyio.Event(), anyio.Event()
        host = CURRENT.get()
        if host is not None and host.is_running_here():
            host.subtrees += (self.snapshot,)
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
                for cell in reversed(self._children.values()):
                    await self._stop(cell)
                self._children.clear()
            self._all_stopped.set()
        is_plain = isinstance(error, Exception | KeyboardInterrupt | SystemExit)
        if is_plain:  # the task group would wrap it; it is the host's, so it leaves as it came
            kind, error, traceback = None, None, None
        is_swallowed = bool(await self._tasks.__aexit__(kind, error, traceback))
        if self._failure is not None:
            raise self._failure
        return is_swallowed and not is_plain

    async def start(self, factory: Callable[[], A], *, name: str, **options: Unpack[ChildOptions]) -> Ref[A]:
        """Start a child and return when it is up: made by `factory`, and entered if it is an async context manager.

        For the options see `ChildSpec`.

        Raises:
            ValueError: a child of that name is there already.
            ActorStopped: this supervisor is stopping.
            Whatever the factory or `__aenter__` raises: then there is no child.
        """
        spec = ChildSpec(name=name, factory=factory, **options)
        return Ref(await self.start_cell(spec, self.new_mailbox(spec, Mailbox), serve_methods))

    async def start_loop(
        self, factory: Callable[[], Loop[T]], *, name: str, **options: Unpack[ChildOptions]
    ) -> Channel[T]:
        """Start a child that takes its messages itself, in its method `run`. As `start` in all else."""
        spec = ChildSpec(name=name, factory=factory, **options)
        return Channel(await self.start_cell(spec, self.new_mailbox(spec, Mailbox), serve_loop))

    def snapshot(self) -> Snapshot:
        backing_off = {exited.cell.name for exited in self._backing_off}
        cells = self._children.values()
        children = tuple(child_snapshot(cell, is_backing_off=cell.name in backing_off) for cell in cells)
        return Snapshot(name=self.name, strategy=self._strategy, children=children)

    def new_mailbox(self, spec: ChildSpec[object], kind: type[M]) -> M:
        return kind(
            spec.name, spec.mailbox_capacity, overflow=spec.overflow, on_dropped=self._on_dropped, now=self.backend.now
        )

    async def start_cell(self, spec: ChildSpec[A], mailbox: Mailbox, serve: Serve) -> Cell[A]:
        """See `start`."""
        if not self._is_open:
            raise ActorStopped(self.name)
        async with self._lock:
            if not self._is_open:  # no more
                raise ActorStopped(self.name)
            if spec.name in self._children:
                raise ValueError(f"supervisor {self.name!r} has a child {spec.name!r} already")
            await self._is_ready.wait()
            cell: Cell[A] = Cell(spec, parent=self, mailbox=mailbox, serve=serve)
            await self._launch(cell)
            self._children[spec.name] = cell
        return cell

    async def _launch(self, cell: Cell[object]) -> None:
        cell.prepare()
        # Not in the starter's context variables: a restart would not have them.
        self._context.run(self.spawn, cell.run, f"{self.name}: {cell.name}")
        try:
            await cell.wait_started()
        except BaseException:
            with anyio.CancelScope(shield=True):  # bounded by the actor's own cleanup
                cell.cancel()
                await cell.wait_ended()
            raise

    async def stop_for_good(self, cell: Cell[object], *, now: bool) -> None:
        """See `Ref.stop` and `Ref.cancel`."""
        if now:  # not behind the lock: a stop that takes its time may hold it, or a restart that never ends
            self._cancel(cell)
        try:
            async with self._lock:
                if self._children.get(cell.name) is cell:
                    with anyio.CancelScope(shield=True):  # bounded by the child's stop timeout
                        await self._remove(cell, now=now)
        except BaseException:
            if now:  # it has been cancelled, and must not be left lying
                self._see_to(_Exited(cell, cell.incarnation, None, is_cancelled=True))
            raise

    async def _remove(self, cell: Cell[object], *, now: bool) -> None:
        del self._children[cell.name]
        if now:  # again: a restart may have come between
            self._cancel(cell)
        await self._stop(cell, drain=not now)

    def _cancel(self, cell: Cell[object]) -> None:
        cell.request_stop(drain=False)
        cell.mailbox.refuse_new()
        cell.cancel()

    async def _stop(self, cell: Cell[object], *, drain: bool = True) -> None:
        await self._end(cell, drain=drain)
        cell.close()
        self.emit(ChildStopped(self.name, cell.name))

    async def _end(self, cell: Cell[object], *, drain: bool) -> None:
        """Return when no incarnation of `cell` is running."""
        if not cell.is_up:
            return
        asked_at = self.backend.now()
        cell.request_stop(drain=drain)
        patience_s = cell.spec.stop_timeout_s
        while True:
            with anyio.move_on_after(patience_s):
                await cell.wait_ended()
                return
            waited_s = self.backend.now() - asked_at
            self.emit(StopTimeout(self.name, cell.name, waited_s, self.backend.stack(cell.task)))
            cell.cancel()
            patience_s = max(cell.spec.stop_timeout_s, STOP_REPORT_PERIOD_S)

    def emit(self, event: Event) -> None:
        try:
            self._on_event(event)
        except Exception as error:  # noqa: BLE001 - a defect of the host's: it leaves the `async with`, as itself
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """End this supervisor: the host's body is cancelled, and `error` leaves the `async with`."""
        if self._failure is None:
            self._failure = error
            self._tasks.cancel_scope.cancel()

    def note_exit(self, cell: Cell[object], crash: Exception | None) -> None:
        if crash is not None:
            self.emit(ChildCrashed(self.name, cell.name, crash))
        if not cell.is_asked_to_stop:  # else whoever asked goes on from here
            self._see_to(_Exited(cell, cell.incarnation, crash))

    def _see_to(self, exited: _Exited) -> None:
        self._exits.append(exited)
        if self._control_wait is not None:
            fire(self._control_wait)

    async def _control(self) -> None:
        with anyio.CancelScope(shield=True):
            async with self.backend.crew() as self.spawn:
                self._is_ready.set()
                try:
                    with self._control_scope:
                        await self._handle_exits()
                finally:
                    self._control_done.set()
                await self._all_stopped.wait()

    async def _handle_exits(self) -> None:
        while self._failure is None:
            exited = self._next_exit()
            if exited is None:
                await self._wait_for_exit()
                continue
            async with self._lock:
                cell = exited.cell
                if self._children.get(cell.name) is not cell:  # stopped for good since it went
                    await self._start_again(exited.behind)
                elif exited.is_cancelled:
                    await self._remove(cell, now=True)
                elif cell.incarnation == exited.incarnation and not cell.is_up:  # not restarted with a sibling
                    await self._after_exit(exited)

    def _next_exit(self) -> _Exited | None:
        now = self.backend.now()
        for exited in self._backing_off:
            if exited.due_at <= now:
                self._backing_off.remove(exited)
                return exited
        return self._exits.popleft() if self._exits else None

    async def _wait_for_exit(self) -> None:
        next_due_at = min((exited.due_at for exited in self._backing_off), default=math.inf)
        self._control_wait = self.backend.slot()
        with anyio.CancelScope(deadline=next_due_at):
            await self._control_wait

    async def _after_exit(self, exited: _Exited) -> None:
        cell, crash = exited.cell, exited.crash
        if not is_restarted(cell.spec.restart, crashed=crash is not None):
            self._forget(cell, crash)
        elif exited.due_at:
            await self._restart(cell)
        elif not self._intensity.allows(self.backend.now()):
            self._give_up(cell, crash)
        elif (delay_s := self._delay_s(cell)) > 0:
            self._backing_off.append(attrs.evolve(exited, due_at=self.backend.now() + delay_s))
            for down in (cell, *exited.behind):
                self._reject_if_down(down)
        else:
            await self._restart(cell)

    def _reject_if_down(self, cell: Cell[object]) -> None:
        is_up = any(other.is_up for other in self._children.values() if other.mailbox is cell.mailbox)
        if cell.spec.while_down == "reject" and cell.exit is None and not is_up:
            cell.mailbox.go_down()

    def _forget(self, cell: Cell[object], crash: Exception | None) -> None:
        """It has ended by itself, for good."""
        del self._children[cell.name]
        cell.close(crash)
        self.emit(ChildStopped(self.name, cell.name))

    def _delay_s(self, cell: Cell[object]) -> float:
        if self._backoff is None:
            return 0.0
        if self.backend.now() - cell.up_since > cell.last_delay_s:
            cell.restarts_in_a_row = 0
        cell.restarts_in_a_row += 1
        cell.last_delay_s = self._backoff.delay_s(cell.restarts_in_a_row, self._rng)
        return cell.last_delay_s

    def _give_up(self, cell: Cell[object], crash: Exception | None) -> None:
        failure = TooManyRestarts(self.name, cell.name, self._intensity.restarts_max, self._intensity.period_s)
        failure.__cause__ = crash
        for down in self._children.values():
            if not down.is_up:
                down.close(crash)  # the host may be waiting for it behind a shield, and we for the host
        self.fail(failure)

    async def _restart(self, cell: Cell[object]) -> None:
        group = affected_siblings(self._strategy, tuple(self._children.values()), cell)
        for sibling in reversed(group):
            await self._end(sibling, drain=False)
        await self._start_again(group)

    async def _start_again(self, group: Sequence[Cell[object]]) -> None:
        for number, sibling in enumerate(group):
            if self._children.get(sibling.name) is not sibling or sibling.is_up:
                continue  # stopped for good, or restarted with another, while it was down
            if sibling.spec.restart is Restart.TEMPORARY:
                self._forget(sibling, None)
                continue
            try:
                await self._launch(sibling)
            except Exception as error:  # noqa: BLE001 - whatever a start raises is the child's crash
                if sibling.is_asked_to_stop:
                    continue  # that was no crash: whoever cancels it waits for the lock
                # Tried again by message, so that a stop gets in between; it costs budget like any crash.
                self.emit(ChildCrashed(self.name, sibling.name, error))
                self._see_to(_Exited(sibling, sibling.incarnation, error, behind=group[number + 1 :]))
                return
