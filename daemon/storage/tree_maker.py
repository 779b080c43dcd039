"""Makes trees in a process of its own, for the moments in which the daemon creates all that it can.

Each system call of a thread gives the interpreter up, and the thread then waits until an event loop that is busy lets go of it:
three calls for each tree, and the creates wait for the trees. Here a batch is one message there and one back:

    daemon -> process    the trees' paths and what is in each, as JSON
    process -> daemon    4 bytes, big endian: 0, or the errno of the first call that failed; the rest was not made

After each answer it syncs the batch. Nobody needs those trees to be durable; but what is in the journal of the file system when
the database's log is copied into its file is waited for by all creates then, and that is seconds' worth of directories otherwise.
Here only the next batch waits for it: under sustained load the longest silence is half as long.

It reads nothing that a stranger wrote, and stops at the next tree when its daemon has gone.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Sequence

import msgspec

from daemon.storage.beside import start_beside
from daemon.storage.failpoints import failpoint

Parts = tuple[tuple[str, int], ...]
"""The directories in a tree, and their modes."""

ORDER_BYTES_MAX = 128 << 10
"""Of a batch: what a socket takes in one piece. A path has at most 4 KB, a batch at most 64 of them, but data roots are short."""


class Order(msgspec.Struct, frozen=True):
    daemon: int
    """Its process id."""
    paths: tuple[str, ...]
    """Each byte of a path as a character: it need not be UTF-8."""
    parts: Parts


def make_tree(path: str, parts: Parts) -> None:
    """Raises OSError."""
    os.mkdir(path, 0o700)
    failpoint("ready.tree_in_part")
    for name, mode in parts:
        os.mkdir(f"{path}/{name}", mode)


class TreeMaker:
    """The process as the daemon sees it: started in good time, or else by the first batch. For any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def start(self) -> None:
        """Do not wait until it is there. Harmless twice. Raises OSError."""
        with self._lock:
            self._started()

    def make(self, paths: Sequence[str], parts: Parts) -> None:
        """All of them. Raises OSError: not all are made, some may be."""
        absolute = (os.fsencode(os.path.abspath(path)).decode("latin-1") for path in paths)
        order = msgspec.json.encode(Order(os.getpid(), tuple(absolute), parts))
        with self._lock:
            control = self._started()
            try:
                control.send(order)
                answer = control.recv(4)
            except OSError:
                self._end()
                raise
            if not answer:
                self._end()
                raise OSError(errno.EPIPE, "the process that makes directories has ended")
        if code := int.from_bytes(answer, "big"):
            raise OSError(code, os.strerror(code))

    def close(self) -> None:
        """End the process. Harmless twice."""
        with self._lock:
            self._end()

    def _started(self) -> socket.socket:
        if self._control is None:
            self._process, self._control = start_beside(__name__)
        return self._control

    def _end(self) -> None:
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            self._process.wait()
        self._control = self._process = None


def main() -> None:
    # A terminal sends it to the daemon, too, which ends this in good order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(ConnectionError), socket.socket(fileno=0) as control:
        while message := control.recv(ORDER_BYTES_MAX):
            order = msgspec.json.decode(message, type=Order)
            control.send(_carried_out(order).to_bytes(4, "big"))
            sync(order)


def _carried_out(order: Order) -> int:
    """0, or the errno of what failed."""
    for path in order.paths:
        if os.getppid() != order.daemon:
            return errno.EPIPE
        try:
            make_tree(_path(path), order.parts)
        except OSError as error:
            return error.errno or errno.EIO
    return 0


def sync(order: Order) -> None:
    """Have the journal with its trees written. That it failed is nobody's concern: nothing relies on it."""
    for home in {os.path.dirname(_path(path)) for path in order.paths}:
        with contextlib.suppress(OSError):
            descriptor = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _path(text: str) -> str:
    return os.fsdecode(text.encode("latin-1"))
