"""The measurements of bad peers measure something, with few of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from contrib.bench_peers.__main__ import EXIT_OK, EXIT_USAGE, main


def test_a_few_slow_senders_are_measured_and_told_about(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "slow",
        "--rounds",
        "1",
        "--seconds",
        "0.2",
        "--idle",
        "10",
        "--slow",
        "10",
        "--option=--head-timeout-s=0.1",
    ]
    assert main([*arguments, "--plain", "--place", str(tmp_path)]) == EXIT_OK
    told = capsys.readouterr().out
    assert "creates beside 10 idle connections and 10 slow senders" in told
    assert "answers other than 201: 0" in told
    assert not list(tmp_path.iterdir())


def test_a_short_overload_is_measured_and_told_about(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["overload", "--rounds", "1", "--seconds", "0.3", "--option=--creates-max=32"]
    assert main([*arguments, "--plain", "--place", str(tmp_path)]) == EXIT_OK
    told = capsys.readouterr().out
    assert "4 times as many creates as can be done" in told
    for kind in ("hammering", "by the clock", "strangers"):
        assert kind in told
    assert not list(tmp_path.iterdir())


def test_where_there_is_no_place_that_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["slow", "--place", str(tmp_path / "nowhere")]) == EXIT_USAGE
    assert "nowhere" in capsys.readouterr().err
