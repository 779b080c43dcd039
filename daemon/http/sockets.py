"""Unix sockets: bound so that there is no moment with wrong permissions, read and written without blocking."""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import select
import socket
import stat
import struct
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import anyio

from daemon.errors import Cancelled, System
from daemon.http.message import Peer

BACKLOG = 1024
READ_BYTES = 64 << 10
"""One read: above a typical request, and small enough for a thousand connections."""

_UMASK = 0o117
"""Leaves 0660: who may write to the socket is root on this machine, as with Docker's."""

_UCRED = struct.Struct("iII")

LINGER_S = 2.0
"""How long a client may go on sending what nobody wants before its pipe breaks."""

OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Listener:
    """A socket that listens, and the path that it is found at; None if that is somebody else's, who goes on listening."""

    def __init__(self, bound: socket.socket, path: Path | None) -> None:
        self.socket = bound
        self._path = path
        self._inode: int | None = path.stat().st_ino if path else None

    def withdraw(self) -> Iterator[socket.socket]:
        """Those who have connected by now, when nobody can any more; the socket is closed after that.

        Who waits at a socket that is not ours is left to the daemon that comes after us.
        """
        with contextlib.closing(self.socket):
            if self._path is None:
                return
            self.remove_path()
            with contextlib.suppress(OSError):
                while True:
                    yield self.socket.accept()[0]

    def remove_path(self) -> None:
        """Harmless twice, and when somebody else has put something there."""
        with contextlib.suppress(FileNotFoundError):
            if self._path is not None and self._path.stat().st_ino == self._inode:
                self._path.unlink()
        self._inode = None  # the next file may get the same


@contextlib.contextmanager
def listening(where: Path | socket.socket) -> Iterator[Listener]:
    """A listening socket at a path, owned by the group `docker` if there is one; the path is removed at the end. Or one that
    somebody else has bound, whose path and mode are their affair.

    Raises:
        System: something else is at that path, or another daemon listens there.
    """
    if isinstance(where, socket.socket):
        with contextlib.closing(where):
            yield Listener(where, None)
    else:
        with _bound(where) as listener:
            yield listener


@contextlib.contextmanager
def _bound(path: Path) -> Iterator[Listener]:
    with _reasons_told(path):
        _remove_stale(path)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    with contextlib.closing(bound):
        previous = os.umask(_UMASK)
        try:
            with _reasons_told(path):
                bound.bind(str(path))
        finally:
            os.umask(previous)
        listener = Listener(bound, path)
        try:
            with contextlib.suppress(KeyError, PermissionError):  # no such group, or not ours to give
                os.chown(path, -1, grp.getgrnam("docker").gr_gid)
            bound.listen(BACKLOG)
            yield listener
        finally:
            listener.remove_path()


@contextlib.contextmanager
def _reasons_told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise System(f"cannot listen on {path}: {error.strerror or error}") from error


def _remove_stale(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise System(f"cannot listen on {path}: there is something that is not a socket")
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:
            pass  # somebody listens, and is too busy to accept
    raise System(f"cannot listen on {path}: another daemon listens there")


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
