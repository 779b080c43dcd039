"""`make bench` measures what it says, and says what it could not. Nothing here depends on how fast anything is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from contrib.bench.__main__ import SOURCES, bench, main, write
from contrib.bench.comparing import comparison_page
from contrib.bench.measuring import Measuring
from contrib.bench.plan import (
    BURST,
    DOCKERD,
    ENGINES,
    FEW_PRESENT,
    GROWING,
    MANY,
    ONE,
    OURS,
    PODMAN,
    PRESENT,
    SUSTAINED,
    Plan,
)
from contrib.bench.results import CREATES, DISK, INODES, LIST, MEMORY, P50, P99, START, Results, Samples
from contrib.bench.table import MARKS, in_short, markdown
from contrib.bench.targets import TARGETS, Target
from contrib.marks import between_marks
from contrib.places import NoPlace, Places

TINY = Plan(
    engines=(OURS,),
    rounds=1,
    one=20,
    burst=20,
    sustained=20,
    many=64,
    present=80,
    grown=40,
    warmup=16,
    lists=1,
    compared=10,
    compared_rounds=1,
)
STOP_TIMEOUT_S = 60


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory with a short path: a socket's has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="by-") as path:
        yield Path(path)


def samples_of(*figures: tuple[str, str, str, list[float]]) -> Samples:
    """Of (engine, row, metric, values)."""
    samples = Samples()
    for engine, row, metric, values in figures:
        for value in values:
            samples.add(engine, row, metric, value)
    return samples


@pytest.mark.integration
def test_a_tiny_run_measures_all_of_ours_and_fails_at_nothing(place: Path, tmp_path: Path) -> None:
    said: list[str] = []
    places = Places.at(place, bytes_needed=TINY.bytes_needed)
    results, page = bench(TINY, places, said.append)
    assert (results.failures, page) == ((), "")
    assert list(place.iterdir()) == []
    assert len(said) == 6
    samples = Samples(results.figures)
    for row in (ONE, BURST, SUSTAINED, MANY, FEW_PRESENT, PRESENT):
        assert len(samples.of(OURS, row, CREATES)) == 1
        assert len(samples.of(OURS, row, P50)) == 1
        assert samples.of(OURS, row, P99) == [], "of so few creates nobody can tell"
    assert samples.of(OURS, BURST, CREATES) == samples.of(OURS, SUSTAINED, CREATES), "the same load is measured once"
    for metric in (LIST, START, MEMORY):
        assert samples.of(OURS, GROWING, metric), metric
    if places.is_mounted:
        assert samples.of(OURS, GROWING, INODES) == [3.0]
        assert samples.of(OURS, GROWING, DISK)[0] > 0
    write(results, page, tmp_path / "out")
    assert msgspec.json.decode((tmp_path / "out" / "results.json").read_bytes(), type=Results) == results
    assert f"| {BURST}: 20 | {OURS} |" in (tmp_path / "out" / "table.md").read_text()
    assert not (tmp_path / "out" / "report.html").exists()
    for text in ((tmp_path / "out" / "results.json").read_text(), markdown(results)):
        assert str(place) not in text
        assert os.uname().nodename not in text


def test_what_readme_shows_is_what_was_measured() -> None:
    home = SOURCES / "docs" / "benchmarks"
    results = msgspec.json.decode((home / "results.json").read_bytes(), type=Results)
    assert (home / "table.md").read_text() == markdown(results)
    readme = (SOURCES / "README.md").read_text()
    assert between_marks(readme, MARKS, in_short(results)) == readme
    missed = [verdict for verdict in results.verdicts if verdict.held == "missed"]
    assert f"Of {len(results.verdicts)} targets (`contrib/bench/targets.py`), {len(missed)} were missed" in readme
    assert all(verdict.text in in_short(results) for verdict in missed)


@pytest.mark.integration
def test_the_page_of_a_comparison_names_engines_and_no_paths(place: Path) -> None:
    places = Places.at(place, bytes_needed=TINY.bytes_needed)
    page = comparison_page((OURS, "boatyard (asyncio)"), TINY, places, lambda _: None)
    assert "A is boatyard (uvloop)" in page
    assert "B is boatyard (asyncio)" in page
    assert str(place) not in page
    assert list(place.iterdir()) == []


@pytest.mark.integration
def test_ctrl_c_ends_the_engine_and_unmounts(place: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "contrib.bench", "--quick", "--only", OURS]
    command += ["--place", str(place), "--out", str(tmp_path / "out")]
    with subprocess.Popen(command, cwd=SOURCES, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if BURST in line:  # the first engine has run and is gone, the second is about to be started
                break
        process.send_signal(signal.SIGINT)
        assert "stopping" in process.stderr.read()
        assert process.wait(STOP_TIMEOUT_S) == 130
    assert list(place.iterdir()) == []
    assert str(place) not in Path("/proc/self/mountinfo").read_text()
    assert not [pid for pid in Path("/proc").glob("[0-9]*") if str(place).encode() in command_line(pid)]
    assert not (tmp_path / "out").exists()


def command_line(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:  # it has ended
        return b""


def test_without_room_nothing_is_begun(place: Path) -> None:
    with pytest.raises(NoPlace, match="MB free"):
        Places.at(place, bytes_needed=1 << 60)


def test_an_engine_that_is_not_installed_is_skipped_with_the_reason(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(place))
    results, _ = bench(Plan(engines=(PODMAN,), rounds=2), Places(place, is_mounted=False), lambda _: None)
    assert [subject.skipped for subject in results.subjects] == ["podman is not installed"]
    assert (results.failures, results.figures) == ((), ())
    assert "podman was not measured: podman is not installed." in markdown(results)
    assert {verdict.held for verdict in results.verdicts} == {"not measured"}


def test_what_fails_is_said_and_the_rest_goes_on(place: Path) -> None:
    deep = place / ("d" * 100)
    deep.mkdir()
    measuring = Measuring(TINY, Places(deep, is_mounted=False), lambda _: None)
    measuring.run()
    assert len(measuring.failures) == 6
    assert all(failure.startswith(f"{OURS}, ") and "107 bytes" in failure for failure in measuring.failures)
    assert list(deep.iterdir()) == []


def test_a_ratio_says_how_many_times_better_whether_more_or_less_is_better() -> None:
    samples = samples_of(
        (OURS, BURST, CREATES, [900.0, 1000.0, 1100.0]),
        (DOCKERD, BURST, CREATES, [100.0, 100.0]),
        (OURS, BURST, P50, [2.0]),
        (DOCKERD, BURST, P50, [30.0]),
    )
    rate, time = samples.ratio(OURS, BURST, CREATES), samples.ratio(OURS, BURST, P50)
    assert rate is not None
    assert time is not None
    assert (rate.value, rate.low, rate.high) == (10.0, 9.0, 11.0)
    assert (time.value, time.low, time.high) == (15.0, None, None)
    assert samples.ratio(OURS, MANY, P50) is None


FASTER = Target(text="faster", row=BURST, metric=CREATES, beside=(DOCKERD, BURST), at_least=15, aim=25)
SHORTER = Target(text="shorter", row=BURST, metric=P99, beside=(DOCKERD, BURST), at_least=10)
NOT_MUCH_SLOWER = Target(text="slower", row=PRESENT, metric=CREATES, beside=(OURS, BURST), at_most=1.2)
SMALL = Target(text="small", row=GROWING, metric=INODES, at_most=6)


@pytest.mark.parametrize(
    ("target", "ours", "beside", "measured", "held"),
    [
        (FASTER, 2500, 100, 25, "aim"),
        (FASTER, 2400, 100, 24, "must"),
        (FASTER, 1500, 100, 15, "must"),
        (FASTER, 1400, 100, 14, "missed"),
        (FASTER, 1400, None, None, "not measured"),
        (SHORTER, 2, 20, 10, "must"),
        (SHORTER, 4, 20, 5, "missed"),
        (NOT_MUCH_SLOWER, 100, 120, 1.2, "must"),
        (NOT_MUCH_SLOWER, 100, 130, 1.3, "missed"),
        (NOT_MUCH_SLOWER, 100, 50, 0.5, "must"),
        (SMALL, 6, None, 6, "must"),
        (SMALL, 7, None, 7, "missed"),
    ],
)
def test_a_target_is_held_up_to_its_limit(
    target: Target, ours: float, beside: float | None, measured: float | None, held: str
) -> None:
    samples = samples_of((target.engine, target.row, target.metric, [ours]))
    if beside is not None and target.beside is not None:
        samples.add(*target.beside, target.metric, beside)
    verdict = target.verdict(samples)
    assert verdict.measured == (pytest.approx(measured) if measured is not None else None)
    assert verdict.held == held


def test_the_interval_of_what_is_to_be_small_is_turned_with_it() -> None:
    samples = samples_of((OURS, PRESENT, CREATES, [80.0, 100.0]), (OURS, BURST, CREATES, [100.0, 100.0]))
    verdict = NOT_MUCH_SLOWER.verdict(samples)
    assert verdict.low == pytest.approx(1.0)
    assert verdict.high == pytest.approx(1.25)


def test_every_target_is_about_rows_and_engines_that_there_are() -> None:
    rows = {load.row for load in Plan().loads} | {FEW_PRESENT, PRESENT, GROWING}
    for target in TARGETS:
        assert target.engine in ENGINES
        assert target.row in rows
        assert target.beside is None or (target.beside[0] in ENGINES and target.beside[1] in rows)
        assert (target.at_least is None) != (target.at_most is None)
    assert len({target.text for target in TARGETS}) == len(TARGETS)


def test_readme_has_the_marks() -> None:
    between_marks((SOURCES / "README.md").read_text(), MARKS, "")


@pytest.mark.parametrize("flags", [["--rounds", "0"], ["--rounds", "many"], ["--only", "lxd"]])
def test_bad_flags_are_refused(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_code:
        main(flags)
    assert exit_code.value.code == 2
    assert flags[0] in capsys.readouterr().err
