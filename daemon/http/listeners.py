"""Unix sockets that listen: bound so that there is no moment with wrong permissions."""

from __future__ import annotations

import contextlib
import grp
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from daemon.errors import System

BACKLOG = 1024

_UMASK = 0o117
"""Leaves 0660: who may write to the socket is root on this machine, as with Docker's."""


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
