"""Pulls by a real engine from a registry that follows a script: what is fetched, what is refused, and what stays behind."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import attrs
import pytest

from actors import Subscription
from daemon.create.image_puller import ImagePuller, PullRequest, best_of
from daemon.create.platforms import Platform
from daemon.engine import Engine
from daemon.errors import DaemonError, Forbidden, InvalidParameter, NotFound
from daemon.reference import parse_reference
from daemon.registry.credentials import ANONYMOUS
from daemon.registry.documents import FetchedManifest, index_entries
from daemon.services.event_bus import Event, EventBus
from daemon.services.image_store import ImageStore
from daemon.services.intake_process import WorkerHost
from daemon.services.transfers import Progress, Step, Transfers
from daemon.storage.oci import digest_of
from tests.conftest import BACKENDS
from tests.daemon.harness import config_at, in_memory
from tests.daemon.registry.scripted import (
    RemoteImage,
    Reply,
    ScriptedRegistry,
    index_of,
    ranged,
    remote_image,
    scripted_registry,
)
from tests.daemon.storage.making import BASE, TOP, names_in, tar_of

pytestmark = pytest.mark.anyio

AMD64, ARM64 = {"os": "linux", "architecture": "amd64"}, {"os": "linux", "architecture": "arm64", "variant": "v8"}
LARGE = tar_of({"large": bytes(range(256)) * 4000})
"""Compressed still above what is written at a time."""


HOST = WorkerHost()
"""For all tests: the process behind it takes longer to start than most of them."""


@pytest.fixture(scope="module", autouse=True)
def _stopped_host() -> Iterator[None]:
    yield
    HOST.stop()


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """One loop, where what a registry answers decides; where tasks come in each other's way, all of them."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """In memory: nothing here is asked of the disk."""
    with in_memory() as home:
        yield home


@pytest.fixture
def registry() -> Iterator[ScriptedRegistry]:
    with scripted_registry() as started:
        yield started


@attrs.frozen
class House:
    engine: Engine
    registry: ScriptedRegistry

    @property
    def puller(self) -> ImagePuller:
        """Which does not wait between two attempts."""
        intake = attrs.evolve(self.engine.intake, host=HOST)
        return attrs.evolve(self.engine.puller, retry_wait_s=0, intake=intake)

    def request(self, name: str, platform: Platform | None = None) -> PullRequest:
        reference = parse_reference(f"{self.registry.host}/{name}")
        return PullRequest(reference=reference, platform=platform, credentials=ANONYMOUS)

    async def pull(self, name: str, platform: Platform | None = None) -> list[Step]:
        """What it tells."""
        progress = Progress()
        await self.puller.pull(self.request(name, platform), progress)
        return await progress.wait_steps()

    async def names(self) -> dict[str, tuple[str, ...]]:
        """By image id, without the host."""
        listed = await self.engine.services.images.ask(ImageStore.list)
        return {
            named.image.id: tuple(name.removeprefix(self.registry.host + "/") for name in named.references)
            for named in listed
        }

    def stored(self) -> tuple[set[str], list[str]]:
        """Blobs, and what is still arriving, layers too."""
        root = self.engine.config.data_root
        arriving = names_in(root / "staging")
        arriving += [name for name in names_in(root / "layers") if name.startswith(".")]
        return {f"sha256:{name}" for name in names_in(root / "content" / "blobs" / "sha256")}, arriving


@asynccontextmanager
async def house_at(root: Path, registry: ScriptedRegistry) -> AsyncIterator[House]:
    async with Engine(config_at(root)) as engine:
        yield House(engine, registry)


def lines(steps: list[Step]) -> list[str]:
    return [f"{step.id}: {step.status}" if step.id else step.status for step in steps]


def short(content: bytes) -> str:
    return digest_of(content).removeprefix("sha256:")[:12]


def blob_path(blob: bytes) -> str:
    return f"/v2/me/app/blobs/{digest_of(blob)}"


