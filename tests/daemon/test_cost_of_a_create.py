"""What a create costs, counted in operations: those do not depend on how busy the machine is, as times do.

A test here that fails has not found a defect: a create has become dearer, or cheaper. If that is what you want, measure before
and after (`make bench`), write the new number down here, and say in the commit what is bought with it. If it is not, the change
has brought an ask, a statement, an inode or a sync into the path of every create by accident.
"""

from __future__ import annotations

import gc
import re
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from msgspec.structs import replace

from contrib import engines
from contrib.bench.measuring import wait_idle
from daemon.container import ContainerConfig
from daemon.create.request import CreateRequest
from daemon.engine import Engine
from loadtest import Scenario, load_image, run
from tests.daemon.harness import Faults, creator_of, engine_at, faulty
from tests.engines import not_here

MESSAGES = (
    "allocator.reserve",
    "database.insert_container",
    "registrar.register",
    "allocator.keep",
    "events.publish",
)
"""Of a create without volumes that finds its directories made, and its body known with the images as they are, in their order.
Those up to the commit are asks: each costs 3 to 10 us, and waits its turn in a mailbox. For those after it nobody waits."""

STATEMENTS = Counter({"INSERT": 1})
"""For each create without volumes, beside the two that begin and end the transaction it is in."""

INODES = 3
"""A container's directory, its checkpoints and its read-write layer."""

SYNCS = 1
"""For each create that has nobody to share its commit with: and no other call that changes the disk but the log's writes."""

PREPARED_MKDIRS = INODES
"""Made for a later create, by the layer manager's thread, for each that has taken prepared directories."""

CLIENTS, CREATES_EACH = 16, 20
COUNTED = 20
TRACED = 12
TRACED_CALLS = "rename,renameat,renameat2,mkdir,mkdirat,fsync,fdatasync,sync,syncfs,sync_file_range,msync,link,symlink"


READY_TREES = 4

BODY = CreateRequest(config=ContainerConfig(image="busybox", cmd=("true",)))


def request(name: str) -> CreateRequest:
    """Of a body that comes again and again."""
    return replace(BODY, name=name, origin=BODY)


@pytest.mark.anyio
async def test_a_plain_create_is_five_messages(tmp_path: Path) -> None:
    async with engine_at(tmp_path, ready_trees=READY_TREES) as engine:
        messages = Faults()
        services = faulty(engine.services, messages)
        creator = creator_of(engine, services)
        for name in ("first", "second"):  # the second comes to hear of what becomes of images
            await creator.create(request(name))
        messages.steps.clear()
        await creator.create(request("web"))
        assert tuple(messages.steps) == MESSAGES


@pytest.mark.anyio
async def test_creates_leave_nothing_to_the_garbage_collector(tmp_path: Path) -> None:
    """Which would hold up everybody's, some ten milliseconds for each thousand of them."""
    async with engine_at(tmp_path) as engine:
        await engine.create(request("first"))
        gc.collect()
        gc.disable()
        try:
            for number in range(COUNTED):
                await engine.create(request(f"web{number}"))
            assert gc.collect() < COUNTED
        finally:
            gc.enable()


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The first word of each statement that SQLite carries out, on any connection that is opened from now on."""
    connect, seen = sqlite3.connect, list[str]()

    def traced(*arguments: object, **options: object) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*arguments, **options)  # type: ignore[call-overload]  # passed on
        connection.set_trace_callback(lambda statement: seen.append(statement.split()[0].upper()))
        return connection

    monkeypatch.setattr(sqlite3, "connect", traced)
    return seen


@pytest.mark.anyio
async def test_creates_at_a_time_share_a_transaction_of_one_statement_each(
    tmp_path: Path, statements: list[str]
) -> None:
    async def client(engine: Engine, number: int) -> None:
        for each in range(CREATES_EACH):
            await engine.create(request(f"web-{number}-{each}"))

    async with engine_at(tmp_path) as engine:
        statements.clear()
        async with anyio.create_task_group() as tasks:
            for number in range(CLIENTS):
                tasks.start_soon(client, engine, number)
        counted = Counter(statements)
    creates = CLIENTS * CREATES_EACH
    commits = counted["COMMIT"]
    assert counted == Counter({word: count * creates for word, count in STATEMENTS.items()}) + Counter(
        BEGIN=commits, COMMIT=commits
    )
    assert commits <= creates // 2, "how many share one is chance, but that hardly any do is not"


@pytest.mark.anyio
async def test_a_container_takes_three_inodes(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        root = engine.config.data_root
        before = set(root.rglob("*"))
        await engine.create(request("web"))
        made = set(root.rglob("*")) - before
        assert len(made) == INODES, sorted(str(path.relative_to(root)) for path in made)


@pytest.fixture
def home() -> Iterator[Path]:
    """A directory with a short path: a socket's has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="by-") as path:
        yield Path(path)


@pytest.mark.integration
def test_a_create_is_one_fdatasync(home: Path) -> None:
    if shutil.which("strace") is None:
        not_here("strace is not installed")
    trace = home / "trace"
    # -D: the daemon is our child, as ever, and strace its tracer beside it. A line is written before the call returns.
    strace = ("strace", "-D", "-f", "--seccomp-bpf", "-qq", "-o", str(trace), "-e", f"trace={TRACED_CALLS}")
    with engines.boatyard(home, ready_trees=4 * TRACED, wrapper=strace) as engine:
        load_image(engine.host)
        wait_idle(engine)  # all directories are made that are to be made beforehand
        already = len(calls_in(trace.read_text()))
        result = run(Scenario(host=engine.host, count=TRACED, concurrency=1, keep=True))
        calls = calls_in(trace.read_text())[already:]
    mkdirs = [call for call in calls if call.startswith("mkdir")]
    assert not [call for call in mkdirs for made in result.created if made.id in call], (
        "a create has made its directories"
    )
    assert len(mkdirs) <= PREPARED_MKDIRS * TRACED
    assert Counter(call.partition("(")[0] for call in calls if call not in mkdirs) == Counter(fdatasync=SYNCS * TRACED)


def calls_in(trace: str) -> list[str]:
    """All calls of the whole daemon, in the order in which they began."""
    calls = [line.split(maxsplit=1)[1] for line in trace.splitlines()]
    return [call for call in calls if re.match(r"\w+\(", call)]
