"""What is known of each request when it is over, however it ends."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import msgspec
import pytest

from daemon.http.account import Account
from daemon.http.message import Peer, Request, Response
from tests.daemon.http.serving import GET, HELLO, Held, Stream, greet, serving, wait_until

pytestmark = pytest.mark.anyio

ME = Peer(pid=os.getpid(), uid=os.getuid(), gid=os.getgid())


async def refuse(request: Request) -> Response:
    return Response(status=409, body=b"no", refusal="Conflict")


async def known_of(
    data: bytes, directory: Path, handler: Callable[[Request], Awaitable[Response]] = greet
) -> list[Account]:
    """After these bytes and what is answered to them; only what a test can foresee."""
    accounts: list[Account] = []
    async with serving(handler, directory, on_answered=accounts.append) as service, await service.connect() as client:
        await client.send(data)
        await client.shut_down_sending()
        await client.read_to_end()
        await service.wait_idle()
    assert all(0 <= account.duration_s < 5 for account in accounts)
    assert len({account.request_id for account in accounts}) == len(accounts)
    assert all(account.peer == ME for account in accounts)
    return accounts


def shown(account: Account) -> tuple[str, str, int | None, int, str]:
    return account.method, account.path, account.status, account.sent_bytes, account.refusal


async def test_a_request_is_known_by_its_line_without_the_query_and_by_how_it_went(directory: Path) -> None:
    data = GET + b"POST /a%20b?secret=1 HTTP/1.1\r\nHost: a\r\nAuthorization: x\r\nContent-Length: 2\r\n\r\nhi"
    assert [shown(each) for each in await known_of(data, directory)] == [
        ("GET", "/", 200, 5, ""),
        ("POST", "/a%20b", 200, 5, ""),
    ]


async def test_of_an_answer_only_what_is_sent_of_its_body_counts(directory: Path) -> None:
    head = GET.replace(b"GET", b"HEAD")
    assert [shown(each) for each in await known_of(head, directory)] == [("HEAD", "/", 200, 0, "")]
    stream = Stream(b"abc", b"de")
    assert [shown(each) for each in await known_of(GET, directory, stream.handle)] == [("GET", "/", 200, 5, "")]


@pytest.mark.parametrize(
    ("data", "status", "refusal"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400, "malformed HTTP request: there must be one Host header"),
        (b"nonsense\r\n\r\n", 400, "malformed HTTP request: Invalid method encountered"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 2000, 431, "request header fields are too large"),
    ],
)
async def test_what_is_no_request_is_known_by_why(data: bytes, status: int, refusal: str, directory: Path) -> None:
    [account] = await known_of(data, directory)
    assert (account.method, account.path, account.status, account.refusal) == ("", "", status, refusal)


async def test_a_refusal_has_its_reason_in_our_words(directory: Path) -> None:
    assert [shown(each) for each in await known_of(GET, directory, refuse)] == [("GET", "/", 409, 2, "Conflict")]


async def test_who_is_turned_away_is_known(directory: Path) -> None:
    accounts: list[Account] = []
    async with (
        serving(greet, directory, on_answered=accounts.append, allowed_uids=frozenset()) as service,
        await service.connect() as client,
    ):
        await client.read_to_end()
    [account] = accounts
    assert (account.status, account.refusal, account.peer) == (403, f"uid {os.getuid()} may not use this daemon", ME)


async def test_a_client_that_has_gone_before_its_answer_is_known(directory: Path) -> None:
    accounts: list[Account] = []
    held = Held()
    async with serving(held.handle, directory, on_answered=accounts.append) as service:
        async with await service.connect() as client:
            await client.send(GET)
            await held.entered.wait()
        await wait_until(lambda: accounts)
    assert shown(accounts[0]) == ("GET", "/", None, 0, "")


async def test_a_handler_knows_the_request_by_the_same_name(directory: Path) -> None:
    seen: list[str] = []

    async def handle(request: Request) -> Response:
        seen.append(request.id)
        return HELLO

    accounts = await known_of(GET * 2, directory, handle)
    assert seen == [account.request_id for account in accounts]


async def test_two_daemons_call_no_two_requests_the_same(directory: Path) -> None:
    first, second = [await known_of(GET, directory), await known_of(GET, directory)]
    assert first[0].request_id.partition("-")[0] != second[0].request_id.partition("-")[0]
    assert first[0].request_id.endswith("-1")


def test_an_account_has_no_room_for_what_is_confidential() -> None:
    assert {field.name for field in msgspec.structs.fields(Account)} == {
        "request_id", "peer", "method", "path", "began", "duration_s", "status", "sent_bytes", "refusal",
    }  # fmt: skip


async def test_a_stream_that_nobody_reads_to_its_end_is_known_by_what_was_sent(directory: Path) -> None:
    accounts: list[Account] = []
    stream = Stream(b"abc", and_then="wait")
    async with serving(stream.handle, directory, on_answered=accounts.append) as service:
        async with await service.connect() as client:
            await client.send(GET)
            await client.read_until(b"abc")
        with anyio.fail_after(5):
            await stream.wait_closed()
        await wait_until(lambda: accounts)
    assert shown(accounts[0]) == ("GET", "/", 200, 3, "")
