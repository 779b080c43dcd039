"""An actor's life: incarnations of one object around one mailbox.

The cell owns what outlives a crash (mailbox, name, counters); an incarnation is the user's object, entered before its
start is acknowledged and left on stop or crash. Handlers run one at a time, in the incarnation's own task, which no scope of the
host's reaches: only its supervisor ends it. What is not a message (stop, cancel, a crash from outside the handler, a timer) does
not go through the mailbox, so it neither waits for room in it nor behind what is queued.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Generic, Literal, Protocol, TypeVar, cast

import anyio
import attrs

from actors._backend import Backend, Scope, Slot, Spawn, fire
from actors._child import ChildSpec
from actors._deferred import Deferred
from actors._errors import ActorCrashed, ActorStopped, AskCycle, StopActor
from actors._events import ChildStarted, Event
from actors._helpers import Helpers
from actors._mailbox import Mailbox, Message
from actors._timers import Timers

if TYPE_CHECKING:
    from actors._dispatch import Hooks
    from actors._snapshot import Snapshot

A_co = TypeVar("A_co", covariant=True)

CLEANUP_TIMEOUT_S = 10.0
"""How long `__aexit__` may take: a shield without a bound could hold a stopping program for ever."""

CURRENT: ContextVar[Cell[object] | None] = ContextVar("current actor", default=None)
"""The cell whose task, or descendant of whose task, is running."""


@attrs.frozen
class Exit:
    """An actor is gone for good: it was stopped (`error` is None), or crashed and was not started again."""

    name: str
    error: Exception | None


class Parent(Protocol):
    """What a cell knows of its supervisor."""

    name: str
    backend: Backend
    hooks: Hooks | None
    spawn: Spawn

    def emit(self, event: Event) -> None: ...

    def fail(self, error: BaseException) -> None:
        """End the supervisor with that."""
        ...

    def note_exit(self, cell: Cell[object], crash: Exception | None) -> None:
        """An incarnation that had been up has ended."""
        ...

    async def stop_for_good(self, cell: Cell[object], *, now: bool) -> None: ...


class Serve(Protocol):
    """What an incarnation does between its start and its end."""

    async def __call__(self, cell: Cell[object], actor: object, /) -> None: ...


class Cell(Generic[A_co]):
    __slots__ = tuple(
        (
            "_helpers _interrupt _is_called_off _is_ended _progress _scope _stopping _ticked _timers _watchers "
            "cleanup_timeout_s exit handled handling has_news incarnation is_up last_crash last_delay_s mailbox name owed parent "
            "restarts_in_a_row serve spec start_error subtrees task up_since waiting_on"
        ).split()
    )

    def __init__(self, spec: ChildSpec[A_co], *, parent: Parent, mailbox: Mailbox, serve: Serve) -> None:
        self.spec = spec
        self.name = spec.name
        self.parent = parent
        self.mailbox = mailbox
        self.incarnation = 0
        self.is_up = False
        self.handled = 0
        self.last_crash = ""
        """As text: an exception would keep its frames alive."""
        self.up_since = 0.0
        self.restarts_in_a_row = 0
        self.last_delay_s = 0.0
        self.waiting_on: tuple[str, Cell[object]] | None = None
        """The method being asked, and whom the handler asks it of."""
        self.task: object = None
        self.exit: Exit | None = None
        self.handling: Message | None = None
        self.owed: dict[Deferred[object], Message] | None = None
        """Messages that are still to be answered. Made when it is needed, as are the next two: most actors need none."""
        self._helpers: Helpers | None = None
        self._timers: Timers | None = None
        self._ticked = False
        self.serve = serve
        self._watchers: set[Slot] | None = None
        self._scope: Scope | None = None
        """What to cancel to end the incarnation: all of its life, or while it is entered only its work."""
        self._progress: Slot | None = None
        """Of the one who waits for the incarnation to come up, or to end."""

    def prepare(self) -> None:
        """An incarnation is about to run: from here on it can be waited for, and called off."""
        self.mailbox.come_back()
        self.incarnation += 1
        self.cleanup_timeout_s = 0.0
        """Of the `__aexit__` of this incarnation."""
        self.start_error: Exception | None = None
        self.subtrees: tuple[Callable[[], Snapshot], ...] = ()
        """Of the supervisors that this incarnation has entered."""
        self.has_news = False
        """Whether there is more to see to than the mailbox, so that to take from that is not enough."""
        self._stopping: Literal["no", "after this message", "after the queue"] = "no"
        self._interrupt: Exception | None = None
        self._is_called_off = False
        self._is_ended = False

    async def run(self) -> None:
        """One incarnation, in a task of its own. What goes wrong is for `wait_started` and `note_exit` to tell."""
        CURRENT.set(self)
        self.task = self.parent.backend.current_task()
        crash: Exception | None = None
        try:
            life = self._scope = self.parent.backend.scope()
            with life:
                if self._is_called_off:
                    life.cancel()
                actor = self.spec.factory()
                if hasattr(type(actor), "__aenter__"):
                    await self._live_inside(cast("AbstractAsyncContextManager[object]", actor), life)
                else:
                    self._come_up()
                    await self.serve(self, actor)
        except StopActor:
            pass
        except Exception as error:  # noqa: BLE001 - the supervisor's business
            self.last_crash = "".join(traceback.format_exception_only(error)).strip()
            crash = error
        except (anyio.get_cancelled_exc_class(), GeneratorExit):
            raise
        except BaseException as error:  # noqa: BLE001 - KeyboardInterrupt and its like: it leaves the host's `async with`
            self.parent.fail(error)
        finally:
            await self._end_helpers()
            self._fail_owed(crash)
            was_up, self.is_up, self._scope, self._timers = self.is_up, False, None, None
            self.mailbox.wake()  # others who share it, if this one has been woken and has not looked
            if not was_up:
                self.start_error = crash or ActorStopped(self.name)
            self._is_ended = True
            self._note_progress()
            if was_up:
                self.parent.note_exit(self, crash)

    async def _live_inside(self, actor: AbstractAsyncContextManager[object], life: Scope) -> None:
        """An actor may hold a task group open between its `__aenter__` and `__aexit__`, and scopes must nest.

        So `life` is around both, at the end with a deadline, and what is cancelled is a scope around the messages only.
        """
        self.cleanup_timeout_s = CLEANUP_TIMEOUT_S
        async with actor as entered:
            self._come_up()
            try:
                self._scope = self.parent.backend.scope()
                with self._scope:
                    await self.serve(self, entered)
            finally:
                await self._end_helpers()
                life.deadline = self.parent.backend.now() + self.cleanup_timeout_s

    def _come_up(self) -> None:
        self.is_up = True
        self.up_since = self.parent.backend.now()
        self.parent.emit(ChildStarted(self.parent.name, self.name, self.incarnation))  # before it has handled anything
        self._note_progress()

    def _note_progress(self) -> None:
        if self._progress is not None:
            fire(self._progress)
            self._progress = None

    async def _end_helpers(self) -> None:
        """Before `__aexit__`, as they use what it closes. Harmless twice."""
        if self._helpers is not None:
            await self._helpers.end()
            self._helpers = None

    def _fail_owed(self, crash: Exception | None) -> None:
        """After `__aexit__`, which may still have answered: by finishing what a thread had begun, for instance."""
        owed, self.owed = self.owed, None
        for message in (owed or {}).values():
            self.fail(message, crash)

    def fail(self, message: Message, error: BaseException | None) -> None:
        """The incarnation ends in the middle of `message`: by a crash, or because it wants to, or because it is made to."""
        method, _, _, receipt = message
        if receipt is None or not receipt.is_ask:
            return
        if not isinstance(error, Exception) or isinstance(error, StopActor):
            receipt.fail(ActorStopped(self.name, was_started=True))
        else:
            crash = ActorCrashed(self.name, method)
            crash.__cause__ = error
            receipt.fail(crash)

    async def next_message(self) -> Message | None:
        """What to handle next, waited for; None when this incarnation is to end. Raises a crash from outside the handler."""
        while True:
            if self._interrupt is not None:
                raise self._interrupt
            if self._stopping == "after this message":
                return None
            if (message := self._take_in_turns()) is not None:
                return message
            if self._stopping == "after the queue" and not self.owed:
                return None
            self.has_news = self._timers is not None or self.is_asked_to_stop
            self.handling = None
            slot = self.parent.backend.slot()
            self.mailbox.attach(slot)
            try:
                if self._timers is None:
                    await slot
                else:
                    with anyio.CancelScope(deadline=self._timers.next_due_at):
                        await slot
                    self.mailbox.detach(slot)
            except BaseException:
                self.mailbox.detach(slot)
                raise

    def _take_in_turns(self) -> Message | None:
        """A due timer before the mailbox, but no two in a row while there are messages."""
        if not self._timers:
            self._timers = None  # the last one has ticked
            return self.mailbox.take()
        if self._ticked and (message := self.mailbox.take()) is not None:
            self._ticked = False
            return message
        tick = self._timers.take_due(self.parent.backend.now())
        self._ticked = tick is not None
        if self._ticked:
            self.mailbox.wake()  # others who share it: a message may have woken this one
        return self.mailbox.take() if tick is None else tick

    @property
    def timers(self) -> Timers:
        """To be followed by `notify` if the actor may be waiting."""
        if self._timers is None:
            self._timers = Timers()
        return self._timers

    @property
    def helpers(self) -> Helpers:
        if self._helpers is None:
            self._helpers = Helpers(self.parent.spawn, self.parent.backend, on_failure=self.interrupt)
        return self._helpers

    def interrupt(self, error: Exception) -> None:
        """The incarnation is to end with `error` as if its handler had raised it, after the message in hand."""
        self._interrupt = error
        self.notify()

    def notify(self) -> None:
        """There is more to see to than the mailbox."""
        self.has_news = True
        self.mailbox.wake()

    def check_cycle(self, method: str, target: Cell[object]) -> None:
        """Raises AskCycle if `target` already waits, directly or through others, for this actor."""
        path = [f"{self.name}.{self.handling[0] if self.handling else '?'}", f"{target.name}.{method}"]
        cell = target
        while cell is not self:
            if cell.waiting_on is None:
                return
            asked_method, cell = cell.waiting_on
            path.append(f"{cell.name}.{asked_method}")
        raise AskCycle(tuple(path))

    def is_running_here(self) -> bool:
        """Whether the caller is this actor's own handler, not a helper task it started."""
        return self.parent.backend.current_task() is self.task

    def is_running(self, incarnation: int) -> bool:
        return self.incarnation == incarnation and not self._is_ended

    @property
    def is_asked_to_stop(self) -> bool:
        return self._stopping != "no"

    def request_stop(self, *, drain: bool) -> None:
        """End the incarnation: after what is queued, refusing new messages, or after the message in hand."""
        self._stopping = "after the queue" if drain else "after this message"
        self._timers = None
        if drain:
            self.mailbox.refuse_new()
        self.notify()

    def cancel(self) -> None:
        """End the incarnation at its next checkpoint, or call off its start."""
        self._is_called_off = True
        if self._scope is not None:
            self._scope.cancel()

    async def wait_started(self) -> None:
        """Until the incarnation is up. Raises what its start raised. For one waiter, as `wait_ended`: the supervisor."""
        while not self.is_up and not self._is_ended:
            self._progress = self.parent.backend.slot()
            await self._progress
        if self.start_error is not None:
            raise self.start_error

    async def wait_ended(self) -> None:
        """Until no incarnation is running."""
        while not self._is_ended:
            self._progress = self.parent.backend.slot()
            await self._progress

    def close(self, crash: Exception | None = None) -> None:
        """No incarnation will follow: everything undelivered is answered or reported, and watchers are told. Harmless twice."""
        if self.exit is not None:
            return
        self.exit = Exit(self.name, crash)
        self.mailbox.close()
        for watcher in self._watchers or ():
            fire(watcher)

    async def wait_exit(self) -> Exit:
        """Until no incarnation will follow."""
        if self.exit is None:
            watcher = self.parent.backend.slot()
            self._watchers = self._watchers or set()
            self._watchers.add(watcher)
            try:
                await watcher
            finally:
                self._watchers.discard(watcher)
        assert self.exit is not None
        return self.exit
