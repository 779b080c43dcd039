from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import anyio
import pytest

from daemon.http.readable import watching
from daemon.http.sockets import HangupWatcher, receive, send, stop_receiving
from daemon.http.tls import server_context
from tests.certificates import HOST, Certificates, certificates

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("tls"))


@contextmanager
def both_ends(made: Certificates) -> Iterator[tuple[ssl.SSLSocket, ssl.SSLSocket]]:
    """The server's, which does not block, and the client's, which does."""
    with socket.create_server((HOST, 0)) as listener:
        plain = socket.create_connection(listener.getsockname())
        accepted = listener.accept()[0]
    server = server_context(made.server).wrap_socket(accepted, server_side=True, do_handshake_on_connect=False)
    shaking = threading.Thread(target=server.do_handshake)
    shaking.start()
    client = made.of_client(made.client).wrap_socket(plain, server_hostname=HOST)
    shaking.join()
    server.setblocking(False)
    with closing(server), closing(client):
        yield server, client


async def test_what_is_answered_after_we_have_stopped_to_receive_is_still_tls(made: Certificates) -> None:
    with both_ends(made) as (server, client), watching(server) as readable:
        client.sendall(b"last")
        stop_receiving(server)
        assert await receive(server, readable) == b"last"
        assert await receive(server, readable) == b""
        await send(server, b"answer", 1.0)
        assert client.recv(100) == b"answer"


async def test_that_we_have_stopped_to_receive_is_no_hangup(made: Certificates) -> None:
    watcher, hangups = HangupWatcher(), Hangups()
    with both_ends(made) as (server, _), both_ends(made) as (other, client):
        async with anyio.create_task_group() as tasks:
            watcher.watch(server, hangups.note("server"))
            watcher.watch(other, hangups.note("other"))
            watcher.expect_end(server)
            stop_receiving(server)
            client.close()
            tasks.start_soon(watcher.run)
            with anyio.fail_after(5):
                await hangups.have_come.wait()
            tasks.cancel_scope.cancel()
    assert hangups.of == ["other"]


class Hangups:
    def __init__(self) -> None:
        self.of: list[str] = []
        self.have_come = anyio.Event()

    def note(self, name: str) -> Callable[[], None]:
        def note() -> None:
            self.of.append(name)
            self.have_come.set()

        return note
