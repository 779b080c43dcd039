"""A run for people, on a terminal. Decides nothing: the numbers come judged, in the document that is also written down."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from rich.console import Console
from rich.segment import Segments
from rich.table import Table
from rich.text import Text

from loadtest.document import Client, Plan, Run, Times
from loadtest.errors import ErrorKind
from loadtest.scenario import Operation
from loadtest.statistics import PERCENTILES
from loadtest.units import bytes_text, duration_text, nanoseconds_text, rate_text, share_text, visible

TABLE_WIDTH_MAX = 200  # far more than any has
_LABEL_WIDTH = 13


class Terminal(Console):
    """Standard output. When whoever reads it has gone (`boatyard-load run | head`) nothing more is shown, and that is all."""

    def on_broken_pipe(self) -> None:
        """In place of rich's, which exits: there are files to be written, and containers to be removed."""
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())  # what is still in a buffer is written at the end
        os.close(nowhere)


def print_run(run: Run, console: Console) -> None:
    """The summary of a load: throughput, percentiles, statuses, errors, what it cost, and what to make of it."""
    _print_head(run, console)
    console.print(_headline(run), soft_wrap=True)
    console.print()
    print_table(_percentile_table(_shown_times(run)), console)
    console.print()
    _print_row(console, "statuses", _statuses(run))
    _print_errors(run, console)
    _print_row(console, "client", client_text(run.client))
    if run.server_use is not None:
        _print_row(console, "server", _server(run))
    if run.cpu_pressure is not None:
        _print_row(console, "machine", f"somebody waited for a CPU in {run.cpu_pressure:.0%} of the time")
    for caveat in run.caveats:
        _print_row(console, "note", Text(caveat, "yellow"))
    for objective in run.objectives:
        word, style = ("kept", "green") if objective.is_kept else ("BROKEN", "bold red")
        _print_row(console, "objective", Text.assemble((word, style), f"  {objective.text}  ({objective.measured})"))


def print_cleanup(run: Run, console: Console) -> None:
    """What was removed; or, when nothing was, how to do it later."""
    later = f"boatyard-load clean {run.plan.run_id} -H {run.server.host}"
    if run.cleanup is None:
        _print_row(console, "kept", f"{len(run.containers or ()):,} containers; to remove them: {later}")
        return
    _print_row(console, "clean-up", f"{run.cleanup.removed:,} containers removed")
    if run.cleanup.failures:
        _print_row(
            console, "", Text(f"{len(run.cleanup.failures):,} failed: {visible(run.cleanup.failures[0])}", "red")
        )
        _print_row(console, "", f"to try again: {later}")
    elif any(group.kind == ErrorKind.TIMEOUT.value for group in run.errors):
        _print_row(console, "", f"what timed out may yet be created; to look again: {later}")


def print_table(table: Table, console: Console) -> None:
    """On a terminal that is too narrow for it, lines are wrapped as all others are; no number is cut off."""
    console.print(Segments(console.render(table, console.options.update_width(TABLE_WIDTH_MAX))), soft_wrap=True)


def plan_text(plan: Plan) -> str:
    what = "creates" if set(plan.mix) == {"create"} else f"requests ({_mix(plan)})"
    amount = f"{what} for {plan.duration_s:g} s" if plan.duration_s is not None else f"{plan.count:,} {what}"
    if plan.rate_per_s is not None:
        gaps = " by a Poisson process" if plan.is_poisson else ""
        model = f"open model at {plan.rate_per_s:g}/s{gaps}, at most {plan.concurrency:,} under way"
    else:
        model = f"closed model, {plan.concurrency:,} client{'s' if plan.concurrency > 1 else ''}"
    warmup = f", after {plan.warmup_s:g} s of warm-up" if plan.warmup_s else ""
    return f"{amount}, {model}{warmup}"


def server_text(run: Run) -> str:
    """`dockerd 28.5.2 (API 1.51), overlay2 on ext4`, as far as it is known."""
    server = run.server
    storage = " on ".join(filter(None, (server.driver, server.file_system)))
    process = "" if server.version.startswith(server.process) else server.process
    return visible(", ".join(filter(None, (f"{process} {server.version}".strip(), storage))))


def _errors_of(run: Run, status: str) -> int:
    return sum(group.count for group in run.errors if group.kind in (f"http_{status}", f"unexpected_{status}"))


