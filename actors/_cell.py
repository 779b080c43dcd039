"""An actor's life: incarnations of one object around one mailbox.

The cell owns what outlives a crash (mailbox, name, counters); an incarnation is the user's object, entered before its
start is acknowledged and left on stop or crash. Handlers run one at a time, in the incarnation's own task.
Two scopes, because the object may hold a task group open between `__aenter__` and `__aexit__`, and scopes must nest:
`_life` is around both, cancellable while starting and shielded afterwards; `_work` is around the messages only.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from typing import Generic, Literal, TypeVar, cast

import anyio
import anyio.abc
import anyio.lowlevel

from actors._backend import Backend
from actors._child import ChildSpec
from actors._deferred import Deferred
from actors._errors import ActorCrashed, ActorStopped, AskCycle, Refused, StopActor
from actors._events import EventHook, RefusedTell, Undelivered
from actors._mailbox import Envelope, Mailbox

A_co = TypeVar("A_co", covariant=True)

MESSAGES_PER_TURN_MAX = 64
"""Handled in a row before others get the loop: a checkpoint per message costs ten times the message."""

CLEANUP_TIMEOUT_S = 10.0
"""How long `__aexit__` may take: a shield without a bound could hold a stopping program for ever."""

CURRENT: ContextVar[Cell[object] | None] = ContextVar("current actor", default=None)
"""The cell whose task, or descendant of whose task, is running."""


class Cell(Generic[A_co]):
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
        self.mailbox = Mailbox(spec.name, spec.mailbox_capacity)
        self.backend = backend
        self.incarnation = 0
        self.is_up = False
        self.ended = anyio.Event()
        """Set when the present incarnation is over."""
        self.waiting_on: tuple[str, Cell[object]] | None = None
        """The method being handled, and whom it asks."""
        self._supervisor = supervisor
        self._on_event = on_event
        self._on_exit = on_exit
        self._task: object = None
        self._life = anyio.CancelScope()
        self._work = anyio.CancelScope()
        self._stopping: Literal["no", "after this message", "after the queue"] = "no"
        self._handling: Envelope | None = None
        self._owed: dict[Deferred[object], Envelope] = {}
        self._deferred_crash: Exception | None = None

    async def run(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        """One incarnation. Raises only what its start raises; later failures go to `on_exit`."""
        CURRENT.set(self)
        self._task = self.backend.current_task()
        self.incarnation += 1
        self._stopping = "no"
        self._deferred_crash = None
        self.ended = anyio.Event()
        self._life, self._work = anyio.CancelScope(), anyio.CancelScope()
        crash: Exception | None = None
        try:
            with self._life:
                async with _entered(self.spec.factory()) as actor:
                    task_status.started()
                    # On trio `started` is silent when the starter has been cancelled: notice it before the shield is up.
                    await anyio.lowlevel.checkpoint()
                    self._life.shield = True
                    self.is_up = True
                    try:
                        with self._work:
                            await self._serve(actor)
                    finally:
                        self._life.deadline = anyio.current_time() + CLEANUP_TIMEOUT_S
        except StopActor:
            pass
        except Exception as error:
            if not self.is_up:
                raise
            crash = error
        finally:
            was_up, self.is_up = self.is_up, False
            self._fail_owed(crash)
            self.ended.set()
        if was_up:
            self._on_exit(self, crash)

    async def _serve(self, actor: object) -> None:
        streak = 0
        while self._stopping != "after this message":
            if self._deferred_crash is not None:
                raise self._deferred_crash
            envelope = self.mailbox.take()
            if envelope is None:
                if self._stopping == "after the queue" and not self._owed:
                    return
                await self.mailbox.wait(self.backend)
                streak = 0
                continue
            self._handling = envelope
            await self._handle(actor, envelope)
            self._handling = None
            streak += 1
            if streak == MESSAGES_PER_TURN_MAX:
                await anyio.lowlevel.checkpoint()
                streak = 0

    async def _handle(self, actor: object, envelope: Envelope) -> None:
        try:
            answer = getattr(actor, envelope.method)(*envelope.args, **envelope.kwargs)
            if type(answer) is Deferred:
                self._defer(envelope, answer)
                return
            envelope.reply(await answer)
        except Refused as refusal:
            self._refuse(envelope, refusal)
        except StopActor:
            envelope.fail(ActorStopped(self.name, was_started=True))
            raise
        except Exception as error:
            envelope.fail(self._crashed(envelope, error))
            raise
        except BaseException:
            envelope.fail(ActorStopped(self.name, was_started=True))
            raise

    def _defer(self, envelope: Envelope, answer: Deferred[object]) -> None:
        self._owed[answer] = envelope

        def settle() -> None:
            if self._owed.pop(answer, None) is None:
                return  # this incarnation is over, and the asker has been told
            error = answer.error
            if error is None:
                envelope.reply(answer.value)
            elif isinstance(error, Refused):
                self._refuse(envelope, error)
            else:
                envelope.fail(self._crashed(envelope, error))
                self._deferred_crash = error if isinstance(error, Exception) else ActorStopped(self.name)
            if self._deferred_crash is not None or (self._stopping != "no" and not self._owed):
                self.mailbox.wake()

        answer.when_done(settle)

    def _refuse(self, envelope: Envelope, refusal: Refused) -> None:
        envelope.fail(refusal)
        if envelope.reply_to is None:
            self._on_event(RefusedTell(self._supervisor, self.name, envelope.method, refusal))

    def _crashed(self, envelope: Envelope, cause: BaseException) -> ActorCrashed:
        crash = ActorCrashed(self.name, envelope.method)
        crash.__cause__ = cause
        return crash

    def _fail_owed(self, crash: Exception | None) -> None:
        owed, self._owed = list(self._owed.values()), {}
        for envelope in owed:
            envelope.fail(
                ActorStopped(self.name, was_started=True) if crash is None else self._crashed(envelope, crash)
            )

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
        """End the incarnation at its next checkpoint. While it is starting this aborts the start."""
        (self._work if self.is_up else self._life).cancel()

    def close(self) -> None:
        """No incarnation will follow: everything undelivered is answered or reported."""
        for envelope in self.mailbox.close(lambda: ActorStopped(self.name)):
            if envelope.reply_to is None and envelope.room is None:
                self._on_event(Undelivered(self._supervisor, self.name, envelope.method))


@asynccontextmanager
async def _entered(actor: object) -> AsyncIterator[object]:
    if hasattr(type(actor), "__aenter__"):
        async with cast("AbstractAsyncContextManager[object]", actor):
            yield actor
    else:
        yield actor
