"""What dockerd, podman and this daemon keep when they are killed or stopped while clients create: a table for the docs.

    make reliability                 # RELIABILITY_ARGS='--help'

Each engine that is installed here is ended `--rounds` times by SIGKILL, then once by SIGTERM, each time in the midst of creates,
started again on the same data root, and asked for what it has acknowledged. In the end everything is removed. Engines run one
after the other, with the same clients and the same image. The table replaces what is between the markers of a page.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import itertools
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from pathlib import Path

import attrs

from contrib.connection import Connection, NotSent
from contrib.crash.images import SmallImage
from contrib.engines import Engine, NotHere, boatyard, dockerd, podman
from loadtest import HarnessError

ENGINES: Mapping[str, Callable[[Path], AbstractContextManager[Engine]]] = {
    "dockerd": dockerd,
    "podman": podman,
    "boatyard": boatyard,
}
PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- reliability: begin -->", "<!-- reliability: end -->"

IMAGE = "crash-base:1"
TRAFFIC_S = 1.0
"""Before the end comes."""
ANSWER_TIMEOUT_S = 60.0
END_TIMEOUT_S = 60.0
NOT_ON_THE_DISK = frozenset({"ready", "lost+found"})
"""What is made beforehand, as much as there is time for, belongs to nobody."""


@attrs.define
class Found:
    """About one engine."""

    acknowledged: int = 0
    missing: int = 0
    unanswered: int = 0
    """Creates that were cut off by SIGKILL."""
    unusable: int = 0
    """Names of creates that are not there and cannot be given."""
    unanswered_at_stop: int = 0
    left: int = 0
    """Entries below the data root when everything has been removed, beyond those before the first create."""
    per_container: float = 0.0
    restart_s: float = 0.0
    """The last, with all containers."""
    containers: int = 0
    failure: str = ""


@attrs.define
class Clients:
    """Threads that create, each with a connection of its own, until the engine is gone."""

    socket: Path
    round: str
    acknowledged: dict[str, str] = attrs.field(factory=dict)
    unanswered: list[str] = attrs.field(factory=list)

    def run(self, count: int, end: Callable[[], object]) -> None:
        threads = [threading.Thread(target=self._work, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        threading.Event().wait(TRAFFIC_S)
        end()
        for thread in threads:
            thread.join()

    def _work(self, number: int) -> None:
        with closing(Connection(self.socket, timeout_s=ANSWER_TIMEOUT_S)) as connection:
            for count in itertools.count():
                name = f"r{self.round}c{number}n{count}"
                try:
                    if connection.sock is None:
                        connection.connect()
                except OSError:
                    return  # it listens no more: nothing has been asked
                try:
                    status, answer = create(connection, name)
                except NotSent:
                    return
                except (OSError, http.client.HTTPException):
                    self.unanswered.append(name)
                    return
                if status != 201:
                    return
                self.acknowledged[name] = answer["Id"]


def create(connection: Connection, name: str) -> tuple[int, dict[str, str]]:
    body = {"Image": IMAGE, "Cmd": ["sh"], "HostConfig": {"NetworkMode": "none"}}
    return connection.call("POST", f"/v1.41/containers/create?name={name}", body)


def examine(name: str, home: Path, *, rounds: int, clients: int) -> Found:
    """Raises NotHere."""
    found, known = Found(), dict[str, str]()
    with ENGINES[name](home) as engine, closing(Connection(engine.socket)) as connection:
        status, answer = connection.call_raw("POST", "/v1.41/images/load?quiet=1", SmallImage("base").archive(IMAGE))
        assert status == 200, answer
        before = entries(engine.data_root)
        found.per_container = _per_container(connection, engine.data_root, known)
    for number in range(rounds + 1):
        is_stop = number == rounds
        with ENGINES[name](home) as engine:
            crowd = Clients(engine.socket, str(number))
            crowd.run(clients, lambda engine=engine, is_stop=is_stop: _end(engine, is_stop=is_stop))  # type: ignore[misc]
        known |= crowd.acknowledged
        found.acknowledged += len(crowd.acknowledged)
        found.unanswered += 0 if is_stop else len(crowd.unanswered)
        found.unanswered_at_stop += len(crowd.unanswered) if is_stop else 0
        with ENGINES[name](home) as engine, closing(Connection(engine.socket)) as connection:
            found.restart_s = engine.start_s
            _audit(connection, known, crowd.unanswered, found)
    with ENGINES[name](home) as engine, closing(Connection(engine.socket)) as connection:
        for container_id in listed(connection).values():
            connection.call_raw("DELETE", f"/v1.41/containers/{container_id}?v=1&force=1")
        found.left = len(entries(engine.data_root) - before)
    return found


def _per_container(connection: Connection, root: Path, known: dict[str, str]) -> float:
    before = entries(root)
    for number in range(10):
        status, answer = create(connection, f"measured{number}")
        assert status == 201, answer
        known[f"measured{number}"] = answer["Id"]
    return len(entries(root) - before) / 10


def _audit(connection: Connection, known: dict[str, str], unanswered: Sequence[str], found: Found) -> None:
    there = listed(connection)
    found.containers = len(there)
    found.missing += sum(there.get(name) != container_id for name, container_id in known.items())
    for name in unanswered:
        if name in there:
            known[name] = there[name]
            continue
        status, answer = create(connection, name)
        found.unusable += status != 201
        if status == 201:
            known[name] = answer["Id"]


def _end(engine: Engine, *, is_stop: bool) -> None:
    engine.process.send_signal(signal.SIGTERM if is_stop else signal.SIGKILL)
    engine.process.wait(END_TIMEOUT_S)
    if not is_stop:  # dockerd's containerd would be taken over; as after a kill of a whole unit, it goes, too
        pid_file = engine.home / "exec" / "containerd" / "containerd.pid"
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            os.kill(int(pid_file.read_text()), signal.SIGKILL)
        pid_file.unlink(missing_ok=True)
        (engine.home / "pid").unlink(missing_ok=True)


def listed(connection: Connection) -> dict[str, str]:
    """Ids by name. Raises HarnessError: the engine cannot say."""
    status, answer = connection.call("GET", "/v1.41/containers/json?all=1")
    if status != 200:
        raise HarnessError(f"the list says {status} {answer}")
    return {name[1:]: each["Id"] for each in answer for name in each["Names"]}


def entries(root: Path) -> frozenset[str]:
    paths = (path.relative_to(root) for path in root.rglob("*"))
    return frozenset(str(path) for path in paths if path.parts[0] not in NOT_ON_THE_DISK)


# The page ------------------------------------------------------------------------------------------------------------

ROWS: Sequence[tuple[str, Callable[[Found], str]]] = (
    ("creates acknowledged", lambda found: f"{found.acknowledged}"),
    ("of these missing after the next start", lambda found: f"{found.missing}"),
    ("creates cut off by SIGKILL", lambda found: f"{found.unanswered}"),
    ("their names that cannot be given afterwards", lambda found: f"{found.unusable}"),
    ("creates cut off by SIGTERM", lambda found: f"{found.unanswered_at_stop}"),
    ("entries on the disk left when everything is removed", lambda found: f"{found.left}"),
    ("entries on the disk for one container", lambda found: f"{found.per_container:.0f}"),
    ("last start", lambda found: f"{found.restart_s:.2f} s with {found.containers}"),
)


def table_of(found: Mapping[str, Found]) -> str:
    lines = [f"| | {' | '.join(found)} |", f"|---|{'---|' * len(found)}"]
    for title, cell in ROWS:
        cells = (f"({each.failure})" if each.failure else cell(each) for each in found.values())
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def with_table(page: str, table: str) -> str:
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line `argv` and returns the exit code. Raises `SystemExit` for bad flags, as argparse does."""
    arguments = _parser().parse_args(argv)
    found: dict[str, Found] = {}
    for name in arguments.engine or ENGINES:
        with tempfile.TemporaryDirectory(prefix="by-", dir=arguments.directory, ignore_cleanup_errors=True) as home:
            try:
                found[name] = examine(name, Path(home), rounds=arguments.rounds, clients=arguments.clients)
            except NotHere as reason:
                _say(f"{name} is left out: {reason}")
            except HarnessError as error:
                found[name] = Found(failure=str(error).splitlines()[0])
    table = table_of(found)
    _say(table)
    if arguments.write:
        PAGE.write_text(with_table(PAGE.read_text(), table))
    ours = found.get("boatyard", Found())
    return int(bool(ours.failure or ours.missing or ours.unusable or ours.unanswered_at_stop))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m contrib.crash.table",
        description="Ends engines while clients create, starts them again, and compares what they have kept.",
        epilog="exit codes: 0 boatyard kept every promise, or was not asked; 1 it broke one; 2 bad arguments",
    )
    parser.add_argument(
        "--engine", action="append", choices=[*ENGINES], help="may be given several times (default: all)"
    )
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="of SIGKILL (default %(default)s)")
    parser.add_argument("--clients", type=int, default=16, metavar="N", help="(default %(default)s)")
    parser.add_argument("--directory", type=Path, help="on the disk to use; a short path, for a socket")
    parser.add_argument("--write", action="store_true", help=f"put the table into docs/{PAGE.name}")
    return parser


if __name__ == "__main__":
    sys.exit(main())
