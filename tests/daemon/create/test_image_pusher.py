"""Pushes by a real engine to a registry that follows a script; what the real one does is tested in tests/integration."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
from msgspec.structs import replace

from daemon.create.image_puller import PullRequest
from daemon.create.image_pusher import PushRequest, mount_sources, tagged_images
from daemon.create.platforms import Platform
from daemon.engine import Engine
from daemon.errors import DaemonError, InvalidParameter, NotFound
from daemon.image import Layer
from daemon.reference import parse_reference
from daemon.registry.credentials import Credentials
from daemon.services.image_store import ImageStore, NamedImage
from daemon.services.transfers import Progress, Pushed, Step
from daemon.storage.oci import digest_of
from tests.daemon.harness import config_at
from tests.daemon.registry.scripted import Asked, Reply, ScriptedRegistry, error_body, remote_image, scripted_registry
from tests.daemon.services.test_image_store import BUSYBOX, MINE
from tests.daemon.storage.making import BASE

IMAGE = remote_image(BASE, is_docker=True)
LAYER = IMAGE.layers[0]
UPLOADS, SESSION = "/v2/to/app/blobs/uploads/", "/v2/to/app/blobs/uploads/1"
ME = Credentials(username="me", password="secret")


@pytest.fixture
def registry() -> Iterator[ScriptedRegistry]:
    """With the image as `from/app:v1`; it takes what is pushed to `to/app`."""
    with scripted_registry() as started:
        started.put_image("from/app", "v1", IMAGE)
        started.on("POST", UPLOADS, Reply(status=202, headers={"Location": SESSION}))
        started.on("PATCH", SESSION, Reply(status=202, headers={"Location": f"{SESSION}?state=x"}))
        started.on("PUT", SESSION, Reply(status=201))
        started.on("PUT", "/v2/to/app/manifests/v1", Reply(status=201))
        yield started


@attrs.frozen
class House:
    engine: Engine
    registry: ScriptedRegistry

    async def push(self, name: str = "to/app:v1", platform: Platform | None = None) -> list[Step]:
        pusher = attrs.evolve(self.engine.pusher, retry_wait_s=0)
        reference = parse_reference(f"{self.registry.host}/{name}")
        progress = Progress()
        await pusher.push(PushRequest(reference=reference, platform=platform, credentials=ME), progress)
        return await progress.wait_steps()


@asynccontextmanager
async def house_at(root: Path, registry: ScriptedRegistry, name: str = "to/app:v1") -> AsyncIterator[House]:
    """With the image, pulled, under a name to push it by."""
    async with Engine(config_at(root)) as engine:
        source = parse_reference(f"{registry.host}/from/app:v1")
        await engine.puller.pull(PullRequest(reference=source, platform=None, credentials=ME), Progress())
        await engine.images.tag(str(source), f"{registry.host}/{name}")
        registry.asked.clear()
        yield House(engine, registry)


def layer_steps(steps: list[Step]) -> list[str]:
    return [step.status for step in steps if step.id]


@pytest.mark.anyio
async def test_what_was_pulled_is_pushed_byte_for_byte(tmp_path: Path, registry: ScriptedRegistry) -> None:
    async with house_at(tmp_path, registry) as house:
        steps = await house.push()
        digest, size = digest_of(IMAGE.manifest), len(IMAGE.manifest)
        assert layer_steps(steps) == ["Preparing", "Pushing", "Pushed"]
        assert steps[-2].status == f"v1: digest: {digest} size: {size}"
        assert steps[-1].pushed == Pushed(tag="v1", digest=digest, size=size)
        sent = {asked.body for asked in registry.asked if asked.method == "PATCH"}
        assert sent == {LAYER, IMAGE.config}
        ends = {asked.query for asked in registry.asked if asked.method == "PUT" and asked.path == SESSION}
        assert f"state=x&digest=sha256%3A{digest_of(LAYER)[7:]}" in ends
        (put,) = [asked for asked in registry.asked if asked.path == "/v2/to/app/manifests/v1"]
        assert (put.body, put.headers["content-type"]) == (IMAGE.manifest, IMAGE.media_type)
        named = await house.engine.services.images.ask(ImageStore.find_named, f"{registry.host}/to/app@{digest}")
        assert f"{registry.host}/to/app@{digest}" in named.references


@pytest.mark.anyio
async def test_a_mount_that_is_done_or_not_or_refused(tmp_path: Path, registry: ScriptedRegistry) -> None:
    async with house_at(tmp_path, registry) as house:

        def mounts(asked: Asked) -> Reply:
            return Reply(status=201) if asked.query else Reply(status=202, headers={"Location": SESSION})

        def refuses(asked: Asked) -> Reply:
            if asked.query:
                return Reply(status=403, body=error_body("DENIED", "no"))
            return Reply(status=202, headers={"Location": SESSION})

        registry.on("POST", UPLOADS, mounts)
        assert layer_steps(await house.push()) == ["Preparing", "Mounted from from/app"]
        (asked,) = [asked for asked in registry.asked if asked.query.startswith("mount=")]
        assert asked.query == f"mount=sha256%3A{digest_of(LAYER)[7:]}&from=from%2Fapp"
        registry.on("POST", UPLOADS, refuses)
        assert layer_steps(await house.push())[-1] == "Pushed"
        registry.on("HEAD", f"/v2/to/app/blobs/{digest_of(LAYER)}", Reply())
        assert layer_steps(await house.push()) == ["Preparing", "Layer already exists"]


@pytest.mark.anyio
async def test_an_upload_that_breaks_is_begun_again(tmp_path: Path, registry: ScriptedRegistry) -> None:
    done = Reply(status=202, headers={"Location": SESSION})
    registry.on("PATCH", SESSION, Reply(status=500), Reply(status=503), done)
    registry.on("PUT", SESSION, Reply(status=500), Reply(status=201))
    async with house_at(tmp_path, registry) as house:
        assert layer_steps(await house.push())[-1] == "Pushed"
        registry.on("PATCH", SESSION, Reply(status=500))
        with pytest.raises(DaemonError, match="500 Internal Server Error"):
            await house.push()


@pytest.mark.anyio
async def test_an_upload_elsewhere_is_sent_without_credentials(tmp_path: Path, registry: ScriptedRegistry) -> None:
    with scripted_registry() as elsewhere:
        location = f"http://{elsewhere.host}/upload"
        basic = {"WWW-Authenticate": "Basic realm=x"}

        def begin(asked: Asked) -> Reply:
            if "authorization" not in asked.headers:
                return Reply(status=401, headers=basic)
            return Reply(status=202, headers={"Location": location})

        registry.on("POST", UPLOADS, begin)
        elsewhere.on("PATCH", "/upload", Reply(status=202, headers={"Location": "/upload"}))
        elsewhere.on("PUT", "/upload", Reply(status=201))
        async with house_at(tmp_path, registry) as house:
            await house.push()
        assert any(asked.headers.get("authorization") == ME.basic for asked in registry.asked)
        assert {asked.body for asked in elsewhere.asked if asked.method == "PATCH"} == {LAYER, IMAGE.config}
        assert not [asked for asked in elsewhere.asked if "authorization" in asked.headers]


@pytest.mark.anyio
async def test_who_may_not_push_is_told(tmp_path: Path, registry: ScriptedRegistry) -> None:
    registry.on("POST", UPLOADS, Reply(status=403))
    async with house_at(tmp_path, registry) as house:
        with pytest.raises(DaemonError, match=r"^denied: requested access to the resource is denied$"):
            await house.push()
        with pytest.raises(NotFound, match="does not match the specified platform"):
            await house.push(platform=Platform("linux", "s390x"))


TAGGED = [
    NamedImage(BUSYBOX, ("quay.io/a/b:1", "quay.io/a/b:2", f"quay.io/a/b@{BUSYBOX.id}")),
    NamedImage(MINE, ("quay.io/a/b:3", "quay.io/a/c:1")),
]


def test_a_name_alone_means_all_its_tags() -> None:
    assert tagged_images(TAGGED, parse_reference("quay.io/a/b")) == {"1": BUSYBOX, "2": BUSYBOX, "3": MINE}
    assert tagged_images(TAGGED, parse_reference("quay.io/a/b:3")) == {"3": MINE}


@pytest.mark.parametrize(
    ("name", "complaint", "kind"),
    [
        (f"quay.io/a/b@{BUSYBOX.id}", "cannot push a digest reference", InvalidParameter),
        ("quay.io/a/none", "An image does not exist locally with the tag: quay.io/a/none", NotFound),
        ("quay.io/a/b:4", "tag does not exist: quay.io/a/b:4", NotFound),
    ],
)
def test_what_is_not_there_cannot_be_pushed(name: str, complaint: str, kind: type[DaemonError]) -> None:
    with pytest.raises(kind) as caught:
        tagged_images(TAGGED, parse_reference(name))
    assert str(caught.value) == complaint


def test_layers_are_mounted_from_where_the_same_registry_is_known_to_have_them() -> None:
    layer = Layer(digest=digest_of(LAYER), media_type="", blob_bytes=1, diff_id="", chain_id="", unpacked_bytes=1)
    with_layers = replace(BUSYBOX, layers=(layer,))
    reference = parse_reference("quay.io/to/app:1")
    for names, expected in (
        ((f"quay.io/a/b@{BUSYBOX.id}",), {digest_of(LAYER): "a/b"}),
        (("quay.io/a/b:1",), {}),  # a tag may be only local
        ((f"docker.io/a/b@{BUSYBOX.id}",), {}),
        ((f"quay.io/to/app@{BUSYBOX.id}",), {}),
    ):
        assert mount_sources([NamedImage(with_layers, names)], reference) == expected
    many = [NamedImage(with_layers, (f"quay.io/a/{number}@{BUSYBOX.id}",)) for number in range(100)]
    assert len(set(mount_sources(many, reference).values())) == 1
