"""The command line: arguments to a `Scenario`, a `Result` to the terminal, Ctrl-C to a clean end, and the exit codes."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import attrs
from rich.console import Console

from loadtest.errors import BadScenario, HarnessError, TargetUnreachable
from loadtest.progress import progress_shown
from loadtest.report import print_cleanup, print_result, result_json
from loadtest.runner import Load, Result
from loadtest.scenario import CONCURRENCY_MAX, COUNT_MAX, Names, Scenario, default_host
from loadtest.target import clean

EXIT_OK = 0
EXIT_HARNESS_ERROR = 1
EXIT_USAGE = 2
EXIT_UNREACHABLE = 3
EXIT_UNEXPECTED_ERRORS = 4
EXIT_INTERRUPTED = 130

_EPILOG = """\
examples:
  boatyard-load run                                  200 creates from 16 clients on $DOCKER_HOST
  boatyard-load run -n 10000 -c 64                   more of both
  boatyard-load run --names collide:4                4 clients fight for each name; one may win
  boatyard-load run -H unix:///run/docker.sock --json dockerd.json
  boatyard-load run --keep && boatyard-load clean --all

exit codes:
  0 fine   1 the harness failed   2 bad arguments   3 nobody answers on the socket
  4 errors that were not expected   130 interrupted
"""
_RUN_TEXT = """\
Creates containers in the closed model: every client sends its next create when its last one was answered, so a slow
server is asked less often. Afterwards the containers are removed. They are never started.

Ctrl-C stops sending, waits for what is under way, reports and cleans up; a second Ctrl-C skips the clean-up and tells
how to do it later.
"""
_CLEAN_TEXT = """\
Removes the containers that a run left behind, running or not, with their anonymous volumes. They are found by the
label loadtest.run=<run>, which every run sets.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line `argv` and returns the exit code. Raises `SystemExit` for bad flags, as argparse does."""
    arguments = _parser().parse_args(argv)
    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        return command(arguments)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BadScenario as error:
        return _complain(error, EXIT_USAGE)
    except TargetUnreachable as error:
        return _complain(error, EXIT_UNREACHABLE)
    except (HarnessError, OSError) as error:
        return _complain(error, EXIT_HARNESS_ERROR)


def _run_command(arguments: argparse.Namespace) -> int:
    scenario = Scenario(
        host=arguments.host,
        count=arguments.count,
        concurrency=arguments.concurrency,
        names=arguments.names,
        image=arguments.image,
        keep=arguments.keep,
    )
    console = Console()
    load = Load(scenario)
    with _stopped_by_sigint(load, scenario):
        load.prepare()
        is_kept = scenario.keep
        try:
            with progress_shown(scenario.count) as show:
                result = load.create(show)
        except KeyboardInterrupt:
            result, is_kept = load.result(), True
        print_result(result, console)
        if not is_kept:
            result = _clean_up(load, result)
        print_cleanup(result, console)
        if arguments.json is not None:
            _write_json(arguments.json, result)
    return _exit_code(result)


def _clean_command(arguments: argparse.Namespace) -> int:
    cleanup = clean(None if arguments.all else arguments.run, arguments.host)
    print(f"{cleanup.removed:,} containers removed")
    for failure in cleanup.failures:
        print(f"boatyard-load: not removed: {failure.text}", file=sys.stderr)
    return EXIT_UNEXPECTED_ERRORS if cleanup.failures else EXIT_OK


def _clean_up(load: Load, result: Result) -> Result:
    """The result with its clean-up; without one when Ctrl-C broke it off."""
    try:
        return attrs.evolve(result, cleanup=load.clean_up())
    except KeyboardInterrupt:
        return result


@contextmanager
def _stopped_by_sigint(load: Load, scenario: Scenario) -> Iterator[None]:
    """The first Ctrl-C stops the load; the next one is a `KeyboardInterrupt` as usual."""

    def on_sigint(signum: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        load.stop()
        text = f"stopping: waiting for what is under way; Ctrl-C again leaves run {scenario.run_id} as it is"
        os.write(sys.stderr.fileno(), f"\n{text}\n".encode())  # not print: it may be what was interrupted

    previous = signal.signal(signal.SIGINT, on_sigint)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def _exit_code(result: Result) -> int:
    if result.is_interrupted:
        return EXIT_INTERRUPTED
    if result.errors or (result.cleanup is not None and result.cleanup.failures):
        return EXIT_UNEXPECTED_ERRORS
    return EXIT_OK


def _write_json(path: Path, result: Result) -> None:
    path.write_text(json.dumps(result_json(result), indent=2) + "\n")


def _complain(error: Exception, code: int) -> int:
    print(f"boatyard-load: {error}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="boatyard-load",
        description="Measures how fast a Docker engine creates containers, on any socket that speaks its API.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="run | clean")
    raw = argparse.RawDescriptionHelpFormatter
    run = commands.add_parser(
        "run", help="create containers and report", description=_RUN_TEXT, epilog=_EPILOG, formatter_class=raw
    )
    run.set_defaults(command=_run_command)
    _add_host(run)
    run.add_argument(
        "-n", "--count", type=int, default=200, help=f"creates to send (default 200, at most {COUNT_MAX:,})"
    )
    run.add_argument(
        "-c", "--concurrency", type=int, default=16, help=f"clients (default 16, at most {CONCURRENCY_MAX:,})"
    )
    run.add_argument(
        "--names",
        type=_names,
        default=Names(),
        metavar="unique | generated | collide:K",
        help="lt-<run>-<n>, which is the default; the server's choice; or K clients for each name, where one 201 "
        "and K-1 times 409 are right and anything else is an error",
    )
    run.add_argument(
        "--image", metavar="REF", help="an image that the target has (default: a tiny one, loaded if missing)"
    )
    run.add_argument("--json", type=_writable_path, metavar="FILE", help="also write the result as JSON")
    run.add_argument("--keep", action="store_true", help="leave the containers where they are")
    clean_parser = commands.add_parser(
        "clean", help="remove what runs left behind", description=_CLEAN_TEXT, formatter_class=raw
    )
    clean_parser.set_defaults(command=_clean_command)
    _add_host(clean_parser)
    which = clean_parser.add_mutually_exclusive_group(required=True)
    which.add_argument("run", nargs="?", metavar="RUN", help="the run's id, as its report shows it")
    which.add_argument("--all", action="store_true", help="every run's containers")
    return parser


def _add_host(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-H",
        "--host",
        default=default_host(),
        help="unix:///path (default $DOCKER_HOST, else unix:///var/run/docker.sock)",
    )


def _names(text: str) -> Names:
    try:
        return Names.parse(text)
    except BadScenario as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _writable_path(text: str) -> Path:
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is not a file in an existing directory")
    return path


if __name__ == "__main__":
    sys.exit(main())
