from __future__ import annotations

from pathlib import Path

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors import Supervisor
from daemon.container import Container, ContainerConfig, ContainerSummary, HostConfig, summary_of
from daemon.errors import Conflict, InvalidParameter, NotFound
from daemon.services.registrar import ContainerIndex, Registrar
from daemon.storage.database import Database


def container(container_id: str, name: str) -> Container:
    return Container(
        id=container_id,
        name=name,
        created_ns=1,
        path="sh",
        args=(),
        config=ContainerConfig(),
        host_config=HostConfig(),
        image_id="",
    )


def summary(container_id: str, name: str) -> ContainerSummary:
    return summary_of(container(container_id, name))


WEB = summary("abc1" + "0" * 60, "web")
DB = summary("abc2" + "0" * 60, "db")
SLY = summary("f" * 64, "abc1")
"""Its name is a prefix of another's id."""
ODD = summary("e" * 64, WEB.id)
"""Its name is another's whole id."""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (WEB.id, WEB),
        ("web", WEB),
        ("/web", WEB),
        ("abc2", DB),
        ("abc20", DB),
        ("abc1", SLY),  # a name beats a prefix
        ("/abc1", SLY),
        ("abc10", WEB),
        ("f", SLY),
        (ODD.name, WEB),  # a whole id beats a name
        ("e", ODD),
    ],
)
def test_a_container_is_found_by_whole_id_then_name_then_prefix(text: str, expected: ContainerSummary) -> None:
    assert ContainerIndex([WEB, DB, SLY, ODD]).find(text) == expected


@pytest.mark.parametrize(
    ("text", "error", "complaint"),
    [
        ("", InvalidParameter, 'invalid name or ID supplied: ""'),
        ("abc", InvalidParameter, "multiple IDs found with provided prefix: abc"),
        ("abd", NotFound, "No such container: abd"),
        ("/", NotFound, "No such container: /"),
        ("//web", NotFound, "No such container: //web"),
        ("WEB", NotFound, "No such container: WEB"),
        (WEB.id + "0", NotFound, f"No such container: {WEB.id}0"),
    ],
)
def test_what_is_not_found_or_ambiguous_is_said(text: str, error: type[Exception], complaint: str) -> None:
    with pytest.raises(error) as caught:
        ContainerIndex([WEB, DB]).find(text)
    assert str(caught.value) == complaint


def test_a_container_is_added_and_discarded_harmlessly_twice() -> None:
    index = ContainerIndex()
    for _ in range(2):
        index.add(WEB)
        assert index.all() == (WEB,)
    for _ in range(2):
        index.discard(WEB.id)
        assert (index.all(), len(index)) == ((), 0)
    with pytest.raises(NotFound):
        index.find("web")


def test_to_discard_a_container_leaves_its_name_to_the_one_that_has_it_now() -> None:
    index = ContainerIndex([WEB])
    index.add(attrs.evolve(DB, name="web"))
    index.discard(WEB.id)
    assert index.find("web").id == DB.id


def test_a_renamed_container_is_found_by_its_new_name_only() -> None:
    index = ContainerIndex([WEB, DB])
    index.rename(WEB.id, "site")
    assert index.find("site") == attrs.evolve(WEB, name="site")
    with pytest.raises(NotFound):
        index.find("web")
    index.rename("0" * 64, "nobody")
    assert len(index) == 2


def test_one_change_at_a_time() -> None:
    index = ContainerIndex([WEB, DB])
    assert index.begin_change("web", "removal") == WEB
    with pytest.raises(Conflict) as caught:
        index.begin_change("abc1", "renaming")
    assert str(caught.value) == "removal of container abc1 is already in progress"
    index.begin_change("db", "removal")
    index.end_change(WEB.id)
    index.end_change(WEB.id)
    assert index.begin_change("/web", "renaming") == WEB


def test_a_removed_container_is_under_no_change() -> None:
    index = ContainerIndex([WEB])
    index.begin_change("web", "removal")
    index.discard(WEB.id)
    index.add(WEB)
    assert index.begin_change("web", "removal") == WEB


def test_containers_are_listed_oldest_first() -> None:
    index = ContainerIndex([DB])
    index.add(SLY)
    index.add(WEB)
    assert index.all() == (DB, SLY, WEB)


@given(st.sets(st.text("01", min_size=4, max_size=4), max_size=8), st.text("01", min_size=1, max_size=4))
@settings(derandomize=True)
def test_a_prefix_finds_what_a_search_through_all_would(ids: set[str], prefix: str) -> None:
    index = ContainerIndex(summary(container_id, f"name-{container_id}") for container_id in sorted(ids))
    matches = [container_id for container_id in ids if container_id.startswith(prefix)]
    if len(matches) == 1:
        assert index.find(prefix).id == matches[0]
    else:
        with pytest.raises(InvalidParameter if matches else NotFound):
            index.find(prefix)


@pytest.mark.anyio
async def test_the_actor_begins_with_what_is_durable(tmp_path: Path) -> None:
    async with Supervisor("rest_for_one") as supervisor:
        database = await supervisor.start(lambda: Database(tmp_path / "db"), name="database")
        await database.ask(Database.insert_container, container(WEB.id, "web"))
        registrar = await supervisor.start(lambda: Registrar(database), name="registrar")
        assert await registrar.ask(Registrar.list) == (WEB,)
        await registrar.ask(Registrar.register, DB)
        await registrar.ask(Registrar.rename, DB.id, "store")
        assert (await registrar.ask(Registrar.begin_change, "store", "removal")).id == DB.id
        await registrar.ask(Registrar.end_change, DB.id)
        assert (await registrar.ask(Registrar.find, "store")).id == DB.id
        await registrar.ask(Registrar.remove, DB.id)
        with pytest.raises(NotFound, match="No such container: store"):
            await registrar.ask(Registrar.find, "store")
