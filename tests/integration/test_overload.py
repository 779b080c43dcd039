"""More than the daemon can take: what it takes it does, the rest it refuses at once, and then all is as before."""

from __future__ import annotations

import json
import socket
import threading
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.daemon.harness import rootfs_tar
from tests.integration.conftest import Api, Daemon, running

pytestmark = pytest.mark.integration

CLIENTS = 100


def load_image(daemon: Daemon) -> None:
    with closing(Api(daemon)) as api:
        assert api.call("POST", "/images/create?fromSrc=-&repo=busybox&tag=latest", rootfs_tar())[0] == 200


def answers_to_creates(daemon: Daemon, clients: int) -> Counter[tuple[int, str]]:
    """Status and message, of one create from each of so many clients at the same time."""
    seen: Counter[tuple[int, str]] = Counter()
    begin = threading.Barrier(clients)
    body = json.dumps({"Image": "busybox", "Cmd": ["true"]}).encode()

    def create(number: int) -> None:
        head = f"POST /containers/create?name=c{number} HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n"
        request = f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body
        with closing(socket.socket(socket.AF_UNIX)) as client:
            client.settimeout(60)
            begin.wait()
            client.connect(str(daemon.home / "socket"))
            answer = b""
            with suppress(BrokenPipeError, ConnectionResetError):  # refused before it had sent, or had been read
                client.sendall(request)
            with suppress(ConnectionResetError):
                while received := client.recv(1000):
                    answer += received
        assert answer, "everybody gets an answer"
        text = json.loads(answer.partition(b"\r\n\r\n")[2]).get("message", "")
        assert (b"\r\nRetry-After: " in answer) == answer.startswith(b"HTTP/1.1 503 ")
        seen[int(answer.split()[1]), text] += 1

    threads = [threading.Thread(target=create, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return seen


def test_with_too_few_descriptors_creates_succeed_or_are_refused_and_nothing_else(home: Path) -> None:
    """dockerd says of some that there is no such image."""
    with running(home, wrapper=("sh", "-c", 'ulimit -n 64 && exec "$0" "$@"')) as daemon:
        load_image(daemon)
        seen = answers_to_creates(daemon, CLIENTS)
        assert sum(seen.values()) == CLIENTS
        assert set(seen) <= {(201, ""), (503, "too many connections"), (503, "too many open files")}
        assert seen[201, ""] > 0
        with closing(Api(daemon)) as api:  # and now there is room again
            assert api.call("POST", "/containers/create?name=last", {"Image": "busybox", "Cmd": ["true"]})[0] == 201
            listed = api.call("GET", "/containers/json?all=1")[1]
            assert len(listed) == seen[201, ""] + 1


LARGE = 50 << 20
LIMIT = 4 << 20


@pytest.mark.parametrize("framing", [f"Content-Length: {LARGE}", "Transfer-Encoding: chunked"])
def test_50_mb_are_refused_and_take_no_memory(framing: str, home: Path) -> None:
    with running(home) as daemon:
        load_image(daemon)
        before = memory_bytes(daemon)
        assert sum(answers_to_creates(daemon, 8).values()) == 8
        for _ in range(3):
            with closing(socket.socket(socket.AF_UNIX)) as client:
                client.settimeout(60)
                client.connect(str(home / "socket"))
                head = "POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n"
                client.sendall(f"{head}{framing}\r\n\r\n".encode())
                if "chunked" in framing:
                    with suppress(BrokenPipeError, ConnectionResetError):
                        client.sendall(b"%x\r\n" % LARGE + b" " * LARGE)
                assert client.recv(1000).startswith(b"HTTP/1.1 413 ")
        assert memory_bytes(daemon) - before < 2 * LIMIT


def memory_bytes(daemon: Daemon) -> int:
    """The most that it has had."""
    status = Path(f"/proc/{daemon.process.pid}/status").read_text()
    return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM:"))
