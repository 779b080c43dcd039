"""A run for other tools: its raw samples as CSV, its percentiles in the text format of HdrHistogram."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from loadtest.runner import Result
from loadtest.scenario import Operation
from loadtest.statistics import Distribution

CSV_COLUMNS = (
    *("number", "operation", "is_measured", "intended_start_ns", "sent_at_ns", "done_at_ns", "is_queued", "status"),
)


def csv_text(result: Result) -> Iterator[str]:
    """One line for each request, in the order of sending. Times count from the first intended start."""
    start_ns = min((sample.intended_start_ns for sample in result.samples if sample.status), default=0)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for number, sample in enumerate(result.samples):
        times: tuple[object, ...] = ("", "", "")
        if sample.status:
            times = tuple(
                at_ns - start_ns for at_ns in (sample.intended_start_ns, sample.sent_at_ns, sample.done_at_ns)
            )
        operation = Operation(sample.operation).name.lower()
        is_measured = int(number >= result.warmup_count)
        writer.writerow((number, operation, is_measured, *times, sample.is_queued, sample.status))
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def hgrm_text(distribution: Distribution) -> Iterator[str]:
    """As HdrHistogram's outputPercentileDistribution writes it, in milliseconds: its plotter reads it.

    Unlike there, the values are exact, so the footer's buckets are one value each.
    """
    yield f"{'Value':>12} {'Percentile':>14} {'TotalCount':>10} {'1/(1-Percentile)':>14}\n\n"
    count = distribution.count
    for share, value_ns in distribution.curve():
        below = f"{1 / (1 - share):14.2f}" if share < 1 else f"{'inf':>14}"
        yield f"{value_ns / 1e6:12.3f} {share:14.12f} {round(share * count):10d} {below}\n"
    values = distribution.ordered_ns
    mean_ns = sum(values) / count if count else 0.0
    deviation_ns = (sum((value - mean_ns) ** 2 for value in values) / count) ** 0.5 if count else 0.0
    yield f"#[Mean    = {mean_ns / 1e6:12.3f}, StdDeviation   = {deviation_ns / 1e6:12.3f}]\n"
    yield f"#[Max     = {(distribution.max_ns or 0) / 1e6:12.3f}, Total count    = {count:12d}]\n"
    yield f"#[Buckets = {count:12d}, SubBuckets     = {1:12d}]\n"
