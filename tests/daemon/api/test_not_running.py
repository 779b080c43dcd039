"""What is answered about a container that was only created: every verb, with a real engine behind it."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import anyio
import attrs
import pytest
from anyio import wait_all_tasks_blocked

from daemon.api.not_running import MULTIPLEXED_STREAM, RAW_STREAM
from daemon.api.routes import Router
from daemon.container import ContainerConfig, HostConfig, LogConfig
from daemon.create.request import CreateRequest
from daemon.engine import Engine
from daemon.http.message import Request, Response
from daemon.services.volumes import Volumes
from tests.daemon.harness import Bytes, config_at, crash

pytestmark = pytest.mark.anyio


class Body(Bytes):
    async def read(self, bytes_max: int) -> bytes:
        return await self.receive()


@attrs.frozen
class Asker:
    engine: Engine
    router: Router
    web: str
    """The id of the container `web`."""

    async def ask(self, method: str, target: str, body: bytes = b"", **headers: str) -> Response:
        path, _, query = target.partition("?")
        given = {"content-type": "application/json", "content-length": str(len(body))}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        request = Request(
            method=method, path=path, query=query, headers=given, body=cast("Any", Body(body)), has_body=bool(body)
        )
        return await self.router(request)

    async def told(self, method: str, target: str, body: bytes = b"", **headers: str) -> tuple[int, str]:
        """Status, and the message with the id of `web` as `<id>`."""
        response = await self.ask(method, target, body, **headers)
        assert isinstance(response.body, bytes), target
        text = json.loads(response.body)["message"] if response.body else ""
        return response.status, text.replace(self.web, "<id>")


@asynccontextmanager
async def asking(root: Path) -> AsyncIterator[Asker]:
    async with Engine(config_at(root)) as engine:
        created = await engine.create(CreateRequest(name="web", config=ContainerConfig(cmd=("true",))))
        mute = HostConfig(log_config=LogConfig(type="none"))
        await engine.create(CreateRequest(name="mute", config=ContainerConfig(cmd=("true",)), host_config=mute))
        await engine.create(CreateRequest(name="tty", config=ContainerConfig(cmd=("true",), tty=True)))
        yield Asker(engine, Router(engine), created.id)


NOT_RUNNING = (409, "container <id> is not running")
NO_SUCH = (404, "No such container: nobody")
LATER = (501, "running a container is not supported yet")
NO_BODY = "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24"
EXEC = b'{"Cmd": ["ls"]}'

TABLE: list[tuple[str, str, bytes, tuple[int, str]]] = [
    ("POST", "/containers/web/start", b"", LATER),
    ("POST", "/containers/web/start", b"{}", LATER),
    ("POST", "/containers/nobody/start", b"", NO_SUCH),
    ("POST", "/containers/nobody/start", b'{"a": 1}', (400, NO_BODY)),
    ("POST", "/containers/web/start?checkpoint=x", b"", (400, "checkpoint is only supported in experimental mode")),
    ("POST", "/containers/web/restart", b"", LATER),
    ("POST", "/containers/nobody/restart", b"", NO_SUCH),
    ("POST", "/containers/web/restart?t=x", b"", (400, 'strconv.Atoi: parsing "x": invalid syntax')),
    ("POST", "/containers/web/stop", b"", (304, "")),
    ("POST", "/containers/web/stop?t=5", b"", (304, "")),
    ("POST", "/containers/nobody/stop", b"", NO_SUCH),
    ("POST", "/containers/nobody/stop?t=x", b"", (400, 'strconv.Atoi: parsing "x": invalid syntax')),
    ("POST", "/containers/web/kill", b"", (409, "cannot kill container: web: container <id> is not running")),
    (
        "POST",
        "/containers/web/kill?signal=HUP",
        b"",
        (409, "cannot kill container: web: container <id> is not running"),
    ),
    ("POST", "/containers/nobody/kill", b"", (404, "cannot kill container: nobody: No such container: nobody")),
    ("POST", "/containers/nobody/kill?signal=X", b"", (400, "cannot kill container: nobody: invalid signal: X")),
    (
        "POST",
        "/containers/web/kill?signal=99",
        b"",
        (400, "cannot kill container: web: the linux daemon does not support signal 99"),
    ),
    ("POST", "/containers/web/pause", b"", NOT_RUNNING),
    ("POST", "/containers/nobody/pause", b"", NO_SUCH),
    ("POST", "/containers/web/unpause", b"", (409, "Container <id> is not paused")),
    ("POST", "/containers/nobody/unpause", b"", NO_SUCH),
    ("POST", "/containers/web/resize?h=1&w=1", b"", NOT_RUNNING),
    ("POST", "/containers/nobody/resize?h=1&w=4294967295", b"", NO_SUCH),
    ("POST", "/containers/web/resize", b"", (400, 'invalid resize height "": invalid syntax')),
    ("POST", "/containers/web/resize?h=1", b"", (400, 'invalid resize width "": invalid syntax')),
    ("POST", "/containers/web/resize?h=x&w=1", b"", (400, 'invalid resize height "x": invalid syntax')),
    ("POST", "/containers/web/resize?h=%2B1&w=1", b"", (400, 'invalid resize height "+1": invalid syntax')),
    ("POST", "/containers/web/resize?h=-1&w=1", b"", (400, 'invalid resize height "-1": value out of range')),
    ("POST", "/containers/web/resize?h=-0&w=1", b"", (400, 'invalid resize height "-0": value out of range')),
    ("POST", "/containers/web/resize?h=-x&w=1", b"", (400, 'invalid resize height "-x": invalid syntax')),
    (
        "POST",
        "/containers/web/resize?h=1&w=4294967296",
        b"",
        (400, 'invalid resize width "4294967296": value out of range'),
    ),
    ("GET", "/containers/web/top", b"", NOT_RUNNING),
    ("GET", "/containers/nobody/top", b"", NO_SUCH),
    ("GET", "/containers/nobody/top?ps_args=-o+x=PIDX", b"", (400, 'specifying "x=PIDX" is not allowed')),
    ("GET", "/containers/web/top?ps_args=-o+pid=PID", b"", NOT_RUNNING),
    ("POST", "/containers/web/exec", EXEC, NOT_RUNNING),
    ("POST", "/containers/web/exec", b'{"cmd": ["ls"]}', NOT_RUNNING),
    ("POST", "/containers/nobody/exec", EXEC, NO_SUCH),
    ("POST", "/containers/nobody/exec", b"{}", (400, "No exec command specified")),
    ("POST", "/containers/nobody/exec", b'{"Cmd": []}', (400, "No exec command specified")),
    (
        "POST",
        "/containers/nobody/exec",
        b"[]",
        (400, "invalid JSON: json: cannot unmarshal array into Go value of type container.ExecOptions"),
    ),
    ("POST", "/containers/nobody/exec", b"", (400, "invalid JSON: got EOF while reading request body")),
    ("POST", "/exec/abc/start", b"{}", (404, "No such exec instance: abc")),
    ("POST", "/exec/abc/resize", b"", (404, "No such exec instance: abc")),
    ("GET", "/exec/abc/json", b"", (404, "No such exec instance: abc")),
    ("GET", "/containers/web/attach/ws", b"", LATER),
    ("GET", "/containers/nobody/logs", b"", (400, "Bad parameters: you must choose at least one stream")),
    ("GET", "/containers/nobody/logs?stdout=1", b"", NO_SUCH),
    ("GET", "/containers/mute/logs?stderr=1", b"", (501, "configured logging driver does not support reading")),
    (
        "GET",
        "/containers/web/logs?stdout=1&since=x",
        b"",
        (400, 'failed to parse value as time or duration: "x"'),
    ),
    ("GET", "/containers/nobody/stats", b"", NO_SUCH),
    ("GET", "/containers/web/stats?one-shot=1", b"", (400, "cannot have stream=true and one-shot=true")),
    ("POST", "/containers/nobody/wait", b"", NO_SUCH),
    ("POST", "/containers/nobody/wait?condition=x", b"", (400, 'invalid condition: "x"')),
    ("POST", "/v1.29/containers/nobody/wait?condition=x", b"", NO_SUCH),  # they had no conditions then
]


async def test_every_verb_is_answered_as_docker_answers_it_for_a_created_container(tmp_path: Path) -> None:
    async with asking(tmp_path) as asker:
        for method, target, body, expected in TABLE:
            assert await asker.told(method, target, body) == expected, (method, target)


async def test_a_body_of_unknown_length_is_none_for_a_start(tmp_path: Path) -> None:
    async with asking(tmp_path) as asker:
        assert await asker.told("POST", "/containers/web/start", b"{}", content_length="") == (400, NO_BODY)


@pytest.mark.parametrize(
    ("target", "content_type"),
    [
        ("/containers/web/logs?stdout=1", MULTIPLEXED_STREAM),
        ("/containers/web/logs?stdout=1&follow=1&since=1.5&until=2&tail=all", MULTIPLEXED_STREAM),
        ("/v1.42/containers/web/logs?stderr=1", MULTIPLEXED_STREAM),
        ("/v1.41/containers/web/logs?stderr=1", RAW_STREAM),
        ("/containers/tty/logs?stderr=1", RAW_STREAM),
    ],
)
async def test_there_is_nothing_in_the_log_and_nothing_to_wait_for(
    target: str, content_type: str, tmp_path: Path
) -> None:
    async with asking(tmp_path) as asker:
        response = await asker.ask("GET", target)
        assert (response.status, response.body) == (200, b"")
        assert ("Content-Type", content_type) in response.headers


ZERO_CPU = {
    "cpu_usage": {"total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0},
    "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
}
ZEROES = {
    "name": "/web",
    "read": "0001-01-01T00:00:00Z",
    "preread": "0001-01-01T00:00:00Z",
    "pids_stats": {},
    "blkio_stats": {
        "io_service_bytes_recursive": None,
        "io_serviced_recursive": None,
        "io_queue_recursive": None,
        "io_service_time_recursive": None,
        "io_wait_time_recursive": None,
        "io_merged_recursive": None,
        "io_time_recursive": None,
        "sectors_recursive": None,
    },
    "num_procs": 0,
    "storage_stats": {},
    "cpu_stats": ZERO_CPU,
    "precpu_stats": ZERO_CPU,
    "memory_stats": {},
}


@pytest.mark.parametrize("target", ["stats?stream=false", "stats?stream=0&one-shot=1"])
async def test_statistics_are_zeroes(target: str, tmp_path: Path) -> None:
    async with asking(tmp_path) as asker:
        response = await asker.ask("GET", f"/containers/web/{target}")
        assert isinstance(response.body, bytes)
        assert json.loads(response.body) == {**ZEROES, "id": asker.web}


async def test_a_stream_of_statistics_ends_with_the_container(tmp_path: Path) -> None:
    async with asking(tmp_path) as asker:
        for target in ("/containers/web/stats", "/v1.40/containers/web/stats?one-shot=1"):
            response = await asker.ask("GET", target)
            assert isinstance(response.body, AsyncGenerator)
            assert json.loads(await anext(response.body)) == {**ZEROES, "id": asker.web}
            await response.body.aclose()
        response = await asker.ask("GET", "/containers/web/stats")
        await asker.engine.remove("web")
        assert isinstance(response.body, AsyncGenerator)
        assert len([line async for line in response.body]) == 1


DONE = {"StatusCode": 0}


@pytest.mark.parametrize(
    "target", ["/containers/web/wait", "/containers/web/wait?condition=not-running", "/v1.29/containers/web/wait"]
)
async def test_what_does_not_run_need_not_be_waited_for(target: str, tmp_path: Path) -> None:
    async with asking(tmp_path) as asker:
        response = await asker.ask("POST", target)
        assert isinstance(response.body, bytes)
        assert (response.status, json.loads(response.body)) == (200, DONE)


@pytest.mark.parametrize("condition", ["removed", "next-exit"])
async def test_a_wait_ends_with_the_removal_and_not_before(condition: str, tmp_path: Path) -> None:
    async with asking(tmp_path) as asker, anyio.create_task_group() as tasks:
        response = await asker.ask("POST", f"/containers/web/wait?condition={condition}")
        assert response.status == 200  # the head goes out at once
        ended: list[Any] = []

        async def read() -> None:
            assert isinstance(response.body, AsyncGenerator)
            ended.extend([json.loads(line) async for line in response.body])

        tasks.start_soon(read)
        await wait_all_tasks_blocked()
        crash(asker.engine.services.registrar)  # whoever waits asks its successor
        await asker.engine.rename("web", "site")
        await wait_all_tasks_blocked()
        assert ended == []
        await asker.engine.remove("site")
        await wait_all_tasks_blocked()
        assert ended == [DONE]


async def test_a_wait_that_comes_too_late_ends_at_once_and_the_name_is_free_then(tmp_path: Path) -> None:
    async with asking(tmp_path) as asker:
        response = await asker.ask("POST", "/containers/web/wait?condition=removed")
        assert isinstance(response.body, AsyncGenerator)
        await asker.engine.remove("web")
        with anyio.fail_after(5):
            assert [json.loads(line) async for line in response.body] == [DONE]
        await asker.engine.create(CreateRequest(name="web", config=ContainerConfig(cmd=("true",))))


async def test_a_client_that_stops_waiting_leaves_nothing_behind(tmp_path: Path) -> None:
    async with asking(tmp_path) as asker:
        response = await asker.ask("POST", "/containers/web/wait?condition=removed")
        with anyio.move_on_after(0.05):
            assert isinstance(response.body, AsyncGenerator)
            await anext(response.body)
        await asker.engine.remove("web")


async def test_a_start_that_fails_removes_what_is_to_be_removed_when_it_ends(tmp_path: Path) -> None:
    async with asking(tmp_path) as asker:
        gone = CreateRequest(
            name="gone",
            config=ContainerConfig(cmd=("true",), volumes=("/data",)),
            host_config=HostConfig(auto_remove=True),
        )
        await asker.engine.create(gone)
        assert await asker.told("POST", "/containers/gone/start") == LATER
        assert await asker.told("POST", "/containers/gone/start") == (404, "No such container: gone")
        assert await asker.told("POST", "/containers/web/start") == LATER
        assert await asker.engine.services.volumes.ask(Volumes.list) == ()
