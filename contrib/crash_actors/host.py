"""A daemon that crashes its actors on demand: a line on its standard input is the name of one. The answer is two lines: when it
was told to crash, and when it was up again, by the clock of `time.perf_counter`, which is the same in all processes of a Linux
machine. It ends with its input, or is killed."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import anyio

from actors import ChildStarted, Event
from actors.testing import crash
from daemon.config import Config
from daemon.engine import Engine
from daemon.instruments import Instruments

READY = "ready"
IMAGE = "busybox:latest"


async def serve(home: Path) -> None:
    config = Config(data_root=home / "data", socket=home / "socket")
    wanted = ""

    def on_event(event: Event) -> None:
        if isinstance(event, ChildStarted) and event.child == wanted:
            _tell(str(time.perf_counter()))

    async with Engine(config, Instruments(on_event=on_event)) as engine, engine.serving(home / "socket"):
        await engine.make_image(IMAGE, {"bin/sh": b"#!/bin/sh\n"})
        _tell(READY)
        async for line in anyio.wrap_file(sys.stdin):
            wanted = line.strip()
            _tell(str(time.perf_counter()))
            crash(getattr(engine.services, wanted))


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    anyio.run(serve, Path(sys.argv[1]), backend_options={"use_uvloop": True})
