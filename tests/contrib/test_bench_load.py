"""The measurement of loads measures something, on a small image."""

from __future__ import annotations

from pathlib import Path

import pytest

from contrib.bench_load.__main__ import main


def test_a_small_image_is_loaded_and_told_about(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--mib", "1", "--gzip", "--rounds", "1", "--seconds", "0", "--only-ours"]
    assert main([*arguments, "--directory", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "boatyard" in told
    assert "gzip" in told
    assert not list(tmp_path.iterdir())
