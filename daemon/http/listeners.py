"""Sockets that listen. One at a path is bound so that there is no moment with wrong permissions, in a place where nobody else
can put another there: whoever may write to it is root on this machine, as with Docker's."""

from __future__ import annotations

import contextlib
import grp
import os
import socket
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path

import attrs

from daemon.errors import System

BACKLOG = 1024

GROUP = "docker"
"""Who may use a socket that is given to no other group, where there is such a one."""

_MODE_AT_FIRST = 0o600
"""Until it belongs to its group, nobody else may use the socket."""


@attrs.frozen(kw_only=True)
class SocketAccess:
    """Who may use the socket."""

    mode: int = 0o660
    group: str = ""
    """By default `GROUP`."""


class Listener:
    """A socket that listens: at a path, or at a port, where TLS is spoken.

    With neither it is somebody else's, who goes on listening.
    """

    def __init__(self, bound: socket.socket, path: Path | None = None, *, tls: ssl.SSLContext | None = None) -> None:
        self.socket = bound
        self.tls = tls
        self._path = path
        self._inode: int | None = path.stat().st_ino if path else None

    @property
    def port(self) -> int:
        """Of one that speaks TLS."""
        port = self.socket.getsockname()[1]
        assert isinstance(port, int)
        return port

    def withdraw(self) -> Iterator[socket.socket]:
        """Those who have connected by now, when nobody can any more; the socket is closed after that.

        Who waits at a socket that is not ours is left to the daemon that comes after us.
        """
        with contextlib.closing(self.socket):
            if self._path is None and self.tls is None:
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
def listening(where: Path | socket.socket, access: SocketAccess = SocketAccess()) -> Iterator[Listener]:
    """A listening socket at a path, which is removed at the end. Or one that somebody else has bound, whose path and mode are
    their affair.

    Raises:
        System: something else is at that path, another daemon listens there, or anybody could put another socket there.
    """
    if isinstance(where, socket.socket):
        with contextlib.closing(where):
            yield Listener(where)
    else:
        with _bound(where, access) as listener:
            yield listener


@contextlib.contextmanager
def listening_on_tcp(host: str, port: int, tls: ssl.SSLContext) -> Iterator[Listener]:
    """At an address of this machine and a port, any that is free if it is 0. Raises System."""
    with contextlib.closing(bound_to(host, port)) as bound:
        yield Listener(bound, tls=tls)


def bound_to(host: str, port: int) -> socket.socket:
    """A socket that listens there, for `listening`: to whoever reaches it. Raises System."""
    try:
        bound = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=BACKLOG
        )
    except OSError as error:
        # What `create_server` says repeats the address.
        reason = os.strerror(error.errno) if error.errno is not None and error.errno > 0 else error.strerror or error
        raise System(f"cannot listen on {host} port {port}: {reason}") from error
    bound.setblocking(False)
    return bound


@contextlib.contextmanager
def _bound(path: Path, access: SocketAccess) -> Iterator[Listener]:
    with _reasons_told(path):
        _check_directories(path)
        _remove_stale(path)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    with contextlib.closing(bound):
        # Linux gives the path the socket's own mode. A umask would be that of the directories, too, which a thread may be making.
        os.fchmod(bound.fileno(), _MODE_AT_FIRST)
        with _reasons_told(path):
            bound.bind(str(path))
        listener = Listener(bound, path)
        try:
            with _reasons_told(path):
                _give_to_group(path, access.group)
                path.chmod(access.mode)
                bound.listen(BACKLOG)
            yield listener
        finally:
            listener.remove_path()


def _check_directories(path: Path) -> None:
    """Whoever may write to a directory may put something else in the place of what is in it; where it is sticky, as /tmp is, only
    in the place of what is theirs.

    Raises System: everybody may.
    """
    for directory in (above := path.parent.resolve(strict=True), *above.parents):
        mode = directory.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise System(f"cannot listen on {path}: everybody may write to {directory}, and put another socket there")


def _give_to_group(path: Path, group: str) -> None:
    """Raises System: the group that was asked for does not exist; OSError: it is not ours to give."""
    try:
        group_id = grp.getgrnam(group or GROUP).gr_gid
    except KeyError:
        if group:
            raise System(f"cannot listen on {path}: there is no group {group!r}") from None
        return
    with contextlib.suppress(*() if group else (PermissionError,)):
        os.chown(path, -1, group_id)


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
