"""What Docker has not: the daemon at one moment as a JSON document, or one every second as server-sent events.

An event stream is https://html.spec.whatwg.org/multipage/server-sent-events.html: browsers read it, and ask again when it ends.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

import msgspec

from daemon.api.calls import Call
from daemon.http.message import Response
from daemon.overview.watching import Watchers

EVENT_STREAM = "text/event-stream"

INTERVAL_S = 1.0
"""As often as a number is read."""

_UNCACHED = ("Cache-Control", "no-store")


async def overview(call: Call) -> Response:
    if EVENT_STREAM in call.request.headers.get("accept", ""):
        documents = _documents(call.watchers)
        await anext(documents)  # begun, so that closing it ends the watch, whether or not it is ever sent
        headers = (("Content-Type", EVENT_STREAM), _UNCACHED)
        return Response(status=200, headers=headers, body=documents, is_endless=True)
    with call.watchers.watching() as watcher:
        document = msgspec.json.encode(await watcher.look())
    return Response(status=200, headers=(("Content-Type", "application/json"), _UNCACHED), body=document + b"\n")


async def _documents(watchers: Watchers) -> AsyncGenerator[bytes, None]:
    with watchers.watching() as watcher:
        yield b""
        while True:
            yield b"data: " + msgspec.json.encode(await watcher.look()) + b"\n\n"
            await watcher.listen(INTERVAL_S)
