"""What an engine shows of its work."""

from __future__ import annotations

from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest

from daemon import ContainerConfig, CreateRequest, Engine, Instruments
from daemon.container import HostConfig
from daemon.create.request import Idempotency
from daemon.errors import NotFound
from daemon.instruments import STEPS, StepName
from tests.daemon.harness import config_at

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Which loop it is makes no difference here, and engines take their time to start."""
    return "asyncio"


R = TypeVar("R")


class Recorder:
    def __init__(self, name: str = "") -> None:
        self.seen: list[str] = []
        self._name = name
        self.instruments = Instruments(
            step=self._step,
            on_event=lambda event: self.seen.append(type(event).__name__),
            on_commit=lambda writes, took_s: self.seen.append(f"commit of {writes}"),
        )

    async def _step(self, name: StepName, work: Coroutine[Any, Any, R], /) -> R:
        self.seen.append(f"{self._name}{name}")
        try:
            return await work
        finally:
            self.seen.append(f"{self._name}/{name}")


async def test_a_create_is_seen_step_by_step_nested_as_it_is(tmp_path: Path) -> None:
    recorder = Recorder()
    async with Engine(config_at(tmp_path), recorder.instruments) as engine:
        await engine.make_image("demo")
        recorder.seen.clear()
        await engine.create(CreateRequest(config=ContainerConfig(image="demo", cmd=("true",))))
        assert recorder.seen == [
            *"create check image /image /check name /name layer /layer commit".split(),
            "commit of 1",
            *"/commit register /register /create".split(),
        ]


async def test_every_step_is_taken_by_a_create_that_has_everything(tmp_path: Path) -> None:
    recorder = Recorder()
    request = CreateRequest(
        config=ContainerConfig(image="demo", cmd=("true",), volumes=("/data",)),
        host_config=HostConfig(),
        idempotency=Idempotency(key="k", fingerprint="f"),
    )
    async with Engine(config_at(tmp_path), recorder.instruments) as engine:
        await engine.make_image("demo")
        recorder.seen.clear()
        await engine.create(request)
        assert [name for name in recorder.seen if name in STEPS] == list(STEPS)


async def test_a_create_that_is_refused_is_seen_up_to_its_refusal(tmp_path: Path) -> None:
    recorder = Recorder()
    async with Engine(config_at(tmp_path), recorder.instruments) as engine:
        recorder.seen.clear()
        with pytest.raises(NotFound):
            await engine.create(CreateRequest(config=ContainerConfig(image="nosuch", cmd=("true",))))
        assert recorder.seen == "create check image /image /check /create".split()


def test_one_that_does_not_look_at_steps_is_not_asked_about_them() -> None:
    looking, blind = Recorder("").instruments, Instruments()
    assert looking.beside(blind).step == blind.beside(looking).step == looking.step
    assert blind.beside(blind).step is blind.step


async def test_two_instruments_see_the_same_and_the_first_is_around_the_second(tmp_path: Path) -> None:
    first, second = Recorder("1 "), Recorder("2 ")
    both = first.instruments.beside(second.instruments)
    async with Engine(config_at(tmp_path), both) as engine:
        assert first.seen == second.seen
        await engine.make_image("demo")
        first.seen.clear()
        second.seen = first.seen
        await engine.create(CreateRequest(config=ContainerConfig(image="demo", cmd=("true",))))
        assert first.seen[:4] == ["1 create", "2 create", "1 check", "2 check"]
        assert first.seen[-2:] == ["2 /create", "1 /create"]
