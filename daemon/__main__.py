"""`boatyardd`: arguments to a Config, and whatever they ask for. Exit codes: 0 stopped, 1 failed, 2 usage.

What a command needs is imported when it is asked for: the daemon itself takes half a second.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from daemon.monitor import command as monitor
from daemon.options.command import add_flags, as_json, as_toml, flags_of
from daemon.options.sources import Configured, WrongOption, configure
from daemon.version import VERSION


def main(arguments: Sequence[str] | None = None) -> int:
    parser = arguments_parser()
    given = parser.parse_args(arguments)
    if given.command == "fsck":
        from daemon import fsck

        return fsck.run(given)
    if given.command in ("top", "dashboard"):
        return monitor.run(given)
    environment = dict(os.environ)

    def configured() -> Configured:
        """As it stands now: the file may change."""
        return configure(flags_of(given), environment, file=given.config)

    try:
        now = configured()
    except WrongOption as error:
        parser.error(str(error))
    if given.command == "config":
        print(as_json(now) if given.json else as_toml(now))
        return 0
    gc.disable()  # until it serves: what is made from here on stays, and to look at it would take a third of a start
    from daemon.running import run

    return run(now.config, lambda: configured().config)


def arguments_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="boatyardd", description="Docker's container create, on a Unix socket that speaks the Docker Engine API."
    )
    parser.add_argument("--version", action="version", version=f"boatyardd {VERSION}")
    commands = parser.add_subparsers(dest="command", required=True)
    serve_parser = commands.add_parser(
        "serve",
        help="run the daemon in the foreground",
        description="Run the daemon in the foreground until SIGTERM or SIGINT; SIGHUP reloads its configuration.",
        epilog="Whoever may write to the socket is root on this machine. Then: docker -H unix://SOCKET ps -a",
    )
    config_parser = commands.add_parser(
        "config",
        help="show every option, and where its value comes from",
        description="Show what `serve` would run with, given the same flags, environment and file: as a file that says the "
        "same, with where each value comes from, or as JSON.",
    )
    config_parser.add_argument("--json", action="store_true", help="as JSON")
    for each in (serve_parser, config_parser):
        add_flags(each)
    add_fsck_parser(commands)
    monitor.add_parsers(commands)
    return parser


def add_fsck_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "fsck",
        help="check that the disk and the records agree, while the daemon is stopped",
        description="Say what belongs to no record and what a record lacks. The daemon must be stopped.",
        epilog="Exit codes: 0 all is well, or is now; 1 it could not be found out; 2 wrong usage; 3 something is wrong.",
    )
    parser.add_argument("--data-root", required=True, type=Path, metavar="DIR")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.add_argument("--repair", action="store_true", help="do what a start after a crash does")
    parser.add_argument("--verify", action="store_true", help="read all blobs and the whole database, too")


if __name__ == "__main__":
    sys.exit(main())
