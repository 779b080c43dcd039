"""A real server and router with a function that must allow each request: it is shown what the handler reads, or not done."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import attrs
import pytest

from daemon.api import authorization
from daemon.api.authorization import Answered, Asked, Shown, authorized
from daemon.api.routes import ROUTES, Router
from daemon.engine import Engine
from daemon.errors import Forbidden, System, Unavailable
from daemon.http.message import Request, Response
from tests.daemon.harness import config_at, engine_at, in_memory
from tests.daemon.http.serving import Answer, Client, serving

pytestmark = pytest.mark.anyio

BODY = json.dumps({"Image": "busybox", "Cmd": ["true"]}).encode()
BODY_BYTES_MAX = 1 << 16


class Guard:
    """Notes what it is asked, and does then what a test wants."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.then: Callable[[Asked], None] = lambda _: None

    async def __call__(self, asked: Asked) -> None:
        self.asked.append(asked)
        self.then(asked)

    def refuse(self, asked: Asked) -> None:
        raise Forbidden("authorization denied by plugin guard: no")


@attrs.frozen
class Place:
    client: Client
    guard: Guard
    engine: Engine
    connect: Callable[[], Awaitable[Client]]

    async def containers(self) -> int:
        self.guard.then = lambda _: None
        answer = await self.client.ask(b"GET /containers/json?all=1 HTTP/1.1\r\nHost: a\r\n\r\n")
        return len(json.loads(answer.body))


@asynccontextmanager
async def guarded(root: Path) -> AsyncIterator[Place]:
    guard = Guard()
    async with engine_at(root) as engine:
        engine.reconfigure(attrs.evolve(config_at(root), body_bytes_max=BODY_BYTES_MAX))
        router = Router(engine, guard)
        async with (
            serving(router, root, error_response=router.error, connections_max=4) as service,
            await service.connect() as client,
        ):
            yield Place(client, guard, engine, service.connect)


def create(body: bytes, *headers: bytes, name: bytes = b"web") -> bytes:
    lines = [b"POST /v1.50/containers/create?name=%b HTTP/1.1" % name, b"Host: a", *headers]
    return b"\r\n".join([*lines, b"", body])


def sized(body: bytes) -> bytes:
    return create(body, b"Content-Type: application/json", b"Content-Length: %d" % len(body))


def chunked(body: bytes) -> bytes:
    half = len(body) // 2
    parts = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:half], body[half:]) if part)
    return create(parts + b"0\r\n\r\n", b"Content-Type: application/json", b"Transfer-Encoding: chunked")


def message(answer: Answer) -> str:
    text = json.loads(answer.body)["message"]
    assert isinstance(text, str)
    return text


@pytest.fixture
def root() -> Iterator[Path]:
    """A short one: the path of a socket has at most 107 bytes."""
    with in_memory() as path:
        yield path


@pytest.mark.parametrize("framed", [sized, chunked])
async def test_it_is_shown_what_the_handler_reads(framed: Callable[[bytes], bytes], root: Path) -> None:
    async with guarded(root) as place:
        data = framed(BODY).replace(b"Host: a", b"Host: a\r\nX-Registry-Auth: c2VjcmV0\r\nAuthorization: secret")
        assert (await place.client.ask(data)).status == 201
        [asked] = place.guard.asked
        assert (asked.method, asked.target, asked.body) == ("POST", "/v1.50/containers/create?name=web", BODY)
        assert asked.peer.uid is not None
        assert asked.headers["content-type"] == "application/json"
        assert asked.headers.keys().isdisjoint({"authorization", "x-registry-auth"})


REFUSED: list[tuple[str, bytes, int, bytes | None]] = [
    ("with a length", sized(BODY), 403, BODY),
    ("in chunks", chunked(BODY), 403, BODY),
    ("empty, CVE-2024-41110", sized(b""), 403, b""),
    ("empty in chunks", chunked(b""), 403, b""),
    ("of another type", create(BODY, b"Content-Type: text/plain", b"Content-Length: %d" % len(BODY)), 403, BODY),
    ("of no type", create(BODY, b"Content-Length: %d" % len(BODY)), 403, BODY),
    ("too large, CVE-2026-34040", sized(BODY + b" " * BODY_BYTES_MAX), 413, None),
    ("too large in chunks", chunked(BODY + b" " * BODY_BYTES_MAX), 413, None),
]


async def test_what_it_refuses_or_cannot_be_shown_is_not_done(root: Path) -> None:
    async with guarded(root) as place:
        for what, data, status, shown in REFUSED:
            place.guard.then = place.guard.refuse
            place.guard.asked.clear()
            async with await place.connect() as client:
                answer = await client.ask(data)
            assert answer.status == status, what
            if status == 403:
                assert message(answer) == "authorization denied by plugin guard: no"
            assert [asked.body for asked in place.guard.asked] == ([] if shown is None else [shown]), what
            assert await place.containers() == 0, what


