"""Any actor is killed while 64 clients create: nothing acknowledged is lost, no connection dropped, and service is back soon."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

import anyio
import anyio.lowlevel
import attrs
import pytest

from actors.testing import crash, run_seeded
from daemon.api.routes import Router
from daemon.container import ContainerConfig
from daemon.create.request import CreateRequest
from daemon.engine import Engine
from daemon.errors import DaemonError
from daemon.services import Services
from tests.daemon.harness import config_at, engine_at, state_of
from tests.daemon.http.serving import Service, serving
from tests.simulation.machine import machine

CLIENTS = 64
CREATES = 2
"""Of each client."""
SERVICE_BACK_S_MAX = 0.1

ACTORS = [field.name for field in attrs.fields(Services) if field.name != "database"]
"""Those that are started again. When the database crashes the daemon ends, by design (daemon/supervision.py)."""

actors = pytest.mark.parametrize("actor", ACTORS)


@pytest.fixture
def anyio_backend() -> object:
    return "asyncio", {"use_uvloop": True}


@pytest.fixture
def home() -> Iterator[Path]:
    """With a short path: a socket's has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="by-") as path:
        yield Path(path)


class Crowd:
    """Clients that each create some containers, one after the other, and ask again, with the same key, where they are told to."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.ids: list[str] = []
        self.refusals = 0
        self.is_busy = anyio.Event()
        """Set when as many creates as there are clients are through, and so all are in the middle of another."""

    async def work(self, number: int) -> None:
        async with await self._service.connect() as client:
            for count in range(CREATES):
                request = create_request(f"c{number}-{count}")
                while (answer := await client.ask(request)).status == 503:
                    self.refusals += 1
                assert answer.status == 201, answer
                self.ids.append(json.loads(answer.body)["Id"])
                if len(self.ids) == CLIENTS:
                    self.is_busy.set()


def create_request(name: str) -> bytes:
    body = json.dumps({"Image": "busybox", "Cmd": ["true"], "Volumes": {"/full": {}}}).encode()
    head = f"POST /containers/create?name={name} HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n"
    return f"{head}Idempotency-Key: {name}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.mark.integration
@pytest.mark.anyio
@actors
async def test_no_acknowledged_create_is_lost_and_no_connection_dropped(actor: str, home: Path) -> None:
    async with engine_at(home) as engine:
        router, most = Router(engine), 2 * CLIENTS
        async with serving(
            router, home, error_response=router.error, connections_max=most, connections_per_uid_max=most
        ) as service:
            crowd = Crowd(service)
            async with anyio.create_task_group() as group:
                for number in range(CLIENTS):
                    group.start_soon(crowd.work, number)
                await crowd.is_busy.wait()
                crash(getattr(engine.services, actor))
    async with Engine(config_at(home)) as engine:
        state = await state_of(engine)
    assert len(set(crowd.ids)) == CLIENTS * CREATES
    assert set(crowd.ids) == set(state.visible)
    assert {path.split("/")[1] for path in state.files if path.startswith("containers/")} == set(crowd.ids)


@actors
def test_service_is_back_within_100_ms(actor: str) -> None:
    """Of virtual time, in which work takes none: nothing on the way back waits for a time to pass."""

    async def kill_and_create(_: Random) -> float:
        with machine() as host:
            async with Engine(host.config) as engine:
                crash(getattr(engine.services, actor))
                began = anyio.current_time()
                with anyio.fail_after(SERVICE_BACK_S_MAX):
                    while not await is_creating(engine):
                        await anyio.lowlevel.checkpoint()
                return anyio.current_time() - began

    assert run_seeded(kill_and_create, 0, work_s_max=0.0) < SERVICE_BACK_S_MAX


async def is_creating(engine: Engine) -> bool:
    try:
        await engine.create(CreateRequest(config=ContainerConfig(image="busybox", cmd=("true",))))
    except DaemonError:
        return False
    return True
