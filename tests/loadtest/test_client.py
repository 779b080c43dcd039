from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from loadtest.client import Client, request_bytes
from loadtest.errors import ErrorKind, Failure
from loadtest.response import Response
from tests.loadtest.fake_docker import FakeDocker, Reply, Request, chunked, http

CREATE = request_bytes("POST", "/containers/create", b'{"Labels":{}}')


def exchange(
    docker: FakeDocker, count: int, *, concurrency: int = 1, timeout_s: float = 30.0
) -> list[Response | Failure]:
    return Client(str(docker.path), concurrency=concurrency, timeout_s=timeout_s).exchange([CREATE] * count)


def statuses(outcomes: list[Response | Failure]) -> list[int | ErrorKind]:
    return [outcome.kind if isinstance(outcome, Failure) else outcome.status for outcome in outcomes]


def answer_with(docker: FakeDocker, reply: Reply, *, number: int = 0) -> None:
    docker.script = lambda n, request: reply if n == number else None


def test_answers_come_back_in_the_order_of_the_requests(docker: FakeDocker) -> None:
    docker.script = lambda number, request: http(201, request.query["q"])
    requests = [request_bytes("POST", f"/containers/create?q={number}") for number in range(100)]
    outcomes = Client(str(docker.path), concurrency=8, timeout_s=30).exchange(requests)
    assert [outcome.body for outcome in outcomes if isinstance(outcome, Response)] == [b'"%d"' % n for n in range(100)]


def test_nothing_to_send_is_no_work(docker: FakeDocker) -> None:
    assert exchange(docker, 0, concurrency=4) == []
    assert docker.connections == 0


def test_a_connection_is_kept_for_the_next_request(docker: FakeDocker) -> None:
    assert statuses(exchange(docker, 50)) == [201] * 50
    assert docker.connections == 1


def test_each_client_has_one_connection(docker: FakeDocker) -> None:
    barrier = threading.Barrier(4)

    def meet(number: int, request: Request) -> None:
        if number < 4:
            barrier.wait()

    docker.script = meet
    exchange(docker, 40, concurrency=4)
    assert docker.connections == 4


def test_connection_close_is_followed_by_a_new_connection(docker: FakeDocker) -> None:
    # Announced by the server and left to the client, so that only the header can tell.
    docker.script = lambda number, request: http(201, {}, "Connection: close")
    assert statuses(exchange(docker, 5)) == [201] * 5
    assert docker.connections == 5


def test_a_server_that_hangs_up_between_requests_costs_no_request(docker: FakeDocker) -> None:
    docker.script = lambda number, request: Reply(http(201, {}).raw, is_deaf=True)
    assert statuses(exchange(docker, 5)) == [201] * 5
    assert (docker.connections, len(docker.creates)) == (5, 5)


def test_chunked_answers_are_read_and_keep_the_connection(docker: FakeDocker) -> None:
    docker.script = lambda number, request: chunked(201, b'{"Id":', b'"x"}')
    outcomes = exchange(docker, 3)
    assert outcomes == [Response(201, b'{"Id":"x"}', True)] * 3
    assert docker.connections == 1


def test_a_body_may_end_with_the_connection(docker: FakeDocker) -> None:
    answer_with(docker, Reply(b"HTTP/1.1 200 OK\r\n\r\nhello", closes=True))
    assert exchange(docker, 2)[0] == Response(200, b"hello", False)


def test_an_answer_of_many_megabytes_is_read_whole(docker: FakeDocker) -> None:
    answer_with(docker, http(200, "x" * 5_000_000))
    (outcome,) = exchange(docker, 1)
    assert isinstance(outcome, Response)
    assert len(outcome.body) == 5_000_002


def test_a_request_of_many_megabytes_is_sent_whole(docker: FakeDocker) -> None:
    docker.script = lambda number, request: http(200, len(request.body))
    big = request_bytes("POST", "/containers/create", b"x" * 5_000_000)
    outcomes = Client(str(docker.path), concurrency=2, timeout_s=30).exchange([big, CREATE, big])
    assert [outcome.body for outcome in outcomes if isinstance(outcome, Response)] == [b"5000000", b"13", b"5000000"]


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(b"", closes=True), ErrorKind.EOF_BEFORE_RESPONSE),
        (Reply(b"HTTP/1.1 201 Cre", closes=True), ErrorKind.EOF_BEFORE_RESPONSE),
        (Reply(b"HTTP/1.1 201 Created\r\nContent-Length: 10\r\n\r\n{", closes=True), ErrorKind.EOF_IN_BODY),
        (
            Reply(b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{", closes=True),
            ErrorKind.EOF_IN_BODY,
        ),
        (Reply(b"SSH-2.0-x\r\n"), ErrorKind.BAD_HTTP),
    ],
)
def test_a_broken_answer_is_one_failure_and_the_next_request_goes_on(
    docker: FakeDocker, reply: Reply, kind: ErrorKind
) -> None:
    answer_with(docker, reply, number=1)
    assert statuses(exchange(docker, 4)) == [201, kind, 201, 201]
    assert docker.connections == 2


