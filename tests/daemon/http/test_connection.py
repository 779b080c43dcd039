"""Transcripts: bytes in, events out. Every transcript is also cut at every byte, which must make no difference."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping
from http import HTTPStatus
from itertools import pairwise

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from daemon.errors import DaemonError, InvalidParameter
from daemon.http.connection import (
    Connection,
    Data,
    End,
    Event,
    Head,
    HeadTooLarge,
    encode_chunk,
    encode_head,
)
from daemon.http.message import Response

HEAD_BYTES_MAX = 512
HEADERS_MAX = 8

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED = b"POST /load HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
UPGRADE = b"POST /attach HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"


@attrs.frozen
class Refused:
    """The end of a transcript: why the connection is of no more use."""

    kind: type[DaemonError]
    text: str


Transcript = list[Event | Refused]


def malformed(text: str) -> Refused:
    return Refused(InvalidParameter, f"malformed HTTP request: {text}")


BAD_BYTES = malformed("Invalid method encountered")
TOO_LARGE = Refused(HeadTooLarge, "request header fields are too large")
TOO_MANY = Refused(HeadTooLarge, "too many request header fields")


def head(method: str = "GET", path: str = "/", **fields: object) -> Head:
    """A request of HTTP/1.1 without a body, unless told otherwise; its headers are not compared."""
    values: dict[str, object] = {
        "query": "",
        "headers": {},
        "content_length": 0,
        "is_http10": False,
        "keeps_alive": True,
        "expects_continue": False,
        "is_upgrade": False,
    }
    return Head(method=method, path=path, **{**values, **fields})  # type: ignore[arg-type]  # checked by comparison


def load(*content: bytes) -> Transcript:
    return [head("POST", "/load", content_length=None), *map(Data, content), End()]


def new_connection() -> Connection:
    return Connection(head_bytes_max=HEAD_BYTES_MAX, headers_max=HEADERS_MAX)


def transcript(parts: Iterable[bytes]) -> Transcript:
    """The events in order, adjacent data joined, and how it ended."""
    connection = new_connection()
    seen: Transcript = []
    for part in parts:
        connection.receive(part)
        try:
            while (event := connection.next_event()) is not None:
                note(seen, event)
        except DaemonError as error:
            return [*seen, Refused(type(error), str(error))]
    return seen


def note(seen: Transcript, event: Event) -> None:
    last = seen[-1] if seen else None
    if isinstance(event, Data) and isinstance(last, Data):
        seen[-1] = Data(last.content + event.content)
    else:
        seen.append(replace(event, headers={}) if isinstance(event, Head) else event)


def headers_of(request: bytes) -> Mapping[str, str]:
    connection = new_connection()
    connection.receive(request)
    event = connection.next_event()
    assert isinstance(event, Head)
    return event.headers


def check(sent: bytes, expected: Transcript) -> None:
    assert transcript([sent]) == expected
    assert transcript(sent[at : at + 1] for at in range(len(sent))) == expected, "byte by byte"
    for at in range(1, len(sent)):
        assert transcript([sent[:at], sent[at:]]) == expected, f"cut after {sent[:at]!r}"


REQUESTS: dict[str, tuple[bytes, Transcript]] = {
    "the plainest": (GET, [head(), End()]),
    "path and query as they were sent": (
        b"GET /a%2Fb/../c//d?x=%20&y=1?2 HTTP/1.1\r\nHost: a\r\n\r\n",
        [head(path="/a%2Fb/../c//d", query="x=%20&y=1?2"), End()],
    ),
    "absolute target": (b"GET http://a:80/x?y HTTP/1.1\r\nHost: a\r\n\r\n", [head(path="/x", query="y"), End()]),
    "absolute target without a path": (b"GET http://a?y HTTP/1.1\r\nHost: a\r\n\r\n", [head(query="y"), End()]),
    "asterisk": (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", [head("OPTIONS", "*"), End()]),
    "body with a length": (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        [head("POST", content_length=5), Data(b"hello"), End()],
    ),
    "body of a GET": (
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
        [head(content_length=2), Data(b"hi"), End()],
    ),
    "empty body": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", [head("POST"), End()]),
    "body that has not come": (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell",
        [head("POST", content_length=5), Data(b"hell")],
    ),
    "chunks": (CHUNKED + b"5\r\nhello\r\nA\r\n, everyone\r\n0\r\n\r\n", load(b"hello, everyone")),
    "chunked without content": (CHUNKED + b"0\r\n\r\n", load()),
    "chunked in capitals": (CHUNKED.replace(b"chunked", b"Chunked") + b"1\r\nx\r\n0\r\n\r\n", load(b"x")),
    "chunk extensions": (CHUNKED + b'5;a=b;c="d"\r\nhello\r\n0;e\r\n\r\n', load(b"hello")),
    "trailers are dropped": (CHUNKED + b"1\r\nx\r\n0\r\nHost: b\r\nX: y\r\n\r\n", load(b"x")),
    "pipelined": (
        GET + b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi" + CHUNKED + b"1\r\nx\r\n0\r\n\r\n" + GET,
        [
            *(head(), End()),
            *(head("POST", "/x", content_length=2), Data(b"hi"), End()),
            *load(b"x"),
            *(head(), End()),
        ],
    ),
    "close": (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", [head(keeps_alive=False), End()]),
    "HTTP/1.0": (b"GET / HTTP/1.0\r\n\r\n", [head(is_http10=True, keeps_alive=False), End()]),
    "HTTP/1.0 with a host": (b"GET / HTTP/1.0\r\nHost: a\r\n\r\n", [head(is_http10=True, keeps_alive=False), End()]),
    "HTTP/1.0 kept alive": (
        b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" * 2,
        [head(is_http10=True), End(), head(is_http10=True), End()],
    ),
    "expects to be told to continue": (
        b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n",
        [head("POST", content_length=1, expects_continue=True)],
    ),
    "HTTP/1.0 knows no 100": (
        b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
        [head("POST", content_length=1, is_http10=True, keeps_alive=False)],
    ),
    "an upgrade, and then who knows what": (
        UPGRADE + b"\r\n\0raw",
        [head("POST", "/attach", is_upgrade=True), End()],
    ),
    "an upgrade with a body, which is dropped": (
        UPGRADE + b"Content-Length: 2\r\n\r\n{}",
        [head("POST", "/attach", content_length=2, is_upgrade=True), End()],
    ),
    "Upgrade without Connection asks for nothing": (
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n\r\n" + GET,
        [head(), End(), head(), End()],
    ),
    "CONNECT to a path": (b"CONNECT /x HTTP/1.1\r\nHost: a\r\n\r\n", [head("CONNECT", "/x", is_upgrade=True), End()]),
    "empty lines before": (b"\r\n\r\n" + GET, [head(), End()]),
    "the first before what is wrong with the second": (GET + b"\0", [head(), End(), BAD_BYTES]),
    "nothing": (b"", []),
}


@pytest.mark.parametrize(("sent", "expected"), REQUESTS.values(), ids=REQUESTS)
def test_a_request_becomes_the_same_events_however_it_is_cut(sent: bytes, expected: Transcript) -> None:
    check(sent, expected)


def post(fields: bytes, content: bytes = b"") -> bytes:
    return b"POST / HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n%b" % (fields, content)


def chunks(content: bytes) -> bytes:
    return CHUNKED + content


ONE_HOST = malformed("there must be one Host header")
ONLY_CHUNKED = malformed("the only transfer encoding is chunked")
BAD_LENGTH = malformed("Invalid character in Content-Length")
BAD_CHUNK = malformed("Invalid character in chunk size")
BAD_TARGET = malformed("invalid target")
LOADING = head("POST", "/load", content_length=None)

ODDITIES: dict[str, tuple[bytes, Transcript]] = {
    # Two lengths: which one counts is how requests are smuggled (RFC 9112, 6.3 and 11.2).
    "CL and TE": (
        post(b"Content-Length: 5\r\nTransfer-Encoding: chunked", b"0\r\n\r\n"),
        [malformed("Transfer-Encoding can't be present with Content-Length")],
    ),
    "TE and CL": (
        post(b"Transfer-Encoding: chunked\r\nContent-Length: 5", b"0\r\n\r\n"),
        [malformed("Content-Length can't be present with Transfer-Encoding")],
    ),
    "CL twice": (post(b"Content-Length: 1\r\nContent-Length: 1", b"x"), [malformed("Duplicate Content-Length")]),
    "CL list": (post(b"Content-Length: 1, 1", b"x"), [BAD_LENGTH]),
    "CL with a sign": (post(b"Content-Length: +1", b"x"), [BAD_LENGTH]),
    "CL negative": (post(b"Content-Length: -1", b"x"), [BAD_LENGTH]),
    "CL hexadecimal": (post(b"Content-Length: 0x1", b"x"), [BAD_LENGTH]),
    "CL empty": (post(b"Content-Length:"), [malformed("Empty Content-Length")]),
    "CL above 64 bits": (post(b"Content-Length: 18446744073709551616"), [malformed("Content-Length overflow")]),
    "CL with zeros before": (
        post(b"Content-Length: 001", b"x"),
        [head("POST", content_length=1), Data(b"x"), End()],
    ),
    "space before a colon": (post(b"Content-Length : 1", b"x"), [malformed("Invalid header field char")]),
    # Transfer codings
    "TE identity, chunked": (post(b"Transfer-Encoding: identity, chunked"), [ONLY_CHUNKED]),
    "TE gzip, chunked": (post(b"Transfer-Encoding: gzip, chunked"), [ONLY_CHUNKED]),
    "TE identity": (post(b"Transfer-Encoding: identity"), [ONLY_CHUNKED]),
    "TE empty": (post(b"Transfer-Encoding:"), [malformed("Empty Transfer-Encoding")]),
    "TE twice": (
        post(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
        [malformed("Invalid `Transfer-Encoding` header value")],
    ),
    "TE with a control character": (
        post(b"Transfer-Encoding: \x0bchunked"),
        [malformed("Invalid header value char")],
    ),
    "chunk ended by LF": (
        chunks(b"1\r\nx\n0\r\n\r\n"),
        [LOADING, Data(b"x"), malformed("Missing expected CR after chunk data")],
    ),
    "chunk ended by junk": (
        chunks(b"1\r\nxXX0\r\n\r\n"),
        [LOADING, Data(b"x"), malformed("Expected LF after chunk data")],
    ),
    "chunk size ended by LF": (chunks(b"1\nx\r\n"), [LOADING, malformed("Missing expected CR after chunk size")]),
    "chunk size with 0x": (chunks(b"0x1\r\nx\r\n"), [LOADING, BAD_CHUNK]),
    "chunk size negative": (chunks(b"-1\r\nx\r\n"), [LOADING, BAD_CHUNK]),
    "chunk size and a space": (chunks(b"1 \r\nx\r\n"), [LOADING, BAD_CHUNK]),
    "chunk size above 64 bits": (chunks(b"10000000000000000\r\n"), [LOADING, malformed("Chunk size overflow")]),
    # Lines
    "LF only": (b"GET / HTTP/1.1\nHost: a\n\n", [malformed("Expected CRLF after version")]),
    "LF after a header": (
        b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
        [malformed("Missing expected CR after header value")],
    ),
    "CR in a header": (
        b"GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n",
        [malformed("Missing expected LF after header value")],
    ),
    "obs-fold": (post(b"X: y\r\n z"), [malformed("Unexpected whitespace after header value")]),
    "NUL in a value": (post(b"X: y\0z"), [malformed("Invalid header value char")]),
    "NUL in a name": (post(b"X\0: y"), [malformed("Invalid header token")]),
    "a header without a colon": (post(b"X"), [malformed("Invalid header token")]),
    "a header without a name": (post(b": y"), [malformed("Invalid header token")]),
    "space before a method": (b" " + GET, [BAD_BYTES]),
    "tabs between": (b"GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n", [malformed("Expected space after method")]),
    # Hosts (RFC 9112, 3.2)
    "no host": (b"GET / HTTP/1.1\r\n\r\n", [ONE_HOST]),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", [ONE_HOST]),
    "two hosts in HTTP/1.0": (b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", [ONE_HOST]),
    "an empty host": (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", [head(), End()]),
    # Targets
    "no target": (b"GET  HTTP/1.1\r\nHost: a\r\n\r\n", [malformed("Unexpected char in url schema")]),
    "no slash": (b"GET a HTTP/1.1\r\nHost: a\r\n\r\n", [malformed("Invalid characters in url")]),
    "not ASCII": (b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", [malformed("Invalid char in url path")]),
    "a space": (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", [malformed("Expected HTTP/, RTSP/ or ICE/")]),
    "a fragment": (b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", [malformed("a target has no fragment")]),
    "an empty fragment": (b"GET /a# HTTP/1.1\r\nHost: a\r\n\r\n", [malformed("a target has no fragment")]),
    "CONNECT to an authority": (b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", [BAD_TARGET]),
    "a port that is none": (b"GET http://a:99999/ HTTP/1.1\r\nHost: a\r\n\r\n", [BAD_TARGET]),
    "no authority": (b"GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", [BAD_TARGET]),
    "half an address": (b"GET http://[::1/x HTTP/1.1\r\nHost: a\r\n\r\n", [BAD_TARGET]),
    # What is not HTTP/1.0 or 1.1
    "HTTP/0.9": (b"GET /\r\n\r\n", [malformed("the version is 0.9, not 1.0 or 1.1")]),
    "HTTP/1.2": (b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", [malformed("Invalid HTTP version")]),
    "HTTP/1.11": (b"GET / HTTP/1.11\r\nHost: a\r\n\r\n", [malformed("Expected CRLF after version")]),
    "HTTP/2.0": (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", [malformed("the version is 2.0, not 1.0 or 1.1")]),
    "the preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [malformed("Pause on PRI/Upgrade")]),
    "http in small letters": (b"GET / http/1.1\r\nHost: a\r\n\r\n", [malformed("Expected HTTP/, RTSP/ or ICE/")]),
    "a method in small letters": (b"get / HTTP/1.1\r\nHost: a\r\n\r\n", [BAD_BYTES]),
    "a method of one's own": (b"FROB / HTTP/1.1\r\nHost: a\r\n\r\n", [BAD_BYTES]),
    "a response": (b"HTTP/1.1 200 OK\r\n\r\n", [BAD_BYTES]),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", [BAD_BYTES]),
    "after the last": (
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + GET,
        [head(keeps_alive=False), End(), malformed("Data after `Connection: close`")],
    ),
}
"""What parsers disagree about, and what this one answers."""


@pytest.mark.parametrize(("sent", "expected"), ODDITIES.values(), ids=ODDITIES)
def test_an_oddity_is_answered_as_the_table_says_however_it_is_cut(sent: bytes, expected: Transcript) -> None:
    check(sent, expected)


def padded(size: int) -> bytes:
    """A head of about `size` bytes."""
    return b"GET / HTTP/1.1\r\nHost: a\r\nX: %b\r\n\r\n" % (b"x" * (size - 33))


LIMITS: dict[str, tuple[bytes, Transcript]] = {
    "a head below the limit": (padded(HEAD_BYTES_MAX - 30), [head(), End()]),
    "many below the limit": (padded(HEAD_BYTES_MAX - 30) * 3, [head(), End()] * 3),
    "a head above the limit": (padded(HEAD_BYTES_MAX + 30), [TOO_LARGE]),
    "the second above the limit": (GET + padded(HEAD_BYTES_MAX + 30), [head(), End(), TOO_LARGE]),
    "a target above the limit": (b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % (b"x" * HEAD_BYTES_MAX), [TOO_LARGE]),
    "as many headers as may be": (post(b"\r\n".join([b"X: y"] * (HEADERS_MAX - 1))), [head("POST"), End()]),
    "one header more": (post(b"\r\n".join([b"X: y"] * HEADERS_MAX)), [TOO_MANY]),
    "too many trailers": (chunks(b"0\r\n" + b"X: y\r\n" * HEADERS_MAX + b"\r\n"), [LOADING, TOO_MANY]),
    "a body has no limit here": (
        post(b"Content-Length: 2000", b"x" * 2000),
        [head("POST", content_length=2000), Data(b"x" * 2000), End()],
    ),
}


@pytest.mark.parametrize(("sent", "expected"), LIMITS.values(), ids=LIMITS)
def test_a_head_has_its_limits_however_it_is_cut(sent: bytes, expected: Transcript) -> None:
    check(sent, expected)


ENDLESS = {
    "a target": (b"GET /", b"x"),
    "a header's name": (b"GET / HTTP/1.1\r\nHost: a\r\n", b"x"),
    "a header's value": (b"GET / HTTP/1.1\r\nHost: a\r\nX: ", b"x"),
    "blanks before a value": (b"GET / HTTP/1.1\r\nHost: a\r\nX:", b" "),
    "empty lines": (b"", b"\r\n"),
    "a trailer": (CHUNKED + b"1\r\nx\r\n0\r\nX: ", b"x"),
    "a chunk's extension": (CHUNKED + b"1;", b"x"),
    "a head behind another": (GET + b"GET /", b"x"),
}


@pytest.mark.parametrize(("begin", "more"), ENDLESS.values(), ids=ENDLESS)
def test_what_never_ends_is_refused_soon_after_the_limit(begin: bytes, more: bytes) -> None:
    parts = [begin, *[more * 10] * (HEAD_BYTES_MAX // len(more * 10) + 1)]
    assert transcript(parts[:-10])[-1:] != [TOO_LARGE]
    assert transcript(parts)[-1] == TOO_LARGE


def test_small_chunks_do_not_add_up_to_a_large_head() -> None:
    sent = CHUNKED + b"1\r\nx\r\n" * HEAD_BYTES_MAX + b"0\r\n\r\n"
    expected = load(b"x" * HEAD_BYTES_MAX)
    assert transcript([sent]) == expected
    assert transcript(sent[at : at + 1] for at in range(len(sent))) == expected


def test_of_a_header_that_comes_twice_the_last_counts_and_names_are_in_lower_case() -> None:
    sent = b"GET / HTTP/1.1\r\nHoSt: a\r\nX-Y: \t 1 \r\nx-y: caf\xe9\r\n\r\n"
    assert headers_of(sent) == {"host": "a", "x-y": "caf\xe9"}


def test_after_an_error_nothing_is_understood_any_more() -> None:
    connection = new_connection()
    connection.receive(b"\0")
    for _ in range(2):
        with pytest.raises(InvalidParameter, match=r"^malformed HTTP request: Invalid method encountered$"):
            connection.next_event()
        connection.receive(GET)


def test_it_is_idle_between_requests_and_only_then() -> None:
    connection = new_connection()
    sent = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"
    for _ in range(2):
        for at in range(len(sent)):
            assert connection.is_idle == (at == 0)
            connection.receive(sent[at : at + 1])
        assert connection.is_idle


PIECES = st.sampled_from(
    [
        *(GET, CHUNKED, b"1\r\nx\r\n", b"0\r\n\r\n", b"GET ", b"/", b" HTTP/1.1", b"\r\n", b"\n", b":", b" ", b"\0"),
        *(b"Host: a", b"Content-Length: 3", b"Transfer-Encoding: chunked", b"Connection: close", b"http://", b"\xff"),
    ]
)


@settings(deadline=None, derandomize=True)
@given(st.lists(PIECES | st.binary(max_size=8), max_size=12), st.lists(st.integers(0, 300), max_size=5))
def test_no_bytes_raise_anything_else_and_no_cut_changes_what_they_mean(pieces: list[bytes], cuts: list[int]) -> None:
    sent = b"".join(pieces)
    bounds = [0, *sorted(cut for cut in cuts if cut < len(sent)), len(sent)]
    parts = [sent[start:end] for start, end in pairwise(bounds)]
    assert transcript(parts) == transcript([sent])


# What goes out -----------------------------------------------------------------------------------------------------


async def stream() -> AsyncGenerator[bytes, None]:
    yield b"x"


NAMED = (("Content-Type", "text/plain"),)
STREAM = stream()

HEADS: list[tuple[str, Response, dict[str, bool], list[str]]] = [
    ("a body", Response(status=200, headers=NAMED, body=b"abc"), {}, ["Content-Type: text/plain", "Content-Length: 3"]),
    ("no body", Response(status=201), {}, ["Content-Length: 0"]),
    ("no content", Response(status=204), {}, []),
    ("not modified", Response(status=304), {}, []),
    ("HEAD with a body", Response(status=200, body=b"abc"), {"is_head": True}, ["Content-Length: 3"]),
    (
        "HEAD that says it itself",
        Response(status=200, headers=(("Content-Length", "9"),)),
        {"is_head": True},
        ["Content-Length: 9"],
    ),
    ("a stream", Response(status=200, body=STREAM), {}, ["Transfer-Encoding: chunked"]),
    ("a stream for 1.0", Response(status=200, body=STREAM), {"is_http10": True, "keeps_alive": False}, []),
    ("the last", Response(status=400, body=b"no"), {"keeps_alive": False}, ["Content-Length: 2"]),
]


@pytest.mark.parametrize(("response", "fields", "expected"), [row[1:] for row in HEADS], ids=[row[0] for row in HEADS])
def test_a_response_says_how_long_its_body_is(response: Response, fields: dict[str, bool], expected: list[str]) -> None:
    given_fields = {"is_head": False, "is_http10": False, "keeps_alive": True, **fields}
    lines = encode_head(response, date="today", **given_fields).decode().split("\r\n")
    named = [line for line in expected if line.startswith("Content-Type") or "9" in line]
    framing = [line for line in expected if line not in named]
    ending = [] if given_fields["keeps_alive"] else ["Connection: close"]
    status_line = f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}"
    assert lines == [status_line, *named, "Date: today", *framing, *ending, "", ""]


def test_a_chunk_has_its_size_in_hexadecimal() -> None:
    assert encode_chunk(b"x" * 26) == b"1a\r\n" + b"x" * 26 + b"\r\n"
