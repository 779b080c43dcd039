"""A commit: an image of a container's own files, on the image that the container has, durable, told of and in nobody's way."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from daemon.container import ContainerConfig
from daemon.create.commit import CommitRequest
from daemon.create.request import CreateRequest
from daemon.engine import Engine
from daemon.errors import Conflict, InvalidParameter, NotFound
from daemon.image import Image
from daemon.services.claims import REMOVAL, Claim
from daemon.services.event_bus import Event, EventBus, new_subscription
from daemon.services.image_store import ImageStore
from daemon.services.registrar import Registrar
from tests.daemon.harness import IMAGE, Bytes, engine_at
from tests.daemon.storage.making import adding, tar_by

pytestmark = pytest.mark.anyio

CREATED = "2026-02-03T00:00:00Z"


async def make_container(engine: Engine, image: str = IMAGE, **config: Any) -> str:
    """The id of the container `web`, in which a file `/new` has been written."""
    config = {"cmd": ("sh",), "env": ("A=1",), "labels": {"x": "1"}, **config}
    container_id = (await engine.create(CreateRequest(name="web", config=ContainerConfig(image=image, **config)))).id
    await write(engine, "new")
    return container_id


async def write(engine: Engine, name: str) -> None:
    body = cast("Any", Bytes(tar_by(adding(name)).getvalue()))
    await engine.files.extract("web", "/", body, keeps_kinds=False, owner_is_user=False)


async def commit(engine: Engine, **fields: Any) -> Image:
    return await engine.committer.commit(CommitRequest(**{"container": "web", **fields}), created=CREATED)


async def test_the_image_has_the_files_and_the_configuration_of_the_container(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        await make_container(engine, working_dir="/work")
        made = await commit(engine, reference="docker.io/library/mine:1", author="me", comment="why")
        parent = await engine.services.images.ask(ImageStore.find, IMAGE)
        assert (made.parent_id, made.layers[:-1], made.author) == (parent.id, parent.layers, "me")
        assert (made.config.env, made.config.cmd, made.config.working_dir) == (("A=1",), ("sh",), "/work")
        assert (made.history[-1].created_by, made.history[-1].comment) == ("sh", "why")
        await engine.create(CreateRequest(name="again", config=ContainerConfig(image="mine:1")))
        assert (await engine.files.stat("again", "/new")).size == 1
        assert (await engine.files.stat("again", "/full/content")).size == 5
        assert await engine.files.changes("again") == ()


async def test_what_was_acknowledged_is_there_after_a_restart(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        await make_container(engine)
        made = await commit(engine)
    async with Engine(engine.config) as engine:
        named = await engine.services.images.ask(ImageStore.find_named, made.id)
        assert (named.image, named.references) == (made, ())


@pytest.mark.parametrize(
    ("config", "changes", "field", "expected"),
    [
        (None, (), "env", ("A=1",)),
        (None, ("ENV B=$A",), "env", ("A=1", "B=1")),
        (None, ("LABEL y=2",), "labels", {"x": "1", "y": "2"}),
        (None, ('ENTRYPOINT ["e"]',), "cmd", None),
        (ContainerConfig(env=("C=3",)), (), "env", ("C=3", "A=1")),
        (ContainerConfig(env=("C=3",)), ("ENV A=$C",), "env", ("C=3", "A=3")),
        (ContainerConfig(cmd=("other",)), (), "cmd", ("other",)),
        (ContainerConfig(), (), "cmd", ("sh",)),
        (ContainerConfig(labels={"x": "2"}), (), "labels", {"x": "2"}),
    ],
)
async def test_the_configuration_is_the_bodys_changed_and_completed_by_the_containers(
    config: ContainerConfig | None, changes: tuple[str, ...], field: str, expected: object, tmp_path: Path
) -> None:
    async with engine_at(tmp_path) as engine:
        await make_container(engine)
        made = await commit(engine, config=config, changes=changes)
        assert getattr(made.config, field) == expected


async def test_there_are_events_as_dockers(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        container_id = await make_container(engine)
        subscription = new_subscription()
        await engine.services.events.ask(EventBus.subscribe, subscription)
        made = await commit(engine, reference="docker.io/library/mine:1", comment="why")
        events: list[Event] = []
        while len(events) < 3:
            events += await subscription.receive_all()
        assert [(each.type, each.action, each.actor_id) for each in events] == [
            ("image", "create", made.id),
            ("image", "tag", made.id),
            ("container", "commit", container_id),
        ]
        attributes = events[-1].attributes
        assert {key: attributes[key] for key in ("comment", "imageID", "imageRef", "name")} == {
            "comment": "why",
            "imageID": made.id,
            "imageRef": "mine:1",
            "name": "web",
        }


async def test_what_cannot_be_committed_is_refused_in_mobys_words(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        container_id = await make_container(engine)
        before = await engine.services.images.ask(ImageStore.list)
        with pytest.raises(NotFound, match=r"^No such container: nope$"):
            await commit(engine, container="nope")
        with pytest.raises(InvalidParameter, match=r"^FOO is not a valid change command$"):
            await commit(engine, changes=("FOO x",))
        removal = Claim(REMOVAL)
        await engine.services.registrar.ask(Registrar.claim, "web", removal)
        with pytest.raises(Conflict) as caught:
            await commit(engine)
        assert str(caught.value) == f"You cannot commit container {container_id} which is being removed"
        await engine.services.registrar.ask(Registrar.release, removal)
        assert await engine.services.images.ask(ImageStore.list) == before
        await engine.remove("web")  # no turn was kept


async def test_an_image_that_others_were_committed_on_stays_until_the_last_of_them_goes(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        await make_container(engine)
        first = await commit(engine, reference="docker.io/library/first:latest")
        await engine.remove("web")
        await make_container(engine, image="first")
        await write(engine, "newer")
        second = await commit(engine, reference="docker.io/library/second:latest")
        await engine.remove("web")
        short = first.id[7:19]
        for force in (False, True):
            with pytest.raises(Conflict) as caught:
                await engine.images.remove(short, force=force)
            assert str(caught.value) == (
                f"conflict: unable to delete {short} (cannot be forced) - image has dependent child images"
            )
        removed = await engine.images.remove("first", force=False)
        assert (removed.untagged, removed.deleted) == (("first:latest",), ())
        assert await engine.images.prune(lambda _: True, only_nameless=True) == ()
        line = await engine.services.images.ask(ImageStore.ancestry, "second")
        assert [named.image.id for named in line][:2] == [second.id, first.id]
        gone = await engine.images.remove("second", force=False)
        layers = (second.chain_ids[-1], first.chain_ids[-1])
        assert gone.deleted == (second.id, layers[0], first.id, layers[1])
        assert [named.references for named in await engine.services.images.ask(ImageStore.list)] == [(IMAGE,)]


@pytest.mark.parametrize("spared", ["by noprune", "by a name", "by a container", "by another child"])
async def test_a_parent_that_is_needed_does_not_go_along(spared: str, tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        await make_container(engine)
        first = await commit(engine, reference="docker.io/library/first:latest")
        await engine.remove("web")
        await make_container(engine, image="first")
        await commit(engine, reference="docker.io/library/second:latest")
        if spared == "by another child":
            await commit(engine, reference="docker.io/library/third:latest", comment="another")
        if spared != "by a container":
            await engine.remove("web")
        if spared != "by a name":
            await engine.images.remove("first", force=True)
        await engine.images.remove("second", force=False, with_parents=spared != "by noprune")
        assert (await engine.services.images.ask(ImageStore.find, first.id)) == first


async def test_an_image_that_comes_in_again_keeps_what_it_was_committed_on(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        await make_container(engine)
        made = await commit(engine, reference="docker.io/library/mine:1")
        archive = b"".join([piece async for piece in await engine.saver.save(("mine:1",))])
        (loaded,) = await engine.intake.load(Bytes(archive))
        assert loaded.image.id == made.id
        assert await engine.services.images.ask(ImageStore.find, "mine:1") == made
