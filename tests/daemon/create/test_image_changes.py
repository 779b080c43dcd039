"""Names of images come and go, and with the last one the image: durably, whole, and never from under a container."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any, cast

import pytest

from actors import Ref
from daemon.container import ContainerConfig
from daemon.create.image_changes import Removed
from daemon.create.request import CreateRequest
from daemon.engine import Engine
from daemon.errors import Cancelled, Conflict, NotFound, System
from daemon.services.event_bus import EventBus, new_subscription
from daemon.services.image_store import ImageStore
from daemon.storage.content import ContentStore
from daemon.storage.database import Database
from tests.daemon.harness import IMAGE, Bytes, engine_at, state_of
from tests.daemon.storage.making import BASE, config_of, docker_archive, tar_of
from tests.daemon.storage.records import container, image

pytestmark = pytest.mark.anyio


async def load(engine: Engine, files: dict[str, bytes] | None = None) -> str:
    """The id of an image of two layers, `a:1` and `b:2`."""
    (loaded,) = await engine.intake.load(Bytes(tar_of(files or docker_archive())))
    return loaded.image.id


def base_only() -> dict[str, bytes]:
    """An archive of an image that shares its one layer."""
    config = config_of(BASE)
    name = hashlib.sha256(config).hexdigest() + ".json"
    manifest = [{"Config": name, "RepoTags": ["base:1"], "Layers": ["x/layer.tar"]}]
    return {"x/layer.tar": BASE, name: config, "manifest.json": json.dumps(manifest).encode()}


async def create(engine: Engine, reference: str) -> str:
    request = CreateRequest(name="web", config=ContainerConfig(image=reference, cmd=("sh",)))
    return (await engine.create(request)).id


async def names(engine: Engine, image_id: str) -> tuple[str, ...]:
    images = await engine.services.images.ask(ImageStore.list)
    return next((named.references for named in images if named.image.id == image_id), ("gone",))


def stored(engine: Engine) -> tuple[int, int]:
    """How many blobs and layers there are."""
    root = engine.config.data_root
    return len(list((root / "content/blobs/sha256").iterdir())), len(list((root / "layers").iterdir()))


async def test_a_tag_is_another_name_of_the_same_image_and_takes_it_from_another(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        image_id = await load(engine)
        await engine.images.tag("a:1", "docker.io/library/busybox:latest")
        assert "docker.io/library/busybox:latest" in await names(engine, image_id)
        with pytest.raises(NotFound, match=r"^No such image: none:latest$"):
            await engine.images.tag("none", "docker.io/library/x:latest")


def indexed(engine: Engine) -> set[str]:
    """The names that other tools find in the image layout, that of the test's engine apart."""
    index = json.loads((engine.config.data_root / "content/index.json").read_text())
    names = {entry.get("annotations", {}).get("io.containerd.image.name", "") for entry in index["manifests"]}
    return names - {IMAGE}


