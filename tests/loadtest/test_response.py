from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.response import HEAD_BYTES_MAX, BadHTTP, Incomplete, Response, ResponseReader

PLAIN = b'HTTP/1.1 201 Created\r\nServer: x\r\nContent-Length: 11\r\n\r\n{"Id":"ab"}'
WHOLE = [
    pytest.param(PLAIN, Response(201, b'{"Id":"ab"}', True), id="plain"),
    pytest.param(b"HTTP/1.1 500 E\r\ncontent-length:2\r\n\r\n{}", Response(500, b"{}", True), id="lower case"),
    pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Response(200, b"", True), id="empty body"),
    pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", Response(204, b"", True), id="no content"),
    pytest.param(
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n[]", Response(200, b"[]", False), id="close"
    ),
    pytest.param(
        b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n[]",
        Response(200, b"[]", True),
        id="keep",
    ),
    pytest.param(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n[]", Response(200, b"[]", False), id="version 1.0"),
    pytest.param(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n[\r\n1\r\n]\r\n0\r\n\r\n",
        Response(200, b"[]", True),
        id="chunked",
    ),
    pytest.param(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}",
        Response(201, b"{}", True),
        id="after an interim response",
    ),
    pytest.param(
        b"HTTP/1.1 200 OK\r\nX-Content-Length: 9\r\nContent-Length: 2\r\n\r\n[]",
        Response(200, b"[]", True),
        id="look-alike",
    ),
]


@pytest.mark.parametrize(("raw", "expected"), WHOLE)
def test_a_response_is_read_whole(raw: bytes, expected: Response) -> None:
    assert ResponseReader().feed(raw) == expected


@pytest.mark.parametrize(("raw", "expected"), WHOLE)
def test_a_response_is_the_same_byte_by_byte(raw: bytes, expected: Response) -> None:
    reader = ResponseReader()
    results = [reader.feed(raw[at : at + 1]) for at in range(len(raw))]
    assert results == [None] * (len(raw) - 1) + [expected]


@given(st.binary(max_size=300), st.booleans(), st.data())
def test_a_response_is_the_same_however_it_is_cut(body: bytes, is_chunked: bool, data: st.DataObject) -> None:
    if is_chunked:
        framed = (
            b"Transfer-Encoding: chunked\r\n\r\n"
            + (b"%x\r\n%b\r\n" % (len(body), body) if body else b"")
            + b"0\r\n\r\n"
        )
    else:
        framed = b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    raw = b"HTTP/1.1 200 OK\r\n" + framed
    cuts = [0, *sorted(data.draw(st.sets(st.integers(1, len(raw) - 1)))), len(raw)]
    reader = ResponseReader()
    results = [reader.feed(raw[start:end]) for start, end in pairwise(cuts)]
    assert results[-1] == Response(200, body, True)
    assert set(results[:-1]) <= {None}


def test_one_reader_reads_one_response_after_another() -> None:
    reader = ResponseReader()
    answers = [reader.feed(raw) for raw in (PLAIN[:60], PLAIN[60:], b"HTTP/1.1 204 N\r\n\r\n", PLAIN)]
    created = Response(201, b'{"Id":"ab"}', True)
    assert answers == [None, created, Response(204, b"", True), created]


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", "SSH-2.0"),
        (b"HTTP/1.1 2x1 Created\r\nContent-Length: 0\r\n\r\n", "status"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "Content-Length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: %b\r\n\r\n" % (b"9" * 5000), "Content-Length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n[]", "Content-Length"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "chunk"),
        (PLAIN + b"more", "4 bytes too many"),
        (b"HTTP/1.1 204 N\r\n\r\nHTTP/1.1 204 N\r\n\r\n", "a second response"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n", "is longer than"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * HEAD_BYTES_MAX, "head of a response is longer"),
    ],
)
def test_what_is_not_one_response_is_bad_http(raw: bytes, text: str) -> None:
    with pytest.raises(BadHTTP, match=text):
        ResponseReader().feed(raw)


@pytest.mark.parametrize(
    ("raw", "is_head_complete"),
    [
        (b"", False),
        (b"HTTP/1.1 20", False),
        (PLAIN[:40], False),
        (PLAIN[:-1], True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", True),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n[", True),
    ],
)
def test_an_end_inside_a_response_says_how_far_it_came(raw: bytes, is_head_complete: bool) -> None:
    reader = ResponseReader()
    assert not raw or reader.feed(raw) is None
    with pytest.raises(Incomplete) as caught:
        reader.feed_eof()
    assert caught.value.is_head_complete is is_head_complete


def test_a_body_without_length_ends_with_the_connection() -> None:
    reader = ResponseReader()
    assert reader.feed(b"HTTP/1.1 200 OK\r\n\r\nhello, ") is None
    assert reader.feed(b"world") is None
    assert reader.feed_eof() == Response(200, b"hello, world", False)
