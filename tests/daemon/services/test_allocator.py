from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from random import Random

import attrs
import pytest
from anyio import create_task_group, wait_all_tasks_blocked
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from actors import Ref, Supervisor
from daemon.container import Container, ContainerConfig, HostConfig, new_container_id
from daemon.errors import Conflict, DaemonError, InvalidParameter
from daemon.services.allocator import Allocator, NameIndex
from daemon.services.names import candidate_names
from daemon.storage.database import Database

A, B, C = ("a" * 64, "b" * 64, "c" * 64)


def in_use(name: str, holder: str) -> str:
    return (
        f'Conflict. The container name "/{name}" is already in use by container "{holder}". '
        "You have to remove (or rename) that container to be able to reuse that name."
    )


def test_a_name_is_reserved_once_and_again_by_its_holder_only() -> None:
    names = NameIndex([(A, "web")])
    names.reserve(A, "web")
    with pytest.raises(Conflict) as caught:
        names.reserve(B, "web")
    assert str(caught.value) == in_use("web", A)
    assert names.holder("web") == A


def test_a_name_is_released_by_its_holder_only_and_harmlessly_twice() -> None:
    names = NameIndex([(A, "web")])
    names.release(B, "web")
    assert names.holder("web") == A
    names.release(A, "web")
    names.release(A, "web")
    assert names.holder("web") is None
    names.reserve(B, "web")
    names.release(A, "web")
    assert names.holder("web") == B


def test_the_first_free_candidate_is_taken() -> None:
    names = NameIndex([(A, "one"), (B, "two")])
    assert names.reserve_any(C, ["one", "two", "three", "four"]) == "three"
    assert (names.holder("three"), names.holder("four")) == (C, None)


def test_where_no_candidate_is_free_nothing_is_taken() -> None:
    names = NameIndex([(A, "one"), (B, "two")])
    with pytest.raises(Conflict, match="no free name was found"):
        names.reserve_any(C, ["one", "two"])
    assert len(names) == 2


NAMES = st.sampled_from(["web", "db", "cache"])
IDS = st.sampled_from([A, B, C])


class NamesAndAModel(RuleBasedStateMachine):
    """The index against a dictionary of its own: name -> id."""

    def __init__(self) -> None:
        super().__init__()
        self.names = NameIndex()
        self.model: dict[str, str] = {}

    @rule(container_id=IDS, name=NAMES)
    def reserve(self, container_id: str, name: str) -> None:
        if self.model.get(name, container_id) == container_id:
            self.names.reserve(container_id, name)
            self.model[name] = container_id
        else:
            with pytest.raises(Conflict, match=self.model[name]):
                self.names.reserve(container_id, name)

    @rule(container_id=IDS, candidates=st.lists(NAMES, max_size=3))
    def reserve_any(self, container_id: str, candidates: list[str]) -> None:
        free = [name for name in candidates if self.model.get(name, container_id) == container_id]
        if free:
            assert self.names.reserve_any(container_id, candidates) == free[0]
            self.model[free[0]] = container_id
        else:
            with pytest.raises(Conflict):
                self.names.reserve_any(container_id, candidates)

    @rule(container_id=IDS, name=NAMES)
    def release(self, container_id: str, name: str) -> None:
        self.names.release(container_id, name)
        if self.model.get(name) == container_id:
            del self.model[name]

    @invariant()
    def they_agree(self) -> None:
        assert len(self.names) == len(self.model)
        assert {name: self.names.holder(name) for name in self.model} == self.model


NamesAndAModel.TestCase.settings = settings(derandomize=True, max_examples=50, stateful_step_count=20)
test_the_index_of_names_behaves_as_a_dictionary = NamesAndAModel.TestCase


# The actor ---------------------------------------------------------------------------------------------------------------


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


@attrs.define
class Called:
    """A create that can be called off, and counts how often it was."""

    times: int = 0

    def off(self) -> None:
        self.times += 1


@asynccontextmanager
async def allocator_at(root: Path, *existing: Container) -> AsyncIterator[Ref[Allocator]]:
    async with Supervisor("rest_for_one") as supervisor:
        database = await supervisor.start(lambda: Database(root / "db"), name="database")
        for each in existing:
            await database.ask(Database.insert_container, each)
        containers = partial(database.ask, Database.summaries)
        yield await supervisor.start(lambda: Allocator(containers, Random(1)), name="allocator")


