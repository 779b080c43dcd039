from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.lowlevel
import attrs
import pytest
import trio
import trio.testing

from actors import ActorCrashed, ChildCrashed, Event, Ref, Supervisor
from daemon.errors import InvalidParameter, System
from daemon.services.layer_manager import LayerManager, do_each
from daemon.services.preparation import BATCH, PAUSE_S
from daemon.storage.recovery import Stores, open_stores
from tests.daemon.storage.making import names_in, put_layer, write
from tests.daemon.storage.records import id_of, layer

LOW, HIGH = layer(b"low").chain_id, layer(b"high").chain_id

READY = BATCH + 1
"""More than one batch."""


@attrs.frozen
class House:
    manager: Ref[LayerManager]
    stores: Stores
    events: list[Event]

    def commit_layer(self, chain_id: str, file: str) -> None:
        put_layer(self.stores.layers, chain_id, lambda target: write(target, file))

    def containers(self) -> list[str]:
        """But for those that are ready."""
        ready = self.stores.containers.ready
        known, found = ready.names(), set(self.stores.containers.names())
        return sorted(found - known - ready.names())  # some may have been begun since

    def upper(self, container_id: str) -> Path:
        return self.stores.containers.path(container_id) / "diff"


@asynccontextmanager
async def house_at(root: Path) -> AsyncIterator[House]:
    stores, events = open_stores(root, ready_trees_max=READY), list[Event]()
    async with Supervisor(on_event=events.append) as supervisor:
        manager = await supervisor.start(lambda: LayerManager(stores.containers, stores.layers), name="layers")
        yield House(manager, stores, events)
    assert stores.leave()
    assert names_in(root / "staging") == []