def test_a_failure_carries_its_number_and_a_text(docker: FakeDocker) -> None:
    answer_with(docker, Reply(b"HTTP/1.1 201 C\r\nContent-Length: 10\r\n\r\n{", closes=True), number=1)
    assert exchange(docker, 2)[1] == Failure(1, ErrorKind.EOF_IN_BODY, "connection closed after 39 of 48 bytes")


@pytest.mark.parametrize("has_file", [False, True])
def test_a_socket_without_a_listener_refuses_every_request(socket_file: Path, has_file: bool) -> None:
    if has_file:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(str(socket_file))
    outcomes = Client(str(socket_file), concurrency=2, timeout_s=30).exchange([CREATE] * 20)
    assert set(statuses(outcomes)) == {ErrorKind.CONNECT_REFUSED}
    assert isinstance(outcomes[0], Failure)
    assert outcomes[0].text == f"{socket_file}: {'Connection refused' if has_file else 'No such file or directory'}"


def test_a_server_that_closes_without_reading_resets(socket_file: Path) -> None:
    with unread(socket_file) as listener:
        client = Client(str(socket_file), concurrency=1, timeout_s=30)
        outcomes: list[Response | Failure] = []
        thread = threading.Thread(target=lambda: outcomes.extend(client.exchange([CREATE])))
        thread.start()
        sock, _ = listener.accept()
        sock.recv(1)  # waits for the request, and leaves most of it unread
        sock.close()
        thread.join()
    assert statuses(outcomes) == [ErrorKind.RESET]


def test_a_request_without_answer_times_out_and_the_next_one_goes_on(docker: FakeDocker) -> None:
    release = threading.Event()

    def hold(number: int, request: Request) -> None:
        if number == 0:
            release.wait()

    docker.script = hold
    outcomes = exchange(docker, 3, timeout_s=0.05)
    release.set()
    assert statuses(outcomes)[0] is ErrorKind.TIMEOUT
    assert statuses(outcomes)[1:] == [201, 201]
    assert isinstance(outcomes[0], Failure)
    assert outcomes[0].text == "no answer within 0.05 s"


def test_a_backlog_that_stays_full_is_a_connect_timeout(socket_file: Path) -> None:
    with unread(socket_file):
        outcomes = Client(str(socket_file), concurrency=2, timeout_s=0.05).exchange([CREATE] * 2)
    assert statuses(outcomes) == [ErrorKind.TIMEOUT, ErrorKind.CONNECT_TIMEOUT]


def test_a_backlog_that_is_full_for_a_moment_is_waited_for(socket_file: Path) -> None:
    with FakeDocker(socket_file, backlog=0) as docker:
        assert statuses(exchange(docker, 400, concurrency=32)) == [201] * 400


def test_an_answer_before_the_whole_request_was_sent_counts(socket_file: Path) -> None:
    with unread(socket_file) as listener:
        client = Client(str(socket_file), concurrency=1, timeout_s=30)
        outcomes: list[Response | Failure] = []
        big = request_bytes("POST", "/containers/create", b"x" * 5_000_000)
        thread = threading.Thread(target=lambda: outcomes.extend(client.exchange([big, CREATE])))
        thread.start()
        with listener.accept()[0] as first:
            first.recv(1)
            first.sendall(http(413, {}).raw)
            with listener.accept()[0] as second:  # while the first is still open: the client has to leave it
                second.recv(len(CREATE))
                second.sendall(http(201, {}).raw)
                thread.join()
    assert statuses(outcomes) == [413, 201]


@contextmanager
def unread(path: Path) -> Iterator[socket.socket]:
    """A listener that nobody accepts for; its backlog holds one connection."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(0)
        yield listener


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (request_bytes("GET", "/version"), b"GET /version HTTP/1.1\r\nHost: docker\r\n\r\n"),
        (request_bytes("POST", "/x"), b"POST /x HTTP/1.1\r\nHost: docker\r\nContent-Length: 0\r\n\r\n"),
        (
            request_bytes("POST", "/x", b"{}"),
            b"POST /x HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
        ),
    ],
)
def test_a_request_has_the_exact_length_of_its_body(request_: bytes, expected: bytes) -> None:
    assert request_ == expected
