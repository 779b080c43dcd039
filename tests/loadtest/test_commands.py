"""Sweep, knee and objectives on the command line, against a server that takes its time."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path

import msgspec
import pytest

from loadtest import document as doc
from loadtest.__main__ import main
from loadtest.commands import is_borne
from loadtest.describing import describe_run
from loadtest.runner import Load
from loadtest.scenario import Scenario
from loadtest.slo import Slo
from tests.loadtest.fake_docker import FakeDocker, http
from tests.loadtest.virtual import VirtualSystem

MS = 1_000_000


def test_a_sweep_runs_each_concurrency_and_fits_the_law(
    docker: FakeDocker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "sweep.json"
    assert main(["sweep", "-H", docker.host, "-c", "1,2,4", "-n", "60", "--json", str(file)]) == 0
    captured = capsys.readouterr()
    assert "Universal Scalability Law" in captured.out
    assert [line.split(":")[0] for line in captured.err.splitlines()] == ["1 clients", "2 clients", "4 clients"]
    read = doc.decode(file.read_bytes())
    assert isinstance(read, doc.Sweep)
    assert [run.plan.concurrency for run in read.runs] == [1, 2, 4]
    assert "of ceiling" in captured.out
    assert len({run.client.ceiling_per_s for run in read.runs}) == 3  # each step has its own
    assert docker.containers == {}


def test_a_search_ends_where_an_objective_is_broken(
    docker: FakeDocker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "knee.json"
    flags = ["--slo", "rate<130/s", "-d", "300ms", "--from", "100/s", "--to", "200/s", "--json", str(file)]
    assert main(["knee", "-H", docker.host, *flags]) == 0
    assert "is the highest rate that was borne" in capsys.readouterr().out
    read = json.loads(file.read_text())
    assert read["kind"] == "knee"
    assert 100 <= read["knee_per_s"] <= 135
    assert read["is_bounded"] is True
    assert docker.containers == {}


def test_a_search_that_bears_nothing_is_exit_99(docker: FakeDocker) -> None:
    assert main(["knee", "-H", docker.host, "--slo", "max<1us", "-d", "50ms", "--from", "40/s"]) == 99


@pytest.mark.parametrize(("slo", "code"), [("errors==0", 0), ("max<1us", 99), ("p99<1m", 99)])
def test_an_objective_that_is_broken_or_cannot_be_told_is_exit_99(docker: FakeDocker, slo: str, code: int) -> None:
    assert main(["run", "-H", docker.host, "-n", "20", "--slo", slo]) == code


def test_a_broken_objective_counts_before_errors(docker: FakeDocker) -> None:
    docker.script = lambda number, request: http(500, {"message": "m"})
    assert main(["run", "-H", docker.host, "-n", "5"]) == 4
    assert main(["run", "-H", docker.host, "-n", "5", "--slo", "errors==0"]) == 99


def test_an_open_run_tells_three_times_and_what_was_offered(
    docker: FakeDocker, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--rate", "200/s", "--poisson", "-d", "300ms", "--warmup", "100ms"]
    assert main(["run", "-H", docker.host, *flags]) == 0
    output = capsys.readouterr().out
    for part in ("response time", "service time", "send lag", "client's", "200/s offered", "found no free connection"):
        assert part in output


def test_a_run_that_cannot_be_pinned_is_cleaned_up(docker: FakeDocker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0})
    assert main(["run", "-H", docker.host, "-n", "5", "--pin"]) == 1
    assert docker.creates == []


def borne(service_ms: float, concurrency: int, rate_per_s: float, slo: str) -> bool:
    scenario = Scenario(host="unix:///s", rate_per_s=rate_per_s, duration_s=4, concurrency=concurrency)
    load = Load(scenario, lambda: VirtualSystem(lambda number, at_ns: at_ns + round(service_ms * MS)))
    return is_borne(describe_run(load.create(), slos=[Slo.parse(slo)]))


@pytest.mark.parametrize(
    ("service_ms", "concurrency", "rate_per_s", "slo", "expected"),
    [
        (10, 100, 500, "p99<50ms", True),
        (60, 100, 500, "p99<50ms", False),
        (10, 10, 990, "p99<5s", True),
        (10, 10, 1100, "p99<5s", False),  # carries 1,000 a second: the schedule is not kept, though the objective is
        (300, 1000, 500, "p99<1s", True),  # slow, but keeps up: the last answers are late, not fewer
    ],
)
def test_a_rateis_borne_if_objectives_and_schedule_are_kept(
    service_ms: float, concurrency: int, rate_per_s: float, slo: str, expected: bool
) -> None:
    assert borne(service_ms, concurrency, rate_per_s, slo) is expected


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (["sweep", "-c", "1,2,3", "-n", "20"], "clients"),
        (["knee", "--slo", "errors==0", "--from", "20/s", "-d", "1s"], "borne, and nothing higher was tried"),
    ],
)
def test_what_was_measured_before_ctrl_c_is_shown_and_the_rest_cleaned_up(
    docker: FakeDocker, capfd: pytest.CaptureFixture[str], command: list[str], shown: str
) -> None:
    def interrupt(number: int, request: object) -> None:
        if number == 30:  # in the second run
            os.kill(os.getpid(), signal.SIGINT)

    docker.script = interrupt
    assert main([*command, "-H", docker.host]) == 130
    captured = capfd.readouterr()
    assert shown in captured.out
    assert "Ctrl-C again leaves what there is to `boatyard-load clean`" in captured.err
    assert docker.containers == {}


def test_a_second_ctrl_c_leaves_the_run_to_clean(docker: FakeDocker, journal: Path) -> None:
    def interrupt(number: int, request: object) -> None:
        if number == 5:
            os.kill(os.getpid(), signal.SIGINT)
            while signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
                threading.Event().wait(0.01)  # the main thread has yet to see the first
            os.kill(os.getpid(), signal.SIGINT)

    docker.script = interrupt
    assert main(["sweep", "-H", docker.host, "-c", "4", "-n", "2000"]) == 130
    assert docker.containers
    assert len(list(journal.glob("*.json"))) == 1


def test_a_version_of_the_format_that_is_not_ours_is_refused(
    docker: FakeDocker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "run.json"
    assert main(["run", "-H", docker.host, "-n", "3", "--json", str(file)]) == 0
    changed = msgspec.structs.replace(doc.decode(file.read_bytes()), version=99)
    file.write_bytes(doc.encode(changed))
    assert main(["verify", str(file)]) == 1
    assert "version 99" in capsys.readouterr().err
