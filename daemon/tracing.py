"""OpenTelemetry spans of a create: one for all of it, one below it for each step. Needs `boatyard[opentelemetry]`.

    async with Engine(config, tracing(opentelemetry.trace.get_tracer("app"))) as engine:
        ...

A span that is open where `Engine.create` is called is their parent; what is refused is recorded in the span that refused it.
To record a create, in seven spans, takes as much CPU again as to make it: sample, as `TraceIdRatioBased` does. Of a create that
is not recorded the steps are no spans at all.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from opentelemetry.trace import Tracer, get_current_span

from daemon.instruments import Instruments, StepName

R = TypeVar("R")


def tracing(tracer: Tracer) -> Instruments:
    async def step(name: StepName, work: Coroutine[Any, Any, R], /) -> R:
        if name == "create":
            with tracer.start_as_current_span("create"):
                return await work
        if not get_current_span().is_recording():
            return await work
        with tracer.start_as_current_span(f"create.{name}"):
            return await work

    return Instruments(step=step)
