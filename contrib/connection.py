"""One connection to an engine's socket, for who asks the Engine API by hand."""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from typing import Any

TIMEOUT_S = 1800.0
"""An image may take as long as it takes."""

TAR = "application/x-tar"


class NotSent(ConnectionError):
    """The engine had closed a connection on which nothing was under way: it has not done what was asked for."""


class Connection(http.client.HTTPConnection):
    """It is opened with the first request, and kept; large pieces, as the docker command sends them."""

    def __init__(self, path: Path, *, timeout_s: float = TIMEOUT_S) -> None:
        super().__init__("docker", timeout=timeout_s, blocksize=1 << 18)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)

    def call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Status and decoded body; a body that is bytes is sent as a tar, anything else as JSON.

        Raises OSError, HTTPException: there is no answer.
        """
        status, content = self.call_raw(method, path, body)
        return status, json.loads(content) if content else None

    def call_raw(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        """The same for what answers with something else than one JSON document. Raises NotSent, too."""
        if isinstance(body, bytes):
            self.request(method, path, body, {"Content-Type": TAR})
        else:
            self._send_small(method, path, body)
        response = self.getresponse()
        return response.status, response.read()

    def _send_small(self, method: str, path: str, body: object) -> None:
        try:
            if body is None:
                self.request(method, path)
            else:
                self.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
        except BrokenPipeError as error:  # head or body, it has not come whole
            raise NotSent("the connection had been closed") from error
