"""The commands: arguments to scenarios, results to the terminal and to files, and an exit code for each way it may end."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from random import Random

import attrs
import msgspec

from loadtest import document as doc
from loadtest.caveats import keeps_up
from loadtest.compare import CONFIDENCE, Comparing, fairness, pooled, quotients
from loadtest.describing import describe_run
from loadtest.errors import BadScenario, HarnessError, TargetRefused, TargetUnreachable
from loadtest.export import csv_text, hgrm_text
from loadtest.html import html_text
from loadtest.journal import Journal
from loadtest.knee import Knee, search
from loadtest.progress import progress_shown
from loadtest.report import Terminal, print_cleanup, print_run, server_text
from loadtest.report_many import print_comparison, print_knee, print_sweep, print_verification
from loadtest.runner import Load, Result
from loadtest.scenario import Scenario, default_host
from loadtest.selftest import Ceiling, quick_ceiling, selftest
from loadtest.slo import Slo
from loadtest.stopping import stopped_by_sigint
from loadtest.sweep import fit
from loadtest.target import clean
from loadtest.units import nanoseconds_text, rate_text, visible
from loadtest.verify import listed_after_restart, verify

EXIT_OK = 0
EXIT_HARNESS_ERROR = 1
EXIT_USAGE = 2
EXIT_UNREACHABLE = 3
EXIT_UNEXPECTED_ERRORS = 4
EXIT_VERIFICATION_FAILED = 5
EXIT_OBJECTIVE_BROKEN = 99  # k6's number
EXIT_INTERRUPTED = 130

_PROGRAM = "boatyard-load"
LEAVES_TO_CLEAN = f"leaves what there is to `{_PROGRAM} clean`"


def run_command(arguments: argparse.Namespace) -> int:
    scenario = _scenario(
        arguments,
        rate_per_s=arguments.rate,
        is_poisson=arguments.poisson,
        mix=arguments.mix,
        names=arguments.names,
        keep=arguments.keep,
    )
    console = Terminal()
    load = Load(scenario)
    with stopped_by_sigint(load.stop, f"leaves run {scenario.run_id} as it is") as notice:
        ceiling = quick_ceiling(scenario)
        load.prepare()
        is_broken_off = False
        try:
            with progress_shown(load.recorder, notice) as show:
                result = load.create(show)
        except KeyboardInterrupt:
            result, is_broken_off = load.result(), True
        except BaseException:
            load.clean_up()
            raise
        described = describe_run(result, ceiling=ceiling, slos=arguments.slo, command=_command(arguments))
        # Each of these whatever becomes of those before it: it may be the disk that is full, or the terminal that has gone.
        try:
            print_run(described, console)
        finally:
            if scenario.keep or not is_broken_off:
                result = _finish(load, result)
                described = _with_cleanup(described, result)
            try:
                print_cleanup(described, console)
            finally:
                _write_outputs(arguments, described)
                _write_samples(arguments, result)
    return _exit_code(described)


def sweep_command(arguments: argparse.Namespace) -> int:
    scenarios = [_scenario(arguments, concurrency=concurrency) for concurrency in arguments.concurrency]
    console = Terminal()
    runs: list[doc.Run] = []
    series = _Series(arguments)
    for scenario in scenarios:
        described = series.measure(scenario)
        if described is None:
            break
        runs.append(described)
        series.say(f"{scenario.concurrency:,} clients: {rate_text(described.creates_per_s)}")
    if not runs:
        return EXIT_INTERRUPTED
    found = fit([(run.plan.concurrency, run.creates_per_s) for run in runs])
    usl = None
    if found is not None:
        best = found.best_concurrency
        usl = doc.Usl(found.rate_per_s, found.contention, found.coherency, best, found.r_squared)
    swept = doc.Sweep(doc.VERSION, _command(arguments), tuple(runs), usl)
    print_sweep(swept, console)
    _write_outputs(arguments, swept)
    return EXIT_INTERRUPTED if len(runs) < len(scenarios) else max(_exit_code(run) for run in runs)


def knee_command(arguments: argparse.Namespace) -> int:
    console = Terminal()
    series = _Series(arguments)
    tries = search(arguments.start, max_per_s=arguments.to)
    runs: list[doc.Run] = []
    kept: list[bool] = []
    knee: Knee | None = None
    rate_per_s = next(tries)
    ceiling = quick_ceiling(_scenario(arguments, rate_per_s=rate_per_s))
    while knee is None:
        # Long enough for the objectives to be judged by what they need.
        enough_s = max(slo.samples_needed for slo in arguments.slo) * 1.05 / rate_per_s
        scenario = _scenario(
            arguments,
            rate_per_s=rate_per_s,
            is_poisson=arguments.poisson,
            duration_s=max(arguments.duration, enough_s),
        )
        described = series.measure(scenario, ceiling=ceiling, slos=arguments.slo)
        if described is None:
            break
        runs.append(described)
        kept.append(is_borne(described))
        series.say(f"{rate_text(rate_per_s)}: {'kept' if kept[-1] else 'broken'}")
        try:
            rate_per_s = tries.send(kept[-1])
        except StopIteration as stop:
            knee = stop.value
    if not runs:
        return EXIT_INTERRUPTED
    is_interrupted = knee is None
    if knee is None:
        borne = [run.plan.rate_per_s or 0.0 for run, is_kept in zip(runs, kept, strict=True) if is_kept]
        knee = Knee(max(borne, default=None), not all(kept))
    found = doc.Knee(doc.VERSION, _command(arguments), tuple(runs), tuple(kept), knee.rate_per_s, knee.is_bounded)
    print_knee(found, console)
    _write_outputs(arguments, found)
    if is_interrupted:
        return EXIT_INTERRUPTED
    return EXIT_OK if knee.rate_per_s is not None else EXIT_OBJECTIVE_BROKEN


def compare_command(arguments: argparse.Namespace) -> int:
    a, b = (
        Scenario(
            host=host,
            count=arguments.count,
            concurrency=arguments.concurrency,
            image=arguments.image,
            pin=arguments.pin,
        )
        for host in (arguments.a, arguments.b)
    )
    if arguments.rounds < 1:
        raise BadScenario("a comparison needs at least one round")
    console = Terminal()
    ceiling = quick_ceiling(a)
    comparing = Comparing(a, b, rounds=arguments.rounds)
    series = _Series(arguments)

    def on_block(number: int, total: int, side: str, result: Result) -> None:
        series.say(f"{number} of {total}  {side}  {rate_text(result.statistics().creates_per_s)}")

    with stopped_by_sigint(comparing.stop, LEAVES_TO_CLEAN):
        compared = comparing.run(on_block)
    if compared.is_interrupted and not (compared.a and compared.b):
        return EXIT_INTERRUPTED
    command = _command(arguments)
    one, other = (describe_run(pooled(side), ceiling=ceiling, command=command) for side in (compared.a, compared.b))
    comparison = doc.Comparison(
        version=doc.VERSION,
        command=command,
        rounds=len(compared.a) // 2,
        count=arguments.count,
        confidence=CONFIDENCE,
        names=(f"{a.host}  {server_text(one)}", f"{b.host}  {server_text(other)}"),
        quotients=quotients(compared, Random(arguments.seed)),
        conditions=fairness(compared),
        a=one,
        b=other,
    )
    print_comparison(comparison, console)
    _write_outputs(arguments, comparison)
    if compared.is_interrupted:
        return EXIT_INTERRUPTED
    return max(_exit_code(one), _exit_code(other))


def verify_command(arguments: argparse.Namespace) -> int:
    document = _read(arguments.file)
    if not isinstance(document, doc.Run):
        raise HarnessError(f"{arguments.file} is not the result of a run")
    host = arguments.host or document.server.host
    listed = listed_after_restart(host, arguments.restart_cmd, timeout_s=arguments.wait)
    verification = verify(document, listed)
    print_verification(document, verification, Terminal())
    return EXIT_OK if verification.is_passed else EXIT_VERIFICATION_FAILED


def clean_command(arguments: argparse.Namespace) -> int:
    journal = Journal.of_user()
    if arguments.run is not None or arguments.all:
        entry = journal.find(arguments.run) if arguments.run is not None else None
        host = arguments.host or (entry.host if entry is not None else default_host())
        return _clean(journal, [(arguments.run, host)], is_settled=entry is None)
    unfinished = [(entry.run_id, arguments.host or entry.host) for entry in journal.unfinished()]
    if not unfinished:
        print("no run was left unfinished")
    return _clean(journal, unfinished, is_settled=False)


def report_command(arguments: argparse.Namespace) -> int:
    documents = [_read(file) for file in arguments.files]
    _write(arguments.output, [html_text(documents)])
    return EXIT_OK


def selftest_command(arguments: argparse.Namespace) -> int:
    concurrency, count = arguments.concurrency, arguments.count
    found = selftest(concurrency=concurrency, count=count, rate_per_s=arguments.rate, duration_s=arguments.duration)
    lag = found.schedule_lag
    late = ", ".join(f"{p.name} {nanoseconds_text(p.value_ns)}" for p in lag.percentiles if p.value_ns is not None)
    print(f"this client's ceiling here: {rate_text(found.ceiling.requests_per_s)} from {concurrency} connections")
    print(f"floor of the service time:  {nanoseconds_text(found.ceiling.floor_p50_ns)} at p50, from one connection")
    print(f"CPU per request:            {found.ceiling.cpu_us_per_request:.1f} us")
    scheduled = found.scheduled
    sent = f"{scheduled.sent:,} requests at {rate_text(arguments.rate)}"
    print(f"lateness of the schedule:   {late}, max {nanoseconds_text(lag.max_ns)} ({sent})")
    conditions = scheduled.conditions
    if conditions is not None:
        cost_us = conditions.client_cpu_s * 1e6 / scheduled.sent
        print(f"CPU per scheduled request:  {cost_us:.1f} us")
        if conditions.cpu_pressure is not None:
            print(f"pressure on the CPUs:       somebody waited in {conditions.cpu_pressure:.0%} of the time")
    return EXIT_OK


COMMANDS: Mapping[str, Callable[[argparse.Namespace], int]] = {
    "run": run_command,
    "sweep": sweep_command,
    "knee": knee_command,
    "compare": compare_command,
    "verify": verify_command,
    "clean": clean_command,
    "report": report_command,
    "selftest": selftest_command,
}


class _Series:
    """Several runs of one command, each cleaned up before the next."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._command = _command(arguments)

    def measure(
        self, scenario: Scenario, *, ceiling: Ceiling | None = None, slos: Iterable[Slo] = ()
    ) -> doc.Run | None:
        """None when it was interrupted once; it has been cleaned up then, too. `ceiling`: one that is known already."""
        load = Load(scenario)
        with stopped_by_sigint(load.stop, LEAVES_TO_CLEAN):
            ceiling = ceiling or quick_ceiling(scenario)
            result, cleanup = load.carry_out()
            if cleanup.failures:
                raise TargetRefused(f"run {scenario.run_id} could not be cleaned up: {cleanup.failures[0].text}")
        if result.is_interrupted:
            return None
        result = attrs.evolve(result, cleanup=cleanup)
        return describe_run(result, ceiling=ceiling, slos=tuple(slos), command=self._command)

    def say(self, text: str) -> None:
        """What is going on, for those who wait."""
        print(text, file=sys.stderr)


