"""The engine in its thread: started, stopped, ended, asked from outside."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import docker
import pytest
from docker.errors import APIError

from actors import TooManyRestarts
from actors.testing import crash
from daemon import ContainerConfig, CreateRequest, Engine
from daemon.engine import NOT_ROOT
from daemon.errors import InvalidParameter
from daemon.testing import DockerEngine, EngineDown
from tests.daemon.storage.making import docker_archive, tar_of


def descriptors() -> set[str]:
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}


def test_it_leaves_no_thread_no_descriptor_and_no_socket(tmp_path: Path) -> None:
    with DockerEngine(tmp_path / "first"):
        pass  # what is made once in a process is made
    threads, before = set(threading.enumerate()), descriptors()
    with DockerEngine(tmp_path / "second") as engine:
        engine.image("busybox")
        assert engine.socket.is_socket()
    assert not engine.socket.exists()
    # Those that a loop keeps for its next blocking call end by themselves when it has ended.
    left = [thread for thread in threading.enumerate() if not thread.name.startswith("AnyIO worker thread")]
    assert [thread.name for thread in left if thread not in threads] == []
    assert descriptors() <= before


def test_what_was_there_before_a_stop_is_there_after_the_next_start(docker_engine: DockerEngine) -> None:
    image_id = docker_engine.image("busybox")
    request = CreateRequest(name="web", config=ContainerConfig(image="busybox", cmd=("true",)))
    created = docker_engine.call(lambda engine: engine.create(request))
    docker_engine.stop()
    assert not docker_engine.socket.exists()
    with pytest.raises(EngineDown):
        docker_engine.image("other")
    docker_engine.stop()  # harmless twice
    docker_engine.start()
    client = docker.DockerClient(base_url=docker_engine.host)
    assert client.containers.get("web").id == created.id
    assert client.images.get("busybox").id == image_id
    client.close()


def test_a_stop_without_draining_cuts_off_what_is_under_way(docker_engine: DockerEngine) -> None:
    docker_engine.image("busybox")
    begun = docker_engine.faults.delay("layer", 60)
    outcomes = list[BaseException]()

    def create() -> None:
        client = docker.DockerClient(base_url=docker_engine.host, version="1.43")
        try:
            client.containers.create("busybox", "true")
        except Exception as error:  # noqa: BLE001 - which of many libraries' it is, is not the point
            outcomes.append(error)
        finally:
            client.close()

    thread = threading.Thread(target=create)
    thread.start()
    while not begun.struck:
        docker_engine.call(lambda engine: engine.is_answering())
    docker_engine.stop(drain=False)
    thread.join()
    assert len(outcomes) == 1
    assert not isinstance(outcomes[0], APIError)
    docker_engine.start()
    assert [*(docker_engine.config.data_root / "containers").iterdir()] == []


def test_a_crash_of_the_database_is_the_end_until_the_next_start(docker_engine: DockerEngine) -> None:
    docker_engine.image("busybox")
    docker_engine.faults.crash("database")
    client = docker.DockerClient(base_url=docker_engine.host, version="1.43")
    with pytest.raises(Exception):  # noqa: B017 - a 503, or a connection that is cut
        client.containers.create("busybox", "true")
    client.close()
    docker_engine.wait_ended()
    assert not docker_engine.is_up
    docker_engine.stop()
    docker_engine.start()
    assert docker_engine.is_up


def test_an_end_that_nobody_has_asked_for_is_told_at_the_stop(tmp_path: Path) -> None:
    async def crash_database(engine: Engine) -> None:
        crash(engine.services.database)

    engine = DockerEngine(tmp_path)
    engine.start()
    engine.call(crash_database)
    engine.wait_ended()
    with pytest.raises(TooManyRestarts):
        engine.stop()


def test_what_cannot_be_done_without_root_is_said_in_info(docker_client: docker.DockerClient) -> None:
    assert (NOT_ROOT in docker_client.info()["Warnings"]) == (os.geteuid() != 0)


def test_archives_are_loaded_as_docker_does(docker_engine: DockerEngine, tmp_path: Path) -> None:
    archive = tar_of(docker_archive(tags=["demo:1"]))
    (tmp_path / "image.tar").write_bytes(archive)
    ids = docker_engine.load(archive)
    assert docker_engine.load(tmp_path / "image.tar") == ids
    client = docker.DockerClient(base_url=docker_engine.host)
    assert client.images.get("demo:1").id == ids[0]
    client.close()
    with pytest.raises(InvalidParameter):
        docker_engine.load(b"no archive")


def test_an_image_has_the_files_and_the_configuration_that_it_is_given(docker_engine: DockerEngine) -> None:
    files = {"/app/run": b"#!/bin/sh\n", "data": b"1"}
    docker_engine.image("app:2", files, ContainerConfig(entrypoint=("/app/run",), env=("A=1",)))
    client = docker.DockerClient(base_url=docker_engine.host)
    container = client.containers.create("app:2")
    assert container.attrs["Config"]["Entrypoint"] == ["/app/run"]
    stream, stat = container.get_archive("/app/run")
    assert b"#!/bin/sh" in b"".join(stream)
    assert stat["mode"] & 0o777 == 0o755
    client.close()
    with pytest.raises(InvalidParameter):
        docker_engine.image("Not A Name")
