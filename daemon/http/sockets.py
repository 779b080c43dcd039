"""Connected sockets: read and written without blocking, and ended so that the last answer is read."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Iterator

import anyio

from daemon.errors import Cancelled
from daemon.http.message import Peer
from daemon.http.readable import Readable, watching
from daemon.http.tls import end_tls

READ_BYTES = 64 << 10
"""One read: above a typical request, and small enough for a thousand connections."""

_UCRED = struct.Struct("iII")

LINGER_S = 2.0
"""How long a client may go on sending what nobody wants before its pipe breaks."""

OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


_waited_for: set[socket.socket] = set()
"""Sockets for which some task has waited by way of anyio, and so others than that which closes them may."""


def close_peer(peer: socket.socket) -> None:
    """Whoever still waits for it, as an actor does that reads a body, learns that it has gone."""
    if peer in _waited_for:  # hardly ever, and it costs a connection a tenth of its time
        _waited_for.remove(peer)
        anyio.notify_closing(peer)
    end_tls(peer)
    peer.close()


async def receive(peer: socket.socket, readable: Readable) -> bytes:
    """The next bytes, empty when the peer sends no more. Raises Cancelled if it has gone, or has been closed here."""
    while True:
        try:
            return peer.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError, ssl.SSLWantReadError):
            await readable.wait()
        except ssl.SSLWantWriteError:  # it renews its keys
            await _wait(anyio.wait_writable, peer)
        except OSError as error:
            raise Cancelled("the client has gone away") from error


async def send(peer: socket.socket, data: bytes, patience_s: float) -> None:
    """Raises Cancelled if the peer has gone, or takes nothing for so long. What is sent lies in the kernel, and nowhere else."""
    left = memoryview(data)
    flags = (
        0 if isinstance(peer, ssl.SSLSocket) else socket.MSG_NOSIGNAL
    )  # of TLS there are none; Python ignores the signal
    while left:
        try:
            left = left[peer.send(left, flags) :]
        except (BlockingIOError, InterruptedError, ssl.SSLWantWriteError, ssl.SSLWantReadError) as error:
            is_to_read = isinstance(error, ssl.SSLWantReadError)
            with anyio.move_on_after(patience_s) as scope:
                await _wait(anyio.wait_readable if is_to_read else anyio.wait_writable, peer)
            if scope.cancelled_caught:
                raise Cancelled("the client does not read its answer") from None
        except OSError as error:
            raise Cancelled("the client has gone away") from error


def peer_of(connection: socket.socket) -> Peer:
    """Who has connected: which process (unix(7), SO_PEERCRED), or from where."""
    if connection.family != socket.AF_UNIX:
        return Peer(address=_address_of(connection))
    pid, uid, gid = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return Peer(pid=pid, uid=uid, gid=gid)


def _address_of(connection: socket.socket) -> str:
    try:
        host, port = connection.getpeername()[:2]
    except OSError:  # it has gone already
        return "unknown"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


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
        _shut_down(peer, socket.SHUT_RD)


async def linger(peer: socket.socket, timeout_s: float = LINGER_S) -> None:
    """Says that no more will be sent, and takes in what still comes.

    A client that is busy sending would find its pipe broken if it were closed at once, and might never read its answer.
    """
    with contextlib.suppress(OSError), anyio.move_on_after(timeout_s), watching(peer) as readable:
        end_tls(peer)
        _shut_down(peer, socket.SHUT_WR)
        while await receive(peer, readable):
            pass


def _shut_down(peer: socket.socket, how: int) -> None:
    # As any socket: that of TLS would forget its keys, and what is then sent would be readable for all.
    socket.socket.shutdown(peer, how)


async def _wait(until: Callable[[socket.socket], Awaitable[None]], peer: socket.socket) -> None:
    _waited_for.add(peer)
    try:
        await until(peer)
    except anyio.ClosedResourceError as error:
        raise Cancelled("the connection has been closed") from error


class HangupWatcher:
    """Tells when a peer has closed its socket for good, at no cost per request: one epoll for all connections.

    A peer that only shuts its sending side down still reads its answer, and is not reported: that is EPOLLRDHUP, not EPOLLHUP.
    Over TCP there is no telling whether a peer is gone that sends no more. One that speaks TLS says within it when it only shuts
    that side down (RFC 8446, 6.1), so it is.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[], None]] = {}

    def watch(self, peer: socket.socket, on_hangup: Callable[[], None]) -> None:
        """Until it is forgotten. Raises OSError: the kernel has no room for one more."""
        if self._epoll.closed:  # as it is when the server stops before its connections do
            return
        descriptor = peer.fileno()
        is_tls = isinstance(peer, ssl.SSLSocket)
        # EPOLLHUP is always reported.
        self._epoll.register(descriptor, select.EPOLLONESHOT | (select.EPOLLRDHUP if is_tls else 0))
        self._callbacks[descriptor] = on_hangup

    def forget(self, peer: socket.socket) -> None:
        """Before it is closed; harmless if it is not watched."""
        descriptor = peer.fileno()
        if self._callbacks.pop(descriptor, None) is not None and not self._epoll.closed:
            # Closing it is not enough: a child that is being started has it, too, until it becomes another program.
            self._epoll.unregister(descriptor)

    def expect_end(self, peer: socket.socket) -> None:
        """We have told it that we read no more, which over TCP looks as if it had gone."""
        if isinstance(peer, ssl.SSLSocket) and peer.fileno() in self._callbacks:
            self._epoll.modify(peer.fileno(), select.EPOLLONESHOT)

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                await anyio.wait_readable(self._epoll.fileno())
                for descriptor, _ in self._epoll.poll(0):
                    self._callbacks[descriptor]()
        finally:
            self._epoll.close()
