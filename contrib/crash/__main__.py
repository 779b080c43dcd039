"""The command line: which modes, how often; one table."""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from contrib.arguments import count
from contrib.crash.attack import Outcome, Plan, attack
from contrib.crash.disks import CannotMount
from contrib.crash.endings import MODES
from loadtest import HarnessError

EXIT_OK, EXIT_BROKEN, EXIT_FAILED = 0, 1, 2

BROKEN_SHOWN_MAX = 40

_EPILOG = """\
exit codes:
  0 every promise was kept   1 one was broken   2 bad arguments, or nothing could be tried
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line `argv` and returns the exit code. Raises `SystemExit` for bad flags, as argparse does."""
    arguments = _parser().parse_args(argv)
    plan = Plan(rounds=arguments.rounds, clients=arguments.clients, seed=arguments.seed)
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False, markup=False)
    console.print(f"seed {plan.seed}: {plan.rounds} rounds a mode, {plan.clients} clients")
    outcomes = []
    is_broken = False
    for mode in arguments.mode or MODES:
        with tempfile.TemporaryDirectory(prefix="by-", dir=arguments.directory) as home:
            try:
                outcomes.append(attack(mode, plan, Path(home), console.print))
            except CannotMount as reason:
                console.print(f"{mode} is left out: {reason}")
            except HarnessError as error:  # no start after a crash
                console.print(f"{mode}: {error}")
                is_broken = True
    if not outcomes and not is_broken:
        return EXIT_FAILED
    console.print(_table(outcomes))
    for outcome in outcomes:
        for text in outcome.broken[:BROKEN_SHOWN_MAX]:
            console.print(f"{outcome.mode}: {text}")
    return EXIT_BROKEN if is_broken or any(outcome.broken for outcome in outcomes) else EXIT_OK


def _table(outcomes: Sequence[Outcome]) -> Table:
    table = Table(title="Ended, started again, audited", padding=(0, 0))
    headings = (
        "mode",
        "rounds",
        "sent",
        "done",
        "cut off",
        "there",
        "absent",
        "lost",
        "back",
        "names",
        "left",
        "other",
    )
    for heading in (*headings, "start", "later"):
        table.add_column(heading, justify="left" if heading == "mode" else "right", no_wrap=True)
    for each in outcomes:
        verdict = each.verdict
        counts = (each.rounds, each.sent, each.told, each.unanswered, verdict.present, verdict.absent)
        faults = (verdict.lost, verdict.back, verdict.unusable, verdict.left, each.misbehaved)
        starts = (f"{each.starts_s[0]:.2f} s", f"{max(each.starts_s[1:]):.2f} s")
        table.add_row(each.mode, *map(str, (*counts, *map(len, faults))), *starts)
    return table


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m contrib.crash",
        description="Ends a daemon in the midst of its work, starts it again, and looks for what it has acknowledged.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--mode", action="append", choices=[*MODES], help="may be given several times (default: all)")
    parser.add_argument("--rounds", type=count, default=10, metavar="N", help="of each mode (default %(default)s)")
    parser.add_argument("--clients", type=count, default=16, metavar="N", help="(default %(default)s)")
    parser.add_argument("--seed", type=int, default=secrets.randbits(32), metavar="N", help="(default: a new one)")
    parser.add_argument(
        "--directory", type=Path, help="on the disk to use (default: the temporary one); a short path, for a socket"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
