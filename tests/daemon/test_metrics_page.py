"""`GET /metrics`, over a Unix socket and over a port."""

from __future__ import annotations

import socket
from pathlib import Path

import httpx
import pytest

from actors.testing import no_leaks
from daemon import Engine
from daemon.errors import System
from daemon.metrics import Metrics
from daemon.metrics_page import showing
from tests.daemon.harness import config_at

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Which loop it is makes no difference here, and engines take their time to start."""
    return "asyncio"


async def get(path: str, *, uds: str | None = None, url: str = "http://here", method: str = "GET") -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=uds), base_url=url) as client:
        return await client.request(method, path)


async def test_a_unix_socket_answers_with_everything_and_nothing_is_left(tmp_path: Path) -> None:
    metrics, where = Metrics(), tmp_path / "metrics"
    async with no_leaks(), Engine(config_at(tmp_path), metrics.instruments) as engine:
        async with showing(metrics, engine, where):
            page = await get("/metrics", uds=str(where))
            assert page.status_code == 200
            assert page.headers["content-type"].startswith("text/plain; version=")
            assert 'boatyard_mailbox_messages{actor="database"} 0.0' in page.text
            assert (await get("/metrics", uds=str(where), method="HEAD")).text == ""
            assert (await get("/", uds=str(where))).status_code == 404
            assert (await get("/metrics", uds=str(where), method="POST")).status_code == 405
        assert not where.exists()


async def test_a_port_of_this_machine_answers_too_and_one_that_is_taken_is_told(tmp_path: Path) -> None:
    metrics = Metrics()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    where, taken = ("127.0.0.1", port), f"cannot listen on 127.0.0.1 port {port}: Address already in use"
    async with no_leaks(), Engine(config_at(tmp_path)) as engine, showing(metrics, engine, where):
        page = await get("/metrics", url=f"http://127.0.0.1:{port}")
        assert "boatyard_creates_total" in page.text
        with pytest.raises(System, match=taken):
            async with showing(metrics, engine, where):
                raise AssertionError("not reached")
