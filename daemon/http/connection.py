"""One connection's bytes as events, and responses as bytes. No I/O; the limits on what a stranger may send are here.

httptools (llhttp) is strict about framing but checks no size and no Host, so this file does:

- a head of at most `head_bytes_max` bytes and `headers_max` headers (431); trailers and chunk extensions count like a head
- exactly one Host in HTTP/1.1 (RFC 9112, 3.2), no transfer coding but `chunked` (RFC 9112, 6.1)
- no version but 1.0 and 1.1, no fragment in a target: a proxy in front that filters by path sees the path that is served
- after anything malformed the connection is of no more use: what came before is answered, then this, then it is closed
- what follows a request to upgrade is another protocol's, which nobody here speaks: it is dropped, a body as well

`Expect: 100-continue` is left to the server, which knows whether the body is wanted (RFC 9110, 10.1.1).
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Mapping
from http import HTTPStatus

import httptools
import msgspec

from daemon.errors import DaemonError, InvalidParameter
from daemon.http.message import Response

HEADS_KEPT = 64
"""Of answers, encoded: more than there are kinds of small ones."""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class HeadTooLarge(InvalidParameter):
    """431: more head than anybody needs."""


class TooLarge(DaemonError):
    """413: more body than this resource takes."""


class TooSlow(DaemonError):
    """408: the rest of a request did not come in time."""


class Head(msgspec.Struct, frozen=True, kw_only=True):
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    content_length: int | None
    """None for a chunked body of unknown length; 0 where there is none."""
    is_http10: bool
    keeps_alive: bool
    expects_continue: bool
    is_upgrade: bool


class Data(msgspec.Struct, frozen=True):
    content: bytes


class End(msgspec.Struct, frozen=True):
    """The request is complete."""


Event = Head | Data | End


class Connection:
    """Feed it bytes with `receive`, take events with `next_event`. Pipelined requests come out one after the other.

    How the bytes are cut makes no difference to the events, but for how a body is cut.
    """

    def __init__(self, *, head_bytes_max: int, headers_max: int) -> None:
        self._head_bytes_max = head_bytes_max
        self._headers_max = headers_max
        self._events: deque[Event] = deque()
        self._error: DaemonError | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._is_over = False
        self._has_begun = False
        self._url = b""
        self._headers: list[tuple[str, str]] = []
        self._header_bytes = 0
        self._unseen_bytes = 0
        """Received since the parser last told of anything but a header, about: what it may be holding in memory."""

    def receive(self, data: bytes) -> None:
        """What is wrong with them `next_event` tells, after the events of the bytes before."""
        if self._is_over:
            return
        self._unseen_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._is_over = True
        except httptools.HttpParserCallbackError as error:
            if not isinstance(error.__context__, DaemonError):
                raise
            self._fail(error.__context__)
        except httptools.HttpParserError as error:
            self._fail(InvalidParameter(f"malformed HTTP request: {error}"))
        else:
            if self._unseen_bytes > self._head_bytes_max:
                self._fail(HeadTooLarge("request header fields are too large"))

    def close(self) -> None:
        """Nothing more is received. Else we and the parser, which calls us, would be left to the garbage collector."""
        self._is_over = True
        del self._parser

    def next_event(self) -> Event | None:
        """None if more bytes are needed. Raises InvalidParameter if it is no HTTP, HeadTooLarge if it is too much of it."""
        if self._events:
            return self._events.popleft()
        if self._error is not None:
            raise self._error
        return None

    @property
    def is_idle(self) -> bool:
        """Whether no request has begun to arrive."""
        return not self._has_begun

    def _fail(self, error: DaemonError) -> None:
        self._error, self._is_over = error, True

    # Called by the parser ----------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._has_begun = True
        self._url = b""
        self._headers = []
        self._header_bytes = 0

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self._headers) >= self._headers_max:
            raise HeadTooLarge("too many request header fields")
        self._header_bytes += len(name) + len(value) + 4
        self._headers.append((name.lower().decode("latin-1"), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        self._unseen_bytes = 0
        if len(self._url) + self._header_bytes > self._head_bytes_max:
            raise HeadTooLarge("request header fields are too large")
        names = [name for name, _ in self._headers]
        headers = dict(self._headers)
        version = self._parser.get_http_version()
        if version not in ("1.0", "1.1"):
            raise InvalidParameter(f"malformed HTTP request: the version is {version}, not 1.0 or 1.1")
        is_http10 = version == "1.0"
        if names.count("host") != 1 and not (is_http10 and "host" not in headers):
            raise InvalidParameter("malformed HTTP request: there must be one Host header")
        coding = headers.get("transfer-encoding", "")
        if coding and (coding.lower() != "chunked" or names.count("transfer-encoding") != 1):
            raise InvalidParameter("malformed HTTP request: the only transfer encoding is chunked")
        path, query = _split_target(self._url)
        self._events.append(
            Head(
                method=self._parser.get_method().decode("ascii"),
                path=path.decode("latin-1"),
                query=query.decode("latin-1"),
                headers=headers,
                content_length=None if coding else int(headers.get("content-length", "0")),
                is_http10=is_http10,
                keeps_alive=self._parser.should_keep_alive(),
                expects_continue=headers.get("expect", "").lower() == "100-continue" and not is_http10,
                is_upgrade=self._parser.should_upgrade(),
            )
        )

    def on_body(self, content: bytes) -> None:
        self._unseen_bytes = 0
        self._events.append(Data(content))

    def on_message_complete(self) -> None:
        self._events.append(End())
        self._has_begun = False
        self._unseen_bytes = 0


def _split_target(target: bytes) -> tuple[bytes, bytes]:
    """Path and query; of an absolute target without the host (RFC 9112, 3.2.2). Raises InvalidParameter."""
    if b"#" in target:
        raise InvalidParameter("malformed HTTP request: a target has no fragment")
    try:
        url = httptools.parse_url(target)
    except httptools.HttpParserInvalidURLError as error:
        raise InvalidParameter("malformed HTTP request: invalid target") from error
    return url.path or b"/", url.query or b""


def encode_head(response: Response, *, is_head: bool, is_http10: bool, keeps_alive: bool, date: str) -> bytes:
    """The status line and headers, with the framing that the body needs."""
    length, is_chunked = None, False
    if isinstance(response.body, bytes):
        if response.status not in (204, 304) and (response.body or not is_head):
            length = len(response.body)
    else:
        is_chunked = not (is_http10 or response.is_raw)
    return _encoded_head(
        response.status, response.headers, length, is_chunked, is_last=not (keeps_alive or response.is_raw), date=date
    )


@functools.lru_cache(maxsize=HEADS_KEPT)
def _encoded_head(
    status: int, headers: tuple[tuple[str, str], ...], length: int | None, is_chunked: bool, *, is_last: bool, date: str
) -> bytes:
    """Most answers of a second have the same: of creates, and of refusals above all, which are to cost nearly nothing."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers]
    lines.append(f"Date: {date}")
    if length is not None:
        lines.append(f"Content-Length: {length}")
    elif is_chunked:
        lines.append("Transfer-Encoding: chunked")
    if is_last:
        lines.append("Connection: close")
    lines.append("\r\n")
    return "\r\n".join(lines).encode("latin-1")


def encode_chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


LAST_CHUNK = b"0\r\n\r\n"
