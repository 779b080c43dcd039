"""The database as an actor, and its file as others see it."""

from __future__ import annotations

import contextlib
import itertools
import os
import resource
import shutil
import sqlite3
import stat
import struct
import subprocess
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from random import Random

import anyio
import pytest
from msgspec.structs import replace

from actors import ActorCrashed, ActorStopped, Ref, Supervisor, TooManyRestarts
from actors.testing import run_seeded
from daemon.container import Container, ContainerConfig, EndpointSettings, HostConfig, Mount
from daemon.errors import Conflict, DaemonError, NotFound, System
from daemon.image import Image
from daemon.network import Network
from daemon.storage.database import COMMIT_BATCH_MAX, COPIED_WRITES_MIN, IDLE_S, Database, KeptKey
from daemon.storage.schema import SCHEMA, SCHEMA_VERSION, open_database, open_for_reading
from daemon.storage.writes import COPY_LOG, Write, copy_log
from daemon.summary import summary_of
from daemon.volume import Volume
from tests.daemon.storage.making import needs_root
from tests.daemon.storage.records import container, filled, id_of, image, volume

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def started(path: Path, log_bytes_max: int = 0) -> AsyncIterator[Ref[Database]]:
    """As the daemon starts it: it is not started again."""
    async with Supervisor(intensity=(0, 1.0)) as supervisor:
        yield await supervisor.start(lambda: Database(path, log_bytes_max=log_bytes_max), name="database")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "db"


async def outcome(answer: Awaitable[object]) -> str:
    try:
        await answer
    except DaemonError as error:
        return f"{type(error).__name__}: {error}"
    return "done"


def conflict(name: str, holder: int) -> str:
    return (
        f'Conflict: Conflict. The container name "/{name}" is already in use by container "{id_of(holder)}". '
        "You have to remove (or rename) that container to be able to reuse that name."
    )


async def contents(database: Ref[Database]) -> tuple[dict[str, str], set[str]]:
    """Names by id, and volumes."""
    return (
        {each.id: each.name for each in await database.ask(Database.summaries)},
        {volume.name for volume in await database.ask(Database.volumes)},
    )


# Records -------------------------------------------------------------------------------------------------------------


async def test_what_is_written_is_read_and_is_there_after_a_restart(path: Path) -> None:
    rich = filled(Container)
    poor = container(1, config=ContainerConfig(cmd=(), entrypoint=None, labels={}), host_config=HostConfig(binds=()))
    assert rich.host_config.mounts is not None
    async with started(path) as database:
        await database.ask(Database.insert_container, rich, (filled(Volume),))
        await database.ask(Database.insert_container, poor)
        await database.ask(Database.insert_image, filled(Image), ("a:1", "b:2"))
        assert await database.ask(Database.container, rich.id) == rich
    async with started(path) as database:
        assert await database.ask(Database.container, rich.id) == rich
        assert await database.ask(Database.container, "none") is None
        assert {each.id for each in (await database.ask(Database.records)).containers} == {poor.id, rich.id}
        summaries = sorted(await database.ask(Database.summaries), key=lambda each: each.id)
        assert summaries == [summary_of(poor), summary_of(rich)]
        assert await contents(database) == ({rich.id: rich.name, poor.id: poor.name}, {filled(Volume).name})
        assert await database.ask(Database.volumes) == (filled(Volume),)
        assert await database.ask(Database.images) == (filled(Image),)
        assert dict(await database.ask(Database.image_references)) == dict.fromkeys(("a:1", "b:2"), filled(Image).id)


async def test_a_network_is_written_read_and_gone_and_its_name_is_unique(path: Path) -> None:
    rich, poor = filled(Network), Network(id=id_of(1), name="web", created_ns=1)
    async with started(path) as database:
        await database.ask(Database.insert_network, rich)
        await database.ask(Database.insert_network, poor)
        with pytest.raises(Conflict, match=r"^network with name web already exists$"):
            await database.ask(Database.insert_network, replace(poor, id=id_of(2)))
    async with started(path) as database:
        assert set(map(repr, await database.ask(Database.networks))) == {repr(rich), repr(poor)}
        for _ in range(2):
            await database.ask(Database.delete_network, poor.id)
        assert await database.ask(Database.networks) == (rich,)


async def test_a_database_from_before_there_were_networks_gets_room_for_them(path: Path) -> None:
    with closing(open_database(path)) as connection:
        connection.execute("DROP TABLE networks")
    async with started(path) as database:
        assert await database.ask(Database.networks) == ()
        await database.ask(Database.insert_network, filled(Network))


