"""`GET /metrics` on a socket of its own, or a port of this machine's: who watches need not be one who may create."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
from prometheus_client import CONTENT_TYPE_LATEST

from daemon.engine import Engine
from daemon.http.listeners import bound_to, listening
from daemon.http.message import Request, Response
from daemon.http.server import Server
from daemon.metrics import Metrics
from daemon.serving import limits_of, running

CONNECTIONS_MAX = 16
"""A few that ask every few seconds, and those that have broken off."""

DRAIN_TIMEOUT_S = 1.0
"""A page is written in milliseconds."""


@asynccontextmanager
async def showing(metrics: Metrics, engine: Engine, where: Path | tuple[str, int]) -> AsyncIterator[None]:
    """While the block lasts, `engine`, which has been entered, is observed, and `GET /metrics` answered. Raises System."""
    limits = attrs.evolve(
        limits_of(engine.config), connections_max=CONNECTIONS_MAX, connections_per_uid_max=CONNECTIONS_MAX
    )

    async def answer(request: Request) -> Response:
        if request.path != "/metrics":
            return plain(404, "here is only /metrics")
        if request.method not in ("GET", "HEAD"):
            return plain(405, "metrics can only be read")
        return Response(status=200, headers=(("Content-Type", CONTENT_TYPE_LATEST),), body=metrics.page())

    opened = listening(where if isinstance(where, Path) else bound_to(*where))
    with metrics.observing(engine):
        async with running(Server(answer, plain, limits), opened, drain_timeout_s=DRAIN_TIMEOUT_S):
            yield


def plain(status: int, text: str) -> Response:
    return Response(status=status, headers=(("Content-Type", "text/plain; charset=utf-8"),), body=f"{text}\n".encode())
