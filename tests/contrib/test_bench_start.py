"""The measurement of starts measures something, with few containers."""

from __future__ import annotations

from pathlib import Path

import pytest

from contrib.bench_start import main


def test_a_start_with_few_containers_is_measured_and_told_about(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--containers", "10", "--directory", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "a daemon with 10 containers" in told
    assert "after a kill" in told
    assert not list(tmp_path.iterdir())
