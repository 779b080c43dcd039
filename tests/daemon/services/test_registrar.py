from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import msgspec
import pytest
from anyio import wait_all_tasks_blocked
from hypothesis import given, settings
from hypothesis import strategies as st

from actors import Ref, Supervisor
from daemon.container import Container, ContainerConfig, HostConfig, Link
from daemon.errors import Conflict, InvalidParameter, NotFound
from daemon.services.claims import Claim
from daemon.services.registrar import ContainerIndex, Registrar, RemovalWatch
from daemon.storage.database import Database
from daemon.summary import ContainerSummary, summary_of
from tests.daemon.harness import crash


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
    index.add(DB.renamed("web"))
    index.discard(WEB.id)
    assert index.find("web").id == DB.id


def test_a_renamed_container_is_found_by_its_new_name_only() -> None:
    index = ContainerIndex([WEB, DB])
    index.rename(WEB.id, "site")
    assert index.find("site") == WEB.renamed("site")
    with pytest.raises(NotFound):
        index.find("web")
    index.rename("0" * 64, "nobody")
    assert len(index) == 2


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


@asynccontextmanager
async def a_registrar(root: Path, *containers: Container) -> AsyncIterator[Ref[Registrar]]:
    async with Supervisor("rest_for_one") as supervisor:
        database = await supervisor.start(lambda: Database(root / "db"), name="database")
        for one in containers:
            await database.ask(Database.insert_container, one)
        yield await supervisor.start(lambda: Registrar(database), name="registrar")


@pytest.mark.anyio
async def test_the_actor_begins_with_what_is_durable(tmp_path: Path) -> None:
    async with a_registrar(tmp_path, container(WEB.id, "web")) as registrar:
        assert await registrar.ask(Registrar.list) == (WEB,)
        await registrar.ask(Registrar.register, DB)
        await registrar.ask(Registrar.rename, DB.id, "store")
        assert (await registrar.ask(Registrar.find, "store")).id == DB.id
        await registrar.ask(Registrar.remove, DB.id)
        with pytest.raises(NotFound, match="No such container: store"):
            await registrar.ask(Registrar.find, "store")


@pytest.mark.anyio
async def test_a_claim_waits_its_turn_and_gets_the_container_as_it_is_then(tmp_path: Path) -> None:
    async with a_registrar(tmp_path, container(WEB.id, "web")) as registrar, anyio.create_task_group() as tasks:
        first, second = Claim("renaming"), Claim("update")
        assert await registrar.ask(Registrar.claim, "web", first) == WEB
        granted: list[ContainerSummary] = []

        async def wait() -> None:
            granted.append(await registrar.ask(Registrar.claim, "web", second))

        tasks.start_soon(wait)
        await wait_all_tasks_blocked()
        assert granted == []
        await registrar.ask(Registrar.rename, WEB.id, "site")
        await registrar.ask(Registrar.release, first)
        await wait_all_tasks_blocked()
        assert granted == [WEB.renamed("site")]


@pytest.mark.anyio
async def test_a_claim_whose_asker_went_away_is_given_back_without_a_turn(tmp_path: Path) -> None:
    async with a_registrar(tmp_path, container(WEB.id, "web")) as registrar:
        first, second, third = Claim("update"), Claim("update"), Claim("update")
        await registrar.ask(Registrar.claim, "web", first)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(registrar.ask, Registrar.claim, "web", second)
            await wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        await registrar.ask(Registrar.release, second)
        await registrar.ask(Registrar.release, first)
        assert await registrar.ask(Registrar.claim, "web", third) == WEB


@pytest.mark.anyio
async def test_one_prune_at_a_time(tmp_path: Path) -> None:
    async with a_registrar(tmp_path) as registrar:
        first, second = Claim("pruning"), Claim("pruning")
        await registrar.ask(Registrar.claim_pruning, first)
        with pytest.raises(Conflict, match=r"^a prune operation is already running$"):
            await registrar.ask(Registrar.claim_pruning, second)
        await registrar.ask(Registrar.release, second)  # which it never had
        with pytest.raises(Conflict):
            await registrar.ask(Registrar.claim_pruning, second)
        await registrar.ask(Registrar.release, first)
        await registrar.ask(Registrar.claim_pruning, second)


@pytest.mark.anyio
async def test_a_removal_is_told_when_all_of_it_is_done(tmp_path: Path) -> None:
    async with a_registrar(tmp_path, container(WEB.id, "web")) as registrar, anyio.create_task_group() as tasks:
        watch, claim, news = RemovalWatch(), Claim("removal"), list[str]()
        assert await registrar.ask(Registrar.watch_removal, WEB.id, watch)

        async def wait() -> None:
            await watch.wait()
            news.append("gone")

        tasks.start_soon(wait)
        await registrar.ask(Registrar.claim, "web", claim)
        await registrar.ask(Registrar.remove, WEB.id)
        assert await registrar.ask(Registrar.watch_removal, WEB.id, RemovalWatch())  # not quite gone
        await wait_all_tasks_blocked()
        assert news == []
        await registrar.ask(Registrar.release, claim)
        await wait_all_tasks_blocked()
        assert news == ["gone"]
        assert not await registrar.ask(Registrar.watch_removal, WEB.id, RemovalWatch())


@pytest.mark.anyio
async def test_a_change_that_removes_nothing_is_no_news_for_who_waits_for_a_removal(tmp_path: Path) -> None:
    async with a_registrar(tmp_path, container(WEB.id, "web")) as registrar:
        watch, claim = RemovalWatch(), Claim("removal")
        await registrar.ask(Registrar.watch_removal, WEB.id, watch)
        await registrar.ask(Registrar.claim, "web", claim)
        await registrar.ask(Registrar.release, claim)  # the disk was full
        with anyio.move_on_after(0.01) as scope:
            await watch.wait()
        assert scope.cancelled_caught


@pytest.mark.anyio
async def test_who_waits_for_a_removal_is_woken_when_the_registrar_restarts(tmp_path: Path) -> None:
    async with a_registrar(tmp_path, container(WEB.id, "web")) as registrar:
        watch = RemovalWatch()
        await registrar.ask(Registrar.watch_removal, WEB.id, watch)
        crash(registrar)
        await watch.wait()
        assert await registrar.ask(Registrar.watch_removal, WEB.id, RemovalWatch())


def test_containers_are_found_by_their_own_names_only() -> None:
    linking = msgspec.structs.replace(WEB, links=(Link("../shared", DB.id),))
    index = ContainerIndex([linking, DB])
    assert index.find("shared").id == DB.id
    assert index.named(frozenset({"web", "shared", "nobody"})) == (linking,)
