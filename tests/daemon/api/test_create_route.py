"""A create from its bytes to its answer: the order of its checks, and what of it may be asked for again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from daemon.api.routes import Router
from daemon.http.message import Request
from tests.daemon.harness import engine_at, state_of

pytestmark = pytest.mark.anyio


class Content:
    """A body that has arrived."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def receive(self) -> bytes:
        raise AssertionError("a body of JSON is read whole")

    async def read(self, bytes_max: int) -> bytes:
        return self._content


async def create(
    router: Router, body: Any, *, version: str = "", query: str = "", headers: Mapping[str, str] | None = None
) -> tuple[int, Any]:
    response = await router(
        Request(
            method="POST",
            path=f"{version}/containers/create",
            query=query,
            headers={"content-type": "application/json", **(headers or {})},
            body=Content(body if isinstance(body, bytes) else json.dumps(body).encode()),
            has_body=True,
        )
    )
    assert isinstance(response.body, bytes)
    return response.status, json.loads(response.body)


# Each row is wrong in what the row before it is wrong in, too, but for the last thing: Docker's order, backwards.
BAD_NAME = "name=x"
NOTHING_TO_RUN: dict[str, Any] = {"Image": "busybox"}
MISSING: dict[str, Any] = {"Image": "nosuch"}
ORDER: list[tuple[str, dict[str, Any], int, str]] = [
    (BAD_NAME, {"Image": "busybox", "Cmd": "x"}, 400, "Invalid container name (x)"),
    (BAD_NAME, {**NOTHING_TO_RUN, "HostConfig": {"LogConfig": {"Type": "x"}}}, 400, "no command specified"),
    (BAD_NAME, MISSING, 404, "No such image: nosuch:latest"),
    (BAD_NAME, {**MISSING, "HostConfig": {"Tmpfs": {"/": ""}}}, 400, "invalid specification"),
    (BAD_NAME, {**MISSING, "HostConfig": {"Tmpfs": {"/": ""}, "Memory": 1}}, 400, "Minimum memory limit"),
    (BAD_NAME, {**MISSING, "HostConfig": {"Memory": 1, "CapAdd": ["X"]}}, 400, "invalid CapAdd"),
    (BAD_NAME, {**MISSING, "HostConfig": {"CapAdd": ["X"]}, "WorkingDir": "a"}, 400, "the working directory 'a'"),
    (
        BAD_NAME,
        {**MISSING, "WorkingDir": "a", "HostConfig": {"Mounts": [{"Type": "image"}]}},
        400,
        'Mount type "Image" needs API v1.48 or newer',
    ),
    (
        f"{BAD_NAME}&platform=*",
        {**MISSING, "HostConfig": {"Mounts": [{"Type": "image"}]}},
        400,
        '"*": wildcards not yet supported',
    ),
    (f"{BAD_NAME}&platform=*", {**MISSING, "HostConfig": {"CpuShares": -1}}, 400, "invalid CPU shares"),
    (f"{BAD_NAME}&platform=*", {"HostConfig": {"CpuShares": "x"}, **MISSING}, 400, "invalid JSON: json: cannot"),
]


async def test_of_several_mistakes_the_first_in_dockers_order_is_told(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        for query, body, status, text in ORDER:
            found = await create(Router(engine), body, version="/v1.47", query=query)
            assert found[0] == status, body
            assert found[1]["message"].startswith(text)


async def test_what_follows_a_body_is_told_after_what_is_wrong_in_it(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        for content, text in (
            (b'{"Cmd": 5} x', "invalid JSON: json: cannot unmarshal number into Go struct field"),
            (b'{"Image": "a"} x', "unexpected content after JSON"),
            (b"{} x", "unexpected content after JSON"),
            (b"{}", "config cannot be empty in order to create a container"),
        ):
            status, answer = await create(Router(engine), content)
            assert status == 400
            assert answer["message"].startswith(text)


async def test_with_an_image_for_a_platform_the_checks_of_endpoints_come_first(tmp_path: Path) -> None:
    body = {"Image": "nosuch", "NetworkingConfig": {"EndpointsConfig": {"bridge": None}}}
    async with engine_at(tmp_path) as engine:
        router = Router(engine)
        assert (await create(router, body))[0] == 404
        status, answer = await create(router, body, query="platform=linux/amd64")
        assert (status, answer["message"]) == (400, "invalid config for network bridge: EndpointsConfig is nil")


BODY = {"Image": "busybox", "Cmd": ["true"]}
HEADER = {"idempotency-key": "key"}
LABELLED = {**BODY, "Labels": {"com.boatyard.idempotency-key": "label"}}


async def test_a_create_with_a_key_is_answered_again_with_what_it_was_answered(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        router = Router(engine)
        for body, headers in ((BODY, HEADER), (LABELLED, {})):
            first = await create(router, body, query="name=web", headers=headers)
            assert first[0] == 201
            state = await state_of(engine)
            assert await create(router, body, query="name=web", headers=headers) == first
            for other, query in ((body, "name=web2"), ({**body, "Tty": True}, "name=web")):
                status, answer = await create(router, other, query=query, headers=headers)
                assert status == 409
                assert f"is in use by container {first[1]['Id']}" in answer["message"]
            assert await state_of(engine) == state
            await engine.remove(first[1]["Id"])


async def test_without_a_key_every_create_is_one_of_its_own(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        router = Router(engine)
        ids = [(await create(router, BODY))[1]["Id"] for _ in range(2)]
        assert len(set(ids)) == 2
        assert (await create(router, BODY, query="name=web"))[0] == 201
        assert (await create(router, BODY, query="name=web"))[0] == 409
