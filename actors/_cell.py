"""An actor's life: incarnations of one object around one mailbox.

The cell owns what outlives a crash (mailbox, name, counters); an incarnation is the user's object, entered before its
start is acknowledged and left on stop or crash. Handlers run one at a time, in the incarnation's own task, which can be
cancelled from outside while it starts and is shielded afterwards: then only its supervisor ends it.
"""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from contextvars import Context, ContextVar
from typing import Generic, Literal, TypeVar, cast

import anyio
import anyio.lowlevel
import attrs

from actors._backend import Backend, Slot
from actors._child import ChildSpec
from actors._context import InContext
from actors._deferred import Deferred
from actors._errors import ActorCrashed, ActorError, ActorStopped, AskCycle, Refused, StopActor
from actors._events import EventHook, RefusedTell, Undelivered
from actors._mailbox import Envelope, Mailbox, Message

A_co = TypeVar("A_co", covariant=True)

MESSAGES_PER_TURN_MAX = 64
"""Handled in a row before others get the loop: a checkpoint per message costs ten times the message."""

CLEANUP_TIMEOUT_S = 10.0
"""How long `__aexit__` may take: a shield without a bound could hold a stopping program for ever."""

CURRENT: ContextVar[Cell[object] | None] = ContextVar("current actor", default=None)
"""The cell whose task, or descendant of whose task, is running."""


@attrs.frozen
class Exit:
    """An actor is gone for good: it was stopped (`error` is None), or crashed and was not started again."""

    name: str
    error: Exception | None


