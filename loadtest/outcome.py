"""What became of each create: acknowledged, an expected conflict, or an error of a fixed kind. Pure; runs after the load.

A 409 is expected only where clients were told to fight for a name: of the K creates for one name exactly one is answered 201
and the others 409. Kinds of errors as in the design's "Load harness".
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import attrs
import msgspec

from loadtest.errors import ErrorKind, Failure
from loadtest.requests import OK
from loadtest.scenario import Operation, Scenario
from loadtest.statistics import Samples

CREATED = 201
CONFLICT = 409
SAMPLES_PER_ERROR = 3
SAMPLE_CHARACTERS_MAX = 500
ERROR_GROUPS_MAX = 50  # a message that names something new every time must not fill the report
_CONTAINER_ID = re.compile(r"[0-9a-f]{64}")
_NAME_IS_TAKEN = re.compile(rb"container name .{1,300} is already in use")
_VARIABLE_PARTS = re.compile(r"\b[0-9a-f]{12,64}\b|\blt-[\w.-]+|\d+")


class Ack(NamedTuple):
    """A create that was answered 201."""

    name: str
    """As asked for; empty when the server chose."""
    id: str


@attrs.frozen
class ErrorGroup:
    """Failures of one kind and, but for ids, names and numbers, of one message."""

    kind: ErrorKind
    status: int
    """The HTTP status, 0 where there was none."""
    message: str
    count: int
    samples: tuple[str, ...]
    """The first few, verbatim."""

    @property
    def label(self) -> str:
        """The kind as the reports show it: `timeout`, `http_500`."""
        return f"http_{self.status}" if self.kind is ErrorKind.HTTP_STATUS else self.kind.value


class _Created(msgspec.Struct):
    id: str = msgspec.field(name="Id")


class _Refused(msgspec.Struct):
    message: str


def judge(
    scenario: Scenario, samples: Samples, bodies: Sequence[bytes], failures: Iterable[Failure]
) -> tuple[tuple[Ack, ...], tuple[ErrorGroup, ...]]:
    """The acknowledged creates and the errors, from all that was recorded. `bodies` are the answers' by request number."""
    acks: dict[str, Ack] = {}
    found = list(failures)
    for number, (status, operation) in enumerate(zip(samples.statuses(), samples.operations(), strict=True)):
        if operation != Operation.CREATE:
            if status > 0 and status not in (OK[Operation(operation)], CONFLICT):
                found.append(_read_refusal(number, status, bodies[number]))
        elif status == CREATED:
            verdict = _read_ack(number, scenario.name_of(number), bodies[number], acks)
            found += [verdict] if verdict else []
        elif status > 0 and not is_conflict(status, bodies[number] if scenario.expects_conflicts else b""):
            found.append(_read_refusal(number, status, bodies[number]))
    found += _check_conflicts(scenario, samples, bodies)
    return tuple(acks.values()), group_failures(found)


def is_conflict(status: int, body: bytes) -> bool:
    """Whether a create was refused because its name is taken, which Podman 4 answers with 500 instead of 409."""
    return status == CONFLICT or (status == 500 and _NAME_IS_TAKEN.search(body) is not None)


def group_failures(failures: Iterable[Failure]) -> tuple[ErrorGroup, ...]:
    """Failures by kind, status and normalised message, the most frequent first."""
    groups: dict[tuple[ErrorKind, int, str], list[str]] = {}
    counts: Counter[tuple[ErrorKind, int, str]] = Counter()
    for failure in failures:
        key = (failure.kind, failure.status, _VARIABLE_PARTS.sub("*", failure.text[:SAMPLE_CHARACTERS_MAX]))
        if key not in groups and len(groups) >= ERROR_GROUPS_MAX:
            key = (failure.kind, failure.status, "(other messages)")
        counts[key] += 1
        samples = groups.setdefault(key, [])
        if len(samples) < SAMPLES_PER_ERROR:
            samples.append(failure.text[:SAMPLE_CHARACTERS_MAX])
    return tuple(ErrorGroup(*key, count, tuple(groups[key])) for key, count in counts.most_common())


def refusal_text(body: bytes) -> str:
    """The message of a Docker error body; a body that is none, as it came."""
    try:
        return msgspec.json.decode(body, type=_Refused).message
    except (msgspec.DecodeError, UnicodeDecodeError):
        return body[:SAMPLE_CHARACTERS_MAX].decode("utf-8", "backslashreplace")


def _read_ack(number: int, name: str, body: bytes, acks: dict[str, Ack]) -> Failure | None:
    """Adds the ack to `acks`, by id; or says what is wrong with it."""
    try:
        container_id = msgspec.json.decode(body, type=_Created).id
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        text = body[:SAMPLE_CHARACTERS_MAX].decode("utf-8", "backslashreplace")
        return Failure(number, ErrorKind.BAD_JSON, f"{error}: {text}")
    if not _CONTAINER_ID.fullmatch(container_id):
        return Failure(number, ErrorKind.WRONG_ID, f"{container_id!r} is not 64 hexadecimal digits")
    if container_id in acks:
        text = f"{container_id} was given to {acks[container_id].name!r} and to {name!r}"
        return Failure(number, ErrorKind.DUPLICATE_ID, text)
    acks[container_id] = Ack(name, container_id)
    return None


def _read_refusal(number: int, status: int, body: bytes) -> Failure:
    if status < 400:
        return Failure(number, ErrorKind.BAD_HTTP, f"status {status} is no answer to a create")
    return Failure(number, ErrorKind.HTTP_STATUS, refusal_text(body), status)


def _check_conflicts(scenario: Scenario, samples: Samples, bodies: Sequence[bytes]) -> Iterator[Failure]:
    """Every 409 that should not have been, and every 409 that should have been but was a 201."""
    if not scenario.expects_conflicts:
        for number, status in enumerate(samples.statuses()):
            if status == CONFLICT:
                yield Failure(number, ErrorKind.UNEXPECTED_409, refusal_text(bodies[number]), status)
        return
    statuses = [
        CONFLICT if is_conflict(status, body) else status
        for status, body in zip(samples.statuses(), bodies, strict=True)
    ]
    rivals: defaultdict[str, list[int]] = defaultdict(list)
    for number in range(len(statuses)):
        rivals[scenario.name_of(number)].append(number)
    for name, numbers in rivals.items():
        yield from _check_rivals(name, {number: statuses[number] for number in numbers}, bodies)


def _check_rivals(name: str, statuses: dict[int, int], bodies: Sequence[bytes]) -> Iterator[Failure]:
    winners = [number for number, status in statuses.items() if status == CREATED]
    losers = [number for number, status in statuses.items() if status == CONFLICT]
    for number in winners[1:]:
        text = f"{name!r} was created {len(winners)} times"
        yield Failure(number, ErrorKind.MISSING_409, text, CREATED)
    # A create that failed, or was never answered, may be the one that holds the name: then a 409 for all others is right.
    if not winners and len(losers) == len(statuses):
        yield Failure(losers[0], ErrorKind.UNEXPECTED_409, refusal_text(bodies[losers[0]]), CONFLICT)
