"""A Docker engine inside a Starlette application: sandboxes by HTTP, which are containers, without any Docker daemon.

uvicorn examples.embed_engine_asgi:app, with one worker, as a data root has one engine; or hypercorn -k trio ...

The engine lives from the application's start to its end, in its lifespan. When the server is stopped it finishes what it has
begun and unlocks its directory.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypedDict

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from daemon import Config, ContainerConfig, CreateRequest, Engine
from daemon.errors import Conflict, DaemonError, InvalidParameter, NotFound, Unavailable

IMAGE = "sandbox"
FILES = {"bin/sh": b"#!/bin/sh\n"}
OWNER_LABEL = "com.example.owner"


class AppState(TypedDict):
    """What a request finds in its state."""

    engine: Engine


async def create(request: Request[AppState]) -> Response:
    """A sandbox of that name, for its owner."""
    config = ContainerConfig(image=IMAGE, cmd=("sh",), labels={OWNER_LABEL: request.query_params.get("owner", "")})
    created = await request.state["engine"].create(CreateRequest(name=request.path_params["name"], config=config))
    return JSONResponse({"id": created.id}, status_code=201)


async def remove(request: Request[AppState]) -> Response:
    await request.state["engine"].remove(request.path_params["name"], with_volumes=True)
    return Response(status_code=204)


STATUS: Mapping[type[DaemonError], int] = {NotFound: 404, Conflict: 409, InvalidParameter: 400, Unavailable: 503}
"""The engine says what is wrong; which status that is, is for the application to say."""


async def refused(_: Request, error: Exception) -> Response:
    status = next((status for kind, status in STATUS.items() if isinstance(error, kind)), 500)
    return JSONResponse({"error": str(error)}, status_code=status)


def make_app(data_root: Path) -> Starlette:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[AppState]:
        async with Engine(Config(data_root=data_root)) as engine:
            await engine.make_image(IMAGE, FILES)
            yield {"engine": engine}

    return Starlette(
        routes=[
            Route("/sandboxes/{name}", create, methods=["PUT"]),
            Route("/sandboxes/{name}", remove, methods=["DELETE"]),
        ],
        lifespan=lifespan,
        exception_handlers={DaemonError: refused},
    )


app = make_app(Path("sandboxes"))
