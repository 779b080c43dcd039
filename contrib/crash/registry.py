"""A registry on this machine that has every image: what it is asked for is made of its name."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from contrib.crash.images import MANIFEST_TYPE, SmallImage, digest_of

POLL_S = 0.02
"""How long it takes to end."""


@contextmanager
def registry() -> Iterator[str]:
    """Its host and port, which the kernel has chosen."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(POLL_S,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


class _Server(ThreadingHTTPServer):
    def handle_error(self, *arguments: object) -> None:
        """A client that is killed while it asks is what is wanted."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """`/v2/`, `/v2/NAME/manifests/ANY` and `/v2/NAME/blobs/DIGEST`."""
        name, _, wanted = self.path.removeprefix("/v2/").partition("/")
        kind, _, digest = wanted.partition("/")
        image = SmallImage(name)
        if kind == "manifests":
            self._answer(image.manifest(), MANIFEST_TYPE)
        elif kind == "blobs":
            blobs = {digest_of(blob): blob for blob in (image.config(), image.rootfs())}
            self._answer(blobs.get(digest), "application/octet-stream")
        else:
            self._answer(b"{}", "application/json")

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *arguments: object) -> None:
        """Nobody reads it."""

    def _answer(self, content: bytes | None, media_type: str) -> None:
        self.send_response(404 if content is None else 200)
        body = content or b""
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        if media_type == MANIFEST_TYPE:
            self.send_header("Docker-Content-Digest", digest_of(body))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)
