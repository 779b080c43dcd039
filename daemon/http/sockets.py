"""Connected sockets: read and written without blocking, and ended so that the last answer is read."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator

import anyio

from daemon.errors import Cancelled
from daemon.http.message import Peer

READ_BYTES = 64 << 10
"""One read: above a typical request, and small enough for a thousand connections."""

_UCRED = struct.Struct("iII")

LINGER_S = 2.0
"""How long a client may go on sending what nobody wants before its pipe breaks."""

OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


@contextlib.contextmanager
def closing_peer(peer: socket.socket) -> Iterator[None]:
    """Close it at the end. Whoever still waits for it, as an actor does that reads a body, learns that it has gone."""
    try:
        yield
    finally:
        anyio.notify_closing(peer)
        peer.close()


async def receive(peer: socket.socket) -> bytes:
    """The next bytes, empty when the peer sends no more. Raises Cancelled if it has gone."""
    while True:
        try:
            return peer.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            await _wait(anyio.wait_readable, peer)
        except OSError as error:
            raise Cancelled("the client has gone away") from error


async def send(peer: socket.socket, data: bytes, patience_s: float) -> None:
    """Raises Cancelled if the peer has gone, or takes nothing for so long. What is sent lies in the kernel, and nowhere else."""
    left = memoryview(data)
    while left:
        try:
            left = left[peer.send(left, socket.MSG_NOSIGNAL) :]
        except (BlockingIOError, InterruptedError):
            with anyio.move_on_after(patience_s) as scope:
                await _wait(anyio.wait_writable, peer)
            if scope.cancelled_caught:
                raise Cancelled("the client does not read its answer") from None
        except OSError as error:
            raise Cancelled("the client has gone away") from error


def peer_of(connection: socket.socket) -> Peer:
    """Who has connected; nobody known if it is no Unix socket (unix(7), SO_PEERCRED)."""
    if connection.family != socket.AF_UNIX:
        return Peer()
    pid, uid, gid = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return Peer(pid=pid, uid=uid, gid=gid)


class Reserve:
    """One descriptor kept for when there are no others: given up, it lets a client be accepted that would wait for ever."""

    def __init__(self) -> None:
        self._descriptor: int | None = None

    def __enter__(self) -> None:
        self._descriptor = _open_reserve()

    def __exit__(self, *_: object) -> None:
        self._close()

    @contextlib.contextmanager
    def given_up(self) -> Iterator[None]:
        self._close()
        try:
            yield
        finally:
            self._descriptor = _open_reserve()

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _open_reserve() -> int | None:
    try:
        return os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # somebody else was faster; the next time may do
        return None


def stop_receiving(peer: socket.socket) -> None:
    """What has been sent to us is still read, then comes the end; what is sent from now on tells its sender that it was not."""
    with contextlib.suppress(OSError):
        peer.shutdown(socket.SHUT_RD)


async def linger(peer: socket.socket, timeout_s: float = LINGER_S) -> None:
    """Says that no more will be sent, and takes in what still comes.

    A client that is busy sending would find its pipe broken if it were closed at once, and might never read its answer.
    """
    anyio.notify_closing(peer)  # whoever still reads the body stops
    with contextlib.suppress(OSError), anyio.move_on_after(timeout_s):
        peer.shutdown(socket.SHUT_WR)
        while await receive(peer):
            pass


async def _wait(until: Callable[[socket.socket], Awaitable[None]], peer: socket.socket) -> None:
    try:
        await until(peer)
    except anyio.ClosedResourceError as error:
        raise Cancelled("the connection has been closed") from error


class HangupWatcher:
    """Tells when a peer has closed its socket for good, at no cost per request: one epoll for all connections.

    A peer that only shuts its sending side down still reads its answer, and is not reported: that is EPOLLRDHUP, not EPOLLHUP.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[], None]] = {}

    @contextlib.contextmanager
    def watching(self, peer: socket.socket, on_hangup: Callable[[], None]) -> Iterator[None]:
        descriptor = peer.fileno()
        self._callbacks[descriptor] = on_hangup
        self._epoll.register(descriptor, select.EPOLLONESHOT)  # EPOLLHUP is always reported
        try:
            yield
        finally:
            if not self._epoll.closed:  # as it is when the server stops before its connections do
                self._epoll.unregister(descriptor)
            del self._callbacks[descriptor]

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                await anyio.wait_readable(self._epoll.fileno())
                for descriptor, _ in self._epoll.poll(0):
                    self._callbacks[descriptor]()
        finally:
            self._epoll.close()
