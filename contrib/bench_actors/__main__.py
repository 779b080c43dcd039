"""The command line: which libraries, how many rounds, where the results go."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from contrib.bench_actors.contract import ASKERS
from contrib.bench_actors.report import TABLE_WIDTH, Run, markdown, print_run, run_json
from contrib.bench_actors.results import failures
from contrib.bench_actors.runner import measure_all
from contrib.bench_actors.subjects import LIBRARIES, SUBJECTS

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_INTERRUPTED = 130

COUNT_MIN = ASKERS * 2
COUNT_MAX = 1_000_000
ROUNDS_MAX = 100

_EPILOG = """\
exit codes:
  0 measured, whether the targets hold or not   1 ours or a bare loop could not be measured   2 bad arguments
  130 interrupted
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line `argv` and returns the exit code. Raises `SystemExit` for bad flags, as argparse does."""
    arguments = _parser().parse_args(argv)
    console = Console() if sys.stdout.isatty() else Console(width=TABLE_WIDTH)
    chosen = [subject for subject in SUBJECTS if not arguments.only or subject.library in arguments.only]
    skipped = [(subject, reason) for subject in chosen if (reason := subject.missing()) is not None]
    subjects = [subject for subject in chosen if subject.missing() is None]
    progress = Console(stderr=True)
    load_before = os.getloadavg()[0]
    try:
        with progress.status("") as status:
            results = measure_all(subjects, rounds=arguments.rounds, count=arguments.count, on_progress=status.update)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    run = Run(subjects, skipped, arguments.rounds, arguments.count, results, load_before)
    print_run(run, console)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(run_json(run), indent=2) + "\n")
    if arguments.markdown is not None:
        arguments.markdown.write_text(markdown(run))
    is_ours = any(subject.library in ("ours", "bare") for subject, _, _ in failures(results))
    return EXIT_FAILED if is_ours else EXIT_OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m contrib.bench_actors",
        description="Measures actors: ours beside other libraries, and beside bare queues of the same loop.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=_rounds, default=5, help="the least of so many is shown (default 5)")
    parser.add_argument(
        "--count",
        type=_count,
        default=20_000,
        help="operations of each measure, or as many as go into a second (default 20,000; a 20th of it restarts and "
        "starts, a fifth of it idle actors)",
    )
    parser.add_argument("--only", nargs="+", choices=LIBRARIES, metavar="LIBRARY", help=f"of {', '.join(LIBRARIES)}")
    parser.add_argument("--json", type=_writable_path, metavar="FILE", help="also write every sample as JSON")
    parser.add_argument("--markdown", type=_writable_path, metavar="FILE", help="also write the table as Markdown")
    return parser


def _rounds(text: str) -> int:
    return _within(text, 1, ROUNDS_MAX)


def _count(text: str) -> int:
    return _within(text, COUNT_MIN, COUNT_MAX)


def _within(text: str, low: int, high: int) -> int:
    if not text.isdecimal() or not low <= int(text) <= high:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from {low:,} to {high:,}")
    return int(text)


def _writable_path(text: str) -> Path:
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is not a file in an existing directory")
    return path


if __name__ == "__main__":
    sys.exit(main())
