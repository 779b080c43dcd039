"""Volumes as an actor, with the database and the disk that belong to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import attrs
import pytest
from anyio.lowlevel import checkpoint

from actors import Ref, Supervisor
from daemon.errors import Cancelled, Conflict, InvalidParameter, NotFound, System, Unavailable
from daemon.services.volume_index import VolumeUse
from daemon.services.volumes import Volumes
from daemon.storage.database import Database
from daemon.storage.recovery import Stores, open_stores
from daemon.volume import Volume
from tests.daemon.harness import crash
from tests.daemon.storage.making import names_in, put_layer, write
from tests.daemon.storage.records import container, id_of, layer, volume

pytestmark = pytest.mark.anyio

A, B = id_of(1), id_of(2)
LAYER = layer(b"layer").chain_id


@attrs.frozen
class House:
    database: Ref[Database]
    volumes: Ref[Volumes]
    stores: Stores

    async def acquire(self, container_id: str, *names: str) -> tuple[str, ...]:
        """The names of those to be written with the container."""
        made = await self.volumes.ask(Volumes.acquire, container_id, uses_of(*names), 1)
        return tuple(volume.name for volume in made)

    async def create(self, number: int, *names: str) -> None:
        """All that a create does with volumes."""
        uses = uses_of(*names)
        made = await self.volumes.ask(Volumes.acquire, id_of(number), uses, 1)
        self.stores.containers.create(id_of(number), (), "")
        await self.volumes.ask(Volumes.fill, id_of(number), uses, (), "")
        await self.database.ask(Database.insert_container, container(number, volumes=names), made)
        await self.volumes.ask(Volumes.keep, id_of(number), names, made)

    async def make(self, name: str, owner: str = "request") -> None:
        """Half of what `docker volume create` does: the volume is made and not durable."""
        assert await self.volumes.ask(Volumes.begin_create, owner, volume(name)) is None
        await self.volumes.ask(Volumes.make, owner, name)

    async def users(self) -> dict[str, tuple[str, ...]]:
        return {each.volume.name: each.users for each in await self.volumes.ask(Volumes.list)}

    def directories(self) -> set[str]:
        return set(self.stores.volumes.names())

    def is_tidy(self) -> bool:
        return not names_in(self.stores.volumes.path("").parent / "staging")


@asynccontextmanager
async def house_at(root: Path, *, ready_trees_max: int = 0) -> AsyncIterator[House]:
    stores = open_stores(root, ready_trees_max=ready_trees_max)
    async with Supervisor() as supervisor:
        database = await supervisor.start(lambda: Database(root / "db"), name="database")
        volumes = await supervisor.start(
            lambda: Volumes(database, stores.volumes, stores.layers, stores.containers), name="volumes"
        )
        yield House(database, volumes, stores)


def use(name: str, **fields: object) -> VolumeUse:
    return attrs.evolve(VolumeUse(name=name, destination="/data", is_filled=True), **fields)  # type: ignore[arg-type]


def uses_of(*names: str) -> tuple[VolumeUse, ...]:
    return tuple(map(use, names))


NONE_YET: object = "none yet"


class Asking:
    """A question that may have to wait, asked beside the test."""

    def __init__(self) -> None:
        self.answer: object = NONE_YET

    async def __call__(self, question: Awaitable[object]) -> None:
        try:
            self.answer = await question
        except (Cancelled, Conflict, NotFound) as error:
            self.answer = error


async def wait_turn() -> None:
    """Until everything that has been asked has had its chance of an answer."""
    for _ in range(10):
        await checkpoint()


# Containers ----------------------------------------------------------------------------------------------------------


async def test_a_volume_is_there_when_a_container_with_it_is_durable(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        assert await house.acquire(A, "v", "w", "v") == ("v", "w")
        assert await house.acquire(B, "w") == ("w",), "the container that brings it may still fail"
        assert await house.users() == {}
        await house.create(1, "v", "w")
        assert await house.acquire(B, "v", "x") == ("x",)
        assert await house.volumes.ask(Volumes.find, "v") == volume("v")
        assert await house.users() == {"v": (A, B), "w": (A, B)}


async def test_what_was_made_for_a_create_that_fails_goes_with_it(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        await house.create(2, "old")
        await house.acquire(A, "new", "old")
        house.stores.containers.create(A, (), "")
        await house.volumes.ask(Volumes.fill, A, uses_of("new", "old"), (), "")
        assert house.directories() == {"new", "old"}
        for _ in range(2):
            await house.volumes.ask(Volumes.release, A)
            assert house.directories() == {"old"}
        assert house.is_tidy()
        assert await house.acquire(A, "new") == ("new",), "it is new once more"


async def test_what_another_create_has_come_to_use_stays(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        await house.acquire(A, "v")
        house.stores.containers.create(A, (), "")
        await house.volumes.ask(Volumes.fill, A, uses_of("v"), (), "")
        assert await house.acquire(B, "v") == ("v",)
        await house.volumes.ask(Volumes.release, A)
        assert house.directories() == {"v"}
        await house.volumes.ask(Volumes.release, B)
        assert house.directories() == set()


async def test_a_named_volume_outlives_its_containers(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        await house.create(1, "v")
        write(house.stores.volumes.data("v"), "precious")
        await house.volumes.ask(Volumes.release, A)
        assert names_in(house.stores.volumes.data("v")) == ["precious"]
        assert await house.acquire(B, "v") == ()


async def test_an_empty_volume_gets_the_content_of_the_container_if_it_is_to_be_filled(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        put_layer(house.stores.layers, LAYER, lambda target: write(target, "data/file"))
        house.stores.containers.create(A, (house.stores.layers.path(LAYER),), "/data/work")
        uses = (use("filled"), use("bare", is_filled=False), use("elsewhere", destination="/none"))
        await house.volumes.ask(Volumes.acquire, A, uses, 1)
        await house.volumes.ask(Volumes.fill, A, uses, (LAYER,), "/data/work")
        found = {name: names_in(house.stores.volumes.data(name)) for name in house.directories()}
        assert found == {"filled": ["file", "work"], "bare": [], "elsewhere": []}


async def test_volumes_are_made_beforehand_and_again_when_creates_have_claimed_them(tmp_path: Path) -> None:
    async with house_at(tmp_path, ready_trees_max=2) as house:  # of which half are for volumes
        ready = house.stores.volumes.ready
        for number in range(2):
            with anyio.fail_after(20):
                while not len(ready):
                    await checkpoint()
            (name,) = ready.names()
            made = (tmp_path / "ready" / name).stat().st_ino
            await house.create(number, f"v{number}")
            assert (tmp_path / "volumes" / f"v{number}").stat().st_ino == made


async def test_a_volume_that_is_mounted_from_elsewhere_is_not_filled(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        house.stores.containers.create(A, (), "/data/work")
        mounted = use("mounted", options={"type": "none", "device": "/somewhere", "o": "bind"})
        await house.volumes.ask(Volumes.acquire, A, (mounted, use("plain")), 1)
        for uses in ((mounted, use("plain")), uses_of("mounted")):  # the volume's own options count
            await house.volumes.ask(Volumes.fill, A, uses, (), "/data/work")
        found = {name: names_in(house.stores.volumes.data(name)) for name in house.directories()}
        assert found == {"mounted": [], "plain": ["work"]}


@pytest.mark.parametrize(
    ("is_of_config", "text"),
    [
        (True, "cannot mount volume over existing file, file exists /etc/passwd"),
        (False, "source /etc/passwd is not directory"),
    ],
)
async def test_a_volume_in_the_place_of_a_file_is_refused(is_of_config: bool, text: str, tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        put_layer(house.stores.layers, LAYER, lambda target: write(target, "etc/passwd"))
        house.stores.containers.create(A, (house.stores.layers.path(LAYER),), "")
        uses = (use("v", destination="/etc/passwd", is_of_config=is_of_config),)
        await house.volumes.ask(Volumes.acquire, A, uses, 1)
        with pytest.raises(InvalidParameter) as refused:
            await house.volumes.ask(Volumes.fill, A, uses, (LAYER,), "")
        assert str(refused.value) == text
        await house.volumes.ask(Volumes.release, A)
        assert house.directories() == set()


async def test_a_disk_that_fails_refuses_that_request_and_no_other(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        (tmp_path / "volumes" / "bad").write_text("in the way")
        await house.acquire(A, "bad")
        with pytest.raises(System, match=r"^cannot make the volume's directory: Not a directory$"):
            await house.volumes.ask(Volumes.fill, A, uses_of("bad"), (), "")
        await house.create(2, "good")
        assert house.directories() == {"bad", "good"}


# Changes of one volume -----------------------------------------------------------------------------------------------


async def test_a_volume_that_is_made_by_itself_is_there_when_it_is_durable(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        await house.make("v")
        assert house.directories() == {"v"}
        assert await house.users() == {}
        for _ in range(2):
            await house.volumes.ask(Volumes.finish_create, "request", volume("v"))
            assert await house.users() == {"v": ()}
        assert await house.volumes.ask(Volumes.begin_create, "other", volume("v")) == volume("v")


async def test_a_volume_whose_creation_fails_goes(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        await house.make("v")
        for _ in range(2):
            await house.volumes.ask(Volumes.release, "request")
            assert house.directories() == set()


WAITING_FOR_A_CREATION: dict[str, tuple[Callable[[House], Awaitable[object]], object]] = {
    "a create": (lambda house: house.volumes.ask(Volumes.acquire, A, uses_of("w", "v"), 1), (volume("w"),)),
    "a creation": (lambda house: house.volumes.ask(Volumes.begin_create, "other", volume("v")), volume("v")),
    "a removal": (lambda house: house.volumes.ask(Volumes.claim, "other", "v"), volume("v")),
}


@pytest.mark.parametrize("who", WAITING_FOR_A_CREATION)
async def test_who_wants_a_volume_that_is_just_being_created_waits_for_it(who: str, tmp_path: Path) -> None:
    question, expected = WAITING_FOR_A_CREATION[who]
    async with house_at(tmp_path) as house, anyio.create_task_group() as group:
        await house.make("v")
        asking = Asking()
        group.start_soon(asking, question(house))
        await wait_turn()
        assert asking.answer == NONE_YET
        await house.volumes.ask(Volumes.finish_create, "request", volume("v"))
        await wait_turn()
        assert asking.answer == expected


async def test_a_creation_waits_for_a_container_that_is_about_to_bring_the_volume(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house, anyio.create_task_group() as group:
        first, second = Asking(), Asking()
        made = await house.volumes.ask(Volumes.acquire, A, uses_of("v"), 1)
        await house.acquire(B, "w")
        group.start_soon(first, house.volumes.ask(Volumes.begin_create, "first", volume("v")))
        group.start_soon(second, house.volumes.ask(Volumes.begin_create, "second", volume("w")))
        await wait_turn()
        assert (first.answer, second.answer) == (NONE_YET, NONE_YET)
        await house.volumes.ask(Volumes.keep, A, ("v",), made)
        await house.volumes.ask(Volumes.release, B)
        await wait_turn()
        assert (first.answer, second.answer) == (volume("v"), None), "the second is to be made after all"


async def test_who_wants_a_volume_that_is_being_removed_waits_until_it_is_gone_or_stays(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house, anyio.create_task_group() as group:
        await house.create(1, "v", "w")
        write(house.stores.volumes.data("v"), "old")
        await house.volumes.ask(Volumes.release, A)
        claimed = await house.volumes.ask(Volumes.claim, "request", "v")
        await house.volumes.ask(Volumes.claim, "other", "w")
        container_, removal = Asking(), Asking()
        group.start_soon(container_, house.volumes.ask(Volumes.acquire, B, uses_of("v", "w"), 1))
        group.start_soon(removal, house.volumes.ask(Volumes.claim, "later", "v"))
        await wait_turn()
        await house.volumes.ask(Volumes.discard, "request", (claimed,))
        assert house.directories() == {"w"}
        assert isinstance(removal.answer, NotFound)
        assert container_.answer == NONE_YET
        await house.volumes.ask(Volumes.release, "other")
        await wait_turn()
        assert container_.answer == (volume("v"),), "one made anew, and one that stayed"
        house.stores.containers.create(B, (), "")
        await house.volumes.ask(Volumes.fill, B, uses_of("v", "w"), (), "")
        assert names_in(house.stores.volumes.data("v")) == []


async def test_what_is_given_up_is_not_waited_for_any_more(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house, anyio.create_task_group() as group:
        await house.make("v")
        asking = Asking()
        group.start_soon(asking, house.volumes.ask(Volumes.acquire, A, uses_of("v"), 1))
        await wait_turn()
        await house.volumes.ask(Volumes.release, A)
        await wait_turn()
        assert isinstance(asking.answer, Cancelled)
        await house.volumes.ask(Volumes.finish_create, "request", volume("v"))
        assert await house.users() == {"v": ()}


async def test_a_removed_volume_is_measured_if_that_is_wanted(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        for name in ("v", "w"):
            await house.make(name)
            await house.volumes.ask(Volumes.finish_create, "request", volume(name))
            (house.stores.volumes.data(name) / "file").write_bytes(b"x" * 1000)
        claimed = await house.volumes.ask(Volumes.claim_unused, "request", ("v", "w"))
        assert await house.volumes.ask(Volumes.discard, "request", claimed[:1], is_measured=True) == 1000
        assert await house.volumes.ask(Volumes.discard, "request", claimed[1:]) == 0
        assert await house.volumes.ask(Volumes.discard, "request", claimed, is_measured=True) == 0
        assert house.directories() == set()
        assert house.is_tidy()


async def test_a_removal_that_the_disk_fails_frees_the_name_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise System("cannot remove a volume: Input/output error")

    async with house_at(tmp_path) as house:
        await house.make("v")
        await house.volumes.ask(Volumes.finish_create, "request", volume("v"))
        claimed = await house.volumes.ask(Volumes.claim, "request", "v")
        monkeypatch.setattr(house.stores.volumes, "discard", fail)
        with pytest.raises(System, match=r"^cannot remove a volume: Input/output error$"):
            await house.volumes.ask(Volumes.discard, "request", (claimed,))
        await house.make("v")
        assert not house.is_tidy(), "the rest is for recovery"


async def test_one_prune_at_a_time(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        for _ in range(2):
            await house.volumes.ask(Volumes.begin_prune, "first")
        with pytest.raises(Conflict, match=r"^a prune operation is already running$"):
            await house.volumes.ask(Volumes.begin_prune, "second")
        await house.volumes.ask(Volumes.release, "second")
        with pytest.raises(Conflict):
            await house.volumes.ask(Volumes.begin_prune, "second")
        await house.volumes.ask(Volumes.release, "first")
        await house.volumes.ask(Volumes.begin_prune, "second")


# Restarts ------------------------------------------------------------------------------------------------------------


async def test_after_a_restart_it_knows_what_the_database_knows(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        await house.create(1, "v", "w")
        await house.acquire(B, "lost")
    async with house_at(tmp_path) as house:
        assert await house.users() == {"v": (A,), "w": (A,)}
        assert await house.acquire(B, "v", "lost") == ("lost",)


async def test_what_is_kept_is_known_even_if_it_was_acquired_before_a_crash(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        made: tuple[Volume, ...] = await house.volumes.ask(Volumes.acquire, A, uses_of("v"), 1)
        crash(house.volumes)
        for _ in range(2):
            await house.volumes.ask(Volumes.keep, A, ("v",), made)
        assert await house.users() == {"v": (A,)}


async def test_what_was_acquired_before_a_crash_is_not_made_after_it(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        await house.acquire(A, "v")
        assert await house.volumes.ask(Volumes.begin_create, "request", volume("w")) is None
        crash(house.volumes)
        with pytest.raises(Unavailable, match=r"^the volumes have been restarted, try again$"):
            await house.volumes.ask(Volumes.fill, A, uses_of("v"), (), "")
        with pytest.raises(Unavailable):
            await house.volumes.ask(Volumes.make, "request", "w")
        assert house.directories() == set()


async def test_a_directory_that_was_made_before_a_crash_is_left_to_whoever_made_it(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        made = await house.volumes.ask(Volumes.acquire, A, uses_of("v"), 1)
        house.stores.containers.create(A, (), "/data/work")
        await house.volumes.ask(Volumes.fill, A, uses_of("v"), (), "/data/work")
        crash(house.volumes)
        assert await house.acquire(B, "v") == ("v",)
        await house.volumes.ask(Volumes.release, B)
        await house.volumes.ask(Volumes.keep, A, ("v",), made)
        assert names_in(house.stores.volumes.data("v")) == ["work"]
        assert await house.users() == {"v": (A,)}


async def test_who_waits_when_it_crashes_is_told(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house, anyio.create_task_group() as group:
        await house.make("v")
        failed: list[Exception] = []

        async def ask() -> None:
            try:
                await house.volumes.ask(Volumes.claim, "other", "v")
            except Exception as error:  # noqa: BLE001 - of which kind is the claim
                failed.append(error)

        group.start_soon(ask)
        await wait_turn()
        crash(house.volumes)
        assert await house.users() == {}
        await wait_turn()
        assert [type(error).__name__ for error in failed] == ["ActorCrashed"]
