"""What hostile and broken clients send, as bytes, and what comes back: a status, or nothing but the end of the connection.

The rows are those that dockerd 20.10 was measured with. Where its answer is another it stands beside ours.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest

from daemon.api.routes import Router
from tests.daemon.harness import engine_at
from tests.daemon.http.serving import Answer, Client, serving

pytestmark = pytest.mark.anyio

MB = 1 << 20
HEAD = b"POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
GOOD = b'{"Image": "busybox", "Cmd": ["true"]}'


def get(target: bytes = b"/_ping", *, fields: bytes = b"") -> bytes:
    return b"GET %b HTTP/1.1\r\nHost: d\r\n%b\r\n" % (target, fields)


def create(body: bytes, *, fields: bytes = b"") -> bytes:
    return HEAD + b"%bContent-Length: %d\r\n\r\n" % (fields, len(body)) + body


def with_label(value: bytes) -> bytes:
    return GOOD[:-1] + b', "Labels": {"a": ' + value + b"}}"


def in_chunks(body: bytes) -> bytes:
    return CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


SIZES: dict[str, tuple[bytes, int]] = {
    "a 50 MB body, declared": (HEAD + b"Content-Length: %d\r\n\r\n" % (50 * MB), 413),  # dockerd: 201 in 3 s, 680 MB
    "a 10 GB body, declared": (HEAD + b"Content-Length: 10000000000\r\n\r\n", 413),  # dockerd: waits for ever
    "5 MB of blanks in chunks": (CHUNKED + b"100000\r\n%b\r\n" % (b" " * MB) * 5, 413),  # dockerd: 201
    "many labels": (create(GOOD[:-1] + b', "Labels": {%b}}' % b",".join(b'"l%d":""' % n for n in range(50_000))), 201),
    "a head above 64 KB": (get(fields=b"X: %b\r\n" % (b"x" * 70_000)), 431),  # dockerd: 200
    "201 headers": (get(fields=b"X: y\r\n" * 200), 431),  # dockerd: 200
    "199 headers": (get(fields=b"X: y\r\n" * 190), 200),
    "a target above 64 KB": (get(b"/_ping?" + b"x" * 70_000), 431),  # dockerd: 200
    "trailers above 64 KB": (CHUNKED + b"0\r\n" + b"X: y\r\n" * 12_000, 431),
    "a chunk extension above 64 KB": (CHUNKED + b"1;" + b"x" * 140_000, 431),
}

DOCUMENTS: dict[str, tuple[bytes, int]] = {
    "in order": (GOOD, 201),
    "junk after it": (GOOD + b"x", 400),  # dockerd: 201
    "two documents": (GOOD + GOOD, 400),  # dockerd: 201
    "a key twice": (GOOD[:-1] + b', "Image": "busybox"}', 201),
    "bad UTF-8": (with_label(b'"\xff"'), 201),  # replaced, as in Go
    "an array": (b"[]", 400),  # dockerd: 500
    "a string": (b'"x"', 400),
    "null": (b"null", 400),
    "nothing": (b"", 400),  # dockerd: 500
    "blanks": (b"  \r\n", 400),
    "NaN": (GOOD[:-1] + b', "StopTimeout": NaN}', 400),  # dockerd: 500
    "a fraction": (GOOD[:-1] + b', "StopTimeout": 1.5}', 400),  # dockerd: 500
    "an integer above 64 bits": (GOOD[:-1] + b', "StopTimeout": 9223372036854775808}', 400),  # dockerd: 500
    "an integer of 5,000 digits": (GOOD[:-1] + b', "StopTimeout": %b}' % (b"9" * 5000), 400),
    "the wrong type": (GOOD[:-1] + b', "Env": {}}', 400),  # dockerd: 500
    "a byte order mark": (b"\xef\xbb\xbf" + GOOD, 400),  # dockerd: 500
    "half": (GOOD[:-1], 400),
    "200,000 deep": (b"[" * 200_000, 400),  # dockerd: 500
    "200,000 deep where it does not matter": (GOOD[:-1] + b', "X": %b}' % (b"[" * 200_000 + b"]" * 200_000), 400),
    "1,000 deep where it does not matter": (GOOD[:-1] + b', "X": %b}' % (b"[" * 1000 + b"]" * 1000), 201),
    "9,000 deep where it does not matter": (GOOD[:-1] + b', "X": %b}' % (b"[" * 9000 + b"]" * 9000), 201),
    "9,000 deep where it does": (GOOD[:-1] + b', "Env": %b}' % (b"[" * 9000 + b"]" * 9000), 400),
    "a zero byte in the environment": (GOOD[:-1] + b', "Env": ["A=\\u0000"]}', 201),
    "a zero byte in a path": (GOOD[:-1] + b', "WorkingDir": "/a\\u0000"}', 400),
    "a zero byte in a bind": (
        GOOD[:-1] + b', "HostConfig": {"Binds": ["/a\\u0000:/b"]}}',
        201,
    ),  # looked at when it is started
    "a zero byte in a mount": (
        GOOD[:-1] + b', "HostConfig": {"Mounts": [{"Type": "bind", "Source": "/a\\u0000", "Target": "/b"}]}}',
        400,
    ),
    "a zero byte in a mount's target": (
        GOOD[:-1] + b', "HostConfig": {"Mounts": [{"Type": "volume", "Target": "/b\\u0000"}]}}',
        400,
    ),
    "a zero byte in a tmpfs": (GOOD[:-1] + b', "HostConfig": {"Tmpfs": {"/a\\u0000": ""}}}', 201),
    "a zero byte in an image": (GOOD.replace(b"busybox", b"busy\\u0000box"), 400),
    "a zero byte in a network": (GOOD[:-1] + b', "HostConfig": {"NetworkMode": "a\\u0000"}}', 201),
    "a zero byte in a cpuset": (GOOD[:-1] + b', "HostConfig": {"CpusetCpus": "0\\u0000"}}', 400),
    "a zero byte in a device": (
        GOOD[:-1] + b', "HostConfig": {"Devices": [{"PathOnHost": "/dev/\\u0000", "PathInContainer": "/dev/x"}]}}',
        201,
    ),
    "a zero byte in a profile": (GOOD[:-1] + b', "HostConfig": {"SecurityOpt": ["apparmor=a\\u0000"]}}', 201),
    "half a surrogate pair in the environment": (GOOD[:-1] + b', "Env": ["A=\\ud800"]}', 201),
    "half a surrogate pair in a path": (GOOD[:-1] + b', "WorkingDir": "/\\ud800"}', 201),
    "a zero byte in a volume": (GOOD[:-1] + b', "Volumes": {"/a\\u0000": {}}}', 400),
    "garbage": (bytes(range(256)) * 16, 400),
}

NAMES: dict[str, tuple[bytes, int]] = {
    "a line": (b"a%0A", 400),
    "a zero byte": (b"a%00b", 400),
    "a path": (b"../x", 400),
    "5,000 characters": (b"a" * 5000, 400),  # dockerd: 201
    "digits that are not ASCII": (b"a%D9%A1", 400),
    "an escape sequence": (b"a%1B[31m", 400),
}

FRAMING: dict[str, tuple[bytes, int]] = {
    "CL and TE": (HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),  # dockerd: 201
    "CL list": (HEAD + b"Content-Length: 2, 2\r\n\r\n{}", 400),
    "CL twice": (HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", 400),
    "a chunk ended by LF": (CHUNKED + b"2\r\n{}\n0\r\n\r\n", 400),  # dockerd: 201
    "a chunk ended by junk": (CHUNKED + b"2\r\n{}xx0\r\n\r\n", 400),
    "TE identity, chunked": (HEAD + b"Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n", 400),  # dockerd: 501
    "LF only": (b"GET /_ping HTTP/1.1\nHost: d\n\n", 400),  # dockerd: 200
    "a folded header": (get(fields=b"X: y\r\n z\r\n"), 400),  # dockerd: 200
    "NUL in a header": (get(fields=b"X: \0\r\n"), 400),
    "leading CRLF": (b"\r\n" + get(), 200),  # dockerd: 400
    "no Host": (b"GET /_ping HTTP/1.1\r\n\r\n", 400),
    "two Hosts": (get(fields=b"Host: e\r\n"), 400),
    "the preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "an upgrade to HTTP/2": (get(fields=b"Connection: Upgrade\r\nUpgrade: h2c\r\n"), 200),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "HTTP/0.9": (b"GET /_ping\r\n\r\n", 400),
    "two slashes": (get(b"//_ping"), 301),
    "dots": (get(b"/x/../_ping"), 404),  # dockerd: 301
    "escaped dots": (get(b"/x/%2e%2e/_ping"), 404),  # dockerd: 301
    "an escaped slash": (get(b"/%2F_ping"), 404),  # dockerd: 301
    "an escaped letter": (get(b"/%5Fping"), 404),  # dockerd: 200
}

PATHS: dict[str, tuple[bytes, int]] = {
    "of a container": (b"GET /containers/a%00b/json", 404),
    "of an image": (b"GET /images/a%00b/json", 400),
    "of a volume": (b"GET /volumes/a%00b", 404),
    "of a network": (b"GET /networks/a%00b", 404),
    "of a volume that goes": (b"DELETE /volumes/..%2F..%2Fetc", 404),
    "of a container that goes": (b"DELETE /containers/..%2F..%2Fetc", 404),
    "of an image that goes": (b"DELETE /images/sha256:..%2F..%2Fx", 400),
    "in a container": (b"GET /containers/last/archive?path=/a%00b", 400),
    "in a container, not UTF-8": (b"GET /containers/last/archive?path=/%FF", 404),
    "not UTF-8": (b"GET /containers/%FF/json", 404),
}

TABLE = {
    **SIZES,
    **{f"a document: {name}": (create(body), status) for name, (body, status) in DOCUMENTS.items()},
    **{f"in chunks: {name}": (in_chunks(body), status) for name, (body, status) in DOCUMENTS.items() if body},
    **{
        f"a name: {name}": (create(GOOD).replace(b"/create", b"/create?name=%b" % text), status)
        for name, (text, status) in NAMES.items()
    },
    **FRAMING,
    "a container": (create(GOOD).replace(b"/create", b"/create?name=last"), 201),
    **{f"a path {name}": (b"%b HTTP/1.1\r\nHost: d\r\n\r\n" % line, status) for name, (line, status) in PATHS.items()},
}

LEAKS = re.compile(rb"/tmp|/root|/home|/var/|/usr/|Errno|errno|Traceback|File \"|\.py\b|Permission denied|No such file")


async def answer_to(client: Client, sent: bytes) -> Answer:
    async with anyio.create_task_group() as tasks:

        async def send() -> None:
            with suppress(anyio.BrokenResourceError):  # it has been refused in the middle
                await client.send(sent)

        tasks.start_soon(send)
        answer = await client.read_answer()
        tasks.cancel_scope.cancel()
    return answer


async def complaints(client: Client, sent: bytes, status: int, *, is_unframed: bool) -> AsyncIterator[object]:
    try:
        answer = await answer_to(client, sent)
    except* (AssertionError, TimeoutError):
        answer = Answer(0, {}, b"nothing")
    if answer.status != status:
        yield answer.status, answer.body
    if answer.status >= 400:
        if not re.fullmatch(rb'\{"message":"[^\n]+"\}\n', answer.body):
            yield "not as Docker writes an error", answer.body
        if LEAKS.search(answer.body):
            yield "tells what is none of their business", answer.body
    if status in (413, 431) or is_unframed:
        if answer.headers.get("connection") != "close":
            yield "the connection is said to be kept"
        if await client.read_to_end():
            yield "there is more than one answer"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_what_bad_peers_get(tmp_path: Path) -> None:
    wrong = []
    async with engine_at(tmp_path) as engine:
        config, router = engine.config, Router(engine)
        limits: dict[str, Any] = {"head_bytes_max": config.head_bytes_max, "headers_max": config.headers_max}
        async with serving(router, tmp_path, error_response=router.error, **limits) as service:
            for row, (sent, status) in TABLE.items():
                async with await service.connect() as client:
                    is_unframed = row in FRAMING and status == 400
                    wrong += [(row, text) async for text in complaints(client, sent, status, is_unframed=is_unframed)]
                async with await service.connect() as client:
                    assert (await client.ask(get())).status == 200, f"others are served after {row}"
    assert not wrong, "\n".join(map(str, wrong))
