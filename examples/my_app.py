"""A program that uses Docker through docker-py, as any does that knows nothing of Boatyard; `test_my_app.py` are its tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import docker
from docker.errors import APIError, ImageNotFound
from docker.models.containers import Container

IMAGE = "busybox:latest"
LABEL = "com.example.job"
ATTEMPTS_MAX = 3
UNAVAILABLE = 503


class NoSpace(Exception):
    """Docker has no room left for a job."""


class Jobs:
    """Containers, one for each job, found again by a label."""

    def __init__(self, client: docker.DockerClient) -> None:
        self._client = client

    def add(self, name: str, command: list[str]) -> str:
        """The id of the container that is to do it."""
        for attempt in range(1, ATTEMPTS_MAX + 1):
            try:
                return str(self._client.containers.create(IMAGE, command, name=name, labels={LABEL: name}).id)
            except ImageNotFound:
                raise
            except APIError as error:
                if "no space left on device" in str(error.explanation):
                    raise NoSpace(name) from error
                if error.status_code != UNAVAILABLE or attempt == ATTEMPTS_MAX:
                    raise
        raise AssertionError("the last attempt returns or raises")

    def names(self) -> list[str]:
        return sorted(container.labels[LABEL] for container in self._all())

    def finish(self, name: str) -> None:
        """Keep it under another name."""
        self._client.containers.get(name).rename(f"{name}-done")

    def clear(self) -> None:
        for container in self._all():
            container.remove(v=True, force=True)

    @contextmanager
    def watched(self) -> Iterator[Iterator[dict[str, str]]]:
        """What happens to the jobs' containers, from here on."""
        events = self._client.events(decode=True, filters={"type": "container", "label": LABEL})
        try:
            yield ({"action": event["Action"], "job": event["Actor"]["Attributes"][LABEL]} for event in events)
        finally:
            events.close()

    def _all(self) -> list[Container]:
        return list(self._client.containers.list(all=True, filters={"label": LABEL}))
