"""Tests of a program that uses Docker, on a machine without Docker.

pip install 'boatyard[pytest]'; pytest examples/test_my_app.py

`docker_client` is docker-py on an engine of the test's own, which is gone afterwards.
"""

from __future__ import annotations

import docker
import pytest
from docker.errors import APIError, ImageNotFound, NotFound

from daemon.testing import DockerEngine
from examples.my_app import LABEL, Jobs, NoSpace


@pytest.fixture
def jobs(docker_engine: DockerEngine, docker_client: docker.DockerClient) -> Jobs:
    docker_engine.image("busybox")
    return Jobs(docker_client)


def test_a_job_becomes_a_container_that_says_what_it_is_for(jobs: Jobs, docker_client: docker.DockerClient) -> None:
    container_id = jobs.add("backup", ["tar", "c", "/data"])
    found = docker_client.containers.get("backup")
    assert (found.id, found.status, found.labels) == (container_id, "created", {LABEL: "backup"})
    assert found.attrs["Config"]["Cmd"] == ["tar", "c", "/data"]
    assert found.image.tags == ["busybox:latest"]


def test_only_our_own_are_listed_and_cleared(jobs: Jobs, docker_client: docker.DockerClient) -> None:
    docker_client.containers.create("busybox", name="somebody-elses")
    for name in ("b", "a"):
        jobs.add(f"job-{name}", ["true"])
    assert jobs.names() == ["job-a", "job-b"]
    assert docker_client.containers.list() == []  # none runs
    jobs.clear()
    assert [container.name for container in docker_client.containers.list(all=True)] == ["somebody-elses"]


def test_a_finished_job_is_kept_under_another_name(jobs: Jobs, docker_client: docker.DockerClient) -> None:
    container_id = jobs.add("backup", ["true"])
    jobs.finish("backup")
    assert docker_client.containers.get("backup-done").id == container_id
    with pytest.raises(NotFound, match="No such container: backup"):
        docker_client.containers.get("backup")
    assert jobs.add("backup", ["true"]) != container_id


def test_a_name_that_is_taken_and_an_image_that_is_not_there_are_told(
    jobs: Jobs, docker_client: docker.DockerClient
) -> None:
    jobs.add("backup", ["true"])
    with pytest.raises(APIError) as caught:
        jobs.add("backup", ["true"])
    assert caught.value.status_code == 409
    docker_client.images.remove("busybox", force=True)
    with pytest.raises(ImageNotFound):
        jobs.add("other", ["true"])


def test_what_happens_to_jobs_is_seen(jobs: Jobs) -> None:
    with jobs.watched() as events:
        jobs.add("backup", ["true"])
        jobs.finish("backup")
        jobs.clear()
        assert [next(events) for _ in range(3)] == [
            {"action": "create", "job": "backup"},
            {"action": "rename", "job": "backup"},
            {"action": "destroy", "job": "backup"},
        ]


def test_a_full_disk_is_no_space(jobs: Jobs, docker_engine: DockerEngine) -> None:
    with docker_engine.faults.fail("layer") as fault, pytest.raises(NoSpace):
        jobs.add("backup", ["true"])
    assert fault.struck == 1
    assert jobs.names() == []
    jobs.add("backup", ["true"])  # the name is free


def test_a_daemon_that_is_in_trouble_is_asked_again(jobs: Jobs, docker_engine: DockerEngine) -> None:
    crash = docker_engine.faults.crash("allocator")
    jobs.add("backup", ["true"])
    assert crash.struck == 1
    assert jobs.names() == ["backup"]
