"""Images whose files somebody has fetched one by one: taken in whole, or nothing of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.errors import InvalidParameter
from daemon.services.image_loader import Delivery, ImageLoader
from daemon.storage.intake import FoundImage
from daemon.storage.oci import digest_of
from daemon.storage.received import ReceivedFiles
from tests.daemon.services.test_image_loader import NOTHING, House, check_whole, house_at, two_images
from tests.daemon.storage.making import BASE, TOP, config_of, docker_archive

pytestmark = pytest.mark.anyio

TAG = "docker.io/library/app:1"
BY_DIGEST = f"docker.io/library/app@{digest_of(b'an index')}"


def delivery_of(house: House, *layers: bytes, config: bytes) -> Delivery:
    files = ReceivedFiles(house.stores.content)
    image = FoundImage(
        config=files.add(config), layers=tuple(files.add(layer) for layer in layers), references=(TAG, BY_DIGEST)
    )
    return Delivery(files, image)


async def test_a_delivery_becomes_an_image_under_its_tag_and_its_digest(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        delivery = delivery_of(house, BASE, TOP, config=config_of(BASE, TOP))
        loaded = await house.loader.ask(ImageLoader.take, delivery)
        assert delivery.is_taken
        check_whole(house, [loaded])
        assert await house.names() == {loaded.image.id: (TAG, BY_DIGEST)}
        assert house.indexed() == {(loaded.image.manifest_digest, TAG)}


async def test_a_delivery_that_is_not_what_it_says_leaves_nothing(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        with pytest.raises(InvalidParameter, match="invalid diffID"):
            await house.loader.ask(ImageLoader.take, delivery_of(house, TOP, BASE, config=config_of(BASE, TOP)))
        assert (await house.names(), house.stored()) == ({}, NOTHING)
        assert house.crashes == []


async def test_a_load_that_fails_leaves_what_is_being_fetched(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        delivery = delivery_of(house, BASE, config=config_of(BASE))
        with pytest.raises(InvalidParameter):
            await house.load(two_images("Bad Name"))
        check_whole(house, [await house.loader.ask(ImageLoader.take, delivery)])


async def test_an_archive_that_claims_a_digest_is_refused(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        with pytest.raises(InvalidParameter, match=r'^invalid tag "docker\.io/library/app@sha256:'):
            await house.load(docker_archive(tags=[BY_DIGEST]))
        assert (await house.names(), house.stored()) == ({}, NOTHING)
