"""What the disk refuses to remove after its record is gone: the removal is done, and the rest goes at the next start."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path

import pytest

from actors import ActorCrashed, ActorStopped
from daemon import fsck
from daemon.container import ContainerConfig
from daemon.create.leftovers import left_to_recovery
from daemon.create.request import CreateRequest
from daemon.engine import Engine
from daemon.errors import DiskFull, SyncFailed, Unavailable
from daemon.services.image_store import ImageStore
from daemon.services.volumes import Volumes
from daemon.storage import failpoints
from daemon.volume import VolumeRequest
from tests.daemon.harness import Bytes, config_at, engine_at, state_of
from tests.daemon.storage.making import docker_archive, tar_of


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    failpoints.arm("")


async def make_things(engine: Engine, *, with_image: bool) -> None:
    # A container with a directory of its own: one that is as it was made would be as good as one made beforehand.
    config = ContainerConfig(image="busybox", cmd=("true",), volumes=("/full",), working_dir="/its/own")
    await engine.create(CreateRequest(name="web", config=config))
    await engine.create_volume(VolumeRequest(name="vol"))
    if with_image:
        await engine.intake.load(Bytes(tar_of(docker_archive())))


async def things(engine: Engine) -> set[str]:
    """What clients are told is there, but for anonymous volumes."""
    containers = {"container" for _ in (await state_of(engine)).visible}
    volumes = await engine.services.volumes.ask(Volumes.list)
    images = await engine.services.images.ask(ImageStore.list)
    return {
        *containers,
        *("volume" for each in volumes if each.volume.name == "vol"),
        *("image" for named in images if "docker.io/library/a:1" in named.references),
    }


async def remove_image(engine: Engine) -> None:
    """With both its names."""
    image = await engine.services.images.ask(ImageStore.find, "a:1")
    removed = await engine.images.remove(image.id, force=True)
    assert removed.deleted == (image.id,), "layers that are not gone are not told"


Remove = Callable[[Engine], Awaitable[object]]
REMOVALS: Mapping[str, tuple[Remove, tuple[str, ...]]] = {
    "container": (
        lambda engine: engine.remove("web"),
        ("trees.before_set_aside", "trees.after_set_aside", "disk.before_remove_tree"),
    ),
    "container with its volume": (
        lambda engine: engine.remove("web", with_volumes=True),
        ("trees.before_set_aside", "volumes.set_aside", "disk.before_remove_tree"),
    ),
    "containers in a prune": (lambda engine: engine.prune(lambda _: True), ("trees.after_set_aside",)),
    "volume": (lambda engine: engine.remove_volume("vol"), ("volumes.set_aside", "disk.before_remove_tree")),
    "volumes in a prune": (lambda engine: engine.prune_volumes(lambda _: True), ("disk.before_remove_tree",)),
    "image": (
        lambda engine: remove_image(engine),
        ("content.index_written", "content.before_delete", "layers.set_aside"),
    ),
}
"""And where the disk fails after the record is gone."""


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("what", "point", "error"),
    [
        ("container", "trees.before_set_aside", "EMFILE"),
        *((what, point, "EIO") for what, (_, points) in REMOVALS.items() for point in points),
    ],
)
async def test_a_removal_whose_record_is_gone_is_done(
    what: str, point: str, error: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    remove, kind = REMOVALS[what][0], what.split()[0].removesuffix("s")
    async with engine_at(tmp_path) as engine:
        await make_things(engine, with_image=kind == "image")
        before = await things(engine)
        failpoints.arm(f"{point}=error({error})")
        with caplog.at_level(logging.ERROR, logger="daemon.create.leftovers"):
            await remove(engine)
        failpoints.arm("")
        assert "is left to the next start" in caplog.text
        assert await things(engine) == before - {kind}
    found = fsck.check(engine.config.data_root, is_repairing=False, is_verifying=False)
    assert found, "something is left"
    async with Engine(config_at(tmp_path)) as engine:
        assert await things(engine) == before - {kind}
    assert fsck.check(engine.config.data_root, is_repairing=False, is_verifying=False) == ()


@pytest.mark.parametrize("error", [DiskFull("x"), Unavailable("x"), ActorCrashed("a", "m"), ActorStopped("a")])
def test_what_is_left_is_noted_and_told(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise error

    noted: list[bool] = []
    with left_to_recovery("container 1", lambda: noted.append(True)):
        fail()
    assert noted == [True]
    assert "what is left of container 1, which has been removed, is left to the next start: " in caplog.text


@pytest.mark.parametrize("error", [SyncFailed("x"), KeyError("x"), KeyboardInterrupt()])
def test_what_nobody_may_live_on_with_is_raised(error: BaseException) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(type(error)), left_to_recovery("container 1", lambda: None):
        fail()


def test_where_nothing_fails_nothing_is_noted(caplog: pytest.LogCaptureFixture) -> None:
    with left_to_recovery("container 1", pytest.fail):
        pass
    assert not caplog.text
