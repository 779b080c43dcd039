"""Pull, push, login and inspect as requests: what is a status, and what a line of the stream."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.api.progress import human_size, progress_bar, step_view
from daemon.api.registries import wanted_reference
from daemon.errors import InvalidParameter
from daemon.services.image_store import ImageStore
from daemon.services.transfers import Pushed, Step, Transfers
from daemon.storage.oci import digest_of
from tests.daemon.api.test_routes import Asker, asking
from tests.daemon.registry.scripted import Reply, ScriptedRegistry, index_of, remote_image, scripted_registry
from tests.daemon.storage.making import BASE

IMAGE = remote_image(BASE)


@pytest.fixture
def registry() -> Iterator[ScriptedRegistry]:
    with scripted_registry() as started:
        started.put_image("me/app", "v1", IMAGE)
        yield started


@pytest.mark.parametrize(
    ("step", "view"),
    [
        (Step("Pulling from a/b", "v1", is_message=True), {"status": "Pulling from a/b", "id": "v1"}),
        (Step("Status: done", is_message=True), {"status": "Status: done"}),
        (Step("Loaded image: a:1", is_text=True), {"stream": "Loaded image: a:1\n"}),
        (Step("Waiting", "abc"), {"status": "Waiting", "progressDetail": {}, "id": "abc"}),
        (
            Step("Downloading", "abc", 50, 100),
            {
                "status": "Downloading",
                "progressDetail": {"current": 50, "total": 100},
                "progress": f"[{'=' * 25}>{' ' * 25}]      50B/100B",
                "id": "abc",
            },
        ),
        (
            Step("", pushed=Pushed(tag="v1", digest="d", size=1)),
            {"progressDetail": {}, "aux": {"Tag": "v1", "Digest": "d", "Size": 1}},
        ),
    ],
)
def test_a_step_is_a_line_as_docker_writes_it(step: Step, view: object) -> None:
    assert step_view(step) == view


@pytest.mark.parametrize(
    ("current", "total", "bar"),
    [
        (0, 0, ""),
        (1234, 0, " 1.234kB"),
        (0, 10, f"[>{' ' * 50}]       0B/10B"),
        (10, 10, f"[{'=' * 50}>]      10B/10B"),
        (20, 10, f"[{'=' * 50}>]      20B"),
    ],
)
def test_a_bar_is_drawn_as_docker_draws_it(current: int, total: int, bar: str) -> None:
    assert progress_bar(current, total) == bar


def test_sizes_have_four_digits() -> None:
    sizes = 999, 1000, 123_456, 5 * 10**6, 2_345_678_901, 10**15
    assert [human_size(size) for size in sizes] == ["999B", "1kB", "123.5kB", "5MB", "2.346GB", "1000TB"]


DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("name", "tag", "expected"),
    [
        ("busybox", "", "docker.io/library/busybox"),
        ("busybox", "1", "docker.io/library/busybox:1"),
        ("busybox:2", "1", "docker.io/library/busybox:1"),
        ("busybox", DIGEST, f"docker.io/library/busybox@{DIGEST}"),
        (f"busybox@{DIGEST}", "", f"docker.io/library/busybox@{DIGEST}"),
    ],
)
def test_a_tag_beside_the_name_counts_and_may_be_a_digest(name: str, tag: str, expected: str) -> None:
    assert str(wanted_reference(name, tag)) == expected


@pytest.mark.parametrize(("name", "tag"), [("A", ""), ("a", "b/c"), ("a", "sha256:x"), ("", "x")])
def test_what_is_no_reference_is_refused(name: str, tag: str) -> None:
    with pytest.raises(InvalidParameter, match="invalid reference format"):
        wanted_reference(name, tag)


async def lines_of(
    asker: Asker, method: str, path: str, headers: dict[str, str] | None = None
) -> list[dict[str, object]]:
    response = await asker.ask(method, path, headers=headers or {})
    assert response.status == 200
    assert not isinstance(response.body, bytes)
    content = b"".join([piece async for piece in response.body])
    return [json.loads(line) for line in content.splitlines()]


async def json_of(asker: Asker, method: str, path: str, content: bytes = b"") -> Any:
    response = await asker.ask(method, path, content)
    assert isinstance(response.body, bytes)
    assert response.status == 200, response.body
    return json.loads(response.body)


@pytest.mark.anyio
async def test_a_pull_is_a_stream_and_its_failure_the_last_line(tmp_path: Path, registry: ScriptedRegistry) -> None:
    async with asking(tmp_path) as asker:
        path = f"/images/create?fromImage={registry.host}%2Fme%2Fapp&tag=v1"
        lines = await lines_of(asker, "POST", path)
        assert lines[0] == {"status": "Pulling from me/app", "id": "v1"}
        assert lines[-1] == {"status": f"Status: Downloaded newer image for {registry.host}/me/app:v1"}
        services = asker.router._engine.services
        assert await services.images.ask(ImageStore.find, f"{registry.host}/me/app:v1")
        assert await services.transfers.ask(Transfers.count) == 0
        registry.put_image("me/app", "v2", remote_image(BASE, author="x"))
        registry.on("GET", f"/v2/me/app/blobs/{digest_of(remote_image(BASE, author='x').config)}", Reply(body=b"{}"))
        last = (await lines_of(asker, "POST", path.replace("v1", "v2")))[-1]
        assert str(last["error"]).startswith("image config verification failed")
        assert last["errorDetail"] == {"message": last["error"]}


@pytest.mark.anyio
async def test_what_fails_before_the_first_line_is_a_status(tmp_path: Path, registry: ScriptedRegistry) -> None:
    async with asking(tmp_path) as asker:
        path = f"/images/create?fromImage={registry.host}%2Fme%2Fapp&tag="
        name = f"{registry.host}/me/app"
        assert await asker.fails("POST", path + "none") == (
            404,
            f"manifest for {name}:none not found: manifest unknown: manifest unknown",
        )
        registry.on("GET", "/v2/me/app/manifests/old", Reply(body=b'{"schemaVersion": 1}'))
        lines = await lines_of(asker, "POST", path + "old")
        assert "schema 1 support is disabled" in str(lines[-1]["error"])
        assert await asker.fails("POST", path + "v1&platform=a%2Fb%2Fc%2Fd") == (
            400,
            '"a/b/c/d": cannot parse platform specifier: invalid argument',
        )
        assert await asker.fails("POST", "/images/create?fromImage=A") == (
            400,
            "invalid reference format: repository name (library/A) must be lowercase",
        )


@pytest.mark.anyio
async def test_credentials_come_in_a_header(tmp_path: Path, registry: ScriptedRegistry) -> None:
    challenge = {"WWW-Authenticate": 'Basic realm="x"'}
    manifest = Reply(headers={"Content-Type": IMAGE.media_type}, body=IMAGE.manifest)
    registry.on("GET", "/v2/me/app/manifests/v1", Reply(status=401, headers=challenge), manifest)
    header = base64.urlsafe_b64encode(b'{"username": "me", "password": "secret"}').decode()
    async with asking(tmp_path) as asker:
        path = f"/images/create?fromImage={registry.host}%2Fme%2Fapp&tag=v1"
        await lines_of(asker, "POST", path, {"x-registry-auth": header})
    assert registry.asked[1].headers["authorization"] == "Basic bWU6c2VjcmV0"


@pytest.mark.anyio
async def test_what_cannot_be_pushed_is_told_in_the_stream(tmp_path: Path, registry: ScriptedRegistry) -> None:
    async with asking(tmp_path) as asker:
        lines = await lines_of(asker, "POST", f"/images/{registry.host}/me/app/push?tag=v1")
        assert lines == [
            {"status": f"The push refers to repository [{registry.host}/me/app]"},
            {
                "errorDetail": {"message": f"An image does not exist locally with the tag: {registry.host}/me/app"},
                "error": f"An image does not exist locally with the tag: {registry.host}/me/app",
            },
        ]


@pytest.mark.anyio
async def test_what_a_registry_has_is_shown(tmp_path: Path, registry: ScriptedRegistry) -> None:
    arm = {"os": "linux", "architecture": "arm64", "variant": "v8"}
    content, media_type = index_of((IMAGE, {"os": "linux", "architecture": "amd64"}), (IMAGE, arm))
    registry.put_manifest("me/app", "all", content, media_type)
    async with asking(tmp_path) as asker:
        assert await json_of(asker, "GET", f"/distribution/{registry.host}/me/app:all/json") == {
            "Descriptor": {"mediaType": media_type, "digest": digest_of(content), "size": len(content)},
            "Platforms": [{"architecture": "amd64", "os": "linux"}, arm],
        }
        one = await json_of(asker, "GET", f"/distribution/{registry.host}/me/app@{digest_of(IMAGE.manifest)}/json")
        assert one["Platforms"] == [{"architecture": "amd64", "os": "linux"}]
        assert await asker.fails("GET", f"/distribution/{registry.host}/me/app:none/json") == (
            404,
            "manifest unknown: manifest unknown",
        )
        assert await asker.fails("GET", f"/distribution/{'0' * 64}/json") == (
            400,
            "no manifest found for full image ID",
        )


@pytest.mark.anyio
async def test_a_login_is_answered_by_the_registry(tmp_path: Path, registry: ScriptedRegistry) -> None:
    body = json.dumps({"username": "me", "password": "secret", "serveraddress": registry.host}).encode()
    async with asking(tmp_path) as asker:
        registry.on("GET", "/v2/", Reply())
        assert await json_of(asker, "POST", "/auth", body) == {"Status": "Login Succeeded", "IdentityToken": ""}
        registry.on("GET", "/v2/", Reply(status=401, headers={"WWW-Authenticate": "Basic realm=x"}))
        assert await asker.fails("POST", "/auth", body) == (
            401,
            f"login attempt to http://{registry.host}/v2/ failed with status: 401 Unauthorized",
        )
        assert (await asker.fails("POST", "/auth", b"{"))[0] == 400