@pytest.mark.parametrize("anyio_backend", BACKENDS)
async def test_a_pulled_image_is_stored_byte_for_byte_and_named(tmp_path: Path, registry: ScriptedRegistry) -> None:
    image = remote_image(BASE, TOP)
    registry.put_image("me/app", "v1", image)
    base, top = map(short, image.layers)
    digest = digest_of(image.manifest)
    async with house_at(tmp_path, registry) as house:
        steps = lines(await house.pull("me/app:v1"))
        assert steps[:3] == ["v1: Pulling from me/app", f"{base}: Pulling fs layer", f"{top}: Pulling fs layer"]
        assert steps[-4:] == [
            f"{base}: Pull complete",
            f"{top}: Pull complete",
            f"Digest: {digest}",
            f"Status: Downloaded newer image for {registry.host}/me/app:v1",
        ]
        for step in ("Downloading", "Verifying Checksum", "Download complete", "Extracting"):
            assert f"{base}: {step}" in steps
        assert await house.names() == {digest_of(image.config): ("me/app:v1", f"me/app@{digest}")}
        assert house.stored() == ({digest, *map(digest_of, (image.config, *image.layers))}, [])
        again = lines(await house.pull("me/app:v1"))
        assert again == [
            "v1: Pulling from me/app",
            f"Digest: {digest}",
            f"Status: Image is up to date for {registry.host}/me/app:v1",
        ]
        assert registry.count("GET", blob_path(image.layers[0])) == 1


async def test_a_layer_that_is_there_is_not_fetched(tmp_path: Path, registry: ScriptedRegistry) -> None:
    one, two = remote_image(BASE), remote_image(BASE, TOP)
    registry.put_image("me/app", "one", one)
    registry.put_image("me/app", "two", two)
    async with house_at(tmp_path, registry) as house:
        await house.pull("me/app:one")
        steps = lines(await house.pull("me/app:two"))
        base = short(one.layers[0])
        assert [step for step in steps if step.startswith(base)] == [f"{base}: Already exists"]
        assert registry.count("GET", blob_path(one.layers[0])) == 1
        assert len(await house.names()) == 2


async def test_a_layer_twice_in_an_image_is_fetched_once(tmp_path: Path, registry: ScriptedRegistry) -> None:
    image = remote_image(BASE, BASE)
    registry.put_image("me/app", "v1", image)
    async with house_at(tmp_path, registry) as house:
        await house.pull("me/app:v1")
        assert registry.count("GET", blob_path(image.layers[0])) == 1


async def test_a_tag_that_has_moved_leaves_the_old_image_its_digest(tmp_path: Path, registry: ScriptedRegistry) -> None:
    old, new = remote_image(BASE), remote_image(TOP)
    async with house_at(tmp_path, registry) as house:
        registry.put_image("me/app", "v1", old)
        await house.pull("me/app:v1")
        registry.put_image("me/app", "v1", new)
        assert "Downloaded newer image" in lines(await house.pull("me/app:v1"))[-1]
        assert await house.names() == {
            digest_of(old.config): (f"me/app@{digest_of(old.manifest)}",),
            digest_of(new.config): ("me/app:v1", f"me/app@{digest_of(new.manifest)}"),
        }


async def test_a_digest_names_an_image_without_a_tag(tmp_path: Path, registry: ScriptedRegistry) -> None:
    image = remote_image(BASE, is_docker=True)
    registry.put_image("me/app", "v1", image)
    digest = digest_of(image.manifest)
    async with house_at(tmp_path, registry) as house:
        steps = lines(await house.pull(f"me/app@{digest}"))
        assert steps[0] == f"{registry.host}/me/app@{digest}: Pulling from me/app"
        assert await house.names() == {digest_of(image.config): (f"me/app@{digest}",)}


async def test_all_tags_are_pulled_where_none_is_named(tmp_path: Path, registry: ScriptedRegistry) -> None:
    one, two = remote_image(BASE), remote_image(TOP)
    for tag, image in (("a", one), ("b", two), ("c", one)):
        registry.put_image("me/app", tag, image)
    registry.on("GET", "/v2/me/app/tags/list", Reply(body=b'{"tags": ["a", "b", "c"]}'))
    async with house_at(tmp_path, registry) as house:
        steps = lines(await house.pull("me/app"))
        assert [step for step in steps if "Pulling from" in step] == [f"{tag}: Pulling from me/app" for tag in "abc"]
        assert steps[-1] == f"Status: Downloaded newer image for {registry.host}/me/app"
        names = await house.names()
        assert names[digest_of(one.config)][:2] == ("me/app:a", "me/app:c")
        assert len(names) == 2


