"""Names by which containers know each other: in one table with the names of containers, and gone with either end."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.container import ContainerConfig, HostConfig, Link, link_name
from daemon.create.changes import Changer
from daemon.create.request import CreateRequest
from daemon.engine import Engine
from daemon.errors import Conflict, InvalidParameter, NotFound
from daemon.services.allocator import Allocator, NameIndex
from daemon.services.registrar import Registrar
from daemon.storage.database import Database
from tests.daemon.harness import Faults, Injected, crash, creator_of, engine_at, faulty, state_of

pytestmark = pytest.mark.anyio

A, B, C = ("a" * 64, "b" * 64, "c" * 64)


@pytest.mark.parametrize(
    ("name", "alias", "full"),
    [
        ("web", "db", "web/db"),
        ("web", "", "web"),
        ("web", "../db", "db"),
        ("web", "a//b/", "web/a/b"),
        ("web", "..", ""),
    ],
)
def test_the_name_of_a_link_is_below_that_of_its_container(name: str, alias: str, full: str) -> None:
    assert link_name(name, alias) == full


def test_the_names_of_links_are_the_linked_containers_and_the_first_is_kept() -> None:
    names = NameIndex([(A, "web"), (B, "db")])
    links = (Link("x", B), Link("x", C), Link("", B), Link("../other", B))
    assert names.reserve_links(A, "web", links) == (Link("x", B), Link("../other", B))
    assert (names.holder("web/x"), names.holder("other"), names.holder("web")) == (B, B, A)
    assert names.release_links(A, "web") == (Link("x", B), Link("../other", B))
    assert len(names) == 2


def test_a_link_does_not_take_over_the_own_name_of_its_container() -> None:
    names = NameIndex([(A, "web"), (B, "db")])
    assert names.reserve_links(A, "web", (Link("../db", B), Link("x", B), Link("x", B))) == (Link("x", B),)
    assert names.reserve_links(A, "web", (Link("x", B),)) == (Link("x", B),)  # said again after the commit
    names.release_all(A, "web")
    assert (names.holder("db"), names.holder("web/x")) == (B, None)


@pytest.mark.parametrize(("gone", "name", "left"), [(A, "web", {"db": B}), (B, "db", {"web": A})])
def test_the_names_of_links_are_free_when_either_end_is_gone(gone: str, name: str, left: dict[str, str]) -> None:
    names = NameIndex([(A, "web"), (B, "db")])
    names.reserve_links(A, "web", (Link("x", B),))
    names.release_all(gone, name)
    names.release_all(gone, name)
    assert {held: names.holder(held) for held in ("web", "db", "web/x") if names.holder(held)} == left


def request_for(name: str, *links: str) -> CreateRequest:
    return CreateRequest(
        name=name, config=ContainerConfig(image="busybox", cmd=("true",)), host_config=HostConfig(links=links)
    )


async def holder_of(engine: Engine, name: str) -> str | None:
    """Who has a name, found out by asking for it."""
    try:
        await engine.services.allocator.ask(Allocator.reserve, "f" * 64, name, lambda: None)
    except Conflict as error:
        return str(error).partition('by container "')[2][:64]
    await engine.services.allocator.ask(Allocator.release, "f" * 64)
    return None


async def test_a_link_reserves_its_name_until_its_container_is_removed(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        db = await engine.create(request_for("db"))
        web = await engine.create(request_for("web", "db:../shared"))
        container = await engine.services.database.ask(Database.container, web.id)
        assert container is not None
        assert container.links == (Link("../shared", db.id),)
        assert await holder_of(engine, "shared") == db.id
        with pytest.raises(Conflict, match=f'"/shared" is already in use by container "{db.id}"'):
            await engine.create(request_for("shared"))
        await engine.remove("web")
        assert await holder_of(engine, "shared") is None
        assert await holder_of(engine, "db") == db.id


async def test_links_are_known_after_a_restart_and_move_with_a_rename(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        db = await engine.create(request_for("db"))
        await engine.create(request_for("web", "db:../shared", "db:data"))
    async with engine_at(tmp_path) as engine:
        assert await holder_of(engine, "shared") == db.id
        await engine.rename("web", "web2")
        assert await holder_of(engine, "shared") == db.id
        await engine.remove("db")
        assert await holder_of(engine, "shared") is None
        await engine.remove("web2")
    async with engine_at(tmp_path) as engine:
        assert await holder_of(engine, "shared") is None


async def test_a_create_with_links_that_fails_or_meets_a_crash_at_any_step_leaves_no_name(tmp_path: Path) -> None:
    def fail(_: str) -> None:
        raise Injected("planned")

    async with engine_at(tmp_path) as engine:
        await engine.create(request_for("db"))
        faults = Faults()
        creator = creator_of(engine, faulty(engine.services, faults))
        await creator.create(request_for("rehearsal", "db:../rehearsed"))
        steps = faults.steps
        assert "allocator.reserve_links" in steps
        for number in range(steps.index("database.insert_container")):
            for moment in ("before", "after"):
                before = await state_of(engine)
                faults.plan(number, moment, fail)
                with pytest.raises(Injected):
                    await creator.create(request_for("web", "db:../shared"))
                assert await state_of(engine) == before
                assert [await holder_of(engine, name) for name in ("web", "shared")] == [None, None]
        # Restarted before the commit, the allocator has forgotten the names; it is told again after it.
        faults.plan(steps.index("layers.create"), "after", lambda _: crash(engine.services.allocator))
        await creator.create(request_for("web", "db:../shared"))
        assert await holder_of(engine, "shared") is not None


async def listed_names(engine: Engine) -> dict[str, tuple[str, ...]]:
    return {summary.name: summary.linked_as for summary in await engine.services.registrar.ask(Registrar.list)}


async def found(engine: Engine, name: str) -> str | None:
    try:
        return (await engine.services.registrar.ask(Registrar.find, name)).id
    except NotFound:
        return None


async def test_a_container_is_found_and_listed_by_the_names_of_links_to_it(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        db = await engine.create(request_for("db"))
        await engine.create(request_for("web", "db:data", "db"))
        await engine.create(request_for("app", "web/data:store"))  # a link by such a name is one to the container
        assert [await found(engine, name) for name in ("web/data", "/web/db", "app/store")] == [db.id] * 3
        await engine.rename("web", "site")
        assert [await found(engine, name) for name in ("web/data", "site/data")] == [None, db.id]
        await engine.rename("db", "db2")  # which names of links have nothing to do with
    async with engine_at(tmp_path) as engine:
        expected = {"site": (), "app": (), "db2": ("app/store", "site/data", "site/db")}
        assert await listed_names(engine) == expected
        await engine.remove("site")
        assert await listed_names(engine) == {"app": (), "db2": ("app/store",)}
        assert await found(engine, "site/data") is None
        await engine.remove("app/store")  # without `--link` it is the container that goes
        assert await listed_names(engine) == {"app": ()}


async def test_a_removed_link_is_gone_for_good_and_its_name_is_free(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        db = await engine.create(request_for("db"))
        web = await engine.create(request_for("web", "db:../shared", "db:data"))
        await engine.remove_link("/shared")
        with pytest.raises(NotFound):
            await engine.remove_link("shared")
        assert await holder_of(engine, "shared") is None
        assert await found(engine, "web/data") == db.id
        container = await engine.services.database.ask(Database.container, web.id)
        assert container is not None
        assert container.links == (Link("data", db.id),)
        shared = await engine.create(request_for("shared"))
    async with engine_at(tmp_path) as engine:
        assert await listed_names(engine) == {"db": ("web/data",), "web": (), "shared": ()}
        assert await found(engine, "shared") == shared.id
        await engine.remove_link("web/data")
        for name in ("web", "db", web.id, db.id[:12]):
            with pytest.raises(Conflict, match=r"^Conflict, cannot remove the default link name of the container$"):
                await engine.remove_link(name)
        assert await listed_names(engine) == {"db": (), "web": (), "shared": ()}


async def test_a_link_is_removed_whole_or_not_at_all_whatever_fails(tmp_path: Path) -> None:
    def fail(_: str) -> None:
        raise Injected("planned")

    async with engine_at(tmp_path) as engine:
        db = await engine.create(request_for("db"))
        await engine.create(request_for("web", "db:../rehearsed", "db:../shared"))
        faults = Faults()
        changer = Changer(
            services=faulty(engine.services, faults),
            host=engine.host,
            config=engine.config,
            now_ns=engine.now_ns,
            note_residue=engine._note_residue,
        )
        await changer.remove_link("rehearsed")
        steps = faults.steps
        for number in range(steps.index("database.update_container") + 1):
            faults.plan(number, "before", fail)
            with pytest.raises(Injected):
                await changer.remove_link("shared")
            assert (await holder_of(engine, "shared"), await found(engine, "shared")) == (db.id, db.id)
        # After the commit crashes do not count: what is in the database is what there is.
        faults.plan(steps.index("database.update_container"), "after", lambda _: crash(engine.services.allocator))
        await changer.remove_link("shared")
        assert await found(engine, "shared") is None
        assert await listed_names(engine) == {"db": (), "web": ()}


@pytest.mark.parametrize(
    ("link", "text"),
    [
        ("nobody:x", "could not get container for nobody: No such container: nobody"),
        ("a:b:c", "bad format for links: a:b:c"),
        ("", "empty string specified for links"),
    ],
)
async def test_a_bad_link_is_a_bad_request_and_leaves_nothing(link: str, text: str, tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        before = await state_of(engine)
        with pytest.raises(InvalidParameter) as caught:
            await engine.create(request_for("web", link))
        assert str(caught.value) == text
        assert await state_of(engine) == before
        assert await holder_of(engine, "web") is None
