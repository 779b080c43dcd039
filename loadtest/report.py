"""A result for people, as a compact summary, and for programs, as JSON. Decides nothing: the numbers come judged."""

from __future__ import annotations

import os
import platform

from rich.console import Console
from rich.table import Table
from rich.text import Text

from loadtest.outcome import CONFLICT
from loadtest.runner import Result
from loadtest.statistics import Distribution

JSON_VERSION = 1
CLIENT_LIMITED_SHARE = 0.8  # of one core; the loop has only one
_LABEL_WIDTH = 12


def print_result(result: Result, console: Console) -> None:
    """The summary of the load: throughput, percentiles, statuses, errors, the client's own cost."""
    statistics = result.statistics()
    _print_head(result, console)
    console.print(
        Text.assemble(
            "  ",
            (f"{statistics.creates_per_s:,.0f} creates/s", "bold green" if not result.errors else "bold yellow"),
            f"   {statistics.created:,} created in {_seconds(statistics.elapsed_s)}",
        )
    )
    console.print()
    console.print(_percentile_table(statistics.response_time, statistics.service_time))
    _print_missing_percentiles(statistics.response_time, console)
    console.print()
    _print_row(console, "statuses", _statuses(result))
    _print_errors(result, console)
    _print_client(result, statistics.elapsed_s, console)


def print_cleanup(result: Result, console: Console) -> None:
    """What was removed; or, when nothing was, how to do it later."""
    scenario, cleanup = result.scenario, result.cleanup
    later = f"boatyard-load clean {scenario.run_id} -H {scenario.host}"
    if cleanup is None:
        _print_row(console, "kept", f"{len(result.created):,} containers; to remove them: {later}")
        return
    _print_row(console, "clean-up", f"{cleanup.removed:,} containers removed")
    if cleanup.failures:
        _print_row(console, "", Text(f"{len(cleanup.failures):,} failed: {cleanup.failures[0].text}", "red"))
        _print_row(console, "", f"to try again: {later}")


def result_json(result: Result) -> dict[str, object]:
    """The result as JSON's types. Times are nanoseconds; a percentile that has too few samples is null."""
    statistics = result.statistics()
    scenario = result.scenario
    return {
        "version": JSON_VERSION,
        "environment": environment(),
        "server": result.server,
        "scenario": {
            "run_id": scenario.run_id,
            "host": scenario.host,
            "model": "closed",
            "count": scenario.count,
            "concurrency": scenario.concurrency,
            "names": str(scenario.names),
            "image": scenario.reference,
            "body": dict(scenario.body),
            "timeout_s": scenario.timeout_s,
        },
        "counts": {
            "sent": result.sent,
            "created": len(result.created),
            "errors": result.error_count,
            "abandoned": result.abandoned,
            "statuses": {str(status): count for status, count in result.statuses.items()},
        },
        "elapsed_s": statistics.elapsed_s,
        "creates_per_s": statistics.creates_per_s,
        "response_time": _distribution_json(statistics.response_time),
        "service_time": _distribution_json(statistics.service_time),
        "errors": [
            {"kind": group.label, "message": group.message, "count": group.count, "samples": list(group.samples)}
            for group in result.errors
        ],
        "client": {"cpu_s": result.client_cpu_s, "cpu_us_per_request": _cpu_us_per_request(result)},
        "interrupted": result.is_interrupted,
        "cleanup": None
        if result.cleanup is None
        else {"removed": result.cleanup.removed, "failures": [failure.text for failure in result.cleanup.failures]},
    }


def environment() -> dict[str, object]:
    """The machine that the client ran on."""
    return {
        "kernel": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "cpu_count": os.cpu_count(),
        "cpus_usable": len(os.sched_getaffinity(0)),
        "load_average": list(os.getloadavg()),
    }


def _print_head(result: Result, console: Console) -> None:
    scenario = result.scenario
    server = f"  {result.server}" if result.server else ""
    console.print(
        Text.assemble(("run ", "dim"), (scenario.run_id, "bold"), ("  on ", "dim"), scenario.host, server),
        soft_wrap=True,
    )
    text = f"{scenario.count:,} creates by {scenario.concurrency:,} clients, closed model, names {scenario.names}"
    console.print(Text(f"{text}, image {scenario.reference}", "dim"), soft_wrap=True)
    if result.is_interrupted:
        console.print(
            Text(f"interrupted after {result.sent:,} creates, {result.abandoned:,} of them abandoned", "yellow")
        )
    console.print()


def _percentile_table(*distributions: Distribution) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("", style="dim", width=_LABEL_WIDTH + 3)
    for percentile in distributions[0].percentiles:
        table.add_column(percentile.name, justify="right", no_wrap=True)
    table.add_column("max", justify="right", no_wrap=True)
    for label, distribution in zip(("response time", "service time"), distributions, strict=True):
        values = [*(percentile.value_ns for percentile in distribution.percentiles), distribution.max_ns]
        table.add_row(f"  {label}", *("-" if value is None else _seconds(value / 1e9) for value in values))
    return table


def _print_missing_percentiles(distribution: Distribution, console: Console) -> None:
    missing = [percentile for percentile in distribution.percentiles if percentile.value_ns is None]
    if missing:
        text = ", ".join(f"{percentile.name} needs {percentile.samples_needed:,} samples" for percentile in missing)
        console.print(Text(f"  {text}; there are {distribution.count:,}", "dim"), soft_wrap=True)


def _print_errors(result: Result, console: Console) -> None:
    if not result.errors:
        _print_row(console, "errors", "none")
    for group in result.errors:
        _print_row(console, "errors", Text(f"{group.label} x {group.count:,}", "red"))
        for sample in group.samples:
            _print_row(console, "", Text(sample.strip(), "dim"))


def _print_row(console: Console, label: str, value: str | Text) -> None:
    console.print(Text.assemble((f"  {label:<{_LABEL_WIDTH}}", "dim"), value), soft_wrap=True)


def _statuses(result: Result) -> str:
    parts = [f"{status} x {count:,}" for status, count in result.statuses.items()]
    if result.scenario.expects_conflicts and CONFLICT in result.statuses:
        parts.append("(409 is what all clients but one for each name are to get)")
    return "  ".join(parts) or "none"


def _print_client(result: Result, elapsed_s: float, console: Console) -> None:
    share = result.client_cpu_s / elapsed_s if elapsed_s else 0.0
    _print_row(console, "client", f"{_cpu_us_per_request(result):.1f} us CPU per request, {share:.0%} of one core")
    if share > CLIENT_LIMITED_SHARE:
        _print_row(console, "", Text("client-limited: the server might have answered more", "yellow"))


def _cpu_us_per_request(result: Result) -> float:
    return result.client_cpu_s * 1e6 / result.sent if result.sent else 0.0


def _distribution_json(distribution: Distribution) -> dict[str, object]:
    percentiles = {f"{percentile.name}_ns": percentile.value_ns for percentile in distribution.percentiles}
    return {"count": distribution.count, **percentiles, "max_ns": distribution.max_ns}


def _seconds(value_s: float) -> str:
    """Three significant digits in the unit that suits: `812 us`, `6.13 ms`, `2.40 s`."""
    for limit_s, factor, unit in ((0.9995e-3, 1e6, "us"), (0.9995, 1e3, "ms")):
        if value_s < limit_s:
            return f"{value_s * factor:#.3g} {unit}".replace(". ", " ")
    return f"{value_s:#.3g} s".replace(". ", " ") if value_s < 1000 else f"{value_s:,.0f} s"