PLATFORMS: list[tuple[Platform | None, int]] = [
    (None, 0),
    (Platform("linux", "amd64"), 0),
    (Platform("linux", "arm64", "v8"), 1),
]


@pytest.mark.parametrize(("platform", "chosen"), PLATFORMS)
async def test_of_an_index_the_image_for_the_platform_is_taken_and_the_index_named(
    platform: Platform | None, chosen: int, tmp_path: Path, registry: ScriptedRegistry
) -> None:
    images = remote_image(BASE), remote_image(BASE, architecture="arm64", variant="v8")
    content, media_type = index_of((images[0], AMD64), (images[1], ARM64))
    for image in images:
        registry.put_image("me/app", "by-platform", image)
    registry.put_manifest("me/app", "v1", content, media_type)
    async with house_at(tmp_path, registry) as house:
        here = attrs.evolve(house.engine.host, architecture="amd64")
        puller = attrs.evolve(house.puller, host=here)
        await puller.pull(house.request("me/app:v1", platform), Progress())
        names = ("me/app:v1", f"me/app@{digest_of(content)}")
        assert await house.names() == {digest_of(images[chosen].config): names}


async def test_an_image_of_another_platform_is_warned_of_and_a_choice_without_it_refused(
    tmp_path: Path, registry: ScriptedRegistry
) -> None:
    image = remote_image(BASE)
    registry.put_image("me/app", "v1", image)
    registry.put_manifest("me/app", "v2", *index_of((image, AMD64), is_docker=True))
    async with house_at(tmp_path, registry) as house:
        steps = lines(await house.pull("me/app:v1", Platform("linux", "s390x")))
        assert steps[-1].startswith(
            f"WARNING: image with reference {registry.host}/me/app:v1 was found but its platform"
        )
        with pytest.raises(NotFound, match=r"^no matching manifest for linux/s390x in the manifest list entries$"):
            await house.pull("me/app:v2", Platform("linux", "s390x"))


def test_the_nearest_platform_is_the_best() -> None:
    image = remote_image(BASE)
    variants = [{"os": "linux", "architecture": "arm", "variant": variant} for variant in ("v5", "v7", "v6")]
    content, media_type = index_of((image, None), *((image, variant) for variant in variants))
    entries = index_entries(FetchedManifest(media_type=media_type, content=content))
    assert entries is not None
    for wanted, chosen in (("v7", 2), ("v6", 3), ("v5", 1)):
        assert best_of(entries, Platform("linux", "arm", wanted)) is entries[chosen]
    assert best_of(entries, Platform("linux", "s390x")) is entries[0]
    assert best_of(entries[1:], Platform("linux", "s390x")) is None


# What goes wrong ------------------------------------------------------------------------------------------------------


def cut(blob: bytes, at: int) -> Reply:
    return Reply(body=blob, sent=at)


def other(blob: bytes) -> Reply:
    return Reply(body=bytes(len(blob)))


LAYER = remote_image(LARGE).layers[0]
ANSWERS: list[tuple[str, list[Callable[[bytes], Reply]], str, int]] = [
    ("wrong content", [other], "^filesystem layer verification failed for digest ", 1),
    ("too long", [lambda blob: Reply(body=blob + b"x")], "more than the .* bytes that the manifest states", 1),
    ("too short", [lambda blob: Reply(body=blob[:-1])], "unexpected EOF", 5),
    ("gone", [lambda _: Reply(status=404)], "404 Not Found", 1),
    ("too many", [lambda _: Reply(status=429)], "^toomanyrequests: ", 1),
    ("failing", [lambda _: Reply(status=503)], "503 Service Unavailable", 5),
    ("cut for ever", [lambda blob: cut(blob, 0)], "peer closed connection|disconnected", 5),
]


@pytest.mark.parametrize(
    ("answers", "complaint", "tries"), [row[1:] for row in ANSWERS], ids=[row[0] for row in ANSWERS]
)
async def test_a_layer_that_is_not_what_it_should_be_leaves_nothing(
    answers: list[Callable[[bytes], Reply]], complaint: str, tries: int, tmp_path: Path, registry: ScriptedRegistry
) -> None:
    image = remote_image(BASE, TOP)
    registry.put_image("me/app", "v1", image)
    registry.on("GET", blob_path(image.layers[1]), *(answer(image.layers[1]) for answer in answers))
    async with house_at(tmp_path, registry) as house:
        with pytest.raises(DaemonError, match=complaint):
            await house.pull("me/app:v1")
        assert registry.count("GET", blob_path(image.layers[1])) == tries
        assert (await house.names(), house.stored()) == ({}, (set(), []))
        assert len(house.puller._turns) == 0


