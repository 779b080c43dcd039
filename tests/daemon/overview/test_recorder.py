"""What is remembered of creates and of actors."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from actors import ChildCrashed, ChildStarted, ChildStopped, StopTimeout
from daemon.errors import Conflict
from daemon.instruments import Instruments
from daemon.overview.recorder import HAPPENED_MAX, TEXT_LENGTH_MAX, Recorder

pytestmark = pytest.mark.anyio


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s

    async def run(self, for_s: float, error: Exception | None = None) -> str:
        self.now_s += for_s
        if error is not None:
            raise error
        return "done"


async def test_a_create_is_remembered_with_its_end_and_how_long_it_took() -> None:
    clock = Clock()
    recorder = Recorder(clock)
    assert await recorder.recorded(clock.run(0.25)) == "done"
    with pytest.raises(Conflict):
        await recorder.recorded(clock.run(0.5, Conflict("taken")))
    with pytest.raises(ZeroDivisionError):
        await recorder.recorded(clock.run(0, ZeroDivisionError()))
    with anyio.CancelScope() as scope:
        scope.cancel()
        await recorder.recorded(anyio.lowlevel.checkpoint())
    assert recorder.outcomes == {"created": 1, "conflict": 1, "failed": 1, "cancelled": 1}
    span = recorder.timeline.recent(101.0)
    assert (span.created, span.refused, span.failed) == (1, 2, 1)
    assert span.longest_s == pytest.approx(0.25, rel=0.01)


def test_the_steps_of_a_create_are_somebody_elses() -> None:
    other = Instruments(step=lambda _, work: work)
    assert Recorder().instruments.beside(other).step is other.step


def test_the_last_that_happened_to_actors_is_kept() -> None:
    recorder = Recorder(now_ns=lambda: 7)
    for event in (
        ChildStarted("services", "events", 1),
        ChildCrashed("services", "events", ValueError("x" * 1000)),
        ChildStarted("services", "events", 2),
        ChildStarted("services", "registrar", 2),
        StopTimeout("services", "keys", 11.2, ("a.py:1 f", "b.py:2 g")),
        StopTimeout("services", "keys", 12.2, ()),
        ChildStopped("services", "keys"),
    ):
        recorder.instruments.on_event(event)
    told = [(each.name, each.action, each.text) for each in recorder.happened]
    assert told == [
        ("events", "crashed", f"ValueError: {'x' * 1000}"[:TEXT_LENGTH_MAX]),
        ("events", "restarted", ""),
        ("keys", "does not stop", "for 11 s, at b.py:2 g"),
        ("keys", "does not stop", "for 12 s, at no place known"),
    ]
    assert {(each.kind, each.time_ns) for each in recorder.happened} == {("actor", 7)}
    for _ in range(100):
        recorder.instruments.on_event(ChildCrashed("services", "events", ValueError()))
    assert len(recorder.happened) == HAPPENED_MAX
