"""`python -m contrib.bench_peers slow` and `... overload`: see the package."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator, Sequence
from functools import partial

from rich.console import Console

import contrib.bench_peers
from contrib.arguments import add_place
from contrib.bench_peers import overload, slow
from contrib.bench_peers.creates import Load
from contrib.bench_peers.crowd import Crowd
from contrib.engines import Engine, boatyard
from contrib.places import NoPlace, Places
from loadtest.pinning import pinned
from loadtest.target import load_image

CLIENTS = 16
BYTES_NEEDED = 4 << 30
"""Of 200,000 containers, with room to spare."""
EXIT_OK, EXIT_USAGE = 0, 2


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=contrib.bench_peers.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("slow", "overload"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--seconds",
        type=float,
        default=15.0,
        help="for each measurement in a round; slow senders are given up after ten",
    )
    parser.add_argument("--rate", type=float, help="of slow: creates a second by the clock, not as many as can be done")
    parser.add_argument("--idle", type=int, default=1000)
    parser.add_argument("--slow", type=int, default=300)
    parser.add_argument("--in-step", action="store_true", help="the slow ones all send in the same moment")
    parser.add_argument("--pin", action="store_true", help="those who create and the daemon on CPUs of their own")
    add_place(parser)
    parser.add_argument("--option", action="append", default=[], help="of the daemon, as --option=--creates-max=64")
    arguments = parser.parse_args(argv)
    console = Console() if sys.stdout.isatty() else Console(width=140)
    measure = measure_slow if arguments.what == "slow" else measure_overload
    try:
        places = Places.at(arguments.place, bytes_needed=0 if arguments.plain else BYTES_NEEDED, plain=arguments.plain)
    except (NoPlace, OSError) as error:
        print(f"bench_peers: {error}", file=sys.stderr)
        return EXIT_USAGE
    measure(arguments, places, console)
    return EXIT_OK


def measure_slow(arguments: argparse.Namespace, places: Places, console: Console) -> None:
    crowd = Crowd(idle=arguments.idle, slow=arguments.slow, is_in_step=arguments.in_step)
    load = Load(CLIENTS, arguments.seconds, rate_per_s=arguments.rate)
    start = partial(running, arguments, places, slow.options_for(crowd))
    rounds = slow.rounds_of(start, load, crowd, arguments.rounds, console.print)
    console.print(slow.table_of(rounds, crowd))
    console.print(slow.notes_on(rounds))


def measure_overload(arguments: argparse.Namespace, places: Places, console: Console) -> None:
    start = partial(running, arguments, places)
    found = overload.overloads(start, arguments.seconds, arguments.rounds, console.print)
    console.print(overload.table_of(found))


@contextlib.contextmanager
def running(arguments: argparse.Namespace, places: Places, options: Sequence[str] = ()) -> Iterator[Engine]:
    with (
        places.fresh() as home,
        boatyard(home, options=[*options, *arguments.option]) as engine,
        pinned(engine.process.pid) if arguments.pin else contextlib.nullcontext(),
    ):
        load_image(engine.host)
        yield engine


if __name__ == "__main__":
    sys.exit(main())
