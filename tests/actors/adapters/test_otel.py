"""The metrics and the spans of a tree, as OpenTelemetry's own SDK collects them."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from functools import partial
from typing import Self

import anyio
import anyio.to_thread
import pytest
from anyio.lowlevel import checkpoint
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link

from actors import ActorCrashed, Pool, Ref, Refused, Supervisor
from actors.adapters import otel
from actors.adapters.otel import Metrics, current_links

pytestmark = pytest.mark.anyio

Point = tuple[str, frozenset[tuple[str, object]]]


class Collector:
    """A reader, and what it last collected: values by instrument and attributes."""

    def __init__(self) -> None:
        self.reader = InMemoryMetricReader()
        self.provider = MeterProvider(metric_readers=[self.reader], shutdown_on_exit=False)
        self.metrics = Metrics(self.provider.get_meter("tests"))

    def collect(self) -> dict[Point, float]:
        found: dict[Point, float] = {}
        data = self.reader.get_metrics_data()
        for resource in data.resource_metrics if data is not None else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    for point in metric.data.data_points:
                        assert isinstance(point, NumberDataPoint)
                        found[metric.name, frozenset((point.attributes or {}).items())] = point.value
        return found


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.provider.shutdown()


def point(name: str, **attributes: str) -> Point:
    """An instrument's point; the attributes by the last words of their names."""
    keys = {
        "supervisor": otel.SUPERVISOR,
        "path": otel.PATH,
        "child": otel.CHILD,
        "state": otel.STATE,
        "method": otel.MESSAGE,
        "error": otel.ERROR_TYPE,
    }
    return f"actors.{name}", frozenset((keys[key], value) for key, value in attributes.items())


class Vase:
    def __init__(self) -> None:
        self.gate = anyio.Event()

    async def ping(self) -> None: ...

    async def crash(self) -> None:
        raise ValueError("glass")

    async def refuse(self) -> None:
        raise Refused("no")

    async def hang(self) -> None:
        await anyio.sleep_forever()


async def test_events_are_counted_by_supervisor_child_and_cause(collector: Collector) -> None:
    async with Supervisor(name="tree", on_event=collector.metrics.on_event) as supervisor:
        vase = await supervisor.start(Vase, name="vase", mailbox_capacity=1, overflow="drop_new", stop_timeout_s=0.001)
        await supervisor.start(Vase, name="bowl")
        for _ in range(2):
            with pytest.raises(ActorCrashed):
                await vase.ask(Vase.crash)
            await vase.ask(Vase.ping)
        vase.tell(Vase.refuse)
        await anyio.wait_all_tasks_blocked()
        vase.tell(Vase.hang)
        await anyio.wait_all_tasks_blocked()
        vase.tell(Vase.ping)  # never read, as the actor is cancelled
        vase.tell(Vase.ping)  # dropped
    of_vase = partial(point, supervisor="tree", child="vase")
    assert collector.collect() == {
        of_vase("child.starts"): 1,
        of_vase("child.restarts"): 2,
        of_vase("child.crashes", error="ValueError"): 2,
        of_vase("child.stops"): 1,
        of_vase("child.stop_timeouts"): 1,
        of_vase("message.refused", method="refuse", error="Refused"): 1,
        of_vase("message.undelivered", method="ping", error="MailboxFull"): 1,
        of_vase("message.undelivered", method="ping", error="ActorStopped"): 1,
        point("child.starts", supervisor="tree", child="bowl"): 1,
        point("child.stops", supervisor="tree", child="bowl"): 1,
    }


class Branch:
    """An actor with a supervisor of its own."""

    async def __aenter__(self) -> Self:
        self._supervisor = await Supervisor(name="twigs").__aenter__()
        await self._supervisor.start(Vase, name="leaf", mailbox_capacity=5)
        return self

    async def __aexit__(self, *exit_info: object) -> None:
        await self._supervisor.__aexit__(None, None, None)


