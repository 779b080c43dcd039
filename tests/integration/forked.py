"""Real daemon processes that start in a tenth of the time: forked from a process that has imported everything."""

from __future__ import annotations

import functools
import logging
import multiprocessing
import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import attrs

from contrib import connection
from daemon.config import Backend, Config
from daemon.running import run
from daemon.storage import failpoints

STOP_TIMEOUT_S = 30
PATIENCE_S = 60.0
LOG_BYTES = 64 * 1024
"""Little: every daemon makes it anew."""


@attrs.frozen
class Forked:
    """A daemon that was started at `home`; it may have ended before it was ready."""

    process: BaseProcess
    home: Path
    is_ready: bool
    patience_s: float = PATIENCE_S
    """With an answer."""

    @property
    def host(self) -> str:
        return f"unix://{self.home / 'socket'}"

    @property
    def data_root(self) -> Path:
        return self.home / "data"

    def call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Raises OSError, HTTPException: it ended meanwhile, or took too long."""
        with closing(connection.Connection(self.home / "socket", timeout_s=self.patience_s)) as api:
            return api.call(method, path, body)

    def stop(self) -> int:
        """Ask it to; its exit code, or below zero the signal that ended it."""
        self.process.terminate()
        return self.wait()

    def kill(self) -> int:
        self.process.kill()
        return self.wait()

    def wait(self) -> int:
        self.process.join(STOP_TIMEOUT_S)
        assert self.process.exitcode is not None, f"it does not end:\n{log_of(self.home)}"
        return self.process.exitcode


@contextmanager
def forked(
    home: Path, armed: str = "", *, backend: Backend = "uvloop", patience_s: float = PATIENCE_S
) -> Iterator[Forked]:
    """A daemon with these failpoints, once it is ready or has ended; killed at the end if it still runs."""
    reader, writer = multiprocessing.Pipe(duplex=False)
    process = _context().Process(target=_serve, args=(home, armed, backend, writer))
    with reader:
        with writer:
            process.start()
        try:
            is_ready = reader.recv()
        except EOFError:
            is_ready = False
    try:
        yield Forked(process, home, is_ready, patience_s)
    finally:
        if process.is_alive():
            process.kill()
        process.join(STOP_TIMEOUT_S)
        process.close()


def log_of(home: Path) -> str:
    """What all daemons at `home` have written."""
    return (home / "log").read_text()


@functools.cache
def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


class _Readiness(logging.Handler):
    def __init__(self, writer: Connection) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        if "is listening on" in record.getMessage():
            self._writer.send(True)


def _serve(home: Path, armed: str, backend: Backend, writer: Connection) -> None:
    log = os.open(home / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 2)
    logging.getLogger("daemon").addHandler(_Readiness(writer))
    failpoints.arm(armed)
    config = Config(
        data_root=home / "data",
        socket=home / "socket",
        backend=backend,
        ready_trees_max=2,
        log_bytes_max=LOG_BYTES,
    )
    sys.exit(run(config, lambda: config))
