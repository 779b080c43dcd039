"""A registry that does what a test tells it to, the wrong things, too; and images for it to have."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import attrs

from daemon.storage.oci import (
    CONFIG_TYPE,
    DOCKER_MANIFEST_LIST_TYPE,
    DOCKER_MANIFEST_TYPE,
    INDEX_TYPE,
    LAYER_GZIP_TYPE,
    MANIFEST_TYPE,
    digest_of,
)
from tests.daemon.storage.making import config_of

HOLD_S = 30


@attrs.frozen
class Asked:
    method: str
    path: str
    query: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes


@attrs.frozen(kw_only=True)
class Reply:
    status: int = 200
    headers: dict[str, str] = attrs.field(factory=dict)
    body: bytes = b""
    sent: int | None = None
    """How much of the body is sent before the connection is closed; None means all, and it stays open."""
    hold: threading.Event | None = None
    """What is waited for before the connection is closed."""


Answer = Reply | Callable[[Asked], Reply]


class ScriptedRegistry:
    """Answers by method and path; of several answers each is given once, and the last one for good."""

    def __init__(self) -> None:
        self._answers: dict[tuple[str, str], list[Answer]] = {}
        self.asked: list[Asked] = []
        self.host = ""

    def on(self, method: str, path: str, *answers: Answer) -> None:
        self._answers[method, path] = list(answers)

    def count(self, method: str, path: str) -> int:
        return sum((asked.method, asked.path) == (method, path) for asked in self.asked)

    def answer(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        answers = self._answers.get((asked.method, asked.path), [])
        if not answers:
            return Reply(status=404, body=error_body("MANIFEST_UNKNOWN", "manifest unknown"))
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return answer if isinstance(answer, Reply) else answer(asked)

    def put(self, repository: str, *blobs: bytes) -> None:
        """Blobs, whole or in part."""
        for blob in blobs:
            path = f"/v2/{repository}/blobs/{digest_of(blob)}"
            self.on("GET", path, ranged(blob))
            self.on("HEAD", path, Reply(headers={"Content-Length": str(len(blob))}))

    def put_image(self, repository: str, tag: str, image: RemoteImage) -> None:
        self.put(repository, image.config, *image.layers)
        self.put_manifest(repository, tag, image.manifest, image.media_type)

    def put_manifest(self, repository: str, tag: str, manifest: bytes, media_type: str) -> None:
        for name in (tag, digest_of(manifest)):
            self.on(
                "GET",
                f"/v2/{repository}/manifests/{name}",
                Reply(headers={"Content-Type": media_type}, body=manifest),
            )


@contextmanager
def scripted_registry() -> Iterator[ScriptedRegistry]:
    registry = ScriptedRegistry()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1 << 16  # head and body in one packet: two would wait for an acknowledgement between them
        disable_nagle_algorithm = True

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except OSError:  # the client has gone, which is its right
                self.close_connection = True

        def respond(self) -> None:
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, parts.path, parts.query, headers, self._body())
            self._send(registry.answer(asked))

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = respond  # noqa: N815 - the names of http.server

        def _body(self) -> bytes:
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def _send(self, reply: Reply) -> None:
            self.send_response(reply.status)
            headers = {"Content-Length": str(len(reply.body)), **reply.headers}
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.body[: reply.sent])
            self.wfile.flush()
            if reply.hold is not None:
                reply.hold.wait(HOLD_S)
            if reply.sent is not None:
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            """Tests look at `asked`."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        registry.host = f"127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield registry
        finally:
            server.shutdown()
            thread.join()


def ranged(content: bytes) -> Callable[[Asked], Reply]:
    """What a server does that knows Range."""

    def reply(asked: Asked) -> Reply:
        start = int(asked.headers.get("range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        if not start:
            return Reply(body=content)
        stated = f"bytes {start}-{len(content) - 1}/{len(content)}"
        return Reply(status=206, headers={"Content-Range": stated}, body=content[start:])

    return reply


def error_body(code: str, message: str) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": message}]}).encode()


@attrs.frozen
class RemoteImage:
    config: bytes
    layers: tuple[bytes, ...]
    """Compressed, lowest first."""
    manifest: bytes
    media_type: str


def remote_image(*tars: bytes, is_docker: bool = False, **config_fields: object) -> RemoteImage:
    config = config_of(*tars, **config_fields)
    layers = tuple(gzip.compress(tar, mtime=0) for tar in tars)
    media_type = DOCKER_MANIFEST_TYPE if is_docker else MANIFEST_TYPE
    document = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": descriptor(config, CONFIG_TYPE),
        "layers": [descriptor(layer, LAYER_GZIP_TYPE) for layer in layers],
    }
    return RemoteImage(config, layers, json.dumps(document, indent=3).encode(), media_type)


def index_of(*entries: tuple[RemoteImage, dict[str, str] | None], is_docker: bool = False) -> tuple[bytes, str]:
    """An index of images by platform, and its media type."""
    media_type = DOCKER_MANIFEST_LIST_TYPE if is_docker else INDEX_TYPE
    manifests = [
        descriptor(image.manifest, image.media_type) | ({"platform": platform} if platform else {})
        for image, platform in entries
    ]
    return json.dumps({"schemaVersion": 2, "mediaType": media_type, "manifests": manifests}).encode(), media_type


def descriptor(content: bytes, media_type: str) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}
