"""The command line: which parts, of which engines; tables."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from contrib.arguments import count
from contrib.engines import NotHere
from contrib.reliability.full import FULL
from contrib.reliability.images import IMAGES
from contrib.reliability.killed import KILLED
from contrib.reliability.pages import IN_SHORT, PAGE, README, short_table, with_table
from contrib.reliability.part import Column, Part
from contrib.reliability.power import POWER
from contrib.reliability.site import ENGINES, Subject
from contrib.reliability.syncs import SYNCS

# Any: each part finds something of its own.
PARTS: Mapping[str, Part[Any]] = {part.name: part for part in (KILLED, POWER, IMAGES, FULL, SYNCS)}

EXIT_OK, EXIT_BROKEN = 0, 1


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line `argv` and returns the exit code. Raises `SystemExit` for bad flags, as argparse does."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.write and arguments.engine:
        parser.error("the tables that are written have all engines")
    is_broken = False
    for name in arguments.part or PARTS:
        part, columns = PARTS[name], dict[str, Column]()
        for engine in arguments.engine or ENGINES:
            subject = Subject(
                start=ENGINES[engine],
                rounds=arguments.rounds,
                clients=arguments.clients,
                directory=arguments.directory,
            )
            try:
                columns[engine] = part.column(subject)
            except NotHere as reason:
                _say(f"{engine} is left out: {reason}")
        is_broken |= columns["boatyard"].is_broken if "boatyard" in columns else False
        _say(f"{name}\n\n{part.table(columns)}\n")
        if arguments.write:
            PAGE.write_text(with_table(PAGE.read_text(), name, part.table(columns)))
    if arguments.write:
        README.write_text(with_table(README.read_text(), IN_SHORT, short_table(PAGE.read_text())))
    return EXIT_BROKEN if is_broken else EXIT_OK


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m contrib.reliability",
        description="Tries engines on bad days: killed, without power, on a full disk; and compares what they have kept.",
        epilog="exit codes: 0 boatyard kept every promise, or was not asked; 1 it broke one; 2 bad arguments",
    )
    parser.add_argument("--part", action="append", choices=[*PARTS], help="may be given several times (default: all)")
    parser.add_argument(
        "--engine", action="append", choices=[*ENGINES], help="may be given several times (default: all)"
    )
    parser.add_argument("--rounds", type=count, default=3, metavar="N", help="(default %(default)s)")
    parser.add_argument("--clients", type=count, default=16, metavar="N", help="(default %(default)s)")
    parser.add_argument("--directory", type=Path, help="on the disk to use; a short path, for a socket")
    parser.add_argument(
        "--write", action="store_true", help=f"put the tables into docs/{PAGE.name}, and some rows into {README.name}"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