RESUMED: list[tuple[str, list[Reply | Callable[..., Reply]], list[str]]] = [
    ("where it stopped", [cut(LAYER, 1000), ranged(LAYER)], ["", "bytes=1000-"]),
    ("twice", [cut(LAYER, 1000), Reply(status=500), ranged(LAYER)], ["", "bytes=1000-", "bytes=1000-"]),
    ("from the start", [cut(LAYER, 1000), Reply(body=LAYER)], ["", "bytes=1000-"]),
    (
        "of another part",
        [cut(LAYER, 1000), Reply(status=206, headers={"Content-Range": "bytes 0-9/10"}, body=bytes(10)), ranged(LAYER)],
        ["", "bytes=1000-", "bytes=1000-"],
    ),
]


@pytest.mark.parametrize("anyio_backend", BACKENDS)
@pytest.mark.parametrize(("answers", "ranges"), [row[1:] for row in RESUMED], ids=[row[0] for row in RESUMED])
async def test_a_layer_that_broke_off_is_resumed(
    answers: list[Reply | Callable[..., Reply]], ranges: list[str], tmp_path: Path, registry: ScriptedRegistry
) -> None:
    image = remote_image(LARGE)
    registry.put_image("me/app", "v1", image)
    registry.on("GET", blob_path(LAYER), *answers)
    async with house_at(tmp_path, registry) as house:
        steps = lines(await house.pull("me/app:v1"))
        assert f"{short(LAYER)}: Retrying in 0 seconds" in steps
        asked = [asked.headers.get("range", "") for asked in registry.asked if asked.path == blob_path(LAYER)]
        assert asked == ranges
        assert digest_of(LAYER) in house.stored()[0]


async def test_a_configuration_of_another_digest_is_refused(tmp_path: Path, registry: ScriptedRegistry) -> None:
    image = remote_image(BASE)
    registry.put_image("me/app", "v1", image)
    registry.on("GET", blob_path(image.config), other(image.config))
    async with house_at(tmp_path, registry) as house:
        with pytest.raises(InvalidParameter, match=r"^image config verification failed for digest "):
            await house.pull("me/app:v1")
        assert house.stored() == (set(), [])


async def test_layers_in_another_order_than_the_configuration_has_are_refused(
    tmp_path: Path, registry: ScriptedRegistry
) -> None:
    image, swapped = remote_image(BASE, TOP), remote_image(TOP, BASE)
    registry.put_image("me/app", "v1", image)
    manifest = swapped.manifest.replace(digest_of(swapped.config).encode(), digest_of(image.config).encode())
    registry.put_manifest("me/app", "v1", manifest, image.media_type)
    async with house_at(tmp_path, registry) as house:
        with pytest.raises(InvalidParameter, match="invalid diffID"):
            await house.pull("me/app:v1")
        assert (await house.names(), house.stored()) == ({}, (set(), []))


UNKNOWN = [
    ("me/app:v1", "^manifest for {}/me/app:v1 not found: manifest unknown: manifest unknown$", NotFound),
    ("me/app@sha256:" + "0" * 64, "^manifest for {}/me/app@sha256:0{{64}} not found: ", NotFound),
]


@pytest.mark.parametrize(("name", "complaint", "kind"), UNKNOWN)
async def test_what_the_registry_has_not_is_told_before_anything_else(
    name: str, complaint: str, kind: type[DaemonError], tmp_path: Path, registry: ScriptedRegistry
) -> None:
    async with house_at(tmp_path, registry) as house:
        with pytest.raises(kind, match=complaint.format(registry.host)):
            await house.pull(name)


async def test_scratch_is_no_image(tmp_path: Path, registry: ScriptedRegistry) -> None:
    async with house_at(tmp_path, registry) as house:
        request = attrs.evolve(house.request("x"), reference=parse_reference("scratch:latest"))
        with pytest.raises(Forbidden, match=r"^'scratch' is a reserved name$"):
            await house.puller.pull(request, Progress())


