"""A worker has an end, whatever happens: it answers, it is refused, it dies, or nobody wants it any more; and nothing is left."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from daemon.errors import Cancelled, DiskFull, InvalidParameter, SyncFailed, System, Unavailable
from daemon.services.intake_process import IntakeProcess, WorkerHost, intake_area, intake_process
from daemon.storage import failpoints
from daemon.storage.beside import command
from daemon.storage.confine import LANDLOCK_ABI_MIN, landlock_abi
from daemon.storage.intake import Told, Unpacking, unheard
from daemon.storage.recovery import Stores, open_stores
from daemon.storage.worker import Order, encode_order
from tests.daemon.storage.making import docker_archive, names_in, tar_of

pytestmark = pytest.mark.anyio

HOST = WorkerHost()


@pytest.fixture(scope="module", autouse=True)
def _stopped_host() -> Iterator[None]:
    yield
    HOST.stop()


class Body:
    def __init__(self, *pieces: bytes) -> None:
        self._pieces = list(pieces)

    async def receive(self) -> bytes:
        await anyio.lowlevel.checkpoint()
        return self._pieces.pop(0) if self._pieces else b""


@asynccontextmanager
async def an_intake(stores: Stores, host: WorkerHost = HOST, told: Told = unheard) -> AsyncIterator[IntakeProcess]:
    async with intake_area(stores.root, note_residue=lambda: None) as area:
        order = Order(area=str(area.path), layers=str(stores.layers.root))
        async with intake_process(host, order, told) as intake:
            yield intake


async def workers_of(host: WorkerHost, count: int) -> list[int]:
    """Once there are so many: they are forked when their host gets to it."""
    while len(found := children_of(host)) != count:
        await anyio.lowlevel.checkpoint()
    return found


def children_of(host: WorkerHost) -> list[int]:
    assert host._process is not None
    pid = host._process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def sockets_of(pid: int) -> set[str]:
    found = set()
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            found.add(str(path.readlink()))
    return {link for link in found if link.startswith("socket:")}


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    return open_stores(tmp_path, ready_trees_max=0)


ARCHIVE = tar_of(docker_archive())
NO_ORDER = Order(area="", layers="")


async def test_what_a_worker_stages_is_in_the_area_and_nowhere_else(stores: Stores) -> None:
    async with an_intake(stores) as intake:
        await intake.feed(Body(ARCHIVE))
        staged = await intake.staged()
        assert len(staged.images) == 1
        assert set(staged.blobs.values()) <= set(names_in(intake.area.blobs))
        assert sorted(staged.layers.values()) == names_in(intake.area.layers)
        assert names_in(stores.root / "content/blobs/sha256") == names_in(stores.root / "layers") == []
    assert names_in(stores.root / "staging") == []


async def test_a_worker_tells_how_far_it_is_with_each_layer_to_its_end(stores: Stores) -> None:
    told: list[Unpacking] = []
    async with an_intake(stores, told=told.append) as intake:
        await intake.feed(Body(ARCHIVE))
        (loaded,) = (await intake.staged()).images
    ends = [(each.digest, each.diff_id) for each in told if each.read_bytes == each.blob_bytes]
    assert ends == [(layer.digest, layer.diff_id) for layer in loaded.image.layers]


async def test_a_worker_that_has_answered_is_gone_before_anything_is_committed(stores: Stores) -> None:
    async with an_intake(stores) as intake:
        await intake.feed(Body(ARCHIVE))
        await workers_of(HOST, 1)
        await intake.staged()
        assert children_of(HOST) == []


async def test_a_refusal_in_the_middle_of_the_body_ends_the_feeding(stores: Stores) -> None:
    class Endless(Body):
        async def receive(self) -> bytes:
            return b"x" * 100_000

    async with an_intake(stores) as intake:
        await intake.feed(Endless())
        with pytest.raises(InvalidParameter, match="damaged header"):
            await intake.staged()
    assert names_in(stores.root / "staging") == []


@pytest.mark.parametrize("moment", ["while it receives", "while it waits for its turn"])
async def test_a_worker_that_is_killed_is_an_error_and_leaves_nothing(moment: str, stores: Stores) -> None:
    async with an_intake(stores) as intake:
        await intake.feed(Body(ARCHIVE)) if "turn" in moment else await intake.send(b"\0\0\1\0half")
        [worker] = await workers_of(HOST, 1)
        os.kill(worker, signal.SIGKILL)
        with pytest.raises(System, match=r"^unpacking was killed: the machine may have run out of memory$"):
            await intake.staged()
    assert names_in(stores.root / "staging") == []
    async with an_intake(stores) as intake:
        await intake.feed(Body(ARCHIVE))
        assert (await intake.staged()).images


@pytest.mark.parametrize(
    ("number", "kind", "text"),
    [
        (signal.SIGXCPU, InvalidParameter, r"^invalid archive: reading it takes more than 3600 s$"),
        (signal.SIGSEGV, System, r"^unpacking ended without an answer \(SIGSEGV\)$"),
    ],
)
async def test_how_a_worker_died_is_told(number: int, kind: type[Exception], text: str, stores: Stores) -> None:
    async with an_intake(stores) as intake:
        [worker] = await workers_of(HOST, 1)
        os.kill(worker, number)
        with pytest.raises(kind, match=text):
            await intake.staged()


async def test_when_the_host_is_killed_its_workers_go_and_the_next_intake_has_another(stores: Stores) -> None:
    host = WorkerHost()
    async with host:
        async with an_intake(stores, host) as intake:
            await intake.feed(Body(ARCHIVE))
            assert host._process is not None
            first = host._process.pid
            os.kill(first, signal.SIGKILL)
            with pytest.raises(System, match="unpacking was killed"):
                await intake.staged()
        await anyio.to_thread.run_sync(host._process.wait)
        async with an_intake(stores, host) as intake:
            await intake.feed(Body(ARCHIVE))
            assert (await intake.staged()).images
        assert host._process.pid != first
    assert names_in(stores.root / "staging") == []


async def test_an_intake_that_nobody_wants_ends_its_worker_and_has_no_turn(stores: Stores) -> None:
    async with an_intake(stores) as intake:
        await intake.feed(Body(ARCHIVE))
        [worker] = await workers_of(HOST, 1)
    assert worker not in children_of(HOST)
    with pytest.raises(Cancelled):
        async with intake.turn():
            pass


async def test_the_area_stays_until_the_turn_is_over(stores: Stores) -> None:
    is_in_turn, go_on = anyio.Event(), anyio.Event()

    async def take(intake: IntakeProcess) -> None:
        async with intake.turn():
            is_in_turn.set()
            await go_on.wait()
            with pytest.raises(System, match="unpacking was killed"):
                await intake.staged()
            assert intake.area.path.is_dir()

    async with anyio.create_task_group() as tasks:
        with anyio.CancelScope() as client:
            async with an_intake(stores) as intake:
                tasks.start_soon(take, intake)
                await is_in_turn.wait()
                tasks.start_soon(anyio.lowlevel.checkpoint)
                client.cancel()
                go_on.set()
    assert names_in(stores.root / "staging") == []


async def test_workers_do_not_have_each_others_connections(stores: Stores) -> None:
    async with an_intake(stores) as first, an_intake(stores) as second:
        for intake in (first, second):
            await intake.feed(Body(ARCHIVE))
        one, other = await workers_of(HOST, 2)
        while len(sockets_of(one)) > 1 or len(sockets_of(other)) > 1:  # they begin by closing what is not theirs
            await anyio.lowlevel.checkpoint()
        assert not sockets_of(one) & sockets_of(other)


async def test_a_daemon_that_dies_takes_host_and_workers_along(tmp_path: Path) -> None:
    """As a killed daemon does, close every end at once, and nothing more."""
    stores = open_stores(tmp_path, ready_trees_max=0)
    host = WorkerHost()
    worker = await host.start()
    assert host._control is not None
    assert host._process is not None
    [pid] = await workers_of(host, 1)
    handle = os.pidfd_open(pid)
    worker.close()
    host._control.close()
    await anyio.wait_readable(handle)
    os.close(handle)
    await anyio.to_thread.run_sync(host._process.wait)
    assert names_in(stores.root / "staging") == []
    host.stop()


@pytest.mark.skipif(landlock_abi() < LANDLOCK_ABI_MIN, reason="this kernel has no Landlock")
async def test_a_worker_can_open_and_make_nothing_outside_and_only_read_what_it_is_given(tmp_path: Path) -> None:
    """Asked of a worker that does what it is told, which is what a decompressor with a hole would be."""
    area, outside, given = (tmp_path / name for name in ("area", "outside", "given"))
    for directory in (area, outside, given):
        directory.mkdir()
    (outside / "secret").write_text("secret")
    (given / "blob").write_text("blob")
    program = f"""
