"""The files of a created container, through a real engine."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import stat
import tarfile
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest

from daemon.container import ContainerConfig, HostConfig, MountRequest
from daemon.create.request import CreateRequest
from daemon.create.streaming import BATCH_BYTES
from daemon.engine import Engine
from daemon.errors import Cancelled, InvalidParameter, NotFound
from daemon.services.event_bus import EventBus, new_subscription
from daemon.services.registrar import Registrar
from daemon.storage.changes import Change, ChangeKind
from tests.daemon.harness import Bytes, engine_at, state_of
from tests.daemon.storage.making import add, add_directory, adding, tar_by

pytestmark = pytest.mark.anyio


async def created(engine: Engine, name: str = "web", **host_config: object) -> str:
    request = CreateRequest(
        name=name,
        config=ContainerConfig(image="busybox", cmd=("sh",), user="33:44"),
        host_config=HostConfig(**host_config),  # type: ignore[arg-type]
    )
    return (await engine.create(request)).id


def upper_of(engine: Engine, container_id: str) -> Path:
    return engine.config.data_root / "containers" / container_id / "diff"


async def copy(engine: Engine, archive: bytes, path: str = "/", *, name: str = "web", **options: bool) -> None:
    rules = {"keeps_kinds": False, "owner_is_user": False, **options}
    await engine.files.extract(name, path, Bytes(archive), **rules)


async def whole(stream: AsyncGenerator[bytes, None]) -> dict[str, tarfile.TarInfo]:
    content = b"".join([piece async for piece in stream])
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return {info.name: info for info in tar}


async def test_what_is_copied_in_comes_out_again_and_is_a_change(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        await created(engine)
        assert await engine.files.changes("web") == ()
        await copy(engine, tar_by(adding("a/f", content=b"content")).getvalue(), "/full")
        described, stream = await engine.files.archive("web", "/full")
        found = await whole(stream)
        assert (described.name, stat.S_ISDIR(described.mode)) == ("full", True)
        assert {name: info.size for name, info in found.items()} == {
            "full": 0,
            "full/a": 0,
            "full/a/f": 7,
            "full/content": 5,
        }
        assert await engine.files.changes("web") == (
            Change("/full", ChangeKind.MODIFIED),
            Change("/full/a", ChangeKind.ADDED),
            Change("/full/a/f", ChangeKind.ADDED),
        )
        exported = [*await whole(await engine.files.export("web"))]
        assert [name for name in exported if not name.startswith((".dockerenv", "dev", "etc", "proc", "sys"))] == [
            "bin",
            "bin/sh",
            "full",
            "full/a",
            "full/a/f",
            "full/content",
        ]


async def test_an_archive_may_be_gzipped(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        container_id = await created(engine)
        await copy(engine, gzip.compress(tar_by(adding("f")).getvalue()))
        assert (upper_of(engine, container_id) / "f").read_text() == "x"


@pytest.mark.parametrize(
    ("path", "name", "target"),
    [
        ("/full", "full", ""),
        ("full", "full", ""),
        ("/full/", "full", ""),
        ("/full/.", ".", ""),
        ("/bin/../full/", "full", ""),
        ("/", "/", ""),
        (".", ".", ""),
        ("/link", "link", "/full"),
        ("/link/", "link", ""),
        ("/link/content", "content", ""),
        ("/dangling", "dangling", "/no/where"),
    ],
)
async def test_a_path_is_described_as_it_was_asked_for(tmp_path: Path, path: str, name: str, target: str) -> None:
    async with engine_at(tmp_path) as engine:
        container_id = await created(engine)
        (upper_of(engine, container_id) / "link").symlink_to("bin/../full")
        (upper_of(engine, container_id) / "dangling").symlink_to("no/where")
        described = await engine.files.stat("web", path)
        assert (described.name, described.link_target) == (name, target)


@pytest.mark.parametrize("path", ["/missing", "/full/content/", "/full/content/.", "/bin/sh/x", "n" * 300, "a/" * 3000])
async def test_what_is_not_there_is_not_found_in_mobys_words(tmp_path: Path, path: str) -> None:
    async with engine_at(tmp_path) as engine:
        await created(engine)
        for asked in (engine.files.stat("web", path), engine.files.archive("web", path)):
            with pytest.raises(NotFound) as caught:
                await asked
            assert str(caught.value) == f"Could not find the file {path} in container web"


async def test_where_nothing_is_nothing_is_copied_to(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        await created(engine)
        with pytest.raises(NotFound, match=r"^Could not find the file /missing in container web$"):
            await copy(engine, b"", "/missing")
        with pytest.raises(InvalidParameter, match=r"^extraction point is not a directory$"):
            await copy(engine, b"", "/bin/sh")
        with pytest.raises(NotFound, match=r"^No such container: other$"):
            await copy(engine, b"", "/", name="other")


async def test_volumes_and_binds_are_where_the_container_would_have_them(tmp_path: Path) -> None:
    (tmp_path / "bound").mkdir()
    async with engine_at(tmp_path) as engine:
        container_id = await created(
            engine,
            binds=("data:/full", f"{tmp_path / 'bound'}:/bound:ro"),
            mounts=(MountRequest(type="tmpfs", target="/bin"),),
        )
        await copy(engine, tar_by(adding("full/f")).getvalue())
        data = engine.config.data_root / "volumes/data/_data"
        assert sorted(path.name for path in data.iterdir()) == ["content", "f"]
        assert (await engine.files.stat("web", "/bound")).name == "bound"
        assert (await engine.files.stat("web", "/bin/sh")).size == 5
        with pytest.raises(InvalidParameter, match=r"^mounted volume is marked read-only$"):
            await copy(engine, tar_by(adding("f")).getvalue(), "/bound")
        # An export has nothing of them.
        assert "full/f" not in await whole(await engine.files.export("web"))
        assert list(upper_of(engine, container_id).iterdir()) == []


async def test_a_read_only_container_is_refused_in_mobys_words(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        await created(engine, readonly_rootfs=True)
        with pytest.raises(InvalidParameter, match=r"^container rootfs is marked read-only$"):
            await copy(engine, tar_by(adding("f")).getvalue())


@pytest.mark.skipif("os.geteuid() != 0", reason="owners are for root only")
async def test_files_may_be_given_to_the_containers_user(tmp_path: Path) -> None:
    def build(tar: tarfile.TarFile) -> None:
        add(tar, "f", uid=5, gid=6)

    async with engine_at(tmp_path) as engine:
        container_id = await created(engine)
        for is_users, owner in ((False, (5, 6)), (True, (33, 44))):
            await copy(engine, tar_by(build).getvalue(), owner_is_user=is_users)
            status = (upper_of(engine, container_id) / "f").stat()
            assert (status.st_uid, status.st_gid) == owner


async def test_there_are_events_for_what_was_done(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        await created(engine)
        subscription = new_subscription()
        await engine.services.events.ask(EventBus.subscribe, subscription)
        await copy(engine, tar_by(adding("f")).getvalue())
        await engine.files.stat("web", "/f")
        _, stream = await engine.files.archive("web", "/f")
        await whole(stream)
        await whole(await engine.files.export("web"))
        await engine.files.changes("web")
        seen: list[str] = []
        while len(seen) < 3:
            seen += [event.action for event in await subscription.receive_all()]
        assert seen == ["extract-to-dir", "archive-path", "export"]


class Stalled:
    """A body that stops arriving after some bytes, until the client goes away."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.is_waiting = anyio.Event()
        self.has_gone = anyio.Event()

    async def receive(self) -> bytes:
        content, self._content = self._content, b""
        if content:
            return content
        self.is_waiting.set()
        await self.has_gone.wait()
        raise Cancelled("the client has gone away")


