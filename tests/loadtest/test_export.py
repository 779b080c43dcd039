from __future__ import annotations

import csv
from pathlib import Path

from loadtest.__main__ import main
from loadtest.export import hgrm_text
from loadtest.statistics import distribution
from tests.loadtest.fake_docker import FakeDocker, Reply

MS = 1_000_000


def test_the_csv_has_every_request_with_times_from_the_start(docker: FakeDocker, tmp_path: Path) -> None:
    docker.script = lambda number, request: Reply(b"", closes=True) if number == 3 else None
    file = tmp_path / "samples.csv"
    assert main(["run", "-H", docker.host, "-n", "20", "-c", "2", "--csv", str(file)]) == 4
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [int(row["number"]) for row in rows] == list(range(20))
    assert sorted(row["status"] for row in rows) == ["-1"] + ["201"] * 19
    assert {(row["operation"], row["is_measured"]) for row in rows} == {("create", "1")}
    starts = [int(row["intended_start_ns"]) for row in rows]
    assert min(starts) == 0
    assert all(int(row["intended_start_ns"]) <= int(row["sent_at_ns"]) <= int(row["done_at_ns"]) for row in rows)


def test_the_hgrm_file_has_the_form_that_the_plotter_reads() -> None:
    lines = "".join(hgrm_text(distribution([number * MS for number in range(1, 1001)]))).splitlines()
    assert lines[0].split() == ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"]
    rows = [line.split() for line in lines[2:] if not line.startswith("#")]
    assert ["500.000", "0.500000000000", "500", "2.00"] in rows
    assert ["990.000", "0.990000000000", "990", "100.00"] in rows
    assert rows[-1] == ["1000.000", "1.000000000000", "1000", "inf"]
    shares = [float(row[1]) for row in rows]
    assert shares == sorted(shares)
    assert lines[-3] == "#[Mean    =      500.500, StdDeviation   =      288.675]"
    assert lines[-2] == "#[Max     =     1000.000, Total count    =         1000]"


def test_a_run_without_samples_has_an_empty_hgrm() -> None:
    assert "Total count    =            0" in "".join(hgrm_text(distribution([])))
