"""Images whose files somebody has fetched one by one: taken in whole, or nothing of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import attrs
import pytest
from msgspec.structs import replace

from daemon.errors import InvalidParameter, System
from daemon.image import LoadedImage
from daemon.services.image_loader import check_delivered
from daemon.storage.archive import Delivery, Given
from daemon.storage.oci import LAYER_TYPE, Manifest, Reference, digest_of, encode_manifest
from daemon.storage.received import ReceivedFiles
from daemon.storage.staged import Area
from tests.daemon.services.test_image_loader import HOST, NOTHING, House, check_whole, house_at, two_images
from tests.daemon.storage.making import BASE, TOP, config_of, docker_archive

pytestmark = pytest.mark.anyio

TAG = "docker.io/library/app:1"
BY_DIGEST = f"docker.io/library/app@{digest_of(b'an index')}"
BOTH = config_of(BASE, TOP)


@pytest.fixture(scope="module", autouse=True)
def _stopped_host() -> Iterator[None]:
    yield
    HOST.stop()


def delivery_in(area: Area, *layers: bytes, config: bytes = BOTH) -> Delivery:
    files = ReceivedFiles(area.given)

    def given(content: bytes) -> Given:
        file = files.add(content)
        return Given(file.path.name, file.content)

    def pointer(content: bytes, media_type: str) -> Reference:
        return Reference(media_type=media_type, digest=digest_of(content), size=len(content))

    manifest = Manifest(config=pointer(config, ""), layers=tuple(pointer(layer, LAYER_TYPE) for layer in layers))
    return Delivery(
        config=given(config),
        layers=tuple(given(layer) for layer in layers),
        manifest=given(encode_manifest(manifest)),
        references=(TAG, BY_DIGEST),
    )


async def deliver(house: House, *layers: bytes) -> LoadedImage:
    async with house.intake.area() as area:
        return await house.intake.deliver(delivery_in(area, *layers), area)


async def test_a_delivery_becomes_an_image_under_its_tag_and_its_digest(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        loaded = await deliver(house, BASE, TOP)
        check_whole(house, [loaded])
        assert await house.names() == {loaded.image.id: (TAG, BY_DIGEST)}
        assert house.indexed() == {(loaded.image.manifest_digest, TAG)}


async def test_a_delivery_that_is_not_what_it_says_leaves_nothing(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        with pytest.raises(InvalidParameter, match="invalid diffID"):
            await deliver(house, TOP, BASE)
        assert (await house.names(), house.stored()) == ({}, NOTHING)
        assert house.crashes == []


async def test_layers_that_are_here_are_not_read_again(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        first = await deliver(house, BASE, TOP)
        async with house.intake.area() as area:
            delivery = attrs.evolve(delivery_in(area, BASE, TOP), known=first.image.layers)
            for layer in delivery.layers:
                (area.given / layer.name).write_bytes(b"no tar at all")
            assert (await house.intake.deliver(delivery, area)).image == first.image


async def test_a_known_layer_on_others_than_before_is_unpacked_there(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        first = await deliver(house, BASE, TOP)
        async with house.intake.area() as area:
            swapped = delivery_in(area, TOP, BASE, config=config_of(TOP, BASE))
            second = await house.intake.deliver(attrs.evolve(swapped, known=first.image.layers), area)
        check_whole(house, [first, second])
        assert (house.stores.layers.path(second.image.chain_ids[1]) / "bin/sh").read_bytes() == b"shell"


async def test_what_is_known_wrongly_is_refused(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        first = await deliver(house, BASE, TOP)
        base, top = first.image.layers
        lies = (base, replace(top, diff_id=base.diff_id))
        async with house.intake.area() as area:
            with pytest.raises(InvalidParameter, match="invalid diffID for layer 1"):
                await house.intake.deliver(attrs.evolve(delivery_in(area, BASE, TOP), known=lies), area)


OTHER = digest_of(b"other")
LIES: dict[str, Callable[[LoadedImage], Sequence[LoadedImage]]] = {
    "another image": lambda told: [replace(told, image=replace(told.image, id=OTHER))],
    "another manifest": lambda told: [replace(told, image=replace(told.image, manifest_digest=OTHER))],
    "other layers": lambda told: [replace(told, image=replace(told.image, layers=told.image.layers[:1]))],
    "another name": lambda told: [replace(told, references=(TAG, "docker.io/library/other:1"))],
    "one more": lambda told: [told, told],
    "nothing": lambda _: [],
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
async def test_what_a_worker_makes_of_a_delivery_has_to_be_that(
    lie: Callable[[LoadedImage], Sequence[LoadedImage]], tmp_path: Path
) -> None:
    async with house_at(tmp_path) as house, house.intake.area() as area:
        delivery = delivery_in(area, BASE, TOP)
        loaded = await house.intake.deliver(delivery, area)
        truth = replace(loaded, replaced=())
        check_delivered([truth], delivery)
        with pytest.raises(System, match=r"^what was unpacked is not what was delivered$"):
            check_delivered(lie(truth), delivery)


async def test_a_load_that_fails_leaves_what_is_being_fetched(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house, house.intake.area() as area:
        delivery = delivery_in(area, BASE, TOP)
        with pytest.raises(InvalidParameter):
            await house.load(two_images("Bad Name"))
        loaded = await house.intake.deliver(delivery, area)
        assert await house.names() == {loaded.image.id: (TAG, BY_DIGEST)}


async def test_an_archive_that_claims_a_digest_is_refused(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        with pytest.raises(InvalidParameter, match=r'^invalid tag "docker\.io/library/app@sha256:'):
            await house.load(docker_archive(tags=[BY_DIGEST]))
        assert (await house.names(), house.stored()) == ({}, NOTHING)
