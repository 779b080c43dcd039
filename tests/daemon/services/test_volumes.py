"""Volumes as an actor, with the database and the disk that belong to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest

from actors import Ref, Supervisor
from daemon.errors import Conflict, InvalidParameter, System
from daemon.services.volumes import NAME_LENGTH_MAX, Volumes, VolumeUse, check_volume_name
from daemon.storage.database import Database, Volume
from daemon.storage.recovery import Stores, open_stores
from tests.daemon.storage.making import names_in, write
from tests.daemon.storage.records import container, id_of, layer

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
        await self.volumes.ask(Volumes.fill, uses, ())
        await self.database.ask(Database.insert_container, container(number, volumes=names), made)
        await self.volumes.ask(Volumes.keep, id_of(number), names, made)

    def directories(self) -> set[str]:
        return set(self.stores.volumes.names())


@asynccontextmanager
async def house_at(root: Path) -> AsyncIterator[House]:
    stores = open_stores(root)
    async with Supervisor() as supervisor:
        database = await supervisor.start(lambda: Database(root / "db"), name="database")
        volumes = await supervisor.start(lambda: Volumes(database, stores.volumes, stores.layers), name="volumes")
        yield House(database, volumes, stores)


def use(name: str, **fields: object) -> VolumeUse:
    plain = VolumeUse(name=name, destination="/data", is_anonymous=name.startswith("anonymous"), is_filled=True)
    return attrs.evolve(plain, **fields)  # type: ignore[arg-type]  # attrs checks the names


def uses_of(*names: str) -> tuple[VolumeUse, ...]:
    return tuple(map(use, names))


# Names ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ab", "0-", "A_.-z", "x" * NAME_LENGTH_MAX, "v.removed"])
def test_a_good_name_passes(name: str) -> None:
    check_volume_name(name)


CHARACTERS = (
    'includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. '
    "If you intended to pass a host directory, use absolute path"
)


@pytest.mark.parametrize("name", ["", "..", ".a", "-a", "a/b", "a b", "a\n", "a\0", "\u0661\u0662", "caf\u00e9"])
def test_a_name_with_other_characters_is_refused_in_dockers_words(name: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        check_volume_name(name)
    assert str(refused.value) == f'create {name}: "{name}" {CHARACTERS}'


def test_a_name_of_one_character_is_refused_in_dockers_words() -> None:
    with pytest.raises(InvalidParameter) as refused:
        check_volume_name("a")
    assert str(refused.value) == (
        "create a: volume name is too short, names should be at least two alphanumeric characters"
    )


def test_a_name_that_is_no_file_name_is_refused() -> None:
    with pytest.raises(InvalidParameter, match=r"^create x{40}\.\.\.: volume name is longer than 239 characters$"):
        check_volume_name("x" * (NAME_LENGTH_MAX + 1))


# The actor -----------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_volume_is_to_be_written_until_a_container_with_it_is_durable(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        assert await house.acquire(A, "v", "w", "v") == ("v", "w")
        assert await house.acquire(B, "w") == ("w",), "the container that brings it may still fail"
        await house.create(1, "v", "w")
        assert await house.acquire(B, "v", "x") == ("x",)


@pytest.mark.anyio
async def test_a_volume_is_as_whoever_made_it_wanted_it(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        first = use("v", labels={"by": "first"}, options={"o": "1"}, is_anonymous=True)
        expected = Volume(name="v", created_ns=5, labels={"by": "first"}, options={"o": "1"}, is_anonymous=True)
        assert await house.volumes.ask(Volumes.acquire, A, (first,), 5) == (expected,)
        assert await house.volumes.ask(Volumes.acquire, B, (use("v"),), 6) == (expected,)


@pytest.mark.anyio
async def test_what_was_made_for_a_create_that_fails_goes_with_it(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        await house.create(2, "old")
        await house.acquire(A, "new", "old")
        await house.volumes.ask(Volumes.fill, uses_of("new", "old"), ())
        assert house.directories() == {"new", "old"}
        for _ in range(2):
            await house.volumes.ask(Volumes.release, A)
            assert house.directories() == {"old"}
        assert await house.acquire(A, "new") == ("new",), "it is new once more"


@pytest.mark.anyio
async def test_what_another_container_has_come_to_use_stays(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        await house.acquire(A, "v")
        await house.volumes.ask(Volumes.fill, uses_of("v"), ())
        assert await house.acquire(B, "v") == ("v",)
        await house.volumes.ask(Volumes.release, A)
        assert house.directories() == {"v"}
        await house.volumes.ask(Volumes.release, B)
        assert house.directories() == set()


@pytest.mark.anyio
async def test_a_named_volume_outlives_its_containers(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        await house.create(1, "v")
        write(house.stores.volumes.data("v"), "precious")
        assert await house.volumes.ask(Volumes.claim_anonymous, A) == ()
        await house.volumes.ask(Volumes.release, A)
        assert names_in(house.stores.volumes.data("v")) == ["precious"]
        assert await house.acquire(B, "v") == ()


@pytest.mark.anyio
async def test_anonymous_volumes_go_with_their_only_user(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        await house.create(1, "anonymous1", "anonymous2", "named")
        await house.create(2, "anonymous2")
        claimed = await house.volumes.ask(Volumes.claim_anonymous, A)
        assert claimed == ("anonymous1",)
        await house.volumes.ask(Volumes.release, A)
        for _ in range(2):
            await house.volumes.ask(Volumes.remove, claimed)
            assert house.directories() == {"anonymous2", "named"}
        assert await house.volumes.ask(Volumes.claim_anonymous, B) == ("anonymous2",)


@pytest.mark.anyio
async def test_nobody_comes_to_use_a_volume_that_is_being_removed_until_it_stays_after_all(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        await house.create(1, "anonymous")
        claimed = await house.volumes.ask(Volumes.claim_anonymous, A)
        with pytest.raises(Conflict, match=r"^volume anonymous is being removed$"):
            await house.acquire(B, "new", "anonymous")
        for _ in range(2):
            await house.volumes.ask(Volumes.disclaim, claimed)
        assert await house.acquire(B, "new", "anonymous") == ("new",), "the refused one has left nothing"
        assert await house.volumes.ask(Volumes.claim_anonymous, A) == ()


@pytest.mark.anyio
async def test_a_removed_name_may_be_used_anew(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        await house.create(1, "anonymous")
        await house.volumes.ask(Volumes.remove, await house.volumes.ask(Volumes.claim_anonymous, A))
        assert await house.acquire(B, "anonymous") == ("anonymous",)


@pytest.mark.anyio
async def test_after_a_restart_it_knows_what_the_database_knows(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        await house.create(1, "v", "anonymous")
        await house.acquire(B, "lost")
    async with house_at(tmp_path) as house:
        assert await house.acquire(B, "v", "lost") == ("lost",)
        assert await house.volumes.ask(Volumes.claim_anonymous, A) == ("anonymous",)


@pytest.mark.anyio
async def test_what_is_kept_is_known_even_if_it_was_acquired_before_a_restart(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        made = await house.volumes.ask(Volumes.acquire, A, uses_of("anonymous"), 1)
    async with house_at(tmp_path) as house:
        for _ in range(2):
            await house.volumes.ask(Volumes.keep, A, ("anonymous",), made)
        assert await house.acquire(B, "anonymous") == ()
        await house.volumes.ask(Volumes.release, B)
        assert await house.volumes.ask(Volumes.claim_anonymous, A) == ("anonymous",)


@pytest.mark.anyio
async def test_an_empty_volume_gets_the_content_of_the_image_if_it_is_to_be_filled(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        with house.stores.layers.build() as build:
            write(build.target, "data/file")
            build.commit(LAYER)
        uses = (use("filled"), use("bare", is_filled=False), use("elsewhere", destination="/none"))
        await house.volumes.ask(Volumes.acquire, A, uses, 1)
        await house.volumes.ask(Volumes.fill, uses, (LAYER,))
        found = {name: names_in(house.stores.volumes.data(name)) for name in house.directories()}
        assert found == {"filled": ["file"], "bare": [], "elsewhere": []}


@pytest.mark.anyio
async def test_a_disk_that_fails_refuses_that_request_and_no_other(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        (tmp_path / "volumes" / "bad").write_text("in the way")
        await house.acquire(A, "bad")
        with pytest.raises(System, match=r"^cannot make the volume's directory: Not a directory$"):
            await house.volumes.ask(Volumes.fill, uses_of("bad"), ())
        await house.create(2, "good")
        assert house.directories() == {"bad", "good"}
