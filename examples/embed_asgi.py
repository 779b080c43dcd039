"""Supervised actors inside a Starlette application: a box office that sells no seat twice, behind a limit for each client.

uvicorn examples.embed_asgi:app (one worker: each process has actors of its own), or hypercorn -k trio examples.embed_asgi:app

The actors live from the application's start to its end, in its lifespan; a request finds their refs in its state. There is no
lock: what belongs together is one actor's, which handles one message at a time.
"""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TypedDict

import anyio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from actors import ActorContext, ActorCrashed, ActorStopped, AskTimeout, MailboxFull, Ref, Refused, Supervisor
from actors.adapters.logs import log_events

ASK_TIMEOUT_S = 2.0

Ledger = dict[str, int]
"""Seats left by show. It stands for a database: what must outlive a crash is not the actor's own."""

Printer = Callable[[str, int], Awaitable[None]]
"""Prints the ticket for that show and seat. It may take its time, and it may fail."""


class NoSuchShow(Refused): ...


class SoldOut(Refused): ...


class TooFast(Refused):
    def __init__(self, retry_after_s: float) -> None:
        super().__init__("too many requests")
        self.retry_after_s = retry_after_s


class BoxOffice:
    """Sells the seats of each show, the last first. A seat whose ticket was not printed is not sold."""

    def __init__(self, ledger: Ledger, print_ticket: Printer) -> None:
        self._ledger = ledger
        self._print_ticket = print_ticket

    async def sell(self, show: str) -> int:
        """The number of the seat."""
        if show not in self._ledger:
            raise NoSuchShow(f"no such show: {show}")
        seat = self._ledger[show]
        if seat == 0:
            raise SoldOut(f"{show} is sold out")
        await self._print_ticket(show, seat)  # nobody else is served meanwhile
        self._ledger[show] = seat - 1
        return seat


class Limiter:
    """A token bucket for each client: `burst` requests at once, and `per_s` more each second."""

    def __init__(self, *, burst: int, per_s: float, now: Callable[[], float]) -> None:
        self._burst = burst
        self._per_s = per_s
        self._now = now
        self._full_at: dict[str, float] = {}
        """When the bucket of a client will be full again. One that is full need not be remembered."""
        ActorContext.of(self).every(burst / per_s, Limiter.forget_idle)

    async def admit(self, client: str) -> None:
        now = self._now()
        full_at = max(self._full_at.get(client, now), now) + 1 / self._per_s
        over_s = full_at - now - self._burst / self._per_s
        if over_s > 1e-9:  # what is less comes of rounding
            raise TooFast(over_s)
        self._full_at[client] = full_at

    async def forget_idle(self) -> None:
        now = self._now()
        self._full_at = {client: full_at for client, full_at in self._full_at.items() if full_at > now}


class ShopState(TypedDict):
    """What a request finds in its state."""

    supervisor: Supervisor
    limiter: Ref[Limiter]
    box_office: Ref[BoxOffice]


async def sell(request: Request[ShopState]) -> Response:
    actors, client = request.state, request.client.host if request.client else ""
    await actors["limiter"].ask(Limiter.admit, client, timeout=ASK_TIMEOUT_S)
    show = request.path_params["show"]
    seat = await actors["box_office"].ask(BoxOffice.sell, show, timeout=ASK_TIMEOUT_S)
    return JSONResponse({"show": show, "seat": seat}, status_code=201)


async def health(request: Request[ShopState]) -> Response:
    children = request.state["supervisor"].snapshot().children
    is_well = all(child.state == "up" for child in children)
    body = {
        child.name: {"state": child.state, "restarts": child.restarts, "queued": child.mailbox.queued}
        for child in children
    }
    return JSONResponse(body, status_code=200 if is_well else 503)


STATUS: Mapping[type[Exception], int] = {NoSuchShow: 404, SoldOut: 409, TooFast: 429}
"""An actor says no in its own words; which status that is, is for the application to say."""


async def refused(_: Request, error: Exception) -> Response:
    headers = {"retry-after": str(math.ceil(error.retry_after_s))} if isinstance(error, TooFast) else None
    return JSONResponse({"error": str(error)}, status_code=STATUS.get(type(error), 400), headers=headers)


async def busy(_: Request, error: Exception) -> Response:
    """Retry-After only if nothing has happened: a ticket that is being printed may be sold after all."""
    was_started = isinstance(error, AskTimeout | ActorStopped) and error.was_started
    return JSONResponse({"error": str(error)}, status_code=503, headers=None if was_started else {"retry-after": "1"})


async def crashed(_: Request, __: Exception) -> Response:
    """A fresh actor is on its way, and the log says why; the client need not know."""
    return JSONResponse({"error": "internal error"}, status_code=500)


def make_app(
    ledger: Ledger,
    print_ticket: Printer,
    *,
    burst: int = 5,
    per_s: float = 1.0,
    now: Callable[[], float] = anyio.current_time,
) -> Starlette:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[ShopState]:
        log = log_events(logging.getLogger("shop"))
        async with Supervisor("one_for_one", name="shop", on_event=log) as supervisor:
            limiter = await supervisor.start(lambda: Limiter(burst=burst, per_s=per_s, now=now), name="limiter")
            # A short queue that nobody waits to get into: who comes too late is told so at once.
            box_office = await supervisor.start(
                lambda: BoxOffice(ledger, print_ticket), name="box office", mailbox_capacity=100, overflow="reject"
            )
            yield {"supervisor": supervisor, "limiter": limiter, "box_office": box_office}
        # Here the actors have finished what was queued.

    return Starlette(
        routes=[Route("/shows/{show}/seats", sell, methods=["POST"]), Route("/health", health)],
        lifespan=lifespan,
        exception_handlers={
            Refused: refused,
            AskTimeout: busy,
            MailboxFull: busy,
            ActorStopped: busy,
            ActorCrashed: crashed,
        },
    )


async def print_slowly(show: str, seat: int) -> None:
    await anyio.sleep(0.05)


app = make_app({"hamlet": 200, "macbeth": 3}, print_slowly)
