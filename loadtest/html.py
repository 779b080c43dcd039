"""Documents as one HTML page that needs nothing but a browser: no script, no font, no picture from elsewhere. Light and dark."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path
from string import Template

import msgspec

from loadtest import document as doc
from loadtest.plots import (
    Plot,
    comparison_plots,
    knee_curve,
    run_plots,
    sweep_curve,
    times_by_step,
)
from loadtest.report import client_text, plan_text, server_text
from loadtest.report_many import comparison_text, fit_text, knee_text, quotient_cells, why_broken
from loadtest.statistics import PERCENTILES
from loadtest.units import bytes_text, duration_text, nanoseconds_text, rate_text, share_text

_PAGE = Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))


def html_text(documents: Sequence[doc.Document]) -> str:
    """The page. The data is in it, as JSON, without the lists of containers."""
    sections = "\n".join(_section(document) for document in documents)
    slim = [_without_containers(document) for document in documents]
    # "<" cannot end the script element then; inside JSON's strings it is the same.
    data = msgspec.json.encode(slim).decode().replace("<", "\\u003c")
    return _PAGE.substitute(title=escape(_title(documents)), sections=sections, data=data)


def _title(documents: Sequence[doc.Document]) -> str:
    names = {_name(document) for document in documents}
    return f"boatyard-load: {', '.join(sorted(names))}"


def _name(document: doc.Document) -> str:
    if isinstance(document, doc.Run):
        return f"run {document.plan.run_id}"
    return {doc.Sweep: "sweep", doc.Knee: "knee", doc.Comparison: "comparison"}[type(document)]


def _section(document: doc.Document) -> str:
    if isinstance(document, doc.Run):
        return _run(document)
    if isinstance(document, doc.Sweep):
        return _sweep(document)
    if isinstance(document, doc.Knee):
        return _knee(document)
    return _comparison(document)


def _run(run: doc.Run) -> str:
    return _join(
        _head(f"{_big(run.creates_per_s)} creates per second", server_text(run), plan_text(run.plan)),
        _cards(_run_cards(run)),
        _notes(run),
        _figures(run_plots(run)),
        "<h3>Times</h3>",
        _table(("", *PERCENTILES, "max", "samples"), _time_rows(run)),
        _errors(run),
        _details(run, [("", run)], run.command),
    )


def _sweep(sweep: doc.Sweep) -> str:
    best = max(sweep.runs, key=lambda run: run.creates_per_s)
    headline = f"{_big(best.creates_per_s)} creates per second from {best.plan.concurrency:,} clients"
    rows = [(f"{run.plan.concurrency:,}", *_step_cells(run)) for run in sweep.runs]
    return _join(
        _head(headline, server_text(best), fit_text(sweep.fit)),
        _figures([sweep_curve(sweep), times_by_step(sweep.runs, "clients")]),
        _table(("clients", "creates/s", "of ceiling", "p50", "p90", "p99", "max", "errors"), rows),
        _details(sweep.runs[0], [(f"at {best.plan.concurrency:,}", best)], sweep.command),
    )


def _knee(knee: doc.Knee) -> str:
    first = knee.runs[0]
    shown = next((run for run in knee.runs if run.plan.rate_per_s == knee.knee_per_s), first)
    rows = [
        (rate_text(run.plan.rate_per_s or 0), *_step_cells(run), "kept" if kept else why_broken(run))
        for run, kept in zip(knee.runs, knee.kept, strict=True)
    ]
    objectives = ", ".join(objective.text for objective in first.objectives)
    return _join(
        _head(knee_text(knee), server_text(first), f"objectives: {objectives}; open model"),
        _figures([knee_curve(knee), times_by_step(knee.runs, "offered rate")]),
        _table(
            ("offered", "achieved", "of ceiling", "p50", "p90", "p99", "max", "errors", "objectives"),
            rows,
            is_worded=True,
        ),
        _details(first, [(f"at {rate_text(shown.plan.rate_per_s or 0)}", shown)], knee.command),
    )


def _comparison(comparison: doc.Comparison) -> str:
    a, b = comparison.a, comparison.b
    rows = [(quotient.metric, *quotient_cells(quotient)) for quotient in comparison.quotients]
    interval = f"{comparison.confidence:.0%} interval"
    marks = {True: ("yes", "good"), False: ("no", "bad"), None: ("cannot be told", "quiet")}
    conditions = "".join(
        f'<li><span class="mark {marks[condition.is_met][1]}">{marks[condition.is_met][0]}</span> {escape(condition.text)}</li>'
        for condition in comparison.conditions
    )
    blocks = f"{comparison.rounds} rounds of A B B A, {comparison.count:,} requests in each block"
    return _join(
        _head(comparison_text(comparison), f"A is {comparison.names[0]}", f"B is {comparison.names[1]}", blocks),
        _table(("", "A (median)", "B (median)", "A / B", interval, "p", ""), rows, is_worded=True),
        _figures(comparison_plots(comparison)),
        f"<h3>Fair, if all of this holds</h3><ul class='conditions'>{conditions}</ul>",
        _errors(a),
        _errors(b),
        _details(a, [("A", a), ("B", b)], comparison.command),
    )


def _head(headline: str, *lines: str) -> str:
    below = "".join(f"<p class='lead'>{escape(line)}</p>" for line in lines if line)
    return f"<header><h2>{escape(headline[0].upper() + headline[1:])}</h2>{below}</header>"


def _run_cards(run: doc.Run) -> Iterator[tuple[str, str, str]]:
    """(label, value, what else)."""
    times, counts = run.response_time, run.counts
    yield "created", f"{times.count:,}", f"in {duration_text(run.elapsed_s)}"
    for name in ("p50", "p99"):
        value = times.percentiles_ns[name]
        yield f"response time {name}", nanoseconds_text(value), "" if value else "too few samples to tell"
    yield "errors", f"{counts.errors:,}", "" if counts.errors else "none"
    if run.plan.rate_per_s is not None:
        yield "offered", rate_text(run.plan.rate_per_s), f"{counts.late:,} late, {counts.unsent:,} never sent"
    if run.client.ceiling_per_s:
        ceiling = f"{rate_text(run.client.ceiling_per_s)} against a null server"
        yield "of this client's ceiling", share_text(run.client.ceiling_share), ceiling


def _cards(cards: Iterable[tuple[str, str, str]]) -> str:
    items = "".join(
        f"<div><dt>{escape(label)}</dt><dd>{escape(value)}</dd><small>{escape(more)}</small></div>"
        for label, value, more in cards
    )
    return f"<dl class='cards'>{items}</dl>"


def _notes(run: doc.Run) -> str:
    notes = [("quiet", caveat) for caveat in run.caveats]
    for objective in run.objectives:
        word = "kept" if objective.is_kept else "broken"
        text = f"objective {word}: {objective.text} ({objective.measured})"
        notes.append(("good" if objective.is_kept else "bad", text))
    if run.is_interrupted:
        notes.insert(0, ("bad", f"interrupted after {run.counts.sent:,} requests"))
    items = "".join(f'<li class="{css}">{escape(text)}</li>' for css, text in notes)
    return f"<ul class='notes'>{items}</ul>" if items else ""


def _figures(plots: Iterable[Plot | None]) -> str:
    return f"<div class='figures'>{''.join(_figure(plot) for plot in plots if plot is not None)}</div>"


def _figure(plot: Plot) -> str:
    keys = "".join(f'<li><i class="key {css}"></i>{escape(name)}</li>' for css, name in plot.legend)
    note = f" <small>{escape(plot.note)}</small>" if plot.note else ""
    return f"<figure><figcaption>{escape(plot.title)}{note}</figcaption><ul class='legend'>{keys}</ul>{plot.figure}</figure>"


def _time_rows(run: doc.Run) -> Iterator[tuple[str, ...]]:
    shown = [("response time", run.response_time), ("service time", run.service_time)]
    if run.plan.model == "open":
        shown += [("send lag", run.send_lag), ("the client's share of it", run.client_lag)]
    shown += list(run.operations.items())
    for label, times in shown:
        values = [*(times.percentiles_ns[name] for name in PERCENTILES), times.max_ns]
        yield label, *map(nanoseconds_text, values), f"{times.count:,}"


def _step_cells(run: doc.Run) -> tuple[str, ...]:
    times = run.response_time
    values = [*(times.percentiles_ns[name] for name in ("p50", "p90", "p99")), times.max_ns]
    mark = " (client-limited)" if run.client.is_limited else ""
    share = share_text(run.client.ceiling_share)
    return f"{rate_text(run.creates_per_s)}{mark}", share, *map(nanoseconds_text, values), f"{run.counts.errors:,}"


def _errors(run: doc.Run) -> str:
    if not run.errors:
        return ""
    rows = [(group.kind, f"{group.count:,}", group.samples[0]) for group in run.errors]
    return "<h3>Errors</h3>" + _table(("kind", "count", "first"), rows, is_worded=True)


def _details(first: doc.Run, shown: Sequence[tuple[str, doc.Run]], command: Sequence[str]) -> str:
    """How it was measured, for whoever wants to do it again: on which machine, and of each of `shown` what it cost."""
    machine = first.environment
    load = ", ".join(f"{value:.2f}" for value in machine.load_average)
    rows = [
        ("command", shlex.join(command) or "(a script)"),
        ("started", first.started_at),
        ("machine", f"{machine.cpu_model}, {machine.cpus_usable} of {machine.cpu_count} CPUs, {machine.kernel}"),
        ("load average", load),
    ]
    for label, run in shown:
        rows.append((f"client {label}", f"{machine.python}, {client_text(run.client)}"))
        rows.append((f"server {label}", _server(run)))
        if run.cpu_pressure is not None:
            rows.append((f"CPU pressure {label}", f"somebody waited in {run.cpu_pressure:.0%} of the time"))
    body = "".join(f"<tr><th>{escape(label)}</th><td>{escape(value)}</td></tr>" for label, value in rows)
    return f"<h3>How it was measured</h3><div class='wide'><table class='facts'>{body}</table></div>"


def _server(run: doc.Run) -> str:
    use = run.server_use
    parts = [run.server.host, server_text(run), f"{run.server.containers_before:,} containers before"]
    if use is not None:
        parts.append(f"{use.core_share:.2f} cores")
        if use.run_queue_s is not None:
            parts.append(f"waited {duration_text(use.run_queue_s)} for a CPU")
        if use.resident_bytes is not None:
            parts.append(f"{bytes_text(use.resident_bytes)} resident")
    parts.append(run.client.pinning or "on the same CPUs as the client")
    return ", ".join(filter(None, parts))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, is_worded: bool = False) -> str:
    """`is_worded`: the last column has words in it."""
    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    css = " class='worded'" if is_worded else ""
    return f"<div class='wide'><table{css}><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table></div>"


def _without_containers(document: doc.Document) -> doc.Document:
    if isinstance(document, doc.Run):
        return msgspec.structs.replace(document, containers=None)
    if isinstance(document, doc.Comparison):
        a, b = (msgspec.structs.replace(run, containers=None) for run in (document.a, document.b))
        return msgspec.structs.replace(document, a=a, b=b)
    runs = tuple(msgspec.structs.replace(run, containers=None) for run in document.runs)
    return msgspec.structs.replace(document, runs=runs)


def _big(rate_per_s: float) -> str:
    return f"{rate_per_s:,.0f}" if rate_per_s >= 100 else f"{rate_per_s:.1f}"


def _join(*parts: str) -> str:
    return f"<section>{''.join(parts)}</section>"
