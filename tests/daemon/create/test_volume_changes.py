"""Volumes by themselves, on a real engine: made, removed and pruned, against creates, failures at every step, and each other."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Awaitable
from pathlib import Path
from random import Random
from typing import Any, cast

import anyio
import anyio.lowlevel
import attrs
import pytest
from msgspec.structs import replace

from actors import ActorCrashed, Ref, Subscription
from daemon.container import ContainerConfig, HostConfig, MountRequest, VolumeDriver, VolumeOptions
from daemon.create.request import CreateRequest, Pruned
from daemon.create.volume_changes import VolumeChanger
from daemon.engine import Engine
from daemon.errors import Conflict, DaemonError, InvalidParameter, NotFound, System
from daemon.services.event_bus import Event, EventBus, new_subscription
from daemon.services.volumes import Volumes
from daemon.storage.database import Database
from daemon.storage.trees import VolumeTrees
from daemon.volume import ANONYMOUS_LABEL, Volume, VolumeRequest
from tests.daemon.harness import Faults, FaultyRef, Injected, State, crash, creator_of, engine_at, faulty, state_of

pytestmark = pytest.mark.anyio


def changer_with(engine: Engine, faults: Faults) -> VolumeChanger:
    return VolumeChanger(
        services=faulty(engine.services, faults),
        config=engine.config,
        now_ns=engine.now_ns,
        note_residue=engine._note_residue,
    )


def asking_for(*binds: str, name: str = "", mounts: tuple[MountRequest, ...] = ()) -> CreateRequest:
    return CreateRequest(
        name=name,
        config=ContainerConfig(image="busybox", cmd=("true",)),
        host_config=HostConfig(binds=binds, mounts=mounts),
    )


def data_of(engine: Engine, name: str) -> Path:
    return engine.config.data_root / "volumes" / name / "_data"


async def listening(engine: Engine) -> Subscription[Event]:
    subscription = new_subscription()
    await engine.services.events.ask(EventBus.subscribe, subscription)
    return subscription


async def events_of(engine: Engine, subscription: Subscription[Event]) -> list[tuple[str, str, str]]:
    """All there have been, up to now: a last one marks the end."""
    await engine.services.events.ask(
        EventBus.publish, Event(type="test", action="end", actor_id="", attributes={}, time_ns=0)
    )
    events: list[Event] = []
    while not events or events[-1].type != "test":
        events += await subscription.receive_all()
    return [(event.type, event.action, event.actor_id) for event in events[:-1]]


async def outcome(question: Awaitable[object]) -> str:
    try:
        await question
    except DaemonError as error:
        return f"{type(error).__name__}: {error}"
    return "done"


# What is asked for ---------------------------------------------------------------------------------------------------


async def test_a_volume_is_made_once_and_is_there_after_a_restart(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        subscription = await listening(engine)
        first = await engine.create_volume(
            VolumeRequest(name="vol", labels={"a": "b"}, driver_opts={"size": "0"}, driver="local")
        )
        assert first == Volume(name="vol", created_ns=first.created_ns, labels={"a": "b"}, options={"size": "0"})
        again = await engine.create_volume(VolumeRequest(name="vol", labels={}, driver_opts={"nonsense": ""}))
        assert again == first
        assert data_of(engine, "vol").stat().st_mode & 0o777 == 0o755
        assert await events_of(engine, subscription) == [("volume", "create", "vol")]
    async with engine_at(tmp_path) as engine:
        assert await engine.services.volumes.ask(Volumes.find, "vol") == first


async def test_a_volume_without_a_name_gets_one_and_says_so(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        volume = await engine.create_volume(VolumeRequest(labels={"a": "b"}))
        assert len(volume.name) == 64
        assert volume.labels == {"a": "b", ANONYMOUS_LABEL: ""}
        assert (await engine.create_volume(VolumeRequest(name="vol"))).labels is None


@pytest.mark.parametrize(
    ("request_", "kind", "text"),
    [
        (VolumeRequest(name="v", driver="nfs"), NotFound, 'error looking up volume plugin nfs: plugin "nfs" not found'),
        (VolumeRequest(name="a b"), InvalidParameter, 'create a b: "a b" includes invalid characters'),
        (VolumeRequest(name="v"), InvalidParameter, "create v: volume name is too short"),
        (VolumeRequest(name="vv", driver_opts={"o": "x"}), InvalidParameter, 'create vv: missing required option: "de'),
    ],
)
async def test_a_wrong_request_leaves_nothing(
    request_: VolumeRequest, kind: type[Exception], text: str, tmp_path: Path
) -> None:
    async with engine_at(tmp_path) as engine:
        before = await state_of(engine)
        with pytest.raises(kind) as refused:
            await engine.create_volume(request_)
        assert text in str(refused.value)
        assert await state_of(engine) == before


async def test_a_volume_is_in_use_until_its_last_container_is_gone(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        before = await state_of(engine)
        ids = sorted([(await engine.create(asking_for("vol:/a", "vol:/b", name=name))).id for name in ("one", "two")])
        in_use = f"Conflict: remove vol: volume is in use - [{', '.join(ids)}]"
        for force in (False, True):
            assert await outcome(engine.remove_volume("vol", force=force)) == in_use
        await engine.remove(ids[0], with_volumes=True)
        assert await outcome(engine.remove_volume("vol")) == f"Conflict: remove vol: volume is in use - [{ids[1]}]"
        await engine.remove(ids[1], with_volumes=True)
        subscription = await listening(engine)
        assert await outcome(engine.remove_volume("vol")) == "done"
        assert await events_of(engine, subscription) == [("volume", "destroy", "vol")]
        assert await outcome(engine.remove_volume("vol")) == "NotFound: get vol: no such volume"
        assert await outcome(engine.remove_volume("vol", force=True)) == "done"
        assert await state_of(engine) == before
    async with engine_at(tmp_path) as engine:
        assert await state_of(engine) == before


async def test_with_a_container_go_the_volumes_that_nobody_gave_a_name(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        by_api = await engine.create_volume(VolumeRequest())
        mount = MountRequest(type="volume", target="/c")
        first = await engine.create(asking_for("/a", "named:/b", f"{by_api.name}:/d", name="one", mounts=(mount,)))
        request = CreateRequest(
            config=ContainerConfig(image="busybox", cmd=("true",), volumes=("/e",)),
            host_config=HostConfig(volumes_from=("one",)),
        )
        second = await engine.create(request)
        names = {each.volume.name for each in await engine.services.volumes.ask(Volumes.list)}
        assert len(names) == 5
        subscription = await listening(engine)
        await engine.remove(first.id, with_volumes=True)
        assert {each.volume.name for each in await engine.services.volumes.ask(Volumes.list)} == names
        assert await events_of(engine, subscription) == [("container", "destroy", first.id)]
        await engine.remove(second.id, with_volumes=True)
        kept = {each.volume.name for each in await engine.services.volumes.ask(Volumes.list)}
        assert kept == {"named", by_api.name}
        events = await events_of(engine, subscription)
        assert sorted(events[:-1]) == sorted(("volume", "destroy", name) for name in names - kept)
        assert events[-1] == ("container", "destroy", second.id)
        assert {path.name for path in (engine.config.data_root / "volumes").iterdir()} == kept


async def test_pruning_removes_what_is_wanted_of_the_plain_volumes_that_nobody_uses(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        for name in ("used", "free", "spared", "also-free"):
            await engine.create_volume(VolumeRequest(name=name))
        await engine.create_volume(VolumeRequest(name="optioned", driver_opts={"size": "0"}))
        await engine.create(asking_for("used:/a"))
        (data_of(engine, "free") / "file").write_bytes(b"x" * 100)
        (data_of(engine, "also-free") / "file").write_bytes(b"x" * 23)
        subscription = await listening(engine)
        pruned = await engine.prune_volumes(lambda volume: volume.name != "spared")
        assert pruned == Pruned(removed=("also-free", "free"), freed_bytes=123)
        assert await events_of(engine, subscription) == [
            ("volume", "destroy", "also-free"),
            ("volume", "destroy", "free"),
            ("volume", "prune", ""),
        ]
        assert await engine.prune_volumes(lambda _: False) == Pruned(removed=(), freed_bytes=0)
        kept = [each.volume.name for each in await engine.services.volumes.ask(Volumes.list)]
        assert kept == ["optioned", "spared", "used"]


async def test_a_prune_says_how_much_it_has_freed(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        await engine.create_volume(VolumeRequest(name="vol"))
        (data_of(engine, "vol") / "file").write_bytes(b"x" * 100)
        await engine.prune_volumes(lambda _: True)
        past = await engine.services.events.ask(EventBus.subscribe, new_subscription())
        assert [(event.actor_id, dict(event.attributes)) for event in past if event.type == "volume"] == [
            ("vol", {"driver": "local"}),
            ("vol", {"driver": "local"}),
            ("", {"reclaimed": "100"}),
        ]


async def test_what_has_come_into_use_is_not_pruned_and_the_rest_is(tmp_path: Path) -> None:
    def fail(_: str) -> None:
        raise Conflict("remove one: volume is in use")

    async with engine_at(tmp_path) as engine:
        for name in ("one", "two"):
            await engine.create_volume(VolumeRequest(name=name))
        faults = Faults()
        changer = changer_with(engine, faults)
        faults.plan(3, "before", fail)
        assert (await changer.prune(lambda _: True)).removed == ("two",)
        assert faults.steps[3] == "database.delete_volume"
        assert [each.volume.name for each in await engine.services.volumes.ask(Volumes.list)] == ["one"]
        await engine.remove_volume("one")


# Failures at every step ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["create", "remove", "prune"])
async def test_a_change_that_fails_or_is_cancelled_at_any_step_is_whole_or_has_not_been(
    verb: str, tmp_path: Path
) -> None:
    async def carry_out(changer: VolumeChanger) -> object:
        if verb == "create":
            return await changer.create(VolumeRequest(name="vol"))
        if verb == "remove":
            await changer.remove("vol", force=False)
            return None
        return await changer.prune(lambda _: True)

    async with engine_at(tmp_path) as engine:
        empty = await state_of(engine)
        await engine.create_volume(VolumeRequest(name="vol"))
        full = await state_of(engine)
        faults = Faults()
        changer = changer_with(engine, faults)

        async def reset() -> None:
            await (engine.remove_volume("vol", force=True) if verb == "create" else put_back())
            assert await state_of(engine) == (empty if verb == "create" else full)

        async def put_back() -> None:
            await engine.create_volume(VolumeRequest(name="vol"))

        await reset()
        await carry_out(changer)
        steps = faults.steps
        commit = next(number for number, step in enumerate(steps) if step.startswith("database."))
        before, after = (empty, full) if verb == "create" else (full, empty)
        for number in range(len(steps)):
            for moment in ("before", "after"):
                await reset()
                with anyio.CancelScope() as scope:
                    faults.plan(number, moment, lambda _, scope=scope: scope.cancel())  # type: ignore[misc]
                    await carry_out(changer)
                assert await state_of(engine) == (after if number >= commit else before), (steps[number], moment)
        for number in range(commit + 1):
            for moment in ("before", "after")[: 1 if number == commit else 2]:
                await reset()
                await check_failure(engine, changer, faults, number, moment, carry_out(changer), before)


async def check_failure(
    engine: Engine,
    changer: VolumeChanger,
    faults: Faults,
    number: int,
    moment: str,
    change: Awaitable[object],
    before: State,
) -> None:
    def fail(_: str) -> None:
        raise Injected("planned")

    faults.plan(number, moment, fail)
    try:
        pruned = await change
    except Injected:
        pass
    else:
        assert pruned == Pruned(removed=(), freed_bytes=0)
    assert await state_of(engine) == before
    await changer.prune(lambda _: False)  # nothing is in its way


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_change_survives_the_crash_of_its_actor_or_has_not_been(moment: str, tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        faults = Faults()
        changer = changer_with(engine, faults)
        await changer.create(VolumeRequest(name="rehearsal"))
        creation = faults.steps
        faults.plan(-1, "", lambda _: None)
        await changer.remove("rehearsal", force=False)
        removal = faults.steps
    for verb, steps in (("create", creation), ("remove", removal)):
        for number in range(len(steps)):
            async with engine_at(tmp_path) as engine:  # a supervisor has a budget of restarts
                name, faults = f"{verb}-{number}", Faults()
                changer = changer_with(engine, faults)
                if verb == "remove":
                    await engine.create_volume(VolumeRequest(name=name))
                faults.plan(number, moment, lambda _, ref=engine.services.volumes: crash(ref))  # type: ignore[misc]
                try:
                    if verb == "create":
                        await changer.create(VolumeRequest(name=name))
                    else:
                        await changer.remove(name, force=False)
                except (DaemonError, ActorCrashed):
                    is_there = verb == "remove"
                else:
                    is_there = verb == "create"
                rows = {volume.name for volume in await engine.services.database.ask(Database.volumes)}
                listed = {each.volume.name for each in await engine.services.volumes.ask(Volumes.list)}
                assert rows == listed
                assert (name in rows) is is_there, (verb, steps[number], moment)
                assert data_of(engine, name).exists() or not is_there
                await engine.create_volume(VolumeRequest(name=name))
                await engine.remove_volume(name)


async def test_what_a_crash_of_the_actor_leaves_is_removed_at_the_next_start(tmp_path: Path) -> None:
    def crash_and_fail(_: str) -> None:
        crash(engine.services.volumes)
        raise Injected("planned")

    async with engine_at(tmp_path) as engine:
        faults = Faults()
        faults.plan(1, "after", crash_and_fail)
        with pytest.raises(Injected):
            await changer_with(engine, faults).create(VolumeRequest(name="vol"))
        assert faults.steps[:2] == ["volumes.begin_create", "volumes.make"]
        await engine.services.volumes.ask(Volumes.list)
        assert data_of(engine, "vol").exists()
    async with engine_at(tmp_path) as engine:
        assert not data_of(engine, "vol").exists()


async def test_a_failed_removal_of_the_directory_is_made_up_for_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise System("cannot remove a volume: Input/output error")

    async with engine_at(tmp_path) as engine:
        await engine.create_volume(VolumeRequest(name="vol"))
        subscription = await listening(engine)
        with monkeypatch.context() as patch:
            patch.setattr(VolumeTrees, "discard", fail)
            assert await outcome(engine.remove_volume("vol")) == "done"
        assert await outcome(engine.remove_volume("vol")) == "NotFound: get vol: no such volume"
        assert await events_of(engine, subscription) == [("volume", "destroy", "vol")]
        assert any((engine.config.data_root / "staging").iterdir())
    async with engine_at(tmp_path) as engine:
        assert not any((engine.config.data_root / "staging").iterdir())


async def test_a_container_is_gone_even_if_the_disk_fails_to_remove_its_volume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise System("cannot remove a volume: Input/output error")

    async with engine_at(tmp_path) as engine:
        created = await engine.create(asking_for("/anonymous", name="web"))
        subscription = await listening(engine)
        with monkeypatch.context() as patch:
            patch.setattr(VolumeTrees, "discard", fail)
            await engine.remove("web", with_volumes=True)
        events = await events_of(engine, subscription)
        assert [event[:2] for event in events] == [("volume", "destroy"), ("container", "destroy")]
        state = await state_of(engine)
        assert (state.rows, state.volumes, state.visible) == ((), (), ())
        assert not any(created.id in path for path in state.files)


# Against each other --------------------------------------------------------------------------------------------------


async def test_a_volume_that_64_creates_want_at_once_is_made_once(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        subscription = await listening(engine)
        async with anyio.create_task_group() as group:
            for number in range(64):
                group.start_soon(engine.create, asking_for("vol:/full", name=f"name{number}"))
        (listed,) = await engine.services.volumes.ask(Volumes.list)
        assert len(listed.users) == 64
        assert [path.name for path in data_of(engine, "vol").iterdir()] == ["content"]
        kinds = Counter((kind, action) for kind, action, _ in await events_of(engine, subscription))
        assert kinds == {("volume", "create"): 1, ("container", "create"): 64}
        assert len(await engine.services.database.ask(Database.volume_users)) == 64


async def test_a_volume_that_a_create_makes_is_told_of_once_whatever_crashes_after_the_commit(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        subscription, faults = await listening(engine), Faults()
        creator = creator_of(engine, faulty(engine.services, faults))
        await creator.create(asking_for("rehearsed:/full", name="rehearsal"))
        steps = faults.steps
        moments = (("database.insert_container", "after"), ("volumes.keep", "before"), ("volumes.keep", "after"))
        for number, (step, moment) in enumerate(moments):
            faults.plan(steps.index(step), moment, lambda _: crash(engine.services.volumes))
            await creator.create(asking_for(f"vol{number}:/full", name=f"name{number}"))
        # The actor has forgotten who made what; the database knows what was new.
        told = Counter(name for kind, action, name in await events_of(engine, subscription) if kind == "volume")
        assert told == dict.fromkeys(("rehearsed", "vol0", "vol1", "vol2"), 1)


async def test_a_volume_of_creates_of_which_all_but_one_are_undone_stays_with_that_one(tmp_path: Path) -> None:
    """They want one name, too: 63 are refused, after some of them have made the volume."""
    async with engine_at(tmp_path) as engine:
        outcomes: Counter[str] = Counter()

        async def create() -> None:
            outcomes[(await outcome(engine.create(asking_for("vol:/full", name="web"))))[:9]] += 1

        async with anyio.create_task_group() as group:
            for _ in range(64):
                group.start_soon(create)
        assert outcomes == {"done": 1, "Conflict:": 63}
        (listed,) = await engine.services.volumes.ask(Volumes.list)
        assert (listed.volume.name, len(listed.users)) == ("vol", 1)
        await engine.remove("web")
        await engine.remove_volume("vol")


async def test_a_volume_that_was_made_for_a_create_that_is_undone_is_nobodys(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        before = await state_of(engine)
        subscription = await listening(engine)
        request = replace(asking_for("vol:/full", "other:/bin/sh"), name="web")
        assert await outcome(engine.create(request)) == "InvalidParameter: source /bin/sh is not directory"
        assert await state_of(engine) == before
        assert await events_of(engine, subscription) == []


@pytest.mark.parametrize("seed", range(4))
async def test_of_creates_removals_and_prunes_at_once_none_leaves_a_trace_or_a_hole(seed: int, tmp_path: Path) -> None:
    rng = Random(seed)
    outcomes: Counter[str] = Counter()
    allowed = ("done", "NotFound: get", "Conflict: remove", "Conflict: a prune")

    async with engine_at(tmp_path) as engine:
        before = await state_of(engine)

        async def work(worker: int) -> None:
            mine: list[str] = []
            for _ in range(12):
                name = f"vol{rng.randrange(3)}"
                action = rng.randrange(5)
                if action == 0:
                    mine.append((await engine.create(asking_for(f"{name}:/full", "/anonymous"))).id)
                elif action == 1 and mine:
                    outcomes[await outcome(engine.remove(mine.pop(), with_volumes=True))] += 1
                elif action == 2:
                    outcomes[await outcome(engine.remove_volume(name))] += 1
                elif action == 3:
                    outcomes[await outcome(engine.prune_volumes(lambda _: True))] += 1
                else:
                    await engine.create_volume(VolumeRequest(name=name))
            for container_id in mine:
                await engine.remove(container_id, with_volumes=True)

        async with anyio.create_task_group() as group:
            for worker in range(8):
                group.start_soon(work, worker)
        assert [text for text in outcomes if not text.startswith(allowed)] == []
        await check_consistent(engine)
        await engine.prune_volumes(lambda _: True)
        assert await state_of(engine) == before


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_is_going_on_when_the_actor_crashes_no_container_lacks_a_volume(
    seed: int, tmp_path: Path
) -> None:
    rng = Random(seed)

    async def work(engine: Engine, worker: int) -> None:
        for number in range(10):
            name = f"vol{rng.randrange(3)}"
            action = rng.randrange(4)
            try:
                if action == 0:
                    await engine.create(asking_for(f"{name}:/full", "/full/x", name=f"w{worker}n{number}"))
                elif action == 1:
                    await engine.remove(f"w{worker}n{rng.randrange(number + 1)}", with_volumes=True)
                elif action == 2:
                    await engine.remove_volume(name)
                else:
                    await engine.create_volume(VolumeRequest(name=name))
            except (DaemonError, ActorCrashed):
                continue

    async def crash_twice(engine: Engine) -> None:  # three times, and the supervisor would end the daemon
        for _ in range(2):
            for _ in range(rng.randrange(200)):
                await anyio.lowlevel.checkpoint()
            crash(engine.services.volumes)

    async with engine_at(tmp_path) as engine:
        async with anyio.create_task_group() as group:
            group.start_soon(crash_twice, engine)
            for worker in range(6):
                group.start_soon(work, engine, worker)
        rows = {volume.name for volume in await engine.services.database.ask(Database.volumes)}
        users = {name for name, _ in await engine.services.database.ask(Database.volume_users)}
        directories = {path.name for path in (engine.config.data_root / "volumes").iterdir()}
        assert users <= rows <= directories
        await check_listed(engine)
    async with engine_at(tmp_path) as engine:
        await check_consistent(engine)
        for container_id in (await state_of(engine)).visible:
            await engine.remove(container_id, with_volumes=True)
        await engine.prune_volumes(lambda _: True)
        assert (await state_of(engine)).files == frozenset()


async def check_listed(engine: Engine) -> None:
    """The actor knows what the database knows."""
    listed = {each.volume.name: each.users for each in await engine.services.volumes.ask(Volumes.list)}
    users = await engine.services.database.ask(Database.volume_users)
    rows = {volume.name for volume in await engine.services.database.ask(Database.volumes)}
    expected = {name: tuple(sorted(user for used, user in users if used == name)) for name in rows}
    assert listed == expected


async def check_consistent(engine: Engine) -> None:
    await check_listed(engine)
    rows = {volume.name for volume in await engine.services.database.ask(Database.volumes)}
    assert rows == {path.name for path in (engine.config.data_root / "volumes").iterdir()}


async def test_a_use_and_a_removal_that_know_nothing_of_each_other_do_not_both_succeed(tmp_path: Path) -> None:
    """The actor forgets, in the middle of a create, that the volume is in use: the database does not."""

    async with engine_at(tmp_path) as engine:
        await engine.create_volume(VolumeRequest(name="vol"))
        container = await engine.create(asking_for("vol:/full"))
        await engine.services.volumes.ask(Volumes.release, container.id)
        assert await outcome(engine.remove_volume("vol")) == "Conflict: remove vol: volume is in use"
        assert data_of(engine, "vol").is_dir()
        assert [each.volume.name for each in await engine.services.volumes.ask(Volumes.list)] == ["vol"]


async def test_an_inherited_volume_that_has_gone_meanwhile_is_not_made_anew(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        before = await state_of(engine)
        first = await engine.create(asking_for("/data", name="one"))
        request = CreateRequest(
            config=ContainerConfig(image="busybox", cmd=("true",)), host_config=HostConfig(volumes_from=("one",))
        )

        class SlowToAcquire(FaultyRef):
            async def ask(self, method: Any, *args: Any, **kwargs: Any) -> Any:
                if method.__name__ == "acquire":
                    await engine.remove(first.id, with_volumes=True)
                return await super().ask(method, *args, **kwargs)

        slow = cast("Ref[Volumes]", SlowToAcquire(engine.services.volumes, Faults()))
        services = attrs.evolve(engine.services, volumes=slow)
        creator = creator_of(engine, services)
        text = await outcome(creator.create(request))
        assert re.fullmatch("Conflict: volume [0-9a-f]{64} of another container has been removed", text)
        assert await state_of(engine) == before


# Options -------------------------------------------------------------------------------------------------------------


async def test_a_volume_of_a_mount_has_its_labels_and_options(tmp_path: Path) -> None:
    options = {"type": "tmpfs", "device": "tmpfs", "o": "size=1"}
    driver = VolumeDriver(name="local", options=options)
    mount = MountRequest(
        type="volume",
        source="vol",
        target="/full",
        volume_options=VolumeOptions(labels={"a": "b"}, driver_config=driver),
    )
    async with engine_at(tmp_path) as engine:
        await engine.create(asking_for(mounts=(mount,)))
        volume = await engine.services.volumes.ask(Volumes.find, "vol")
        assert (volume.labels, volume.options) == ({"a": "b"}, options)
        assert not any(data_of(engine, "vol").iterdir()), "what is mounted from elsewhere is not filled"


async def test_a_new_volume_with_options_that_make_no_sense_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    def mount(source: str) -> MountRequest:
        driver = VolumeDriver(options={"foobar": "foobaz"})
        return MountRequest(
            type="volume", source=source, target=f"/{source}", volume_options=VolumeOptions(driver_config=driver)
        )

    async with engine_at(tmp_path) as engine:
        await engine.create_volume(VolumeRequest(name="old"))
        before = await state_of(engine)
        request = asking_for("also:/a", mounts=(mount("old"), mount("new")))
        with pytest.raises(InvalidParameter, match=r'^create new: invalid option: "foobar"$'):
            await engine.create(request)
        assert await state_of(engine) == before
        await engine.create(asking_for(mounts=(mount("old"),)))


async def test_a_second_prune_is_refused_and_does_not_end_the_first(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        await engine.services.volumes.ask(Volumes.begin_prune, "first")
        for _ in range(2):
            with pytest.raises(Conflict, match=r"^a prune operation is already running$"):
                await engine.prune_volumes(lambda _: True)
