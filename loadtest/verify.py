"""Whether what was acknowledged is there: every container once, with its name, its id and its labels. The checks are pure."""

from __future__ import annotations

import select
import subprocess
import time
from collections import Counter
from collections.abc import Mapping, Sequence

import attrs

from loadtest.document import Made, Run
from loadtest.errors import HarnessError, TargetUnreachable
from loadtest.scenario import RUN_LABEL
from loadtest.target import Listed, everything, server_version

RETRY_S = 0.1
SHOWN_MAX = 10


@attrs.frozen
class Finding:
    kind: str
    """`lost`, `doubled`, `wrong_name`, `wrong_label`, `unknown`."""
    text: str


@attrs.frozen
class Verification:
    expected: int
    found: int
    """Of those expected, with nothing wrong about them."""
    findings: tuple[Finding, ...]

    @property
    def is_passed(self) -> bool:
        return not self.findings


def verify(run: Run, listed: Sequence[Listed]) -> Verification:
    """What is wrong, given all the containers that the target lists. Raises `HarnessError` when the run did not keep its own."""
    if run.containers is None:
        raise HarnessError("the result has no list of containers")
    if run.cleanup is not None:
        raise HarnessError(f"run {run.plan.run_id} was cleaned up: there is nothing to verify (run it with --keep)")
    body_labels = run.plan.body.get("Labels") or {}
    labels = {**body_labels, RUN_LABEL: run.plan.run_id}
    by_id = Counter(container.id for container in listed)
    last = {container.id: container for container in listed}
    checked = [_check(made, last.get(made.id), by_id[made.id], labels) for made in run.containers]
    findings = [finding for found in checked for finding in found] + _doubled_names(listed) + _unknown(run, listed)
    return Verification(len(checked), sum(not found for found in checked), tuple(findings))


def listed_after_restart(host: str, restart_command: str | None, *, timeout_s: float) -> tuple[Listed, ...]:
    """Everything that the target lists, after the command if there is one. Raises `HarnessError`, `TargetUnreachable`."""
    if restart_command is not None:
        done = subprocess.run(restart_command, shell=True, check=False)  # the user's own command line
        if done.returncode != 0:
            raise HarnessError(f"{restart_command!r} failed with exit code {done.returncode}")
        _wait_answers(host, timeout_s)
    return everything(host)


def _wait_answers(host: str, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            server_version(host)
        except (TargetUnreachable, HarnessError):
            if time.monotonic() > deadline:
                raise
            select.select((), (), (), RETRY_S)  # nothing tells when a socket is listened on again
        else:
            return


def _check(made: Made, container: Listed | None, times: int, labels: Mapping[str, str]) -> list[Finding]:
    if container is None:
        return [Finding("lost", f"{made.id} ({made.name or 'unnamed'}) was acknowledged and is not listed")]
    findings = []
    if times > 1:
        findings.append(Finding("doubled", f"{made.id} ({container.name}) is listed {times} times"))
    if made.name and container.name != made.name:
        findings.append(Finding("wrong_name", f"{made.id} is called {container.name!r} instead of {made.name!r}"))
    found = container.labels or {}
    for key, value in labels.items():
        if found.get(key) != value:
            findings.append(Finding("wrong_label", f"{made.id} has {key}={found.get(key)!r} instead of {value!r}"))
    return findings


def _doubled_names(listed: Sequence[Listed]) -> list[Finding]:
    holders = Counter(container.name for container in {container.id: container for container in listed}.values())
    return [
        Finding("doubled", f"the name {name!r} is held by {count} containers")
        for name, count in holders.items()
        if count > 1 and name
    ]


def _unknown(run: Run, listed: Sequence[Listed]) -> list[Finding]:
    """Containers of the run that nobody was told of; fine only where as many requests were left without an answer."""
    made = {container.id for container in run.containers or ()}
    extra = [
        container
        for container in {container.id: container for container in listed}.values()
        if (container.labels or {}).get(RUN_LABEL) == run.plan.run_id and container.id not in made
    ]
    unanswered = run.counts.errors + run.counts.abandoned
    return [
        Finding("unknown", f"{container.id} ({container.name}) is of this run and was never acknowledged")
        for container in extra[unanswered:]
    ]