import ctypes, errno, json, os, socket
from pathlib import Path
from daemon.storage.confine import confine
confine([Path({str(area)!r})], [Path({str(given)!r})])
def tried(call):
    try:
        call()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"
outside, area, given = {str(outside)!r}, {str(area)!r}, {str(given)!r}
def through_link():
    os.symlink(outside, area + "/link")
    open(area + "/link/evil", "w")
print(json.dumps(dict(
    read=tried(lambda: open(outside + "/secret")),
    write=tried(lambda: open(outside + "/evil", "w")),
    remove=tried(lambda: os.unlink(outside + "/secret")),
    rename=tried(lambda: os.rename(outside + "/secret", area + "/secret")),
    link=tried(lambda: os.link(outside + "/secret", area + "/secret")),
    through_link=tried(through_link),
    given=tried(lambda: open(given + "/blob")),
    overwrite=tried(lambda: open(given + "/blob", "w")),
    truncate=tried(lambda: os.truncate(given + "/blob", 0)),
    take=tried(lambda: os.link(given + "/blob", area + "/blob")),
    inside=tried(lambda: open(area + "/fine", "w")),
    replace=tried(lambda: os.rename(area + "/fine", given + "/blob")),
    tcp=tried(lambda: socket.create_connection(("127.0.0.1", 9))),
    execute=tried(lambda: os.execv("/bin/true", ["true"])),
)))
"""
    arguments = list(command("daemon.storage.worker_host"))
    arguments[arguments.index("-c") + 1] = f"import sys; sys.path[:] = sys.argv[1:]\n{program}"
    done = await anyio.run_process(arguments)
    told = json.loads(done.stdout)
    assert (told.pop("inside"), told.pop("given")) == ("done", "done")
    assert set(told.values()) <= {"EACCES", "EXDEV"}
    assert (names_in(outside), names_in(given), (given / "blob").read_text()) == (["secret"], ["blob"], "blob")


@pytest.mark.parametrize(
    ("armed", "kind"),
    [
        ("unpack.entry=error(EIO)", System),
        ("unpack.entry=error(ENOSPC)", DiskFull),
        ("layers.begun=error(EMFILE)", Unavailable),
        ("disk.sync_file_system=error(EIO)", SyncFailed),
    ],
)
async def test_what_the_disk_refuses_a_worker_the_daemon_hears(
    armed: str, kind: type[Exception], stores: Stores
) -> None:
    program = (
        "import sys; sys.path[:] = sys.argv[1:]; from daemon.storage import unpack, worker;"
        "unpack.UNSYNCED_BYTES_MAX = 0; worker.work(0)"
    )
    arguments = list(command("daemon.storage.worker_host"))
    arguments[arguments.index("-c") + 1] = program
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    async with intake_area(stores.root, note_residue=lambda: None) as area:
        order = Order(area=str(area.path), layers=str(stores.layers.root))
        with ours, theirs:
            worker = await anyio.open_process(arguments, stdin=theirs.fileno(), env={failpoints.VARIABLE: armed})
            theirs.close()
            async with worker:
                intake = IntakeProcess(ours, order)
                await intake.send(encode_order(order))
                await intake.feed(Body(tar_of(docker_archive(tags=["a:1"]))))
                with pytest.raises(kind) as failed:
                    await intake.staged()
    assert type(failed.value) is kind


async def test_a_client_that_never_has_to_be_waited_for_lets_others_have_their_turn(stores: Stores) -> None:
    class Ready(Body):
        async def receive(self) -> bytes:
            return self._pieces.pop(0) if self._pieces else b""

    async def tick() -> None:
        while True:
            ticks.append(None)
            await anyio.lowlevel.checkpoint()

    ticks: list[None] = []
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(tick)
            await IntakeProcess(ours, NO_ORDER).feed(Ready(*[b"x"] * 100))
            tasks.cancel_scope.cancel()
    assert len(ticks) >= 50


NO_ANSWERS = (
    b"A\0\0\0\2{]",
    b"A\xff\xff\xff\xff",
    b"A\0\0\0\2{}",
    b"x",
    b"",
    b"A\0\0\0\x05{",
    b"U\0\0\0\2{}",
    b"U\0\0\x05\0",
)


async def test_what_is_no_answer_is_an_error(stores: Stores) -> None:
    for answer in NO_ANSWERS:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with ours, theirs:
            theirs.send(answer)
            theirs.shutdown(socket.SHUT_WR)
            with pytest.raises((System, InvalidParameter)):
                await IntakeProcess(ours, NO_ORDER).staged()
