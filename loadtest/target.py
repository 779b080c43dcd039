"""The few calls of the Docker Engine API that a run needs around its creates: version, image, list by label, remove.

Paths carry no API version: every engine then answers in the newest one that it speaks.
"""

from __future__ import annotations

import json
import select
from collections.abc import Sequence
from typing import TypeVar
from urllib.parse import quote

import attrs
import msgspec

from loadtest import procfs
from loadtest.client import Client, request_bytes
from loadtest.errors import ErrorKind, Failure, TargetRefused, TargetUnreachable
from loadtest.image import REFERENCE, image_tar
from loadtest.outcome import Ack, refusal_text
from loadtest.response import Response
from loadtest.scenario import RUN_LABEL, Scenario, check_run_id, default_host, socket_path

SETUP_TIMEOUT_S = 60.0  # for a list of very many containers, or an image unpacked on a busy disk
REMOVERS = 16
SWEEPS_MAX = 5  # what cannot be removed at once, because it is being created, can in the next
SETTLE_S = 0.5  # between two looks for what a target is still creating for a client that has gone: the slowest takes a few tenths
LOOKS_MAX = 60  # a target that has not come to rest by then never will

_T = TypeVar("_T")


class _Component(msgspec.Struct):
    name: str = msgspec.field(name="Name", default="")


class _Version(msgspec.Struct):
    version: str = msgspec.field(name="Version", default="")
    api_version: str = msgspec.field(name="ApiVersion", default="")
    components: list[_Component] | None = msgspec.field(name="Components", default=None)

    @property
    def product(self) -> str:
        """`podman`; empty for Docker's, whose component is just called Engine, and for those that say nothing."""
        name = self.components[0].name if self.components else ""
        return name.removesuffix("Engine").strip().lower()

    def __str__(self) -> str:
        return f"{self.product} {self.version} (API {self.api_version})".strip() if self.version else ""


class _Info(msgspec.Struct):
    data_root: str = msgspec.field(name="DockerRootDir", default="")
    driver: str = msgspec.field(name="Driver", default="")


class _Image(msgspec.Struct):
    id: str = msgspec.field(name="Id", default="")


class Listed(msgspec.Struct, frozen=True):
    """A container as the target lists it."""

    id: str = msgspec.field(name="Id")
    names: tuple[str, ...] | None = msgspec.field(name="Names", default=())
    labels: dict[str, str] | None = msgspec.field(name="Labels", default=None)

    @property
    def name(self) -> str:
        """Without its slash."""
        return "".join(self.names[:1]).removeprefix("/") if self.names else ""


class _Progress(msgspec.Struct):
    error: str = ""


@attrs.frozen
class Target:
    """What there is to know of an engine before a run. What it does not say is empty."""

    version: str
    """As it calls itself: `28.5.2 (API 1.51)`, `podman 5.4.2 (API 1.41)`."""
    pid: int | None
    """The process that listens on the socket; None when it is not to be seen from here."""
    process: str
    driver: str
    data_root: str
    file_system: str
    """That the data root is on."""
    containers: int
    """How many it has."""
    image: str
    """The id of the image that the run creates from."""

    @property
    def driver_kind(self) -> str:
        """One word for what Docker calls overlay2 or overlayfs, and Podman overlay."""
        return "overlay" if self.driver in ("overlay2", "overlayfs") else self.driver


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
    if _image_id(client, reference):
        return False
    loaded = _ask(client, request_bytes("POST", "/images/load", image_tar(reference), "application/x-tar"))
    if loaded.status != 200:
        raise TargetRefused(f"image {reference!r} could not be loaded: {loaded.status} {refusal_text(loaded.body)}")
    # Errors after the head arrive as one of the lines of the body, which is otherwise for people to read.
    for line in loaded.body.splitlines():
        try:
            error = msgspec.json.decode(line, type=_Progress).error
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        if error:
            raise TargetRefused(f"image {reference!r} could not be loaded: {error}")
    return True


def ensure_image(host: str) -> str:
    """The name under which the target has the tiny image, which is loaded if it is missing. Raises as `load_image`.

    Podman takes short names for Docker Hub's or for its own, depending on how it is set up.
    """
    client = _client(host)
    names = (REFERENCE, f"docker.io/{REFERENCE}", f"localhost/{REFERENCE}")
    if not any(_image_id(client, name) for name in names):
        load_image(host)
    return next((name for name in names if _image_id(client, name)), REFERENCE)


