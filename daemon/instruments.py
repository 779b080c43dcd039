"""What an engine lets others see of its work, and touch: measure it, trace it, make it fail. By default nothing, at no cost.

`metrics.py` and `tracing.py` look, `testing/` meddles; an embedder may do either. Knows none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Literal, Protocol, TypeVar, get_args

import attrs

from actors import Event, EventHook, Hooks

R = TypeVar("R")

StepName = Literal["create", "key", "check", "image", "name", "layer", "volumes", "commit", "register"]
"""The steps of a create (`create/pipeline.py`), in the order in which they begin: `create` is all of it, `image` is a part of
`check`. Not every create takes each: `key` and `volumes` those that have any, `image` those whose body is not known with the
images as they are now, `layer` those whose directories are not ready."""

STEPS: tuple[StepName, ...] = get_args(StepName)


class Step(Protocol):
    """Around each step of each create, in its task: awaits `work` once, and returns or raises what that does."""

    # Any: what passes between a coroutine and its event loop is between the two.
    def __call__(self, name: StepName, work: Coroutine[Any, Any, R], /) -> Coroutine[Any, Any, R]: ...


def plainly(_: StepName, work: Coroutine[Any, Any, R], /) -> Coroutine[Any, Any, R]:
    return work


def unseen(_: Event) -> None:
    """For whoever does not look at the actors."""


def unmeasured(_: int, __: float) -> None:
    """For whoever does not look at commits."""


@attrs.frozen(kw_only=True)
class Instruments:
    step: Step = plainly
    on_event: EventHook = unseen
    """Every event of the actors, in the event loop."""
    on_commit: Callable[[int, float], None] = unmeasured
    """Every group commit: how many writes shared it, and how many seconds the database took to make them durable. In the
    database's thread."""
    hooks: Hooks | None = None
    """Around every message of every actor."""

    def beside(self, other: Instruments) -> Instruments:
        """Both: our steps are around the other's."""
        assert self.hooks is None or other.hooks is None, "only one can be around every message"

        def both(name: StepName, work: Coroutine[Any, Any, R], /) -> Coroutine[Any, Any, R]:
            return self.step(name, other.step(name, work))

        # Eight times a create: what does nothing is not asked.
        step = other.step if self.step is plainly else self.step if other.step is plainly else both

        def on_event(event: Event) -> None:
            self.on_event(event)
            other.on_event(event)

        def on_commit(writes: int, took_s: float) -> None:
            self.on_commit(writes, took_s)
            other.on_commit(writes, took_s)

        return Instruments(step=step, on_event=on_event, on_commit=on_commit, hooks=self.hooks or other.hooks)


UNWATCHED = Instruments()
