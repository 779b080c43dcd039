"""Real TLS on a port of the loopback address, with certificates of an authority made for these tests."""

from __future__ import annotations

import os
import socket
import ssl
from contextlib import closing, suppress
from pathlib import Path

import anyio
import attrs
import pytest

from daemon.errors import System
from daemon.http.account import Account
from daemon.http.listeners import listening_on_tcp
from daemon.http.message import Peer, Request, Response
from daemon.http.tls import TlsFiles, server_context
from tests.certificates import HOST, Certificates, certificates
from tests.daemon.http.serving import GET, HELLO, PATIENCE_S, Client, Held, Service, Stream, greet, serving, wait_until

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def server_tls(made: Certificates) -> ssl.SSLContext:
    return server_context(made.server)


@pytest.fixture
def client_tls(made: Certificates) -> ssl.SSLContext:
    return made.of_client(made.client)


async def test_who_has_a_certificate_is_served_and_known_by_it(
    directory: Path, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    peers: list[Peer] = []

    async def handle(request: Request) -> Response:
        peers.append(request.peer)
        return HELLO

    async with serving(handle, directory, tls=server_tls) as service, await service.connect_tls(client_tls) as client:
        assert (await client.ask(GET)).body == b"hello"
        assert (await client.ask(GET)).body == b"hello"
    assert [(peer.uid, peer.name, peer.address.rpartition(":")[0]) for peer in peers] == [(None, "alice", HOST)] * 2
    assert ssl.DER_cert_to_PEM_cert(peers[0].certificate).startswith("-----BEGIN CERTIFICATE-----")


async def test_large_bodies_pass_both_ways(
    directory: Path, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    content = os.urandom(1 << 20)

    async def echo(request: Request) -> Response:
        return Response(status=200, body=await request.body.read(1 << 21))

    async with serving(echo, directory, tls=server_tls) as service, await service.connect_tls(client_tls) as client:
        head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(content)
        assert (await client.ask(head + content)).body == content


@pytest.mark.parametrize("who", ["nobody", "stranger", "without TLS"])
async def test_who_has_no_certificate_of_ours_gets_no_byte_of_http(
    who: str, directory: Path, server_tls: ssl.SSLContext, made: Certificates
) -> None:
    accounts: list[Account] = []
    async with serving(greet, directory, tls=server_tls, on_answered=accounts.append) as service:
        if who == "without TLS":
            client = Client(await anyio.connect_tcp(HOST, service.listeners[1].port))
        else:
            # From version 1.3 on a client only learns that it is refused when it reads.
            client = await service.connect_tls(made.of_client(made.stranger if who == "stranger" else None))
        async with client:
            with suppress(anyio.BrokenResourceError):  # it may have been closed already
                await client.send(GET)
            assert b"HTTP" not in await read_to_end(client)
        await service.wait_idle()
    [account] = accounts
    assert account.refusal.startswith("no TLS: ")
    assert (account.status, account.method) == (None, "")


async def read_to_end(client: Client) -> bytes:
    try:
        return await client.read_to_end()
    except ssl.SSLError as error:  # how the server says no
        return str(error).encode()


async def test_who_says_nothing_loses_the_connection(directory: Path, server_tls: ssl.SSLContext) -> None:
    accounts: list[Account] = []
    async with serving(greet, directory, tls=server_tls, head_timeout_s=0.05, on_answered=accounts.append) as service:
        async with Client(await anyio.connect_tcp(HOST, service.listeners[1].port)) as client:
            assert await client.read_to_end() == b""
        await service.wait_idle()
    assert [account.refusal for account in accounts] == ["no TLS in time"]


async def test_a_client_that_goes_away_calls_its_request_off(
    directory: Path, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    held = Held()
    async with serving(held.handle, directory, tls=server_tls) as service:
        async with await service.connect_tls(client_tls) as client:
            # Whoever goes without having read the tickets of TLS resets the connection, which anybody would notice.
            assert (await client.ask(GET.replace(b"/ ", b"/other "))).status == 200
            await client.send(GET)
            await held.entered.wait()
        with anyio.fail_after(PATIENCE_S):
            await held.ended.wait()
    assert held.ended_by == ["cancellation"]


async def test_told_to_stop_it_answers_what_is_under_way_and_then_says_that_it_ends(
    directory: Path, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    held = Held()
    async with (
        serving(held.handle, directory, tls=server_tls) as service,
        await service.connect_tls(client_tls) as busy,
        await service.connect_tls(client_tls) as idle,
    ):
        assert (await idle.ask(GET.replace(b"/ ", b"/other "))).status == 200
        await busy.send(GET)
        await held.entered.wait()
        service.drain(PATIENCE_S)
        await wait_until(lambda: service.listeners[1].socket.fileno() == -1)
        held.released.set()
        assert (await busy.read_answer()).status == 200
        assert await idle.read_to_end() == b""
        await service.wait_ended()


async def test_who_makes_room_is_told_so_within_tls(
    directory: Path, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with (
        serving(greet, directory, tls=server_tls, connections_max=1) as service,
        await service.connect_tls(client_tls) as first,
    ):
        assert (await first.ask(GET)).status == 200
        async with await service.connect() as second:
            assert (await second.ask(GET)).status == 200
        assert await first.read_to_end() == b""  # and nothing that is no TLS, which would raise


async def test_who_makes_room_is_answered_what_it_has_just_asked(
    directory: Path, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with serving(greet, directory, tls=server_tls, connections_max=1) as service:
        for _ in range(5):
            async with await service.connect_tls(client_tls) as first:
                assert (await first.ask(GET)).status == 200
                await first.send(GET)
                async with await service.connect() as second:  # before, while or after the first is served
                    assert (await second.ask(GET)).status in (200, 503)
                    assert (await first.read_answer()).status == 200
            await service.wait_idle()


async def test_who_cannot_be_served_is_closed_without_a_word(directory: Path, server_tls: ssl.SSLContext) -> None:
    async with (
        serving(greet, directory, tls=server_tls, connections_max=1, idle_grace_s=60) as service,
        await service.connect() as first,
    ):
        assert (await first.ask(GET)).status == 200
        async with await tcp(service) as second:
            assert await second.read_to_end() == b""


async def tcp(service: Service) -> Client:
    return Client(await anyio.connect_tcp(HOST, service.listeners[1].port))


async def test_a_stream_ends_as_tls_ends_it(
    directory: Path, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    stream = Stream(b"abc")
    async with serving(stream.handle, directory, tls=server_tls) as service:
        port = service.listeners[1].port
        # Which raises at an end that anybody between the two could have made.
        strict = await anyio.connect_tcp(HOST, port, ssl_context=client_tls, tls_standard_compatible=True)
        client = Client(strict)
        await client.send(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert b"abc" in await client.read_to_end()
        await client.close()


def test_a_certificate_of_before_cannot_come_without_tls_1_2(server_tls: ssl.SSLContext) -> None:
    assert server_tls.minimum_version == ssl.TLSVersion.TLSv1_2
    assert server_tls.verify_mode == ssl.CERT_REQUIRED


def test_files_that_cannot_be_used_are_named(made: Certificates, tmp_path: Path) -> None:
    bad, missing, open_key = tmp_path / "bad.pem", tmp_path / "missing.pem", tmp_path / "open.pem"
    bad.write_text("nonsense")
    open_key.write_bytes(made.server.key.read_bytes())
    open_key.chmod(0o644)
    table: list[tuple[TlsFiles, str]] = [
        (attrs.evolve(made.server, key=open_key), f"everybody may read the key {open_key}: it should have mode 0600"),
        (attrs.evolve(made.server, key=made.client.key), "and its key: key values mismatch"),
        (attrs.evolve(made.server, certificate=bad), f"cannot use the certificate {bad} and its key: "),
        (attrs.evolve(made.server, authority=bad), f"cannot use the authority {bad} or the key "),
        (attrs.evolve(made.server, authority=missing), "No such file or directory"),
        (attrs.evolve(made.server, key=missing), "No such file or directory"),
        (attrs.evolve(made.server, certificate=missing), "No such file or directory"),
    ]
    for files, text in table:
        with pytest.raises(System) as refused:
            server_context(files)
        assert text in str(refused.value)


def test_a_port_that_is_taken_is_told(server_tls: ssl.SSLContext) -> None:
    with listening_on_tcp(HOST, 0, server_tls) as first:
        with pytest.raises(System) as refused, listening_on_tcp(HOST, first.port, server_tls):
            pass
        assert str(refused.value) == f"cannot listen on {HOST} port {first.port}: Address already in use"


def test_withdrawn_it_still_has_those_who_have_connected(server_tls: ssl.SSLContext) -> None:
    with listening_on_tcp(HOST, 0, server_tls) as listener, closing(socket.create_connection((HOST, listener.port))):
        peers = list(listener.withdraw())
        assert len(peers) == 1
        peers[0].close()
        assert listener.socket.fileno() == -1
