"""Each message on a real datagram socket, as systemd would get it."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from daemon.errors import System
from daemon.systemd import Notifier, passed_socket

pytestmark = pytest.mark.anyio

PATIENCE_S = 5.0
SHORT_US = "20000"


@pytest.fixture
def path() -> Iterator[Path]:
    """A short one: the path of a socket has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="by-") as directory:
        yield Path(directory) / "s"


def listening(address: str) -> socket.socket:
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    manager.bind(address)
    return manager


async def heard(manager: socket.socket) -> str:
    with anyio.fail_after(PATIENCE_S):
        await anyio.wait_readable(manager)
    return manager.recv(100).decode()


def notifier(**environment: str) -> Notifier:
    return Notifier({key.upper(): value for key, value in environment.items()})


@pytest.mark.parametrize("is_abstract", [False, True])
async def test_a_state_is_told_by_path_or_abstract_name(is_abstract: bool, path: Path) -> None:
    with closing(listening("\0" + str(path) if is_abstract else str(path))) as manager:
        notifier(notify_socket=f"@{path}" if is_abstract else str(path)).notify("READY=1")
        assert await heard(manager) == "READY=1"


def test_started_by_anything_else_nothing_is_told() -> None:
    notifier().notify("READY=1")


def test_what_cannot_be_told_is_logged(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    notifier(notify_socket=str(path)).notify("READY=1")
    assert caplog.messages == ["cannot tell systemd READY=1: No such file or directory"]


async def test_it_is_told_that_we_live_again_and_again_while_that_is_so(path: Path) -> None:
    answers = iter([True, False, True])
    asked = 0

    async def is_alive() -> bool:
        nonlocal asked
        asked += 1
        if (answer := next(answers, None)) is None:
            await anyio.sleep_forever()
        return bool(answer)

    with closing(listening(str(path))) as manager:
        keeper = notifier(notify_socket=str(path), watchdog_usec=SHORT_US, watchdog_pid=str(os.getpid()))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(keeper.keep_alive, is_alive)
            with anyio.fail_after(PATIENCE_S):
                while asked < 5:  # also after who did not answer
                    await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        assert [manager.recv(100), manager.recv(100)] == [b"WATCHDOG=1"] * 2
        with pytest.raises(BlockingIOError):
            manager.recv(100)


@pytest.mark.parametrize(
    "environment", [{}, {"watchdog_usec": SHORT_US, "watchdog_pid": "1"}, {"watchdog_usec": "soon"}]
)
async def test_where_nobody_wants_to_know_we_do_not_check(environment: dict[str, str]) -> None:
    async def is_alive() -> bool:
        raise AssertionError

    await notifier(**environment).keep_alive(is_alive)


def test_what_was_meant_for_us_is_not_left_for_others() -> None:
    given = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID")
    environment = dict.fromkeys(given, "1")
    Notifier(environment)
    with pytest.raises(System):
        passed_socket(environment)
    assert not environment


def nothing() -> int:
    return os.open("/dev/null", os.O_RDONLY)


def a_stream_that_does_not_listen() -> int:
    return socket.socket(socket.AF_UNIX).detach()


def a_datagram_socket() -> int:
    return socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).detach()


def one_of_another_family() -> int:
    other = socket.socket()
    other.bind(("127.0.0.1", 0))
    other.listen()
    return other.detach()


NO_SOCKET = "systemd passes no socket: say --socket PATH"
NO_LISTENER = "the socket that systemd passes is no Unix stream socket that listens"
ME = "this process"
"""Its id: a number that differs from run to run is no name for a test."""


@pytest.mark.parametrize(
    ("count", "owner", "make", "text"),
    [
        ("", "", nothing, NO_SOCKET),
        ("1", "1", nothing, NO_SOCKET),
        ("2", ME, nothing, "systemd passes 2 sockets, where one is wanted"),
        ("1", ME, nothing, "what systemd passes is no socket"),
        ("1", ME, a_stream_that_does_not_listen, NO_LISTENER),
        ("1", ME, a_datagram_socket, NO_LISTENER),
        ("1", ME, one_of_another_family, NO_LISTENER),
    ],
)
def test_what_is_passed_must_be_one_listening_unix_socket(
    count: str, owner: str, make: Callable[[], int], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    descriptor = make()
    monkeypatch.setattr("daemon.systemd.FIRST_DESCRIPTOR", descriptor)
    with pytest.raises(System) as refused:
        passed_socket({"LISTEN_FDS": count, "LISTEN_PID": owner.replace(ME, str(os.getpid()))})
    assert str(refused.value) == text
    os.close(descriptor)
