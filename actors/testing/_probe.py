"""An actor that stands in for another: it records what it is asked, and replies as it is told."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, cast

import anyio
import attrs

from actors._errors import Refused
from actors._ref import Ref
from actors._supervisor import Supervisor

A = TypeVar("A")
P = ParamSpec("P")
R = TypeVar("R")


@attrs.frozen
class Call:
    """A message that a probe has received."""

    method: str
    args: tuple[object, ...] = ()
    kwargs: Mapping[str, object] = attrs.field(factory=dict)


class Unscripted(Refused):
    """The probe was asked for what the test has not foreseen."""


class Probe(Generic[A]):
    """Its `ref` is a real one, of a real actor: mailbox, deadlines, and what an asker sees of a crash are those of any."""

    ref: Ref[A]

    def __init__(self) -> None:
        self.calls: list[Call] = []
        """In the order in which they were handled."""
        self._scripts: dict[str, deque[object]] = {}
        self._news = anyio.Event()

    def reply(self, method: Callable[Concatenate[A, ...], Awaitable[R]], *values: R) -> None:
        """The next calls of `method` are answered with `values`, one after the other, and all after that with the last."""
        self._scripts[_name(method)] = deque(values)

    def fail(self, method: Callable[Concatenate[A, ...], Awaitable[object]], error: Exception) -> None:
        """Calls of `method` raise `error`: a `Refused` is an answer, anything else a crash of the probe."""
        self._scripts[_name(method)] = deque([_Raise(error)])

    def hang(self, method: Callable[Concatenate[A, ...], Awaitable[object]]) -> None:
        """Calls of `method` never return."""
        self._scripts[_name(method)] = deque([_HANG])

    async def wait_call(self, method: Callable[Concatenate[A, ...], Awaitable[object]], count: int = 1) -> Call:
        """The `count`-th call of `method` since the start, waited for."""
        while len(found := [call for call in self.calls if call.method == _name(method)]) < count:
            self._news = anyio.Event()
            await self._news.wait()
        return found[count - 1]

    async def _handle(self, call: Call) -> object:
        self.calls.append(call)
        self._news.set()
        script = self._scripts.get(call.method)
        if not script:
            raise Unscripted(f"no reply to {call.method!r} is scripted")
        step = script.popleft() if len(script) > 1 else script[0]
        if isinstance(step, _Raise):
            raise step.error
        if step is _HANG:
            await anyio.sleep_forever()
        return step


@attrs.frozen
class _Raise:
    error: Exception


_HANG = object()


class _StandIn:
    """Has every method there is."""

    def __init__(self, probe: Probe[Any]) -> None:
        self._probe = probe

    def __getattr__(self, name: str) -> Callable[..., Awaitable[object]]:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args, **kwargs: self._probe._handle(Call(name, args, kwargs))


@asynccontextmanager
async def open_probe(of: type[A], *, name: str | None = None) -> AsyncIterator[Probe[A]]:
    """A probe in place of an actor of class (or Protocol) `of`, under a supervisor of its own that restarts it for ever."""
    probe: Probe[A] = Probe()
    async with Supervisor(intensity=(1_000_000, 1.0), name="probe") as supervisor:
        stand_in = await supervisor.start(lambda: _StandIn(probe), name=name or of.__name__)
        probe.ref = cast("Ref[A]", stand_in)
        try:
            yield probe
        finally:
            await stand_in.cancel()  # it may hang


def _name(method: Callable[..., Any]) -> str:
    # Any: a method of whatever class; only its name is used.
    return method.__name__
