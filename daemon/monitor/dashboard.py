"""`boatyardd dashboard`: one page and a stream of overviews, for browsers on this machine.

The daemon's socket says who may see it; a port of 127.0.0.1 is open to every user of the machine, and to every page that their
browsers show. So there is a secret in the address, which only whoever may read our output knows; and a request that names another
host than this one, as that of a page elsewhere does whose name has been made to lead here (DNS rebinding), is refused. The page
loads nothing, and may speak to nobody but us.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import signal
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import attrs
import msgspec

from daemon.errors import System
from daemon.http.limits import Limits
from daemon.http.listeners import bound_to, listening
from daemon.http.message import Request, Response
from daemon.http.server import Server
from daemon.monitor.client import NoDaemon, stream
from daemon.serving import running

ADDRESS = "127.0.0.1"

SECRET_BYTES = 16

LIMITS = Limits(
    head_bytes_max=16 << 10,
    headers_max=100,
    connections_max=32,
    connections_per_uid_max=32,
    idle_grace_s=1.0,
    allowed_uids=None,
    head_timeout_s=10.0,
    read_timeout_s=10.0,
    body_timeout_s=10.0,
    write_timeout_s=30.0,
)
"""A few browsers with a few windows each, which ask for two things. The reasons are those of `Config`."""

DRAIN_TIMEOUT_S = 1.0

RETRY_MS = 1000
"""When a browser asks again for a stream that has ended."""

PAGE = Path(__file__).with_name("page.html").read_bytes()

_TEXT = ("Content-Type", "text/plain; charset=utf-8")
_SAFE = (
    ("Cache-Control", "no-store"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)


def serve(socket: Path, port: int) -> int:
    """Until a signal; the exit code. What is wrong is said on standard error."""
    try:
        anyio.run(_serve, socket, port)
    except (NoDaemon, System) as error:
        sys.stderr.write(f"boatyardd: {error}\n")
        return 1
    return 0


async def _serve(socket: Path, port: int) -> None:
    await check_is_there(socket)
    bound = bound_to(ADDRESS, port)
    dashboard = Dashboard(socket, bound.getsockname()[1], secrets.token_urlsafe(SECRET_BYTES))
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        server = Server(dashboard.answer, refusal, LIMITS)
        async with running(server, listening(bound), drain_timeout_s=DRAIN_TIMEOUT_S):
            sys.stdout.write(f"{dashboard.url}\n")
            sys.stdout.flush()
            async for _ in signals:
                return


async def check_is_there(socket: Path) -> None:
    """Raises NoDaemon."""
    documents = stream(socket)
    try:
        await anext(documents, b"")
    finally:
        await documents.aclose()


@attrs.frozen
class Dashboard:
    """The handler of the HTTP server."""

    socket: Path
    """The daemon's."""
    port: int
    """Ours."""
    secret: str

    @property
    def url(self) -> str:
        return f"http://{ADDRESS}:{self.port}/{self.secret}"

    async def answer(self, request: Request) -> Response:
        if request.headers.get("host") not in {f"{name}:{self.port}" for name in (ADDRESS, "localhost")}:
            return refusal(421, f"this is {ADDRESS}:{self.port}, and no other host")
        secret, _, rest = request.path[1:].partition("/")
        if not secrets.compare_digest(secret.encode(), self.secret.encode()):
            return refusal(404, "there is nothing here: the address that was printed is longer")
        if request.method not in ("GET", "HEAD"):
            return refusal(405, "there is nothing to change here")
        if rest == "":
            return Response(
                status=200, headers=(("Content-Type", "text/html; charset=utf-8"), POLICY, *_SAFE), body=PAGE
            )
        if rest == "events":
            headers = (("Content-Type", "text/event-stream"), *_SAFE)
            return Response(status=200, headers=headers, body=events(self.socket), is_endless=True)
        return refusal(404, "here are only the page and its events")


def refusal(status: int, text: str) -> Response:
    return Response(status=status, headers=(_TEXT, *_SAFE), body=f"{text}\n".encode())


async def events(socket: Path) -> AsyncGenerator[bytes, None]:
    """What the daemon says. When it is gone, that; the browser asks again then."""
    yield b"retry: %d\n\n" % RETRY_MS
    reason = "it has stopped"
    try:
        async for chunk in stream(socket):
            yield chunk
    except NoDaemon as error:
        reason = str(error)
    yield b"event: lost\ndata: " + msgspec.json.encode(reason) + b"\n\n"


def policy_of(page: bytes) -> str:
    """Of its own script and style, known by their hashes, and of nothing else."""
    hashes = {}
    for element in (b"script", b"style"):
        found = re.search(rb"<%b>(.*?)</%b>" % (element, element), page, re.DOTALL)
        assert found is not None
        hashes[element] = base64.b64encode(hashlib.sha256(found[1]).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{hashes[b'script']}'; style-src 'sha256-{hashes[b'style']}'; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


POLICY = ("Content-Security-Policy", policy_of(PAGE))
