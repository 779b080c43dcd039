"""What a run is to do, as frozen data: the target, how many creates, from how many clients, under which names.

It knows no sockets and no clock. The create request is serialised here once, so that sending one costs a join of three bytes
objects; names and labels are as in the design's "Load harness": `lt-<run>-<n>` and `loadtest.run=<run>`.
"""

from __future__ import annotations

import enum
import json
import math
import os
import re
import secrets
from collections.abc import Mapping
from types import MappingProxyType

import attrs

from loadtest.errors import BadScenario
from loadtest.image import REFERENCE

DEFAULT_HOST = "unix:///var/run/docker.sock"
RUN_LABEL = "loadtest.run"
SOCKET_PATH_BYTES_MAX = 107  # sun_path less its final NUL, unix(7)
COUNT_DEFAULT = 200
COUNT_MAX = 10_000_000  # 480 MB of raw samples; more belongs into several runs
CONCURRENCY_MAX = 10_000
_RUN_ID = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,31}")  # within Docker's rule for container names


class Operation(enum.IntEnum):
    """What a request does to a container."""

    CREATE = 0
    INSPECT = 1
    LIST = 2
    RENAME = 3
    REMOVE = 4


ONLY_CREATES: Mapping[Operation, int] = MappingProxyType({Operation.CREATE: 1})


def parse_mix(text: str) -> Mapping[Operation, int]:
    """`create=80,inspect=15,remove=5`: how often each operation is drawn, as weights. Raises `BadScenario`."""
    weights: dict[Operation, int] = {}
    for part in text.split(","):
        word, _, number = part.strip().partition("=")
        operation = Operation.__members__.get(word.upper())
        if operation is None or operation in weights or not (number.isascii() and number.isdigit()):
            known = ", ".join(operation.name.lower() for operation in Operation)
            raise BadScenario(f"mix {text!r} is not like create=80,inspect=15,remove=5 (of {known}, each once)")
        weights[operation] = int(number)
    return MappingProxyType(weights)


class Naming(enum.Enum):
    UNIQUE = "unique"
    GENERATED = "generated"
    COLLIDE = "collide"


@attrs.frozen
class Names:
    """Whether the harness names the containers, the server does, or several clients fight for each name."""

    naming: Naming = Naming.UNIQUE
    clients_per_name: int = 1

    @classmethod
    def parse(cls, text: str) -> Names:
        """`unique`, `generated` or `collide:K`. Raises `BadScenario`."""
        if text in (Naming.UNIQUE.value, Naming.GENERATED.value):
            return cls(Naming(text))
        word, _, number = text.partition(":")
        if word == Naming.COLLIDE.value and number.isascii() and number.isdigit() and int(number) >= 2:
            return cls(Naming.COLLIDE, int(number))
        raise BadScenario(f"names {text!r} is none of unique, generated, collide:K (K clients for each name, K >= 2)")

    def __str__(self) -> str:
        return f"collide:{self.clients_per_name}" if self.naming is Naming.COLLIDE else self.naming.value


def default_host() -> str:
    """The socket that the docker command line would use, contexts aside."""
    return os.environ.get("DOCKER_HOST") or DEFAULT_HOST


def new_run_id() -> str:
    return secrets.token_hex(4)


def socket_path(host: str) -> str:
    """The path in `unix:///path`. Raises `BadScenario` for any other kind of host."""
    scheme, separator, path = host.partition("://")
    if not separator or scheme != "unix" or not path:
        raise BadScenario(f"host {host!r} is not a unix socket: unix:///path/to/docker.sock")
    if len(os.fsencode(path)) > SOCKET_PATH_BYTES_MAX:
        raise BadScenario(f"socket path {path!r} is longer than {SOCKET_PATH_BYTES_MAX} bytes")
    return path


def check_run_id(run_id: str) -> str:
    """The run id itself, fit for names, labels and URLs. Raises `BadScenario`."""
    if not _RUN_ID.fullmatch(run_id):
        raise BadScenario(f"run id {run_id!r} does not match {_RUN_ID.pattern}")
    return run_id


def _names(value: str | Names) -> Names:
    return Names.parse(value) if isinstance(value, str) else value


def _mix(value: str | Mapping[Operation, int]) -> Mapping[Operation, int]:
    return parse_mix(value) if isinstance(value, str) else MappingProxyType(dict(value))


def _read_only(value: Mapping[str, object]) -> Mapping[str, object]:
    return MappingProxyType(dict(value))