async def test_a_containers_record_is_replaced_but_for_its_name(path: Path) -> None:
    async with started(path) as database:
        await database.ask(Database.insert_container, container(1, "web"))
        changed = container(1, "ignored", networks={"net": EndpointSettings()})
        await database.ask(Database.update_container, changed)
        assert await database.ask(Database.container, id_of(1)) == replace(changed, name="web")
        with pytest.raises(NotFound, match=f"^No such container: {id_of(2)}$"):
            await database.ask(Database.update_container, container(2))


async def test_nothing_given_and_an_empty_list_stay_two_things(path: Path) -> None:
    stored = container(1, config=ContainerConfig(cmd=(), entrypoint=None, labels={}), host_config=HostConfig(binds=()))
    async with started(path) as database:
        await database.ask(Database.insert_container, stored)
        found = await database.ask(Database.container, stored.id)
    assert found is not None
    assert (found.config.cmd, found.config.entrypoint, found.config.labels) == ((), None, {})
    assert (found.host_config.binds, found.host_config.dns) == ((), None)


async def test_a_renamed_container_is_the_same_but_for_its_name(path: Path) -> None:
    async with started(path) as database:
        await database.ask(Database.insert_container, container(1, "old"))
        await database.ask(Database.rename_container, id_of(1), "new")
        assert await database.ask(Database.container, id_of(1)) == container(1, "new")
        assert await contents(database) == ({id_of(1): "new"}, set())
        await database.ask(Database.insert_container, container(2, "old"))


async def test_a_reference_points_at_the_image_that_claimed_it_last(path: Path) -> None:
    async with started(path) as database:
        await database.ask(Database.insert_image, image(b"1"), ("a", "b"))
        await database.ask(Database.insert_image, image(b"2"), ("b", "c"))
        await database.ask(Database.insert_image, image(b"1"), ())
        assert dict(await database.ask(Database.image_references)) == {
            "a": image(b"1").id,
            "b": image(b"2").id,
            "c": image(b"2").id,
        }
        assert len(await database.ask(Database.images)) == 2


async def test_a_volume_that_is_there_stays_as_it_is(path: Path) -> None:
    first = replace(volume("v"), labels={"made": "first"})
    async with started(path) as database:
        assert await database.ask(Database.insert_container, container(1), (first,)) == (first,)
        again = await database.ask(Database.insert_container, container(2), (volume("v"), volume("w")))
        assert again == (volume("w"),)  # what is new with it
        assert {each.name: each.labels for each in await database.ask(Database.volumes)} == {
            "v": first.labels,
            "w": None,
        }


async def test_a_removed_container_takes_its_volumes_and_gives_its_name_back(path: Path) -> None:
    async with started(path) as database:
        await database.ask(Database.insert_container, container(1, "a"), (volume("v"), volume("w")))
        await database.ask(Database.delete_container, id_of(1), ("v", "none"))
        assert await contents(database) == ({}, {"w"})
        await database.ask(Database.insert_container, container(2, "a"))


async def test_who_uses_a_volume_is_known_until_its_container_is_gone(path: Path) -> None:
    bind = Mount(type="bind", destination="/b", source="/b")
    twice = container(2, volumes=("v", "v"))
    async with started(path) as database:
        await database.ask(Database.insert_container, container(1, volumes=("v", "w")), (volume("v"), volume("w")))
        await database.ask(Database.insert_container, replace(twice, mounts=(*twice.mounts, bind)))
        assert sorted(await database.ask(Database.volume_users)) == [
            ("v", id_of(1)),
            ("v", id_of(2)),
            ("w", id_of(1)),
        ]
        await database.ask(Database.delete_container, id_of(1), ("w",))
        assert await database.ask(Database.volume_users) == (("v", id_of(2)),)
        assert await contents(database) == ({id_of(2): "name2"}, {"v"})


async def test_who_uses_a_volume_is_found_out_for_a_database_that_did_not_say(path: Path) -> None:
    async with started(path) as database:
        await database.ask(Database.insert_container, container(1, volumes=("v", "w", "v")), (volume("v"), volume("w")))
        await database.ask(Database.insert_container, container(2))
    with closing(open_database(path)) as connection:
        connection.execute("DROP TABLE volume_users")
        connection.execute("DELETE FROM volumes WHERE name = 'w'")
    for _ in range(2):
        async with started(path) as database:
            assert await database.ask(Database.volume_users) == (("v", id_of(1)),)


