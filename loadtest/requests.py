"""The bytes of each request of a run, and the containers that its operations are drawn for.

No I/O and no clock. Heads and bodies are put together beforehand, so that a create costs a join of three bytes objects. Which
operation comes next is drawn from a seeded generator; what becomes of it decides which containers there are to draw from.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from itertools import accumulate
from random import Random
from urllib.parse import quote

import msgspec

from loadtest.client import request_bytes
from loadtest.response import Response
from loadtest.scenario import ONLY_CREATES, RUN_LABEL, Naming, Operation, Scenario

CREATE = Operation.CREATE
"""Looked up once: of an enum that costs as much as a call, and each request asks for it."""
OK: dict[Operation, int] = {
    Operation.CREATE: 201,
    Operation.INSPECT: 200,
    Operation.LIST: 200,
    Operation.RENAME: 204,
    Operation.REMOVE: 204,
}
"""The status that says that an operation was carried out (Docker Engine API)."""

_ID_PREFIX = b'{"Id":"'  # how Docker's answer to a create begins
_ID_AT = slice(7, 71)  # its 64 hexadecimal digits
_ID = re.compile(rb"[0-9a-f]{64}")  # nothing else is put into a request


class Requests:
    def __init__(self, scenario: Scenario) -> None:
        self._head, self._tail = _create_parts(scenario)
        self._clients_per_name = scenario.names.clients_per_name
        self._is_numbered = scenario.names.naming is not Naming.GENERATED
        self._name_prefix = scenario.name_prefix
        self._are_only_creates = set(scenario.mix) == set(ONLY_CREATES)
        self._operations = tuple(scenario.mix)
        self._weights = tuple(accumulate(scenario.mix.values()))
        self._rng = Random(scenario.seed)
        self._under_way: dict[int, tuple[Operation, bytes]] = {}
        """By number: the operation, and the container that it is for."""
        self._containers: list[bytes] = []
        self.renamed: dict[str, str] = {}
        """Names by id, of the containers that were renamed."""
        self.removed: set[str] = set()
        self._in_doubt: set[str] = set()
        filters = quote(json.dumps({"label": [f"{RUN_LABEL}={scenario.run_id}"]}, separators=(",", ":")))
        self._list = request_bytes("GET", f"/containers/json?all=1&filters={filters}")

    def make(self, number: int) -> bytes:
        """The request of that number."""
        if not self._are_only_creates:
            (operation,) = self._rng.choices(self._operations, cum_weights=self._weights)
            if operation is not Operation.CREATE and (self._containers or operation is Operation.LIST):
                return self._make_other(number, operation)
        if not self._is_numbered:
            return self._head + self._tail
        return b"%b%d%b" % (self._head, number // self._clients_per_name, self._tail)

    def answered(self, number: int, response: Response) -> Operation:
        """Note what became of it, and return what it was."""
        if self._are_only_creates:
            return CREATE
        operation, container = self._under_way.pop(number, (Operation.CREATE, b""))
        if response.status == OK[operation]:
            if operation is Operation.CREATE:
                self._add_container(response.body)
            elif operation is Operation.RENAME:
                self.renamed[container.decode()] = f"{self._name_prefix}r{number}"
            elif operation is Operation.REMOVE:
                self.removed.add(container.decode())
        if operation in (Operation.INSPECT, Operation.RENAME):
            self._containers.append(container)
        return operation

    def failed(self, number: int) -> Operation:
        """It got no answer: whether it was carried out is unknown, so nothing more is done to what it may have changed."""
        operation, container = self._under_way.pop(number, (Operation.CREATE, b""))
        if operation is Operation.INSPECT:
            self._containers.append(container)
        elif operation in _CHANGES:
            self._in_doubt.add(container.decode())
        return operation

    def in_doubt(self) -> frozenset[str]:
        """Ids of the containers that a request which got no answer may have renamed or removed."""
        unanswered = {container.decode() for operation, container in self._under_way.values() if operation in _CHANGES}
        return frozenset(self._in_doubt | unanswered)

    def _add_container(self, body: bytes) -> None:
        """A body that has no id in it is for `outcome.judge` to tell."""
        container = body[_ID_AT] if body.startswith(_ID_PREFIX) else _other_id(body)
        if _ID.fullmatch(container):
            self._containers.append(container)

    def _make_other(self, number: int, operation: Operation) -> bytes:
        if operation is Operation.LIST:
            self._under_way[number] = (operation, b"")
            return self._list
        # Nobody else has it meanwhile: a server may answer what is sent first last, and find removed what was to be inspected.
        at = self._rng.randrange(len(self._containers))
        container, self._containers[at] = self._containers[at], self._containers[-1]
        self._containers.pop()
        self._under_way[number] = (operation, container)
        return _MAKE[operation](container.decode(), f"{self._name_prefix}r{number}")


_CHANGES = frozenset({Operation.RENAME, Operation.REMOVE})

_MAKE: dict[Operation, Callable[[str, str], bytes]] = {
    Operation.INSPECT: lambda container, _: request_bytes("GET", f"/containers/{container}/json"),
    Operation.RENAME: lambda container, name: request_bytes("POST", f"/containers/{container}/rename?name={name}"),
    Operation.REMOVE: lambda container, _: request_bytes("DELETE", f"/containers/{container}?force=1&v=1"),
}


class _Created(msgspec.Struct):
    id: str = msgspec.field(name="Id")


def _other_id(body: bytes) -> bytes:
    try:
        return msgspec.json.decode(body, type=_Created).id.encode("ascii", "replace")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return b""


def _create_parts(scenario: Scenario) -> tuple[bytes, bytes]:
    """What comes before and after the number in a create's name; without a number, all of it comes before."""
    body = scenario.create_body()
    head = b"POST /containers/create"
    if scenario.names.naming is not Naming.GENERATED:
        head += f"?name={scenario.name_prefix}".encode()
    tail = b" HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
        len(body),
        body,
    )
    return head, tail