def keep(_: object = None) -> None:
    """A create that nobody calls off."""


@pytest.mark.anyio
async def test_a_name_of_an_existing_container_is_taken(tmp_path: Path) -> None:
    async with allocator_at(tmp_path, container(A, "web")) as allocator:
        with pytest.raises(Conflict) as caught:
            await allocator.ask(Allocator.reserve, B, "/web", keep)
        assert str(caught.value) == in_use("web", A)


@pytest.mark.anyio
async def test_a_name_is_checked_before_it_is_taken(tmp_path: Path) -> None:
    async with allocator_at(tmp_path) as allocator:
        with pytest.raises(InvalidParameter, match="Invalid container name"):
            await allocator.ask(Allocator.reserve, A, "/", keep)


@pytest.mark.anyio
async def test_of_ten_thousand_generated_names_no_two_are_the_same(tmp_path: Path) -> None:
    names: list[str] = []
    async with allocator_at(tmp_path) as allocator, create_task_group() as group:

        async def client() -> None:
            for _ in range(100):
                names.append(await allocator.ask(Allocator.reserve, new_container_id(), "", keep))

        for _ in range(100):
            group.start_soon(client)
    assert len(names) == len(set(names)) == 10_000


@pytest.mark.anyio
async def test_a_container_without_a_name_gets_the_next_candidate_that_is_free(tmp_path: Path) -> None:
    first, second, *_ = candidate_names(A, Random(1))
    async with allocator_at(tmp_path, container(B, first)) as allocator:
        assert await allocator.ask(Allocator.reserve, A, "", keep) == second


@pytest.mark.anyio
async def test_the_name_of_a_failed_create_is_free_again(tmp_path: Path) -> None:
    async with allocator_at(tmp_path) as allocator:
        assert await allocator.ask(Allocator.reserve, A, "/web", keep) == "web"
        await allocator.ask(Allocator.release, A)
        await allocator.ask(Allocator.release, A)
        assert await allocator.ask(Allocator.reserve, B, "web", keep) == "web"
        await allocator.ask(Allocator.release, A)
        with pytest.raises(Conflict):
            await allocator.ask(Allocator.reserve, C, "web", keep)


@pytest.mark.anyio
async def test_the_name_of_a_container_that_was_kept_is_not_released_with_its_create(tmp_path: Path) -> None:
    async with allocator_at(tmp_path) as allocator:
        await allocator.ask(Allocator.reserve, A, "web", keep)
        await allocator.ask(Allocator.keep, A, "web")
        await allocator.ask(Allocator.release, A)
        with pytest.raises(Conflict):
            await allocator.ask(Allocator.reserve, B, "web", keep)
        await allocator.ask(Allocator.release_name, A, "web")
        assert await allocator.ask(Allocator.reserve, B, "web", keep) == "web"


@pytest.mark.anyio
async def test_a_name_is_kept_even_if_its_reservation_has_been_forgotten(tmp_path: Path) -> None:
    # As after a restart of the actor between the reservation and the commit.
    async with allocator_at(tmp_path) as allocator:
        await allocator.ask(Allocator.keep, A, "web")
        with pytest.raises(Conflict) as caught:
            await allocator.ask(Allocator.reserve, B, "web", keep)
        assert str(caught.value) == in_use("web", A)


@pytest.mark.anyio
async def test_a_new_name_is_held_even_if_its_reservation_has_been_forgotten(tmp_path: Path) -> None:
    # As after a restart of the actor while a container is being renamed.
    async with allocator_at(tmp_path, container(A, "web")) as allocator:
        await allocator.ask(Allocator.rename, A, "web", "site")
        await allocator.ask(Allocator.release_name, A, "web")
        with pytest.raises(Conflict) as caught:
            await allocator.ask(Allocator.reserve, B, "site", keep)
        assert str(caught.value) == in_use("site", A)


@pytest.mark.anyio
async def test_a_durable_container_has_its_name_whoever_has_reserved_it_since_it_was_forgotten(tmp_path: Path) -> None:
    async with allocator_at(tmp_path) as allocator:
        await allocator.ask(Allocator.reserve, B, "web", keep)
        await allocator.ask(Allocator.keep, A, "web")
        await allocator.ask(Allocator.release, B)
        with pytest.raises(Conflict) as caught:
            await allocator.ask(Allocator.reserve, B, "web", keep)
        assert str(caught.value) == in_use("web", A)


