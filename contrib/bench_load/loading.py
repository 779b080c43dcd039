"""An engine is asked to take an image in, and to remove it again."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

from contrib.connection import TAR, Connection
from contrib.engines import Engine


def load(engine: Engine, archive: Path) -> float:
    """How many seconds it takes. Raises OSError where it is refused."""
    headers = {"Content-Type": TAR, "Content-Length": str(archive.stat().st_size)}
    with closing(Connection(engine.socket)) as connection, archive.open("rb") as body:
        started = time.perf_counter()
        connection.request("POST", "/images/load?quiet=1", body, headers)
        response = connection.getresponse()
        answer = response.read()
        taken = time.perf_counter() - started
    if response.status != 200 or b"bench:1" not in answer:
        raise OSError(f"the load was refused: {response.status} {answer[:200]!r}")
    return taken


def remove(engine: Engine) -> None:
    with closing(Connection(engine.socket)) as connection:
        connection.request("DELETE", "/images/bench:1?force=1")
        connection.getresponse().read()