def client_text(client: Client) -> str:
    """What the harness cost, and what it could have done."""
    text = f"{client.cpu_us_per_request:.1f} us CPU per request, {client.use.core_share:.0%} of one core"
    text += _waited(client.use.run_queue_s)
    if client.loop_lag_ns:
        text += f", at most {nanoseconds_text(client.loop_lag_ns)} late"
    if client.ceiling_per_s is not None:
        floor = nanoseconds_text(client.floor_p50_ns)
        text += f"; its ceiling here is {rate_text(client.ceiling_per_s)}, its floor {floor} at p50"
        if client.ceiling_share is not None:
            text += f"; this is {share_text(client.ceiling_share)} of that ceiling"
    return text


def _print_head(run: Run, console: Console) -> None:
    server = server_text(run)
    head = Text.assemble(("run ", "dim"), (run.plan.run_id, "bold"), ("  on ", "dim"), run.server.host)
    console.print(head.append(f"  {server}" if server else ""), soft_wrap=True)
    text = f"{plan_text(run.plan)}, names {run.plan.names}, image {run.plan.image}"
    console.print(Text(text, "dim"), soft_wrap=True)
    if run.is_interrupted:
        text = f"interrupted after {run.counts.sent:,} requests, {run.counts.abandoned:,} of them abandoned"
        console.print(Text(text, "yellow"))
    console.print()


def _headline(run: Run) -> Text:
    rate = run.creates_per_s
    number = f"{rate:,.0f}" if rate >= 100 or not rate else f"{rate:#.3g}"
    text = Text.assemble(
        "  ",
        (f"{number.rstrip('.')} creates/s", "bold green" if not run.errors else "bold yellow"),
        f"   {run.response_time.count:,} created in {duration_text(run.elapsed_s)}",
    )
    if run.plan.rate_per_s is not None:
        counts = run.counts
        unsent = f", {counts.unsent:,} abandoned at the end" if counts.unsent else ""
        text.append(f"; {rate_text(run.plan.rate_per_s)} offered, {counts.late:,} found no free connection{unsent}")
    return text


def _mix(plan: Plan) -> str:
    return ", ".join(f"{operation} {weight}" for operation, weight in plan.mix.items())


def _shown_times(run: Run) -> Iterator[tuple[str, Times]]:
    yield "response time", run.response_time
    yield "service time", run.service_time
    if run.plan.model == "open":
        yield "send lag", run.send_lag
        yield "  client's", run.client_lag
    for operation, times in run.operations.items():
        if operation != Operation.CREATE.name.lower():
            yield operation, times


def _percentile_table(rows: Iterator[tuple[str, Times]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("", style="dim", width=_LABEL_WIDTH + 2)
    for name in PERCENTILES:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("max", justify="right", no_wrap=True)
    for label, times in rows:
        values = [*(times.percentiles_ns.get(name) for name in PERCENTILES), times.max_ns]
        table.add_row(f"  {label}", *(nanoseconds_text(value) for value in values))
    return table


def _print_errors(run: Run, console: Console) -> None:
    if not run.errors:
        _print_row(console, "errors", "none")
    for group in run.errors:
        _print_row(console, "errors", Text(f"{group.kind} x {group.count:,}", "red"))
        for sample in group.samples:
            _print_row(console, "", Text(visible(sample.strip()), "dim"))


def _print_row(console: Console, label: str, value: str | Text) -> None:
    console.print(Text.assemble((f"  {label:<{_LABEL_WIDTH}}", "dim"), value), soft_wrap=True)


def _statuses(run: Run) -> str:
    parts = [f"{status} x {count:,}" for status, count in run.counts.statuses.items()]
    if run.plan.names.startswith("collide"):
        refused = [status for status in ("409", "500") if run.counts.statuses.get(status, 0) > _errors_of(run, status)]
        parts += [f"({' or '.join(refused)} is what all clients but one for each name are to get)"] if refused else []
    return "  ".join(parts) or "none"


def _server(run: Run) -> str:
    use = run.server_use
    assert use is not None
    resident = f", {bytes_text(use.resident_bytes)} resident" if use.resident_bytes is not None else ""
    cores = f"{run.server.process or 'process'}: {use.core_share:.2f} cores" + _waited(use.run_queue_s) + resident
    return f"{cores}; {run.client.pinning or 'on the same CPUs as the client'}"


def _waited(seconds: float | None) -> str:
    return "" if seconds is None else f", waited {duration_text(seconds)} for a CPU"
