"""What a client sends in confidence is in no line of the log, whatever fails; what it is told says nothing of this machine."""

from __future__ import annotations

import json
import os
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import attrs
import pytest

from daemon.access_log import AccessLog
from daemon.api.routes import Router
from daemon.engine import Engine
from daemon.errors import System
from daemon.http.listeners import listening
from daemon.http.server import Server
from daemon.logs import LogWriter, logging_to
from tests.daemon.harness import Faults, crash, creator_of, engine_at, faulty, in_memory
from tests.daemon.http.serving import LIMITS, Answer, Client

pytestmark = pytest.mark.anyio

CANARY = "canary-7f3a9c"
JSON = "Content-Type: application/json"

ABOUT_THE_MACHINE = re.compile(
    r"Traceback|\bErrno\b|\[Errno|\berrno\b|File \"|\.py\b|site-packages|/proc/self|0x[0-9a-f]{6}"
)

BODY = {
    "Image": "busybox",
    "Cmd": ["sh", "-c", CANARY],
    "Env": [f"PASSWORD={CANARY}"],
    "Labels": {"token": CANARY},
    "HostConfig": {"LogConfig": {"Type": "json-file", "Config": {"labels": CANARY}}},
}


@pytest.fixture
def root() -> Iterator[Path]:
    """A short one: the path of a socket has at most 107 bytes."""
    with in_memory() as path:
        yield path


class Watched:
    """A daemon that logs all it can, and what it has answered."""

    def __init__(self, engine: Engine, root: Path) -> None:
        self.engine = engine
        self.answers: list[Answer] = []
        self._root = root

    def break_at(self, number: int, moment: str, strike: Callable[[str], None]) -> Faults:
        faults, engine = Faults(), self.engine
        faults.plan(number, moment, strike)
        services = faulty(engine.services, faults)
        engine._creator = creator_of(engine, services)
        return faults

    def check(self) -> None:
        log = (self._root / "log").read_text()
        assert log.count('"logger":"access"') >= len(self.answers)
        assert CANARY not in log
        for answer in self.answers:
            body = answer.body.decode()
            assert not ABOUT_THE_MACHINE.search(body), body
            assert str(self._root) not in body, body


@asynccontextmanager
async def watched(root: Path) -> AsyncIterator[tuple[Watched, Client]]:
    descriptor = os.open(root / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        with logging_to(descriptor, level="debug", log_format="json") as writer:
            async with daemon_logging_to(root, writer) as (daemon, client):
                yield daemon, client
        daemon.check()
    finally:
        os.close(descriptor)


@asynccontextmanager
async def daemon_logging_to(root: Path, writer: LogWriter) -> AsyncIterator[tuple[Watched, Client]]:
    access_log = AccessLog(writer, "json", "all")
    limits = attrs.evolve(LIMITS, head_bytes_max=16 << 10)
    async with engine_at(root) as engine:
        router = Router(engine)
        server = Server(router, router.error, limits, access_log.note)
        with listening(root / "s") as listener:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(server.run, listener)
                async with Client(await anyio.connect_unix(root / "s")) as client:
                    yield Watched(engine, root), client
                tasks.cancel_scope.cancel()


def request(method: str, path: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: a", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def create(body: object = BODY, *headers: str, name: str = "") -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return request("POST", f"/containers/create?name={name}", content, "Content-Type: application/json", *headers)


BAD: list[tuple[str, bytes, int]] = [
    ("done", create(name="web"), 201),
    ("no such image", create(BODY | {"Image": f"nosuch:{CANARY}"}), 404),
    ("a variable without a name", create(BODY | {"Env": [f"={CANARY}"]}), 400),
    ("a value of another type", create(BODY | {"Env": CANARY}), 400),
    ("a number too large", create(BODY | {"StopTimeout": 1 << 70}), 400),
    ("a label of another type", create(BODY | {"Labels": {"token": [CANARY]}}), 400),
    ("a bad mount", create(BODY | {"HostConfig": {"Binds": [f"{CANARY}:x"]}}), 400),
    ("a bad option", create(BODY | {"HostConfig": {"SecurityOpt": [CANARY]}}), 400),
    ("a bad log driver", create(BODY | {"HostConfig": {"LogConfig": {"Type": CANARY}}}), 400),
    ("a bad user", create(BODY | {"WorkingDir": CANARY}), 400),
    ("no JSON", create(CANARY.encode()), 400),
    ("half of it", create(json.dumps(BODY).encode()[:-9]), 400),
    ("a key that is no key", create(BODY, f"Idempotency-Key: {CANARY} {CANARY}"), 400),
    ("too much", create(BODY | {"Labels": {"token": CANARY + "x" * (5 << 20)}}), 413),
    ("bad credentials", request("POST", "/images/create?fromImage=127.0.0.1:1/a:b", b"", f"X-Registry-Auth: {CANARY}"), 500),
    ("a login", request("POST", "/auth", json.dumps({"password": CANARY, "serveraddress": "127.0.0.1:1"}).encode()), 500),
    ("a query", request("POST", f"/commit?container=nosuch&changes=ENV%20A={CANARY}", b"{}", JSON), 404),
    ("a bad change", request("POST", f"/commit?container=web&changes=ENVX%20{CANARY}", b"{}", JSON), 400),
    ("a bad filter", request("GET", f"/containers/json?filters={CANARY}"), 400),
    ("no archive", request("POST", "/images/load", CANARY.encode(), "Content-Type: application/x-tar"), 400),
    ("no archive for a container", request("PUT", f"/containers/nosuch/archive?path=/{CANARY}", CANARY.encode()), 404),
    ("no HTTP", f"GET / HTTP/1.1\r\nHost: a\r\nX-Secret: {CANARY}\r\n".encode() + b"A\0B: c\r\n\r\n", 400),
    ("too many headers", request("GET", "/", b"", f"X-Secret: {CANARY}", "X: " + "x" * (17 << 10)), 431),
]  # fmt: skip


async def test_no_refusal_leaves_what_was_confidential_in_the_log(root: Path) -> None:
    async with watched(root) as (daemon, _):
        path = root / "s"
        for what, data, status in BAD:
            async with Client(await anyio.connect_unix(path)) as client:
                await client.send(data)
                answer = await client.read_answer()
                assert answer.status == status, f"{what}: {answer}"
                daemon.answers.append(answer)


def raise_a_defect(step: str) -> None:
    raise ValueError(f"{step} failed with {BODY}")


def raise_an_error_of_the_disk(step: str) -> None:
    raise System("cannot make a directory: No space left on device")


def raise_an_error_of_the_system(step: str) -> None:
    raise OSError(28, "No space left on device", "/var/lib/secret-place")


@pytest.mark.parametrize("strike", [raise_a_defect, raise_an_error_of_the_disk, raise_an_error_of_the_system])
async def test_no_step_of_a_create_that_fails_does(strike: Callable[[str], None], root: Path) -> None:
    async with watched(root) as (daemon, client):
        number = 0
        while True:
            faults = daemon.break_at(number, "before", strike)
            answer = await client.ask(create(name=f"n{number}"))
            if faults.at is not None:
                break  # there is no such step any more
            number += 1
            assert answer.status in (201, 500), answer
            assert b"secret-place" not in answer.body
            daemon.answers.append(answer)
        assert number > 5


async def test_no_actor_that_crashes_does(root: Path) -> None:
    async with watched(root) as (daemon, client):
        services = daemon.engine.services
        for ref in (services.registrar, services.allocator, services.images):
            crash(ref)
            answer = await client.ask(create(name="c" + ref.name))
            assert answer.status in (201, 503), answer
            daemon.answers.append(answer)