def describe(host: str, reference: str) -> Target:
    """Raises `TargetUnreachable`; an engine that answers in its own way is just not described."""
    client = _client(host)
    info = _decoded(_ask(client, request_bytes("GET", "/info")), _Info) or _Info()
    pid = procfs.peer_pid(socket_path(host))
    usage = procfs.usage(pid) if pid is not None else None
    listed = _decoded(_ask(client, request_bytes("GET", "/containers/json?all=1")), list[Listed])
    return Target(
        version=server_version(host),
        pid=pid if usage is not None else None,
        process=usage.name if usage is not None else "",
        driver=info.driver,
        data_root=info.data_root,
        file_system=procfs.file_system(info.data_root, procfs.mountinfo(pid) if pid is not None else ""),
        containers=len(listed or ()),
        image=_image_id(client, reference),
    )


def clean(run_id: str | None, host: str | None = None, *, is_settled: bool = True) -> Cleanup:
    """Removes what a run left behind, found by its label; None: what all runs did.

    `is_settled`: False where creates may still be under way, because their client was killed.

    Raises `TargetUnreachable`, `TargetRefused`, `BadScenario`.
    """
    client = _client(host)
    return _sweep(client, run_id) if is_settled else _sweep_until_settled(client, run_id)


def listed(run_id: str | None, host: str | None = None) -> tuple[Ack, ...]:
    """The containers of a run that the target has now, found by its label; None: those of all runs.

    Raises `TargetUnreachable`, `TargetRefused`, `BadScenario`.
    """
    return _listed(_client(host), run_id)


def clean_up(scenario: Scenario, ids: Sequence[str], *, is_settled: bool) -> Cleanup:
    """Removes the containers of a run by id, then by label those whose id was never told. Raises nothing of the target's.

    `is_settled`: False where creates may still be under way, because they were given up.
    """
    client = Client(socket_path(scenario.host), concurrency=scenario.concurrency, timeout_s=scenario.timeout_s)
    by_id = _remove(client, ids)
    try:
        by_label = clean(scenario.run_id, scenario.host, is_settled=is_settled)
    except (TargetUnreachable, TargetRefused) as error:
        by_label = Cleanup(0, (Failure(0, ErrorKind.CONNECT_REFUSED, str(error)),))
    if not by_label.failures:
        # Whatever failed by id was removed by label, or is gone.
        return Cleanup(by_id.removed + by_label.removed)
    return Cleanup(by_id.removed + by_label.removed, by_id.failures + by_label.failures)


def server_version(host: str) -> str:
    """What the target calls itself, as in `28.5.2 (API 1.51)`; empty when it does not say. Raises `TargetUnreachable`."""
    return str(_decoded(_ask(_client(host), request_bytes("GET", "/version")), _Version) or "")


def everything(host: str | None = None) -> tuple[Listed, ...]:
    """Every container that the target has, whoever made it. Raises `TargetUnreachable`, `TargetRefused`, `BadScenario`."""
    return _all_listed(_client(host), "/containers/json?all=1")


def _image_id(client: Client, reference: str) -> str:
    """Empty when the target does not have it."""
    answer = _ask(client, request_bytes("GET", f"/images/{quote(reference)}/json"))
    image = _decoded(answer, _Image) if answer.status == 200 else None
    return image.id or reference if image is not None else ""


def _decoded(response: Response, kind: type[_T]) -> _T | None:
    """None for anything else."""
    try:
        return msgspec.json.decode(response.body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


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


def _sweep_until_settled(client: Client, run_id: str | None) -> Cleanup:
    """Sweeps until a look finds nothing new."""
    cleanup = _sweep(client, run_id)
    for _ in range(LOOKS_MAX):
        if cleanup.failures:
            break
        select.select((), (), (), SETTLE_S)  # the target does not tell what it is still working on
        late = _sweep(client, run_id)
        cleanup = Cleanup(cleanup.removed + late.removed, late.failures)
        if not late.removed:
            break
    return cleanup


def _listed(client: Client, run_id: str | None) -> tuple[Ack, ...]:
    label = RUN_LABEL if run_id is None else f"{RUN_LABEL}={check_run_id(run_id)}"
    filters = quote(json.dumps({"label": [label]}, separators=(",", ":")))
    listed = _all_listed(client, f"/containers/json?all=1&filters={filters}")
    return tuple(Ack(container.name, container.id) for container in listed)


def _all_listed(client: Client, target: str) -> tuple[Listed, ...]:
    response = _ask(client, request_bytes("GET", target))
    if response.status != 200:
        raise TargetRefused(f"containers could not be listed: {response.status} {refusal_text(response.body)}")
    try:
        return msgspec.json.decode(response.body, type=tuple[Listed, ...])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TargetRefused(f"containers could not be listed: {error}") from error


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
