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

from contrib import engines
from contrib.bench.measuring import wait_idle
from daemon.container import ContainerConfig
from daemon.create.pipeline import Creator
from daemon.create.request import CreateRequest
from daemon.engine import Engine
from loadtest import Scenario, load_image, run
from tests.daemon.harness import Faults, engine_at, faulty
from tests.engines import not_here

MESSAGES = (
    "images.find",
    "allocator.reserve",
    "layers.create",
    "database.insert_container",
    "registrar.register",
    "allocator.keep",
    "events.publish",
)
"""Of a create without volumes, in their order. Those up to the commit are asks: each costs 3 to 10 us, and waits its turn in a
mailbox. For those after it nobody waits."""

STATEMENTS = Counter({"INSERT": 1})
"""For each create without volumes, beside the two that begin and end the transaction it is in."""

INODES = 3
"""A container's directory, its checkpoints and its read-write layer."""

RENAMES, SYNCS = 1, 1
"""For each create that has nobody to share its commit with."""

PREPARED_MKDIRS = INODES
"""Made for a later create, by the layer manager's thread, for each that has taken prepared directories."""

CLIENTS, CREATES_EACH = 16, 20
COUNTED = 20
TRACED = 12
TRACED_CALLS = "rename,renameat,renameat2,mkdir,mkdirat,fsync,fdatasync,sync,syncfs,sync_file_range,msync,link,symlink"


def request(name: str) -> CreateRequest:
    return CreateRequest(name=name, config=ContainerConfig(image="busybox", cmd=("true",)))


@pytest.mark.anyio
async def test_a_plain_create_is_seven_messages(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        messages = Faults()
        services = faulty(engine.services, messages)
        creator = Creator(services=services, host=engine.host, config=engine.config, now_ns=engine.now_ns)
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
        before = {path for path in root.rglob("*") if "ready" not in path.parts}
        await engine.create(request("web"))
        made = {path for path in root.rglob("*") if "ready" not in path.parts} - before
        assert len(made) == INODES, sorted(str(path.relative_to(root)) for path in made)


@pytest.fixture
def home() -> Iterator[Path]:
    """A directory with a short path: a socket's has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="by-") as path:
        yield Path(path)


@pytest.mark.integration
def test_a_create_is_one_rename_and_one_fdatasync(home: Path) -> None:
    if shutil.which("strace") is None:
        not_here("strace is not installed")
    trace = home / "trace"
    # -D: the daemon is our child, as ever, and strace its tracer beside it. A line is written before the call returns.
    strace = ("strace", "-D", "-f", "--seccomp-bpf", "-qq", "-o", str(trace), "-e", f"trace={TRACED_CALLS}")
    with engines.boatyard(home, ready_trees=4 * TRACED, wrapper=strace) as engine:
        load_image(engine.host)
        wait_idle(engine)  # all directories are made that are to be made beforehand
        result = run(Scenario(host=engine.host, count=TRACED, concurrency=1, keep=True))
        calls = calls_of_creates(trace.read_text())
    mkdirs = [call for call in calls if call.startswith("mkdir")]
    assert all("/ready/" in call for call in mkdirs), "a create has made a directory itself"
    assert len(mkdirs) <= PREPARED_MKDIRS * TRACED
    others = Counter(call.partition("(")[0] for call in calls if call not in mkdirs)
    creates = len(result.created) - 1
    assert others == Counter(rename=RENAMES * creates, fdatasync=SYNCS * creates)


def calls_of_creates(trace: str) -> list[str]:
    """From the first create's rename up to the last one's, without it: all calls of the whole daemon begun in that time."""
    calls = [line.split(maxsplit=1)[1] for line in trace.splitlines()]
    begun = [call for call in calls if re.match(r"\w+\(", call)]
    claims = [at for at, call in enumerate(begun) if call.startswith("rename") and "/containers/" in call]
    return begun[claims[0] : claims[-1]]
