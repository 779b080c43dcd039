"""The command line: which actors, how often; one table."""

from __future__ import annotations

import argparse
import itertools
import math
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import attrs
from rich.console import Console
from rich.table import Table

from contrib.arguments import add_place, count
from contrib.crash_actors.crowd import Answer, Crowd, listed
from contrib.crash_actors.host import READY
from contrib.places import NoPlace, Places
from daemon.services import Services

EXIT_OK, EXIT_BROKEN, EXIT_USAGE = 0, 1, 2

ACTORS = [field.name for field in attrs.fields(Services) if field.name != "database"]
PRESENT = 1000
BEFORE_S = 1.0
AFTER_S = 0.5
BREAK_S = 1.0
"""Between two rounds: a supervisor grants three restarts in five seconds."""
PAUSE_S = 0.01
STOP_TIMEOUT_S = 30.0
BYTES_NEEDED = 1 << 30
"""Of one actor's daemon, with room to spare."""
SOURCES = Path(__file__).parents[2]


@attrs.frozen(kw_only=True)
class Crash:
    """What clients have noticed of one."""

    actor: str
    usual_p50_s: float
    usual_p99_s: float
    """What a create took before."""
    up_s: float
    back_s: float
    later_s: float
    silence_s: float
    silence_before_s: float
    told_to_wait: int
    dropped: int
    created: int


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line `argv` and returns the exit code. Raises `SystemExit` for bad flags, as argparse does."""
    arguments = _parser().parse_args(argv)
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False, markup=False)
    try:
        places = Places.at(arguments.place, bytes_needed=0 if arguments.plain else BYTES_NEEDED, plain=arguments.plain)
    except (NoPlace, OSError) as error:
        print(f"crash-actors: {error}", file=sys.stderr)
        return EXIT_USAGE
    crashes, acknowledged, missing, odd = list[Crash](), 0, 0, list[str]()
    for actor in arguments.actor or ACTORS:
        with places.fresh() as home, _daemon(home) as host:
            crowd = Crowd(home / "socket")
            _create_some(crowd, arguments.clients, arguments.present)
            crashes += [_crash(host, crowd, actor, arguments.clients) for _ in range(arguments.rounds)]
            there = listed(crowd.socket)
        acknowledged += len(crowd.acknowledged)
        missing += sum(there.get(name) != container_id for name, container_id in crowd.acknowledged.items())
        odd += crowd.odd
    console.print(_table(crashes, arguments.clients, arguments.present))
    console.print(f"{acknowledged} creates acknowledged, {missing} of them missing; {places}")
    for text in odd:
        console.print(text)
    return EXIT_BROKEN if missing or odd or any(each.dropped for each in crashes) else EXIT_OK


def _create_some(crowd: Crowd, clients: int, count: int) -> None:
    pause = threading.Event()  # never set
    with crowd.creating(clients):
        while len(crowd.acknowledged) < count:
            pause.wait(PAUSE_S)


@contextmanager
def _daemon(home: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "contrib.crash_actors.host", str(home)]
    with (home / "log").open("wb") as log:
        host = subprocess.Popen(
            command, cwd=SOURCES, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        assert host.stdout is not None
        if host.stdout.readline().strip() != READY:
            raise RuntimeError(f"the daemon did not start\n{(home / 'log').read_text(errors='replace')[-4000:]}")
        yield host
    finally:
        host.kill()  # what it leaves is removed: no need to wait for a clean stop, which syncs the disk
        host.communicate(timeout=STOP_TIMEOUT_S)


def _crash(host: subprocess.Popen[str], crowd: Crowd, actor: str, clients: int) -> Crash:
    assert host.stdin is not None
    assert host.stdout is not None
    pause = threading.Event()  # never set
    with crowd.creating(clients):
        pause.wait(BEFORE_S)
        host.stdin.write(f"{actor}\n")
        host.stdin.flush()
        crashed_at, up_at = float(host.stdout.readline()), float(host.stdout.readline())
        pause.wait(AFTER_S)
    pause.wait(BREAK_S)
    return noticed(actor, crashed_at, up_at, crowd.answers, crowd.dropped)


def noticed(actor: str, crashed_at: float, up_at: float, answers: Sequence[Answer], dropped: int) -> Crash:
    created = [answer for answer in answers if answer.status == 201]
    done = sorted(answer.at for answer in created)
    before = [at for at in done if at < crashed_at]
    after = [at for at in done if at >= crashed_at]
    usual = sorted(each.at - each.sent_at for each in created if each.at < crashed_at) or [0.0]
    sent_later = [each.at for each in created if each.sent_at >= crashed_at]
    return Crash(
        actor=actor,
        usual_p50_s=median(usual),
        usual_p99_s=usual[math.ceil(0.99 * len(usual)) - 1],
        up_s=up_at - crashed_at,
        back_s=min((at for at in after if at >= up_at), default=math.inf) - crashed_at,
        later_s=min(sent_later, default=math.inf) - crashed_at,
        silence_s=_longest([*before[-1:], *after]),
        silence_before_s=_longest(before),
        told_to_wait=sum(each.status == 503 for each in answers),
        dropped=dropped,
        created=len(done),
    )


def _longest(moments: Sequence[float]) -> float:
    return max((later - earlier for earlier, later in itertools.pairwise(moments)), default=0.0)


def _table(crashes: Sequence[Crash], clients: int, present: int) -> Table:
    title = f"Crashed while {clients} clients create, after {present:,} containers; ms: median, at most"
    table = Table(title=title, padding=(0, 0))
    for heading in ("actor", "crashes", "p50", "p99", "up", "back", "later", "silence", "before", "503", "dropped"):
        table.add_column(heading, justify="left" if heading == "actor" else "right", no_wrap=True)
    table.add_column("created", justify="right", no_wrap=True)
    for actor, each in itertools.groupby(crashes, key=lambda crash: crash.actor):
        group = [*each]
        usual = (median(crash.usual_p50_s for crash in group), median(crash.usual_p99_s for crash in group))
        names = ("up_s", "back_s", "later_s", "silence_s", "silence_before_s")
        times = (_median_and_most([getattr(crash, name) for crash in group]) for name in names)
        counts = ("told_to_wait", "dropped", "created")
        sums = (sum(getattr(crash, name) for crash in group) for name in counts)
        table.add_row(actor, str(len(group)), *(f"{1000 * time_s:.0f}" for time_s in usual), *times, *map(str, sums))
    return table


def _median_and_most(times_s: Sequence[float]) -> str:
    return f"{1000 * median(times_s):.0f}, {1000 * max(times_s):.0f}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m contrib.crash_actors",
        description="Crashes the actors of a daemon, one after the other, while clients create, and tells what these notice.",
        epilog="exit codes: 0 nothing was lost and no connection dropped; 1 otherwise; 2 bad arguments",
    )
    parser.add_argument("--actor", action="append", choices=ACTORS, help="may be given several times (default: all)")
    parser.add_argument("--rounds", type=count, default=3, metavar="N", help="of each actor (default %(default)s)")
    parser.add_argument(
        "--present", type=count, default=PRESENT, metavar="N", help="containers to begin with (default %(default)s)"
    )
    parser.add_argument("--clients", type=count, default=64, metavar="N", help="(default %(default)s)")
    add_place(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
