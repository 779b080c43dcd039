"""Each fault, as a client of the API sees it; afterwards the engine is as it was."""

from __future__ import annotations

import time
from pathlib import Path

import docker
import pytest
from docker.errors import APIError

from daemon.errors import Unavailable
from daemon.instruments import STEPS
from daemon.testing import DockerEngine
from daemon.testing.faults import ACTORS, TEXTS


@pytest.fixture
def client(docker_engine: DockerEngine, docker_client: docker.DockerClient) -> docker.DockerClient:
    docker_engine.image("busybox")
    return docker_client


def create(client: docker.DockerClient, **options: object) -> object:
    return client.containers.create("busybox", "true", name="web", volumes=["/data"], **options)


def left(engine: DockerEngine) -> list[Path]:
    root = engine.config.data_root
    return [path for kind in ("containers", "staging", "volumes") for path in (root / kind).iterdir()]


@pytest.mark.parametrize("step", [step for step in TEXTS if step != "key"])
def test_a_step_that_fails_is_a_500_and_leaves_nothing(
    docker_engine: DockerEngine, client: docker.DockerClient, step: str
) -> None:
    with docker_engine.faults.fail(step) as fault, pytest.raises(APIError) as caught:
        create(client)
    assert (caught.value.status_code, caught.value.explanation) == (500, TEXTS[step])
    assert fault.struck == 1
    assert left(docker_engine) == []
    create(client)  # the name is free


def test_a_step_fails_with_what_it_is_told_to_as_often_as_it_is_told_to(
    docker_engine: DockerEngine, client: docker.DockerClient
) -> None:
    fault = docker_engine.faults.fail("commit", Unavailable("not now"), times=2)
    for _ in range(2):
        with pytest.raises(APIError) as caught:
            create(client)
        assert (caught.value.status_code, caught.value.explanation) == (503, "not now")
    create(client)
    assert fault.struck == 2


def test_a_step_that_takes_its_time_holds_up_its_own_create_only(
    docker_engine: DockerEngine, client: docker.DockerClient
) -> None:
    with docker_engine.faults.delay("commit", 0.2, times=1) as fault:
        began = time.monotonic()
        create(client)
        assert time.monotonic() - began >= 0.2
        client.containers.create("busybox", "true")
    assert fault.struck == 1


def test_an_actor_that_crashes_is_a_503_and_is_there_again(
    docker_engine: DockerEngine, client: docker.DockerClient
) -> None:
    fault = docker_engine.faults.crash("allocator")
    with pytest.raises(APIError) as caught:
        create(client)
    assert caught.value.status_code == 503
    assert "restarting" in str(caught.value.explanation)
    assert fault.struck == 1
    create(client)


def test_all_faults_can_be_cleared_at_once(docker_engine: DockerEngine, client: docker.DockerClient) -> None:
    faults = docker_engine.faults
    planned = [faults.fail("layer"), faults.crash("images"), faults.delay("name", 60)]
    faults.clear()
    create(client)
    assert [fault.struck for fault in planned] == [0, 0, 0]


def test_names_that_do_not_exist_are_told_with_those_that_do(docker_engine: DockerEngine) -> None:
    faults = docker_engine.faults
    with pytest.raises(ValueError, match=f"there is no step 'layers'; there are: {', '.join(STEPS)}"):
        faults.fail("layers")
    with pytest.raises(ValueError, match="there is no step 'sleep'"):
        faults.delay("sleep", 1)
    with pytest.raises(ValueError, match=f"there is no actor 'layer'; there are: {', '.join(ACTORS)}"):
        faults.crash("layer")
    with pytest.raises(ValueError, match="'register' cannot fail"):
        faults.fail("register")
