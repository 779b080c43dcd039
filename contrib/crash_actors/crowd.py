"""The clients: each in a thread, with a connection of its own, one create after the other, until the time is up."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import attrs

from contrib.connection import Connection
from contrib.crash_actors.host import IMAGE

ANSWER_TIMEOUT_S = 30.0
PAUSE_S = 0.005
"""Before a client asks again that was told to."""


@attrs.frozen
class Answer:
    sent_at: float
    at: float
    status: int


@attrs.define
class Crowd:
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
    _is_over: threading.Event = attrs.field(factory=threading.Event)

    @contextmanager
    def creating(self, clients: int) -> Iterator[None]:
        """While the block lasts; at its end everybody has an answer."""
        self.answers, self.dropped = [], 0
        self._is_over.clear()
        threads = [threading.Thread(target=self._work) for _ in range(clients)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            for thread in threads:
                thread.join()

    def _work(self) -> None:
        with closing(Connection(self.socket, timeout_s=ANSWER_TIMEOUT_S)) as connection:
            while not self._is_over.is_set():
                name = f"c{next(self._numbers)}"
                while not self._create(connection, name):
                    threading.Event().wait(PAUSE_S)

    def _create(self, connection: Connection, name: str) -> bool:
        """Whether there is nothing more to ask for this one."""
        body = json.dumps({"Image": IMAGE, "Cmd": ["sh"], "Volumes": {"/data": {}}})
        headers = {"Content-Type": "application/json", "Idempotency-Key": name}
        began = time.monotonic()
        try:
            connection.request("POST", f"/containers/create?name={name}", body, headers)
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException):
            self.dropped += 1
            connection.close()
            return False
        self.answers.append(Answer(began, time.monotonic(), response.status))
        if response.status == 201:
            self.acknowledged[name] = json.loads(content)["Id"]
        elif response.status != 503:
            self.odd.append(f"{name}: {response.status} {content!r}")
        return response.status != 503


def listed(socket: Path) -> dict[str, str]:
    """Ids by name, as the daemon has them."""
    with closing(Connection(socket, timeout_s=ANSWER_TIMEOUT_S)) as connection:
        status, found = connection.call("GET", "/containers/json?all=1")
    assert status == 200, found
    return {name[1:]: each["Id"] for each in found for name in each["Names"]}
