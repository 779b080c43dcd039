"""Bad peers of one socket, in a process of their own: connections that are idle, and clients that send a byte a second.

Every second slow one is slow with a head, the others with a body. When the daemon has closed one's connection it comes again.
They begin within one second, each at a moment of its own, or all at once.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import attrs

from loadtest.system import allow_connections

PERIOD_S = 1.0
HEAD = b"POST /containers/create HTTP/1.1\r\nHost: slow\r\n"
SLOW_HEAD = HEAD + b"X-Slow: "
SLOW_BODY = HEAD + b"Content-Type: application/json\r\nContent-Length: 4000\r\n\r\n{"
START_TIMEOUT_S = 60.0


@attrs.frozen(kw_only=True)
class Crowd:
    idle: int
    slow: int
    is_in_step: bool = False
    """Whether all of them send in the same moment."""


@attrs.frozen
class Done:
    """What they have done."""

    connections: int
    """Of the slow ones, the first included."""
    cpu_s: float


@contextlib.contextmanager
def present(crowd: Crowd, path: Path) -> Iterator[list[Done]]:
    """While the block lasts; then what they have done is in the list."""
    command = [sys.executable, "-m", "contrib.bench_peers.crowd", str(path), json.dumps(attrs.asdict(crowd))]
    done: list[Done] = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline(), "the crowd could not connect"
            yield done
        finally:
            process.stdin.close()
        done.append(Done(**json.loads(process.stdout.readline())))


class SlowClient:
    def __init__(self, path: str, first: bytes) -> None:
        self._path = path
        self._first = first
        self._socket: socket.socket | None = None
        self.connections = 0

    def drip(self) -> None:
        """A byte, or a new beginning if the daemon has had enough."""
        if self._socket is not None and not self._is_welcome(self._socket):
            self.close()
        if self._socket is None:
            self._socket = connected(self._path)
            self._socket.sendall(self._first)
            self.connections += 1

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _is_welcome(self, peer: socket.socket) -> bool:
        try:
            peer.sendall(b"a")
        except OSError:
            return False
        try:
            return not peer.recv(1000, socket.MSG_DONTWAIT)  # an answer: it is 408
        except BlockingIOError:
            return True
        except OSError:
            return False


def connected(path: str) -> socket.socket:
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(path)
    return peer


def main(path: str, crowd: Crowd) -> None:
    """Until standard input ends. A line of output says that all have begun, a second what they have done."""
    allow_connections(crowd.idle + crowd.slow)
    idle = [connected(path) for _ in range(crowd.idle)]
    random = Random(1)
    clients = [SlowClient(path, SLOW_BODY if number % 2 else SLOW_HEAD) for number in range(crowd.slow)]
    moments = sorted((0.0 if crowd.is_in_step else random.random() * PERIOD_S, number) for number in range(crowd.slow))
    began = time.monotonic()
    with contextlib.suppress(_NotWanted):
        for number in itertools.count():
            for moment, which in moments:
                _pause_until(began + number * PERIOD_S + moment)
                clients[which].drip()
            if number == 0:
                sys.stdout.write("all have begun\n")
                sys.stdout.flush()
            _pause_until(began + (number + 1) * PERIOD_S)
    done = Done(sum(client.connections for client in clients), time.process_time())
    sys.stdout.write(f"{json.dumps(attrs.asdict(done))}\n")
    for client in clients:
        client.close()
    for peer in idle:
        peer.close()


class _NotWanted(Exception):
    """Standard input has ended."""


def _pause_until(at: float) -> None:
    """Raises _NotWanted."""
    readable, _, _ = select.select([sys.stdin], [], [], max(0.0, at - time.monotonic()))
    if readable:
        raise _NotWanted


if __name__ == "__main__":
    main(sys.argv[1], Crowd(**json.loads(sys.argv[2])))