def _scenario(arguments: argparse.Namespace, **others: object) -> Scenario:
    fields: dict[str, object] = {
        "host": arguments.host,
        "count": getattr(arguments, "count", None),
        "duration_s": arguments.duration,
        "concurrency": arguments.concurrency,
        "warmup_s": arguments.warmup,
        "image": arguments.image,
        "seed": arguments.seed,
        "pin": arguments.pin,
        "timeout_s": arguments.timeout,
        **others,
    }
    return Scenario(**fields)  # type: ignore[arg-type]  # argparse has checked the values, but knows no types


def _finish(load: Load, result: Result) -> Result:
    """Without a clean-up when Ctrl-C broke it off."""
    try:
        return load.finish(result)
    except KeyboardInterrupt:
        return result


def _with_cleanup(described: doc.Run, result: Result) -> doc.Run:
    if result.cleanup is None:
        return described
    failures = tuple(failure.text for failure in result.cleanup.failures)
    return msgspec.structs.replace(described, cleanup=doc.Removal(result.cleanup.removed, failures))


def is_borne(run: doc.Run) -> bool:
    """Whether the run kept its objectives and its schedule: what it achieved, but for the time that any answer takes, is what it
    offered."""
    median_s = (run.response_time.percentiles_ns["p50"] or 0) / 1e9
    busy_s = run.elapsed_s - median_s
    achieved_per_s = run.response_time.count / busy_s if busy_s > 0 else 0.0
    offered = run.counts.sent - run.counts.warmup + run.counts.unsent
    offered_per_s = offered / run.plan.duration_s if run.plan.duration_s else run.plan.rate_per_s or 0.0
    return keeps_up(achieved_per_s, offered_per_s) and all(objective.is_kept for objective in run.objectives)


