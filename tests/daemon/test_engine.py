"""What the engine itself decides, without a socket."""

from __future__ import annotations

from pathlib import Path

import anyio
import attrs
import pytest

from daemon.container import ContainerConfig
from daemon.create.request import CreateRequest
from daemon.engine import Engine
from daemon.errors import Unavailable
from tests.daemon.harness import config_at, engine_at

pytestmark = pytest.mark.anyio

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
        except Unavailable as error:
            assert str(error) == "too many creates are under way, try again"
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
