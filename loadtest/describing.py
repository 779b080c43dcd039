"""From a `Result` to the document that is written down of it. Decides nothing but what is put where."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime

from loadtest import document as doc
from loadtest import procfs
from loadtest.caveats import caveats, is_client_limited
from loadtest.conditions import Conditions
from loadtest.runner import Result
from loadtest.scenario import Operation, Scenario
from loadtest.selftest import Ceiling
from loadtest.series import series
from loadtest.slo import Slo
from loadtest.statistics import Distribution, Statistics


def describe_run(
    result: Result, *, ceiling: Ceiling | None = None, slos: Sequence[Slo] = (), command: Sequence[str] = ()
) -> doc.Run:
    """All that is known of a run, but for the raw samples."""
    statistics, conditions = result.statistics(), result.conditions
    requests_per_s = _requests_per_s(result, statistics)
    verdicts = [slo.judge(statistics, errors=result.error_count, sent=result.sent) for slo in slos]
    return doc.Run(
        version=doc.VERSION,
        command=tuple(command),
        started_at=datetime.fromtimestamp(result.started_at, UTC).isoformat(timespec="seconds"),
        environment=environment(),
        server=_server(result),
        plan=_plan(result.scenario),
        counts=_counts(result, statistics),
        elapsed_s=statistics.elapsed_s,
        creates_per_s=statistics.creates_per_s,
        response_time=times(statistics.response_time),
        service_time=times(statistics.service_time),
        send_lag=times(statistics.send_lag),
        client_lag=times(statistics.client_lag),
        operations=_operations(result),
        over_time=_over_time(result),
        errors=tuple(doc.Errors(group.label, group.message, group.count, group.samples) for group in result.errors),
        client=_client(result, ceiling, requests_per_s),
        server_use=_server_use(conditions),
        cpu_pressure=conditions.cpu_pressure if conditions is not None else None,
        caveats=tuple(
            caveats(
                result.scenario,
                statistics,
                requests_per_s,
                conditions=conditions,
                ceiling=ceiling,
                loop_lag_ns=result.loop_lag_ns,
            )
        ),
        objectives=tuple(doc.Objective(verdict.text, verdict.is_kept, verdict.measured) for verdict in verdicts),
        is_interrupted=result.is_interrupted,
        cleanup=_removal(result),
        containers=tuple(_made(result)),
    )


def times(distribution: Distribution) -> doc.Times:
    values = {percentile.name: percentile.value_ns for percentile in distribution.percentiles}
    return doc.Times(distribution.count, values, distribution.max_ns, tuple(distribution.curve()))


def environment() -> doc.Environment:
    """The machine that the client runs on."""
    return doc.Environment(
        kernel=f"{platform.system()} {platform.release()}",
        machine=platform.machine(),
        cpu_model=procfs.cpu_model(),
        cpu_count=os.cpu_count() or 1,
        cpus_usable=len(os.sched_getaffinity(0)),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        load_average=os.getloadavg(),
    )


def _server(result: Result) -> doc.Server:
    target = result.target
    return doc.Server(
        host=result.scenario.host,
        version=result.server,
        process=target.process if target else "",
        driver=target.driver if target else "",
        data_root=target.data_root if target else "",
        file_system=target.file_system if target else "",
        image=target.image if target else "",
        containers_before=target.containers if target else 0,
    )


def _plan(scenario: Scenario) -> doc.Plan:
    return doc.Plan(
        run_id=scenario.run_id,
        model="open" if scenario.is_open else "closed",
        count=scenario.limit if scenario.duration_s is None else scenario.count,
        duration_s=scenario.duration_s,
        concurrency=scenario.concurrency,
        rate_per_s=scenario.rate_per_s,
        is_poisson=scenario.is_poisson,
        warmup_s=scenario.warmup_s,
        mix={operation.name.lower(): weight for operation, weight in scenario.mix.items()},
        names=str(scenario.names),
        image=scenario.reference,
        body=dict(scenario.body),
        seed=scenario.seed,
        timeout_s=scenario.timeout_s,
    )


def _counts(result: Result, statistics: Statistics) -> doc.Counts:
    return doc.Counts(
        sent=result.sent,
        warmup=result.warmup_count,
        created=len(result.created),
        errors=result.error_count,
        abandoned=result.abandoned,
        unsent=result.unsent,
        late=result.late,
        statuses={str(status): count for status, count in result.statuses.items()},
    )


def _operations(result: Result) -> dict[str, doc.Times]:
    others = [operation for operation in result.scenario.mix if operation is not Operation.CREATE]
    return {operation.name.lower(): times(result.statistics_of(operation).response_time) for operation in others}


def _over_time(result: Result) -> doc.OverTime:
    found = series(result.samples, is_expected_conflict=result.scenario.expects_conflicts)
    spans = [
        doc.Span(interval.start_s, interval.created, interval.errors, *(interval.times_ns or (None, None, None, None)))
        for interval in found.intervals
    ]
    return doc.OverTime(found.interval_s, tuple(spans))


def _client(result: Result, ceiling: Ceiling | None, requests_per_s: float) -> doc.Client:
    conditions = result.conditions
    cpu_s = conditions.client_cpu_s if conditions is not None else 0.0
    return doc.Client(
        use=doc.Use(
            cpu_s=cpu_s,
            core_share=cpu_s / conditions.elapsed_s if conditions is not None else 0.0,
            run_queue_s=conditions.client_run_queue_s if conditions is not None else None,
        ),
        cpu_us_per_request=cpu_s * 1e6 / result.sent if result.sent else 0.0,
        loop_lag_ns=result.loop_lag_ns,
        ceiling_per_s=ceiling.requests_per_s if ceiling is not None else None,
        floor_p50_ns=ceiling.floor_p50_ns if ceiling is not None else None,
        pinning=conditions.pinning if conditions is not None else "",
        is_limited=is_client_limited(requests_per_s, ceiling, conditions),
        ceiling_share=requests_per_s / ceiling.requests_per_s if ceiling is not None else None,
    )


def _server_use(conditions: Conditions | None) -> doc.Use | None:
    if conditions is None or conditions.server is None:
        return None
    server = conditions.server
    share = server.cpu_s / conditions.elapsed_s
    return doc.Use(server.cpu_s, share, server.run_queue_s, server.resident_bytes)


def _removal(result: Result) -> doc.Removal | None:
    if result.cleanup is None:
        return None
    return doc.Removal(result.cleanup.removed, tuple(failure.text for failure in result.cleanup.failures))


def _made(result: Result) -> list[doc.Made]:
    left_out = result.removed | result.in_doubt
    acks = [ack for ack in result.created if ack.id not in left_out]
    return [doc.Made(ack.id, result.renamed.get(ack.id, ack.name)) for ack in acks]


def _requests_per_s(result: Result, statistics: Statistics) -> float:
    answered = sum(result.statuses.values()) - result.warmup_count
    return max(0, answered) / statistics.elapsed_s if statistics.elapsed_s else 0.0
