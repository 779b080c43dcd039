"""The command line: what to measure, where to put the results."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import FrameType

import attrs
import msgspec
from rich.console import Console
from rich.markdown import Markdown

from contrib.arguments import add_place
from contrib.bench.comparing import comparison_page
from contrib.bench.measuring import Measuring, first_line
from contrib.bench.plan import DOCKERD, ENGINES, FEW_PRESENT, OURS, PRESENT, QUICK, Plan
from contrib.bench.results import Machine, Results, Row, Subject
from contrib.bench.table import MARKS, in_short, markdown
from contrib.bench.targets import TARGETS
from contrib.engines import NotHere
from contrib.marks import between_marks
from contrib.places import Places
from loadtest import HarnessError
from loadtest.describing import environment

EXIT_OK, EXIT_FAILED, EXIT_INTERRUPTED = 0, 1, 130

ROUNDS_MAX = 100
SOURCES = Path(__file__).parents[2]
HOME = SOURCES / "docs" / "benchmarks"
QUICK_HOME = SOURCES / "build" / "benchmarks"

_EPILOG = """\
exit codes:
  0 measured, whether the targets hold or not   1 something of ours could not be measured   2 bad arguments
  130 interrupted
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line `argv` and returns the exit code. Raises `SystemExit` for bad flags, as argparse does."""
    arguments = _parser().parse_args(argv)
    plan = QUICK if arguments.quick else Plan()
    changes = {"engines": tuple(arguments.only or ()), "rounds": arguments.rounds}
    plan = attrs.evolve(plan, **{name: value for name, value in changes.items() if value})
    is_whole = not arguments.quick and not arguments.only
    out = arguments.out or (HOME if is_whole else QUICK_HOME)
    signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGTERM, _stop)
    console = Console(stderr=True, highlight=False)
    try:
        places = Places.at(arguments.place, bytes_needed=plan.bytes_needed, plain=arguments.plain)
        results, page = bench(plan, places, partial(console.print, markup=False, soft_wrap=True))
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except HarnessError as error:
        console.print(f"cannot measure: {error}")
        return EXIT_FAILED
    write(results, page, out)
    if is_whole and arguments.out is None:
        readme = SOURCES / "README.md"
        readme.write_text(between_marks(readme.read_text(), MARKS, in_short(results)))
    Console().print(Markdown(markdown(results)))
    print(f"written to {out}")
    is_ours = any(failure.startswith("boatyard") for failure in results.failures)
    return EXIT_FAILED if is_ours else EXIT_OK


def bench(plan: Plan, places: Places, say: Callable[[str], None]) -> tuple[Results, str]:
    """All results, and the page of a comparison: empty when there is nothing to compare with."""
    started_at, machine = datetime.now(UTC).isoformat(timespec="seconds"), _machine(places)
    measuring = Measuring(plan, places, say)
    measuring.run()
    page = ""
    if {OURS, DOCKERD} <= set(plan.engines):
        try:
            page = comparison_page((OURS, DOCKERD), plan, places, say)
        except NotHere:
            pass  # a subject that was skipped, with its reason
        except HarnessError as error:
            say(f"failed: {error}")
            measuring.failures.append(f"comparison: {first_line(error)}")
    rows = [
        Row(name=load.row, clients=load.clients, creates=load.count, creates_slow=load.count_slow)
        for load in plan.loads
    ]
    rows += [Row(name=name, clients=16, creates=plan.burst, creates_slow=0) for name in (FEW_PRESENT, PRESENT)]
    subjects = [
        Subject(name, measuring.versions.get(name, ""), measuring.skipped.get(name, "")) for name in plan.engines
    ]
    results = Results(
        started_at=started_at,
        is_quick=plan.is_quick,
        rounds=plan.rounds,
        warmup=plan.warmup,
        present=plan.present,
        grown=plan.grown,
        machine=machine,
        subjects=tuple(subjects),
        rows=tuple(rows),
        figures=measuring.samples.figures(),
        failures=tuple(measuring.failures),
        verdicts=tuple(target.verdict(measuring.samples) for target in TARGETS),
    )
    return results, page


def write(results: Results, page: str, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "results.json").write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")
    (out / "table.md").write_text(markdown(results))
    if page:
        (out / "report.html").write_text(page)
    else:
        with suppress(FileNotFoundError):
            (out / "report.html").unlink()  # of another run


def _machine(places: Places) -> Machine:
    found = environment()
    return Machine(
        cpu_model=found.cpu_model,
        cpu_count=found.cpus_usable,
        kernel=found.kernel,
        python=found.python,
        file_system=str(places),
        load_average=os.getloadavg()[0],
    )


def _stop(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # what is to be cleaned up is cleaned up once, and whole
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.write(2, b"\nstopping: ending the engine, unmounting\n")
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m contrib.bench",
        description="Measures the creation of containers: ours beside dockerd and podman.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--quick", action="store_true", help="few creates, in less than a minute: the figures mean nothing"
    )
    parser.add_argument("--rounds", type=_rounds, metavar="N", help=f"medians of so many (default {Plan().rounds})")
    parser.add_argument("--only", nargs="+", choices=ENGINES, metavar="ENGINE", help=f"of {', '.join(ENGINES)}")
    add_place(parser)
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="for results.json, table.md and report.html (default docs/benchmarks, and the table, in short, into README.md; "
        "build/benchmarks for less than everything)",
    )
    return parser


def _rounds(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= ROUNDS_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {ROUNDS_MAX}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