class Cell(Generic[A_co]):
    __slots__ = (
        "_deferred_crash",
        "_ended",
        "_handling",
        "_is_called_off",
        "_on_event",
        "_on_exit",
        "_owed",
        "_progress",
        "_scope",
        "_stopping",
        "_supervisor",
        "_task",
        "_watchers",
        "backend",
        "exit",
        "handled",
        "incarnation",
        "is_up",
        "last_crash",
        "last_delay_s",
        "mailbox",
        "name",
        "restarts_in_a_row",
        "spec",
        "start_error",
        "up_since",
        "waiting_on",
    )

    def __init__(
        self,
        spec: ChildSpec[A_co],
        *,
        supervisor: str,
        backend: Backend,
        on_event: EventHook,
        on_exit: Callable[[Cell[object], Exception | None], None],
    ) -> None:
        self.spec = spec
        self.name = spec.name
        self.mailbox = Mailbox(
            spec.name, spec.mailbox_capacity, overflow=spec.overflow, on_dropped=self._report_undelivered
        )
        self.backend = backend
        self.incarnation = 0
        self.is_up = False
        self.handled = 0
        self.last_crash = ""
        """As text: an exception would keep its frames alive."""
        self.up_since = 0.0
        self.restarts_in_a_row = 0
        self.last_delay_s = 0.0
        self.waiting_on: tuple[str, Cell[object]] | None = None
        """The method being handled, and whom it asks."""
        self._supervisor = supervisor
        self._on_event = on_event
        self._on_exit = on_exit
        self._task: object = None
        self._watchers: list[Slot] = []
        self.exit: Exit | None = None
        self._scope: anyio.CancelScope | None = None
        """What to cancel to end the incarnation: all of its life, or while it is entered only its work."""
        self._ended = True
        self._is_called_off = False
        self._progress = backend.slot()
        """Fired when the incarnation has come up, or has ended."""
        self.start_error: Exception | None = None
        self._stopping: Literal["no", "after this message", "after the queue"] = "no"
        self._handling: Message | None = None
        self._owed: dict[Deferred[object], Message] = {}
        self._deferred_crash: Exception | None = None

    def prepare(self) -> None:
        """An incarnation is about to run: from here on it can be waited for, and called off."""
        self.incarnation += 1
        self.start_error = None
        self._stopping = "no"
        self._deferred_crash = None
        self._is_called_off = False
        self._ended = False
        self._progress = self.backend.slot()

    async def run(self) -> None:
        """One incarnation, in a task of its own. Raises nothing: what goes wrong is for `wait_started` and `on_exit` to tell."""
        CURRENT.set(self)
        self._task = self.backend.current_task()
        crash: Exception | None = None
        try:
            with anyio.CancelScope() as life:
                self._scope = life
                if self._is_called_off:
                    life.cancel()
                await self._live(life)
        except StopActor:
            pass
        except Exception as error:  # noqa: BLE001 - the supervisor's business
            self.last_crash = "".join(traceback.format_exception_only(error)).strip()
            crash = error
        finally:
            was_up, self.is_up, self._scope = self.is_up, False, None
            self._fail_owed(crash)
            if not was_up:
                self.start_error = crash or ActorStopped(self.name)
            self._ended = True
            self._progress.fire()
        if was_up:
            self._on_exit(self, crash)

    async def _live(self, life: anyio.CancelScope) -> None:
        actor = self.spec.factory()
        if not hasattr(type(actor), "__aenter__"):
            self._come_up(life)
            await self._serve(actor)
            return
        # The object may hold a task group open between `__aenter__` and `__aexit__`, and scopes must nest: so `life` is around
        # both, shielded and at the end with a deadline, and what is cancelled is a scope around the messages only.
        async with cast("AbstractAsyncContextManager[object]", actor) as entered:
            self._come_up(life)
            try:
                with anyio.CancelScope() as self._scope:
                    await self._serve(entered)
            finally:
                life.deadline = anyio.current_time() + CLEANUP_TIMEOUT_S

    def _come_up(self, life: anyio.CancelScope) -> None:
        life.shield = True
        self.is_up = True
        self.up_since = anyio.current_time()
        self._progress.fire()

    async def _serve(self, actor: object) -> None:
        streak = 0
        while self._stopping != "after this message":
            if self._deferred_crash is not None:
                raise self._deferred_crash
            message = self.mailbox.take()
            if message is None:
                if self._stopping == "after the queue" and not self._owed:
                    return
                await self.mailbox.wait(self.backend)
                streak = 0
                continue
            self._handling = message
            try:
                answer = getattr(actor, message.method)(*message.args, **message.kwargs)
                if type(answer) is Deferred:
                    self._defer(message, answer)
                elif type(message) is Envelope:
                    message.reply(
                        await (answer if message.context is None else self._in_context(message.context, answer))
                    )
                else:
                    await answer
            except Refused as refusal:
                self._refuse(message, refusal)
            except BaseException as error:
                self._fail(message, error)
                raise
            self.handled += 1
            streak += 1
            if streak == MESSAGES_PER_TURN_MAX:
                await anyio.lowlevel.checkpoint()
                streak = 0

    def _in_context(self, context: Context, answer: Awaitable[object]) -> InContext:
        context.run(CURRENT.set, self)  # or an ask in a circle would not be seen
        return InContext(context, answer)

    def _fail(self, message: Message, error: BaseException) -> None:
        """The incarnation ends in the middle of `message`: by a crash, or because it wants to, or because it is made to."""
        if type(message) is Envelope:
            is_crash = isinstance(error, Exception) and not isinstance(error, StopActor)
            message.fail(self._crashed(message, error) if is_crash else ActorStopped(self.name, was_started=True))

    def _defer(self, message: Message, answer: Deferred[object]) -> None:
        self._owed[answer] = message

        def settle() -> None:
            if self._owed.pop(answer, None) is None:
                return  # this incarnation is over, and the asker has been told
            error = answer.error
            if isinstance(error, Refused):
                self._refuse(message, error)
            elif error is not None:
                self._fail(message, error)
                self._deferred_crash = error if isinstance(error, Exception) else ActorStopped(self.name)
            elif type(message) is Envelope:
                message.reply(answer.value)
            if self._deferred_crash is not None or (self._stopping != "no" and not self._owed):
                self.mailbox.wake()

        answer.when_done(settle)

    def _refuse(self, message: Message, refusal: Refused) -> None:
        if type(message) is Envelope and message.reply_to is not None:
            message.fail(refusal)
        else:
            self._on_event(RefusedTell(self._supervisor, self.name, message.method, refusal))

    def _crashed(self, message: Message, cause: BaseException) -> ActorCrashed:
        crash = ActorCrashed(self.name, message.method)
        crash.__cause__ = cause
        return crash

    def _fail_owed(self, crash: Exception | None) -> None:
        owed, self._owed = list(self._owed.values()), {}
        for message in owed:
            self._fail(message, StopActor() if crash is None else crash)

    def check_cycle(self, method: str, target: Cell[object]) -> None:
        """Raises AskCycle if `target` already waits, directly or through others, for this actor."""
        path = [f"{self.name}.{self._handling.method if self._handling else '?'}", f"{target.name}.{method}"]
        cell = target
        while cell is not self:
            if cell.waiting_on is None:
                return
            asked_method, cell = cell.waiting_on
            path.append(f"{cell.name}.{asked_method}")
        raise AskCycle(tuple(path))

    def is_running_here(self) -> bool:
        """Whether the caller is this actor's own handler, not a helper task it started."""
        return self.backend.current_task() is self._task

    @property
    def is_asked_to_stop(self) -> bool:
        return self._stopping != "no"

    def request_stop(self, *, drain: bool) -> None:
        """End the incarnation: after what is queued, refusing new messages, or after the message in hand."""
        self._stopping = "after the queue" if drain else "after this message"
        if drain:
            self.mailbox.refuse_new()
        else:
            self.mailbox.wake()

    def cancel(self) -> None:
        """End the incarnation at its next checkpoint, or call off its start."""
        self._is_called_off = True
        if self._scope is not None:
            self._scope.cancel()

    async def wait_started(self) -> None:
        """Until the incarnation is up. Raises what its start raised. For one waiter, as `wait_ended`: the supervisor."""
        await self._progress.wait()
        if self.start_error is not None:
            raise self.start_error

    async def wait_ended(self) -> None:
        """Until no incarnation is running."""
        while not self._ended:
            self._progress = self.backend.slot()
            await self._progress.wait()

    def close(self, crash: Exception | None = None) -> None:
        """No incarnation will follow: everything undelivered is answered or reported, and watchers are told."""
        self.exit = Exit(self.name, crash)
        self.mailbox.close(lambda: ActorStopped(self.name))
        watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            watcher.fire()

    async def wait_exit(self) -> Exit:
        """Until no incarnation will follow."""
        while self.exit is None:
            watcher = self.backend.slot()
            self._watchers.append(watcher)
            try:
                await watcher.wait()
            finally:
                if watcher in self._watchers:
                    self._watchers.remove(watcher)
        return self.exit

    def _report_undelivered(self, message: Message, reason: ActorError) -> None:
        self._on_event(Undelivered(self._supervisor, self.name, message.method, reason))
