"""What the engine itself decides, without a socket."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path

import anyio
import anyio.lowlevel
import attrs
import pytest

from actors.testing import crash, quiesce
from contrib.unclaimed import leftover
from daemon.api import calls
from daemon.container import ContainerConfig
from daemon.create.request import CreateRequest
from daemon.engine import Engine
from daemon.errors import Overloaded
from daemon.services import Services
from daemon.storage import failpoints
from tests.daemon.harness import config_at, engine_at
from tests.daemon.storage.making import names_in

pytestmark = pytest.mark.anyio

ACTORS = [field.name for field in attrs.fields(Services) if field.name != "database"]
"""In the order in which they start."""
BACK_S_MAX = 20.0

REQUEST = CreateRequest(config=ContainerConfig(image="busybox", cmd=("true",)))


async def test_creates_beyond_the_limit_are_refused_at_once_and_taken_again_after_that(tmp_path: Path) -> None:
    async with engine_at(tmp_path):
        pass
    config = attrs.evolve(config_at(tmp_path), creates_max=2)
    made, refused = 0, 0

    async def create(engine: Engine) -> None:
        nonlocal made, refused
        try:
            await engine.create(REQUEST)
            made += 1
        except Overloaded as error:
            assert str(error) == "too many creates are under way, try again"
            assert calls.refusal(error).pause_s == calls.RETRY_AFTER_S
            refused += 1

    async with Engine(config) as engine:
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(create, engine)
        assert (made, refused) == (2, 3)
        await create(engine)
        assert (made, refused) == (3, 3)


async def test_the_actors_of_an_engine_in_order_answer(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        assert await engine.is_answering()


def restarts(engine: Engine) -> Mapping[str, int]:
    _, services = engine.snapshots()
    return {child.name: child.restarts for child in services.children}


@pytest.mark.parametrize("actor", ACTORS)
async def test_an_actor_that_crashes_is_restarted_and_no_other(actor: str, tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        crash(getattr(engine.services, actor))
        with anyio.fail_after(BACK_S_MAX):
            while not any(restarts(engine).values()):
                await anyio.lowlevel.checkpoint()
        assert await engine.is_answering()
        await quiesce()
        assert restarts(engine) == {name: int(name == actor) for name in ACTORS}


@pytest.mark.parametrize("pair", [*itertools.pairwise(reversed(ACTORS))], ids="-".join)
async def test_two_actors_that_crash_at_once_are_both_back(pair: tuple[str, str], tmp_path: Path) -> None:
    """The later one first: if it asked the earlier one for something in order to start, it would wait for ever."""
    async with engine_at(tmp_path) as engine:
        for actor in pair:
            crash(getattr(engine.services, actor))
        with anyio.fail_after(BACK_S_MAX):
            while sum(restarts(engine).values()) < len(pair):
                await anyio.lowlevel.checkpoint()
            assert await engine.is_answering()
            await engine.create(REQUEST)
        assert {name for name, count in restarts(engine).items() if count} == set(pair)


async def test_called_off_before_it_has_recovered_it_leaves_that_to_the_next_start(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        data_root = engine.config.data_root
    (data_root / "stopped-cleanly").unlink()
    residue = data_root / "staging" / "half"
    residue.mkdir()
    with anyio.CancelScope() as scope:
        scope.cancel()
        async with Engine(config_at(tmp_path)):
            pytest.fail("a start that is called off comes to an end")
    assert scope.cancelled_caught
    async with Engine(config_at(tmp_path)):
        assert not residue.exists()


async def test_residue_of_an_init_layer_that_the_disk_refused_is_gone_after_the_next_start(tmp_path: Path) -> None:
    failpoints.arm("disk.before_remove_tree=1*error(EIO)")
    try:
        async with Engine(config_at(tmp_path)) as engine:
            layers = engine.config.data_root / "layers"
            assert len(names_in(layers)) == 2, "what it was made in is left beside it"
    finally:
        failpoints.arm("")
    async with Engine(config_at(tmp_path)):
        assert names_in(layers) == ["scratch"]


async def test_what_was_made_for_creates_that_did_not_come_is_there_after_a_clean_stop(tmp_path: Path) -> None:
    async with engine_at(tmp_path, ready_trees=3) as engine:
        containers = engine.config.data_root / "containers"
        ready = engine.ready.names()
    assert leftover(containers.parent) == frozenset()
    assert names_in(containers) == sorted(ready)
    async with Engine(config_at(tmp_path, ready_trees=3)) as engine:
        assert engine.ready.names() == ready
        created = await engine.create(CreateRequest(config=ContainerConfig(image="busybox", cmd=("true",))))
        assert created.id in ready
        assert not (containers.parent / "prepared").exists()


async def test_after_a_crash_they_get_another_id(tmp_path: Path) -> None:
    """As some create may have told the one they had."""
    async with engine_at(tmp_path, ready_trees=3) as engine:
        root = engine.config.data_root
        ready = engine.ready.names()
        inodes = {path.stat().st_ino for path in (root / "containers").iterdir()}
    (root / "stopped-cleanly").unlink()
    async with engine_at(tmp_path, ready_trees=3) as engine:
        assert engine.ready.names().isdisjoint(ready)
        assert {path.stat().st_ino for path in (root / "containers").iterdir()} == inodes
