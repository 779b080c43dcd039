from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from actors import Ref, Supervisor
from daemon.container import HostConfig, Link
from daemon.create.links import parse_link, resolve_links
from daemon.errors import InvalidParameter
from daemon.services.registrar import Registrar
from daemon.storage.database import Database
from daemon.summary import ContainerSummary

ON_HOST = "conflicting options: host type networking can't be used with links. This would result in undefined behavior"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("db", ("db", "db")),
        ("db:data", ("db", "data")),
        ("db:", ("db", "")),
        ("/db:/web/data", ("db", "data")),
        ("/db:data", ("db", "data")),
        ("/db", ("/db", "/db")),
    ],
)
def test_a_link_is_a_container_and_perhaps_another_name_for_it(text: str, expected: tuple[str, str]) -> None:
    assert parse_link(text) == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "empty string specified for links"),
        ("a:b:c", "bad format for links: a:b:c"),
        (":::", "bad format for links: :::"),
    ],
)
def test_what_is_no_link_is_the_clients_mistake(text: str, complaint: str) -> None:
    # Unlike Moby, where it is a 500.
    with pytest.raises(InvalidParameter) as caught:
        parse_link(text)
    assert str(caught.value) == complaint


A, B, C, D = (letter * 64 for letter in "abcd")


def a_container(container_id: str, name: str, network_mode: str) -> ContainerSummary:
    empty: dict[str, Any] = {"created_ns": 1, "image": "", "image_id": "", "path": "sh", "args": (), "mounts": ()}
    return ContainerSummary(
        id=container_id, name=name, labels={}, network_mode=network_mode, annotations=None, networks={}, **empty
    )


@asynccontextmanager
async def registrar_with(root: Path, *containers: ContainerSummary) -> AsyncIterator[Ref[Registrar]]:
    async with Supervisor("rest_for_one") as supervisor:
        database = await supervisor.start(lambda: Database(root / "db"), name="database")
        registrar = await supervisor.start(lambda: Registrar(database), name="registrar")
        for container in containers:
            await registrar.ask(Registrar.register, container)
        yield registrar


OTHERS = (
    a_container(A, "db", "bridge"),
    a_container(B, "sidecar", f"container:{A}"),
    a_container(C, "on-host", "host"),
    a_container(D, "round", f"container:{D}"),
)


def on(mode: str, *links: str) -> HostConfig:
    return HostConfig(network_mode=mode, links=links)


@pytest.mark.anyio
async def test_a_link_is_to_the_container_whose_network_it_is(tmp_path: Path) -> None:
    async with registrar_with(tmp_path, *OTHERS) as registrar:
        links = await resolve_links(registrar, on("bridge", "db:data", f"{A[:12]}:x", "sidecar"))
        assert links == (Link("data", A), Link("x", A), Link("sidecar", A))
        assert await resolve_links(registrar, HostConfig(network_mode="bridge")) == ()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("link", "text"),
    [
        ("nobody:x", "could not get container for nobody: No such container: nobody"),
        ("on-host", ON_HOST),
        ("round", f"could not get container for {D}: its network is shared in a circle"),
    ],
)
async def test_a_link_to_no_container_with_a_network_of_its_own_is_refused(
    link: str, text: str, tmp_path: Path
) -> None:
    async with registrar_with(tmp_path, *OTHERS) as registrar:
        with pytest.raises(InvalidParameter) as caught:
            await resolve_links(registrar, on("bridge", "db", link))
        assert str(caught.value) == text
        assert await resolve_links(registrar, on("backend", link)) == ()  # on a user's network they are not looked at
