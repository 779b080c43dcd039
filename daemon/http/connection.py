"""One connection's bytes as events, and responses as bytes. No I/O; the limits on what a stranger may send are here.

httptools (llhttp) is strict about framing but checks no size and no Host, so this file does:

- a head of at most `head_bytes_max` bytes and `headers_max` headers (431)
- exactly one Host in HTTP/1.1 (RFC 9112, 3.2), no transfer coding but `chunked` (RFC 9112, 6.1)
- after anything malformed the connection is of no more use: it is answered once and closed

`Expect: 100-continue` is left to the server, which knows whether the body is wanted (RFC 9110, 10.1.1).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import attrs
import httptools

from daemon.errors import DaemonError, InvalidParameter
from daemon.http.message import Response

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class HeadTooLarge(InvalidParameter):
    """431: more head than anybody needs."""


class TooLarge(DaemonError):
    """413: more body than this resource takes."""


@attrs.frozen(kw_only=True)
class Head:
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


@attrs.frozen
class Data:
    content: bytes


@attrs.frozen
class End:
    """The request is complete."""


Event = Head | Data | End


class Connection:
    """Feed it bytes with `receive`, take events with `next_event`. Pipelined requests come out one after the other."""

    def __init__(self, *, head_bytes_max: int, headers_max: int) -> None:
        self._head_bytes_max = head_bytes_max
        self._headers_max = headers_max
        self._events: deque[Event] = deque()
        self._parser = httptools.HttpRequestParser(self)
        self._is_in_head = True
        self._has_begun = False
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0

    def receive(self, data: bytes) -> None:
        """Raises InvalidParameter if it is no HTTP, HeadTooLarge if it is too much of it."""
        if self._is_in_head:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # the head is whole; what follows it is another protocol's, and nobody here speaks one
        except httptools.HttpParserCallbackError as error:
            if isinstance(error.__context__, DaemonError):
                raise error.__context__ from None
            raise
        except httptools.HttpParserError as error:
            raise InvalidParameter(f"malformed HTTP request: {error}") from error
        if self._is_in_head and self._head_bytes > self._head_bytes_max:
            raise HeadTooLarge("request header fields are too large")

    def next_event(self) -> Event | None:
        return self._events.popleft() if self._events else None

    @property
    def is_idle(self) -> bool:
        """Whether no request has begun to arrive."""
        return not self._has_begun

    # Called by the parser ----------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._has_begun = True
        self._url = b""
        self._headers = []

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self._headers) >= self._headers_max:
            raise HeadTooLarge("too many request header fields")
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        if self._head_bytes > self._head_bytes_max and self._size_of_head() > self._head_bytes_max:
            raise HeadTooLarge("request header fields are too large")
        names = [name for name, _ in self._headers]
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in self._headers}
        is_http10 = self._parser.get_http_version() == "1.0"
        if names.count(b"host") != 1 and not (is_http10 and b"host" not in names):
            raise InvalidParameter("malformed HTTP request: there must be one Host header")
        coding = headers.get("transfer-encoding", "")
        if coding and (coding.lower() != "chunked" or names.count(b"transfer-encoding") != 1):
            raise InvalidParameter("malformed HTTP request: the only transfer encoding is chunked")
        url = httptools.parse_url(self._url)
        self._events.append(
            Head(
                method=self._parser.get_method().decode("ascii"),
                path=(url.path or b"/").decode("latin-1"),
                query=(url.query or b"").decode("latin-1"),
                headers=headers,
                content_length=None if coding else int(headers.get("content-length", "0")),
                is_http10=is_http10,
                keeps_alive=self._parser.should_keep_alive(),
                expects_continue=headers.get("expect", "").lower() == "100-continue" and not is_http10,
                is_upgrade=self._parser.should_upgrade(),
            )
        )

    def on_body(self, content: bytes) -> None:
        self._events.append(Data(content))

    def on_message_complete(self) -> None:
        self._events.append(End())
        self._is_in_head = True
        self._has_begun = False
        self._head_bytes = 0

    def _size_of_head(self) -> int:
        return len(self._url) + sum(len(name) + len(value) + 4 for name, value in self._headers)


def encode_head(response: Response, *, is_head: bool, is_http10: bool, keeps_alive: bool, date: str) -> bytes:
    """The status line and headers, with the framing that the body needs."""
    lines = [f"HTTP/1.1 {response.status} {response.reason}"]
    lines += [f"{name}: {value}" for name, value in response.headers]
    lines.append(f"Date: {date}")
    if isinstance(response.body, bytes):
        if response.status not in (204, 304) and (response.body or not is_head):
            lines.append(f"Content-Length: {len(response.body)}")
    elif not is_http10:
        lines.append("Transfer-Encoding: chunked")
    if not keeps_alive:
        lines.append("Connection: close")
    lines.append("\r\n")
    return "\r\n".join(lines).encode("latin-1")


def encode_chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


LAST_CHUNK = b"0\r\n\r\n"
