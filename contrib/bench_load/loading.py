"""An engine is asked to take an image in, and to remove it again."""

from __future__ import annotations

import http.client
import socket
import time
from contextlib import closing
from pathlib import Path

from contrib.engines import Engine

LOAD_TIMEOUT_S = 1800.0


class Connection(http.client.HTTPConnection):
    """To an engine; large pieces, as the docker command sends them."""

    def __init__(self, engine: Engine) -> None:
        super().__init__("docker", timeout=LOAD_TIMEOUT_S, blocksize=1 << 18)
        self._path = str(engine.socket)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def load(engine: Engine, archive: Path) -> float:
    """How many seconds it takes. Raises OSError where it is refused."""
    headers = {"Content-Type": "application/x-tar", "Content-Length": str(archive.stat().st_size)}
    with closing(Connection(engine)) as connection, archive.open("rb") as body:
        started = time.perf_counter()
        connection.request("POST", "/images/load?quiet=1", body, headers)
        response = connection.getresponse()
        answer = response.read()
        taken = time.perf_counter() - started
    if response.status != 200 or b"bench:1" not in answer:
        raise OSError(f"the load was refused: {response.status} {answer[:200]!r}")
    return taken


def remove(engine: Engine) -> None:
    with closing(Connection(engine)) as connection:
        connection.request("DELETE", "/images/bench:1?force=1")
        connection.getresponse().read()
