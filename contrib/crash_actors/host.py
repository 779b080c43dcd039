"""A daemon that crashes its actors on demand: a line on its standard input is the name of one; the answer is when, by the
monotonic clock, which is the same in all processes of a machine. It ends with its input, or is killed."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import anyio

from actors.testing import crash
from daemon.config import Config
from daemon.engine import Engine

READY = "ready"
IMAGE = "busybox:latest"


async def serve(home: Path) -> None:
    config = Config(data_root=home / "data", socket=home / "socket")
    async with Engine(config) as engine, engine.serving(home / "socket"):
        await engine.make_image(IMAGE, {"bin/sh": b"#!/bin/sh\n"})
        _tell(READY)
        async for line in anyio.wrap_file(sys.stdin):
            at = time.monotonic()
            crash(getattr(engine.services, line.strip()))
            _tell(str(at))


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    anyio.run(serve, Path(sys.argv[1]), backend_options={"use_uvloop": True})
