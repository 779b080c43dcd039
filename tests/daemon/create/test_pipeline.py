"""Creates that succeed, creates that are refused, and creates that fail or are called off at every step there is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import anyio
import anyio.lowlevel
import attrs
import pytest
from anyio.abc import TaskGroup
from msgspec.structs import replace

from actors import ActorCrashed, Ref, TooManyRestarts
from daemon.container import ContainerConfig, HostConfig, MountRequest
from daemon.create.pipeline import Creator
from daemon.create.request import CreateRequest
from daemon.engine import Engine
from daemon.errors import Cancelled, Conflict, DaemonError, InvalidParameter, NotFound, disk_full
from daemon.services.allocator import Allocator
from daemon.services.event_bus import Event, EventBus, new_subscription
from daemon.services.registrar import Registrar
from daemon.storage.database import Database
from daemon.storage.ready import ReadyTrees
from daemon.storage.trees import ContainerTrees
from tests.daemon.harness import Faults, Injected, State, crash, creator_of, engine_at, faulty, state_of

pytestmark = pytest.mark.anyio

REQUEST = CreateRequest(
    name="web",
    config=ContainerConfig(image="busybox", cmd=("true",), volumes=("/full",), working_dir="/a/b", labels={"k": "v"}),
    host_config=HostConfig(binds=("named:/data",)),
)


def plain(name: str = "") -> CreateRequest:
    return CreateRequest(name=name, config=ContainerConfig(image="busybox", cmd=("true",)))


def creator_with(engine: Engine, faults: Faults) -> Creator:
    return creator_of(engine, faulty(engine.services, faults))


@pytest.fixture(params=[0, 8], ids=["the long way", "with a tree that is ready"])
def ready_trees(request: pytest.FixtureRequest) -> int:
    count: int = request.param
    return count


async def steps_of_a_create(engine: Engine) -> list[str]:
    faults = Faults()
    await creator_with(engine, faults).create(request_for("rehearsal"))
    return faults.steps


def request_for(name: str) -> CreateRequest:
    """Everything that has an effect: a working directory, an anonymous volume that is filled, a named one."""
    return replace(REQUEST, name=name, host_config=HostConfig(binds=(f"volume-{name}:/data",)))


async def events_of(engine: Engine) -> tuple[Event, ...]:
    return await engine.services.events.ask(EventBus.subscribe, new_subscription())


async def check_whole(engine: Engine, container_id: str, name: str) -> None:
    state = await state_of(engine)
    assert (container_id, name) in state.rows
    assert container_id in state.visible
    assert f"containers/{container_id}/diff/a/b" in state.files
    assert f"volume-{name}" in state.volumes
    with pytest.raises(Conflict):  # of the allocator itself, not of the fence behind it
        await engine.services.allocator.ask(Allocator.reserve, "f" * 64, name, lambda: None)
    await engine.remove(name, with_volumes=True)
    state = await state_of(engine)
    assert not any(container_id in path for path in state.files)


async def check_nothing(engine: Engine, before: State, name: str) -> None:
    assert await state_of(engine) == before
    again = await engine.create(plain(name))  # the name is free
    await engine.remove(again.id)
    assert await state_of(engine) == before


async def test_a_created_container_is_on_disk_in_the_database_and_visible(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        created = await engine.create(REQUEST)
        home = engine.config.data_root / "containers" / created.id
        assert home.stat().st_mode & 0o777 == 0o700
        assert (home / "checkpoints").stat().st_mode & 0o777 == 0o700
        assert (home / "diff" / "a" / "b").is_dir()
        container = await engine.services.database.ask(Database.container, created.id)
        assert container is not None
        assert (container.name, container.path, container.args) == ("web", "true", ())
        assert container.config.hostname == created.id[:12]
        assert (await engine.services.registrar.ask(Registrar.find, "web")).id == created.id
        anonymous = next(mount for mount in container.mounts if mount.is_anonymous)
        data = engine.config.data_root / "volumes" / anonymous.name / "_data"
        assert (data / "content").read_bytes() == b"hello"


async def test_a_create_is_told_as_an_event_after_its_volumes(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        subscription = new_subscription()
        await engine.services.events.ask(EventBus.subscribe, subscription)
        created = await engine.create(REQUEST)
        events: list[Event] = []
        while len(events) < 3:
            events += await subscription.receive_all()
        assert [(event.type, event.action) for event in events] == [("volume", "create")] * 2 + [
            ("container", "create")
        ]
        assert events[-1].actor_id == created.id
        assert events[-1].attributes == {"image": "busybox", "name": "web", "k": "v"}


async def test_a_create_that_fails_at_any_step_leaves_nothing_and_is_no_event(tmp_path: Path, ready_trees: int) -> None:
    def fail(_: str) -> None:
        raise Injected("planned")

    async with engine_at(tmp_path, ready_trees=ready_trees) as engine:
        steps = await steps_of_a_create(engine)
        commit = steps.index("database.insert_container")
        faults = Faults()
        creator = creator_with(engine, faults)
        moments = [(number, moment) for number in range(commit) for moment in ("before", "after")]
        for number, moment in [*moments, (commit, "before")]:
            name = f"c{number}-{moment}"
            before = await state_of(engine)
            told = await events_of(engine)
            faults.plan(number, moment, fail)
            with pytest.raises(Injected):
                await creator.create(request_for(name))
            assert await events_of(engine) == told
            await check_nothing(engine, before, name)


async def test_a_tree_that_was_ready_is_given_back_when_the_name_is_refused(tmp_path: Path) -> None:
    async with engine_at(tmp_path, ready_trees=1) as engine:
        web = await engine.create(plain("web"))
        while engine.ready.has_room:
            await anyio.lowlevel.checkpoint()
        (ready,) = engine.ready.names()
        for request, refusal in ((plain("web"), Conflict), (plain("x"), InvalidParameter)):
            with pytest.raises(refusal):
                await engine.create(request)
            assert engine.ready.names() == {ready}
        assert (await engine.create(plain("other"))).id == ready
        assert web.id != ready


async def test_creates_that_find_no_tree_ready_have_some_made_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    created: list[str] = []

    async def create(engine: Engine, number: int) -> None:
        created.append((await engine.create(plain(f"c{number}"))).id)

    def refuse(*_: object) -> None:
        raise AssertionError("the long way")

    monkeypatch.setattr(ContainerTrees, "create", refuse)
    async with engine_at(tmp_path, ready_trees=4) as engine:
        async with anyio.create_task_group() as tasks:
            for number in range(40):
                tasks.start_soon(create, engine, number)
        assert len(set(created)) == 40
        state = await state_of(engine)
        assert {f"containers/{container_id}/diff" for container_id in created} <= state.files
        assert {container_id for container_id, _ in state.rows} == set(created)


async def test_where_no_trees_can_be_made_beforehand_creates_go_the_long_way_and_names_are_refused_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with engine_at(tmp_path, ready_trees=1) as engine:
        await engine.create(plain("web"))

        def refuse(*_: object) -> None:
            raise disk_full()

        monkeypatch.setattr(ReadyTrees, "prepare", refuse)
        while engine.ready.take() is not None:
            pass
        with pytest.raises(Conflict):
            await engine.create(plain("web"))
        other = await engine.create(plain("other"))
        assert f"containers/{other.id}/diff" in (await state_of(engine)).files


async def test_a_create_that_is_cancelled_at_any_step_is_whole_or_leaves_nothing(
    tmp_path: Path, ready_trees: int
) -> None:
    async with engine_at(tmp_path, ready_trees=ready_trees) as engine:
        steps = await steps_of_a_create(engine)
        commit = steps.index("database.insert_container")
        faults = Faults()
        creator = creator_with(engine, faults)
        for number in range(len(steps)):
            for moment in ("before", "after"):
                name, created = f"c{number}-{moment}", None
                before = await state_of(engine)
                with anyio.CancelScope() as scope:
                    faults.plan(number, moment, lambda _, scope=scope: scope.cancel())  # type: ignore[misc]
                    created = await creator.create(request_for(name))
                if number >= commit:  # the commit is on its way: it is finished even if nobody waits for it
                    found = await engine.services.registrar.ask(Registrar.find, name)
                    assert created is None or created.id == found.id
                    await check_whole(engine, found.id, name)
                else:
                    assert created is None
                    await check_nothing(engine, before, name)


async def test_a_create_survives_the_crash_of_any_service_at_any_step_or_leaves_nothing(
    tmp_path: Path, ready_trees: int
) -> None:
    async with engine_at(tmp_path, ready_trees=ready_trees) as engine:
        steps = await steps_of_a_create(engine)
    for number, step in enumerate(steps):
        actor = step.partition(".")[0]
        if actor == "database":
            continue  # its crash ends the daemon: the next test
        for moment in ("before", "after"):
            async with engine_at(tmp_path, ready_trees=ready_trees) as engine:  # a supervisor has a budget of restarts
                name, faults = f"c{number}-{moment}", Faults()
                before = await state_of(engine)
                ref = getattr(engine.services, actor)
                faults.plan(number, moment, lambda _, ref=ref: crash(ref))  # type: ignore[misc]
                try:
                    created = await creator_with(engine, faults).create(request_for(name))
                except (DaemonError, ActorCrashed):
                    await check_nothing(engine, before, name)
                else:
                    await check_whole(engine, created.id, name)


async def test_after_the_commit_a_service_that_crashes_on_the_message_is_asked_again(tmp_path: Path) -> None:
    def crash_on_it(step: str) -> None:
        raise ActorCrashed(*step.split("."))

    async with engine_at(tmp_path) as engine:
        steps = await steps_of_a_create(engine)
        faults = Faults()
        creator = creator_with(engine, faults)
        for number in range(steps.index("database.insert_container") + 1, len(steps)):
            for moment in ("before", "after"):
                name = f"c{number}-{moment}"
                faults.plan(number, moment, crash_on_it)
                await check_whole(engine, (await creator.create(request_for(name))).id, name)


async def test_a_crash_of_the_database_ends_the_engine_and_the_next_start_settles_everything(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        steps = await steps_of_a_create(engine)
        await engine.remove("rehearsal", with_volumes=True)
    for moment in ("before", "after"):
        name = f"c-{moment}"
        with pytest.raises(TooManyRestarts, match="'database'"):
            async with engine_at(tmp_path) as engine:
                before, faults = await state_of(engine), Faults()
                ref = engine.services.database
                faults.plan(steps.index("database.insert_container"), moment, lambda _, ref=ref: crash(ref))  # type: ignore[misc]
                await creator_with(engine, faults).create(request_for(name))
                await anyio.sleep_forever()
        async with engine_at(tmp_path) as engine:
            if name in {row[1] for row in (await state_of(engine)).rows}:
                await check_whole(engine, (await engine.services.registrar.ask(Registrar.find, name)).id, name)
            else:
                await check_nothing(engine, before, name)


async def test_removing_a_name_that_is_being_created_calls_the_create_off(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        steps = await steps_of_a_create(engine)
        reserve, commit = steps.index("allocator.reserve"), steps.index("database.insert_container")
        faults = Faults()
        creator = creator_with(engine, faults)
        for number in range(reserve, commit):
            name = f"name-{number}"
            before = await state_of(engine)
            async with anyio.create_task_group() as group:

                def remove(_: str, name: str = name, group: TaskGroup = group) -> None:
                    group.start_soon(engine.remove, name)

                faults.plan(number, "after", remove)
                with contextlib.suppress(Cancelled):  # or it was created before the removal came, and removed
                    await creator.create(request_for(name))
            after = await state_of(engine)
            assert after.rows == before.rows
            assert after.visible == before.visible
            assert {path for path in after.files if path.startswith("containers")} == {
                path for path in before.files if path.startswith("containers")
            }


async def test_a_create_that_is_called_off_between_its_last_step_and_the_commit_is_not_committed(
    tmp_path: Path,
) -> None:
    """It has its answer, and has not yet looked at it: what it then asks of the database would be done, and not waited for."""

    class Sudden(Faults):
        async def _strike(self, step: str) -> None:
            self.at = None
            self.strike(step)

    class Heard:
        """Hears how the create is called off."""

        def __init__(self, allocator: Ref[Allocator]) -> None:
            self._allocator = allocator
            self.call_off: Callable[[], None] = lambda: None

        async def ask(self, method: Any, *arguments: Any) -> Any:
            if method is Allocator.reserve:
                self.call_off = arguments[2]
            return await self._allocator.ask(method, *arguments)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._allocator, name)

    async with engine_at(tmp_path) as engine:
        before, faults, heard = await state_of(engine), Sudden(), Heard(engine.services.allocator)
        services = attrs.evolve(faulty(engine.services, faults), allocator=cast("Ref[Allocator]", heard))
        creator = creator_of(engine, services)
        await engine.remove((await creator.create(plain("web"))).id)
        faults.plan(faults.steps.index("layers.create"), "after", lambda _: heard.call_off())
        with pytest.raises(Cancelled):
            await creator.create(plain("web"))
        assert await state_of(engine) == before


async def test_removing_a_name_that_is_being_created_spares_the_container_whose_id_begins_like_it(
    tmp_path: Path,
) -> None:
    async with engine_at(tmp_path) as engine:
        bystander = await engine.create(plain("bystander"))
        faults = Faults()
        creator = creator_with(engine, faults)
        name = bystander.id[:6]
        async with anyio.create_task_group() as group:

            def remove(_: str) -> None:
                group.start_soon(engine.remove, name)

            faults.plan(2, "after", remove)
            with contextlib.suppress(Cancelled):
                await creator.create(request_for(name))
        assert [row[1] for row in (await state_of(engine)).rows] == ["bystander"]


@pytest.mark.parametrize(
    ("request_", "kind", "text"),
    [
        (plain("x"), InvalidParameter, "Invalid container name (x), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"),
        (CreateRequest(config=ContainerConfig(image="nosuch", cmd=("a",))), NotFound, "No such image: nosuch:latest"),
        (CreateRequest(config=ContainerConfig(image="busybox")), InvalidParameter, "no command specified"),
        (CreateRequest(config=ContainerConfig(image="UP", cmd=("a",))), InvalidParameter, "must be lowercase"),
        (
            CreateRequest(config=ContainerConfig(image="nosuch", cmd=("a",)), host_config=HostConfig(memory=1)),
            InvalidParameter,
            "Minimum memory limit allowed is 6MB",
        ),
        (
            CreateRequest(
                config=ContainerConfig(image="busybox", cmd=("a",)), host_config=HostConfig(security_opt=("what",))
            ),
            InvalidParameter,
            'invalid --security-opt 1: "what"',
        ),
        (
            CreateRequest(
                config=ContainerConfig(image="busybox", cmd=("a",)), host_config=HostConfig(volumes_from=("nobody",))
            ),
            InvalidParameter,
            "No such container: nobody",
        ),
        (
            CreateRequest(
                config=ContainerConfig(image="nosuch", cmd=("a",)),
                host_config=HostConfig(mounts=(MountRequest(type="bind", source="/no/such/path", target="/x"),)),
            ),
            InvalidParameter,
            'invalid mount config for type "bind": bind source path does not exist: /no/such/path',
        ),
        (
            CreateRequest(config=ContainerConfig(image="busybox", cmd=("a",), working_dir="/bin/sh/x")),
            InvalidParameter,
            "Cannot mkdir: /bin/sh/x is not a directory",
        ),
        *(
            (
                CreateRequest(config=replace(ContainerConfig(image="busybox", cmd=("a",)), **field)),
                InvalidParameter,
                text,
            )
            for path, text in (
                ("/" + "x" * 256, "file name too long"),
                ("/x" * 2000, "file name too long"),
                ("/a\0", "invalid path"),
            )
            for field in ({"working_dir": path}, {"volumes": (path,)})
        ),
        (
            CreateRequest(
                config=ContainerConfig(image="busybox", cmd=("a",)), host_config=HostConfig(storage_opt={"size": "1g"})
            ),
            InvalidParameter,
            "--storage-opt is supported only for overlay over xfs with 'pquota' mount option",
        ),
        (replace(plain(), platform="linux/mips"), NotFound, "does not match the specified platform (linux/mips)"),
    ],
)
async def test_a_wrong_request_is_refused_with_dockers_text_and_leaves_nothing(
    request_: CreateRequest, kind: type[Exception], text: str, tmp_path: Path
) -> None:
    async with engine_at(tmp_path) as engine:
        before = await state_of(engine)
        with pytest.raises(kind) as caught:
            await engine.create(request_)
        assert text in str(caught.value)
        assert await state_of(engine) == before


async def test_the_database_is_the_second_fence_when_the_allocator_has_forgotten(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        first = await engine.create(plain("web"))
        await engine.services.allocator.ask(Allocator.release_name, first.id, "web")
        before = await state_of(engine)
        with pytest.raises(Conflict, match=f'"/web" is already in use by container "{first.id}"'):
            await engine.create(plain("web"))
        assert await state_of(engine) == before


async def test_a_taken_name_is_told_before_a_bind_that_makes_no_sense_and_after_everything_else(tmp_path: Path) -> None:
    bad_bind = replace(plain("web"), host_config=HostConfig(binds=("x:y:z",)))
    async with engine_at(tmp_path) as engine:
        with pytest.raises(InvalidParameter, match="mount path must be absolute"):
            await engine.create(bad_bind)
        await engine.create(plain("web"))
        with pytest.raises(Conflict):
            await engine.create(bad_bind)
        for earlier, kind in (
            (replace(bad_bind, config=ContainerConfig(image="busybox")), InvalidParameter),
            (replace(bad_bind, config=ContainerConfig(image="nosuch", cmd=("a",))), NotFound),
            (replace(bad_bind, host_config=HostConfig(memory=1)), InvalidParameter),
        ):
            with pytest.raises(kind):
                await engine.create(earlier)


NOBODY = "No such container: nobody"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"ipc_mode": "container:nobody"}, NOBODY),
        ({"pid_mode": "container:nobody"}, NOBODY),
        ({"ipc_mode": "container:nobody", "pid_mode": "host"}, None),
        ({"pid_mode": "container:nobody", "privileged": True}, None),
        ({"ipc_mode": "container:nobody", "security_opt": ("label=disable",)}, None),
        ({"ipc_mode": "container:"}, None),
        ({"network_mode": "container:nobody"}, None),
    ],
)
async def test_a_namespace_of_nobody_is_noticed_now_only_if_its_label_is_wanted(
    fields: dict[str, Any], text: str | None, tmp_path: Path
) -> None:
    async with engine_at(tmp_path) as engine:
        request = replace(plain("web"), host_config=HostConfig(**fields))
        if text is None:
            await engine.create(request)
        else:
            with pytest.raises(InvalidParameter, match=f"^{text}$"):
                await engine.create(request)


async def test_a_namespace_of_another_container_is_kept_by_its_id(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        other = await engine.create(plain("other"))
        modes = HostConfig(network_mode="container:other", ipc_mode=f"container:{other.id[:12]}", pid_mode="host")
        created = await engine.create(replace(plain(), host_config=modes))
        container = await engine.services.database.ask(Database.container, created.id)
        assert container is not None
        found = container.host_config
        assert (found.network_mode, found.ipc_mode, found.pid_mode) == (*[f"container:{other.id}"] * 2, "host")


async def test_warnings_are_the_checks_then_the_images_then_the_versions(tmp_path: Path) -> None:
    mounts = (MountRequest(type="volume", source="data", target="/d"),)
    limits = HostConfig(cpu_percent=1, volume_driver="local", mounts=mounts)
    async with engine_at(tmp_path) as engine:
        creator = creator_with(engine, Faults())
        host = attrs.evolve(engine.host, architecture="s390x", variant="", is_ipv4_forwarding=True)
        elsewhere = attrs.evolve(creator, host=host)
        created = await elsewhere.create(replace(plain(), host_config=limits))
        assert [warning[:24] for warning in created.warnings] == [
            "linux does not support C",
            "The requested image's pl",
            "WARNING: the container-w",
        ]


async def test_a_mount_of_an_image_is_of_one_that_is_there(tmp_path: Path) -> None:
    def mounting(source: str) -> CreateRequest:
        mount = MountRequest(type="image", source=source, target="/d")
        return replace(plain(), host_config=HostConfig(mounts=(mount,)))

    async with engine_at(tmp_path) as engine:
        created = await engine.create(mounting("busybox"))
        assert created.warnings == ("Image mount is an experimental feature",)
        before = await state_of(engine)
        # Not a 404: a client would pull the container's own image.
        with pytest.raises(InvalidParameter, match=r"^No such image: nosuch:latest$"):
            await engine.create(mounting("nosuch"))
        assert await state_of(engine) == before


async def test_what_was_created_is_there_after_a_restart(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        created = await engine.create(REQUEST)
        state = await state_of(engine)
    async with engine_at(tmp_path) as engine:
        assert await state_of(engine) == state
        with pytest.raises(Conflict):
            await engine.create(plain("web"))
        assert (await engine.services.registrar.ask(Registrar.find, created.id[:12])).name == "web"