async def test_the_whole_tree_is_observed_each_supervisor_by_its_path(collector: Collector) -> None:
    async with Supervisor(name="tree", intensity=(9, 1.0)) as supervisor:
        vase = await supervisor.start(Vase, name="vase", mailbox_capacity=2)
        await supervisor.start(Branch, name="branch")
        with pytest.raises(ActorCrashed):
            await vase.ask(Vase.crash)
        await vase.ask(Vase.ping)
        async with anyio.create_task_group() as group:
            for _ in range(4):  # one is handled, two are queued, one waits
                group.start_soon(vase.ask, Vase.hang)
            await anyio.wait_all_tasks_blocked()
            with collector.metrics.observe(supervisor):
                seen = collector.collect()
            group.cancel_scope.cancel()
        await vase.cancel()
        assert not collector.collect()
    of_vase = partial(point, supervisor="tree", path="tree", child="vase")
    leaf = partial(point, supervisor="twigs", path="tree/branch/twigs", child="leaf")
    wait_time_s = seen.pop(of_vase("mailbox.wait_time"))
    assert wait_time_s >= 0
    assert {key: value for key, value in seen.items() if ("actors.child.name", "vase") in key[1]} == {
        of_vase("child.incarnation"): 2,
        of_vase("child.status", state="up"): 1,
        of_vase("child.status", state="stopping"): 0,
        of_vase("child.status", state="restarting"): 0,
        of_vase("child.status", state="backing_off"): 0,
        of_vase("message.handled"): 1,
        of_vase("message.abandoned"): 0,
        of_vase("mailbox.usage"): 2,
        of_vase("mailbox.limit"): 2,
        of_vase("mailbox.waiting"): 1,
    }
    assert seen[leaf("mailbox.limit")] == 5
    assert seen[leaf("child.incarnation")] == 1


async def test_the_mailbox_that_a_pool_shares_is_observed_once(collector: Collector) -> None:
    async with Supervisor(name="tree") as supervisor:
        await Pool.start(supervisor, Vase, name="pool", size=3, mailbox_capacity=7)
        with collector.metrics.observe(supervisor):
            seen = collector.collect()
    limits = {key: value for key, value in seen.items() if key[0] == "actors.mailbox.limit"}
    assert limits == {point("mailbox.limit", supervisor="tree", path="tree", child="pool"): 7}
    members = {dict(attributes)[otel.CHILD] for name, attributes in seen if name == "actors.message.handled"}
    assert members == {"pool/0", "pool/1", "pool/2"}


