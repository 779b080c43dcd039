"""The few calls of the Docker Engine API that a run needs around its creates: version, image, list by label, remove.

Paths carry no API version: every engine then answers in the newest one that it speaks.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from urllib.parse import quote

import attrs
import msgspec

from loadtest.client import Client, request_bytes
from loadtest.errors import ErrorKind, Failure, TargetRefused, TargetUnreachable
from loadtest.image import REFERENCE, image_tar
from loadtest.outcome import Ack, refusal_text
from loadtest.response import Response
from loadtest.scenario import RUN_LABEL, Scenario, check_run_id, default_host, socket_path

SETUP_TIMEOUT_S = 60.0  # for a list of very many containers, or an image unpacked on a busy disk
REMOVERS = 16
SWEEPS_MAX = 5  # a create that was given up may still be carried out while the clean-up runs


class _Version(msgspec.Struct):
    version: str = msgspec.field(name="Version", default="")
    api_version: str = msgspec.field(name="ApiVersion", default="")


class _Listed(msgspec.Struct):
    id: str = msgspec.field(name="Id")
    names: list[str] = msgspec.field(name="Names")


class _Progress(msgspec.Struct):
    error: str = ""


@attrs.frozen
class Cleanup:
    """What a clean-up did. Those that were gone already count neither as removed nor as failed."""

    removed: int = 0
    failures: tuple[Failure, ...] = ()


def load_image(host: str | None = None, reference: str = REFERENCE) -> bool:
    """Whether the tiny image had to be loaded; False when the target has it already.

    Raises `TargetUnreachable`, `TargetRefused`, `BadScenario`.
    """
    client = _client(host)
    present = _ask(client, request_bytes("GET", f"/images/{quote(reference)}/json"))
    if present.status == 200:
        return False
    loaded = _ask(client, request_bytes("POST", "/images/load", image_tar(reference), "application/x-tar"))
    if loaded.status != 200:
        raise TargetRefused(f"image {reference!r} could not be loaded: {loaded.status} {refusal_text(loaded.body)}")
    # Errors after the head arrive as one of the lines of the body, which is otherwise for people to read.
    for line in loaded.body.splitlines():
        try:
            error = msgspec.json.decode(line, type=_Progress).error
        except msgspec.DecodeError:
            continue
        if error:
            raise TargetRefused(f"image {reference!r} could not be loaded: {error}")
    return True


def clean(run_id: str | None, host: str | None = None) -> Cleanup:
    """Removes what a run left behind, found by its label; None: what all runs did.

    Raises `TargetUnreachable`, `TargetRefused`, `BadScenario`.
    """
    return _sweep(_client(host), run_id)


def listed(run_id: str | None, host: str | None = None) -> tuple[Ack, ...]:
    """The containers of a run that the target has now, found by its label; None: those of all runs.

    Raises `TargetUnreachable`, `TargetRefused`, `BadScenario`.
    """
    return _listed(_client(host), run_id)


def clean_up(scenario: Scenario, ids: Sequence[str]) -> Cleanup:
    """Removes the containers of a run by id, then by label those whose id was never told. Raises nothing of the target's."""
    client = Client(socket_path(scenario.host), concurrency=scenario.concurrency, timeout_s=scenario.timeout_s)
    by_id = _remove(client, ids)
    try:
        by_label = _sweep(_client(scenario.host), scenario.run_id)
    except (TargetUnreachable, TargetRefused) as error:
        by_label = Cleanup(0, (Failure(0, ErrorKind.CONNECT_REFUSED, str(error)),))
    if not by_label.failures:
        # Whatever failed by id was removed by label, or is gone.
        return Cleanup(by_id.removed + by_label.removed)
    return Cleanup(by_id.removed + by_label.removed, by_id.failures + by_label.failures)


def server_version(host: str) -> str:
    """What the target calls itself, as in `28.5.2 (API 1.51)`; empty when it does not say. Raises `TargetUnreachable`."""
    response = _ask(_client(host), request_bytes("GET", "/version"))
    try:
        version = msgspec.json.decode(response.body, type=_Version)
    except msgspec.DecodeError:
        return ""
    return f"{version.version} (API {version.api_version})" if version.version else ""


def _client(host: str | None) -> Client:
    path = socket_path(host if host is not None else default_host())
    return Client(path, concurrency=REMOVERS, timeout_s=SETUP_TIMEOUT_S)


def _ask(client: Client, request: bytes) -> Response:
    (outcome,) = client.exchange([request])
    if isinstance(outcome, Failure):
        if outcome.kind in (ErrorKind.CONNECT_REFUSED, ErrorKind.CONNECT_TIMEOUT):
            raise TargetUnreachable(outcome.text)
        raise TargetRefused(f"{outcome.kind.value}: {outcome.text}")
    return outcome


def _sweep(client: Client, run_id: str | None) -> Cleanup:
    """Lists and removes until the list is empty, or nothing on it can be removed."""
    removed = 0
    failures: tuple[Failure, ...] = ()
    for _ in range(SWEEPS_MAX):
        ids = [ack.id for ack in _listed(client, run_id)]
        if not ids:
            return Cleanup(removed)
        step = _remove(client, ids)
        removed += step.removed
        failures = step.failures
        if not step.removed:
            break
    return Cleanup(removed, failures)


def _listed(client: Client, run_id: str | None) -> tuple[Ack, ...]:
    label = RUN_LABEL if run_id is None else f"{RUN_LABEL}={check_run_id(run_id)}"
    filters = quote(json.dumps({"label": [label]}, separators=(",", ":")))
    response = _ask(client, request_bytes("GET", f"/containers/json?all=1&filters={filters}"))
    if response.status != 200:
        raise TargetRefused(f"containers could not be listed: {response.status} {refusal_text(response.body)}")
    try:
        containers = msgspec.json.decode(response.body, type=list[_Listed])
    except msgspec.DecodeError as error:
        raise TargetRefused(f"containers could not be listed: {error}") from error
    return tuple(Ack("".join(container.names[:1]).removeprefix("/"), container.id) for container in containers)


def _remove(client: Client, ids: Sequence[str]) -> Cleanup:
    outcomes = client.exchange([request_bytes("DELETE", f"/containers/{quote(id_)}?force=1&v=1") for id_ in ids])
    removed = 0
    failures: list[Failure] = []
    for number, outcome in enumerate(outcomes):
        if isinstance(outcome, Failure):
            failures.append(outcome)
        elif outcome.status in (200, 204):
            removed += 1
        elif outcome.status != 404:
            failures.append(Failure(number, ErrorKind.HTTP_STATUS, refusal_text(outcome.body), outcome.status))
    return Cleanup(removed, tuple(failures))