async def test_each_of_several_requests_in_one_go_is_asked_about_with_its_own_body(root: Path) -> None:
    async with guarded(root) as place:
        other = BODY.replace(b"true", b"false")

        def only_true(asked: Asked) -> None:
            if asked.body != BODY:
                place.guard.refuse(asked)

        place.guard.then = only_true
        data = sized(BODY) + create(
            other, b"Content-Type: application/json", b"Content-Length: %d" % len(other), name=b"n"
        )
        await place.client.send(data + sized(BODY))
        answers = [await place.client.read_answer() for _ in range(3)]
        assert [answer.status for answer in answers] == [201, 403, 409]
        assert [asked.body for asked in place.guard.asked] == [BODY, other, BODY]
        assert await place.containers() == 1


def defect(asked: Asked) -> None:
    raise ZeroDivisionError("secret-in-a-defect")


def out_of_reach(asked: Asked) -> None:
    raise Unavailable("the guard is away")


async def test_where_it_fails_the_answer_is_no(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with guarded(root) as place:
        for fails, status, text in (
            (defect, 500, "authorization failed: see the log of the daemon"),
            (out_of_reach, 503, "the guard is away"),
        ):
            place.guard.then = fails
            answer = await place.client.ask(sized(BODY))
            assert (answer.status, message(answer)) == (status, text)
            assert await place.containers() == 0
    [record] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.getMessage().endswith("is refused: authorization failed")


async def test_who_takes_too_long_says_no(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authorization, "AUTHORIZATION_TIMEOUT_S", 0.01)

    async def hang(asked: Asked) -> None:
        await anyio.sleep_forever()

    with pytest.raises(System, match="authorization failed"):
        await authorized(request_of(), hang, is_archive=True, is_secret=False, limit=1)


def request_of() -> Request:
    return Request(method="POST", path="/images/load", query="", headers={}, body=Shown(b"tar"), has_body=True)


async def test_an_archive_is_not_shown_and_can_be_read_as_nothing_else() -> None:
    seen: list[Asked] = []

    async def note(asked: Asked) -> None:
        seen.append(asked)

    request, _ = await authorized(request_of(), note, is_archive=True, is_secret=False, limit=1)
    assert seen[0].body is None
    with pytest.raises(System, match="a body that was not authorized cannot be read"):
        await request.body.read(100)
    assert await request.body.receive() == b"tar"


async def test_passwords_are_not_shown(root: Path) -> None:
    async with guarded(root) as place:
        place.guard.then = place.guard.refuse
        body = b'{"username": "u", "password": "p"}'
        data = b"POST /auth HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        assert (await place.client.ask(data)).status == 403
        assert place.guard.asked[0].body is None


async def test_there_is_no_route_that_it_is_not_asked_about(tmp_path: Path) -> None:
    guard = Guard()
    guard.then = guard.refuse
    router = Router(
        Engine(config_at(tmp_path)), guard
    )  # one that has not been entered: nothing must get as far as that
    for method, path, _ in ROUTES:
        target = path.replace("{name}", "x")
        request = Request(method=method, path=target, query="", headers={}, body=Nothing(), has_body=False)
        assert (await router(request)).status == 403, f"{method} {path}"
    assert len(guard.asked) == len(ROUTES)


class Nothing:
    async def receive(self) -> bytes:
        return b""

    async def read(self, bytes_max: int) -> bytes:
        return b""


# Answers -----------------------------------------------------------------------------------------------------------------


class Censor:
    """Notes which answers it is shown, and does then what a test wants."""

    def __init__(self) -> None:
        self.shown: list[Answered] = []
        self.then: Callable[[], None] = lambda: None

    async def __call__(self, asked: Asked, answered: Answered) -> None:
        self.shown.append(answered)
        self.then()


def no() -> None:
    raise Forbidden("authorization denied by plugin censor: no")


def broken() -> None:
    raise KeyError("a defect of the censor")


ASKING: list[tuple[str, str, int, bool]] = [
    ("GET", "/containers/json", 200, True),
    ("GET", "/containers/nobody/json", 404, True),
    ("GET", "/_ping", 200, False),  # no JSON
    ("GET", "/events", 200, False),  # a stream
    ("POST", "/auth", 400, False),  # of a request with passwords
]


@pytest.mark.parametrize(("method", "path", "status", "is_shown"), ASKING)
async def test_an_answer_is_told_only_if_it_is_allowed(
    method: str, path: str, status: int, is_shown: bool, root: Path
) -> None:
    censor = Censor()
    async with engine_at(root) as engine:
        router = Router(engine, Guard(), censor)

        async def ask() -> Response:
            return await router(
                Request(method=method, path=path, query="", headers={}, body=Shown(b""), has_body=False)
            )

        response = await ask()
        assert response.status == status
        assert censor.shown[0].status == status
        assert censor.shown[0].body == (response.body if is_shown else None)
        for then, refused in ((no, 403), (broken, 500)):
            censor.then = then
            assert (await ask()).status == refused
        if not isinstance(response.body, bytes):
            await response.body.aclose()


async def test_of_an_answer_that_is_larger_than_a_request_may_be_the_head_is_shown(root: Path) -> None:
    censor = Censor()
    async with engine_at(root) as engine:
        engine.reconfigure(attrs.evolve(config_at(root), body_bytes_max=100))
        request = Request(method="GET", path="/info", query="", headers={}, body=Shown(b""), has_body=False)
        response = await Router(engine, Guard(), censor)(request)
    assert response.status == 200
    assert [(shown.status, shown.body) for shown in censor.shown] == [(200, None)]
