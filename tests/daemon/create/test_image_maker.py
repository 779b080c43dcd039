"""Images made on the spot, without an archive."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon import ContainerConfig, CreateRequest, Engine
from daemon.errors import InvalidParameter
from daemon.services.image_store import ImageStore
from tests.daemon.harness import config_at

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Which loop it is makes no difference here, and engines take their time to start."""
    return "asyncio"


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


async def test_an_image_has_its_files_and_its_configuration_and_containers_are_made_of_it(tmp_path: Path) -> None:
    files = {"/bin/sh": b"#!/bin/sh\n", "etc/a/b": b"1"}
    async with Engine(config_at(tmp_path)) as engine:
        image = await engine.make_image("demo", files, ContainerConfig(cmd=("sh",), env=("A=1",)))
        found = await engine.services.images.ask(ImageStore.find, "demo:latest")
        assert found == image
        assert (image.config.cmd, image.config.env, image.size_bytes) == (("sh",), ("A=1",), 11)
        layer = tmp_path / "data" / "layers" / image.chain_ids[0].removeprefix("sha256:") / "diff"
        assert (layer / "bin/sh").read_bytes() == files["/bin/sh"]
        assert [(layer / name).stat().st_mode & 0o7777 for name in ("etc", "etc/a", "etc/a/b")] == [0o755] * 3
        await engine.create(CreateRequest(config=ContainerConfig(image="demo")))
        assert names_in(tmp_path / "data" / "staging") == []


async def test_an_image_may_be_empty_and_made_twice(tmp_path: Path) -> None:
    async with Engine(config_at(tmp_path)) as engine:
        first = await engine.make_image("demo")
        assert first.layers == ()
        await engine.make_image("demo:2", {"a": b""})
        await engine.make_image("demo:3", {"a": b""})
        await engine.create(CreateRequest(config=ContainerConfig(image="demo", cmd=("true",))))


@pytest.mark.parametrize("name", ["../x", "a/../../x", "", "/", ".", "a\0b"])
async def test_a_path_that_leads_out_or_nowhere_is_refused_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    async with Engine(config_at(tmp_path)) as engine:
        with pytest.raises(InvalidParameter, match="invalid path of a file in an image"):
            await engine.make_image("demo", {name: b""})
        assert await engine.services.images.ask(ImageStore.list) == ()
        assert names_in(tmp_path / "data" / "staging") == []


async def test_a_reference_that_makes_no_sense_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    async with Engine(config_at(tmp_path)) as engine:
        before = names_in(tmp_path / "data" / "layers")
        with pytest.raises(InvalidParameter):
            await engine.make_image("Not A Name", {"a": b"1"})
        assert await engine.services.images.ask(ImageStore.list) == ()
        assert names_in(tmp_path / "data" / "layers") == before
