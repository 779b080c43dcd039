"""An engine that lives in somebody's program: on a socket or not, several at a time, ended in every way, with nothing left."""

from __future__ import annotations

import fcntl
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.abc
import anyio.lowlevel
import httpx
import pytest

from actors.testing import no_leaks
from daemon import Engine, Instruments
from daemon.errors import System
from daemon.instruments import StepName
from tests.daemon.harness import config_at, state_of

pytestmark = pytest.mark.anyio

R = TypeVar("R")

TIMEOUT_S = 20

BODY = {"Image": "demo", "Cmd": ["true"]}


class Gate:
    """Holds creates at the step `layer` until it is opened."""

    def __init__(self) -> None:
        self.reached, self.opened = anyio.Event(), anyio.Event()
        self.instruments = Instruments(step=self._step)

    async def _step(self, name: StepName, work: Coroutine[Any, Any, R], /) -> R:
        if name == "layer":
            self.reached.set()
            try:
                await self.opened.wait()
            except BaseException:
                work.close()
                raise
        return await work


@asynccontextmanager
async def client_at(socket: Path) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.AsyncHTTPTransport(uds=str(socket))
    async with httpx.AsyncClient(transport=transport, base_url="http://docker", timeout=TIMEOUT_S) as client:
        yield client


async def create(socket: Path, *, task_status: anyio.abc.TaskStatus[list[int]]) -> None:
    """Tells the status of its create, or 0 where it got none."""
    statuses = list[int]()
    task_status.started(statuses)
    async with client_at(socket) as client:
        try:
            answer = await client.post("/containers/create", json=BODY)
        except httpx.TransportError:
            statuses.append(0)
        else:
            statuses.append(answer.status_code)


def is_locked(data_root: Path) -> bool:
    with (data_root / "lock").open("r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


async def test_an_engine_is_served_until_its_block_ends_and_leaves_nothing(tmp_path: Path) -> None:
    config, socket = config_at(tmp_path), tmp_path / "socket"
    async with no_leaks(), Engine(config) as engine:
        await engine.make_image("demo")
        assert is_locked(config.data_root)
        async with engine.serving(socket), client_at(socket) as client:
            assert (await client.post("/containers/create", json=BODY)).status_code == 201
        assert not socket.exists()
        async with engine.serving(socket), client_at(socket) as client:  # and once more
            assert len((await client.get("/containers/json?all=1")).json()) == 1
    assert not is_locked(config.data_root)
    assert (config.data_root / "stopped-cleanly").exists()


async def test_what_is_under_way_is_answered_when_the_block_ends(tmp_path: Path) -> None:
    gate, socket = Gate(), tmp_path / "socket"
    async with no_leaks(), Engine(config_at(tmp_path), gate.instruments) as engine, anyio.create_task_group() as tasks:
        await engine.make_image("demo")

        async def open_gate() -> None:
            with anyio.fail_after(TIMEOUT_S):
                while socket.exists():  # until the block is at its end
                    await anyio.lowlevel.checkpoint()
            gate.opened.set()

        async with engine.serving(socket):
            statuses: list[int] = await tasks.start(create, socket)
            await gate.reached.wait()
            tasks.start_soon(open_gate)
        async with engine.serving(socket), client_at(socket) as client:
            assert len((await client.get("/containers/json?all=1")).json()) == 1
    assert statuses == [201]


async def test_a_cancelled_block_undoes_what_is_under_way_and_leaves_nothing(tmp_path: Path) -> None:
    gate, socket = Gate(), tmp_path / "socket"
    config = config_at(tmp_path)
    async with no_leaks(), anyio.create_task_group() as clients:
        with anyio.CancelScope() as scope:
            async with Engine(config, gate.instruments) as engine:
                await engine.make_image("demo")
                before = await state_of(engine)
                async with engine.serving(socket):
                    statuses: list[int] = await clients.start(create, socket)
                    await gate.reached.wait()
                    scope.cancel()
                    await anyio.sleep_forever()
    assert statuses == [0]
    assert not socket.exists()
    assert not is_locked(config.data_root)
    async with Engine(config) as engine:
        after = await state_of(engine)
    assert (after.rows, after.visible) == (before.rows, before.visible)
    assert not [name for name in after.files if name.startswith(("containers/", "staging/"))]


async def test_an_exception_leaves_the_block_as_itself(tmp_path: Path) -> None:
    async with no_leaks(), Engine(config_at(tmp_path)) as engine:
        with pytest.raises(ZeroDivisionError):
            async with engine.serving(tmp_path / "socket"):
                raise ZeroDivisionError
        assert not (tmp_path / "socket").exists()


async def test_a_block_that_is_left_at_once_is_left_clean(tmp_path: Path) -> None:
    async with no_leaks(), Engine(config_at(tmp_path)) as engine, engine.serving(tmp_path / "socket"):
        pass
    assert not (tmp_path / "socket").exists()


async def test_a_path_that_is_taken_is_refused_and_the_engine_goes_on(tmp_path: Path) -> None:
    (tmp_path / "socket").write_text("a file")
    async with no_leaks(), Engine(config_at(tmp_path)) as engine:
        with pytest.raises(System, match="there is something that is not a socket"):
            async with engine.serving(tmp_path / "socket"):
                raise AssertionError("not reached")
        await engine.make_image("demo")


async def test_engines_of_one_process_do_not_know_of_each_other(tmp_path: Path) -> None:
    homes = [tmp_path / name for name in ("a", "b")]
    for home in homes:
        home.mkdir()
    async with no_leaks(), Engine(config_at(homes[0])) as first, Engine(config_at(homes[1])) as second:
        assert first.id != second.id
        await first.make_image("demo")
        async with first.serving(homes[0] / "socket"), second.serving(homes[1] / "socket"):
            async with client_at(homes[0] / "socket") as client:
                assert (await client.post("/containers/create?name=web", json=BODY)).status_code == 201
            async with client_at(homes[1] / "socket") as client:
                assert (await client.post("/containers/create?name=web", json=BODY)).status_code == 404
                assert (await client.get("/containers/json?all=1")).json() == []


async def test_a_data_root_has_one_engine_in_a_process_too(tmp_path: Path) -> None:
    async with no_leaks(), Engine(config_at(tmp_path)):
        with pytest.raises(System, match="another daemon is using this data root"):
            async with Engine(config_at(tmp_path)):
                raise AssertionError("not reached")
