"""The clients: one create after the other on a connection of its own each, all in one thread, until the time is up."""

from __future__ import annotations

import itertools
import json
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import attrs

from contrib.connection import Connection
from contrib.crash_actors.host import IMAGE
from loadtest.client import Client
from loadtest.errors import ErrorKind
from loadtest.response import Response
from loadtest.statistics import Times

ANSWER_TIMEOUT_S = 30.0
_BODY = json.dumps({"Image": IMAGE, "Cmd": ["sh"], "Volumes": {"/data": {}}}).encode()


@attrs.frozen
class Answer:
    """Times by the clock of `time.perf_counter`."""

    sent_at: float
    at: float
    status: int


@attrs.define
class Crowd:
    """It is the load harness's plan of what to send."""

    socket: Path
    acknowledged: dict[str, str] = attrs.field(factory=dict)
    """Ids by name."""
    answers: list[Answer] = attrs.field(factory=list)
    """Of the round."""
    dropped: int = 0
    """Connections that ended without an answer, in the round."""
    odd: list[str] = attrs.field(factory=list)
    """Answers that are neither yes nor `try again`."""
    _numbers: Iterator[int] = attrs.field(factory=itertools.count)
    _again: deque[int] = attrs.field(factory=deque)
    """Creates to be asked for once more, with their keys."""
    _is_over: bool = False

    @contextmanager
    def creating(self, clients: int) -> Iterator[None]:
        """While the block lasts; at its end everybody has an answer."""
        self.answers, self.dropped, self._is_over = [], 0, False
        self._again.clear()
        client = Client(str(self.socket), concurrency=clients, timeout_s=ANSWER_TIMEOUT_S)
        thread = threading.Thread(target=client.run, args=(self,))
        thread.start()
        try:
            yield
        finally:
            self._is_over = True
            thread.join()

    def next_request(self, intended_start_ns: int) -> tuple[int, bytes] | None:
        if self._is_over:
            return None
        number = self._again.popleft() if self._again else next(self._numbers)
        return number, _create(name_of(number))

    def answered(self, number: int, times: Times, response: Response) -> None:
        name = name_of(number)
        self.answers.append(Answer(times.sent_at_ns / 1e9, times.done_at_ns / 1e9, response.status))
        if response.status == 201:
            self.acknowledged[name] = json.loads(response.body)["Id"]
        elif response.status == 503:
            self._again.append(number)
        else:
            self.odd.append(f"{name}: {response.status} {response.body!r}")

    def failed(self, number: int, times: Times, kind: ErrorKind, text: str) -> None:
        self.dropped += 1
        self._again.append(number)

    def abandoned(self, count: int) -> None:
        raise AssertionError("there is no schedule")

    def tick(self) -> bool:
        return not self._is_over


def name_of(number: int) -> str:
    return f"c{number}"


def _create(name: str) -> bytes:
    head = f"POST /containers/create?name={name} HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\n"
    return f"{head}Idempotency-Key: {name}\r\nContent-Length: {len(_BODY)}\r\n\r\n".encode() + _BODY


def listed(socket: Path) -> dict[str, str]:
    """Ids by name, as the daemon has them."""
    with closing(Connection(socket, timeout_s=ANSWER_TIMEOUT_S)) as connection:
        status, found = connection.call("GET", "/containers/json?all=1")
    assert status == 200, found
    return {name[1:]: each["Id"] for each in found for name in each["Names"]}
