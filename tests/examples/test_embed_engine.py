"""An engine inside other programs: the examples."""

from __future__ import annotations

import asyncio
import fcntl
import socket
from pathlib import Path

import anyio
import httpx
import pytest
import uvicorn

from actors.testing import no_leaks
from daemon import Engine
from examples import embed_engine
from examples.embed_engine_asgi import make_app
from tests.daemon.harness import config_at


@pytest.mark.anyio
async def test_an_engine_lives_inside_a_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with no_leaks():
        await embed_engine.main(tmp_path)
    assert capsys.readouterr().out == "created, seen through docker.sock and removed\n"


async def in_uvicorn(data_root: Path, path: Path) -> None:
    """Start the application, use it, and stop it as a signal does."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    server = uvicorn.Server(uvicorn.Config(make_app(data_root), lifespan="on", log_level="warning"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve, [listener])
        transport = httpx.AsyncHTTPTransport(uds=str(path))
        async with httpx.AsyncClient(transport=transport, base_url="http://app", timeout=20) as client:
            created = await client.put("/sandboxes/one", params={"owner": "me"})
            assert (created.status_code, len(created.json()["id"])) == (201, 64)
            taken = await client.put("/sandboxes/one")
            assert taken.status_code == 409
            assert "is already in use" in taken.json()["error"]
            assert (await client.delete("/sandboxes/one")).status_code == 204
            assert (await client.delete("/sandboxes/one")).status_code == 404
        server.should_exit = True


def test_an_engine_lives_inside_an_application_on_uvicorn(tmp_path: Path) -> None:
    async def main() -> None:
        async with no_leaks():
            await in_uvicorn(tmp_path / "data", tmp_path / "app")

    asyncio.run(main())
    assert_is_free(tmp_path / "data")


def test_an_application_that_is_cancelled_leaves_its_data_root_in_good_order(tmp_path: Path) -> None:
    async def main() -> None:
        async with Engine(config_at(tmp_path)) as engine, engine.serving(tmp_path / "socket"):
            task = asyncio.current_task()
            assert task is not None
            asyncio.get_running_loop().call_soon(task.cancel)
            await asyncio.sleep(60)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    assert_is_free(tmp_path / "data")


def assert_is_free(data_root: Path) -> None:
    """Nobody has it locked, and there is nothing to recover."""
    assert (data_root / "stopped-cleanly").exists()
    with (data_root / "lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