@attrs.frozen(kw_only=True)
class Scenario:
    """A run: closed, in which each of `concurrency` clients sends its next request when its last one is answered; or, with a
    rate, open, in which requests start by the clock and the clients are only the most that can be under way.

    Raises `BadScenario` when it could not be run.
    """

    host: str = attrs.field(factory=default_host)
    count: int | None = None
    """How many requests are measured, counting those that are expected to collide. 200 unless there is a duration."""
    duration_s: float | None = None
    """How long requests are started and measured. With `count`, too, the run ends with whichever is reached first."""
    concurrency: int = 16
    rate_per_s: float | None = None
    """Requests per second of an open loop."""
    is_poisson: bool = False
    """In an open loop: as independent users come, instead of one like the other."""
    warmup_s: float = 0.0
    """Requests that are meant to start within this time are sent and checked, but not measured."""
    mix: Mapping[Operation, int] = attrs.field(default=ONLY_CREATES, converter=_mix)
    """Weights of the operations; also as text: `create=80,inspect=15,remove=5`. What needs a container creates one where there is
    none, or each that there is has a request under way."""
    seed: int = 0
    """Of the gaps of a Poisson process and of the draws of a mix."""
    names: Names = attrs.field(default=Names(), converter=_names)
    """Also as text: `unique`, `generated`, `collide:K`."""
    image: str | None = None
    """None: the harness's own tiny image, loaded when the target lacks it."""
    run_id: str = attrs.field(factory=new_run_id)
    body: Mapping[str, object] = attrs.field(factory=dict, converter=_read_only)
    """Fields of the create body, in Docker's spelling, over the harness's own. The run's label is always added."""
    keep: bool = False
    pin: bool = False
    """Client and server on CPUs of their own, while the load runs."""
    timeout_s: float = 30.0
    """For each request, from the moment it got a connection: its wait for one has no limit but the run's end."""

    def __attrs_post_init__(self) -> None:
        socket_path(self.host)
        check_run_id(self.run_id)
        for field, value, limit in (
            ("count", self.count, COUNT_MAX),
            ("concurrency", self.concurrency, CONCURRENCY_MAX),
        ):
            if value is not None and not 1 <= value <= limit:
                raise BadScenario(f"{field} {value} is not between 1 and {limit:,}")
        for field, amount, unit in (
            ("timeout", self.timeout_s, " s"),
            ("duration", self.duration_s, " s"),
            ("rate", self.rate_per_s, "/s"),
        ):
            if amount is not None and not 0 < amount < math.inf:
                raise BadScenario(f"{field} {amount:g}{unit} is not positive")
        if not 0 <= self.warmup_s < math.inf:
            raise BadScenario(f"warm-up {self.warmup_s:g} s is not a time")
        if self.is_poisson and self.rate_per_s is None:
            raise BadScenario("a Poisson process needs a rate")
        if not self.mix.get(Operation.CREATE):
            raise BadScenario("a mix needs creates: the other operations are done to what they made")
        if self.expects_conflicts and set(self.mix) != {Operation.CREATE}:
            raise BadScenario("names that collide need a mix of creates only")
        self.create_body()

    @property
    def limit(self) -> int:
        """The most requests that are measured."""
        if self.count is not None:
            return self.count
        return COUNT_DEFAULT if self.duration_s is None else COUNT_MAX

    @property
    def is_open(self) -> bool:
        return self.rate_per_s is not None

    @property
    def reference(self) -> str:
        return self.image if self.image is not None else REFERENCE

    @property
    def expects_conflicts(self) -> bool:
        return self.names.naming is Naming.COLLIDE

    def name_of(self, number: int) -> str:
        """The name that create `number` asks for; empty when the server is to choose."""
        if self.names.naming is Naming.GENERATED:
            return ""
        return f"{self.name_prefix}{number // self.names.clients_per_name}"

    @property
    def name_prefix(self) -> str:
        return f"lt-{self.run_id}-"

    def create_body(self) -> bytes:
        """The JSON body, the same for every create. Raises `BadScenario`."""
        labels = self.body.get("Labels", {})
        if not isinstance(labels, Mapping):
            raise BadScenario(f"labels {labels!r} are not a mapping")
        fields = {
            "Image": self.reference,
            "Cmd": ["/bin/sh"],
            **self.body,
            "Labels": {**labels, RUN_LABEL: self.run_id},
        }
        try:
            return json.dumps(fields, separators=(",", ":")).encode()
        except (TypeError, ValueError) as error:
            raise BadScenario(f"body is not JSON: {error}") from error
