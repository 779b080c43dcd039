"""The spans of a create."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from daemon import ContainerConfig, CreateRequest, Engine
from daemon.errors import NotFound
from daemon.tracing import tracing
from tests.daemon.harness import config_at

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Which loop it is makes no difference here, and engines take their time to start."""
    return "asyncio"


def tree(spans: Sequence[ReadableSpan]) -> dict[str, str]:
    """The parent of each, by name."""
    names = {span.context.span_id: span.name for span in spans if span.context}
    return {span.name: names[span.parent.span_id] if span.parent else "" for span in spans}


async def test_a_create_is_a_span_below_its_callers_with_one_for_each_step(tmp_path: Path) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    async with Engine(config_at(tmp_path), tracing(tracer)) as engine:
        await engine.make_image("demo")
        with tracer.start_as_current_span("caller"):
            await engine.create(CreateRequest(config=ContainerConfig(image="demo", cmd=("true",))))
        assert tree(exporter.get_finished_spans()) == {
            "caller": "",
            "create": "caller",
            "create.check": "create",
            "create.image": "create.check",
            "create.name": "create",
            "create.layer": "create",
            "create.commit": "create",
            "create.register": "create",
        }
        exporter.clear()
        with pytest.raises(NotFound):
            await engine.create(CreateRequest(config=ContainerConfig(image="nosuch", cmd=("true",))))
        spans = {span.name: span for span in exporter.get_finished_spans()}
        assert {name: span.status.status_code for name, span in spans.items()} == {
            "create": StatusCode.ERROR,
            "create.check": StatusCode.ERROR,
            "create.image": StatusCode.ERROR,
        }
        assert "No such image: nosuch" in str(spans["create"].status.description)
