"""How long a daemon with very many containers takes to start, how much memory it has then, and how soon it answers a list.

    python -m contrib.bench_start --containers 100000

The containers are copies of one that was created, with names and ids of their own, put into the database by the storage's own
functions. Started twice: after a clean stop, and after a kill, when recovery looks at everything.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import anyio
import attrs
from msgspec.structs import replace
from rich.console import Console
from rich.table import Table

from contrib.engines import Engine, boatyard
from daemon.container import Container
from daemon.storage.database import Database
from daemon.storage.recovery import leave_clean_marker, take_clean_marker
from loadtest.client import Client, request_bytes
from loadtest.errors import Failure
from loadtest.image import REFERENCE
from loadtest.procfs import usage
from loadtest.target import load_image

TIMEOUT_S = 60.0
LISTS = 21
SAMPLE = (
    b'{"Image": "%s", "Cmd": ["sleep", "1000"], "Env": ["PATH=/usr/bin:/bin", "TERM=xterm"], "WorkingDir": "/srv",'
    b' "Labels": {"project": "start", "service": "web"}, "HostConfig": {"Memory": 67108864, "Binds": ["/etc:/etc/host:ro"]}}'
)
MIB = 1 << 20


@attrs.frozen
class Start:
    start_s: float
    cpu_s: float
    """Until then: what a busy machine changes least."""
    resident_bytes: int
    list_s: float
    """Of one container by its name, the median."""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--containers", type=int, default=100_000)
    parser.add_argument(
        "--directory", type=Path, help="where it is done: on the disk that is of interest (default: /tmp)"
    )
    arguments = parser.parse_args(argv)
    console = Console() if sys.stdout.isatty() else Console(width=100)
    table = Table(title=f"a daemon with {arguments.containers:,} containers")
    for column in ("", "ready", "CPU", "memory", "list of one name"):
        table.add_column(column, justify="right")
    with tempfile.TemporaryDirectory(prefix="by-", dir=arguments.directory) as name:
        home = Path(name)
        anyio.run(multiply, home / "data", one_container(home), arguments.containers)
        for after in ("a clean stop", "a kill"):
            if after == "a kill":
                take_clean_marker(home / "data")
            start = measured(home, arguments.containers)
            memory = f"{start.resident_bytes / MIB:.0f} MiB"
            table.add_row(
                f"after {after}",
                f"{start.start_s:.2f} s",
                f"{start.cpu_s:.2f} s",
                memory,
                f"{start.list_s * 1000:.1f} ms",
            )
    console.print(table)
    return 0


def one_container(home: Path) -> str:
    with boatyard(home, ready_trees=0) as engine:
        load_image(engine.host)
        request = request_bytes("POST", "/containers/create?name=sample", SAMPLE % REFERENCE.encode())
        answer = asked(engine, request)
        return answer.decode().split('"Id":"')[1][:64]


def asked(engine: Engine, request: bytes) -> bytes:
    [outcome] = Client(str(engine.socket), concurrency=1, timeout_s=TIMEOUT_S).exchange([request])
    assert not isinstance(outcome, Failure), outcome
    assert outcome.status < 300, outcome
    return outcome.body


async def multiply(root: Path, sample_id: str, count: int) -> None:
    """Of each the record, and the directory by whose name recovery knows it."""
    async with Database(root / "boatyard.db") as database:
        sample = await database.container(sample_id)
        assert sample is not None
        copies = [copy_of(sample, number) for number in range(1, count)]
        for written in [database.insert_container(copy) for copy in copies]:
            await written
    for copy in copies:
        (root / "containers" / copy.id).mkdir(mode=0o700)
    leave_clean_marker(root)


def copy_of(sample: Container, number: int) -> Container:
    return replace(sample, id=os.urandom(32).hex(), name=f"copy{number}", created_ns=sample.created_ns + number)


def measured(home: Path, count: int) -> Start:
    with boatyard(home, ready_trees=0) as engine:
        seen = usage(engine.process.pid)
        assert seen is not None
        target = "/containers/json?all=1&filters=" + quote(f'{{"name":["^/copy{count // 2}$"]}}')
        request, times = request_bytes("GET", target), []
        for _ in range(LISTS):
            began = time.perf_counter()
            assert asked(engine, request).count(b'"Id"') == 1
            times.append(time.perf_counter() - began)
        return Start(engine.start_s, seen.cpu_s, seen.resident_bytes, statistics.median(times))


if __name__ == "__main__":
    sys.exit(main())