# Who else is there ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("anyio_backend", BACKENDS)
async def test_of_pulls_of_one_image_at_a_time_one_fetches_it(tmp_path: Path, registry: ScriptedRegistry) -> None:
    image = remote_image(BASE)
    registry.put_image("me/app", "v1", image)
    registry.put_image("me/app", "v2", image)
    async with house_at(tmp_path, registry) as house:
        puller = house.puller
        async with anyio.create_task_group() as tasks:
            for tag in ("v1", "v2", "v1", "v2"):
                tasks.start_soon(puller.pull, house.request(f"me/app:{tag}"), Progress())
        assert registry.count("GET", blob_path(image.layers[0])) == 1
        (names,) = (await house.names()).values()
        assert names == ("me/app:v1", "me/app:v2", f"me/app@{digest_of(image.manifest)}")


@pytest.mark.parametrize("anyio_backend", BACKENDS)
async def test_a_pull_whose_client_goes_away_leaves_nothing_and_the_next_begins_anew(
    tmp_path: Path, registry: ScriptedRegistry
) -> None:
    image, gate = remote_image(LARGE), threading.Event()
    registry.put_image("me/app", "v1", image)
    registry.on("GET", blob_path(LAYER), Reply(body=LAYER, sent=1000, hold=gate), ranged(LAYER))
    async with house_at(tmp_path, registry) as house:
        transfers, progress = house.engine.services.transfers, Progress()
        puller = house.puller
        await transfers.ask(Transfers.start, lambda told: puller.pull(house.request("me/app:v1"), told), progress)
        while not any(step.status == "Pulling fs layer" for step in await progress.wait_steps()):
            pass
        progress.abandon()
        with anyio.fail_after(10):
            assert await progress.wait_steps() == []
        gate.set()
        assert await transfers.ask(Transfers.count) == 0
        assert (await house.names(), house.stored()) == ({}, (set(), []))
        await house.pull("me/app:v1")
        assert len(await house.names()) == 1


@pytest.mark.parametrize("anyio_backend", BACKENDS)
async def test_an_image_that_is_removed_while_another_that_shares_its_layer_is_pulled(
    tmp_path: Path, registry: ScriptedRegistry
) -> None:
    one, two, gate = remote_image(BASE), remote_image(BASE, LARGE), threading.Event()
    registry.put_image("me/app", "one", one)
    registry.put_image("me/app", "two", two)
    registry.on("GET", blob_path(LAYER), Reply(body=LAYER, sent=1000, hold=gate), ranged(LAYER))
    async with house_at(tmp_path, registry) as house:
        await house.pull("me/app:one")
        progress, puller = Progress(), house.puller
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(puller.pull, house.request("me/app:two"), progress)
            while not any(step.status == "Pulling fs layer" for step in await progress.wait_steps()):
                pass
            await house.engine.images.remove(f"{registry.host}/me/app:one", force=False)
            gate.set()
        names = await house.names()
        assert set(names) == {digest_of(two.config)}
        assert house.stored() == ({digest_of(two.manifest), *map(digest_of, (two.config, *two.layers))}, [])


async def test_a_pull_is_told_to_who_listens_for_events(tmp_path: Path, registry: ScriptedRegistry) -> None:
    registry.put_image("me/app", "v1", remote_image(BASE, config={"Labels": {"a": "b"}}))
    async with house_at(tmp_path, registry) as house:
        subscription = Subscription[Event]()
        await house.engine.services.events.ask(EventBus.subscribe, subscription)
        await house.pull("me/app:v1")
        event = await subscription.receive()
        assert (event.type, event.action, event.actor_id) == ("image", "pull", f"{registry.host}/me/app:v1")
        assert event.attributes == {"a": "b", "name": f"{registry.host}/me/app"}


async def test_an_image_is_there_after_the_next_start(tmp_path: Path, registry: ScriptedRegistry) -> None:
    image: RemoteImage = remote_image(BASE)
    registry.put_image("me/app", "v1", image)
    async with house_at(tmp_path, registry) as house:
        await house.pull("me/app:v1")
        before = await house.names(), house.stored()
    (tmp_path / "data" / "stopped-cleanly").unlink()  # so that it recovers
    async with house_at(tmp_path, registry) as house:
        assert (await house.names(), house.stored()) == before