async def test_the_index_of_the_image_layout_follows_every_name(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        image_id = await load(engine)
        await engine.images.tag("a:1", "docker.io/me/mine:1")
        assert indexed(engine) == {"docker.io/library/a:1", "docker.io/library/b:2", "docker.io/me/mine:1"}
        await engine.images.remove("a:1", force=False)
        assert indexed(engine) == {"docker.io/library/b:2", "docker.io/me/mine:1"}
        await engine.images.remove(image_id, force=True)
        assert indexed(engine) == set()


async def test_an_index_that_cannot_be_written_is_no_reason_not_to_tag(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise System("the disk is full")

    async with engine_at(tmp_path) as engine:
        image_id = await load(engine)
        monkeypatch.setattr(ContentStore, "write_index", fail)
        await engine.images.tag("a:1", "docker.io/me/mine:1")
        assert "docker.io/me/mine:1" in await names(engine, image_id)


async def test_names_go_one_by_one_and_the_image_with_the_last(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        before = stored(engine)
        image_id = await load(engine)
        assert await engine.images.remove("a:1", force=False) == Removed(untagged=("a:1",), deleted=(), freed_bytes=0)
        removed = await engine.images.remove("b:2", force=False)
        assert (removed.untagged, removed.deleted[0], removed.freed_bytes) == (("b:2",), image_id, 16)
        assert len(removed.deleted) == 3
        assert stored(engine) == before
        with pytest.raises(NotFound, match=r"^No such image: b:2$"):
            await engine.images.remove("b:2", force=False)


async def test_layers_and_blobs_that_another_image_has_stay(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        await load(engine, base_only())
        before = stored(engine)
        image_id = await load(engine)
        removed = await engine.images.remove(image_id, force=True)
        assert len(removed.deleted) == 2
        assert stored(engine) == before
        assert len((await engine.images.remove("base:1", force=False)).deleted) == 2


async def test_an_image_goes_by_its_id_if_it_has_one_name(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        image_id = await load(engine)
        short = image_id.removeprefix("sha256:")[:12]
        for text in (image_id, short):
            with pytest.raises(Conflict) as caught:
                await engine.images.remove(text, force=False)
            assert str(caught.value) == (
                f"conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories"
            )
        await engine.images.remove("a:1", force=False)
        assert (await engine.images.remove(short, force=False)).untagged == ("b:2",)


async def test_an_image_in_use_is_a_conflict_in_mobys_words(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        image_id = await load(engine)
        container_id = await create(engine, "a:1")
        short, user = image_id.removeprefix("sha256:")[:12], container_id[:12]
        assert (await engine.images.remove("a:1", force=False)).untagged == ("a:1",)
        with pytest.raises(Conflict) as caught:
            await engine.images.remove("b:2", force=False)
        assert str(caught.value) == (
            f'conflict: unable to remove repository reference "b:2" (must force) - container {user} is using its '
            f"referenced image {short}"
        )
        with pytest.raises(Conflict) as caught:
            await engine.images.remove(image_id, force=False)
        assert str(caught.value) == (
            f"conflict: unable to delete {short} (must be forced) - image is being used by stopped container {user}"
        )


async def test_by_force_an_image_in_use_loses_its_names_and_stays_until_the_container_goes(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        image_id = await load(engine)
        await create(engine, "a:1")
        assert await engine.images.remove(image_id, force=True) == Removed(
            untagged=("a:1", "b:2"), deleted=(), freed_bytes=0
        )
        with pytest.raises(Conflict, match="cannot be forced"):
            await engine.images.remove(image_id, force=True)
        assert (await engine.files.stat("web", "/app")).size == len(b"program")
        assert await engine.images.prune(lambda _: True, only_nameless=True) == ()
        await engine.remove("web")
        (removed,) = await engine.images.prune(lambda _: True, only_nameless=True)
        assert removed.deleted[0] == image_id


async def test_a_prune_takes_what_is_wanted_and_spares_what_has_a_name_unless_told(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        image_id = await load(engine)
        assert await engine.images.prune(lambda _: True, only_nameless=True) == ()
        removed = await engine.images.prune(lambda named: named.image.id == image_id, only_nameless=False)
        assert [each.untagged for each in removed] == [("a:1",), ("b:2",)]
        assert await names(engine, image_id) == ("gone",)
        assert len(await engine.services.images.ask(ImageStore.list)) == 1


async def test_one_prune_at_a_time(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        claim = object()
        await engine.services.images.ask(ImageStore.claim_pruning, claim)
        with pytest.raises(Conflict, match=r"^a prune operation is already running$"):
            await engine.images.prune(lambda _: True, only_nameless=True)
        await engine.services.images.ask(ImageStore.release_pruning, claim)
        for _ in range(2):
            await engine.images.prune(lambda _: True, only_nameless=True)


async def test_what_was_removed_is_still_gone_after_a_restart(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        image_id = await load(engine)
        await engine.images.tag("a:1", "docker.io/library/kept:latest")
        await engine.images.remove("b:2", force=False)
    async with engine_at(tmp_path) as engine:
        assert await names(engine, image_id) == ("docker.io/library/a:1", "docker.io/library/kept:latest")


async def test_there_are_events_for_what_was_done(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        image_id = await load(engine)
        subscription = new_subscription()
        await engine.services.events.ask(EventBus.subscribe, subscription)
        await engine.images.tag("a:1", "docker.io/library/c:3")
        await engine.images.remove(image_id, force=True)
        await engine.images.prune(lambda _: False, only_nameless=True)
        seen: list[tuple[str, str]] = []
        while len(seen) < 6:
            seen += [(event.action, event.attributes.get("name", "")) for event in await subscription.receive_all()]
        assert seen == [("tag", "c:3"), *[("untag", image_id)] * 3, ("delete", image_id), ("prune", "")]


async def test_a_create_that_found_its_image_before_it_was_removed_is_told_that_there_is_none(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        image_id = await load(engine)

        class Removing:
            """The layers, which lose the image when a container has just been made of it."""

            async def ask(self, method: Any, *args: Any, **kwargs: Any) -> Any:
                result = await layers.ask(method, *args, **kwargs)
                if method.__name__ == "create":
                    await engine.images.remove(image_id, force=True)
                return result

        layers = engine.services.layers
        object.__setattr__(engine._creator.services, "layers", cast("Ref[Any]", Removing()))
        try:
            with pytest.raises(NotFound, match=r"^No such image: a:1$"):
                await create(engine, "a:1")
        finally:
            object.__setattr__(engine._creator.services, "layers", layers)
        assert (await state_of(engine)).files == frozenset()


async def test_an_image_is_not_deleted_from_under_a_container_that_is_durable_already(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        database = engine.services.database
        await database.ask(Database.insert_image, image(), ())
        await database.ask(Database.insert_container, container(1))
        with pytest.raises(NotFound):
            await database.ask(Database.delete_image, image().id, ())
        assert image().id in {each.id for each in await database.ask(Database.images)}


async def test_an_image_may_come_back(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        image_id = await load(engine)
        await engine.images.remove(image_id, force=True)
        assert await load(engine) == image_id
        await create(engine, "a:1")
        assert (await engine.files.stat("web", "/app")).size == len(b"program")


async def saved(engine: Engine, *asked: str) -> bytes:
    return b"".join([piece async for piece in await engine.saver.save(asked)])


async def test_what_is_saved_is_loaded_again_with_the_same_ids_digests_and_names(tmp_path: Path) -> None:
    async with engine_at(tmp_path / "one") as engine:
        await load(engine)
        await load(engine, base_only())
        archive = await saved(engine, "a", "b:2", "base:1")
        assert archive == await saved(engine, "base:1", "a:1", "b:2")
        images = {named.image.id: named for named in await engine.services.images.ask(ImageStore.list)}
    async with engine_at(tmp_path / "two") as engine:
        await engine.intake.load(Bytes(archive))
        again = {named.image.id: named for named in await engine.services.images.ask(ImageStore.list)}
        assert len(again) == 3  # with busybox, which is in both
        assert {image_id: again[image_id] for image_id in images if image_id in again} == {
            image_id: named for image_id, named in images.items() if image_id in again
        }
        assert await saved(engine, "a", "b:2", "base:1") == archive


@pytest.mark.parametrize(
    ("asked", "tags"),
    [
        (("a",), ["a:1"]),
        (("a:1", "b:2"), ["a:1", "b:2"]),
        (("a:1", "a:1"), ["a:1"]),
        (("docker.io/library/b",), ["b:2"]),
    ],
)
async def test_an_archive_has_the_names_that_were_asked_for(
    tmp_path: Path, asked: tuple[str, ...], tags: list[str]
) -> None:
    async with engine_at(tmp_path) as engine:
        image_id = await load(engine)
        for names, expected in ((asked, tags), ((image_id,), None), ((image_id[7:19],), None)):
            with tarfile.open(fileobj=io.BytesIO(await saved(engine, *names))) as tar:
                manifest = tar.extractfile("manifest.json")
                assert manifest is not None
                (item,) = json.load(manifest)
            assert item["RepoTags"] == expected
            assert item["Config"] == f"blobs/{image_id.replace(':', '/')}"


async def test_what_is_not_there_is_not_saved(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        for text, why in (
            ("none", "No such image: none"),
            ("none:1", "reference does not exist"),
            ("sha256:00", "No such image: sha256:00"),
        ):
            with pytest.raises(NotFound) as caught:
                await engine.saver.save((text,))
            assert str(caught.value) == why


async def test_an_archive_breaks_off_if_the_image_is_removed(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        image_id = await load(engine)
        stream = await engine.saver.save((image_id,))
        await engine.images.remove(image_id, force=True)
        with pytest.raises(Cancelled):
            async for _ in stream:
                pass
