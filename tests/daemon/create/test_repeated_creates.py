"""A create that is asked for again with its key: one container, whatever happened to the first answer."""

from __future__ import annotations

from collections.abc import Coroutine
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, Self, TypeVar

import anyio
import anyio.lowlevel
import attrs
import pytest
from anyio.abc import TaskGroup
from msgspec.structs import replace

from actors import ActorCrashed, TooManyRestarts
from daemon.container import ContainerConfig, HostConfig
from daemon.create.pipeline import Creator
from daemon.create.request import Created, CreateRequest, Idempotency
from daemon.engine import Engine
from daemon.errors import Conflict, InvalidParameter, NotFound
from daemon.instruments import StepName
from daemon.services.allocator import Allocator
from daemon.services.idempotency import IdempotencyKeys
from daemon.storage.database import Database
from tests.daemon.harness import Faults, Injected, crash, creator_of, engine_at, faulty, state_of

pytestmark = pytest.mark.anyio

R = TypeVar("R")

KEYED = CreateRequest(
    config=ContainerConfig(image="busybox", cmd=("true",)),
    host_config=HostConfig(cpu_percent=50),  # which is worth a warning
    idempotency=Idempotency(key="key", fingerprint="f"),
)
OTHER = replace(KEYED, idempotency=Idempotency(key="key", fingerprint="g"))


def creator_with(engine: Engine, faults: Faults) -> Creator:
    return creator_of(engine, faulty(engine.services, faults))


async def containers_of(engine: Engine) -> list[str]:
    return sorted(row[0] for row in (await state_of(engine)).rows)


