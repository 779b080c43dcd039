"""Loading through the real actors: what is stored is recorded, and what is not recorded is not stored."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import attrs
import pytest

from actors import ChildCrashed, Event, Ref, Supervisor
from daemon.container import ContainerConfig
from daemon.create.image_intake import INTAKES_MAX, ImageIntake
from daemon.errors import Cancelled, DaemonError, InvalidParameter, System
from daemon.http.connection import TooSlow
from daemon.image import LoadedImage
from daemon.services.image_loader import ImageLoader
from daemon.services.image_store import ImageStore
from daemon.services.intake_process import WorkerHost
from daemon.storage.database import Database
from daemon.storage.recovery import Stores, open_stores
from tests.daemon.storage.making import BASE, TOP, config_of, docker_archive, names_in, tar_of

pytestmark = pytest.mark.anyio


class Body:
    """A body that arrives in pieces, and then ends as told."""

    def __init__(self, content: bytes, *, error: DaemonError | None = None, piece_bytes: int = 5000) -> None:
        self._pieces = [content[at : at + piece_bytes] for at in range(0, len(content), piece_bytes)]
        self._error = error

    async def receive(self) -> bytes:
        await anyio.lowlevel.checkpoint()
        if self._pieces:
            return self._pieces.pop(0)
        if self._error is not None:
            raise self._error
        return b""


@attrs.frozen
class House:
    database: Database
    images: Ref[ImageStore]
    loader: Ref[ImageLoader]
    intake: ImageIntake
    stores: Stores
    root: Path
    events: list[Event]

    async def load(self, archive: dict[str, bytes]) -> tuple[LoadedImage, ...]:
        return await self.intake.load(Body(tar_of(archive)))

    async def import_tar(self, reference: str) -> LoadedImage:
        return await self.intake.import_rootfs(
            Body(BASE),
            config=ContainerConfig(cmd=("sh",)),
            created="2026-01-01T00:00:00Z",
            message="by hand",
            reference=reference,
        )

    async def names(self) -> dict[str, tuple[str, ...]]:
        """References by image id."""
        return {named.image.id: named.references for named in await self.images.ask(ImageStore.list)}

    def stored(self) -> tuple[list[str], list[str], list[str]]:
        """Blobs, layers, and what is still arriving."""
        content = self.root / "content"
        return (
            names_in(content / "blobs" / "sha256"),
            names_in(self.root / "layers"),
            names_in(self.root / "staging"),
        )

    def indexed(self) -> set[tuple[str, str]]:
        """Manifests and their names, as other tools find them."""
        index = json.loads((self.root / "content" / "index.json").read_text())
        return {
            (entry["digest"], entry.get("annotations", {}).get("io.containerd.image.name", ""))
            for entry in index["manifests"]
        }

    @property
    def crashes(self) -> list[Event]:
        return [event for event in self.events if isinstance(event, ChildCrashed)]


HOST = WorkerHost()
"""For all tests: the process behind it takes longer to start than most of them."""


@pytest.fixture(scope="module", autouse=True)
def _stopped_host() -> Iterator[None]:
    yield
    HOST.stop()


NOTHING: tuple[list[str], list[str], list[str]] = ([], [], [])


@asynccontextmanager
async def house_at(root: Path) -> AsyncIterator[House]:
    stores, database, events = open_stores(root, ready_trees_max=0), Database(root / "db"), list[Event]()
    async with Supervisor(on_event=events.append) as supervisor:
        database_ref = await supervisor.start(lambda: database, name="database")
        images = await supervisor.start(lambda: ImageStore(database_ref), name="images")
        loader = await supervisor.start(lambda: ImageLoader(images, stores, note_residue=lambda: None), name="loader")
        yield House(
            database,
            images,
            loader,
            ImageIntake(loader=loader, stores=stores, host=HOST, note_residue=lambda: None),
            stores,
            root,
            events,
        )


def check_whole(house: House, loaded: Sequence[LoadedImage]) -> None:
    blobs, layers, arriving = house.stored()
    hex_of = {digest.removeprefix("sha256:") for item in loaded for digest in item.image.digests}
    assert set(blobs) == hex_of
    assert set(layers) == {chain.removeprefix("sha256:") for item in loaded for chain in item.image.chain_ids}
    assert arriving == []


async def test_a_loaded_image_is_stored_recorded_named_and_in_the_index(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        loaded = await house.load(docker_archive(tags=["a:1", "example.com/b:2"]))
        check_whole(house, loaded)
        image = loaded[0].image
        assert await house.names() == {image.id: ("docker.io/library/a:1", "example.com/b:2")}
        assert await house.database.images() == (image,)
        assert house.indexed() == {
            (image.manifest_digest, "docker.io/library/a:1"),
            (image.manifest_digest, "example.com/b:2"),
        }
    async with house_at(tmp_path) as house:
        assert list(await house.names()) == [image.id]


async def test_the_same_image_loaded_again_is_the_same_image(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        first = await house.load(docker_archive(tags=["a:1"]))
        stored = house.stored()
        second = await house.load(docker_archive(tags=["a:2"]))
        assert second[0].image == first[0].image
        assert house.stored() == stored
        assert set((await house.names())[first[0].image.id]) == {"docker.io/library/a:1", "docker.io/library/a:2"}


@pytest.mark.parametrize(("reference", "names"), [("docker.io/library/x:1", ("docker.io/library/x:1",)), ("", ())])
async def test_a_root_file_system_becomes_an_image(reference: str, names: tuple[str, ...], tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        loaded = await house.import_tar(reference)
        check_whole(house, [loaded])
        assert (loaded.image.config.cmd, loaded.image.comment) == (("sh",), "by hand")
        assert await house.names() == {loaded.image.id: names}


ENDS = [
    Cancelled("the client has gone away"),
    TooSlow("the request did not arrive in time"),
    InvalidParameter("malformed HTTP request"),
]


@pytest.mark.parametrize("error", ENDS, ids=lambda error: type(error).__name__)
async def test_a_body_that_breaks_off_is_refused_with_its_reason_and_leaves_nothing(
    error: DaemonError, tmp_path: Path
) -> None:
    archive = tar_of(docker_archive())
    async with house_at(tmp_path) as house:
        with pytest.raises(type(error)) as refused:
            await house.intake.load(Body(archive[: len(archive) // 2], error=error))
        assert str(refused.value) == str(error)
        assert house.stored() == NOTHING
        check_whole(house, await house.load(docker_archive()))
        assert house.crashes == []


BAD = {
    "no tar": b"x" * 2000,
    "no image": tar_of({"file": b""}),
    "half an archive": tar_of(docker_archive())[:5000],
    "another layer than promised": tar_of({**docker_archive(), "x/layer.tar": TOP}),
    "no name": tar_of(docker_archive(tags=["UPPER CASE"])),
}


@pytest.mark.parametrize("archive", BAD.values(), ids=BAD)
async def test_a_bad_archive_is_refused_and_leaves_what_was_there(archive: bytes, tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        good = await house.import_tar("docker.io/library/good:1")
        before = house.stored(), house.indexed()
        with pytest.raises(InvalidParameter):
            await house.intake.load(Body(archive))
        assert (house.stored(), house.indexed()) == before
        assert list(await house.names()) == [good.image.id]
        assert house.crashes == []


def two_images(second_tag: str) -> dict[str, bytes]:
    configs = [config_of(BASE), config_of(BASE, TOP)]
    manifest = [
        {"Config": "1.json", "RepoTags": ["good:1"], "Layers": ["base.tar"]},
        {"Config": "2.json", "RepoTags": [second_tag], "Layers": ["base.tar", "top.tar"]},
    ]
    return {
        "base.tar": BASE,
        "top.tar": TOP,
        "1.json": configs[0],
        "2.json": configs[1],
        "manifest.json": json.dumps(manifest).encode(),
    }


async def test_several_images_are_recorded_each_under_its_name(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        loaded = await house.load(two_images("good:2"))
        check_whole(house, loaded)
        assert set((await house.names()).values()) == {("docker.io/library/good:1",), ("docker.io/library/good:2",)}


async def test_an_archive_with_one_bad_name_is_refused_as_a_whole(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        with pytest.raises(InvalidParameter):
            await house.load(two_images("Bad Name"))
        assert await house.names() == {}
        assert house.stored() == NOTHING
        assert house.indexed() == set()


async def test_what_cannot_be_recorded_is_taken_back_and_what_was_there_stays(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        good = await house.import_tar("docker.io/library/good:1")
        before = house.stored()
        full = house.database._connection.execute("PRAGMA page_count").fetchone()[0]
        house.database._connection.execute(f"PRAGMA max_page_count = {full}")
        archive = two_images("x" * 100 + ":1")
        archive["2.json"] = config_of(BASE, TOP, config={"Labels": {"large": "x" * 20_000}})
        with pytest.raises(System, match=r"^no space left on device$"):
            await house.load(archive)
        names = await house.names()
        assert names[good.image.id] == ("docker.io/library/good:1",)
        recorded = await house.database.images()
        assert {image.id for image in recorded} == set(names)
        check_whole(house, [LoadedImage(image=image, references=()) for image in recorded])
        assert set(before[0]) <= set(house.stored()[0])
        assert house.crashes == []


async def test_loads_are_done_one_after_another(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house, anyio.create_task_group() as tasks:
        for number in range(4):
            tasks.start_soon(house.load, docker_archive(tags=[f"a:{number}"]))
            tasks.start_soon(house.import_tar, f"docker.io/library/b:{number}")
    async with house_at(tmp_path) as house:
        references = sorted(name for names in (await house.names()).values() for name in names)
        assert references == [f"docker.io/library/{name}:{number}" for name in "ab" for number in range(4)]
        assert house.crashes == []


class Stuck(Body):
    """It tells when it has been begun, and never ends."""

    def __init__(self, content: bytes = b"") -> None:
        super().__init__(content)
        self.is_arriving = anyio.Event()

    async def receive(self) -> bytes:
        data = await super().receive()
        if data:
            return data
        self.is_arriving.set()
        await anyio.sleep_forever()
        return b""


async def test_a_load_whose_client_has_gone_leaves_nothing(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        body = Stuck(tar_of(docker_archive(tags=["a:1"])))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(house.intake.load, body)
            await body.is_arriving.wait()
            tasks.cancel_scope.cancel()
        assert house.stored() == NOTHING
        assert await house.names() == {}
        assert house.crashes == []


async def test_a_client_that_sends_slowly_holds_up_nobody(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        bodies = [Stuck() for _ in range(INTAKES_MAX - 1)]
        async with anyio.create_task_group() as tasks:
            for body in bodies:
                tasks.start_soon(house.intake.load, body)
                await body.is_arriving.wait()
            imported = await house.import_tar("docker.io/library/b:1")
            assert list(await house.names()) == [imported.image.id]
            assert await house.loader.ask(ImageLoader.discard, imported.image) == ()
            tasks.cancel_scope.cancel()
        assert names_in(tmp_path / "staging") == []