async def test_a_collection_takes_one_snapshot_and_the_next_takes_another(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Supervisor(name="tree") as supervisor:
        vase = await supervisor.start(Vase, name="vase")
        taken = 0
        snapshot = supervisor.snapshot

        def count() -> object:
            nonlocal taken
            taken += 1
            return snapshot()

        monkeypatch.setattr(supervisor, "snapshot", count)
        handled = point("message.handled", supervisor="tree", path="tree", child="vase")
        with collector.metrics.observe(supervisor):
            for number in range(1, 4):
                await vase.ask(Vase.ping)
                assert collector.collect()[handled] == number
                assert taken == number


async def test_a_reader_in_another_thread_sees_the_tree_through_its_loop(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Supervisor(name="tree") as supervisor:
        await supervisor.start(Vase, name="vase")
        threads: set[int] = set()
        snapshot = supervisor.snapshot

        def note_thread() -> object:
            threads.add(threading.get_ident())
            return snapshot()

        monkeypatch.setattr(supervisor, "snapshot", note_thread)
        with collector.metrics.observe(supervisor):
            seen = await anyio.to_thread.run_sync(collector.collect)
    assert seen[point("child.status", supervisor="tree", path="tree", child="vase", state="up")] == 1
    assert threads == {threading.get_ident()}


async def test_a_tree_whose_loop_is_busy_is_left_out(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(otel, "SNAPSHOT_TIMEOUT_S", 0.0)
    seen: list[dict[Point, float]] = []
    async with Supervisor(name="tree") as supervisor:
        await supervisor.start(Vase, name="vase")
        with collector.metrics.observe(supervisor):
            thread = threading.Thread(target=lambda: seen.append(collector.collect()))
            thread.start()
            thread.join()  # the loop stands still meanwhile
    assert seen == [{}]
    assert not caplog.records  # the SDK logs what a callback raises


class Tracing:
    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = provider.get_tracer("tests")

    def spans(self) -> Mapping[str, ReadableSpan]:
        return {span.name: span for span in self.exporter.get_finished_spans()}


TRACING = Tracing()
"""Of all tests: a decorated handler needs its tracer when its class is made."""


@pytest.fixture
def spans() -> Tracing:
    TRACING.exporter.clear()
    return TRACING


class Counter:
    def __init__(self) -> None:
        self.value = 0

    @TRACING.tracer.start_as_current_span("Counter.add")
    async def add(self, n: int) -> int:
        await checkpoint()
        with TRACING.tracer.start_as_current_span("inner"):
            await checkpoint()
        self.value += n
        return self.value

    async def post(self, n: int, links: Sequence[Link] = ()) -> None:
        with TRACING.tracer.start_as_current_span("Counter.post", links=links):
            await checkpoint()
            self.value += n


@pytest.fixture
async def counter() -> AsyncIterator[Ref[Counter]]:
    async with Supervisor() as supervisor:
        yield await supervisor.start(Counter, name="counter", context="caller")


def ids(span: ReadableSpan) -> tuple[int, int]:
    context = span.get_span_context()
    assert context is not None
    return context.trace_id, context.span_id


async def test_a_span_in_a_handler_is_a_child_of_its_askers(spans: Tracing, counter: Ref[Counter]) -> None:
    async def ask(name: str) -> None:
        with spans.tracer.start_as_current_span(name) as asker:
            await counter.ask(Counter.add, 1)
            assert trace.get_current_span() is asker

    async with anyio.create_task_group() as group:
        for name in ("a", "b"):
            group.start_soon(ask, name)
    finished = spans.exporter.get_finished_spans()
    by_id = {ids(span)[1]: span for span in finished}
    parents = [(span.name, by_id[span.parent.span_id].name) for span in finished if span.parent is not None]
    assert sorted(parents) == [
        ("Counter.add", "a"),
        ("Counter.add", "b"),
        ("inner", "Counter.add"),
        ("inner", "Counter.add"),
    ]
    assert {span.name for span in finished if span.parent is None} == {"a", "b"}


@pytest.mark.parametrize("verb", ["tell", "send"])
async def test_a_span_of_a_message_that_nobody_waits_for_is_linked_to_its_senders(
    verb: str, spans: Tracing, counter: Ref[Counter]
) -> None:
    with spans.tracer.start_as_current_span("sender"):
        if verb == "tell":
            counter.tell(Counter.post, 1, current_links())
        else:
            await counter.send(Counter.post, 1, current_links())
    await counter.ask(Counter.post, 1)
    found = [span for span in spans.exporter.get_finished_spans() if span.name == "Counter.post"]
    linked, asked = found
    assert linked.parent is None
    assert [(link.context.trace_id, link.context.span_id) for link in linked.links] == [ids(spans.spans()["sender"])]
    assert not asked.links


async def test_a_span_of_a_tell_is_below_the_one_in_which_the_supervisor_was_entered(spans: Tracing) -> None:
    with spans.tracer.start_as_current_span("host"):
        async with Supervisor() as supervisor:
            with spans.tracer.start_as_current_span("starter"):
                counter = await supervisor.start(Counter, name="counter", context="caller")
            with spans.tracer.start_as_current_span("sender"):
                counter.tell(Counter.post, 1)
    finished = spans.spans()
    parent = finished["Counter.post"].parent
    assert parent is not None
    assert (parent.trace_id, parent.span_id) == ids(finished["host"])


def test_where_no_span_is_open_there_is_nothing_to_link_to() -> None:
    assert current_links() == ()
