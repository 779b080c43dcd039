"""Workers that unpack archives (`storage/worker.py`), as the event loop sees them: fed, given their turn, asked, always ended.

Nothing here waits for a disk or looks at what a stranger has written, but for the records in a worker's answer.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import anyio
import anyio.lowlevel

from actors import run_in_thread
from daemon.errors import Cancelled, InvalidParameter, System
from daemon.storage.beside import start_beside
from daemon.storage.confine import CPU_SECONDS_MAX
from daemon.storage.intake import Told, unheard
from daemon.storage.staged import Area, Staged
from daemon.storage.worker import (
    ANSWERED,
    DIED,
    OUTCOME_BYTES_MAX,
    UNPACKING,
    UNPACKING_BYTES_MAX,
    Order,
    decode_outcome,
    decode_unpacking,
    encode_frame,
    encode_order,
)

READ_BYTES = 64 << 10
SOCKET_BYTES = 1 << 20
"""Of the kernel's buffer: sixteen reads of a client's, so that neither side waits for the other's every piece."""

_log = logging.getLogger(__name__)

_END = encode_frame(b"")


class ByteStream(Protocol):
    """A body that is still arriving."""

    async def receive(self) -> bytes:
        """The next bytes, empty at the end. Raises a DaemonError if the client goes away."""
        ...


class WorkerHost:
    """Starts workers, from a process that is started for the first and kept. Use it as an asynchronous context manager."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):  # it ends at once: its socket is closed
            await run_in_thread(self.stop)

    def stop(self) -> None:
        """End the process, and with it the workers."""
        with self._lock:
            self._end()

    async def start(self) -> socket.socket:
        """A new worker, as its end of a socket. Raises System."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                await run_in_thread(self._hand_over, theirs)
            except BaseException as error:
                ours.close()
                if isinstance(error, OSError):
                    raise System(f"cannot start unpacking: {error.strerror or error}") from error
                raise
        ours.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES)
        return ours

    def _hand_over(self, job: socket.socket) -> None:
        """To the process, a new one if there is none or it has died."""
        with self._lock:
            if self._control is not None:
                with contextlib.suppress(OSError):
                    socket.send_fds(self._control, [b"j"], [job.fileno()])
                    return
                self._end()
            self._process, self._control = start_beside("daemon.storage.worker_host")
            socket.send_fds(self._control, [b"j"], [job.fileno()])

    def _end(self) -> None:
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            self._process.wait()
        self._control = self._process = None


class IntakeProcess:
    """See `intake_process`."""

    def __init__(self, worker: socket.socket, order: Order, told: Told = unheard) -> None:
        self.order = order
        self.area = Area(Path(order.area))
        self._told = told
        self._worker = worker
        self._turn = anyio.Lock()
        self._is_over = False

    async def feed(self, body: ByteStream) -> None:
        """Give the worker all of the body, or as much as it wants. Raises what `body` raises."""
        while data := await body.receive():
            # A client that is fast, and a worker that is, never have to be waited for: everybody else has to be thought of.
            await anyio.lowlevel.checkpoint()
            if not await self.send(encode_frame(data)):
                return  # it has refused: `staged` says why
        await self.send(_END)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """While it lasts the area stays. Raises Cancelled if nobody wants this intake any more."""
        async with self._turn:
            if self._is_over:
                raise Cancelled("the intake has been called off")
            yield

    async def staged(self) -> Staged:
        """What has been unpacked, once the body has been fed; the stores must not change from here to the commit.

        The worker is gone then: nobody else touches the area.

        Raises:
            InvalidParameter: the archive is damaged, hostile or too large.
            System: the disk failed, or the worker died.
        """
        await self.send(_END)
        while True:
            kind, head = await self._receive(1), await self._receive(4)
            size = int.from_bytes(head, "big")
            if kind == UNPACKING and size <= UNPACKING_BYTES_MAX:
                self._told(decode_unpacking(await self._receive(size)))
            elif kind == ANSWERED and size <= OUTCOME_BYTES_MAX:
                outcome = await self._receive(size)
                await self._kill()
                return decode_outcome(outcome)
            else:
                raise _death(os.waitstatus_to_exitcode(size) if kind == DIED and head else None)

    async def end(self) -> None:
        """Kill the worker, and wait until nobody uses the area."""
        with contextlib.suppress(OSError):
            self._worker.shutdown(socket.SHUT_WR)
        async with self._turn:  # whoever has it sees the end of the worker's answer now
            self._is_over = True
            await self._kill()
            self._worker.close()

    async def _kill(self) -> None:
        """It is gone when its socket is at its end (`worker_host.py`)."""
        with contextlib.suppress(OSError):
            self._worker.shutdown(socket.SHUT_WR)
        while await self._receive(READ_BYTES):
            pass

    async def send(self, frame: bytes) -> bool:
        """Whether it was taken: a worker that has refused takes no more."""
        rest = memoryview(frame)
        try:
            while rest:
                try:
                    rest = rest[self._worker.send(rest) :]
                except BlockingIOError:
                    await anyio.wait_writable(self._worker)
        except OSError:
            return False
        return True

    async def _receive(self, size: int) -> bytes:
        """So many bytes, fewer only at the end."""
        data = bytearray()
        while len(data) < size:
            try:
                piece = self._worker.recv(size - len(data))
            except BlockingIOError:
                await anyio.wait_readable(self._worker)
                continue
            except ConnectionResetError:  # with something unread, which nobody will
                break
            if not piece:
                break
            data += piece
        return bytes(data)


@asynccontextmanager
async def intake_area(root: Path, *, note_residue: Callable[[], None]) -> AsyncIterator[Area]:
    """A new one below the data root, removed at the end, whatever the end is; if it cannot be, that is noted. Raises System."""
    with anyio.CancelScope(shield=True):  # it makes four directories: a cancellation after it would leave them
        area = await run_in_thread(Area.made_in, root)
    try:
        yield area
    finally:
        with anyio.CancelScope(shield=True):  # as long as it takes to remove what was unpacked
            try:
                await run_in_thread(area.remove)
            except System as error:  # recovery removes it
                note_residue()
                _log.error("an intake could not be cleared: %s", error)


@asynccontextmanager
async def intake_process(host: WorkerHost, order: Order, told: Told = unheard) -> AsyncIterator[IntakeProcess]:
    """A worker at work in the order's area, gone at the end, whatever the end is. Raises System.

    `told` is called with how far the unpacking is, now and then.
    """
    worker = await host.start()
    intake = IntakeProcess(worker, order, told)
    try:
        await intake.send(encode_order(order))
        yield intake
    finally:
        with anyio.CancelScope(shield=True):  # as long as a commit takes that has begun
            await intake.end()


def _death(exit_code: int | None) -> InvalidParameter | System:
    """Why a worker may have ended without an answer."""
    if exit_code == -signal.SIGXCPU:
        return InvalidParameter(f"invalid archive: reading it takes more than {CPU_SECONDS_MAX} s")
    if exit_code is None or exit_code == -signal.SIGKILL:
        return System("unpacking was killed: the machine may have run out of memory")
    how = signal.Signals(-exit_code).name if exit_code < 0 else f"exit code {exit_code}"
    return System(f"unpacking ended without an answer ({how})")
