"""The benchmark measures what it says, and says what it could not. Nothing here depends on how fast anything is."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
import pytest
from rich.console import Console

from contrib.bench_actors import runner
from contrib.bench_actors.__main__ import main
from contrib.bench_actors.contract import Figure, Measure
from contrib.bench_actors.report import Run, markdown, print_run, run_json
from contrib.bench_actors.results import TARGETS, Target, Value, Verdict, least_of, value_of
from contrib.bench_actors.runner import Results, Samples, measure_all, measure_once
from contrib.bench_actors.subjects import BY_KEY, SUBJECTS

OURS, BARE, TRIO = BY_KEY["ours-asyncio"], BY_KEY["bare-asyncio"], BY_KEY["ours-trio"]
NEEDS_NOTHING = [subject for subject in SUBJECTS if subject.library in ("ours", "bare")]


def asked(ours: float, bare: float) -> Results:
    """Of one round: what an ask took."""
    return {
        (OURS.key, Measure.ASK): Samples({Figure.ASK: [ours]}),
        (BARE.key, Measure.ASK): Samples({Figure.ASK: [bare]}),
    }


def printed(run: Run) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        print_run(run, console)
    return capture.get()


def test_a_run_fills_every_cell_of_ours_and_the_bare_loops(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    json_path, markdown_path = tmp_path / "bench.json", tmp_path / "bench.md"
    flags = ["--rounds", "1", "--count", "128", "--only", "ours", "bare"]
    code = main([*flags, "--json", str(json_path), "--markdown", str(markdown_path)])
    report = json.loads(json_path.read_text())
    assert (report["failures"], report["skipped"], code) == ([], [], 0)
    assert [subject["key"] for subject in report["subjects"]] == [subject.key for subject in NEEDS_NOTHING]
    for subject in report["subjects"]:
        assert set(subject["cells"]) == {figure.name.lower() for figure in Figure}
        for figure, cell in subject["cells"].items():
            if subject["key"].startswith("bare") and figure == "restart":
                assert cell == {"text": "no restart"}
            elif figure == "memory":
                assert len(cell["samples"]) == 1  # of a few actors: they may fit into what was there already
            else:
                assert cell["least"] > 0
    about_others = {verdict for target, verdict in judged(report) if "pykka" in target or "triotp" in target}
    assert about_others == {"not measured"}
    assert {verdict for target, verdict in judged(report) if "bare" in target} <= {"held", "missed"}
    output = capsys.readouterr().out
    assert "crash + restart" in output
    assert markdown_path.read_text().count("\n| ours |") == 3


def judged(report: dict[str, list[dict[str, str]]]) -> list[tuple[str, str]]:
    return [(target["text"], target["verdict"]) for target in report["targets"]]


def test_a_library_that_is_not_installed_is_skipped_with_its_name() -> None:
    stranger = attrs.evolve(BARE, requires=("asyncio", "no_such_library"))
    reason = stranger.missing()
    assert reason == "no_such_library not installed"
    run = Run([OURS], [(stranger, reason)], 1, 128, asked(1, 1))
    line = "kipped: bare queue + Future on asyncio: no_such_library not installed"
    assert f"s{line}" in printed(run)
    assert f"S{line}." in markdown(run)
    assert run_json(run)["skipped"] == [{"key": BARE.key, "reason": reason}]


def test_a_cell_that_fails_gives_its_error_and_the_rest_goes_on() -> None:
    stranger = attrs.evolve(BARE, key="stranger")
    subjects = [stranger, BARE]
    results = measure_all(subjects, rounds=2, count=128, on_progress=lambda _: None)
    assert {samples.failure for (key, _), samples in results.items() if key == "stranger"} == {"KeyError: 'stranger'"}
    assert len(results[(BARE.key, Measure.ASK)].figures[Figure.ASK]) == 2


def test_a_cell_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "CELL_TIMEOUT_S", 0.0)
    assert measure_once(BARE, Measure.ASK, 128).failure == "no answer in 0 s"


def test_a_failure_is_shown_in_its_cell_and_below_the_table() -> None:
    results: Results = asked(1, 1) | {(OURS.key, Measure.TELL): Samples(failure="RuntimeError: boom")}
    run = Run([OURS, BARE], [], 1, 128, results)
    for text in (printed(run), markdown(run)):
        assert "ailed: tell of ours on asyncio: RuntimeError: boom" in text
    assert value_of(results, OURS, Figure.TELL) == Value(text="failed")
    assert value_of(results, OURS, Figure.TELL_AND_HANDLE) == Value(text="failed")
    assert value_of(results, OURS, Figure.MEMORY) == Value(text="not measured")


def test_a_cell_is_the_least_of_its_rounds_and_its_ratio_to_ours_on_that_loop() -> None:
    results: Results = {
        (OURS.key, Measure.ASK): Samples({Figure.ASK: [2.0, 9.0, 4.0]}),
        (BARE.key, Measure.ASK): Samples({Figure.ASK: [1.0, 2.0]}),
        (TRIO.key, Measure.ASK): Samples({Figure.ASK: [100.0]}),
    }
    assert value_of(results, OURS, Figure.ASK) == Value(least=2.0)
    assert value_of(results, BARE, Figure.ASK) == Value(least=1.0, ratio=0.5)


@pytest.mark.parametrize(
    ("target", "ours", "bare", "verdict"),
    [
        (Target(key=OURS.key, figure=Figure.ASK, beside=BARE.key, at_most=1.5), 15, 10, Verdict.HELD),
        (Target(key=OURS.key, figure=Figure.ASK, beside=BARE.key, at_most=1.5), 16, 10, Verdict.MISSED),
        (Target(key=OURS.key, figure=Figure.ASK, beside=BARE.key, at_least=10), 1, 10, Verdict.HELD),
        (Target(key=OURS.key, figure=Figure.ASK, beside=BARE.key, at_least=10), 1, 9, Verdict.MISSED),
        (Target(key=OURS.key, figure=Figure.ASK, at_most=1.0), 1, 9, Verdict.HELD),
        (Target(key=OURS.key, figure=Figure.ASK, at_most=1.0), 1.1, 9, Verdict.MISSED),
        (Target(key=OURS.key, figure=Figure.ASK, beside=TRIO.key, at_most=1.5), 1, 9, Verdict.NOT_MEASURED),
        (Target(key=TRIO.key, figure=Figure.ASK, at_most=1.5), 1, 9, Verdict.NOT_MEASURED),
    ],
)
def test_a_target_is_held_up_to_its_limit(target: Target, ours: float, bare: float, verdict: Verdict) -> None:
    assert target.verdict(asked(ours, bare)) is verdict


def test_every_target_is_about_rows_and_columns_that_there_are() -> None:
    for target in TARGETS:
        assert BY_KEY[target.key].library == "ours"
        assert target.beside is None or target.beside in BY_KEY
        assert (target.at_most is None) != (target.at_least is None)
        assert least_of({}, target.key, target.figure) is None


def test_every_subject_is_compared_with_ours_and_has_a_key_of_its_own() -> None:
    assert len(BY_KEY) == len(SUBJECTS)
    for subject in SUBJECTS:
        assert BY_KEY[subject.compared_with].library == "ours"


@pytest.mark.parametrize(
    "flags", [["--rounds", "0"], ["--count", "127"], ["--count", "many"], ["--only", "erlang"], ["--json", "/"]]
)
def test_bad_flags_are_refused(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_code:
        main(flags)
    assert exit_code.value.code == 2
    assert flags[0] in capsys.readouterr().err
