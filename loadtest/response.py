"""Bytes of a connection in, HTTP/1.1 responses out. No I/O and no clock.

A response framed by Content-Length alone, which is what a create is answered with, is cut out by a few searches; everything
else (chunks, Connection headers, bodies that end with the connection) goes to httptools. Framing rules: RFC 9112, section 6.3.
"""

from __future__ import annotations

from functools import lru_cache

import httptools
import msgspec

HEAD_BYTES_MAX = 64 * 1024  # a Docker engine's head is 200 to 400 bytes
RESPONSE_BYTES_MAX = 512 * 1024 * 1024  # a list of some 500,000 containers
HEADS_KEPT_MAX = 16  # one for each kind of answer, and two while the second changes that is their date
LENGTH_DIGITS_MAX = 18  # of a length that the plain kind has; what is longer is for the parser to refuse

_VERSION = b"HTTP/1.1 "
_LENGTH = b"\r\ncontent-length:"


class BadHTTP(Exception):
    """What came is not an HTTP response, or is more than one."""


class Incomplete(Exception):
    """The connection ended inside a response."""

    def __init__(self, text: str, *, is_head_complete: bool) -> None:
        super().__init__(text)
        self.is_head_complete = is_head_complete


class Response(msgspec.Struct, frozen=True, gc=False):
    status: int
    body: bytes
    is_reusable: bool
    """Whether the connection may carry another request."""


class ResponseReader:
    """Reads one response after another; there is never more than one under way."""

    __slots__ = ("_buffer", "_bytes_needed", "_parser")

    def __init__(self) -> None:
        self._reset()

    def feed(self, data: bytes) -> Response | None:
        """The response that `data` completes, or None while it is still incomplete. Raises `BadHTTP`."""
        if self._parser is not None:
            return self._feed_parser(data)
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._bytes_needed:
                return None
            data = bytes(self._buffer)
        return self._cut(data)

    def feed_eof(self) -> Response:
        """The response that the connection's end completes. Raises `Incomplete` when it cuts one off."""
        if self._parser is not None:
            return self._parser.end()
        is_head_complete = self._bytes_needed > 0
        text = f"{len(self._buffer)} of {self._bytes_needed}" if is_head_complete else f"{len(self._buffer)}"
        raise Incomplete(f"connection closed after {text} bytes", is_head_complete=is_head_complete)

    def _reset(self) -> None:
        self._buffer = bytearray()
        self._bytes_needed = 0
        self._parser: _Parser | None = None

    def _cut(self, data: bytes) -> Response | None:
        head_end = data.find(b"\r\n\r\n")
        if head_end < 0 and len(data) <= HEAD_BYTES_MAX and data[: len(_VERSION)] == _VERSION[: len(data)]:
            self._buffer = bytearray(data)
            return None
        framing = _framing(data[: head_end + 2])
        if framing is None:
            self._parser = _Parser()
            return self._feed_parser(data)
        status, length = framing
        end = head_end + 4 + length
        if len(data) == end:
            if self._buffer:
                self._reset()
            return Response(status, data[head_end + 4 :], True)
        if len(data) > end:
            raise BadHTTP(f"{len(data) - end} bytes too many after a response")
        _check_size(end)
        self._buffer, self._bytes_needed = bytearray(data), end
        return None

    def _feed_parser(self, data: bytes) -> Response | None:
        assert self._parser is not None
        response = self._parser.feed(data)
        if response is not None:
            self._reset()
        return response


class _Parser:
    """httptools around one response."""

    def __init__(self) -> None:
        self._http = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._head_bytes = 0
        self._is_head_complete = False
        self._is_framed = False
        self._is_complete = False
        self._is_reusable = False
        self._is_overfull = False

    def feed(self, data: bytes) -> Response | None:
        try:
            self._http.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise BadHTTP(f"{error}: {data[:200]!r}") from error
        if self._is_overfull:
            raise BadHTTP("a second response after the one that was asked for")
        if not self._is_head_complete:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX:
                raise BadHTTP(f"head of a response is longer than {HEAD_BYTES_MAX} bytes")
        _check_size(self._body_bytes)
        return self._response() if self._is_complete else None

    def end(self) -> Response:
        if self._is_head_complete and not self._is_framed:
            return self._response()
        text = f"connection closed after {self._body_bytes} bytes of a body"
        raise Incomplete(text, is_head_complete=self._is_head_complete)

    def _response(self) -> Response:
        return Response(self._http.get_status_code(), b"".join(self._body), self._is_reusable)

    def on_message_begin(self) -> None:
        self._is_overfull = self._is_complete

    def on_header(self, name: bytes, value: bytes) -> None:
        self._is_framed = self._is_framed or name.lower() in (b"content-length", b"transfer-encoding")

    def on_headers_complete(self) -> None:
        self._is_head_complete = True

    def on_body(self, data: bytes) -> None:
        self._body.append(data)
        self._body_bytes += len(data)

    def on_message_complete(self) -> None:
        # An interim response (RFC 9110, section 15.2) announces the real one.
        self._is_complete = self._http.get_status_code() >= 200
        self._is_head_complete = self._is_complete
        self._is_reusable = self._http.should_keep_alive()  # the parser has forgotten once it returns


@lru_cache(maxsize=HEADS_KEPT_MAX)
def _framing(head: bytes) -> tuple[int, int] | None:
    """Status and length of the body, or None when `head` (each line with its CRLF) is not the plain kind.

    Remembered, as the heads of a server's answers to creates are the same bytes until their date changes.
    """
    head = head.lower()
    if head[:9] != b"http/1.1 " or b"\r\ntransfer-encoding:" in head or b"\r\nconnection:" in head:
        return None
    start = head.find(_LENGTH)
    if start < 0 or head.find(_LENGTH, start + 1) >= 0:
        return None
    start += len(_LENGTH)
    length = head[start : head.index(b"\r", start)].strip()
    if not length.isdigit() or len(length) > LENGTH_DIGITS_MAX or not head[9:12].isdigit():
        return None
    status = int(head[9:12])
    return (status, int(length)) if status >= 200 else None


def _check_size(response_bytes: int) -> None:
    if response_bytes > RESPONSE_BYTES_MAX:
        raise BadHTTP(f"response of {response_bytes:,} bytes is longer than {RESPONSE_BYTES_MAX:,}")