async def test_a_volume_by_itself_is_written_once_and_deleted_once(path: Path) -> None:
    first = replace(volume("v"), labels={"made": "first"})
    async with started(path) as database:
        await database.ask(Database.insert_volume, first)
        await database.ask(Database.insert_volume, volume("v"))
        assert await database.ask(Database.volumes) == (first,)
        await database.ask(Database.delete_volume, "v")
        assert await outcome(database.ask(Database.delete_volume, "v")) == "NotFound: get v: no such volume"


# Refusals ------------------------------------------------------------------------------------------------------------


async def test_a_volume_in_use_is_not_deleted_whoever_asks(path: Path) -> None:
    async with started(path) as database:
        await database.ask(Database.insert_container, container(1, volumes=("v",)), (volume("v"),))
        await database.ask(Database.insert_container, container(2, volumes=("v",)))
        assert await outcome(database.ask(Database.delete_volume, "v")) == "Conflict: remove v: volume is in use"
        refused = database.ask(Database.delete_container, id_of(1), ("v",))
        assert await outcome(refused) == f"Conflict: a volume of container {id_of(1)} is in use, try again"
        assert await contents(database) == ({id_of(1): "name1", id_of(2): "name2"}, {"v"})


async def test_a_container_is_not_written_without_its_volumes(path: Path) -> None:
    async with started(path) as database:
        refused = database.ask(Database.insert_container, container(1, volumes=("v", "gone")), (volume("v"),))
        assert await outcome(refused) == "Conflict: a volume of container name1 has been removed, try again"
        assert await contents(database) == ({}, set())


async def test_of_a_use_and_a_deletion_in_one_batch_the_first_wins(path: Path) -> None:
    async with Database(path) as database:
        await database.insert_volume(volume("v"))
        await database.insert_volume(volume("w"))
        with writes_held_back(path):
            answers: list[Awaitable[object]] = [
                database.delete_volume("v"),
                database.insert_container(container(1, volumes=("v",))),
                database.insert_container(container(2, volumes=("w",))),
                database.delete_volume("w"),
            ]
        assert [await outcome(answer) for answer in answers] == [
            "done",
            "Conflict: a volume of container name1 has been removed, try again",
            "done",
            "Conflict: remove w: volume is in use",
        ]


async def test_a_taken_name_is_a_conflict_that_names_its_holder(path: Path) -> None:
    async with started(path) as database:
        await database.ask(Database.insert_container, container(1, "a"))
        await database.ask(Database.insert_container, container(2, "b"))
        assert await outcome(database.ask(Database.insert_container, container(3, "a"))) == conflict("a", 1)
        assert await outcome(database.ask(Database.rename_container, id_of(2), "a")) == conflict("a", 1)
        assert await contents(database) == ({id_of(1): "a", id_of(2): "b"}, set())


async def test_a_name_may_be_changed_to_itself(path: Path) -> None:
    async with started(path) as database:
        await database.ask(Database.insert_container, container(1, "a"))
        await database.ask(Database.rename_container, id_of(1), "a")


async def test_a_container_that_is_not_there_can_be_neither_renamed_nor_deleted(path: Path) -> None:
    missing = f"NotFound: No such container: {id_of(9)}"
    async with started(path) as database:
        await database.ask(Database.insert_container, container(1, "a"), (volume("v"),))
        assert await outcome(database.ask(Database.rename_container, id_of(9), "a")) == missing
        assert await outcome(database.ask(Database.delete_container, id_of(9))) == missing
        assert await outcome(database.ask(Database.delete_container, id_of(9), ("v",))) == missing
        assert await contents(database) == ({id_of(1): "a"}, {"v"})


async def test_a_write_of_several_statements_is_undone_as_a_whole(path: Path) -> None:
    async with started(path) as database:
        await database.ask(Database.insert_container, container(1, "a"))
        refused = database.ask(Database.insert_container, container(2, "a"), (volume("v"), volume("w")))
        assert await outcome(refused) == conflict("a", 1)
        assert await contents(database) == ({id_of(1): "a"}, set())