async def test_a_second_create_with_the_key_gets_the_first_ones_answer(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        first = await engine.create(KEYED)
        state = await state_of(engine)
        assert first.warnings
        assert await engine.create(KEYED) == first
        assert await state_of(engine) == state
    async with engine_at(tmp_path) as engine:
        assert await engine.create(KEYED) == first
        assert await state_of(engine) == state


async def test_the_key_with_another_request_is_a_conflict(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        first = await engine.create(KEYED)
        with pytest.raises(Conflict) as caught:
            await engine.create(OTHER)
        assert str(caught.value) == (
            f"idempotency key 'key' is in use by container {first.id}, which was created by another request"
        )
        assert await containers_of(engine) == [first.id]


async def test_many_creates_with_one_key_at_once_make_one_container(tmp_path: Path) -> None:
    answers: list[Created] = []
    async with engine_at(tmp_path) as engine:

        async def one() -> None:
            answers.append(await engine.create(KEYED))

        async with anyio.create_task_group() as group:
            for _ in range(32):
                group.start_soon(one)
        assert len(answers) == 32
        assert await containers_of(engine) == sorted({answer.id for answer in answers})
        assert len(set(answers)) == 1


async def test_a_create_that_fails_frees_its_key(tmp_path: Path) -> None:
    missing = replace(KEYED, config=ContainerConfig(image="nosuch", cmd=("true",)))
    async with engine_at(tmp_path) as engine:
        for _ in range(2):
            with pytest.raises(NotFound):
                await engine.create(missing)
        with pytest.raises(InvalidParameter):
            await engine.create(replace(KEYED, name="x"))
        await engine.create(OTHER)


async def test_the_key_is_forgotten_when_the_container_is_removed(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        first = await engine.create(KEYED)
        await engine.remove(first.id)
        second = await engine.create(OTHER)
        assert second.id != first.id
        assert await engine.services.database.ask(Database.kept_keys) != ()
        await engine.remove(second.id)
        assert await engine.services.database.ask(Database.kept_keys) == ()


async def test_a_create_that_fails_at_any_step_hands_its_key_to_the_one_that_waits(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        faults = Faults()
        creator = creator_with(engine, faults)
        await engine.remove((await creator.create(KEYED)).id)
        steps = list(faults.steps)
        answers: list[Created] = []

        async def retry() -> None:
            answers.append(await engine.create(KEYED))

        for number in range(steps.index("keys.claim"), steps.index("database.insert_container")):
            for moment in ("before", "after"):
                async with anyio.create_task_group() as group:

                    def fail(_: str, group: TaskGroup = group) -> None:
                        group.start_soon(retry)
                        raise Injected("planned")

                    faults.plan(number, moment, fail)
                    with pytest.raises(Injected):
                        await creator.create(KEYED)
                assert await containers_of(engine) == [answers[-1].id]
                await engine.remove(answers[-1].id)


async def test_a_client_that_goes_away_before_the_commit_leaves_its_key_to_the_next(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        faults = Faults()
        creator = creator_with(engine, faults)
        await engine.remove((await creator.create(KEYED)).id)
        steps = list(faults.steps)
        commit = steps.index("database.insert_container")
        for number in range(len(steps)):
            for moment in ("before", "after"):
                created = None
                with anyio.CancelScope() as scope:
                    faults.plan(number, moment, lambda _, scope=scope: scope.cancel())  # type: ignore[misc]
                    created = await creator.create(KEYED)
                again = await engine.create(KEYED)
                assert await containers_of(engine) == [again.id]
                assert created is None or created == again
                assert (number < commit) <= (created is None)
                await engine.remove(again.id)


async def test_a_crash_of_the_keys_at_any_step_makes_no_second_container(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        faults = Faults()
        await creator_with(engine, faults).create(KEYED)
        steps = list(faults.steps)
    for number in range(len(steps)):
        async with engine_at(tmp_path) as engine:  # a supervisor has a budget of restarts
            for container_id in await containers_of(engine):
                await engine.remove(container_id)
            faults.plan(number, "after", lambda _: crash(engine.services.keys))
            outcomes: list[Created | Exception] = []

            async def one(creator: Creator, outcomes: list[Created | Exception] = outcomes) -> None:
                try:
                    outcomes.append(await creator.create(KEYED))
                except Exception as error:  # noqa: BLE001 - told below
                    outcomes.append(error)

            async with anyio.create_task_group() as group:
                group.start_soon(one, creator_with(engine, faults))
                group.start_soon(one, creator_with(engine, Faults()))
            made = await containers_of(engine)
            assert len(made) <= 1
            answered = {outcome.id for outcome in outcomes if isinstance(outcome, Created)}
            assert answered <= set(made)
            again = await engine.create(KEYED)
            assert await containers_of(engine) == [again.id]
            assert not answered or answered == {again.id}


async def test_a_create_that_the_database_refuses_as_a_repeated_one_gets_the_first_ones_answer(tmp_path: Path) -> None:
    """The claim that would have made it wait was forgotten in a crash; by name it may collide, too."""
    for request in (KEYED, replace(KEYED, name="web")):
        async with engine_at(tmp_path) as engine:
            for container_id in await containers_of(engine):
                await engine.remove(container_id)
            first = await engine.create(request)
            keys, allocator = engine.services.keys, engine.services.allocator
            await keys.ask(IdempotencyKeys.forget, first.id)
            await allocator.ask(Allocator.release_all, first.id, request.name)
            assert await engine.create(request) == first
            assert await containers_of(engine) == [first.id]


class Held:
    """Keeps a create at one of its steps, until it may go on, or is to fail, or the block ends."""

    def __init__(self, at: StepName) -> None:
        self._at = at
        self.is_there = anyio.Event()
        self.may_go_on = anyio.Event()
        self.error: Exception | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.may_go_on.set()

    async def step(self, name: StepName, work: Coroutine[Any, Any, R], /) -> R:
        try:
            if name == self._at:
                self.is_there.set()
                await self.may_go_on.wait()
                if self.error is not None:
                    raise self.error
        except BaseException:
            work.close()  # it has not begun
            raise
        return await work


async def crash_keys(engine: Engine) -> None:
    """The claims are forgotten; whoever asks from now on asks the next incarnation."""
    crash(engine.services.keys)
    with suppress(ActorCrashed):
        await engine.services.keys.ask(IdempotencyKeys.forget, "")
    await engine.services.keys.ask(IdempotencyKeys.forget, "")


@pytest.mark.parametrize(
    ("fate", "at"),
    [("done", "layer"), ("done", "commit"), ("failed", "commit"), ("failed", "volumes"), ("called off", "layer")],
)
async def test_who_asks_again_for_a_name_after_a_crash_of_the_keys_waits_for_the_create_that_has_it(
    fate: str, at: StepName, tmp_path: Path
) -> None:
    named = replace(KEYED, name="web", config=ContainerConfig(image="busybox", cmd=("true",), volumes=("/full",)))
    first: list[Created] = []
    again: list[Created] = []
    async with engine_at(tmp_path) as engine, anyio.create_task_group() as group:
        scope = anyio.CancelScope()

        async def create(into: list[Created], creator: Creator) -> None:
            with scope if into is first else nullcontext(), suppress(Injected):
                into.append(await creator.create(named))

        with Held(at) as held:
            creator = attrs.evolve(creator_with(engine, Faults()), step=held.step)
            group.start_soon(create, first, creator)
            await held.is_there.wait()
            await crash_keys(engine)
            faults = Faults()
            for _ in range(2):
                group.start_soon(create, again, creator_with(engine, faults))
            while "allocator.reserve_in_turn" not in faults.steps or faults.steps.count("keys.claim") < 2:
                await anyio.lowlevel.checkpoint()
            await engine.services.allocator.ask(Allocator.release, "nobody")  # it has come to those before this one
            assert again == []
            if fate == "called off":
                scope.cancel()
            held.error = Injected("planned") if fate == "failed" else None
        while len(again) < 2 or (fate == "done" and not first):
            await anyio.lowlevel.checkpoint()
        assert again[0] == again[1]
        assert first == ([again[0]] if fate == "done" else [])
        assert await containers_of(engine) == [again[0].id]


async def test_who_waits_for_a_name_that_another_create_gets_is_told_that_it_is_taken(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine, anyio.create_task_group() as group:
        faults = Faults()

        async def be_refused() -> None:
            with pytest.raises(Conflict, match='"/web" is already in use by container'):
                await creator_with(engine, faults).create(replace(KEYED, name="web"))

        with Held("commit") as held:
            creator = attrs.evolve(creator_with(engine, Faults()), step=held.step)
            group.start_soon(creator.create, replace(KEYED, name="web", idempotency=None))
            await held.is_there.wait()
            group.start_soon(be_refused)
            while "allocator.reserve_in_turn" not in faults.steps:
                await anyio.lowlevel.checkpoint()


async def test_a_key_is_durable_with_its_container_or_not_at_all(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        faults = Faults()
        await engine.remove((await creator_with(engine, faults).create(KEYED)).id)
        commit = faults.steps.index("database.insert_container")
    for moment in ("before", "after"):
        with pytest.raises(TooManyRestarts, match="'database'"):
            async with engine_at(tmp_path) as engine:
                faults.plan(commit, moment, lambda _: crash(engine.services.database))
                await creator_with(engine, faults).create(KEYED)
                await anyio.sleep_forever()
        async with engine_at(tmp_path) as engine:
            committed = await containers_of(engine)
            again = await engine.create(KEYED)
            assert await containers_of(engine) == [again.id]
            assert committed in ([], [again.id])
            await engine.remove(again.id)