@pytest.mark.anyio
async def test_a_renamed_container_holds_both_names_until_the_old_one_is_released(tmp_path: Path) -> None:
    async with allocator_at(tmp_path, container(A, "web")) as allocator:
        assert await allocator.ask(Allocator.reserve_new_name, A, "/site") == "site"
        for name in ("web", "site"):
            with pytest.raises(Conflict):
                await allocator.ask(Allocator.reserve, B, name, keep)
        await allocator.ask(Allocator.release_name, A, "web")
        assert await allocator.ask(Allocator.reserve, B, "web", keep) == "web"


@pytest.mark.anyio
@pytest.mark.parametrize("named", ["web", "/web", A])
@pytest.mark.parametrize(("is_released", "answer"), [(True, True), (False, False)])
async def test_who_calls_a_create_off_is_told_how_it_ended(
    tmp_path: Path, named: str, is_released: bool, answer: bool
) -> None:
    creation, answers = Called(), list[bool]()
    async with allocator_at(tmp_path) as allocator, create_task_group() as group:
        await allocator.ask(Allocator.reserve, A, "web", creation.off)

        async def call_off() -> None:
            answers.append(await allocator.ask(Allocator.call_off, named))

        group.start_soon(call_off)
        await wait_all_tasks_blocked()
        assert (creation.times, answers) == (1, [])
        if is_released:
            await allocator.ask(Allocator.release, A)
        else:  # it was through already
            await allocator.ask(Allocator.keep, A, "web")
        await wait_all_tasks_blocked()
        assert answers == [answer]


@pytest.mark.anyio
@pytest.mark.parametrize("named", ["web", A, "nothing", ""])
async def test_only_a_create_on_its_way_can_be_called_off(tmp_path: Path, named: str) -> None:
    async with allocator_at(tmp_path, container(A, "web")) as allocator:
        assert not await allocator.ask(Allocator.call_off, named)


async def in_turn(allocator: Ref[Allocator], container_id: str, told: list[str]) -> None:
    """Note who has got the name, or why not."""
    try:
        told.append(f"{container_id[0]}: {await allocator.ask(Allocator.reserve_in_turn, container_id, '/web', keep)}")
    except DaemonError as error:
        told.append(f"{container_id[0]}: {error}")


@pytest.mark.anyio
async def test_who_waits_for_a_name_gets_it_in_turn_where_creates_before_fail(tmp_path: Path) -> None:
    told: list[str] = []
    async with allocator_at(tmp_path) as allocator, create_task_group() as group:
        await allocator.ask(Allocator.reserve, A, "web", keep)
        for each in (B, C):
            group.start_soon(in_turn, allocator, each, told)
            await wait_all_tasks_blocked()
        assert told == []
        await allocator.ask(Allocator.release, A)
        await wait_all_tasks_blocked()
        assert told == ["b: web"]
        with pytest.raises(Conflict, match=B):
            await allocator.ask(Allocator.reserve, A, "web", keep)
        await allocator.ask(Allocator.keep, B, "web")
        await wait_all_tasks_blocked()
        assert told == ["b: web", f"c: {in_use('web', B)}"]


@pytest.mark.anyio
async def test_who_has_given_up_waiting_for_a_name_does_not_get_it(tmp_path: Path) -> None:
    told: list[str] = []
    async with allocator_at(tmp_path) as allocator, create_task_group() as group:
        await allocator.ask(Allocator.reserve, A, "web", keep)
        for each in (B, C):
            group.start_soon(in_turn, allocator, each, told)
            await wait_all_tasks_blocked()
        await allocator.ask(Allocator.release, B)
        await allocator.ask(Allocator.release, A)
        await wait_all_tasks_blocked()
        assert told == ["b: the request has been called off", "c: web"]


@pytest.mark.anyio
async def test_a_name_is_had_at_once_in_turn_if_it_is_free_and_not_at_all_if_it_is_a_containers(tmp_path: Path) -> None:
    told: list[str] = []
    async with allocator_at(tmp_path) as allocator:
        await in_turn(allocator, A, told)
        await allocator.ask(Allocator.keep, A, "web")
        await in_turn(allocator, B, told)
        with pytest.raises(InvalidParameter, match="Invalid container name"):
            await allocator.ask(Allocator.reserve_in_turn, C, "/", keep)
        assert told == ["a: web", f"b: {in_use('web', A)}"]