async def test_a_write_is_undone_whichever_of_its_statements_is_refused(path: Path) -> None:
    make_volume = ("INSERT INTO volumes VALUES (?, ?)", ("v", b"{}"))
    take_name = ("INSERT INTO containers VALUES (?, ?, ?)", (id_of(2), "a", b"{}"))
    async with Database(path) as database:
        await database.insert_container(container(1, "a"))
        with writes_held_back(path):
            answers: list[Awaitable[object]] = [
                database._writer.submit(Write((make_volume, take_name), name="a")),
                database.insert_container(container(3), (volume("w"),)),
            ]
        assert [await outcome(answer) for answer in answers] == [conflict("a", 1), "done"]
        assert [each.name for each in await database.volumes()] == ["w"]


async def test_an_id_drawn_twice_is_a_defect_and_not_an_answer(path: Path) -> None:
    with pytest.raises(TooManyRestarts):
        async with started(path) as database:
            await database.ask(Database.insert_container, container(1, "a"))
            with pytest.raises(ActorCrashed) as crash:
                await database.ask(Database.insert_container, container(1, "b"))
            assert isinstance(crash.value.__cause__, sqlite3.IntegrityError)
            with pytest.raises(ActorStopped):
                await database.ask(Database.records)
    assert names_in(path) == ["a"]


def names_in(path: Path) -> list[str]:
    with closing(open_database(path)) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM containers ORDER BY id")]


# Group commit --------------------------------------------------------------------------------------------------------


