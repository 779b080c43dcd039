"""Attaching to a container that does not run: a stream that says nothing, and is open until the client goes.

Compose attaches to what it has created before it would start it. Rules and texts: moby v28 daemon/attach.go,
container_routes.go postContainersAttach; names of keys: moby/term ascii.go.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator

import anyio

from daemon.api.calls import Call
from daemon.create.records import record_of
from daemon.errors import InvalidParameter
from daemon.http.message import Response
from daemon.services.registrar import Registrar

RAW_STREAM = "application/vnd.docker.raw-stream"
MULTIPLEXED_STREAM = "application/vnd.docker.multiplexed-stream"
MULTIPLEXED_SINCE = (1, 42)

_KEY = re.compile(r"[\x00-\x7f]|ctrl-[a-z@\[\\\]^_]")


async def attach(call: Call) -> Response:
    query = call.query()
    _check_detach_keys(query.text("detachKeys"))
    is_terminal = await _is_terminal(call)
    is_upgrade = "upgrade" in call.request.headers
    is_multiplexed = is_upgrade and not is_terminal and call.version >= MULTIPLEXED_SINCE
    headers: tuple[tuple[str, str], ...] = (("Content-Type", MULTIPLEXED_STREAM if is_multiplexed else RAW_STREAM),)
    if is_upgrade:
        headers += (("Connection", "Upgrade"), ("Upgrade", "tcp"))
    return Response(
        status=101 if is_upgrade else 200,
        headers=headers,
        body=_silence(is_open=query.flag("stream")),
        is_raw=True,
        is_endless=True,
    )


def _check_detach_keys(keys: str) -> None:
    if keys and not all(map(_KEY.fullmatch, keys.split(","))):
        raise InvalidParameter(f"Invalid detach keys ({keys}) provided")


async def _is_terminal(call: Call) -> bool:
    """Raises NotFound: there is no such container."""
    services = call.engine.services
    summary = await services.registrar.ask(Registrar.find, call.name)
    return (await record_of(services, summary, call.name)).config.tty


async def _silence(*, is_open: bool) -> AsyncGenerator[bytes, None]:
    if is_open:
        await anyio.sleep_forever()
    yield b""
