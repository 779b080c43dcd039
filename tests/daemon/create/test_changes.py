"""Remove, rename, update and prune: each step failed, each cancelled, and all of them racing for one container."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import anyio
import pytest
from anyio import wait_all_tasks_blocked
from msgspec.structs import replace

from actors import ActorCrashed
from daemon.container import ContainerConfig, HostConfig, RestartPolicy
from daemon.create.changes import Changer
from daemon.create.request import CreateRequest, Pruned
from daemon.engine import Engine
from daemon.errors import Conflict, DaemonError, InvalidParameter, NotFound
from daemon.services.claims import Claim
from daemon.services.event_bus import EventBus, new_subscription
from daemon.services.registrar import Registrar, RemovalWatch
from daemon.storage.database import Database
from tests.daemon.harness import Faults, Injected, crash, engine_at, faulty, state_of

pytestmark = pytest.mark.anyio

MIB = 1 << 20
LIMITS = HostConfig(cpu_shares=7)


def request_for(name: str, **labels: str) -> CreateRequest:
    """With an anonymous volume, so that a removal has all its steps."""
    config = ContainerConfig(image="busybox", cmd=("true",), volumes=("/full",), labels=labels)
    return CreateRequest(name=name, config=config)


def changer_with(engine: Engine, faults: Faults) -> Changer:
    services = faulty(engine.services, faults)
    return Changer(
        services=services,
        host=engine.host,
        config=engine.config,
        now_ns=engine.now_ns,
        note_residue=engine._note_residue,
    )


Change = Callable[[Changer, str], Awaitable[object]]
CHANGES: dict[str, Change] = {
    "remove": lambda changer, name: changer.remove(name, with_volumes=True),
    "rename": lambda changer, name: changer.rename(name, f"{name}-2"),
    "update": lambda changer, name: changer.update(name, LIMITS),
}


async def actions(engine: Engine) -> list[str]:
    kept = await engine.services.events.ask(EventBus.subscribe, new_subscription())
    return [event.action for event in kept if event.type == "container"]


async def shares_of(engine: Engine, container_id: str) -> int:
    container = await engine.services.database.ask(Database.container, container_id)
    assert container is not None
    return container.host_config.cpu_shares


async def is_free(engine: Engine, container_id: str) -> bool:
    """Whether nobody has left a claim on it, which would hold up every later change for ever."""
    claim = Claim("update")
    with anyio.move_on_after(5):
        await engine.services.registrar.ask(Registrar.claim, container_id, claim)
        await engine.services.registrar.ask(Registrar.release, claim)
        return True
    return False


async def steps_of(engine: Engine, change: Change) -> list[str]:
    await engine.create(request_for("rehearsal"))
    faults = Faults()
    await change(changer_with(engine, faults), "rehearsal")
    return faults.steps


async def check_all_or_nothing(engine: Engine, verb: str, container_id: str, name: str) -> None:
    """The change is done as a whole or not at all, and the next one can be made."""
    rows = dict((await state_of(engine)).rows)
    visible = {summary.id: summary.name for summary in await engine.services.registrar.ask(Registrar.list)}
    assert visible == rows
    if container_id in rows:
        assert rows[container_id] in ({name, f"{name}-2"} if verb == "rename" else {name})
        assert await is_free(engine, container_id)
        await engine.remove(container_id, with_volumes=True)
    for free in (name, f"{name}-2"):
        created = await engine.create(request_for(free))
        await engine.remove(created.id, with_volumes=True)


COMMITS = {
    "remove": "database.delete_container",
    "rename": "database.rename_container",
    "update": "database.update_container",
}


@pytest.mark.parametrize("verb", CHANGES)
async def test_a_change_that_fails_before_its_commit_changes_nothing(verb: str, tmp_path: Path) -> None:
    def fail(step: str) -> None:
        raise Injected(step)

    async with engine_at(tmp_path) as engine:
        steps = await steps_of(engine, CHANGES[verb])
        commit = steps.index(COMMITS[verb])
        moments = [(number, moment) for number in range(commit) for moment in ("before", "after")]
        for number, moment in [*moments, (commit, "before")]:
            name = f"name-{number}-{moment}"
            created = await engine.create(request_for(name))
            before, faults = await state_of(engine), Faults()
            faults.plan(number, moment, fail)
            with pytest.raises(DaemonError, match=steps[number]):
                await CHANGES[verb](changer_with(engine, faults), name)
            assert await state_of(engine) == before
            await check_all_or_nothing(engine, verb, created.id, name)


@pytest.mark.parametrize("verb", CHANGES)
async def test_after_the_commit_a_service_that_crashes_on_the_message_is_asked_again(verb: str, tmp_path: Path) -> None:
    def crash_on_it(step: str) -> None:
        raise ActorCrashed(*step.split("."))

    async with engine_at(tmp_path) as engine:
        steps = await steps_of(engine, CHANGES[verb])
        for number in range(steps.index(COMMITS[verb]) + 1, len(steps)):
            for moment in ("before", "after"):
                name, faults = f"name-{number}-{moment}", Faults()
                created = await engine.create(request_for(name))
                faults.plan(number, moment, crash_on_it)
                await CHANGES[verb](changer_with(engine, faults), name)
                await check_all_or_nothing(engine, verb, created.id, name)


@pytest.mark.parametrize("verb", CHANGES)
async def test_a_change_survives_the_crash_of_the_registrar_at_any_step_or_changes_nothing(
    verb: str, tmp_path: Path
) -> None:
    async with engine_at(tmp_path) as engine:
        steps = await steps_of(engine, CHANGES[verb])
    for number in range(len(steps)):
        async with engine_at(tmp_path) as engine:  # a supervisor has a budget of restarts
            name, faults = f"name-{number}", Faults()
            created = await engine.create(request_for(name))
            registrar = engine.services.registrar
            faults.plan(number, "before", lambda _, ref=registrar: crash(ref))  # type: ignore[misc]
            with contextlib.suppress(ActorCrashed):
                await CHANGES[verb](changer_with(engine, faults), name)
            await check_all_or_nothing(engine, verb, created.id, name)


@pytest.mark.parametrize("verb", CHANGES)
async def test_a_change_that_is_cancelled_at_any_step_is_whole_or_nothing(verb: str, tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        steps = await steps_of(engine, CHANGES[verb])
        for number in range(len(steps)):
            for moment in ("before", "after"):
                name = f"name-{number}-{moment}"
                created = await engine.create(request_for(name))
                faults = Faults()
                with anyio.CancelScope() as scope:
                    faults.plan(number, moment, lambda _, scope=scope: scope.cancel())  # type: ignore[misc]
                    await CHANGES[verb](changer_with(engine, faults), name)
                await check_all_or_nothing(engine, verb, created.id, name)


async def test_an_update_is_durable_and_told(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        created = await engine.create(request_for("web"))
        policy = RestartPolicy(name="on-failure", maximum_retry_count=3)
        await engine.update("web", HostConfig(cpu_shares=7, restart_policy=policy))
        assert await actions(engine) == ["create", "update"]
    async with Engine(engine.config) as engine:
        container = await engine.services.database.ask(Database.container, created.id)
        assert container is not None
        assert (container.host_config.cpu_shares, container.host_config.restart_policy) == (7, policy)
        assert (container.name, container.config.cmd) == ("web", ("true",))


@pytest.mark.parametrize(
    ("limits", "name", "kind", "text"),
    [
        (HostConfig(memory=1), "nobody", InvalidParameter, "Minimum memory limit allowed is 6MB"),
        (LIMITS, "nobody", NotFound, "No such container: nobody"),
        (
            HostConfig(memory=64 * MIB),
            "web",
            Conflict,
            "Cannot update container {id}: Memory limit should be smaller than already set memoryswap limit, "
            "update the memoryswap at the same time",
        ),
    ],
)
async def test_an_update_that_is_refused_changes_nothing(
    limits: HostConfig, name: str, kind: type[DaemonError], text: str, tmp_path: Path
) -> None:
    async with engine_at(tmp_path) as engine:
        created = await engine.create(request_for("web"))
        before = await engine.services.database.ask(Database.container, created.id)
        with pytest.raises(kind) as caught:
            await engine.update(name, replace(limits, pids_limit=10))
        assert str(caught.value) == text.format(id=created.id)
        assert await engine.services.database.ask(Database.container, created.id) == before
        assert await actions(engine) == ["create"]


async def test_of_a_container_that_is_being_removed_nothing_can_be_changed(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        created = await engine.create(request_for("web"))
        claim = Claim("removal")
        await engine.services.registrar.ask(Registrar.claim, "web", claim)
        under_way = "removal of container web is already in progress"
        for change, text in (
            (engine.remove("web"), under_way),
            (engine.rename("web", "site"), under_way),
            (
                engine.update("web", LIMITS),
                f'Cannot update container {created.id}: container is marked for removal and cannot be "update"',
            ),
        ):
            with pytest.raises(Conflict) as caught:
                await change
            assert str(caught.value) == text
        await engine.services.registrar.ask(Registrar.release, claim)  # it failed
        await engine.remove("web")


@pytest.mark.parametrize(
    ("old", "new", "kind", "text"),
    [
        ("", "site", InvalidParameter, "Neither old nor new names may be empty"),
        ("web", "", InvalidParameter, "Neither old nor new names may be empty"),
        ("nobody", "x", NotFound, "No such container: nobody"),
        ("web", "web", InvalidParameter, "Renaming a container with the same name as its current name"),
        ("web", "/web", InvalidParameter, "Renaming a container with the same name as its current name"),
        (
            "web",
            "/",
            InvalidParameter,
            "Error when allocating new name: Invalid container name (/), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
        ),
        (
            "web",
            "a/b",
            InvalidParameter,
            "Error when allocating new name: Invalid container name (/a/b), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
        ),
        (
            "web",
            "db",
            Conflict,
            'Error when allocating new name: Conflict. The container name "/db" is already in use by container "{db}". '
            "You have to remove (or rename) that container to be able to reuse that name.",
        ),
    ],
)
async def test_a_name_that_cannot_be_had_is_refused(
    old: str, new: str, kind: type[DaemonError], text: str, tmp_path: Path
) -> None:
    async with engine_at(tmp_path) as engine:
        await engine.create(request_for("web"))
        db = (await engine.create(request_for("db"))).id
        with pytest.raises(kind) as caught:
            await engine.rename(old, new)
        assert str(caught.value) == text.format(db=db)
        assert sorted(name for _, name in (await state_of(engine)).rows) == ["db", "web"]


async def test_a_link_cannot_be_removed_where_there_is_none(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        await engine.create(request_for("web"))
        with pytest.raises(NotFound, match=r"^No such container: web/db$"):
            await engine.remove_link("web/db")
        with pytest.raises(Conflict, match=r"^Conflict, cannot remove the default link name of the container$"):
            await engine.remove_link("web")


async def test_removes_renames_and_updates_of_one_container_come_one_after_the_other(tmp_path: Path) -> None:
    rng = Random(20)
    async with engine_at(tmp_path) as engine:
        for round_number in range(12):
            name = f"name-{round_number}"
            created = await engine.create(request_for(name))
            outcomes: list[tuple[str, str]] = []

            async def attempt(verb: str, change: Callable[[], Awaitable[Any]]) -> None:
                try:
                    await change()
                    outcomes.append((verb, ""))  # noqa: B023 - awaited within its round
                except (Conflict, NotFound) as error:
                    outcomes.append((verb, str(error)))  # noqa: B023

            attempts: list[tuple[str, Callable[[], Awaitable[Any]]]] = [
                *(("rename", partial(engine.rename, created.id, f"{name}-{number}")) for number in range(3)),
                *(("update", partial(engine.update, created.id, HostConfig(cpu_shares=2 + n))) for n in range(3)),
                *(("remove", partial(engine.remove, created.id)) for _ in range(2)),
            ]
            rng.shuffle(attempts)
            async with anyio.create_task_group() as tasks:
                for verb, change in attempts:
                    tasks.start_soon(attempt, verb, change)
            assert [outcome for outcome in outcomes if outcome[0] == "remove"].count(("remove", "")) == 1
            # Whoever came before the removal was not refused: it waited for its turn.
            for verb, text in outcomes:
                assert not text or "removal" in text or text.startswith("No such container"), (verb, text)
            assert created.id not in dict((await state_of(engine)).rows)
            for number in range(3):
                await engine.create(request_for(f"{name}-{number}"))


async def test_an_update_waits_for_a_rename_that_is_under_way(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine, anyio.create_task_group() as tasks:
        created = await engine.create(request_for("web"))
        claim = Claim("renaming")
        await engine.services.registrar.ask(Registrar.claim, "web", claim)
        for change in (partial(engine.update, "web", LIMITS), partial(engine.remove, "web")):
            tasks.start_soon(change)
            await wait_all_tasks_blocked()  # trio starts tasks in any order
        assert await shares_of(engine, created.id) == 0
        await engine.services.registrar.ask(Registrar.release, claim)
        watch = RemovalWatch()
        if await engine.services.registrar.ask(Registrar.watch_removal, created.id, watch):
            await watch.wait()
        assert await actions(engine) == ["create", "update", "destroy"]


async def test_updates_at_once_lose_nothing_of_each_other(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        created = await engine.create(request_for("web"))
        async with anyio.create_task_group() as tasks:
            for limits in (
                HostConfig(cpu_shares=7),
                HostConfig(restart_policy=RestartPolicy(name="always")),
                HostConfig(pids_limit=3),
                HostConfig(cpuset_cpus="0"),
            ):
                tasks.start_soon(engine.update, "web", limits)
        container = await engine.services.database.ask(Database.container, created.id)
        assert container is not None
        found = container.host_config
        assert (found.cpu_shares, found.restart_policy.name, found.pids_limit, found.cpuset_cpus) == (
            7,
            "always",
            3,
            "0",
        )


async def test_a_prune_removes_what_is_wanted_newest_first_and_says_so(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        ids = [(await engine.create(request_for(f"name-{number}", n=str(number % 2)))).id for number in range(40)]
        gone = (await engine.prune(lambda summary: summary.labels["n"] == "0")).removed
        assert gone == tuple(reversed(ids[::2]))
        assert {container_id for container_id, _ in (await state_of(engine)).rows} == set(ids[1::2])
        assert (await actions(engine))[-1] == "prune"
        assert (await actions(engine)).count("destroy") == 20
        assert (await engine.prune(lambda summary: summary.labels["n"] == "0")).removed == ()
        # Anonymous volumes stay, as with `docker rm` without -v.
        assert len((await state_of(engine)).volumes) == 40


async def test_a_prune_says_how_much_was_in_what_it_removed(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        ids = {name: (await engine.create(request_for(name))).id for name in ("web", "db", "kept")}
        for name, size in (("web", 1000), ("db", 234), ("kept", 50_000)):
            upper = engine.config.data_root / "containers" / ids[name] / "diff"
            (upper / "file").write_bytes(bytes(size))
        pruned = await engine.prune(lambda summary: summary.name != "kept")
        assert pruned == Pruned(removed=(ids["db"], ids["web"]), freed_bytes=1234)
        kept = await engine.services.events.ask(EventBus.subscribe, new_subscription())
        assert kept[-1].attributes == {"reclaimed": "1234"}


async def test_a_second_prune_is_refused_while_the_first_is_under_way(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        claim = Claim("pruning")
        await engine.services.registrar.ask(Registrar.claim_pruning, claim)
        with pytest.raises(Conflict, match=r"^a prune operation is already running$"):
            await engine.prune(lambda _: True)
        await engine.services.registrar.ask(Registrar.release, claim)
        assert await engine.prune(lambda _: True) == Pruned(removed=(), freed_bytes=0)


async def test_a_prune_that_is_cancelled_lets_the_next_one_run(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        for number in range(40):
            await engine.create(request_for(f"name-{number}"))
        faults = Faults()
        with anyio.CancelScope() as scope:
            faults.plan(60, "after", lambda _: scope.cancel())
            await changer_with(engine, faults).prune(lambda _: True, sizes=engine.files.sizes)
        assert scope.cancelled_caught
        left = {container_id for container_id, _ in (await state_of(engine)).rows}
        assert 0 < len(left) < 40
        assert set((await engine.prune(lambda _: True)).removed) == left


async def test_a_prune_passes_over_what_it_cannot_remove(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        web, db = [(await engine.create(request_for(name))).id for name in ("web", "db")]
        claim = Claim("removal")
        await engine.services.registrar.ask(Registrar.claim, web, claim)
        assert (await engine.prune(lambda _: True)).removed == (db,)
        await engine.services.registrar.ask(Registrar.release, claim)
        assert [name for _, name in (await state_of(engine)).rows] == ["web"]


async def test_creates_that_race_a_prune_are_whole_or_pruned(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        created: list[str] = []
        gone: set[str] = set()

        async def create_some(worker: int) -> None:
            for number in range(8):
                created.append((await engine.create(request_for(f"w{worker}n{number}"))).id)

        async def prune_some() -> None:
            for _ in range(6):
                gone.update((await engine.prune(lambda _: True)).removed)

        async with anyio.create_task_group() as tasks:
            for worker in range(4):
                tasks.start_soon(create_some, worker)
            tasks.start_soon(prune_some)
        state = await state_of(engine)
        assert set(created) == {container_id for container_id, _ in state.rows} | gone
        assert gone.isdisjoint(container_id for container_id, _ in state.rows)
        trees = {path.split("/")[1] for path in state.files if path.startswith("containers/")}
        assert trees == {container_id for container_id, _ in state.rows}
