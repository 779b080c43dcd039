"""Records that cannot be read, in a database that was made by the real thing and damaged by hand."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import msgspec
import pytest

from daemon.container import ContainerConfig, Link
from daemon.errors import System
from daemon.network import Network
from daemon.storage.database import Database, KeptKey
from daemon.storage.records import JOINED_BYTES_MAX, NO_LINKS, read_offline
from daemon.storage.schema import open_database
from daemon.summary import ContainerNames
from tests.daemon.storage.records import container, filled, id_of, image, volume

GARBAGE = (b"", b"{", b"null", b"[1]", b'{"id": 1}', b"\xff\xfe", b"[" * 100_000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Two of everything, the second of which uses the first's volume."""
    file = tmp_path / "boatyard.db"

    async def live() -> None:
        async with Database(file) as database:
            key = KeptKey(key="k", fingerprint="f", container_id=id_of(1))
            await database.insert_container(container(1, "bad", volumes=("v",)), (volume("v"),), key)
            await database.insert_container(container(2, "good", volumes=("v", "w")), (volume("w"),))
            await database.insert_image(image(b"bad"), ("a:1",))
            await database.insert_image(image(b"good"), ("b:1",))
            await database.insert_network(filled(Network))

    anyio.run(live)
    return file


def damage(path: Path, table: str, key: str, record: object) -> None:
    column = {"volumes": "name", "idempotency_keys": "key"}.get(table, "id")
    with closing(open_database(path)) as connection:
        changed = connection.execute(f"UPDATE {table} SET record = ? WHERE {column} = ?", (record, key)).rowcount
        assert changed == 1


def set_aside(path: Path) -> dict[tuple[str, str], object]:
    with closing(sqlite3.connect(path)) as connection:
        return {
            (kind, key): record for kind, key, record in connection.execute("SELECT kind, key, record FROM set_aside")
        }


@pytest.mark.anyio
@pytest.mark.parametrize("record", GARBAGE, ids=[repr(each[:9]) for each in GARBAGE])
async def test_a_container_that_cannot_be_read_is_set_aside_and_gives_its_name_back(path: Path, record: bytes) -> None:
    damage(path, "containers", id_of(1), record)
    for _ in range(2):
        async with Database(path) as database:
            assert [(each.id, each.name) for each in await database.summaries()] == [(id_of(2), "good")]
            assert await database.kept_keys() == ()
            assert await database.volume_users() == (("v", id_of(2)), ("w", id_of(2)))
            found = await database.records()
            assert [each.id for each in found.containers] == [id_of(2)]
            assert list(found.set_aside) == [("containers", id_of(1))]
    assert set_aside(path) == {("containers", id_of(1)): record}
    async with Database(path) as database:
        await database.insert_container(container(3, "bad"))


@pytest.mark.anyio
async def test_a_record_of_any_kind_that_cannot_be_read_hinders_no_other(path: Path) -> None:
    bad = {
        ("containers", id_of(1)),
        ("images", image(b"bad").id),
        ("volumes", "v"),
        ("networks", filled(Network).id),
        ("idempotency_keys", "k"),
    }
    for table, key in bad:
        damage(path, table, key, b"{")
    async with Database(path) as database:
        assert await database.kept_keys() == ()
        assert [each.name for each in await database.summaries()] == ["good"]
        assert await database.images() == (image(b"good"),)
        assert await database.image_references() == (("b:1", image(b"good").id),)
        assert await database.volumes() == (volume("w"),)
        assert await database.networks() == ()
    assert set(set_aside(path)) == bad


@pytest.mark.anyio
async def test_a_record_that_is_good_for_the_list_only_is_told_of_when_it_is_asked_for(path: Path) -> None:
    with closing(open_database(path)) as connection:
        sql = "UPDATE containers SET record = json_set(CAST(record AS TEXT), '$.config.tty', 7) WHERE id = ?"
        connection.execute(sql, (id_of(1),))
    async with Database(path) as database:
        assert len(await database.summaries()) == 2
        with pytest.raises(System, match=f"^the record of container {id_of(1)} is damaged$"):
            await database.container(id_of(1))
        assert (await database.container(id_of(2))) is not None
        await database.delete_container(id_of(1))


@pytest.mark.anyio
async def test_names_are_those_of_all_containers_and_of_their_links(tmp_path: Path) -> None:
    links = (Link(alias="db", container_id=id_of(1)),)
    made = [
        container(1, "db"),
        container(2, "web", links=links),
        container(3, "long", config=ContainerConfig(labels={"l": "x" * JOINED_BYTES_MAX})),
        container(4, "long-web", config=ContainerConfig(labels={"l": "x" * JOINED_BYTES_MAX}), links=links),
    ]
    async with Database(tmp_path / "boatyard.db") as database:
        for each in made:
            await database.insert_container(each)
        assert await database.names() == tuple(ContainerNames(each.id, each.name, each.links) for each in made)


@pytest.mark.anyio
@pytest.mark.parametrize("record", GARBAGE, ids=[repr(each[:9]) for each in GARBAGE])
async def test_a_container_that_cannot_be_read_has_its_name_until_it_is_set_aside(path: Path, record: bytes) -> None:
    damage(path, "containers", id_of(1), record)
    async with Database(path) as database:
        assert [(each.name, each.links) for each in await database.names()] == [("bad", ()), ("good", ())]


def test_a_record_without_links_is_known_by_its_end() -> None:
    """Else the names are right all the same, and slow."""
    assert msgspec.json.encode(container(1)).endswith(NO_LINKS)


def test_reading_offline_changes_nothing(path: Path) -> None:
    damage(path, "volumes", "v", b"{")
    before = path.read_bytes()
    records, complaints = read_offline(path, is_verifying=True)
    assert (records.set_aside, complaints) == ((("volumes", "v"),), ())
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "boatyard.db").write_bytes(b"no database" * 1000)
    with pytest.raises(System, match=r"^cannot read the database: file is not a database$"):
        read_offline(tmp_path / "boatyard.db", is_verifying=False)
