"""The example application, called as an ASGI server calls it: its lifespan first, then requests with the lifespan's state."""

from __future__ import annotations

from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import pytest
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from examples import embed_asgi
from examples.embed_asgi import make_app

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def serve(app: Starlette) -> AsyncIterator[ASGIApp]:
    """What to hand to `client`: the application after its start-up; it is shut down at the end."""
    state: MutableMapping[str, object] = {}
    to_app, receive = anyio.create_memory_object_stream[dict[str, str]](2)
    send, from_app = anyio.create_memory_object_stream[MutableMapping[str, Any]](2)
    async with to_app, receive, send, from_app, anyio.create_task_group() as group:
        group.start_soon(app, {"type": "lifespan", "state": state}, receive.receive, send.send)
        await to_app.send({"type": "lifespan.startup"})
        assert await from_app.receive() == {"type": "lifespan.startup.complete"}

        async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "state": dict(state)}, receive, send)

        yield with_state
        await to_app.send({"type": "lifespan.shutdown"})
        assert await from_app.receive() == {"type": "lifespan.shutdown.complete"}


def client(served: ASGIApp, host: str = "10.0.0.1") -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(served, client=(host, 1)), base_url="http://shop")


class Printer:
    def __init__(self) -> None:
        self.printed: list[tuple[str, int]] = []
        self.is_broken = False
        self.is_asked, self.may_go_on = anyio.Event(), anyio.Event()
        self.may_go_on.set()

    async def print_ticket(self, show: str, seat: int) -> None:
        self.is_asked.set()
        await self.may_go_on.wait()
        if self.is_broken:
            raise OSError("out of paper")
        self.printed.append((show, seat))


async def test_no_seat_is_sold_twice_and_a_refusal_has_its_status() -> None:
    printer, ledger, seats = Printer(), {"hamlet": 3}, list[object]()
    statuses: list[int] = []

    async def buy(http: httpx.AsyncClient) -> None:
        answer = await http.post("/shows/hamlet/seats")
        statuses.append(answer.status_code)
        seats.extend([answer.json()["seat"]] if answer.status_code == 201 else [])

    async with serve(make_app(ledger, printer.print_ticket, burst=100)) as app, client(app) as http:
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(buy, http)
        unknown = await http.post("/shows/lear/seats")
    assert sorted(statuses) == [201] * 3 + [409] * 7
    assert seats == [3, 2, 1]
    assert printer.printed == [("hamlet", 3), ("hamlet", 2), ("hamlet", 1)]
    assert ledger == {"hamlet": 0}
    assert (unknown.status_code, unknown.json()) == (404, {"error": "no such show: lear"})


async def test_a_client_that_is_too_fast_is_told_when_to_come_back_and_others_do_not_notice() -> None:
    printer, now = Printer(), 100.0
    app = make_app({"hamlet": 99}, printer.print_ticket, burst=2, per_s=0.25, now=lambda: now)
    async with serve(app) as served, client(served) as http, client(served, "10.0.0.2") as other:
        answers = [await http.post("/shows/hamlet/seats") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [201, 201, 429]
        assert answers[2].headers["retry-after"] == "4"
        assert (await other.post("/shows/hamlet/seats")).status_code == 201
        now += 4
        assert [(await http.post("/shows/hamlet/seats")).status_code for _ in range(2)] == [201, 429]


async def test_what_takes_too_long_is_503_and_to_be_tried_again_only_if_it_had_not_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(embed_asgi, "ASK_TIMEOUT_S", 0.05)
    printer, ledger = Printer(), {"hamlet": 3}
    printer.may_go_on = anyio.Event()
    answers: dict[str, httpx.Response] = {}

    async def buy(http: httpx.AsyncClient, name: str) -> None:
        answers[name] = await http.post("/shows/hamlet/seats")

    async with serve(make_app(ledger, printer.print_ticket)) as app, client(app) as http:
        async with anyio.create_task_group() as group:
            group.start_soon(buy, http, "begun")
            await printer.is_asked.wait()
            group.start_soon(buy, http, "queued")
        printer.may_go_on.set()
        last = await http.post("/shows/hamlet/seats")
    begun, queued = answers["begun"], answers["queued"]
    assert (begun.status_code, queued.status_code) == (503, 503)
    assert "is still working on it" in begun.json()["error"]
    assert "retry-after" not in begun.headers
    assert "had not begun" in queued.json()["error"]
    assert queued.headers["retry-after"] == "1"
    assert last.json() == {"show": "hamlet", "seat": 2}  # the first was sold after all, the second never
    assert ledger == {"hamlet": 1}


async def test_a_crash_is_500_and_costs_nobody_a_seat() -> None:
    printer, ledger = Printer(), {"hamlet": 3}
    async with serve(make_app(ledger, printer.print_ticket)) as app, client(app) as http:
        printer.is_broken = True
        failed = await http.post("/shows/hamlet/seats")
        printer.is_broken = False
        sold = await http.post("/shows/hamlet/seats")
        health = await http.get("/health")
    assert (failed.status_code, failed.json()) == (500, {"error": "internal error"})
    assert (sold.status_code, sold.json()["seat"]) == (201, 3)
    assert (health.status_code, health.json()) == (
        200,
        {
            "limiter": {"state": "up", "restarts": 0, "queued": 0},
            "box office": {"state": "up", "restarts": 1, "queued": 0},
        },
    )
