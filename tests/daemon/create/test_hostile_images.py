"""What an image says of itself was written by a stranger, too: a create from it reaches nothing outside and breaks nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from daemon.api.routes import Router
from daemon.container import ContainerConfig
from daemon.create.request import CreateRequest
from daemon.engine import Engine
from daemon.errors import DaemonError, InvalidParameter, System
from daemon.storage.database import Database
from tests.daemon.harness import Bytes, engine_at, record, state_of
from tests.daemon.http.serving import serving
from tests.daemon.storage.making import BASE, config_of, names_in, stores_in, tar_of

pytestmark = pytest.mark.anyio


async def load(engine: Engine, config: dict[str, object], tag: str = "evil:1") -> str:
    """The id of an image of one layer that says this of itself, as a load would leave it."""
    files = {"c": config_of(BASE, config=config), "l": BASE, "manifest.json": b'[{"Config":"c","Layers":["l"]}]'}
    stores = stores_in(engine.config.data_root)
    (loaded,) = stores.load(tar_of(files))
    await record(engine, stores, loaded.image, f"docker.io/library/{tag}")
    return loaded.image.id


HOSTILE: dict[str, dict[str, object]] = {
    "a volume that leads out": {"Volumes": {"/../../etc": {}}},
    "a volume that is no path": {"Volumes": {"etc\nx": {}, "..": {}}},
    "a volume of the root": {"Volumes": {"/": {}}},
    "a working directory that leads out": {"WorkingDir": "/../../../outside"},
    "a user that no system has": {"User": "4294967296:4294967296"},
    "a label of a megabyte": {"Labels": {"large": "x" * (1 << 20)}},
    "labels that look like ours": {"Labels": {"com.docker.compose.project": "other", "": ""}},
    "a check that never ends": {"Healthcheck": {"Test": ["CMD", "x"], "Interval": 2**63 - 1, "Retries": -1}},
    "a port that is none": {"ExposedPorts": {"99999999/../tcp": {}}},
    "a variable without a name": {"Env": ["", "=x", "A"]},
    "a signal that is none": {"StopSignal": "SIGNOTHING", "StopTimeout": -(2**63)},
}


@pytest.mark.parametrize("case", HOSTILE)
async def test_what_an_image_says_is_taken_or_refused_and_reaches_nothing_outside(case: str, tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        await load(engine, HOSTILE[case])
        before = await state_of(engine)
        request = CreateRequest(config=ContainerConfig(image="evil:1", cmd=("sh",)))
        try:
            created = await engine.create(request)
        except DaemonError as error:
            assert not isinstance(error, System), error
            assert await state_of(engine) == before
        else:
            container = await engine.services.database.ask(Database.container, created.id)
            assert container is not None
            inside = [mount.destination for mount in container.mounts]
            assert all(path.startswith("/") and ".." not in path.split("/") for path in inside)
    assert names_in(tmp_path) == ["data"]


async def test_a_user_that_no_system_has_owns_nothing(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        await load(engine, HOSTILE["a user that no system has"])
        created = await engine.create(CreateRequest(config=ContainerConfig(image="evil:1", cmd=("sh",))))
        with pytest.raises(InvalidParameter, match="failed to look up user"):
            await engine.files.extract(created.id, "/", Bytes(BASE), keeps_kinds=False, owner_is_user=True)


@asynccontextmanager
async def loading(engine: Engine) -> AsyncIterator[str]:
    """The id of an image that is there; what loading starts for good has been started, too."""
    (await engine.intake.host.start()).close()
    yield await load(engine, {"Labels": {"which": "first"}}, "busybox:latest")


async def test_a_loaded_tag_that_was_another_images_says_so_in_mobys_words(tmp_path: Path) -> None:
    files = {"c": config_of(BASE, author="second"), "l": BASE}
    files["manifest.json"] = json.dumps([{"Config": "c", "Layers": ["l"], "RepoTags": ["busybox:latest"]}]).encode()
    archive = tar_of(files)
    async with (
        engine_at(tmp_path) as engine,
        loading(engine) as old,
        serving(Router(engine), tmp_path) as service,
        await service.connect() as client,
    ):
        head = f"POST /v1.47/images/load HTTP/1.1\r\nHost: a\r\nContent-Length: {len(archive)}\r\n\r\n"
        answer = await client.ask(head.encode() + archive)
        again = await client.ask(head.encode() + archive)
    said = [json.loads(line)["stream"] for line in answer.body.decode().splitlines()]
    assert said == [
        f"The image busybox:latest already exists, renaming the old one with ID {old} to empty string\n",
        "Loaded image: busybox:latest\n",
    ]
    assert again.body.count(b"stream") == 1
