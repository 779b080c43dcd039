from __future__ import annotations

import errno
import grp
import os
import socket
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from daemon.errors import System
from daemon.http.listeners import Listener, SocketAccess, listening


@pytest.fixture
def path() -> Iterator[Path]:
    """A short one: the path of a socket has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="by-") as directory:
        yield Path(directory) / "s"


def leave_stale_socket(path: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as left:
        left.bind(str(path))


def connect(path: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as client:
        client.connect(str(path))


def test_it_listens_there_and_removes_the_path_at_the_end(path: Path) -> None:
    with listening(path) as listener:
        connect(path)
        assert not listener.socket.getblocking()
        assert not listener.socket.get_inheritable()
    assert not path.exists()
    with pytest.raises(OSError, match="Bad file descriptor"):
        listener.socket.accept()


def test_withdrawn_it_still_has_those_who_have_connected_and_nobody_else_can(path: Path) -> None:
    with listening(path) as listener, closing(socket.socket(socket.AF_UNIX)) as client:
        client.connect(str(path))
        for peer in listener.withdraw():
            with pytest.raises(FileNotFoundError):
                connect(path)
            peer.sendall(b"hello")
            peer.close()
        assert client.recv(9) == b"hello"
        with listening(path):  # the next daemon need not wait for us
            listener.remove_path()
            connect(path)


def test_a_socket_that_somebody_else_has_bound_is_left_to_the_next_with_those_who_wait_there(path: Path) -> None:
    with listening(path) as theirs, closing(socket.socket(socket.AF_UNIX)) as client:
        ours = Listener(theirs.socket.dup(), None)
        client.connect(str(path))
        assert not list(ours.withdraw())
        assert path.exists()
        theirs.socket.accept()[0].close()


@pytest.mark.parametrize("umask", [0, 0o22, 0o77])
def test_nobody_may_connect_before_the_socket_has_its_group_and_then_only_who_is_meant(
    umask: int, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: list[int] = []

    class Watched(socket.socket):
        def bind(self, address: object) -> None:
            super().bind(address)  # type: ignore[arg-type]  # whatever it is, it is passed on
            modes.append(path.stat().st_mode)

        def listen(self, backlog: int = 0) -> None:
            modes.append(path.stat().st_mode)
            super().listen(backlog)

    monkeypatch.setattr(socket, "socket", Watched)
    previous = os.umask(umask)
    try:
        with listening(path):
            pass
        assert os.umask(umask) == umask
    finally:
        os.umask(previous)
    assert modes == [stat.S_IFSOCK | 0o600, stat.S_IFSOCK | 0o660]


def test_the_umask_is_left_alone_as_threads_make_directories(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_to: list[int] = []
    monkeypatch.setattr(os, "umask", set_to.append)
    with listening(path):
        pass
    assert not set_to


def test_mode_and_group_are_what_the_operator_says(path: Path) -> None:
    group = grp.getgrgid(os.getgid()).gr_name
    with listening(path, SocketAccess(mode=0o600, group=group)):
        assert (stat.S_IMODE(path.stat().st_mode), path.stat().st_gid) == (0o600, os.getgid())


def test_a_group_that_does_not_exist_is_named_and_nothing_is_left(path: Path) -> None:
    with pytest.raises(System) as refused, listening(path, SocketAccess(group="no-such-group")):
        pass
    assert str(refused.value) == f"cannot listen on {path}: there is no group 'no-such-group'"
    assert not path.exists()


@pytest.mark.parametrize("below", ["", "deeper"])
def test_where_everybody_may_write_is_no_place_for_a_socket(below: str, path: Path) -> None:
    directory = path.parent / below
    directory.mkdir(exist_ok=True)
    path.parent.chmod(0o777)
    socket_path = directory / "s"
    with pytest.raises(System) as refused, listening(socket_path):
        pass
    assert str(refused.value) == (
        f"cannot listen on {socket_path}: everybody may write to {path.parent}, and put another socket there"
    )
    path.parent.chmod(0o1777)  # as /tmp
    with listening(socket_path):
        connect(socket_path)


def test_a_link_to_a_directory_that_everybody_may_write_to_is_no_way_around(path: Path) -> None:
    (path.parent / "open/closed").mkdir(parents=True)
    (path.parent / "open").chmod(0o777)
    (path.parent / "link").symlink_to("open/closed")
    with pytest.raises(System, match="everybody may write to"), listening(path.parent / "link" / "s"):
        pass


def test_a_stale_socket_is_replaced(path: Path) -> None:
    leave_stale_socket(path)
    with listening(path):
        connect(path)


def put_file(path: Path) -> None:
    path.write_text("precious")


def put_directory(path: Path) -> None:
    path.mkdir()


def put_link_to_stale_socket(path: Path) -> None:
    leave_stale_socket(path.with_name("other"))
    path.symlink_to("other")


NOT_A_SOCKET = "there is something that is not a socket"
THINGS: list[tuple[Callable[[Path], None], str]] = [
    (put_file, NOT_A_SOCKET),
    (put_directory, NOT_A_SOCKET),
    (put_link_to_stale_socket, NOT_A_SOCKET),
]


@pytest.mark.parametrize(("put", "text"), THINGS)
def test_what_is_no_stale_socket_is_left_alone(put: Callable[[Path], None], text: str, path: Path) -> None:
    put(path)
    before = path.lstat()
    with pytest.raises(System) as refused, listening(path):
        pass
    assert str(refused.value) == f"cannot listen on {path}: {text}"
    assert path.lstat() == before


def test_where_another_daemon_listens_is_no_place_for_a_second(path: Path) -> None:
    with listening(path):
        with pytest.raises(System) as refused, listening(path):
            pass
        assert str(refused.value) == f"cannot listen on {path}: another daemon listens there"
        connect(path)


def test_where_somebody_listens_in_another_way_is_no_place_either(path: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as other:
        other.bind(str(path))
        with pytest.raises(System) as refused, listening(path):
            pass
    assert str(refused.value) == f"cannot listen on {path}: {os.strerror(errno.EPROTOTYPE)}"


def test_a_daemon_too_busy_to_accept_is_there_all_the_same(path: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as busy, closing(socket.socket(socket.AF_UNIX)) as waiting:
        busy.bind(str(path))
        busy.listen(0)
        waiting.connect(str(path))  # and its backlog is full
        with pytest.raises(System) as refused, listening(path):
            pass
    assert str(refused.value) == f"cannot listen on {path}: another daemon listens there"


@pytest.mark.parametrize(
    ("name", "code"), [("missing/s", errno.ENOENT), ("x" * 300, errno.ENAMETOOLONG)], ids=["missing", "long"]
)
def test_where_one_cannot_listen_the_reason_is_told(name: str, code: int, path: Path) -> None:
    with pytest.raises(System) as refused, listening(path.parent / name):
        pass
    assert str(refused.value) == f"cannot listen on {path.parent / name}: {os.strerror(code)}"


def test_a_path_too_long_for_a_socket_is_refused(path: Path) -> None:
    long = path.with_name("x" * 107)
    with pytest.raises(System) as refused, listening(long):
        pass
    assert str(refused.value) == f"cannot listen on {long}: AF_UNIX path too long"


def test_at_the_end_what_somebody_else_has_put_there_stays(path: Path) -> None:
    with listening(path):
        path.unlink()
        put_file(path)
    assert path.read_text() == "precious"


def test_at_the_end_a_path_that_is_gone_is_no_matter(path: Path) -> None:
    with listening(path):
        path.unlink()


def test_the_path_is_removed_when_serving_fails(path: Path) -> None:
    with pytest.raises(ZeroDivisionError), listening(path):
        raise ZeroDivisionError
    assert not path.exists()