@pytest.mark.anyio
async def test_a_container_is_made_on_the_layers_of_its_image_lowest_first(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        house.commit_layer(LOW, "srv/app/file")
        house.commit_layer(HIGH, "srv/.wh.none")
        await house.manager.ask(LayerManager.create, id_of(1), (LOW, HIGH), "/srv/app")
        await house.manager.ask(LayerManager.create, id_of(2), (LOW, HIGH), "/srv/new")
        assert house.containers() == [id_of(1), id_of(2)]
        assert names_in(house.upper(id_of(1))) == []
        assert names_in(house.upper(id_of(2)) / "srv") == ["new"]


@pytest.mark.anyio
async def test_the_uppermost_layer_decides(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        house.commit_layer(LOW, "srv/in-a-directory")
        house.commit_layer(HIGH, "srv")
        await house.manager.ask(LayerManager.create, id_of(1), (HIGH, LOW), "/srv")
        with pytest.raises(InvalidParameter, match="/srv is not a directory"):
            await house.manager.ask(LayerManager.create, id_of(2), (LOW, HIGH), "/srv")
        assert house.containers() == [id_of(1)]


@pytest.mark.anyio
async def test_an_image_without_layers_is_enough(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        await house.manager.ask(LayerManager.create, id_of(1), (), "/srv")
        assert names_in(house.upper(id_of(1))) == ["srv"]


@pytest.mark.anyio
async def test_removal_is_harmless_twice_and_for_what_was_never_made(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        await house.manager.ask(LayerManager.create, id_of(1), (), "")
        for container_id in (id_of(1), id_of(1), id_of(2)):
            await house.manager.ask(LayerManager.remove, container_id)
        assert house.containers() == []


@pytest.mark.anyio
async def test_a_create_and_its_removal_are_done_in_the_order_they_were_asked(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        house.manager.tell(LayerManager.create, id_of(1), (), "")
        await house.manager.ask(LayerManager.remove, id_of(1))
        assert house.containers() == []


@pytest.mark.anyio
async def test_many_at_once_are_all_made_and_one_refused_leaves_the_others(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        house.commit_layer(LOW, "etc/passwd")
        refused: list[str] = []

        async def create(number: int) -> None:
            working_dir = "/etc/passwd" if number == 50 else "/srv"
            try:
                await house.manager.ask(LayerManager.create, id_of(number), (LOW,), working_dir)
            except InvalidParameter as error:
                refused.append(str(error))

        async with anyio.create_task_group() as tasks:
            for number in range(100):
                tasks.start_soon(create, number)
        assert house.containers() == [id_of(number) for number in range(100) if number != 50]
        assert len(refused) == 1
        assert str(tmp_path) not in refused[0]
        assert not any(isinstance(event, ChildCrashed) for event in house.events)


@pytest.mark.anyio
async def test_what_is_asked_before_a_stop_is_done(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        for number in range(5):
            house.manager.tell(LayerManager.create, id_of(number), (), "")
    assert {id_of(number) for number in range(5)} < set(names_in(tmp_path / "containers"))


@pytest.mark.anyio
async def test_after_a_defect_it_is_started_again(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        with pytest.raises(ActorCrashed) as crash:
            await house.manager.ask(LayerManager.create, "a\0b", (), "")
        assert isinstance(crash.value.__cause__, ValueError)
        await house.manager.ask(LayerManager.create, id_of(1), (), "")
        assert house.containers() == [id_of(1)]


def test_each_job_is_done_whatever_becomes_of_the_others() -> None:
    done: list[int] = []
    refusal = InvalidParameter("no")

    def refuse() -> None:
        raise refusal

    assert do_each([lambda: done.append(1), refuse, lambda: done.append(2)]) == [None, refusal, None]
    assert done == [1, 2]


def test_a_defect_ends_the_batch() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        do_each([lambda: None, fail])


# Trees made beforehand -----------------------------------------------------------------------------------------------


async def wait_ready(house: House, count: int) -> None:
    with anyio.fail_after(20):
        while len(house.stores.containers.ready) < count:
            await anyio.lowlevel.checkpoint()


@pytest.mark.anyio
async def test_trees_are_made_beforehand_and_again_when_creates_have_taken_them(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        await wait_ready(house, READY)
        assert len(names_in(tmp_path / "containers")) == READY
        taken = house.stores.containers.ready.take()
        assert house.containers() == [taken]
        await wait_ready(house, READY)


@pytest.mark.anyio
async def test_a_container_is_plain_if_a_tree_that_is_ready_is_all_it_needs(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        house.commit_layer(LOW, "srv/app/file")
        assert await house.manager.ask(LayerManager.is_plain, (LOW,), "/srv/app")
        assert not await house.manager.ask(LayerManager.is_plain, (LOW,), "/srv/new")


@pytest.mark.anyio
async def test_for_one_that_needs_more_a_tree_that_is_ready_is_moved(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        await wait_ready(house, READY)
        made = {path.stat().st_ino for path in (tmp_path / "containers").iterdir()}
        await house.manager.ask(LayerManager.create, id_of(1), (), "/srv")
        assert house.stores.containers.path(id_of(1)).stat().st_ino in made
        assert names_in(house.upper(id_of(1))) == ["srv"]


def test_while_creates_come_none_are_made_as_long_as_there_are_some(tmp_path: Path) -> None:
    clock = trio.testing.MockClock()

    async def create_some() -> None:
        async with house_at(tmp_path) as house:
            ready = house.stores.containers.ready

            async def let_pass_until_ready() -> None:
                while len(ready) < READY:
                    clock.jump(PAUSE_S)
                    await anyio.lowlevel.checkpoint()

            await wait_ready(house, READY)
            for number in range(READY):
                assert ready.take() is not None
                if number == 3:
                    clock.jump(PAUSE_S)  # there have been creates since it was looked the last time
                    await trio.testing.wait_all_tasks_blocked()
                    assert len(ready) == READY - 4
            assert ready.take() is None
            await let_pass_until_ready()  # too few are left to wait for a quiet moment
            assert ready.take() is not None
            await let_pass_until_ready()

    trio.run(create_some, clock=clock)


@pytest.mark.anyio
async def test_a_disk_that_refuses_them_does_not_refuse_the_create(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        await wait_ready(house, READY)
        containers = tmp_path / "containers"
        containers.rename(tmp_path / "away")
        taken = house.stores.containers.ready.take()
        assert taken is not None
        with pytest.raises(System, match="cannot make the container's directories"):
            await house.manager.ask(LayerManager.create, id_of(1), (), "")
        (tmp_path / "away").rename(containers)
        await house.manager.ask(LayerManager.create, id_of(2), (), "")  # the time to try again
        await wait_ready(house, READY)
        assert {taken, id_of(2)} <= {*house.containers()}, "another was lost with the directory"
        assert house.events == [event for event in house.events if not isinstance(event, ChildCrashed)]


@pytest.mark.anyio
async def test_what_is_ready_outlives_a_crash_of_whoever_made_it(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        await wait_ready(house, READY)
        made = names_in(tmp_path / "containers")
        with pytest.raises(ActorCrashed):
            await house.manager.ask(LayerManager.create, "a\0b", (), "")
        taken = house.stores.containers.ready.take()
        await house.manager.ask(LayerManager.remove, id_of(1))  # it is up again
        await wait_ready(house, READY)
        assert house.containers() == [taken]
        assert len(set(made).intersection(names_in(tmp_path / "containers"))) == READY
