"""What Prometheus gets to see, read as Prometheus reads it."""

from __future__ import annotations

import math
from pathlib import Path

import anyio
import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families

from actors.testing import crash, quiesce
from daemon import ContainerConfig, CreateRequest, Engine
from daemon.errors import Conflict, InvalidParameter, NotFound, Unavailable
from daemon.instruments import STEPS
from daemon.metrics import Metrics
from tests.daemon.harness import config_at

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Which loop it is makes no difference here, and engines take their time to start."""
    return "asyncio"


def request(name: str = "", **fields: object) -> CreateRequest:
    config = ContainerConfig(**{"image": "demo", "cmd": ("true",), **fields})  # type: ignore[arg-type]  # a test's
    return CreateRequest(name=name, config=config)


def sample(metrics: Metrics, name: str, **labels: str) -> float:
    """NaN if there is none."""
    for family in text_string_to_metric_families(metrics.page().decode()):
        for found in family.samples:
            if found.name == name and found.labels == labels:
                return float(found.value)
    return math.nan


async def test_creates_are_counted_by_what_became_of_them(tmp_path: Path) -> None:
    metrics = Metrics()
    async with Engine(config_at(tmp_path), metrics.instruments) as engine:
        await engine.make_image("demo")
        await engine.create(request("web"))
        await engine.create(request())
        for kind, refused in (
            (Conflict, request("web")),
            (NotFound, request(image="nosuch")),
            (InvalidParameter, request("/")),
        ):
            with pytest.raises(kind):
                await engine.create(refused)
        with anyio.CancelScope() as scope:
            scope.cancel()
            await engine.create(request())
    found = {
        outcome: sample(metrics, "boatyard_creates_total", outcome=outcome)
        for outcome in "created conflict not_found invalid cancelled failed unavailable".split()
    }
    assert found == {
        "created": 2,
        "conflict": 1,
        "not_found": 1,
        "invalid": 1,
        "cancelled": 1,
        "failed": 0,
        "unavailable": 0,
    }


async def test_each_step_has_a_histogram_and_each_commit_is_measured(tmp_path: Path) -> None:
    metrics = Metrics()
    async with Engine(config_at(tmp_path), metrics.instruments) as engine:
        await engine.make_image("demo")
        commits = sample(metrics, "boatyard_commit_seconds_count")
        for _ in range(3):
            await engine.create(request())
    for step in STEPS:
        expected = 0 if step in ("key", "volumes") else 3
        assert sample(metrics, "boatyard_create_step_seconds_count", step=step) == expected, step
        assert sample(metrics, "boatyard_create_step_seconds_bucket", step=step, le="+Inf") == expected
    whole, layer = (sample(metrics, "boatyard_create_step_seconds_sum", step=step) for step in ("create", "layer"))
    assert 0 < layer < whole
    assert sample(metrics, "boatyard_commit_seconds_count") == commits + 3
    assert sample(metrics, "boatyard_commit_writes_bucket", le="1.0") >= 3
    assert sample(metrics, "boatyard_commit_seconds_sum") > 0


async def test_a_bound_counts_what_is_not_above_it() -> None:
    metrics = Metrics()
    for writes in (1, 2, 3, 300):
        metrics.instruments.on_commit(writes, 0.001)
    found = {
        le: sample(metrics, "boatyard_commit_writes_bucket", le=le) for le in ("1.0", "2.0", "4.0", "256.0", "+Inf")
    }
    assert found == {"1.0": 1, "2.0": 2, "4.0": 3, "256.0": 3, "+Inf": 4}
    assert sample(metrics, "boatyard_commit_seconds_bucket", le="0.001") == 4


async def test_actors_show_their_mailboxes_and_restarts(tmp_path: Path) -> None:
    metrics = Metrics()
    async with Engine(config_at(tmp_path), metrics.instruments) as engine:
        with metrics.observing(engine):
            assert sample(metrics, "boatyard_actor_restarts_total", actor="transfers") == 0
            crash(engine.services.transfers)
            await quiesce()
            assert sample(metrics, "boatyard_actor_crashes_total", actor="transfers") == 1
            assert sample(metrics, "boatyard_actor_restarts_total", actor="transfers") == 1
            for actor in ("database", "allocator", "transfers"):
                assert sample(metrics, "boatyard_mailbox_messages", actor=actor) == 0
                assert sample(metrics, "boatyard_mailbox_wait_seconds", actor=actor) >= 0
        assert math.isnan(sample(metrics, "boatyard_mailbox_messages", actor="database"))


async def test_creates_that_are_turned_away_are_counted(tmp_path: Path) -> None:
    metrics = Metrics()
    async with Engine(config_at(tmp_path), metrics.instruments) as engine:
        with metrics.observing(engine):
            engine.creates_under_way += engine.config.creates_max
            with pytest.raises(Unavailable):
                engine.check_room()
            assert sample(metrics, "boatyard_creates_under_way") == engine.config.creates_max
            assert sample(metrics, "boatyard_creates_turned_away_total") == 1


async def test_they_are_shown_beside_those_of_the_host(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    Counter("my_jobs", "Of the host", registry=registry).inc()
    metrics = Metrics(registry)
    assert sample(metrics, "my_jobs_total") == 1
    assert sample(metrics, "boatyard_creates_total", outcome="created") == 0


async def test_the_daemons_own_show_its_process() -> None:
    assert sample(Metrics.of_this_process(), "process_open_fds") > 0
