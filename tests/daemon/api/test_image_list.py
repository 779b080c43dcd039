from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest

from actors import Supervisor
from daemon.api.filters import Filters
from daemon.api.image_list import LIST_FILTERS, created_of, matching_images, shared_bytes
from daemon.container import ContainerConfig
from daemon.errors import InvalidParameter, NotFound
from daemon.image import Image, Layer
from daemon.services import Services
from daemon.services.image_store import ImageStore, NamedImage
from daemon.storage.database import Database

pytestmark = pytest.mark.anyio

NOW_NS = 1_700_000_000 * 10**9


def an_image(digit: str, created: str, *layers: tuple[str, int], **labels: str) -> Image:
    return Image(
        id=f"sha256:{digit * 64}",
        manifest_digest=f"sha256:{digit * 63}0",
        manifest_bytes=0,
        created=created,
        architecture="amd64",
        os="linux",
        config=ContainerConfig(labels=labels or None),
        layers=tuple(
            Layer(digest="", media_type="", blob_bytes=0, diff_id="", chain_id=chain_id, unpacked_bytes=size)
            for chain_id, size in layers
        ),
    )


OLD = NamedImage(an_image("1", "2023-01-01T00:00:00Z", ("l1", 10)), ("docker.io/library/busybox:1.36",))
NEW = NamedImage(
    an_image("2", "2023-06-01T00:00:00.5Z", ("l1", 10), ("l2", 5), tier="front", team=""),
    ("docker.io/me/app:v1", "docker.io/me/app:v2", "quay.io/me/app:v1"),
)
LOST = NamedImage(an_image("3", "2023-09-01T00:00:00Z", ("l3", 7)), ())
PINNED = NamedImage(an_image("4", "2023-10-01T00:00:00Z"), (f"docker.io/library/redis@sha256:{'4' * 63}0",))
TIMELESS = NamedImage(an_image("5", ""), ("docker.io/library/scratch:latest",))
ALL = (OLD, NEW, LOST, PINNED, TIMELESS)


@asynccontextmanager
async def services_at(root: Path) -> AsyncIterator[Services]:
    async with Supervisor("rest_for_one") as supervisor:
        database = await supervisor.start(lambda: Database(root / "db"), name="database")
        images = await supervisor.start(lambda: ImageStore(database), name="images")
        for named in ALL:
            await images.ask(ImageStore.add, named.image, named.references)
        refs: dict[str, Any] = dict.fromkeys(field.name for field in attrs.fields(Services))
        yield Services(**{**refs, "database": database, "images": images})


def showing(named: NamedImage, *references: str) -> NamedImage:
    return NamedImage(named.image, references)


CELLS: list[tuple[Filters, list[NamedImage]]] = [
    ({}, list(ALL)),
    ({"dangling": ("true",)}, [LOST, PINNED]),
    ({"dangling": ("false",)}, [OLD, NEW, PINNED, TIMELESS]),
    ({"dangling": ("1",)}, [LOST, PINNED]),
    ({"label": ("tier",)}, [NEW]),
    ({"label": ("tier=front", "team=")}, [NEW]),
    ({"label": ("tier=back",)}, []),
    ({"before": ("me/app:v1",)}, [OLD]),
    ({"before": ("3333",)}, [OLD, NEW]),
    ({"before": ("3333", "me/app:v2")}, [OLD]),  # before all of them
    ({"since": ("busybox:1.36",)}, [NEW, LOST, PINNED]),
    ({"since": ("busybox:1.36", "3333")}, [PINNED]),
    ({"since": ("busybox:1.36",), "before": (PINNED.image.id,)}, [NEW, LOST]),
    ({"since": ("scratch",)}, list(ALL)),  # it says no time, so nothing is before or after it
    ({"until": ("2023-06-01T00:00:00.5Z",)}, [OLD]),
    ({"until": ("2023-06-01T00:00:00.500000001Z",)}, [OLD, NEW]),
    ({"until": ("1690000000",)}, [OLD, NEW]),
    ({"until": ("1m",)}, [OLD, NEW, LOST, PINNED]),
    ({"until": ("1m", "1690000000")}, [OLD, NEW]),
    ({"reference": ("busybox",)}, [OLD]),
    ({"reference": ("busybox:1.*",)}, [OLD]),
    ({"reference": ("busy",)}, []),
    ({"reference": ("*",)}, [OLD, PINNED, TIMELESS]),  # a star does not stand for a slash
    ({"reference": ("me/*",)}, [showing(NEW, "docker.io/me/app:v1", "docker.io/me/app:v2")]),
    ({"reference": ("*/*:v1",)}, [showing(NEW, "docker.io/me/app:v1")]),
    ({"reference": ("quay.io/me/app", "*/*:v2")}, [showing(NEW, "docker.io/me/app:v2", "quay.io/me/app:v1")]),
    ({"reference": ("redis",)}, [PINNED]),
    ({"reference": ("b[a-z]sybox",)}, [OLD]),
    ({"reference": ("docker.io/library/busybox",)}, []),  # names are those that people write
    ({"reference": ()}, []),
    ({"reference": ("*",), "dangling": ("true",)}, [PINNED]),
]