async def test_a_client_that_goes_away_leaves_no_part_of_a_file_and_the_container_free(tmp_path: Path) -> None:
    def build(tar: tarfile.TarFile) -> None:
        add_directory(tar, "d")
        add(tar, "d/whole", b"x" * 1000)
        add(tar, "d/part", b"x" * 500_000)

    async with engine_at(tmp_path) as engine:
        container_id = await created(engine)
        body = Stalled(tar_by(build).getvalue()[:100_000])
        failed: list[Exception] = []

        async def extract() -> None:
            try:
                await engine.files.extract("web", "/", body, keeps_kinds=False, owner_is_user=False)
            except Cancelled as error:
                failed.append(error)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(extract)
            await body.is_waiting.wait()
            body.has_gone.set()
        assert len(failed) == 1
        assert [path.name for path in (upper_of(engine, container_id) / "d").iterdir()] == ["whole"]
        await engine.remove("web")
        assert (await state_of(engine)).files == frozenset()


async def test_a_removal_waits_for_a_copy_that_is_under_way(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        await created(engine)
        body, order = Stalled(tar_by(adding("f")).getvalue()[:700]), list[str]()
        async with anyio.create_task_group() as tasks:

            async def extract() -> None:
                with contextlib.suppress(Cancelled):
                    await engine.files.extract("web", "/", body, keeps_kinds=False, owner_is_user=False)
                order.append("copied")

            async def remove() -> None:
                await engine.remove("web")
                order.append("removed")

            tasks.start_soon(extract)
            await body.is_waiting.wait()
            tasks.start_soon(remove)
            await anyio.wait_all_tasks_blocked()
            body.has_gone.set()
        assert order == ["copied", "removed"]
        assert (await state_of(engine)).files == frozenset()


async def test_a_copy_that_is_called_off_ends_and_leaves_the_container_free(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        await created(engine)
        body = Stalled(tar_by(adding("f", content=b"x" * 500_000)).getvalue()[:100_000])
        async with anyio.create_task_group() as tasks:

            async def extract() -> None:
                await engine.files.extract("web", "/", body, keeps_kinds=False, owner_is_user=False)

            tasks.start_soon(extract)
            await body.is_waiting.wait()
            tasks.cancel_scope.cancel()
        await engine.remove("web")
        assert (await state_of(engine)).files == frozenset()


async def test_a_removal_does_not_wait_for_a_slow_reader_whose_archive_breaks_off(tmp_path: Path) -> None:
    def build(tar: tarfile.TarFile) -> None:
        for number in range(4):
            add(tar, f"{number}", b"x" * BATCH_BYTES)

    async with engine_at(tmp_path) as engine:
        await created(engine)
        await copy(engine, tar_by(build).getvalue())
        stream = await engine.files.export("web")
        await anext(stream)
        await engine.remove("web")
        with pytest.raises(Cancelled):
            async for _ in stream:
                pass
        assert await engine.services.registrar.ask(Registrar.list) == ()


async def test_a_stream_that_is_left_holds_nothing_open(tmp_path: Path) -> None:
    def descriptors() -> int:
        places = [os.path.realpath(path) for path in Path("/proc/self/fd").iterdir()]
        return len([place for place in places if place.startswith(str(tmp_path / "data"))])

    async with engine_at(tmp_path) as engine:
        await created(engine, binds=("data:/full",))
        await copy(engine, tar_by(adding("full/f", content=b"x" * (3 * BATCH_BYTES))).getvalue())
        before = descriptors()
        for pieces in range(2):
            _, stream = await engine.files.archive("web", "/")
            for _ in range(pieces):
                await anext(stream)
            await stream.aclose()
            del stream, _
        assert descriptors() == before


async def test_what_was_copied_is_there_after_a_restart(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        container_id = await created(engine)
        await copy(engine, tar_by(adding("f")).getvalue())
        (engine.config.data_root / "stopped-cleanly").unlink(missing_ok=True)
    async with engine_at(tmp_path) as engine:
        assert (upper_of(engine, container_id) / "f").read_text() == "x"
        assert json.dumps([change.path for change in await engine.files.changes("web")]) == '["/f"]'
