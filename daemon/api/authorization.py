"""Who may do what, beyond who may connect: a function that is asked about each request before its handler sees it.

It is shown what the handler is given, no more and no less: the body has been read to its end, within its limit, before either of
them looks at it, whatever the request says of its length or type. (Docker has shown its plugins an empty body, or none for its
size, where the handler then read another: CVE-2024-41110, CVE-2026-34040.) Archives are not shown, and whoever handles one cannot
read it as anything else. Where the function fails, or takes too long, the answer is no.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import anyio
import attrs
from msgspec.structs import replace

from daemon.errors import DaemonError, Forbidden, System
from daemon.http.message import Body, Peer, Request, Response

AUTHORIZATION_TIMEOUT_S = 10.0
"""Every request waits for the answer; a client gives up after a minute."""

_CONFIDENTIAL = frozenset({"authorization", "x-registry-auth", "x-registry-config"})

_log = logging.getLogger(__name__)


@attrs.frozen(kw_only=True)
class Asked:
    """What is to be allowed."""

    peer: Peer
    method: str
    target: str
    """Path and query, as they were sent."""
    headers: Mapping[str, str]
    """Without those that hold passwords; names in lower case."""
    body: bytes | None
    """All of it; None where it is an archive, or a password."""


class AuthorizationDenied(Forbidden):
    """It is known, and it is no."""


class AuthorizationFailed(System):
    """It could not be found out, so it is no."""


@attrs.frozen(kw_only=True)
class Answered:
    """What is to be told."""

    status: int
    headers: Mapping[str, str]
    body: bytes | None
    """All of it; None of a stream, of what is no JSON or is larger than a request may be, and where there are passwords."""


Authorize = Callable[[Asked], Coroutine[Any, Any, None]]
"""Returns if it may be done. Raises AuthorizationDenied, whose text the client is told; any other error is a no, too."""

AuthorizeAnswer = Callable[[Asked, Answered], Coroutine[Any, Any, None]]
"""Returns if the answer to what was asked may be told. What has been done by then has been done."""


async def authorized(
    request: Request, authorize: Authorize, *, is_archive: bool, is_secret: bool, limit: int
) -> tuple[Request, Asked]:
    """The request, for its handler, and as it was shown.

    Raises:
        AuthorizationDenied, AuthorizationFailed; TooLarge, TooSlow: of the body.
    """
    body: Body = NotShown(request.body)
    content = None
    if not is_archive:
        content = await request.body.read(limit)
        body = Shown(content)
    asked = Asked(
        peer=request.peer,
        method=request.method,
        target=f"{request.path}?{request.query}" if request.query else request.path,
        headers={name: value for name, value in request.headers.items() if name not in _CONFIDENTIAL},
        body=None if is_secret else content,
    )
    await _allowed(authorize(asked), request.id)
    return replace(request, body=body), asked


async def check_answer(
    asked: Asked, response: Response, authorize: AuthorizeAnswer, *, is_secret: bool, limit: int, request_id: str
) -> None:
    """Ask whether the answer may be told, before any of it is sent; of a stream its head is all there is to show.

    Unlike Moby (pkg/authorization/middleware.go, response.go), which sends what is longer than its buffer first, and errors
    whatever is said of them.

    Raises AuthorizationDenied, AuthorizationFailed.
    """
    headers, body = {name.lower(): text for name, text in response.headers}, response.body
    is_json = headers.get("content-type") == "application/json"
    content = body if isinstance(body, bytes) and is_json and len(body) <= limit and not is_secret else None
    answered = Answered(status=response.status, headers=headers, body=content)
    await _allowed(authorize(asked, answered), request_id)


async def _allowed(question: Coroutine[Any, Any, None], request_id: str) -> None:
    try:
        with anyio.fail_after(AUTHORIZATION_TIMEOUT_S):
            await question
    except DaemonError:
        raise
    except Exception as error:
        _log.error("request %s is refused: authorization failed", request_id, exc_info=error)
        raise AuthorizationFailed("authorization failed: see the log of the daemon") from error


def called(name: str) -> str:
    """What clients know a plugin by: no path of this machine."""
    return Path(name).stem if name.startswith("/") else name


class Shown:
    """A body that has been read, for whoever handles it."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def receive(self) -> bytes:
        content, self._content = self._content, b""
        return content

    async def read(self, bytes_max: int) -> bytes:
        assert len(self._content) <= bytes_max, "it was read within that limit"
        return await self.receive()


class NotShown:
    """An archive, which can be received as one only."""

    def __init__(self, body: Body) -> None:
        self._body = body

    async def receive(self) -> bytes:
        return await self._body.receive()

    async def read(self, bytes_max: int) -> bytes:
        raise AuthorizationFailed("a body that was not authorized cannot be read")