@pytest.mark.parametrize(("filters", "expected"), CELLS)
async def test_an_image_is_listed_if_every_filter_lets_it_pass(
    filters: Filters, expected: list[NamedImage], tmp_path: Path
) -> None:
    async with services_at(tmp_path) as services:
        assert await matching_images(ALL, filters, services, NOW_NS, with_parents=False) == expected


@pytest.mark.parametrize(
    ("references", "filters", "with_parents", "is_shown"),
    [
        ((), {}, False, False),
        ((), {}, True, True),
        ((), {"dangling": ("true",)}, True, False),
        (("docker.io/library/a:1",), {}, False, True),
    ],
)
async def test_what_others_were_committed_on_is_shown_by_its_name_or_with_all(
    references: tuple[str, ...], filters: Filters, with_parents: bool, is_shown: bool, tmp_path: Path
) -> None:
    named = NamedImage(LOST.image, references, has_children=True)
    async with services_at(tmp_path) as services:
        shown = await matching_images((named,), filters, services, NOW_NS, with_parents=with_parents)
    assert shown == [named] * is_shown


def test_every_filter_of_docker_is_in_the_table() -> None:
    assert {key for filters, _ in CELLS for key in filters} == LIST_FILTERS


@pytest.mark.parametrize(
    ("filters", "kind", "text"),
    [
        ({"before": ("nosuch",)}, NotFound, "No such image: nosuch:latest"),
        (
            {"since": ("UP",)},
            InvalidParameter,
            "invalid reference format: repository name (library/UP) must be lowercase",
        ),
        ({"until": ("yesterday",)}, InvalidParameter, 'failed to parse value as time or duration: "yesterday"'),
        ({"dangling": ("maybe",)}, InvalidParameter, "invalid filter 'dangling=[maybe]'"),
        ({"dangling": ()}, InvalidParameter, "invalid filter 'dangling'"),
        ({"reference": ("[",)}, InvalidParameter, "syntax error in pattern"),
    ],
)
async def test_a_value_that_makes_no_sense_is_the_clients_mistake(
    filters: Filters, kind: type[Exception], text: str, tmp_path: Path
) -> None:
    async with services_at(tmp_path) as services:
        with pytest.raises(kind) as caught:
            await matching_images(ALL, filters, services, NOW_NS, with_parents=False)
        assert str(caught.value) == text


def test_an_image_shares_the_layers_that_others_have() -> None:
    sizes = {named.image.id[7]: shared for named in ALL for shared in [shared_bytes(ALL)[named.image.id]]}
    assert sizes == {"1": 10, "2": 10, "3": 0, "4": 0, "5": 0}


@pytest.mark.parametrize(
    ("created", "expected"), [("", None), ("yesterday", None), ("1970-01-01T00:00:00.000000001Z", 1)]
)
def test_the_time_of_an_image_is_known_if_it_says_one(created: str, expected: int | None) -> None:
    assert created_of(an_image("1", created)) == expected