@contextmanager
def writes_held_back(path: Path) -> Iterator[None]:
    """What is written meanwhile gathers, up to the end of this block."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def commits_in(path: Path) -> int:
    """Transactions in the write-ahead log: the frames that say how large the database is after them.

    Format: https://www.sqlite.org/fileformat2.html#the_write_ahead_log
    """
    log = path.with_name(f"{path.name}-wal").read_bytes()
    page_bytes, salt = struct.unpack_from(">I", log, 8)[0], log[16:24]
    frames = [log[at : at + 24] for at in range(32, len(log), 24 + page_bytes)]
    return sum(1 for frame in frames if frame[8:16] == salt and frame[4:8] != bytes(4))


async def test_summaries_of_containers_share_what_they_have_in_common(path: Path) -> None:
    networks = {"bridge": EndpointSettings()}
    async with started(path) as database:
        for number in (1, 2):
            made = container(number, args=("-c", "true"), networks=networks)
            await database.ask(Database.insert_container, made)
        one, other = await database.ask(Database.summaries)
    for field in ("image", "image_id", "path", "args", "labels", "network_mode", "networks"):
        assert getattr(one, field) is getattr(other, field), field


async def test_a_network_with_options_of_its_own_is_in_the_summary_as_it_is(path: Path) -> None:
    made = container(1, networks={"net": EndpointSettings(driver_opts={"a": "b"})})
    async with started(path) as database:
        await database.ask(Database.insert_container, made)
        assert await database.ask(Database.summaries) == (summary_of(made),)


async def test_writes_that_come_together_share_a_commit_and_a_refused_one_leaves_the_others(path: Path) -> None:
    async with Database(path) as database:
        await database.insert_container(container(1, "a"))
        before = commits_in(path)
        with writes_held_back(path):
            answers: list[Awaitable[object]] = [
                *(database.insert_container(container(number)) for number in range(2, 100)),
                database.insert_container(container(100, "a"), (volume("v"),)),
                database.rename_container(id_of(101), "b"),
                database.rename_container(id_of(2), "a"),
                database.insert_container(container(102), (volume("w"),)),
                database.delete_container(id_of(1)),
                database.insert_container(container(103, "a")),
            ]
        outcomes = [await outcome(answer) for answer in answers]
        missing = f"NotFound: No such container: {id_of(101)}"
        assert outcomes[:98] == ["done"] * 98
        assert outcomes[98:] == [conflict("a", 1), missing, conflict("a", 1), "done", "done", "done"]
        assert commits_in(path) - before <= 2, "the first may have been alone when its turn came"
        assert len((await database.records()).containers) == 100
        assert [each.name for each in await database.volumes()] == ["w"]


async def test_a_batch_has_an_end(path: Path) -> None:
    async with Database(path) as database:
        before = commits_in(path)
        with writes_held_back(path):
            answers = [database.insert_container(container(number)) for number in range(COMMIT_BATCH_MAX + 2)]
        for answer in answers:
            await answer
        assert commits_in(path) - before in (2, 3)


async def test_readers_see_nothing_before_it_is_committed_and_do_not_wait_for_writers(path: Path) -> None:
    async with Database(path) as database:
        with writes_held_back(path):
            answer = database.insert_container(container(1))
            assert (await database.records()).containers == ()
        await answer
        assert await database.container(id_of(1)) == container(1)


# The file ------------------------------------------------------------------------------------------------------------


async def test_what_is_answered_is_durable(path: Path) -> None:
    with closing(open_database(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,), "FULL: the log is synced at each commit"
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    with closing(open_database(path)) as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,), "it is no property of the file"


async def test_the_log_is_enough_after_a_crash(path: Path, tmp_path: Path) -> None:
    async with started(path) as database:
        await database.ask(Database.insert_container, container(1, "a"))
        (tmp_path / "crashed").mkdir()
        for file in (path, path.with_name("db-wal")):
            (tmp_path / "crashed" / file.name).write_bytes(file.read_bytes())
    assert names_in(tmp_path / "crashed" / "db") == ["a"]


async def test_nobody_else_may_read_it(path: Path) -> None:
    async with started(path) as database:
        await database.ask(Database.insert_container, container(1))
        assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}


async def test_readers_cannot_write(path: Path) -> None:
    async with Database(path) as database:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await database._submit_read(lambda connection: connection.execute("DELETE FROM containers"))


async def test_a_database_that_is_older_than_the_keys_of_idempotency_gets_their_table(path: Path) -> None:
    with closing(open_database(path)) as connection:
        connection.execute("DROP TABLE idempotency_keys")
    async with Database(path) as database:
        kept = KeptKey(key="k", fingerprint="f", container_id=id_of(1))
        await database.insert_container(container(1), (), kept)
        assert await database.kept_keys() == (kept,)
        await database.delete_container(id_of(1))
        assert await database.kept_keys() == ()


async def test_a_container_its_volumes_and_its_key_are_written_together_or_not_at_all(path: Path) -> None:
    kept = KeptKey(key="k", fingerprint="f", container_id=id_of(1))
    async with Database(path) as database:
        await database.insert_container(container(1, "a"), (volume("v1"),), kept)
        refused = await outcome(database.insert_container(container(2, "b"), (volume("v2"),), kept))
        assert (
            refused
            == f"Conflict: idempotency key 'k' is in use by container {id_of(1)}, which was created by another request"
        )
        other = replace(kept, key="l", container_id=id_of(2))
        assert await outcome(database.insert_container(container(2, "a"), (volume("v2"),), other)) == conflict("a", 1)
        assert [each.name for each in await database.volumes()] == ["v1"]
        assert await database.kept_keys() == (kept,)
        assert [(each.id, each.name) for each in await database.summaries()] == [(id_of(1), "a")]


def test_a_database_of_a_newer_version_is_refused_and_left_as_it_is(path: Path) -> None:
    with closing(open_database(path)) as connection:
        connection.execute("PRAGMA user_version = 7")
    with pytest.raises(System, match=rf"^the database has version 7, this program knows {SCHEMA_VERSION}$"):
        open_database(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (7,)


# A disk that fails ---------------------------------------------------------------------------------------------------


async def test_a_full_disk_refuses_the_writes_of_its_batch_and_the_actor_lives_on(path: Path) -> None:
    full = "DiskFull: no space left on device"
    large = ContainerConfig(labels={"large": "x" * 20_000})
    async with Database(path) as database:
        await database.insert_container(container(1, "a"))
        pages = database._connection.execute("PRAGMA page_count").fetchone()[0]
        database._connection.execute(f"PRAGMA max_page_count = {pages + 1}")
        before = commits_in(path)
        with writes_held_back(path):
            answers = [
                database.insert_container(container(2)),
                database.insert_container(container(3, config=large), (volume("v"),)),
                database.insert_container(container(4, "a")),
            ]
        outcomes = [await outcome(answer) for answer in answers]
        assert outcomes[1] == full
        # It depends on whether the writer had its turn between them.
        assert outcomes[0] in ("done", full)
        assert outcomes[2] in (conflict("a", 1), full)
        assert commits_in(path) - before <= 2
        names = {each.name for each in await database.summaries()}
        assert names == {"a"} | ({"name2"} if outcomes[0] == "done" else set())
        assert await database.volumes() == ()
        await database.delete_container(id_of(1))
        await database.insert_container(container(5, "a"))
        database._connection.execute(f"PRAGMA max_page_count = {pages + 100}")
        await database.insert_container(container(3, config=large))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    directory = tmp_path / "small"
    directory.mkdir()
    options = ["-t", "tmpfs", "-o", "size=400k", "tmpfs", str(directory)]
    if subprocess.run(["mount", *options], capture_output=True, check=False).returncode != 0:
        pytest.skip("file systems can be mounted by root only")
    try:
        yield directory
    finally:
        subprocess.run(["umount", str(directory)], check=True)


@needs_root
async def test_a_disk_that_is_really_full_refuses_and_serves_again_when_there_is_room(small_disk: Path) -> None:
    """Here it is the commit that fails, and not a statement."""
    ballast = small_disk / "ballast"
    async with Database(small_disk / "db") as database:
        await database.insert_container(container(0))
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
        outcomes = [await outcome(database.insert_container(container(number))) for number in range(1, 5)]
        assert set(outcomes) == {"DiskFull: no space left on device"}
        assert [each.id for each in await database.summaries()] == [id_of(0)]
        ballast.unlink()
        await database.insert_container(container(1))
        assert {each.id for each in (await database.records()).containers} == {id_of(0), id_of(1)}


@contextmanager
def file_size_max(size: int) -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


async def test_any_other_error_of_the_disk_ends_the_actor_and_what_was_answered_is_kept(path: Path) -> None:
    with pytest.raises(TooManyRestarts):
        async with started(path) as database:
            await database.ask(Database.insert_container, container(1, "a"))
            log_bytes = path.with_name("db-wal").stat().st_size
            with pytest.raises(ActorCrashed) as crash, file_size_max(log_bytes):
                await database.ask(Database.insert_container, container(2, "b"))
            assert isinstance(crash.value.__cause__, sqlite3.OperationalError)
            assert crash.value.__cause__.sqlite_errorname.startswith("SQLITE_IOERR")
            with pytest.raises(ActorStopped):
                await database.ask(Database.insert_container, container(3, "c"))
    assert names_in(path) == ["a"]


# The log made beforehand ---------------------------------------------------------------------------------------------


async def test_the_log_has_its_size_before_the_first_commit_and_keeps_it(path: Path) -> None:
    log = path.with_name("db-wal")
    async with Database(path, log_bytes_max=2 << 20) as database:
        size = log.stat().st_size
        assert size == 2 << 20
        inode = log.stat().st_ino
        for number in range(50):
            await database.insert_container(container(number))
        assert (log.stat().st_size, log.stat().st_ino) == (size, inode)
    assert not log.exists()


async def test_a_log_made_beforehand_is_recovered_from_like_any_other(path: Path, tmp_path: Path) -> None:
    async with Database(path, log_bytes_max=1 << 20) as database:
        await database.insert_container(container(1, "a"))
        for file in (path, path.with_name("db-wal")):  # as a power cut leaves them
            shutil.copy(file, tmp_path / f"copy{file.name.removeprefix('db')}")
    async with Database(tmp_path / "copy", log_bytes_max=1 << 20) as database:
        assert (tmp_path / "copy-wal").stat().st_size == 1 << 20
        await database.insert_container(container(2, "b"))
        assert [(each.id, each.name) for each in await database.summaries()] == [(id_of(1), "a"), (id_of(2), "b")]


async def test_a_log_made_beforehand_takes_a_hundredth_of_what_is_free(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = os.statvfs(path.parent)
    small = os.statvfs_result((free.f_bsize, 4096, *free[2:4], 10_000, *free[5:]))
    monkeypatch.setattr(os, "statvfs", lambda _: small)
    async with Database(path, log_bytes_max=1 << 20) as database:
        assert path.with_name("db-wal").stat().st_size == 100 * 4096
        await database.insert_container(container(1, "a"))


def copied_bytes(path: Path) -> int:
    return path.stat().st_size


def test_the_log_is_copied_when_there_is_much_in_it_and_nothing_is_written(path: Path) -> None:
    async def scenario(_: Random) -> None:
        async with started(path, log_bytes_max=1 << 20) as database:
            numbers = iter(range(1000))

            async def insert(count: int, *, every_s: float = 0.0) -> None:
                for number in itertools.islice(numbers, count):
                    await database.ask(Database.insert_container, container(number))
                    await anyio.sleep(every_s)

            none = copied_bytes(path)
            await insert(COPIED_WRITES_MIN - 1)
            await anyio.sleep(10 * IDLE_S)
            assert copied_bytes(path) == none, "it is hardly worth it"
            await insert(100, every_s=IDLE_S / 3)
            assert copied_bytes(path) == none, "somebody might have waited"
            await anyio.sleep(3 * IDLE_S)
            some = copied_bytes(path)
            assert some > none
            await insert(COPIED_WRITES_MIN - 1)
            await anyio.sleep(3 * IDLE_S)
            assert copied_bytes(path) == some, "hardly worth it again"
            await insert(1)
            await anyio.sleep(3 * IDLE_S)
            assert copied_bytes(path) > some, "and again"
        assert len(names_in(path)) == 2 * COPIED_WRITES_MIN + 99

    run_seeded(scenario, 0)


def test_to_wait_for_a_commit_is_not_to_be_idle(path: Path) -> None:
    async def scenario(_: Random) -> None:
        async with started(path, log_bytes_max=1 << 20) as database:
            none, numbers = copied_bytes(path), iter(range(2 * COPIED_WRITES_MIN))

            async def insert() -> None:
                for number in numbers:
                    await database.ask(Database.insert_container, container(number))

            async with anyio.create_task_group() as tasks:
                for _task in range(16):
                    tasks.start_soon(insert)
            assert copied_bytes(path) == none

    run_seeded(scenario, 0, work_s_max=20 * IDLE_S)


def test_a_log_that_somebody_reads_is_copied_when_it_is_idle_again(path: Path) -> None:
    async def scenario(_: Random) -> None:
        async with started(path, log_bytes_max=1 << 20) as database:
            with closing(open_for_reading(path)) as reader:
                reader.execute("BEGIN")
                reader.execute("SELECT * FROM containers").fetchall()
                for number in range(COPIED_WRITES_MIN):
                    await database.ask(Database.insert_container, container(number))
                await anyio.sleep(3 * IDLE_S)
                little = copied_bytes(path)
            await database.ask(Database.insert_container, container(COPIED_WRITES_MIN))
            await anyio.sleep(3 * IDLE_S)
            assert copied_bytes(path) > 2 * little

    run_seeded(scenario, 0)


def test_a_log_that_is_copied_begins_anew(path: Path) -> None:
    with closing(open_database(path)) as connection:
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        log_bytes = set()
        for number in range(5):
            connection.execute("INSERT INTO volumes VALUES (?, ?)", (str(number), bytes(100_000)))
            assert copy_log(connection)
            log_bytes.add(path.with_name("db-wal").stat().st_size)
        assert len(log_bytes) == 1


def test_a_log_that_the_disk_has_no_room_for_stays_as_it_is(path: Path) -> None:
    with closing(open_database(path)) as connection:
        connection.execute("INSERT INTO volumes VALUES ('v', ?)", (bytes(100_000),))
        with file_size_max(copied_bytes(path)):
            assert not copy_log(connection)
        assert connection.execute("SELECT length(record) FROM volumes").fetchall() == [(100_000,)]
        assert copy_log(connection)


async def test_what_comes_with_the_order_to_copy_the_log_comes_first(path: Path) -> None:
    async with Database(path) as database:
        size = copied_bytes(path)
        write = Write((("INSERT INTO volumes VALUES ('v', ?)", (bytes(100_000),)),))
        database._commit([COPY_LOG, write])
        assert copied_bytes(path) == size
        database._commit([COPY_LOG])
        assert copied_bytes(path) > size


def test_the_first_databases_had_containers_in_the_order_of_their_ids_and_are_read_as_well(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        old = SCHEMA.replace("id TEXT NOT NULL PRIMARY KEY", "id TEXT PRIMARY KEY")
        head, rest = old.split("record BLOB NOT NULL);", 1)
        connection.executescript(f"{head}record BLOB NOT NULL) WITHOUT ROWID;{rest} PRAGMA user_version = 1;")
    with closing(open_database(path)) as connection:
        connection.execute("INSERT INTO containers VALUES ('i', 'n', 'r')")
        connection.execute("INSERT INTO volumes VALUES ('v', 'r')")
        connection.execute("INSERT INTO volume_users VALUES ('i', 'v')")
        connection.execute("DELETE FROM containers")
        assert connection.execute("SELECT * FROM volume_users").fetchall() == []


def test_a_file_that_is_no_database_is_told_as_such(tmp_path: Path) -> None:
    path = tmp_path / "boatyard.db"
    path.write_bytes(b"something else" * 1000)
    with pytest.raises(System, match="cannot open the database: file is not a database"):
        open_database(path)
