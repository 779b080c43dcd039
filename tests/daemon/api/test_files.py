"""The endpoints of a container's files, asked as a client asks them, with a real engine behind."""

from __future__ import annotations

import base64
import io
import json
import os
import stat
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest

from daemon.api.files import go_file_mode
from daemon.api.routes import Router
from daemon.container import ContainerConfig
from daemon.create.request import CreateRequest
from daemon.http.message import Response
from tests.daemon.api.test_routes import Asker
from tests.daemon.harness import engine_at
from tests.daemon.storage.making import adding, tar_by

pytestmark = pytest.mark.anyio


@attrs.frozen
class Client:
    upper: Path
    _asker: Asker

    async def ask(self, method: str, target: str, content: bytes = b"") -> Response:
        return await self._asker.ask(method, f"/containers/web/{target}", content)

    async def message(self, method: str, target: str, content: bytes = b"") -> tuple[int, str]:
        response = await self.ask(method, target, content)
        assert isinstance(response.body, bytes)
        return response.status, json.loads(response.body)["message"] if response.body else ""


@asynccontextmanager
async def client_at(root: Path) -> AsyncIterator[Client]:
    """With a container `web`."""
    async with engine_at(root) as engine:
        config = ContainerConfig(image="busybox", cmd=("sh",))
        created = await engine.create(CreateRequest(name="web", config=config))
        upper = engine.config.data_root / "containers" / created.id / "diff"
        yield Client(upper, Asker(Router(engine)))


async def body_of(response: Response) -> bytes:
    assert not isinstance(response.body, bytes)
    return b"".join([piece async for piece in response.body])


def described(response: Response) -> dict[str, object]:
    header = dict(response.headers)["X-Docker-Container-Path-Stat"]
    decoded = json.loads(base64.b64decode(header, validate=True))
    assert list(decoded) == ["name", "size", "mode", "mtime", "linkTarget"]
    return dict(decoded)


async def test_head_and_get_describe_what_is_there_in_a_header(tmp_path: Path) -> None:
    async with client_at(tmp_path) as client:
        (client.upper / "link").symlink_to("/bin/sh")
        os.utime(client.upper / "link", ns=(0, 1_700_000_000_500_000_000), follow_symlinks=False)
        for method in ("HEAD", "GET"):
            response = await client.ask(method, "archive?path=/link")
            assert response.status == 200
            assert described(response) == {
                "name": "link",
                "size": 7,
                "mode": 1 << 27 | 0o777,
                "mtime": "2023-11-14T22:13:20.5Z",
                "linkTarget": "/bin/sh",
            }


async def test_get_sends_a_tar(tmp_path: Path) -> None:
    async with client_at(tmp_path) as client:
        response = await client.ask("GET", "archive?path=/bin/")
        assert dict(response.headers)["Content-Type"] == "application/x-tar"
        with tarfile.open(fileobj=io.BytesIO(await body_of(response))) as tar:
            assert tar.getnames() == ["bin", "bin/sh"]


async def test_put_unpacks_a_tar_and_answers_with_nothing(tmp_path: Path) -> None:
    async with client_at(tmp_path) as client:
        response = await client.ask("PUT", "archive?path=/bin", tar_by(adding("f")).getvalue())
        assert (response.status, response.body) == (200, b"")
        assert (client.upper / "bin/f").read_text() == "x"


@pytest.mark.parametrize(
    ("method", "target", "content", "answer"),
    [
        ("GET", "archive", b"", (400, "bad parameter: pathcannot be empty")),
        ("HEAD", "archive?path=", b"", (400, "bad parameter: pathcannot be empty")),
        ("PUT", "archive?path=", b"", (400, "bad parameter: pathcannot be empty")),
        ("GET", "archive?path=/no", b"", (404, "Could not find the file /no in container web")),
        ("PUT", "archive?path=/no", b"", (404, "Could not find the file /no in container web")),
        ("PUT", "archive?path=/bin/sh", b"", (400, "extraction point is not a directory")),
        ("GET", "archive?path=%00", b"", (400, "invalid path '/\\x00'")),
        ("PUT", "archive?path=/", b"g" + tar_by(adding("f")).getvalue()[1:], (400, "invalid archive: damaged header")),
        ("PUT", "archive?path=/", b"BZh9", (400, "bzip2 compression is not supported")),
        (
            "PUT",
            "archive?path=/&noOverwriteDirNonDir=true",
            tar_by(adding("bin")).getvalue(),
            (400, 'cannot overwrite directory "/bin" with non-directory "/"'),
        ),
    ],
)
async def test_what_cannot_be_done_is_said_in_mobys_words(
    tmp_path: Path, method: str, target: str, content: bytes, answer: tuple[int, str]
) -> None:
    async with client_at(tmp_path) as client:
        assert await client.message(method, target, content) == answer
        assert list(client.upper.iterdir()) == []


async def test_a_directory_gives_way_where_nobody_minds(tmp_path: Path) -> None:
    async with client_at(tmp_path) as client:
        for flag in ("", "&noOverwriteDirNonDir=0"):
            response = await client.ask("PUT", f"archive?path=/{flag}", tar_by(adding("bin")).getvalue())
            assert response.status == 200


async def test_an_export_is_a_tar_without_an_entry_for_the_root(tmp_path: Path) -> None:
    async with client_at(tmp_path) as client:
        response = await client.ask("GET", "export")
        assert dict(response.headers)["Content-Type"] == "application/octet-stream"
        with tarfile.open(fileobj=io.BytesIO(await body_of(response))) as tar:
            names = tar.getnames()
            assert names == sorted(names)
            assert {"bin", "bin/sh", "full", "full/content", "dev/console", "etc/hosts"} < set(names)


async def test_no_changes_are_null(tmp_path: Path) -> None:
    async with client_at(tmp_path) as client:
        assert (await client.ask("GET", "changes")).body == b"null\n"
        await client.ask("PUT", "archive?path=/", tar_by(adding("f")).getvalue())
        assert (await client.ask("GET", "changes")).body == b'[{"Path":"/f","Kind":1}]\n'


@pytest.mark.parametrize("target", ["archive?path=/", "export", "changes"])
async def test_an_unknown_container_is_not_found(tmp_path: Path, target: str) -> None:
    async with client_at(tmp_path) as client:
        response = await client._asker.ask("GET", f"/containers/other/{target}")
        assert (response.status, response.body) == (404, b'{"message":"No such container: other"}\n')


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (stat.S_IFREG | 0o644, 0o644),
        (stat.S_IFREG | 0o7755, 1 << 23 | 1 << 22 | 1 << 20 | 0o755),
        (stat.S_IFDIR | 0o1777, 1 << 31 | 1 << 20 | 0o777),
        (stat.S_IFLNK | 0o777, 1 << 27 | 0o777),
        (stat.S_IFCHR | 0o600, 1 << 26 | 1 << 21 | 0o600),
        (stat.S_IFBLK | 0o600, 1 << 26 | 0o600),
        (stat.S_IFIFO | 0o600, 1 << 25 | 0o600),
        (stat.S_IFSOCK | 0o600, 1 << 24 | 0o600),
    ],
)
def test_a_mode_is_gos(mode: int, expected: int) -> None:
    assert go_file_mode(mode) == expected
