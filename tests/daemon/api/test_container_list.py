from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import attrs
import pytest

from actors import Supervisor
from daemon.api.container_list import LIST_FILTERS, matching
from daemon.container import ContainerConfig, ContainerSummary, EndpointSettings, Mount
from daemon.errors import InvalidParameter, NotFound, NotImplementedHere
from daemon.image import Image, Layer
from daemon.services import Services
from daemon.services.image_store import ImageStore
from daemon.services.registrar import Registrar
from daemon.storage.database import Database

pytestmark = pytest.mark.anyio

NO_SERVICES = cast("Services", None)
"""For filters that look at the summaries alone."""


def an_image(digit: str, *chain: str) -> Image:
    layers = tuple(
        Layer(digest="", media_type="", blob_bytes=0, diff_id="", chain_id=chain_id, unpacked_bytes=0)
        for chain_id in chain
    )
    return Image(
        id=f"sha256:{digit * 64}",
        manifest_digest=f"sha256:{digit * 63}0",
        manifest_bytes=0,
        created="",
        architecture="amd64",
        os="linux",
        config=ContainerConfig(),
        layers=layers,
    )


BASE, APP, OTHER, EMPTY = an_image("1", "l1"), an_image("2", "l1", "l2"), an_image("3", "l3"), an_image("4")


def a_summary(digit: str, name: str, image: Image, **fields: Any) -> ContainerSummary:
    plain = ContainerSummary(
        id=digit * 64,
        name=name,
        created_ns=int(digit, 16),
        image="",
        image_id=image.id,
        path="sh",
        args=(),
        labels={},
        network_mode="bridge",
        annotations=None,
        networks={"bridge": EndpointSettings()},
        mounts=(),
    )
    return attrs.evolve(plain, **fields)


WEB = a_summary("a", "web", BASE, labels={"tier": "front", "team": ""})
WEB2 = a_summary("b", "web-2", APP, labels={"tier": "back"}, networks={"backend": EndpointSettings()})
DB = a_summary(
    "c",
    "db",
    OTHER,
    mounts=(Mount(type="volume", name="data", destination="/var/lib/db"), Mount(type="tmpfs", destination="/tmp")),
)
NIL = a_summary("d", "nil", EMPTY)
ALL = (WEB, WEB2, DB, NIL)


@pytest.mark.parametrize(
    ("filters", "chosen"),
    [
        ({}, ALL),
        ({"name": ()}, ALL),
        ({"name": ("web",)}, (WEB, WEB2)),
        ({"name": ("/web",)}, (WEB, WEB2)),
        ({"name": ("^web$",)}, (WEB,)),
        ({"name": ("^/web$",)}, (WEB,)),
        ({"name": ("web$", "^d")}, (WEB, DB)),
        ({"name": ("b",)}, (WEB, WEB2, DB)),
        ({"name": ("nobody",)}, ()),
        ({"name": ("(",)}, ()),  # no regular expression: as it stands
        ({"name": ("(" * 10_000,)}, ()),
        ({"name": ("a{99999999999}",)}, ()),
        ({"id": ("aaa",)}, (WEB,)),
        ({"id": ("^b", "c")}, (WEB2, DB)),
        ({"id": (DB.id,)}, (DB,)),
        ({"status": ("created",)}, ALL),
        ({"status": ("running",)}, ()),
        ({"status": ("running", "created")}, ALL),
        ({"label": ("tier",)}, (WEB, WEB2)),
        ({"label": ("tier=back",)}, (WEB2,)),
        ({"label": ("team",)}, (WEB,)),
        ({"label": ("team=",)}, (WEB,)),
        ({"label": ("tier=",)}, ()),
        ({"label": ("tier", "team")}, (WEB,)),  # all labels, where of other keys any value will do
        ({"label": ("tier=front", "tier=back")}, ()),
        ({"network": ("backend",)}, (WEB2,)),
        ({"network": ("backend", "bridge")}, ALL),
        ({"volume": ("data",)}, (DB,)),
        ({"volume": ("/tmp",)}, (DB,)),
        ({"volume": ("dat",)}, ()),
        ({"name": ("web",), "label": ("tier=back",), "network": ("backend",)}, (WEB2,)),
        ({"name": ("db",), "network": ("backend",)}, ()),
    ],
)
async def test_a_container_is_listed_if_every_filter_lets_it_pass(
    filters: dict[str, tuple[str, ...]], chosen: tuple[ContainerSummary, ...]
) -> None:
    assert await matching(ALL, filters, NO_SERVICES) == list(chosen)


async def test_a_status_that_there_is_not_is_the_clients_mistake() -> None:
    with pytest.raises(InvalidParameter) as caught:
        await matching(ALL, {"status": ("created", "asleep")}, NO_SERVICES)
    assert str(caught.value) == "Unrecognised filter value for status: asleep"


async def test_every_filter_of_docker_is_carried_out_or_said_to_be_missing() -> None:
    done = {"ancestor", "before", "id", "label", "name", "network", "since", "status", "volume"}
    for key in LIST_FILTERS - done:
        with pytest.raises(NotImplementedHere, match=f"the filter '{key}' is not supported yet"):
            await matching(ALL, {key: ("x",)}, NO_SERVICES)


@asynccontextmanager
async def services_at(root: Path) -> AsyncIterator[Services]:
    """With the images and containers of this file; the services that the list does not ask are missing."""
    async with Supervisor("rest_for_one") as supervisor:
        database = await supervisor.start(lambda: Database(root / "db"), name="database")
        images = await supervisor.start(lambda: ImageStore(database), name="images")
        registrar = await supervisor.start(lambda: Registrar(database), name="registrar")
        for image, name in ((BASE, "base"), (APP, "app"), (OTHER, "other"), (EMPTY, "empty")):
            await images.ask(ImageStore.add, image, (f"docker.io/library/{name}:latest",))
        for summary in ALL:
            await registrar.ask(Registrar.register, summary)
        refs: dict[str, Any] = dict.fromkeys(field.name for field in attrs.fields(Services))
        yield Services(**{**refs, "database": database, "images": images, "registrar": registrar})


async def test_a_container_descends_from_its_image_and_from_those_that_is_built_on(tmp_path: Path) -> None:
    async with services_at(tmp_path) as services:
        for ancestors, chosen in (
            (("base",), [WEB, WEB2]),
            (("app",), [WEB2]),
            (("app:latest", "other"), [WEB2, DB]),
            ((BASE.id,), [WEB, WEB2]),
            (("3333",), [DB]),
            (("empty",), [NIL]),  # what has no layers is not the base of everything
            (("nothing",), []),
            (("Not A Reference",), []),
            (("nothing", "other"), [DB]),
        ):
            assert await matching(ALL, {"ancestor": ancestors}, services) == chosen, ancestors


async def test_a_container_is_older_or_younger_than_another(tmp_path: Path) -> None:
    async with services_at(tmp_path) as services:
        for filters, chosen in (
            ({"before": ("db",)}, [WEB, WEB2]),
            ({"before": (WEB.id[:5],)}, []),
            ({"since": ("web-2",)}, [DB, NIL]),
            ({"since": ("web",), "before": ("nil",)}, [WEB2, DB]),
            ({"before": ("nil", "web-2")}, [WEB]),
        ):
            assert await matching(ALL, cast("Any", filters), services) == chosen, filters
        with pytest.raises(NotFound, match="No such container: nobody"):
            await matching(ALL, {"before": ("nobody",)}, services)
