"""A request that has found its route, and the ways to answer one. Texts and header values are Docker's (spec: C2)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from typing import TypeVar
from urllib.parse import parse_qsl

import anyio.to_thread
import msgspec
from msgspec.structs import replace

from daemon.api import gojson
from daemon.api.codec import Json, WrongType
from daemon.api.content_type import check_is_json
from daemon.api.decoded import DecodedBodies
from daemon.api.filters import Filters, decode_filters
from daemon.api.listed import ListedViews
from daemon.api.numbers import parse_integer
from daemon.config import Config
from daemon.engine import Engine
from daemon.errors import (
    Cancelled,
    Conflict,
    DaemonError,
    DiskFull,
    Forbidden,
    InvalidParameter,
    NotFound,
    NotImplementedHere,
    Overloaded,
    System,
    Unauthorized,
    Unavailable,
)
from daemon.http.connection import HeadTooLarge, TooLarge, TooSlow
from daemon.http.message import Request, Response
from daemon.overview.watching import Watchers

STATUS: Mapping[type[DaemonError], int] = {
    NotFound: 404,
    InvalidParameter: 400,
    HeadTooLarge: 431,
    TooLarge: 413,
    TooSlow: 408,
    Conflict: 409,
    Forbidden: 403,
    Unauthorized: 401,
    Unavailable: 503,
    NotImplementedHere: 501,
    DiskFull: 507,  # Unlike Moby's 500: for clients to tell it from a defect
    System: 500,
    Cancelled: 409,
}
"""Which kind of failure becomes which status (moby api/server/httpstatus/status.go)."""

RETRY_AFTER_S = 1

BLANKS = b" \t\r\n"

T = TypeVar("T")

_JSON = ("Content-Type", "application/json")
_FALSE = ("", "0", "no", "false", "none")


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request to one route."""

    engine: Engine
    bodies: DecodedBodies
    listed: ListedViews
    watchers: Watchers
    request: Request
    version: tuple[int, int]
    """Of the API, as the client wants it spoken."""
    name: str = ""
    """The part of the path that names a thing, decoded."""

    @property
    def config(self) -> Config:
        return self.engine.config

    def query(self) -> Query:
        return Query(self.request.query)

    async def json(self) -> Json:
        """The body, which must be one JSON document. Raises as `read_json`."""
        return await self.read_json(lambda document: document)

    async def read_json(self, read: Callable[[Json], T], *, may_be_empty: bool = False) -> T:
        """What `read` makes of the body, which must be one JSON document; if it may be empty, that is null then.

        Raises:
            InvalidParameter, in Docker's words, of `read`, too; TooLarge.
        """
        return await decoded(await self.content(), read, may_be_empty=may_be_empty)

    async def content(self) -> bytes:
        """The body, which says that it is JSON. Raises InvalidParameter, TooLarge."""
        content_type = self.request.headers.get("content-type", "")
        if self.request.has_body or content_type:
            check_is_json(content_type)
        return await self.request.body.read(self.config.body_bytes_max)


class Query:
    """The query string: of a key that comes twice, the first, as Go's `Form.Get`."""

    def __init__(self, text: str) -> None:
        self._pairs = _pairs(text)
        self._values: dict[str, str] = {}
        for key, value in self._pairs:
            self._values.setdefault(key, value)

    def text(self, key: str) -> str:
        return self._values.get(key, "")

    def texts(self, key: str) -> tuple[str, ...]:
        """All of them."""
        return tuple(value for name, value in self._pairs if name == key)

    def has(self, key: str) -> bool:
        return key in self._values

    def flag(self, key: str, *, default: bool = False) -> bool:
        """`default` where the key is missing; without a value it means no."""
        if key not in self._values:
            return default
        return self._values[key].strip().lower() not in _FALSE

    def integer(self, key: str) -> int:
        """0 where it is not given. Raises InvalidParameter."""
        value = self._values.get(key, "")
        return parse_integer(value) if value else 0

    def filters(self, known: frozenset[str] | None = None) -> Filters:
        """`{"name": {"web": true}}`, or the older `{"name": ["web"]}`.

        Raises:
            InvalidParameter: it is neither, or there is a filter that is not `known`, if that is given.
        """
        text = self.text("filters")
        if not text:
            return {}
        try:
            filters = decode_filters(msgspec.json.decode(text))
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            raise InvalidParameter("invalid filter") from None
        for key in filters:
            if known is not None and key not in known:
                raise InvalidParameter(f"invalid filter '{key}'")
        return filters


def _pairs(text: str) -> list[tuple[str, str]]:
    if "%" in text or "+" in text:
        return parse_qsl(text, keep_blank_values=True)
    # The same where nothing is encoded, as in most, in a fifth of the time.
    return [(name, value) for name, _, value in (part.partition("=") for part in text.split("&") if part)]


async def decoded(content: bytes, read: Callable[[Json], T], *, may_be_empty: bool = False) -> T:
    """See `Call.read_json`."""
    if may_be_empty and not content.strip(BLANKS):
        return read(None)
    try:
        return read(msgspec.json.decode(content))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, WrongType):
        # In a thread: what is slow is for those who send what is wrong, and not for everybody else.
        return await anyio.to_thread.run_sync(decode_as_go, content, read)


def decode_as_go(content: bytes, read: Callable[[Json], T]) -> T:
    """What `read` makes of a body that msgspec, or `read`, has refused: with Go's leniency, or its text for what is wrong.

    Raises:
        InvalidParameter: what Docker would say.
    """
    if not content.strip(BLANKS):
        raise InvalidParameter("invalid JSON: got EOF while reading request body")
    document, rest = gojson.decode(content)
    value = read(document)
    if gojson.is_more(rest):
        raise InvalidParameter("unexpected content after JSON")
    return value


def encode_json(payload: Json) -> bytes:
    return msgspec.json.encode(payload) + b"\n"


def not_modified() -> Response:
    """There was nothing to do."""
    return Response(status=304)


def json_response(payload: Json, status: int = 200) -> Response:
    return Response(status=status, headers=(_JSON,), body=encode_json(payload))


def no_content() -> Response:
    return Response(status=204)


def stream_response(lines: AsyncGenerator[bytes, None], *, is_endless: bool = False) -> Response:
    """JSON documents, one a line, as they come."""
    return Response(status=200, headers=(_JSON,), body=lines, is_endless=is_endless)


def error_response(status: int, text: str) -> Response:
    headers = (_JSON, ("Retry-After", str(RETRY_AFTER_S))) if status == 503 else (_JSON,)
    return Response(status=status, headers=headers, body=encode_json({"message": text}))


def refusal(error: DaemonError) -> Response:
    status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    # Who is told to wait, waits: to refuse it over and over would cost what others need.
    pause_s = RETRY_AFTER_S if isinstance(error, Overloaded) else 0
    return replace(error_response(status, str(error)), refusal=type(error).__name__, pause_s=pause_s)
