"""The command line's flags and what its help teaches. Nothing is done here; `commands` has the functions by name."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from loadtest.errors import BadScenario
from loadtest.scenario import CONCURRENCY_MAX, COUNT_DEFAULT, COUNT_MAX, ONLY_CREATES, Names, default_host, parse_mix
from loadtest.slo import Slo
from loadtest.units import parse_rate, parse_seconds, parse_steps

_T = TypeVar("_T")

_EPILOG = """\
examples:
  boatyard-load run                                  200 creates from 16 clients on $DOCKER_HOST
  boatyard-load run -d 30s --rate 200/s --warmup 2s  200 a second, whatever the server says
  boatyard-load run --mix create=6,inspect=3,remove=1 --slo 'p99<50ms' --slo 'errors==0'
  boatyard-load run --names collide:4                4 clients fight for each name; one may win
  boatyard-load run --keep --json a.json && boatyard-load verify a.json --restart-cmd 'systemctl restart docker'
  boatyard-load sweep -c 1,2,4,...,64                how throughput grows with clients
  boatyard-load knee --slo 'p99<50ms'                the highest rate that keeps a promise
  boatyard-load compare unix:///run/docker.sock unix:///run/podman/podman.sock --html report.html
  boatyard-load selftest                             what this client can do, here and now
  boatyard-load clean                                what killed runs left behind

exit codes:
  0 fine   1 the harness failed   2 bad arguments   3 nobody answers on the socket   4 errors that were not expected
  5 verification failed   99 an objective was broken   130 interrupted
"""
_RUN_TEXT = """\
Creates containers, measures, and removes them again. They are never started.

In the closed model every client sends its next request when its last one was answered, so a slow server is asked less
often, and one that stalls is asked hardly at all. With --rate the model is open: requests start by the clock, as users
do who do not know of each other. Three times are told apart then:
  response time  from the moment a request was meant to start to its answer: what a user would have waited
  service time   from its sending to its answer
  send lag       from the moment it was meant to start to its sending; the client's share is what was late although a
                 connection was free

A percentile is shown only where at least ten samples lie beyond it. Every report says what this client could have done
against a server that does nothing (its ceiling), and marks numbers that are the client's own.

