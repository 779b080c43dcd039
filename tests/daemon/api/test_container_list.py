from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import anyio
import anyio.lowlevel
import attrs
import msgspec
import pytest

from actors import Supervisor
from daemon.api.container_list import LIST_FILTERS, matching, whole_names
from daemon.container import ContainerConfig, EndpointSettings, Mount
from daemon.errors import InvalidParameter, NotFound
from daemon.image import Image, Layer
from daemon.services import Services
from daemon.services.image_store import ImageStore
from daemon.services.registrar import Registrar
from daemon.storage.database import Database
from daemon.summary import ContainerSummary

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


TWIN = an_image("5", "l1")
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
    return msgspec.structs.replace(plain, **fields)


WEB = a_summary("a", "web", BASE, labels={"tier": "front", "team": ""})
WEB2 = a_summary("b", "web-2", APP, labels={"tier": "back"}, networks={"backend": EndpointSettings()})
DB = a_summary(
    "c",
    "db",
    OTHER,
    mounts=(
        Mount(type="volume", name="data", source="/var/lib/docker", destination="/var/lib/db"),
        Mount(type="bind", source="/srv", destination="/mnt"),
        Mount(type="tmpfs", destination="/tmp"),
    ),
    networks={"bridge": EndpointSettings(network_id="n1n2")},
)
NIL = a_summary("d", "nil", EMPTY)
ALL = (WEB, WEB2, DB, NIL)


CELLS: list[tuple[dict[str, tuple[str, ...]], tuple[ContainerSummary, ...]]] = [
    ({}, ALL),
    ({"name": ()}, ALL),
    ({"name": ("web",)}, (WEB, WEB2)),
    ({"name": ("/web",)}, (WEB, WEB2)),
    ({"name": ("^web$",)}, (WEB,)),
    ({"name": ("^/web$",)}, (WEB,)),
    ({"name": ("web$", "^d")}, (WEB, DB)),
    ({"name": ("b",)}, (WEB, WEB2, DB)),
    ({"name": ("nobody",)}, ()),
    ({"name": ("(",)}, ()),
    ({"name": ("(", "db")}, (DB,)),
    ({"name": ("(" * 10_000,)}, ()),
    ({"name": ("a{99999999999}",)}, ()),
    ({"id": ("aaa",)}, (WEB,)),
    ({"id": ("bb", "c")}, (WEB2, DB)),
    ({"id": ("^b",)}, ()),  # a prefix, no regular expression
    ({"id": ("",)}, ()),
    ({"id": ()}, ALL),
    ({"id": (DB.id,)}, (DB,)),
    ({"status": ("created",)}, ALL),
    ({"status": ("running",)}, ()),
    ({"status": ("running", "created")}, ALL),
    ({"status": ()}, ALL),
    ({"health": ("none",)}, ALL),
    ({"health": ("healthy",)}, ()),
    ({"health": ("starting", "none")}, ALL),
    ({"exited": ("0",)}, ()),
    ({"exited": ("-1", "137")}, ()),
    ({"exited": ()}, ALL),
    ({"is-task": ("true",)}, ()),
    ({"is-task": ("0",)}, ALL),
    ({"isolation": ("hyperv",)}, ALL),  # of Windows: means nothing here
    ({"publish": ("80",)}, ()),
    ({"expose": ("8000-8010/udp",)}, ()),
    ({"publish": (), "expose": ()}, ALL),
    ({"label": ("tier",)}, (WEB, WEB2)),
    ({"label": ("tier=back",)}, (WEB2,)),
    ({"label": ("team",)}, (WEB,)),
    ({"label": ("team=",)}, (WEB,)),
    ({"label": ("tier=",)}, ()),
    ({"label": ("tier", "team")}, (WEB,)),  # all labels, where of other keys any value will do
    ({"label": ("tier=front", "tier=back")}, ()),
    ({"network": ("backend",)}, (WEB2,)),
    ({"network": ("backend", "bridge")}, ALL),
    ({"network": ("n1",)}, (DB,)),  # the beginning of a network's id
    ({"network": ("1",)}, ()),
    ({"network": ()}, ()),
    ({"volume": ("data",)}, (DB,)),
    ({"volume": ("/tmp",)}, (DB,)),
    ({"volume": ("/srv",)}, (DB,)),  # what is bound has no name but where it comes from
    ({"volume": ("/var/lib/docker",)}, ()),
    ({"volume": ()}, ()),
    ({"volume": ("dat",)}, ()),
    ({"name": ("web",), "label": ("tier=back",), "network": ("backend",)}, (WEB2,)),
    ({"name": ("db",), "network": ("backend",)}, ()),
]


@pytest.mark.parametrize(("filters", "chosen"), CELLS)
async def test_a_container_is_listed_if_every_filter_lets_it_pass(
    filters: dict[str, tuple[str, ...]], chosen: tuple[ContainerSummary, ...]
) -> None:
    assert await matching(ALL, filters, NO_SERVICES) == list(chosen)


async def test_two_whose_ids_begin_alike_are_found_by_neither() -> None:
    twin = msgspec.structs.replace(NIL, id="a" * 63 + "0")
    assert await matching((*ALL, twin), {"id": ("aa",)}, NO_SERVICES) == []
    assert await matching((*ALL, twin), {"id": (twin.id,)}, NO_SERVICES) == [twin]


STATES = "must be one of created, running, paused, restarting, removing, exited, dead"
HEALTHS = "must be one of none, starting, healthy, unhealthy"