def _exit_code(run: doc.Run) -> int:
    if run.is_interrupted:
        return EXIT_INTERRUPTED
    if any(not objective.is_kept for objective in run.objectives):
        return EXIT_OBJECTIVE_BROKEN
    if run.errors or (run.cleanup is not None and run.cleanup.failures):
        return EXIT_UNEXPECTED_ERRORS
    return EXIT_OK


def _clean(journal: Journal, runs: Iterable[tuple[str | None, str]], *, is_settled: bool) -> int:
    code = EXIT_OK
    for run_id, host in runs:
        try:
            cleanup = clean(run_id, host, is_settled=is_settled)
        except TargetUnreachable as error:
            print(f"{_PROGRAM}: {error}", file=sys.stderr)
            code = EXIT_UNREACHABLE
            continue
        of = f" of run {run_id}" if run_id is not None else ""
        print(f"{cleanup.removed:,} containers{of} removed")
        for failure in cleanup.failures:
            print(f"{_PROGRAM}: not removed: {visible(failure.text)}", file=sys.stderr)
            code = EXIT_UNEXPECTED_ERRORS
        if run_id is not None and not cleanup.failures:
            journal.finish(run_id)
    return code


def _write_outputs(arguments: argparse.Namespace, document: doc.Document) -> None:
    if arguments.json is not None:
        _write(arguments.json, [doc.encode(document).decode()])
    if arguments.html is not None:
        _write(arguments.html, [html_text([document])])


def _write_samples(arguments: argparse.Namespace, result: Result) -> None:
    if arguments.csv is not None:
        _write(arguments.csv, csv_text(result))
    if arguments.hgrm is not None:
        _write(arguments.hgrm, hgrm_text(result.statistics().response_time))


def _write(path: Path, parts: Iterable[str]) -> None:
    """In UTF-8, whatever the locale: the page says so. Raises `HarnessError`."""
    try:
        with path.open("w", encoding="utf-8") as file:
            file.writelines(parts)
    except OSError as error:  # which names no file when it comes from a write
        raise HarnessError(f"{path} cannot be written: {error.strerror}") from error


def _read(file: Path) -> doc.Document:
    return doc.decode(file.read_bytes(), str(file))


def _command(arguments: argparse.Namespace) -> tuple[str, ...]:
    return (_PROGRAM, *arguments.argv)