Ctrl-C stops sending, waits for what is under way, reports and cleans up; a second Ctrl-C skips the clean-up and tells
how to do it later. A run is in a journal before its first request: after kill -9, `boatyard-load clean` finds it.
"""
_SWEEP_TEXT = """\
Runs the closed model with more and more clients, and fits the Universal Scalability Law: how much has to be done one
after another (contention), how much each client costs all others (coherency), and where throughput is highest.
"""
_KNEE_TEXT = """\
Looks for the highest rate that keeps the objectives: up in steps of a quarter until one is broken or the server falls
behind the schedule (less than 97 % achieved), then halves between the last two, to within 5 %.
"""
_COMPARE_TEXT = """\
Measures two targets in turn, A B B A, block after block, so that what changes on the machine meanwhile changes for both.
Prints the ratio of medians with its bootstrap interval, and `~` where Mann-Whitney cannot tell a difference (p >= 0.01).
What makes a comparison fair is checked and printed. Both are warmed up by one block that is thrown away.
"""
_VERIFY_TEXT = """\
Checks what a run of `boatyard-load run --keep --json FILE` was told against what the target lists: every container that
was acknowledged is there once, with its name, its id and its labels; no name is held twice; nothing was made that
nobody was told of. With --restart-cmd, after that command and as soon as the target answers again.
"""
_CLEAN_TEXT = """\
Removes the containers that runs left behind, running or not, with their anonymous volumes. Without arguments: those of
the runs in the journal ($XDG_STATE_HOME/boatyard-load/runs) that were killed. They are found by the label
loadtest.run=<run>, which every container of a run has.
"""
_REPORT_TEXT = """\
Makes one HTML file, complete in itself, of the JSON files of earlier runs, sweeps, searches and comparisons.
"""
_SELFTEST_TEXT = """\
Measures this client against a server that does nothing, in a process of its own: the highest rate (ceiling), the
shortest median (floor), CPU time per request, and how well an open loop keeps its schedule. Nothing can look better
than that to this client, on this machine, now.
"""


def parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    whole = argparse.ArgumentParser(
        prog="boatyard-load",
        description="Measures how fast a Docker engine creates containers, on any socket that speaks its API.",
        epilog=_EPILOG,
        formatter_class=raw,
    )
    commands = whole.add_subparsers(
        required=True, dest="command", metavar="run | sweep | knee | compare | verify | clean | report | selftest"
    )

    def add(name: str, short: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=short, description=text, epilog=_EPILOG, formatter_class=raw)

    _run(add("run", "create containers and report", _RUN_TEXT))
    _sweep(add("sweep", "throughput by number of clients", _SWEEP_TEXT))
    _knee(add("knee", "the highest rate that keeps an objective", _KNEE_TEXT))
    _compare(add("compare", "two targets in turn", _COMPARE_TEXT))
    _verify(add("verify", "is there what was acknowledged?", _VERIFY_TEXT))
    _clean(add("clean", "remove what runs left behind", _CLEAN_TEXT))
    _report(add("report", "an HTML file from results", _REPORT_TEXT))
    _selftest(add("selftest", "what this client can do", _SELFTEST_TEXT))
    return whole


def _run(run: argparse.ArgumentParser) -> None:
    _add_host(run)
    _add_amount(run, COUNT_DEFAULT)
    _add_concurrency(run)
    run.add_argument(
        "--rate", type=_checked(parse_rate), metavar="200/s", help="the open model: so many requests start each second"
    )
    run.add_argument("--poisson", action="store_true", help="with a rate: exponential gaps, as independent users make")
    _add_load(run)
    run.add_argument(
        "--mix",
        type=_checked(parse_mix),
        default=ONLY_CREATES,
        metavar="create=80,inspect=15,remove=5",
        help="weights of create, inspect, list, rename and remove (default: only creates)",
    )
    run.add_argument(
        "--names",
        type=_checked(Names.parse),
        default=Names(),
        metavar="unique | generated | collide:K",
        help="lt-<run>-<n>, which is the default; the server's choice; or K clients for each name, where one 201 and K-1 "
        "times 409 are right and anything else is an error",
    )
    _add_slo(run, required=False)
    run.add_argument("--keep", action="store_true", help="leave the containers where they are")
    _add_outputs(run)
    run.add_argument("--csv", type=_writable_path, metavar="FILE", help="also write the raw samples as CSV")
    run.add_argument(
        "--hgrm", type=_writable_path, metavar="FILE", help="also write the percentiles for HdrHistogram's plotter"
    )


def _sweep(sweep: argparse.ArgumentParser) -> None:
    _add_host(sweep)
    _add_amount(sweep, COUNT_DEFAULT)
    sweep.add_argument(
        *("-c", "--concurrency"),
        type=_checked(parse_steps),
        default=(1, 2, 4, 8, 16, 32, 64),
        metavar="1,2,4,...,64",
        help="numbers of clients, in turn (default 1,2,4,...,64)",
    )
    _add_load(sweep)
    _add_outputs(sweep)


def _knee(knee: argparse.ArgumentParser) -> None:
    _add_host(knee)
    knee.add_argument(
        "--from",
        dest="start",
        type=_checked(parse_rate),
        default=100.0,
        metavar="100/s",
        help="the first rate to try (default 100/s)",
    )
    knee.add_argument(
        "--to", type=_checked(parse_rate), default=float("inf"), metavar="RATE", help="the highest rate to try"
    )
    knee.add_argument(
        *("-d", "--duration"),
        type=_checked(parse_seconds),
        default=5.0,
        metavar="5s",
        help="of each try (default 5s); longer where an objective needs more samples",
    )
    _add_concurrency(knee, default=256)
    knee.add_argument("--poisson", action="store_true", help="exponential gaps, as independent users make")
    _add_load(knee)
    _add_slo(knee, required=True)
    _add_outputs(knee)


def _compare(compare: argparse.ArgumentParser) -> None:
    compare.add_argument("a", metavar="A", help="unix:///path")
    compare.add_argument("b", metavar="B", help="unix:///path")
    compare.add_argument("--rounds", type=int, default=10, help="rounds of A B B A (default 10)")
    compare.add_argument(
        *("-n", "--count"), type=int, default=COUNT_DEFAULT, help="requests in each block (default 200)"
    )
    _add_concurrency(compare)
    compare.add_argument(
        "--image", metavar="REF", help="an image that both have (default: a tiny one, loaded if missing)"
    )
    compare.add_argument("--pin", action="store_true", help="client and server on CPUs of their own")
    compare.add_argument("--seed", type=int, default=0, help="of the bootstrap (default 0)")
    _add_outputs(compare)


def _verify(verify: argparse.ArgumentParser) -> None:
    verify.add_argument("file", type=Path, metavar="RUN.json", help="the result of a run that was kept")
    verify.add_argument("-H", "--host", help="unix:///path (default: that of the run)")
    verify.add_argument("--restart-cmd", metavar="COMMAND", help="a shell command that restarts the target first")
    verify.add_argument(
        "--wait", type=_checked(parse_seconds), default=60.0, metavar="60s", help="for the target to answer again"
    )


def _clean(clean: argparse.ArgumentParser) -> None:
    clean.add_argument("-H", "--host", help="unix:///path (default: that of the run's journal, else $DOCKER_HOST)")
    which = clean.add_mutually_exclusive_group()
    which.add_argument("run", nargs="?", metavar="RUN", help="the run's id, as its report shows it")
    which.add_argument("--all", action="store_true", help="every run's containers on the host")


def _report(report: argparse.ArgumentParser) -> None:
    report.add_argument("files", type=Path, nargs="+", metavar="RUN.json", help="results of earlier commands")
    report.add_argument("-o", "--output", type=_writable_path, required=True, metavar="FILE.html", help="what to write")


def _selftest(selftest: argparse.ArgumentParser) -> None:
    selftest.add_argument(
        "-n", "--count", type=int, default=20_000, help="requests of the closed loop (default 20,000)"
    )
    _add_concurrency(selftest)
    selftest.add_argument(
        "--rate", type=_checked(parse_rate), default=1000.0, metavar="1000/s", help="of the open loop (default 1000/s)"
    )
    selftest.add_argument(
        *("-d", "--duration"),
        type=_checked(parse_seconds),
        default=3.0,
        metavar="3s",
        help="of the open loop (default 3s)",
    )


def _add_host(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        *("-H", "--host"),
        default=default_host(),
        help="unix:///path (default $DOCKER_HOST, else unix:///var/run/docker.sock)",
    )


def _add_amount(parser: argparse.ArgumentParser, count: int) -> None:
    parser.add_argument(
        *("-n", "--count"), type=int, help=f"requests to measure (default {count}, at most {COUNT_MAX:,})"
    )
    parser.add_argument(
        *("-d", "--duration"), type=_checked(parse_seconds), metavar="30s", help="or how long to measure"
    )


def _add_concurrency(parser: argparse.ArgumentParser, default: int = 16) -> None:
    parser.add_argument(
        *("-c", "--concurrency"),
        type=int,
        default=default,
        help=f"clients; with a rate, the most requests under way (default {default}, at most {CONCURRENCY_MAX:,})",
    )


def _add_load(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--warmup", type=_checked(parse_seconds), default=0.0, metavar="2s", help="send for that long before measuring"
    )
    parser.add_argument(
        "--image", metavar="REF", help="an image that the target has (default: a tiny one, loaded if missing)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of gaps and draws (default 0)")
    parser.add_argument("--pin", action="store_true", help="client and server on CPUs of their own")
    parser.add_argument(
        "--timeout", type=_checked(parse_seconds), default=30.0, metavar="30s", help="for each answer (default 30s)"
    )


def _add_slo(parser: argparse.ArgumentParser, *, required: bool) -> None:
    parser.add_argument(
        "--slo",
        type=_checked(Slo.parse),
        action="append",
        default=[],
        required=required,
        metavar="'p99<50ms'",
        help="an objective, of pNN, max, errors or rate, also service.pNN and lag.pNN; may be given several times",
    )


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", type=_writable_path, metavar="FILE", help="also write the result as JSON")
    parser.add_argument("--html", type=_writable_path, metavar="FILE", help="also write a report with plots")


def _checked(parse: Callable[[str], _T]) -> Callable[[str], _T]:
    """For argparse, which shows the text of its own exception only."""

    def checked(text: str) -> _T:
        try:
            return parse(text)
        except BadScenario as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return checked


def _writable_path(text: str) -> Path:
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is not a file in an existing directory")
    return path