@pytest.mark.parametrize(
    ("key", "values", "text"),
    [
        ("status", ("created", "asleep"), f"'status=asleep': invalid value for state (asleep): {STATES}"),
        ("status", ("",), f"'status=': invalid value for state (): {STATES}"),
        ("health", ("well",), f"'health=well': invalid value for health (well): {HEALTHS}"),
        ("exited", ("zero",), "'exited=zero': strconv.Atoi: parsing \"zero\": invalid syntax"),
        ("exited", ("1.0",), "'exited=1.0': strconv.Atoi: parsing \"1.0\": invalid syntax"),
        ("is-task", ("maybe",), "'is-task=[maybe]'"),
        ("is-task", (), "'is-task'"),
    ],
)
async def test_a_value_that_makes_no_sense_is_the_clients_mistake(key: str, values: tuple[str, ...], text: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        await matching((), {key: values}, NO_SERVICES)
    assert str(caught.value) == f"invalid filter {text}"


@pytest.mark.parametrize("key", ["publish", "expose"])
@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("", "empty string specified for ports"),
        ("/tcp", "empty string specified for ports"),
        ("http", 'strconv.ParseUint: parsing "http": invalid syntax'),
        ("-80", 'strconv.ParseUint: parsing "": invalid syntax'),
        ("80-", 'strconv.ParseUint: parsing "": invalid syntax'),
        ("80-http/tcp", 'strconv.ParseUint: parsing "http": invalid syntax'),
        ("65536", 'strconv.ParseUint: parsing "65536": value out of range'),
        ("9" * 5000, f'strconv.ParseUint: parsing "{"9" * 5000}": value out of range'),
        ("81-80", "invalid range specified for port: 81-80"),
    ],
)
async def test_a_port_that_is_none_is_the_clients_mistake(key: str, value: str, complaint: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        await matching((), {key: (value,)}, NO_SERVICES)
    assert str(caught.value) == f"error while looking up for {key} {value}: {complaint}"


@pytest.mark.parametrize(
    "value", ["0", "80", "65535", "080", "80/", "80/tcp", "80/anything", "80-80", "80-90/udp", "1-2-3"]
)
async def test_a_port_or_a_range_of_them_is_one(value: str) -> None:
    assert await matching(ALL, {"publish": (value,)}, NO_SERVICES) == []


async def test_a_port_of_the_host_is_not_asked_for() -> None:
    with pytest.raises(InvalidParameter, match=r"^filter for 'publish' should not contain ':': 80:80$"):
        await matching((), {"publish": ("80:80",)}, NO_SERVICES)


def test_every_filter_of_docker_is_in_the_table_of_this_test() -> None:
    assert {key for filters, _ in CELLS for key in filters} | {"ancestor", "before", "since"} == LIST_FILTERS


async def test_a_long_list_lets_others_have_their_turn() -> None:
    many = [WEB.renamed(f"name-{number}" * 20) for number in range(2000)]
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(count)
        patterns = tuple(f"(x*)*{number}y" for number in range(50))
        assert await matching(many, {"name": patterns}, NO_SERVICES) == []
        tasks.cancel_scope.cancel()
    assert turns > 3


@asynccontextmanager
async def services_at(root: Path) -> AsyncIterator[Services]:
    """With the images and containers of this file; the services that the list does not ask are missing."""
    async with Supervisor("rest_for_one") as supervisor:
        database = await supervisor.start(lambda: Database(root / "db"), name="database")
        images = await supervisor.start(lambda: ImageStore(database), name="images")
        registrar = await supervisor.start(lambda: Registrar(database), name="registrar")
        for image, name in ((BASE, "base"), (TWIN, "twin"), (APP, "app"), (OTHER, "other"), (EMPTY, "empty")):
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
            (("twin",), [WEB2]),  # of the same layers is not built on it
            (("empty",), [NIL]),  # what has no layers is not the base of everything
            (("nothing",), []),
            (("Not A Reference",), []),
            (("nothing", "other"), [DB]),
            ((), []),
        ):
            assert await matching(ALL, {"ancestor": ancestors}, services) == chosen, ancestors


async def test_a_container_is_older_or_younger_than_another(tmp_path: Path) -> None:
    async with services_at(tmp_path) as services:
        for filters, chosen in (
            ({"before": ("db",)}, [WEB, WEB2]),
            ({"before": (WEB.id,)}, []),
            ({"before": ("/db",)}, [WEB, WEB2]),
            ({"since": ("web-2",)}, [DB, NIL]),
            ({"since": ("web",), "before": ("nil",)}, [WEB2, DB]),
            ({"before": ("nil", "web-2")}, [WEB]),
            ({"before": ("db",), "name": ("web",)}, [WEB, WEB2]),  # unlike Moby, though `db` is not in the list
            ({"since": ("web",), "name": ("d",)}, [DB]),
        ):
            assert await matching(ALL, cast("Any", filters), services) == chosen, filters
        for unknown in ("nobody", WEB.id[:12], ""):
            with pytest.raises(NotFound, match=f"^No such container: {unknown}$"):
                await matching(ALL, {"before": (unknown,)}, services)


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        (("^web$",), {"web"}),
        (("^/web$",), {"web"}),
        (("^/?web$", "^a-b_1$"), {"web", "a-b_1"}),
        ((), set()),
        (("web",), set()),
        (("^web",), set()),
        (("^web$", "db"), set()),
        (("^we.$",), set()),
        (("^/web/$",), set()),
        (("^web$\n",), set()),
    ],
)
def test_patterns_that_only_whole_names_fit_are_known(patterns: tuple[str, ...], names: set[str]) -> None:
    assert whole_names(patterns) == names
