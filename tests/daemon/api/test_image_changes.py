"""The endpoints of images that are there, asked as a client asks them, with a real engine behind."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
from msgspec.structs import replace

from daemon.api.image_changes import pruned_by
from daemon.api.routes import Router
from daemon.api.views import image_history_view
from daemon.container import ContainerConfig
from daemon.errors import InvalidParameter
from daemon.image import History, Layer
from daemon.services.image_store import NamedImage
from tests.daemon.api.test_routes import Asker
from tests.daemon.harness import engine_at
from tests.daemon.storage.records import image, layer

pytestmark = pytest.mark.anyio


@attrs.frozen
class Client:
    _asker: Asker

    async def call(self, method: str, target: str) -> tuple[int, Any]:
        response = await self._asker.ask(method, target)
        assert isinstance(response.body, bytes)
        return response.status, json.loads(response.body) if response.body else None

    async def archive(self, target: str) -> list[str]:
        response = await self._asker.ask("GET", target)
        assert not isinstance(response.body, bytes), response.body
        content = b"".join([piece async for piece in response.body])
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            return tar.getnames()


@asynccontextmanager
async def client_at(root: Path) -> AsyncIterator[Client]:
    async with engine_at(root) as engine:
        yield Client(Asker(Router(engine)))


@pytest.mark.parametrize(
    ("target", "answer"),
    [
        ("busybox/tag?repo=me/mine&tag=v1", (201, None)),
        ("busybox/tag?repo=me/mine", (201, None)),
        ("busybox/tag?repo=me/mine:old&tag=v1", (201, None)),
        ("none/tag?repo=x", (404, "No such image: none:latest")),
        ("busybox/tag?repo=Bad", (400, "invalid reference format: repository name (library/Bad) must be lowercase")),
        ("busybox/tag?repo=x&tag=!", (400, "invalid reference format")),
        ("busybox/tag", (400, "invalid reference format")),
        (f"busybox/tag?repo=x@sha256:{'0' * 64}", (400, "cannot import digest reference")),
        (
            "busybox/tag?repo=sha256",
            (400, "refusing to create an ambiguous tag using digest algorithm as name"),
        ),
    ],
)
async def test_a_tag_is_given_or_refused_in_mobys_words(
    tmp_path: Path, target: str, answer: tuple[int, str | None]
) -> None:
    async with client_at(tmp_path) as client:
        status, body = await client.call("POST", f"/images/{target}")
        assert (status, body and body["message"]) == answer


async def test_a_removal_says_what_has_gone(tmp_path: Path) -> None:
    async with client_at(tmp_path) as client:
        _, shown = await client.call("GET", "/images/busybox/json")
        await client.call("POST", "/images/busybox/tag?repo=other")
        assert await client.call("DELETE", "/images/busybox") == (200, [{"Untagged": "busybox:latest"}])
        assert await client.call("DELETE", "/images/other?noprune=1") == (
            200,
            [{"Untagged": "other:latest"}, {"Deleted": shown["Id"]}, {"Deleted": shown["RootFS"]["Layers"][0]}],
        )


async def test_a_removal_of_nothing_is_refused(tmp_path: Path) -> None:
    async with client_at(tmp_path) as client:
        assert await client.call("DELETE", "/images/%20") == (400, {"message": "image name cannot be blank"})


async def test_a_prune_says_what_has_gone_and_how_much(tmp_path: Path) -> None:
    async with client_at(tmp_path) as client:
        assert await client.call("POST", "/images/prune") == (200, {"ImagesDeleted": None, "SpaceReclaimed": 0})
        filters = json.dumps({"dangling": ["false"]})
        status, body = await client.call("POST", f"/images/prune?filters={filters}")
        assert (status, len(body["ImagesDeleted"]), body["SpaceReclaimed"]) == (200, 3, 10)
        filters = json.dumps({"reference": ["x"]})
        assert await client.call("POST", f"/images/prune?filters={filters}") == (
            400,
            {"message": "invalid filter 'reference'"},
        )


async def test_images_are_saved_by_one_name_or_several(tmp_path: Path) -> None:
    async with client_at(tmp_path) as client:
        await client.call("POST", "/images/busybox/tag?repo=other")
        assert "manifest.json" in await client.archive("/images/busybox/get")
        assert "manifest.json" in await client.archive("/images/get?names=busybox&names=other:latest")
        status, _ = await client.call("GET", "/images/get")
        assert status == 400


def named(labels: dict[str, str] | None = None, created: str = "2026-01-01T00:00:00Z") -> NamedImage:
    return NamedImage(replace(image(), config=ContainerConfig(labels=labels), created=created), ())


DAY_NS = 86_400 * 10**9
NEW_YEAR_NS = 1_767_225_600 * 10**9


@pytest.mark.parametrize(
    ("filters", "is_wanted"),
    [
        ({}, True),
        ({"label": ("k",)}, True),
        ({"label": ("k=v",)}, True),
        ({"label": ("k=w",)}, False),
        ({"label": ("k", "other")}, False),
        ({"label!": ("k",)}, False),
        ({"label!": ("other",)}, True),
        ({"until": ("24h",)}, True),
        ({"until": ("72h",)}, False),
        ({"until": ("2026-01-01T00:00:00Z",)}, True),
    ],
)
def test_a_prune_takes_what_the_filters_let_pass(filters: dict[str, tuple[str, ...]], is_wanted: bool) -> None:
    assert pruned_by(filters, NEW_YEAR_NS + 2 * DAY_NS)(named({"k": "v"})) is is_wanted


def test_an_image_that_does_not_say_when_it_was_made_is_not_pruned_by_time() -> None:
    assert not pruned_by({"until": ("1h",)}, NEW_YEAR_NS)(named(created=""))


def test_there_is_one_time_to_prune_until() -> None:
    with pytest.raises(InvalidParameter, match="more than one until filter specified"):
        pruned_by({"until": ("1h", "2h")}, 0)


def test_history_is_newest_first_with_the_size_of_each_layer() -> None:
    layers: tuple[Layer, ...] = (layer(b"x"), layer(b"yyy"))
    history = (
        History(created="2026-01-01T00:00:00Z", created_by="ADD", comment="c"),
        History(created_by="ENV", is_empty_layer=True),
        History(created="2026-01-02T00:00:00Z", created_by="RUN"),
    )
    shown = replace(image(b"image", *layers), history=history)
    view = image_history_view((NamedImage(shown, ("docker.io/library/a:1",)),))
    assert view == [
        {
            "Id": shown.id,
            "Created": 1_767_312_000,
            "CreatedBy": "RUN",
            "Tags": ["a:1"],
            "Size": 3,
            "Comment": "",
        },
        {"Id": "<missing>", "Created": 0, "CreatedBy": "ENV", "Tags": None, "Size": 0, "Comment": ""},
        {
            "Id": "<missing>",
            "Created": 1_767_225_600,
            "CreatedBy": "ADD",
            "Tags": None,
            "Size": 1,
            "Comment": "c",
        },
    ]
    assert image_history_view((NamedImage(image(), ()),)) == []


def test_history_has_the_ids_and_names_of_the_images_that_it_was_committed_on() -> None:
    base = replace(image(b"base"), history=(History(), History()))
    shown = replace(image(b"image"), history=(*base.history, History()), parent_id=base.id)
    view = image_history_view((NamedImage(shown, ()), NamedImage(base, ("docker.io/library/a:1",))))
    assert [(item["Id"], item["Tags"]) for item in view] == [
        (shown.id, None),
        (base.id, ["a:1"]),
        ("<missing>", None),
    ]
