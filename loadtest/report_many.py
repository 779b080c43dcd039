"""Several runs for people, on a terminal: a sweep, the search for a knee, a comparison, a verification."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from rich.console import Console
from rich.table import Table
from rich.text import Text

from loadtest.compare import SIGNIFICANT_P
from loadtest.document import Comparison, Condition, Knee, Quotient, Run, Sweep, Usl
from loadtest.report import client_text, print_table
from loadtest.sweep import Fit
from loadtest.units import nanoseconds_text, rate_text, share_text, visible
from loadtest.verify import SHOWN_MAX, Verification


def print_sweep(sweep: Sweep, console: Console) -> None:
    table = _run_table("clients")
    best = max(sweep.runs, key=lambda run: run.creates_per_s, default=None)
    for run in sweep.runs:
        fitted = "" if sweep.fit is None else rate_text(fitted_throughput(sweep.fit, run.plan.concurrency))
        style = "bold green" if run is best else ""
        table.add_row(f"{run.plan.concurrency:,}", *_run_cells(run), fitted, style=style)
    print_table(table, console)
    console.print()
    console.print(f"  {fit_text(sweep.fit)}", soft_wrap=True)
    _print_limits(sweep.runs, console)


def print_knee(knee: Knee, console: Console) -> None:
    table = _run_table("offered")
    for run, is_kept in zip(knee.runs, knee.kept, strict=True):
        word = Text("kept", "green") if is_kept else Text(why_broken(run), "red")
        table.add_row(rate_text(run.plan.rate_per_s or 0), *_run_cells(run), word)
    print_table(table, console)
    console.print()
    console.print(f"  {knee_text(knee)}", soft_wrap=True)
    _print_limits(knee.runs, console)


def print_comparison(comparison: Comparison, console: Console) -> None:
    a, b = comparison.names
    console.print(Text.assemble(("A  ", "bold"), a, "\n", ("B  ", "bold"), b), soft_wrap=True)
    blocks = f"{comparison.rounds} rounds of A B B A, {comparison.count:,} requests in each block"
    console.print(Text(f"{blocks}\n", "dim"))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("  medians", style="dim", no_wrap=True)
    for title in ("A", "B", "A / B", f"{comparison.confidence:.0%} interval", "p"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for quotient in comparison.quotients:
        table.add_row(f"  {quotient.metric}", *quotient_cells(quotient))
    print_table(table, console)
    console.print()
    console.print(Text(f"  {comparison_text(comparison)}", "bold"), soft_wrap=True)
    console.print("\n  Fair, if all of this holds:")
    for condition in comparison.conditions:
        console.print(Text.assemble("    ", _mark(condition), f" {condition.text}"), soft_wrap=True)
    console.print()
    for letter, run in (("A", comparison.a), ("B", comparison.b)):
        console.print(Text(f"  client of {letter}: {client_text(run.client)}", "dim"), soft_wrap=True)
    _print_limits((comparison.a, comparison.b), console)


def print_verification(run: Run, verification: Verification, console: Console) -> None:
    text = (
        f"{verification.found:,} of {verification.expected:,} containers of run {run.plan.run_id} are as acknowledged"
    )
    console.print(Text(text, "bold green" if verification.is_passed else "bold red"))
    for finding in verification.findings[:SHOWN_MAX]:
        console.print(Text.assemble(("  " + finding.kind, "red"), f"  {visible(finding.text)}"), soft_wrap=True)
    more = len(verification.findings) - SHOWN_MAX
    if more > 0:
        console.print(f"  and {more:,} more")


def fitted_throughput(fit: Usl, concurrency: float) -> float:
    return Fit(fit.rate_per_s, fit.contention, fit.coherency, fit.r_squared).throughput(concurrency)


def fit_text(fit: Usl | None) -> str:
    if fit is None:
        return "no law fits so few points"
    best = (
        "it levels off, or grows further than was tried"
        if fit.best_concurrency is None
        else f"it is highest at {fit.best_concurrency:.0f} clients"
    )
    return (
        f"Universal Scalability Law: contention {fit.contention:.3g}, coherency {fit.coherency:.3g}, "
        f"{rate_text(fit.rate_per_s)} for one client (R2 {fit.r_squared:.3f}): {best}"
    )


def knee_text(knee: Knee) -> str:
    if knee.knee_per_s is None:
        return "not even the lowest rate was borne"
    bound = "the highest rate that was borne" if knee.is_bounded else "borne, and nothing higher was tried"
    return f"{rate_text(knee.knee_per_s)} is {bound}"


def why_broken(run: Run) -> str:
    broken = [f"{objective.text} ({objective.measured})" for objective in run.objectives if not objective.is_kept]
    return ", ".join(broken) or "fell behind the schedule"


def quotient_cells(quotient: Quotient) -> tuple[str, str, str, str, str, str]:
    a, b = (_value(quotient, median(values)) for values in (quotient.a, quotient.b))
    verdict = "~"
    if quotient.is_significant:
        verdict = "A better" if (quotient.ratio > 1) == quotient.is_more_better else "B better"
    p = "< 0.001" if quotient.p < 0.001 else f"{quotient.p:.3f}"
    return a, b, f"{quotient.ratio:.3f}", f"{quotient.low:.3f} to {quotient.high:.3f}", p, verdict


def comparison_text(comparison: Comparison) -> str:
    """The verdict on throughput, in one sentence."""
    rates = [quotient for quotient in comparison.quotients if quotient.is_more_better]
    if not rates:
        return "nothing was created by one of them: there is nothing to compare"
    (rate,) = rates
    if not rate.is_significant:
        return f"~ no difference in throughput that {comparison.rounds} rounds can tell (p = {rate.p:.2f})"
    winner, ratio, low, high = "A", rate.ratio, rate.low, rate.high
    if rate.ratio < 1:
        winner, ratio, low, high = "B", 1 / rate.ratio, 1 / rate.high, 1 / rate.low
    loser = "B" if winner == "A" else "A"
    return (
        f"{winner} creates {ratio:.2f} times as many containers per second as {loser} "
        f"({low:.2f} to {high:.2f}, p {'< 0.001' if rate.p < 0.001 else f'= {rate.p:.3f}'}; "
        f"significant is p < {SIGNIFICANT_P:g})"
    )


def _run_table(first: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in (first, "creates/s", "of ceiling", "p50", "p90", "p99", "max", "errors"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column(
        "fitted" if first == "clients" else "", justify="right" if first == "clients" else "left", no_wrap=True
    )
    return table


def _run_cells(run: Run) -> tuple[str, ...]:
    times = run.response_time
    percentiles = [nanoseconds_text(times.percentiles_ns[name]) for name in ("p50", "p90", "p99")]
    mark = "*" if run.client.is_limited else ""
    rate, share = rate_text(run.creates_per_s) + mark, share_text(run.client.ceiling_share)
    return rate, share, *percentiles, nanoseconds_text(times.max_ns), f"{run.counts.errors:,}"


def _print_limits(runs: Sequence[Run], console: Console) -> None:
    if any(run.client.is_limited for run in runs):
        text = "* client-limited: the server might have answered more; the numbers are those of this client"
        console.print(Text(f"  {text}", "yellow"), soft_wrap=True)


def _value(quotient: Quotient, value: float) -> str:
    return nanoseconds_text(value) if quotient.unit == "ns" else rate_text(value)


def _mark(condition: Condition) -> Text:
    if condition.is_met is None:
        return Text("?  ", "yellow")
    return Text("yes", "green") if condition.is_met else Text("NO ", "bold red")
