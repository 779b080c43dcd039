"""Bad days on demand: a step of a create that fails or takes its time, an actor that crashes.

A fault strikes until it is cleared, has struck as often as it was to, or its block is left:

    with engine.faults.fail("commit") as fault:
        with pytest.raises(docker.errors.APIError, match="no space left on device"):
            client.containers.create("busybox")
    assert fault.struck == 1

A step that fails is undone by the daemon as on any such day. The texts are what dockerd says on a full or broken disk.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, Self, TypeVar

import anyio
import attrs

from actors.testing import InjectedCrash
from daemon.errors import DaemonError, System
from daemon.instruments import STEPS, Instruments, StepName
from daemon.services import Services

R = TypeVar("R")

Place = tuple[Literal["step", "actor"], str]

ACTORS = tuple(field.name for field in attrs.fields(Services))

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "create": "write /var/lib/docker/containers: input/output error",
        "key": "write /var/lib/docker/containers: input/output error",
        "check": "lstat /var/lib/docker: input/output error",
        "image": "open /var/lib/docker/image/overlay2/imagedb/content/sha256: input/output error",
        "name": "write /var/lib/docker/containers: input/output error",
        "layer": "mkdir /var/lib/docker/overlay2: no space left on device",
        "volumes": "mkdir /var/lib/docker/volumes: no space left on device",
        "commit": "open /var/lib/docker/containers/.tmp-config.v2.json: no space left on device",
    }
)
"""For each step that can fail: what follows the commit is done in any case."""


class Fault:
    """One that has been asked for. As a context manager, it strikes within its block only."""

    def __init__(
        self, place: Place, times: int | None, error: Exception | None = None, *, delay_s: float = 0.0
    ) -> None:
        self.place = place
        self.struck = 0
        """How often."""
        self._left = times
        self._error = error
        self._delay_s = delay_s

    async def strike(self) -> None:
        """Do it, if it is to be done once more."""
        if self._left == 0:
            return
        if self._left is not None:
            self._left -= 1
        self.struck += 1
        await anyio.sleep(self._delay_s)
        if self._error is not None:
            raise self._error.with_traceback(None)

    def clear(self) -> None:
        """It strikes no more. Harmless twice."""
        self._left = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()


class Faults:
    """Of one engine. Asked for in any thread, they strike in the engine's."""

    def __init__(self) -> None:
        self.instruments = Instruments(step=self._step, hooks=self)
        self._planned: dict[Place, tuple[Fault, ...]] = {}
        """Replaced, not changed: the engine's thread may be looking."""

    def fail(self, step: str, error: DaemonError | None = None, *, times: int | None = None) -> Fault:
        """Creates fail at that step: with `error`, by default a 500 and what dockerd says on a full or broken disk.

        `times` is how many of them, None for all. Raises ValueError: there is no such step, or it cannot fail.
        """
        _check("step", step, STEPS)
        if step not in TEXTS:
            raise ValueError(f"{step!r} cannot fail: by then the container is there. Delay it, or crash an actor")
        return self._plan(Fault(("step", step), times, error or System(TEXTS[step])))

    def delay(self, step: str, seconds: float, *, times: int | None = None) -> Fault:
        """Creates take so much longer at that step. Raises ValueError: there is no such step."""
        _check("step", step, STEPS)
        return self._plan(Fault(("step", step), times, delay_s=seconds))

    def crash(self, actor: str, *, times: int = 1) -> Fault:
        """That actor crashes when it is to handle its next message, `times` in a row, and is started again.

        Whoever asked gets a 503. The database is not started again, nor is anything that crashes more than three times in five
        seconds: that is the end of the engine, as a daemon ends. Raises ValueError: there is no such actor.
        """
        _check("actor", actor, ACTORS)
        return self._plan(Fault(("actor", actor), times, InjectedCrash(f"of {actor}")))

    def clear(self) -> None:
        """All of them."""
        for faults in self._planned.values():
            for fault in faults:
                fault.clear()

    @property
    def have_crashed(self) -> bool:
        """Whether an actor has, because of us."""
        return any(fault.struck for (kind, _), faults in self._planned.items() if kind == "actor" for fault in faults)

    async def before_handle(self, actor: str, method: str) -> None:
        await self._strike(("actor", actor))

    async def after_handle(self, actor: str, method: str) -> None: ...

    async def _step(self, name: StepName, work: Coroutine[Any, Any, R], /) -> R:
        try:
            await self._strike(("step", name))
        except BaseException:
            work.close()  # it has not begun
            raise
        return await work

    def _plan(self, fault: Fault) -> Fault:
        self._planned = {**self._planned, fault.place: (*self._planned.get(fault.place, ()), fault)}
        return fault

    async def _strike(self, place: Place) -> None:
        for fault in self._planned.get(place, ()):
            await fault.strike()


def _check(kind: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        raise ValueError(f"there is no {kind} {name!r}; there are: {', '.join(known)}")
